import { checkAttached, shown, typedArrayName } from './arguments.ts';
import { check, TensegrityError } from './errors.ts';
import { checkShape, show, sizeOf } from './shape.ts';

/**
 * Element types. `f32` is computed everywhere, `f64` on the cpu backend (audits, gradient checks),
 * `i32` and `u8` hold indices, labels, masks and images.
 */
export type DType = 'f32' | 'f64' | 'i32' | 'u8';

export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Any of JavaScript's typed arrays, Float16Array among them where there is one. */
export type NumericArray = ArrayBufferView & ArrayLike<number | bigint>;

/**
 * Arrays on memory of their own, which no thread shares; named by what makes them, since TypeScript before 5.7 has no `Int32Array<ArrayBuffer>`.
 */
export type OwnInt32Array = ReturnType<Int32ArrayConstructor['of']>;
export type OwnUint8Array = ReturnType<Uint8ArrayConstructor['of']>;

/** An array in ordinary memory: row-major, `data.length` is the product of `shape`. */
export interface HostArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

interface DTypeRow {
  readonly bytes: number;
  /** Rank in type promotion: the higher one wins. */
  readonly rank: number;
  readonly float: boolean;
  /** Whether it has the number, but for rounding. */
  readonly holds: (value: number) => boolean;
  /** The nearest float; of an integer, the low bits. */
  readonly round: (value: number) => number;
  readonly allocate: (length: number) => TypedArray;
  /** Of the same numbers, anew. */
  readonly copy: (data: TypedArray) => TypedArray;
  readonly over: (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;
}

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TypedArray;
  new (data: ArrayLike<number>): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
}

type Numbers = Pick<DTypeRow, 'rank' | 'float' | 'holds' | 'round'>;

const row = (array: TypedArrayConstructor, numbers: Numbers): DTypeRow => ({
  ...numbers,
  bytes: array.BYTES_PER_ELEMENT,
  allocate: (length) => new array(length),
  copy: (data) => new array(data),
  over: (buffer, byteOffset, length) => new array(buffer, byteOffset, length),
});

const anyNumber = () => true;
const wholeFrom = (low: number, high: number) => (value: number) => Number.isInteger(value) && value >= low && value <= high;

export const dtypes: { readonly [D in DType]: DTypeRow } = {
  u8: row(Uint8Array, { rank: 0, float: false, holds: wholeFrom(0, 255), round: (value) => value & 255 }),
  i32: row(Int32Array, { rank: 1, float: false, holds: wholeFrom(-(2 ** 31), 2 ** 31 - 1), round: (value) => value | 0 }),
  f32: row(Float32Array, { rank: 2, float: true, holds: anyNumber, round: Math.fround }),
  f64: row(Float64Array, { rank: 3, float: true, holds: anyNumber, round: (value) => value }),
};

/** @throws TensegrityError `dtype` for a name that is none, since types do not hold in plain JavaScript. */
export function checkDType(dtype: DType, op: string): void {
  check(
    Object.hasOwn(dtypes, dtype),
    'dtype',
    () => `${op}: there is no element type '${dtype}'; there are ${Object.keys(dtypes).join(', ')}`,
  );
}

/** The wider of two element types, in the order u8 < i32 < f32 < f64. */
export function promote(a: DType, b: DType): DType {
  return dtypes[a].rank >= dtypes[b].rank ? a : b;
}

export function isFloat(dtype: DType): boolean {
  return dtypes[dtype].float;
}

/** The typed arrays that the engine computes with. */
const typeOf: Readonly<Record<string, DType>> = {
  Float32Array: 'f32',
  Float64Array: 'f64',
  Int32Array: 'i32',
  Uint8Array: 'u8',
  Uint8ClampedArray: 'u8',
};

/** The element type that a typed array holds, of any realm. @throws TensegrityError `dtype` for one that the engine does not compute with. */
export function dtypeOf(data: TypedArray): DType {
  const name = typedArrayName(data) ?? '';
  const dtype = typeOf[name];
  check(
    dtype,
    'dtype',
    () => `expected a Float32Array, Float64Array, Int32Array or Uint8Array, got ${shown(data)}${name && '; tensor() takes others'}`,
  );
  return dtype;
}

/** The element type that the values of any typed array are read as: of Float16Array f32, of the other integers i32. @throws as {@link dtypeOf}. */
export function readTypeOf(data: NumericArray): DType {
  const name = typedArrayName(data) ?? '';
  return name === 'Float16Array' ? 'f32' : name && !typeOf[name] ? 'i32' : dtypeOf(data as TypedArray);
}

/**
 * The elements of any typed array as an array of `dtype` that is nobody else's. Floats become integers towards zero.
 * @throws TensegrityError `dtype` naming the first value that the type does not have.
 */
export function elementsOf(data: NumericArray, op: string, dtype: DType): TypedArray {
  checkAttached(op, data);
  const name = typedArrayName(data) ?? '';
  if (typeOf[name] === dtype) return copied(data as TypedArray, dtype);
  const result = dtypes[dtype].allocate(data.length);
  if (typeof data[0] === 'number' && (dtypes[dtype].float || /^Uint8/.test(name))) result.set(data as ArrayLike<number>);
  else for (let i = 0; i < data.length; i++) result[i] = element(data[i]!, dtype, op, i);
  return result;
}

/** A number as an element of `dtype`. @throws TensegrityError `dtype` for one that the type does not have. */
export function element(value: number | bigint, dtype: DType, op: string, at: number): number {
  const number = dtypes[dtype].float ? Number(value) : Math.trunc(Number(value));
  if (!dtypes[dtype].holds(number))
    throw new TensegrityError('dtype', `${op}: element ${at} is ${value}, no value of ${dtype}; convert with Float64Array.from(x, Number)`);
  return number;
}

/** The elements as an array of `dtype` that is nobody else's. (`slice` of Node's Buffers is a view.) */
export function copied(data: TypedArray, dtype: DType): TypedArray {
  return dtypes[dtype].copy(data);
}

/** @throws TensegrityError `shape` unless the elements fill the shape, `dtype` unless they are of the type named. */
export function checkHostArray(array: HostArray, op: string): void {
  check(typeof array === 'object' && array !== null, 'argument', () => `${op}: takes an array { dtype, shape, data }, got ${shown(array)}`);
  const { dtype, shape, data } = array;
  checkShape(shape, op);
  check(dtypeOf(data) === dtype, 'dtype', () => `${op}: the elements are ${dtypeOf(data)}, but named ${dtype}`);
  check(
    data.length === sizeOf(shape),
    'shape',
    () => `${op}: ${data.length} elements do not fill the shape ${show(shape)}, which has ${sizeOf(shape)}`,
  );
}
