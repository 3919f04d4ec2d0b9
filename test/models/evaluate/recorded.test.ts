import { beforeAll, expect, it } from 'vitest';
import { type HostArray, tensor, useBackend } from '../../../engine/index.ts';
import {
  type AlphaReQOptions,
  alignment,
  alphaReQ,
  covarianceSpectrum,
  effectiveRank,
  type LiDAROptions,
  lidar,
  meanOffDiagonalCorrelation,
  nearestNeighbours,
  normalizedDeviation,
  rankMe,
  uniformity,
} from '../../../models/index.ts';
import { readRecording } from '../../recordings/recordings.ts';
import { errorOf } from '../recorded.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

type Attributes = Readonly<Record<string, never>>;

const metrics: Readonly<
  Record<
    string,
    (inputs: readonly HostArray[], attributes: Attributes) => Promise<readonly ArrayLike<number>[]> | readonly ArrayLike<number>[]
  >
> = {
  rankMe: ([z], { centered, epsilon }) => [[rankMe(z!, { centred: centered!, epsilon: epsilon! })]],
  effectiveRank: ([z]) => [[effectiveRank(z!)]],
  stdL2: async ([z]) => [await normalizedDeviation(tensor(z!)).data()],
  meanOffDiagonalCorrelation: async ([z]) => [await meanOffDiagonalCorrelation(tensor(z!)).data()],
  uniformity: async ([z], { t }) => [await uniformity(tensor(z!), t).data()],
  covarianceSpectrum: ([z]) => [covarianceSpectrum(z!)],
  alphaReQ: ([z], { weights, ...range }) => [
    [alphaReQ(z!, { ...range, weights: weights === 'inverse rank' ? 'inverse-rank' : 'none' } as AlphaReQOptions)],
  ],
  alignment: async ([x, y], { exponent }) => [await alignment(tensor(x!), tensor(y!), exponent).data()],
  lidar: ([views], attributes) => [[lidar(views!, attributes as LiDAROptions)]],
  knn: async ([bank, bankLabels, queries, queryLabels], { k, temperature }) => {
    const { scores, predictions, accuracy } = await nearestNeighbours(
      { features: bank!, labels: bankLabels! },
      { features: queries!, labels: queryLabels! },
      { k: k!, temperature: temperature! },
    );
    // The recorded votes are exp(similarity/T) themselves; ours are relative to the nearest neighbour's.
    return [shares(scores, predictions.length), predictions, [accuracy]];
  },
};

/** The rows of a matrix over their sums. */
function shares(data: ArrayLike<number>, rows: number): Float64Array {
  const columns = data.length / rows;
  const sums = Array.from({ length: rows }, (_, i) =>
    Array.from(data)
      .slice(i * columns, (i + 1) * columns)
      .reduce((sum, value) => sum + value, 0),
  );
  return Float64Array.from(data, (value, at) => value / sums[Math.floor(at / columns)]!);
}

const recording = readRecording('metrics');

it.each(recording.cases)('$name', async ({ op, attributes, inputs, outputs }) => {
  const found = await metrics[op]!(inputs.map(recording.tensor), attributes as Attributes);
  for (const [k, name] of outputs.entries()) {
    const { shape, data } = recording.tensor(name);
    const expected = op === 'knn' && k === 0 ? shares(data, shape[0]!) : data;
    expect(errorOf(found[k]!, expected), name).toBeLessThanOrEqual(1e-10);
  }
});
