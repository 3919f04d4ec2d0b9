import { TensegrityError } from '../../engine/core.ts';
import { check, checkNames, checkNumber, checkRecord, named, shown } from '../../engine/internal.ts';
import { type AugmentationName, augmentations } from '../augment/index.ts';
import { type MethodName, methodNamed } from '../methods/index.ts';
import type { LearnedGroup } from '../methods/learner.ts';
import { type EncoderName, encoders } from '../nn/encoders.ts';
import type { ResNetOptions } from '../nn/networks.ts';
import type { Optimizer, ParameterGroup } from '../optim/optimizer.ts';
import { Adam, AdamW, LARS, SGD } from '../optim/rules.ts';

/** Everything that a training run is a function of, as plain data: it is written into the run's folder. */
export interface TrainingConfig {
  readonly method: MethodName;
  /** The method's options that differ from its defaults. */
  readonly methodOptions: Readonly<Record<string, number | string>>;
  readonly encoder: EncoderName;
  readonly stem: NonNullable<ResNetOptions['stem']>;
  /** Widths of the head's layers after the encoder. */
  readonly widths: readonly number[];
  readonly augmentation: AugmentationName;
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerName;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** What weight decay pulls at: everything, or weights alone: not biases, nor the scales of norms. */
  readonly decay: 'all' | 'weights';
  /** Of `sgd` and `lars`. */
  readonly momentum: number;
  /** The norm that the gradients are scaled down to, all together; null: they are left as they are. */
  readonly clip: number | null;
  /** The part of all steps during which the learning rate rises. */
  readonly warmup: number;
  /** In how many parts of equal size a batch is computed, one after the other, for less memory. */
  readonly accumulate: number;
  /** Weight of VICReg's variance term of the embeddings, added to the method's loss. */
  readonly addVariance: number;
  /** And of its covariance term. */
  readonly addCovariance: number;
  /** Whether a linear classifier learns beside the encoder, from its features, without moving it. */
  readonly probe: 'on' | 'off';
  readonly seed: number;
}

interface OptimizerSettings {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly momentum: number;
}

type Groups = readonly ParameterGroup<{ readonly weightDecay: number }>[];

/** What the trainer needs of an optimiser, whatever its hyperparameters. */
export type Stepper = Pick<Optimizer<unknown>, 'step' | 'namedSlots' | 'parameters' | 'dispose'>;

/** The optimisers by the name that the command uses. */
export const optimizers = {
  adam: (groups, { momentum: _momentum, ...options }) => new Adam(groups, options),
  adamw: (groups, { momentum: _momentum, ...options }) => new AdamW(groups, options),
  sgd: (groups, options) => new SGD(groups, options),
  lars: (groups, options) => new LARS(groups, options),
} as const satisfies Record<string, (groups: Groups, settings: OptimizerSettings) => Stepper>;

/** The configuration's optimiser of what a learner learns. */
export function optimizerOf(config: TrainingConfig, learned: readonly LearnedGroup[]): Stepper {
  const { learningRate, weightDecay, momentum, decay } = config;
  // A vector is a bias, or the scale of a norm.
  const groups = learned.flatMap(({ parameters, rate, learns }) => {
    const group = (part: typeof parameters, own: number): Groups[number] => ({
      parameters: part,
      weightDecay: own,
      ...(rate !== undefined && { rate }),
      ...(learns !== undefined && { learns }),
    });
    if (decay === 'all') return [group(parameters, weightDecay)];
    const isWeight = ({ shape }: { readonly shape: readonly number[] }): boolean => shape.length > 1;
    return [
      group(parameters.filter(isWeight), weightDecay),
      group(
        parameters.filter((parameter) => !isWeight(parameter)),
        0,
      ),
    ];
  });
  return optimizers[config.optimizer](groups, { learningRate, weightDecay, momentum });
}

export type OptimizerName = keyof typeof optimizers;

const fields: Readonly<Record<keyof TrainingConfig, 0>> = {
  method: 0,
  methodOptions: 0,
  encoder: 0,
  stem: 0,
  widths: 0,
  augmentation: 0,
  epochs: 0,
  batchSize: 0,
  optimizer: 0,
  learningRate: 0,
  weightDecay: 0,
  decay: 0,
  momentum: 0,
  clip: 0,
  warmup: 0,
  accumulate: 0,
  addVariance: 0,
  addCovariance: 0,
  probe: 0,
  seed: 0,
};

/** Settings that runs of version 0.1.0 did not name, as they were then. */
const unnamed = {
  decay: 'all',
  momentum: 0.9,
  clip: null,
  accumulate: 1,
  addVariance: 0,
  addCovariance: 0,
  probe: 'off',
} as const;

