import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { cholesky, concat, eye, type HostArray, ones, tensor, triangularSolve, useBackend } from '../../../engine/index.ts';
import { balancedSubset, fewLabels, type LabelledFeatures, nearestNeighbours, ridgeProbe, takeRows } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectError, orthogonal, seeds, sizes } from '../support.ts';
import { clusters } from './support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const matrix = (rows: readonly (readonly number[])[]): HostArray => ({
  dtype: 'f64',
  shape: [rows.length, rows[0]!.length],
  data: Float64Array.from(rows.flat()),
});

/** (XᵀX + λ·diag(1, …, 1, 0))⁻¹Xᵀy by normal equations, where the last column of X is 1: another way than the probe's. */
async function normalEquations(features: HostArray, y: HostArray, lambda: number): Promise<number[][]> {
  const x = concat([tensor(features), ones([features.shape[0]!, 1], 'f64')], 1);
  const d = features.shape[1]!;
  const penalty = eye(d + 1, 'f64').mul(tensor(Float64Array.from({ length: d + 1 }, (_, i) => (i < d ? lambda : 1e-300))));
  const factor = cholesky(x.transpose().matmul(x).add(penalty));
  const half = triangularSolve(factor, x.transpose().matmul(tensor(y)));
  return (await triangularSolve(factor, half, { transpose: true }).array()) as number[][];
}

const predict = (weights: readonly (readonly number[])[], sample: readonly number[]): number[] =>
  weights[0]!.map((_, c) => [...sample, 1].reduce((sum, value, j) => sum + value * weights[j]![c]!, 0));

describe('ridgeProbe', () => {
  const split = (seed: number, n: number, d: number): LabelledFeatures => clusters(seed, 0, n, 3, d, 1);
  const rowsOf = ({ features: { shape, data } }: LabelledFeatures): number[][] =>
    Array.from({ length: shape[0]! }, (_, i) => [...data.subarray(i * shape[1]!, (i + 1) * shape[1]!)] as number[]);
  const indicators = ({ labels }: LabelledFeatures): number[][] =>
    Array.from(labels.data, (label: number) => [0, 1, 2].map((c) => (c === label ? 1 : 0)));
  const meanLength = (rows: readonly (readonly number[])[]): number => {
    const mean = rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length);
    return rows.reduce((sum, row) => sum + row.reduce((own, value, j) => own + (value - mean[j]!) ** 2, 0), 0) / rows.length;
  };

  it('predicts as the normal equations do, and chooses the penalty whose error by leaving each sample out is least', () =>
    property([sizes([6, 12], [1, 8]), seeds], async ({ n, d }, seed) => {
      const [train, test] = [split(seed, n, d), clusters(seed, 1, 9, 3, d, 1)];
      const [rows, y] = [rowsOf(train), indicators(train)];
      const penalties = [1e-2, 1, 1e2];
      const errors: number[] = [];
      for (const penalty of penalties) {
        const lambda = penalty * meanLength(rows);
        let error = 0;
        for (let out = 0; out < n; out++) {
          const keep = (all: readonly number[][]): HostArray => matrix(all.filter((_, i) => i !== out));
          const predicted = predict(await normalEquations(keep(rows), keep(y), lambda), rows[out]!);
          error += predicted.reduce((sum, value, c) => sum + (value - y[out]![c]!) ** 2, 0);
        }
        errors.push(error);
      }
      const { penalty, predictions } = ridgeProbe(train, test, { penalties });
      const least = errors.indexOf(Math.min(...errors));
      // Which of two that are the same but for rounding is nobody's.
      expect(errors[penalties.indexOf(penalty)]! / errors[least]!).toBeCloseTo(1, 8);
      const weights = await normalEquations(matrix(rows), matrix(y), penalty * meanLength(rows));
      rowsOf(test).forEach((row, i) => {
        const scores = predict(weights, row);
        expect(scores[predictions[i]!]!).toBeGreaterThan(Math.max(...scores) - 1e-9);
      });
    }));

  it('does not mind where features are, how they are turned, nor how large they are', () =>
    property([seeds, fc.integer({ min: -3, max: 3 })], async (seed, decades) => {
      const [train, test] = [split(seed, 30, 5), clusters(seed, 1, 60, 3, 5, 1)];
      const turn = orthogonal(seed, 5);
      const moved = async ({ features, labels }: LabelledFeatures): Promise<LabelledFeatures> => ({
        features: await tensor(features)
          .matmul(turn)
          .add(7)
          .mul(10 ** decades)
          .toHost(),
        labels,
      });
      const [before, after] = [ridgeProbe(train, test), ridgeProbe(await moved(train), await moved(test))];
      expect(after.penalty).toBe(before.penalty);
      expect([...after.predictions]).toEqual([...before.predictions]);
    }));

  it('tells features that say nothing by their commonest class, and one label by itself', () => {
    const zeros: LabelledFeatures = {
      features: { dtype: 'f32', shape: [4, 3], data: new Float32Array(12) },
      labels: { dtype: 'i32', shape: [4], data: Int32Array.from([7, 2, 7, 7]) },
    };
    expect(ridgeProbe(zeros, zeros)).toMatchObject({ accuracy: 0.75, classes: [2, 7] });
    const one = { features: { ...zeros.features, shape: [1, 3], data: new Float32Array(3) }, labels: takeRows(zeros.labels, [1]) };
    expect(ridgeProbe(one, zeros).accuracy).toBe(0.25);
  });

  it('refuses penalties that are none, and what would take hours', () => {
    const train = split(1, 6, 2);
    for (const penalties of [[], [0], [1, -1]])
      expectError(() => ridgeProbe(train, train, { penalties }), 'argument', /penalties must be a list of numbers above 0/);
    const many = split(1, 2001, 2);
    expectError(() => ridgeProbe(many, train), 'argument', /at most 2000 training samples, got 2001; linearProbe/);
  });
});

