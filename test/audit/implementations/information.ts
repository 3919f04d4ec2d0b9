import {
  add,
  average,
  centred,
  cholesky,
  columnMeans,
  cosines,
  covarianceOf,
  dot,
  gram,
  identity,
  lessRow,
  logDeterminant,
  type Matrix,
  map,
  mean,
  meanSquaredError,
  multiply,
  normalized,
  normalRows,
  nuclearNorm,
  ofEigenvalues,
  offDiagonalSquares,
  scale,
  solveLower,
  squares,
  subtract,
  sum,
  trace,
  transpose,
  type Vector,
  variances,
  widthOf,
} from './arithmetic.ts';
import type { Formula, Pair, Views } from './formula.ts';

export interface Weights {
  readonly invariance?: number;
  readonly variance?: number;
  readonly covariance?: number;
}

export interface Hinge {
  readonly gamma?: number;
  readonly epsilon?: number;
}

/** mean_j max(0, γ − √(var_j + ε)) */
export const hinge = (z: Matrix, { gamma = 1, epsilon = 1e-4 }: Hinge): number =>
  mean(variances(z).map((variance) => Math.max(0, gamma - Math.sqrt(variance + epsilon))));

/** Σ_{i≠j} C_ij²/d */
export const redundancy = (z: Matrix): number => offDiagonalSquares(covarianceOf(z)) / widthOf(z);

export type VICRegDialect = 'official' | 'paper' | 'solo-learn' | 'vicregl';
export interface VICReg extends Weights, Hinge {
  readonly dialect?: VICRegDialect;
}

/** (A. Bardes et al., ICLR 2022; facebookresearch/vicreg, facebookresearch/VICRegL, vturrisi/solo-learn) */
export const vicreg: Formula<Pair, VICReg> = (
  [za, zb],
  _constants,
  { invariance = 25, variance = 25, covariance = 1, dialect = 'official', ...rest },
) => {
  const [s, v, c] = { official: [1, 0.5, 1], paper: [widthOf(za), 1, 1], 'solo-learn': [1, 1, 1], vicregl: [1, 0.5, 0.5] }[dialect] as [
    number,
    number,
    number,
  ];
  return (
    invariance * s * meanSquaredError(za, zb) +
    variance * v * (hinge(za, rest) + hinge(zb, rest)) +
    covariance * c * (redundancy(za) + redundancy(zb))
  );
};

/** The mean over all d² entries of the squared correlations off the diagonal. */
export const meanCorrelation = (z: Matrix): number => offDiagonalSquares(gram(normalized(transpose(centred(z))))) / widthOf(z) ** 2;

/** (D. Lee & E. Aune, arXiv 2109.00783; ML4ITS/vibcreg) */
export const vibcreg: Formula<Pair, Weights & Hinge> = (
  [za, zb],
  _constants,
  { invariance = 25, variance = 25, covariance = 200, ...rest },
) =>
  invariance * meanSquaredError(za, zb) +
  variance * (hinge(za, rest) + hinge(zb, rest)) +
  covariance * (meanCorrelation(za) + meanCorrelation(zb));

export interface BarlowTwins {
  readonly offDiagonal?: number;
  readonly scale?: number;
  readonly epsilon?: number;
}

/** Columns less their mean, over √(biased variance + ε). */
export const standardized = (z: Matrix, epsilon: number): number[][] => {
  const deviations = variances(z, z.length).map((variance) => Math.sqrt(variance + epsilon));
  return map(centred(z), (value, _, j) => value / deviations[j]!);
};

/** (Σ(C_ii − 1)² + λ·Σ_{i≠j} C_ij²)·scale of a correlation C. */
export const towardsIdentity = (correlation: Matrix, { offDiagonal = 0.0051, scale: factor = 1 }: BarlowTwins): number =>
  factor * (sum(correlation.map((row, i) => (row[i]! - 1) ** 2)) + offDiagonal * offDiagonalSquares(correlation));

/** (J. Zbontar et al., ICML 2021; facebookresearch/barlowtwins) */
export const barlowTwins: Formula<Pair, BarlowTwins> = ([za, zb], _constants, { epsilon = 1e-5, ...rest }) =>
  towardsIdentity(scale(multiply(transpose(standardized(za, epsilon)), standardized(zb, epsilon)), 1 / za.length), rest);

export interface WMSE {
  readonly subBatch?: number;
  readonly iterations?: number;
  readonly distance?: 'normalized' | 'mse';
  readonly epsilon?: number;
  readonly whitening?: 'cholesky' | 'zca' | 'iterative' | 'none';
  /** The divisions, [iterations, n]: the order of the rows, unless given. */
  readonly permutations?: Matrix;
}

