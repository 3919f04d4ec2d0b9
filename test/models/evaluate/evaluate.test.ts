import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, full, type HostArray, memoryBytes, take, tensor, useBackend } from '../../../engine/index.ts';
import {
  alignment,
  alphaReQ,
  collapseMetrics,
  covarianceSpectrum,
  effectiveRank,
  embeddingDeviation,
  type LabelledFeatures,
  lidar,
  linearProbe,
  meanOffDiagonalCorrelation,
  nearestNeighbours,
  normalizedDeviation,
  rankMe,
  singularValues,
  uniformity,
} from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectError, gaussian, normalMatrix, orthogonal, seeds, sizes, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

/** Clusters about random centres, the same for every `part`. */
function clusters(seed: number, part: number, count: number, classes: number, d: number, noise: number): LabelledFeatures {
  const [centres, spread] = [gaussian(seed, [classes, d]).data, gaussian(seed + 1000 * (part + 1), [count, d]).data];
  const labels = Int32Array.from({ length: count }, (_, i) => (i * 7 + part) % classes);
  const data = Float64Array.from(spread, (value, at) => centres[labels[Math.floor(at / d)]! * d + (at % d)]! + noise * value);
  return { features: { dtype: 'f64', shape: [count, d], data }, labels: { dtype: 'i32', shape: [count], data: labels } };
}

describe('singular values', () => {
  it('are those of the diagonal, whatever rotations surround it, to high relative accuracy', () =>
    property([sizes([1, 8], [1, 8]), seeds, fc.integer({ min: 0, max: 10 })], async ({ n, d }, seed, decades) => {
      const least = Math.min(n, d);
      const expected = Array.from({ length: least }, (_, i) => 10 ** ((-decades * i) / Math.max(1, least - 1)));
      const core = Float64Array.from({ length: n * d }, (_, at) =>
        at % d === Math.floor(at / d) && at % d < least ? expected[at % d]! : 0,
      );
      const z = orthogonal(seed, n)
        .matmul(tensor(core, { shape: [n, d] }))
        .matmul(orthogonal(seed + 1, d));
      const found = singularValues(await z.toHost());
      expect(found.length).toBe(least);
      // The rounding of z itself moves each by about 1e-15 of the largest.
      found.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-13));
    }));

  it('keep the digits of small ones, in whatever order columns come that differ by many orders of magnitude', () =>
    property([fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 }), seeds], async (order, seed) => {
      const z = orthogonal(seed, 8)
        .add(eye(8, 'f64').mul(2))
        .mul(tensor(Float64Array.from(order, (_, k) => 2 ** (-5 * k))));
      const [expected, found] = [
        singularValues(await z.toHost()),
        singularValues(await take(z, tensor(Int32Array.from(order)), 1).toHost()),
      ];
      found.forEach((value, k) => expect(Math.abs(value / expected[k]! - 1)).toBeLessThan(1e-13));
    }));

  it('are 0 for zeros, and of one column its length', () => {
    expect([...singularValues({ dtype: 'f64', shape: [3, 2], data: new Float64Array(6) })]).toEqual([0, 0]);
    expect(singularValues({ dtype: 'f64', shape: [2, 1], data: Float64Array.of(3, 4) })[0]).toBeCloseTo(5, 14);
    expectError(() => singularValues({ dtype: 'f64', shape: [0, 2], data: new Float64Array() }), 'shape', /with elements/);
  });
});

