import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, grad, realize, stack, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { inverseSquareRoot, logDeterminant, nuclearNorm, singularValues } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { atEachPrecision, converted } from '../recorded.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, sizes, values } from '../support.ts';

/** A positive definite matrix [d, d]. */
function definite(seed: number, d: number): Tensor {
  const root = normalMatrix(seed, 3 * d, d);
  return root.transpose().matmul(root).add(eye(d, 'f64'));
}

describe('the inverse square root', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('squares to the inverse', () =>
    property([fc.integer({ min: 1, max: 6 }), seeds], async (d, seed) => {
      const a = definite(seed, d);
      const w = inverseSquareRoot(a);
      await expectClose(w.matmul(a).matmul(w), eye(d, 'f64'), 1e-9);
    }));

  // At λI every eigenvalue is equal, where the derivative of an eigenvector does not exist and that of the root does: dW = −½λ^−3/2·dA.
  it('has its derivative where eigenvalues meet', () =>
    property([fc.integer({ min: 1, max: 5 }), seeds, fc.double({ min: 0.1, max: 10, noNaN: true })], async (d, seed, lambda) => {
      const a = eye(d, 'f64').mul(lambda);
      const weights = normalMatrix(seed, d, d);
      const [gradient] = grad(inverseSquareRoot(a).mul(weights).sum(), [a]);
      await expectClose(gradient!, weights.add(weights.transpose()).mul(-0.25 * lambda ** -1.5), 1e-9);
    }));
});

describe('the log-determinant', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('is that of a diagonal however it is turned, and its derivative is the inverse', () =>
    property([fc.integer({ min: 1, max: 6 }), seeds], async (d, seed) => {
      const turn = orthogonal(seed, d);
      const logs = normalMatrix(seed + 1, 1, d);
      const a = turn.mul(logs.exp()).matmul(turn.transpose());
      const value = logDeterminant(a);
      const [gradient] = grad(value, [a]);
      await expectClose(value, logs.sum(), 1e-10, 1);
      await expectClose(gradient!.matmul(a), eye(d, 'f64'), 1e-9);
    }));

  it('is of each matrix of a stack, and NaN of one that is not positive definite', async () => {
    const value = logDeterminant(stack([eye(2, 'f64').mul(Math.E), eye(2, 'f64').neg()]));
    expect(await value.array()).toEqual([expect.closeTo(2, 12), NaN]);
    expectError(() => logDeterminant(zeros([2, 3], 'f64')), 'shape', /square/);
  });
});

describe('the nuclear norm', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });
  const shapes = [sizes([1, 7], [1, 7]), seeds] as const;

  it('is the sum of the singular values, and no rotation changes it', () =>
    property([...shapes], async ({ n, d }, seed) => {
      const x = normalMatrix(seed, n, d);
      const expected = singularValues(await x.toHost()).reduce((sum, value) => sum + value, 0);
      await expectClose(nuclearNorm(x), tensor(expected, { dtype: 'f64' }), 1e-12);
      await expectClose(
        nuclearNorm(
          orthogonal(seed + 1, n)
            .matmul(x)
            .matmul(orthogonal(seed + 2, d)),
        ),
        nuclearNorm(x),
        1e-12,
      );
      await expectClose(nuclearNorm(stack([x, x.mul(-2)])), stack([nuclearNorm(x), nuclearNorm(x).mul(2)]), 1e-12);
    }));

  it('has the gradient of its value where the rank is full', () =>
    property([...shapes], async ({ n, d }, seed) => expectGradient((x) => nuclearNorm(x), gaussian(seed, [n, d]), 1e-5, 1)));

  // ‖X + Δ‖_* ≥ ‖X‖_* + ⟨G, Δ⟩ for every Δ.
  it('has a subgradient where it is not, of the least length, which is the root of the rank', () =>
    property([sizes([2, 7], [2, 7]), seeds, fc.integer({ min: 0, max: 6 })], async ({ n, d }, seed, least) => {
      const rank = Math.min(least, n - 1, d - 1);
      const x = rank === 0 ? zeros([n, d], 'f64') : normalMatrix(seed, n, rank).matmul(normalMatrix(seed + 1, rank, d));
      const change = normalMatrix(seed + 2, n, d);
      const [gradient] = grad(nuclearNorm(x), [x]);
      const [moved, at, slope, length] = await values(
        nuclearNorm(x.add(change)),
        nuclearNorm(x),
        gradient!.mul(change).sum(),
        gradient!.square().sum(),
      );
      expect(moved![0]! - at![0]! - slope![0]!).toBeGreaterThan(-1e-9);
      expect(length![0]).toBeCloseTo(rank, 6);
    }));

  it('takes matrices of floats', () => {
    expectError(() => nuclearNorm(zeros([3], 'f64')), 'shape', /matrices/);
    expectError(() => nuclearNorm(zeros([3, 2], 'i32')), 'dtype', /floats/);
  });
});

describe('the nuclear norm of matrices without full rank', () => {
  atEachPrecision(({ backend, dtype }) => {
    it('is exact but for some units in the last place, and its gradient is no longer than the rank allows', async () => {
      for (const [rank, n, d] of [
        [0, 5, 3],
        [1, 40, 30],
        [3, 30, 40],
      ] as const) {
        const scale = Array.from({ length: 40 }, (_, k) => (k < rank ? 1 / (k + 1) : 0));
        await useBackend('cpu');
        const [left, right] = [orthogonal(1, n), orthogonal(2, d)];
        const middle = eye(Math.max(n, d), 'f64')
          .slice([0, n], [0, d])
          .mul(tensor(scale.slice(0, d), { dtype: 'f64' }));
        const host = await left.matmul(middle).matmul(right).toHost();
        await useBackend(backend);
        const x = tensor(converted(host, dtype));
        const value = nuclearNorm(x);
        const [gradient] = grad(value, [x]);
        await realize(value, gradient!);
        const expected = scale.reduce((sum, part) => sum + part, 0);
        const unit = dtype === 'f64' ? 2 ** -52 : 2 ** -23;
        expect(Math.abs((await value.item()) - expected)).toBeLessThanOrEqual(200 * unit);
        expect(Math.hypot(...(await gradient!.data()))).toBeCloseTo(Math.sqrt(rank), 4);
      }
    });
  });
});
