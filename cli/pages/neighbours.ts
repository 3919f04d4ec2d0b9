import type { HostArray } from '../../engine/dtype.ts';
import { type Html, html } from './html.ts';
import { imageTag, type Raster } from './image.ts';
import { figure } from './page.ts';
import { dataTable } from './table.ts';

/** A row, and those whose directions are nearest to its own, the nearest first. */
export interface Match {
  readonly query: number;
  readonly nearest: readonly { readonly row: number; readonly similarity: number }[];
}

const NEAREST = 6;

/** Nearest rows by cosine, themselves left out; of equals the first. A row of zeros, which has no direction, has similarity 0 with all. */
export function matchesOf({ shape, data }: HostArray, queries: readonly number[]): Match[] {
  const [n, d] = shape as [number, number];
  if (n < 2) return [];
  const lengths = Float64Array.from({ length: n }, (_, i) => lengthOf(data.subarray(i * d, (i + 1) * d)));
  return queries.map((query) => {
    const similarity = (row: number): number => {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (data[query * d + j]! / (lengths[query] || 1)) * (data[row * d + j]! / (lengths[row] || 1));
      return sum;
    };
    const all = Array.from({ length: n }, (_, row) => ({ row, similarity: similarity(row) })).filter(({ row }) => row !== query);
    return { query, nearest: all.sort((a, b) => b.similarity - a.similarity || a.row - b.row).slice(0, NEAREST) };
  });
}

/** By shares of the largest, so that no square leaves the range. */
function lengthOf(row: ArrayLike<number>): number {
  let [largest, squares] = [0, 0];
  for (let j = 0; j < row.length; j++) largest = Math.max(largest, Math.abs(row[j]!));
  for (let j = 0; j < row.length; j++) squares += (row[j]! / (largest || 1)) ** 2;
  return largest * Math.sqrt(squares);
}

interface Neighbours {
  readonly matches: readonly Match[];
  readonly named: (row: number) => string;
  /** By row. */
  readonly labels?: ArrayLike<number>;
  readonly raster?: (row: number) => Raster;
}

const marked = (same: boolean | null): Html | null => (same === null ? null : same ? html` class="same"` : html` class="other"`);

/** Some rows with their nearest, as images where there are any. Of the same class, or not, by a sign and a border. */
export function neighbourFigure({ matches, named, labels, raster }: Neighbours): Html {
  const agree = (a: number, b: number): boolean | null => (labels ? labels[a] === labels[b] : null);
  const sign = (a: number, b: number): string => ({ true: '✓ ', false: '✗ ', null: '' })[`${agree(a, b)}`];
  const pairs = matches.flatMap(({ query, nearest }) => nearest.map(({ row }) => agree(query, row)));
  const same = pairs.filter((is) => is === true).length;
  return figure({
    title: 'Nearest neighbours',
    text: labels
      ? `The first is the query, then its nearest by cosine. ✓: of the same class (${same} of ${pairs.length} here).`
      : 'The first is the query, then its nearest by cosine.',
    content: raster
      ? html`<div class="matches">${matches.map(
          ({ query, nearest }) =>
            html`<div><h3>${named(query)}</h3><ol class="match"><li>${imageTag(raster(query), `query: ${named(query)}`)}query</li>${nearest.map(
              ({ row, similarity }) =>
                html`<li${marked(agree(query, row))}>${imageTag(raster(row), `${named(row)}, similarity ${similarity.toFixed(2)}`)}${sign(query, row)}${similarity.toFixed(2)}${agree(query, row) === false ? html`<span>${named(row)}</span>` : null}</li>`,
            )}</ol></div>`,
        )}</div>`
      : dataTable({
          columns: [{ name: 'query' }, ...Array.from({ length: NEAREST }, (_, k) => ({ name: k === 0 ? 'nearest' : `${k + 1}.` }))],
          rows: matches.map(({ query, nearest }) => [
            named(query),
            ...nearest.map(({ row, similarity }) => `${sign(query, row)}${named(row)} (${similarity.toFixed(2)})`),
          ]),
        }),
  });
}
