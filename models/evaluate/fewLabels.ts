import type { HostArray } from '../../engine/core.ts';
import { check, options, shown } from '../../engine/internal.ts';
import { takeRows } from '../data/images.ts';
import { balancedSubset } from '../data/loader.ts';
import { type Classification, checkSplits, type LabelledFeatures, nearestNeighbours, score, standardizer } from './classify.ts';

export interface RidgeProbeResult extends Classification {
  /** The penalty that was chosen, in parts of the mean squared length of the centred features. */
  readonly penalty: number;
}

export interface RidgeProbeOptions {
  /** Penalties to choose among, above 0, in parts of the mean squared length of the centred features; 10⁻³ … 10² by half powers, unless given. */
  readonly penalties?: readonly number[];
}

const PENALTIES = Array.from({ length: 11 }, (_, i) => 10 ** (i / 2 - 3));

/** Samples that a matrix of n² doubles is made of: 1000 take seconds. */
const MOST = 2000;

/**
 * A linear classifier of few labelled features: ridge regression on the classes' indicators, with an intercept that is not penalised. The penalty is
 * the one of the least squared error of each sample by the others (leave-one-out, in closed form), so it needs no labels but the training set's own,
 * and nothing is drawn. It takes about n²·d + 11·n³/3 operations.
 * (A. Hoerl & R. Kennard 1970; the closed form with an intercept: G. Cawley & N. Talbot, "Preventing over-fitting during model selection via
 * Bayesian regularisation of the hyper-parameters", JMLR 2007, §2)
 * @throws TensegrityError `shape`, `dtype`, `argument` for features and labels that do not fit, and for more than 2000 training samples.
 */
export function ridgeProbe(train: LabelledFeatures, test: LabelledFeatures, given: RidgeProbeOptions = {}): RidgeProbeResult {
  const { penalties } = options('ridgeProbe', given, { penalties: PENALTIES });
  check(
    Array.isArray(penalties) && penalties.length > 0 && penalties.every((penalty) => penalty > 0),
    'argument',
    () => `ridgeProbe: penalties must be a list of numbers above 0, got ${shown(penalties)}`,
  );
  const { classes, targets, width } = checkSplits(train, test, 'ridgeProbe');
  const count = targets.length;
  check(count <= MOST, 'argument', () => `ridgeProbe: takes at most ${MOST} training samples, got ${count}; linearProbe takes any number`);
  const { mean, rows } = centred(train.features);
  const gram = rows.map((row, i) => Float64Array.from({ length: i + 1 }, (_, j) => dot(row, rows[j]!, width)));
  const length = gram.reduce((sum, row, i) => sum + row[i]!, 0) / count || 1;
  const indicators = classes.map((_, c) => Float64Array.from(targets, (target) => (target === c ? 1 : 0)));
  const fits = penalties.map((penalty) => ({ penalty, ...dualRidge(gram, penalty * length, indicators) }));
  const best = fits.reduce((least, fit) => (fit.error < least.error ? fit : least));
  const weights = best.duals.map((dual) => {
    const weight = new Float64Array(width);
    rows.forEach((row, i) => addScaled(weight, row, dual[i]!, width));
    return weight;
  });
  const offsets = weights.map((weight, c) => best.intercepts[c]! - dot(weight, mean, width));
  const { data, shape } = test.features;
  const predicted = Int32Array.from({ length: shape[0]! }, (_, i) => {
    const sample = data.subarray(i * width, (i + 1) * width);
    const scores = weights.map((weight, c) => offsets[c]! + dot(weight, sample, width));
    return scores.reduce((most, value, c) => (value > scores[most]! ? c : most), 0);
  });
  return { ...score(predicted, classes, test), penalty: best.penalty };
}

interface DualRidge {
  /** For each class, one number a sample: the weights are their sum times the samples. */
  readonly duals: readonly Float64Array[];
  readonly intercepts: readonly number[];
  /** Σ of squares of what each sample is predicted by the others, less what it is. */
  readonly error: number;
}

/**
 * Minimises ‖y − Xw − b‖² + λ‖w‖² for each y: with A = XXᵀ + λI and v = A⁻¹1, b = vᵀy/(1ᵀv), α = A⁻¹(y − b), w = Xᵀα. The residual of sample i by
 * the others is α_i over the diagonal of the inverse of [[A, 1], [1ᵀ, 0]], which is (A⁻¹)_ii − v_i²/(1ᵀv).
 */
function dualRidge(gram: readonly Float64Array[], lambda: number, all: readonly Float64Array[]): DualRidge {
  const inverse = inverseFactor(gram, lambda);
  const solve = (y: Float64Array): Float64Array => {
    const result = new Float64Array(y.length);
    inverse.forEach((row, i) => addScaled(result, row, dot(row, y, i + 1), i + 1));
    return result;
  };
  const v = solve(new Float64Array(gram.length).fill(1));
  const total = v.reduce((sum, value) => sum + value, 0);
  const diagonal = v.map((value) => (-value * value) / total);
  for (const row of inverse) for (let j = 0; j < row.length; j++) diagonal[j]! += row[j]! * row[j]!;
  const intercepts = all.map((y) => dot(v, y, y.length) / total);
  const duals = all.map((y, c) => solve(y.map((value) => value - intercepts[c]!)));
  const error = duals.reduce((sum, dual) => sum + dual.reduce((own, value, i) => own + (value / diagonal[i]!) ** 2, 0), 0);
  return { duals, intercepts, error };
}

