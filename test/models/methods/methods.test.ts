import { beforeAll, describe, expect, it } from 'vitest';
import { arange, grad, key, realize, tensor, uniform, useBackend } from '../../../engine/index.ts';
import {
  barlowTwins,
  type Learner,
  lejepa,
  type Method,
  type MethodName,
  methodNamed,
  methods,
  mmcr,
  rankMe,
  SmallConvNet,
  type Step,
  simclr,
  trainingConfig,
  vibcreg,
  vicreg,
  wmse,
} from '../../../models/index.ts';
import { pairLosses } from '../../../models/methods/index.ts';
import { expectClose, expectError, normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

/** A learner of 6×6 images, with weights of its own. */
function learnerOf(method: Method, options: Readonly<Record<string, unknown>> = {}): Learner {
  return method.learner({
    options,
    encoder: ({ key = 1 } = {}) => new SmallConvNet({ key }),
    widths: [16, 16, 8],
    key: (part) => 100 + part,
    batchSize: 16,
    images: 64,
  });
}

/** What a step at the schedules' first values is given. */
function stepOf(method: Method, options: Readonly<Record<string, unknown>> = {}): Step {
  const schedules = method.schedules(options, { learningRate: 0.1, steps: 10, stepsPerEpoch: 5, batchSize: 16 });
  return {
    views: [1, 2].map((seed) => uniform([16, 1, 6, 6], { key: seed })),
    indices: arange(16),
    at: Object.fromEntries(Object.entries(schedules).map(([name, schedule]) => [name, tensor(schedule(0))])),
    key: key(3),
  };
}

/** What fits batches of 16, of 64 images, and embeddings of 8 dimensions, which prototypes make distributions of. */
const fitting: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'w-mse': { subBatch: 16 },
  swav: { prototypes: 8 },
  deepcluster: { prototypes: 8 },
};

describe.each(Object.entries(methods))('%s', (name, method) => {
  it('learns from a step: the parts it names, and gradients for all that it learns', async () => {
    const learner = learnerOf(method, fitting[name]);
    const { loss, parts, embeddings } = learner.step(stepOf(method, fitting[name]));
    expect(Object.keys(parts)).toEqual([...method.parts]);
    expect(embeddings[0]!.shape).toEqual([16, 8]);
    const learned = learner.learned().flatMap(({ parameters }) => parameters);
    expect(new Set(learned).size).toBe(learned.length);
    const gradients = grad(loss, learned);
    await realize(loss, ...gradients);
    expect(Number.isFinite(await loss.item())).toBe(true);
    const lengths = await Promise.all(gradients.map(async (gradient) => Math.hypot(...(await gradient.data()))));
    expect(lengths.every(Number.isFinite)).toBe(true);
    expect(lengths.filter((length) => length > 0).length).toBeGreaterThan(learned.length / 2);
    learner.dispose();
  });

  it('names a rate for each group that has one of its own', () => {
    const learner = learnerOf(method);
    const known = Object.keys(method.schedules({}, { learningRate: 0.1, steps: 10, stepsPerEpoch: 5, batchSize: 16 }));
    for (const { rate } of learner.learned()) if (rate !== undefined) expect(known).toContain(rate);
    learner.dispose();
  });

  it('refuses options that it does not have, or out of their range', () => {
    expectError(
      () => method.checkOptions({ lambda: 1 }),
      'argument',
      new RegExp(`no option 'lambda'; there are ${Object.keys(method.options)[0]}`),
    );
    for (const [option, { kind }] of Object.entries(method.options)) {
      const wrong = kind === 'number' ? [-1, '1', NaN] : ['no such thing', 1];
      for (const value of wrong) expectError(() => method.checkOptions({ [option]: value }), 'argument', new RegExp(option));
    }
    expect(methodNamed(name)).toBe(method);
    expect(trainingConfig({ method: name as MethodName })).toMatchObject({ widths: method.widths, ...method.training });
  });
});

