import type { View } from '../../../engine/compiler/plan.ts';
import type { DType } from '../../../engine/dtype.ts';

/** How a view lies inside a buffer of its own: its axes from the innermost on, which are backwards, what is left free between them, and which are broadcast. */
export interface Layout {
  readonly order: readonly number[];
  readonly flips: readonly boolean[];
  readonly gap: number;
  readonly still: readonly boolean[];
}

/** A view that lies so, and how long its buffer must be. */
export function arranged(
  number: number,
  dtype: DType,
  shape: readonly number[],
  { order, flips, gap, still }: Layout,
): { view: View; length: number } {
  const strides = Array<number>(shape.length).fill(0);
  let length = gap + 1;
  let offset = gap;
  for (const axis of order) {
    if (still[axis]) continue;
    strides[axis] = (flips[axis] ? -1 : 1) * (length - gap);
    length = gap + (length - gap) * Math.max(1, shape[axis]!);
  }
  for (const [axis, stride] of strides.entries()) if (stride < 0) offset -= stride * Math.max(0, shape[axis]! - 1);
  return { view: { buffer: number, dtype, shape, strides, offset }, length };
}
