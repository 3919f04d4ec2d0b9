import { type Backend, TensegrityError, useBackend } from 'tensegrity';
import type { BackendName, Place, Trouble, Whereabouts } from './protocol.ts';

/** What went otherwise than asked. */
export interface Remark {
  readonly trouble: Trouble;
  readonly message: string;
}

export interface Settled {
  readonly at: Whereabouts;
  readonly backend: Backend;
  readonly remarks: readonly Remark[];
}

/** Whether a CPU plays the GPU: then wasm is faster. */
function imitates({ isFallbackAdapter, architecture, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${architecture} ${description}`);
}

/** The GPU's adapter, or why there is none. */
async function findAdapter(): Promise<GPUAdapter | string> {
  if (!navigator.gpu) return 'this browser has no WebGPU here';
  try {
    return (await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })) ?? 'WebGPU found no GPU that it can drive';
  } catch (error) {
    return `WebGPU gave no GPU (${messageOf(error)})`;
  }
}

function nameOf({ description, vendor, architecture }: GPUAdapterInfo): string {
  return description || `${vendor} ${architecture}`.trim() || 'a GPU';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Where nothing else is: the backend in plain JavaScript. */
async function settleOnCpu(why: string): Promise<Omit<Settled, 'at'> & { readonly threads: 1 }> {
  const message = `${why}, so this computes in plain JavaScript, some twenty times slower; a current browser has WebAssembly with SIMD.`;
  return { backend: await useBackend('cpu'), threads: 1, remarks: [{ trouble: 'noWebAssembly', message }] };
}

async function settleOnWasm(
  threads: number | undefined,
): Promise<Omit<Settled, 'at'> & { readonly threads: number; readonly name: BackendName }> {
  const remarks: Remark[] = [];
  const oneThread = (why: string): void => {
    remarks.push({ trouble: 'oneThread', message: `One thread computes, not one for each core: ${why}.` });
  };
  const start = (options: { readonly threads?: number }) => useBackend('wasm', options);
  try {
    if (!globalThis.crossOriginIsolated && (threads ?? 2) > 1) {
      oneThread('the page is not cross-origin isolated (its server sends no Cross-Origin-Opener-Policy and -Embedder-Policy)');
      return { backend: await start({ threads: 1 }), threads: 1, name: 'wasm', remarks };
    }
    const cores = Math.min(64, navigator.hardwareConcurrency || 1);
    const wanted = threads ?? cores;
    try {
      // Threads that nobody asked for are done without where they do not start, which shows when a plan needs them.
      return { backend: await start(wanted === cores ? {} : { threads: wanted }), threads: wanted, name: 'wasm', remarks };
    } catch (error) {
      if (wanted === 1) throw error;
      oneThread(messageOf(error));
      return { backend: await start({ threads: 1 }), threads: 1, name: 'wasm', remarks };
    }
  } catch (error) {
    const cpu = await settleOnCpu(
      typeof WebAssembly === 'undefined'
        ? 'This browser has no WebAssembly'
        : `WebAssembly with SIMD does not run here (${messageOf(error)})`,
    );
    return { ...cpu, name: 'cpu', remarks: cpu.remarks };
  }
}

/**
 * Chooses where plans run, and has them run there.
 * @returns what was chosen, and what of it is otherwise than asked.
 */
export async function settle({ backend: wanted, threads }: Place, worker: boolean): Promise<Settled> {
  const isolated = globalThis.crossOriginIsolated === true;
  const where = (backend: BackendName, count: number, adapter: string | null = null): Whereabouts => ({
    backend,
    threads: count,
    isolated,
    worker,
    adapter,
  });
  const remarks: Remark[] = [];
  if (wanted === 'cpu') return { at: where('cpu', 1), backend: await useBackend('cpu'), remarks };
  if (wanted !== 'wasm') {
    const adapter = await findAdapter();
    const usable = typeof adapter !== 'string' && (wanted === 'webgpu' || !imitates(adapter.info));
    let fault = typeof adapter === 'string' ? adapter : null;
    if (typeof adapter !== 'string' && usable) {
      try {
        // Timestamps are for the plan's listing, and cost little.
        const profile = adapter.features.has('timestamp-query');
        return { at: where('webgpu', 1, nameOf(adapter.info)), backend: await useBackend('webgpu', { profile }), remarks };
      } catch (error) {
        if (!(error instanceof TensegrityError)) throw error;
        fault = error.message;
      }
    }
    if (wanted === 'webgpu' && fault !== null)
      remarks.push({ trouble: 'noGpu', message: `There is no GPU to train on: ${fault}. It trains with WebAssembly.` });
  }
  const { backend, threads: count, name, remarks: more } = await settleOnWasm(threads);
  return { at: where(name, count), backend, remarks: [...remarks, ...more] };
}
