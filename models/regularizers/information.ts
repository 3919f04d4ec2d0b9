import type { Tensor } from '../../engine/index.ts';
import { options } from '../../engine/internal.ts';
import { centre, checkEmbedding, checkViews, covarianceOf, offDiagonal } from './statistics.ts';

export interface VarianceHinge {
  /** The deviation that is enough; 1, unless given. */
  readonly gamma?: number;
  /** Added to the variance inside the root, which keeps the gradient finite; 1e-4, unless given. */
  readonly epsilon?: number;
}

/**
 * VICReg's variance term of one view z [n, d]: mean_j max(0, γ − √(var_j + ε)), var unbiased. It is 0 exactly when every variance is at least
 * γ² − ε. (A. Bardes et al., ICLR 2022, Eq. 1–2; facebookresearch/vicreg:main_vicreg.py)
 * @throws TensegrityError `shape` for fewer than 2 samples, `argument` for an option that is unknown or not finite.
 */
export function variance(z: Tensor, given: VarianceHinge = {}): Tensor {
  const { gamma, epsilon } = options('variance', given, { gamma: 1, epsilon: 1e-4 });
  checkEmbedding(z, 'variance');
  // Without ε the root's slope at 0 is infinite, and that of `std` is taken to be 0.
  const deviation = epsilon === 0 ? z.std(0) : z.variance(0).add(epsilon).sqrt();
  return deviation.neg().add(gamma).relu().mean();
}

/**
 * VICReg's covariance term of one view z [n, d]: Σ_{i≠j} C_ij²/d with C = Zcᵀ·Zc/(n−1). (ICLR 2022, Eq. 3–4)
 * @throws TensegrityError `shape` for fewer than 2 samples.
 */
export function covariance(z: Tensor): Tensor {
  checkEmbedding(z, 'covariance');
  return offDiagonal(covarianceOf(centre(z)))
    .square()
    .sum()
    .div(z.shape[1]!);
}

/** The invariance term: the mean of (za − zb)² over samples and dimensions, un-centred. (facebookresearch/vicreg:main_vicreg.py) */
export function invariance(za: Tensor, zb: Tensor): Tensor {
  checkViews(za, zb, 'invariance', 1);
  return za.sub(zb).square().mean();
}
