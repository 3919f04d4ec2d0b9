import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypes, type TypedArray } from '../../dtype.ts';
import { check, type TensegrityError } from '../../errors.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkCount, checkedPlan, checkRun } from '../storage.ts';
import { guarded } from './device.ts';
import { listing } from './listing.ts';
import { Copy, type Memory, type Place, REGION, type Regions, type Staging, type StagingRing, samePlace, WebGpuBuffer } from './memory.ts';
import type { Pipelines } from './pipelines.ts';
import { Profile } from './profile.ts';
import type { Gpu } from './shader.ts';
import { type Dispatch, type Translation, translate } from './translate.ts';

/** What plans need of the backend that they run on. */
export interface Host {
  readonly backend: Backend;
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly gpu: Gpu;
  readonly memory: Memory;
  readonly regions: Regions;
  readonly staging: StagingRing;
  readonly profile: boolean;
  allocate(bytes: number): WebGpuBuffer;
  write(buffer: DeviceBuffer, data: TypedArray): void;
  read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray>;
  free(buffer: DeviceBuffer): void;
  /** Checks that memory is the backend's, and large enough. */
  open(buffer: DeviceBuffer, dtype: DType, length: number): WebGpuBuffer;
  submit(commands: GPUCommandBuffer): Promise<void>;
  checkAlive(): void;
  failure(what: string, cause: unknown): Promise<TensegrityError>;
}

/** Bind groups of a dispatch that are kept: results and inputs often come in a few buffers by turns. */
const KEPT_GROUPS = 8;

/** A dispatch made ready, and the bind groups of the places that it last ran on, the latest first. */
interface Ready {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  groups: readonly { readonly places: readonly Place[]; readonly group: GPUBindGroup }[];
}

/** A result of the plan: the backend's if it is small, else a buffer of its own that comes back to be written again. */
interface Result {
  readonly bytes: number;
  /** Where a small one is made. */
  readonly own: Place | null;
  readonly spare: Place[];
}

/** Disposed-of buffers of a large result that wait for the next run. */
const KEPT_RESULTS = 2;

export async function prepare(host: Host, given: Plan, constants: readonly Storage[]): Promise<Executable> {
  const plan = await checkedPlan(given);
  const translation = translate(plan, host.gpu);
  checkLimits(translation, host.device.limits);
  const executable = new WebGpuExecutable(host, plan, translation);
  try {
    await executable.prepare(constants);
    return executable;
  } catch (error) {
    executable.dispose();
    throw error;
  }
}