describe('collapse metrics', () => {
  it('say 1 for spread directions and 0 for one', async () => {
    const [spread, one] = await values(normalizedDeviation(normalMatrix(1, 2000, 16)), normalizedDeviation(full([20, 4], 3, 'f64')));
    expect(Math.abs(spread![0]! - 1)).toBeLessThan(0.02);
    expect(one![0]).toBe(0);
    expect(await embeddingDeviation(full([20, 4], 3, 'f64')).item()).toBe(0);
  });

  it('bound ranks by 1 and min(n, d), un-moved by scale and rotation', () =>
    property([sizes([2, 10], [1, 6]), seeds, fc.double({ min: 0.01, max: 100, noNaN: true })], async ({ n, d }, seed, scale) => {
      const z = gaussian(seed, [n, d]);
      const moved = await normalMatrix(seed, n, d)
        .matmul(orthogonal(seed + 1, d))
        .mul(scale)
        .toHost();
      for (const rank of [rankMe, effectiveRank]) {
        expect(rank(z)).toBeGreaterThanOrEqual(1 - 1e-4);
        expect(rank(z)).toBeLessThanOrEqual(Math.min(n, d) + 1e-4);
        expect(Math.abs(rank(moved) / rank(z) - 1)).toBeLessThan(1e-9);
      }
    }));

  it('see an offset in the un-centred rank only', () => {
    const z = gaussian(1, [200, 16]);
    const offset = { ...z, data: z.data.map((value) => value + 50) };
    expect(rankMe(z)).toBeGreaterThan(15);
    expect(rankMe(offset)).toBeLessThan(4);
    expect(rankMe(offset, { centred: true })).toBeGreaterThan(15);
  });

  it('find the exponent of a power law', () =>
    property([fc.integer({ min: 3, max: 6 }), seeds, fc.double({ min: 0.2, max: 3, noNaN: true })], async (d, seed, alpha) => {
      // Rows ±e_k·√(λ_k) have mean 0 and covariance ∝ diag(λ).
      const core = Float64Array.from({ length: 2 * d * d }, (_, at) => {
        const [row, column] = [Math.floor(at / d), at % d];
        return row % d === column ? (row < d ? 1 : -1) * (column + 1) ** (-alpha / 2) : 0;
      });
      const z = await tensor(core, { shape: [2 * d, d] })
        .matmul(orthogonal(seed, d))
        .toHost();
      for (const weights of ['none', 'inverse-rank'] as const) expect(alphaReQ(z, { weights })).toBeCloseTo(alpha, 8);
    }));

  it('have a spectrum that sums to the total variance', () =>
    property([sizes([2, 10], [1, 6]), seeds], async ({ n, d }, seed) => {
      const [variance] = await values(normalMatrix(seed, n, d).variance(0).sum());
      const total = covarianceSpectrum(gaussian(seed, [n, d])).reduce((sum, value) => sum + value, 0);
      expect(Math.abs(total / variance![0]! - 1)).toBeLessThan(1e-10);
    }));

  it('see equal columns, opposite columns and independent ones', async () => {
    const column = normalMatrix(1, 50, 1);
    const both = (other: typeof column): Promise<number> =>
      meanOffDiagonalCorrelation(
        column.matmul(tensor([[1, 0]], { dtype: 'f64' })).add(other.matmul(tensor([[0, 1]], { dtype: 'f64' }))),
      ).item();
    expect(await both(column.mul(3).add(1))).toBeCloseTo(1, 10);
    expect(await both(column.neg())).toBeCloseTo(1, 10);
    expect(await both(normalMatrix(2, 50, 1))).toBeLessThan(0.4);
    expect(await both(full([50, 1], 2, 'f64'))).toBeLessThan(1e-10);
  });

  it('lie where Wang & Isola have them', () =>
    property([sizes([2, 8], [2, 5]), seeds], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      const [same, opposite, even] = await values(alignment(z, z), alignment(z, z.neg()), uniformity(z));
      expect(same![0]).toBe(0);
      expect(opposite![0]).toBeCloseTo(4, 10);
      expect(even![0]).toBeLessThanOrEqual(1e-12);
      expect(even![0]).toBeGreaterThanOrEqual(-8);
    }));

  it('LiDAR is near 1 for one direction between samples, larger for more', () => {
    const views = (rank: number): HostArray => {
      const [direction, noise] = [gaussian(1, [40, rank]).data, gaussian(2, [40, 4, 6]).data];
      const data = Float64Array.from(
        noise,
        (value, at) => 0.1 * value + (at % 6 < rank ? 5 * direction[Math.floor(at / 24) * rank + (at % 6)]! : 0),
      );
      return { dtype: 'f64', shape: [40, 4, 6], data };
    };
    expect(lidar(views(1))).toBeLessThan(1.3);
    expect(lidar(views(5))).toBeGreaterThan(4);
    expectError(() => lidar(gaussian(1, [4, 4])), 'shape', /\[samples, views, dimensions\]/);
  });

  it('come all together, for collapsed embeddings too', async () => {
    const healthy = await collapseMetrics(gaussian(1, [300, 8]));
    expect(healthy.normalizedDeviation).toBeGreaterThan(0.9);
    expect(healthy.rankMe).toBeGreaterThan(7);
    expect(healthy.spectrum.length).toBe(8);
    const collapsed = await collapseMetrics({ dtype: 'f32', shape: [10, 4], data: new Float32Array(40).fill(0.5) });
    expect(collapsed.deviation).toBe(0);
    expect(collapsed.rankMe).toBeLessThan(1.01);
    expect(collapsed.meanOffDiagonalCorrelation).toBe(0);
    expect(collapsed.alphaReQ).toBeNaN();
    expect((await collapseMetrics(gaussian(1, [5, 1]))).meanOffDiagonalCorrelation).toBeNaN();
    await expect(collapseMetrics(gaussian(1, [1, 4]))).rejects.toThrow(/at least 2 samples/);
  });
});