/** A configuration as a run wrote it, in its order, and what its version did not name yet. */
export function completed(config: TrainingConfig): TrainingConfig {
  return { ...config, ...unnamed, ...config };
}

/** Settings that were chosen together, by name; what is given beside them goes before. */
export const recipes = {
  /** The reference recipe, or what the method has in its place. */
  reference: {},
  /** For ten thousand small images and a minute or two: chosen for the embedded ones. (docs/results/main-job.md) */
  'small-data': {
    method: 'vicreg',
    encoder: 'small-conv4',
    augmentation: 'strong',
    epochs: 7,
    batchSize: 128,
    learningRate: 3e-3,
  },
} as const satisfies Record<string, Partial<TrainingConfig>>;

export type RecipeName = keyof typeof recipes;

/** A configuration with the method's values at small scale for what is not named, and else the reference recipe's: see docs/models.md. */
export function trainingConfig(given: Partial<TrainingConfig> = {}): TrainingConfig {
  checkNames('trainingConfig', given, fields);
  const method = methodNamed(given.method ?? 'vicreg');
  const config: TrainingConfig = {
    method: 'vicreg',
    encoder: 'small-conv',
    stem: 'cifar',
    widths: method.widths,
    augmentation: 'reference',
    epochs: 5,
    batchSize: 256,
    optimizer: 'adam',
    learningRate: 1e-3,
    weightDecay: 1e-6,
    ...unnamed,
    warmup: 0.1,
    seed: 0,
    ...method.training,
    ...given,
    methodOptions: { ...method.training.methodOptions, ...given.methodOptions },
  };
  checkConfig(config);
  return config;
}

/** @throws TensegrityError `argument` naming the field, its value and what would be right. */
export function checkConfig(config: TrainingConfig): void {
  checkNames('training', config, fields);
  checkRecord('methodOptions', config.methodOptions);
  methodNamed(config.method).checkOptions(config.methodOptions);
  oneOf('encoder', config.encoder, encoders);
  oneOf('stem', config.stem, { imagenet: 0, cifar: 0 } satisfies Record<TrainingConfig['stem'], 0>);
  oneOf('optimizer', config.optimizer, optimizers);
  oneOf('augmentation', config.augmentation, augmentations);
  const whole = { epochs: 1, batchSize: 2, seed: 0 } as const;
  for (const [name, least] of Object.entries(whole) as [keyof typeof whole, number][]) {
    check(
      Number.isSafeInteger(config[name]) && config[name] >= least,
      'argument',
      () => `${name} must be a whole number ≥ ${least}, got ${shown(config[name])}`,
    );
  }
  const { learningRate, weightDecay, warmup, widths } = config;
  check(Number.isFinite(learningRate) && learningRate > 0, 'argument', () => `learningRate must be above 0, got ${shown(learningRate)}`);
  check(Number.isFinite(weightDecay) && weightDecay >= 0, 'argument', () => `weightDecay must be ≥ 0, got ${shown(weightDecay)}`);
  check(
    Number.isFinite(warmup) && warmup >= 0 && warmup <= 1,
    'argument',
    () => `warmup is a part of all steps, from 0 to 1; got ${shown(warmup)}`,
  );
  check(
    Array.isArray(widths) && widths.length >= 1 && widths.every((width) => Number.isSafeInteger(width) && width >= 1),
    'argument',
    () => `widths must be whole numbers ≥ 1, as 256-256-256; got ${Array.isArray(widths) ? named(JSON.stringify(widths)) : shown(widths)}`,
  );
  oneOf('decay', config.decay, { all: 0, weights: 0 } satisfies Record<TrainingConfig['decay'], 0>);
  checkNumber('momentum', config.momentum, 0, 1);
  checkNumber('addVariance', config.addVariance, 0);
  checkNumber('addCovariance', config.addCovariance, 0);
  oneOf('probe', config.probe, { on: 0, off: 0 } satisfies Record<TrainingConfig['probe'], 0>);
  const { batchSize, accumulate } = config;
  check(
    Number.isSafeInteger(accumulate) && accumulate >= 1 && batchSize % accumulate === 0 && batchSize / accumulate >= 2,
    'argument',
    () => `accumulate must be a whole number that divides the batch of ${batchSize} into parts of 2 at least, got ${shown(accumulate)}`,
  );
  if (config.clip !== null) checkNumber('clip', config.clip, 0);
}

function oneOf(field: string, name: unknown, table: object): void {
  if (typeof name !== 'string' || !Object.hasOwn(table, name))
    throw new TensegrityError('argument', `there is no ${field} ${shown(name)}; there are ${Object.keys(table).join(', ')}`);
}
