import { foldIn, type HostArray, realize, type Slot, stack, type Tensor } from '../../engine/core.ts';
import { check, checkNumber, firstKnown, options } from '../../engine/internal.ts';
import { prototypeScores } from '../clustering/prototypes.ts';
import { sphericalKMeans } from '../clustering/sphericalKMeans.ts';
import { classRows } from '../evaluate/collapse.ts';
import { crossEntropy, normalize } from '../nn/functional.ts';
import { constant, randomDirections } from '../nn/initialize.ts';
import { ModuleSlot } from '../nn/module.ts';
import { type Encoder, MLP } from '../nn/networks.ts';
import { arrayLoss } from './arrayLoss.ts';
import { together } from './crops.ts';
import { type EpochStart, Learner, method, type Outcome, type Setting, type Step, TRAIN } from './learner.ts';
import { choice, LEAST_TEMPERATURE, number, type OptionValues } from './options.ts';

/** The assignment of an image that has none, as in facebookresearch/swav. */
const UNASSIGNED = -100;

export interface DeepClusterOptions {
  /** What cosines are divided by, τ, at least .001; .1, unless given. */
  readonly temperature?: number;
}

/**
 * DeepCluster v2's loss: the cross-entropy of softmax(cosine/τ) of embeddings with prototypes, against the cluster that each sample was assigned to;
 * mean over the samples that have one. With several heads it is the mean over their prototypes.
 * (M. Caron et al., NeurIPS 2020; facebookresearch/swav:main_deepclusterv2.py)
 * @param z embeddings [n, d]; their lengths do not count.
 * @param prototypes [K, d], centroids; their lengths do not count, and are constants.
 * @param assignments integers [n], from 0 to K − 1, or −100 for a sample without one.
 * @throws TensegrityError `shape`, `dtype`, `argument` for an option that is unknown or out of its range, and for an assignment that is known to be none, or all of which are known to be −100.
 */
export function deepCluster(z: Tensor, prototypes: Tensor, assignments: Tensor, given: DeepClusterOptions = {}): { readonly loss: Tensor } {
  const { temperature } = options('deepCluster', given, { temperature: 0.1 });
  checkNumber('deepCluster: temperature', temperature, LEAST_TEMPERATURE);
  const scores = prototypeScores(z, prototypes, 'deepCluster');
  const loss = crossEntropy(scores.div(temperature), assignments, { ignoreIndex: UNASSIGNED });
  check(
    firstKnown(assignments, (cluster) => cluster !== UNASSIGNED) !== null,
    'argument',
    () =>
      `deepCluster: none of the ${assignments.shape[0]} samples has a cluster (all are ${UNASSIGNED}), so there is no loss; assign one at least, from 0`,
  );
  return { loss };
}

const about = {
  title: 'DeepCluster v2',
  source: 'M. Caron et al., NeurIPS 2020; facebookresearch/swav',
} as const;

const temperature = number(0.1, 'what cosines are divided by, τ', { least: LEAST_TEMPERATURE });

/** The loss of files: one view's embeddings. */
export const deepClusterOfArrays = () =>
  arrayLoss({
    ...about,
    options: { temperature },
    embeddings: [{ names: ['z'] }],
    state: {
      prototypes: { shape: '[K, d]', description: 'centroids, whose lengths do not count' },
      assignments: { shape: '[n]', description: 'the cluster of each sample, or −100 where it has none', integers: true },
    },
    compute: ([z], given, { prototypes, assignments }) => deepCluster(z!, prototypes!, assignments!, given),
  });

const table = {
  prototypes: number(3000, 'how many clusters a head has', { least: 2, whole: true }),
  heads: number(3, 'how often images are clustered, each time with centroids of its own', { least: 1, whole: true }),
  temperature,
  kmeans: choice(
    ['on', 'off'],
    'on',
    "whether each epoch makes clusters anew; without that an image goes to the nearest of the first epoch's centroids at each step, and it collapses",
  ),
};
type Options = OptionValues<typeof table>;

/** The views whose embeddings are clustered, each for itself: heads take turns with them. */
const BANKS = 2;

