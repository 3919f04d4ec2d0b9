/** A memory and a module on it that runs plans: see index.ts. */
import { builds, loadModule } from '#wasm-module';
import { partsOf } from '../../compiler/epilogue.ts';
import type { Plan } from '../../compiler/plan.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../../dtype.ts';
import { check, TensegrityError } from '../../errors.ts';
import { rest } from '../../turn.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkBytes, checkCount, checkedPlan, checkRoom, checkRun, foreignBuffer } from '../storage.ts';
import type { Build } from './build.ts';
import { extraBuffers } from './command.ts';
import { encodePlan } from './encode.ts';
import { LinearMemory, MOST_PAGES, padded } from './memory.ts';
import { fromBase64, inPage } from './platform.ts';
import type { Team } from './team.ts';

interface Kernels {
  readonly heapBase: WebAssembly.Global;
  run(commands: number, end: number, bases: number, workspace: number, thread: number, threads: number, barrier: number): void;
}

/** Threads that share plans: see crew.ts. */
export interface Crew {
  /** 1 from when it shows that none can be started. */
  threads: number;
  /** What gives, at each run, those that share the plan: null for the calling thread, also while they start. The bits are the same. Null for a plan that is not worth it. */
  shareOf(plan: Plan): Promise<(() => Team | null) | null>;
  dispose(): void;
}

/** Milliseconds for which plans may keep a page from its interface: half of a frame. */
const BREATH = 8;

/** A module of one relaxed instruction. */
const RELAXED = 'AGFzbQEAAAABBQFgAAF7AwIBAAoPAQ0AQQH9D0EC/Q/9gAIL';

/** Whether the platform has WebAssembly, and these instructions. */
function hasRelaxedSimd(): boolean | undefined {
  return globalThis.WebAssembly?.validate(fromBase64(RELAXED));
}

/** The fastest that the platform has. */
export const bestBuild = (): Build => (builds.includes('relaxed') && hasRelaxedSimd() ? 'relaxed' : 'simd');

interface Settings {
  readonly build: Build;
  readonly winograd?: boolean;
  /** Those that start on the module's memory, which is shared then. */
  readonly crewOf?: ((module: WebAssembly.Module, memory: WebAssembly.Memory) => Crew) | null;
}

/** Loads the module, gives it a memory of its own, and says nothing of what it throws. */
export async function loadBackend({ build, winograd = true, crewOf = null }: Settings): Promise<Backend> {
  const shared = crewOf !== null;
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MOST_PAGES, shared });
  const module = await loadModule(build, shared);
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  // The module's exports are those of wasm/index.ts.
  const kernels = instance.exports as unknown as Kernels;
  return new WasmBackend(build, memory, kernels, crewOf?.(module, memory) ?? null, winograd);
}