describe('fewLabels', () => {
  const [train, test] = [clusters(3, 0, 300, 3, 4, 1.5), clusters(3, 1, 300, 3, 4, 1.5)];

  it('is the mean of both probes over balanced subsets, of features that all samples together standardise', async () => {
    const { labels, linear, nearest } = await fewLabels(train, test, { fraction: 0.05, draws: 3, seed: 4 });
    expect(labels).toBe(15);
    const { data, shape } = train.features;
    const [n, d] = shape as [number, number];
    const column = (j: number): number[] => Array.from({ length: n }, (_, i) => data[i * d + j]!);
    const mean = Array.from({ length: d }, (_, j) => column(j).reduce((sum, x) => sum + x, 0) / n);
    const deviation = mean.map((m, j) => Math.sqrt(column(j).reduce((sum, x) => sum + (x - m) ** 2, 0) / (n - 1)));
    const scaled = (split: LabelledFeatures): LabelledFeatures => ({
      ...split,
      features: { ...split.features, data: Float64Array.from(split.features.data, (x, at) => (x - mean[at % d]!) / deviation[at % d]!) },
    });
    let [sumLinear, sumNearest] = [0, 0];
    for (const draw of [4, 5, 6]) {
      const rows = balancedSubset(train.labels, 0.05, draw);
      const few = { features: takeRows(scaled(train).features, rows), labels: takeRows(train.labels, rows) };
      sumLinear += ridgeProbe(few, scaled(test)).accuracy;
      sumNearest += (await nearestNeighbours(few, scaled(test))).accuracy;
    }
    expect(linear).toBeCloseTo(sumLinear / 3, 12);
    expect(nearest).toBeCloseTo(sumNearest / 3, 12);
    expect(await fewLabels(train, test, { fraction: 0.05, draws: 3, seed: 4, nearest: false })).toEqual({ labels, linear, nearest: NaN });
  });

  it('is better with more labels', async () => {
    const [few, more] = [await fewLabels(train, test, { fraction: 0.02 }), await fewLabels(train, test, { fraction: 0.3 })];
    expect(more.linear).toBeGreaterThan(few.linear);
    expect(more.nearest).toBeGreaterThan(few.nearest);
  });

  it('can be stopped, and refuses draws that are none', async () => {
    const onDraw = (): never => {
      throw new Error('enough');
    };
    await expect(fewLabels(train, test, { onDraw })).rejects.toThrow('enough');
    await expect(fewLabels(train, test, { draws: 0 })).rejects.toThrow(/draws must be a whole number ≥ 1, got 0/);
    await expect(fewLabels(train, test, { fraction: 0 })).rejects.toThrow(/fraction must be above 0/);
  });
});
