import { check } from '../../engine/errors.ts';
import type { HostArray } from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import { type ImageDataset, type ImageSplit, normalizeImages, takeRows, takeSplit } from '../../models/data/images.ts';
import { balancedSubset } from '../../models/data/loader.ts';
import { type LabelledFeatures, linearProbe, nearestNeighbours } from '../../models/evaluate/classify.ts';
import { type CollapseMetrics, collapseMetrics } from '../../models/evaluate/collapse.ts';
import { crossValidatedProbe } from '../../models/evaluate/crossValidated.ts';
import { fewLabels } from '../../models/evaluate/fewLabels.ts';
import type { Encoder } from '../../models/nn/networks.ts';
import { features, lackingLabels } from '../../models/train/evaluate.ts';
import { fineTune } from '../../models/train/fineTune.ts';
import type { StepRecord } from '../../models/train/trainer.ts';
import type { Column, Row } from './results.ts';

/** Raise it when a score is computed otherwise than before: those of before are computed again, and no table mixes the two. */
export const SCORING = 1;

type FeatureName = 'pooled' | 'pooled2x2';

/** What is scored: a row of a study at a seed, when its training is done. */
export interface Subject {
  readonly kind: Row['kind'];
  readonly seed: number;
  /** A new copy of the encoder each time; null for pixels. */
  readonly encoder: (() => Promise<Encoder>) | null;
  readonly last: StepRecord | null;
  readonly dataset: ImageDataset;
  readonly transfer: ImageDataset | null;
  /** Awaited now and then; what it throws ends the scoring. */
  readonly pause: () => Promise<void>;
}

interface Metric extends Omit<Column, 'name'> {
  /** Whether a row has it, other than where labels or an encoder are lacking. */
  readonly of?: (subject: Subject) => boolean;
  /** What it needs of the data. */
  readonly labels: boolean;
  readonly transfer?: true;
  /** The part of the labels that it is given, as many of each class. */
  readonly fraction?: number;
  readonly score: (scorer: Scorer) => Promise<number | null>;
}

const share = { kind: 'share', digits: 1, better: 'higher', labels: true } as const;
const measure = { kind: 'number', digits: 2, labels: false } as const;

const withEncoder = ({ encoder }: Subject): boolean => encoder !== null;
/** Probes with few labels say nothing of features that were learned with all of them. */
const withoutLabels = ({ kind }: Subject): boolean => kind !== 'supervised';

/** Fine-tuning with few labels, for every method alike. */
const TUNING = { epochs: 20, leastSteps: 200, augmentation: 'reference' } as const;

/** Of 1% of the labels one draw says little; those of other seeds are others. */
const FEW = { fraction: 0.01, draws: 3, most: 1000 } as const;
const MORE = 0.1;

const alsoPooled = 'the same of features pooled to 2×2';
const ofMap = (subject: Subject): boolean => withoutLabels(subject) && withEncoder(subject);
const tuned = (percent: string): string =>
  `encoder and a linear layer trained on with ${percent} of the labels: ${TUNING.epochs} epochs, ${TUNING.leastSteps} steps at least`;

const fewLabelMetrics: Readonly<Record<string, Metric>> = {
  '1%': {
    ...share,
    fraction: FEW.fraction,
    title: '1% (GAP)',
    description: `ridge regression on pooled features with 1% of the labels, as many of each class; its penalty is chosen by leaving each out; mean of ${FEW.draws} draws`,
    of: withoutLabels,
    score: (scorer) => scorer.few('pooled'),
  },
  '1%-2x2': {
    ...share,
    fraction: FEW.fraction,
    title: '1% (2×2)',
    description: alsoPooled,
    of: ofMap,
    score: (scorer) => scorer.few('pooled2x2'),
  },
  '1%-tuned': {
    ...share,
    fraction: FEW.fraction,
    title: '1% tuned',
    description: tuned('1%'),
    of: ofMap,
    score: (scorer) => scorer.tuned(FEW.fraction),
  },
  '10%': {
    ...share,
    fraction: MORE,
    title: '10% (GAP)',
    description:
      'linear probe of pooled features with 10% of the labels, as many of each class; its weight decay is chosen by cross-validation on these',
    of: withoutLabels,
    score: (scorer) => scorer.more('pooled'),
  },
  '10%-2x2': {
    ...share,
    fraction: MORE,
    title: '10% (2×2)',
    description: alsoPooled,
    of: ofMap,
    score: (scorer) => scorer.more('pooled2x2'),
  },
  '10%-tuned': {
    ...share,
    fraction: MORE,
    title: '10% tuned',
    description: tuned('10%'),
    of: ofMap,
    score: (scorer) => scorer.tuned(MORE),
  },
};

