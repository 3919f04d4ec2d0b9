import {
  adaptiveAveragePool2d,
  compile,
  type HostArray,
  TensegrityError,
  type Tensor,
  type TypedArray,
  tensor,
} from '../../engine/core.ts';
import { check, checkHostArray, checkNumber, dtypes, options, shown, sizeOf } from '../../engine/internal.ts';
import { checkDataset, checkScale, completeDataset, type ImageDataset, labelsIn, normalizeImages } from '../data/images.ts';
import { firstNotFinite, type LabelledFeatures, linearProbe, nearestNeighbours } from '../evaluate/classify.ts';
import { type CollapseMetrics, collapseMetrics } from '../evaluate/collapse.ts';
import { fewLabels } from '../evaluate/fewLabels.ts';
import { rankMe } from '../evaluate/spectral.ts';
import { Encoder } from '../nn/networks.ts';
import { pixelRange } from './monitor.ts';
import { standardizeChannels, toUnit } from './views.ts';

/** How well frozen features tell the classes apart, and how healthy they are. Accuracies are parts of 1, and null without labels. */
export interface FeatureScores {
  /** Of the globally average-pooled features. */
  readonly linear: number | null;
  /** Of the features pooled to 2×2; null for features without a map. */
  readonly linear2x2: number | null;
  readonly nearest: number | null;
  /** The same with the labels of 1% of the training images; null without labels, and where a class has too few or there are too many. */
  readonly few: FewScores | null;
  /** Null for pixels, which nothing has trained, and for a single image. */
  readonly collapse: CollapseMetrics | null;
}

/** Accuracies with few labels, as {@link fewLabels} measures them. */
export interface FewScores {
  /** How many labels. */
  readonly labels: number;
  readonly linear: number;
  readonly linear2x2: number | null;
  readonly nearest: number;
}

export interface ScoreOptions {
  /** Of the probe's order and initial weights; 0, unless given. */
  readonly seed?: number;
  /** Awaited now and then; what it throws ends the scoring. */
  readonly pause?: () => Promise<void>;
}

const scoreDefaults = { seed: 0, pause: undefined } as const;

/** @throws TensegrityError `argument`. */
function checkEncoder(op: string, encoder: Encoder): void {
  check(encoder instanceof Encoder, 'argument', () => `${op}: takes an Encoder, got ${shown(encoder)}`);
}

/** How many images go through an encoder at a time, while there are as many. */
export const CHUNK = 500;

/** An encoder's feature map of images as they are stored; u8 ones are scaled to [0, 1] and normalised. */
export function featureMapOf(encoder: Encoder, images: Tensor, scale: Pick<ImageDataset, 'mean' | 'deviation'>): Tensor {
  return encoder.featureMap(standardizeChannels(toUnit(images), scale));
}

export interface FeatureOptions extends Pick<ScoreOptions, 'pause'> {
  /**
   * Of images that are some of more: the first one's place, and how many there are in all. Their features have the bits then that they have among
   * all, since a batch's size may decide in which order sums are made. The images' own, unless given.
   */
  readonly place?: { readonly start: number; readonly of: number };
}

/** Features of images, [N, width] averaged over space and [N, 4·width] pooled to 2×2; the encoder is in evaluation mode. */
export async function features(
  encoder: Encoder,
  images: HostArray,
  scale: Pick<ImageDataset, 'mean' | 'deviation'>,
  given: FeatureOptions = {},
): Promise<{ pooled: HostArray; pooled2x2: HostArray }> {
  const { pause, place } = options('features', given, { pause: undefined, place: undefined });
  checkEncoder('features', encoder);
  checkHostArray(images, 'features: the images');
  checkScale('features', scale, images.shape[1] ?? 0);
  const forward = compile((batch: Tensor) => {
    const map = featureMapOf(encoder, batch, scale);
    return { pooled: map.mean([2, 3]), pooled2x2: adaptiveAveragePool2d(map, 2).flatten(1) };
  });
  const count = images.shape[0]!;
  const { start: first, of } = place ?? { start: 0, of: count };
  for (const [what, number, least] of [
    ['start', first, 0],
    ['of', of, first + count],
  ] as const)
    checkNumber(`features: place.${what}`, number, least);
  const collect = (width: number): HostArray & { data: Float32Array } => ({
    dtype: 'f32',
    shape: [count, width],
    data: new Float32Array(count * width),
  });
  const result = { pooled: collect(encoder.width), pooled2x2: collect(4 * encoder.width) };
  try {
    // The batches are those of all images.
    for (let start = first - (first % CHUNK); start < first + count; start += CHUNK) {
      const size = Math.min(CHUNK, of - start);
      const [from, to] = [Math.max(start, first), Math.min(start + size, first + count)];
      const own = rows(images, from - first, to - from);
      const { pooled, pooled2x2 } = await forward(tensor(to - from === size ? own : amongOthers(own, from - start, size)));
      const part = (values: TypedArray, width: number): TypedArray => values.subarray((from - start) * width, (to - start) * width);
      const values = part(await pooled.data(), encoder.width);
      const lost = firstNotFinite(values);
      if (lost >= 0) notFinite(own, Math.floor(lost / encoder.width), from);
      result.pooled.data.set(values, (from - first) * encoder.width);
      result.pooled2x2.data.set(part(await pooled2x2.data(), 4 * encoder.width), (from - first) * 4 * encoder.width);
      pooled.dispose();
      pooled2x2.dispose();
      await pause?.();
    }
  } finally {
    forward.dispose();
  }
  return result;
}

