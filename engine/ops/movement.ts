import { checkList, shown } from '../arguments.ts';
import { dtypes, promote } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import { broadcastShapes, checkShape, normalizeAxes, normalizeAxis, type Shape, sameShape, show, sizeOf } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { apply, checkAll, checkTensors, type Rule } from './rule.ts';

// The transpose (in the sense of linear maps) of each movement is another movement.

export const reshapeRule: Rule<'reshape'> = {
  op: 'reshape',
  infer: ([x], { shape }) => {
    checkShape(shape, 'reshape');
    check(
      sizeOf(shape) === sizeOf(x!.shape),
      'shape',
      () => `reshape: ${show(x!.shape)} has ${sizeOf(x!.shape)} elements and ${show(shape)} has ${sizeOf(shape)}; they must be equal`,
    );
    return { shape, dtype: x!.dtype };
  },
  vjp: ({ g, inputs: [x] }) => [g.reshape(x!.shape)],
};

/** The same elements in row-major order, in another shape. One dimension may be −1: it takes what is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkList('reshape: a shape', shape);
  const holes = shape.filter((dimension) => dimension === -1).length;
  check(holes <= 1, 'shape', () => `reshape: ${show(shape)} has ${holes} dimensions of −1; at most one may be inferred`);
  const known = sizeOf(shape.filter((dimension) => dimension !== -1));
  check(
    holes === 0 || known > 0,
    'shape',
    () => `reshape: −1 cannot be inferred in ${show(shape)}, whose other dimensions hold no elements`,
  );
  const resolved = shape.map((dimension) => (dimension === -1 ? x.size / known : dimension));
  check(
    resolved.every(Number.isInteger),
    'shape',
    () => `reshape: ${x.size} elements of ${show(x.shape)} do not divide into ${show(shape)}`,
  );
  return sameShape(resolved, x.shape) ? x : apply(reshapeRule, [x], { shape: resolved });
}

export const permuteRule: Rule<'permute'> = {
  op: 'permute',
  infer: ([x], { axes }) => ({ shape: axes.map((axis) => x!.shape[axis]!), dtype: x!.dtype }),
  vjp: ({ g, attributes: { axes } }) => [g.permute(axes.map((_, axis) => axes.indexOf(axis)))],
};

/** Axis `i` of the result is axis `axes[i]` of `x`. @throws TensegrityError `argument` unless `axes` names each axis once. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  checkList('permute: the order', axes);
  const normalized = axes.map((axis) => normalizeAxis(axis, x.rank, 'permute'));
  check(
    new Set(normalized).size === x.rank && axes.length === x.rank,
    'argument',
    () => `permute: ${show(axes)} must name each of the ${x.rank} axes of ${show(x.shape)} once`,
  );
  return normalized.every((axis, i) => axis === i) ? x : apply(permuteRule, [x], { axes: normalized });
}

/** Exchanges two axes; by default the last two. */
export function transpose(x: Tensor, first: number, second: number): Tensor {
  check(x.rank >= 2, 'shape', () => `transpose: needs at least two axes, got ${show(x.shape)}`);
  const a = normalizeAxis(first, x.rank, 'transpose');
  const b = normalizeAxis(second, x.rank, 'transpose');
  return permute(
    x,
    x.shape.map((_, axis) => (axis === a ? b : axis === b ? a : axis)),
  );
}

export const expandRule: Rule<'expand'> = {
  op: 'expand',
  infer: ([x], { shape }) => {
    checkShape(shape, 'expand');
    const fits =
      shape.length >= x!.shape.length &&
      x!.shape.every((dimension, axis) => dimension === 1 || dimension === shape[shape.length - x!.shape.length + axis]);
    check(
      fits,
      'shape',
      () => `expand: ${show(x!.shape)} does not broadcast to ${show(shape)}; aligned at the right, its dimensions must be equal or 1`,
    );
    return { shape, dtype: x!.dtype };
  },
  // The transpose of copying along an axis is summing along it.
  vjp: ({ g, inputs: [x], attributes: { shape } }) => {
    const added = shape.length - x!.rank;
    const axes = shape.map((_, axis) => axis).filter((axis) => axis < added || (x!.shape[axis - added] === 1 && shape[axis] !== 1));
    return [g.sum(axes).reshape(x!.shape)];
  },
};