/** What a study can score, by the name that `--metrics` takes, in the order of its columns. */
export const metrics: Readonly<Record<string, Metric>> = {
  linear: {
    ...share,
    title: 'linear (GAP)',
    description: 'linear probe of the frozen features, averaged over space, with all labels; of pixels, as they are',
    score: (scorer) => scorer.linear('pooled'),
  },
  'linear-2x2': {
    ...share,
    title: 'linear (2×2)',
    description: alsoPooled,
    of: withEncoder,
    score: (scorer) => scorer.linear('pooled2x2'),
  },
  knn: {
    ...share,
    title: 'k-NN',
    description: 'the 20 nearest training images by the cosine of pooled features vote',
    score: (scorer) => scorer.nearest(),
  },
  ...fewLabelMetrics,
  transfer: {
    ...share,
    title: 'transfer (GAP)',
    description: 'linear probe on the second data set, of pooled features learned on the first',
    transfer: true,
    score: (scorer) => scorer.linear('pooled', 'transfer'),
  },
  'transfer-2x2': {
    ...share,
    title: 'transfer (2×2)',
    description: alsoPooled,
    transfer: true,
    of: withEncoder,
    score: (scorer) => scorer.linear('pooled2x2', 'transfer'),
  },
  rankme: {
    ...measure,
    digits: 1,
    better: 'higher',
    title: 'RankMe',
    description: "how many dimensions the test images' pooled features use, centred",
    of: withEncoder,
    score: async (scorer) => (await scorer.collapse())?.rankMeCentred ?? null,
  },
  std: {
    ...measure,
    better: null,
    title: 'std',
    description: 'mean deviation of the embedding at the last step; near 0 it has collapsed, unless the loss leaves its scale free',
    of: ({ last }) => last !== null,
    score: async ({ subject }) => subject.last!.deviation,
  },
  'std-l2': {
    ...measure,
    better: 'higher',
    title: 'std_ℓ2',
    description: 'the same of its directions: 1 is healthy, 0 collapsed',
    of: ({ last }) => last !== null,
    score: async ({ subject }) => subject.last!.normalizedDeviation,
  },
  correlation: {
    ...measure,
    better: 'lower',
    title: '|corr|',
    description: 'mean |correlation| of two dimensions of the embedding at the last step',
    of: ({ last }) => last !== null,
    score: async ({ subject }) => subject.last!.correlation,
  },
};

/** Why data has no such score, in words; null where it has. */
export function lackingFor(name: string, dataset: ImageDataset, transfer: ImageDataset | null): string | null {
  const { labels, transfer: second, fraction } = metrics[name]!;
  if (second && !transfer) return 'a second data set: --transfer NAME|FILE.npy';
  const lacking = labels ? lackingLabels(dataset) : null;
  if (lacking !== null) return `${lacking}: --labels, --test-images and --test-labels`;
  if (fraction === undefined) return null;
  const counts = new Map<number, number>();
  for (const label of dataset.train.labels!.data) counts.set(label, (counts.get(label) ?? 0) + 1);
  const share = Math.max(1, Math.round((fraction * dataset.train.images.shape[0]!) / counts.size));
  const [label, least] = [...counts].reduce((rarest, other) => (other[1] < rarest[1] ? other : rarest));
  if (least < share) return `${share} images of each class, and there are ${least} of class ${label}`;
  return fraction === FEW.fraction && share * counts.size > FEW.most
    ? `at most ${FEW.most} labels, and there are ${share * counts.size}`
    : null;
}

export function columnsOf(names: readonly string[]): Column[] {
  return names.map((name) => {
    const { title, description, kind, digits, better } = metrics[name]!;
    return { name, title, description, kind, digits, better };
  });
}

/** Computes scores of one subject; what several of them need, features above all, once. */
export class Scorer {
  readonly subject: Subject;
  readonly #features = new Map<string, Promise<Readonly<Partial<Record<FeatureName, HostArray>>>>>();
  #collapse: Promise<CollapseMetrics | null> | null = null;

  constructor(subject: Subject) {
    this.subject = subject;
  }