/** Images among zeros, from row `start` on of `count`: a batch of the size that all of them have together. */
function amongOthers({ dtype, shape: [, ...image], data }: HostArray, start: number, count: number): HostArray {
  const size = sizeOf(image);
  const all = dtypes[dtype].allocate(count * size);
  all.set(data, start * size);
  return { dtype, shape: [count, ...image], data: all };
}

/** @throws TensegrityError `data` saying why features are no numbers, of an image with `before` others before these. */
function notFinite({ data, shape }: HostArray, row: number, before: number): never {
  const image = before + row;
  const size = sizeOf(shape.slice(1));
  let [least, most] = [Infinity, -Infinity];
  for (const value of data.subarray(row * size, (row + 1) * size)) [least, most] = [Math.min(least, value), Math.max(most, value)];
  throw new TensegrityError(
    'data',
    `the features of image ${image} are not finite: ${pixelRange(least, most)}; images must be as those of the encoder's training, and its weights finite`,
    { image },
  );
}

/** Linear probes, k-NN and collapse metrics of an encoder; without labels the metrics alone, of the test images if there are any. */
export async function scoreEncoder(encoder: Encoder, images: ImageDataset, given: ScoreOptions = {}): Promise<FeatureScores> {
  const scoring = options('scoreEncoder', given, scoreDefaults);
  const { pause } = scoring;
  checkEncoder('scoreEncoder', encoder);
  checkDataset('scoreEncoder', images);
  const dataset = await completeDataset(images);
  const shown = await features(encoder, dataset.test?.images ?? rows(dataset.train.images, 0, 10_000), dataset, { pause });
  // A decomposition takes about 16·min(n, d)³ operations: wide features are judged by as many images as take seconds.
  const judged = rows(shown.pooled, 0, encoder.width <= 512 ? Infinity : 1024);
  const collapse = judged.shape[0] === 1 ? null : await collapseMetrics(judged);
  const labels = labelsOf(dataset);
  if (!labels) return { linear: null, linear2x2: null, nearest: null, few: null, collapse };
  const bank = await features(encoder, dataset.train.images, dataset, { pause });
  const split = (name: keyof typeof bank): [LabelledFeatures, LabelledFeatures] => [
    { features: bank[name], labels: labels.train },
    { features: shown[name], labels: labels.test },
  ];
  const [pooled, pooled2x2] = [split('pooled'), split('pooled2x2')];
  const few = await fewOf(...pooled, scoring);
  return {
    ...(await accuraciesOf(...pooled, scoring)),
    linear2x2: await linearAccuracy(...pooled2x2, scoring),
    few: few && { ...few, linear2x2: (await fewOf(...pooled2x2, scoring, false))?.linear ?? null },
    collapse,
  };
}