/** L⁻¹, row by row as far as the diagonal, where LLᵀ is the symmetric matrix of these rows plus λI. */
function inverseFactor(lower: readonly Float64Array[], lambda: number): Float64Array[] {
  const factor: Float64Array[] = [];
  const inverse: Float64Array[] = [];
  for (const [i, given] of lower.entries()) {
    const row = given.slice();
    for (let j = 0; j < i; j++) row[j] = (row[j]! - dot(row, factor[j]!, j)) / factor[j]![j]!;
    row[i] = Math.sqrt(row[i]! + lambda - dot(row, row, i));
    // Row i of L·L⁻¹ = I.
    const own = new Float64Array(i + 1);
    for (let j = 0; j < i; j++) addScaled(own, inverse[j]!, -row[j]! / row[i]!, j + 1);
    own[i] = 1 / row[i]!;
    factor.push(row);
    inverse.push(own);
  }
  return inverse;
}

function dot(x: ArrayLike<number>, y: ArrayLike<number>, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[i]! * y[i]!;
  return sum;
}

function addScaled(to: Float64Array, x: ArrayLike<number>, scale: number, count: number): void {
  for (let i = 0; i < count; i++) to[i]! += x[i]! * scale;
}

function centred({ shape, data }: HostArray): { readonly mean: Float64Array; readonly rows: readonly Float64Array[] } {
  const [n, d] = shape as [number, number];
  const rows = Array.from({ length: n }, (_, i) => Float64Array.from(data.subarray(i * d, (i + 1) * d)));
  const mean = new Float64Array(d);
  for (const row of rows) addScaled(mean, row, 1 / n, d);
  for (const row of rows) addScaled(row, mean, -1, d);
  return { mean, rows };
}

export interface FewLabelsOptions {
  /** Of all training images, as in {@link balancedSubset}; .01, unless given. */
  readonly fraction?: number;
  /** How many subsets are drawn; 10, unless given. */
  readonly draws?: number;
  /** 0, unless given; the subset of draw i is that of seed + i. */
  readonly seed?: number;
  /** Whether {@link FewLabelsScores.nearest} is asked for; true, unless given. */
  readonly nearest?: boolean;
  /** Awaited after each draw; what it throws ends the scoring. */
  readonly onDraw?: (draw: number) => void | Promise<void>;
}

/** Accuracies on the test set, means over the draws. */
export interface FewLabelsScores {
  /** How many labels each draw has. */
  readonly labels: number;
  /** Of {@link ridgeProbe}. */
  readonly linear: number;
  /** Of {@link nearestNeighbours}; NaN where it is not asked for. */
  readonly nearest: number;
}

/**
 * What features are worth with the labels of a few training samples, as many of each class. All training features are known without their labels, so
 * their mean and deviation are what features are standardised by, whatever they are of.
 * @returns means over several subsets, since one of a hundred labels says little.
 * @throws TensegrityError `shape`, `dtype`, `argument` for features and labels that do not fit, a class that has too few samples, more than 2000 labels.
 */
export async function fewLabels(train: LabelledFeatures, test: LabelledFeatures, given: FewLabelsOptions = {}): Promise<FewLabelsScores> {
  const {
    fraction,
    draws,
    seed,
    nearest: alsoNearest,
    onDraw,
  } = options('fewLabels', given, { fraction: 0.01, draws: 10, seed: 0, nearest: true, onDraw: undefined });
  check(Number.isInteger(draws) && draws >= 1, 'argument', () => `fewLabels: draws must be a whole number ≥ 1, got ${shown(draws)}`);
  checkSplits(train, test, 'fewLabels');
  const standardized = standardizer(train.features, 'fewLabels');
  const queries: LabelledFeatures = { ...test, features: standardized(test.features) };
  const found: { readonly labels: number; readonly linear: number; readonly nearest: number }[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const rows = balancedSubset(train.labels, fraction, seed + draw);
    const few = { features: standardized(takeRows(train.features, rows)), labels: takeRows(train.labels, rows) };
    const { accuracy: linear } = ridgeProbe(few, queries);
    const { accuracy: nearest } = alsoNearest ? await nearestNeighbours(few, queries) : { accuracy: NaN };
    found.push({ labels: rows.length, linear, nearest });
    await onDraw?.(draw);
  }
  const mean = (name: 'linear' | 'nearest'): number => found.reduce((sum, scores) => sum + scores[name], 0) / draws;
  return { labels: found[0]!.labels, linear: mean('linear'), nearest: mean('nearest') };
}
