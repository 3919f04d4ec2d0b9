/**
 * Saved plans: `TSGPLANS`, the version and the length of the header as words, the header as JSON with blanks behind it, and the arrays one behind
 * the other, slots before constants. Words and elements are little-endian; header and arrays begin at multiples of 8 bytes, and nothing follows.
 */
import type { Plan } from '../compiler/plan.ts';
import { type DType, dtypes } from '../dtype.ts';
import { type Shape, sizeOf } from '../shape.ts';

export const MAGIC = 'TSGPLANS';
/** To be counted up with every change of this format, and of what plan.ts and the scalar table say of plans. */
export const VERSION = 1;
/** Bytes of magic, version and length. */
export const HEAD = 16;
export const ALIGN = 8;

/** So many plans bind the same constants, of which each has a copy. */
export const MOST_PLANS = 64;

/** How elements lie in the file: as they are, or floats of 32 bits as the nearest of 16. */
export type StoredType = DType | 'f16';

export interface ArraySpec {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface StoredArray {
  readonly stored: StoredType;
  readonly shape: Shape;
}

/** What a function returns: numbers of outputs, in arrays and records of any depth. */
export type Result = number | readonly Result[] | { readonly [name: string]: Result };

/** A plan for arguments of these shapes, and what its buffers are bound to, in its order: arguments, constants and slots, by their numbers. */
export interface SavedPlan {
  readonly arguments: readonly ArraySpec[];
  readonly inputs: readonly number[];
  readonly constants: readonly number[];
  readonly slots: readonly number[];
  readonly outputs: readonly ArraySpec[];
  readonly result: Result;
  readonly plan: Plan;
}

export interface Header {
  readonly slots: readonly (StoredArray & { readonly name: string })[];
  readonly constants: readonly StoredArray[];
  readonly plans: readonly SavedPlan[];
}

export function dtypeOf({ stored: type }: StoredArray): DType {
  return type === 'f16' ? 'f32' : type;
}

/** Bytes of an array in the file, without those up to the next. */
export function bytesOf({ stored: type, shape }: StoredArray): number {
  return sizeOf(shape) * (type === 'f16' ? 2 : dtypes[type].bytes);
}

/** The next place where something may begin. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/** JSON has no −0, no NaN and no ∞, which the constants of programs and what surrounds a padded array may be: there they are texts. */
export function write(key: string, value: unknown): unknown {
  if (key !== 'value' || typeof value !== 'number') return value;
  return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value);
}
