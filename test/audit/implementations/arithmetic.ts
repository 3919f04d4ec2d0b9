/** The little linear algebra that losses need, in loops over nested arrays: nothing here knows of the engine's tensors, which are held to it. */

export type Vector = readonly number[];
/** Rows of equal length: of embeddings, [n, d]. */
export type Matrix = readonly Vector[];

export function sum(x: Vector): number {
  let total = 0;
  for (const value of x) total += value;
  return total;
}
export const mean = (x: Vector): number => sum(x) / x.length;
export function dot(x: Vector, y: Vector): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i]! * y[i]!;
  return total;
}
export const norm = (x: Vector): number => Math.sqrt(dot(x, x));

export const widthOf = (x: Matrix): number => x[0]!.length;
export const map = (x: Matrix, of: (value: number, row: number, column: number) => number): number[][] =>
  x.map((row, i) => row.map((value, j) => of(value, i, j)));
export const add = (x: Matrix, y: Matrix): number[][] => map(x, (value, i, j) => value + y[i]![j]!);
export const subtract = (x: Matrix, y: Matrix): number[][] => map(x, (value, i, j) => value - y[i]![j]!);
export const scale = (x: Matrix, factor: number): number[][] => map(x, (value) => value * factor);
export const transpose = (x: Matrix): number[][] => x[0]!.map((_, j) => x.map((row) => row[j]!));
export const multiply = (x: Matrix, y: Matrix): number[][] => {
  const columns = transpose(y);
  return x.map((row) => columns.map((column) => dot(row, column)));
};
export const identity = (d: number): number[][] =>
  Array.from({ length: d }, (_, i) => Array.from({ length: d }, (_, j) => (i === j ? 1 : 0)));
/** The rows' products with each other, X·Xᵀ. */
export const gram = (x: Matrix): number[][] => x.map((row) => x.map((other) => dot(row, other)));
export const trace = (x: Matrix): number => sum(x.map((row, i) => row[i]!));
/** Σ of squares of all elements. */
export const squares = (x: Matrix): number => sum(x.map((row) => dot(row, row)));
/** Σ of squares of the elements off the diagonal. */
export const offDiagonalSquares = (x: Matrix): number => squares(map(x, (value, i, j) => (i === j ? 0 : value)));

export const columnMeans = (x: Matrix): number[] => transpose(x).map(mean);
/** Rows less a row. */
export const lessRow = (x: Matrix, row: Vector): number[][] => map(x, (value, _, j) => value - row[j]!);
export const centred = (x: Matrix): number[][] => lessRow(x, columnMeans(x));
/** Variances of the columns; the divisor is n − 1, unless given. */
export const variances = (x: Matrix, divisor = x.length - 1): number[] =>
  transpose(centred(x)).map((column) => dot(column, column) / divisor);
/** The covariance of the columns; the divisor is n − 1, unless given. */
export const covarianceOf = (x: Matrix, divisor = x.length - 1): number[][] => scale(gram(transpose(centred(x))), 1 / divisor);
export const meanSquaredError = (x: Matrix, y: Matrix): number => squares(subtract(x, y)) / (x.length * widthOf(x));
/** The mean of matrices of one shape. */
export const average = (views: readonly Matrix[]): number[][] => map(views[0]!, (_, i, j) => mean(views.map((view) => view[i]![j]!)));

/** x of length 1; shorter than `least`, it counts as that long. */
export const unit = (x: Vector, least = 1e-12): number[] => {
  const length = Math.max(norm(x), least);
  return x.map((value) => value / length);
};
/** Rows of length 1. */
export const normalized = (x: Matrix, least?: number): number[][] => x.map((row) => unit(row, least));
/** Cosines of rows with the rows of the same number. */
export const cosines = (x: Matrix, y: Matrix, least?: number): number[] => {
  const [a, b] = [normalized(x, least), normalized(y, least)];
  return a.map((row, i) => dot(row, b[i]!));
};

export const logSumExp = (x: Vector): number => {
  const greatest = Math.max(...x);
  return greatest === -Infinity ? greatest : greatest + Math.log(sum(x.map((value) => Math.exp(value - greatest))));
};
export const logSoftmax = (x: Vector): number[] => {
  const total = logSumExp(x);
  return x.map((value) => value - total);
};
export const softmax = (x: Vector): number[] => logSoftmax(x).map(Math.exp);

/** L with A = L·Lᵀ, lower triangular, of symmetric positive definite A; NaN where it is not. */
export function cholesky(a: Matrix): number[][] {
  const l = a.map((row) => row.map(() => 0));
  for (const [i, row] of l.entries())
    for (let j = 0; j <= i; j++) {
      const rest = a[i]![j]! - dot(row.slice(0, j), l[j]!.slice(0, j));
      row[j] = i === j ? Math.sqrt(rest) : rest / l[j]![j]!;
    }
  return l;
}

/** ln det A of symmetric positive definite A. */
export const logDeterminant = (a: Matrix): number => 2 * sum(cholesky(a).map((row, i) => Math.log(row[i]!)));

/** y with L·y = x, for lower triangular L. */
export function solveLower(l: Matrix, x: Vector): number[] {
  const y: number[] = [];
  for (const [i, value] of x.entries()) y.push((value - dot(l[i]!.slice(0, i), y)) / l[i]![i]!);
  return y;
}

/**
 * Columns of X turned by pairs until they are orthogonal: X·V, and V. Their lengths are the singular values, to full relative accuracy. (One-sided
 * Jacobi; M. Hestenes 1958)
 */
export function orthogonalized(x: Matrix): { columns: number[][]; vectors: number[][] } {
  const columns = transpose(x);
  const vectors = identity(columns.length);
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep++) {
    turned = false;
    for (let p = 0; p < columns.length; p++)
      for (let q = p + 1; q < columns.length; q++) {
        const [a, b] = [columns[p]!, columns[q]!];
        const [alpha, beta, gamma] = [dot(a, a), dot(b, b), dot(a, b)];
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue;
        turned = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, tangent);
        for (const list of [columns, vectors]) {
          const [u, v] = [list[p]!, list[q]!];
          list[p] = u.map((value, i) => cosine * (value - tangent * v[i]!));
          list[q] = v.map((value, i) => cosine * (value + tangent * u[i]!));
        }
      }
  }
  return { columns, vectors };
}

/** The nuclear norm ‖X‖_*, the sum of the singular values. */
export const nuclearNorm = (x: Matrix): number => sum(orthogonalized(x.length < widthOf(x) ? transpose(x) : x).columns.map(norm));

/** f(A) = V·f(Λ)·Vᵀ of symmetric positive semidefinite A: there the singular vectors are the eigenvectors. */
export function ofEigenvalues(a: Matrix, of: (value: number) => number): number[][] {
  const { columns, vectors } = orthogonalized(a);
  const values = columns.map((column) => of(norm(column)));
  return map(a, (_, i, j) => sum(vectors.map((vector, k) => values[k]! * vector[i]! * vector[j]!)));
}

/** Standard normal numbers [n, d] that the seed alone decides. (G. Marsaglia's xorshift; G. Box & M. Muller) */
export function normalRows(seed: number, n: number, d: number): number[][] {
  let state = (seed ^ 0x9e3779b9) | 1;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) * 2 ** -32;
  };
  for (let i = 0; i < 8; i++) uniform();
  return Array.from({ length: n }, () =>
    Array.from({ length: d }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())),
  );
}
