import { type Key, permutation, split, stack, type Tensor } from '../../engine/core.ts';
import { check, checkChoice, checkTensors, options, sameShape, show } from '../../engine/internal.ts';
import { cosineSimilarity, meanSquaredError } from '../nn/functional.ts';
import { MLP } from '../nn/networks.ts';
import { checkViews } from '../regularizers/statistics.ts';
import { type WhiteningName, whitenings } from '../regularizers/whitening.ts';
import { ofEmbeddings } from './learner.ts';
import { choice, number } from './options.ts';

/** Distances of whitened pairs: 2 − 2·cos, in [0, 4], or the mean squared error where the norm is off. */
const distances = {
  normalized: (a: Tensor, b: Tensor): Tensor => cosineSimilarity(a, b).mean().mul(-2).add(2),
  mse: meanSquaredError,
} as const;

export type WMSEDistance = keyof typeof distances;
export const wmseDistances = Object.keys(distances) as readonly WMSEDistance[];
/** `none` leaves out what keeps the method from collapse, to see that. */
export const whiteningNames = [...(Object.keys(whitenings) as WhiteningName[]), 'none'] as const;

export interface WMSEOptions {
  /** Samples that are whitened together; the whole batch, unless given. At least d + 1, better 2d. It divides the batch. */
  readonly subBatch?: number;
  /** How often the batch is divided anew; 1, unless given. */
  readonly iterations?: number;
  /** `normalized` (2 − 2·cos, the default) or `mse`. */
  readonly distance?: WMSEDistance;
  /** Shrinks the covariance to (1−ε)Σ + εI; 0, unless given. Try 1e-4 where Cholesky fails. */
  readonly epsilon?: number;
  /** `cholesky` (the default), `zca` or `iterative`; `none` leaves the embeddings as they are, and they collapse. */
  readonly whitening?: WhiteningName | 'none';
  /** What the divisions are drawn from; in a compiled step, a tensor that changes with each call. 0, unless given. */
  readonly key?: Key;
  /** The divisions themselves, i32 [iterations, n], instead of drawing them: each row is an order of 0 … n−1. */
  readonly permutations?: Tensor;
}

/** The loss; it has no parts. */
export type WMSELoss = Readonly<Record<'loss', Tensor>>;

/**
 * W-MSE of two views' embeddings [n, d]: each view is whitened by itself, in sub-batches of one shared random division, and the pairs compared;
 * mean over divisions. Whitening alone prevents collapse: there is no stop-gradient and no negative.
 * (A. Ermolov et al., ICML 2021, Eq. 5–6; htdt/self-supervised:methods/w_mse.py)
 * @throws TensegrityError `shape` for views of different shapes, a sub-batch of d samples or fewer at ε = 0, or one that does not divide the
 * batch; `argument` for options outside their range.
 */
export function wmse(za: Tensor, zb: Tensor, given: WMSEOptions = {}): WMSELoss {
  checkTensors('wmse', za, zb);
  const { subBatch, iterations, distance, epsilon, whitening, key, permutations } = options('wmse', given, {
    subBatch: za.shape[0] ?? 0,
    iterations: 1,
    distance: 'normalized',
    epsilon: 0,
    whitening: 'cholesky',
    key: undefined,
    permutations: undefined,
  });
  checkViews(za, zb, 'wmse');
  const [n, d] = [za.shape[0]!, za.shape[1]!];
  checkChoice('wmse: whitening', whitening, whiteningNames);
  checkChoice('wmse: distance', distance, wmseDistances);
  check(
    Number.isInteger(iterations) && iterations >= 1,
    'argument',
    () => `wmse: iterations must be a whole number ≥ 1, got ${iterations}`,
  );
  check(
    Number.isInteger(subBatch) && subBatch >= 1 && n % subBatch === 0,
    'shape',
    () =>
      `wmse: sub-batches of ${subBatch} do not divide the batch of ${n}; choose a whole number that does, above ${d}${n > d ? '' : ', and a batch as large'}`,
  );
  check(
    !permutations || sameShape(permutations.shape, [iterations, n]),
    'shape',
    () => `wmse: permutations must be [iterations, n] = [${iterations}, ${n}], got ${show(permutations!.shape)}`,
  );

  // Whitening commutes with the order of the rows that are whitened together, so of a whole batch all divisions are one.
  const orders: (Tensor | null)[] =
    subBatch === n
      ? [null]
      : permutations
        ? Array.from({ length: iterations }, (_, i) => permutations.slice(i))
        : split(key ?? 0, iterations).map((from) => permutation(n, { key: from }));
  const whiten = (z: Tensor, order: Tensor | null): Tensor => {
    if (whitening === 'none') return z;
    return whitenings[whitening]((order ? z.take(order) : z).reshape([n / subBatch, subBatch, d]), { epsilon }).reshape([n, d]);
  };
  return { loss: stack(orders.map((order) => distances[distance](whiten(za, order), whiten(zb, order)))).mean() };
}

export const wmseMethod = () =>
  ofEmbeddings({
    title: 'W-MSE',
    source: 'A. Ermolov et al., ICML 2021; htdt/self-supervised',
    parts: [],
    draws: true,
    options: {
      subBatch: number(null, 'samples that are whitened together; the whole batch, unless given', { least: 2, whole: true }),
      iterations: number(1, 'how often the batch is divided anew', { least: 1, whole: true, needs: 'subBatch' }),
      distance: choice(wmseDistances, 'normalized', 'of whitened pairs: 2 − 2·cos, or the mean squared error'),
      epsilon: number(0, 'share of the identity in the covariance', { most: 1, needs: 'whitening' }),
      whitening: choice(whiteningNames, 'cholesky', 'how'),
    },
    // On a split of the training images 73.4 after 3 epochs, as with batches of 128, in less time.
    training: { batchSize: 64, methodOptions: { subBatch: 64 } },
    widths: [1024, 32],
    ablation: { of: 'whitening', options: { whitening: 'none' } },
    advice: {
      // What is compared is whitened: the embedding itself may have any scale, and its dimensions any correlation.
      watched: 'directions',
      collapsed: 'lower --lr, or lengthen --warmup',
      redundant: null,
      epsilon: 1e-4,
    },
    head: (inputs, widths, options) => new MLP([inputs, ...widths], { ...options, normalize: true }),
    loss: (za, zb, options, key = 0) => wmse(za, zb, { ...options, key }),
  });
