/** Bad calls of the models get typed errors: options that are unknown or not finite, and what only plain JavaScript can pass. */
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, type Slot, slot, TensegrityError, type Tensor, useBackend, zeros } from '../../engine/index.ts';
import * as models from '../../models/index.ts';
import { errorOf, expectTyped } from '../support/misuse.ts';
import { gaussian, normalMatrix } from './support.ts';

const z = normalMatrix(1, 12, 3);
const centre = normalMatrix(2, 1, 3).flatten();
const host = gaussian(1, [12, 3]);
const moments = { mean: zeros([3], 'f64'), covariance: eye(3, 'f64') };
const labels = { dtype: 'i32', shape: [12], data: Int32Array.from({ length: 12 }, (_, i) => i % 2) } as const;
const labelled = { features: host, labels };
const images = { dtype: 'u8', shape: [4, 1, 8, 8], data: new Uint8Array(256) } as const;
const own = { key: 1 };
const scale = { mean: [0], deviation: [1] };
const split = { images, labels: { dtype: 'i32', shape: [4], data: Int32Array.of(0, 1, 0, 1) } } as const;
const dataset = { name: 'noise', train: split, test: split, classes: ['a', 'b'], ...scale };
const trainer = new models.Trainer(models.trainingConfig({ batchSize: 2, widths: [2] }), dataset);
const steered = new models.Trainer(trainer.config, dataset, { steered: true });
/** An update that does nothing. */
const rule: models.UpdateRule<{ readonly decay: number }> = {
  defaults: { decay: 0 },
  moments: () => [],
  update: ({ parameter }) => ({ parameter }),
};

/** The least encoder. */
class Pixels extends models.Encoder {
  override readonly width = 1;
  override featureMap(x: Tensor): Tensor {
    return x;
  }
}
const parameters = (): Slot[] => [slot(gaussian(1, [2, 2]), 'w')];
const layer = new models.BatchNorm1d(3, { dtype: 'f64' });

