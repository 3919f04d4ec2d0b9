import { stack, type Tensor } from '../../engine/core.ts';
import { check, options } from '../../engine/internal.ts';
import { covariance, invariance, variance } from '../regularizers/information.ts';
import { checkAllViews } from '../regularizers/statistics.ts';
import { anyViews, arrayLoss } from './arrayLoss.ts';
import { number } from './options.ts';
import type { VICRegLoss, VICRegOptions } from './vicreg.ts';

export interface VICRegLOptions extends Omit<VICRegOptions, 'dialect'> {
  /** Each of the first so many views is compared with every other one; 2, unless given. */
  readonly globals?: number;
}

/**
 * VICRegL's global term, of any number of views [n, d]: the invariance is the mean over pairs of a global view and any other, variance and
 * covariance are means over views. Of two views it is `vicreg` in the dialect `vicregl`.
 * (A. Bardes, J. Ponce, Y. LeCun, NeurIPS 2022; facebookresearch/VICRegL:main_vicregl.py, global_loss)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for fewer than 2 views, `globals` that are no
 * number of them, and for an option that is unknown or not finite.
 */
export function vicregl(views: readonly Tensor[], given: VICRegLOptions = {}): VICRegLoss {
  const {
    invariance: lambda,
    variance: mu,
    covariance: nu,
    globals,
    ...hinge
  } = options('vicregl', given, { invariance: 25, variance: 25, covariance: 1, gamma: 1, epsilon: 1e-4, globals: 2 });
  checkAllViews(views, 'vicregl');
  check(
    Number.isInteger(globals) && globals >= 1 && globals <= views.length,
    'argument',
    () => `vicregl: globals must be a whole number from 1 to the ${views.length} views, got ${globals}`,
  );
  const mean = (terms: readonly Tensor[]): Tensor => stack(terms).mean();
  const pairs = views.slice(0, globals).flatMap((first, i) => views.filter((_, j) => j !== i).map((other) => invariance(first, other)));
  const parts = {
    invariance: mean(pairs),
    variance: mean(views.map((view) => variance(view, hinge))),
    covariance: mean(views.map((view) => covariance(view))),
  };
  return { loss: parts.invariance.mul(lambda).add(parts.variance.mul(mu)).add(parts.covariance.mul(nu)), ...parts };
}

/** The loss of files: any number of views. */
export const vicreglOfArrays = () =>
  arrayLoss({
    title: 'VICRegL (global)',
    source: 'A. Bardes, J. Ponce, Y. LeCun, NeurIPS 2022; facebookresearch/VICRegL',
    options: {
      invariance: number(25, 'weight of the invariance term'),
      variance: number(25, 'weight of the variance term'),
      covariance: number(1, 'weight of the covariance term'),
      gamma: number(1, 'standard deviation that each dimension must reach'),
      epsilon: number(1e-4, 'added to the variance inside the root'),
      globals: number(2, 'each of so many first views is compared with every other one', { least: 1, whole: true }),
    },
    embeddings: anyViews,
    epsilon: 1e-4,
    compute: (views, given) => vicregl(views, given),
  });
