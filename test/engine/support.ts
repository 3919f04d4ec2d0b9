import type { Backend } from '../../engine/backends/backend.ts';
import { createCpuBackend } from '../../engine/backends/cpu/index.ts';
import { type BackendName, useBackend } from '../../engine/index.ts';
import { capability } from '../support/capabilities.ts';

/** The reference, which fills what it has not written with NaN, so that a plan which reads too early is found. */
export const reference: Backend = createCpuBackend({ poison: true });

/** The backends that compute in f32 here. */
export const backends: readonly Backend[] = [reference, ...(await others('wasm'))];

async function others(...names: readonly BackendName[]): Promise<Backend[]> {
  const found = await Promise.allSettled(names.map((name) => useBackend(name)));
  return found.flatMap((result, i) => {
    const name = names[i]!;
    if (capability(name, result.status === 'fulfilled', result.status === 'rejected' ? String(result.reason) : '')) {
      return result.status === 'fulfilled' ? [result.value] : [];
    }
    return [];
  });
}
