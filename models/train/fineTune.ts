import { compile, foldIn, grad, type HostArray, key, slot, type Tensor, take, tensor } from '../../engine/core.ts';
import { check, checkChoice, checkNumber, options, shown } from '../../engine/internal.ts';
import { type AugmentationName, augmentations } from '../augment/index.ts';
import { checkDataset, completeSplit, type ImageDataset, type ImageSplit, labelsIn, takeRows } from '../data/images.ts';
import { batchesPerEpoch, readyBatches } from '../data/loader.ts';
import { crossEntropy } from '../nn/functional.ts';
import { deriveKey } from '../nn/initialize.ts';
import { BatchNorm1d, Linear } from '../nn/layers.ts';
import { Sequential } from '../nn/module.ts';
import { Encoder } from '../nn/networks.ts';
import { readSlots, writeSlots } from '../nn/state.ts';
import { Adam } from '../optim/rules.ts';
import { warmupCosine } from '../optim/schedule.ts';
import { standardizeChannels, toUnit, unitRange, viewsOf } from './views.ts';

export interface FineTuneOptions {
  /** 20, unless given. */
  readonly epochs?: number;
  /** At least so many steps, and epochs accordingly; 0, unless given. */
  readonly leastSteps?: number;
  /** 64, unless given, or all images. */
  readonly batchSize?: number;
  /** Of the encoder, after the warm-up; 1e-3, unless given. */
  readonly learningRate?: number;
  /** Of the classifier; 1e-2, unless given. */
  readonly headLearningRate?: number;
  /** The part of all steps during which both rise; .1, unless given. Then half a cosine. */
  readonly warmup?: number;
  /** 0, unless given. */
  readonly weightDecay?: number;
  /** Its first view is what is trained on; the images as they are, unless given. */
  readonly augmentation?: AugmentationName;
  /** Draws the classifier, the order of the images and their views; 0, unless given. */
  readonly seed?: number;
  /** Awaited after each step, with how many there are, and what gives the state to go on from; what it throws ends the training. */
  readonly onStep?: (step: number, steps: number, state: () => Promise<FineTuneState>) => void | Promise<void>;
  /** A state of the same training, which goes on to the bits of one that was not stopped. */
  readonly from?: FineTuneState;
}

/** Where a training stands: weights, running statistics and moments by name. */
export interface FineTuneState {
  readonly step: number;
  readonly tensors: ReadonlyMap<string, HostArray>;
}

/** Test images that are classified at once. */
const CHUNK = 500;

/**
 * Trains an encoder together with a linear classifier of its features by cross-entropy, with Adam: fine-tuning from what it has learned without
 * labels, and supervised learning from the beginning where the encoder is a new one. Features come to the classifier standardised, as by a batch norm
 * without scale and shift, so that one rate fits encoders whatever the scale of their features.
 * (A. Bardes et al., ICLR 2022, §5.1 and C.2: 20 epochs, no weight decay, a higher rate for the classifier)
 * @param encoder is changed: give a copy to keep it.
 * @param dataset images and labels of both splits; the training split's are those that are learned from.
 * @returns the share of test images that it tells right.
 * @throws TensegrityError `argument` for a data set that is not labelled, or options out of their range.
 */
