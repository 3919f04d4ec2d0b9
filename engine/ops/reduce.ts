import { options, shown } from '../arguments.ts';
import type { Reduction } from '../compiler/plan.ts';
import { type DType, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { checkPositions, normalizeAxes, normalizeAxis, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { customGradient } from './gradient.ts';
import { apply, type Rule } from './rule.ts';
import { arangeNode } from './source.ts';

export type Axes = number | readonly number[] | undefined;

const positions: ReadonlySet<Reduction> = new Set<Reduction>(['argmax', 'argmin']);

export const reduceRule: Rule<'reduce'> = {
  op: 'reduce',
  infer: ([x], { fn, axes }) => ({
    shape: x!.shape.filter((_, axis) => !axes.includes(axis)),
    dtype: positions.has(fn) || !isFloat(x!.dtype) ? 'i32' : x!.dtype,
  }),
  vjp: ({ g, inputs: [x], output, attributes: { fn, axes } }) => {
    const spread = (y: Tensor): Tensor => keepAxes(y, x!, axes).expand(x!.shape);
    switch (fn) {
      // d Σx = Σ dx
      case 'sum':
        return [spread(g)];
      // d Πx = Σ (Π of the others)·dx; the product of the others is written so that zeros do not divide.
      case 'prod':
        return [spread(g).mul(productOfOthers(x!, axes))];
      // d max x = dx at the maximum, shared evenly among equals (PyTorch's amax)
      case 'max':
      case 'min': {
        const chosen = x!.equal(spread(output)).cast(x!.dtype);
        return [
          spread(g)
            .mul(chosen)
            .div(spread(chosen.sum(axes))),
        ];
      }
      case 'argmax':
      case 'argmin':
        return [null];
    }
  },
};

/** Puts the folded axes of `y` back, with size 1. */
function keepAxes(y: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  return y.reshape(x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension)));
}

/** At each element, the product of the other elements along the folded axes: [.., n] → the row products of x with its diagonal set to 1. */
function productOfOthers(x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const outer = kept.map((axis) => x.shape[axis]!);
  const n = axes.reduce((size, axis) => size * x.shape[axis]!, 1);
  const rows = x
    .permute(order)
    .reshape([...outer, 1, n])
    .expand([...outer, n, n]);
  const i = x.of(arangeNode(n));
  const same = i.reshape([n, 1]).equal(i);
  const products = same.where(1, rows).prod(-1);
  return products.reshape(order.map((axis) => x.shape[axis]!)).permute(order.map((_, axis) => order.indexOf(axis)));
}

function fold(fn: Reduction, x: Tensor, axes: Axes, keepdims: boolean): Tensor {
  const normalized = normalizeAxes(axes, x.rank, fn);
  const operand = isFloat(x.dtype) ? x : x.cast('i32');
  const folded = normalized.length === 0 && !positions.has(fn) ? operand : apply(reduceRule, [operand], { fn, axes: normalized });
  return keepdims ? keepAxes(folded, x, normalized) : folded;
}

export interface SumOptions {
  /** Whether the folded axes stay, with size 1; false, unless given. */
  readonly keepdims?: boolean;
  /** What elements are converted to before anything is added or multiplied, and the type of the result; integers are i32, floats as they are, unless given. */
  readonly dtype?: Exclude<DType, 'u8'> | undefined;
}

/** The tensor to fold, and whether its axes stay. `keepdims` may be given by itself. @throws TensegrityError `argument`, `dtype`. */
export function summand(fn: string, x: Tensor, given: boolean | SumOptions, floats: boolean): readonly [x: Tensor, keepdims: boolean] {
  const { keepdims, dtype } = options(fn, typeof given === 'boolean' ? { keepdims: given } : given, { keepdims: false, dtype: undefined });
  if (dtype === undefined) return [floats ? floating(x) : x, keepdims];
  const types = ['i32', 'f32', 'f64'].slice(floats ? 1 : 0);
  check(types.includes(dtype), 'dtype', () => `${fn}: the dtype must be ${types.join(' or ')}, got ${shown(dtype)}`);
  return [x.cast(dtype), keepdims];
}

