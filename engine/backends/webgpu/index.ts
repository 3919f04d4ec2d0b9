/**
 * The WebGPU backend: every kernel as WGSL written from the same plans and programs. Each plan is one encoder, one pass, one submit; values come
 * back asynchronously only. Bytes (`u8`) are packed, four to a word.
 */
import { filled, shown } from '../../arguments.ts';
import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../../dtype.ts';
import { check, TensegrityError } from '../../errors.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkBytes, checkRoom, foreignBuffer } from '../storage.ts';
import { isSoftware, type OpenDevice, openDevice, reasonOf, unusable } from './device.ts';
import { type Host, prepare } from './executable.ts';
import { Memory, Regions, StagingRing, WebGpuBuffer } from './memory.ts';
import type { DeviceOptions } from './options.ts';
import { Pipelines } from './pipelines.ts';
import { BINDINGS, type Gpu } from './shader.ts';

export interface WebGpuOptions extends DeviceOptions {
  /** For tests: write kernels as if for a GPU of these properties. */
  readonly assume?: Partial<Gpu>;
}

/** @throws TensegrityError `backend` saying why there is no GPU here, or which feature it lacks; `argument` for options that do not exist. */
export async function createWebGpuBackend(options: WebGpuOptions = {}): Promise<Backend> {
  filled('useBackend: webgpu', options, { gpu: undefined, f16: false, subgroupMatrices: false, profile: false, assume: undefined });
  const mustBe = (name: 'gpu' | 'assume', what: string, fits: (given: object) => boolean): void => {
    const given: unknown = options[name];
    const isFit = given === undefined || (typeof given === 'object' && given !== null && fits(given));
    check(isFit, 'argument', () => `useBackend: webgpu: ${name} must be ${what}, got ${shown(given)}`);
  };
  mustBe('gpu', 'a GPU, as navigator.gpu is', (given) => 'requestAdapter' in given);
  mustBe('assume', 'a record', () => true);
  return new WebGpuBackend(await openDevice(options), options);
}

/** Plans that are submitted before the first of them must be done. */
const MOST_AHEAD = 16;

class WebGpuBackend implements Backend, Host {
  readonly name = 'webgpu';
  readonly dtypes: readonly DType[] = ['f32', 'i32', 'u8'];
  readonly backend = this;
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly gpu: Gpu;
  readonly maxBindings = BINDINGS;
  readonly memory: Memory;
  readonly regions: Regions;
  readonly staging: StagingRing;
  readonly profile: boolean;
  /** Kept, not used: see {@link OpenDevice}. */
  readonly keptGpu: GPU;
  /** Why the device cannot be used any more; all memory goes with it. */
  #lost: string | null = null;
  /** What WebGPU reported that no call has said yet. */
  #fault: string | null = null;
  #submits = 0;
  #mark: Promise<unknown> = Promise.resolve();

  constructor({ device, gpu, info, unit }: OpenDevice, { assume, f16 = false, profile = false }: WebGpuOptions) {
    this.device = device;
    this.keptGpu = gpu;
    this.profile = profile;
    this.pipelines = new Pipelines(device);
    this.memory = new Memory(device);
    this.regions = new Regions(this.memory);
    this.staging = new StagingRing(this.memory);
    const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.limits;
    const software = isSoftware(info);
    this.gpu = {
      workgroupBytes: maxComputeWorkgroupStorageSize,
      threads: maxComputeInvocationsPerWorkgroup,
      parallelism: software ? 64 : 65536,
      mostFolded: 2 ** 30,
      software,
      subgroupSize: device.features.has('subgroups') ? info.subgroupMinSize : 1,
      f16,
      unit,
      ...assume,
    };
    device.lost.then(({ reason, message }) => {
      this.#lost ??= `the GPU device was lost (${message || reason}); create the backend again with useBackend('webgpu'), or use another, and resume from the last checkpoint`;
    });
    device.onuncapturederror = ({ error }) => {
      this.#fault ??= error.message;
    };
  }

  get bytes(): number {
    return this.#lost === null ? this.memory.bytes : 0;
  }

  allocate(bytes: number): WebGpuBuffer {
    this.checkAlive();
    checkBytes(bytes);
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    check(
      bytes <= limit,
      'backend',
      () => `one buffer of ${bytes} bytes; this GPU takes at most ${limit}. Use smaller batches, or the wasm backend`,
    );
    const place = this.memory.create(bytes);
    return new WebGpuBuffer(this, bytes, place, () => this.memory.destroy(place, bytes));
  }

  write(buffer: DeviceBuffer, data: TypedArray): void {
    const { place } = this.open(buffer, dtypeOf(data), data.length);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // Deno ends the process over an empty write.
    if (bytes.length === 0) return;
    const whole = bytes.length - (bytes.length % 4);
    this.device.queue.writeBuffer(place.buffer, place.offset, bytes, 0, whole);
    if (whole === bytes.length) return;
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    this.device.queue.writeBuffer(place.buffer, place.offset + whole, rest);
  }

  async read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray> {
    const { place, copy } = this.open(buffer, dtype, length);
    const bytes = length * dtypes[dtype].bytes;
    try {
      const contents = await (copy?.contents(bytes) ?? this.staging.read(place, bytes));
      this.checkAlive();
      return dtypes[dtype].over(contents, 0, length);
    } catch (cause) {
      throw await this.failure('reading a result', cause);
    }
  }

  free(buffer: DeviceBuffer): void {
    const owned = this.#own(buffer);
    if (owned.freed || this.#lost !== null) return;
    owned.freed = true;
    owned.release();
  }

  async prepare(plan: Plan, constants: readonly Storage[]): Promise<Executable> {
    this.checkAlive();
    return prepare(this, plan, constants);
  }

  dispose(): void {
    this.#lost ??= "the webgpu backend was disposed of; create another with useBackend('webgpu')";
    this.device.destroy();
  }

  open(buffer: DeviceBuffer, dtype: DType, length: number): WebGpuBuffer {
    this.checkAlive();
    const owned = this.#own(buffer);
    checkRoom(owned, dtype, length);
    return owned;
  }

  /** Submits commands; now and then waits, so that what is submitted is never far ahead of what has run. */
  async submit(commands: GPUCommandBuffer): Promise<void> {
    this.device.queue.submit([commands]);
    if (++this.#submits % (MOST_AHEAD / 2) !== 0) return;
    const before = this.#mark;
    this.#mark = this.device.queue.onSubmittedWorkDone().catch(() => undefined);
    await before;
  }

  checkAlive(): void {
    check(this.#lost === null, 'backend', () => this.#lost ?? '');
    const fault = this.#fault;
    this.#fault = null;
    check(fault === null, 'backend', () => `the GPU reported an error: ${fault}`);
  }

  #own(buffer: DeviceBuffer): WebGpuBuffer {
    if (buffer instanceof WebGpuBuffer && buffer.backend === this) return buffer;
    throw foreignBuffer(buffer);
  }

  /** The error to throw for a promise that WebGPU rejected: that the device was lost is known a moment later. */
  async failure(what: string, cause: unknown): Promise<TensegrityError> {
    if (cause instanceof TensegrityError) return cause;
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    const message = this.#lost ?? `${what} failed on the GPU: ${reasonOf(cause)}`;
    return unusable(message, cause);
  }
}
