import { basename } from 'node:path';
import { methodNamed } from '../../models/methods/index.ts';
import type { Dashboard } from '../../models/train/dashboard.ts';
import { diagnose } from '../../models/train/monitor.ts';
import { type Results, scoreHeader, scoreRows } from '../report.ts';
import type { MetricsLine, RunConfig } from '../runFolder.ts';
import { duration } from '../table.ts';
import { type LineChart, lineChart, type Series } from './chart.ts';
import { shownCount } from './html.ts';
import { grid, judged, page, type Section, type Verdict } from './page.ts';
import { dataTable } from './table.ts';

/** What a curve is of; undefined where a line does not measure it, and null, as JSON has it, where that was no number. */
type Pick = (line: MetricsLine) => number | null | undefined;

interface Curves {
  readonly title: string;
  readonly text?: string;
  readonly y?: LineChart['y'];
  readonly of: Readonly<Record<string, Pick>>;
  readonly marks?: LineChart['marks'];
}

const seen =
  (name: Exclude<keyof Dashboard, 'spectrum'>): Pick =>
  (line) =>
    line.dashboard?.[name];

/** The curves of a run, in the order of the page; those that nothing was measured for are left out. */
function curvesOf(terms: readonly string[]): readonly Curves[] {
  return [
    { title: 'Loss', of: { loss: (line) => line.loss } },
    {
      title: 'Its terms',
      text: 'Before their weights.',
      of: Object.fromEntries(terms.map((name) => [name, (line: MetricsLine) => line.parts?.[name]])),
    },
    {
      title: 'Spread of the embedding',
      text: 'Standard deviation, mean over dimensions: near 0 every image maps to one point.',
      y: { zero: true },
      of: { std: (line) => line.deviation, 'std_ℓ2, of directions': (line) => line.normalizedDeviation },
      marks: [{ at: 1, label: 'healthy: 1' }],
    },
    {
      title: 'Correlation of dimensions',
      text: 'Mean |correlation| of two dimensions: 0 where each says something of its own, 1 where all say the same.',
      y: { zero: true },
      of: { 'mean |correlation|': (line) => line.correlation },
    },
    {
      title: 'Rank of the features',
      text: 'How many dimensions the encoder uses.',
      y: { label: 'dimensions', zero: true },
      of: {
        'RankMe, after each epoch': (line) => line.rankMe,
        'RankMe of centred features': seen('rankMeCentred'),
        LiDAR: seen('lidar'),
      },
    },
    {
      title: 'Told right while it trains',
      text: 'Share of images whose class is told from the features; nothing of it goes back into the encoder.',
      y: { zero: true },
      of: { 'online linear probe': (line) => line.probeAccuracy, 'k-NN': seen('nearest') },
    },
    { title: 'Learning rate', y: { zero: true, log: false }, of: { 'learning rate': (line) => line.learningRate } },
    {
      title: 'Speed',
      text: 'Of training steps alone.',
      y: { label: 'images/s', zero: true },
      of: { 'images/s': (line) => line.imagesPerSecond },
    },
  ];
}

function chartOf({ title, text, y, of, marks }: Curves, lines: readonly MetricsLine[]): ReturnType<typeof lineChart> {
  const series = Object.entries(of).flatMap(([name, pick]): Series[] => {
    const measured = lines.filter((line) => pick(line) !== undefined);
    if (measured.length === 0) return [];
    return [{ name, x: Float64Array.from(measured, ({ step }) => step), values: Float64Array.from(measured, (line) => pick(line) ?? NaN) }];
  });
  return lineChart({
    title,
    ...(text !== undefined && { text }),
    x: { label: 'step', values: lines.map(({ step }) => step) },
    ...(y && { y }),
    series,
    ...(marks && { marks }),
  });
}

/** What the last step says of the run. */
function verdictOf({ method, methodOptions }: RunConfig['training'], lines: readonly MetricsLine[]): Verdict {
  const last = lines.at(-1);
  if (!last) return { kind: 'plain', text: 'no step has been measured' };
  return judged(diagnose({ ...last, loss: last.loss ?? NaN, method, methodOptions })?.message ?? null);
}

/** The scores of encoders, as the commands print them. */
export function scoreSection(results: Results): Section {
  return {
    title: 'Frozen features',
    text: 'Accuracy on test images, by a linear probe of the features and by their neighbours, and how healthy the features are (std_ℓ2: 1 is healthy; correlation: 0).',
    content: dataTable({ columns: scoreHeader.map((name) => ({ name })), rows: scoreRows(results) }),
  };
}

/**
 * The page of a run: `report.html`.
 * @param lines what metrics.jsonl holds, of this version or of one before, which lacks some fields.
 * @param pictures of what the encoder makes of images, if that has been looked at.
 */
export function runPage(
  { training, source, backend }: RunConfig,
  lines: readonly MetricsLine[],
  results: Results | null,
  pictures: readonly Section[] = [],
): string {
  const terms = [
    ...new Set(
      lines
        .slice(0, 1)
        .concat(lines.slice(-1))
        .flatMap(({ parts }) => Object.keys(parts ?? {})),
    ),
  ];
  const seconds = lines.reduce((sum, { imagesPerSecond }) => sum + (imagesPerSecond > 0 ? training.batchSize / imagesPerSecond : 0), 0);
  const charts = curvesOf(terms)
    .map((curves) => chartOf(curves, lines))
    .filter((chart) => chart !== null);
  const settings = Object.entries({ data: source.data, ...training, backend: backend.name }).map(([name, value]) => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
  return page({
    title: `${methodNamed(training.method).title} on ${basename(source.data)}`,
    subtitle: `${shownCount(lines.at(-1)?.step ?? 0)} steps of ${training.batchSize} images, in ${duration(seconds)} on ${backend.name}; encoder ${training.encoder}, seed ${training.seed}`,
    verdict: verdictOf(training, lines),
    sections: [
      results && scoreSection(results),
      charts.length > 0 ? { title: 'Training', content: grid(charts) } : null,
      ...pictures,
      {
        title: 'Settings',
        content: dataTable({ columns: [{ name: 'setting' }, { name: 'value', text: true }], rows: settings }),
      },
    ],
  });
}
