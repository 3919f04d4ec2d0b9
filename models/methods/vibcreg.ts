import type { Tensor } from '../../engine/index.ts';
import { options } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { invariance, type VarianceHinge, variance } from '../regularizers/information.ts';
import { centre, checkViews, gram, offDiagonal } from '../regularizers/statistics.ts';

export interface VIbCRegOptions extends VarianceHinge {
  /** Weight λ of the invariance; 25, unless given. */
  readonly invariance?: number;
  /** Weight μ of the variance; 25, unless given. */
  readonly variance?: number;
  /** Weight ν of the covariance; 200, unless given. */
  readonly covariance?: number;
}

/** The loss, and its parts before their weights: loss = λ·invariance + μ·variance + ν·covariance. */
export type VIbCRegLoss = Readonly<Record<'loss' | 'invariance' | 'variance' | 'covariance', Tensor>>;

/**
 * VIbCReg of two views' embeddings [n, d]: VICReg with a covariance term that does not depend on the scale, nor on d: the mean over all d² entries
 * of the squared off-diagonal correlations. Both views' variance and covariance terms are added up. A dimension that does not vary correlates
 * with nothing.
 * (D. Lee & E. Aune, arXiv 2109.00783; ML4ITS/vibcreg:pypilib/vibcreg/losses.py, and solo-learn the same)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown or not finite.
 */
export function vibcreg(za: Tensor, zb: Tensor, given: VIbCRegOptions = {}): VIbCRegLoss {
  const {
    invariance: lambda,
    variance: mu,
    covariance: nu,
    ...hinge
  } = options('vibcreg', given, { invariance: 25, variance: 25, covariance: 200, gamma: 1, epsilon: 1e-4 });
  checkViews(za, zb, 'vibcreg');
  const correlation = (z: Tensor): Tensor =>
    offDiagonal(gram(normalize(centre(z), 0).transpose()))
      .square()
      .mean();
  const parts = {
    invariance: invariance(za, zb),
    variance: variance(za, hinge).add(variance(zb, hinge)),
    covariance: correlation(za).add(correlation(zb)),
  };
  return { loss: parts.invariance.mul(lambda).add(parts.variance.mul(mu)).add(parts.covariance.mul(nu)), ...parts };
}
