import { compile, foldIn, type HostArray, key, type Tensor, tensor } from '../../engine/core.ts';
import { check, checkChoice, checkNumber, checkRecord, options, shown } from '../../engine/internal.ts';
import { augmentations } from '../augment/index.ts';
import { checkDataset, type ImageDataset, picturesOf, takeRows } from '../data/images.ts';
import { nearestNeighbours } from '../evaluate/classify.ts';
import { type CollapseMetrics, collapseMetrics } from '../evaluate/collapse.ts';
import { Encoder } from '../nn/networks.ts';
import type { TrainingConfig } from './config.ts';
import { features } from './evaluate.ts';
import { unitRange, viewsOf } from './views.ts';

/** What is seen of a training now and then: every metric that tells a collapse, of the encoder's features, and how well neighbours tell classes. */
export interface Dashboard extends CollapseMetrics {
  /** Accuracy of test images by their neighbours among training images; null without labels. */
  readonly nearest: number | null;
}

export interface DashboardOptions {
  /** Training images that the metrics are of, and pairs of views; 512, unless given, or all. */
  readonly count?: number;
  /** Training images that neighbours are sought among, and at most as many test images; 2000, unless given, or all. */
  readonly bank?: number;
}

/**
 * The collapse metrics of the encoder's features of two augmented views of the first training images, which are the same views each time, and k-NN of
 * images as they are. The encoder is in evaluation mode; nothing is changed.
 */
export async function dashboard(
  encoder: Encoder,
  dataset: ImageDataset,
  config: Pick<TrainingConfig, 'augmentation' | 'seed'>,
  given: DashboardOptions = {},
): Promise<Dashboard> {
  const { count, bank } = options('dashboard', given, { count: 512, bank: 2000 });
  check(encoder instanceof Encoder, 'argument', () => `dashboard: takes an Encoder, got ${shown(encoder)}`);
  checkDataset('dashboard', dataset);
  checkRecord('dashboard: the configuration', config);
  checkChoice('dashboard: augmentation', config.augmentation, Object.keys(augmentations));
  checkNumber('dashboard: count', count, 2);
  checkNumber('dashboard: bank', bank, 1);
  const { train, test } = dataset;
  const first = (array: HostArray, most: number): HostArray =>
    takeRows(
      array,
      Array.from({ length: Math.min(array.shape[0]!, most) }, (_, i) => i),
    );
  const pictures = picturesOf(train);
  const views = viewsOf(augmentations[config.augmentation].slice(0, 2), { ...dataset, pixels: unitRange(pictures) });
  for (const [split, most] of [
    [train, Math.max(count, bank)],
    [test, bank],
  ] as const)
    await split?.pending?.ready(Int32Array.from({ length: Math.min(split.images.shape[0]!, most) }, (_, row) => row));
  const forward = compile((...images: Tensor[]) => views(images, foldIn(key(config.seed), -1)).map((view) => encoder.forward(view)));
  try {
    const [za, zb] = await Promise.all((await forward(...pictures.map((images) => tensor(first(images, count))))).map((z) => z.toHost()));
    const metrics = await collapseMetrics(za!, { second: zb! });
    if (!train.labels || !test?.labels) return { ...metrics, nearest: null };
    const labelled = async (split: { readonly images: HostArray; readonly labels: HostArray }) => ({
      features: (await features(encoder, first(split.images, bank), dataset)).pooled,
      labels: first(split.labels, bank),
    });
    const { accuracy } = await nearestNeighbours(
      await labelled({ images: train.images, labels: train.labels }),
      await labelled({ images: test.images, labels: test.labels }),
    );
    return { ...metrics, nearest: accuracy };
  } finally {
    forward.dispose();
  }
}
