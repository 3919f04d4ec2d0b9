import { arange, concat, type Tensor } from '../../engine/core.ts';
import { check, checkNumber, options, show } from '../../engine/internal.ts';
import { cosineSimilarity, normalize } from '../nn/functional.ts';
import { constant, randomDirections } from '../nn/initialize.ts';
import { ModuleSlot } from '../nn/module.ts';
import { MLP } from '../nn/networks.ts';
import { checkEmbedding, checkViews } from '../regularizers/statistics.ts';
import { arrayLoss } from './arrayLoss.ts';
import { method, type Outcome, type Setting, type Step } from './learner.ts';
import { choice, LEAST_TEMPERATURE, number, type OptionValues } from './options.ts';
import { TaughtLearner } from './teacher.ts';

export interface MoCoOptions {
  /** The temperature τ that cosines are divided by, at least .001; .2, unless given, as MoCo v2 has it (v1: .07). */
  readonly temperature?: number;
}

/** The loss; it has no parts. */
export type MoCoLoss = Readonly<Record<'loss', Tensor>>;

/**
 * MoCo's InfoNCE of one view's queries and the other's keys, both [n, d], against a queue [K, d] of keys of other images: each query is to tell its
 * key from the queue's, by cosine, the mean of −ln(exp(q·k⁺/τ) / (exp(q·k⁺/τ) + Σ_j exp(q·queue_j/τ))). Keys and queue are constants. It is
 * ln(K + 1) where all rows are one, and lies within ln(1 + K·e^(∓2/τ)).
 * (K. He et al., CVPR 2020, Eq. 1; X. Chen et al., arXiv 2003.04297; facebookresearch/moco:moco/builder.py)
 * @throws TensegrityError `shape` for queries and keys of different shapes, or a queue that is not [K, d] with K ≥ 1, `dtype` for integers,
 * `argument` for an option that is unknown, or a temperature below .001.
 */
export function moco(queries: Tensor, keys: Tensor, queue: Tensor, given: MoCoOptions = {}): MoCoLoss {
  const { temperature } = options('moco', given, { temperature: 0.2 });
  checkViews(queries, keys, 'moco', 1);
  checkEmbedding(queue, 'moco: the queue', 1);
  const d = queries.shape[1]!;
  check(queue.shape[1] === d, 'shape', () => `moco: the queue must be [K, ${d}], as wide as the keys, got ${show(queue.shape)}`);
  checkNumber('moco: temperature', temperature, LEAST_TEMPERATURE);
  const q = normalize(queries);
  const [k, negatives] = [normalize(keys).stopGradient(), normalize(queue).stopGradient()];
  const cosines = concat([q.mul(k).sum(-1, true), q.matmul(negatives.transpose())], 1);
  return { loss: cosines.div(temperature).logSoftmax(-1).slice(null, 0).mean().neg() };
}

const about = {
  title: 'MoCo v2',
  source: 'K. He et al., CVPR 2020; X. Chen et al., arXiv 2003.04297; facebookresearch/moco',
} as const;

const temperature = number(0.2, 'what cosines are divided by, τ', { least: LEAST_TEMPERATURE });

/** The loss of files: a view's queries, the other's keys, and the queue. */
export const mocoOfArrays = () =>
  arrayLoss({
    ...about,
    options: { temperature },
    embeddings: [{ names: ['queries', 'keys'] }],
    state: { queue: { shape: '[K, d]', description: 'keys of other images' } },
    compute: ([queries, keys], given, { queue }) => moco(queries!, keys!, queue!, given),
  });

const table = {
  temperature,
  queue: number(65536, 'how many keys of earlier batches are told apart from, K; at least a batch', {
    least: 1,
    whole: true,
    needs: 'negatives',
  }),
  teacherMomentum: number(0.999, 'share of itself that the teacher keeps at a step', { most: 1 }),
  negatives: choice(
    ['on', 'off'],
    'on',
    'whether queries are told from the queue; without that they need only agree with their keys, and it collapses',
  ),
};
type Options = OptionValues<typeof table>;

/**
 * The second view's embedding by the teacher is the key of the first view's by the student. One device sees the whole batch: to shuffle it, so
 * that queries and keys are normalised among others, would change nothing.
 */
class MoCoLearner extends TaughtLearner {
  /** The keys of the latest batches, each of length 1; a new batch takes the place of the oldest keys, whether or not K is a multiple of it. */
  readonly queue: ModuleSlot;
  /** The row of the queue where the next batch begins. */
  readonly oldest: ModuleSlot;
  readonly #options: Options;

  constructor({ encoder, widths, key, batchSize, options }: Setting<Options>) {
    super(encoder, (inputs) => new MLP([inputs, ...widths], { key: key(0) }));
    this.#options = options;
    const { queue } = options;
    check(
      queue >= batchSize,
      'argument',
      () => `MoCo: a queue of ${queue} does not hold a batch of ${batchSize}; lengthen it (--queue), or make the batch smaller`,
    );
    this.queue = new ModuleSlot(randomDirections([queue, widths.at(-1)!], { key: key(1) }), 'queue');
    this.oldest = new ModuleSlot(constant([], 0, 'i32'), 'oldest');
  }

  override step({ views: [first, second], part }: Step): Outcome {
    const { temperature, teacherMomentum, negatives } = this.#options;
    const queries = this.student(first!);
    if (part?.first !== false) this.moveTeacher(teacherMomentum);
    const keys = normalize(this.teacher(second!));
    return {
      loss:
        negatives === 'on'
          ? moco(queries, keys, this.queue.value, { temperature }).loss
          : cosineSimilarity(queries, keys).mean().div(-temperature),
      parts: {},
      embeddings: [queries],
      after: () => {
        const [K, n, from] = [this.queue.shape[0]!, keys.shape[0]!, this.oldest.value];
        this.queue.assignRows(from.add(arange(n)).remainder(K), keys);
        this.oldest.assign(from.add(n).remainder(K));
      },
    };
  }
}

export const mocoMethod = () =>
  method({
    ...about,
    parts: [],
    perSample: true,
    options: table,
    training: { batchSize: 32, methodOptions: { queue: 4096, teacherMomentum: 0.99 } },
    widths: [128, 128],
    ablation: { of: 'negatives', options: { negatives: 'off' } },
    advice: {
      watched: 'directions',
      collapsed: 'leave the negatives on (--negatives on), lower the temperature (--temperature), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    learner: (setting) => new MoCoLearner(setting),
  });