/** Repeats `x` along new axes at the left and along axes of size 1, without copying. */
export function expand(x: Tensor, shape: Shape): Tensor {
  checkShape(shape, 'expand');
  return sameShape(x.node.shape, shape) ? x : apply(expandRule, [x], { shape });
}

/** Both tensors, or all of them, at their common broadcast shape. */
export function broadcast(...tensors: readonly Tensor[]): Tensor[] {
  checkTensors('broadcast', ...tensors);
  const shape = broadcastShapes(
    tensors.map((x) => x.shape),
    'broadcast',
  );
  return tensors.map((x) => expand(x, shape));
}

export const sliceRule: Rule<'slice'> = {
  op: 'slice',
  infer: ([x], { length }) => ({ shape: length, dtype: x!.dtype }),
  // The cotangent goes back to where it was read, with zeros between (a step) and around it.
  vjp: ({ g, inputs: [x], attributes: { start, length, step } }) => {
    let spread = g;
    step.forEach((stride, axis) => {
      if (stride > 1 && length[axis]! > 1) spread = dilate(spread, axis, stride);
    });
    return [
      pad(
        spread,
        start,
        x!.shape.map((dimension, axis) => dimension - start[axis]! - spread.shape[axis]!),
      ),
    ];
  },
};

/** Puts `stride − 1` zeros between neighbours along `axis`. */
function dilate(x: Tensor, axis: number, stride: number): Tensor {
  const split = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)];
  const after = split.map((_, i) => (i === axis + 1 ? stride - 1 : 0));
  const spread = pad(
    reshape(x, split),
    split.map(() => 0),
    after,
  );
  const length = x.shape[axis]! * stride;
  return narrow(reshape(spread, [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + 1)]), axis, 0, length - stride + 1);
}

/** One axis of a slice: a position, or `[start, stop]` or `[start, stop, step]` with stop excluded; `null` is the whole axis. */
export type SliceIndex = number | readonly [start: number | null, stop: number | null, step?: number] | null;

/**
 * Part of a tensor, as NumPy's `x[i, a:b, ::s]`: a number drops its axis, negative positions count from the back, axes not named are
 * whole, a negative step goes backwards. Positions outside are cut to the axis, but a single number must be inside.
 * @throws TensegrityError `argument`.
 */
export function slice(x: Tensor, ...indices: readonly SliceIndex[]): Tensor {
  check(indices.length <= x.rank, 'argument', () => `slice: ${indices.length} indices for a tensor of rank ${x.rank}`);
  const ranges = x.shape.map((size, axis) => resolveRange(indices[axis] ?? null, size, axis));
  const flipped = ranges.flatMap(({ backwards }, axis) => (backwards ? [axis] : []));
  const attributes = {
    start: ranges.map((range) => range.start),
    length: ranges.map((range) => range.length),
    step: ranges.map((range) => range.step),
  };
  const whole = ranges.every((range, axis) => range.start === 0 && range.step === 1 && range.length === x.shape[axis]);
  const part = flip(whole ? x : apply(sliceRule, [x], attributes), flipped);
  return reshape(
    part,
    part.shape.filter((_, axis) => typeof indices[axis] !== 'number'),
  );
}

interface Range {
  readonly start: number;
  readonly length: number;
  readonly step: number;
  readonly backwards: boolean;
}

