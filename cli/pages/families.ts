import type { HostArray } from '../../engine/dtype.ts';
import { compile, grad, type Tensor, tensor } from '../../engine/index.ts';
import { barlowTwins } from '../../models/methods/barlowTwins.ts';
import { vicreg } from '../../models/methods/vicreg.ts';
import { normalize } from '../../models/nn/functional.ts';
import { choleskyWhitening } from '../../models/regularizers/whitening.ts';
import { type Html, html, shownNumber } from './html.ts';
import { figure } from './page.ts';
import { colour } from './palette.ts';

/** A batch in up to three dimensions, as one family of regularizers leaves it. */
export interface Panel {
  readonly title: string;
  readonly text: string;
  /** [n, 3]; null where it does not exist. */
  readonly points: Float64Array | null;
  /** Whether points lie on the unit sphere. */
  readonly sphere?: boolean;
}

/** What each family makes of one batch, and how much that was scaled to be seen beside the others. */
export interface Families {
  readonly panels: readonly Panel[];
  readonly scale: number;
  /** Which dimensions of the embedding are shown: up to three. */
  readonly dimensions: readonly number[];
}

/** Steps of gradient descent on the points themselves. */
const STEPS = 400;
/** A batch that spreads more than this is scaled down to it, so that 1 can be seen. */
const WIDEST = 1.5;

/**
 * One batch as each of the three families leaves it: whitening (W-MSE), cross-correlation (Barlow Twins), variance and covariance (VICReg), beside the
 * batch itself and what is left without any. Both losses are minimised by gradient descent on the points, with both views the same, so that nothing but
 * the regularizer moves them.
 * @param z embeddings [n, d], of some hundred rows.
 */
export async function familiesOf(z: HostArray): Promise<Families | null> {
  const [n, d] = z.shape as [number, number];
  if (n < 4) return null;
  const columns = Array.from({ length: d }, (_, j) => centred(Float64Array.from({ length: n }, (_entry, i) => z.data[i * d + j]!)));
  const dimensions = telling(columns);
  const deviations = dimensions.map((j) => deviationOf(columns[j]!));
  const scale = Math.min(1, WIDEST / Math.max(...deviations)) || 1;
  const batch: HostArray = {
    dtype: 'f32',
    shape: [n, dimensions.length],
    data: Float32Array.from(
      { length: n * dimensions.length },
      (_, at) => columns[dimensions[at % dimensions.length]!]![Math.floor(at / dimensions.length)]! * scale,
    ),
  };
  const varies = deviations.every((deviation) => deviation > 0);
  const whitened = varies && n > dimensions.length ? await normalize(choleskyWhitening(tensor(batch))).toHost() : null;
  const spread = deviations.map((deviation) => deviation * scale || 1);
  const standardized = scaled(
    batch,
    spread.map((deviation) => 1 / deviation),
  );
  // Barlow Twins' loss does not see the spread, so the descent is of dimensions of one spread, and steps are alike.
  const uncorrelated = await descended(standardized, (x) => barlowTwins(x, x, { offDiagonal: 1 }).loss, 0.05);
  const total = spread.reduce((sum, deviation) => sum + deviation ** 2, 0);
  const regularized = await descended(batch, (x) => vicreg(x, x).loss, dimensions.length / 300 / Math.max(1, total));
  return {
    dimensions,
    scale,
    panels: [
      { title: 'The batch', text: 'As it is.', points: spatial(batch) },
      {
        title: 'Collapsed',
        text: 'Asked only that views agree, the cheapest answer is one point (drawn: the batch over 50).',
        points: spatial(batch).map((value) => value / 50),
      },
      {
        title: 'Whitened, then normalised',
        text: 'W-MSE: covariance I, then each row on the unit sphere; those behind are pale.',
        points: whitened?.data.every(Number.isFinite) ? spatial(whitened) : null,
        sphere: true,
      },
      {
        title: 'Cross-correlation to I',
        text: 'Barlow Twins: dimensions stop repeating each other, each keeps its spread.',
        points: spatial(scaled(uncorrelated, spread)),
      },
      {
        title: 'Variance and covariance',
        text: 'VICReg: each dimension spreads to γ = 1 at least, none repeats another.',
        points: spatial(regularized),
      },
    ],
  };
}

const centred = (column: Float64Array): Float64Array => {
  const mean = column.reduce((sum, value) => sum + value / column.length, 0);
  return column.map((value) => value - mean);
};
const deviationOf = (column: Float64Array): number =>
  Math.sqrt(column.reduce((sum, value) => sum + value * value, 0) / (column.length - 1));

/** The two dimensions that repeat each other most, and of the others the one that varies most. Of many dimensions, the 64 that vary most are looked at. */
function telling(columns: readonly Float64Array[]): number[] {
  const deviations = columns.map(deviationOf);
  const byVariance = [...columns.keys()].sort((a, b) => deviations[b]! - deviations[a]!).slice(0, 64);
  if (byVariance.length < 2) return byVariance;
  let [pair, most] = [byVariance.slice(0, 2), -1];
  for (const [k, i] of byVariance.entries())
    for (const j of byVariance.slice(k + 1)) {
      const product = columns[i]!.reduce((sum, value, row) => sum + value * columns[j]![row]!, 0) / (columns[i]!.length - 1);
      const correlation = Math.abs(product / (deviations[i]! * deviations[j]!));
      if (correlation > most) [pair, most] = [[i, j], correlation];
    }
  return [...pair, ...byVariance.filter((j) => !pair.includes(j)).slice(0, 1)];
}

