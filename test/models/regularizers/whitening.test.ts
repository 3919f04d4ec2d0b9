import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { cholesky, eye, grad, lowerTriangle, type Tensor, useBackend, zeros } from '../../../engine/index.ts';
import {
  choleskyWhitening,
  covarianceMatrix,
  inverseSquareRoot,
  iterativeWhitening,
  whitenings,
  zcaWhitening,
} from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

/** Samples with n − 1 ≥ d, comfortably, so that the covariance is well conditioned. */
const batches = fc.record({ d: fc.integer({ min: 1, max: 6 }), more: fc.integer({ min: 2, max: 10 }) });
const exact = fc.constantFrom(choleskyWhitening, zcaWhitening);

describe('whitened samples', () => {
  it('have mean 0, covariance I, and mean square length d(n−1)/n', () =>
    property([batches, seeds, exact], async ({ d, more }, seed, whiten) => {
      const n = 2 * d + more;
      const w = whiten(normalMatrix(seed, n, d).mul(3).add(5));
      await expectClose(w.mean(0), zeros([d], 'f64'), 1e-10, 1);
      await expectClose(covarianceMatrix(w), eye(d, 'f64'), 1e-8);
      expect(await w.square().sum(1).mean().item()).toBeCloseTo((d * (n - 1)) / n, 8);
    }));

  it('have a Gram matrix that no invertible affine map of the samples changes', () =>
    property([batches, seeds, exact], async ({ d, more }, seed, whiten) => {
      const n = 2 * d + more;
      const x = normalMatrix(seed, n, d);
      const map = orthogonal(seed + 1, d).mul(
        normalMatrix(seed + 2, 1, d)
          .abs()
          .add(0.5),
      );
      const gram = (w: Tensor): Tensor => w.matmul(w.transpose());
      await expectClose(gram(whiten(x.matmul(map).add(normalMatrix(seed + 3, 1, d)))), gram(whiten(x)), 1e-7);
    }));

  it('by Cholesky do not change with a lower-triangular map of positive diagonal', () =>
    property([batches, seeds], async ({ d, more }, seed) => {
      const n = 2 * d + more;
      const x = normalMatrix(seed, n, d);
      const map = lowerTriangle(normalMatrix(seed + 1, d, d), true).add(
        eye(d, 'f64').mul(
          normalMatrix(seed + 2, d, 1)
            .abs()
            .add(0.5),
        ),
      );
      await expectClose(choleskyWhitening(x.matmul(map.transpose())), choleskyWhitening(x), 1e-7);
    }));

  it('by Cholesky do not turn with the samples', async () => {
    const x = normalMatrix(3, 20, 3);
    const turn = orthogonal(4, 3);
    const [turned, expected] = await values(choleskyWhitening(x.matmul(turn)), choleskyWhitening(x).matmul(turn));
    expect(Math.max(...turned!.map((value, i) => Math.abs(value - expected![i]!)))).toBeGreaterThan(0.1);
  });

  it('by ZCA turn with the samples, and do not change with their scale', () =>
    property([batches, seeds, fc.double({ min: 0.01, max: 100, noNaN: true })], async ({ d, more }, seed, scale) => {
      const n = 2 * d + more;
      const x = normalMatrix(seed, n, d);
      const turn = orthogonal(seed + 1, d);
      await expectClose(zcaWhitening(x.matmul(turn)), zcaWhitening(x).matmul(turn), 1e-7);
      await expectClose(zcaWhitening(x.mul(scale)), zcaWhitening(x), 1e-9);
    }));

  it('by iteration tend to those of ZCA', () =>
    property([batches, seeds], async ({ d, more }, seed) => {
      const x = normalMatrix(seed, 4 * d + 4 * more, d);
      await expectClose(iterativeWhitening(x, { iterations: 16 }), zcaWhitening(x), 1e-6);
    }));

  it('have the gradient of their value', () =>
    property([batches, seeds, fc.constantFrom(...Object.values(whitenings))], async ({ d, more }, seed, whiten) => {
      const n = 2 * d + more;
      const weights = normalMatrix(seed + 1, n, d);
      await expectGradient((x) => whiten(x, { epsilon: 0.01 }).mul(weights).sum(), gaussian(seed, [n, d]), 1e-5, 1);
    }));
});

describe('the inverse square root', () => {
  it('squares to the inverse', () =>
    property([fc.integer({ min: 1, max: 6 }), seeds], async (d, seed) => {
      const root = normalMatrix(seed, 3 * d, d);
      const a = root.transpose().matmul(root).add(eye(d, 'f64'));
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

it('says why a covariance is singular', async () => {
  for (const whiten of Object.values(whitenings)) {
    expectError(() => whiten(normalMatrix(0, 4, 4)), 'shape', /4 samples of 4 dimensions is singular; use at least 5 samples/);
    expectError(() => whiten(normalMatrix(0, 1, 1), { epsilon: 1e-3 }), 'shape', /singular/);
  }
  expectError(() => iterativeWhitening(normalMatrix(0, 8, 2), { iterations: 1.5 }), 'argument', /iterations/);
  const [l] = await values(cholesky(eye(2, 'f64')));
  expect([...l!]).toEqual([1, 0, 0, 1]);
});
