import { type Cell, type Column, type Row, type StudyResults, statisticOf } from '../../../cli/study/results.ts';

const columns: readonly Column[] = [
  { name: 'linear', title: 'linear (GAP)', description: 'linear probe of pooled features', kind: 'share', digits: 1, better: 'higher' },
  { name: 'rankme', title: 'RankMe', description: 'dimensions that are used', kind: 'number', digits: 1, better: 'higher' },
];

function cell(seed: number, linear: number | null, collapsed = false): Cell {
  const curve = Array.from({ length: 20 }, (_, i) => ({
    step: 10 * (i + 1),
    loss: 25 / (i + 1 + seed),
    deviation: collapsed ? 1 / (i + 1) ** 2 : 1 - 1 / (i + 2),
    normalizedDeviation: 0.9,
    correlation: 0.1,
  }));
  return {
    seed,
    values: { linear, rankme: collapsed ? 1.5 : 30 + seed },
    verdict: collapsed ? { kind: 'collapsed', message: 'the embedding has collapsed' } : null,
    curve,
    spectrum: Array.from({ length: 16 }, (_, i) => 1 / (i + 1)),
    seconds: { training: 60, scoring: 20 },
  };
}

function row(title: string, cells: readonly Cell[], more: Partial<Row> = {}): Row {
  const name = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return {
    name,
    title,
    kind: 'method',
    group: null,
    variant: null,
    at: null,
    published: null,
    settings: { method: 'vicreg', epochs: 2 },
    cells,
    values: Object.fromEntries(columns.map((column) => [column.name, statisticOf(cells.map(({ values }) => values[column.name]))])),
    ...more,
  };
}

const common = {
  notes: ['The form of Table 1 of VICReg.'],
  version: '0.1.0',
  data: { name: 'fashion-mnist', train: 60_000, test: 10_000, classes: 10 },
  transfer: null,
  encoder: 'small-conv',
  epochs: 2,
  seeds: [0, 1],
  columns,
} as const;

/** As `tensegrity compare` writes it, unfinished: a method with both seeds, one with one, one that collapsed, and the references. */
export const compareExample: StudyResults = {
  ...common,
  study: 'compare',
  title: 'Methods on one scale',
  command: 'tensegrity compare --data fashion-mnist --epochs 2 --seeds 0,1',
  rows: [
    row('VICReg', [cell(0, 0.827), cell(1, 0.833)]),
    row('SimSiam', [cell(0, 0.801)]),
    row('DINO', [cell(0, 0.1, true), cell(1, null, true)]),
    row('supervised', [cell(0, 0.9)], { kind: 'supervised', settings: { epochs: 2 } }),
    row('random encoder', [{ ...cell(0, 0.79), curve: [] }], { kind: 'random', settings: null }),
    row('raw pixels', [{ ...cell(0, 0.84), values: { linear: 0.84, rankme: null }, curve: [], spectrum: null }], {
      kind: 'pixels',
      settings: null,
    }),
  ],
  done: 8,
  total: 12,
};

/** As `tensegrity ablate branches` writes it: a table of two sides, with what the paper has. */
export const ablateExample: StudyResults = {
  ...common,
  study: 'ablate branches',
  title: 'Variance and covariance in other methods',
  command: 'tensegrity ablate branches',
  rows: [
    row('SimSiam', [cell(0, 0.8), cell(1, 0.81)], { group: 'SimSiam', variant: 'none', published: 67.9 }),
    row('SimSiam + V', [cell(0, 0.81), cell(1, 0.82)], { group: 'SimSiam', variant: '+ variance', published: 68.1 }),
    row('VICReg, neither term', [cell(0, 0.5, true), cell(1, 0.55)], { group: 'VICReg', variant: 'none', published: 'collapse' }),
    row('VICReg + V', [cell(0, 0.8)], { group: 'VICReg', variant: '+ variance', published: 57.5 }),
  ],
  done: 7,
  total: 8,
};
