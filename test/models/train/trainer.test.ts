import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HostArray, memoryBytes, tensor, useBackend } from '../../../engine/index.ts';
import type { ImageDataset } from '../../../models/data/images.ts';
import { type MethodName, methodNamed, methods } from '../../../models/methods/index.ts';
import { optimizers, recipes, type TrainingConfig, trainingConfig } from '../../../models/train/config.ts';
import { features, lackingLabels, scoreEncoder, scorePixels, trainingRankMe } from '../../../models/train/evaluate.ts';
import { diagnose } from '../../../models/train/monitor.ts';
import { initialEncoder, type StepRecord, Trainer } from '../../../models/train/trainer.ts';
import { expectError } from '../support.ts';
import { smallConfig, stripedDataset } from './support.ts';

const names = <Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] => Object.keys(table) as Name[];

beforeAll(async () => {
  // The tests are held to bits, and small plans gain nothing from threads.
  await useBackend('wasm', { threads: 1 });
});

/** Runs at most `steps` steps. */
async function take(trainer: Trainer, steps = Infinity): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  for await (const record of trainer.run()) {
    records.push(record);
    if (records.length === steps) break;
  }
  return records;
}

/** The bits of all slots. */
function fingerprint(tensors: ReadonlyMap<string, HostArray>): string {
  const hash = createHash('sha256');
  for (const [name, { data }] of tensors) hash.update(name).update(data);
  return hash.digest('hex');
}

/** All steps of a run and the bits that they lead to. */
async function whole(config: TrainingConfig, dataset: ImageDataset): Promise<{ records: StepRecord[]; bits: string }> {
  const trainer = new Trainer(config, dataset);
  const records = await take(trainer);
  const { tensors } = await trainer.state();
  trainer.dispose();
  return { records, bits: fingerprint(tensors) };
}

/** What fits batches of 16 of 96 images, and has all of a method at work within two epochs. */
const fitting: { readonly [Name in MethodName]?: Partial<TrainingConfig> } = {
  'w-mse': { widths: [24, 8], methodOptions: { subBatch: 16 } },
  swav: { methodOptions: { prototypes: 12, freezePrototypes: 3, queue: 40, queueStart: 1, localCrops: 1, localSize: 6 } },
  // Images that fill no batch.
  deepcluster: { batchSize: 15, methodOptions: { prototypes: 12 } },
};

