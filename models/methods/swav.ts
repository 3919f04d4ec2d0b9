import { arange, concat, type Slot, type Tensor } from '../../engine/core.ts';
import { check, checkList, checkNumber, options, shown } from '../../engine/internal.ts';
import { prototypeScores } from '../clustering/prototypes.ts';
import { type SinkhornOptions, sinkhorn } from '../clustering/sinkhorn.ts';
import { classRows } from '../evaluate/collapse.ts';
import { normalize } from '../nn/functional.ts';
import { constant, randomDirections } from '../nn/initialize.ts';
import { ModuleSlot, Parameter } from '../nn/module.ts';
import { type Encoder, MLP } from '../nn/networks.ts';
import { checkViews } from '../regularizers/statistics.ts';
import { arrayLoss } from './arrayLoss.ts';
import { multiCrop, together } from './crops.ts';
import { apart, type LearnedGroup, Learner, method, type Outcome, type Setting, type Step, TRAIN } from './learner.ts';
import { LEAST_TEMPERATURE, number, type OptionValues } from './options.ts';

export interface SwAVOptions extends SinkhornOptions {
  /** What the cosines of a prediction are divided by, τ, at least .001; .1, unless given. */
  readonly temperature?: number;
  /** How many of the views, from the first, are assigned; 2, unless given. The others only predict. */
  readonly assigning?: number;
  /** Embeddings [m, d] of earlier images for each assigning view, which share in its assignment and not in the loss; none, unless given. */
  readonly queues?: readonly Tensor[];
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
  const { temperature, assigning, queues, ...assignment } = options('swav', given, {
    temperature: 0.1,
    assigning: 2,
    queues: [],
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
  check(
    queues.length === 0 || queues.length === assigning,
    'argument',
    () => `swav: queues must be one for each of the ${assigning} assigning views, or none; got ${queues.length}`,
  );
  const scores = views.map((view) => prototypeScores(view, prototypes, 'swav'));
  const predictions = scores.map((own) => own.div(temperature).logSoftmax(1));
  const terms = scores.slice(0, assigning).flatMap((own, i) => {
    const earlier = queues.slice(i, i + 1).map((queue) => prototypeScores(queue, prototypes, 'swav: queues'));
    const assigned = sinkhorn(concat([own, ...earlier]), assignment).narrow(0, 0, own.shape[0]!);
    return predictions.flatMap((prediction, v) => (v === i ? [] : [assigned.mul(prediction).sum(1).mean()]));
  });
  return { loss: terms.reduce((sum, term) => sum.add(term)).div(-terms.length) };
}

const about = {
  title: 'SwAV',
  source: 'M. Caron et al., NeurIPS 2020; facebookresearch/swav',
} as const;

const assignment = {
  temperature: number(0.1, 'what the cosines of a prediction are divided by, τ', { least: LEAST_TEMPERATURE }),
  epsilon: number(0.05, 'what the cosines of an assignment are divided by', { least: LEAST_TEMPERATURE }),
  iterations: number(3, 'of Sinkhorn, which give each prototype its share of the batch; with 0 nothing does, and it collapses', {
    whole: true,
  }),
};

/** The loss of files: two views, which are assigned, and any number of others. */
export const swavOfArrays = () =>
  arrayLoss({
    ...about,
    options: assignment,
    embeddings: [{ names: ['z1', 'z2'], more: 'z' }],
    state: {
      prototypes: { shape: '[K, d]', description: 'rows whose lengths do not count', learned: true },
      queue1: { shape: '[m, d]', description: "earlier embeddings that share in the first view's assignment", optional: true },
      queue2: { shape: '[m, d]', description: "and in the second's", optional: true },
    },
    compute: (views, given, { prototypes, ...earlier }) => {
      const queues = Object.values(earlier);
      const [only] = Object.keys(earlier);
      check(
        queues.length !== 1,
        'argument',
        () =>
          `SwAV: ${only} needs ${only === 'queue1' ? 'queue2' : 'queue1'} beside it: either each of the two assigned views has a queue, or none has`,
      );
      return swav(views, prototypes!, { ...given, queues });
    },
  });

const table = {
  prototypes: number(3000, 'how many prototypes', { least: 2, whole: true }),
  ...assignment,
  freezePrototypes: number(313, 'steps before prototypes learn', { whole: true }),
  queue: number(0, 'embeddings of earlier batches that share in an assignment, in whole batches', { whole: true }),
  queueStart: number(15, 'epochs before the queue is used', { whole: true, needs: 'queue' }),
  localCrops: number(0, 'small views of each image beside the two large ones', { whole: true }),
  localSize: number(96, 'their height and width, in pixels', { least: 1, whole: true, needs: 'localCrops' }),
};
type Options = OptionValues<typeof table>;

/** The views that are assigned to prototypes. */
const ASSIGNING = 2;

class SwAVLearner extends Learner {
  override readonly encoder: Encoder;
  readonly head: MLP;
  /** Of length 1. */
  readonly prototypes: Parameter;
  /** The last embeddings of each assigning view, of length 1; a new batch takes the place of the oldest. */
  readonly queues: readonly Slot[];
  /** The row of the queues where the next batch goes. */
  readonly oldest: Slot;
  readonly #options: Options;

  constructor({ options, encoder, widths, key, batchSize }: Setting<Options>) {
    super();
    this.#options = options;
    const { prototypes, queue } = options;
    check(
      queue === 0 || queue >= batchSize,
      'argument',
      () => `SwAV: a queue of ${queue} does not hold a batch of ${batchSize}; lengthen it (--queue), or make the batch smaller`,
    );
    this.encoder = encoder();
    this.head = new MLP([this.encoder.width, ...widths], { key: key(0), normalize: true });
    const width = widths.at(-1)!;
    this.prototypes = new Parameter(randomDirections([prototypes, width], { key: key(1) }), 'prototypes');
    const rows = queue - (queue % batchSize);
    this.queues = Array.from({ length: rows === 0 ? 0 : ASSIGNING }, () => new ModuleSlot(constant([rows, width], 0), 'queue'));
    this.oldest = new ModuleSlot(constant([], 0, 'i32'), 'oldest');
  }

  override learned(): readonly LearnedGroup[] {
    return apart(super.learned(), this.prototypes, 'prototypes');
  }

  override step({ views, at }: Step): Outcome {
    const { prototypes, queues } = this;
    const { temperature, epsilon, iterations } = this.#options;
    const features = together(views, (images) => this.encoder.forward(images, TRAIN));
    const embeddings = together(features, (x) => this.head.forward(x, TRAIN));
    const latest = embeddings.slice(0, ASSIGNING).map((z) => normalize(z.stopGradient()));
    const { loss } = swav(embeddings, prototypes.value, {
      temperature,
      epsilon,
      iterations,
      assigning: ASSIGNING,
      // Copies of the batch change no share: they stand for a queue that is not used yet.
      queues: queues.map(({ value }, i) => at['queue']!.where(value, repeated(latest[i]!, value.shape[0]!))),
    });
    return {
      loss,
      parts: {},
      embeddings,
      watched: classRows(prototypeScores(embeddings[0]!, prototypes.value, 'SwAV').div(temperature)),
      after: () => {
        prototypes.assign(normalize(prototypes.value));
        const [n, from] = [latest[0]!.shape[0]!, this.oldest.value];
        for (const [i, queue] of queues.entries()) queue.assignRows(from.add(arange(n)), latest[i]!);
        if (queues[0]) this.oldest.assign(from.add(n).remainder(queues[0].shape[0]!));
      },
    };
  }
}

/** Copies of x [n, d], one below the other: `rows` rows, a multiple of n. */
function repeated(x: Tensor, rows: number): Tensor {
  return concat(Array.from({ length: rows / x.shape[0]! }, () => x));
}

export const swavMethod = () =>
  method({
    ...about,
    parts: [],
    options: table,
    training: { methodOptions: { prototypes: 64, epsilon: 0.03, freezePrototypes: 150, localSize: 14 }, batchSize: 64, learningRate: 2e-3 },
    revision: 1,
    widths: [256, 128],
    ablation: { of: 'Sinkhorn', options: { iterations: 0 } },
    advice: {
      watched: 'classes',
      collapsed: 'give each prototype its share of the batch (--iterations 3), lower --epsilon, or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    views: (chosen, { localCrops, localSize }) => multiCrop(chosen, { count: localCrops, size: localSize, scale: [0.05, 0.14] }),
    schedules: ({ freezePrototypes, queue, queueStart }, { stepsPerEpoch, batchSize }) => {
      const used = Math.max(queueStart * stepsPerEpoch, Math.ceil(queue / batchSize));
      return { prototypes: (step) => Number(step >= freezePrototypes), queue: (step) => Number(step >= used) };
    },
    learner: (setting) => new SwAVLearner(setting),
  });
