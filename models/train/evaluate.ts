import { TensegrityError } from '../../engine/errors.ts';
import { adaptiveAveragePool2d, compile, type HostArray, type Tensor, tensor } from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import { type ImageDataset, type ImageSplit, normalizeImages, takeRows } from '../data/images.ts';
import { type LabelledFeatures, linearProbe, nearestNeighbours } from '../evaluate/classify.ts';
import { type CollapseMetrics, collapseMetrics } from '../evaluate/collapse.ts';
import type { Encoder } from '../nn/networks.ts';
import { standardizeChannels, toUnit } from './trainer.ts';

/** How well frozen features tell the classes apart, and how healthy they are. Accuracies are parts of 1. */
export interface FeatureScores {
  /** Of the globally average-pooled features. */
  readonly linear: number;
  /** Of the features pooled to 2×2; null for features without a map. */
  readonly linear2x2: number | null;
  readonly nearest: number;
  /** Null for pixels, which nothing has trained. */
  readonly collapse: CollapseMetrics | null;
}

const CHUNK = 500;

/** Features of images, [N, width] averaged over space and [N, 4·width] pooled to 2×2; the encoder is in evaluation mode. */
export async function features(
  encoder: Encoder,
  images: HostArray,
  scale: Pick<ImageDataset, 'mean' | 'deviation'>,
): Promise<{ pooled: HostArray; pooled2x2: HostArray }> {
  const forward = compile((batch: Tensor) => {
    const map = encoder.featureMap(standardizeChannels(toUnit(batch), scale));
    return { pooled: map.mean([2, 3]), pooled2x2: adaptiveAveragePool2d(map, 2).flatten(1) };
  });
  const count = images.shape[0]!;
  const collect = (width: number): HostArray & { data: Float32Array } => ({
    dtype: 'f32',
    shape: [count, width],
    data: new Float32Array(count * width),
  });
  const result = { pooled: collect(encoder.width), pooled2x2: collect(4 * encoder.width) };
  try {
    for (let start = 0; start < count; start += CHUNK) {
      const rows = Int32Array.from({ length: Math.min(CHUNK, count - start) }, (_, i) => start + i);
      const output = await forward(tensor(takeRows(images, rows)));
      result.pooled.data.set(await output.pooled.data(), start * encoder.width);
      result.pooled2x2.data.set(await output.pooled2x2.data(), start * 4 * encoder.width);
    }
  } finally {
    forward.dispose();
  }
  return result;
}

/** Linear probes, k-NN and collapse metrics of an encoder. @throws TensegrityError `data` without labels or a test set. */
export async function scoreEncoder(encoder: Encoder, dataset: ImageDataset, seed = 0): Promise<FeatureScores> {
  const { train, test } = labelled(dataset);
  const [a, b] = [await features(encoder, train.images, dataset), await features(encoder, test.images, dataset)];
  const pooled2x2 = await linearProbe(
    { features: a.pooled2x2, labels: train.labels },
    { features: b.pooled2x2, labels: test.labels },
    { seed },
  );
  const accuracies = await accuraciesOf({ features: a.pooled, labels: train.labels }, { features: b.pooled, labels: test.labels }, seed);
  return { ...accuracies, linear2x2: pooled2x2.accuracy, collapse: await collapseMetrics(b.pooled) };
}

/** The same of the pixels themselves. */
export async function scorePixels(dataset: ImageDataset, seed = 0): Promise<FeatureScores> {
  const { train, test } = labelled(dataset);
  const flat = (images: HostArray): HostArray => {
    const { data } = normalizeImages(images, dataset);
    return { dtype: 'f32', shape: [images.shape[0]!, sizeOf(images.shape.slice(1))], data };
  };
  const accuracies = await accuraciesOf(
    { features: flat(train.images), labels: train.labels },
    { features: flat(test.images), labels: test.labels },
    seed,
  );
  return { ...accuracies, linear2x2: null, collapse: null };
}

async function accuraciesOf(
  train: LabelledFeatures,
  test: LabelledFeatures,
  seed: number,
): Promise<Pick<FeatureScores, 'linear' | 'nearest'>> {
  const linear = await linearProbe(train, test, { seed });
  const nearest = await nearestNeighbours(train, test, { k: Math.min(20, train.features.shape[0]!) });
  return { linear: linear.accuracy, nearest: nearest.accuracy };
}

function labelled({ name, train, test }: ImageDataset): { train: Required<ImageSplit>; test: Required<ImageSplit> } {
  const { labels } = train;
  if (!labels || !test?.labels) {
    throw new TensegrityError(
      'data',
      `${name} has no ${labels ? 'labelled test images' : 'labels'}, which probes need; train with --no-eval, or name them with --labels, --test-images and --test-labels`,
    );
  }
  return { train: { images: train.images, labels }, test: { images: test.images, labels: test.labels } };
}
