import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { check, checkHostArray, dtypes, isFloat, show, shown, sizeOf } from '../../engine/internal.ts';

/** Images and, where there are any, their classes. */
export interface ImageSplit {
  /** [count, channels, height, width]: u8 (0 … 255), or f32 that is used as it is. */
  readonly images: HostArray;
  /** [count], i32: the index of a class where the data set has names for its classes, else whole numbers ≥ 0 as they came, in any range. */
  readonly labels?: HostArray;
  /** Another picture of each, of the type and shape of the images: views of the two take turns in training, from the image on. */
  readonly pairs?: HostArray;
  /** Where rows are decoded while others are in use: what waits for them. A row that is not there yet holds nothing. */
  readonly pending?: PendingRows;
}

/** Rows of a split that are still being decoded (`background` of {@link loadImageFolder}): who uses one waits for it before. */
export interface PendingRows {
  /** Resolves when these rows are there: they go before others. @throws TensegrityError for a file that was changed or removed since it was listed. */
  ready(rows: ArrayLike<number>): Promise<void>;
  /** Goes on while nobody waits, with these rows first, in their order, until it is disposed of. */
  ahead(rows: ArrayLike<number>): Disposable;
  has(row: number): boolean;
  /** Those of the rows so far that could not be decoded: each holds a copy of the next one of its class, and {@link completeSplit} leaves it out. */
  readonly broken: ReadonlySet<number>;
}

/** The pictures that views are made of: the images, and their pairs, if there are any. */
export function picturesOf({ images, pairs }: ImageSplit): readonly HostArray[] {
  return pairs === undefined ? [images] : [images, pairs];
}

export interface ImageDataset {
  readonly name: string;
  readonly train: ImageSplit;
  readonly test?: ImageSplit;
  /** The classes' names; where it has none, the labels that occur, ascending; empty where nothing is labelled. */
  readonly classes: readonly string[];
  /** Where each image lies within the folder that they are of, in the order of the rows; undefined of what is no folder of images. */
  readonly files?: { readonly train: readonly string[]; readonly test: readonly string[] };
  /** Which of the images the training images are, where only some were asked for; `listing` is a digest of all their paths, in a folder. */
  readonly part?: { readonly start: number; readonly stop: number; readonly of: number; readonly listing?: string };
  /** Where rows are {@link ImageSplit.pending}: what tells the images, test images and pairs from others, in words with the digests of their files. */
  readonly contents?: { readonly images: string; readonly testImages: string | null; readonly pairs?: string };
  /** Per channel, of the training images (where rows are pending, of some of them) scaled to [0, 1]; 0 for float images, which are used as they are. */
  readonly mean: readonly number[];
  /** Likewise, unbiased (n − 1); 1 for float images and for a channel that never varies, so that dividing by it is always safe. */
  readonly deviation: readonly number[];
}

/** The dimensions of a batch of images. @throws TensegrityError `shape` unless there are four, `dtype` unless elements are u8 or f32. */
export function imageShape(images: HostArray, op: string): [count: number, channels: number, height: number, width: number] {
  checkHostArray(images, op);
  const { dtype, shape } = images;
  const [count, channels, height, width] = shape;
  if (count === undefined || channels === undefined || height === undefined || width === undefined || shape.length !== 4) {
    throw new TensegrityError('shape', `${op}: images must be [count, channels, height, width], not ${show(shape)}`, { shape });
  }
  if (dtype !== 'u8' && dtype !== 'f32') throw new TensegrityError('dtype', `${op}: images must be u8 or f32, not ${dtype}`, { dtype });
  return [count, channels, height, width];
}

/** Calls `visit` for each run of pixels of one channel: all images are walked once, in memory order, or some rows in theirs. */
function eachPlane(
  images: HostArray,
  op: string,
  visit: (channel: number, start: number, end: number) => void,
  rows?: ArrayLike<number>,
): void {
  const [count, channels, height, width] = imageShape(images, op);
  const plane = height * width;
  for (let i = 0; i < (rows?.length ?? count); i++)
    for (let channel = 0; channel < channels; channel++) {
      const at = (rows?.[i] ?? i) * channels + channel;
      visit(channel, at * plane, (at + 1) * plane);
    }
}

/**
 * Mean and standard deviation per channel, as PyTorch's `X.mean()` and `X.std()` of the images scaled to [0, 1] (unbiased, n − 1).
 * Counting how often each of the 256 values comes makes both exact to a double, in one pass.
 * Float images are used as they are: mean 0, deviation 1.
 * @param images [count, channels, height, width], u8 or f32.
 * @param rows of the images that are counted; all, unless given.
 * @throws TensegrityError `shape`, `dtype`, and `argument` for a row that there is not.
 */
