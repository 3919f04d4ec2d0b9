import { check, TensegrityError } from '../../errors.ts';
import type { DeviceOptions } from './options.ts';
import { type MatrixUnit, SUBGROUP } from './tile.ts';

/** What the npm package `webgpu` (Dawn for Node) exports. */
interface Dawn {
  create(options: readonly string[]): GPU;
}

/** The error of a GPU that cannot be used. */
export const unusable = (message: string, cause?: unknown): TensegrityError => new TensegrityError('backend', message, {}, cause);

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** What an option needs of the GPU. */
const needs = {
  f16: 'shader-f16',
  subgroupMatrices: 'chromium-experimental-subgroup-matrix',
  profile: 'timestamp-query',
} as const satisfies { [Option in keyof DeviceOptions]?: string };

/** Switches of Dawn for Node. */
function switches({ f16, subgroupMatrices, profile }: DeviceOptions): string[] {
  const enabled = [
    // No kernel relies on zeros in workgroup memory, and some compilers take seconds over what puts them there.
    'disable_workgroup_init',
    // What is experimental is hidden unless asked for; 16-bit floats too, on NVIDIA's GPUs.
    ...(subgroupMatrices ? ['allow_unsafe_apis'] : []),
    ...(f16 || subgroupMatrices ? ['vulkan_enable_f16_on_nvidia'] : []),
  ];
  return [`enable-dawn-features=${enabled.join(',')}`, ...(profile ? ['disable-dawn-features=timestamp_quantization'] : [])];
}

/**
 * The GPU of a page or a worker; in Node, that of the optional peer `webgpu`.
 * @throws TensegrityError `backend` saying what is missing.
 */
export async function findGpu(options: DeviceOptions): Promise<GPU> {
  // Any implementation's own type of it.
  if (options.gpu) return options.gpu as GPU;
  if (globalThis.navigator?.gpu) return globalThis.navigator.gpu;
  // Named by a variable, and marked, so that bundlers for the web leave it alone.
  const packageName = 'webgpu';
  try {
    const dawn: Dawn = await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
    return dawn.create(switches(options));
  } catch (cause) {
    throw unusable('WebGPU is not here: this runtime has no navigator.gpu; in Node, `npm install webgpu`, or use the wasm backend', cause);
  }
}

export interface OpenDevice {
  readonly device: GPUDevice;
  /** Of the adapter: a device's own says less. */
  readonly info: GPUAdapterInfo;
  /** What products may use, if it was asked for. */
  readonly unit: MatrixUnit | null;
  /** To be kept as long as the device: Dawn for Node dies if its GPU object is collected before the device is done. */
  readonly gpu: GPU;
}

/**
 * A device with as large buffers and as much workgroup memory as its adapter has, and the features that are useful.
 * @throws TensegrityError `backend` where there is no GPU, or it lacks what an option needs.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<OpenDevice> {
  const gpu = await findGpu(options);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch((cause: unknown) => {
    throw unusable(`WebGPU is here, but asking it for a GPU failed: ${String(cause)}; use the wasm backend`, cause);
  });
  if (!adapter)
    throw unusable(
      'WebGPU is here, but found no GPU it can drive (no adapter); check the graphics driver (`tensegrity doctor` says more), or use the wasm backend',
    );
  const asked = (Object.keys(needs) as (keyof typeof needs)[]).filter((option) => options[option]);
  const { vendor, architecture, description } = adapter.info;
  for (const option of asked) {
    check(
      adapter.features.has(needs[option]),
      'backend',
      () =>
        `the option ${option} needs the feature ${needs[option]}, which this GPU (${description || `${vendor} ${architecture}`}) has not; leave ${option} out`,
    );
  }
  const unit = options.subgroupMatrices ? matrixUnit(adapter.info) : null;
  const useful = ['subgroups', ...(options.subgroupMatrices ? ['shader-f16'] : [])].filter((feature) => adapter.features.has(feature));
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize } = adapter.limits;
  try {
    const device = await adapter.requestDevice({
      // The types of WebGPU know no experimental features.
      requiredFeatures: [...useful, ...asked.map((option) => needs[option])] as GPUFeatureName[],
      requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize },
    });
    return { device, gpu, info: adapter.info, unit };
  } catch (cause) {
    throw unusable(`the GPU (${description || vendor}) gave no device: ${reasonOf(cause)}; use the wasm backend`, cause);
  }
}

interface MatrixConfiguration {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly componentType: string;
  readonly resultComponentType: string;
}

/**
 * The squarest matrix unit of 16-bit factors and 32-bit sums.
 * @throws TensegrityError `backend` where there is none.
 */
function matrixUnit(info: GPUAdapterInfo): MatrixUnit {
  // Experimental, so WebGPU's types do not know it.
  const { subgroupMatrixConfigs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfiguration> };
  const [best] = [...subgroupMatrixConfigs]
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .sort((a, b) => Math.abs(a.M - a.N) - Math.abs(b.M - b.N));
  const fits =
    best !== undefined &&
    info.subgroupMinSize === SUBGROUP &&
    info.subgroupMaxSize === SUBGROUP &&
    [best.M, best.N, best.K].every((size) => 32 % size === 0);
  check(
    fits,
    'backend',
    () => 'the option subgroupMatrices needs matrix units of f16 for subgroups of 32; this GPU has none; leave it out',
  );
  return { rows: best.M, columns: best.N, inner: best.K };
}

/** Whether a CPU plays the GPU. */
export function isSoftware({ isFallbackAdapter, architecture, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${architecture} ${description}`);
}

/** A device, and what to throw for a promise of it that was rejected. */
interface Guarded {
  readonly device: GPUDevice;
  failure(what: string, cause: unknown): Promise<TensegrityError>;
}

/**
 * Awaits `work`, and throws what WebGPU reports, apart from it, about what it did before its first wait.
 * @param exhausted whether it may be done again, if memory ran out and some can be had back.
 * @throws TensegrityError `backend` saying that `what` failed.
 */
export async function guarded<T>(host: Guarded, what: string, work: () => Promise<T>, exhausted = true): Promise<T> {
  const { device } = host;
  device.pushErrorScope('out-of-memory');
  device.pushErrorScope('validation');
  const outcome = work();
  // Inner scopes come first. Those of a device that was lost say nothing.
  const scopes = Promise.allSettled([device.popErrorScope(), device.popErrorScope()]);
  const [settled] = await Promise.allSettled([outcome]);
  const [invalid, outOfMemory] = (await scopes).map((scope) => (scope.status === 'fulfilled' ? scope.value : null));
  if (outOfMemory)
    throw new TensegrityError(
      'backend',
      `${what} took more memory than the GPU has (${outOfMemory.message}); use smaller batches, and let go of what is not needed`,
      { exhausted },
    );
  if (invalid) throw unusable(`${what} failed on the GPU: ${invalid.message}`);
  if (settled.status === 'rejected') throw await host.failure(what, settled.reason);
  return settled.value;
}