describe('nearest neighbours', () => {
  it('vote as the whole sorted list says', () =>
    property(
      [fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 30 }), seeds],
      async (count, classes, wanted, seed) => {
        const k = Math.min(wanted, count);
        const [bank, queries] = [clusters(seed, 0, count, classes, 3, 1), clusters(seed, 1, 5, classes, 3, 1)];
        const { scores, predictions } = await nearestNeighbours(bank, queries, { k });
        const unit = ({ features: { data } }: LabelledFeatures, i: number): number[] => {
          const row = [...data.subarray(3 * i, 3 * i + 3)];
          return row.map((value) => value / Math.hypot(...row));
        };
        const labels = Math.max(...bank.labels.data, ...queries.labels.data) + 1;
        for (let query = 0; query < 5; query++) {
          const similarity = Array.from({ length: count }, (_, i) =>
            unit(bank, i).reduce((sum, value, j) => sum + value * unit(queries, query)[j]!, 0),
          );
          const nearest = similarity.map((value, i) => ({ value, i })).sort((a, b) => b.value - a.value || a.i - b.i);
          const votes = new Array<number>(labels).fill(0);
          for (const { value, i } of nearest.slice(0, k)) votes[bank.labels.data[i]!]! += Math.exp(value / 0.07);
          votes.forEach((vote, label) => expect(Math.abs(scores[query * labels + label]! - vote)).toBeLessThan(1e-8 * Math.max(1, vote)));
          expect(votes[predictions[query]!]).toBeGreaterThanOrEqual(Math.max(...votes) * (1 - 1e-9));
        }
      },
    ));
});

describe('the linear probe', () => {
  it('separates clusters, ignores the scale of features, and repeats itself', async () => {
    const [train, test] = [clusters(3, 0, 400, 5, 8, 0.3), clusters(3, 1, 200, 5, 8, 0.3)];
    const scales = [1e-3, 1, 50, 1, 1e4, 1, 1, 7];
    const scaled = ({ features, labels }: LabelledFeatures): LabelledFeatures => ({
      labels,
      features: { ...features, data: features.data.map((value, at) => value * scales[at % 8]! + (at % 8)) },
    });
    const options = { epochs: 10, batchSize: 64, learningRate: 0.3 };
    const before = await memoryBytes();
    const { accuracy, predictions } = await linearProbe(train, test, options);
    expect(accuracy).toBeGreaterThan(0.95);
    expect(await memoryBytes()).toBe(before);
    expect((await linearProbe(train, test, options)).predictions).toEqual(predictions);
    expect(Math.abs((await linearProbe(scaled(train), scaled(test), options)).accuracy - accuracy)).toBeLessThan(0.02);
  });

  it('finds nothing where there is nothing', async () => {
    const noise = (seed: number): LabelledFeatures => ({
      features: gaussian(seed, [600, 4]),
      labels: clusters(seed, 0, 600, 5, 1, 1).labels,
    });
    expect((await linearProbe(noise(1), noise(2), { epochs: 3 })).accuracy).toBeLessThan(0.35);
  });

  it('says what is wrong', async () => {
    const [train, test] = [clusters(3, 0, 10, 2, 3, 1), clusters(3, 1, 10, 2, 4, 1)];
    await expect(linearProbe(train, test)).rejects.toThrow(/features \[n, 3\] and labels \[n\], got \[10, 4\]/);
    await expect(nearestNeighbours(train, train, { k: 11 })).rejects.toThrow(/from 1 to 10/);
    await expect(nearestNeighbours(train, train, { k: 1, temperature: 0 })).rejects.toThrow(/above 0/);
    await expect(linearProbe({ ...train, labels: train.features }, train)).rejects.toThrow(/labels \[n\]/);
    await expect(linearProbe(train, train, { epochs: 0 })).rejects.toThrow(/whole numbers ≥ 1/);
    const negative = { ...train, labels: { ...train.labels, data: Int32Array.from(train.labels.data, (label) => -label) } };
    await expect(nearestNeighbours(negative, negative, { k: 1 })).rejects.toThrow(/labels must be from 0/);
  });
});
