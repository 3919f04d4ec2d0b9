import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { arange, concat, grad, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { functional, sphericalKMeans } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { converted } from '../recorded.ts';
import { expectClose, expectError, f64, gaussian, normalMatrix, orthogonal, seeds, values } from '../support.ts';

const { normalize } = functional;
const drawn = fc
  .record({ n: fc.integer({ min: 1, max: 8 }), d: fc.integer({ min: 2, max: 3 }) })
  .chain(({ n, d }) => fc.record({ n: fc.constant(n), d: fc.constant(d), k: fc.integer({ min: 1, max: n }) }));

/** The sum of the cosines of points with their centroids. */
const objective = (points: Tensor, { centroids, assignments }: ReturnType<typeof sphericalKMeans>): Tensor =>
  normalize(points).mul(centroids.take(assignments)).sum();

describe.each([
  { backend: 'cpu', dtype: 'f64', tolerance: 1e-12 },
  { backend: 'wasm', dtype: 'f32', tolerance: 1e-5 },
] as const)('sphericalKMeans on $backend', ({ backend, dtype, tolerance }) => {
  beforeAll(async () => {
    await useBackend(backend);
  });
  const pointsOf = (seed: number, n: number, d: number): Tensor => tensor(converted(gaussian(seed, [n, d]), dtype));

  it('has an objective that never falls from one iteration to the next', () =>
    property([drawn, seeds], async ({ n, d, k }, seed) => {
      const points = pointsOf(seed, n, d);
      const sums = await values(
        ...[0, 1, 2, 5].map((iterations) => objective(points, sphericalKMeans(points, k, { key: seed, iterations }))),
      );
      sums.forEach(([sum], i) => {
        if (i > 0) expect(sum! - sums[i - 1]![0]!).toBeGreaterThan(-tolerance * n);
      });
    }));

  it('gives centroids of length 1, and each point the nearest of them', () =>
    property([drawn, seeds], async ({ n, d, k }, seed) => {
      const points = pointsOf(seed, n, d);
      const { centroids, assignments } = sphericalKMeans(points, k, { key: seed, iterations: 4 });
      const cosines = normalize(points).matmul(centroids.transpose());
      await expectClose(centroids.norm(-1), centroids.norm(-1).mul(0).add(1), tolerance);
      await expectClose(normalize(points).mul(centroids.take(assignments)).sum(1), cosines.max(1), tolerance, 1);
      expect(assignments.dtype).toBe('i32');
    }));

  it('is the same again for a key, and for points of other lengths', () =>
    property([drawn, seeds], async ({ n, d, k }, seed) => {
      const points = pointsOf(seed, n, d);
      const [first, again, scaled] = await values(
        ...[points, points, points.mul(4)].map((x) => sphericalKMeans(x, k, { key: seed, iterations: 2 }).assignments),
      );
      expect(again).toEqual(first);
      expect(scaled).toEqual(first);
    }));

  it('leaves a centroid without points as it is', async () => {
    const points = concat([pointsOf(1, 9, 3).abs()]);
    const empty = tensor([[0, 0, -1]], { dtype });
    const { centroids, assignments } = sphericalKMeans(points, concat([points.narrow(0, 0, 2), empty]), { iterations: 5 });
    await expectClose(centroids.narrow(0, 2, 1), empty, 0);
    expect(Math.max(...(await assignments.data()))).toBe(1);
  });

  it('puts points that are all one into the first cluster, whatever else there is', async () => {
    const points = pointsOf(1, 1, 4).expand([7, 4]);
    const { centroids, assignments } = sphericalKMeans(points, 3);
    expect(Array.from(await assignments.data())).toEqual(Array(7).fill(0));
    await expectClose(centroids, normalize(points.narrow(0, 0, 3)), tolerance);
  });
});

describe('sphericalKMeans', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('finds what is apart, from one point of each', () =>
    property([fc.integer({ min: 2, max: 5 }), seeds], async (k, seed) => {
      const directions = orthogonal(seed, k);
      const points = concat(
        Array.from({ length: 4 }, (_, i) =>
          directions.add(
            normalMatrix(seed + i, k, k)
              .tanh()
              .mul(0.05),
          ),
        ),
      );
      const { centroids, assignments } = sphericalKMeans(points, points.narrow(0, 0, k));
      expect(Array.from(await assignments.data())).toEqual(Array.from({ length: 4 * k }, (_, i) => i % k));
      // At rest, a centroid is the direction of its points' sum.
      await expectClose(centroids, normalize(normalize(points).reshape([4, k, k]).sum(0)), 1e-12);
    }));

  it('has each point for its own centroid where there are as many', async () => {
    const points = normalMatrix(3, 6, 4);
    const result = sphericalKMeans(points, 6);
    expect(Math.abs((await objective(points, result).item()) - 6)).toBeLessThan(1e-12);
    expect(new Set(await result.assignments.data()).size).toBe(6);
  });

  it('draws other points for another key, and no point twice', async () => {
    const points = normalMatrix(3, 40, 4);
    const [first, other] = await values(...[1, 2].map((key) => sphericalKMeans(points, 20, { key, iterations: 0 }).centroids));
    expect(first).not.toEqual(other);
    expect(new Set(Array.from({ length: 20 }, (_, i) => first![4 * i])).size).toBe(20);
  });

  it('looks at some points at a time where there are many, with the same result', async () => {
    const points = normalMatrix(3, 2500, 4);
    const centroids = normalMatrix(4, 2000, 4);
    const { centroids: moved, assignments } = sphericalKMeans(points, centroids, { iterations: 1 });
    const nearest = functional.normalize(points).matmul(functional.normalize(centroids).transpose()).argmax(1);
    const members = nearest.unsqueeze(1).equal(arange(2000)).cast('f64');
    const sums = members.transpose().matmul(functional.normalize(points));
    const expected = members.max(0).unsqueeze(1).where(functional.normalize(sums), functional.normalize(centroids));
    await expectClose(moved, expected, 1e-12);
    const last = functional.normalize(points).matmul(expected.transpose()).argmax(1);
    expect(await assignments.array()).toEqual(await last.array());
  });

  it('turns with its points', () =>
    property([drawn, seeds], async ({ n, d, k }, seed) => {
      const [points, rotation] = [normalMatrix(seed, n, d), orthogonal(seed + 1, d)];
      const first = points.narrow(0, 0, k);
      const [own, turned] = [sphericalKMeans(points, first), sphericalKMeans(points.matmul(rotation), first.matmul(rotation))];
      await expectClose(turned.centroids, own.centroids.matmul(rotation), 1e-9, 1);
    }));

  it('makes constants', async () => {
    const points = normalMatrix(1, 5, 3);
    expect(await grad(sphericalKMeans(points, 2).centroids.sum(), [points])[0]!.abs().sum().item()).toBe(0);
  });

  it('has a row of zeros in the first cluster, and is finite', async () => {
    const { centroids, assignments } = sphericalKMeans(
      f64([
        [0, 0],
        [1, 0],
        [0, 1],
      ]),
      f64([
        [1, 0],
        [0, 1],
      ]),
    );
    expect(await assignments.array()).toEqual([0, 0, 1]);
    expect(await centroids.array()).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it('says what is wrong with its input', () => {
    const points = normalMatrix(0, 3, 4);
    for (const clusters of [4, 0, 1.5])
      expectError(() => sphericalKMeans(points, clusters), 'argument', /clusters must be a whole number from 1 to 3/);
    expectError(() => sphericalKMeans(points, normalMatrix(0, 4, 4)), 'argument', /clusters must be a whole number from 1 to 3.*got 4/);
    expectError(() => sphericalKMeans(points, normalMatrix(0, 2, 3)), 'shape', /must be \[k, 4\], got \[2, 3\]/);
    expectError(() => sphericalKMeans(points, normalMatrix(0, 2, 4).cast('f32')), 'dtype', /f64 and f32/);
    expectError(() => sphericalKMeans(normalMatrix(0, 0, 4), 1), 'shape', /at least 1 sample/);
    expectError(() => sphericalKMeans(points, 2, { iterations: -1 }), 'argument', /iterations/);
  });
});
