import { type Content, type Html, html } from './html.ts';
import { dataAddress, type Raster } from './image.ts';
import { figure } from './page.ts';
import { colour } from './palette.ts';
import { type Extent, extentOf } from './scale.ts';

const [WIDTH, MARGIN] = [560, 22];
/** As high as the points ask for, within these. */
const [LOWEST, HIGHEST] = [220, 460];
/** Groups are told apart by shape and colour; together they make many more than are told apart by eye. */
const SHAPES = [
  { path: 'm-2.9,0a2.9,2.9 0 1 0 5.8,0a2.9,2.9 0 1 0-5.8,0', filled: true },
  { path: 'm-2.6-2.6h5.2v5.2h-5.2z', filled: true },
  { path: 'm0-3.6l3.5,6.2h-7z', filled: true },
  { path: 'm-3.2,0h6.4m-3.2-3.2v6.4', filled: false },
  { path: 'm0-3.9l3.9,3.9-3.9,3.9-3.9-3.9z', filled: true },
  { path: 'm-2.5-2.5l5,5m0-5l-5,5', filled: false },
  { path: 'm-2.7,0a2.7,2.7 0 1 0 5.4,0a2.7,2.7 0 1 0-5.4,0', filled: false },
] as const;

/** Points that belong together. */
export interface Group {
  readonly name: string;
  /** Which points. */
  readonly at: readonly number[];
  /** Of no interest by itself: grey, and without a label in the picture. */
  readonly rest?: boolean;
}

export interface Scatter {
  readonly title: string;
  readonly text?: Content;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** What each is. */
  readonly axes: readonly [across: string, up: string];
  /** Those of one group alone need no name. */
  readonly groups: readonly Group[];
  /** The picture of a point, and what it shows; as many are drawn as there is room for. */
  readonly image?: (at: number) => { readonly raster: Raster; readonly says: string };
}

/** Points in the plane, by groups, with pictures at some of them. */
export function scatter({ title, text, x, y, axes, groups, image }: Scatter): Html {
  const { place, height } = placing(x, y);
  const several = groups.length > 1;
  const points = groups.map(({ at, rest }, i) => {
    const { path, filled } = rest ? SHAPES[0] : SHAPES[i % SHAPES.length]!;
    const paint = rest ? 'var(--faint)' : colour(i);
    const drawn = at.map((point) => `M${place(point).map(one).join()}${path}`).join('');
    return filled
      ? html`<path d="${drawn}" fill="${paint}" opacity="${rest ? 0.4 : 0.8}"/>`
      : html`<path d="${drawn}" fill="none" stroke="${paint}" stroke-width="1.6" opacity=".85"/>`;
  });
  const chosen = image ? spread(groups, place) : [];
  const pictures = chosen.map(({ point, group }) => {
    const [left, top] = place(point).map((middle) => one(middle - THUMB / 2));
    const { raster, says } = image!(point);
    return html`<g><title>${says}</title><image x="${left!}" y="${top!}" width="${THUMB}" height="${THUMB}" style="image-rendering:pixelated" href="${dataAddress(raster)}"/><rect x="${left!}" y="${top!}" width="${THUMB}" height="${THUMB}" fill="none" stroke="${groups[group]!.rest ? 'var(--faint)' : colour(group)}" stroke-width="1.5"/></g>`;
  });
  const names = several ? labels(groups, place, height) : [];
  const says = `${title}: ${x.length} points${several ? `, in groups: ${groups.map(({ name, at }) => `${name} (${at.length})`).join(', ')}` : ''}`;
  const frame = html`<rect class="rule" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}"/>`;
  const legend = several
    ? html`<ul class="legend">${groups.map(({ name, at, rest }, i) => html`<li>${sample(i, rest ?? false)}${name} <b>${at.length}</b></li>`)}</ul>`
    : null;
  const content = html`<svg class="big" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${says}"><title>${says}</title>${[frame, points, pictures, names]}</svg>${legend}`;
  return figure({
    title,
    ...(text !== undefined && { text }),
    content,
    note: `Across: ${axes[0]}; up: ${axes[1]}, on the same scale.`,
    wide: true,
  });
}

