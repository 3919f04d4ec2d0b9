import type { KernelKind, KernelOf, Plan } from '../../compiler/plan.ts';
import { type DType, dtypes, type TypedArray } from '../../dtype.ts';
import { check, TensegrityError } from '../../errors.ts';
import type { DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkCount } from '../storage.ts';
import { copy } from './copy.ts';
import { guarded } from './device.ts';
import { gemm } from './gemm.ts';
import { map } from './map.ts';
import type { Pipelines } from './pipelines.ts';
import { reduce } from './reduce.ts';
import { layOutScratch } from './scratch.ts';
import type { Emitter, Shader } from './shader.ts';

const emitters: { readonly [K in KernelKind]?: Emitter<K> } = { map, reduce, gemm, copy };

export interface GpuMemory extends DeviceBuffer {
  readonly memory: GPUBuffer;
}

/** What plans need of the backend that they run on. */
export interface Host {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  allocate(bytes: number): GpuMemory;
  write(buffer: DeviceBuffer, data: TypedArray): void;
  read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray>;
  free(buffer: DeviceBuffer): void;
  /** Checks that memory is the backend's, and large enough. */
  open(buffer: DeviceBuffer, dtype: DType, length: number): GpuMemory;
}

/** A shader made ready, and the bind group of the buffers that it last ran on. */
interface Dispatch {
  readonly shader: Shader;
  readonly pipeline: GPUComputePipeline;
  bound: readonly GPUBuffer[];
  group: GPUBindGroup | null;
}

export async function prepare(host: Host, plan: Plan, constants: readonly Storage[]): Promise<Executable> {
  const shaders = plan.kernels.flatMap((kernel) => emit(kernel, plan));
  checkBindings(shaders, host.device.limits.maxStorageBuffersPerShaderStage);
  const executable = new WebGpuExecutable(host, plan);
  try {
    await executable.prepare(shaders, constants);
    return executable;
  } catch (error) {
    executable.dispose();
    throw error;
  }
}

function emit<K extends KernelKind>(kernel: KernelOf<K>, plan: Plan): Shader[] {
  const { kind } = kernel;
  const emitter = emitters[kind];
  if (emitter) return emitter(kernel, plan);
  throw new TensegrityError('backend', `the webgpu backend has no ${kind} yet: complete in a later release; use wasm`, { kind });
}

function checkBindings(shaders: readonly Shader[], limit: number): void {
  const most = Math.max(0, ...shaders.map(({ buffers }) => buffers.length));
  check(most <= limit, 'backend', () => `a kernel of ${most} buffers; this GPU binds at most ${limit}. Use the wasm backend`);
}

class WebGpuExecutable implements Executable {
  readonly #host: Host;
  readonly #plan: Plan;
  /** The memory behind each buffer of the plan, as far as it is known. */
  readonly #buffers: GPUBuffer[] = [];
  /** Memory of the plan's own: scratch, and where arrays that it is given are uploaded to. */
  readonly #held: GpuMemory[] = [];
  readonly #uploads = new Map<number, GpuMemory>();
  #dispatches: readonly Dispatch[] = [];
  #disposed = false;

  constructor(host: Host, plan: Plan) {
    this.#host = host;
    this.#plan = plan;
  }

  async prepare(shaders: readonly Shader[], constants: readonly Storage[]): Promise<void> {
    this.#dispatches = await guarded(this.#host.device, 'preparing a plan', async () => {
      const layout = layOutScratch(this.#plan);
      const pieces = layout.bytes.map((bytes) => this.#hold(bytes).memory);
      for (const [number, piece] of layout.pieces) this.#buffers[number] = pieces[piece]!;
      const pipelines = await Promise.all(shaders.map(({ code }) => this.#host.pipelines.get(code)));
      return shaders.map((shader, k): Dispatch => ({ shader, pipeline: pipelines[k]!, bound: [], group: null }));
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
    for (const dispatch of this.#dispatches) {
      pass.setPipeline(dispatch.pipeline);
      pass.setBindGroup(0, this.#bindGroup(dispatch));
      pass.dispatchWorkgroups(...dispatch.shader.workgroups);
    }
    pass.end();
    this.#host.device.queue.submit([encoder.finish()]);
  }

  #bindGroup(dispatch: Dispatch): GPUBindGroup {
    const bound = dispatch.shader.buffers.map((number) => this.#buffers[number]!);
    if (dispatch.group && bound.every((buffer, k) => buffer === dispatch.bound[k])) return dispatch.group;
    const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
    dispatch.bound = bound;
    dispatch.group = this.#host.device.createBindGroup({ layout: dispatch.pipeline.getBindGroupLayout(0), entries });
    return dispatch.group;
  }
}