function resolveRange(index: SliceIndex, size: number, axis: number): Range {
  if (typeof index === 'number') {
    const at = index < 0 ? index + size : index;
    check(
      Number.isInteger(index) && at >= 0 && at < size,
      'argument',
      () => `slice: position ${index} is outside axis ${axis}, which has ${size}`,
    );
    return { start: at, length: 1, step: 1, backwards: false };
  }
  checkList(`slice: a range of axis ${axis}`, index ?? []);
  const [from = null, to = null, step = 1] = index ?? [];
  check(
    Number.isInteger(step) && step !== 0,
    'argument',
    () => `slice: the step of axis ${axis} must be a whole number other than 0, got ${step}`,
  );
  for (const position of [from, to]) {
    check(
      position === null || Number.isInteger(position) || Math.abs(position) === Infinity,
      'argument',
      () => `slice: a range of axis ${axis} must run between whole numbers, got ${shown(position)}`,
    );
  }
  const clip = (position: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, position < 0 ? position + size : position));
  if (step > 0) {
    const start = from === null ? 0 : clip(from, 0, size);
    const stop = to === null ? size : clip(to, 0, size);
    return { start, length: Math.max(0, Math.ceil((stop - start) / step)), step, backwards: false };
  }
  const first = from === null ? size - 1 : clip(from, -1, size - 1);
  const last = to === null ? -1 : clip(to, -1, size - 1);
  const length = Math.max(0, Math.ceil((first - last) / -step));
  return { start: length === 0 ? 0 : first + (length - 1) * step, length, step: -step, backwards: true };
}

/** `length` entries of one axis from `start`. */
export function narrow(x: Tensor, axis: number, start: number, length: number): Tensor {
  const at = normalizeAxis(axis, x.rank, 'narrow');
  const inside = start >= 0 && length >= 0 && start + length <= x.shape[at]!;
  check(
    inside && Number.isInteger(start) && Number.isInteger(length),
    'argument',
    () => `narrow: ${length} entries from ${start} are not whole numbers inside axis ${at} of ${show(x.shape)}`,
  );
  return slice(x, ...x.shape.map((_, i): SliceIndex => (i === at ? [start, start + length] : null)));
}

export const flipRule: Rule<'flip'> = {
  op: 'flip',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  vjp: ({ g, attributes: { axes } }) => [flip(g, axes)],
};

/** Reverses the order along `axes` (all, if none are named). */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  const normalized = normalizeAxes(axes, x.rank, 'flip');
  return normalized.length === 0 ? x : apply(flipRule, [x], { axes: normalized });
}

export const padRule: Rule<'pad'> = {
  op: 'pad',
  infer: ([x], { before, after }) => {
    const shape = x!.shape.map((dimension, axis) => before[axis]! + dimension + after[axis]!);
    checkShape(shape, 'pad');
    return { shape, dtype: x!.dtype };
  },
  vjp: ({ g, inputs: [x], attributes: { before } }) => [
    slice(g, ...x!.shape.map((dimension, axis): SliceIndex => [before[axis]!, before[axis]! + dimension])),
  ],
};

