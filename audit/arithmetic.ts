/** A matrix of doubles, row by row. A vector is a matrix of one row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

export const at = ({ data, columns }: Matrix, row: number, column: number): number => data[row * columns + column]!;

export function transposed(x: Matrix): Matrix {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < x.rows; i++) for (let j = 0; j < x.columns; j++) data[j * x.rows + i] = x.data[i * x.columns + j]!;
  return { rows: x.columns, columns: x.rows, data };
}

/** Rows of several matrices, one below the other. */
export function stacked(parts: readonly Matrix[]): Matrix {
  const data = new Float64Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { rows: parts.reduce((sum, { rows }) => sum + rows, 0), columns: parts[0]?.columns ?? 0, data };
}

export function rowsOf(x: Matrix, from: number, count: number): Matrix {
  return { rows: count, columns: x.columns, data: x.data.slice(from * x.columns, (from + count) * x.columns) };
}

export const identity = (size: number, scale = 1): Matrix => {
  const data = new Float64Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = scale;
  return { rows: size, columns: size, data };
};

/**
 * Sums, products and functions of matrices in double precision, each of whose results may be disturbed by a part `noise` of what was added up for
 * it. So a formula written with it is evaluated as a machine of lower precision would, and how far results spread says how well it is
 * conditioned, whatever the formula. (D. Parker, "Monte Carlo Arithmetic", 1997; every step at random, every sum relative to its Σ|terms|.)
 */
export class Arithmetic {
  readonly #noise: number;
  #state: number;

  constructor(noise = 0, seed = 1) {
    this.#noise = noise;
    this.#state = seed | 1;
  }

  /** x + noise·r·`scale`, for r from −1 to 1. */
  round(x: number, scale = x): number {
    if (this.#noise === 0) return x;
    // Xorshift: what is drawn need only be without pattern.
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return x + this.#noise * scale * (state / 0x80000000);
  }

  /** The elements of x, as a machine that cannot hold them holds them. */
  held(x: Matrix): Matrix {
    return this.#noise === 0 ? x : this.map(x, (value) => value);
  }

  matrix(rows: number, columns: number, of: (row: number, column: number) => number): Matrix {
    const data = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * columns + j] = this.round(of(i, j));
    return { rows, columns, data };
  }

  map(x: Matrix, of: (value: number) => number): Matrix {
    const data = new Float64Array(x.data.length);
    for (let i = 0; i < data.length; i++) data[i] = this.round(of(x.data[i]!));
    return { rows: x.rows, columns: x.columns, data };
  }

  zip(x: Matrix, y: Matrix, of: (a: number, b: number) => number): Matrix {
    const data = new Float64Array(x.data.length);
    for (let i = 0; i < data.length; i++) data[i] = this.round(of(x.data[i]!, y.data[i]!));
    return { rows: x.rows, columns: x.columns, data };
  }

  sub(x: Matrix, y: Matrix): Matrix {
    return this.zip(x, y, (a, b) => a - b);
  }

  /** Each row of x less (or plus) a vector. */
  shifted(x: Matrix, by: Matrix, sign = -1): Matrix {
    return this.matrix(x.rows, x.columns, (i, j) => at(x, i, j) + sign * by.data[j]!);
  }

  scaled(x: Matrix, factor: number): Matrix {
    return this.map(x, (value) => value * factor);
  }

  sum(count: number, of: (i: number) => number): number {
    let [sum, absolute] = [0, 0];
    for (let i = 0; i < count; i++) {
      const term = of(i);
      sum += term;
      absolute += Math.abs(term);
    }
    return this.round(sum, absolute);
  }

  total(x: Matrix): number {
    return this.sum(x.data.length, (i) => x.data[i]!);
  }

  mean(x: Matrix): number {
    return this.total(x) / x.data.length;
  }

  meanOf(values: readonly number[]): number {
    return this.sum(values.length, (i) => values[i]!) / values.length;
  }

  /** The mean of each column, a vector. */
  columnMeans(x: Matrix): Matrix {
    return this.matrix(1, x.columns, (_, j) => this.sum(x.rows, (i) => at(x, i, j)) / x.rows);
  }

  /** Columns less their means. */
  centred(x: Matrix): Matrix {
    return this.shifted(x, this.columnMeans(x));
  }

  product(x: Matrix, y: Matrix): Matrix {
    const data = new Float64Array(x.rows * y.columns);
    for (let i = 0; i < x.rows; i++)
      for (let j = 0; j < y.columns; j++) {
        let [sum, absolute] = [0, 0];
        for (let k = 0; k < x.columns; k++) {
          const term = x.data[i * x.columns + k]! * y.data[k * y.columns + j]!;
          sum += term;
          absolute += Math.abs(term);
        }
        data[i * y.columns + j] = this.round(sum, absolute);
      }
    return { rows: x.rows, columns: y.columns, data };
  }

  /** xᵀx of the columns. */
  gram(x: Matrix): Matrix {
    return this.product(transposed(x), x);
  }

  /** Sums of squares of the columns. */
  columnSquares(x: Matrix): number[] {
    return Array.from({ length: x.columns }, (_, j) => this.sum(x.rows, (i) => at(x, i, j) ** 2));
  }

  rowSquares(x: Matrix): number[] {
    return Array.from({ length: x.rows }, (_, i) => this.sum(x.columns, (j) => at(x, i, j) ** 2));
  }

