/** Iteration spaces, simplified before they are encoded: fewer axes are walked faster. */
import { sizeOf } from '../../shape.ts';

/** One axis of an iteration space: its extent, and the byte stride of each view along it. */
export interface Axis {
  readonly extent: number;
  readonly strides: readonly number[];
}

/** @param strides of each view, in bytes. */
export function axesOf(shape: readonly number[], strides: readonly (readonly number[])[]): Axis[] {
  return shape.map((extent, axis) => ({ extent, strides: strides.map((view) => view[axis]!) }));
}

/** Extents are below this: words without a sign. */
export const MOST_EXTENT = 2 ** 32;

/** The same space without axes of one element, and with one axis for neighbours that every view walks as one. There is at least one axis. */
export function collapse(axes: readonly Axis[]): Axis[] {
  const collapsed: Axis[] = [];
  for (const axis of axes) {
    if (axis.extent === 1) continue;
    const outer = collapsed.at(-1);
    const merges = outer?.strides.every((stride, view) => stride === axis.strides[view]! * axis.extent);
    if (outer && merges && outer.extent * axis.extent < MOST_EXTENT) {
      collapsed[collapsed.length - 1] = { extent: outer.extent * axis.extent, strides: axis.strides };
    } else collapsed.push(axis);
  }
  return collapsed.length > 0 ? collapsed : [{ extent: 1, strides: axes[0]?.strides.map(() => 0) ?? [] }];
}

/** The strides of a view along the axes; none where it has been there before them. */
export const stridesAlong = (axes: readonly Axis[], view: number): number[] => axes.map(({ strides }) => strides[view] ?? 0);

export function extentOf(axes: readonly Axis[]): number {
  return sizeOf(axes.map(({ extent }) => extent));
}

/** Axes in the order in which views `first` to `end − 1` are walked with the smallest steps last; those of one reach keep their order. */
export function byReach(axes: readonly Axis[], first?: number, end?: number): Axis[] {
  return [...axes].sort((a, b) => reach(b, first, end) - reach(a, first, end));
}

/** How far apart neighbours along an axis are, summed over some views. */
export function reach(axis: Axis, first?: number, end?: number): number {
  return axis.strides.slice(first, end).reduce((sum, stride) => sum + Math.abs(stride), 0);
}

/** How many elements of `bytes` each a view has contiguously, from any multiple of that number on. */
export function contiguousRun(axes: readonly Axis[], view: number, bytes: number): number {
  let run = 1;
  for (const { extent, strides } of axes.toReversed()) {
    if (strides[view] !== run * bytes && extent !== 1) break;
    run *= extent;
  }
  return run;
}

/** How many elements in a row of a view are the same one, from any multiple of that number on. */
export function stillRun(axes: readonly Axis[], view: number): number {
  const last = axes.findLastIndex(({ strides }) => strides[view] !== 0);
  return extentOf(axes.slice(last + 1));
}

/** After how many elements a view begins again. */
export function period(axes: readonly Axis[], view: number): number {
  const first = axes.findIndex(({ strides }) => strides[view] !== 0);
  return first < 0 ? 1 : extentOf(axes.slice(first));
}

export function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
