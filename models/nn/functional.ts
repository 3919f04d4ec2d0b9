import { arange, bernoulli, customGradient, type Key, matmul, type Operand, type Tensor } from '../../engine/core.ts';
import { check, checkList, checkTensors, dtypes, firstKnown, isFloat, normalizeAxes, options, show, shown } from '../../engine/internal.ts';

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  checkTensors('relu', x);
  return x.relu();
}

/** x where positive, else `slope`·x. (A. Maas et al., ICML 2013) */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  checkTensors('leakyRelu', x);
  return x.greater(0).where(x, x.mul(slope));
}

/** x where positive, else α·(eˣ − 1). (D.-A. Clevert et al., ICLR 2016) */
export function elu(x: Tensor, alpha = 1): Tensor {
  checkTensors('elu', x);
  const positive = x.greater(0);
  // d elu = dx where positive, else α·eˣdx; with the exponent cut, so that it does not overflow where it is not taken.
  return customGradient(positive.where(x, x.expm1().mul(alpha)), [x], (g) => [positive.where(g, g.mul(alpha).mul(x.minimum(0).exp()))]);
}

/** x·Φ(x) with the exact normal distribution function, as PyTorch's default. (D. Hendrycks & K. Gimpel, arXiv 1606.08415) */
export function gelu(x: Tensor): Tensor {
  checkTensors('gelu', x);
  return x.mul(x.mul(Math.SQRT1_2).erf().add(1).mul(0.5));
}

/** x·σ(x), also called swish. */
export function silu(x: Tensor): Tensor {
  checkTensors('silu', x);
  return x.mul(x.sigmoid());
}

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), which does not overflow. */
export function softplus(x: Tensor): Tensor {
  checkTensors('softplus', x);
  // d ln(1 + eˣ) = σ(x)·dx
  return customGradient(x.maximum(0).add(x.abs().neg().exp().log1p()), [x], (g) => [g.mul(x.sigmoid())]);
}

/** Zeroes elements with probability p and scales the others by 1/(1−p); the same key drops the same elements. @throws TensegrityError `argument` unless 0 ≤ p < 1. */
export function dropout(x: Tensor, given: { readonly p: number; readonly key: Key }): Tensor {
  const { p, key } = options('dropout', given, { p: undefined, key: undefined });
  checkTensors('dropout', x);
  check(p >= 0 && p < 1, 'argument', () => `dropout: p must be from 0 to below 1, got ${p}`);
  return p === 0 ? x : bernoulli(x.shape, { key, p }).where(0, x.mul(1 / (1 - p)));
}

/** x [..., in] · weightᵀ + bias, for weight [out, in]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  checkTensors('linear', x, weight);
  const product = matmul(x, weight.transpose());
  return bias ? product.add(bias) : product;
}

/**
 * softmax(q·kᵀ/√d)·v along the last two axes, for queries [..., t, d], keys [..., s, d] and values [..., s, e] → [..., t, e]. The scores, [..., t, s],
 * are in memory. (A. Vaswani et al., NeurIPS 2017, Eq. 1; as PyTorch's of this name, without mask or dropout)
 * @throws TensegrityError `shape` for operands that do not fit.
 */
export function scaledDotProductAttention(query: Tensor, key: Tensor, value: Tensor): Tensor {
  checkTensors('scaledDotProductAttention', query, key, value);
  const width = query.shape.at(-1) ?? 0;
  // The queries are the fewest numbers to scale.
  return matmul(matmul(query.div(Math.sqrt(width)), key.transpose()).softmax(-1), value);
}

/** Rows scaled to Euclidean length 1: x / max(‖x‖, ε) along `axis`, as PyTorch's `normalize`. A zero row stays zero. */
export function normalize(x: Tensor, axis = -1, epsilon = 1e-12): Tensor {
  checkTensors('normalize', x);
  return x.div(x.norm(axis, true).maximum(epsilon));
}

/** ⟨x, y⟩ / (‖x‖‖y‖) along the last axis. */
export function cosineSimilarity(x: Tensor, y: Tensor, epsilon?: number): Tensor {
  checkTensors('cosineSimilarity', x, y);
  return normalize(x, -1, epsilon)
    .mul(normalize(y, -1, epsilon))
    .sum(-1);
}

/** The mean of (x − y)² over all elements. */
export function meanSquaredError(x: Tensor, y: Operand): Tensor {
  checkTensors('meanSquaredError', x);
  const difference = x.sub(y);
  // Squares of integers may be more than an integer holds.
  return (isFloat(difference.dtype) ? difference : difference.cast('f32')).square().mean();
}

