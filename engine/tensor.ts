/// <reference lib="esnext.disposable" preserve="true" />
import { mark } from './arguments.ts';
import { type DType, type HostArray, isFloat, type TypedArray } from './dtype.ts';
import { check } from './errors.ts';
import type { Node } from './graph.ts';
import * as conv from './ops/conv.ts';
import { cast, logical, scalar, shift } from './ops/elementwise.ts';
import { stopGradient } from './ops/gradient.ts';
import * as indexing from './ops/indexing.ts';
import { matmul } from './ops/matmul.ts';
import * as movement from './ops/movement.ts';
import type { Axes } from './ops/reduce.ts';
import * as reduce from './ops/reduce.ts';
import { cumprod, cumsum, type ScanOptions } from './ops/scan.ts';
import { read, release } from './runtime.ts';
import { type Shape, show, sizeOf } from './shape.ts';

/** A number stands for a tensor of shape []. */
export type Operand = Tensor | number;

/** Numbers nested as deep as a tensor has axes. */
export type Nested = number | Nested[];

/**
 * An n-dimensional array, as an expression: its methods build graph, check shapes at once and compute nothing. Reading it
 * (`data`, `item`, `array`) or `realize` computes what it needs. Tensors are immutable; elementwise methods broadcast as NumPy does.
 * Bytes count as i32 in arithmetic, and integers wrap at 2³¹, as NumPy's int32 does: −(−2³¹) is −2³¹. What is not closed in integers
 * (division, powers, roots, exponentials, means, norms) converts them to f32 first.
 * A plain number takes the type of the tensor beside it, or, if that does not hold it, i32 or else f32: so x.less(0.5) of integers compares in f32.
 *
 * What is read keeps its history, for gradients; what several reads compute on their way is kept too, unless it is larger than what it is
 * made of (and than 1 MiB), up to 256 MiB in all. Where the history behind a read grows beyond 128 MiB (of 64 reads at least), or a loop
 * realises, or gives to compiled functions, what leads back to ever more of its rounds (hundreds of nodes), values on the way let go of
 * theirs: a gradient through them is an error.
 */
export class Tensor {
  static {
    mark(Tensor, 'Tensor');
  }
  readonly node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  /** A tensor of another node: how ops, which do not know this class, make theirs. */
  of(node: Node): Tensor {
    return new Tensor(node);
  }

  get shape(): Shape {
    return this.node.shape.slice();
  }
  get dtype(): DType {
    return this.node.dtype;
  }
  /** The number of axes. */
  get rank(): number {
    return this.node.shape.length;
  }
  /** The number of elements. */
  get size(): number {
    return sizeOf(this.node.shape);
  }

  // Reading

