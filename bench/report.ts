import type { Contestant } from './contestants.ts';
import type { Entry, Measured } from './measure.ts';
import type { Rates } from './protocol.ts';
import { median } from './statistics.ts';

/** Results that differ by more than this are not of the same computation. */
const checkTolerance = 2e-3;

/** The roles that ours is compared with, and the columns where that is said. */
const comparisons = [
  { role: 'peer', title: 'best peer' },
  { role: 'native', title: 'native' },
  { role: 'hand', title: 'by hand' },
  { role: 'threaded', title: 'threads' },
] as const;

type Timed = Extract<Entry, { median: number }>;
const isTimed = (entry: Entry | undefined): entry is Timed => entry !== undefined && 'median' in entry;

export interface Row extends Measured {
  /** The least milliseconds that the machine allows each of our builds, and what binds. */
  readonly limits: Readonly<Record<string, { readonly milliseconds: number; readonly binds: 'arithmetic' | 'copy' }>>;
  /** Contestants whose first result is not that of ours. */
  readonly differing: readonly string[];
  /** How many times as long as the fastest of ours the fastest of each other role takes; without an entry where one of the two is missing. */
  readonly ratios: Readonly<Partial<Record<Contestant['role'], number>>>;
}

function limitOf({ demand, rates }: Measured, { build }: Contestant): Row['limits'][string] | null {
  const rate = build && rates[build];
  if (demand === null || rate === undefined) return null;
  const arithmetic = (demand.flops / rate) * 1000;
  const copy = (demand.bytes / rates.copy) * 1000;
  return arithmetic >= copy ? { milliseconds: arithmetic, binds: 'arithmetic' } : { milliseconds: copy, binds: 'copy' };
}

export function rowOf(measured: Measured, contestants: readonly Contestant[]): Row {
  const withRole = (role: Contestant['role']): Timed[] =>
    measured.entries.filter(
      (entry): entry is Timed => isTimed(entry) && contestants.some(({ name, role: own }) => name === entry.name && own === role),
    );
  const ours = withRole('ours');
  const fastest = (entries: readonly Timed[]): number => Math.min(...entries.map((entry) => entry.median));
  const others = comparisons.flatMap(({ role }) => {
    const entries = withRole(role);
    return entries.length === 0 || ours.length === 0 ? [] : [[role, fastest(entries) / fastest(ours)]];
  });
  const reference = (ours[0] ?? measured.entries.find(isTimed))?.check;
  const differs = (entry: Entry): boolean =>
    isTimed(entry) && reference !== undefined && !(Math.abs(entry.check - reference) <= checkTolerance * Math.abs(reference));
  return {
    ...measured,
    limits: Object.fromEntries(
      contestants.flatMap((contestant) => {
        const limit = limitOf(measured, contestant);
        return limit === null ? [] : [[contestant.name, limit]];
      }),
    ),
    differing: measured.entries.filter(differs).map(({ name }) => name),
    ratios: Object.fromEntries(others),
  };
}

export function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toPrecision(3)} s`;
  if (milliseconds >= 1) return `${milliseconds.toPrecision(3)} ms`;
  return `${(milliseconds * 1000).toPrecision(3)} µs`;
}

/** A time, or of work on a GPU, whose amount is known, what was done in it. */
export function cell(entry: Entry | undefined, { differing, demand, case: { work, device } }: Row): string {
  if (entry === undefined) return '';
  if ('exceeded' in entry) return `> ${entry.exceeded} s`;
  if ('cannot' in entry) return 'cannot';
  const time = duration(entry.median);
  const rate = work.kind === 'step' ? `${(1000 / entry.median).toPrecision(3)}/s` : speed((demand?.flops ?? 0) / entry.median / 1e-3);
  return `${device === 'gpu' ? `${rate}, ${time}` : time}${differing.includes(entry.name) ? ' ≠' : ''}`;
}

const ratio = (value: number | undefined): string =>
  value === undefined ? '–' : `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}×`;

const rated = (value: number, unit: string): string => `${(value / 1e9).toFixed(1)} ${unit}`;
const speed = (flops: number): string => (flops >= 1e12 ? `${(flops / 1e12).toPrecision(3)} TFLOP/s` : `${(flops / 1e9).toPrecision(3)} GFLOP/s`);

/** How near to its limit each of our builds comes: in the median, and at best. */
function shares({ entries, limits }: Row, contestants: readonly Contestant[]): string[] {
  return contestants
    .filter(({ build }) => build !== undefined)
    .map(({ name }) => {
      const entry = entries.find((candidate) => candidate.name === name);
      const limit = limits[name];
      if (limit === undefined || Number.isNaN(limit.milliseconds) || !isTimed(entry)) return '–';
      const share = (milliseconds: number): string => ((100 * limit.milliseconds) / milliseconds).toFixed(0);
      return `${share(entry.median)}–${share(entry.fastest)}%${limit.binds === 'copy' ? ' copy' : ''}`;
    });
}

/** Columns side by side, the first to the left and the others to the right. */
export function textTable(head: readonly string[], body: readonly (readonly string[])[]): string[] {
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((line) => line[column]!.length)));
  return [head, ...body].map((line) =>
    line.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join('  '),
  );
}

export function bytesText(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toPrecision(bytes >= 1e8 ? 4 : 3)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toPrecision(3)} KB` : `${bytes} B`;
}

