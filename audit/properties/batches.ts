import { Arithmetic, type Matrix } from '../arithmetic.ts';
import { type Batch, type Case, mapEmbeddings, sizesOf } from '../batch.ts';
import type { Trial } from './property.ts';

/** All samples, and all rows of state, are the first embedding's first row. */
export function collapsed({ batch }: Case): Batch {
  const row = batch.embeddings[0]!.data.slice(0, batch.embeddings[0]!.columns);
  const fill = (z: Matrix): Matrix => ({ ...z, data: Float64Array.from(z.data, (_, k) => row[k % row.length]!) });
  const rows = ['queue', 'prototypes'];
  return {
    ...mapEmbeddings(batch, fill),
    state: Object.fromEntries(Object.entries(batch.state).map(([name, x]) => [name, rows.includes(name) ? fill(x) : x])),
  };
}

/** Rows of ±1 whose columns have mean 0 and are orthogonal to each other: 2^k samples of up to 2^k − 1 dimensions. */
function hadamard(n: number, d: number): Matrix {
  const bits = (x: number): number => x.toString(2).replaceAll('0', '').length;
  return new Arithmetic().matrix(n, d, (i, j) => (bits(i & (j + 1)) % 2 === 0 ? 1 : -1));
}

/** Views that agree and whose dimensions have the deviation `deviation` (unbiased) and no covariance, or null where sizes are fixed otherwise. */
export function healthy({ batch }: Case, { shape }: Trial, deviation: number, shift = 0): Batch | null {
  const { d } = sizesOf(batch);
  if (shape.samples !== undefined || d > 7) return null;
  const n = d < 4 ? 4 : 8;
  const z = new Arithmetic().map(hadamard(n, d), (x) => x * deviation * Math.sqrt((n - 1) / n) + shift);
  const rounded = shape.precision === 'f32' ? { ...z, data: z.data.map(Math.fround) } : z;
  return { ...batch, embeddings: batch.embeddings.map(() => rounded) };
}

/** Embeddings, element by element, times a factor. */
export const scaledBy =
  (factor: (row: number, place: number, column: number) => number) =>
  (batch: Batch): Batch =>
    mapEmbeddings(batch, (z, place) => ({ ...z, data: z.data.map((x, k) => x * factor(Math.floor(k / z.columns), place, k % z.columns)) }));

/** Embeddings with a vector added to every sample. */
export const movedBy =
  (of: (column: number, place: number) => number) =>
  (batch: Batch): Batch =>
    mapEmbeddings(batch, (z, place) => ({ ...z, data: z.data.map((x, k) => x + of(k % z.columns, place)) }));