  /** The elements in row-major order, in a typed array of their own. @throws TensegrityError `stale`, `disposed`. */
  data(): Promise<TypedArray> {
    return read(this);
  }
  /** The only element. @throws TensegrityError `shape` if there is not exactly one. */
  async item(): Promise<number> {
    check(this.size === 1, 'shape', () => `item: needs a tensor of one element, got ${show(this.shape)}; use data() or array()`);
    return (await read(this))[0]!;
  }
  /** The elements as nested arrays. */
  async array(): Promise<Nested> {
    return nest(await read(this), this.shape);
  }
  /** The elements with their shape and type. */
  async toHost(): Promise<HostArray> {
    return { dtype: this.dtype, shape: this.shape, data: await read(this) };
  }
  /** Gives the tensor's memory back at once; reading it afterwards is an error. Not needed in ordinary code. */
  dispose(): void {
    release(this);
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
  /** In a template literal what it is. @throws TensegrityError `argument` for `x + 1`, `x < 1` and the like, which JavaScript cannot do on tensors. */
  [Symbol.toPrimitive](hint: string): string {
    const what = `Tensor ${this.dtype} ${show(this.shape)}`;
    check(hint === 'string', 'argument', () => `${what} is no number: write x.add(1), x.less(1), …, or read it first, await x.item()`);
    return what;
  }

  // Elementwise

  add(other: Operand): Tensor {
    return scalar('add', this, other);
  }
  sub(other: Operand): Tensor {
    return scalar('sub', this, other);
  }
  mul(other: Operand): Tensor {
    return scalar('mul', this, other);
  }
  /** Division as IEEE 754 has it; integers, 0 among them, are converted to f32 first. */
  div(other: Operand): Tensor {
    return scalar('div', this, other);
  }
  /** Power as C's `pow`: of a number below 0 to what is not whole NaN, and x⁰ = 1 of NaN too. Integers are converted to f32 first. */
  pow(exponent: Operand): Tensor {
    return scalar('pow', this, exponent);
  }
  maximum(other: Operand): Tensor {
    return scalar('maximum', this, other);
  }
  minimum(other: Operand): Tensor {
    return scalar('minimum', this, other);
  }
  /**
   * What x leaves when divided by y, with the sign of y (zeros too), as NumPy's and Python's: exact, however large x/y is; where the signs
   * of x and y differ, C's `fmod` plus y, rounded once. x mod ±∞ is x, or y where the signs differ; ∞ mod y and NaN give NaN. For y = 0 floats
   * give NaN and integers 0. Integers give i32. Its gradient is 1 in x and −⌊x/y⌋ in y, at the jumps too.
   */
  remainder(other: Operand): Tensor {
    return scalar('remainder', this, other);
  }
  neg(): Tensor {
    return scalar('neg', this);
  }
  abs(): Tensor {
    return scalar('abs', this);
  }
  sign(): Tensor {
    return scalar('sign', this);
  }
  /** Down to a whole number; integers stay as they are, here and in the next three. */
  floor(): Tensor {
    return rounded('floor', this);
  }
  ceil(): Tensor {
    return rounded('ceil', this);
  }
  /** To the nearest whole number, ties to even. */
  round(): Tensor {
    return rounded('round', this);
  }
  /** Towards zero. */
  trunc(): Tensor {
    return rounded('trunc', this);
  }
  sqrt(): Tensor {
    return scalar('sqrt', this);
  }
  /** 1/√x. */
  rsqrt(): Tensor {
    return this.sqrt().reciprocal();
  }
  square(): Tensor {
    return this.mul(this);
  }
  reciprocal(): Tensor {
    return scalar('div', 1, this);
  }
  exp(): Tensor {
    return scalar('exp', this);
  }
  /** eˣ − 1, accurate near 0. */
  expm1(): Tensor {
    return scalar('expm1', this);
  }
  log(): Tensor {
    return scalar('log', this);
  }
  /** ln(1 + x), accurate near 0. */
  log1p(): Tensor {
    return scalar('log1p', this);
  }
  sin(): Tensor {
    return scalar('sin', this);
  }
  cos(): Tensor {
    return scalar('cos', this);
  }
  tanh(): Tensor {
    return scalar('tanh', this);
  }
  /** 1/(1 + e⁻ˣ). */
  sigmoid(): Tensor {
    return scalar('sigmoid', this);
  }
  erf(): Tensor {
    return scalar('erf', this);
  }
  erfInverse(): Tensor {
    return scalar('erfInverse', this);
  }
  /** max(x, 0). */
  relu(): Tensor {
    return scalar('relu', this);
  }
  /** Cuts to [low, high]; to `high` if that is the lower. The gradient is 1 within and at both ends, 0 where it cuts; NaN stays NaN, with gradient 0. */
  clamp(low: number, high: number): Tensor {
    const inside = this.greaterEqual(low).logicalAnd(this.lessEqual(high));
    // A bound that cuts nothing is left out: integers stay what they are.
    const above = low === -Infinity ? this.stopGradient() : this.stopGradient().maximum(low);
    return inside.where(this, high === Infinity ? above : above.minimum(high));
  }
  equal(other: Operand): Tensor {
    return scalar('equal', this, other);
  }
  notEqual(other: Operand): Tensor {
    return scalar('notEqual', this, other);
  }
  less(other: Operand): Tensor {
    return scalar('less', this, other);
  }
  lessEqual(other: Operand): Tensor {
    return scalar('lessEqual', this, other);
  }
  greater(other: Operand): Tensor {
    return scalar('less', other, this);
  }
  greaterEqual(other: Operand): Tensor {
    return scalar('lessEqual', other, this);
  }
  isNaN(): Tensor {
    return this.notEqual(this);
  }
  isFinite(): Tensor {
    return this.abs().less(Infinity);
  }
  /** Whether both are true, as a mask (u8, 0 or 1). Of any type: what is not 0 is true, NaN too; here and in the next three. */
  logicalAnd(other: Operand): Tensor {
    return logical('logicalAnd', this, other);
  }
  logicalOr(other: Operand): Tensor {
    return logical('logicalOr', this, other);
  }
  /** Whether just one is true. */
  logicalXor(other: Operand): Tensor {
    return logical('logicalXor', this, other);
  }
  logicalNot(): Tensor {
    return this.equal(0);
  }
  /** Of the bits of integers (floats are an error), as i32; here and in the next five. */
  bitwiseAnd(other: Operand): Tensor {
    return scalar('bitwiseAnd', this, other);
  }
  bitwiseOr(other: Operand): Tensor {
    return scalar('bitwiseOr', this, other);
  }
  bitwiseXor(other: Operand): Tensor {
    return scalar('bitwiseXor', this, other);
  }
  /** −1 − x, of bytes too. */
  bitwiseNot(): Tensor {
    return scalar('bitwiseXor', this, -1);
  }
  /** x·2ᶜ, wrapped to 32 bits; a count outside 0 … 31 gives 0, as NumPy has it. */
  bitwiseLeftShift(count: Operand): Tensor {
    return shift('bitwiseLeftShift', this, count);
  }
  /** ⌊x/2ᶜ⌋: the sign moves in. A count outside 0 … 31 gives 0, or −1 where x is negative, as NumPy has it. */
  bitwiseRightShift(count: Operand): Tensor {
    return shift('bitwiseRightShift', this, count);
  }
  /**
   * This is the condition: where it is not 0, `yes`, elsewhere `no`. No gradient goes to what is not chosen, nor through it: a root or a
   * logarithm of 0, a quotient by 0 or a power there does not make it NaN. (WGSL lets compilers take it that there is no NaN: on webgpu a
   * second derivative there may be one.)
   */
  where(yes: Operand, no: Operand): Tensor {
    return scalar('where', this, yes, no);
  }
  /** As another element type; to integers towards zero, saturating, NaN to 0. */
  cast(dtype: DType): Tensor {
    return cast(this, dtype);
  }

  // Reductions: over `axes`, or all; `keepdims` leaves them with size 1

  /** Of integers i32, which wraps at 2³¹: `sum(axes, { dtype: 'f32' })` (with `keepdims` there too) gives a float; also of `prod`. */
  sum(axes?: Axes, keepdims?: boolean | reduce.SumOptions): Tensor {
    return reduce.sum(this, axes, keepdims);
  }
  prod(axes?: Axes, keepdims?: boolean | reduce.SumOptions): Tensor {
    return reduce.prod(this, axes, keepdims);
  }
  max(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.max(this, axes, keepdims);
  }
  min(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.min(this, axes, keepdims);
  }
  /** Of integers f32, as those of `variance` and `std`, or the float that `dtype` names. */
  mean(axes?: Axes, keepdims?: boolean | reduce.SumOptions): Tensor {
    return reduce.mean(this, axes, keepdims);
  }
  /** Unbiased unless `correction: 0`. */
  variance(axes?: Axes, options?: reduce.VarianceOptions): Tensor {
    return reduce.variance(this, axes, options);
  }
  std(axes?: Axes, options?: reduce.VarianceOptions): Tensor {
    return reduce.std(this, axes, options);
  }
  argmax(axis?: number, keepdims?: boolean): Tensor {
    return reduce.argmax(this, axis, keepdims);
  }
  argmin(axis?: number, keepdims?: boolean): Tensor {
    return reduce.argmin(this, axis, keepdims);
  }
  logsumexp(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.logsumexp(this, axes, keepdims);
  }
  softmax(axis?: number): Tensor {
    return reduce.softmax(this, axis);
  }
  logSoftmax(axis?: number): Tensor {
    return reduce.logSoftmax(this, axis);
  }
  norm(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.norm(this, axes, keepdims);
  }

  /** The sums of what is along `axis` up to each element, itself with it; the axis may be left out where there is one at most. Of integers i32, as {@link sum}. */
  cumsum(axis?: number, options?: ScanOptions): Tensor {
    return cumsum(this, axis, options);
  }
  /** The products, likewise. */
  cumprod(axis?: number, options?: ScanOptions): Tensor {
    return cumprod(this, axis, options);
  }

  // Movement

  reshape(shape: Shape): Tensor {
    return movement.reshape(this, shape);
  }
  permute(axes: readonly number[]): Tensor {
    return movement.permute(this, axes);
  }
  /** Exchanges two axes: the last two, unless named. */
  transpose(first = -2, second = -1): Tensor {
    return movement.transpose(this, first, second);
  }
  expand(shape: Shape): Tensor {
    return movement.expand(this, shape);
  }
  slice(...indices: readonly movement.SliceIndex[]): Tensor {
    return movement.slice(this, ...indices);
  }
  narrow(axis: number, start: number, length: number): Tensor {
    return movement.narrow(this, axis, start, length);
  }
  flip(axes?: number | readonly number[]): Tensor {
    return movement.flip(this, axes);
  }
  pad(before: readonly number[], after: readonly number[], value?: number): Tensor {
    return movement.pad(this, before, after, value);
  }
  squeeze(axes?: number | readonly number[]): Tensor {
    return movement.squeeze(this, axes);
  }
  unsqueeze(axis: number): Tensor {
    return movement.unsqueeze(this, axis);
  }
  /** All axes from `start` on as one. */
  flatten(start?: number): Tensor {
    return movement.flatten(this, start);
  }

  // Contraction, indexing, gradient

  matmul(other: Tensor): Tensor {
    return matmul(this, other);
  }
  conv2d(weight: Tensor, options?: conv.ConvolutionOptions): Tensor {
    return conv.conv2d(this, weight, options);
  }
  /** Entries of one axis by position, negative ones from the end; outside, see the function of this name, here and in the next one. */
  take(index: Tensor, axis?: number): Tensor {
    return indexing.take(this, index, axis);
  }
  takeAlongAxis(index: Tensor, axis: number): Tensor {
    return indexing.takeAlongAxis(this, index, axis);
  }
  /** This, with a gradient of zero. */
  stopGradient(): Tensor {
    return stopGradient(this);
  }
}

/** Integers are whole already, and f32 could not hold all of them. */
function rounded(fn: 'floor' | 'ceil' | 'round' | 'trunc', x: Tensor): Tensor {
  return isFloat(x.dtype) ? scalar(fn, x) : x;
}

function nest(data: TypedArray, shape: Shape): Nested {
  const build = (axis: number, start: number, size: number): Nested => {
    if (axis === shape.length) return data[start]!;
    const inner = shape[axis] === 0 ? 0 : size / shape[axis]!;
    return Array.from({ length: shape[axis]! }, (_, i) => build(axis + 1, start + i * inner, inner));
  };
  return build(0, 0, sizeOf(shape));
}