type Options = Record<string, unknown>;
/** What takes options: a call with right ones and `more`, and the name of a number among them, if there is one. */
const takers: Readonly<Record<string, readonly [(more: Options) => unknown, number?: string]>> = {
  vicreg: [(more) => models.vicreg(z, z, more), 'variance'],
  barlowTwins: [(more) => models.barlowTwins(z, z, more), 'scale'],
  wmse: [(more) => models.wmse(z, z, more), 'epsilon'],
  simclr: [(more) => models.simclr(z, z, more), 'temperature'],
  swav: [(more) => models.swav([z, z], z, more), 'temperature'],
  deepCluster: [(more) => models.deepCluster(z, z, zeros([12], 'i32'), more), 'temperature'],
  sinkhorn: [(more) => models.sinkhorn(z, more), 'epsilon'],
  sphericalKMeans: [(more) => models.sphericalKMeans(z, 2, more), 'iterations'],
  simsiam: [(more) => models.simsiam([z, z], [z, z], more), 'stopGradient'],
  moco: [(more) => models.moco(z, z, z, more), 'temperature'],
  dino: [(more) => models.dino([z, z], [z, z], centre, more), 'studentTemperature'],
  dinoCentre: [(more) => models.dinoCentre(centre, [z], more), 'momentum'],
  lejepa: [(more) => models.lejepa([z, z], more), 'sigreg'],
  visreg: [(more) => models.visreg([z, z], { slices: 8, ...more }), 'offset'],
  vibcreg: [(more) => models.vibcreg(z, z, more), 'covariance'],
  vicregl: [(more) => models.vicregl([z, z], more), 'globals'],
  tico: [(more) => models.tico(z, z, moments.covariance, more), 'contrast'],
  mmcr: [(more) => models.mmcr([z, z], more), 'local'],
  empssl: [(more) => models.empssl([z, z], more), 'similarity'],
  frossl: [(more) => models.frossl([z, z], more), 'invariance'],
  intl: [(more) => models.intl([z, z], more), 'iterations'],
  alignmentUniformity: [(more) => models.alignmentUniformity(z, z, more), 't'],
  corInfoMax: [(more) => models.corInfoMax(z, z, [moments, moments], more), 'epsilon'],
  sigreg: [(more) => models.sigreg(z, more), 'reach'],
  crossCorrelation: [(more) => models.crossCorrelation(z, z, more), 'epsilon'],
  variance: [(more) => models.variance(z, more), 'gamma'],
  choleskyWhitening: [(more) => models.choleskyWhitening(z, more), 'epsilon'],
  zcaWhitening: [(more) => models.zcaWhitening(z, more), 'epsilon'],
  iterativeWhitening: [(more) => models.iterativeWhitening(z, more), 'iterations'],
  'the method vicreg': [(more) => models.methods.vicreg.configure(more), 'gamma'],
  Linear: [(more) => new models.Linear(2, 2, { ...own, ...more })],
  Conv2d: [(more) => new models.Conv2d(2, 2, 3, { ...own, ...more }), 'groups'],
  BatchNorm1d: [(more) => new models.BatchNorm1d(2, more), 'momentum'],
  BatchNorm2d: [(more) => new models.BatchNorm2d(2, more), 'epsilon'],
  'the mode of BatchNorm1d': [(more) => layer.forward(z, more)],
  IterNorm: [(more) => new models.IterNorm(2, more), 'groups'],
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
  readyBatches: [(more) => models.readyBatches({ images }, { batchSize: 2, ...more }, 0).next(), 'seed'],
  linearProbe: [(more) => models.linearProbe(labelled, labelled, { epochs: 1, ...more }), 'weightDecay'],
  crossValidatedProbe: [(more) => models.crossValidatedProbe(labelled, labelled, { weightDecays: [1], folds: 2, ...more }), 'folds'],
  fineTune: [(more) => models.fineTune(new Pixels(), dataset, { epochs: 1, ...more }), 'learningRate'],
  nearestNeighbours: [(more) => models.nearestNeighbours(labelled, labelled, { k: 2, ...more }), 'temperature'],
  ridgeProbe: [(more) => models.ridgeProbe(labelled, labelled, more)],
  fewLabels: [(more) => models.fewLabels(labelled, labelled, { fraction: 0.5, draws: 1, ...more }), 'fraction'],
  collapseMetrics: [(more) => models.collapseMetrics(host, more), 'pairs'],
  rankMe: [(more) => models.rankMe(host, more), 'epsilon'],
  alphaReQ: [(more) => models.alphaReQ(host, more), 'from'],
  lidar: [(more) => models.lidar(gaussian(1, [6, 2, 3]), more), 'delta'],
  augmentation: [(more) => models.augmentation({ flip: 0.5, ...more }), 'grey'],
  'the jitter of augmentation': [(more) => models.augmentation({ jitter: { p: 1, ...more } }), 'hue'],
  trainingConfig: [(more) => models.trainingConfig(more), 'learningRate'],
  batchesPerEpoch: [(more) => models.batchesPerEpoch(4, { batchSize: 2, ...more }), 'batchSize'],
  singularValues: [(more) => models.singularValues(host, more)],
  'the batch normalisation': [
    (more) => models.functional.batchNorm(z, { axes: [0], weight: null, bias: null, epsilon: 1e-5, ...more }),
    'epsilon',
  ],
  'the mode of a Sequential': [(more) => new models.Sequential([layer]).forward(z, more)],
  loadStateDict: [(more) => layer.loadStateDict({}, { strict: false, ...more })],
};

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

