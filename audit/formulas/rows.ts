import { type Arithmetic, at, type Matrix } from '../arithmetic.ts';
import type { Mistake } from './formula.ts';

/** What is made of the rows of a loss that takes their directions, rows of length 1. */
export const rowMistakes = {
  'not normalised': ['rows are not scaled to length 1: products stand for cosines'],
  'columns normalised': ['columns are scaled to length 1, over the batch, instead of rows (the wrong axis)'],
  'all normalised': ['the whole matrix is scaled to length 1 as one vector, not row by row'],
  'first normalised': ['only the first of two is scaled to length 1'],
  'second normalised': ['only the second of two is scaled to length 1'],
  'centred first': ["the batch's mean is subtracted before rows are scaled"],
  'rows standardised': ['each row loses its mean and is divided by its deviation, instead of being scaled to length 1'],
  'divided by square': ['rows are divided by their squared lengths'],
  'sum to one': ['rows are divided by the sum of their absolute elements (ℓ1), not by their lengths (ℓ2)'],
  'largest to one': ['rows are divided by their largest element, not by their lengths (ℓ2)'],
  'lengths plus 1e-4': ['1e-4 is added to lengths, where it should be the least of them at most'],
  'lengths plus 1e-6': ['1e-6 is added to lengths, where it should be the least of them at most'],
  'lengths plus 1e-8': ['1e-8 is added to lengths, where it should be the least of them at most: of no consequence but for short rows'],
  'lengths plus 1e-12': ['1e-12 is added to lengths, where it should be the least of them at most: of no consequence but for short rows'],
  'detached lengths': ['lengths are constants (detached), so that the gradient is not orthogonal to the row'],
} as const satisfies Readonly<Record<string, Mistake>>;

export type RowMistake = keyof typeof rowMistakes;

const added = { 'lengths plus 1e-4': 1e-4, 'lengths plus 1e-6': 1e-6, 'lengths plus 1e-8': 1e-8, 'lengths plus 1e-12': 1e-12 } as const;

export interface RowOptions {
  /** What a length counts as at least; 1e-12, unless given. */
  readonly least?: number;
  /** 0 or 1, where there are two that are to be scaled. */
  readonly place?: 0 | 1;
  /** The same rows as constants. */
  readonly held?: Matrix;
}

/** Rows of length 1, or what a mistake makes of them. */
export function unitRows(
  a: Arithmetic,
  z: Matrix,
  has: (mistake: RowMistake) => boolean,
  { least = 1e-12, place = 0, held = z }: RowOptions = {},
): Matrix {
  if (has('not normalised') || (has('first normalised') && place === 1) || (has('second normalised') && place === 0)) return z;
  if (has('columns normalised')) return a.unitColumns(z);
  const divided = (lengths: readonly number[]): Matrix => a.matrix(z.rows, z.columns, (i, j) => at(z, i, j) / lengths[i]!);
  const roots = (x: Matrix): number[] => a.rowSquares(x).map(Math.sqrt);
  if (has('all normalised')) return a.scaled(z, 1 / Math.sqrt(a.sum(z.data.length, (k) => z.data[k]! ** 2)));
  if (has('divided by square')) return divided(a.rowSquares(z));
  if (has('detached lengths')) return divided(roots(held).map((length) => Math.max(length, least)));
  const row = (i: number): number[] => Array.from(z.data.subarray(i * z.columns, (i + 1) * z.columns), Math.abs);
  if (has('sum to one')) return divided(Array.from({ length: z.rows }, (_, i) => row(i).reduce((sum, x) => sum + x, 0)));
  if (has('largest to one')) return divided(Array.from({ length: z.rows }, (_, i) => Math.max(...row(i))));
  if (has('rows standardised')) {
    const means = Array.from({ length: z.rows }, (_, i) => a.sum(z.columns, (j) => at(z, i, j)) / z.columns);
    const centred = a.matrix(z.rows, z.columns, (i, j) => at(z, i, j) - means[i]!);
    const deviations = a.rowSquares(centred).map((square) => Math.sqrt(square / z.columns));
    return a.matrix(z.rows, z.columns, (i, j) => at(centred, i, j) / deviations[i]!);
  }
  const plus = (Object.keys(added) as (keyof typeof added)[]).find((name) => has(name));
  if (plus) return divided(roots(z).map((length) => length + added[plus]));
  return a.unitRows(has('centred first') ? a.centred(z) : z, least);
}
