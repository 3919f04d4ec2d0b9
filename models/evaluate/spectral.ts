import type { HostArray } from '../../engine/core.ts';
import { check, checkChoice, checkHostArray, options, show } from '../../engine/internal.ts';

/** Vectors of doubles: the columns of a matrix, each contiguous. */
type Columns = readonly Float64Array[];

/** The columns of a matrix [n, d] of at least one element. @throws TensegrityError `shape`. */
function columnsOf(z: HostArray, what: string): Columns {
  checkHostArray(z, what);
  const { shape, data } = z;
  const [n, d] = shape;
  check(
    shape.length === 2 && n! > 0 && d! > 0,
    'shape',
    () => `${what}: takes a matrix [samples, dimensions] with elements, got ${show(shape)}`,
  );
  return Array.from({ length: d! }, (_, j) => Float64Array.from({ length: n! }, (_entry, i) => data[i * d! + j]!));
}

function dot(a: Float64Array, b: Float64Array, from = 0): number {
  let sum = 0;
  for (let i = from; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The columns less their means. */
function centred(columns: Columns): Columns {
  return columns.map((column) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    return column.map((value) => value - mean);
  });
}

function transposed(columns: Columns): Columns {
  return Array.from({ length: columns[0]!.length }, (_, i) => Float64Array.from(columns, (column) => column[i]!));
}

/** The factor R [d, d] of a tall matrix's QR decomposition, by Householder reflections, as columns. (Golub & Van Loan, Alg. 5.2.1) */
function triangularFactor(matrix: Columns): Columns {
  const columns = matrix.map((column) => column.slice());
  const spare = new Float64Array(columns[0]!.length);
  return columns.map((column, k) => {
    const result = new Float64Array(columns.length);
    result.set(column.subarray(0, k));
    const { head, scale } = householder(column, k);
    result[k] = head;
    if (scale > 0) for (let j = k + 1; j < columns.length; j += 2) reflect(column, scale, columns[j]!, columns[j + 1] ?? spare, k);
    return result;
  });
}

/** Subtracts scale·(v·x)·v from x, and the same for y, from row `from` on. Two columns at once, since an addition waits for the one before. */
function reflect(v: Float64Array, scale: number, x: Float64Array, y: Float64Array, from: number): void {
  let sx = 0;
  let sy = 0;
  for (let i = from; i < v.length; i++) {
    sx += v[i]! * x[i]!;
    sy += v[i]! * y[i]!;
  }
  sx *= scale;
  sy *= scale;
  for (let i = from; i < v.length; i++) {
    x[i]! -= sx * v[i]!;
    y[i]! -= sy * v[i]!;
  }
}

/**
 * The diagonal and what stands above it, one after the other, of the bidiagonal matrix that reflections from the left and the right make of a square
 * one: its singular values are the same. (G. Golub & W. Kahan 1965; Golub & Van Loan, Alg. 5.4.2)
 */
function bidiagonal(matrix: Columns): Float64Array {
  const columns = matrix.map((column) => column.slice());
  const size = columns.length;
  const spare = new Float64Array(size);
  const result = new Float64Array(2 * size - 1);
  for (let k = 0; k < size; k++) {
    const column = columns[k]!;
    const down = householder(column, k);
    result[2 * k] = down.head;
    if (down.scale > 0) for (let j = k + 1; j < size; j += 2) reflect(column, down.scale, columns[j]!, columns[j + 1] ?? spare, k);
    if (k + 1 === size) break;
    const row = Float64Array.from(columns, (other) => other[k]!);
    const across = householder(row, k + 1);
    result[2 * k + 1] = across.head;
    if (across.scale > 0) reflectRows(row, across.scale, columns, k + 1);
  }
  return result;
}

/** Makes x from `from` on the v whose reflection, x − scale·(v·x)·v, is head·e. Of the two signs of the head, this one does not cancel. */
function householder(x: Float64Array, from: number): { readonly head: number; readonly scale: number } {
  const length = Math.sqrt(dot(x, x, from));
  if (length === 0) return { head: 0, scale: 0 };
  const head = x[from]! > 0 ? -length : length;
  x[from]! -= head;
  return { head, scale: 2 / dot(x, x, from) };
}

/** Subtracts scale·(v·x)·v from each row x, from row `from` on: as columns, so that memory is walked in order. */
function reflectRows(v: Float64Array, scale: number, columns: Columns, from: number): void {
  const sums = new Float64Array(v.length);
  for (let j = from; j < columns.length; j++) {
    const column = columns[j]!;
    const factor = scale * v[j]!;
    for (let i = from; i < sums.length; i++) sums[i]! += factor * column[i]!;
  }
  for (let j = from; j < columns.length; j++) {
    const column = columns[j]!;
    const factor = v[j]!;
    for (let i = from; i < sums.length; i++) column[i]! -= factor * sums[i]!;
  }
}

/** How often an interval is halved: what is smaller than its 2^−HALVINGS is 0. */
const HALVINGS = 128;

/**
 * The singular values of a bidiagonal matrix, in descending order, each to a few ulps. They are the positive eigenvalues of the symmetric
 * tridiagonal matrix that has zeros on its diagonal and the numbers beside it (Golub & Kahan); how many of these are below x is how many pivots
 * of its elimination, less x, are negative, so each value is found by halving an interval. (J. Demmel & W. Kahan 1990, §2; W. Barth et al. 1967)
 */
function bidiagonalValues(entries: Float64Array): Float64Array {
  const squares = entries.map((entry) => entry * entry);
  const most = entries.reduce((largest, entry) => Math.max(largest, Math.abs(entry)), 0);
  const count = (entries.length + 1) / 2;
  // A pivot of 0 counts as a negative one, as if x were the least bit larger.
  const below = (x: number): number => {
    let pivot = -x;
    let negative = 1;
    for (let i = 0; i < squares.length; i++) {
      pivot = -x - squares[i]! / (pivot || -Number.MIN_VALUE);
      if (pivot <= 0) negative++;
    }
    return negative;
  };
  let highest = 2 * most;
  return Float64Array.from({ length: count }, (_, k) => {
    let [low, high] = [0, highest];
    // Value k is the one with 2·count − 1 − k eigenvalues below it.
    for (let i = 0; i < HALVINGS && high - low > Number.EPSILON * high; i++) {
      const middle = (low + high) / 2;
      if (below(middle) > 2 * count - 1 - k) high = middle;
      else low = middle;
    }
    highest = high;
    return low === 0 ? 0 : (low + high) / 2;
  });
}

/** In descending order; all NaN where an element is not finite. */
function singularValuesOf(columns: Columns): Float64Array {
  if (!columns.every((column) => column.every(Number.isFinite)))
    return new Float64Array(Math.min(columns.length, columns[0]!.length)).fill(NaN);
  const largest = columns.reduce((most, column) => column.reduce((all, value) => Math.max(all, Math.abs(value)), most), 0);
  // By a power of 2, which loses no digits, to about 1, so that no square is too large or too small.
  const scale = largest === 0 ? 1 : 2 ** Math.max(-1022, Math.min(1022, -Math.floor(Math.log2(largest))));
  const scaled = columns.map((column) => column.map((value) => value * scale));
  const tall = scaled.length <= scaled[0]!.length ? scaled : transposed(scaled);
  // The longest first: columns that differ by orders of magnitude keep the digits of small values then.
  const sorted = tall.map((column) => ({ column, length: dot(column, column) })).sort((a, b) => b.length - a.length);
  return bidiagonalValues(bidiagonal(triangularFactor(sorted.map(({ column }) => column)))).map((value) => value / scale);
}

export interface SpectralOptions {
  /** Subtract the mean of each dimension first; false, unless given. */
  readonly centred?: boolean;
}

/**
 * The singular values of z [n, d], in descending order, min(n, d) of them, in double precision: QR, then reflections to a bidiagonal
 * matrix, so that each is right to about 1e-15 of the largest, where eigenvalues of ZᵀZ would be so to 1e-8; of columns that differ
 * by orders of magnitude small ones keep their digits. It takes about 2nd² + 3d³ operations
 * (d ≤ n). All are NaN where an element is not finite.
 * @throws TensegrityError `shape` unless z is a matrix with elements.
 */
export function singularValues(z: HostArray, given: SpectralOptions = {}): Float64Array {
  const { centred: centre } = options('singularValues', given, { centred: false });
  const columns = columnsOf(z, 'singularValues');
  return singularValuesOf(centre ? centred(columns) : columns);
}

/** exp of the entropy −Σ p ln p; 0·ln 0 counts as 0, and NaN gives NaN. */
function perplexity(p: Float64Array): number {
  return Math.exp(-p.reduce((sum, share) => sum + (share === 0 ? 0 : share * Math.log(share)), 0));
}

/** exp of the entropy of the values' shares of their sum, each plus ε: how many of them count. */
export function entropyRank(values: Float64Array, epsilon = 0): number {
  const total = values.reduce((sum, value) => sum + value, 0);
  return perplexity(values.map((value) => (total === 0 ? 0 : value / total) + epsilon));
}

/**
 * RankMe: exp(−Σ p_k ln p_k) with p_k = σ_k/‖σ‖₁ + ε, between about 1 (collapsed) and min(n, d). As published, of the un-centred embeddings; a common offset
 * hides everything else there, so read the centred one beside it. (Q. Garrido et al., ICML 2023, Eq. 1)
 * @param epsilon 1e-7, unless given.
 */
export function rankMe(z: HostArray, given: SpectralOptions & { readonly epsilon?: number } = {}): number {
  const { epsilon, ...rest } = options('rankMe', given, { epsilon: 1e-7, centred: false });
  return entropyRank(singularValues(z, rest), epsilon);
}

/** The effective rank: exp of the entropy of the singular values' shares, of the centred z. (O. Roy & M. Vetterli, EUSIPCO 2007) */
export function effectiveRank(z: HostArray): number {
  return entropyRank(singularValues(z, { centred: true }));
}

/** The eigenvalues of the covariance matrix of z [n, d] (divisor n−1), in descending order, min(n, d) of them. @throws TensegrityError `shape` for n < 2. */
export function covarianceSpectrum(z: HostArray): Float64Array {
  checkHostArray(z, 'covarianceSpectrum');
  check(z.shape[0]! >= 2, 'shape', () => `covarianceSpectrum: needs at least 2 samples, got ${show(z.shape)}`);
  return singularValues(z, { centred: true }).map((value) => (value * value) / (z.shape[0]! - 1));
}

/** How many eigenvalues, in descending order, are not 0 but for rounding. */
export function positiveCount(spectrum: Float64Array): number {
  return spectrum.filter((value) => value > spectrum[0]! * 1e-14).length;
}

export interface AlphaReQOptions {
  /** The first eigenvalue of the fit, from 1; 1, unless given. */
  readonly from?: number;
  /** The last; all that are not 0, unless given. */
  readonly to?: number;
  /** How much each counts: all the same (`none`, the default), or 1/k (`inverse-rank`), as on a logarithmic axis. */
  readonly weights?: 'none' | 'inverse-rank';
}

/**
 * α-ReQ: the exponent α of the decay λ_k ∝ k^−α of the covariance's eigenvalues, by least squares of ln λ_k on ln k. Near 1 is healthy; large
 * means few directions, near 0 noise in all. (K. Agrawal et al., NeurIPS 2022)
 * @param z embeddings [n, d], or their {@link covarianceSpectrum}.
 * @throws TensegrityError `argument` unless the fit has at least two positive eigenvalues.
 */
export function alphaReQ(z: HostArray | Float64Array, given: AlphaReQOptions = {}): number {
  const { from, to, weights } = options('alphaReQ', given, { from: 1, to: undefined, weights: 'none' });
  checkChoice('alphaReQ: weights', weights, ['none', 'inverse-rank']);
  const spectrum = ArrayBuffer.isView(z) ? z : covarianceSpectrum(z);
  const positive = positiveCount(spectrum);
  const last = to ?? positive;
  check(
    Number.isInteger(from) && Number.isInteger(last) && from >= 1 && last > from && last <= positive,
    'argument',
    () => `alphaReQ: needs at least two of the ${positive} positive eigenvalues, got ${from} to ${last}`,
  );
  const points = Array.from({ length: last - from + 1 }, (_, i) => {
    const k = from + i;
    return { weight: weights === 'none' ? 1 : 1 / k, x: Math.log(k), y: Math.log(spectrum[k - 1]!) };
  });
  const sum = (term: (point: (typeof points)[number]) => number): number =>
    points.reduce((total, point) => total + point.weight * term(point), 0);
  const weight = sum(() => 1);
  const [meanX, meanY] = [sum(({ x }) => x) / weight, sum(({ y }) => y) / weight];
  return -sum(({ x, y }) => (x - meanX) * (y - meanY)) / sum(({ x }) => (x - meanX) ** 2);
}

export interface LiDAROptions {
  /** Added to the diagonal of the covariance within; 1e-4, unless given. */
  readonly delta?: number;
  /** Added to each share; 1e-7, unless given. */
  readonly epsilon?: number;
}

/**
 * LiDAR: the effective rank of S_w^−½·S_b·S_w^−½, where S_b is the covariance of the samples' means over views and S_w that of the views about
 * them plus δI; both are plain means. For z [samples, views, d]. (V. Thilak et al., ICLR 2024)
 * @throws TensegrityError `shape` unless z has three axes with elements.
 */
export function lidar(z: HostArray, given: LiDAROptions = {}): number {
  checkHostArray(z, 'lidar');
  const { delta, epsilon } = options('lidar', given, { delta: 1e-4, epsilon: 1e-7 });
  const [n, q, d] = z.shape;
  check(
    z.shape.length === 3 && n! > 0 && q! > 0 && d! > 0,
    'shape',
    () => `lidar: takes embeddings [samples, views, dimensions], got ${show(z.shape)}`,
  );
  const views = columnsOf({ ...z, shape: [n! * q!, d!] }, 'lidar');
  const means = views.map((column) =>
    Float64Array.from({ length: n! }, (_, i) => column.subarray(i * q!, (i + 1) * q!).reduce((sum, value) => sum + value, 0) / q!),
  );
  const within = views.map((column, j) => column.map((value, i) => value - means[j]![Math.floor(i / q!)]!));
  // S_w = RᵀR, where R comes from the views about their means, stacked on √(n·q·δ)·I. Then the eigenvalues sought are the squared singular
  // values of S_b^½·R⁻¹, since S_w^−½ and R⁻¹ differ by a rotation.
  const stacked = within.map((column, j) => {
    const extended = new Float64Array(n! * q! + d!);
    extended.set(column);
    extended[n! * q! + j] = Math.sqrt(n! * q! * delta);
    return extended.map((value) => value / Math.sqrt(n! * q!));
  });
  const r = triangularFactor(stacked);
  const solved: Float64Array[] = [];
  for (const [j, column] of centred(means).entries()) {
    // Y·R = B, column by column: y_j = (b_j − Σ_{k<j} y_k·R_kj)/R_jj
    const y = column.slice();
    for (let k = 0; k < j; k++) for (let i = 0; i < y.length; i++) y[i]! -= solved[k]![i]! * r[j]![k]!;
    solved.push(y.map((value) => value / r[j]![j]!));
  }
  const eigenvalues = singularValuesOf(solved).map((value) => (value * value) / n!);
  const padded = new Float64Array(d!);
  padded.set(eigenvalues);
  return entropyRank(padded, epsilon);
}