/** Puts `value` around `x`: `before[i]` and `after[i]` entries along axis `i`; negative counts cut instead. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  checkTensors('pad', x);
  checkList('pad: counts before', before);
  checkList('pad: counts after', after);
  check(
    typeof value === 'number' && dtypes[x.dtype].holds(value),
    'argument',
    () => `pad: the value must be a number that ${x.dtype} has, got ${shown(value)}`,
  );
  check(
    before.length === x.rank && after.length === x.rank,
    'argument',
    () => `pad: ${show(x.shape)} needs ${x.rank} counts before and after, got ${before.length} and ${after.length}`,
  );
  const leaves = x.shape.map((dimension, axis) => dimension + Math.min(0, before[axis]!) + Math.min(0, after[axis]!));
  check(
    [...before, ...after].every(Number.isInteger) && leaves.every((dimension) => dimension >= 0),
    'argument',
    () =>
      `pad: counts must be whole numbers that cut no more than there is of ${show(x.shape)}, got ${show(before)} before and ${show(after)} after`,
  );
  const cut = slice(
    x,
    ...x.shape.map((dimension, axis): SliceIndex => [Math.max(0, -before[axis]!), Math.max(0, dimension - Math.max(0, -after[axis]!))]),
  );
  const grow = (counts: readonly number[]): number[] => counts.map((count) => Math.max(0, count));
  if ([...before, ...after].every((count) => count <= 0)) return cut;
  return apply(padRule, [cut], { before: grow(before), after: grow(after), value });
}

export const concatRule: Rule<'concat'> = {
  op: 'concat',
  infer: (inputs, { axis }) => {
    const first = inputs[0]!;
    for (const input of inputs) {
      const fits =
        input.shape.length === first.shape.length && input.shape.every((dimension, i) => i === axis || dimension === first.shape[i]);
      check(fits, 'shape', () => `concat: shapes ${inputs.map((x) => show(x.shape)).join(', ')} may differ only along axis ${axis}`);
    }
    const total = inputs.reduce((sum, input) => sum + input.shape[axis]!, 0);
    return { shape: first.shape.map((dimension, i) => (i === axis ? total : dimension)), dtype: first.dtype };
  },
  vjp: ({ g, inputs, attributes: { axis } }) => {
    let at = 0;
    return inputs.map((input) => {
      const start = at;
      at += input.shape[axis]!;
      return narrow(g, axis, start, input.shape[axis]!);
    });
  },
};

/** Joins tensors along an axis that they have; element types are promoted to one. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  checkList('concat: what is joined', tensors);
  checkAll('concat', tensors);
  const [first] = tensors;
  if (!first) throw new TensegrityError('argument', 'concat: needs at least one tensor');
  const dtype = tensors.map((x) => x.dtype).reduce(promote);
  return apply(
    concatRule,
    tensors.map((x) => x.cast(dtype)),
    { axis: normalizeAxis(axis, first.rank, 'concat') },
  );
}

/** Joins tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  checkList('stack: what is joined', tensors);
  checkAll('stack', tensors);
  const [first] = tensors;
  if (!first) throw new TensegrityError('argument', 'stack: needs at least one tensor');
  const at = normalizeAxis(axis, first.rank + 1, 'stack');
  check(
    tensors.every((x) => sameShape(x.shape, first.shape)),
    'shape',
    () => `stack: shapes ${tensors.map((x) => show(x.shape)).join(', ')} must be equal`,
  );
  return concat(
    tensors.map((x) => x.unsqueeze(at)),
    at,
  );
}

/** Drops axes of size 1: those named, or all of them. @throws TensegrityError `shape` if one named is larger. */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  const named =
    axes === undefined ? x.shape.flatMap((dimension, axis) => (dimension === 1 ? [axis] : [])) : normalizeAxes(axes, x.rank, 'squeeze');
  for (const axis of named) check(x.shape[axis] === 1, 'shape', () => `squeeze: axis ${axis} of ${show(x.shape)} is not of size 1`);
  return reshape(
    x,
    x.shape.filter((_, axis) => !named.includes(axis)),
  );
}

/** Inserts an axis of size 1 at `axis` of the result. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(axis, x.rank + 1, 'unsqueeze');
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** All axes from `start` on as one. */
export function flatten(x: Tensor, start = 0): Tensor {
  const at = x.rank === 0 ? 0 : normalizeAxis(start, x.rank, 'flatten');
  return reshape(x, [...x.shape.slice(0, at), sizeOf(x.shape.slice(at))]);
}

/** The diagonal of the last two axes [..., n, n] → [..., n]. */
export function diagonal(x: Tensor): Tensor {
  checkTensors('diagonal', x);
  const n = x.shape[x.rank - 1]!;
  check(x.rank >= 2 && x.shape[x.rank - 2] === n, 'shape', () => `diagonal: needs square matrices [..., n, n], got ${show(x.shape)}`);
  const batch = x.shape.slice(0, -2);
  if (n === 0) return reshape(x, [...batch, 0]);
  // In row-major order the diagonal is every (n+1)-th element; padded by n they form the first column of an [n, n+1] matrix.
  const flat = reshape(x, [...batch, n * n]);
  const zero = batch.map(() => 0);
  return narrow(reshape(pad(flat, [...zero, 0], [...zero, n]), [...batch, n, n + 1]), -1, 0, 1).squeeze(-1);
}