export async function fineTune(
  encoder: Encoder,
  dataset: ImageDataset,
  given: FineTuneOptions = {},
): Promise<{ readonly accuracy: number }> {
  const { epochs, leastSteps, batchSize, learningRate, headLearningRate, warmup, weightDecay, augmentation, seed, onStep, from } = options(
    'fineTune',
    given,
    {
      epochs: 20,
      leastSteps: 0,
      batchSize: 64,
      learningRate: 1e-3,
      headLearningRate: 1e-2,
      warmup: 0.1,
      weightDecay: 0,
      augmentation: undefined,
      seed: 0,
      onStep: undefined,
      from: undefined,
    },
  );
  check(encoder instanceof Encoder, 'argument', () => `fineTune: takes an Encoder, got ${shown(encoder)}`);
  checkDataset('fineTune', dataset);
  const { train, test } = dataset;
  check(train.labels && test?.labels, 'argument', () => 'fineTune: needs labels of training and test images');
  check(Number.isInteger(epochs) && epochs >= 1, 'argument', () => `fineTune: epochs must be a whole number ≥ 1, got ${epochs}`);
  checkNumber('fineTune: learningRate', learningRate, 0);
  checkNumber('fineTune: headLearningRate', headLearningRate, 0);
  checkNumber('fineTune: leastSteps', leastSteps, 0);
  const classes = labelsIn('fineTune', train.labels);
  const places = new Map(classes.map((label, at) => [label, at]));
  const count = train.images.shape[0]!;
  const size = Math.min(batchSize, count);
  const stepsPerEpoch = batchesPerEpoch(count, { batchSize: size });
  const rounds = Math.max(epochs, Math.ceil(leastSteps / stepsPerEpoch));
  const steps = rounds * stepsPerEpoch;

  const classifier = new Sequential([
    new BatchNorm1d(encoder.width, { affine: false }),
    new Linear(encoder.width, classes.length, { key: deriveKey(seed, 0) }),
  ]);
  const parameters = [encoder, classifier].map((module) => module.parameters());
  const optimizer = new Adam(
    parameters.map((own, i) => ({ parameters: own, learningRateScale: i === 0 ? 1 : headLearningRate / learningRate })),
    { learningRate, weightDecay },
  );
  const slots = [
    ...encoder.namedSlots('encoder.'),
    ...classifier.namedSlots('classifier.'),
    ...[...optimizer.namedSlots()].map(([name, own]) => [`optimizer.${name}`, own] as const),
  ];
  const targets = slot(
    { dtype: 'i32', shape: [count], data: Int32Array.from(train.labels.data, (label: number) => places.get(label)!) },
    'labels',
  );
  if (augmentation !== undefined) checkChoice('fineTune: augmentation', augmentation, Object.keys(augmentations));
  const views =
    augmentation === undefined ? null : viewsOf(augmentations[augmentation].slice(0, 1), { ...dataset, pixels: unitRange([train.images]) });
  const seen = (images: Tensor, step: Tensor): Tensor =>
    views?.([images], foldIn(foldIn(key(seed), 1), step))[0] ?? standardizeChannels(toUnit(images), dataset);
  const learn = compile((images: Tensor, indices: Tensor, step: Tensor, rate: Tensor): Tensor => {
    const logits = classifier.forward(encoder.forward(seen(images, step), { train: true }), { train: true });
    const loss = crossEntropy(logits, take(targets.value, indices));
    const learned = parameters.flat();
    optimizer.step(grad(loss, learned), rate);
    return loss;
  });
  const predict = compile(
    (images: Tensor): Tensor => classifier.forward(encoder.forward(standardizeChannels(toUnit(images), dataset))).argmax(1),
  );
  try {
    let step = 0;
    if (from !== undefined) {
      checkNumber('fineTune: the step', from.step, 0);
      check(from.step <= steps, 'format', () => `fineTune: the state is at step ${from.step}, and there are only ${steps}`);
      writeSlots(slots, from.tensors, 'fineTune');
      step = from.step;
    }
    while (step < steps) {
      const epoch = Math.floor(step / stepsPerEpoch);
      for await (const { images, indices } of readyBatches(train, { batchSize: size, seed }, epoch, step % stepsPerEpoch)) {
        const rate = warmupCosine(step, { base: learningRate, steps, warmup: warmup * steps });
        using _loss = await learn(tensor(images), tensor(indices), tensor(step, { dtype: 'i32' }), tensor(rate));
        step++;
        const done = step;
        await onStep?.(step, steps, async () => ({ step: done, tensors: await readSlots(slots) }));
      }
    }
    return { accuracy: await accuracyOf(predict, test, classes) };
  } finally {
    for (const owner of [learn, predict, optimizer, classifier, targets]) owner.dispose();
  }
}

async function accuracyOf(predict: (images: Tensor) => Promise<Tensor>, labelled: ImageSplit, classes: readonly number[]): Promise<number> {
  const { images, labels } = await completeSplit(labelled);
  const count = images.shape[0]!;
  let right = 0;
  for (let start = 0; start < count; start += CHUNK) {
    const rows = Array.from({ length: Math.min(CHUNK, count - start) }, (_, i) => start + i);
    using predicted = await predict(tensor(takeRows(images, rows)));
    const places = await predicted.data();
    rows.forEach((row, i) => {
      if (classes[places[i]!] === labels!.data[row]) right++;
    });
  }
  return right / count;
}