it('whose loss is one of two embeddings gives it of arrays', async () => {
  const [za, zb] = [normalMatrix(1, 12, 3), normalMatrix(2, 12, 3)];
  for (const name of pairLosses) {
    const method = methodNamed(name);
    const { loss, ...parts } = method.configure!()(za, zb, 0);
    expect(Object.keys(parts)).toEqual([...method.parts]);
    expect(Number.isFinite(await loss.item())).toBe(true);
  }
});

it('has the published defaults, in the table and in the functions', async () => {
  const [za, zb] = [normalMatrix(1, 12, 3), normalMatrix(2, 12, 3)];
  const published = {
    vicreg: [vicreg(za, zb), vicreg(za, zb, { invariance: 25, variance: 25, covariance: 1, gamma: 1, epsilon: 1e-4, dialect: 'official' })],
    'barlow-twins': [barlowTwins(za, zb), barlowTwins(za, zb, { offDiagonal: 0.0051, scale: 1, epsilon: 1e-5 })],
    'w-mse': [wmse(za, zb), wmse(za, zb, { subBatch: 12, iterations: 1, distance: 'normalized', epsilon: 0, whitening: 'cholesky' })],
    simclr: [simclr(za, zb), simclr(za, zb, { temperature: 0.5, dialect: 'mean' })],
    lejepa: [lejepa([za, zb]), lejepa([za, zb], { sigreg: 0.02, globals: 2, slices: 256, key: 0 })],
    vibcreg: [vibcreg(za, zb), vibcreg(za, zb, { invariance: 25, variance: 25, covariance: 200, gamma: 1, epsilon: 1e-4 })],
    mmcr: [mmcr([za, zb]), mmcr([za, zb], { global: 1, local: 0 })],
  };
  for (const name of ['vicreg', 'barlow-twins', 'w-mse', 'simclr', 'lejepa', 'vibcreg', 'mmcr'] as const) {
    for (const { loss } of published[name]) await expectClose(methods[name].configure()(za, zb).loss, loss, 1e-14);
  }
  expect(rankMe(await za.toHost())).toBe(rankMe(await za.toHost(), { epsilon: 1e-7, centred: false }));
});

it('passes options on', async () => {
  const [za, zb] = [normalMatrix(1, 12, 3), normalMatrix(2, 12, 3)];
  await expectClose(
    methods.vicreg.configure({ dialect: 'paper', variance: 0 })(za, zb).loss,
    vicreg(za, zb, { dialect: 'paper', variance: 0 }).loss,
  );
  await expectClose(
    methods['w-mse'].configure({ subBatch: 6, distance: 'mse' })(za, zb, 7).loss,
    wmse(za, zb, { subBatch: 6, distance: 'mse', key: 7 }).loss,
  );
  await expectClose(
    methods.simclr.configure({ temperature: 0.1, dialect: 'google' })(za, zb).loss,
    simclr(za, zb, { temperature: 0.1, dialect: 'google' }).loss,
  );
  await expectClose(
    methods.lejepa.configure({ sigreg: 0.5, slices: 7 })(za, zb, 3).loss,
    lejepa([za, zb], { sigreg: 0.5, slices: 7, key: 3 }).loss,
  );
  await expectClose(methods.vibcreg.configure({ covariance: 0 })(za, zb).loss, vibcreg(za, zb, { covariance: 0 }).loss);
  await expectClose(methods.mmcr.configure({ global: 0.5, local: 2 })(za, zb).loss, mmcr([za, zb], { global: 0.5, local: 2 }).loss);
  expectError(() => methods.vicreg.configure({ dialect: 'lightly' }), 'argument', /official, paper, solo-learn, vicregl, got lightly/);
  expectError(() => methods['w-mse'].configure({ subBatch: 2.5 }), 'argument', /whole number ≥ 2/);
  expectError(() => methodNamed('no-such-method'), 'argument', /vicreg, barlow-twins, w-mse/);
});
