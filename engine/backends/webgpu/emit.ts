import { contiguous } from '../../compiler/layout.ts';
import type { BufferSpec, KernelKind, KernelOf, Plan } from '../../compiler/plan.ts';
import { type DType, dtypes } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { argsort } from './argsort.ts';
import { cholesky } from './cholesky.ts';
import { conv } from './conv.ts';
import { copy, pad } from './copy.ts';
import { eigh } from './eigh.ts';
import { gather } from './gather.ts';
import { gridSample } from './gridSample.ts';
import { map } from './map.ts';
import { matmul } from './matmul.ts';
import { pool } from './pool.ts';
import { reduce } from './reduce.ts';
import { scan } from './scan.ts';
import { scatter } from './scatter.ts';
import { scatterAdd } from './scatterAdd.ts';
import { type Context, checkCounts, type Emitter, type Gpu, type Shader } from './shader.ts';
import { triangularSolve } from './triangularSolve.ts';

const emitters: { readonly [K in KernelKind]: Emitter<K> } = {
  map,
  reduce,
  scan,
  matmul,
  conv,
  copy,
  pad,
  concat: copy,
  pool,
  gather,
  scatterAdd,
  scatter,
  gridSample,
  cholesky,
  triangularSolve,
  eigh,
  argsort,
};

/** Kernels that read what they have written of their results: sums in the making stay 32-bit. */
const accumulating: ReadonlySet<KernelKind> = new Set(['cholesky', 'triangularSolve', 'eigh', 'scatterAdd']);

/** A shader, and which kernel of the plan it belongs to. */
export interface Stage {
  readonly kernel: number;
  readonly shader: Shader;
}

export interface Emitted {
  readonly stages: readonly Stage[];
  /** The plan's buffers, then those between stages. */
  readonly buffers: readonly { readonly kind: BufferSpec['kind']; readonly bytes: number }[];
  /** Of the memory that small scratch buffers share. */
  readonly sharedBytes: number;
}

/** The number of the memory that small scratch buffers share. */
export const SHARED = -1;
/** Elements of scratch that count as small. */
const SMALL = 4096;
/** Elements that the memory of small ones has at most: a buffer on a GPU is not of any size. */
const MOST_SHARED = 1 << 22;
const ALIGNMENT = 64;

/**
 * Writes the shaders of a plan. Small scratch buffers of floats all lie in one piece of memory, each in a place of its own: so kernels that read
 * and write many of them need one binding, and none waits for another that does not make what it reads. In a plan that has very many, the last are as large ones.
 */
export function emitPlan(plan: Plan, gpu: Gpu): Emitted {
  checkCounts(
    'buffer',
    plan.buffers.map(({ length }) => length),
  );
  // What is large and lives between kernels may be kept in half the bytes.
  const added = new Set(plan.kernels.flatMap(({ kind, outputs }) => (accumulating.has(kind) ? outputs.map(({ buffer }) => buffer) : [])));
  const halves = plan.buffers.map(
    ({ kind, dtype, length }, number) => gpu.f16 && kind === 'scratch' && dtype === 'f32' && length > SMALL && !added.has(number),
  );
  const bytesOf = (dtype: DType, length: number, half = false): number => (length * dtypes[dtype].bytes) / (half ? 2 : 1);
  const buffers = plan.buffers.map(({ kind, dtype, length }, number) => ({ kind, bytes: bytesOf(dtype, length, halves[number]) }));
  // Where each lies in that memory, in elements.
  const shared = new Map<number, number>();
  let sharedLength = 0;
  plan.buffers.forEach(({ kind, dtype, length }, number) => {
    if (kind !== 'scratch' || dtype !== 'f32' || length > SMALL || sharedLength + length > MOST_SHARED) return;
    shared.set(number, sharedLength);
    sharedLength += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  });
  const context: Context = {
    gpu,
    temporary: (dtype, shape) => {
      const buffer = buffers.push({ kind: 'scratch', bytes: bytesOf(dtype, sizeOf(shape)) }) - 1;
      return { buffer, dtype, ...contiguous(shape) };
    },
    placeOf: (buffer) => {
      const offset = shared.get(buffer);
      const half = halves[buffer] ?? false;
      return offset === undefined ? { memory: buffer, offset: 0, half } : { memory: SHARED, offset, half };
    },
  };
  const stages = plan.kernels.flatMap((each, kernel) => emit(each, context).map((shader) => ({ kernel, shader })));
  return { stages, buffers, sharedBytes: bytesOf('f32', sharedLength) };
}

function emit<K extends KernelKind>(kernel: KernelOf<K>, context: Context): Shader[] {
  const { kind, inputs, outputs } = kernel;
  if (outputs.every(({ shape }) => sizeOf(shape) === 0)) return [];
  if (kind !== 'reduce')
    checkCounts(
      kind,
      inputs.flatMap(({ shape }) => shape),
    );
  return emitters[kernel.kind](kernel, context);
}
