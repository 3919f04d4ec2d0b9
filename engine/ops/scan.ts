import { options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Attributes } from '../graph.ts';
import { normalizeAxis, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { narrow } from './movement.ts';
import { type SumOptions, summand } from './reduce.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

export const scanRule: Rule<'scan'> = {
  op: 'scan',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  vjp: ({ g, inputs: [x], output, attributes: { fn, axis } }) => {
    // yᵢ = Σ over j ≤ i of xⱼ, so ∂xⱼ = Σ over i ≥ j of ∂yᵢ.
    if (fn === 'sum') return [apply(scanRule, [g.flip([axis])], { fn, axis }).flip([axis])];
    // yᵢ = yⱼ₋₁·xⱼ·xⱼ₊₁⋯xᵢ for j ≤ i, so ∂xⱼ = yⱼ₋₁ · Σ over i ≥ j of xⱼ₊₁⋯xᵢ·∂yᵢ, where no zero divides.
    const n = x!.shape[axis]!;
    return n === 0 ? [g] : [shifted(narrow(output, axis, 0, n - 1), axis, 1, 1).mul(sumsAhead(x!, g, axis))];
  },
};

/** Along an axis, `count` elements of this value before the others, or after them if it is negative. */
function shifted(x: Tensor, axis: number, count: number, value: number): Tensor {
  const beside = (size: number): number[] => x.shape.map((_, i) => (i === axis ? Math.max(0, size) : 0));
  return x.pad(beside(count), beside(-count), value);
}

/**
 * Sⱼ = Σ over i ≥ j of xⱼ₊₁⋯xᵢ·gᵢ, by doubling: from the sums of the next m terms, and the products of the next m factors, those of the next 2m,
 * `S ← Sⱼ + pⱼ·Sⱼ₊ₘ` and `p ← pⱼ·pⱼ₊ₘ`, as far as any terms are left. log₂ n steps of n each, in the place of n² products of the others.
 */
function sumsAhead(x: Tensor, g: Tensor, axis: number): Tensor {
  const n = x.shape[axis]!;
  let [sums, products] = [g, narrow(x, axis, 1, n - 1)];
  for (let m = 1; m < n; m *= 2) {
    sums = sums.add(shifted(products.mul(narrow(sums, axis, m, n - m)), axis, -m, 0));
    const left = n - 2 * m;
    if (left > 0) products = narrow(products, axis, 0, left).mul(narrow(products, axis, m, left));
  }
  return sums;
}

export type ScanOptions = Pick<SumOptions, 'dtype'>;

/** @throws TensegrityError `argument` for no axis where there are several, or one outside; `dtype`. */
function scan(fn: Attributes['scan']['fn'], x: Tensor, axis: number | undefined, given: ScanOptions): Tensor {
  const op = `cum${fn}`;
  checkTensors(op, x);
  check(axis !== undefined || x.rank <= 1, 'argument', () => `${op}: name an axis of ${show(x.shape)}, one of ${-x.rank} to ${x.rank - 1}`);
  const [terms] = summand(op, x, options(op, given, { dtype: undefined }), false);
  const scanned = isFloat(terms.dtype) ? terms : terms.cast('i32');
  return x.rank === 0 && axis === undefined ? scanned : apply(scanRule, [scanned], { fn, axis: normalizeAxis(axis ?? 0, x.rank, op) });
}

/**
 * Running sums along `axis`, as NumPy's `cumsum` and the array API's `cumulative_sum`: at each element the sum of those up to it and itself, in the shape of `x`.
 * The axis may be left out of a tensor of rank 0 or 1. Of integers it is i32 and wraps at 2³¹, as `sum`; `{ dtype }` converts before anything is added.
 * After a NaN all is NaN. In f32 the error does not grow with the length as that of adding in turn does.
 */
export function cumsum(x: Tensor, axis?: number, given: ScanOptions = {}): Tensor {
  return scan('sum', x, axis, given);
}

/** Running products along `axis`, likewise. After a 0 all are 0 (after that and ±∞, NaN); the gradient is exact there too, since nothing is divided. */
export function cumprod(x: Tensor, axis?: number, given: ScanOptions = {}): Tensor {
  return scan('prod', x, axis, given);
}
