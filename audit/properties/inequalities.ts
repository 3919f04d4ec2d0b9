import { type Batch, sizesOf } from '../batch.ts';
import type { Family } from '../formulas/index.ts';
import { collapsed, healthy } from './batches.ts';
import { option } from './options.ts';
import { both, digits, type Property, styles } from './property.ts';

/** The bounds of a loss. */
function bounds(
  family: Family,
  source: string,
  statement: string,
  least: ((b: Batch) => number) | null,
  most: ((b: Batch) => number) | null,
): Property {
  return {
    name: `bounds of ${family}`,
    statement,
    source,
    families: [family],
    draws: both,
    check: async (trial, { batch }) => {
      const { loss } = await trial.ask(batch);
      const tolerance = await trial.tolerance(batch, loss);
      const [low, high] = [least?.(batch) ?? -Infinity, most?.(batch) ?? Infinity];
      if (!Number.isFinite(tolerance) || (loss >= low - tolerance && loss <= high + tolerance)) return null;
      const limit = loss < low ? low : high;
      return { sentence: `the loss is ${digits(loss)}, beyond its bound of ${digits(limit)}`, expected: limit, seen: loss, tolerance };
    },
  };
}

/** What the loss is more than, or less than: that of another batch, or its bounds. */
export const inequalities: readonly Property[] = [
  {
    name: 'collapse costs',
    statement: 'a batch whose samples are all one has a higher loss than one of spread samples whose views agree',
    source: 'what keeps the method from collapse',
    families: ['vicreg', 'barlow-twins', 'simclr', 'moco', 'vibcreg', 'tico', 'mmcr', 'tcr', 'frossl', 'corinfomax', 'sigreg', 'lejepa'],
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, drawn) => {
      const spread = healthy(drawn, trial, 1);
      const point = spread && collapsed({ ...drawn, batch: spread });
      if (!spread || !point) return null;
      // Of the queue or the covariance before, each goes on as it was drawn.
      const [a, b] = [trial.expected({ ...point, state: drawn.batch.state }), trial.expected(spread)];
      const gap = a.value - b.value;
      if (!(gap > 0.05 * Math.abs(b.value) + 1000 * (a.tolerance + b.tolerance))) return null;
      const [first, second] = [await trial.ask({ ...point, state: drawn.batch.state }), await trial.ask(spread)];
      if (first.loss > second.loss) return null;
      return {
        sentence: `all samples one: ${digits(first.loss)}; spread: ${digits(second.loss)}. Collapse costs nothing`,
        expected: null,
        seen: first.loss - second.loss,
        tolerance: null,
        batch: point,
      };
    },
  },
  bounds('vicreg', 'VICReg Eq. 6', 'the loss is at least 0', () => 0, null),
  bounds('vibcreg', 'VIbCReg', 'the loss is at least 0', () => 0, null),
  bounds(
    'barlow-twins',
    'Barlow Twins Eq. 1',
    'the loss is at least 0, and at most 4d + λ·d(d−1), as |C_ij| ≤ 1',
    () => 0,
    (b) => option(b, 'scale') * (4 * sizesOf(b).d + option(b, 'offDiagonal') * sizesOf(b).d * (sizesOf(b).d - 1)),
  ),
  bounds(
    'w-mse',
    'W-MSE §3',
    'the loss of normalised rows is from 0 to 4',
    () => 0,
    (b) => (b.options['distance'] === 'mse' ? Infinity : 4),
  ),
  bounds(
    'simclr',
    'SimCLR Eq. 1',
    'the loss is within ln(1 + (2n − 2)·e^(∓2/τ))',
    (b) => Math.log1p((2 * sizesOf(b).n - 2) * Math.exp(-2 / option(b, 'temperature'))) * (b.options['dialect'] === 'google' ? 2 : 1),
    (b) => Math.log1p((2 * sizesOf(b).n - 2) * Math.exp(2 / option(b, 'temperature'))) * (b.options['dialect'] === 'google' ? 2 : 1),
  ),
  bounds(
    'moco',
    'MoCo Eq. 1',
    'the loss is within ln(1 + K·e^(∓2/τ))',
    (b) => Math.log1p(b.state['queue']!.rows * Math.exp(-2 / option(b, 'temperature'))),
    (b) => Math.log1p(b.state['queue']!.rows * Math.exp(2 / option(b, 'temperature'))),
  ),
  bounds(
    'byol',
    'BYOL Eq. 2',
    'the loss is from 0 to 8: each direction from 0 to 4',
    () => 0,
    () => 8,
  ),
  bounds(
    'simsiam',
    'SimSiam Eq. 1',
    'the loss is from −1 to 1',
    () => -1,
    () => 1,
  ),
  bounds('swav', 'SwAV Eq. 2', 'a cross-entropy is at least 0', () => 0, null),
  bounds(
    'deepcluster',
    'SwAV §A',
    'a cross-entropy is at least 0, and at most ln K + 2/τ',
    () => 0,
    (b) => Math.log(b.state['prototypes']!.rows) + 2 / option(b, 'temperature'),
  ),
  bounds('dino', 'DINO Eq. 2', 'a cross-entropy is at least 0', () => 0, null),
  bounds('sigreg', 'LeJEPA Eq. 6', 'the loss is at least 0', () => 0, null),
  bounds(
    'mmcr',
    'MMCR Eq. 3',
    'the nuclear norm of centroids is at most √(n·min(n, d))',
    (b) => (option(b, 'local') > 0 ? -Infinity : -option(b, 'global') * Math.sqrt(sizesOf(b).n * Math.min(sizesOf(b).n, sizesOf(b).d))),
    (b) => (option(b, 'local') > 0 ? Infinity : 0),
  ),
  bounds(
    'tcr',
    'MCR² Eq. 7',
    'a coding rate is at least 0, so its negative is at most 0',
    (b) => -0.5 * Math.min(sizesOf(b).n, sizesOf(b).d) * Math.log1p(sizesOf(b).d / option(b, 'epsilon')),
    () => 0,
  ),
];
