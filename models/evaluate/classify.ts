import { compile, grad, type HostArray, slot, type Tensor, take, tensor } from '../../engine/core.ts';
import { check, checkHostArray, dtypes, isFloat, options, show, shown } from '../../engine/internal.ts';
import { labelsIn } from '../data/images.ts';
import { permutation } from '../data/permutation.ts';
import { crossEntropy } from '../nn/functional.ts';
import { Linear } from '../nn/layers.ts';
import { Adam } from '../optim/rules.ts';

/** Features [n, d], of finite floats, and their labels [n]: whole numbers ≥ 0, in any range; each that occurs is a class. */
export interface LabelledFeatures {
  readonly features: HostArray;
  readonly labels: HostArray;
}

export interface Classification {
  /** The share of test samples that are right. */
  readonly accuracy: number;
  /** The label of each test sample. */
  readonly predictions: Int32Array;
  /** The labels that occur in the training set, ascending: those that can be predicted. */
  readonly classes: readonly number[];
  /** How many test samples have another label, so that they cannot be right. */
  readonly unseen: number;
}

interface Splits {
  readonly width: number;
  readonly classes: readonly number[];
  /** Of each training sample, where its label is in `classes`. */
  readonly targets: Int32Array;
}

/** Where the first number that is not finite is; −1 where there is none. Millions of features are looked through: a loop takes a tenth of `findIndex`. @internal */
export function firstNotFinite(data: ArrayLike<number>): number {
  // ∞ − ∞ and NaN − NaN are NaN.
  for (let i = 0; i < data.length; i++) if (data[i]! - data[i]! !== 0) return i;
  return -1;
}

/** @throws TensegrityError `shape`, `dtype`, `argument`: what the splits must be. @internal */
export function checkSplits(train: LabelledFeatures, test: LabelledFeatures, what: string): Splits {
  for (const split of [train, test]) {
    check(typeof split === 'object' && split !== null, 'argument', () => `${what}: takes { features, labels }, got ${shown(split)}`);
    checkHostArray(split.features, `${what}: the features`);
    checkHostArray(split.labels, `${what}: the labels`);
  }
  const width = train.features.shape[1]!;
  for (const [name, { features, labels }] of Object.entries({ training: train, test })) {
    check(
      features.shape.length === 2 &&
        features.shape[1] === width &&
        features.shape[0]! > 0 &&
        labels.shape.length === 1 &&
        labels.shape[0] === features.shape[0],
      'shape',
      () => `${what}: takes features [n, ${width}] and labels [n], got ${show(features.shape)} and ${show(labels.shape)}`,
    );
    check(
      isFloat(features.dtype) && !isFloat(labels.dtype),
      'dtype',
      () => `${what}: takes float features and integer labels, got ${features.dtype} and ${labels.dtype}`,
    );
    const wrong = firstNotFinite(features.data);
    check(
      wrong < 0,
      'argument',
      () =>
        `${what}: features must be finite, and row ${Math.floor(wrong / width)} of the ${name} features has ${features.data[wrong]}; leave such samples out, or look for where the encoder that made them diverged`,
    );
  }
  labelsIn(what, test.labels);
  const classes = labelsIn(what, train.labels);
  const places = new Map(classes.map((label, at) => [label, at]));
  return { width, classes, targets: Int32Array.from(train.labels.data, (label: number) => places.get(label)!) };
}

/** @param predicted of each test sample, where its label is in `classes`. @internal */
export function score(predicted: ArrayLike<number>, classes: readonly number[], { labels }: LabelledFeatures): Classification {
  const predictions = Int32Array.from(predicted, (at) => classes[at]!);
  const right = predictions.filter((label, i) => label === labels.data[i]).length;
  const known = new Set(classes);
  const unseen = labels.data.filter((label: number) => !known.has(label)).length;
  return { accuracy: right / predictions.length, predictions, classes, unseen };
}

/** Rows from `start` on, at most `count`. A view: nothing is copied. */
function rows({ shape, dtype, data }: HostArray, start: number, count: number): HostArray {
  const [n, d] = [shape[0]!, shape[1]!];
  const stop = Math.min(n, start + count);
  return { dtype, shape: [stop - start, d], data: data.subarray(start * d, stop * d) };
}

/** The result of `each` for chunks of `size` rows, in order. */
async function inChunks<T>(array: HostArray, size: number, each: (chunk: HostArray) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let start = 0; start < array.shape[0]!; start += size) results.push(await each(rows(array, start, size)));
  return results;
}

/**
 * Each dimension less its mean, over its (unbiased) deviation + 1e-6: a function of the training features, for both splits.
 * @throws TensegrityError `argument` for features whose deviation is no number. @internal
 */
