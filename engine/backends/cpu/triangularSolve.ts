import type { Runner } from './dense.ts';

/** Substitution, from the row with one unknown to the row with all of them: x[i] = (b[i] − Σ_{k solved} a[i,k]·x[k]) / a[i,i]. */
export const triangularSolve: Runner<'triangularSolve'> = ({ lower, transpose, inputs: [, right] }, a, b) => {
  const [batch = 0, size = 0, columns = 0] = right!.shape;
  const forwards = lower !== transpose;
  const [down, across] = transpose ? [1, size] : [size, 1];
  const x = b!.slice();
  for (let n = 0; n < batch; n++) {
    const matrix = n * size * size;
    const rows = Array.from({ length: size }, (_, i) => (forwards ? i : size - 1 - i));
    rows.forEach((i, solved) => {
      for (let column = 0; column < columns; column++) {
        const at = (row: number) => (n * size + row) * columns + column;
        for (const k of rows.slice(0, solved)) x[at(i)]! -= a![matrix + i * down + k * across]! * x[at(k)]!;
        x[at(i)]! /= a![matrix + i * down + i * across]!;
      }
    });
  }
  return [x];
};
