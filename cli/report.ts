import type { FeatureScores } from '../models/train/evaluate.ts';
import type { MetricsLine, RunConfig } from './runFolder.ts';
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

const COLOURS = ['#0b6e99', '#c2571a', '#3a7d44', '#7b4b94', '#8a6d1d'];

interface Curve {
  readonly name: string;
  readonly values: readonly number[];
}

/** A page that needs nothing else: the curves of a run and its scores. */
export function reportPage({ training, source }: RunConfig, lines: readonly MetricsLine[], results: Results | null): string {
  const names = Object.keys(lines[0]?.parts ?? {});
  const curve = (name: string, pick: (line: MetricsLine) => number): Curve => ({ name, values: lines.map(pick) });
  const charts = [
    chart('Loss', [curve('loss', (line) => line.loss)]),
    names.length > 0
      ? chart(
          'Its parts (unweighted)',
          names.map((name) => curve(name, (line) => line.parts[name] ?? NaN)),
        )
      : '',
    chart('Is it collapsing?', [
      curve('embedding std (0: collapsed)', (line) => line.deviation),
      curve('std_ℓ2 (1: healthy)', (line) => line.normalizedDeviation),
      curve('mean |correlation| (0: no redundancy)', (line) => line.correlation),
    ]),
    chart('RankMe of the features after each epoch', [curve('RankMe', (line) => line.rankMe ?? NaN)]),
    chart('Learning rate', [curve('learning rate', (line) => line.learningRate)]),
  ];
  const rows = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const scores = results
    ? `<h2>Frozen features</h2><table>${rows(scoreHeader, 'th')}${scoreRows(results)
        .map((row) => rows(row, 'td'))
        .join('')}</table>`
    : '';
  const settings = Object.entries({ data: source.data, ...training }).map(([name, value]) =>
    rows([name, typeof value === 'object' ? JSON.stringify(value) : String(value)], 'td'),
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>tensegrity: ${escapeHtml(training.method)} on ${escapeHtml(source.data)}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c2526;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;display:block;overflow-x:auto}
td,th{padding:.25rem .8rem;border-bottom:1px solid #dde3e4;text-align:right;font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(27rem,1fr));gap:1.5rem}svg{width:100%;height:auto}figure{margin:0}figcaption{font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:0 1rem;font-size:.85rem}.legend i{display:inline-block;width:1rem;height:.2rem;margin-right:.35rem;vertical-align:middle}
</style>
<h1>${escapeHtml(training.method)} on ${escapeHtml(source.data)}, ${lines.at(-1)?.step ?? 0} steps</h1>
${scores}<h2>Training</h2><div class="charts">${charts.join('')}</div>
<h2>Settings</h2><table>${settings.join('')}</table>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [440, 220, 52, 24];

function chart(title: string, curves: readonly Curve[]): string {
  const finite = curves.flatMap(({ values }) => values.filter(Number.isFinite));
  if (finite.length === 0) return '';
  const low = Math.min(
    0,
    finite.reduce((least, value) => Math.min(least, value), Infinity),
  );
  const high = finite.reduce((most, value) => Math.max(most, value), low + 1e-12);
  const count = Math.max(...curves.map(({ values }) => values.length));
  const x = (i: number): number => LEFT + (i / Math.max(1, count - 1)) * (WIDTH - LEFT - 8);
  const y = (value: number): number => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - 8);
  const step = roundStep((high - low) / 4);
  const ticks = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step).filter(
    (value) => value <= high,
  );
  const grid = ticks.map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - 8}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#e3e8e9"/><text x="${LEFT - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end" font-size="11" fill="#5b6769">${tick(value)}</text>`,
  );
  const lines = curves.map(
    ({ values }, i) => `<path fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.5" d="${path(values, x, y)}"/>`,
  );
  const legend = curves.map(({ name }, i) => `<span><i style="background:${COLOURS[i % COLOURS.length]}"></i>${escapeHtml(name)}</span>`);
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}<text x="${WIDTH - 8}" y="${HEIGHT - 6}" text-anchor="end" font-size="11" fill="#5b6769">step ${count}</text>${lines.join('')}</svg><div class="legend">${legend.join('')}</div></figure>`;
}

/** At most 600 points, each the mean of its stretch, so that the page stays small. */
function path(values: readonly number[], x: (i: number) => number, y: (value: number) => number): string {
  const stretch = Math.max(1, Math.ceil(values.length / 600));
  const points: string[] = [];
  for (let i = 0; i < values.length; i += stretch) {
    const part = values.slice(i, i + stretch).filter(Number.isFinite);
    if (part.length > 0) points.push(`${x(i).toFixed(1)},${y(part.reduce((sum, value) => sum + value, 0) / part.length).toFixed(1)}`);
  }
  return points.length === 0 ? '' : `M${points.join('L')}`;
}

/** The largest of 1, 2 and 5 times a power of ten that is not above `width`. */
function roundStep(width: number): number {
  const power = 10 ** Math.floor(Math.log10(width));
  return power * ([5, 2].find((factor) => factor * power <= width) ?? 1);
}

function tick(value: number): string {
  if (value === 0) return '0';
  return Math.abs(value) >= 0.01 && Math.abs(value) < 1e4 ? String(Number(value.toPrecision(3))) : value.toExponential(0);
}