export function standardizer({ shape, data }: HostArray, op: string): (features: HostArray) => HostArray {
  const [n, d] = [shape[0]!, shape[1]!];
  const mean = new Float64Array(d);
  const squares = new Float64Array(d);
  for (let at = 0; at < data.length; ) for (let j = 0; j < d; j++, at++) mean[j]! += data[at]! / n;
  for (let at = 0; at < data.length; ) for (let j = 0; j < d; j++, at++) squares[j]! += (data[at]! - mean[j]!) ** 2;
  const deviation = squares.map((sum) => Math.sqrt(sum / Math.max(1, n - 1)) + 1e-6);
  check(
    deviation.every(Number.isFinite),
    'argument',
    () => `${op}: the features are too large for their deviation to be a number; scale them down`,
  );
  return (features) => {
    const scaled = dtypes[features.dtype].allocate(features.data.length);
    for (let at = 0; at < scaled.length; ) for (let j = 0; j < d; j++, at++) scaled[at] = (features.data[at]! - mean[j]!) / deviation[j]!;
    return { ...features, data: scaled };
  };
}

export interface LinearProbeOptions {
  /** 30, unless given. */
  readonly epochs?: number;
  /** 1000, unless given; the last batch of an epoch holds what is left. */
  readonly batchSize?: number;
  /** Of the first epoch; 1e-2, unless given. */
  readonly learningRate?: number;
  /** Towards which it falls, exponentially, epoch by epoch; 1e-6, unless given. */
  readonly finalLearningRate?: number;
  /** 0, unless given. */
  readonly weightDecay?: number;
  /** Draws the classifier and the order of the samples; 0, unless given. */
  readonly seed?: number;
  /** Awaited after each epoch; what it throws ends the probe. */
  readonly onEpoch?: (epoch: number) => void | Promise<void>;
}

/**
 * The linear probe: a linear classifier trained on frozen features, standardised by the training set's mean and deviation, with Adam and
 * cross-entropy. The network never sees the labels. (see docs/models.md; Z. Zhang et al., ICML 2016, introduced probes)
 * @returns accuracy and predictions on the test set.
 * @throws TensegrityError `shape`, `dtype`, `argument` for features and labels that do not fit.
 */
export async function linearProbe(
  train: LabelledFeatures,
  test: LabelledFeatures,
  given: LinearProbeOptions = {},
): Promise<Classification> {
  const { epochs, batchSize, learningRate, finalLearningRate, weightDecay, seed, onEpoch } = options('linearProbe', given, {
    epochs: 30,
    batchSize: 1000,
    learningRate: 1e-2,
    finalLearningRate: 1e-6,
    weightDecay: 0,
    seed: 0,
    onEpoch: undefined,
  });
  const { classes, targets, width } = checkSplits(train, test, 'linearProbe');
  check(
    Number.isInteger(epochs) && epochs >= 1 && Number.isInteger(batchSize) && batchSize >= 1,
    'argument',
    () => `linearProbe: epochs and batchSize must be whole numbers ≥ 1, got ${epochs} and ${batchSize}`,
  );
  check(
    learningRate > 0 && finalLearningRate >= 0,
    'argument',
    () => `linearProbe: learningRate must be above 0 and finalLearningRate at least 0, got ${learningRate} and ${finalLearningRate}`,
  );
  const standardized = standardizer(train.features, 'linearProbe');
  const [count, dtype] = [train.features.shape[0]!, train.features.dtype];
  // Slots, so that a batch is gathered where it is computed with.
  const features = slot(standardized(train.features), 'features');
  const labels = slot({ dtype: 'i32', shape: [count], data: targets }, 'labels');

  const classifier = new Linear(width, classes.length, { key: seed, dtype });
  const parameters = classifier.parameters();
  const optimizer = new Adam(parameters, { learningRate, weightDecay });
  const step = compile((chosen: Tensor, rate: Tensor): Tensor => {
    const loss = crossEntropy(classifier.forward(take(features.value, chosen)), take(labels.value, chosen));
    optimizer.step(grad(loss, parameters), rate);
    return loss;
  });
  // NaN has no largest; −1 shows it.
  const predict = compile((x: Tensor): Tensor => {
    const logits = classifier.forward(x);
    return logits.max(1).isNaN().where(-1, logits.argmax(1));
  });
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const rate = tensor(learningRate * (finalLearningRate / learningRate) ** (epoch / epochs), { dtype });
      const order = permutation(count, seed, epoch);
      for (let start = 0; start < count; start += batchSize) {
        const loss = await step(tensor(order.subarray(start, start + batchSize)), rate);
        loss.dispose();
      }
      await onEpoch?.(epoch);
    }
    const predicted = await inChunks(standardized(test.features), batchSize, async (chunk) => {
      using classesOf = await predict(tensor(chunk));
      return await classesOf.data();
    });
    const places = predicted.flatMap((chunk) => [...chunk]);
    check(!places.includes(-1), 'argument', () => `linearProbe: the classifier diverged; choose a lower learningRate than ${learningRate}`);
    return score(places, classes, test);
  } finally {
    step.dispose();
    predict.dispose();
    for (const owner of [optimizer, classifier, features, labels]) owner.dispose();
  }
}

