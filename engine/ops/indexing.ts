import { options, shown } from '../arguments.ts';
import { contiguous } from '../compiler/layout.ts';
import { moved } from '../compiler/locate.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Node } from '../graph.ts';
import { castValue } from '../reference.ts';
import { checkPositions, checkShape, normalizeAxis, type Shape, sameShape, show, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { narrow } from './movement.ts';
import { apply, checkTensors, type Rule } from './rule.ts';
import { arangeNode, fullNode } from './source.ts';

// One rule for every position that is given: negative ones count from the end, −1 being the last. One outside is an error where it is known while the
// graph is built; where only a plan finds it, what depends on it is NaN. Integers have no NaN, and get what each op says.

// gather and scatterAdd are each other's transpose: ⟨gather(x, i), g⟩ = ⟨x, scatterAdd(g, i)⟩, where scatterAdd drops what gather finds nowhere.

export const gatherRule: Rule<'gather'> = {
  op: 'gather',
  infer: ([x, index]) => ({ shape: index!.shape, dtype: x!.dtype }),
  vjp: ({ g, inputs: [x, index], attributes: { axis } }) => [apply(scatterAddRule, [g, index!], { axis, size: x!.shape[axis]! }), null],
};

export const scatterAddRule: Rule<'scatterAdd'> = {
  op: 'scatterAdd',
  infer: ([updates], { axis, size }) => {
    const shape = updates!.shape.map((dimension, i) => (i === axis ? size : dimension));
    checkShape(shape, 'scatterAdd');
    return { shape, dtype: updates!.dtype };
  },
  // An update that is dropped has no influence, where gather would give NaN.
  vjp: ({ g, inputs: [, index], attributes: { axis, size } }) => {
    const gathered = apply(gatherRule, [g, index!], { axis });
    const allInside = firstKnown(index!, (value) => outside(value, size)) === null;
    return [allInside ? gathered : inside(index!, size).where(gathered, 0), null];
  },
};

export const scatterRule: Rule<'scatter'> = {
  op: 'scatter',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  // What is replaced has no influence, nor has an update that a later one replaces: the last at a place finds itself there.
  vjp: ({ g, inputs: [, index, updates], attributes: { axis } }) => {
    const { shape, dtype } = updates!;
    const order = g.of(arangeNode(shape[axis]! + 1)).narrow(0, 1, shape[axis]!);
    const numbers = order.reshape(shape.map((dimension, i) => (i === axis ? dimension : 1))).expand(shape);
    const none = g.of(fullNode('scatter', g.shape, 0, 'i32'));
    const last = apply(gatherRule, [apply(scatterRule, [none, index!, numbers], { axis }), index!], { axis });
    return [
      apply(scatterRule, [g, index!, g.of(fullNode('scatter', shape, 0, dtype))], { axis }),
      null,
      last.equal(numbers).where(apply(gatherRule, [g, index!], { axis }), 0),
    ];
  },
};

/**
 * `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`, as PyTorch's `gather`: index (integers) has the shape of the result, and the
 * other axes of `x` equal its own. Negative indices count from the end: −1 is the last. One outside that a plan is given, or computes, gives NaN
 * (0 for integers).
 * @throws TensegrityError `argument` for an index outside that is known before: data, `full` or `arange`, also moved, joined or cast.
 */
export function takeAlongAxis(x: Tensor, index: Tensor, axis: number): Tensor {
  checkTensors('takeAlongAxis', x, index);
  const at = normalizeAxis(axis, x.rank, 'takeAlongAxis');
  checkIndex(index, 'takeAlongAxis', x.shape[at]!, at);
  check(
    index.rank === x.rank && index.shape.every((dimension, i) => i === at || dimension === x.shape[i]),
    'shape',
    () => `takeAlongAxis: index ${show(index.shape)} and tensor ${show(x.shape)} may differ only along axis ${at}`,
  );
  return apply(gatherRule, [x, index.cast('i32')], { axis: at });
}

/**
 * Entries of one axis by position, as NumPy's `take`: index (integers, any shape) replaces the axis. Negative ones count from the end, and those
 * outside are as in {@link takeAlongAxis}.
 */
export function take(x: Tensor, index: Tensor, axis = 0): Tensor {
  checkTensors('take', x, index);
  const at = normalizeAxis(axis, x.rank, 'take');
  checkIndex(index, 'take', x.shape[at]!, at);
  return apply(gatherRule, [x, spread(index, x.shape, at)], { axis: at }).reshape(x.shape.toSpliced(at, 1, ...index.shape));
}

/** Positions on one axis, the same along all others. */
export function spread(index: Tensor, shape: Shape, axis: number): Tensor {
  return index
    .cast('i32')
    .reshape(shape.slice(axis).map((_, i) => (i === 0 ? index.size : 1)))
    .expand(shape.with(axis, index.size));
}

/**
 * Sums updates into zeros: `out[.., index[.., i, ..], ..] += updates[.., i, ..]` along `axis`, which has `size` entries in the result.
 * Negative indices count from the end. Equal indices add in order, so the bits do not vary. An update whose index is outside belongs nowhere: one that
 * a plan is given, or computes, makes NaN of its whole line along `axis` (of integers, it is dropped).
 * @throws TensegrityError `argument` for an index outside that is known before, as {@link takeAlongAxis} does.
 */
export function scatterAdd(updates: Tensor, index: Tensor, axis: number, size: number): Tensor {
  checkTensors('scatterAdd', updates, index);
  const at = normalizeAxis(axis, updates.rank, 'scatterAdd');
  checkShape([size], 'scatterAdd');
  const allInside = checkIndex(index, 'scatterAdd', size, at);
  check(
    sameShape(index.shape, updates.shape),
    'shape',
    () => `scatterAdd: index ${show(index.shape)} and updates ${show(updates.shape)} must have one shape`,
  );
  const sums = apply(scatterAddRule, [updates, index.cast('i32')], { axis: at, size });
  if (allInside || !isFloat(updates.dtype)) return sums;
  return sums.add(inside(index, size).min(at, true).where(0, Number.NaN));
}

/**
 * `x` with elements replaced along `axis`, as PyTorch's `scatter`: `out[.., index[.., i, ..], ..] = updates[.., i, ..]`, where index (integers) and updates (of
 * the type of x) have one shape, which differs from that of `x` only along the axis. Of equal indices the last wins, always. Negative ones count from the
 * end. One outside that a plan is given, or computes, makes NaN of its whole line along `axis` (of integers, its update is dropped).
 * @throws TensegrityError `shape`, `dtype`, and `argument` for an index outside that is known before, as {@link takeAlongAxis} does.
 */
export function scatter(x: Tensor, index: Tensor, updates: Tensor, axis: number): Tensor {
  checkTensors('scatter', x, index, updates);
  const at = normalizeAxis(axis, x.rank, 'scatter');
  checkIndex(index, 'scatter', x.shape[at]!, at);
  check(
    sameShape(index.shape, updates.shape) && sameShape(index.shape.toSpliced(at, 1), x.shape.toSpliced(at, 1)),
    'shape',
    () =>
      `scatter: index ${show(index.shape)} and updates ${show(updates.shape)} must have one shape, which differs from that of the tensor, ${show(x.shape)}, only along axis ${at}`,
  );
  check(
    updates.dtype === x.dtype,
    'dtype',
    () => `scatter: the tensor is ${x.dtype}, the updates ${updates.dtype}; convert with .cast('${x.dtype}')`,
  );
  return apply(scatterRule, [x, index.cast('i32'), updates], { axis: at });
}

/**
 * 1 at the position given and 0 elsewhere: labels (integers, any shape) → [..., classes], f32; the rows of the identity that {@link take} would give.
 * Negative labels count from the end. One outside that a plan is given, or computes, makes a row of NaN.
 * @throws TensegrityError `argument` for a label outside that is known before, as {@link takeAlongAxis} does.
 */
export function oneHot(labels: Tensor, classes: number): Tensor {
  checkTensors('oneHot', labels);
  check(
    Number.isSafeInteger(classes) && classes >= 1,
    'argument',
    () => `oneHot: classes must be a whole number ≥ 1, got ${shown(classes)}`,
  );
  const allInside = checkIndex(labels, 'oneHot', classes, labels.rank);
  const at = labels.unsqueeze(-1);
  const hot = at
    .less(0)
    .where(at.add(classes), at)
    .equal(labels.of(arangeNode(classes)))
    .cast('f32');
  return allInside ? hot : inside(at, classes).where(hot, Number.NaN);
}

const outside = (index: number, size: number): boolean => index < -size || index >= size;

/** Whether each index is inside an axis, counted from either end. */
function inside(index: Tensor, size: number): Tensor {
  return index.greaterEqual(-size).logicalAnd(index.less(size));
}

/** Whether all indices are known to be inside an axis. @throws TensegrityError `dtype` for floats, `argument` for one known to be outside. */
export function checkIndex(index: Tensor, op: string, size: number, axis: number): boolean {
  check(!isFloat(index.dtype), 'dtype', () => `${op}: positions must be integers, got ${index.dtype}; convert with .cast('i32')`);
  const wrong = firstKnown(index, (value) => outside(value, size));
  check(
    typeof wrong !== 'number',
    'argument',
    () =>
      `${op}: index ${wrong} is outside axis ${axis}, which has ${size}; ${size > 0 ? `use ${-size} to ${size - 1}` : 'there is no place in it'}`,
  );
  return wrong === null;
}

/** The first element known to be `wrong`; null where none is, undefined where the elements are not known. */
export function firstKnown(x: Tensor, wrong: (value: number) => boolean): number | null | undefined {
  const values = knownValues(x.node);
  if (values === null) return undefined;
  for (let i = 0; i < values.length; i++) if (wrong(values[i]!)) return values[i];
  return null;
}

/** How many movements and casts back data is looked for. */
const FAR = 64;
/** Of so many elements at most the order is followed, and what they are joined of. */
const MOST = 2 ** 16;

/**
 * The elements of a node that is data, moved, joined and cast: in row-major order if `ordered`, else all that there are, each at least once; of `arange`, the last
 * two, which say whether any is beyond an end, be it but for one. Null for other nodes.
 */
function knownValues(node: Node, ordered = false, far = FAR): ArrayLike<number> | null {
  const { shape, dtype, storage } = node;
  const size = sizeOf(shape);
  const inOrder = ordered || node.op === 'slice';
  if (size === 0) return [];
  if (ArrayBuffer.isView(storage)) return storage;
  if (node.is('full')) return [node.attributes.value];
  if (far === 0 || (inOrder && size > MOST)) return null;
  if (node.op === 'arange') return Array.from({ length: ordered ? size : Math.min(size, 2) }, (_, i) => (ordered ? i : size - 1 - i));
  if (node.op === 'concat' && !ordered && size <= MOST) {
    const parts = node.inputs.map((input) => knownValues(input, false, far - 1));
    return parts.every((part) => part !== null) ? parts.flatMap((part) => Array.from(part)) : null;
  }
  const [x] = node.inputs;
  const view = x && moved(node, contiguous(x.shape));
  if (!x || !(view || node.op === 'cast' || node.op === 'stopGradient')) return null;
  const values = knownValues(x, inOrder, far - 1);
  if (values && node.op === 'cast') return Array.from(values, (value) => castValue(value, dtype));
  // One value is the same wherever it is moved.
  if (!values || !view || !inOrder || values.length === 1) return values;
  const places = view.shape.reduce(
    (outer, extent, axis) => outer.flatMap((at) => Array.from({ length: extent }, (_, i) => at + i * view.strides[axis]!)),
    [view.offset],
  );
  return places.map((at) => values[at]!);
}

export const argsortRule: Rule<'argsort'> = {
  op: 'argsort',
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
  if (at === last) return apply(argsortRule, [x], { descending });
  return apply(argsortRule, [x.transpose(at, last)], { descending }).transpose(at, last);
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
