import { type DType, TensegrityError, type TypedArray } from '../../engine/core.ts';
import { dtypes, show, sizeOf } from '../../engine/internal.ts';

interface Element {
  /** Width in the file. */
  readonly bytes: number;
  /** The engine's element type that values become. */
  readonly dtype: DType;
  /** Reads one value; `null` where the file's bits are the engine's bits, so that the whole block is copied. */
  readonly read: ((view: DataView, at: number, littleEndian: boolean) => number | bigint) | null;
  /** Inclusive bounds of what the engine's type can hold, where the file's type can hold more. */
  readonly range?: readonly [number, number];
}

const INT32 = [-0x80000000, 0x7fffffff] as const;

/** How labels that are no whole numbers from 0 become some. Of all files at once: each by itself might give one class two numbers. */
export const LABEL_NUMBERS = 'numpy.unique(numpy.concatenate([labels, test_labels]), return_inverse=True)[1]';

const float32Word = new DataView(new ArrayBuffer(4));

/** A bfloat16 is the upper half of a float32. */
function bfloat16(bits: number): number {
  float32Word.setUint16(0, bits);
  return float32Word.getFloat32(0);
}

/** IEEE 754 binary16. DataView.getFloat16 would do, but Node 20 has none. */
function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Four bits of exponent, three of fraction, and no ∞: all ones are NaN. (P. Micikevicius et al., arXiv 2209.05433, Table 1) */
function float8(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const fraction = bits & 7;
  if ((bits & 0x7f) === 0x7f) return NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}

/** Written out, since what is inferred of the table names `DataView<…>`, which TypeScript before 5.7 has not. */
export type ElementName =
  | 'bool'
  | 'u8'
  | 'i8'
  | 'u16'
  | 'i16'
  | 'u32'
  | 'i32'
  | 'i64'
  | 'u64'
  | 'f8e4m3'
  | 'f8e5m2'
  | 'f8e8m0'
  | 'f16'
  | 'bf16'
  | 'f32'
  | 'f64';

/** Every element type that the file formats here store, and what it becomes in memory. At most four bytes come of one byte in the file. */
export const elements: { readonly [Name in ElementName]: Element } = {
  bool: { bytes: 1, dtype: 'u8', read: (view, at) => view.getUint8(at), range: [0, 1] },
  u8: { bytes: 1, dtype: 'u8', read: null },
  i8: { bytes: 1, dtype: 'i32', read: (view, at) => view.getInt8(at) },
  u16: { bytes: 2, dtype: 'i32', read: (view, at, little) => view.getUint16(at, little) },
  i16: { bytes: 2, dtype: 'i32', read: (view, at, little) => view.getInt16(at, little) },
  u32: { bytes: 4, dtype: 'i32', read: (view, at, little) => view.getUint32(at, little), range: INT32 },
  i32: { bytes: 4, dtype: 'i32', read: null },
  i64: { bytes: 8, dtype: 'i32', read: (view, at, little) => view.getBigInt64(at, little), range: INT32 },
  u64: { bytes: 8, dtype: 'i32', read: (view, at, little) => view.getBigUint64(at, little), range: INT32 },
  f8e4m3: { bytes: 1, dtype: 'f32', read: (view, at) => float8(view.getUint8(at)) },
  // The upper half of a binary16.
  f8e5m2: { bytes: 1, dtype: 'f32', read: (view, at) => float16(view.getUint8(at) << 8) },
  f8e8m0: { bytes: 1, dtype: 'f32', read: (view, at) => (view.getUint8(at) === 255 ? NaN : 2 ** (view.getUint8(at) - 127)) },
  f16: { bytes: 2, dtype: 'f32', read: (view, at, little) => float16(view.getUint16(at, little)) },
  bf16: { bytes: 2, dtype: 'f32', read: (view, at, little) => bfloat16(view.getUint16(at, little)) },
  f32: { bytes: 4, dtype: 'f32', read: null },
  f64: { bytes: 8, dtype: 'f64', read: null },
};

export const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function reverseEach(bytes: Uint8Array, width: number): void {
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Checks what a header claims against what is there, before anything is allocated.
 * @param shape dimensions as the header gives them; their product may be too large to count.
 * @throws TensegrityError `format` unless `shape` takes exactly `bytesPresent` bytes.
 */
export function checkExtent(shape: readonly number[], bytesPerElement: number, bytesPresent: number, what: string): void {
  let expected = shape.includes(0) ? 0 : bytesPerElement;
  for (const dimension of shape) {
    // Stopping here keeps the product far below 2^53 × 2^53, so it is exact whenever it is compared as equal.
    if (expected > bytesPresent) break;
    expected *= dimension;
  }
  if (expected !== bytesPresent) {
    throw new TensegrityError(
      'format',
      `${what}: shape ${show(shape)} of ${bytesPerElement}-byte elements takes ${expected > bytesPresent ? 'more than ' : ''}${Math.min(expected, bytesPresent)} bytes, but ${bytesPresent} are there; the file is damaged or incomplete`,
      { shape, bytesPerElement, bytesPresent },
    );
  }
  if (!Number.isSafeInteger(sizeOf(shape)))
    throw new TensegrityError('format', `${what}: shape ${show(shape)} has dimensions too large to count`, { shape });
}

/**
 * Values of one stored type, in memory of their own.
 * @param bytes a whole number of elements.
 * @throws TensegrityError `format` naming the first value that the engine's type cannot hold, and what to save instead.
 */
export function decodeElements(name: ElementName, bytes: Uint8Array, littleEndian: boolean, what: string): TypedArray {
  const element: Element = elements[name];
  const length = bytes.length / element.bytes;
  const data = dtypes[element.dtype].allocate(length);
  if (element.read === null) {
    const target = bytesOf(data);
    target.set(bytes);
    if (element.bytes > 1 && littleEndian !== hostIsLittleEndian) reverseEach(target, element.bytes);
    return data;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [lowest, highest] = element.range ?? [-Infinity, Infinity];
  for (let index = 0; index < length; index++) {
    const value = element.read(view, index * element.bytes, littleEndian);
    if (value < lowest || value > highest) {
      throw new TensegrityError(
        'format',
        `${what}: element ${index} is ${value}, but ${name} values here must lie within ${lowest} … ${highest}; save ${name === 'bool' ? "bytes as 'u1' (NumPy: array.view('u1'))" : `whole numbers beyond as f64, which has those up to 2^53 (NumPy: array.astype('f8'); PyTorch: tensor.double()); labels, by what ${LABEL_NUMBERS} gives`}`,
        { index, value: Number(value) },
      );
    }
    data[index] = Number(value);
  }
  return data;
}

/** The bytes of `data` as a little-endian file holds them; shares memory with `data` where the host is little-endian. */
export function littleEndianBytes(data: TypedArray): Uint8Array {
  const bytes = bytesOf(data);
  if (hostIsLittleEndian) return bytes;
  const reversed = bytes.slice();
  reverseEach(reversed, data.BYTES_PER_ELEMENT);
  return reversed;
}

/** A view of `bytes` for DataView's readers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
