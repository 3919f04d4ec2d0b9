import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, realize, useBackend, zeros } from '../../../engine/index.ts';
import { covarianceMatrix, IterNorm } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, normalMatrix, seeds } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

describe('IterNorm', () => {
  it('whitens each group of neighbouring channels', () =>
    property([fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), seeds], async (groups, size, seed) => {
      const channels = groups * size;
      const layer = new IterNorm(channels, { groups, iterations: 16, epsilon: 0, dtype: 'f64' });
      expect(layer.runningWm.shape).toEqual([groups, size, size]);
      const n = 40;
      const y = layer.forward(normalMatrix(seed, n, channels).mul(2).add(1), { train: true });
      await expectClose(y.mean(0), zeros([channels], 'f64'), 1e-10, 1);
      const covariance = covarianceMatrix(y).mul((n - 1) / n);
      const inside = Array.from({ length: groups }, (_, g) => [g * size, (g + 1) * size] as const);
      for (const [from, to] of inside) await expectClose(covariance.slice([from, to], [from, to]), eye(size, 'f64'), 1e-5);
    }));

  it('has as many groups as asked for, or more where they would not divide the channels', () => {
    const sizeOf = (channels: number, groups?: number): number =>
      new IterNorm(channels, groups === undefined ? {} : { groups }).runningWm.shape[1]!;
    expect([sizeOf(256), sizeOf(8), sizeOf(65), sizeOf(12, 5), sizeOf(10, 4), sizeOf(6, 1)]).toEqual([4, 1, 1, 3, 1, 6]);
    expectError(() => new IterNorm(0), 'argument', /channels must be a whole number ≥ 1/);
    expectError(() => new IterNorm(4, { groups: 1.5 }), 'argument', /groups must be a whole number ≥ 1/);
  });

  it('keeps running statistics by the names of PyTorch’s ports, which evaluation uses', async () => {
    const layer = new IterNorm(4, { groups: 2, dtype: 'f64' });
    expect([...layer.namedSlots()].map(([name, { shape }]) => [name, shape])).toEqual([
      ['weight', [1, 4]],
      ['bias', [1, 4]],
      ['running_mean', [2, 2, 1]],
      ['running_wm', [2, 2, 2]],
    ]);
    const x = normalMatrix(1, 20, 4);
    await expectClose(layer.forward(x), x);
    const trained = layer.forward(x, { train: true });
    // Both are moved a tenth of the way, from 0 and I.
    for (let step = 0; step < 200; step++) {
      layer.forward(x, { train: true });
      await realize(layer.runningMean.value);
    }
    await expectClose(layer.forward(x), trained, 1e-6);
    expect([...new IterNorm(4, { affine: false }).namedSlots()].map(([name]) => name)).toEqual(['running_mean', 'running_wm']);
  });

  it('says what is wrong with its input', () => {
    const layer = new IterNorm(4, { dtype: 'f64' });
    expectError(() => layer.forward(normalMatrix(1, 5, 3)), 'shape', /IterNorm: takes \[N, 4\], got \[5, 3\]/);
    expectError(() => layer.forward(normalMatrix(1, 1, 4), { train: true }), 'shape', /use at least 2/);
  });
});
