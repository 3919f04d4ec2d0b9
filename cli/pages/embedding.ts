import type { HostArray } from '../../engine/dtype.ts';
import { eigh, realize, type Tensor, tensor } from '../../engine/index.ts';
import { takeRows } from '../../models/data/images.ts';
import { crossCorrelation } from '../../models/regularizers/crossCorrelation.ts';
import { centre, covarianceMatrix, covarianceOf, gram } from '../../models/regularizers/statistics.ts';
import { histogram, lineChart } from './chart.ts';
import { type Families, familiesOf, panelFigure } from './families.ts';
import { heatMap } from './heatMap.ts';
import { type Html, html, shownNumber } from './html.ts';
import { rasters } from './image.ts';
import { matchesOf, neighbourFigure } from './neighbours.ts';
import { figure, grid, type Section } from './page.ts';
import { type Group, scatter } from './scatter.ts';

/** Rows of an embedding, with what is known of each. */
export interface Sample {
  /** [n, d]. */
  readonly z: HostArray;
  /** [n]: the class of each row. */
  readonly labels?: HostArray;
  /** [n, C, H, W]. */
  readonly images?: HostArray;
  /** What a class is called: 'class 3', unless given. */
  readonly className?: (label: number) => string;
}

/** Rows that are drawn, and that neighbours are sought among. */
const MOST_ROWS = 600;
/** Rows that the families of regularizers are shown on. */
const FAMILY_ROWS = 300;
/** Dimensions that matrices are drawn of, and that a decomposition takes. */
const MOST_DIMENSIONS = 1024;
/** Classes that have a colour and a shape of their own. */
const MOST_CLASSES = 10;

/** Rows from all over, in their order: files are often sorted by class. */
function sampled({ z, labels, images, className }: Sample, most = MOST_ROWS): Sample {
  const n = z.shape[0]!;
  const count = Math.min(n, most);
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * n) / count));
  return {
    z: takeRows(z, rows),
    ...(labels && { labels: takeRows(labels, rows) }),
    ...(images && { images: takeRows(images, rows) }),
    ...(className && { className }),
  };
}

/** The names of a data set's classes, where labels are places in them, or are among them as they are. */
export function classNamer(classes: readonly string[]): (label: number) => string {
  const numbers = new Set(classes);
  return (label) => (numbers.has(String(label)) ? numbered(label) : (classes[label] ?? numbered(label)));
}

const numbered = (label: number): string => `class ${label}`;

/** The rows along the axes that they vary most along, and the share of the variance of every axis, in descending order. */
interface Principal {
  readonly coordinates: readonly Float64Array[];
  readonly shares: readonly number[];
}

/** By the covariance's eigenvectors, or where there are fewer rows than dimensions by those of the rows' Gram matrix. */
async function principalAxes(z: HostArray, count = 2): Promise<Principal> {
  const [n, d] = z.shape as [number, number];
  const nothing = { coordinates: Array.from({ length: count }, () => new Float64Array(n)), shares: [] };
  if (n < 2) return nothing;
  const rows = centre(tensor(z));
  const size = rows.abs().max();
  // By the largest, so that no square leaves the range.
  const unit = rows.div(size.equal(0).where(1, size));
  const kept = Math.min(count, n, d);
  const last = (x: Tensor): Tensor => x.narrow(-1, x.shape.at(-1)! - kept, kept);
  const tall = d <= n;
  const { values, vectors } = eigh(tall ? covarianceOf(unit) : gram(unit).div(n - 1));
  const along = tall
    ? unit.matmul(last(vectors))
    : last(vectors).mul(
        last(values)
          .relu()
          .mul(n - 1)
          .sqrt(),
      );
  const scores = along.mul(size);
  await realize(values, scores);
  const [spectrum, { data }] = [Array.from(await values.data(), Number).reverse(), await scores.toHost()];
  const total = spectrum.reduce((sum, value) => sum + Math.max(0, value), 0);
  if (!(total > 0)) return nothing;
  return {
    coordinates: Array.from({ length: count }, (_, k) =>
      Float64Array.from({ length: n }, (_entry, i) => (k < kept ? data[i * kept + kept - 1 - k]! : 0)),
    ),
    shares: spectrum.map((value) => value / total),
  };
}

/** Rows by class: the largest classes each, and the others together. Without labels, all. */
function groupsOf(labels: HostArray | undefined, count: number, className: (label: number) => string): readonly Group[] {
  if (!labels) return [{ name: 'all', at: Array.from({ length: count }, (_, i) => i) }];
  const rows = new Map<number, number[]>();
  for (const [i, label] of labels.data.entries()) {
    const own = rows.get(label) ?? [];
    own.push(i);
    rows.set(label, own);
  }
  const classes = [...rows].sort(([a, first], [b, second]) => second.length - first.length || a - b);
  const own = classes.slice(0, MOST_CLASSES).sort(([a], [b]) => a - b);
  const others = classes.slice(own.length);
  return [
    ...own.map(([label, at]) => ({ name: className(label), at })),
    ...(others.length > 0 ? [{ name: `${others.length} other classes`, at: others.flatMap(([, at]) => at), rest: true }] : []),
  ];
}

/**
 * What embeddings look like: the rows in the plane of the two axes that they vary most along, coloured by class, with images at some of them; and the
 * nearest rows of some.
 */
