/**
 * The WebAssembly backend: plans are encoded once into the linear memory of a precompiled module, and one call runs
 * all of one. Slots live in that memory; inputs are copied in, outputs copied out, so that nothing else needs to be freed.
 */
import { loadModule } from '#wasm-module';
import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../../dtype.ts';
import { check, TensegrityError } from '../../errors.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkCount, checkRoom, foreignBuffer } from '../storage.ts';
import { encodePlan } from './encode.ts';
import { LinearMemory, padded } from './memory.ts';

/** What the kernels are compiled for: vectors of 128 bits, without or with fused multiply-add and its like. */
export type Build = 'simd' | 'relaxed';

export interface WasmOptions {
  /** Give the same bits on every machine: the `simd` build, whose every operation is rounded as IEEE 754 says. */
  readonly deterministic?: boolean;
  /** By default the fastest that the platform has. */
  readonly build?: Build;
}

interface Kernels {
  readonly heapBase: WebAssembly.Global;
  run(commands: number, end: number, bases: number, workspace: number, thread: number, threads: number): void;
}

/** Loads the module and gives it a memory of its own. @throws TensegrityError `backend` where the platform has no WebAssembly with SIMD. */
export async function createWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  const build = options.build ?? (!options.deterministic && hasRelaxedSimd() ? 'relaxed' : 'simd');
  const memory = new WebAssembly.Memory({ initial: 16 });
  try {
    const instance = await WebAssembly.instantiate(await loadModule(build), { env: { memory } });
    return new WasmBackend(memory, instance.exports as unknown as Kernels);
  } catch (cause) {
    throw new TensegrityError(
      'backend',
      `the ${build} build of the wasm backend does not load here; use the cpu backend`,
      { build },
      cause,
    );
  }
}

/** Whether a module of one relaxed instruction would compile. */
function hasRelaxedSimd(): boolean {
  try {
    return WebAssembly.validate(
      Uint8Array.of(
        0,
        97,
        115,
        109,
        1,
        0,
        0,
        0,
        1,
        5,
        1,
        96,
        0,
        1,
        123,
        3,
        2,
        1,
        0,
        10,
        15,
        1,
        13,
        0,
        65,
        1,
        253,
        15,
        65,
        2,
        253,
        15,
        253,
        128,
        2,
        11,
      ),
    );
  } catch {
    return false;
  }
}

class WasmBuffer implements DeviceBuffer {
  readonly backend: Backend;
  readonly bytes: number;
  readonly address: number;
  freed = false;

  constructor(backend: Backend, bytes: number, address: number) {
    this.backend = backend;
    this.bytes = bytes;
    this.address = address;
  }
}

