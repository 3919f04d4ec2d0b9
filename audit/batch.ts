import type { Arbitrary } from 'fast-check';
import { type ArrayLoss, type Embeddings, namesOf } from '../models/methods/arrayLoss.ts';
import { losses } from '../models/methods/losses.ts';
import { Arithmetic, at, type Matrix, transposed } from './arithmetic.ts';
import type { Domain, Options, StateKind } from './formulas/formula.ts';
import { type FamilyName, formulas } from './formulas/index.ts';

export type FastCheck = typeof import('fast-check').default;
export type Precision = 'f64' | 'f32';

/** The distance from 1 to the next number, halved: what rounding changes at most. */
export const roundoff: Readonly<Record<Precision, number>> = { f64: 2 ** -53, f32: 2 ** -24 };

/** What a loss is asked about. */
export interface Batch {
  readonly embeddings: readonly Matrix[];
  readonly state: Readonly<Record<string, Matrix>>;
  readonly options: Options;
}

/** A batch, and a number from which a property takes what else it chooses: an order, a scale. */
export interface Case {
  readonly batch: Batch;
  readonly dice: number;
}

/** How drawn numbers look: few whole ones, which shrink to batches that a reader can check by hand; or fine ones, of all scales and offsets. */
export type Style = 'whole' | 'fine';

/** What batches of a family are made of. */
export interface Shape {
  readonly family: FamilyName | 'custom';
  readonly names: readonly string[];
  readonly state: Readonly<Record<string, StateKind>>;
  readonly domain: Domain;
  readonly options: Options;
  readonly precision: Precision;
  /** Fixed sizes, for losses that take no others. */
  readonly samples?: number | undefined;
  readonly dimensions?: number | undefined;
}

/** Arrays of state that a batch has though the loss could do without: what it would draw by itself, or begin with. */
const alwaysGiven: Readonly<Record<string, readonly string[]>> = {
  sigreg: ['slices'],
  lejepa: ['slices'],
  tico: ['runningCovariance'],
  corinfomax: ['meanA', 'covarianceA', 'meanB', 'covarianceB'],
};

/** The arrays of state that a family's batches have. */
export function stateOf(family: FamilyName, extra: readonly string[] = []): Readonly<Record<string, StateKind>> {
  const kinds = formulas[family].domain.state ?? {};
  const { state } = losses[family]!;
  const given = Object.entries(kinds).filter(
    ([name]) => !state[name]?.optional || alwaysGiven[family]?.includes(name) || extra.includes(name),
  );
  return Object.fromEntries(given);
}

/** Which embeddings a loss may take, the likeliest first, by how many parameters its function has (0 says nothing). */
export function embeddingChoices(row: Pick<ArrayLoss, 'embeddings'>, parameters: number): readonly (readonly string[])[] {
  const lists: (readonly string[])[] = [];
  const add = (names: readonly string[] | null): void => {
    if (names && !lists.some((list) => list.length === names.length)) lists.push(names);
  };
  // With the context, or without.
  if (parameters > 1) add(namesOf(row, parameters - 1));
  if (parameters > 0) add(namesOf(row, parameters));
  const byLength = [...row.embeddings].sort((a: Embeddings, b: Embeddings) => b.names.length - a.names.length);
  for (const { names, more } of byLength) {
    if (more !== undefined && names.length < 2) add(namesOf(row, 2));
    add(names);
  }
  return lists;
}

const exact = (precision: Precision): ((x: number) => number) => (precision === 'f32' ? Math.fround : (x) => x);

