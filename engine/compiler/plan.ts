/**
 * A plan: what the compiler makes of a graph and any backend runs. Plain data, so that it can be printed, posted to a
 * worker, cached and saved. This file is the whole contract between the compiler and the backends; `validate.ts` holds plans to it that come
 * from elsewhere, and knows the fields of each kind (`readPlan.ts`).
 */
import type { DType } from '../dtype.ts';
import type { ScalarName } from '../scalar.ts';

/**
 * Where a buffer's memory comes from.
 * - `input`: bound anew at each run. - `constant`: bound once, when the plan is prepared. - `slot`: bound to a slot's
 * memory; kernels may write it. - `output`: what a run gives back. - `scratch`: lives in the plan's arena at `offset`.
 */
export type BufferKind = 'input' | 'constant' | 'slot' | 'output' | 'scratch';

export interface BufferSpec {
  readonly kind: BufferKind;
  readonly dtype: DType;
  /** In elements. */
  readonly length: number;
  /** In bytes from the arena's start; only `scratch` buffers have one, others 0. Two buffers share bytes only if their lives do not meet, or in place (see {@link MapKernel}). */
  readonly offset: number;
  /** For the listing: a slot's name, an input's position. */
  readonly name: string;
}

/** A strided window on a buffer. Offset and strides count elements; strides may be 0 (broadcast) or negative (flip). */
export interface View {
  readonly buffer: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/**
 * One step of a program. Operands are value numbers: first the kernel's inputs, then the program's constants, then the
 * instructions in order, so instruction `k` defines value `inputs + constants.length + k`.
 */
export interface Instruction {
  readonly op: ScalarName;
  /** The type its operands are computed in: a float type, or `i32` for integers (a `u8` input is widened to `i32` when loaded). Comparisons give `i32` 0 or 1 whatever their lane; `toFloat` takes `i32` (or a float) and gives its lane; `toInt` takes its lane and gives `i32`; `where` takes an `i32` condition. */
  readonly lane: 'f32' | 'f64' | 'i32';
  readonly operands: readonly number[];
  /** The register that holds the result; assigned by liveness, so that few are needed. A result may reuse the register of an operand that dies there. */
  readonly register: number;
}

/** A constant of a program: any number in a float lane, a whole one of 32 bits in `i32`. */
export interface Constant {
  readonly value: number;
  readonly lane: 'f32' | 'f64' | 'i32';
}

/** A short straight-line function of scalars, applied to every element of an iteration space. */
export interface Program {
  /** How many kernel inputs it reads: values 0 to `inputs − 1`. */
  readonly inputs: number;
  readonly constants: readonly Constant[];
  readonly instructions: readonly Instruction[];
  /** The registers that `instructions` use, counted. */
  readonly registers: number;
  /** The value numbers that are stored (`map`) or reduced (`reduce`), one for each output of the kernel. */
  readonly results: readonly number[];
}

/** The first kernel that writes a `scratch` or `output` buffer writes all of it (so a scatter never is). Outputs are in buffers of their own, which inputs share only in place. */
interface KernelBase {
  readonly inputs: readonly View[];
  readonly outputs: readonly View[];
}

/**
 * `outputs[k][i] = program(inputs[0][i], inputs[1][i], …)` for every index `i` of `shape`, in row-major order.
 * Every view has `shape`. Outputs are contiguous in that order, or not (a layout); they never overlap themselves.
 * In place: an output may occupy the very bytes of an input that has the same strides, offset and element size, so each element is read
 * before it is written. The op `index` gives the element's row-major position in `shape`.
 * An input with a smaller type than the lane it is used in is widened on load (u8 → i32); a u8 output stores the low byte.
 */
export interface MapKernel extends KernelBase {
  readonly kind: 'map';
  readonly shape: readonly number[];
  readonly program: Program;
}

export type Reduction = 'sum' | 'prod' | 'max' | 'min' | 'argmax' | 'argmin';

/**
 * The last `reduced` axes of `shape` are folded: `outputs[k][o] = reductions[k] over r of program(inputs at (o, r))`.
 * Inputs have `shape`, outputs have `shape` without the folded axes. An empty fold gives 0, 1, −∞, ∞ (integers: the
 * type's ends); max and min give NaN if any element is NaN; argmax and argmin give (as i32) the row-major position inside the folded axes of
 * the first NaN, else of the first extremum. Sums of f32 keep an error near that of pairwise summation.
 * What is folded is never stored, so memory does not bound it: there may be more elements than 2^32. A backend counts them, or refuses the plan.
 */
export interface ReduceKernel extends KernelBase {
  readonly kind: 'reduce';
  readonly shape: readonly number[];
  readonly reduced: number;
  readonly program: Program;
  readonly reductions: readonly Reduction[];
}

/**
 * Running sums or products of floats or i32: x [A, N, B] → `out[a, n, b] = x[a, 0, b] ∘ x[a, 1, b] ∘ … ∘ x[a, n, b]`. Integers wrap as in a fold.
 * In f32 sums do not err as adding in turn does, by n·2⁻²⁴ of Σ|x|. cpu and wasm carry doubles: by a rounding of the element itself, and n·2⁻⁵³ of Σ|x|.
 * webgpu carries f32 along a tree: by at most 100·2⁻²⁴ of Σ|x|, whatever n, and never other bits. Products there err by n·2⁻²⁴ of themselves at most, as any in f32.
 * What f32 does not hold (an element that is ±∞, or a product that is 0) may come back where the line goes on, since what is carried has more range;
 * only webgpu's sums have not: where Σ|x| is beyond f32 they may be ±∞ or NaN.
 */
export interface ScanKernel extends KernelBase {
  readonly kind: 'scan';
  readonly fn: 'sum' | 'prod';
}

/**
 * A kernel that may be followed by a map in place on what it makes, as long as that is in cache: its `epilogue`, said here instead of in a kernel of its
 * own (`partsOf` in epilogue.ts tells them apart). The inputs beyond the product's two are the map's, in any shape of as many elements as the output,
 * which is contiguous; those on the output's buffer are the product as it lies.
 */
interface ProductKernel extends KernelBase {
  readonly epilogue: Program | null;
}

/** `out[b] = a[b] · b[b]`: inputs [B, M, K] and [B, K, N], output [B, M, N], any strides. K = 0 gives zeros. */
export interface MatmulKernel extends ProductKernel {
  readonly kind: 'matmul';
}

/**
 * Cross-correlation (what deep learning calls convolution) of x [N, C, H, W] with w [O, C/groups, KH, KW], KH and KW ≥ 1, giving y [N, O, OH, OW]:
 * `y[n,o,i,j] = Σ x[n, c, i·sh − ph + u·dh, j·sw − pw + v·dw] · w[o, c, u, v]`, zero outside the image (a weight that is not finite may or may not meet those zeros, and give NaN there).
 * A backend may save multiplications where that errs by a few roundings of the largest number around a pixel (Winograd); what is not finite
 * may then make NaN of pixels nearby.
 * `forward`: inputs x, w; output y. `input` (its transpose in x): inputs y, w; output x. `weight` (its transpose in w): inputs x, y; output w.
 */
export interface ConvKernel extends ProductKernel {
  readonly kind: 'conv';
  readonly direction: 'forward' | 'input' | 'weight';
  readonly stride: readonly [number, number];
  /** On both sides of height and width. */
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

/**
 * Windows over the last two axes of floats x [N, C, H, W] → [N, C, OH, OW]. `sum`: padding counts as 0. `sumTranspose`: its transpose (input
 * [N, C, OH, OW], output [N, C, H, W]). `max`: padding never wins; NaN wins. `argmax`: where the maximum is, as `h·W + w`, i32 (the first of equals, or the first NaN).
 */
export interface PoolKernel extends KernelBase {
  readonly kind: 'pool';
  readonly mode: 'max' | 'argmax' | 'sum' | 'sumTranspose';
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
}

/**
 * Inputs x [A, N, B] and index (i32) [A, M, B]; `out[a, m, b] = x[a, index[a, m, b], b]`. A negative index counts from the end: −1 is
 * N−1. One outside −N…N−1 gives NaN, or 0 for integers.
 * The index view often has stride 0 along `b` (and `a`): then whole rows are copied.
 */
export interface GatherKernel extends KernelBase {
  readonly kind: 'gather';
}

/** The transpose of gather: inputs index [A, M, B] and updates [A, M, B]; `out[a, n, b] = Σ over m with index[a, m, b] = n of updates[a, m, b]`, in ascending m. Negative indices count from the end; those outside −N…N−1 are dropped. */
export interface ScatterAddKernel extends KernelBase {
  readonly kind: 'scatterAdd';
}

/**
 * Inputs index [A, M, B] and updates [A, M, B]; output x [A, N, B], which holds elements already: `x[a, index[a, m, b], b] = updates[a, m, b]`, in ascending m, so
 * that of equal indices the last wins. All other elements stay. Negative indices count from the end; one outside −N…N−1 makes NaN of its whole line
 * `x[a, :, b]`, or is dropped of integers. What is replaced in is in memory of its own: no input shares it.
 */
export interface ScatterKernel extends KernelBase {
  readonly kind: 'scatter';
}

/**
 * Bilinear samples of x [N, C, H, W] at grid [N, OH, OW, 2], whose pairs are (x, y) with −1 and 1 at the image's edges
 * (`alignCorners`: at the centres of the corner pixels), as PyTorch's grid_sample. A NaN coordinate gives NaN (PyTorch
 * takes it for −1); an infinite one is outside the image like any other beyond its edges, but gives NaN where it is multiplied by 0: with
 * `alignCorners` along an axis of one pixel.
 */
export interface GridSampleKernel extends KernelBase {
  readonly kind: 'gridSample';
  readonly padding: 'zeros' | 'border';
  readonly alignCorners: boolean;
}

/** Input [B, D, D] symmetric (only the lower triangle is read); output L [B, D, D], lower triangular, `L·Lᵀ = input`; all NaN for a matrix that is not positive definite. */
export interface CholeskyKernel extends KernelBase {
  readonly kind: 'cholesky';
}

/** Inputs a [B, D, D] (only the triangle named is read) and b [B, D, M]; output x [B, D, M] with `a·x = b`, or `aᵀ·x = b` if `transpose`. */
export interface TriangularSolveKernel extends KernelBase {
  readonly kind: 'triangularSolve';
  readonly lower: boolean;
  readonly transpose: boolean;
}

/**
 * Input [B, D, D] symmetric (only the lower triangle is read); output [B, D + 1, D]: row 0 the eigenvalues in ascending order, rows 1…D the
 * matrix of eigenvectors (column k belongs to value k), each unit length with its component of largest magnitude (first of equals) positive. Non-finite input gives NaN.
 */
export interface EighKernel extends KernelBase {
  readonly kind: 'eigh';
}

/** Input [R, N]; output i32 [R, N]: the positions that sort each row. Stable; NaN counts as larger than any number, as in PyTorch. */
export interface ArgsortKernel extends KernelBase {
  readonly kind: 'argsort';
  readonly descending: boolean;
}

/** `output = input`, element by element: another layout of it. */
export interface CopyKernel extends KernelBase {
  readonly kind: 'copy';
}

/** An output whose window of the input's extents, from `before` on, is the input; every other element is `value` (of integers, its low bits). The output is contiguous. */
export interface PadKernel extends KernelBase {
  readonly kind: 'pad';
  readonly before: readonly number[];
  readonly value: number;
}

/** An output of inputs one behind the other along `axis`; in other axes all have its extents. */
export interface ConcatKernel extends KernelBase {
  readonly kind: 'concat';
  readonly axis: number;
}

export type Kernel =
  | MapKernel
  | ReduceKernel
  | ScanKernel
  | MatmulKernel
  | ConvKernel
  | PoolKernel
  | GatherKernel
  | ScatterAddKernel
  | ScatterKernel
  | GridSampleKernel
  | CholeskyKernel
  | TriangularSolveKernel
  | EighKernel
  | ArgsortKernel
  | CopyKernel
  | PadKernel
  | ConcatKernel;

export type KernelKind = Kernel['kind'];
export type KernelOf<K extends KernelKind> = Extract<Kernel, { kind: K }>;

export interface Plan {
  readonly buffers: readonly BufferSpec[];
  /** In the order in which they run. */
  readonly kernels: readonly Kernel[];
  /** Buffer numbers, in the order in which they are bound or given back. */
  readonly inputs: readonly number[];
  readonly constants: readonly number[];
  readonly slots: readonly number[];
  readonly outputs: readonly number[];
  /** Size of the arena. */
  readonly arenaBytes: number;
  /** Elementwise graph nodes that fusion put inside another kernel, for the listing. */
  readonly fused: number;
}