export const distances = {
  normalized: (a: Matrix, b: Matrix): number => 2 - 2 * mean(cosines(a, b)),
  mse: meanSquaredError,
} as const;

/** Matrices that whiten, by a covariance. */
const whiteners = {
  cholesky: (sigma: Matrix): number[][] => {
    const l = cholesky(sigma);
    return transpose(transpose(identity(sigma.length)).map((column) => solveLower(l, column)));
  },
  zca: (sigma: Matrix): number[][] => ofEigenvalues(sigma, (value) => 1 / Math.sqrt(value)),
  iterative: (sigma: Matrix): number[][] => {
    const total = trace(sigma) || 1;
    let p = identity(sigma.length);
    for (let step = 0; step < 5; step++)
      p = subtract(scale(p, 1.5), scale(multiply(multiply(multiply(p, p), p), scale(sigma, 1 / total)), 0.5));
    return scale(p, 1 / Math.sqrt(total));
  },
  none: null,
} as const;

export const whitened = (z: Matrix, { epsilon = 0, whitening = 'cholesky' }: WMSE): Matrix => {
  const whitener = whiteners[whitening];
  const sigma = add(scale(covarianceOf(z), 1 - epsilon), scale(identity(widthOf(z)), epsilon));
  return whitener === null ? z : multiply(centred(z), transpose(whitener(sigma)));
};

/** The loss of pairs that are whitened in sub-batches, by `whiten`. */
export const whitenedPairs = (
  [za, zb]: Pair,
  { subBatch = za.length, iterations = 1, distance = 'normalized', permutations }: WMSE,
  whiten: (z: Matrix, view: 0 | 1) => Matrix,
): number => {
  const divided = (z: Matrix, order: Vector, view: 0 | 1): Matrix =>
    Array.from({ length: order.length / subBatch }, (_, i) =>
      whiten(
        order.slice(i * subBatch, (i + 1) * subBatch).map((row) => z[row]!),
        view,
      ),
    ).flat();
  return mean(
    Array.from({ length: iterations }, (_, i) => {
      const order = permutations?.[i] ?? za.map((_row, index) => index);
      return distances[distance](divided(za, order, 0), divided(zb, order, 1));
    }),
  );
};

/** (A. Ermolov et al., ICML 2021; htdt/self-supervised) */
export const wmse: Formula<Pair, WMSE> = (views, _constants, context) => whitenedPairs(views, context, (z) => whitened(z, context));

/** Directions to look along. */
export interface Slices {
  /** [d, slices]: drawn, unless given. */
  readonly slices?: Matrix;
  readonly sliceCount?: number;
}

/** Directions as rows. */
export const directionsOf = (d: number, { slices, sliceCount = 256 }: Slices): Matrix =>
  slices ? transpose(slices) : normalized(normalRows(1, sliceCount, d));

/** n·∫ of |E e^{itx} − e^{−t²/2}|²·e^{−t²/2} by trapezoids at 17 knots of [0, 3], twice; of numbers x. */
export const eppsPulley = (x: Vector): number => {
  const step = 3 / 16;
  const terms = Array.from({ length: 17 }, (_, k) => {
    const t = k * step;
    const normal = Math.exp((-t * t) / 2);
    const error = (mean(x.map((value) => Math.cos(t * value))) - normal) ** 2 + mean(x.map((value) => Math.sin(t * value))) ** 2;
    return error * normal * step * (k === 0 || k === 16 ? 1 : 2);
  });
  return x.length * sum(terms);
};

/** (R. Balestriero & Y. LeCun, arXiv 2511.08544; rbalestr-lab/lejepa) */
export const sigreg: Formula<Views, Slices> = (views, _constants, context) =>
  mean(views.flatMap((z) => directionsOf(widthOf(z), context).map((direction) => eppsPulley(z.map((row) => dot(row, direction))))));

export interface LeJEPA extends Slices {
  readonly sigreg?: number;
  readonly globals?: number;
}

/** The mean square of views' distances from the mean of the first so many. */
export const distanceToMean = (views: readonly Matrix[], globals = views.length): number => {
  const centroid = average(views.slice(0, globals));
  return mean(views.map((view) => meanSquaredError(view, centroid)));
};

export const lejepa: Formula<Views, LeJEPA> = (views, constants, { sigreg: lambda = 0.02, globals, ...rest }) =>
  (1 - lambda) * distanceToMean(views, globals) + lambda * sigreg(views, constants, rest);

export type TiCoDialect = 'paper' | 'lightly' | 'sayannag';
export interface TiCo {
  readonly contrast?: number;
  readonly covarianceMomentum?: number;
  readonly dialect?: TiCoDialect;
  readonly runningCovariance?: Matrix;
}

