import { eye, type Tensor } from '../../engine/core.ts';
import { checkNumber } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { checkEmbedding, checkViews } from './statistics.ts';

/**
 * mean ‖x̄ − ȳ‖^`exponent` of pairs [n, d], rows scaled to length 1: how close positives are. Its gradient for a pair that agrees is 0.
 * (T. Wang & P. Isola, ICML 2020)
 */
export function alignment(x: Tensor, y: Tensor, exponent = 2): Tensor {
  checkViews(x, y, 'alignment', 1);
  checkNumber('alignment: the exponent', exponent);
  const squared = normalize(x).sub(normalize(y)).square().sum(1);
  if (exponent === 2) return squared.mean();
  // A pair that agrees is left out of the gradient, where a power below 1 has an infinite slope.
  const equal = squared.equal(0);
  return equal.where(0 ** exponent, equal.where(1, squared).pow(exponent / 2)).mean();
}

/** ln of the mean of e^(−t‖x̄_i − x̄_j‖²) over pairs i < j, rows scaled to length 1: how evenly they cover the sphere; it makes a matrix [n, n]. (ICML 2020) */
export function uniformity(z: Tensor, t = 2): Tensor {
  checkEmbedding(z, 'uniformity');
  checkNumber('uniformity: t', t);
  const n = z.shape[0]!;
  const rows = normalize(z);
  // ‖x − y‖² = ‖x‖² + ‖y‖² − 2⟨x, y⟩: a row of zeros has no length, and is as far from another of its kind as equal rows are.
  const lengths = rows.square().sum(1, true);
  const pairs = rows.matmul(rows.transpose()).mul(2).sub(lengths).sub(lengths.transpose()).mul(t);
  return eye(n)
    .where(-Infinity, pairs)
    .logsumexp()
    .sub(Math.log(n * (n - 1)));
}
