/**
 * The WebGPU backend, a walking skeleton: `map`, `reduce`, `gemm` and `copy`, as WGSL written from the same plans and programs. Each
 * plan is one encoder, one pass, one submit; values come back asynchronously only. Bytes (`u8`) are packed, four to a word.
 */
import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../../dtype.ts';
import { check } from '../../errors.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkRoom, foreignBuffer } from '../storage.ts';
import { type OpenDevice, openDevice } from './device.ts';
import { type GpuMemory, type Host, prepare } from './executable.ts';
import { Pipelines } from './pipelines.ts';
import type { Gpu } from './shader.ts';
import { BINDINGS } from './translate.ts';

export interface WebGpuOptions {
  /** Instead of `navigator.gpu`, or of the one that the npm package `webgpu` makes. */
  readonly gpu?: GPU;
  /** For tests: write kernels as if for a GPU of these properties. */
  readonly assume?: Partial<Gpu>;
}

/** @throws TensegrityError `backend` saying why there is no GPU here. */
export async function createWebGpuBackend(options: WebGpuOptions = {}): Promise<Backend> {
  return new WebGpuBackend(await openDevice(options.gpu), options);
}

/** Of WebGPU's GPUBufferUsage and GPUMapMode, which Node does not have as globals. */
const usage = { mapRead: 1, copySource: 4, copyDestination: 8, storage: 128 } as const;
const mapModeRead = 1;

class WebGpuBuffer implements GpuMemory {
  readonly backend: Backend;
  readonly bytes: number;
  readonly memory: GPUBuffer;
  freed = false;

  constructor(backend: Backend, bytes: number, memory: GPUBuffer) {
    this.backend = backend;
    this.bytes = bytes;
    this.memory = memory;
  }
}

class WebGpuBackend implements Backend, Host {
  readonly name = 'webgpu';
  readonly dtypes: readonly DType[] = ['f32', 'i32', 'u8'];
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly gpu: Gpu;
  readonly maxBindings = BINDINGS;
  /** Kept, not used: see {@link OpenDevice}. */
  readonly keptGpu: GPU;
  bytes = 0;
  /** Why the device cannot be used any more. */
  #lost: string | null = null;

  constructor({ device, gpu }: OpenDevice, { assume }: WebGpuOptions) {
    this.device = device;
    this.keptGpu = gpu;
    this.pipelines = new Pipelines(device);
    const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.limits;
    this.gpu = {
      workgroupBytes: maxComputeWorkgroupStorageSize,
      threads: maxComputeInvocationsPerWorkgroup,
      parallelism: isSoftware(device) ? 64 : 65536,
      software: isSoftware(device),
      features: new Set(device.features),
      ...assume,
    };
    device.lost.then(({ reason, message }) => {
      const why = message || reason;
      this.#end(
        `the GPU device was lost (${why}); create the backend again with useBackend('webgpu'), and resume from the last checkpoint`,
      );
    });
  }

  allocate(bytes: number): WebGpuBuffer {
    this.#checkAlive();
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    check(bytes <= limit, 'backend', () => `one buffer of ${bytes} bytes; this GPU takes at most ${limit}`);
    const memory = this.device.createBuffer({ size: allocated(bytes), usage: usage.storage | usage.copySource | usage.copyDestination });
    this.bytes += bytes;
    return new WebGpuBuffer(this, bytes, memory);
  }

  write(buffer: DeviceBuffer, data: TypedArray): void {
    const { memory } = this.open(buffer, dtypeOf(data), data.length);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const whole = bytes.length - (bytes.length % 4);
    this.device.queue.writeBuffer(memory, 0, bytes, 0, whole);
    if (whole === bytes.length) return;
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    this.device.queue.writeBuffer(memory, whole, rest);
  }

  async read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray> {
    const { memory } = this.open(buffer, dtype, length);
    const size = allocated(length * dtypes[dtype].bytes);
    const staging = this.device.createBuffer({ size, usage: usage.mapRead | usage.copyDestination });
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(memory, 0, staging, 0, size);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(mapModeRead);
      return dtypes[dtype].over(staging.getMappedRange().slice(0), 0, length);
    } finally {
      staging.destroy();
    }
  }

  free(buffer: DeviceBuffer): void {
    const owned = this.#own(buffer);
    if (owned.freed || this.#lost !== null) return;
    owned.freed = true;
    owned.memory.destroy();
    this.bytes -= owned.bytes;
  }

  prepare(plan: Plan, constants: readonly Storage[]): Promise<Executable> {
    this.#checkAlive();
    return prepare(this, plan, constants);
  }

  dispose(): void {
    this.#end("the webgpu backend was disposed of; create another with useBackend('webgpu')");
    this.device.destroy();
  }

  open(buffer: DeviceBuffer, dtype: DType, length: number): WebGpuBuffer {
    this.#checkAlive();
    const owned = this.#own(buffer);
    checkRoom(owned, dtype, length);
    return owned;
  }

  #own(buffer: DeviceBuffer): WebGpuBuffer {
    if (buffer instanceof WebGpuBuffer && buffer.backend === this) return buffer;
    throw foreignBuffer(buffer);
  }

  /** All memory goes with the device. */
  #end(why: string): void {
    this.#lost ??= why;
    this.bytes = 0;
  }

  #checkAlive(): void {
    check(this.#lost === null, 'backend', () => this.#lost ?? '');
  }
}

/** A binding must not be empty, and copies move whole words. */
function allocated(bytes: number): number {
  return Math.max(4, Math.ceil(bytes / 4) * 4);
}

/** Whether a CPU plays the GPU. */
function isSoftware({ adapterInfo }: GPUDevice): boolean {
  return adapterInfo.isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${adapterInfo.architecture} ${adapterInfo.description}`);
}
