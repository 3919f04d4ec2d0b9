/**
 * The reference backend: plain TypeScript, every element type, sums in double. Written to be read and trusted; the
 * other backends are held to what it computes.
 */
import { options } from '../../arguments.ts';
import { partsOf } from '../../compiler/epilogue.ts';
import type { Kernel, KernelKind, KernelOf, Plan } from '../../compiler/plan.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../../dtype.ts';
import { check, TensegrityError } from '../../errors.ts';
import { sizeOf } from '../../shape.ts';
import type { Backend, DeviceBuffer, Executable, Storage } from '../backend.ts';
import { checkArray, checkBytes, checkCount, checkedPlan, checkRoom, checkRun, foreignBuffer } from '../storage.ts';
import { argsort } from './argsort.ts';
import { cholesky } from './cholesky.ts';
import { conv } from './conv.ts';
import { copy, pad } from './copy.ts';
import { type Runner, readView, writeView } from './dense.ts';
import { eigh } from './eigh.ts';
import { gather } from './gather.ts';
import { gridSample } from './gridSample.ts';
import { warnOfCpu } from './instead.ts';
import { map } from './map.ts';
import { matmul } from './matmul.ts';
import { pool } from './pool.ts';
import { reduce } from './reduce.ts';
import { scan } from './scan.ts';
import { scatter } from './scatter.ts';
import { scatterAdd } from './scatterAdd.ts';
import { triangularSolve } from './triangularSolve.ts';

/** Runs a kernel that reads its views whole. */
const dense =
  <K extends KernelKind>(run: Runner<K>) =>
  (kernel: KernelOf<K>, buffers: readonly TypedArray[]): void => {
    const inputs = kernel.inputs.map((view) => readView(view, buffers[view.buffer]!));
    const results = run(kernel, ...inputs);
    for (const [k, view] of kernel.outputs.entries()) writeView(view, buffers[view.buffer]!, results[k]!);
  };

const runners: { readonly [K in KernelKind]: (kernel: KernelOf<K>, buffers: readonly TypedArray[]) => void } = {
  map,
  reduce,
  scan: dense(scan),
  matmul: dense(matmul),
  conv: dense(conv),
  pool: dense(pool),
  gather: dense(gather),
  scatterAdd: dense(scatterAdd),
  scatter,
  gridSample: dense(gridSample),
  cholesky: dense(cholesky),
  triangularSolve: dense(triangularSolve),
  eigh: dense(eigh),
  argsort: dense(argsort),
  copy,
  pad,
  concat: copy,
};

export interface CpuOptions {
  /** Fill scratch and outputs with NaN (integers: all bits set) before each run, so that reading what was never written shows. */
  readonly poison?: boolean;
  /** Why it is made in the place of the wasm backend, to be said once. */
  readonly instead?: unknown;
}

/** @throws TensegrityError `argument` for options that are unknown. */
export function createCpuBackend(given: CpuOptions = {}): Backend {
  const { poison, instead } = options('the cpu backend', given, { poison: false, instead: undefined });
  if (instead !== undefined) warnOfCpu(instead);
  return new CpuBackend(poison);
}

class CpuBuffer implements DeviceBuffer {
  readonly backend: Backend;
  readonly memory: ArrayBuffer;
  freed = false;

  constructor(backend: Backend, bytes: number) {
    this.backend = backend;
    this.memory = inMemory(() => new ArrayBuffer(bytes));
  }

  get bytes(): number {
    return this.memory.byteLength;
  }
}

