import { checkList } from './arguments.ts';
import { check, TensegrityError } from './errors.ts';

export type Shape = readonly number[];

/** The number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const dimension of shape) size *= dimension;
  return size;
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** `[2, 3]` as messages print it. */
export function show(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** A shape whose every dimension is a whole number ≥ 0 and whose size stays a safe integer. */
export function checkShape(shape: Shape, op: string): void {
  // A text for each tensor that is made would take longer than all the rest.
  if (!Array.isArray(shape)) checkList(`${op}: a shape`, shape);
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new TensegrityError('shape', `${op}: ${show(shape)} is not a shape; every dimension must be a whole number ≥ 0`, { shape });
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape)))
    throw new TensegrityError('shape', `${op}: ${show(shape)} has more elements than can be counted`, { shape });
}

/** @throws TensegrityError `shape` for more elements than have a position in an i32. */
export function checkPositions(count: number, op: string): void {
  check(count < 2 ** 31, 'shape', () => `${op}: positions are i32, of at most 2^31 − 1 elements, got ${count}`);
}

/**
 * The shape that NumPy's broadcasting gives: dimensions are aligned at the right, and must be equal or 1.
 * @throws TensegrityError `shape` naming `op` and the shapes.
 */
export function broadcastShapes(shapes: readonly Shape[], op: string): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let axis = 0; axis < shape.length; axis++) {
      const at = rank - shape.length + axis;
      const dimension = shape[axis]!;
      if (dimension === 1) continue;
      if (result[at] !== 1 && result[at] !== dimension) {
        throw new TensegrityError(
          'shape',
          `${op}: shapes ${shapes.map(show).join(' and ')} do not broadcast; aligned at the right, dimensions must be equal or 1`,
          { op, shapes },
        );
      }
      result[at] = dimension;
    }
  }
  return result;
}

/** `axis` counted from the front; negative ones count from the back. @throws TensegrityError `argument`. */
export function normalizeAxis(axis: number, rank: number, op: string): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank) {
    throw new TensegrityError(
      'argument',
      `${op}: axis ${axis} is outside a tensor of rank ${rank}; use ${rank === 0 ? 'no axis' : `${-rank} to ${rank - 1}`}`,
      { axis, rank },
    );
  }
  return normalized;
}

/** Axes sorted, from the front, without repeats; `undefined` means all. */
export function normalizeAxes(axes: number | readonly number[] | undefined, rank: number, op: string): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const named = typeof axes === 'number' ? [axes] : axes;
  checkList(`${op}: the axes`, named);
  const list = named.map((axis) => normalizeAxis(axis, rank, op));
  const unique = [...new Set(list)].sort((a, b) => a - b);
  if (unique.length !== list.length) throw new TensegrityError('argument', `${op}: axes ${show(list)} name an axis twice`, { axes: list });
  return unique;
}
