/** What every backend checks of the values it is given, with one set of messages. */

import type { Plan } from '../compiler/plan.ts';
import { trusted } from '../compiler/trusted.ts';
import { type DType, dtypeOf, dtypes, type TypedArray } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import type { DeviceBuffer, Storage } from './backend.ts';

/**
 * The plan, if it comes from this process's compiler; else a copy that is checked. What checks it loads with the first such plan, and is no part
 * of what a page loads before (nor of what `.size-limit.json` counts).
 * @throws TensegrityError `format`, listing what is wrong with it.
 */
export async function checkedPlan(plan: Plan): Promise<Plan> {
  return trusted.has(plan) ? plan : (await import('../compiler/validate.ts')).checkedCopy(plan);
}

/** @throws TensegrityError `argument` unless there is a value for each buffer of the plan. */
export function checkCount(values: readonly unknown[], buffers: readonly number[], what: 'inputs' | 'constants' | 'slots'): void {
  const given = Array.isArray(values) ? values.length : 'no list';
  check(given === buffers.length, 'argument', () => `the plan has ${buffers.length} ${what}, ${given} were given`);
}

/** @throws TensegrityError `argument` unless a run has all that the plan takes, and each slot memory of its own, which no input is. */
export function checkRun(plan: Plan, inputs: readonly Storage[], slots: readonly DeviceBuffer[]): void {
  checkCount(inputs, plan.inputs, 'inputs');
  checkCount(slots, plan.slots, 'slots');
  const taken = new Set<unknown>(slots);
  const apart = taken.size === slots.length && !slots.some(ArrayBuffer.isView) && !inputs.some((input) => taken.has(input));
  check(apart, 'argument', () => 'each slot of the plan must be a buffer of its own, which is no input');
}

/** @throws TensegrityError `argument` unless it is a number of bytes. */
export function checkBytes(bytes: number): void {
  check(Number.isSafeInteger(bytes) && bytes >= 0, 'argument', () => `allocate: ${bytes} is no number of bytes`);
}

/** @throws TensegrityError `dtype` unless the array is what the plan wants. */
export function checkArray(array: TypedArray, dtype: DType, length: number): void {
  const fits = dtypeOf(array) === dtype && array.length === length;
  check(fits, 'dtype', () => `the plan wants ${length} elements of ${dtype}, got ${array.length} of ${dtypeOf(array)}`);
}

/** @throws TensegrityError `disposed` for memory that was given back, `argument` if it is too small. */
export function checkRoom(buffer: { readonly bytes: number; readonly freed: boolean }, dtype: DType, length: number): void {
  check(!buffer.freed, 'disposed', () => 'this memory was given back');
  const bytes = length * (dtypes[dtype]?.bytes ?? NaN);
  check(
    bytes >= 0 && bytes <= buffer.bytes,
    'argument',
    () => `${length} elements of ${dtype} are ${bytes} bytes, but the buffer has ${buffer.bytes}`,
  );
}

/** The error for memory that is not this backend's. */
export function foreignBuffer(buffer: DeviceBuffer): TensegrityError {
  // Types do not hold in plain JavaScript.
  const name = (buffer as DeviceBuffer | null | undefined)?.backend?.name;
  return new TensegrityError(
    name ? 'backend' : 'argument',
    `this memory belongs to ${name ? `another backend (${name})` : 'no backend'}; read it there, and write it here`,
  );
}
