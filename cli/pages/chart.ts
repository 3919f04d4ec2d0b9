import { type Content, type Html, html, shownNumber } from './html.ts';
import { figure } from './page.ts';
import { colour } from './palette.ts';
import { extentOf, isDrawn, one, type Scale, scale, tickText } from './scale.ts';

const [WIDTH, HEIGHT] = [360, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 10, 12, 36];
/** Of the plot, in the picture's units; a curve has at most the least and the largest of its values in each of as many columns. */
const [PLOT_WIDTH, PLOT_HEIGHT] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];

/** Lines are told apart by these, too. */
const DASHES = ['', '7 3', '2 2.5', '9 3 2 3', '4 4', '12 4', '1 4', '6 2 1 2 1 2'];

export interface Series {
  readonly name: string;
  /** Where its values are; the chart's, unless given. */
  readonly x?: ArrayLike<number>;
  /** What is not finite is a gap, and marked. */
  readonly values: ArrayLike<number>;
}

/** An axis: its label has the unit. */
interface Axis {
  readonly label: string;
  /** Logarithmic where all values are above 0; by itself where they span more than three decades. */
  readonly log?: boolean;
  /** What to name on it; round numbers, unless given. */
  readonly ticks?: readonly number[];
}

/** A line across the picture, with what it means. */
export interface Mark {
  readonly at: number;
  readonly label: string;
}

export interface LineChart {
  readonly title: string;
  /** How to read it. */
  readonly text?: Content;
  /** Its values are whole numbers. */
  readonly x: Axis & { readonly values: ArrayLike<number> };
  readonly y?: Partial<Axis> & {
    /** Whether it begins at 0. */
    readonly zero?: boolean;
  };
  readonly series: readonly Series[];
  /** Horizontal lines. */
  readonly marks?: readonly Mark[];
  /** Whether each curve is named with its last value; yes, unless given. */
  readonly legend?: boolean;
}

/**
 * Curves over x. However many points there are, a curve has at most two in each unit of the picture's width, the least and the largest of
 * those that fall there, so that no spike is lost and the page stays small; and where there are more, their means. Null where nothing is finite at all.
 */
export function lineChart({ title, text, x, y, series, marks = [], legend: named = true }: LineChart): Html | null {
  const all = series.map((own) => ({ x: x.values, ...own }));
  const drawn = all.filter(({ values }) => extentOf([values]) !== null);
  const [across, range] = [extentOf([x.values, ...all.map((own) => own.x)]), extentOf(drawn.map(({ values }) => values))];
  if (across === null || range === null) return null;
  const log = range.least > 0 && (y?.log ?? range.most / range.least > 1e3);
  const horizontal = scale(across.least, across.most, {
    from: LEFT,
    to: WIDTH - RIGHT,
    log: (x.log ?? false) && across.least > 0,
    wanted: 4,
    whole: true,
  });
  const low = y?.zero && !log ? Math.min(0, range.least) : range.least;
  const vertical = scale(low, range.most, { from: HEIGHT - BOTTOM, to: TOP, log, wanted: 4, round: true });
  const curves = drawn.map(({ x: own, values }, i) => {
    const columnOf = (value: number): number => Math.floor(horizontal.at(value));
    const place = (at: number, value: number): string => `${one(horizontal.at(at))},${one(vertical.at(value))}`;
    const kept = decimated(own, values, columnOf);
    const extremes = kept.map(({ i: k, begins }) => `${begins ? 'M' : 'L'}${place(own[k]!, values[k]!)}`).join('');
    const [paint, dash] = [colour(i), DASHES[i % DASHES.length]!];
    // Where there are more values than columns, their means are the curve, and what they are means of stands pale behind.
    if (values.length > 2 * PLOT_WIDTH) {
      const means = columnMeans(own, values, columnOf).map(({ at, mean, begins }) => `${begins ? 'M' : 'L'}${place(at, mean)}`);
      return html`<g class="curve"><path class="pale" d="${extremes}" stroke="${paint}"/><path d="${means.join('')}" stroke="${paint}" stroke-dasharray="${dash}"/></g>`;
    }
    const dots =
      kept.length <= 12
        ? html`<path d="${extremes.replaceAll(/[ML]([\d.,-]+)/g, 'M$1h0')}" stroke="${paint}" stroke-width="5" stroke-linecap="round"/>`
        : null;
    return html`<g class="curve"><path d="${extremes}" stroke="${paint}" stroke-dasharray="${dash}"/>${dots}</g>`;
  });
  const lost = all.flatMap(lostIn);
  const crosses = lost.map(({ first }) => {
    const at = one(horizontal.at(first));
    return html`<path class="axis" d="M${at},${TOP}v${PLOT_HEIGHT}" stroke-dasharray="2 2"/><text x="${at}" y="${TOP + 3}" text-anchor="middle" class="strong halo">×</text>`;
  });
  const levels = marks
    .filter(({ at }) => Number.isFinite(vertical.at(at)) && inside(vertical.at(at)))
    .map(
      ({ at, label }) =>
        html`<path class="axis" d="M${LEFT},${one(vertical.at(at))}h${PLOT_WIDTH}" stroke-dasharray="3 3"/><text x="${WIDTH - RIGHT}" y="${one(vertical.at(at) + (vertical.at(at) < TOP + 12 ? 12 : -4))}" text-anchor="end" class="halo">${label}</text>`,
    );
  const last = drawn.map(({ values }) => values[values.length - 1]);
  const legend = html`<ul class="legend">${drawn.map(
    ({ name }, i) =>
      html`<li><svg style="width:26px" viewBox="0 0 26 8" aria-hidden="true"><path class="curve" d="M0,4h26" stroke="${colour(i)}" stroke-width="2" stroke-dasharray="${DASHES[i % DASHES.length]!}"/></svg>${name} <b>${shownNumber(last[i])}</b></li>`,
  )}</ul>`;
  const note =
    lost.length === 0
      ? null
      : html`× no number: ${lost.map(({ name, first, count }) => `${name} at ${x.label} ${shownNumber(first)}${count > 1 ? ` and ${count - 1} more` : ''}`).join('; ')}.`;
  const axes = [
    axis({ ...horizontal, ticks: x.ticks ?? horizontal.ticks }, 'x', x.label),
    axis(vertical, 'y', [y?.label, log ? 'logarithmic' : undefined].filter((word) => word !== undefined).join(', ')),
  ];
  const says = `${title}: ${drawn.map(({ name, values }) => summary(name, values)).join('; ')}`;
  return figure({
    title,
    ...(text !== undefined && { text }),
    content: [picture(says, [axes, levels, crosses, curves]), named ? legend : null],
    note,
  });
}

