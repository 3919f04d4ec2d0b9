import { options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { checkPositions, checkShape, normalizeAxis, sameShape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { arange } from './create.ts';
import { narrow } from './movement.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

// gather and scatterAdd are each other's transpose, for indices inside the axis: ⟨gather(x, i), g⟩ = ⟨x, scatterAdd(g, i)⟩.

export const gatherRule: Rule<'gather'> = {
  infer: ([x, index]) => ({ shape: index!.shape, dtype: x!.dtype }),
  vjp: ({ g, inputs: [x, index], attributes: { axis } }) => [scatterAdd(g, index!, axis, x!.shape[axis]!), null],
};

export const scatterAddRule: Rule<'scatterAdd'> = {
  infer: ([updates], { axis, size }) => {
    const shape = updates!.shape.map((dimension, i) => (i === axis ? size : dimension));
    checkShape(shape, 'scatterAdd');
    return { shape, dtype: updates!.dtype };
  },
  // An update that is dropped has no influence, where gather would give NaN.
  vjp: ({ g, inputs: [, index], attributes: { axis, size } }) => {
    const inside = index!.greaterEqual(0).logicalAnd(index!.less(size));
    return [inside.where(takeAlongAxis(g, index!, axis), 0), null];
  },
};

/**
 * `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`, as PyTorch's `gather`: index (integers) has the shape of the result, and the
 * other axes of `x` equal its own. An index outside the axis gives NaN (0 for integers).
 */
export function takeAlongAxis(x: Tensor, index: Tensor, axis: number): Tensor {
  checkTensors('takeAlongAxis', x, index);
  const at = normalizeAxis(axis, x.rank, 'takeAlongAxis');
  checkIndex(index, 'takeAlongAxis');
  check(
    index.rank === x.rank && index.shape.every((dimension, i) => i === at || dimension === x.shape[i]),
    'shape',
    () => `takeAlongAxis: index ${show(index.shape)} and tensor ${show(x.shape)} may differ only along axis ${at}`,
  );
  return apply('gather', [x, index.cast('i32')], { axis: at });
}

/** Entries of one axis by position, as NumPy's `take`: index (integers, any shape) replaces the axis. An index outside gives NaN (0 for integers). */
export function take(x: Tensor, index: Tensor, axis = 0): Tensor {
  checkTensors('take', x, index);
  const at = normalizeAxis(axis, x.rank, 'take');
  checkIndex(index, 'take');
  const before = x.shape.slice(0, at);
  const after = x.shape.slice(at + 1);
  const spread = index.reshape([index.size, ...after.map(() => 1)]).expand([...before, index.size, ...after]);
  return takeAlongAxis(x, spread, at).reshape([...before, ...index.shape, ...after]);
}

/**
 * Sums updates into zeros: `out[.., index[.., i, ..], ..] += updates[.., i, ..]` along `axis`, which has `size` entries in the result.
 * Indices outside are dropped. Equal indices add in order, so the bits do not vary.
 */
export function scatterAdd(updates: Tensor, index: Tensor, axis: number, size: number): Tensor {
  checkTensors('scatterAdd', updates, index);
  const at = normalizeAxis(axis, updates.rank, 'scatterAdd');
  checkIndex(index, 'scatterAdd');
  check(
    sameShape(index.shape, updates.shape),
    'shape',
    () => `scatterAdd: index ${show(index.shape)} and updates ${show(updates.shape)} must have one shape`,
  );
  return apply('scatterAdd', [updates, index.cast('i32')], { axis: at, size });
}

/** 1 at the position given and 0 elsewhere: labels (integers, any shape) → [..., classes], f32. A label outside gives zeros. */
export function oneHot(labels: Tensor, classes: number): Tensor {
  checkTensors('oneHot', labels);
  checkIndex(labels, 'oneHot');
  return labels.unsqueeze(-1).equal(arange(classes)).cast('f32');
}

function checkIndex(index: Tensor, op: string): void {
  check(!isFloat(index.dtype), 'dtype', () => `${op}: positions must be integers, got ${index.dtype}; convert with .cast('i32')`);
}

export const argsortRule: Rule<'argsort'> = {
  infer: ([x]) => ({ shape: x!.shape, dtype: 'i32' }),
  vjp: null,
};

export interface SortOptions {
  readonly axis?: number;
  readonly descending?: boolean;
}

/** The positions that sort `x` along an axis (the last), which has at most 2^31 − 1: i32. Stable; NaN counts as larger than any number. */
export function argsort(x: Tensor, given: SortOptions = {}): Tensor {
  checkTensors('argsort', x);
  const { axis, descending } = options('argsort', given, { axis: -1, descending: false });
  const at = normalizeAxis(axis, x.rank, 'argsort');
  const last = x.rank - 1;
  checkPositions(x.shape[at]!, 'argsort');
  if (at === last) return apply('argsort', [x], { descending });
  return apply('argsort', [x.transpose(at, last)], { descending }).transpose(at, last);
}

/** `x` sorted along an axis, and the positions it came from. The values carry gradients. */
export function sort(x: Tensor, given: SortOptions = {}): { values: Tensor; indices: Tensor } {
  const indices = argsort(x, given);
  return { values: takeAlongAxis(x, indices, given.axis ?? -1), indices };
}

/** The `k` largest entries along an axis (the last), largest first, and their positions. */
export function topK(x: Tensor, k: number, axis = -1): { values: Tensor; indices: Tensor } {
  checkTensors('topK', x);
  const at = normalizeAxis(axis, x.rank, 'topK');
  check(
    Number.isInteger(k) && k >= 0 && k <= x.shape[at]!,
    'argument',
    () => `topK: k must be a whole number from 0 to ${x.shape[at]}, got ${k}`,
  );
  const indices = narrow(argsort(x, { axis: at, descending: true }), at, 0, k);
  return { values: takeAlongAxis(x, indices, at), indices };
}