/** The same of the pixels themselves; null without labels. */
export async function scorePixels(images: ImageDataset, given: ScoreOptions = {}): Promise<FeatureScores | null> {
  const scoring = options('scorePixels', given, scoreDefaults);
  checkDataset('scorePixels', images);
  const dataset = await completeDataset(images);
  const labels = labelsOf(dataset);
  if (!labels || !dataset.test) return null;
  const flat = (images: HostArray): HostArray => {
    const { data } = normalizeImages(images, dataset);
    return { dtype: 'f32', shape: [images.shape[0]!, sizeOf(images.shape.slice(1))], data };
  };
  const train = { features: flat(dataset.train.images), labels: labels.train };
  const test = { features: flat(dataset.test.images), labels: labels.test };
  return { ...(await accuraciesOf(train, test, scoring)), linear2x2: null, few: await fewOf(train, test, scoring), collapse: null };
}

/** RankMe of the encoder's features of the first `count` training images: cheap enough to be asked for after every epoch. */
export async function trainingRankMe(encoder: Encoder, dataset: ImageDataset, count = 256): Promise<number> {
  const first = rows(dataset.train.images, 0, count);
  await dataset.train.pending?.ready(Int32Array.from({ length: first.shape[0]! }, (_, row) => row));
  const { pooled } = await features(encoder, first, dataset);
  return rankMe(pooled);
}

/** What probes need and a data set lacks, as a phrase; null where nothing is lacking. */
export function lackingLabels({ train, test }: ImageDataset): string | null {
  if (!train.labels) return 'labels';
  return test?.labels ? null : 'labelled test images';
}

/** How many test samples no probe can get right, as a phrase that names their labels; null where there are none. */
export function unseenLabels({ train, test }: ImageDataset): string | null {
  if (!train.labels || !test?.labels) return null;
  const seen = new Set(train.labels.data);
  const { data } = test.labels;
  const unseen = data.filter((label: number) => !seen.has(label));
  if (unseen.length === 0) return null;
  const named = labelsIn('unseenLabels', { dtype: 'i32', shape: [unseen.length], data: Int32Array.from(unseen) });
  const shown = `${named.slice(0, 5).join(', ')}${named.length > 5 ? ', …' : ''}`;
  return `${unseen.length} of ${data.length} test images have labels that no training image has (${shown}), and count as wrong`;
}

async function linearAccuracy(train: LabelledFeatures, test: LabelledFeatures, { seed = 0, pause }: ScoreOptions): Promise<number> {
  const { accuracy } = await linearProbe(train, test, { seed, ...(pause && { onEpoch: pause }) });
  return accuracy;
}

async function accuraciesOf(
  train: LabelledFeatures,
  test: LabelledFeatures,
  options: ScoreOptions,
): Promise<Pick<FeatureScores, 'linear' | 'nearest'>> {
  const linear = await linearAccuracy(train, test, options);
  const { accuracy: nearest } = await nearestNeighbours(train, test, { k: Math.min(20, train.features.shape[0]!) });
  return { linear, nearest };
}

/** The part of the labels that are few, the most of them that ridge regressions are made for, and how often they are drawn: many say more by themselves, and take longer. */
const FEW = { fraction: 0.01, most: 1000, draws: (labels: number) => (labels > 200 ? 3 : 10) } as const;

/** Null where a class has fewer images than its share, and where there would be more labels than are few. */
async function fewOf(
  train: LabelledFeatures,
  test: LabelledFeatures,
  { seed = 0, pause }: ScoreOptions,
  nearest = true,
): Promise<FewScores | null> {
  const counts = new Map<number, number>();
  for (const label of train.labels.data) counts.set(label, (counts.get(label) ?? 0) + 1);
  const share = Math.max(1, Math.round((FEW.fraction * train.labels.data.length) / counts.size));
  const labels = share * counts.size;
  if (Math.min(...counts.values()) < share || labels > FEW.most) return null;
  const draws = FEW.draws(labels);
  const scores = await fewLabels(train, test, { fraction: FEW.fraction, draws, seed, nearest, ...(pause && { onDraw: pause }) });
  return { ...scores, linear2x2: null };
}

function labelsOf({ train, test }: ImageDataset): { train: HostArray; test: HostArray } | null {
  return train.labels && test?.labels ? { train: train.labels, test: test.labels } : null;
}

/** At most `count` rows from `start` on. A view: nothing is copied. */
function rows({ dtype, shape, data }: HostArray, start: number, count: number): HostArray {
  const [n = 0, ...row] = shape;
  const [stop, size] = [Math.min(n, start + count), sizeOf(row)];
  return { dtype, shape: [stop - start, ...row], data: data.subarray(start * size, stop * size) };
}
