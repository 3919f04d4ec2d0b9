import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, eye, full, type HostArray, memoryBytes, type Tensor, take, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { classRows } from '../../../models/evaluate/collapse.ts';
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
import { clusters } from './support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

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

  it('are as much larger as the matrix is, however large or small that makes its squares', () =>
    property([sizes([1, 6], [1, 6]), seeds, fc.integer({ min: -1000, max: 1000 })], async ({ n, d }, seed, exponent) => {
      const { data } = gaussian(seed, [n, d]);
      const timesPower = (power: number): number[] => [
        ...singularValues({ dtype: 'f64', shape: [n, d], data: Float64Array.from(data, (value) => value * 2 ** power) }),
      ];
      expect(timesPower(exponent)).toEqual(timesPower(0).map((value) => value * 2 ** exponent));
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

  it('tell both collapses of classes from classes that are told apart, whatever is added to all logits of an image', () =>
    property([seeds, fc.integer({ min: 2, max: 40 }), fc.double({ min: -100, max: 100, noNaN: true })], async (seed, classes, offset) => {
      const noise = normalMatrix(seed, 60, classes);
      const logits = {
        apart: noise.mul(3),
        // All images in the first class, and all in every class alike.
        one: noise.mul(0.1).add(concat([full([1, 1], 30, 'f64'), zeros([1, classes - 1], 'f64')], 1)),
        alike: noise.mul(0.05),
      };
      const told = async (rows: Tensor): Promise<number> => normalizedDeviation(classRows(rows)).item();
      expect(await told(logits.apart)).toBeGreaterThan(0.5);
      expect(await told(logits.one)).toBeLessThan(0.1);
      expect(await told(logits.alike)).toBeLessThan(0.1);
      expect(await told(logits.apart.add(offset))).toBeCloseTo(await told(logits.apart), 9);
    }));

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

  it('uniformity takes rows of zeros for one point, the origin', async () => {
    const some = tensor(
      [
        [0, 0],
        [3, 0],
      ],
      { dtype: 'f64' },
    );
    const [dead, one] = await values(uniformity(zeros([4, 3], 'f64')), uniformity(some));
    expect(dead![0]).toBeCloseTo(0, 12);
    expect(one![0]).toBeCloseTo(-2, 12);
  });

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
        const { scores, predictions, classes: labels } = await nearestNeighbours(bank, queries, { k });
        const unit = ({ features: { data } }: LabelledFeatures, i: number): number[] => {
          const row = [...data.subarray(3 * i, 3 * i + 3)];
          return row.map((value) => value / Math.hypot(...row));
        };
        for (let query = 0; query < 5; query++) {
          const similarity = Array.from({ length: count }, (_, i) =>
            unit(bank, i).reduce((sum, value, j) => sum + value * unit(queries, query)[j]!, 0),
          );
          const nearest = similarity.map((value, i) => ({ value, i })).sort((a, b) => b.value - a.value || a.i - b.i);
          const votes = labels.map(() => 0);
          for (const { value, i } of nearest.slice(0, k))
            votes[labels.indexOf(bank.labels.data[i]!)]! += Math.exp((value - nearest[0]!.value) / 0.07);
          votes.forEach((vote, at) => expect(Math.abs(scores[query * labels.length + at]! - vote)).toBeLessThan(1e-8));
          expect(votes[labels.indexOf(predictions[query]!)]).toBeGreaterThanOrEqual(Math.max(...votes) * (1 - 1e-9));
        }
      },
    ));
});

describe('both probes', () => {
  const probes = {
    linearProbe: (train: LabelledFeatures, test: LabelledFeatures) =>
      linearProbe(train, test, { epochs: 3, batchSize: 20, learningRate: 0.3 }),
    nearestNeighbours: (train: LabelledFeatures, test: LabelledFeatures) => nearestNeighbours(train, test, { k: 5 }),
  };
  const renamed = ({ features, labels }: LabelledFeatures, name: (label: number) => number): LabelledFeatures => ({
    features,
    labels: { ...labels, data: Int32Array.from(labels.data, name) },
  });
  const [train, test] = [clusters(3, 0, 60, 3, 4, 0.5), clusters(3, 1, 40, 3, 4, 0.5)];

  it.each(Object.entries(probes))('%s: any labels do as well as 0, 1, 2, and come back as they were', async (_, probe) => {
    const plain = await probe(train, test);
    expect(plain).toMatchObject({ classes: [0, 1, 2], unseen: 0 });
    for (const names of [
      [0, 1000, 2000],
      [1, 2, 3],
      [7, 70_000, 1_500_000_000],
    ]) {
      const name = (label: number): number => names[label]!;
      const other = await probe(renamed(train, name), renamed(test, name));
      expect(other).toMatchObject({ accuracy: plain.accuracy, classes: names, unseen: 0 });
      expect([...other.predictions]).toEqual([...plain.predictions].map(name));
    }
  });

  it.each(Object.entries(probes))('%s: a label that the training set lacks counts as wrong, and is counted', async (_, probe) => {
    const plain = await probe(train, test);
    const strange = await probe(
      train,
      renamed(test, (label) => (label === 2 ? 9 : label)),
    );
    expect(strange.predictions).toEqual(plain.predictions);
    expect(strange).toMatchObject({ classes: [0, 1, 2], unseen: test.labels.data.filter((label) => label === 2).length });
    const right = [...plain.predictions].filter((label, i) => label < 2 && label === test.labels.data[i]).length;
    expect(strange.accuracy).toBe(right / 40);
  });

  it.each(Object.entries(probes))('%s: features that are not finite are refused, by row', async (_, probe) => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const broken = ({ features, labels }: LabelledFeatures, row: number): LabelledFeatures => ({
        labels,
        features: { ...features, data: Float64Array.from(features.data, (x, at) => (at === 4 * row + 1 ? value : x)) },
      });
      await expect(probe(broken(train, 7), test)).rejects.toMatchObject({
        code: 'argument',
        message: expect.stringContaining(`row 7 of the training features has ${value}`),
      });
      await expect(probe(train, broken(test, 39))).rejects.toThrow(`row 39 of the test features has ${value}`);
    }
  });

  it.each(Object.entries(probes))('%s: labels that are no whole numbers from 0 are refused', async (name, probe) => {
    await expect(
      probe(
        renamed(train, (label) => label - 1),
        test,
      ),
    ).rejects.toThrow(`${name}: labels must be from 0, got -1 at 0`);
    const floats: LabelledFeatures = { ...train, labels: { dtype: 'f64', shape: [60], data: Float64Array.from(train.labels.data) } };
    await expect(probe(floats, test)).rejects.toMatchObject({ code: 'dtype' });
  });
});

