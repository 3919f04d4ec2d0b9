import { type DType, type HostArray, TensegrityError, type TypedArray } from '../../engine/core.ts';
import { checkHostArray, contiguousStrides, dtypes, type FileBytes, fileBytes, type OwnUint8Array } from '../../engine/internal.ts';
import {
  checkExtent,
  decodeElements,
  type ElementName,
  elements,
  hostIsLittleEndian,
  LABEL_NUMBERS,
  littleEndianBytes,
  viewOf,
} from './elements.ts';
import { Scanner } from './scanner.ts';

const WHAT = '.npy file';
const MAGIC = [0x93, ...new TextEncoder().encode('NUMPY')];

/** Bytes of the header's length field, by major version. */
const LENGTH_BYTES: Readonly<Record<number, 2 | 4>> = { 1: 2, 2: 4, 3: 4 };

/** NumPy itself never writes more for a plain array; its own loader refuses 10 000 and up. */
const LONGEST_HEADER = 0xffff;
const MOST_DIMENSIONS = 64;

/** NumPy's type codes, without the byte order in front, and those of its names and letters that are the same on every system. */
const ELEMENT_OF: Readonly<Record<string, ElementName>> = {
  f8: 'f64',
  f4: 'f32',
  f2: 'f16',
  i8: 'i64',
  i4: 'i32',
  i2: 'i16',
  i1: 'i8',
  u4: 'u32',
  u2: 'u16',
  u1: 'u8',
  u8: 'u64',
  b1: 'bool',
  float64: 'f64',
  float32: 'f32',
  float16: 'f16',
  int64: 'i64',
  int32: 'i32',
  int16: 'i16',
  int8: 'i8',
  uint64: 'u64',
  uint32: 'u32',
  uint16: 'u16',
  uint8: 'u8',
  bool: 'bool',
  d: 'f64',
  f: 'f32',
  e: 'f16',
  q: 'i64',
  i: 'i32',
  h: 'i16',
  b: 'i8',
  Q: 'u64',
  I: 'u32',
  H: 'u16',
  B: 'u8',
  '?': 'bool',
};

/** What to do about the types that are none of these, by the first letter of their code. */
const REMEDY_OF: Readonly<Record<string, string>> = {
  f: "array.astype('<f8')",
  g: "array.astype('<f8')",
  c: "numpy.stack([array.real, array.imag]).astype('<f4')",
  M: "array.astype('i8') counts its units; scaled, as floats, .astype('<f8')",
  m: "array.astype('i8') counts its units; scaled, as floats, .astype('<f8')",
  O: "numpy.stack(array.tolist()).astype('<f4')",
  S: LABEL_NUMBERS,
  U: LABEL_NUMBERS,
  V: "array.astype('<f4') where it was made, as of bfloat16",
};

const DESCRIPTION_OF: Readonly<Record<DType, string>> = { f32: '<f4', f64: '<f8', i32: '<i4', u8: '|u1' };

/** What the beginning of a .npy file says of the rest. */
export interface NpyHeader {
  readonly element: ElementName;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** The byte at which the elements begin. */
  readonly start: number;
}

/** A file's header is within so many bytes of its beginning. */
export const NPY_BEGINNING = 12 + LONGEST_HEADER;

function parseHeader(text: string): Omit<NpyHeader, 'start'> {
  const scanner = new Scanner(text, WHAT);
  const pythonString = (): string => scanner.match(/'[^'\\]*'|"[^"\\]*"/y, 'a quoted name').slice(1, -1);
  const structured = (): never => {
    throw new TensegrityError(
      'format',
      `${WHAT}: its elements are structured (records of fields), which are not read; save each field as an array of its own (in NumPy: numpy.save('x.npy', array['x']))`,
    );
  };
  // Python 2 wrote long integers as 3L.
  const dimension = (): number => {
    const value = scanner.wholeNumber();
    scanner.accept('L');
    return value;
  };
  const values: Readonly<Record<string, () => string | boolean | number[]>> = {
    descr: () => (scanner.peek() === '[' || scanner.peek() === '(' ? structured() : pythonString()),
    fortran_order: () => scanner.match(/True|False/y, 'True or False') === 'True',
    shape: () => scanner.list('(', ')', dimension, true),
  };
  const entries = scanner.dictionary(
    pythonString,
    (name) =>
      (Object.hasOwn(values, name) ? values[name]?.() : undefined) ?? scanner.fail(`'descr', 'fortran_order' or 'shape', not '${name}',`),
    true,
  );
  scanner.end();
  const description = entries.get('descr');
  const fortranOrder = entries.get('fortran_order');
  const shape = entries.get('shape');
  if (typeof description !== 'string' || typeof fortranOrder !== 'boolean' || !Array.isArray(shape)) {
    throw new TensegrityError(
      'format',
      `${WHAT}: the header must give 'descr', 'fortran_order' and 'shape', and gives ${[...entries.keys()].join(', ') || 'none'}`,
    );
  }
  if (shape.length > MOST_DIMENSIONS)
    throw new TensegrityError('format', `${WHAT}: ${shape.length} dimensions; at most ${MOST_DIMENSIONS} are possible`);
  const [, order, code = ''] = /^([<>=|]?)(.*)$/s.exec(description) ?? [];
  const element = Object.hasOwn(ELEMENT_OF, code) ? ELEMENT_OF[code] : undefined;
  if (element === undefined) {
    throw new TensegrityError(
      'format',
      `${WHAT}: cannot read elements of type '${description}'; save floats as '<f4' or '<f8', whole numbers as '<i4' or '|u1' (in NumPy: ${REMEDY_OF[code[0] ?? ''] ?? "array.astype('<f4')"})`,
      { description },
    );
  }
  // With '=', '|' or none it is this machine's, as NumPy has it.
  return { element, littleEndian: order === '<' || (order !== '>' && hostIsLittleEndian), fortranOrder, shape };
}

