import { sort, stack, type Tensor } from '../../engine/core.ts';
import { checkNumber, options } from '../../engine/internal.ts';
import { directionsOf, normalQuantiles, type SliceOptions } from '../regularizers/gaussianity.ts';
import { invarianceToMean } from '../regularizers/information.ts';
import { checkAllViews } from '../regularizers/statistics.ts';
import { anyViews, arrayLoss, directionsOfFiles } from './arrayLoss.ts';
import { number } from './options.ts';

export interface VISRegOptions extends SliceOptions {
  /** Weight λ of the three terms beside the invariance, which has 1 − λ; .9, unless given (small data sets: .6). */
  readonly regularization?: number;
  /** Weight of the scale among them; 1, unless given. */
  readonly scale?: number;
  /** Weight of the shape; 1, unless given. */
  readonly shape?: number;
  /** Weight of the offset; 1, unless given. */
  readonly offset?: number;
  /** Added to each deviation; 1e-6, unless given. */
  readonly epsilon?: number;
  /** The views are to agree with the mean of the first so many, all unless given: of multi-crop, the global ones. */
  readonly globals?: number;
}

/** The loss, and its parts before their weights: loss = (1 − λ)·invariance + λ·(scale + shape + offset), these three weighted in turn. */
export type VISRegLoss = Readonly<Record<'loss' | 'invariance' | 'scale' | 'shape' | 'offset', Tensor>>;

/**
 * VISReg of any number of views [n, d]: they agree with their mean, and each is a standard normal sample in three ways, mean over views. Scale:
 * mean (1 − σ_j)² with σ_j the biased deviation plus ε. Offset: mean μ_j². Shape: along each of many directions, the mean square distance of the
 * sorted (z − μ)/sg(σ) from the quantiles Φ⁻¹(i/(n+1)). There σ is a constant, so that the gradient of the shape does not fade as the embedding
 * collapses: it grows as 1/σ.
 * (H. Wu et al., arXiv 2606.02572; HaiyuWu/visreg:visreg/losses/visreg.py, train.py)
 * @param given `slices`: 4096 directions, unless given.
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for fewer than 2 views, and for an option that
 * is unknown or out of its range.
 */
export function visreg(views: readonly Tensor[], given: VISRegOptions = {}): VISRegLoss {
  const { regularization, scale, shape, offset, epsilon, globals, ...slicing } = options('visreg', given, {
    regularization: 0.9,
    scale: 1,
    shape: 1,
    offset: 1,
    epsilon: 1e-6,
    globals: undefined,
    slices: 4096,
    key: undefined,
    directions: undefined,
  });
  checkAllViews(views, 'visreg');
  checkNumber('visreg: regularization', regularization, 0, 1);
  const directions = directionsOf(views[0]!, slicing, 'visreg');
  // All views at once: [views, n, d].
  const z = stack(views);
  const n = z.shape[1]!;
  const mean = z.mean(1, true);
  const centred = z.sub(mean);
  const deviation = centred.norm(1, true).div(Math.sqrt(n)).add(epsilon);
  const sorted = sort(centred.div(deviation.stopGradient()).matmul(directions), { axis: 1 }).values;
  const parts = {
    invariance: invarianceToMean(views, globals),
    scale: deviation.sub(1).square().mean(),
    shape: sorted.sub(normalQuantiles(n, z.dtype).unsqueeze(-1)).square().mean(),
    offset: mean.square().mean(),
  };
  const regular = parts.scale.mul(scale).add(parts.shape.mul(shape)).add(parts.offset.mul(offset));
  return { loss: parts.invariance.mul(1 - regularization).add(regular.mul(regularization)), ...parts };
}

/** The loss of files: any number of views. */
export const visregOfArrays = () =>
  arrayLoss({
    title: 'VISReg',
    source: 'H. Wu et al., arXiv 2606.02572; HaiyuWu/visreg',
    options: {
      regularization: number(0.9, 'weight λ of scale, shape and offset; the invariance has 1 − λ', { most: 1 }),
      scale: number(1, 'weight of the scale among these'),
      shape: number(1, 'weight of the shape among them'),
      offset: number(1, 'weight of the offset among them'),
      epsilon: number(1e-6, 'added to each deviation'),
      sliceCount: number(4096, 'directions along which the embedding is to be normal', { least: 1, whole: true }),
      globals: number(null, 'the views agree with the mean of so many first ones; all, unless given', { least: 1, whole: true }),
    },
    embeddings: anyViews,
    epsilon: 1e-6,
    draws: true,
    state: directionsOfFiles,
    compute: (views, { sliceCount: slices, ...given }, { slices: directions }, key = 0) =>
      visreg(views, { ...given, slices, key, ...(directions && { directions }) }),
  });
