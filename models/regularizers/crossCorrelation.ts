import type { Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { standardize } from '../nn/functional.ts';
import { checkViews } from './statistics.ts';

/**
 * The cross-correlation matrix [d, d] of two views [n, d]: C = bn(Za)ᵀ·bn(Zb)/n, where bn has biased variance, ε inside the root and no affine
 * part, so |C_ij| ≤ 1. (J. Zbontar et al., ICML 2021, Eq. 2; facebookresearch/barlowtwins:main.py)
 * @throws TensegrityError `shape` for fewer than 2 samples, `argument` for an option that is unknown or not finite.
 */
export function crossCorrelation(za: Tensor, zb: Tensor, given: { readonly epsilon?: number } = {}): Tensor {
  const { epsilon } = options('crossCorrelation', given, { epsilon: 1e-5 });
  checkViews(za, zb, 'crossCorrelation');
  const [a, b] = [za, zb].map((z) => standardize(z, 0, epsilon).normalized);
  return a!.transpose().matmul(b!).div(za.shape[0]!);
}