class DeepClusterLearner extends Learner {
  override readonly encoder: Encoder;
  readonly head: MLP;
  /** The centroids of each head's clusters, [K, d], of length 1. */
  readonly prototypes: readonly Slot[];
  /** The cluster of each image, [images], for each head. */
  readonly assignments: readonly Slot[];
  /**
   * What each image's embedding was when it was last seen, [images, d], of length 1, for each of these views. (The official banks hold the last
   * epoch's images, and the few that filled no batch have no cluster then.)
   */
  readonly banks: readonly Slot[];
  readonly #options: Options;

  constructor({ options, encoder, widths, key, images }: Setting<Options>) {
    super();
    this.#options = options;
    const { prototypes, heads } = options;
    this.encoder = encoder();
    this.head = new MLP([this.encoder.width, ...widths], { key: key(0), normalize: true });
    const width = widths.at(-1)!;
    const slots = (name: string, count: number, initial: (place: number) => HostArray): Slot[] =>
      Array.from({ length: count }, (_, place) => new ModuleSlot(initial(place), name));
    // The first epoch begins with others.
    this.prototypes = slots('prototypes', heads, (head) => randomDirections([prototypes, width], { key: key(1 + head) }));
    this.assignments = slots('assignments', heads, () => constant([images], 0, 'i32'));
    this.banks = slots('bank', BANKS, () => constant([images, width], 0));
  }

  override async beforeEpoch({ epoch, key, visit }: EpochStart): Promise<void> {
    if (epoch === 0) await visit(({ views, indices }) => this.#remember(this.#embed(views.slice(0, BANKS)), indices));
    else if (this.#options.kmeans === 'off') return;
    for (const [head, prototypes] of this.prototypes.entries()) {
      const points = this.banks[head % BANKS]!.value;
      const { centroids, assignments } = sphericalKMeans(points, prototypes.shape[0]!, { key: foldIn(key, head) });
      prototypes.assign(centroids);
      this.assignments[head]!.assign(assignments);
    }
    await realize(...this.assignments.map(({ value }) => value));
  }

  override step({ views, indices }: Step): Outcome {
    const { prototypes: count, temperature, kmeans } = this.#options;
    const images = this.banks[0]!.shape[0]!;
    check(
      count <= images,
      'argument',
      () => `DeepCluster v2: ${count} clusters need as many images, and there are ${images}; ask for fewer (--prototypes)`,
    );
    const embeddings = this.#embed(views);
    const losses = this.prototypes.flatMap(({ value: prototypes }, head) => {
      const own = (): Tensor => prototypeScores(embeddings[head % BANKS]!, prototypes, about.title).argmax(1);
      const clusters = kmeans === 'on' ? this.assignments[head]!.value.take(indices) : own();
      return embeddings.map((z) => deepCluster(z, prototypes, clusters, { temperature }).loss);
    });
    return {
      loss: stack(losses).mean(),
      parts: {},
      embeddings,
      // The first head's clusters.
      watched: classRows(prototypeScores(embeddings[0]!, this.prototypes[0]!.value, about.title).div(temperature)),
      after: () => this.#remember(embeddings, indices),
    };
  }

  #embed(views: readonly Tensor[]): Tensor[] {
    const features = together(views, (images) => this.encoder.forward(images, TRAIN));
    return together(features, (x) => this.head.forward(x, TRAIN));
  }

  #remember(embeddings: readonly Tensor[], indices: Tensor): void {
    for (const [i, bank] of this.banks.entries()) bank.assignRows(indices, normalize(embeddings[i]!.stopGradient()));
  }
}

export const deepClusterMethod = () =>
  method({
    ...about,
    parts: [],
    options: table,
    training: { methodOptions: { prototypes: 512 }, batchSize: 64, learningRate: 2e-3 },
    widths: [256, 128],
    perSample: true,
    ablation: { of: 'clustering', options: { kmeans: 'off' } },
    advice: {
      watched: 'classes',
      collapsed: 'make clusters anew each epoch (--kmeans on), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    learner: (setting) => new DeepClusterLearner(setting),
  });
