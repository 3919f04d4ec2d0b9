import { checkNames, checkRecord, named, shown } from '../../engine/arguments.ts';
import { check, TensegrityError } from '../../engine/errors.ts';
import type { Slot } from '../../engine/slot.ts';
import { type AugmentationName, augmentations } from '../augment/index.ts';
import { type MethodName, methodNamed } from '../methods/index.ts';
import { type EncoderName, encoders, type ResNetOptions } from '../nn/networks.ts';
import type { Optimizer } from '../optim/optimizer.ts';
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
  /** The part of all steps during which the learning rate rises. */
  readonly warmup: number;
  readonly seed: number;
}

type Build = (parameters: readonly Slot[], options: { readonly learningRate: number; readonly weightDecay: number }) => Stepper;
/** What the trainer needs of an optimiser, whatever its hyperparameters. */
export type Stepper = Pick<Optimizer<unknown>, 'step' | 'namedSlots' | 'parameters' | 'dispose'>;

/** The optimisers by the name that the command uses. */
export const optimizers = {
  adam: (parameters, options) => new Adam(parameters, options),
  adamw: (parameters, options) => new AdamW(parameters, options),
  sgd: (parameters, options) => new SGD(parameters, { momentum: 0.9, ...options }),
  lars: (parameters, options) => new LARS(parameters, options),
} as const satisfies Record<string, Build>;

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
  warmup: 0,
  seed: 0,
};

/** The recipe of ssl-methods.md §7: what is not named is as there. */
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
    warmup: 0.1,
    seed: 0,
    ...given,
    methodOptions: { ...method.training, ...given.methodOptions },
  };
  checkConfig(config);
  return config;
}

/** @throws TensegrityError `argument` naming the field, its value and what would be right. */
export function checkConfig(config: TrainingConfig): void {
  checkNames('training', config, fields);
  checkRecord('methodOptions', config.methodOptions);
  methodNamed(config.method).configure(config.methodOptions);
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
}

function oneOf(field: string, name: unknown, table: object): void {
  if (typeof name !== 'string' || !Object.hasOwn(table, name))
    throw new TensegrityError('argument', `there is no ${field} ${shown(name)}; there are ${Object.keys(table).join(', ')}`);
}
