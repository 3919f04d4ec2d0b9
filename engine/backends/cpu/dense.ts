import type { KernelKind, KernelOf, View } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { contiguousStrides, sameShape, sizeOf } from '../../shape.ts';

/**
 * How the reference computes one kind of kernel: from its inputs to its outputs, each a row-major array of doubles. Views are read
 * whole before any is written, so no kernel needs to know of strides, and every sum is accumulated in double; storing rounds.
 */
export type Runner<K extends KernelKind> = (kernel: KernelOf<K>, ...inputs: Float64Array[]) => Float64Array[];

/** The elements of a view, row-major. */
export function readView(view: View, buffer: TypedArray): Float64Array {
  const size = sizeOf(view.shape);
  if (isContiguous(view)) return new Float64Array(buffer.subarray(view.offset, view.offset + size));
  const values = new Float64Array(size);
  const offsets = elementOffsets(view);
  for (let i = 0; i < size; i++) values[i] = buffer[offsets[i]!]!;
  return values;
}

/** Stores row-major values; the typed array rounds to f32, and takes the low bits of integers. */
export function writeView(view: View, buffer: TypedArray, values: Float64Array): void {
  // What is empty may lie beyond the end.
  if (values.length === 0) return;
  if (isContiguous(view)) return buffer.set(values, view.offset);
  const offsets = elementOffsets(view);
  for (let i = 0; i < values.length; i++) buffer[offsets[i]!] = values[i]!;
}

/** Where each element of a view is in its buffer, in row-major order. */
export function elementOffsets({ shape, strides, offset }: View): Int32Array {
  // An empty view may have other axes of any size.
  if (sizeOf(shape) === 0) return new Int32Array(0);
  let offsets = Int32Array.of(offset);
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis]!;
    const stride = strides[axis]!;
    const finer = new Int32Array(offsets.length * extent);
    for (let outer = 0, at = 0; outer < offsets.length; outer++) {
      for (let i = 0; i < extent; i++) finer[at++] = offsets[outer]! + i * stride;
    }
    offsets = finer;
  }
  return offsets;
}

function isContiguous(view: View): boolean {
  return sameShape(view.strides, contiguousStrides(view.shape));
}
