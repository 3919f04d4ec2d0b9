import { type Content, type Html, html, shownNumber } from './html.ts';
import { figure } from './page.ts';
import { colour } from './palette.ts';
import { extentOf, one, scale, tickText } from './scale.ts';

/** A line of a dot plot. */
export interface Dots {
  readonly name: string;
  /** One a seed. */
  readonly values: readonly number[];
  readonly mean: number;
  /** Of the values; null where there is one. */
  readonly deviation: number | null;
  /** Something else is wrong with it: drawn as a cross, and named with one. */
  readonly failed?: boolean;
  /** A line that the others are compared with: it goes through the picture. */
  readonly reference?: boolean;
}

export interface DotPlot {
  readonly title: string;
  readonly text?: Content;
  readonly unit: string;
  readonly rows: readonly Dots[];
}

const [WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM] = [360, 138, 12, 6, 19, 34];
/** Characters of a name that have room on the left. */
const LONGEST = 21;

/** Rows of numbers along one axis: each seed a ring, their mean a dot with ± one deviation. Null where there is no number. */
export function dotPlot({ title, text, unit, rows }: DotPlot): Html | null {
  const range = extentOf(rows.map(({ values, mean, deviation }) => [...values, mean, mean - (deviation ?? 0), mean + (deviation ?? 0)]));
  if (range === null) return null;
  const bottom = TOP + rows.length * ROW;
  const { at, ticks } = scale(range.least, range.most, { from: LEFT + 8, to: WIDTH - RIGHT, log: false, wanted: 4 });
  const grid = ticks.map(
    (tick) =>
      html`<path class="rule" d="M${one(at(tick))},${TOP}V${bottom}"/><text x="${one(at(tick))}" y="${bottom + 15}" text-anchor="middle">${tickText(tick, false)}</text>`,
  );
  const lines = rows.map(({ name, values, mean, deviation, failed = false, reference = false }, i) => {
    const y = TOP + (i + 0.5) * ROW;
    const short = name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name;
    const label = html`<text x="${LEFT}" y="${y + 4}" text-anchor="end" class="strong plain">${failed ? '✗ ' : ''}${short}</text>`;
    if (!Number.isFinite(mean)) return html`${label}<text x="${LEFT + 8}" y="${y + 4}">–</text>`;
    const [x, paint] = [one(at(mean)), reference ? 'var(--faint)' : colour(failed ? 1 : 0)];
    const through = reference ? html`<path class="axis" d="M${x},${TOP}V${bottom}" stroke-dasharray="2 3"/>` : null;
    const spread =
      deviation === null
        ? null
        : html`<path d="M${one(at(mean - deviation))},${y}H${one(at(mean + deviation))}" stroke="${paint}" stroke-width="2.4" stroke-linecap="round" fill="none"/>`;
    const seeds =
      values.length < 2
        ? null
        : values
            .filter(Number.isFinite)
            .map((value) => html`<circle cx="${one(at(value))}" cy="${y}" r="3.4" fill="none" stroke="${paint}"/>`);
    const dot = failed
      ? html`<path d="M${x},${y}m-3.5-3.5l7,7m0-7l-7,7" stroke="${paint}" stroke-width="2" fill="none"/>`
      : html`<circle cx="${x}" cy="${y}" r="3.2" fill="${paint}"/>`;
    return html`<g><title>${name}: ${shownNumber(mean)}${deviation === null ? '' : ` ± ${shownNumber(deviation)}`} ${unit}</title>${through}${spread}${seeds}${dot}${label}</g>`;
  });
  const says = `${title}: ${rows.map(({ name, mean, deviation }) => `${name} ${shownNumber(mean)}${deviation === null ? '' : ` ± ${shownNumber(deviation)}`}`).join(', ')}`;
  const content = html`<svg viewBox="0 0 ${WIDTH} ${bottom + BOTTOM}" role="img" aria-label="${says}"><title>${says}</title>${[grid, html`<path class="axis" d="M${LEFT + 8},${bottom}H${WIDTH - RIGHT}"/>`, lines, html`<text x="${WIDTH - RIGHT}" y="${bottom + 30}" text-anchor="end">${unit}</text>`]}</svg>`;
  return figure({ title, ...(text !== undefined && { text }), content });
}
