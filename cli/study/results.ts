import type { Warning } from '../../models/train/monitor.ts';
import { fixed, table } from '../table.ts';

/**
 * What `tensegrity compare` and `tensegrity ablate` write into results.json, as plain data: a page is a function of it. Numbers that are not finite
 * are null. It holds no path and no time of day, and but for `seconds` the same command gives the same data again.
 */
export interface StudyResults {
  /** 'compare', 'ablate terms', …: the words after `tensegrity`. */
  readonly study: string;
  readonly title: string;
  /** Sentences that belong beside the table: what it has the form of, and where it differs. */
  readonly notes: readonly string[];
  /** The command that makes the table, and goes on with one that is not finished. */
  readonly command: string;
  /** Of the package. */
  readonly version: string;
  readonly data: DataSummary;
  /** The second data set, on which features learned of the first are probed. */
  readonly transfer: DataSummary | null;
  readonly encoder: string;
  readonly epochs: number;
  readonly seeds: readonly number[];
  readonly columns: readonly Column[];
  /** In the order in which they are shown. */
  readonly rows: readonly Row[];
  /** Cells, a row at a seed each, that have all their scores, of how many. */
  readonly done: number;
  readonly total: number;
}

export interface DataSummary {
  readonly name: string;
  /** Images that are trained on. */
  readonly train: number;
  /** Images that are scored with. */
  readonly test: number;
  readonly classes: number;
}

export interface Column {
  /** The key of its values. */
  readonly name: string;
  /** A few words. */
  readonly title: string;
  /** A sentence. */
  readonly description: string;
  /** A share, from 0 to 1, shown in percent; or any number. */
  readonly kind: 'share' | 'number';
  /** After the point, as it is shown. */
  readonly digits: number;
  /** Which values are better; null where neither is by itself. */
  readonly better: 'higher' | 'lower' | null;
}

export interface Row {
  /** The key of it. */
  readonly name: string;
  readonly title: string;
  /** `method` is trained without labels, `supervised` with all of them, `random` not at all; `pixels` has no encoder. */
  readonly kind: 'method' | 'supervised' | 'random' | 'pixels';
  /** The row and the column that it has in a table of two sides: 'SimSiam', '+ variance'; null where there is none. */
  readonly group: string | null;
  readonly variant: string | null;
  /** Where it is on an axis, of widths or batch sizes say; null where there is none. */
  readonly at: number | null;
  /** What the paper has for it: top-1 of the linear probe in percent, on ImageNet with ResNet-50. */
  readonly published: number | 'collapse' | null;
  /** The settings of its training by name, without the seed; null for what is not trained. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  /** What is there so far, at most one for each seed, in their order. */
  readonly cells: readonly Cell[];
  /** By column; null where no cell has a number. */
  readonly values: Readonly<Record<string, Statistic | null>>;
}

/** A row at one seed. */
export interface Cell {
  readonly seed: number;
  /** By column; null for a score that is no number, or that this row has not; not there where it is still to be computed. */
  readonly values: Readonly<Record<string, number | null>>;
  /** What the monitor said of the embedding after the last step. */
  readonly verdict: Warning | null;
  /** Of the training, at most {@link CURVE_POINTS} points; empty for what is not trained by steps that are watched. */
  readonly curve: readonly CurvePoint[];
  /** Eigenvalues of the covariance of the test images' features, in descending order; null where there are none. */
  readonly spectrum: readonly number[] | null;
  readonly seconds: { readonly training: number; readonly scoring: number };
}

export const CURVE_POINTS = 50;

export interface CurvePoint {
  readonly step: number;
  readonly loss: number | null;
  /** Of the embedding, as in a {@link import('../../models/train/trainer.ts').StepRecord}. */
  readonly deviation: number | null;
  readonly normalizedDeviation: number | null;
  readonly correlation: number | null;
}

/** Over seeds. */
export interface Statistic {
  readonly mean: number;
  /** Unbiased (n − 1); null for a single seed. */
  readonly deviation: number | null;
  /** Seeds that have a number. */
  readonly count: number;
}

/** Mean and deviation of the numbers that are there; null where there are none. */
export function statisticOf(values: readonly (number | null | undefined)[]): Statistic | null {
  const numbers = values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  const count = numbers.length;
  if (count === 0) return null;
  const mean = numbers.reduce((sum, value) => sum + value, 0) / count;
  const squares = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: count < 2 ? null : Math.sqrt(squares / (count - 1)), count };
}