const square = z.transpose().matmul(z);
/** Values that are of the wrong type, or outside their range: a call, and what its error says. */
const wrong: Readonly<Record<string, readonly [() => unknown, ...string[]]>> = {
  'null for options': [() => models.variance(z, null as never), 'variance', 'gamma, epsilon', 'null'],
  'a misspelt option': [() => models.variance(z, { gama: 1 } as never), 'variance', "no option 'gama'"],
  'a shrinkage': [() => models.zcaWhitening(z, { shrinkage: 'x' } as never), 'zcaWhitening: shrinkage', "'x'", 'convex, additive'],
  'a correction': [() => models.choleskyWhitening(z, { correction: 2 } as never), 'correction', '0 or 1', '2'],
  'a negative epsilon': [() => models.iterativeWhitening(z, { epsilon: -1 }), 'iterativeWhitening: epsilon', 'from 0 to 1', '-1'],
  'no square': [() => models.offDiagonal(z), 'offDiagonal', '[12, 3]'],
  'no flag: affine': [() => new models.BatchNorm1d(2, { affine: 'no' } as never), 'BatchNorm1d: affine', 'boolean', "'no'"],
  'no flag: bias': [() => new models.Linear(2, 2, { ...own, bias: 0 } as never), 'Linear: bias', 'boolean', '0'],
  'no flag: train': [() => layer.forward(z, { train: 1 } as never), 'train', 'boolean', '1'],
  'no flag: nesterov': [() => new models.SGD(parameters(), { learningRate: 1, nesterov: 'no' } as never), 'nesterov', 'boolean'],
  'no flag: shuffle': [() => [...models.batches({ images }, { batchSize: 2, shuffle: 0 } as never, 0)], 'shuffle', 'boolean', '0'],
  'no flag: strict': [() => layer.loadStateDict({}, { strict: 'no' } as never), 'strict', 'boolean', "'no'"],
  'no flag: centred': [() => models.rankMe(host, { centred: 1 } as never), 'centred', 'boolean', '1'],
  'no element type': [() => new models.BatchNorm1d(2, { dtype: 'f16' } as never), "'f16'", 'f32, f64'],
  'no element type of weights': [() => new models.Linear(2, 2, { ...own, dtype: 'f16' } as never), "'f16'", 'f32, f64'],
  'no list of betas': [() => new models.Adam(parameters(), { learningRate: 1, betas: {} } as never), 'betas', 'an array', 'an object'],
  'no array in a state': [() => layer.loadStateDict({ weight: 3 } as never), 'weight', '3'],
  'a network that is none': [() => new models.ResNet('resnet19' as never, own), 'ResNet', "'resnet19'", 'resnet18, resnet34'],
  'a network of no options': [() => new models.ResNet('resnet18', null as never), 'ResNet', 'null', 'stem'],
  'a layer that is none': [() => new models.Sequential([3] as never), 'Sequential', 'Module or a function', '3'],
  'a blur without its sigma': [() => models.augmentation({ blur: { p: 0.5 } } as never), 'blur sigma', '0 < low ≤ high', 'undefined'],
  'a jitter without its probability': [() => models.augmentation({ jitter: { hue: 0.1 } } as never), 'probability of jitter', 'undefined'],
  'a probability in quotes': [() => models.augmentation({ flip: '0.5' } as never), 'probability of flip', 'from 0 to 1', "'0.5'"],
  'a threshold': [() => models.augmentation({ solarise: { p: 1, threshold: 2 } }), 'solarise threshold', 'from 0 to 1', '2'],
  'an exponent': [() => models.alignment(z, z, Number.NaN), 'exponent', 'finite', 'NaN'],
  'a data set without means': [() => models.scorePixels({ ...dataset, mean: [] }), 'scorePixels', '1 channels', 'means'],
  'an encoder that is none': [() => models.features(layer as never, images, scale), 'features', 'an Encoder', 'a Module'],
};

describe('values', () => {
  it.each(Object.entries(wrong))('%s', async (_, [call, ...saying]) => {
    const error = await errorOf(call);
    expect(error).toBeInstanceOf(TensegrityError);
    for (const part of saying) expect((error as TensegrityError).message).toContain(part);
  });
});

