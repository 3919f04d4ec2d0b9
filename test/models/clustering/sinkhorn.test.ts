import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, type DType, grad, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { sinkhorn } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { converted } from '../recorded.ts';
import { expectClose, expectError, gaussian, normalMatrix, seeds, sizes, values } from '../support.ts';

const options = fc.record({ epsilon: fc.double({ min: 0.05, max: 2, noNaN: true }), iterations: fc.constantFrom(1, 3) });
const drawn = [sizes([1, 5], [1, 4]), seeds, options] as const;

describe.each([
  { backend: 'cpu', dtype: 'f64', tolerance: 1e-11 },
  { backend: 'wasm', dtype: 'f32', tolerance: 2e-5 },
] as const)('sinkhorn on $backend', ({ backend, dtype, tolerance }) => {
  beforeAll(async () => {
    await useBackend(backend);
  });
  /** Cosines, as far as their range goes. */
  const scoresOf = (seed: number, n: number, k: number, type: DType = dtype): Tensor =>
    tensor(converted(gaussian(seed, [n, k]), type)).tanh();

  it('makes rows that sum to 1, whatever the scores', () =>
    property([...drawn, fc.constantFrom(1, 1e3)], async ({ n, d }, seed, given, scale) => {
      const [rows, all] = await values(
        sinkhorn(scoresOf(seed, n, d).mul(scale), given).sum(1),
        sinkhorn(scoresOf(seed, n, d).mul(scale), given),
      );
      for (const sum of rows!) expect(Math.abs(sum - 1)).toBeLessThan(dtype === 'f64' ? 1e-14 : 1e-6);
      expect(all!.every((share) => share >= 0)).toBe(true);
    }));

  it('does not change with a number added to all scores, or to those of one prototype', () =>
    property([...drawn], async ({ n, d }, seed, given) => {
      const scores = scoresOf(seed, n, d);
      const assigned = sinkhorn(scores, given);
      await expectClose(sinkhorn(scores.add(0.75), given), assigned, tolerance, 1);
      await expectClose(sinkhorn(scores.add(scoresOf(seed + 1, 1, d)), given), assigned, tolerance, 1);
    }));

  it('follows the order of samples and of prototypes', () =>
    property([...drawn], async ({ n, d }, seed, given) => {
      const scores = scoresOf(seed, n, d);
      await expectClose(sinkhorn(scores.flip([0, 1]), given).flip([0, 1]), sinkhorn(scores, given), tolerance, 1);
    }));

  it('gives samples that score alike the same share of every prototype, whatever they score', () =>
    property([...drawn], async ({ n, d }, seed, given) => {
      const assigned = sinkhorn(scoresOf(seed, 1, d).expand([n, d]), given);
      await expectClose(assigned, assigned.mul(0).add(1 / d), tolerance);
    }));

  it('gives each sample of a batch that is there twice what it has where it is there once', () =>
    property([...drawn], async ({ n, d }, seed, given) => {
      const scores = scoresOf(seed, n, d);
      await expectClose(sinkhorn(concat([scores, scores]), given).narrow(0, n, n), sinkhorn(scores, given), tolerance, 1);
    }));

  it('is a constant', async () => {
    const scores = scoresOf(1, 5, 3);
    const [gradient] = await values(...grad(sinkhorn(scores).square().sum(), [scores]));
    expect(Array.from(gradient!)).toEqual(Array(15).fill(0));
  });
});

describe('sinkhorn', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('is as written: exp(scores/ε), prototypes to equal shares and samples to 1 by turns', () =>
    property([...drawn], async ({ n, d }, seed, given) => {
      const scores = normalMatrix(seed, n, d).tanh();
      const { epsilon, iterations } = given;
      const q = ((await scores.array()) as number[][]).map((row) => row.map((score) => Math.exp(score / epsilon)));
      for (let turn = 0; turn < iterations; turn++) {
        for (let k = 0; k < d; k++) {
          const sum = q.reduce((total, row) => total + row[k]!, 0);
          for (const row of q) row[k]! /= sum * d;
        }
        for (const row of q) {
          const sum = row.reduce((total, share) => total + share, 0);
          for (let k = 0; k < d; k++) row[k]! /= sum;
        }
      }
      await expectClose(sinkhorn(scores, given), tensor(q, { dtype: 'f64' }), 1e-11, 1e-3);
    }));

  it('comes to equal shares of prototypes with iterations, and without any is a softmax', async () => {
    const scores = normalMatrix(1, 9, 5).tanh();
    const shares = sinkhorn(scores, { epsilon: 0.5, iterations: 60 }).sum(0);
    await expectClose(shares, shares.mul(0).add(9 / 5), 1e-6);
    await expectClose(sinkhorn(scores, { epsilon: 0.5, iterations: 0 }), scores.div(0.5).softmax(1), 1e-14);
  });

  it('has an ε of .05 and 3 iterations, unless given', async () => {
    const scores = normalMatrix(1, 8, 5).tanh();
    await expectClose(sinkhorn(scores), sinkhorn(scores, { epsilon: 0.05, iterations: 3 }), 0);
  });

  it('says what is wrong with its input', () => {
    const scores = normalMatrix(0, 3, 4);
    expectError(() => sinkhorn(scores.slice(0)), 'shape', /sinkhorn: takes/);
    expectError(() => sinkhorn(normalMatrix(0, 0, 4)), 'shape', /at least 1 sample/);
    expectError(() => sinkhorn(scores.cast('i32')), 'dtype', /floats/);
    for (const epsilon of [0, -1, 1e-4]) expectError(() => sinkhorn(scores, { epsilon }), 'argument', /epsilon must be .* ≥ 0\.001/);
    for (const iterations of [-1, 1.5])
      expectError(() => sinkhorn(scores, { iterations }), 'argument', /iterations must be a whole number ≥ 0/);
  });
});