describe('a training run', () => {
  const dataset = stripedDataset();

  it('is a function of its seed: the same bits again, others for another', async () => {
    const [first, again, other] = [
      await whole(smallConfig({ seed: 3 }), dataset),
      await whole(smallConfig({ seed: 3 }), dataset),
      await whole(smallConfig({ seed: 4 }), dataset),
    ];
    expect(again).toEqual(first);
    expect(other.records[0]!.loss).not.toBe(first.records[0]!.loss);
    expect(first.records.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(first.records.map(({ epoch }) => epoch)).toEqual([...Array(6).fill(0), ...Array(6).fill(1)]);
  });

  it.each(names(methods))('of %s goes on from the state at any step with the bits of one that was not stopped', async (method) => {
    const config = smallConfig({ method, ...fitting[method] });
    const { records, bits } = await whole(config, dataset);
    const [stopped, other] = [new Trainer(config, dataset), new Trainer(config, dataset)];
    for (let cut = 0; cut <= records.length; cut++) {
      const state = await stopped.state();
      expect(state).toMatchObject({ step: cut, epoch: Math.floor(cut / 6), batch: cut % 6 });
      // The one that goes on has been elsewhere: all of its state must be replaced.
      other.restore(state);
      expect(await take(other)).toEqual(records.slice(cut));
      expect(fingerprint((await other.state()).tensors)).toBe(bits);
      expect(await take(stopped, 1)).toEqual(records.slice(cut, cut + 1));
    }
    // Who looks at it changes nothing.
    const views = await stopped.embeddings();
    // MoCo and TiCo learn from one view.
    expect(views.map(({ shape }) => shape[0])).toEqual(
      ['moco', 'tico'].includes(method) ? [config.batchSize] : [config.batchSize, config.batchSize],
    );
    expect(views.every(({ data }) => data.every(Number.isFinite))).toBe(true);
    expect(fingerprint((await stopped.state()).tensors)).toBe(bits);
    stopped.dispose();
    other.dispose();
  });

  it('refuses a state of another configuration, and is left as it was', async () => {
    const trainer = new Trainer(smallConfig(), dataset);
    const other = new Trainer(smallConfig({ widths: [24, 12] }), dataset);
    const [before, state] = [await trainer.state(), await other.state()];
    expectError(
      () => trainer.restore(state),
      'format',
      /checkpoint: the state does not fit; .*head\.3\.weight must be f32 \[16, 24\].*; it is of other settings, or .*train anew$/s,
    );
    expectError(() => trainer.restore({ ...before, step: 13 }), 'format', /at step 13, and the run has only 12/);
    expect(fingerprint((await trainer.state()).tensors)).toBe(fingerprint(before.tensors));
    other.dispose();
    trainer.dispose();
  });

  it.each(names(optimizers))('moves the weights with %s, and its loss falls', async (optimizer) => {
    const config = smallConfig({ optimizer, epochs: 5, learningRate: { adam: 3e-3, adamw: 3e-3, sgd: 0.01, lars: 1 }[optimizer] });
    const { records } = await whole(config, dataset);
    const mean = (part: readonly StepRecord[]): number => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    expect(mean(records.slice(-6))).toBeLessThan(mean(records.slice(0, 6)));
    for (const { loss, deviation, normalizedDeviation, correlation } of records)
      for (const value of [loss, deviation, normalizedDeviation, correlation]) expect(Number.isFinite(value)).toBe(true);
  });

  it('follows the learning rate up, and down half a cosine', async () => {
    const { records } = await whole(smallConfig({ warmup: 0.5, learningRate: 0.01 }), dataset);
    const rates = records.map(({ learningRate }) => learningRate);
    expect(rates.indexOf(Math.max(...rates))).toBeGreaterThanOrEqual(5);
    expect(rates.slice(0, 6)).toEqual([...rates.slice(0, 6)].sort((a, b) => a - b));
    expect(rates.slice(6)).toEqual([...rates.slice(6)].sort((a, b) => b - a));
  });

  it('takes u8 images as their scaled and normalised floats, and floats as they are', async () => {
    const { images, labels } = dataset.train;
    const bytes = Uint8Array.from(images.data, (value) => Math.round(value * 255));
    const scale = { mean: [0.5], deviation: [0.25] };
    const u8: ImageDataset = { ...dataset, ...scale, train: { images: { ...images, dtype: 'u8', data: bytes }, labels: labels! } };
    const f32: ImageDataset = {
      ...dataset,
      ...scale,
      train: { images: { ...images, data: Float32Array.from(bytes, (v) => v / 255) }, labels: labels! },
    };
    const [a, b] = [await whole(smallConfig(), u8), await whole(smallConfig(), f32)];
    for (const [i, { loss }] of a.records.entries()) expect(Math.abs(loss - b.records[i]!.loss)).toBeLessThan(1e-4 * loss);
  });

  it('takes floats that were normalised before, as the images they were', async () => {
    const { images, labels } = dataset.train;
    const bytes = Uint8Array.from(images.data, (value) => Math.round(value * 255));
    bytes.set([0, 255]);
    const of = (data: HostArray['data'], dtype: 'u8' | 'f32', mean: number, deviation: number): ImageDataset => ({
      ...dataset,
      mean: [mean],
      deviation: [deviation],
      train: { images: { ...images, dtype, data }, labels: labels! },
    });
    const normalised = Float32Array.from(bytes, (value) => (value / 255 - 0.5) / 0.25);
    const [a, b] = [await whole(smallConfig(), of(bytes, 'u8', 0.5, 0.25)), await whole(smallConfig(), of(normalised, 'f32', 0, 1))];
    // The first loss shows whether the images are the same; their roundings, which differ, grow from step to step.
    for (const [i, { loss }] of a.records.entries())
      expect(Math.abs(loss - b.records[i]!.loss)).toBeLessThan((i === 0 ? 1e-5 : 1e-3) * loss);
  });

  it('prepares the plan that it runs, and prints it with the names of its slots', async () => {
    const trainer = new Trainer(smallConfig(), dataset);
    await trainer.prepare();
    const bytes = await memoryBytes();
    expect(await trainer.explain()).toMatch(/encoder\.0\.0\.weight/);
    expect(await memoryBytes()).toBe(bytes);
    trainer.dispose();
  });

  it('of a recipe is complete, and what is given beside it goes before', () => {
    for (const recipe of Object.values(recipes)) {
      expect(Object.values(trainingConfig(recipe))).not.toContain(undefined);
      expect(trainingConfig({ ...recipe, batchSize: 16 })).toEqual({ ...trainingConfig(recipe), batchSize: 16 });
    }
    expect(trainingConfig(recipes.reference)).toEqual(trainingConfig());
  });

  it('refuses what makes no sense, naming what would', () => {
    expectError(() => trainingConfig({ batchSize: 1 }), 'argument', /batchSize must be a whole number ≥ 2, got 1/);
    expectError(() => trainingConfig({ epochs: 0.5 }), 'argument', /epochs must be a whole number ≥ 1/);
    expectError(() => trainingConfig({ learningRate: NaN }), 'argument', /learningRate/);
    expectError(() => trainingConfig({ weightDecay: -1 }), 'argument', /weightDecay must be ≥ 0/);
    expectError(() => trainingConfig({ warmup: 2 }), 'argument', /from 0 to 1; got 2/);
    expectError(() => trainingConfig({ seed: -1 }), 'argument', /seed/);
    expectError(() => trainingConfig({ widths: [] }), 'argument', /widths must be whole numbers ≥ 1/);
    expectError(() => trainingConfig({ methodOptions: { variance: 'much' } }), 'argument', /variance must be a number/);
    expectError(() => trainingConfig({ methodOptions: { temperature: 1 } }), 'argument', /no option 'temperature'/);
    expectError(() => trainingConfig({ method: 'no-such-method' as MethodName }), 'argument', /no method 'no-such-method'/);
    expectError(() => new Trainer(smallConfig({ batchSize: 97 }), dataset), 'argument', /96 images do not fill a batch of 97/);
  });
});

describe('branches of their own', () => {
  const dataset = stripedDataset();

  it('train two encoders of different architecture together, both saved and scored, and go on to the bit', async () => {
    const config = smallConfig({ batchSize: 32, methodOptions: { branches: 'separate', secondEncoder: 'small-conv' } });
    const { records, bits } = await whole(config, dataset);
    const [stopped, other] = [new Trainer(config, dataset), new Trainer(config, dataset)];
    await take(stopped, 2);
    other.restore(await stopped.state());
    expect(await take(other)).toEqual(records.slice(2));
    const { tensors } = await other.state();
    expect(fingerprint(tensors)).toBe(bits);
    const [first, second] = other.encoders;
    expect([first!.name, second!.name]).toEqual([null, 'second']);
    // Weights of their own from the start, and other gradients after it.
    expect(tensors.get('encoder.0.0.weight')!.data).not.toEqual(tensors.get('second_encoder.0.0.weight')!.data);
    for (const { encoder } of other.encoders) expect((await scoreEncoder(encoder, dataset)).linear).toBeGreaterThan(0.4);
    stopped.dispose();
    other.dispose();
  });

  it('may have another architecture each', async () => {
    const images = stripedDataset(16, { size: 8 });
    const config = smallConfig({
      batchSize: 8,
      widths: [8, 8],
      epochs: 1,
      methodOptions: { branches: 'separate', secondEncoder: 'resnet18' },
    });
    const trainer = new Trainer(config, images);
    expect(trainer.encoders.map(({ architecture, encoder }) => [architecture, encoder.width])).toEqual([
      ['small-conv', 128],
      ['resnet18', 512],
    ]);
    const [record] = await take(trainer, 1);
    expect(Number.isFinite(record!.loss)).toBe(true);
    trainer.dispose();
    expectError(
      () => new Trainer(smallConfig({ methodOptions: { secondEncoder: 'resnet18' } }), dataset),
      'argument',
      /branches to separate/,
    );
  });
});

describe('pairs', () => {
  const dataset = stripedDataset();
  const withPairs = (pairs: HostArray): ImageDataset => ({ ...dataset, train: { ...dataset.train, pairs } });
  const others = stripedDataset(96, { stream: 5 }).train.images;

  it('that are the images themselves change no bit; others are the second view', async () => {
    const config = smallConfig({ epochs: 1 });
    const alone = await whole(config, dataset);
    expect(await whole(config, withPairs(dataset.train.images))).toEqual(alone);
    const { records, bits } = await whole(config, withPairs(others));
    expect(records[0]!.parts['invariance']).not.toBe(alone.records[0]!.parts['invariance']);
    expect(records[0]!.deviation).toBe(alone.records[0]!.deviation);
    const [begun, gone] = [new Trainer(config, withPairs(others)), new Trainer(config, withPairs(others))];
    await take(begun, 2);
    gone.restore(await begun.state());
    await take(gone);
    expect(fingerprint((await gone.state()).tensors)).toBe(bits);
    for (const trainer of [begun, gone]) trainer.dispose();
  });

  it.each(['swav', 'deepcluster', 'byol'] as const)('train with %s', async (method) => {
    const { records } = await whole(smallConfig({ epochs: 1, method, ...fitting[method] }), withPairs(others));
    expect(records.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });

  it('have embeddings by the branch of their view, where the loss compares them', async () => {
    const trainer = new Trainer(smallConfig({ methodOptions: { branches: 'separate' } }), withPairs(others));
    const [first, second, again] = await Promise.all(
      [0, 1, 2].map((view) => trainer.learner.embed(tensor(dataset.train.images).narrow(0, 0, 4), view)!.data()),
    );
    expect(first).toEqual(again);
    expect(first).not.toEqual(second);
    trainer.dispose();
  });

  it('are one of each image, like it', () => {
    const few = { ...others, shape: [48, ...others.shape.slice(1)], data: others.data.subarray(0, others.data.length / 2) };
    expectError(() => new Trainer(smallConfig(), withPairs(few)), 'shape', /each image needs a pair of its type and size/);
  });
});

describe('what the optimiser is told', () => {
  it('leaves biases and the scales of norms without decay, on request, and clips', async () => {
    const dataset = stripedDataset();
    const settings = { optimizer: 'sgd', momentum: 0, learningRate: 0.05, weightDecay: 0.5, epochs: 1 } as const;
    const trained = async (more: Partial<TrainingConfig>): Promise<ReadonlyMap<string, HostArray>> => {
      const trainer = new Trainer(smallConfig({ ...settings, ...more }), dataset);
      await take(trainer, 1);
      const { tensors } = await trainer.state();
      trainer.dispose();
      return tensors;
    };
    const [all, weights, none, clipped] = [
      await trained({ decay: 'all' }),
      await trained({ decay: 'weights' }),
      await trained({ weightDecay: 0 }),
      await trained({ weightDecay: 0, clip: 1e-6 }),
    ];
    const [scale, weight] = ['encoder.0.1.weight', 'encoder.0.0.weight'];
    expect(weights.get(scale)!.data).toEqual(none.get(scale)!.data);
    expect(weights.get(weight)!.data).toEqual(all.get(weight)!.data);
    expect(all.get(scale)!.data).not.toEqual(none.get(scale)!.data);
    expect(all.get(weight)!.data).not.toEqual(none.get(weight)!.data);
    const start = await initialEncoder(smallConfig(), 1).stateDict();
    const moved = Math.hypot(...[...start.get('0.0.weight')!.data].map((value, i) => value - clipped.get(weight)!.data[i]!));
    expect(moved).toBeLessThan(1e-7);
  });
});

describe('collapse', () => {
  const dataset = stripedDataset(256);
  const run = (methodOptions: TrainingConfig['methodOptions'], epochs = 6): ReturnType<typeof whole> =>
    whole(trainingConfig({ methodOptions, epochs, batchSize: 32, widths: [64, 64], learningRate: 5e-3 }), dataset);

  it('comes without the variance term, and the monitor says so in plain words while it trains', async () => {
    const [without, healthy] = [await run({ variance: 0 }), await run({})];
    expect(without.records.at(-1)!.deviation).toBeLessThan(0.1);
    const said = without.records.map(diagnose);
    expect(said.findIndex((warning) => warning?.kind === 'collapsed')).toBeLessThan(without.records.length - 1);
    expect(said.at(-1)).toMatchObject({
      kind: 'collapsed',
      message: expect.stringMatching(/has collapsed: every image maps to nearly the same point/),
    });
    expect(healthy.records.at(-1)!.deviation).toBeGreaterThan(0.4);
    expect(healthy.records.map(diagnose).some((warning) => warning?.kind === 'collapsed')).toBe(false);
  });

  /** What the monitor says at each step of a run of 40. */
  const said = async (config: Partial<TrainingConfig>): Promise<(string | undefined)[]> => {
    const whole40 = trainingConfig({ epochs: 5, batchSize: 32, widths: [64, 64], optimizer: 'adam', learningRate: 3e-3, ...config });
    const { records } = await whole(whole40, dataset);
    return records.map((record) => diagnose({ ...record, ...whole40 })?.message);
  };

  it.each<[what: string, config: Partial<TrainingConfig>, ill: TrainingConfig['methodOptions'], words: RegExp]>([
    [
      'of SimSiam comes without the stop-gradient: its dimensions become copies',
      { method: 'simsiam' },
      { stopGradient: 'off' },
      /all dimensions are copies of nearly one .*; leave the stop-gradient on/,
    ],
    [
      'of SimCLR comes at a temperature that tells no negative from another',
      { method: 'simclr' },
      { temperature: 50 },
      /all dimensions are copies of nearly one .*; lower the temperature/,
    ],
    [
      'of MoCo comes without negatives',
      { method: 'moco', methodOptions: { queue: 64 } },
      { negatives: 'off' },
      /every image maps to nearly the same direction .*; leave the negatives on/,
    ],
    [
      'of DINO comes without its centre: all images fall into one class',
      { method: 'dino', widths: [64, 32, 64], methodOptions: { teacherMomentum: 0.9 } },
      { centring: 'off' },
      /all images fall into nearly the same classes .*; leave the centring on/,
    ],
    [
      'of DINO comes with a teacher that is softer than its student: all images fall into every class alike',
      { method: 'dino', widths: [64, 32, 64], methodOptions: { teacherMomentum: 0.9 } },
      { teacherTemperature: 0.2 },
      /all images fall into nearly the same classes .*keep --teacher-temperature well below --student-temperature/,
    ],
  ])('%s, and the monitor says so', async (_, config, ill, words) => {
    const healthy = await said(config);
    const collapsed = await said({ ...config, methodOptions: { ...config.methodOptions, ...ill } });
    expect(collapsed.at(-1)).toMatch(/has collapsed/);
    expect(collapsed.at(-1)).toMatch(words);
    // After the warm-up and an epoch.
    expect(healthy.slice(12).filter((message) => message !== undefined)).toEqual([]);
  });

  it.each([
    { method: 'swav', options: { freezePrototypes: 8 }, off: { iterations: 0 }, epochs: 5, learningRate: 3e-3, help: /--iterations 3/ },
    { method: 'deepcluster', options: {}, off: { kmeans: 'off' }, epochs: 10, learningRate: 0.01, help: /--kmeans on/ },
  ] as const)('of $method comes where nothing shares images among prototypes: $off', async ({ method, options, off, help, ...course }) => {
    const said = async (own: TrainingConfig['methodOptions']): Promise<(string | undefined)[]> => {
      const methodOptions = { prototypes: 16, ...options, ...own };
      const { records } = await whole(trainingConfig({ method, methodOptions, batchSize: 32, widths: [64, 64], ...course }), dataset);
      return records.map((record) => diagnose({ ...record, method })?.message);
    };
    expect((await said({})).every((message) => message === undefined)).toBe(true);
    const without = (await said(off)).at(-1);
    expect(without).toMatch(/has collapsed: all images fall into nearly the same classes/);
    expect(without).toMatch(help);
  });

  it.each<[method: MethodName, said: RegExp]>([
    ['lejepa', /nearly the same point .*; raise the weight of SIGReg \(--sigreg\)$/],
    ['vibcreg', /nearly the same point .*; raise the weight of the variance term \(--variance\)$/],
    ['mmcr', /nearly the same direction .*; raise the weight of the global term \(--global\), or lower --lr$/],
    ['tico', /nearly the same direction .*; raise the weight of the covariance contrast \(--contrast\), or lower --lr$/],
  ])('of %s comes without what its row says keeps it away, and the monitor says so', async (method, said) => {
    const shared = { method, epochs: 5, batchSize: 32, widths: [64, 64], learningRate: 3e-3 } as const;
    const last = async (methodOptions: TrainingConfig['methodOptions']): Promise<ReturnType<typeof diagnose>> => {
      const { records } = await whole(trainingConfig({ ...shared, methodOptions }), dataset);
      return diagnose({ ...records.at(-1)!, method, methodOptions });
    };
    expect(await last(methodNamed(method).ablation.options)).toMatchObject({ kind: 'collapsed', message: expect.stringMatching(said) });
    expect((await last({}))?.kind).not.toBe('collapsed');
  });

  it('of dimensions onto each other comes without the covariance term', async () => {
    const [without, healthy] = [await run({ covariance: 0 }), await run({})];
    expect(without.records.at(-1)!.correlation).toBeGreaterThan(healthy.records.at(-1)!.correlation + 0.1);
  });

  it('is told from redundancy and divergence', () => {
    const healthy = { loss: 1, deviation: 1, correlation: 0.1 };
    expect(diagnose(healthy)).toBeNull();
    expect(diagnose({ ...healthy, correlation: 0.9 })?.kind).toBe('redundant');
    expect(diagnose({ ...healthy, deviation: 0.01, correlation: 0.9 })?.kind).toBe('collapsed');
    expect(diagnose({ ...healthy, loss: NaN })).toMatchObject({ kind: 'diverged', message: expect.stringMatching(/lower --lr/) });
  });

  it.each<[what: string, record: Parameters<typeof diagnose>[0], advice: RegExp | null, never: RegExp]>([
    ['VICReg', { loss: 1, deviation: 0.01, correlation: 0.9 }, /raise the weight of the variance term \(--variance\)$/, /covariance/],
    ['VICReg', { loss: 1, deviation: 1, correlation: 0.9 }, /raise the weight of the covariance term \(--covariance\)$/, /deviation/],
    // The scale of its embedding is nothing to these.
    ['Barlow Twins', { method: 'barlow-twins', loss: 1, deviation: 0.01, normalizedDeviation: 1, correlation: 0 }, null, /x/],
    [
      'Barlow Twins',
      { method: 'barlow-twins', loss: 1, deviation: 5, normalizedDeviation: 0.01, correlation: 0 },
      /lower --lr, or lengthen --warmup$/,
      /variance/,
    ],
    [
      'Barlow Twins',
      { method: 'barlow-twins', loss: 1, deviation: 5, normalizedDeviation: 1, correlation: 0.9 },
      /\(--off-diagonal\)$/,
      /covariance/,
    ],
    ['W-MSE', { method: 'w-mse', loss: 1, deviation: 0.01, normalizedDeviation: 1, correlation: 0.9 }, null, /x/],
    ['W-MSE', { method: 'w-mse', loss: NaN, deviation: NaN, correlation: NaN, step: 1 }, /--epsilon 1e-4/, /variance/],
    [
      'W-MSE',
      { method: 'w-mse', methodOptions: { epsilon: 1e-3 }, loss: NaN, deviation: NaN, correlation: NaN, step: 9 },
      /lower --lr/,
      /--epsilon/,
    ],
    [
      'Barlow Twins',
      { method: 'barlow-twins', methodOptions: { epsilon: 0 }, loss: NaN, deviation: 1, correlation: 0 },
      /--epsilon 1e-5;/,
      /variance/,
    ],
    ['pixels', { loss: NaN, deviation: NaN, correlation: NaN, pixels: [0, 1e38] }, /pixels lie within 0 … 1e\+38 .*normalise them/, /--lr/],
    ['pixels', { method: 'w-mse', loss: Infinity, deviation: NaN, correlation: NaN, pixels: [-3e38, 0] }, /within -3e\+38 … 0 /, /--lr/],
    [
      'weights',
      { loss: Infinity, deviation: 1, correlation: 0, step: 1 },
      /at the first step already: the weights of the loss's terms/,
      /--lr/,
    ],
  ])('is answered with what helps: %s, %j', (_, record, advice, never) => {
    const message = diagnose(record)?.message ?? '';
    expect(message).toMatch(advice ?? /^$/);
    expect(message).not.toMatch(never);
  });
});

it('features that are no numbers are an error, which says of which image, and what its pixels are', async () => {
  const dataset = stripedDataset(8);
  const { shape, data } = dataset.train.images;
  const images = { dtype: 'f32', shape, data: Float32Array.from(data, (value, i) => (i >= 3 * 144 ? value * 1e38 : value)) } as const;
  const encoder = initialEncoder(smallConfig(), 1);
  await expect(features(encoder, images, dataset)).rejects.toThrow(/features of image 3 are not finite: the pixels lie within .*e\+3/);
  encoder.dispose();
});

describe('memory', () => {
  let trainer: Trainer;
  afterAll(() => trainer.dispose());

  it('does not grow after the third of 1000 steps', async () => {
    const dataset = stripedDataset(64, { size: 8 });
    trainer = new Trainer(smallConfig({ batchSize: 8, widths: [8, 8], epochs: 125 }), dataset);
    const bytes: number[] = [];
    for await (const { step } of trainer.run()) if (step >= 3) bytes.push(await memoryBytes());
    expect(bytes).toHaveLength(998);
    expect(new Set(bytes).size).toBe(1);
  });
});

describe('scores', () => {
  const dataset = stripedDataset();
  const encoder = initialEncoder(smallConfig(), 1);
  afterAll(() => encoder.dispose());

  it('tell classes apart, and are the same again', async () => {
    const [first, again] = [await scoreEncoder(encoder, dataset), await scoreEncoder(encoder, dataset)];
    expect(again).toEqual(first);
    for (const accuracy of [first.linear, first.linear2x2, first.nearest]) expect(accuracy).toBeGreaterThan(0.6);
    expect(first.collapse?.spectrum).toHaveLength(48);
    for (const accuracy of [first.few?.linear, first.few?.linear2x2, first.few?.nearest]) expect(accuracy).toBeGreaterThan(0.4);
    const pixels = await scorePixels(dataset);
    expect(pixels).toMatchObject({ linear2x2: null, collapse: null, few: { labels: first.few?.labels, linear2x2: null } });
  });

  it('with few labels are none where a class has fewer images than its share', async () => {
    const { train, ...rest } = stripedDataset(200);
    const labels = { ...train.labels!, data: Int32Array.from(train.labels!.data, (_, i) => (i === 0 ? 9 : Math.floor(i / 200))) };
    expect((await scoreEncoder(encoder, { ...rest, train: { ...train, labels } })).few).not.toBeNull();
    const rare = stripedDataset(400);
    const two = { ...labels, shape: [400], data: Int32Array.from({ length: 400 }, (_, i) => (i === 0 ? 9 : 0)) };
    expect((await scoreEncoder(encoder, { ...rare, train: { ...rare.train, labels: two } })).few).toBeNull();
  });

  it('are metrics alone without labels', async () => {
    const { train, ...rest } = dataset;
    const unlabelled: ImageDataset = { ...rest, train: { images: train.images } };
    expect([lackingLabels(dataset), lackingLabels(unlabelled)]).toEqual([null, 'labels']);
    const { collapse, ...accuracies } = await scoreEncoder(encoder, unlabelled);
    expect(accuracies).toEqual({ linear: null, linear2x2: null, nearest: null, few: null });
    expect(collapse!.rankMe).toBeGreaterThan(1);
    expect(await scorePixels(unlabelled)).toBeNull();
  });

  it('are of images one by one: chunks do not show', async () => {
    const { images } = stripedDataset(520).train;
    const few: HostArray = { ...images, shape: [3, 1, 12, 12], data: images.data.subarray(510 * 144, 513 * 144) };
    const [all, part] = [await features(encoder, images, dataset), await features(encoder, few, dataset)];
    expect(Array.from(all.pooled.data.subarray(510 * 128, 513 * 128))).toEqual(Array.from(part.pooled.data));
    expect(all.pooled2x2.shape).toEqual([520, 512]);
  });

  it('end where the caller wants them to', async () => {
    let calls = 0;
    const pause = async (): Promise<void> => {
      if (++calls === 3) throw new Error('enough');
    };
    await expect(scoreEncoder(encoder, dataset, { pause })).rejects.toThrow('enough');
    expect(calls).toBe(3);
  });

  it('of a running training are cheap, and finite', async () => {
    const rank = await trainingRankMe(encoder, dataset);
    expect(rank).toBeGreaterThan(1);
    expect(rank).toBeLessThan(96);
  });
});
