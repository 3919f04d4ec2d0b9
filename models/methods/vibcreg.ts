import type { Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { IterNorm } from '../nn/iterNorm.ts';
import { Sequential } from '../nn/module.ts';
import { MLP } from '../nn/networks.ts';
import { invariance, type VarianceHinge, variance } from '../regularizers/information.ts';
import { centre, checkViews, gram, offDiagonal } from '../regularizers/statistics.ts';
import { ofEmbeddings } from './learner.ts';
import { choice, number } from './options.ts';

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

export const vibcregMethod = () =>
  ofEmbeddings({
    title: 'VIbCReg',
    source: 'D. Lee, E. Aune, arXiv 2109.00783; ML4ITS/vibcreg',
    parts: ['invariance', 'variance', 'covariance'],
    options: {
      invariance: number(25, 'weight of the invariance term'),
      variance: number(25, 'weight of the variance term'),
      covariance: number(200, 'weight of the covariance term'),
      gamma: number(1, 'standard deviation that each dimension must reach'),
      epsilon: number(1e-4, 'added to the variance inside the root'),
      lastNorm: choice(['iterative', 'none'], 'iterative', "the projector's last layer: IterNorm, or none"),
    },
    training: {},
    widths: [256, 256, 256],
    // Each by itself keeps the embedding from a point.
    ablation: { of: 'variance, covariance and IterNorm', options: { variance: 0, covariance: 0, lastNorm: 'none' } },
    advice: {
      watched: 'deviation',
      collapsed: 'raise the weight of the variance term (--variance)',
      redundant: 'raise the weight of the covariance term (--covariance)',
      epsilon: 1e-4,
    },
    // (pypilib/vibcreg/modules.py)
    head: (inputs, widths, { key, dtype = 'f32' }, { lastNorm }) => {
      const projector = new MLP([inputs, ...widths], { key, dtype, normalize: true });
      return lastNorm === 'none' ? projector : new Sequential([projector, new IterNorm(widths.at(-1)!, { dtype })]);
    },
    loss: (za, zb, { lastNorm: _lastNorm, ...options }) => vibcreg(za, zb, options),
  });
