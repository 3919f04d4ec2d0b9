import { type TrainingConfig, trainingConfig } from 'tensegrity/models';
import {
  initialLevers,
  initialSetting,
  type LeverName,
  type LeverRange,
  type Levers,
  levers,
  methodNames,
  type Setting,
} from './protocol.ts';

/** How each method trains here: small enough that pictures move within seconds on two cores. */
const atSmallScale = {
  vicreg: { widths: [128, 32] },
  'barlow-twins': { widths: [128, 32] },
  'w-mse': { widths: [128, 16] },
  simclr: { widths: [128, 32] },
  simsiam: { widths: [128, 64] },
  byol: { widths: [128, 32] },
} as const satisfies { readonly [Name in Setting['method']]: Pick<TrainingConfig, 'widths'> };

/** Longer than anybody looks. */
const EPOCHS = 1e6;

const onOff = (on: boolean): 'on' | 'off' => (on ? 'on' : 'off');

/** What a plan is compiled for that the method's other settings say. */
const options: { readonly [Name in Setting['method']]: (setting: Setting, batchSize: number) => TrainingConfig['methodOptions'] } = {
  vicreg: ({ branches }) => ({ branches }),
  'barlow-twins': () => ({}),
  'w-mse': ({ whitening }, subBatch) => (whitening ? { subBatch, epsilon: 1e-4 } : { subBatch, whitening: 'none' }),
  simclr: () => ({}),
  simsiam: ({ stopGradient }) => ({ stopGradient: onOff(stopGradient) }),
  byol: ({ stopGradient }) => ({ stopGradient: onOff(stopGradient) }),
};

/** The run that a setting stands for, of images with labels or without. */
export function configOf(setting: Setting, { labelled }: { readonly labelled: boolean }): TrainingConfig {
  const { method, batchSize, seed } = setting;
  return trainingConfig({
    method,
    methodOptions: options[method](setting, batchSize),
    encoder: 'small-conv',
    augmentation: 'strong',
    epochs: EPOCHS,
    batchSize,
    weightDecay: 0,
    probe: onOff(labelled),
    seed,
    ...atSmallScale[method],
  });
}

/** What a setting cannot be trained with, as a sentence without its end; null where nothing is in the way. */
export function conflictIn({ method, whitening, batchSize }: Setting): string | null {
  const least = 2 * atSmallScale['w-mse'].widths.at(-1)!;
  if (method !== 'w-mse' || !whitening || batchSize >= least) return null;
  return `W-MSE whitens ${least / 2} dimensions, for which a batch of ${batchSize} images is too few; it takes ${least} at least`;
}

/** What tells one plan from another: settings that count for nothing with a method are none of it. */
export function planKey(setting: Setting): string {
  const { method, batchSize, seed } = setting;
  return JSON.stringify([method, options[method](setting, batchSize), batchSize, seed]);
}

/** The levers that a run takes, of those that there are. */
export function steeringOf(all: Levers, names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}

export function leverFault(name: string, value: unknown): string | null {
  if (!Object.hasOwn(levers, name)) return `there is no lever '${name}'`;
  const { least, most, scale }: LeverRange = levers[name as LeverName];
  const lowest = scale === 'logarithmicWithZero' ? 0 : least;
  if (typeof value === 'number' && value >= lowest && value <= most) return null;
  return `the lever ${name} goes from ${lowest} to ${most}, not to ${String(value)}`;
}

const rules: { readonly [Name in keyof Setting]: readonly [fits: (value: unknown) => boolean, words: string] } = {
  method: [(value) => methodNames.some((name) => name === value), `one of ${methodNames.join(', ')}`],
  branches: [(value) => value === 'shared' || value === 'separate', 'shared or separate'],
  stopGradient: [(value) => typeof value === 'boolean', 'true or false'],
  whitening: [(value) => typeof value === 'boolean', 'true or false'],
  batchSize: [(value) => Number.isInteger(value) && Number(value) >= 2 && Number(value) <= 1024, 'a whole number from 2 to 1024'],
  seed: [(value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31, 'a whole number from 0 to 2147483647'],
};

export function settingFault(name: string, value: unknown): string | null {
  if (!Object.hasOwn(rules, name)) return `there is no setting '${name}'`;
  const [fits, words] = rules[name as keyof Setting];
  return fits(value) ? null : `the setting ${name} must be ${words}, not ${String(value)}`;
}

/** A record of known names and fitting values, over others; or what is wrong with it. */
function merged<T extends object>(
  over: T,
  given: unknown,
  fault: (name: string, value: unknown) => string | null,
): { readonly value: T } | { readonly fault: string } {
  if (typeof given !== 'object' || given === null) return { fault: 'it is no record' };
  for (const [name, value] of Object.entries(given)) {
    const wrong = fault(name, value);
    if (wrong !== null) return { fault: wrong };
  }
  return { value: { ...over, ...given } };
}

export const withLevers = (given: unknown, over: Levers = initialLevers) => merged(over, given, leverFault);
export const withSetting = (given: unknown, over: Setting = initialSetting) => merged(over, given, settingFault);