const one = (value: number): number => Math.round(value * 10) / 10;
type Placing = (point: number) => readonly [x: number, y: number];

/** Both axes have one scale, so that distances are what they are. */
function placing(x: ArrayLike<number>, y: ArrayLike<number>): { readonly place: Placing; readonly height: number } {
  const [across, up] = [x, y].map((values) => extentOf([values]) ?? { least: 0, most: 0 }) as [Extent, Extent];
  const middle = ({ least, most }: Extent): number => least / 2 + most / 2;
  const length = ({ least, most }: Extent): number => most - least;
  const unit = Math.max(length(across) / (WIDTH - 2 * MARGIN), length(up) / (HIGHEST - 2 * MARGIN)) || 1;
  const height = Math.round(Math.max(LOWEST, length(up) / unit + 2 * MARGIN));
  const from = (value: number, center: number): number => (Number.isFinite(value) ? (value - center) / unit : 0);
  return { height, place: (point) => [WIDTH / 2 + from(x[point]!, middle(across)), height / 2 - from(y[point]!, middle(up))] };
}

/** What a group looks like. */
function sample(i: number, rest: boolean): Html {
  const { path, filled } = rest ? SHAPES[0] : SHAPES[i % SHAPES.length]!;
  const paint = rest ? 'var(--faint)' : colour(i);
  return html`<svg style="width:12px" viewBox="-5 -5 10 10" aria-hidden="true"><path d="M0,0${path}" fill="${filled ? paint : 'none'}" stroke="${filled ? 'none' : paint}" stroke-width="1.6"/></svg>`;
}

const THUMB = 26;
/** No more pictures than this, and none nearer to another than that. */
const [MOST, APART] = [48, 38];

/** Points with room for a picture, of each group in turn. */
function spread(groups: readonly Group[], place: Placing): { readonly point: number; readonly group: number }[] {
  const chosen: { point: number; group: number }[] = [];
  const longest = Math.max(0, ...groups.map(({ at }) => at.length));
  for (let turn = 0; turn < longest && chosen.length < MOST; turn++)
    for (const [group, { at }] of groups.entries()) {
      const point = at[turn];
      if (point === undefined || chosen.length >= MOST) continue;
      const [x, y] = place(point);
      const free = chosen.every((other) => {
        const [left, top] = place(other.point);
        return Math.max(Math.abs(left - x), Math.abs(top - y)) >= APART;
      });
      if (free) chosen.push({ point, group });
    }
  return chosen;
}

/** A group of fewer points has no middle to speak of. */
const FEWEST = 5;

/** The names of groups at their middles, moved apart where they would lie on each other. */
function labels(groups: readonly Group[], place: Placing, height: number): Html[] {
  const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
  const placed: { name: string; x: number; y: number }[] = [];
  for (const { name, at, rest } of groups) {
    if (rest || at.length < FEWEST) continue;
    const short = name.length > 18 ? `${name.slice(0, 17)}…` : name;
    const points = at.map(place);
    const x = Math.min(WIDTH - 4.7 * short.length - 8, Math.max(4.7 * short.length + 8, median(points.map(([left]) => left))));
    let y = median(points.map(([, top]) => top)) + 4;
    const taken = (): boolean =>
      placed.some((other) => Math.abs(other.y - y) < 19 && Math.abs(other.x - x) < 4.7 * (short.length + other.name.length));
    for (let tries = 0; taken() && tries < 24; tries++) y += 9 * (tries + 1) * (tries % 2 === 0 ? 1 : -1);
    placed.push({ name: short, x, y: Math.min(height - 6, Math.max(16, y)) });
  }
  return placed.map(({ name, x, y }) => html`<text x="${one(x)}" y="${one(y)}" text-anchor="middle" class="strong halo">${name}</text>`);
}