/** (J. Zhu et al., arXiv 2206.10698; lightly-ai/lightly, sayannag/TiCo-pytorch) */
export const tico: Formula<Pair, TiCo> = ([za, zb], [constant], { covarianceMomentum = 0.9, dialect = 'paper', ...given }) => {
  const published = { paper: [8, 0], lightly: [8, 1], sayannag: [20, 0] }[dialect] as [number, number];
  const { contrast = published[0], runningCovariance } = given;
  const rows = normalized(za);
  const batch = dialect === 'sayannag' ? rows : normalized(constant);
  const before = runningCovariance ?? map(identity(widthOf(za)), () => 0);
  const c = add(scale(before, covarianceMomentum), scale(gram(transpose(batch)), (1 - covarianceMomentum) / za.length));
  return published[1] - mean(cosines(za, zb)) + contrast * mean(multiply(rows, c).map((row, i) => dot(row, rows[i]!)));
};

export interface MMCR {
  readonly global?: number;
  readonly local?: number;
}

/** (T. Yerxa et al., NeurIPS 2023; ThomasYerxa/mmcr) */
export const mmcr: Formula<Views, MMCR> = (views, _constants, { global: mu = 1, local: lambda = 0 }) => {
  const rows = views.map((view) => normalized(view));
  const local = mean(views[0].map((_, i) => nuclearNorm(rows.map((view) => view[i]!))));
  return lambda * local - mu * nuclearNorm(average(rows));
};

export interface TCR {
  readonly epsilon?: number;
}

/** ½·ln det(I + d/(n·ε)·ZᵀZ) */
export const codingRate = (z: Matrix, { epsilon = 0.2 }: TCR): number => {
  const d = widthOf(z);
  return logDeterminant(add(identity(d), scale(gram(transpose(z)), d / (z.length * epsilon)))) / 2;
};

/** (Y. Yu et al., NeurIPS 2020; tsb0601/EMP-SSL) */
export const tcr: Formula<Views, TCR> = (views, _constants, context) => -mean(views.map((view) => codingRate(normalized(view), context)));

export type FroSSLDialect = 'official' | 'paper' | 'solo-learn';
export interface FroSSL {
  readonly invariance?: number;
  readonly dialect?: FroSSLDialect;
}

/** Columns of length 1, less their mean before where it says so. */
export const columnsNormalized = (z: Matrix, dialect: FroSSLDialect): number[][] =>
  transpose(normalized(transpose(dialect === 'paper' ? centred(z) : z)));

/** ln(‖K‖_F/tr K) of the Gram matrix; 0 of nothing. */
export const concentration = (z: Matrix): number => {
  const total = squares(z);
  return total === 0 ? 0 : Math.log(Math.sqrt(squares(gram(z))) / total);
};

/** (O. Skean et al., ECCV 2024; OFSkean/FroSSL, vturrisi/solo-learn) */
export const frossl: Formula<Views, FroSSL> = (views, _constants, { invariance = 1, dialect = 'official' }) => {
  const columns = views.map((view) => columnsNormalized(view, dialect));
  const factor = widthOf(views[0]) * views.length * (dialect === 'solo-learn' ? 1 : views.length);
  return sum(columns.map((view) => 2 * concentration(view))) + invariance * factor * distanceToMean(columns);
};

export interface CorInfoMax {
  readonly invariance?: number;
  readonly momentum?: number;
  readonly epsilon?: number;
  readonly meanA?: Vector;
  readonly covarianceA?: Matrix;
  readonly meanB?: Vector;
  readonly covarianceB?: Matrix;
}

/** ln det(R + εI)/d, with R the running covariance that has the batch in it, about the running mean that has. */
export const information = (
  z: Matrix,
  before: Vector = columnMeans(z).map(() => 0),
  covariance: Matrix = identity(widthOf(z)),
  { momentum = 0.01, epsilon = 1e-6 }: CorInfoMax,
): number => {
  const moved = columnMeans(z).map((value, j) => momentum * before[j]! + (1 - momentum) * value);
  const batch = scale(gram(transpose(lessRow(z, moved))), (1 - momentum) / z.length);
  return logDeterminant(add(add(scale(covariance, momentum), batch), scale(identity(widthOf(z)), epsilon))) / widthOf(z);
};

/** (S. Ozsoy et al., NeurIPS 2022; serdarozsoy/corinfomax-ssl) */
export const corInfoMax: Formula<Pair, CorInfoMax> = ([za, zb], _constants, context) => {
  const { invariance = 500, meanA, covarianceA, meanB, covarianceB } = context;
  const held = information(za, meanA, covarianceA, context) + information(zb, meanB, covarianceB, context);
  return invariance * meanSquaredError(za, zb) - held;
};