/** @throws TensegrityError `backend` naming what the plan needs more of than this GPU has. */
function checkLimits({ dispatches, pieces }: Translation, limits: GPUSupportedLimits): void {
  const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
  const { maxStorageBuffersPerShaderStage, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = limits;
  const needs = [
    ['buffers in a kernel', most(dispatches.map(({ bindings }) => bindings.length)), maxStorageBuffersPerShaderStage],
    ['bytes of memory between kernels', most(pieces), maxStorageBufferBindingSize],
    ['workgroups along one axis', most(dispatches.flatMap(({ workgroups }) => workgroups)), maxComputeWorkgroupsPerDimension],
  ] as const;
  for (const [what, needed, limit] of needs)
    check(
      needed <= limit,
      'backend',
      () => `this plan needs ${needed} ${what}; this GPU takes at most ${limit}. Use smaller batches, or the wasm backend`,
    );
}

class WebGpuExecutable implements Executable {
  readonly #host: Host;
  readonly #plan: Plan;
  readonly #translation: Translation;
  /** The memory behind each buffer of the plan, as far as it is known. */
  readonly #places: Place[] = [];
  /** Memory of the plan's own: scratch, and where arrays that it is given are uploaded to. */
  readonly #held: WebGpuBuffer[] = [];
  readonly #uploads = new Map<number, WebGpuBuffer>();
  #pieces: readonly Place[] = [];
  #results: readonly Result[] = [];
  #ready: readonly Ready[] = [];
  #profile: Profile | null = null;
  /** What ran last, and whether it can run again as it is. */
  #groups: readonly GPUBindGroup[] | null = null;
  #disposed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: Host, plan: Plan, translation: Translation) {
    this.#host = host;
    this.#plan = plan;
    this.#translation = translation;
  }

  async prepare(constants: readonly Storage[]): Promise<void> {
    const { dispatches, pieces } = this.#translation;
    this.#ready = await guarded(this.#host, 'preparing a plan', async () => {
      this.#pieces = pieces.map((bytes) => this.#hold(bytes).place);
      this.#results = this.#plan.outputs.map((number) => {
        const { dtype, length } = this.#plan.buffers[number]!;
        const bytes = length * dtypes[dtype].bytes;
        return { bytes, own: bytes <= REGION ? this.#hold(bytes).place : null, spare: [] };
      });
      if (this.#host.profile) this.#profile = new Profile(this.#host.memory, this.#translation, this.#plan.kernels.length);
      const pipelines = await Promise.all(dispatches.map(({ code }) => this.#host.pipelines.get(code)));
      return dispatches.map((dispatch, k): Ready => ({ dispatch, pipeline: pipelines[k]!, groups: [] }));
    });
    const numbers = this.#plan.constants;
    checkCount(constants, numbers, 'constants');
    const arrays = await Promise.all(constants.map((constant, k) => this.#array(constant, numbers[k]!)));
    this.#bind(numbers, arrays);
  }

  /** One run after the other: each binds its own inputs and results before it submits. */
  run(inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Promise<Storage[]> {
    const run = this.#last.then(() => this.#run(inputs, slots));
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #run(inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Promise<Storage[]> {
    this.#checkUsable();
    checkRun(this.#plan, inputs, slots);
    this.#bind(this.#plan.inputs, inputs);
    this.#bind(this.#plan.slots, slots);
    const places: Place[] = [];
    try {
      // A replay makes nothing that could fail.
      if (this.#results.every(({ own, spare }) => own !== null || spare.length > 0)) this.#takePlaces(places);
      else await guarded(this.#host, 'making room for results', async () => this.#takePlaces(places));
      this.#checkUsable();
      for (const [k, number] of this.#plan.outputs.entries()) this.#place(number, places[k]!);
      if (this.#groups !== null) return await this.#submit(this.#groups, places);
      const run = async (): Promise<Storage[]> => {
        this.#groups = this.#ready.map((ready) => this.#bindGroup(ready));
        return this.#submit(this.#groups, places);
      };
      // What has been submitted may have changed slots.
      return await guarded(this.#host, 'running a plan', run, false);
    } catch (error) {
      // What is not valid must not be replayed, and nobody gets the results.
      this.#groups = null;
      for (const ready of this.#ready) ready.groups = [];
      for (const [k, place] of places.entries())
        if (this.#results[k]!.own === null) this.#host.memory.destroy(place, this.#results[k]!.bytes);
      throw error;
    }
  }

  #checkUsable(): void {
    check(!this.#disposed, 'disposed', () => 'this plan was disposed of; prepare it again to run it');
    this.#host.checkAlive();
  }

  wgsl(): string[] {
    return listing(this.#plan, this.#translation);
  }

  async times(): Promise<readonly number[]> {
    check(this.#profile, 'argument', () => "no times were measured: useBackend('webgpu', { profile: true }) measures them");
    try {
      return await this.#profile.times();
    } catch (cause) {
      throw await this.#host.failure('reading times', cause);
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const buffer of this.#held.splice(0)) this.#host.free(buffer);
    for (const { spare, bytes } of this.#results) for (const place of spare.splice(0)) this.#host.memory.destroy(place, bytes);
    this.#profile?.dispose();
  }

  #hold(bytes: number): WebGpuBuffer {
    const buffer = this.#host.allocate(bytes);
    this.#held.push(buffer);
    return buffer;
  }

  #place(number: number, place: Place): void {
    const before = this.#places[number];
    if (before && samePlace(before, place)) return;
    this.#places[number] = place;
    this.#groups = null;
  }

  #bind(numbers: readonly number[], values: readonly Storage[]): void {
    for (const [k, number] of numbers.entries()) {
      const value = values[k]!;
      const { dtype, length } = this.#plan.buffers[number]!;
      this.#place(number, ArrayBuffer.isView(value) ? this.#upload(value, number) : this.#host.open(value, dtype, length).place);
    }
  }

  /** Into memory that the plan keeps for the next run. */
  #upload(array: TypedArray, number: number): Place {
    const { dtype, length } = this.#plan.buffers[number]!;
    checkArray(array, dtype, length);
    const buffer = this.#uploads.get(number) ?? this.#hold(array.byteLength);
    this.#uploads.set(number, buffer);
    this.#host.write(buffer, array);
    return buffer.place;
  }

  /** A constant as an array: what happens to a buffer later must not reach it. */
  async #array(value: Storage, number: number): Promise<TypedArray> {
    const { dtype, length } = this.#plan.buffers[number]!;
    return ArrayBuffer.isView(value) ? value : this.#host.read(value, dtype, length);
  }

  /** One by one, so that those are known which were taken before one could not be had. */
  #takePlaces(places: Place[]): void {
    for (const { bytes, own, spare } of this.#results) places.push(own ?? spare.pop() ?? this.#host.allocate(bytes).place);
  }

  async #submit(groups: readonly GPUBindGroup[], places: readonly Place[]): Promise<Storage[]> {
    const encoder = this.#host.device.createCommandEncoder();
    if (this.#profile) this.#profile.record(encoder, (pass, k) => this.#dispatch(pass, k, groups));
    else {
      const pass = encoder.beginComputePass();
      for (const k of this.#ready.keys()) this.#dispatch(pass, k, groups);
      pass.end();
    }
    const outputs = this.#handOver(encoder, places);
    await this.#host.submit(encoder.finish());
    return outputs;
  }

  #dispatch(pass: GPUComputePassEncoder, k: number, groups: readonly GPUBindGroup[]): void {
    const { pipeline, dispatch } = this.#ready[k]!;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, groups[k]!);
    pass.dispatchWorkgroups(...dispatch.workgroups);
  }

  /** Gives results to the caller. Small ones are copied, out of the next run's way and already on the way to JavaScript. */
  #handOver(encoder: GPUCommandEncoder, places: readonly Place[]): WebGpuBuffer[] {
    const { regions, staging, memory } = this.#host;
    const small = this.#results.filter(({ own }) => own !== null);
    const copies: Staging | null = small.length > 0 ? staging.spare(small.length * REGION) : null;
    const turn = copies?.next() ?? 0;
    let copied = 0;
    return this.#results.map((result, k): WebGpuBuffer => {
      const { bytes, own, spare } = result;
      if (own === null) {
        const place = places[k]!;
        return this.#owned(bytes, place, () => {
          if (!this.#disposed && spare.length < KEPT_RESULTS) spare.push(place);
          else memory.destroy(place, bytes);
        });
      }
      const region = regions.take();
      encoder.copyBufferToBuffer(own.buffer, 0, region.buffer, region.offset, own.size);
      const at = copied++ * REGION;
      if (copies) encoder.copyBufferToBuffer(own.buffer, 0, copies.place.buffer, at, own.size);
      return this.#owned(bytes, region, () => regions.give(region), copies && new Copy(copies, turn, at));
    });
  }

  #owned(bytes: number, place: Place, release: () => void, copy: Copy | null = null): WebGpuBuffer {
    return new WebGpuBuffer(this.#host.backend, bytes, place, release, copy);
  }

  #bindGroup(ready: Ready): GPUBindGroup {
    const places = ready.dispatch.bindings.map((binding) =>
      'piece' in binding ? this.#pieces[binding.piece]! : this.#places[binding.buffer]!,
    );
    const known = ready.groups.find((each) => places.every((place, k) => samePlace(each.places[k]!, place)));
    const entries = places.map((resource, binding) => ({ binding, resource }));
    const made = known ?? { places, group: this.#host.device.createBindGroup({ layout: ready.pipeline.getBindGroupLayout(0), entries }) };
    ready.groups = [made, ...ready.groups.filter((each) => each !== made)].slice(0, KEPT_GROUPS);
    return made.group;
  }
}