class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly dtypes: readonly DType[] = ['f32', 'f64', 'i32', 'u8'];
  bytes = 0;
  readonly #poison: boolean;
  #disposed = false;

  constructor(poison: boolean) {
    this.#poison = poison;
  }

  allocate(bytes: number): CpuBuffer {
    this.#checkAlive();
    checkBytes(bytes);
    const buffer = new CpuBuffer(this, bytes);
    this.bytes += bytes;
    return buffer;
  }

  write(buffer: DeviceBuffer, data: TypedArray): void {
    this.#open(buffer, dtypeOf(data), data.length).set(data);
  }

  async read(buffer: DeviceBuffer, dtype: DType, length: number): Promise<TypedArray> {
    return this.#open(buffer, dtype, length).slice();
  }

  free(buffer: DeviceBuffer): void {
    const owned = this.#own(buffer);
    if (!owned.freed && !this.#disposed) this.bytes -= owned.bytes;
    owned.freed = true;
  }

  async prepare(given: Plan, constants: readonly Storage[]): Promise<Executable> {
    this.#checkAlive();
    const plan = await checkedPlan(given);
    checkCount(constants, plan.constants, 'constants');
    const kernels = plan.kernels.flatMap(partsOf);
    kernels.forEach(checkCounts);
    const arena = this.allocate(plan.arenaBytes);
    const buffers: TypedArray[] = plan.buffers.map(({ kind, dtype, offset, length }) =>
      kind === 'scratch' ? dtypes[dtype].over(arena.memory, offset, length) : dtypes[dtype].allocate(0),
    );
    const bind = (numbers: readonly number[], values: readonly Storage[]) => {
      numbers.forEach((number, k) => {
        const { dtype, length } = plan.buffers[number]!;
        buffers[number] = this.#resolve(values[k]!, dtype, length);
      });
    };
    try {
      bind(plan.constants, constants);
      for (const number of plan.constants) buffers[number] = inMemory(() => buffers[number]!.slice());
    } catch (error) {
      this.free(arena);
      throw error;
    }
    const constantBytes = plan.constants.reduce((sum, number) => sum + buffers[number]!.byteLength, 0);
    this.bytes += constantBytes;

    return {
      run: async (inputs, slots) => {
        check(!arena.freed, 'disposed', () => 'this plan was disposed of; prepare it again to run it');
        this.#checkAlive();
        checkRun(plan, inputs, slots);
        bind(plan.inputs, inputs);
        bind(plan.slots, slots);
        for (const number of plan.outputs) {
          const { dtype, length } = plan.buffers[number]!;
          buffers[number] = inMemory(() => dtypes[dtype].allocate(length));
        }
        if (this.#poison) {
          new Uint8Array(arena.memory).fill(255);
          plan.buffers.forEach(({ kind }, number) => {
            const { buffer, byteOffset, byteLength } = buffers[number]!;
            if (kind === 'output') new Uint8Array(buffer, byteOffset, byteLength).fill(255);
          });
        }
        for (const kernel of kernels) inMemory(() => runKernel(kernel, buffers), false);
        return plan.outputs.map((number) => buffers[number]!);
      },
      dispose: () => {
        if (!arena.freed && !this.#disposed) this.bytes -= constantBytes;
        this.free(arena);
      },
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.bytes = 0;
  }

  #checkAlive(): void {
    check(!this.#disposed, 'backend', () => "the cpu backend was disposed of; create another with useBackend('cpu')");
  }

  /** The elements that a storage holds, in place. */
  #resolve(storage: Storage, dtype: DType, length: number): TypedArray {
    if (!ArrayBuffer.isView(storage)) return this.#open(storage, dtype, length);
    checkArray(storage, dtype, length);
    return storage;
  }

  #open(buffer: DeviceBuffer, dtype: DType, length: number): TypedArray {
    this.#checkAlive();
    const owned = this.#own(buffer);
    checkRoom(owned, dtype, length);
    return dtypes[dtype].over(owned.memory, 0, length);
  }

  #own(buffer: DeviceBuffer): CpuBuffer {
    if (buffer instanceof CpuBuffer && buffer.backend === this) return buffer;
    throw foreignBuffer(buffer);
  }
}

/**
 * @param exhausted whether it may be done again, if some memory can be had back.
 * @throws TensegrityError `backend` where what it allocates is larger than memory, which JavaScript calls a RangeError.
 */
function inMemory<T>(action: () => T, exhausted = true): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new TensegrityError(
      'backend',
      `backend cpu has too little memory for this (${cause.message}); use smaller batches`,
      { exhausted },
      cause,
    );
  }
}

/** What one kernel may be given, in elements: all but maps and folds read it whole, as doubles. */
const MOST_READ = 2 ** 30;

function checkCounts({ kind, inputs, outputs }: Kernel): void {
  const count = [...inputs, ...outputs].reduce((most, { shape }) => Math.max(most, sizeOf(shape)), 0);
  const fits = kind === 'map' || kind === 'reduce' || count <= MOST_READ;
  check(
    fits,
    'backend',
    () => `the cpu backend takes at most ${MOST_READ} elements in a ${kind}, and this one has ${count}; split the tensor`,
  );
}

function runKernel<K extends KernelKind>(kernel: KernelOf<K>, buffers: readonly TypedArray[]): void {
  runners[kernel.kind](kernel, buffers);
}
