import { beforeAll, describe, expect, it } from 'vitest';
import { grad, realize, useBackend } from '../../../engine/index.ts';
import { barlowTwins, methodNamed, methods, rankMe, vicreg, wmse } from '../../../models/index.ts';
import { expectClose, expectError, normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

describe.each(Object.entries(methods))('%s', (name, method) => {
  it('has a head that gives its loss gradients, and the parts it names', async () => {
    const head = method.head(12, [16, 16, 8], { key: 1, dtype: 'f64' });
    const loss = method.configure();
    const [za, zb] = [1, 2].map((seed) => head.forward(normalMatrix(seed, 32, 12), { train: true }));
    const parts = loss(za!, zb!, 0);
    expect(Object.keys(parts)).toEqual(['loss', ...method.parts]);
    const gradients = grad(parts.loss, head.parameters());
    await realize(parts.loss, ...gradients);
    expect(await parts.loss.item()).toBeGreaterThan(0);
    expect(Math.hypot(...(await gradients.at(-1)!.data()))).toBeGreaterThan(0);
  });

  it('refuses options that it does not have, or out of their range', () => {
    expectError(
      () => method.configure({ lambda: 1 }),
      'argument',
      new RegExp(`no option 'lambda'; there are ${Object.keys(method.options)[0]}`),
    );
    expectError(() => method.configure({ epsilon: -1 }), 'argument', /epsilon must be a number ≥ 0/);
    expectError(() => method.configure({ epsilon: '1' }), 'argument', /got 1/);
    expectError(() => method.configure({ epsilon: NaN }), 'argument', /got NaN/);
    expect(methodNamed(name)).toBe(method);
    method.configure(method.training);
  });
});

it('has the published defaults, in the table and in the functions', async () => {
  const [za, zb] = [normalMatrix(1, 12, 3), normalMatrix(2, 12, 3)];
  const published = {
    vicreg: [vicreg(za, zb), vicreg(za, zb, { invariance: 25, variance: 25, covariance: 1, gamma: 1, epsilon: 1e-4, dialect: 'official' })],
    'barlow-twins': [barlowTwins(za, zb), barlowTwins(za, zb, { offDiagonal: 0.0051, scale: 1, epsilon: 1e-5 })],
    'w-mse': [wmse(za, zb), wmse(za, zb, { subBatch: 12, iterations: 1, distance: 'normalized', epsilon: 0, whitening: 'cholesky' })],
  };
  for (const name of ['vicreg', 'barlow-twins', 'w-mse'] as const) {
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
  expectError(() => methods.vicreg.configure({ dialect: 'lightly' }), 'argument', /official, paper, solo-learn, vicregl, got lightly/);
  expectError(() => methods['w-mse'].configure({ subBatch: 2.5 }), 'argument', /whole number ≥ 2/);
  expectError(() => methodNamed('simclr'), 'argument', /vicreg, barlow-twins, w-mse/);
});