const inside = (y: number): boolean => y >= TOP - 0.5 && y <= HEIGHT - BOTTOM + 0.5;

/** What a curve does, for who does not see it. */
function summary(name: string, values: ArrayLike<number>): string {
  const range = extentOf([values])!;
  return `${name} from ${shownNumber(values[0])} to ${shownNumber(values[values.length - 1])}, within ${shownNumber(range.least)} … ${shownNumber(range.most)}`;
}

/** Where values are no numbers: the first of them, and how many. */
function lostIn({ name, x, values }: Required<Series>): { name: string; first: number; count: number }[] {
  let [first, count] = [NaN, 0];
  for (let i = 0; i < values.length; i++) if (!isDrawn(values[i]!) && count++ === 0) first = x[i]!;
  return count > 0 ? [{ name, first, count }] : [];
}

/** A picture of the chart's size, with what it shows in words. */
function picture(says: string, content: Content): Html {
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${says}"><title>${says}</title>${content}</svg>`;
}

export interface Histogram {
  readonly title: string;
  readonly text?: Content;
  readonly values: ArrayLike<number>;
  readonly x: Axis;
  /** What is counted: 'dimensions'. */
  readonly of: string;
  /** Vertical lines. */
  readonly marks?: readonly Mark[];
  readonly bins?: number;
}