/** The error for a module that does not load. */
export function notLoaded(build: Build, remedy: string, cause: unknown): TensegrityError {
  return new TensegrityError(
    'backend',
    `the ${build} build of the wasm backend does not load here${remedy} the cpu backend`,
    { build },
    cause,
  );
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
  readonly build: Build;
  readonly #memory: LinearMemory;
  readonly #winograd: boolean;
  readonly #kernels: Kernels;
  readonly #crew: Crew | null;
  readonly #inPage = inPage();
  /** When the page's thread last did something else, as far as is known. */
  #breathed = 0;
  /** Words of the threads' barrier. */
  readonly #barrier: number;
  /** Shared by all plans, since one runs at a time; as large as the largest has asked for. */
  #arena = { address: 0, bytes: 0 };
  #workspace = { address: 0, bytes: 0 };
  #disposed = false;
  #queue: Promise<unknown> = Promise.resolve();
  /** Whether threads are running a plan now. */
  #shared = false;

  constructor(build: Build, memory: WebAssembly.Memory, kernels: Kernels, crew: Crew | null, winograd: boolean) {
    this.build = build;
    this.#winograd = winograd;
    this.#kernels = kernels;
    this.#crew = crew;
    this.#memory = new LinearMemory(memory, kernels.heapBase.value as number);
    this.#barrier = this.allocate(16).address;
  }

  get threads(): number {
    return this.#crew?.threads ?? 1;
  }

  get bytes(): number {
    return this.#disposed ? 0 : this.#memory.bytes;
  }

  allocate(bytes: number): WasmBuffer {
    this.#open();
    checkBytes(bytes);
    const address = this.#memory.allocate(bytes);
    this.#memory.words.fill(0, address / 4, address / 4 + Math.ceil(bytes / 4));
    return new WasmBuffer(this, bytes, address);
  }

  write(buffer: DeviceBuffer, data: TypedArray): void {
    const dtype = dtypeOf(data);
    this.#view(this.#own(buffer, data.length, dtype), dtype, data.length).set(data);
  }

  async read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray> {
    return this.#view(this.#own(buffer, length, dtype), dtype, length).slice();
  }

  free(buffer: DeviceBuffer): void {
    const owned = this.#mine(buffer);
    if (!owned.freed) this.#giveBack([owned.address]);
    owned.freed = true;
  }

  #giveBack(addresses: readonly number[]): void {
    const free = (): void => {
      if (!this.#disposed) for (const address of addresses) this.#memory.free(address);
    };
    // The threads may be running what uses it.
    if (this.#shared) void this.#inTurn(async () => free());
    else free();
  }

  dispose(): void {
    this.#disposed = true;
    this.#crew?.dispose();
  }

  prepare(plan: Plan, constants: readonly Storage[]): Promise<Executable> {
    // Preparing may move the arena, which threads may be running on.
    return this.#inTurn(async () => {
      const owned: number[] = [];
      try {
        return await this.#prepare(plan, constants, owned);
      } catch (error) {
        this.#giveBack(owned);
        throw error;
      }
    });
  }

  /** @param owned to be filled with the addresses that the executable gives back. */
  async #prepare(given: Plan, constants: readonly Storage[], owned: number[]): Promise<Executable> {
    this.#open();
    const plan = await checkedPlan(given);
    this.#open();
    refuseDoubles(plan);
    checkCount(constants, plan.constants, 'constants');
    const { words, workspaceBytes, partialBytes } = encodePlan(plan, this.#winograd);
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
    const inArena = [...buffers.keys()].filter((number) => buffers[number]!.kind !== 'slot' && buffers[number]!.kind !== 'constant');
    inArena.push(offsets.push(0, arenaBytes) - 1);
    arenaBytes += padded(partialBytes);
    this.#arena = this.#atLeast(this.#arena, arenaBytes);
    const share = await this.#crew?.shareOf(plan);
    this.#open();
    const workspaceStride = padded(workspaceBytes);
    this.#workspace = this.#atLeast(this.#workspace, workspaceStride * (share ? this.threads : 1));

    // Commands, then the table of base addresses.
    const allocate = (bytes: number): number => {
      const address = this.#memory.allocate(bytes);
      owned.push(address);
      return address;
    };
    const commands = allocate(4 * (words.length + buffers.length + extraBuffers));
    const end = commands + 4 * words.length;
    this.#memory.words.set(words, commands / 4);
    this.#memory.words.fill(0, end / 4, end / 4 + buffers.length + extraBuffers);
    const bind = (number: number, address: number): void => {
      this.#memory.words[end / 4 + number] = address;
    };
    plan.constants.forEach((number, k) => {
      const address = allocate(bytesOf(number));
      this.#copyIn(constants[k]!, address, number, plan);
      bind(number, address);
    });
    const outputs = plan.outputs.map((number) => ({ number, ...buffers[number]! }));

    let arena = -1;
    let disposed = false;
    const run = async (inputs: readonly Storage[], slots: readonly DeviceBuffer[]): Promise<Storage[]> => {
      const team = share?.();
      if (this.#inPage && !team) await this.#breathe();
      this.#open();
      check(!disposed, 'disposed', () => 'this plan was disposed of; prepare it again to run it');
      checkRun(plan, inputs, slots);
      if (arena !== this.#arena.address) {
        arena = this.#arena.address;
        for (const number of inArena) bind(number, arena + offsets[number]!);
      }
      plan.inputs.forEach((number, k) => bind(number, this.#place(inputs[k]!, arena + offsets[number]!, number, plan)));
      plan.slots.forEach((number, k) => bind(number, this.#place(slots[k]!, 0, number, plan)));
      const { address: workspace } = this.#workspace;
      if (team) {
        const workspaces = Array.from({ length: this.threads }, (_, thread) => workspace + thread * workspaceStride);
        this.#shared = true;
        await team.run({ commands, end, bases: end, workspaces, barrier: this.#barrier }).finally(() => {
          this.#shared = false;
        });
      } else this.#kernels.run(commands, end, end, workspace, 0, 1, 0);
      return outputs.map(({ number, dtype, length }) => this.#view(this.#memory.words[end / 4 + number]!, dtype, length).slice());
    };
    return {
      run: (inputs, slots) => this.#inTurn(() => run(inputs, slots)),
      dispose: () => {
        if (disposed) return;
        disposed = true;
        this.#giveBack(owned);
      },
    };
  }

  /** Lets the page's thread see to its interface, if plans have kept it for long: a loop that awaits one plan after the other never does. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathed < BREATH) return;
    await rest();
    this.#breathed = performance.now();
  }

  /** All plans use one arena, so one that threads are running is waited for. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (!this.#crew) return task();
    const result = this.#queue.then(task, task);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** A region of at least `bytes`. */
  #atLeast(region: { address: number; bytes: number }, bytes: number): { address: number; bytes: number } {
    if (bytes <= region.bytes) return region;
    this.#memory.free(region.address);
    try {
      return { address: this.#memory.allocate(bytes), bytes };
    } catch (error) {
      // Those that it was large enough for must find it.
      if (region.bytes > 0) region.address = this.#memory.allocate(region.bytes);
      throw error;
    }
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
  const parts = kernels.flatMap(partsOf);
  const lanes = parts.flatMap((kernel) => ('program' in kernel ? [...kernel.program.instructions, ...kernel.program.constants] : []));
  const double = buffers.some(({ dtype }) => dtype === 'f64') || lanes.some(({ lane }) => lane === 'f64');
  check(!double, 'dtype', () => `the wasm backend computes in f32, and this plan in f64; f64 runs on the cpu backend`);
}