/** A batch of so many numbers, in order. */
class Numbers {
  readonly #values: readonly number[];
  #next = 0;
  constructor(values: readonly number[]) {
    this.#values = values;
  }
  take(rows: number, columns: number, of: (x: number) => number): Matrix {
    const data = Float64Array.from({ length: rows * columns }, () => of(this.#values[this.#next++ % this.#values.length]!));
    return { rows, columns, data };
  }
}

/** Rows that are zero become the first axis; a loss of directions has no value there. */
function nonzeroRows(x: Matrix): Matrix {
  const data = Float64Array.from(x.data);
  for (let i = 0; i < x.rows; i++)
    if (data.subarray(i * x.columns, (i + 1) * x.columns).every((value) => value === 0)) data[i * x.columns + (i % x.columns)] = 1;
  return { ...x, data };
}

/** Columns that do not vary get one element that differs. */
function varyingColumns(x: Matrix): Matrix {
  const data = Float64Array.from(x.data);
  for (let j = 0; j < x.columns; j++) {
    const first = data[j]!;
    let varies = false;
    for (let i = 1; i < x.rows; i++) varies ||= data[i * x.columns + j] !== first;
    if (!varies) data[(j % x.rows) * x.columns + j] = first + 1;
  }
  return { ...x, data };
}

/** Whether rows can be whitened and then have directions: a covariance far from singular, and no row that is nearly the mean. */
export function fullRank(x: Matrix): boolean {
  const a = new Arithmetic();
  const centred = a.centred(x);
  const { values } = a.singular(centred);
  const most = Math.max(...values);
  return Math.min(...values) > 0.05 * most && Math.min(...a.rowSquares(centred)) > (0.02 * most) ** 2 / x.rows;
}

function stateArray(kind: StateKind, numbers: Numbers, sizes: { n: number; d: number; K: number }, of: (x: number) => number): Matrix {
  const { n, d, K } = sizes;
  const a = new Arithmetic();
  switch (kind) {
    case 'rows':
      return nonzeroRows(numbers.take(K, d, of));
    case 'vector':
      return numbers.take(1, d, (x) => of(x) / 2);
    case 'directions':
      return transposed(a.unitRows(nonzeroRows(numbers.take(Math.min(K, 3), d, of))));
    case 'labels': {
      const labels = numbers.take(1, n, (x) => ((Math.round(x) % (K + 1)) + K + 1) % (K + 1));
      // The last is none; but a batch without any has no mean.
      return { ...labels, data: labels.data.map((label, i) => (label < K ? label : i === 0 ? 0 : -100)) };
    }
    case 'covariance': {
      const root = numbers.take(d, d, of);
      return a.matrix(d, d, (i, j) => at(a.gram(root), i, j) / (d + 1) + (i === j ? 0.25 : 0));
    }
  }
}

const scales = [1, 0.25, 2 ** -5, 2 ** -9, 4];
const offsets = [0, 0, 0, 1, -3];

export interface DrawOptions {
  readonly style: Style;
  /** Only numbers that are not scaled or moved. */
  readonly plain?: boolean;
  readonly change?: (batch: Batch) => Batch;
}

/** Draws cases of a shape. Sizes shrink to the least, numbers to 0. */
export function cases(fc: FastCheck, shape: Shape, { style, plain = false, change = (batch) => batch }: DrawOptions): Arbitrary<Case> {
  const { domain, precision } = shape;
  const least = domain.samples ?? (() => 2);
  const [leastD, mostD] = shape.dimensions === undefined ? (domain.dimensions ?? [1, 4]) : [shape.dimensions, shape.dimensions];
  const sizes = fc.record({
    more: shape.samples === undefined ? fc.nat({ max: 5 }) : fc.constant(0),
    d: fc.integer({ min: leastD, max: mostD }),
    K: fc.integer({ min: 2, max: 5 }),
    related: fc.boolean(),
    scale: style === 'whole' || plain ? fc.constant(0) : fc.nat({ max: scales.length - 1 }),
    offset: style === 'whole' || plain ? fc.constant(0) : fc.nat({ max: offsets.length - 1 }),
    dice: fc.nat({ max: 999 }),
  });
  const most = style === 'whole' ? 3 : 160;
  const element = fc.integer({ min: -most, max: most });
  return sizes
    .chain((drawn) => {
      const n = shape.samples ?? least(drawn.d) + drawn.more;
      // Of large batches numbers are drawn once and used again, in another order each time.
      const length = Math.min(n * drawn.d * shape.names.length + 64, 2048);
      return fc.array(element, { minLength: length, maxLength: length, size: 'max' }).map((values) => ({ ...drawn, n, values }));
    })
    .map(({ n, d, K, related, scale, offset, dice, values }) => {
      const numbers = new Numbers(values);
      const unit = style === 'whole' ? 1 : 1 / 64;
      const [factor, move] = [scales[scale]!, offsets[offset]!];
      const round = exact(precision);
      let first: Matrix | null = null;
      const embeddings = shape.names.map(() => {
        const own = numbers.take(n, d, (x) => x * unit);
        const base = first;
        first ??= own;
        const joined =
          related && base
            ? { ...own, data: own.data.map((x, i) => base.data[i]! + (style === 'whole' ? Math.sign(x) * Number(Math.abs(x) > 2) : x / 4)) }
            : own;
        const distinct =
          domain.distinct === 'rows' || domain.distinct === 'full rank'
            ? nonzeroRows(joined)
            : domain.distinct === 'columns'
              ? varyingColumns(joined)
              : joined;
        return { ...distinct, data: distinct.data.map((x) => round(x * factor + move * (domain.distinct === 'rows' ? 0 : 1))) };
      });
      const state = Object.fromEntries(
        Object.entries(shape.state).map(([name, kind]) => {
          const array = stateArray(kind, numbers, { n, d, K }, kind === 'labels' ? (x) => x : (x) => x * unit);
          return [name, { ...array, data: array.data.map(round) }] as const;
        }),
      );
      return { batch: change({ embeddings, state, options: shape.options }), dice };
    })
    .filter(({ batch }) => domain.distinct !== 'full rank' || batch.embeddings.every(fullRank));
}

/** Changes every embedding, and leaves the rest as it is. */
export function mapEmbeddings(batch: Batch, of: (z: Matrix, place: number) => Matrix): Batch {
  return { ...batch, embeddings: batch.embeddings.map(of) };
}

/** The samples in another order, labels with them. */
export function permuteSamples(batch: Batch, order: readonly number[], state: Shape['state'], views?: readonly number[]): Batch {
  const of = (z: Matrix): Matrix => ({
    ...z,
    data: Float64Array.from(order.flatMap((i) => Array.from(z.data.subarray(i * z.columns, (i + 1) * z.columns)))),
  });
  const labels = Object.entries(batch.state).map(
    ([name, array]) =>
      [name, state[name] === 'labels' ? { ...array, data: Float64Array.from(order, (i) => array.data[i]!) } : array] as const,
  );
  const moved = mapEmbeddings(batch, (z, place) => (views === undefined || views.includes(place) ? of(z) : z));
  return views === undefined ? { ...moved, state: Object.fromEntries(labels) } : moved;
}

/** The embeddings times an orthogonal matrix, and the arrays of state as they must be to go with them. */
export function turned(batch: Batch, m: Matrix, state: Shape['state'], precision: Precision): Batch {
  const a = new Arithmetic();
  const round = exact(precision);
  const rounded = (x: Matrix): Matrix => ({ ...x, data: x.data.map(round) });
  const rules: Readonly<Record<StateKind, (x: Matrix) => Matrix>> = {
    rows: (x) => a.product(x, m),
    vector: (x) => a.product(x, m),
    directions: (x) => a.product(transposed(m), x),
    covariance: (x) => a.product(transposed(m), a.product(x, m)),
    labels: (x) => x,
  };
  return {
    ...mapEmbeddings(batch, (z) => rounded(a.product(z, m))),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [name, rounded(rules[state[name]!](x))])),
  };
}