export interface Standardized {
  /** (x − mean)/√(variance + ε), of the shape of x. */
  readonly normalized: Tensor;
  /** Over the axes, which keep size 1. */
  readonly mean: Tensor;
  /** The biased variance (÷ count) over the axes, which keep size 1. */
  readonly variance: Tensor;
}

/** x less its mean, over its standard deviation (biased, ε inside the root), over `axes`: the core of batch and layer normalisation. */
export function standardize(x: Tensor, named: number | readonly number[], epsilon: number): Standardized {
  checkTensors('standardize', x);
  const axes = normalizeAxes(named, x.rank, 'standardize');
  const mean = x.mean(axes, true);
  const centred = x.sub(mean);
  const variance = centred.square().mean(axes, true);
  const scale = variance.add(epsilon).rsqrt();
  // x̂ = (x − μ)/√(σ² + ε):  x̄ = (g − mean g − x̂·mean(g·x̂))/√(σ² + ε): two sums, where differentiating step by step takes four.
  // (S. Ioffe & C. Szegedy, ICML 2015, §3, simplified.) It is made of x̂ itself, so that higher derivatives follow.
  const normalized: Tensor = customGradient(centred.mul(scale), [x], (g) => [
    g
      .sub(g.mean(axes, true))
      .sub(normalized.mul(g.mul(normalized).mean(axes, true)))
      .mul(scale),
  ]);
  return { normalized, mean, variance };
}

export interface BatchNormalization {
  /** Over which axes a statistic is taken; all but the channels. */
  readonly axes: readonly number[];
  /** Of the shape of a statistic, which keeps those axes with size 1; 1, unless given. */
  readonly weight?: Tensor | null;
  /** Likewise; 0, unless given. */
  readonly bias?: Tensor | null;
  /** Added to the variance; 1e-5, unless given. */
  readonly epsilon?: number;
}

export interface BatchNormalized {
  /** (x − mean)/√(variance + ε)·weight + bias, of the shape of x. */
  readonly output: Tensor;
  readonly mean: Tensor;
  /** Biased (÷ count). */
  readonly variance: Tensor;
}

/** One element in at most so many is taken into {@link sampleMean}. */
const SAMPLED = 16;

/**
 * About the mean over `axes`, of k of the n elements. It is within √(n/k) ≤ 4 deviations of the mean, wherever outliers are: by Cauchy's
 * inequality (m − μ)² ≤ Σ(xᵢ − μ)²/k. So E(x − m)² − (μ − m)² cancels a factor of 17 at most. Of equal elements it is exactly their value.
 */
function sampleMean(x: Tensor, axes: readonly number[]): Tensor {
  let rest = SAMPLED;
  const some = x.shape.map((size, axis) => {
    if (!axes.includes(axis)) return null;
    const step = Math.min(rest, size);
    rest = Math.floor(rest / step);
    return [0, size, step] as const;
  });
  const first = x.slice(...x.shape.map((_, axis) => (axes.includes(axis) ? ([0, 1] as const) : null)));
  return first.add(
    x
      .slice(...some)
      .sub(first)
      .mean(axes, true),
  );
}

/**
 * Batch normalisation in the fewest passes over memory: forward, one for both statistics and one for the output; backward, one for two sums
 * and one for the gradient. All of it is of deviations from a mean over some of the elements ({@link sampleMean}), so that neither a large
 * mean nor an outlier costs accuracy. (S. Ioffe & C. Szegedy, ICML 2015)
 * @throws TensegrityError `shape` unless there is more than one value to a channel, `argument`.
 */