  /** Null where the subject has no such score, or it is no finite number. */
  async score(name: string): Promise<number | null> {
    const { of, score } = metrics[name]!;
    if (of && !of(this.subject)) return null;
    const value = await score(this);
    return value !== null && Number.isFinite(value) ? value : null;
  }

  async linear(name: FeatureName, which: 'dataset' | 'transfer' = 'dataset'): Promise<number> {
    const { seed, pause } = this.subject;
    const { accuracy } = await linearProbe(...(await this.#splits(name, which)), { seed, onEpoch: pause });
    return accuracy;
  }

  async nearest(): Promise<number> {
    const { accuracy } = await nearestNeighbours(...(await this.#splits('pooled', 'dataset')));
    return accuracy;
  }

  async few(name: FeatureName): Promise<number> {
    const { seed, pause } = this.subject;
    const { linear } = await fewLabels(...(await this.#splits(name, 'dataset')), {
      fraction: FEW.fraction,
      draws: FEW.draws,
      seed: seed * FEW.draws,
      nearest: false,
      onDraw: pause,
    });
    return linear;
  }

  async more(name: FeatureName): Promise<number> {
    const { seed, pause } = this.subject;
    const [train, test] = await this.#splits(name, 'dataset');
    const rows = balancedSubset(train.labels, MORE, seed);
    const some = { features: takeRows(train.features, rows), labels: takeRows(train.labels, rows) };
    const { accuracy } = await crossValidatedProbe(some, test, { seed, pause });
    return accuracy;
  }

  async tuned(fraction: number): Promise<number> {
    const { seed, dataset, encoder, pause } = this.subject;
    const copy = await encoder!();
    try {
      const few = takeSplit(dataset.train, balancedSubset(dataset.train.labels!, fraction, seed));
      const { accuracy } = await fineTune(copy, { ...dataset, train: few }, { ...TUNING, seed, onStep: pause });
      return accuracy;
    } finally {
      copy.dispose();
    }
  }

  /** Of the test images' pooled features, or of training images' where there are none; null for a single image. */
  collapse(): Promise<CollapseMetrics | null> {
    this.#collapse ??= (async () => {
      const { dataset } = this.subject;
      const { pooled } = await this.#featuresOf('dataset', dataset.test ? 'test' : 'train');
      // A decomposition takes about 16·min(n, d)³ operations: wide features are judged by as many images as take seconds.
      const most = pooled!.shape[1]! <= 512 ? 10_000 : 1024;
      const judged = takeRows(
        pooled!,
        Array.from({ length: Math.min(most, pooled!.shape[0]!) }, (_, i) => i),
      );
      return judged.shape[0] === 1 ? null : collapseMetrics(judged);
    })();
    return this.#collapse;
  }

  async #splits(name: FeatureName, which: 'dataset' | 'transfer'): Promise<[train: LabelledFeatures, test: LabelledFeatures]> {
    const { train, test } = this.subject[which]!;
    const of = async (part: 'train' | 'test', labels: HostArray): Promise<LabelledFeatures> => ({
      features: (await this.#featuresOf(which, part))[name]!,
      labels,
    });
    check(train.labels && test?.labels, 'data', () => `${this.subject[which]!.name} has no labels`);
    return [await of('train', train.labels), await of('test', test.labels)];
  }

  #featuresOf(which: 'dataset' | 'transfer', part: 'train' | 'test'): Promise<Readonly<Partial<Record<FeatureName, HostArray>>>> {
    const key = `${which} ${part}`;
    const found = this.#features.get(key) ?? this.#compute(this.subject[which]!, this.subject[which]![part]!);
    this.#features.set(key, found);
    return found;
  }

  async #compute(dataset: ImageDataset, { images }: ImageSplit): Promise<Readonly<Partial<Record<FeatureName, HostArray>>>> {
    const { encoder: copyOf, pause } = this.subject;
    if (copyOf === null) {
      const { data } = normalizeImages(images, dataset);
      return { pooled: { dtype: 'f32', shape: [images.shape[0]!, sizeOf(images.shape.slice(1))], data } };
    }
    const encoder = await copyOf();
    try {
      // Images of a second data set are normalised as those were that the encoder has seen.
      const { mean, deviation } = images.dtype === 'u8' ? this.subject.dataset : dataset;
      return await features(encoder, images, { mean, deviation }, { pause });
    } finally {
      encoder.dispose();
    }
  }
}
