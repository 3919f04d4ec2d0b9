import { type Column, type Row, type StudyResults, shownPublished, shownStatistic, twoSidedTableOf, verdictsOf } from '../study/results.ts';
import { duration } from '../table.ts';
import { lineChart, type Series } from './chart.ts';
import { dotPlot } from './dotPlot.ts';
import { type Content, html, shownCount } from './html.ts';
import { grid, page, type Section, type Verdict } from './page.ts';
import { type Cell, dataTable } from './table.ts';

/** The page of a study, of `tensegrity compare` or `tensegrity ablate`: its tables, the same as pictures, and how each training went. */
export function comparePage(results: StudyResults): string {
  const { title, command, version, data, transfer, encoder, epochs, seeds, notes, columns } = results;
  return page({
    title,
    subtitle: html`${data.name}: ${shownCount(data.train)} images to train on, ${shownCount(data.test)} to score with, ${data.classes} classes${transfer ? ` (transfer to ${transfer.name}: ${shownCount(transfer.train)} and ${shownCount(transfer.test)}, ${transfer.classes} classes)` : ''}; encoder ${encoder}, epochs ${epochs}, ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}; tensegrity ${version}`,
    verdict: standing(results),
    sections: [
      sidedSection(results),
      {
        title: 'Scores',
        text: 'Mean over seeds ± deviation. ↑: higher is better. ★: the best of what has not collapsed.',
        content: [
          scoreTable(results),
          html`<dl class="faint">${columns.map(({ title: name, description }) => html`<dt>${name}</dt><dd>${description}</dd>`)}</dl>`,
        ],
      },
      trendSection(results),
      pictureSection(results),
      trainingSection(results),
      spectrumSection(results),
      settingsSection(results),
      {
        title: 'How it was made',
        content: [html`<p><code>${command}</code></p>`, notes.map((note) => html`<p>${note}</p>`)],
      },
    ],
  });
}

function standing({ done, total, rows }: StudyResults): Verdict {
  const failed = rows.filter((row) => verdictsOf(row) !== '');
  const said = failed.length === 0 ? '' : `; ${failed.map((row) => `${row.title}: ${verdictsOf(row)}`).join(', ')}`;
  // An ablation is there to collapse: that is no bad news, nor a good one.
  return {
    kind: done < total || failed.length > 0 ? 'plain' : 'good',
    text: `${done === total ? 'all' : done} of ${total} cells are done${said}`,
  };
}

/** The first column by group and variant, where the study has two sides. */
function sidedSection(results: StudyResults): Section | null {
  const sided = twoSidedTableOf(results);
  if (!sided) return null;
  const table = dataTable({ columns: sided.header.map((name) => ({ name })), rows: sided.rows });
  return {
    title: 'At a glance',
    text: 'In brackets what the paper has, of larger images, encoders and runs: orders compare, numbers do not.',
    content: table,
  };
}

/** Which way is better. */
const ARROWS = { higher: '↑', lower: '↓' } as const;

/** What rows are for, as headings. */
const KINDS: Readonly<Record<Row['kind'], string>> = {
  method: 'learned without labels',
  supervised: 'learned with all labels',
  random: 'not learned',
  pixels: 'no encoder',
};

function scoreTable({ columns, rows }: StudyResults): Content {
  const published = rows.some((row) => row.published !== null);
  const judged = rows.some((row) => verdictsOf(row) !== '');
  const best = new Map(columns.map((column) => [column.name, bestOf(column, rows)]));
  const cells = (row: Row): readonly Cell[] => [
    row.title,
    ...columns.map((column) => ({ content: shownStatistic(row.values[column.name], column), best: best.get(column.name) === row })),
    ...(published ? [shownPublished(row.published)] : []),
    ...(judged ? [verdictsOf(row) || '–'] : []),
    timeOf(row),
  ];
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  const groups =
    kinds.length === 1 ? rows.map(cells) : kinds.flatMap((kind) => [[KINDS[kind]], ...rows.filter((row) => row.kind === kind).map(cells)]);
  return dataTable({
    columns: [
      { name: '' },
      ...columns.map(({ title, kind, better }) => ({
        name: title,
        unit: `${kind === 'share' ? '%' : ''} ${better === null ? '' : ARROWS[better]}`.trim(),
      })),
      ...(published ? [{ name: 'paper', unit: '%, linear' }] : []),
      ...(judged ? [{ name: 'the monitor says' }] : []),
      { name: 'training', unit: 'a seed' },
    ],
    rows: groups,
  });
}

function timeOf({ cells }: Row): string {
  const times = cells.map(({ seconds }) => seconds.training).filter((time) => time > 0);
  return times.length === 0 ? '–' : duration(times.reduce((sum, time) => sum + time, 0) / times.length);
}

/** Of the methods that are healthy; none where but one has a number, or neither direction is better. */
function bestOf({ name, better }: Column, rows: readonly Row[]): Row | null {
  const scored = rows.filter((row) => row.kind === 'method' && row.values[name] && verdictsOf(row) === '');
  if (better === null || scored.length < 2) return null;
  const sign = better === 'higher' ? 1 : -1;
  return scored.reduce((first, row) => (sign * row.values[name]!.mean > sign * first.values[name]!.mean ? row : first));
}