/** An order of 0 … n−1 that a number chooses: never the identity, if n > 1. */
export function orderOf(n: number, dice: number): number[] {
  const shift = 1 + (dice % Math.max(1, n - 1));
  const order = Array.from({ length: n }, (_, i) => (i + shift) % n);
  return dice % 2 === 0 || n < 3 ? order : order.reverse();
}

/** A turn by the angle of a Pythagorean triple in each of some planes. */
export function rotationOf(d: number, dice: number): Matrix {
  const a = new Arithmetic();
  const [c, s] = (
    [
      [0.6, 0.8],
      [5 / 13, 12 / 13],
      [-0.8, 0.6],
    ] as const
  )[dice % 3]!;
  const plane = (p: number, q: number): Matrix =>
    a.matrix(d, d, (i, j) =>
      i === p && j === p ? c : i === q && j === q ? c : i === p && j === q ? s : i === q && j === p ? -s : Number(i === j),
    );
  let m = a.matrix(d, d, (i, j) => Number(i === j));
  for (let p = 0; p + 1 < d; p++) m = a.product(m, plane(p, p + 1));
  return m;
}

export const sizesOf = ({ embeddings }: Batch): { n: number; d: number; views: number } => ({
  n: embeddings[0]!.rows,
  d: embeddings[0]!.columns,
  views: embeddings.length,
});
