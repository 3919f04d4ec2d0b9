/// <reference lib="esnext.disposable" preserve="true" />
import { type DType, dtypes, type HostArray, isFloat, type TypedArray } from './dtype.ts';
import { check } from './errors.ts';
import type { Attributes, OpName } from './graph.ts';
import { Node } from './graph.ts';
import * as conv from './ops/conv.ts';
import { cast, scalar } from './ops/elementwise.ts';
import { stopGradient } from './ops/gradient.ts';
import * as indexing from './ops/indexing.ts';
import { matmul } from './ops/matmul.ts';
import * as movement from './ops/movement.ts';
import type { Axes } from './ops/reduce.ts';
import * as reduce from './ops/reduce.ts';
import { read, release } from './runtime.ts';
import { type Shape, show, sizeOf } from './shape.ts';

/** A number stands for a tensor of shape []. */
export type Operand = Tensor | number;

/** Numbers nested as deep as a tensor has axes. */
export type Nested = number | Nested[];

/**
 * An n-dimensional array, as an expression: its methods build graph, check shapes at once and compute nothing. Reading it
 * (`data`, `item`, `array`) or `realize` computes what it needs. Tensors are immutable; elementwise methods broadcast as NumPy does.
 *
 * What is read keeps its history, for gradients; what several reads compute on their way is kept too, unless it is larger than what it is
 * made of (and than 1 MiB), up to 256 MiB in all. Where the history behind a read grows beyond 128 MiB (of 64 reads at least), or beyond 512
 * nodes behind what is realised or given to a compiled function, values on the way let go of theirs: a gradient through them is an error.
 */
export class Tensor {
  readonly node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  /** A tensor of a new node. */
  static of<Op extends OpName>(op: Op, inputs: readonly Node[], attributes: Attributes[Op], shape: Shape, dtype: DType): Tensor {
    return new Tensor(new Node(op, inputs, attributes, shape, dtype));
  }

  /** The number of entries along each axis, in an array of the caller's own. */
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
  /** Division; integers give f32. */
  div(other: Operand): Tensor {
    return scalar('div', this, other);
  }
  /** Power; integers give f32. */
  pow(exponent: Operand): Tensor {
    return scalar('pow', this, exponent);
  }
  maximum(other: Operand): Tensor {
    return scalar('maximum', this, other);
  }
  minimum(other: Operand): Tensor {
    return scalar('minimum', this, other);
  }
  /** x − y·⌊x/y⌋, which has the sign of y. Of integers exact, as i32, and 0 for y = 0; of floats NaN there. */
  remainder(other: Operand): Tensor {
    if (!isFloat(this.dtype) && (other instanceof Tensor ? !isFloat(other.dtype) : dtypes.i32.holds(other)))
      return scalar('remainder', this, other);
    return this.sub(this.div(other).floor().mul(other));
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
  /** Cuts to [low, high]; the gradient is 0 where it cuts. */
  clamp(low: number, high: number): Tensor {
    const inside = this.greaterEqual(low).logicalAnd(this.lessEqual(high));
    return inside.where(this, this.stopGradient().maximum(low).minimum(high));
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
  /** Of masks and integers: whether both are other than 0, for 0-or-1 masks; bitwise otherwise. */
  logicalAnd(other: Tensor): Tensor {
    return scalar('bitAnd', this, other);
  }
  logicalOr(other: Tensor): Tensor {
    return scalar('bitOr', this, other);
  }
  logicalNot(): Tensor {
    return this.equal(0);
  }
  bitXor(other: Operand): Tensor {
    return scalar('bitXor', this, other);
  }
  /** This is the condition: where it is not 0, `yes`, elsewhere `no`. */
  where(yes: Operand, no: Operand): Tensor {
    return scalar('where', this, yes, no);
  }
  /** As another element type; to integers towards zero, saturating, NaN to 0. */
  cast(dtype: DType): Tensor {
    return cast(this, dtype);
  }

  // Reductions: over `axes`, or all; `keepdims` leaves them with size 1

  sum(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.sum(this, axes, keepdims);
  }
  prod(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.prod(this, axes, keepdims);
  }
  max(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.max(this, axes, keepdims);
  }
  min(axes?: Axes, keepdims?: boolean): Tensor {
    return reduce.min(this, axes, keepdims);
  }
  mean(axes?: Axes, keepdims?: boolean): Tensor {
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