function floating(x: Tensor): Tensor {
  return isFloat(x.dtype) ? x : x.cast('f32');
}

/**
 * The sum over `axes` (all, if none are named); 0 where they are empty. Of integers it is i32 and wraps at 2³¹, as NumPy's of int32 does: 9 million
 * bytes of 255 are more. For a float give `{ dtype: 'f32' }`, or 'f64' on the cpu backend.
 */
export function sum(x: Tensor, axes?: Axes, given: boolean | SumOptions = false): Tensor {
  const [summed, keepdims] = summand('sum', x, given, false);
  return fold('sum', summed, axes, keepdims);
}

/** The product over `axes`; 1 where they are empty. Of integers it is i32 and wraps, as {@link sum}. */
export function prod(x: Tensor, axes?: Axes, given: boolean | SumOptions = false): Tensor {
  const [factors, keepdims] = summand('prod', x, given, false);
  return fold('prod', factors, axes, keepdims);
}

/** The maximum over `axes`; NaN if any element is. An empty one gives −∞ (integers: the least). */
export function max(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('max', x, axes, keepdims);
}

/** The minimum over `axes`; NaN if any element is. An empty one gives ∞ (integers: the greatest). */
export function min(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('min', x, axes, keepdims);
}

/** Where the maximum is along `axis`, or in row-major order of the whole tensor: i32, so of at most 2^31 − 1 elements; the first of equals, the first NaN before all. */
export function argmax(x: Tensor, axis?: number, keepdims = false): Tensor {
  return argument('argmax', x, axis, keepdims);
}

/** Where the minimum is; as {@link argmax}. */
export function argmin(x: Tensor, axis?: number, keepdims = false): Tensor {
  return argument('argmin', x, axis, keepdims);
}

function argument(fn: 'argmax' | 'argmin', x: Tensor, axis: number | undefined, keepdims: boolean): Tensor {
  const folded = normalizeAxes(axis, x.rank, fn);
  const count = countOf(x, folded);
  check(count > 0, 'shape', () => `${fn}: there is no position in an empty axis; ${show(x.shape)} has no elements along ${show(folded)}`);
  checkPositions(count, fn);
  return fold(fn, x, axis, keepdims);
}

/** How many elements are folded. */
export function countOf(x: Tensor, axes: Axes): number {
  return normalizeAxes(axes, x.rank, 'reduce').reduce((count, axis) => count * x.shape[axis]!, 1);
}

/** The mean over `axes`; NaN where they are empty. Integers are converted to f32 (or `dtype`, a float) first, so that no sum wraps. */
export function mean(x: Tensor, axes?: Axes, given: boolean | SumOptions = false): Tensor {
  const [summed, keepdims] = summand('mean', x, given, true);
  return fold('sum', summed, axes, keepdims).div(countOf(x, axes));
}

export interface VarianceOptions extends SumOptions {
  /** The divisor is the count less this: 1 (the default) is the unbiased estimate, 0 the biased one. */
  readonly correction?: number;
}

/**
 * The variance over `axes`, in two passes (mean, then squared deviations), so that a large mean costs no accuracy.
 * Where the count does not exceed `correction` the divisor is 0, as PyTorch has it: NaN where all elements are equal, else ∞. Integers are converted to f32 (or `dtype`, a float) first.
 */