class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly dtypes: readonly DType[] = ['f32', 'i32', 'u8'];
  readonly #memory: LinearMemory;
  readonly #kernels: Kernels;
  /** Shared by all plans, since one runs at a time; as large as the largest has asked for. */
  #arena = { address: 0, bytes: 0 };
  #workspace = { address: 0, bytes: 0 };
  #disposed = false;

  constructor(memory: WebAssembly.Memory, kernels: Kernels) {
    this.#kernels = kernels;
    this.#memory = new LinearMemory(memory, kernels.heapBase.value as number);
  }

  get bytes(): number {
    return this.#disposed ? 0 : this.#memory.bytes;
  }

  allocate(bytes: number): WasmBuffer {
    this.#open();
    const address = this.#memory.allocate(bytes);
    this.#memory.words.fill(0, address / 4, address / 4 + Math.ceil(bytes / 4));
    return new WasmBuffer(this, bytes, address);
  }

  write(buffer: DeviceBuffer, data: TypedArray): void {
    this.#view(this.#own(buffer, data.length, dtypeOf(data)), dtypeOf(data), data.length).set(data);
  }

  async read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray> {
    return this.#view(this.#own(buffer, length, dtype), dtype, length).slice();
  }

  free(buffer: DeviceBuffer): void {
    const owned = this.#mine(buffer);
    if (!owned.freed && !this.#disposed) this.#memory.free(owned.address);
    owned.freed = true;
  }

  dispose(): void {
    this.#disposed = true;
  }

  prepare(plan: Plan, constants: readonly Storage[]): Executable {
    this.#open();
    refuseDoubles(plan);
    const { words, workspaceBytes } = encodePlan(plan);
    const { buffers } = plan;
    const bytesOf = (number: number): number => buffers[number]!.length * dtypes[buffers[number]!.dtype].bytes;

    // In the arena behind the plan's own: inputs as they come, outputs until they are copied out.
    const offsets = buffers.map(({ offset }) => offset);
    let arenaBytes = padded(plan.arenaBytes);
    const staged = [...buffers.keys()].filter((number) => buffers[number]!.kind === 'input' || buffers[number]!.kind === 'output');
    for (const number of staged) {
      offsets[number] = arenaBytes;
      arenaBytes += padded(bytesOf(number));
    }
    const inArena = [...buffers.keys()].filter((number) => buffers[number]!.kind === 'scratch' || staged.includes(number));
    this.#arena = this.#atLeast(this.#arena, arenaBytes);
    this.#workspace = this.#atLeast(this.#workspace, workspaceBytes);

    // Commands, then the table of base addresses, whose last entry is 0: the base of views that are positions, not memory.
    const commands = this.#memory.allocate(4 * (words.length + buffers.length + 1));
    const end = commands + 4 * words.length;
    this.#memory.words.set(words, commands / 4);
    this.#memory.words.fill(0, end / 4, end / 4 + buffers.length + 1);
    const bind = (number: number, address: number): void => {
      this.#memory.words[end / 4 + number] = address;
    };
    checkCount(constants, plan.constants, 'constants');
    const copied = plan.constants.map((number, k) => {
      const address = this.#memory.allocate(bytesOf(number));
      this.#copyIn(constants[k]!, address, number, plan);
      bind(number, address);
      return address;
    });
    const outputs = plan.outputs.map((number) => ({ number, ...buffers[number]! }));

    let arena = -1;
    let disposed = false;
    const run = (inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Storage[] => {
      this.#open();
      check(!disposed, 'disposed', () => 'this plan was disposed of; prepare it again to run it');
      checkCount(inputs, plan.inputs, 'inputs');
      checkCount(slots, plan.slots, 'slots');
      if (arena !== this.#arena.address) {
        arena = this.#arena.address;
        for (const number of inArena) bind(number, arena + offsets[number]!);
      }
      plan.inputs.forEach((number, k) => bind(number, this.#place(inputs[k]!, arena + offsets[number]!, number, plan)));
      plan.slots.forEach((number, k) => bind(number, this.#place(slots[k]!, 0, number, plan)));
      this.#kernels.run(commands, end, end, this.#workspace.address, 0, 1);
      return outputs.map(({ number, dtype, length }) => this.#view(this.#memory.words[end / 4 + number]!, dtype, length).slice());
    };
    return {
      run: async (inputs, slots) => run(inputs, slots),
      dispose: () => {
        if (!disposed && !this.#disposed) for (const address of [commands, ...copied]) this.#memory.free(address);
        disposed = true;
      },
    };
  }

  /** A region of at least `bytes`. */
  #atLeast(region: { address: number; bytes: number }, bytes: number): { address: number; bytes: number } {
    if (bytes <= region.bytes) return region;
    this.#memory.free(region.address);
    return { address: this.#memory.allocate(bytes), bytes };
  }

  /** Where the elements of a storage are: where they live here, or in the copy at `address`. */
  #place(storage: Storage, address: number, number: number, plan: Plan): number {
    const { dtype, length } = plan.buffers[number]!;
    if (!ArrayBuffer.isView(storage)) return this.#own(storage, length, dtype);
    this.#copyIn(storage, address, number, plan);
    return address;
  }

  #copyIn(storage: Storage, address: number, number: number, plan: Plan): void {
    const { dtype, length } = plan.buffers[number]!;
    const data = ArrayBuffer.isView(storage) ? storage : this.#view(this.#own(storage, length, dtype), dtype, length);
    checkArray(data, dtype, length);
    this.#view(address, dtype, length).set(data);
  }

  #view(address: number, dtype: DType, length: number): TypedArray {
    return dtypes[dtype].over(this.#memory.memory.buffer, address >>> 0, length);
  }

  #open(): void {
    check(!this.#disposed, 'disposed', () => 'the wasm backend was disposed of; create another with createWasmBackend()');
  }

  /** The address of a buffer of this backend that has room for `length` elements. */
  #own(buffer: DeviceBuffer, length: number, dtype: DType): number {
    this.#open();
    const owned = this.#mine(buffer);
    checkRoom(owned, dtype, length);
    return owned.address;
  }

  #mine(buffer: DeviceBuffer): WasmBuffer {
    if (buffer instanceof WasmBuffer && buffer.backend === this) return buffer;
    throw foreignBuffer(buffer);
  }
}

function refuseDoubles({ buffers, kernels }: Plan): void {
  const lanes = kernels.flatMap((kernel) => ('program' in kernel ? [...kernel.program.instructions, ...kernel.program.constants] : []));
  const double = buffers.some(({ dtype }) => dtype === 'f64') || lanes.some(({ lane }) => lane === 'f64');
  check(!double, 'dtype', () => `the wasm backend computes in f32, and this plan in f64; f64 runs on the cpu backend`);
}