export function channelStatistics(images: HostArray, rows?: ArrayLike<number>): { mean: number[]; deviation: number[] } {
  const [count, channels, height, width] = imageShape(images, 'channelStatistics');
  if (images.dtype !== 'u8') return { mean: new Array<number>(channels).fill(0), deviation: new Array<number>(channels).fill(1) };
  const { data } = images;
  if (rows !== undefined) checkRows('channelStatistics', rows, count);
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  const tally = (channel: number, start: number, end: number): void => {
    const histogram = counts[channel]!;
    for (let at = start; at < end; at++) histogram[data[at]!]!++;
  };
  eachPlane(images, 'channelStatistics', tally, rows);
  const pixels = (rows?.length ?? count) * height * width;
  const mean = counts.map((histogram) => histogram.reduce((sum, times, value) => sum + times * value, 0) / 255 / pixels || 0);
  const deviation = counts.map((histogram, channel) => {
    // Of a single value, rounding would leave a deviation near 1e-17, and dividing by it noise.
    if (histogram.filter((times) => times > 0).length < 2) return 1;
    const squares = histogram.reduce((sum, times, value) => sum + times * (value / 255 - mean[channel]!) ** 2, 0);
    return Math.sqrt(squares / (pixels - 1));
  });
  return { mean, deviation };
}

/**
 * u8 images as f32 in [0, 1], less the mean, over the deviation; f32 images as they are.
 * @param images [count, channels, height, width].
 * @param scale mean and deviation by channel, of a data set; without it, [0, 1] is kept.
 * @throws TensegrityError `shape`, `dtype`.
 */
export function normalizeImages(images: HostArray, scale?: Pick<ImageDataset, 'mean' | 'deviation'>): HostArray {
  const [, channels] = imageShape(images, 'normalizeImages');
  if (images.dtype === 'f32') return images;
  if (scale !== undefined) checkScale('normalizeImages', scale, channels);
  const tables = Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: 256 }, (_, value) => (value / 255 - (scale?.mean[channel] ?? 0)) / (scale?.deviation[channel] ?? 1)),
  );
  const { data, shape } = images;
  const result = new Float32Array(data.length);
  eachPlane(images, 'normalizeImages', (channel, start, end) => {
    const table = tables[channel]!;
    for (let at = start; at < end; at++) result[at] = table[data[at]!]!;
  });
  return { dtype: 'f32', shape, data: result };
}

/** @throws TensegrityError `argument` unless all are rows from 0 to below `count`. */
export function checkRows(op: string, rows: ArrayLike<number>, count: number): void {
  check(typeof rows === 'object' && rows !== null && 'length' in rows, 'argument', () => `${op}: takes a list of rows, got ${shown(rows)}`);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    check(Number.isInteger(row) && row >= 0 && row < count, 'argument', () => `${op}: there are rows 0 … ${count - 1}, got ${shown(row)}`);
  }
}

/**
 * Which labels occur, ascending.
 * @throws TensegrityError `shape`, `dtype`, `argument` unless each array is [count], of whole numbers ≥ 0.
 */
export function labelsIn(op: string, ...arrays: readonly HostArray[]): number[] {
  const found = new Set<number>();
  for (const labels of arrays) {
    checkHostArray(labels, `${op}: the labels`);
    const { shape, dtype, data } = labels;
    check(shape.length === 1, 'shape', () => `${op}: labels must be [count], got ${show(shape)}`);
    check(!isFloat(dtype), 'dtype', () => `${op}: labels must be integers (i32 or u8), got ${dtype}`);
    const wrong = data.findIndex((label) => label < 0);
    check(wrong < 0, 'argument', () => `${op}: labels must be from 0, got ${data[wrong]} at ${wrong}`);
    for (const label of data) found.add(label);
  }
  return [...found].sort((a, b) => a - b);
}

/**
 * Rows of an array, along its first axis, in the order of `indices`.
 * @param indices of rows; negative ones count from the end, repeats are allowed.
 * @throws TensegrityError `shape` for a scalar, `argument` for an index outside.
 */
export function takeRows(array: HostArray, indices: ArrayLike<number>): HostArray {
  checkHostArray(array, 'takeRows');
  check(
    typeof indices === 'object' && indices !== null && 'length' in indices,
    'argument',
    () => `takeRows: takes a list of indices, got ${shown(indices)}`,
  );
  const [count, ...row] = array.shape;
  if (count === undefined) throw new TensegrityError('shape', 'takeRows: a scalar has no rows');
  const size = sizeOf(row);
  const data = dtypes[array.dtype].allocate(indices.length * size);
  for (let target = 0; target < indices.length; target++) {
    const index = indices[target]!;
    if (!Number.isInteger(index) || index < -count || index >= count) {
      throw new TensegrityError(
        'argument',
        `takeRows: index ${shown(index)} is outside an array of ${count} rows; ${count > 0 ? `use ${-count} to ${count - 1}` : 'there is no row'}`,
        {
          index,
          count,
        },
      );
    }
    const source = index < 0 ? index + count : index;
    data.set(array.data.subarray(source * size, (source + 1) * size), target * size);
  }
  return { dtype: array.dtype, shape: [indices.length, ...row], data };
}

/**
 * The same rows of the images, and of their labels and pairs.
 * @throws TensegrityError as {@link takeRows}, and `argument` for rows that are {@link ImageSplit.pending}.
 */