describe('votes of nearest neighbours', () => {
  const matrix = (...rows: number[][]): HostArray => ({
    dtype: 'f64',
    shape: [rows.length, rows[0]!.length],
    data: Float64Array.from(rows.flat()),
  });
  const labels = (...of: number[]): HostArray => ({ dtype: 'i32', shape: [of.length], data: Int32Array.from(of) });
  // The nearest is of class 1, two a little further of class 0.
  const bank: LabelledFeatures = { features: matrix([1, 0.1], [1, 0.2], [1, -0.2], [-1, 0]), labels: labels(1, 0, 0, 0) };
  const query: LabelledFeatures = { features: matrix([1, 0.05]), labels: labels(1) };

  it.each([1e-2, 1e-3, 1 / 710, 1e-5, 1e-100, 5e-324])('at temperature %d are finite, and for the nearest', async (temperature) => {
    const { predictions, scores } = await nearestNeighbours(bank, query, { k: 4, temperature });
    expect([...predictions]).toEqual([1]);
    expect(scores[1]).toBe(1);
    expect(scores[0]).toBeGreaterThanOrEqual(0);
    expect(scores[0]).toBeLessThan(1);
  });

  it('at a high temperature are for the majority', async () => {
    for (const temperature of [10, 1e300])
      expect([...(await nearestNeighbours(bank, query, { k: 4, temperature })).predictions]).toEqual([0]);
  });

  it('do not depend on the lengths of rows, however large or small', async () => {
    for (const dtype of ['f64', 'f32'] as const) {
      for (const scale of dtype === 'f64' ? [1e-320, 1e-200, 1e-12, 1e200, 1e307] : [1e-40, 1e-30, 1e25, 1e38]) {
        const scaled = ({ features: { shape, data }, labels: of }: LabelledFeatures): LabelledFeatures => {
          const values = Array.from(data, (value) => value * scale);
          return { labels: of, features: { dtype, shape, data: dtype === 'f64' ? Float64Array.from(values) : Float32Array.from(values) } };
        };
        expect([...(await nearestNeighbours(scaled(bank), scaled(query), { k: 1 })).predictions]).toEqual([1]);
      }
    }
  });

  it('of a row of zeros are those of the first in the bank; k is as many as there are, unless it is said', async () => {
    const zeros: LabelledFeatures = { features: matrix([0, 0]), labels: labels(0) };
    expect([...(await nearestNeighbours(bank, zeros, { k: 1 })).scores]).toEqual([0, 1]);
    expect((await nearestNeighbours(bank, query)).scores[1]).toBe(1);
    await expect(nearestNeighbours(bank, query, { k: 5 })).rejects.toThrow(/from 1 to 4, the size of the bank, got 5/);
  });
});

describe('metrics at the edge', () => {
  it('are NaN where an element is, at once', async () => {
    const z = gaussian(1, [60, 40]);
    z.data[7] = Number.NaN;
    expect([...singularValues(z)].every(Number.isNaN)).toBe(true);
    expect(rankMe(z)).toBeNaN();
    expect(effectiveRank(z)).toBeNaN();
    expect(lidar({ ...z, shape: [10, 6, 40] })).toBeNaN();
    expectError(() => alphaReQ(z), 'argument', /0 positive eigenvalues/);
    const metrics = await collapseMetrics(z);
    for (const value of [metrics.rankMe, metrics.uniformity, metrics.alphaReQ, metrics.deviation, metrics.meanOffDiagonalCorrelation])
      expect(value).toBeNaN();
  });

  it('uniformity does not underflow, nor overflow', async () => {
    const opposite = tensor([
      [1, 0],
      [-1, 0],
    ]);
    for (const t of [1, 100, 1e4, 1e30, -1e4]) expect((await uniformity(opposite, t).item()) / (-4 * t)).toBeCloseTo(1, 6);
  });
});

describe('the linear probe', () => {
  it('says that it diverged', async () => {
    const [train, test] = [clusters(3, 0, 40, 3, 4, 0.5), clusters(3, 1, 20, 3, 4, 0.5)];
    await expect(linearProbe(train, test, { epochs: 3, learningRate: 1e308 })).rejects.toThrow(/diverged; choose a lower learningRate/);
    await expect(linearProbe(train, test, { learningRate: 0 })).rejects.toThrow(/learningRate must be above 0/);
  });

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
