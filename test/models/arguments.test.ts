/** Bad calls of the models get typed errors: options that are unknown or not finite, and what only plain JavaScript can pass. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Slot, slot, TensegrityError, useBackend, zeros } from '../../engine/index.ts';
import * as models from '../../models/index.ts';
import { expectTyped } from '../support/misuse.ts';
import { gaussian, normalMatrix } from './support.ts';

const z = normalMatrix(1, 12, 3);
const host = gaussian(1, [12, 3]);
const labels = { dtype: 'i32', shape: [12], data: Int32Array.from({ length: 12 }, (_, i) => i % 2) } as const;
const labelled = { features: host, labels };
const images = { dtype: 'u8', shape: [4, 1, 8, 8], data: new Uint8Array(256) } as const;
const own = { key: 1 };
const parameters = (): Slot[] => [slot(gaussian(1, [2, 2]), 'w')];
const layer = new models.BatchNorm1d(3, { dtype: 'f64' });

type Options = Record<string, unknown>;
/** What takes options: a call with right ones and `more`, and the name of a number among them, if there is one. */
const takers: Readonly<Record<string, readonly [(more: Options) => unknown, number?: string]>> = {
  vicreg: [(more) => models.vicreg(z, z, more), 'variance'],
  barlowTwins: [(more) => models.barlowTwins(z, z, more), 'scale'],
  wmse: [(more) => models.wmse(z, z, more), 'epsilon'],
  'the method vicreg': [(more) => models.methods.vicreg.configure(more), 'gamma'],
  Linear: [(more) => new models.Linear(2, 2, { ...own, ...more })],
  Conv2d: [(more) => new models.Conv2d(2, 2, 3, { ...own, ...more }), 'groups'],
  BatchNorm1d: [(more) => new models.BatchNorm1d(2, more), 'momentum'],
  BatchNorm2d: [(more) => new models.BatchNorm2d(2, more), 'epsilon'],
  'the mode of BatchNorm1d': [(more) => layer.forward(z, more)],
  LayerNorm: [(more) => new models.LayerNorm(2, more), 'epsilon'],
  MLP: [(more) => new models.MLP([2, 2], { ...own, ...more })],
  Expander: [(more) => new models.Expander(2, [2, 2], { ...own, ...more })],
  SmallConvNet: [(more) => new models.SmallConvNet({ ...own, ...more }), 'inputs'],
  ResNet: [(more) => new models.ResNet('resnet18', { ...own, ...more }), 'inputs'],
  SGD: [(more) => new models.SGD(parameters(), { learningRate: 1, ...more }), 'learningRate'],
  Adam: [(more) => new models.Adam(parameters(), { learningRate: 1, ...more }), 'epsilon'],
  AdamW: [(more) => new models.AdamW(parameters(), { learningRate: 1, ...more }), 'weightDecay'],
  LARS: [(more) => new models.LARS(parameters(), { learningRate: 1, ...more }), 'trust'],
  'a group of SGD': [(more) => new models.SGD([{ parameters: parameters(), ...more }], { learningRate: 1 }), 'learningRateScale'],
  warmupCosine: [(more) => models.warmupCosine(1, { base: 1, steps: 9, ...more }), 'base'],
  targetMomentum: [(more) => models.targetMomentum(1, { start: 0.5, steps: 9, ...more }), 'start'],
  dropout: [(more) => models.functional.dropout(z, { p: 0.5, key: 1, ...more }), 'p'],
  crossEntropy: [(more) => models.functional.crossEntropy(z, zeros([12], 'i32'), more), 'labelSmoothing'],
  batches: [(more) => [...models.batches({ images }, { batchSize: 2, ...more }, 0)], 'seed'],
  linearProbe: [(more) => models.linearProbe(labelled, labelled, { epochs: 1, ...more }), 'weightDecay'],
  nearestNeighbours: [(more) => models.nearestNeighbours(labelled, labelled, { k: 2, ...more }), 'temperature'],
  collapseMetrics: [(more) => models.collapseMetrics(host, more), 'pairs'],
  rankMe: [(more) => models.rankMe(host, more), 'epsilon'],
  alphaReQ: [(more) => models.alphaReQ(host, more), 'from'],
  lidar: [(more) => models.lidar(gaussian(1, [6, 2, 3]), more), 'delta'],
  augmentation: [(more) => models.augmentation({ flip: 0.5, ...more }), 'grey'],
  'the jitter of augmentation': [(more) => models.augmentation({ jitter: { p: 1, ...more } }), 'hue'],
  trainingConfig: [(more) => models.trainingConfig(more), 'learningRate'],
  loadStateDict: [(more) => layer.loadStateDict({}, { strict: false, ...more })],
};

