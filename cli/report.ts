import type { FeatureScores } from '../models/train/evaluate.ts';
import { fixed, percent } from './table.ts';

/** The scores of a run, by what the features are of. */
export type Results = Readonly<Record<string, FeatureScores>>;

export const scoreHeader = [
  'features',
  'linear (GAP)',
  'linear (2×2)',
  'k-NN',
  '1%: linear (GAP)',
  '1%: linear (2×2)',
  '1%: k-NN',
  'RankMe',
  'RankMe centred',
  'std_ℓ2',
  'mean |corr|',
];

export function scoreRows(results: Results): string[][] {
  return Object.entries(results).map(([name, { linear, linear2x2, nearest, few, collapse }]) => [
    name,
    percent(linear),
    percent(linear2x2),
    percent(nearest),
    percent(few?.linear ?? null),
    percent(few?.linear2x2 ?? null),
    percent(few?.nearest ?? null),
    fixed(collapse?.rankMe, 1),
    fixed(collapse?.rankMeCentred, 1),
    fixed(collapse?.normalizedDeviation, 2),
    fixed(collapse?.meanOffDiagonalCorrelation, 3),
  ]);
}