export interface NearestNeighboursOptions {
  /** 20, unless given, or as many as the bank has. */
  readonly k?: number;
  /** T of the weights exp(similarity/T); .07, unless given. */
  readonly temperature?: number;
}

export interface NearestNeighboursResult extends Classification {
  /** The votes [test samples, classes], where that of the nearest neighbour is 1. */
  readonly scores: Float64Array;
}

/** Similarities computed at once: at most so many numbers. */
const SIMILARITIES = 2 ** 22;

/**
 * k nearest neighbours by cosine: each of the k most similar training samples votes for its class with weight exp(similarity/T), here relative to
 * that of the nearest, so that no temperature overflows. (Z. Wu et al., CVPR 2018, §3.4; they and DINO use k = 200, T = .07 to .1)
 * A row of zeros, which has no direction, has similarity 0 with all.
 * @returns accuracy and predictions on the test set, and the votes. Of equal similarities the first in the bank counts as nearer, of equal votes the
 * least label.
 * @throws TensegrityError `shape`, `dtype`, `argument` for features and labels that do not fit, features that are not finite, or k outside 1 … n.
 */
export async function nearestNeighbours(
  train: LabelledFeatures,
  test: LabelledFeatures,
  given: NearestNeighboursOptions = {},
): Promise<NearestNeighboursResult> {
  const { k: wanted, temperature } = options('nearestNeighbours', given, { k: undefined, temperature: 0.07 });
  const { classes, targets } = checkSplits(train, test, 'nearestNeighbours');
  const count = train.features.shape[0]!;
  const k = wanted ?? Math.min(20, count);
  check(
    Number.isInteger(k) && k >= 1 && k <= count,
    'argument',
    () => `nearestNeighbours: k must be a whole number from 1 to ${count}, the size of the bank, got ${shown(k)}`,
  );
  check(temperature > 0, 'argument', () => `nearestNeighbours: temperature must be above 0, got ${temperature}`);
  // The bank is a slot, so that it stays where it is computed with.
  const bank = slot(unitRows(train.features), 'bank');
  const similar = compile((queries: Tensor): Tensor => queries.matmul(bank.value.transpose()));
  const chunk = Math.max(1, Math.floor(SIMILARITIES / count));
  const scores = new Float64Array(test.features.shape[0]! * classes.length);
  try {
    let row = 0;
    await inChunks(test.features, chunk, async (queries) => {
      using similarities = await similar(tensor(unitRows(queries)));
      const values = await similarities.data();
      for (let start = 0; start < values.length; start += count, row++) {
        const nearest = largest(values.subarray(start, start + count), k);
        const most = nearest.reduce((peak, i) => Math.max(peak, values[start + i]!), -Infinity);
        for (const i of nearest) scores[row * classes.length + targets[i]!]! += Math.exp((values[start + i]! - most) / temperature);
      }
    });
  } finally {
    similar.dispose();
    bank.dispose();
  }
  const predicted = Array.from({ length: test.features.shape[0]! }, (_, i) => {
    const votes = scores.subarray(i * classes.length, (i + 1) * classes.length);
    return votes.reduce((best, vote, at) => (vote > votes[best]! ? at : best), 0);
  });
  return { ...score(predicted, classes, test), scores };
}

/** Rows over their lengths; those of zeros as they are. Squares are of shares of a row's largest number, so that none is too large or too small. */
function unitRows({ dtype, shape, data }: HostArray): HostArray {
  const d = shape[1]!;
  const unit = dtypes[dtype].allocate(data.length);
  for (let start = 0; start < data.length; start += d) {
    let largest = 0;
    for (let j = 0; j < d; j++) largest = Math.max(largest, Math.abs(data[start + j]!));
    let squares = 0;
    for (let j = 0; j < d; j++) squares += (data[start + j]! / largest) ** 2;
    const length = Math.sqrt(squares);
    if (largest > 0) for (let j = 0; j < d; j++) unit[start + j] = data[start + j]! / largest / length;
  }
  return { dtype, shape, data: unit };
}

/** The positions of the k largest values; of equals, the first. A heap whose root is the least of those kept. */
function largest(values: ArrayLike<number>, k: number): Int32Array {
  const kept = new Int32Array(k);
  // Whether value i is to go before value j: it is smaller, or as large and further back.
  const worse = (i: number, j: number): boolean => values[i]! < values[j]! || (values[i]! === values[j]! && i > j);
  const sink = (from: number): void => {
    const moving = kept[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= k) break;
      if (child + 1 < k && worse(kept[child + 1]!, kept[child]!)) child++;
      if (!worse(kept[child]!, moving)) break;
      kept[at] = kept[child]!;
      at = child;
    }
    kept[at] = moving;
  };
  for (let i = 0; i < k; i++) kept[i] = i;
  for (let at = Math.floor(k / 2) - 1; at >= 0; at--) sink(at);
  for (let i = k; i < values.length; i++) {
    if (!(values[i]! > values[kept[0]!]!)) continue;
    kept[0] = i;
    sink(0);
  }
  return kept;
}