/** Gradient descent on the points; `rate` is of the gradient times n, as the loss is a mean. */
async function descended(points: HostArray, loss: (x: Tensor) => Tensor, rate: number): Promise<HostArray> {
  const step = compile((x: Tensor): Tensor => x.sub(grad(loss(x), [x])[0]!.mul(rate * x.shape[0]!)));
  let x = tensor(points);
  try {
    for (let i = 0; i < STEPS; i++) {
      const before = x;
      x = await step(before);
      before.dispose();
    }
    return await x.toHost();
  } finally {
    x.dispose();
    step.dispose();
  }
}

/** Each dimension times a number. */
function scaled({ dtype, shape, data }: HostArray, by: readonly number[]): HostArray {
  return { dtype, shape, data: data.map((value: number, at: number) => value * by[at % by.length]!) as typeof data };
}

/** [n, 1 … 3] as [n, 3]. */
function spatial({ shape, data }: HostArray): Float64Array {
  const [n, d] = shape as [number, number];
  return Float64Array.from({ length: n * 3 }, (_, at) => (at % 3 < d ? data[Math.floor(at / 3) * d + (at % 3)]! : 0));
}

type Point = readonly [x: number, y: number, depth: number];

/** Half of a panel, in units of the embedding. */
const REACH = 3.5;
const SIZE = 200;

/** A panel seen along its third dimension, with the ellipse that holds two deviations. */
export function panelFigure({ title, text, points, sphere = false }: Panel): Html {
  const reach = sphere ? 1.25 : REACH;
  const at = (value: number): number => Math.round((SIZE / 2) * (1 + value / reach) * 10) / 10;
  const unit = (length: number): number => Math.round((SIZE / 2) * (length / reach) * 10) / 10;
  if (!points) return figure({ title, text, content: html`<p class="note">Not here: the covariance is singular.</p>` });
  const rows = Array.from({ length: points.length / 3 }, (_, i): Point => [points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!]);
  const dots = (some: readonly Point[]): string => some.map(([x, y]) => `M${at(x)},${at(-y)}h0`).join('');
  const [behind, front] = [rows.filter(([, , depth]) => sphere && depth < 0), rows.filter(([, , depth]) => !(sphere && depth < 0))];
  const { xx, yy, xy } = moments(rows);
  const correlation = xy / Math.sqrt(xx * yy);
  const numbers = `std ${shownNumber(Number(Math.sqrt(xx).toPrecision(2)))} and ${shownNumber(Number(Math.sqrt(yy).toPrecision(2)))}${Number.isFinite(correlation) ? `, correlation ${shownNumber(Number(correlation.toFixed(2)))}` : ''}`;
  const says = `${title}: ${rows.length} points, ${numbers}`;
  const shape = sphere
    ? html`<circle class="axis" cx="100" cy="100" r="${unit(1)}"/><ellipse class="rule" cx="100" cy="100" rx="${unit(1)}" ry="${unit(0.28)}"/><ellipse class="rule" cx="100" cy="100" rx="${unit(0.28)}" ry="${unit(1)}"/>`
    : html`<path class="rule" d="M0,100h200M100,0v200"/><rect class="rule" x="${at(-1)}" y="${at(-1)}" width="${unit(2)}" height="${unit(2)}" stroke-dasharray="3 3"/>${ellipse(xx, yy, xy, unit)}`;
  const content = html`<svg viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-label="${says}"><title>${says}</title><rect class="rule" x=".5" y=".5" width="199" height="199"/>${shape}<path d="${dots(behind)}" stroke="${colour(0)}" stroke-width="3.5" stroke-linecap="round" opacity=".25"/><path d="${dots(front)}" stroke="${colour(0)}" stroke-width="3.5" stroke-linecap="round" opacity=".7"/></svg>`;
  return figure({ title, text, content, note: numbers });
}

function moments(rows: readonly Point[]): { readonly xx: number; readonly yy: number; readonly xy: number } {
  const mean = (of: (row: Point) => number): number => rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const bessel = rows.length / Math.max(1, rows.length - 1);
  return {
    xx: mean(([x]) => (x - mx) ** 2) * bessel,
    yy: mean(([, y]) => (y - my) ** 2) * bessel,
    xy: mean(([x, y]) => (x - mx) * (y - my)) * bessel,
  };
}

/** Two deviations along the axes of a covariance [[xx, xy], [xy, yy]]. */
function ellipse(xx: number, yy: number, xy: number, unit: (length: number) => number): Html {
  const [middle, half] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const [long, short] = [middle + half, Math.max(0, middle - half)].map((variance) => unit(2 * Math.sqrt(variance)));
  const turn = (Math.atan2(2 * xy, xx - yy) / 2) * (-180 / Math.PI);
  return html`<ellipse cx="100" cy="100" rx="${long!}" ry="${short!}" transform="rotate(${turn.toFixed(1)} 100 100)" fill="none" stroke="${colour(1)}" stroke-width="1.6"/>`;
}