describe('plain JavaScript', () => {
  const functions: Readonly<Record<string, readonly unknown[]>> = {
    vicreg: [z, z, {}],
    barlowTwins: [z, z, {}],
    wmse: [z, z, {}],
    simclr: [z, z, {}],
    simsiam: [[z, z], [z, z], {}],
    byol: [
      [z, z],
      [z, z],
    ],
    moco: [z, z, z, {}],
    dino: [[z, z], [z, z], centre, {}],
    dinoCentre: [centre, [z], {}],
    swav: [[z, z], z, {}],
    deepCluster: [z, z, zeros([12], 'i32'), {}],
    sinkhorn: [z, {}],
    sphericalKMeans: [z, 2, {}],
    lejepa: [[z, z], {}],
    visreg: [[z, z], { slices: 8 }],
    vibcreg: [z, z, {}],
    vicregl: [[z, z], {}],
    tico: [z, z, eye(3, 'f64'), {}],
    ticoCovariance: [z, eye(3, 'f64'), 0.9],
    mmcr: [[z, z], {}],
    empssl: [[z, z], {}],
    codingRate: [z, 0.2],
    frossl: [[z, z], {}],
    intl: [[z, z], {}],
    alignmentUniformity: [z, z, {}],
    corInfoMax: [z, z, [moments, moments], {}],
    runningMoments: [z, moments, 0.01],
    clipByNorm: [[z], 1],
    moveAverage: [[], [], 0.5],
    warmupCosine: [1, { base: 1, steps: 9 }],
    targetMomentum: [1, { start: 0.5, steps: 9 }],
    trainingConfig: [{}],
    augmentation: [{}],
    leftOut: [{ grey: 0.5 }, 4],
    deriveKey: [1, 2],
    methodNamed: ['vicreg'],
    channelStatistics: [images, [0, 2]],
    normalizeImages: [images],
    takeRows: [host, [1, 2]],
    takeSplit: [{ images }, [1]],
    batches: [{ images }, { batchSize: 2 }, 0, 0],
    readyBatches: [{ images }, { batchSize: 2 }, 0, 0],
    completeSplit: [{ images }],
    completeDataset: [dataset],
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
    crossValidatedProbe: [labelled, labelled, { weightDecays: [1], folds: 2 }],
    fineTune: [new Pixels(), dataset, { epochs: 1 }],
    ridgeProbe: [labelled, labelled, {}],
    fewLabels: [labelled, labelled, { fraction: 0.5, draws: 1 }],
    collapseMetrics: [host, {}],
    serializeNpy: [host],
    checkpointBytes: [{ tensors: new Map(), step: 0, epoch: 0, batch: 0, key: [], config: {}, metrics: [] }, () => '0'.repeat(64)],
    checkpointIn: [new Uint8Array(4), () => ''],
    parseNpy: [models.serializeNpy(host)],
    parseIdx: [new Uint8Array(4)],
    inflateIdx: [new Uint8Array(4)],
    parseCifar: [[new Uint8Array(3073)], 'cifar10'],
    parseSafetensors: [new Uint8Array(4)],
    serializeSafetensors: [{ tensors: { w: host } }],
    prefetch: [[1, 2]],
    alignment: [z, z, 2],
    uniformity: [z, 2],
    embeddingDeviation: [z],
    normalizedDeviation: [z],
    meanOffDiagonalCorrelation: [z],
    kaimingUniform: [[2, 2], { input: 2, output: 2 }, own],
    kaimingNormal: [[2, 2], { input: 2, output: 2 }, own],
    normal: [0.02],
    prefixesOf: [{ w: host }, ['w']],
    readSlots: [[['w', parameters()[0]]]],
    writeSlots: [[['w', parameters()[0]]], { w: gaussian(1, [2, 2]) }, 'w', {}],
    crossCorrelation: [z, z, {}],
    covariance: [z],
    invariance: [z, z],
    invarianceToMean: [[z, z], 2],
    sigreg: [z, {}],
    variance: [z, {}],
    centre: [z],
    covarianceMatrix: [z],
    offDiagonal: [square],
    choleskyWhitening: [z, {}],
    zcaWhitening: [z, {}],
    iterativeWhitening: [z, {}],
    inverseSquareRoot: [square],
    logDeterminant: [square],
    nuclearNorm: [z],
    diagnose: [{ loss: 1, deviation: 1, correlation: 0 }],
    features: [new Pixels(), images, scale],
    scoreEncoder: [new Pixels(), dataset, {}],
    scorePixels: [dataset, {}],
    dashboard: [new Pixels(), dataset, { augmentation: 'reference', seed: 0 }, {}],
  };
  it.each(Object.entries(functions))('calls %s', (name, right) => {
    const target = (models as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => target(...args), right);
  });

  const functional: Readonly<Record<string, readonly unknown[]>> = {
    ...Object.fromEntries(['relu', 'gelu', 'silu', 'softplus'].map((name) => [name, [z]])),
    leakyRelu: [z, 0.1],
    elu: [z, 1],
    dropout: [z, { p: 0.5, key: 1 }],
    linear: [z, zeros([2, 3], 'f64'), zeros([2], 'f64')],
    scaledDotProductAttention: [z, z, z],
    normalize: [z, -1, 1e-12],
    cosineSimilarity: [z, z, 1e-12],
    meanSquaredError: [z, z],
    standardize: [z, 0, 1e-5],
    batchNorm: [z, { axes: [0], weight: null, bias: null, epsilon: 1e-5 }],
    crossEntropy: [z, zeros([12], 'i32'), {}],
  };
  it.each(Object.entries(functional))('calls functional.%s', (name, right) => {
    const target = (models.functional as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => target(...args), right);
  });

  const classes: Readonly<Record<string, readonly unknown[]>> = {
    Linear: [2, 2, own],
    Conv2d: [2, 2, 3, own],
    BatchNorm1d: [2, {}],
    BatchNorm2d: [2, {}],
    IterNorm: [2, {}],
    LayerNorm: [2, {}],
    Sequential: [[layer]],
    Parameter: [gaussian(1, [2, 2]), 'w'],
    MLP: [[2, 2], own],
    Expander: [2, [2, 2], own],
    SmallConvNet: [own],
    VisionTransformer: [{ width: 4, depth: 1, heads: 1 }, own],
    SGD: [parameters(), { learningRate: 1 }],
    Adam: [parameters(), { learningRate: 1 }],
    AdamW: [parameters(), { learningRate: 1 }],
    LARS: [parameters(), { learningRate: 1 }],
    Optimizer: [rule, parameters(), { learningRate: 1 }],
    Trainer: [models.trainingConfig({ batchSize: 2, widths: [2] }), dataset],
  };
  /** Those to be extended; and one that takes a second to make, whose name and options others try. */
  const elsewhere = ['Encoder', 'Learner', 'Module', 'ResNet'];
  it.each(Object.entries(classes))('makes a %s', (name, right) => {
    const Target = (models as unknown as Record<string, new (...args: readonly unknown[]) => unknown>)[name]!;
    return expectTyped(name, (args) => new Target(...args), right);
  });

  const sequential = new models.Sequential([layer]);
  const small = new models.SmallConvNet(own);
  // Its millions of weights take a second to draw.
  const residual = new models.ResNet('resnet18', own);
  const optimizer = new models.SGD([slot(gaussian(1, [2, 2]), 'w')], { learningRate: 1 });
  const methods: Readonly<Record<string, readonly [(...args: readonly never[]) => unknown, readonly unknown[]]>> = {
    'Linear.forward': [(x) => new models.Linear(3, 2, { ...own, dtype: 'f64' }).forward(x), [z]],
    'Conv2d.forward': [(x) => new models.Conv2d(1, 2, 3, own).forward(x), [zeros([2, 1, 5, 5])]],
    'BatchNorm1d.forward': [(x, mode) => layer.forward(x, mode), [z, { train: true }]],
    'IterNorm.forward': [(x, mode) => new models.IterNorm(3, { dtype: 'f64' }).forward(x, mode), [z, { train: true }]],
    'LayerNorm.forward': [(x) => new models.LayerNorm(3, { dtype: 'f64' }).forward(x), [z]],
    'Sequential.forward': [(x, mode) => sequential.forward(x, mode), [z, { train: true, key: 1 }]],
    'SmallConvNet.forward': [(x, mode) => small.forward(x, mode), [zeros([2, 1, 8, 8]), {}]],
    'ResNet.forward': [(x, mode) => residual.forward(x, mode), [zeros([2, 3, 32, 32]), {}]],
    loadStateDict: [(state, given) => layer.loadStateDict(state, given), [{}, { strict: false }]],
    'the step of an optimizer': [(gradients, rate) => optimizer.step(gradients, rate), [[zeros([2, 2], 'f64')], 0.1]],
    'a method': [(given) => models.methods.vicreg.configure(given), [{}]],
    'a loss': [(za, zb, key) => models.methods['w-mse'].configure({ subBatch: 6 })(za, zb, key), [z, z, 1]],
    'an augmentation': [(x, key, strength) => models.augmentation({ flip: 0.5 })(x, key, strength), [zeros([2, 1, 8, 8]), 1, 0.5]],
    'an encoder': [(given) => models.encoders['small-conv'](given), [own]],
    'a Trainer’s steer': [(changes) => steered.steer(changes), [{ variance: 1 }]],
    'a Trainer’s restore': [(state) => trainer.restore(state), [{ step: 0, tensors: {} }]],
  };
  it.each(Object.entries(methods))('calls %s', (name, [call, right]) =>
    expectTyped(name, (args) => call(...(args as readonly never[])), right),
  );

  it('is checked of every function', () => {
    const exported = Object.entries(models).flatMap(([name, value]) => (typeof value === 'function' && /^[a-z]/.test(name) ? [name] : []));
    expect(Object.keys(functions).sort()).toEqual(exported.sort());
    expect(Object.keys(functional).sort()).toEqual(Object.keys(models.functional).sort());
    const made = Object.entries(models).flatMap(([name, value]) => (typeof value === 'function' && /^[A-Z]/.test(name) ? [name] : []));
    expect([...Object.keys(classes), ...elsewhere].sort()).toEqual(made.sort());
  });
});