export function variance(of: Tensor, axes?: Axes, given: VarianceOptions = {}): Tensor {
  const { correction, ...rest } = options('variance', given, { keepdims: false, correction: 1, dtype: undefined });
  const [x, keepdims] = summand('variance', of, rest, true);
  const folded = normalizeAxes(axes, x.rank, 'variance');
  const divisor = Math.max(0, countOf(x, folded) - correction);
  const centred = x.sub(mean(x, folded, true));
  const squares = sum(centred.square(), folded, true).div(divisor);
  // d var = 2/divisor·Σ(x−μ)(dx−dμ) = 2/divisor·Σ(x−μ)dx, because Σ(x−μ) = 0: no gradient need go through the mean.
  const result = customGradient(squares, [x], (g) => [x.sub(mean(x, folded, true)).mul(g.mul(2 / divisor))]);
  return keepdims ? result : result.reshape(x.shape.filter((_, axis) => !folded.includes(axis)));
}

/** The square root of {@link variance}. Its gradient where all elements are equal is 0, a subgradient. */
export function std(x: Tensor, axes?: Axes, given: VarianceOptions = {}): Tensor {
  return rootOfSquares(variance(x, axes, given));
}

/** √x with slope 0 at 0, where it is infinite: what x is a sum of squares of has slope 0 itself there, and 0·∞ would be NaN. */
function rootOfSquares(x: Tensor): Tensor {
  // It is made of the root itself, so that higher derivatives follow.
  const root: Tensor = customGradient(x.sqrt(), [x], (g) => [x.equal(0).where(0, g.div(root.mul(2)))]);
  return root;
}

/** ln Σ eˣ over `axes`, shifted by the maximum so that nothing overflows; −∞ for all −∞, ∞ if any is. Where it is ±∞ its gradient is 0. */
export function logsumexp(of: Tensor, axes?: Axes, keepdims = false): Tensor {
  const x = floating(of);
  const peak = max(x, axes, true).stopGradient();
  // A peak of ±∞ must not be subtracted from itself: it is the result.
  const infinite = peak.abs().equal(Infinity);
  const exponentials = infinite.where(0, x.sub(peak)).exp();
  const total = sum(exponentials, axes, true);
  // d ln Σeˣ = Σ eˣdx/Σeˣ
  const shifted = customGradient(infinite.where(peak, total.log().add(peak)), [x], (g) => [
    exponentials.mul(infinite.where(0, g.div(total))),
  ]);
  const folded = normalizeAxes(axes, x.rank, 'logsumexp');
  return keepdims ? shifted : shifted.reshape(x.shape.filter((_, axis) => !folded.includes(axis)));
}

/** eˣ / Σ eˣ along `axis`. Where all are −∞ or any is ∞ it is no number: NaN, as PyTorch has it. */
export function softmax(of: Tensor, axis = -1): Tensor {
  const x = floating(of);
  const at = normalizeAxis(axis, x.rank, 'softmax');
  const exponentials = x.sub(max(x, at, true).stopGradient()).exp();
  // dy = y·(dx − Σ y·dx). It is made of y itself, so that higher derivatives follow.
  const y: Tensor = customGradient(exponentials.div(sum(exponentials, at, true)), [x], (g) => [y.mul(g.sub(sum(g.mul(y), at, true)))]);
  return y;
}

/** x − ln Σ eˣ along `axis`; NaN where {@link softmax} is. */
export function logSoftmax(of: Tensor, axis = -1): Tensor {
  const x = floating(of);
  const at = normalizeAxis(axis, x.rank, 'logSoftmax');
  const shifted = x.sub(max(x, at, true).stopGradient());
  const exponentials = shifted.exp();
  const total = sum(exponentials, at, true);
  // dy = dx − Σ eˣdx/Σeˣ
  return customGradient(shifted.sub(total.log()), [x], (g) => [g.add(exponentials.mul(sum(g.neg(), at, true).div(total)))]);
}

/**
 * The Euclidean norm over `axes`, of integers in f32. Its gradient at the zero vector is 0, a subgradient. The squares are summed as they are, as
 * NumPy and PyTorch do: an element beyond 1.8e19 gives ∞ in f32, and elements below 1e-23 count as 0.
 */
export function norm(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return rootOfSquares(sum(floating(x).square(), axes, keepdims));
}
