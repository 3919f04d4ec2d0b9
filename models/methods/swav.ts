import { concat, type Tensor } from '../../engine/index.ts';
import { check, checkList, checkNumber, checkTensors, options, show, shown } from '../../engine/internal.ts';
import { LEAST_TEMPERATURE, prototypeScores } from '../clustering/prototypes.ts';
import { type SinkhornOptions, sinkhorn } from '../clustering/sinkhorn.ts';
import { checkViews } from '../regularizers/statistics.ts';

export interface SwAVOptions extends SinkhornOptions {
  /** What the cosines of a prediction are divided by, τ, at least .001; .1, unless given. */
  readonly temperature?: number;
  /** How many of the views, from the first, are assigned; 2, unless given. The others only predict. */
  readonly assigning?: number;
  /** Embeddings of earlier images, [assigning, m, d], which share in the assignment and not in the loss; none, unless given. */
  readonly queue?: Tensor | undefined;
}

/**
 * SwAV's swapped prediction: the samples of each assigning view are assigned to prototypes by {@link sinkhorn} of their cosines, and every other
 * view is to predict that by softmax(cosine/τ): the mean over the assigning views of the mean over the others of −Σ_k q·ln p, mean over
 * samples. Assignments are constants. Where all samples are one it is at least ln K.
 * (M. Caron et al., NeurIPS 2020, Eq. 1–2; facebookresearch/swav:main_swav.py)
 * @param views 2 or more, embeddings [n, d] of the same images; their lengths do not count.
 * @param prototypes [K, d]; their lengths do not count, and are constants.
 * @throws TensegrityError `shape` for views of different shapes, fewer than 2 samples, and prototypes or a queue that do not fit, `dtype`, `argument`
 * for fewer than 2 views, and for an option that is unknown or out of its range.
 */
export function swav(views: readonly Tensor[], prototypes: Tensor, given: SwAVOptions = {}): { readonly loss: Tensor } {
  const { temperature, assigning, queue, ...assignment } = options('swav', given, {
    temperature: 0.1,
    assigning: 2,
    queue: undefined,
    epsilon: 0.05,
    iterations: 3,
  });
  checkList('swav: the views', views);
  check(views.length >= 2, 'argument', () => `swav: takes 2 views or more, got ${views.length}`);
  for (const view of views) checkViews(views[0]!, view, 'swav');
  checkNumber('swav: temperature', temperature, LEAST_TEMPERATURE);
  check(
    Number.isSafeInteger(assigning) && assigning >= 1 && assigning <= views.length,
    'argument',
    () => `swav: assigning must be a whole number from 1 to ${views.length}, the number of views; got ${shown(assigning)}`,
  );
  if (queue) checkQueue(queue, assigning, views[0]!);
  const scores = views.map((view) => prototypeScores(view, prototypes, 'swav'));
  const predictions = scores.map((own) => own.div(temperature).logSoftmax(1));
  const terms = scores.slice(0, assigning).flatMap((own, i) => {
    const earlier = queue ? [prototypeScores(queue.slice(i), prototypes, 'swav')] : [];
    const assigned = sinkhorn(concat([own, ...earlier]), assignment).narrow(0, 0, own.shape[0]!);
    return predictions.flatMap((prediction, v) => (v === i ? [] : [assigned.mul(prediction).sum(1).mean()]));
  });
  return { loss: terms.reduce((sum, term) => sum.add(term)).div(-terms.length) };
}

function checkQueue(queue: Tensor, assigning: number, { shape: [, d], dtype }: Tensor): void {
  checkTensors('swav: the queue', queue);
  check(
    queue.rank === 3 && queue.shape[0] === assigning && queue.shape[2] === d,
    'shape',
    () => `swav: the queue must be [${assigning}, m, ${d}], embeddings of each assigning view; got ${show(queue.shape)}`,
  );
  check(queue.dtype === dtype, 'dtype', () => `swav: views and queue must have one type, got ${dtype} and ${queue.dtype}`);
}