/** How often values fall into each of some intervals, from 0 on if none is below; null where nothing is finite. */
export function histogram({ title, text, values, x, of, marks = [], bins = 32 }: Histogram): Html | null {
  const finite = Array.from(values).filter(isDrawn);
  const range = extentOf([finite]);
  if (range === null) return null;
  const most = Math.max(range.most, ...marks.map(({ at }) => at));
  const horizontal = scale(Math.min(0, range.least), most * 1.05 || 1, { from: LEFT, to: WIDTH - RIGHT, log: false, wanted: 5 });
  const width = PLOT_WIDTH / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const value of finite) counts[Math.min(bins - 1, Math.max(0, Math.floor((horizontal.at(value) - LEFT) / width)))]!++;
  const vertical = scale(0, Math.max(...counts), { from: HEIGHT - BOTTOM, to: TOP, log: false, wanted: 4, whole: true });
  const bars = counts.flatMap((count, i) =>
    count === 0
      ? []
      : [`M${one(LEFT + i * width + 0.5)},${HEIGHT - BOTTOM}V${one(vertical.at(count))}h${one(width - 1)}V${HEIGHT - BOTTOM}z`],
  );
  const lines = marks.map(
    ({ at, label }) =>
      html`<path class="axis" d="M${one(horizontal.at(at))},${TOP}V${HEIGHT - BOTTOM}" stroke-dasharray="3 3"/><text x="${one(horizontal.at(at))}" y="${TOP - 3}" text-anchor="${horizontal.at(at) > WIDTH - 60 ? 'end' : 'middle'}">${label}</text>`,
  );
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  const says = `${title}: ${finite.length} ${of}, from ${shownNumber(range.least)} to ${shownNumber(range.most)}, mean ${shownNumber(mean)}`;
  const note = html`${says.slice(title.length + 2)}.`;
  const content = picture(says, [
    axis(horizontal, 'x', x.label),
    axis(vertical, 'y', of),
    html`<path d="${bars.join('')}" fill="${colour(0)}"/>`,
    lines,
  ]);
  return figure({ title, ...(text !== undefined && { text }), content, note });
}

function axis({ at, ticks, log }: Scale, direction: 'x' | 'y', label: string): Html {
  if (direction === 'x') {
    const marks = ticks.map(
      (tick) =>
        html`<path class="axis" d="M${one(at(tick))},${HEIGHT - BOTTOM}v3"/><text x="${one(at(tick))}" y="${HEIGHT - BOTTOM + 15}" text-anchor="middle">${tickText(tick, log)}</text>`,
    );
    return html`<path class="axis" d="M${LEFT},${HEIGHT - BOTTOM}h${PLOT_WIDTH}"/>${marks}<text x="${WIDTH - RIGHT}" y="${HEIGHT - 5}" text-anchor="end">${label}</text>`;
  }
  const lines = ticks.map(
    (tick) =>
      html`<path class="rule" d="M${LEFT},${one(at(tick))}h${PLOT_WIDTH}"/><text x="${LEFT - 5}" y="${one(at(tick) + 4)}" text-anchor="end">${tickText(tick, log)}</text>`,
  );
  return html`${lines}${label === '' ? null : html`<text x="${LEFT}" y="${HEIGHT - 5}">${label}</text>`}`;
}

/** The mean of each column, at the mean of its places; it begins anew where what is no number lies between. */
function columnMeans(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  columnOf: (x: number) => number,
): { readonly at: number; readonly mean: number; readonly begins: boolean }[] {
  const means: { at: number; mean: number; begins: boolean }[] = [];
  let [column, count, gap] = [NaN, 0, true];
  for (let i = 0; i < y.length; i++) {
    if (!isDrawn(y[i]!)) {
      gap = true;
      continue;
    }
    const here = columnOf(x[i]!);
    if (here !== column) {
      means.push({ at: 0, mean: 0, begins: gap });
      [column, count, gap] = [here, 0, false];
    }
    const last = means.at(-1)!;
    count++;
    // As they come, so that no sum leaves the range.
    last.at += (x[i]! - last.at) / count;
    last.mean += (y[i]! - last.mean) / count;
  }
  return means;
}

/**
 * Which values to draw: of those in each column the least and the largest, in their order, and of all the first and the last; `begins` where what is
 * no number lies since the one before.
 */
export function decimated(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  columnOf: (x: number) => number,
): { readonly i: number; readonly begins: boolean }[] {
  const kept: { i: number; begins: boolean }[] = [];
  let [column, least, most, last, gap, begins] = [NaN, -1, -1, -1, true, true];
  const keep = (i: number): void => {
    if (i < 0 || kept.at(-1)?.i === i) return;
    kept.push({ i, begins });
    begins = false;
  };
  const close = (): void => {
    keep(Math.min(least, most));
    keep(Math.max(least, most));
  };
  for (let i = 0; i < y.length; i++) {
    if (!isDrawn(y[i]!)) {
      gap = true;
      continue;
    }
    const here = columnOf(x[i]!);
    if (here !== column) {
      close();
      begins = gap;
      gap = false;
      [column, least, most] = [here, i, i];
      if (last < 0) keep(i);
    } else if (y[i]! < y[least]!) least = i;
    else if (y[i]! > y[most]!) most = i;
    last = i;
  }
  close();
  keep(last);
  return kept;
}