/** '82.7 ± 0.3'; – for what is not there. */
export function shownStatistic(statistic: Statistic | null | undefined, { kind, digits }: Pick<Column, 'kind' | 'digits'>): string {
  if (!statistic) return '–';
  const scale = kind === 'share' ? 100 : 1;
  const { mean, deviation } = statistic;
  return `${fixed(mean * scale, digits)}${deviation === null ? '' : ` ± ${fixed(deviation * scale, digits)}`}`;
}

/** How many of the row's cells have collapsed, or diverged, by the monitor's word. */
export function verdictsOf({ cells }: Pick<Row, 'cells'>): string {
  const kinds = cells.flatMap(({ verdict }) => verdict?.kind ?? []);
  return [...new Set(kinds)]
    .map((kind) => {
      const count = kinds.filter((other) => other === kind).length;
      return count === cells.length ? kind : `${kind} (${count} of ${cells.length})`;
    })
    .join(', ');
}

/** What the paper has for a row, in words; – for nothing. */
export function shownPublished(published: Row['published']): string {
  return typeof published === 'number' ? fixed(published, 1) : (published ?? '–');
}

/** Header and rows of the whole table, as text. */
export function tableOf({ columns, rows }: Pick<StudyResults, 'columns' | 'rows'>): { header: string[]; rows: string[][] } {
  const published = rows.some((row) => row.published !== null);
  const judged = rows.some((row) => verdictsOf(row) !== '');
  return {
    header: ['', ...columns.map(({ title }) => title), ...(published ? ['paper'] : []), ...(judged ? ['the monitor says'] : [])],
    rows: rows.map((row) => [
      row.title,
      ...columns.map((column) => shownStatistic(row.values[column.name], column)),
      ...(published ? [shownPublished(row.published)] : []),
      ...(judged ? [verdictsOf(row)] : []),
    ]),
  };
}

/** The first column alone, by group and variant, where rows have both; null where they have not. */
export function twoSidedTableOf({
  columns: [first],
  rows,
}: Pick<StudyResults, 'columns' | 'rows'>): { header: string[]; rows: string[][] } | null {
  const sided = rows.filter(({ group, variant }) => group !== null && variant !== null);
  if (!first || sided.length === 0) return null;
  const variants = [...new Set(sided.map(({ variant }) => variant!))];
  const groups = [...new Set(sided.map(({ group }) => group!))];
  const cell = (group: string, variant: string): string => {
    const row = sided.find((other) => other.group === group && other.variant === variant);
    if (!row) return '–';
    const verdicts = verdictsOf(row);
    return `${shownStatistic(row.values[first.name], first)}${verdicts === '' ? '' : `, ${verdicts}`}${row.published === null ? '' : ` (${shownPublished(row.published)})`}`;
  };
  return {
    header: [`${first.title} (the paper's)`, ...variants],
    rows: groups.map((group) => [group, ...variants.map((variant) => cell(group, variant))]),
  };
}

/** The tables of a study, for a terminal. */
export function printedTables(results: StudyResults): string {
  const sided = twoSidedTableOf(results);
  const whole = tableOf(results);
  return [...(sided ? [table(sided.header, sided.rows)] : []), table(whole.header, whole.rows)].join('\n\n');
}

/** The tables of a study as Markdown, with what makes them: the page that is committed beside results. */
export function markdownOf(results: StudyResults): string {
  const { title, command, version, data, encoder, epochs, seeds, done, total, notes, columns } = results;
  const lines = ({ header, rows }: { header: readonly string[]; rows: readonly (readonly string[])[] }): string =>
    [header, header.map((_, i) => (i === 0 ? '---' : '--:')), ...rows]
      .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
      .join('\n');
  const sided = twoSidedTableOf(results);
  return `${[
    `# ${title}`,
    `\`${command}\``,
    `${data.name}: ${data.train} images to train on, ${data.test} to score with, ${data.classes} classes; encoder ${encoder}, epochs ${epochs}, ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}; tensegrity ${version}${done < total ? `; ${done} of ${total} cells are done` : ''}. Where there is ±, it is the deviation over seeds.`,
    ...(sided ? [lines(sided)] : []),
    lines(tableOf(results)),
    columns.map(({ title: name, description }) => `- ${name}: ${description}`).join('\n'),
    ...notes,
  ].join('\n\n')}\n`;
}
