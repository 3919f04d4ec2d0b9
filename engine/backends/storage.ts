/** What every backend checks of the values it is given, with one set of messages. */
import { type DType, dtypeOf, dtypes, type TypedArray } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import type { DeviceBuffer } from './backend.ts';

/** @throws TensegrityError `argument` unless there is a value for each buffer of the plan. */
export function checkCount(values: readonly unknown[], buffers: readonly number[], what: 'inputs' | 'constants' | 'slots'): void {
  check(values.length === buffers.length, 'argument', () => `the plan has ${buffers.length} ${what}, ${values.length} were given`);
}

/** @throws TensegrityError `dtype` unless the array is what the plan wants. */
export function checkArray(array: TypedArray, dtype: DType, length: number): void {
  const fits = dtypeOf(array) === dtype && array.length === length;
  check(fits, 'dtype', () => `the plan wants ${length} elements of ${dtype}, got ${array.length} of ${dtypeOf(array)}`);
}

/** @throws TensegrityError `disposed` for memory that was given back, `argument` if it is too small. */
export function checkRoom(buffer: { readonly bytes: number; readonly freed: boolean }, dtype: DType, length: number): void {
  check(!buffer.freed, 'disposed', () => 'this memory was given back');
  const bytes = length * dtypes[dtype].bytes;
  check(bytes <= buffer.bytes, 'argument', () => `${length} elements of ${dtype} are ${bytes} bytes, but the buffer has ${buffer.bytes}`);
}

/** The error for memory that is not this backend's. */
export function foreignBuffer(buffer: DeviceBuffer): TensegrityError {
  return new TensegrityError(
    'backend',
    `this memory belongs to another backend (${buffer.backend.name}); read it there, and write it here`,
  );
}
