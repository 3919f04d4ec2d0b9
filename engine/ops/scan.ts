import { options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import type { Attributes } from '../graph.ts';
import { normalizeAxis } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { type SumOptions, summand } from './reduce.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

export const scanRule: Rule<'scan'> = {
  op: 'scan',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  // yᵢ = Σ over j ≤ i of xⱼ, so ∂xⱼ = Σ over i ≥ j of ∂yᵢ.
  vjp: ({ g, inputs: [x], output, attributes: { fn, axis } }) => [
    fn === 'sum' ? g.flip(axis).cumsum(axis).flip(axis) : factorGradient(x!, output, g, axis),
  ],
};

/**
 * yᵢ = yⱼ₋₁·xⱼ·xⱼ₊₁⋯xᵢ for j ≤ i, so ∂xⱼ = yⱼ₋₁·Sⱼ with Sⱼ = Σ over i ≥ j of xⱼ₊₁⋯xᵢ·gᵢ: no zero divides. S comes by doubling: of the m terms that there are,
 * and pⱼ = xⱼ⋯xⱼ₊ₘ₋₁, 2m terms are `Sⱼ + pⱼ₊₁·Sⱼ₊ₘ`, and `pⱼ·pⱼ₊ₘ` of twice as many factors. So log₂ n steps of n, in the place of n² products of the others.
 */
function factorGradient(x: Tensor, y: Tensor, g: Tensor, axis: number): Tensor {
  const n = x.shape[axis]!;
  const along = (count: number): number[] => x.shape.map((_, i) => (i === axis ? count : 0));
  let [sums, products] = [g, x];
  for (let m = 1; m < n; m *= 2) {
    const left = n - m;
    if (m > 1) products = products.narrow(axis, 0, left + 1).mul(products.narrow(axis, m / 2, left + 1));
    sums = sums.add(
      products
        .narrow(axis, 1, left)
        .mul(sums.narrow(axis, m, left))
        .pad(along(0), along(m)),
    );
  }
  return y.pad(along(1), along(0), 1).narrow(axis, 0, n).mul(sums);
}

export type ScanOptions = Pick<SumOptions, 'dtype'>;

function scan(fn: Attributes['scan']['fn'], x: Tensor, axis: number | undefined, given: ScanOptions = {}): Tensor {
  const op = `cum${fn}`;
  checkTensors(op, x);
  const [terms] = summand(op, x, options(op, given, { dtype: undefined }), false);
  const operand = isFloat(terms.dtype) ? terms : terms.cast('i32');
  if (axis === undefined && x.rank === 0) return operand;
  // No axis is none of several.
  return apply(scanRule, [operand], { fn, axis: normalizeAxis(axis ?? (x.rank === 1 ? 0 : Number.NaN), x.rank, op) });
}

/**
 * Running sums along `axis`, as NumPy's `cumsum` and the array API's `cumulative_sum`: at each element the sum of those up to it and itself, in the shape of `x`.
 * The axis may be left out of a tensor of rank 0 or 1. Of integers it is i32 and wraps at 2³¹, as `sum`; `{ dtype }` converts before anything is added.
 * After a NaN all is NaN. In f32 the error does not grow with the length as that of adding in turn does.
 */
export function cumsum(x: Tensor, axis?: number, given?: ScanOptions): Tensor {
  return scan('sum', x, axis, given);
}

/** Running products along `axis`, likewise. After a 0 all are 0 (after that and ±∞, NaN); the gradient is exact there too, since nothing is divided. */
export function cumprod(x: Tensor, axis?: number, given?: ScanOptions): Tensor {
  return scan('prod', x, axis, given);
}
