import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { diagonal, eye, full, tensor, useBackend } from '../../../engine/index.ts';
import { barlowTwins, crossCorrelation } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, seeds, sizes, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const embedding = [sizes([3, 12], [1, 7]), seeds] as const;

describe('Barlow Twins', () => {
  it('has the gradient of its value', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const zb = normalMatrix(seed + 1, n, d);
      await expectGradient((za) => barlowTwins(za, zb).loss, gaussian(seed, [n, d]), 1e-6, 1);
      await expectGradient((z) => barlowTwins(zb, z, { scale: 0.025, offDiagonal: 0.005 }).loss, gaussian(seed, [n, d]), 1e-6, 1);
    }));

  it('does not change with shift and positive scale of a dimension, nor joint signs, nor exchange of the views', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const signs = normalMatrix(seed + 2, 1, d).sign();
      // With ε = 0 the invariance is exact; with 1e-5 it holds as far as variances ≫ ε.
      const exact = { epsilon: 0 };
      const { loss } = barlowTwins(za, zb, exact);
      const scale = normalMatrix(seed + 3, 1, d)
        .abs()
        .add(0.5);
      await expectClose(barlowTwins(za.mul(scale).add(normalMatrix(seed + 4, 1, d)), zb, exact).loss, loss, 1e-9);
      await expectClose(barlowTwins(za.mul(signs), zb.mul(signs), exact).loss, loss, 1e-9);
      await expectClose(barlowTwins(zb, za, exact).loss, loss, 1e-9);
      await expectClose(crossCorrelation(zb, za), crossCorrelation(za, zb).transpose(), 1e-12);
      await expectClose(barlowTwins(za.mul(1e3), zb.mul(1e3)).loss, loss, 1e-3);
    }));

  it('has correlations within ±1', () =>
    property([sizes([2, 10], [1, 6]), seeds, fc.double({ min: -4, max: 4, noNaN: true })], async ({ n, d }, seed, power) => {
      const [c] = await values(
        crossCorrelation(normalMatrix(seed, n, d).mul(10 ** power), normalMatrix(seed + 1, n, d))
          .abs()
          .max(),
      );
      expect(c![0]).toBeLessThanOrEqual(1 + 1e-12);
    }));

  it('is d at collapse', () =>
    property([sizes([2, 10], [1, 6]), fc.integer({ min: -64, max: 64 })], async ({ n, d }, value) => {
      const z = full([n, d], value / 16, 'f64');
      expect(await barlowTwins(z, z).loss.item()).toBe(d);
    }));

  it('is at least λ(d²/(n−1) − d) for equal views where d > n − 1', () =>
    property([fc.integer({ min: 2, max: 7 }), fc.integer({ min: 0, max: 6 }), seeds], async (n, more, seed) => {
      const d = n + more;
      const z = normalMatrix(seed, n, d);
      const { loss, onDiagonal, offDiagonal } = barlowTwins(z, z, { epsilon: 0 });
      const [l, on, off] = await values(loss, onDiagonal, offDiagonal);
      expect(l![0]).toBeGreaterThanOrEqual(0.0051 * (d ** 2 / (n - 1) - d) - 1e-9);
      expect(on![0]).toBeLessThan(1e-20);
      expect(off![0]).toBeGreaterThanOrEqual(d ** 2 / (n - 1) - d - 1e-9);
      await expectClose(diagonal(crossCorrelation(z, z, { epsilon: 0 })), full([d], 1, 'f64'), 1e-12);
    }));

  it('says what is wrong with its input', () => {
    expectError(() => barlowTwins(normalMatrix(0, 1, 3), normalMatrix(1, 1, 3)), 'shape', /at least 2 samples/);
    expectError(() => barlowTwins(eye(3), tensor([[1, 2]])), 'shape', /one shape/);
  });
});