export function takeSplit(split: ImageSplit, indices: ArrayLike<number>): ImageSplit {
  checkSplitRecord('takeSplit', split);
  const { images, labels, pairs, pending } = split;
  if (pending !== undefined) {
    const count = images.shape[0]!;
    const missing = Array.from(indices).find((row) => !pending.has(row < 0 ? row + count : row));
    check(missing === undefined, 'argument', () => `takeSplit: row ${missing} is not decoded yet; await split.pending.ready(rows) first`);
  }
  return {
    images: takeRows(images, indices),
    ...(labels && { labels: takeRows(labels, indices) }),
    ...(pairs && { pairs: takeRows(pairs, indices) }),
  };
}

/** Completed splits, so that who asks again is given the same. */
const completed = new WeakMap<ImageSplit, Promise<ImageSplit>>();

/**
 * The split with all rows there, without those that could not be decoded; itself where none are {@link ImageSplit.pending}.
 * @throws TensegrityError `data` where none could be decoded, and as {@link PendingRows.ready}.
 */
export async function completeSplit(split: ImageSplit): Promise<ImageSplit> {
  checkSplitRecord('completeSplit', split);
  const { pending, ...parts } = split;
  if (pending === undefined) return split;
  const found = completed.get(split) ?? withoutBroken(parts, pending);
  completed.set(split, found);
  return found;
}

async function withoutBroken(split: ImageSplit, pending: PendingRows): Promise<ImageSplit> {
  const rows = Int32Array.from({ length: split.images.shape[0]! }, (_, row) => row);
  await pending.ready(rows);
  if (pending.broken.size === 0) return split;
  const kept = rows.filter((row) => !pending.broken.has(row));
  check(kept.length > 0, 'data', () => `none of ${rows.length} images can be decoded`);
  return takeSplit(split, kept);
}

/** The data set with both of its splits as {@link completeSplit} gives them. @throws as that does. */
export async function completeDataset(dataset: ImageDataset): Promise<ImageDataset> {
  checkDataset('completeDataset', dataset);
  const { train, test, files } = dataset;
  if (train.pending === undefined && test?.pending === undefined) return dataset;
  const [whole, wholeTest] = [await completeSplit(train), test && (await completeSplit(test))];
  const left = (names: readonly string[], split: ImageSplit | undefined): string[] =>
    names.filter((_, row) => !split?.pending?.broken.has(row));
  return {
    ...dataset,
    train: whole,
    ...(wholeTest && { test: wholeTest }),
    ...(files && { files: { train: left(files.train, train), test: left(files.test, test) } }),
  };
}

/** @throws TensegrityError `argument`, `shape` for anything but splits of images with a mean and a deviation for each channel. */
export function checkDataset(op: string, dataset: ImageDataset): void {
  check(typeof dataset === 'object' && dataset !== null, 'argument', () => `${op}: takes a data set, got ${shown(dataset)}`);
  checkSplitRecord(`${op}: the training split`, dataset.train);
  if (dataset.test !== undefined) checkSplitRecord(`${op}: the test split`, dataset.test);
  checkScale(op, dataset, dataset.train.images.shape[1] ?? 0);
}

/** @throws TensegrityError `shape` unless there are a mean and a deviation for each channel. */
export function checkScale(op: string, scale: Pick<ImageDataset, 'mean' | 'deviation'>, channels: number): void {
  const fits = [scale?.mean, scale?.deviation].every(
    (list) => Array.isArray(list) && list.length === channels && list.every(Number.isFinite),
  );
  check(
    fits,
    'shape',
    () =>
      `${op}: ${channels} channels need as many means and deviations, finite numbers, got ${String(scale?.mean)} and ${String(scale?.deviation)}`,
  );
}

/** @throws TensegrityError `argument` for anything but a record with images, `shape` unless each has a label where there are any. */
export function checkSplitRecord(op: string, split: ImageSplit): void {
  check(typeof split === 'object' && split !== null, 'argument', () => `${op}: takes { images, labels?, pairs? }, got ${shown(split)}`);
  const { images, labels, pairs, pending } = split;
  checkHostArray(images, `${op}: the images`);
  if (pairs !== undefined) {
    checkHostArray(pairs, `${op}: the pairs`);
    check(
      pairs.dtype === images.dtype && show(pairs.shape) === show(images.shape),
      'shape',
      () =>
        `${op}: each image needs a pair of its type and size, got images ${images.dtype} ${show(images.shape)} and pairs ${pairs.dtype} ${show(pairs.shape)}`,
    );
  }
  check(
    pending === undefined || (typeof pending?.ready === 'function' && pending.broken instanceof Set),
    'argument',
    () => `${op}: pending is what a folder of images has, got ${shown(pending)}`,
  );
  if (labels === undefined) return;
  checkHostArray(labels, `${op}: the labels`);
  check(
    labels.shape[0] === images.shape[0],
    'shape',
    () => `${op}: each image needs a label, got images ${show(images.shape)} and labels ${show(labels.shape)}`,
  );
}
