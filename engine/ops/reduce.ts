import { options } from '../arguments.ts';
import type { Reduction } from '../compiler/plan.ts';
import { type DType, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { normalizeAxes, normalizeAxis, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { arange } from './create.ts';
import { customGradient } from './gradient.ts';
import { apply, type Rule } from './rule.ts';

export type Axes = number | readonly number[] | undefined;

const positions: ReadonlySet<Reduction> = new Set<Reduction>(['argmax', 'argmin']);

export const reduceRule: Rule<'reduce'> = {
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
  const same = arange(n).reshape([n, 1]).equal(arange(n));
  const products = same.where(1, rows).prod(-1);
  return products.reshape(order.map((axis) => x.shape[axis]!)).permute(order.map((_, axis) => order.indexOf(axis)));
}

function fold(fn: Reduction, x: Tensor, axes: Axes, keepdims: boolean): Tensor {
  const normalized = normalizeAxes(axes, x.rank, fn);
  const operand = isFloat(x.dtype) ? x : x.cast('i32');
  const folded = normalized.length === 0 && !positions.has(fn) ? operand : apply('reduce', [operand], { fn, axes: normalized });
  return keepdims ? keepAxes(folded, x, normalized) : folded;
}

/** The sum over `axes` (all, if none are named); 0 where they are empty. */
export function sum(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('sum', x, axes, keepdims);
}

/** The product over `axes`; 1 where they are empty. */
export function prod(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('prod', x, axes, keepdims);
}

/** The maximum over `axes`; NaN if any element is. An empty one gives −∞ (integers: the least). */
export function max(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('max', x, axes, keepdims);
}

/** The minimum over `axes`; NaN if any element is. An empty one gives ∞ (integers: the greatest). */
export function min(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  return fold('min', x, axes, keepdims);
}

/** Where the maximum is along `axis`, or in row-major order of the whole tensor: i32, the first of equals, the first NaN before all. */
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
  return fold(fn, x, axis, keepdims);
}

/** How many elements are folded. */
export function countOf(x: Tensor, axes: Axes): number {
  return normalizeAxes(axes, x.rank, 'reduce').reduce((count, axis) => count * x.shape[axis]!, 1);
}

/** The mean over `axes`; NaN where they are empty. Integers give f32. */
export function mean(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  const dtype: DType = isFloat(x.dtype) ? x.dtype : 'f32';
  return sum(x.cast(dtype), axes, keepdims).div(countOf(x, axes));
}

export interface VarianceOptions {
  readonly keepdims?: boolean;
  /** The divisor is the count less this: 1 (the default) is the unbiased estimate, 0 the biased one. */
  readonly correction?: number;
}

/**
 * The variance over `axes`, in two passes (mean, then squared deviations), so that a large mean costs no accuracy.
 * NaN where the count does not exceed `correction`, as PyTorch has it.
 */
export function variance(x: Tensor, axes?: Axes, given: VarianceOptions = {}): Tensor {
  const { keepdims, correction } = options('variance', given, { keepdims: false, correction: 1 });
  const folded = normalizeAxes(axes, x.rank, 'variance');
  const divisor = Math.max(0, countOf(x, folded) - correction);
  const centred = x.sub(mean(x, folded, true));
  const squares = sum(centred.square(), folded, true).div(divisor);
  // d var = 2/divisor·Σ(x−μ)(dx−dμ) = 2/divisor·Σ(x−μ)dx, because Σ(x−μ) = 0: no gradient need go through the mean.
  const result = isFloat(x.dtype) ? customGradient(squares, [x], (g) => [x.sub(mean(x, folded, true)).mul(g.mul(2 / divisor))]) : squares;
  return keepdims ? result : result.reshape(x.shape.filter((_, axis) => !folded.includes(axis)));
}

/** The square root of {@link variance}. */
export function std(x: Tensor, axes?: Axes, given: VarianceOptions = {}): Tensor {
  return variance(x, axes, given).sqrt();
}

/** ln Σ eˣ over `axes`, shifted by the maximum so that nothing overflows; −∞ for all −∞. */
export function logsumexp(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  const peak = max(x, axes, true).stopGradient();
  // A peak of ±∞ must not be subtracted from itself.
  const shift = peak.abs().equal(Infinity).where(0, peak);
  const shifted = sum(x.sub(shift).exp(), axes, true).log().add(shift);
  const folded = normalizeAxes(axes, x.rank, 'logsumexp');
  return keepdims ? shifted : shifted.reshape(x.shape.filter((_, axis) => !folded.includes(axis)));
}

/** eˣ / Σ eˣ along `axis`. */
export function softmax(x: Tensor, axis = -1): Tensor {
  const at = normalizeAxis(axis, x.rank, 'softmax');
  const exponentials = x.sub(max(x, at, true).stopGradient()).exp();
  return exponentials.div(sum(exponentials, at, true));
}

/** x − ln Σ eˣ along `axis`. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  const at = normalizeAxis(axis, x.rank, 'logSoftmax');
  const shifted = x.sub(max(x, at, true).stopGradient());
  return shifted.sub(sum(shifted.exp(), at, true).log());
}

/** The Euclidean norm over `axes`. Its gradient at the zero vector is 0. */
export function norm(x: Tensor, axes?: Axes, keepdims = false): Tensor {
  const squares = sum(x.square(), axes, keepdims);
  // √ has an infinite slope at 0: there it is taken at 1 and the result replaced, so that the gradient is 0, a subgradient.
  const zero = squares.equal(0);
  return zero.where(0, zero.where(1, squares).sqrt());
}
