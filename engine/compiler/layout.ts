import { contiguousStrides, type Shape, sizeOf } from '../shape.ts';

/** How a strided window lies on a buffer; offset and strides count elements. */
export interface Layout {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

export function contiguous(shape: Shape): Layout {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

/** Whether the layout is row-major from the buffer's start, with axes of size 1 having any stride. */
export function isContiguous({ shape, strides, offset }: Layout): boolean {
  if (offset !== 0) return false;
  if (sizeOf(shape) === 0) return true;
  const expected = contiguousStrides(shape);
  return shape.every((dimension, axis) => dimension === 1 || strides[axis] === expected[axis]);
}

/** The layout seen as another shape, if strides can express it. */
export function reshaped({ shape, strides, offset }: Layout, target: Shape): Layout | null {
  if (sizeOf(target) === 0) return { shape: target, strides: contiguousStrides(target), offset };
  // Runs of axes that lie on one line: each is split into a run of target axes.
  const runs = mergedRuns(shape, strides);
  const result = new Array<number>(target.length).fill(0);
  let run = runs.length - 1;
  let left = run >= 0 ? runs[run]!.size : 1;
  let stride = run >= 0 ? runs[run]!.stride : 1;
  for (let axis = target.length - 1; axis >= 0; axis--) {
    const dimension = target[axis]!;
    if (dimension === 1) continue;
    if (left === 1) {
      run--;
      if (run < 0) return null;
      ({ size: left, stride } = runs[run]!);
    }
    if (left % dimension !== 0) return null;
    result[axis] = stride;
    stride *= dimension;
    left /= dimension;
  }
  return { shape: target, strides: result, offset };
}

export function mergedRuns(shape: Shape, strides: readonly number[]): { size: number; stride: number }[] {
  const runs: { size: number; stride: number }[] = [];
  shape.forEach((dimension, axis) => {
    if (dimension === 1) return;
    const previous = runs.at(-1);
    if (previous && previous.stride === strides[axis]! * dimension) {
      previous.size *= dimension;
      previous.stride = strides[axis]!;
    } else runs.push({ size: dimension, stride: strides[axis]! });
  });
  return runs;
}
