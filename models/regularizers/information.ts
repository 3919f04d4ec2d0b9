import { stack, type Tensor } from '../../engine/core.ts';
import { check, options } from '../../engine/internal.ts';
import { centre, checkAllViews, checkEmbedding, checkViews, covarianceOf, offDiagonal } from './statistics.ts';

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

/**
 * The invariance of any number of views [n, d]: the mean of (z_v − z̄)² over views, samples and dimensions, where z̄ is the mean of the first
 * `globals` views (all, unless given); of two views a quarter of {@link invariance}. (R. Balestriero & Y. LeCun, arXiv 2511.08544, LeJEPA)
 * @throws TensegrityError `shape` for views of different shapes, `argument` for fewer than 2 views, or `globals` that are no number of them.
 */
export function invarianceToMean(views: readonly Tensor[], globals?: number): Tensor {
  checkAllViews(views, 'invarianceToMean', 1);
  const count = globals ?? views.length;
  check(
    Number.isInteger(count) && count >= 1 && count <= views.length,
    'argument',
    () => `invarianceToMean: globals must be a whole number from 1 to the ${views.length} views, got ${count}`,
  );
  const all = stack(views);
  return all
    .sub(all.narrow(0, 0, count).mean(0))
    .square()
    .mean();
}
