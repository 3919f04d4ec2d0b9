import type { KernelKind, KernelOf, View } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { contiguousStrides, sameShape, sizeOf } from '../../shape.ts';

/**
 * How the reference computes one kind of kernel: from its inputs to its outputs, each a row-major array of doubles. Views are read
 * whole before any is written, so no kernel needs to know of strides, and every sum is accumulated in double; storing rounds.
 */
export type Runner<K extends KernelKind> = (kernel: KernelOf<K>, ...inputs: Float64Array[]) => Float64Array[];

/** The elements of a view, row-major: all, or `count` of them from position `from` on. */
export function readView(view: View, buffer: TypedArray, from = 0, count = sizeOf(view.shape)): Float64Array {
  if (isContiguous(view)) return new Float64Array(buffer.subarray(view.offset + from, view.offset + from + count));
  const values = new Float64Array(count);
  const places = placesOf(view, from, count);
  for (let i = 0; i < count; i++) values[i] = buffer[places[i]!]!;
  return values;
}

/** Stores row-major values from position `from` on; the typed array rounds to f32, and takes the low bits of integers. */
export function writeView(view: View, buffer: TypedArray, values: Float64Array, from = 0): void {
  // What is empty may lie beyond the end.
  if (values.length === 0) return;
  if (isContiguous(view)) return buffer.set(values, view.offset + from);
  const places = placesOf(view, from, values.length);
  for (let i = 0; i < values.length; i++) buffer[places[i]!] = values[i]!;
}

/** Where elements of a view are in its buffer, in row-major order: `count` of them from position `from` on. */
function placesOf({ shape, strides: given, offset }: View, from: number, count: number): Float64Array {
  const places = new Float64Array(count);
  // The stride of an axis of one element leads nowhere, and may be more than a place can be added to.
  const strides = given.map((stride, axis) => (shape[axis]! > 1 ? stride : 0));
  const inner = shape.length - 1;
  const [extent, step] = [shape[inner] ?? 1, strides[inner] ?? 0];
  const index = contiguousStrides(shape).map((size, axis) => Math.floor(from / size) % shape[axis]!);
  let place = index.reduce((sum, at, axis) => sum + at * strides[axis]!, offset);
  let left = extent - (index[inner] ?? 0);
  for (let i = 0; i < count; left = extent) {
    for (const end = Math.min(count, i + left); i < end; i++, place += step) places[i] = place;
    place -= step * extent;
    for (let axis = inner - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      place -= strides[axis]! * index[axis]!;
      index[axis] = 0;
    }
  }
  return places;
}

function isContiguous(view: View): boolean {
  return sameShape(view.strides, contiguousStrides(view.shape));
}