export async function embeddingSection(title: string, text: string, sample: Sample): Promise<Section> {
  const whole = sample.z.shape[0]!;
  const shown = sampled(sample);
  const { z, labels, images, className = numbered } = shown;
  const n = z.shape[0]!;
  const { coordinates, shares } = await principalAxes(z);
  const [x, y] = coordinates as [Float64Array, Float64Array];
  const groups = groupsOf(labels, n, className);
  const percent = (k: number): string => `${((shares[k] ?? 0) * 100).toFixed(0)}% of the variance`;
  const named = (row: number): string => (labels ? className(labels.data[row]!) : `row ${Math.floor((row * whole) / n)}`);
  const all = images && rasters(images);
  const raster = all && ((row: number) => all[row]!);
  const picture = scatter({
    title: 'Along the two axes of most variance',
    text: `${n < whole ? `${n} of ${whole} rows, from all over.` : `${n} rows.`}${groups.length > 1 ? ' Names stand at the middle of their class.' : ''}`,
    x,
    y,
    axes: [`first axis, ${percent(0)}`, `second axis, ${percent(1)}`],
    groups,
    ...(raster && { image: (row: number) => ({ raster: raster(row), says: named(row) }) }),
  });
  const matches = matchesOf(z, queriesOf(groups, n));
  return {
    title,
    text,
    content: [
      picture,
      matches.length > 0 ? neighbourFigure({ matches, named, ...(labels && { labels: labels.data }), ...(raster && { raster }) }) : null,
    ],
  };
}

/** Some rows to seek neighbours of: of each class one, or from all over. */
function queriesOf(groups: readonly Group[], n: number): number[] {
  const most = 8;
  const own = groups.filter(({ rest }) => !rest);
  if (own.length > 1) return own.slice(0, most).map(({ at }) => at[0]!);
  return Array.from({ length: Math.min(n, most) }, (_, i) => Math.floor((i * n) / Math.min(n, most)));
}

/**
 * What a loss sees of a batch: how far each dimension spreads, how dimensions go together, within a view and across two, the spectrum, and what each family
 * of regularizers would make of it.
 * @param second the other view of the same samples, [n, d].
 * @param gamma the deviation that VICReg's hinge asks for.
 */
export async function batchSection(
  title: string,
  text: string,
  z: HostArray,
  { second, gamma = 1 }: { readonly second?: HostArray | undefined; readonly gamma?: number } = {},
): Promise<Section> {
  const [n, d] = z.shape as [number, number];
  if (n < 2) return { title, text: 'A single row has no spread and no covariance.', content: null };
  const deviations = await tensor(z).std(0).data();
  const shownDimensions = Math.min(d, MOST_DIMENSIONS);
  const first = (array: HostArray): Tensor => tensor(array).narrow(1, 0, shownDimensions);
  const matrix = async (of: Tensor): Promise<ArrayLike<number>> => of.data();
  const note = shownDimensions < d ? ` The first ${shownDimensions} of ${d} dimensions.` : '';
  const { shares } = await principalAxes(sampled({ z }).z);
  const positive = shares.filter((share) => share > 1e-7);
  const families = await familiesOf(sampled({ z }, FAMILY_ROWS).z);
  const profiles = [
    histogram({
      title: 'Spread of each dimension',
      text: 'Standard deviation over the rows. VICReg asks each for γ; at 0 a dimension says nothing.',
      values: deviations,
      x: { label: 'standard deviation' },
      of: d === 1 ? 'dimension' : 'dimensions',
      marks: [{ at: gamma, label: `γ = ${shownNumber(gamma)}` }],
    }),
    lineChart({
      title: 'Spectrum',
      text: 'Share of the variance along each principal axis: level is healthy, a cliff is dimensional collapse.',
      x: { label: 'axis, by variance', values: positive.map((_, k) => k + 1), log: true },
      // What is nearly level has no decades to show.
      y: { label: 'share', log: positive[0]! > 20 * positive.at(-1)! },
      series: [{ name: 'share of the variance', values: positive }],
      legend: false,
    }),
  ];
  const matrices = [
    heatMap({
      title: 'Covariance of dimensions',
      text: `Off the diagonal VICReg wants 0.${note}`,
      values: await matrix(covarianceMatrix(first(z))),
      size: shownDimensions,
      axis: 'dimension',
    }),
    second
      ? heatMap({
          title: 'Cross-correlation of two views',
          text: `Barlow Twins wants 1 on the diagonal, 0 off it.${note}`,
          values: await matrix(crossCorrelation(first(z), first(second))),
          size: shownDimensions,
          most: 1,
          axis: 'dimension',
        })
      : null,
  ];
  return { title, text, content: [grid(profiles), grid(matrices), families && familiesFigure(families)] };
}

function familiesFigure({ panels, dimensions, scale }: Families): Html {
  const which = dimensions.length === 1 ? `dimension ${dimensions[0]}` : `dimensions ${dimensions.join(', ')}`;
  return html`<div class="families">${figure({
    title: 'One batch, and what each family of regularizers makes of it',
    text: `${which}: ${dimensions.length > 1 ? 'the two that repeat each other most, across and up' : 'the only one'}. The ellipse holds two standard deviations, the dashed square is ±1${scale < 1 ? `; all are drawn of the batch over ${shownNumber(1 / scale)}` : ''}.`,
    content: html`<div class="panels">${panels.map(panelFigure)}</div>`,
  })}</div>`;
}