/** Column-major data in row-major order. */
function fromFortranOrder(data: TypedArray, dtype: DType, shape: readonly number[]): TypedArray {
  const result = dtypes[dtype].allocate(data.length);
  const strides = contiguousStrides(shape.toReversed()).reverse();
  const index = new Array<number>(shape.length).fill(0);
  for (let target = 0, source = 0; target < data.length; target++) {
    result[target] = data[source]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/**
 * What a .npy file holds, by its first {@link NPY_BEGINNING} bytes, or all if it has fewer.
 * @param length of the whole file.
 * @throws TensegrityError `format` as {@link parseNpy}, but for the elements, which have not been read.
 */
export function parseNpyHeader(bytes: Uint8Array, length = bytes.length): NpyHeader {
  const lengthBytes = MAGIC.every((byte, at) => bytes[at] === byte) ? LENGTH_BYTES[bytes[6] ?? 0] : undefined;
  if (lengthBytes === undefined || bytes.length < 8 + lengthBytes) {
    throw new TensegrityError('format', `not a .npy file: it must begin with \\x93NUMPY and version 1, 2 or 3; write one with numpy.save`);
  }
  const view = viewOf(bytes);
  const headerLength = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = 8 + lengthBytes + headerLength;
  if (headerLength > LONGEST_HEADER || start > bytes.length) {
    throw new TensegrityError(
      'format',
      `${WHAT}: a header of ${headerLength} bytes is claimed; ${bytes.length} bytes are there, and at most ${LONGEST_HEADER} are allowed`,
    );
  }
  // Latin-1 and UTF-8 agree on every header that is accepted, since all its words are ASCII.
  const header = parseHeader(new TextDecoder('latin1').decode(bytes.slice(8 + lengthBytes, start)));
  checkExtent(header.shape, elements[header.element].bytes, length - start, WHAT);
  return { ...header, start };
}

/**
 * Reads a NumPy .npy file, versions 1 to 3, either byte order, either memory order.
 * Half floats become f32; whole numbers of 8 bits with sign, of 16, of 32 without, and of 64 become i32 where they fit; booleans become u8.
 * The result owns its memory, at most four times the file's size (eight while column-major data is turned).
 * @throws TensegrityError `format` for anything else: truncated, trailing bytes, structured or object types, values out of range.
 * Source: NumPy enhancement proposal 1 and numpy/lib/format.py.
 */
export function parseNpy(file: FileBytes): HostArray {
  const bytes = fileBytes('parseNpy', file);
  const { element, littleEndian, fortranOrder, shape, start } = parseNpyHeader(bytes);
  const data = decodeElements(element, bytes.subarray(start), littleEndian, WHAT);
  const { dtype } = elements[element];
  return { dtype, shape, data: fortranOrder && shape.length > 1 ? fromFortranOrder(data, dtype, shape) : data };
}

/** What a .npy file of such an array begins with, before its elements: version 1, little-endian, row-major, as `numpy.save` of NumPy 2 writes it. */
export function npyHeader({ dtype, shape }: Pick<HostArray, 'dtype' | 'shape'>): OwnUint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  // NumPy leaves room for the first dimension to grow to 21 digits in place.
  const growth = shape.length === 0 ? '' : ' '.repeat(21 - String(shape[0]).length);
  const text = `{'descr': '${DESCRIPTION_OF[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }${growth}`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start);
  bytes.set(MAGIC);
  bytes[6] = 1;
  viewOf(bytes).setUint16(8, start - 10, true);
  bytes.set(new TextEncoder().encode(`${text.padEnd(start - 11)}\n`), 10);
  return bytes;
}

/**
 * Writes a NumPy .npy file, version 1, little-endian, row-major: the bytes that `numpy.save` of NumPy 2 writes.
 * @param array any shape; f32 as '<f4', f64 as '<f8', i32 as '<i4', u8 as '|u1'.
 * @throws TensegrityError `shape` if the data does not fill the shape.
 */
export function serializeNpy(array: HostArray): OwnUint8Array {
  checkHostArray(array, 'serializeNpy');
  const [header, data] = [npyHeader(array), littleEndianBytes(array.data)];
  const bytes = new Uint8Array(header.length + data.length);
  bytes.set(header);
  bytes.set(data, header.length);
  return bytes;
}
