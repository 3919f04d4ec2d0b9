import { concat, eye, type Operand, type Tensor } from '../../engine/core.ts';
import { checkChoice, checkNumber, options } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { BatchNorm1d } from '../nn/layers.ts';
import { Sequential } from '../nn/module.ts';
import { MLP } from '../nn/networks.ts';
import { checkViews, gram } from '../regularizers/statistics.ts';
import { ofEmbeddings } from './learner.ts';
import { choice, LEAST_TEMPERATURE, number, operand } from './options.ts';

/**
 * What each dialect makes of the mean over the 2n rows.
 * - mean (ICML 2020, Eq. 1 and Algorithm 1): the mean itself
 * - google (google-research/simclr:objective.py): the mean over n of each direction, added up: twice that
 */
const dialects = { mean: 1, google: 2 } as const;

export type SimCLRDialect = keyof typeof dialects;
export const simclrDialects = Object.keys(dialects) as readonly SimCLRDialect[];

export interface SimCLROptions {
  /** The temperature τ that cosines are divided by, at least .001; .5, unless given, as the paper has it for CIFAR-10 (for ImageNet: .1). A tensor [] may differ from step to step. */
  readonly temperature?: Operand;
  /** Whose loss of this name it is; the paper's (`mean`), unless given. */
  readonly dialect?: SimCLRDialect;
}

/** The loss; it has no parts. */
export type SimCLRLoss = Readonly<Record<'loss', Tensor>>;

/**
 * SimCLR's NT-Xent of two views' embeddings [n, d]: each of the 2n rows is to tell its other view from the 2n − 2 rows of other images, by
 * cosine: the mean of −ln(exp(cos(z_i, z_j)/τ) / Σ_{k≠i} exp(cos(z_i, z_k)/τ)), where i and j are views of one image. It is ln(2n − 1) where
 * all rows are one, and lies within ln(1 + (2n − 2)·e^(∓2/τ)). It makes a matrix [2n, 2n].
 * (T. Chen, S. Kornblith, M. Norouzi, G. Hinton, ICML 2020, Eq. 1; google-research/simclr:objective.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `dtype` for integers, `argument` for an option that is
 * unknown, a temperature below .001, or no dialect.
 */
export function simclr(za: Tensor, zb: Tensor, given: SimCLROptions = {}): SimCLRLoss {
  const { temperature: divisor, dialect } = options('simclr', given, { temperature: undefined, dialect: 'mean' });
  checkViews(za, zb, 'simclr');
  const temperature = operand('simclr: temperature', divisor, 0.5);
  if (typeof temperature === 'number') checkNumber('simclr: temperature', temperature, LEAST_TEMPERATURE);
  checkChoice('simclr: dialect', dialect, simclrDialects);
  // TensorFlow's l2_normalize: its 1e-12 is the least of the squared length.
  const [a, b] = [normalize(za, -1, 1e-6), normalize(zb, -1, 1e-6)];
  const rows = concat([a, b]);
  const others = eye(rows.shape[0]!).where(-Infinity, gram(rows).div(temperature));
  // Both views of an image have the same positive, so the mean over n rows is that over 2n.
  const positives = a.mul(b).sum(-1).div(temperature);
  return { loss: others.logsumexp(-1).mean().sub(positives.mean()).mul(dialects[dialect]) };
}

export const simclrMethod = () =>
  ofEmbeddings({
    title: 'SimCLR',
    source: 'T. Chen et al., ICML 2020; google-research/simclr',
    parts: [],
    options: {
      temperature: number(0.5, 'what cosines are divided by, τ', { least: LEAST_TEMPERATURE }),
      dialect: choice(simclrDialects, 'mean', "the mean over both views' rows, or the sum of both directions, twice that"),
    },
    live: ['temperature'],
    training: { batchSize: 32 },
    widths: [256, 128],
    ablation: { of: 'telling negatives apart', options: { temperature: 50 } },
    advice: {
      // The head's last norm keeps every dimension's deviation near 1: what collapses becomes copies of one dimension, as it does where the
      // temperature is so high that near negatives count no more than far ones.
      watched: 'correlation',
      collapsed: 'lower the temperature (--temperature), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    // Every layer is normalised, the last one too. (google-research/simclr:model_util.py, projection_head)
    head: (inputs, widths, { key, dtype = 'f32' }) =>
      new Sequential([
        new MLP([inputs, ...widths], { key, dtype, normalize: true, bias: false, outputBias: false }),
        new BatchNorm1d(widths.at(-1)!, { dtype }),
      ]),
    loss: simclr,
  });