export function tableOf(rows: readonly Row[], contestants: readonly Contestant[]): string {
  const present = contestants.filter(({ name }) => rows.some(({ entries }) => entries.some((entry) => entry.name === name)));
  const builds = present.filter(({ build }) => build !== undefined);
  const compared = comparisons.filter(({ role }) => present.some((contestant) => contestant.role === role));
  const head = [
    'case',
    ...present.map(({ name }) => name),
    ...compared.map(({ title }) => title),
    ...builds.map(({ name, build }) => `of limit, ${build === 'pair' ? 'two threads' : build === 'gpu' ? name : build}`),
    'copy',
  ];
  const body = rows.map((row) => [
    row.case.name,
    ...present.map(({ name }) =>
      cell(
        row.entries.find((entry) => entry.name === name),
        row,
      ),
    ),
    ...compared.map(({ role }) => ratio(row.ratios[role])),
    ...shares(row, present),
    row.demand !== null && row.demand.bytes > 0 ? rated(row.rates.copy, 'GB/s') : '–',
  ]);
  const lines = textTable(head, body);
  return [...lines, `  ${peaksOf(rows)}`, ...compilingOf(rows), ...memoryOf(rows), ...notesOf(rows)].join('\n');
}

/** How long whole steps took to be compiled for a GPU. */
function compilingOf(rows: readonly Row[]): string[] {
  return rows
    .filter(({ case: { device, work } }) => device === 'gpu' && work.kind === 'step')
    .map(({ case: { name }, entries }) => `  first call, ${name}: ${entries.filter(isTimed).map((entry) => `${entry.name} ${duration(entry.first)}`).join(', ')}`);
}

/** What the limits on arithmetic were made of. */
function peaksOf(rows: readonly Row[]): string {
  const peak = (build: keyof Rates): string | null => {
    const measured = rows.flatMap(({ rates }) => rates[build] ?? []);
    return measured.length === 0 ? null : speed(median(measured));
  };
  if (rows.every((row) => row.case.device === 'gpu')) return `peak of f32 multiply-adds on the GPU: ${peak('gpu')}`;
  const pair = peak('pair');
  return `peak of 128-bit arithmetic: relaxed ${peak('relaxed')}, simd ${peak('simd')}${pair ? `; two threads together ${pair} (relaxed)` : ''}`;
}

/** The most memory in use at once, of those that say. */
function memoryOf(rows: readonly Row[]): string[] {
  return rows.flatMap(({ case: { name }, entries }) => {
    const said = entries.flatMap((entry) => (isTimed(entry) && entry.peakBytes !== undefined ? [`${entry.name} ${(entry.peakBytes / 1e6).toFixed(0)} MB`] : []));
    return said.length === 0 ? [] : [`  most memory in use at once, ${name}: ${said.join(', ')}`];
  });
}

/** Each reason once, with the cases it holds for. */
function notesOf(rows: readonly Row[]): string[] {
  const notes = new Map<string, string[]>();
  const note = (text: string, { case: { name } }: Row): void => {
    notes.set(text, [...(notes.get(text) ?? []), name]);
  };
  for (const row of rows) {
    for (const entry of row.entries) if ('cannot' in entry) note(`${entry.name} cannot: ${entry.cannot}`, row);
    for (const name of row.differing) note(`${name} ≠: its first result differs from ours, so the times cannot be compared`, row);
  }
  return [...notes].map(([text, names]) => `  ${text} (${names.length > 3 ? `${names.length} cases` : names.join('; ')})`);
}
