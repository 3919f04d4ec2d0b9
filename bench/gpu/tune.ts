/** Gives a module of one's own the GPU and what measures it: `tune.ts FILE [argument ...]`. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { median } from '../statistics.ts';
import { values } from '../values.ts';
import { gpu, workDone } from '../webgpu.ts';

interface Timing {
  /** Milliseconds a call. */
  readonly median: number;
  readonly best: number;
}

export interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly groups: readonly GPUBindGroup[];
  readonly workgroups: readonly [x: number, y?: number, z?: number];
}

/** What a module's default export is given. */
export interface Bench {
  readonly gpu: GPU;
  /** A device with all that its adapter has. */
  openDevice(): Promise<GPUDevice>;
  /** Of this project, `dist/engine/index.js` or `dist/models/index.js`. */
  load(part: 'engine' | 'models'): Promise<unknown>;
  values: typeof values;
  /** How long calls take that are started one after the other and waited for at the end, `batch` milliseconds of them, and so often. */
  time(call: () => unknown, options?: { readonly batch?: number; readonly rounds?: number }): Promise<Timing>;
  /** The same of dispatches. */
  timeDispatch(device: GPUDevice, dispatch: Dispatch | readonly Dispatch[], options?: { readonly batch?: number; readonly rounds?: number }): Promise<Timing>;
  readonly parameters: readonly string[];
}

async function openDevice(): Promise<GPUDevice> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('no adapter');
  const requiredLimits: Record<string, number> = {};
  // Limits are properties of their prototype.
  for (const name in adapter.limits) {
    const limit = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof limit === 'number') requiredLimits[name] = limit;
  }
  return adapter.requestDevice({ requiredLimits, requiredFeatures: [...adapter.features] as GPUFeatureName[] });
}

async function time(call: () => unknown, { batch = 30, rounds = 7 } = {}): Promise<Timing> {
  const timed = async (calls: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
      const result = call();
      if (result instanceof Promise) await result;
    }
    await workDone();
    return (performance.now() - start) / calls;
  };
  await timed(1);
  const calls = Math.max(1, Math.ceil(batch / (await timed(2))));
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await timed(calls));
  return { median: median(times), best: Math.min(...times) };
}

function timeDispatch(device: GPUDevice, dispatch: Dispatch | readonly Dispatch[], options?: { readonly batch?: number; readonly rounds?: number }): Promise<Timing> {
  const dispatches = Array.isArray(dispatch) ? (dispatch as readonly Dispatch[]) : [dispatch as Dispatch];
  return time(() => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, groups, workgroups } of dispatches) {
      pass.setPipeline(pipeline);
      for (const [index, group] of groups.entries()) pass.setBindGroup(index, group);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  }, options);
}

const [file, ...parameters] = process.argv.slice(2);
const module = (await import(pathToFileURL(resolve(file!)).href)) as { default: (bench: Bench) => unknown };
await module.default({
  gpu,
  openDevice,
  load: (part) => import(new URL(`../../dist/${part}/index.js`, import.meta.url).href),
  values,
  time,
  timeDispatch,
  parameters,
});
process.exit(0);