/** Scores along an axis, of widths or batch sizes. */
function trendSection({ columns, rows }: StudyResults): Section | null {
  const along = rows.filter(({ at }) => at !== null).sort((a, b) => a.at! - b.at!);
  const shares = columns.filter(({ kind }) => kind === 'share');
  if (along.length < 2) return null;
  const values = along.map(({ at }) => at!);
  const chart = (title: string, series: readonly Series[]): Content =>
    lineChart({ title, x: { label: 'setting', values, log: true, ticks: values }, series: series.filter((one) => one.values.length > 0) });
  const published = along.filter((row) => typeof row.published === 'number');
  return {
    title: 'The trend',
    text: 'Means over seeds.',
    content: grid([
      chart(
        'Accuracy, %',
        shares.map(({ name, title }) => trend(along, title, (row) => (row.values[name] ? row.values[name].mean * 100 : null))),
      ),
      published.length < 2
        ? null
        : chart("The paper's, %", [
            trend(along, 'linear probe, ImageNet', ({ published: value }) => (typeof value === 'number' ? value : null)),
          ]),
    ]),
  };
}

function trend(rows: readonly Row[], name: string, numberOf: (row: Row) => number | null): Series {
  const there = rows.filter((row) => numberOf(row) !== null);
  return { name, x: there.map(({ at }) => at!), values: there.map((row) => numberOf(row)!) };
}

/** Each column of shares as a picture. */
function pictureSection({ columns, rows }: StudyResults): Section | null {
  const plots = columns.flatMap(({ name, title, kind }) => {
    if (kind !== 'share') return [];
    const dots = rows.flatMap((row) => {
      const statistic = row.values[name];
      if (!statistic) return [];
      const values = row.cells.map((cell) => (cell.values[name] ?? NaN) * 100).filter(Number.isFinite);
      return [
        {
          name: row.title,
          values,
          mean: statistic.mean * 100,
          deviation: statistic.deviation === null ? null : statistic.deviation * 100,
          failed: verdictsOf(row) !== '',
          reference: row.kind === 'random' || row.kind === 'pixels',
        },
      ];
    });
    const plot = dotPlot({ title, unit: '%', rows: dots });
    return plot ? [plot] : [];
  });
  if (plots.length === 0) return null;
  return {
    title: 'The scores as pictures',
    text: 'A ring is a seed, a dot their mean, a line ± one deviation; × has collapsed. Dotted lines go on from what nothing has trained.',
    content: grid(plots),
  };
}

/** How the embedding went while it was trained, at the first seed. */
function trainingSection({ rows }: StudyResults): Section | null {
  const charts = rows.flatMap((row) => {
    const [cell] = row.cells;
    if (!cell || cell.curve.length === 0) return [];
    const chart = lineChart({
      title: row.title,
      text: verdictsOf(row) === '' ? null : `✗ ${verdictsOf(row)}`,
      x: { label: 'step', values: cell.curve.map(({ step }) => step) },
      y: { zero: true },
      series: [
        { name: 'std', values: cell.curve.map(({ deviation }) => deviation ?? NaN) },
        { name: 'std_ℓ2', values: cell.curve.map(({ normalizedDeviation }) => normalizedDeviation ?? NaN) },
        { name: 'mean |corr|', values: cell.curve.map(({ correlation }) => correlation ?? NaN) },
      ],
    });
    return chart ? [chart] : [];
  });
  if (charts.length === 0) return null;
  return {
    title: 'While they trained',
    text: 'Of the embedding, at the first seed: std near 0 is every image at one point; std_ℓ2, of directions, is 1 where it is healthy; correlation near 1 is every dimension the same.',
    content: grid(charts),
  };
}

/** The features' spectra, each beside that of the encoder that nothing has trained. */
function spectrumSection({ rows }: StudyResults): Section | null {
  const sharesOf = (row: Row | undefined): number[] => {
    const spectrum = row?.cells.find((cell) => cell.spectrum !== null)?.spectrum ?? [];
    const total = spectrum.reduce((sum, value) => sum + value, 0);
    return spectrum.map((value) => value / total).filter((share) => share > 1e-9);
  };
  const random = rows.find(({ kind }) => kind === 'random');
  const untrained = sharesOf(random);
  const axes = (shares: readonly number[]): number[] => shares.map((_, k) => k + 1);
  const charts = rows.flatMap((row) => {
    const shares = sharesOf(row);
    if (shares.length === 0 || row === random) return [];
    const chart = lineChart({
      title: row.title,
      x: { label: 'axis, by variance', values: axes(shares), log: true },
      y: { label: 'share', log: true },
      series: [
        { name: row.title, x: axes(shares), values: shares },
        ...(untrained.length > 0 ? [{ name: random!.title, x: axes(untrained), values: untrained }] : []),
      ],
      legend: false,
    });
    return chart ? [chart] : [];
  });
  if (charts.length === 0) return null;
  return {
    title: 'Spectra of the features',
    text: `The share of the variance along each principal axis, of test images${untrained.length > 0 ? '; dashed, the random encoder' : ''}. Level is healthy, a cliff is dimensional collapse.`,
    content: grid(charts),
  };
}

/** What rows were trained with: what all have, and by row what they have not in common. */
function settingsSection({ rows }: StudyResults): Section | null {
  const trained = rows.filter(({ settings }) => settings !== null);
  if (trained.length === 0) return null;
  const shown = (value: unknown): string => (value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value));
  const names = [...new Set(trained.flatMap(({ settings }) => Object.keys(settings!)))];
  const values = (name: string): Set<string> => new Set(trained.map(({ settings }) => shown(settings![name])));
  const common = names.filter((name) => values(name).size === 1);
  const own = names.filter((name) => values(name).size > 1);
  return {
    title: 'Settings',
    content: [
      common.length > 0 ? html`<p>All: ${common.map((name) => `${name} ${shown(trained[0]!.settings![name])}`).join(', ')}.</p>` : null,
      own.length > 0
        ? dataTable({
            columns: [{ name: '' }, ...own.map((name) => ({ name }))],
            rows: trained.map(({ title, settings }) => [title, ...own.map((name) => shown(settings![name]))]),
          })
        : null,
    ],
  };
}
