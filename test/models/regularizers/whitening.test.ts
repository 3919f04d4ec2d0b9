import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { cholesky, eye, full, grad, lowerTriangle, type Tensor, trace, triangularSolve, useBackend, zeros } from '../../../engine/index.ts';
import {
  choleskyWhitening,
  covarianceMatrix,
  iterativeWhitening,
  publishedWhitenings,
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

/** A⁻¹ of positive definite A. */
function inverse(a: Tensor): Tensor {
  const factor = triangularSolve(cholesky(a), eye(a.shape[0]!, 'f64'));
  return factor.transpose().matmul(factor);
}

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

describe('whitening by iteration', () => {
  it('inverts nothing: it takes as many dimensions as samples, or more, and rows that are all the same, which it makes 0', async () => {
    const x = full([4, 6], 0.5, 'f64');
    const white = iterativeWhitening(x);
    const [gradient] = grad(white.mul(normalMatrix(1, 4, 6)).sum(), [x]);
    await expectClose(white, zeros([4, 6], 'f64'));
    expect((await gradient!.data()).every(Number.isFinite)).toBe(true);
    // Of fewer samples than dimensions, the samples themselves become orthogonal.
    const few = normalMatrix(2, 4, 9);
    const rows = iterativeWhitening(few, { iterations: 10 });
    await expectClose(rows.matmul(rows.transpose()), eye(4, 'f64').sub(0.25).mul(3), 1e-4);
  });
});

describe('the published whitenings', () => {
  it('have the divisor and ε of their sources', () =>
    property([batches, seeds], async ({ d, more }, seed) => {
      const n = 2 * d + more;
      const x = normalMatrix(seed, n, d);
      const centred = x.sub(x.mean(0));
      const scatter = centred.transpose().matmul(centred);
      const sigma = { wmse: scatter.div(n - 1), dbn: scatter.div(n).add(eye(d, 'f64').mul(1e-5)) };
      for (const [name, covariance] of Object.entries(sigma)) {
        const { whitening, options } = publishedWhitenings[name as keyof typeof sigma];
        const w = whitenings[whitening](x, options);
        // However it is factored, W·Wᵀ = Xᶜ·Σ⁻¹·Xᶜᵀ.
        await expectClose(w.matmul(w.transpose()), centred.matmul(inverse(covariance)).matmul(centred.transpose()), 1e-7);
      }
      // Without a step, y = xᶜ/√tr Σ.
      const rough = iterativeWhitening(x, { ...publishedWhitenings.iterNorm.options, iterations: 0 });
      await expectClose(rough, centred.div(trace(sigma.dbn).sqrt()), 1e-12);
    }));

  it('of INTL and of IterNorm differ by their steps, divisor and ε', async () => {
    const x = normalMatrix(5, 12, 3);
    await expectClose(
      whitenings.iterative(x, publishedWhitenings.intl.options),
      iterativeWhitening(x, { iterations: 4, epsilon: 0, correction: 1 }),
    );
    await expectClose(
      whitenings.iterative(x, publishedWhitenings.iterNorm.options),
      iterativeWhitening(x, { iterations: 5, epsilon: 1e-5, correction: 0, shrinkage: 'additive' }),
    );
  });
});

it('says why a covariance is singular', async () => {
  for (const whiten of [choleskyWhitening, zcaWhitening])
    expectError(() => whiten(normalMatrix(0, 4, 4)), 'shape', /4 samples of 4 dimensions is singular; use at least 5 samples/);
  for (const whiten of Object.values(whitenings)) expectError(() => whiten(normalMatrix(0, 1, 1), { epsilon: 1e-3 }), 'shape', /singular/);
  expectError(() => iterativeWhitening(normalMatrix(0, 8, 2), { iterations: 1.5 }), 'argument', /iterations/);
  const [l] = await values(cholesky(eye(2, 'f64')));
  expect([...l!]).toEqual([1, 0, 0, 1]);
});
