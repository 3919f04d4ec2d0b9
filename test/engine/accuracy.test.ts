/** Every function of floats is as exact on cpu and wasm as the scalar table says. (webgpu/conformance.test.ts holds it there.) */
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../engine/backends/wasm/index.ts';
import { capability } from '../support/capabilities.ts';
import { functions, worstOf } from './accuracy.ts';

const builds = await Promise.all(
  (['simd', 'relaxed'] as const).map(async (build) => {
    const backend = await createWasmBackend({ build, threads: 1 }).catch(() => null);
    const usable = capability(build === 'simd' ? 'simd' : 'relaxed-simd', backend !== null, 'this engine does not compile it');
    return usable ? [[build, backend!] as const] : [];
  }),
);

describe.each([['cpu', createCpuBackend()] as const, ...builds.flat()])('%s', (_name, backend) => {
  afterAll(() => backend.dispose());

  it.each(functions)('%s', async (name) => {
    const { error, bound, at } = await worstOf(name, backend);
    expect(error, at).toBeLessThanOrEqual(bound);
  });
});
