import { cholesky, eye, type Tensor, trace, triangularSolve } from '../../engine/core.ts';
import { check, checkChoice, checkNumber, checkTensors, isFloat, options, show } from '../../engine/internal.ts';
import { inverseSquareRoot } from './matrix.ts';
import { centre, covarianceOf } from './statistics.ts';

export interface WhiteningOptions {
  /** How much of the identity the covariance is given; 0, unless given. */
  readonly epsilon?: number;
  /** (1−ε)Σ + εI (`convex`, as published for W-MSE, the default), or Σ + εI (`additive`, as published for IterNorm). */
  readonly shrinkage?: 'convex' | 'additive';
  /** The divisor of the covariance is n less this: 1, unless given. */
  readonly correction?: 0 | 1;
}

export interface IterativeWhiteningOptions extends WhiteningOptions {
  /** Newton–Schulz steps; 5, unless given. */
  readonly iterations?: number;
}

/** Centred rows and their shrunk covariance. @throws TensegrityError `shape` where it is to be `inverted` and cannot have full rank, `argument`. */
function prepare(x: Tensor, what: string, given: WhiteningOptions, inverted = true): { centred: Tensor; sigma: Tensor } {
  const { epsilon, shrinkage, correction } = options(what, given, { epsilon: 0, shrinkage: 'convex', correction: 1 });
  checkTensors(what, x);
  checkChoice(`${what}: shrinkage`, shrinkage, ['convex', 'additive']);
  check(
    x.rank >= 2 && isFloat(x.dtype),
    'shape',
    () => `${what}: takes floats [..., samples, dimensions], got ${x.dtype} ${show(x.shape)}`,
  );
  const [n, d] = [x.shape.at(-2)!, x.shape.at(-1)!];
  checkNumber(`${what}: epsilon`, epsilon, 0, 1);
  check(correction === 0 || correction === 1, 'argument', () => `${what}: correction must be 0 or 1, got ${correction}`);
  check(n >= 2, 'shape', () => `${what}: the covariance of ${n} samples is singular; use at least 2`);
  check(
    !inverted || epsilon > 0 || n > d,
    'shape',
    () =>
      `${what}: the covariance of ${n} samples of ${d} dimensions is singular; use at least ${d + 1} samples (2·${d} is advised), or an epsilon above 0, as 1e-4`,
  );
  const centred = centre(x);
  const sigma = covarianceOf(centred, correction);
  const shrunk = epsilon === 0 ? sigma : (shrinkage === 'convex' ? sigma.mul(1 - epsilon) : sigma).add(eye(d, x.dtype).mul(epsilon));
  return { centred, sigma: shrunk };
}

/**
 * Whitens rows by Cholesky: Σ = L·Lᵀ, y = L⁻¹(x − μ), for x [..., n, d]. Mean 0 and covariance I where ε = 0 and Σ has full rank.
 * (A. Ermolov et al., ICML 2021, §3; htdt/self-supervised:methods/whitening.py)
 * @throws TensegrityError `shape` for n ≤ d at ε = 0, whose covariance is singular. Rows that are dependent all the same give NaN.
 */
export function choleskyWhitening(x: Tensor, given: WhiteningOptions = {}): Tensor {
  const { centred, sigma } = prepare(x, 'choleskyWhitening', given);
  return triangularSolve(cholesky(sigma), centred.transpose()).transpose();
}

/**
 * Whitens rows by the symmetric root: y = (x − μ)·Σ^−½, for x [..., n, d]: of all whitenings the nearest to x. (A. Kessy et al., 2018, ZCA)
 * @throws TensegrityError `shape` for n ≤ d at ε = 0.
 */
export function zcaWhitening(x: Tensor, given: WhiteningOptions = {}): Tensor {
  const { centred, sigma } = prepare(x, 'zcaWhitening', given);
  return centred.matmul(inverseSquareRoot(sigma));
}

/**
 * Whitens rows approximately by Newton–Schulz, without a decomposition, for x [..., n, d]: Σ_N = Σ/tr Σ, P₀ = I, P ← (3P − P³·Σ_N)/2,
 * y = (x − μ)·P/√tr Σ, which tends to ZCA. Nothing is inverted, so n ≤ d will do; rows that are all the same give 0.
 * (L. Huang et al., "Iterative Normalization", CVPR 2019, Alg. 1)
 * @throws TensegrityError `shape` for fewer than 2 samples, `argument` for iterations that are no whole number ≥ 0.
 */
export function iterativeWhitening(x: Tensor, given: IterativeWhiteningOptions = {}): Tensor {
  const { centred, matrix } = iterativeWhiteningMatrix(x, given);
  return centred.matmul(matrix);
}

/** The factors of {@link iterativeWhitening}: x less its mean [..., n, d], and the whitening matrix [..., d, d]. */
export function iterativeWhiteningMatrix(x: Tensor, given: IterativeWhiteningOptions = {}): { centred: Tensor; matrix: Tensor } {
  const defaults = { iterations: 5, epsilon: undefined, shrinkage: undefined, correction: undefined };
  const { iterations, ...rest } = options('iterativeWhitening', given, defaults);
  check(
    Number.isInteger(iterations) && iterations >= 0,
    'argument',
    () => `iterativeWhitening: iterations must be a whole number ≥ 0, got ${iterations}`,
  );
  const { centred, sigma } = prepare(x, 'iterativeWhitening', rest, false);
  const spread = trace(sigma).unsqueeze(-1).unsqueeze(-1);
  const total = spread.equal(0).where(1, spread);
  const normalized = sigma.div(total);
  let p = eye(sigma.shape.at(-1)!, x.dtype).expand(sigma.shape);
  for (let step = 0; step < iterations; step++) p = p.mul(1.5).sub(p.matmul(p).matmul(p).matmul(normalized).mul(0.5));
  return { centred, matrix: p.div(total.sqrt()) };
}

/** The whitenings, by name. */
export const whitenings = {
  cholesky: choleskyWhitening,
  zca: zcaWhitening,
  iterative: iterativeWhitening,
} as const;

export type WhiteningName = keyof typeof whitenings;

/**
 * How whitenings were published: the way, and the options that are not the defaults.
 * - wmse (htdt/self-supervised:methods/whitening.py)
 * - iterNorm (huangleiBuaa/IterNorm-pytorch, iterative_normalization.py)
 * - dbn (L. Huang et al., "Decorrelated Batch Normalization", CVPR 2018; huangleiBuaa/IterNorm-pytorch, dbn.py)
 * - intl (winci-ai/INTL:methods/whitening.py)
 */
export const publishedWhitenings = {
  wmse: { whitening: 'cholesky', options: {} },
  iterNorm: { whitening: 'iterative', options: { correction: 0, epsilon: 1e-5, shrinkage: 'additive' } },
  dbn: { whitening: 'zca', options: { correction: 0, epsilon: 1e-5, shrinkage: 'additive' } },
  intl: { whitening: 'iterative', options: { iterations: 4 } },
} as const satisfies Readonly<Record<string, { readonly whitening: WhiteningName; readonly options: IterativeWhiteningOptions }>>;
