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
    const length = Math.sqrt(dot(column, column, k));
    const head = column[k]! > 0 ? -length : length;
    const result = new Float64Array(columns.length);
    result.set(column.subarray(0, k));
    result[k] = head;
    if (length > 0) {
      // v = x − head·e_k reflects x onto head·e_k; of the two signs, this one does not cancel.
      column[k]! -= head;
      const scale = 2 / dot(column, column, k);
      for (let j = k + 1; j < columns.length; j += 2) reflect(column, scale, columns[j]!, columns[j + 1] ?? spare, k);
    }
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

const SWEEPS = 60;

/** Singular values, in descending order, by one-sided Jacobi rotations, which find small ones to high relative accuracy. (Demmel & Veselić 1992) */
function jacobi(matrix: Columns): Float64Array {
  const columns = matrix.map((column) => column.slice());
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false;
    for (let p = 0; p < columns.length; p++) {
      for (let q = p + 1; q < columns.length; q++) {
        if (rotate(columns[p]!, columns[q]!)) rotated = true;
      }
    }
    if (!rotated) break;
  }
  return Float64Array.from(columns, (column) => Math.sqrt(dot(column, column)))
    .sort()
    .reverse();
}

/** Makes two columns orthogonal; false if they are. The three sums are taken together, since an addition waits for the one before. */
function rotate(a: Float64Array, b: Float64Array): boolean {
  let aa = 0;
  let bb = 0;
  let ab = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  if (Math.abs(ab) <= 1e-15 * Math.sqrt(aa * bb)) return false;
  const zeta = (bb - aa) / (2 * ab);
  const tangent = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = cosine * tangent;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
  return true;
}

/** In descending order; all NaN where an element is not finite. */
function singularValuesOf(columns: Columns): Float64Array {
  if (!columns.every((column) => column.every(Number.isFinite)))
    return new Float64Array(Math.min(columns.length, columns[0]!.length)).fill(NaN);
  const tall = columns.length <= columns[0]!.length ? columns : transposed(columns);
  // Rᵀ converges faster than R, its columns being nearly sorted by length already.
  return jacobi(transposed(triangularFactor(tall)));
}

export interface SpectralOptions {
  /** Subtract the mean of each dimension first; false, unless given. */
  readonly centred?: boolean;
}

/**
 * The singular values of z [n, d], in descending order, min(n, d) of them, in double precision: QR, then one-sided Jacobi, so that small ones
 * keep their digits, which eigenvalues of ZᵀZ would lose. It takes about 2nd² + 16d³ operations (d ≤ n). All are NaN where an element is not finite.
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