async function errorOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return null;
}

beforeAll(async () => {
  await useBackend('cpu');
});

describe('options', () => {
  it.each(Object.entries(takers))('of %s are known', async (_, [take]) => {
    expect(await errorOf(() => take({}))).toBeNull();
    const error = await errorOf(() => take({ varianze: 1 }));
    expect(error).toBeInstanceOf(TensegrityError);
    expect(error).toMatchObject({ code: 'argument', message: expect.stringMatching(/no option 'varianze'; there are \w+/) });
  });

  const counted = Object.entries(takers).flatMap(([name, [take, number]]) => (number === undefined ? [] : [[name, number, take] as const]));
  it.each(counted)('of %s are finite: %s', async (_, number, take) => {
    for (const value of [Number.NaN, -Infinity, 'x']) {
      const error = await errorOf(() => take({ [number]: value }));
      expect(error).toBeInstanceOf(TensegrityError);
      expect((error as TensegrityError).message).toMatch(new RegExp(`${number}.*(NaN|-Infinity|x)`));
    }
  });
});

describe('plain JavaScript', () => {
  const functions: Readonly<Record<string, readonly unknown[]>> = {
    vicreg: [z, z, {}],
    barlowTwins: [z, z, {}],
    wmse: [z, z, {}],
    moveAverage: [[], [], 0.5],
    warmupCosine: [1, { base: 1, steps: 9 }],
    targetMomentum: [1, { start: 0.5, steps: 9 }],
    trainingConfig: [{}],
    augmentation: [{}],
    deriveKey: [1, 2],
    methodNamed: ['vicreg'],
    channelStatistics: [images],
    normalizeImages: [images],
    takeRows: [host, [1, 2]],
    takeSplit: [{ images }, [1]],
    batches: [{ images }, { batchSize: 2 }, 0, 0],
    batchesPerEpoch: [4, { batchSize: 2 }],
    balancedSubset: [labels, 0.5, 1],
    singularValues: [host, {}],
    rankMe: [host, {}],
    effectiveRank: [host],
    covarianceSpectrum: [host],
    alphaReQ: [host, {}],
    lidar: [gaussian(1, [6, 2, 3]), {}],
    linearProbe: [labelled, labelled, { epochs: 1 }],
    nearestNeighbours: [labelled, labelled, { k: 2 }],
    collapseMetrics: [host, {}],
    serializeNpy: [host],
    parseNpy: [models.serializeNpy(host)],
    parseIdx: [new Uint8Array(4)],
    inflateIdx: [new Uint8Array(4)],
    parseCifar: [[new Uint8Array(3073)], 'cifar10'],
    parseSafetensors: [new Uint8Array(4)],
  };
  it.each(Object.entries(functions))('calls %s', (name, right) => {
    const target = (models as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => target(...args), right);
  });

  const classes: Readonly<Record<string, readonly unknown[]>> = {
    Linear: [2, 2, own],
    Conv2d: [2, 2, 3, own],
    BatchNorm1d: [2, {}],
    LayerNorm: [2, {}],
    MLP: [[2, 2], own],
    Expander: [2, [2, 2], own],
    SmallConvNet: [own],
    SGD: [parameters(), { learningRate: 1 }],
    Adam: [parameters(), { learningRate: 1 }],
    LARS: [parameters(), { learningRate: 1 }],
  };
  it.each(Object.entries(classes))('makes a %s', (name, right) => {
    const Target = (models as unknown as Record<string, new (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => new Target(...args), right);
  });
});
