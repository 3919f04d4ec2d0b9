import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypes, type TypedArray } from '../../dtype.ts';
import { check } from '../../errors.ts';
import type { DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkCount } from '../storage.ts';
import { guarded } from './device.ts';
import { listing } from './listing.ts';
import type { Pipelines } from './pipelines.ts';
import type { Gpu } from './shader.ts';
import { type Dispatch, type Translation, translate } from './translate.ts';

export interface GpuMemory extends DeviceBuffer {
  readonly memory: GPUBuffer;
}

/** What plans need of the backend that they run on. */
export interface Host {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly gpu: Gpu;
  allocate(bytes: number): GpuMemory;
  write(buffer: DeviceBuffer, data: TypedArray): void;
  read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray>;
  free(buffer: DeviceBuffer): void;
  /** Checks that memory is the backend's, and large enough. */
  open(buffer: DeviceBuffer, dtype: DType, length: number): GpuMemory;
}

/** A dispatch made ready, and the bind group of the buffers that it last ran on. */
interface Ready {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  bound: readonly GPUBuffer[];
  group: GPUBindGroup | null;
}

export async function prepare(host: Host, plan: Plan, constants: readonly Storage[]): Promise<Executable> {
  const translation = translate(plan, host.gpu);
  checkBindings(translation, host.device.limits.maxStorageBuffersPerShaderStage);
  const executable = new WebGpuExecutable(host, plan, translation);
  try {
    await executable.prepare(constants);
    return executable;
  } catch (error) {
    executable.dispose();
    throw error;
  }
}

function checkBindings({ dispatches }: Translation, limit: number): void {
  const most = Math.max(0, ...dispatches.map(({ bindings }) => bindings.length));
  check(most <= limit, 'backend', () => `a kernel of ${most} buffers; this GPU binds at most ${limit}. Use the wasm backend`);
}

class WebGpuExecutable implements Executable {
  readonly #host: Host;
  readonly #plan: Plan;
  readonly #translation: Translation;
  /** The memory behind each buffer of the plan, as far as it is known. */
  readonly #buffers: GPUBuffer[] = [];
  /** Memory of the plan's own: scratch, and where arrays that it is given are uploaded to. */
  readonly #held: GpuMemory[] = [];
  readonly #uploads = new Map<number, GpuMemory>();
  #pieces: readonly GPUBuffer[] = [];
  #ready: readonly Ready[] = [];
  #disposed = false;

  constructor(host: Host, plan: Plan, translation: Translation) {
    this.#host = host;
    this.#plan = plan;
    this.#translation = translation;
  }

  async prepare(constants: readonly Storage[]): Promise<void> {
    const { dispatches, pieces } = this.#translation;
    this.#ready = await guarded(this.#host.device, 'preparing a plan', async () => {
      this.#pieces = pieces.map((bytes) => this.#hold(bytes).memory);
      const pipelines = await Promise.all(dispatches.map(({ code }) => this.#host.pipelines.get(code)));
      return dispatches.map((dispatch, k): Ready => ({ dispatch, pipeline: pipelines[k]!, bound: [], group: null }));
    });
    const numbers = this.#plan.constants;
    checkCount(constants, numbers, 'constants');
    const arrays = await Promise.all(constants.map((constant, k) => this.#array(constant, numbers[k]!)));
    this.#bind(numbers, arrays);
  }

  async run(inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Promise<Storage[]> {
    check(!this.#disposed, 'disposed', () => 'this plan was disposed of; prepare it again to run it');
    const { inputs: inputNumbers, slots: slotNumbers, outputs: outputNumbers } = this.#plan;
    checkCount(inputs, inputNumbers, 'inputs');
    checkCount(slots, slotNumbers, 'slots');
    return guarded(this.#host.device, 'running a plan', async () => {
      this.#bind(inputNumbers, inputs);
      this.#bind(slotNumbers, slots);
      const outputs = outputNumbers.map((number) => {
        const { dtype, length } = this.#plan.buffers[number]!;
        return this.#host.allocate(length * dtypes[dtype].bytes);
      });
      for (const [k, number] of outputNumbers.entries()) this.#buffers[number] = outputs[k]!.memory;
      this.#submit();
      return outputs;
    });
  }

  wgsl(): string[] {
    return listing(this.#plan, this.#translation);
  }

  dispose(): void {
    this.#disposed = true;
    for (const buffer of this.#held.splice(0)) this.#host.free(buffer);
  }

  #hold(bytes: number): GpuMemory {
    const buffer = this.#host.allocate(bytes);
    this.#held.push(buffer);
    return buffer;
  }

  #bind(numbers: readonly number[], values: readonly Storage[]): void {
    for (const [k, number] of numbers.entries()) {
      const value = values[k]!;
      const { dtype, length } = this.#plan.buffers[number]!;
      this.#buffers[number] = ArrayBuffer.isView(value) ? this.#upload(value, number) : this.#host.open(value, dtype, length).memory;
    }
  }

  /** Into memory that the plan keeps for the next run. */
  #upload(array: TypedArray, number: number): GPUBuffer {
    const { dtype, length } = this.#plan.buffers[number]!;
    checkArray(array, dtype, length);
    const buffer = this.#uploads.get(number) ?? this.#hold(array.byteLength);
    this.#uploads.set(number, buffer);
    this.#host.write(buffer, array);
    return buffer.memory;
  }

  /** A constant as an array: what happens to a buffer later must not reach it. */
  async #array(value: Storage, number: number): Promise<TypedArray> {
    const { dtype, length } = this.#plan.buffers[number]!;
    return ArrayBuffer.isView(value) ? value : this.#host.read(value, dtype, length);
  }

  #submit(): void {
    const encoder = this.#host.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const ready of this.#ready) {
      pass.setPipeline(ready.pipeline);
      pass.setBindGroup(0, this.#bindGroup(ready));
      pass.dispatchWorkgroups(...ready.dispatch.workgroups);
    }
    pass.end();
    this.#host.device.queue.submit([encoder.finish()]);
  }

  #bindGroup(ready: Ready): GPUBindGroup {
    const bound = ready.dispatch.bindings.map((place) => ('piece' in place ? this.#pieces[place.piece]! : this.#buffers[place.buffer]!));
    if (ready.group && bound.every((buffer, k) => buffer === ready.bound[k])) return ready.group;
    const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
    ready.bound = bound;
    ready.group = this.#host.device.createBindGroup({ layout: ready.pipeline.getBindGroupLayout(0), entries });
    return ready.group;
  }
}