export function batchNorm(x: Tensor, given: BatchNormalization): BatchNormalized {
  const { axes: named, weight, bias, epsilon } = options('batchNorm', given, { axes: undefined, weight: null, bias: null, epsilon: 1e-5 });
  const operands = [x, ...[weight, bias].filter((operand) => operand !== null)];
  checkTensors('batchNorm', ...operands);
  checkList('batchNorm: the axes', named);
  const axes = normalizeAxes(named, x.rank, 'batchNorm');
  const count = axes.reduce((product, axis) => product * x.shape[axis]!, 1);
  check(
    count > 1,
    'shape',
    () => `batchNorm: training needs more than one value to a channel, got ${show(x.shape)}; use a larger batch, or evaluation mode`,
  );
  // Neither statistic depends on the origin, so no gradient goes through it.
  const origin = sampleMean(x, axes).stopGradient();
  const shifted = x.sub(origin);
  const offset = shifted.mean(axes, true);
  const mean = origin.add(offset);
  const variance = shifted.square().mean(axes, true).sub(offset.square()).maximum(0);
  const deviationScale = variance.add(epsilon).rsqrt();
  const scale = weight ? deviationScale.mul(weight) : deviationScale;
  const shift = offset.mul(scale).neg();
  const value = shifted.mul(scale).add(bias ? shift.add(bias) : shift);
  const output = customGradient(value, operands, (g) => {
    const normalized = shifted.mul(deviationScale).add(offset.mul(deviationScale).neg());
    const total = g.sum(axes, true);
    const product = g.mul(normalized).sum(axes, true);
    // x̄ = γ/σ·(g − Σg/n − x̂·Σ(g·x̂)/n) with x̂ = (x − o)/σ − (μ − o)/σ: linear in g and x − o, with a factor of each and a rest per channel.
    const slope = deviationScale.mul(product).div(-count);
    const rest = total.div(-count).sub(offset.mul(slope));
    const gradient = g.mul(scale).add(shifted.mul(slope.mul(scale)).add(rest.mul(scale)));
    return [gradient, ...(weight ? [product] : []), ...(bias ? [total] : [])];
  });
  return { output, mean, variance };
}

export interface CrossEntropyOptions {
  /** s from 0 to 1 mixes the label with the uniform distribution: (1−s)·one-hot + s/classes, as PyTorch's; 0, unless given. */
  readonly labelSmoothing?: number;
  /** A label that counts neither in the sum nor in the mean's divisor, as PyTorch's `ignore_index` (−100 there); none, unless given. */
  readonly ignoreIndex?: number;
}

/**
 * Mean cross-entropy −log softmax(logits)[label], for logits [n, classes] and labels [n]: integers from 0 to classes − 1 (negative ones do not count
 * from the end), or `ignoreIndex`. Where nothing counts it is NaN, with a gradient of 0, as PyTorch's. Another label that a plan is given, or
 * computes, gives NaN.
 * @throws TensegrityError `shape`, `dtype`, `argument`; that for another label, too, which is known before, as `takeAlongAxis` does.
 */
export function crossEntropy(logits: Tensor, labels: Tensor, given: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing, ignoreIndex } = options('crossEntropy', given, { labelSmoothing: 0, ignoreIndex: undefined });
  checkTensors('crossEntropy', logits, labels);
  const [n, classes] = logits.shape;
  check(
    logits.rank === 2 && labels.rank === 1 && labels.shape[0] === n,
    'shape',
    () => `crossEntropy: takes logits [n, classes] and labels [n], got ${show(logits.shape)} and ${show(labels.shape)}`,
  );
  check(!isFloat(labels.dtype), 'dtype', () => `crossEntropy: labels must be integers, got ${labels.dtype}; convert with .cast('i32')`);
  check(
    labelSmoothing >= 0 && labelSmoothing <= 1,
    'argument',
    () => `crossEntropy: labelSmoothing must be from 0 to 1, got ${labelSmoothing}`,
  );
  check(
    ignoreIndex === undefined || dtypes.i32.holds(ignoreIndex),
    'argument',
    () => `crossEntropy: ignoreIndex must be a whole number of 32 bits, got ${shown(ignoreIndex)}`,
  );
  const wrong = firstKnown(labels, (label) => label !== ignoreIndex && (label < 0 || label >= classes!));
  check(
    typeof wrong !== 'number',
    'argument',
    () =>
      `crossEntropy: label ${wrong} is none of the ${classes} classes, 0 to ${classes! - 1}; name it as ignoreIndex if it is to count for nothing`,
  );
  const ignored = ignoreIndex === undefined ? null : labels.equal(ignoreIndex);
  const inside = labels.greaterEqual(0).logicalAnd(labels.less(classes!));
  // A factor on the way in and on the way out, so that neither the loss nor its gradient passes for a number.
  const marked = (x: Tensor, factor: Tensor): Tensor => (wrong === null ? x : x.mul(factor));
  const factor = (ignored ? inside.logicalOr(ignored) : inside).where(1, Number.NaN);
  const logProbabilities = marked(logits, factor.unsqueeze(-1)).logSoftmax(-1);
  const chosen = labels.unsqueeze(-1).equal(arange(classes!)).where(logProbabilities, 0).sum(-1);
  const smooth = labelSmoothing === 0 ? chosen : chosen.mul(1 - labelSmoothing).add(logProbabilities.mean(-1).mul(labelSmoothing));
  const rows = marked(smooth, factor);
  if (!ignored) return rows.mean().neg();
  return ignored.where(0, rows).sum().div(ignored.logicalNot().sum()).neg();
}