  /** Rows over their lengths, which count as `least` at least. */
  unitRows(x: Matrix, least = 1e-12): Matrix {
    const lengths = this.rowSquares(x).map(Math.sqrt);
    return this.matrix(x.rows, x.columns, (i, j) => at(x, i, j) / Math.max(lengths[i]!, least));
  }

  unitColumns(x: Matrix, least = 1e-12): Matrix {
    return transposed(this.unitRows(transposed(x), least));
  }

  /** ⟨x_i, y_i⟩ of each row. */
  rowProducts(x: Matrix, y: Matrix): number[] {
    return Array.from({ length: x.rows }, (_, i) => this.sum(x.columns, (j) => at(x, i, j) * at(y, i, j)));
  }

  /** Rows less the logarithm of the sum of their exponentials. */
  logSoftmax(x: Matrix): Matrix {
    const sums = Array.from({ length: x.rows }, (_, i) => this.logSumExp(x.columns, (j) => at(x, i, j)));
    return this.matrix(x.rows, x.columns, (i, j) => at(x, i, j) - sums[i]!);
  }

  softmax(x: Matrix): Matrix {
    return this.map(this.logSoftmax(x), Math.exp);
  }

  logSumExp(count: number, of: (i: number) => number): number {
    let most = -Infinity;
    for (let i = 0; i < count; i++) most = Math.max(most, of(i));
    if (most === -Infinity) return most;
    const sum = this.sum(count, (i) => Math.exp(of(i) - most));
    return this.round(most + Math.log(sum), Math.abs(most));
  }

  /** L with A = L·Lᵀ; NaN where A is not positive definite. */
  cholesky(a: Matrix): Matrix {
    const n = a.rows;
    const data = new Float64Array(n * n);
    for (let j = 0; j < n; j++) {
      const pivot = at(a, j, j) - this.sum(j, (k) => data[j * n + k]! ** 2);
      const root = Math.sqrt(this.round(pivot, at(a, j, j)));
      data[j * n + j] = root > 0 ? root : Number.NaN;
      for (let i = j + 1; i < n; i++) {
        const rest = at(a, i, j) - this.sum(j, (k) => data[i * n + k]! * data[j * n + k]!);
        data[i * n + j] = this.round(rest / data[j * n + j]!);
      }
    }
    return { rows: n, columns: n, data };
  }

  /** L⁻¹·B for lower triangular L. */
  solveLower(l: Matrix, b: Matrix): Matrix {
    const data = new Float64Array(b.data.length);
    for (let j = 0; j < b.columns; j++)
      for (let i = 0; i < l.rows; i++) {
        const rest = at(b, i, j) - this.sum(i, (k) => at(l, i, k) * data[k * b.columns + j]!);
        data[i * b.columns + j] = this.round(rest / at(l, i, i));
      }
    return { rows: l.rows, columns: b.columns, data };
  }

  /** ln det of a positive definite matrix. */
  logDeterminant(a: Matrix): number {
    const l = this.cholesky(a);
    return 2 * this.sum(a.rows, (i) => Math.log(at(l, i, i)));
  }

  /**
   * X = U·diag(s)·Vᵀ, as the columns of X·V (= U·diag(s)), their lengths s, and V. One-sided Jacobi, which loses no digits of small values.
   * (J. Demmel & K. Veselić, 1992)
   */
  singular(x: Matrix): { readonly scaled: Matrix; readonly values: readonly number[]; readonly vectors: Matrix } {
    const [work, v] = [Float64Array.from(x.data), identity(x.columns).data];
    const { rows: m, columns: n } = x;
    const rotate = (data: Float64Array, length: number, p: number, q: number, c: number, s: number): void => {
      for (let i = 0; i < length; i++) {
        const [a, b] = [data[i * n + p]!, data[i * n + q]!];
        data[i * n + p] = c * a - s * b;
        data[i * n + q] = s * a + c * b;
      }
    };
    for (let sweep = 0; sweep < 40; sweep++) {
      let rotated = false;
      for (let p = 0; p < n; p++)
        for (let q = p + 1; q < n; q++) {
          let [pp, qq, pq] = [0, 0, 0];
          for (let i = 0; i < m; i++) {
            const [a, b] = [work[i * n + p]!, work[i * n + q]!];
            pp += a * a;
            qq += b * b;
            pq += a * b;
          }
          if (!(Math.abs(pq) > 1e-16 * Math.sqrt(pp * qq))) continue;
          rotated = true;
          const zeta = (qq - pp) / (2 * pq);
          const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
          const c = 1 / Math.hypot(1, t);
          rotate(work, m, p, q, c, c * t);
          rotate(v, n, p, q, c, c * t);
        }
      if (!rotated) break;
    }
    const scaled = { rows: m, columns: n, data: work };
    const values = Array.from({ length: n }, (_, j) => Math.hypot(...Array.from({ length: m }, (_unused, i) => at(scaled, i, j))));
    return { scaled, values, vectors: { rows: n, columns: n, data: v } };
  }

  /** The sum of the singular values. */
  nuclearNorm(x: Matrix): number {
    const { values } = this.singular(x.rows < x.columns ? transposed(x) : x);
    return this.sum(values.length, (i) => values[i]!);
  }
}
