import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { checkIterable, type OwnInt32Array, options } from '../../engine/internal.ts';
import { checkSplitRecord, type ImageSplit, labelsIn, takeSplit } from './images.ts';
import { permutation } from './permutation.ts';

export interface LoaderOptions {
  readonly batchSize: number;
  /** Default 0. */
  readonly seed?: number;
  /** Default true: a new order each epoch, drawn from (seed, epoch). */
  readonly shuffle?: boolean;
  /** Default true: leaves out the images that do not fill a batch, others each epoch. */
  readonly dropLast?: boolean;
  /** Applied to each batch of images, and of their pairs, as `(images) => normalizeImages(images, dataset)`; with {@link prefetch}, ahead of use. */
  readonly prepare?: (images: HostArray) => HostArray;
}

export interface Batch extends ImageSplit {
  readonly epoch: number;
  /** The batch's place in its epoch, from 0: `batches(…, epoch, index + 1)` continues after it. */
  readonly index: number;
  /** Which rows of the split these are. */
  readonly indices: OwnInt32Array;
}

/**
 * How many batches an epoch has.
 * @param count images.
 * @throws TensegrityError `argument` for a batch size that is no whole number ≥ 1, or that leaves no batch at all.
 */
export function batchesPerEpoch(count: number, given: Pick<LoaderOptions, 'batchSize' | 'dropLast'>): number {
  const { batchSize, dropLast } = options('batchesPerEpoch', given, { batchSize: undefined, dropLast: true });
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new TensegrityError('argument', `batchSize, the size of a batch, must be a whole number ≥ 1, not ${batchSize}`, { batchSize });
  const batches = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
  if (batches === 0)
    throw new TensegrityError('argument', `${count} images do not fill a batch of ${batchSize}; choose a batch size of at most ${count}`, {
      batchSize,
      count,
    });
  return batches;
}

/** An epoch as it is gone through: which rows each batch has, and the batch itself. */
interface Epoch {
  readonly order: OwnInt32Array;
  readonly end: number;
  readonly indicesOf: (index: number) => OwnInt32Array;
  readonly batch: (index: number) => Batch;
}

function epochOf(op: string, split: ImageSplit, given: LoaderOptions, epoch: number, first: number): Epoch {
  checkSplitRecord(op, split);
  const { batchSize, seed, shuffle, dropLast, prepare } = options(op, given, {
    batchSize: undefined,
    seed: 0,
    shuffle: true,
    dropLast: true,
    prepare: (images: HostArray) => images,
  });
  const count = split.images.shape[0] ?? 0;
  const end = batchesPerEpoch(count, { batchSize, dropLast });
  if (!Number.isSafeInteger(first) || first < 0 || first > end)
    throw new TensegrityError('argument', `an epoch has batches 0 … ${end - 1}; cannot begin at ${first}`, { first });
  const order = shuffle ? permutation(count, seed, epoch) : Int32Array.from({ length: count }, (_, index) => index);
  const indicesOf = (index: number): OwnInt32Array => order.slice(index * batchSize, (index + 1) * batchSize);
  const batch = (index: number): Batch => {
    const indices = indicesOf(index);
    const { images, pairs, ...labels } = takeSplit(split, indices);
    return { epoch, index, indices, images: prepare(images), ...(pairs && { pairs: prepare(pairs) }), ...labels };
  };
  return { order: order.subarray(first * batchSize), end, indicesOf, batch };
}

/**
 * One epoch's batches. The same arguments give the same batches; starting at `first` gives exactly the rest of the epoch.
 * @param epoch from 0.
 * @param first the batch to begin with, from 0; the epoch's number of batches gives none.
 * @throws TensegrityError `argument`, when the first batch is asked for, and for one with rows that are {@link ImageSplit.pending}.
 */
export function* batches(split: ImageSplit, given: LoaderOptions, epoch: number, first = 0): Generator<Batch, void, undefined> {
  const { end, batch } = epochOf('batches', split, given, epoch, first);
  for (let index = first; index < end; index++) yield batch(index);
}

/**
 * The same batches, each when its rows are there: where rows are {@link ImageSplit.pending}, they are decoded in the order of the epoch, ahead of use.
 * @throws TensegrityError as {@link batches} and {@link PendingRows.ready}.
 */
export async function* readyBatches(
  split: ImageSplit,
  given: LoaderOptions,
  epoch: number,
  first = 0,
): AsyncGenerator<Batch, void, undefined> {
  const { order, end, indicesOf, batch } = epochOf('readyBatches', split, given, epoch, first);
  using _ahead = split.pending?.ahead(order);
  for (let index = first; index < end; index++) {
    await split.pending?.ready(indicesOf(index));
    yield batch(index);
  }
}

/**
 * Prepares the next item while the current one is in use: as soon as the consumer awaits something (a plan that runs in a worker, a read-back).
 * A consumer that never does loses nothing: the item is then prepared when it is asked for. Errors arrive where the item would have.
 */
export async function* prefetch<T>(source: Iterable<T>): AsyncGenerator<T, void, undefined> {
  checkIterable('prefetch: the source', source);
  const iterator = source[Symbol.iterator]();
  let next = ahead(() => iterator.next());
  try {
    for (;;) {
      const item = await next.take();
      if (item.done) return;
      next = ahead(() => iterator.next());
      yield item.value;
    }
  } finally {
    next.cancel();
    iterator.return?.();
  }
}

/** Runs `produce` once: when the event loop is next free, or when its result is taken, whichever comes first. */
function ahead<T>(produce: () => T): { take: () => Promise<T>; cancel: () => void } {
  let result: Promise<T> | undefined;
  const start = (): Promise<T> => {
    result ??= new Promise((resolve) => resolve(produce()));
    return result;
  };
  // Nobody may ever take it: an error then has nowhere to go, and must not end the process.
  const timer = setTimeout(() => start().catch(() => undefined));
  const cancel = (): void => clearTimeout(timer);
  return {
    cancel,
    take: () => {
      cancel();
      return start();
    },
  };
}

/**
 * A labelled subset for semi-supervised evaluation, with equally many images of each class; with one seed, a smaller subset lies within a larger one.
 * @param labels [count], integers ≥ 0.
 * @param fraction of all images, above 0 and at most 1, as 0.01 or 0.1; each class gets its share rounded to whole images, at least one.
 * @returns rows, ascending.
 * @throws TensegrityError `argument` if the fraction is outside its range, or a class has fewer images than its share; `shape`, `dtype` or `argument`
 * for labels that are no whole numbers ≥ 0.
 */
export function balancedSubset(labels: HostArray, fraction: number, seed = 0): OwnInt32Array {
  labelsIn('balancedSubset', labels);
  if (!(fraction > 0 && fraction <= 1))
    throw new TensegrityError('argument', `balancedSubset: the fraction must be above 0 and at most 1, not ${fraction}`, { fraction });
  const rowsOf = new Map<number, number[]>();
  for (const row of permutation(labels.data.length, seed, 0)) {
    const label = labels.data[row]!;
    const rows = rowsOf.get(label);
    if (rows === undefined) rowsOf.set(label, [row]);
    else rows.push(row);
  }
  const share = Math.max(1, Math.round((fraction * labels.data.length) / rowsOf.size));
  for (const [label, rows] of rowsOf) {
    if (rows.length < share) {
      throw new TensegrityError(
        'argument',
        `balancedSubset: class ${label} has ${rows.length} images, fewer than its share of ${share}; choose a smaller fraction than ${fraction}`,
        { label, share },
      );
    }
  }
  return Int32Array.from([...rowsOf.values()].flatMap((rows) => rows.slice(0, share))).sort();
}
