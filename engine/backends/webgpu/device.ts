import { TensegrityError } from '../../errors.ts';

/** What the npm package `webgpu` (Dawn for Node) exports. */
interface Dawn {
  create(options: readonly string[]): GPU;
}

/**
 * The GPU of a page or a worker; in Node, that of the optional peer `webgpu`.
 * @throws TensegrityError `backend` saying what is missing.
 */
async function findGpu(): Promise<GPU> {
  if (globalThis.navigator?.gpu) return globalThis.navigator.gpu;
  // Named by a variable, and marked, so that bundlers for the web leave it alone.
  const packageName = 'webgpu';
  try {
    const dawn: Dawn = await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
    return dawn.create([]);
  } catch (cause) {
    throw new TensegrityError(
      'backend',
      'WebGPU is not here: this runtime has no navigator.gpu; in Node, `npm install webgpu`, or use the wasm backend',
      {},
      cause,
    );
  }
}

export interface OpenDevice {
  readonly device: GPUDevice;
  /** To be kept as long as the device: Dawn for Node dies if its GPU object is collected before the device is done. */
  readonly gpu: GPU;
}

/** A device with as large buffers, and as many of them in a kernel, as its adapter has. */
export async function openDevice(given?: GPU): Promise<OpenDevice> {
  const gpu = given ?? (await findGpu());
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new TensegrityError(
      'backend',
      'WebGPU is here, but found no GPU it can drive (no adapter); check the graphics driver, or use the wasm backend',
    );
  }
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
  });
  return { device, gpu };
}

/**
 * Awaits `work`, and throws what WebGPU reports, apart from it, about what it did before its first wait.
 * @throws TensegrityError `backend` saying that `what` failed.
 */
export async function guarded<T>(device: GPUDevice, what: string, work: () => Promise<T>): Promise<T> {
  device.pushErrorScope('out-of-memory');
  device.pushErrorScope('validation');
  const outcome = work();
  const scopes = Promise.all([device.popErrorScope(), device.popErrorScope()]);
  const [settled] = await Promise.allSettled([outcome]);
  const fault = (await scopes).find((error) => error !== null);
  if (fault) throw new TensegrityError('backend', `${what} failed on the GPU: ${fault.message}`);
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}
