import { type DType, type HostArray, TensegrityError } from '../../engine/core.ts';
import { checkHostArray, type FileBytes, fileBytes, type OwnUint8Array, pairsOf } from '../../engine/internal.ts';
import { checkExtent, decodeElements, type ElementName, elements, littleEndianBytes, viewOf } from './elements.ts';
import { Scanner } from './scanner.ts';

const WHAT = '.safetensors file';
const METADATA = '__metadata__';

/** The reference implementation allows 100 MB; no real file comes near this, and headers cost several times their size in objects. */
const LONGEST_HEADER = 16 * 1024 * 1024;

const ELEMENT_OF: Readonly<Record<string, ElementName>> = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  F8_E4M3: 'f8e4m3',
  F8_E5M2: 'f8e5m2',
  F8_E8M0: 'f8e8m0',
  I64: 'i64',
  U64: 'u64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U32: 'u32',
  U16: 'u16',
  U8: 'u8',
  BOOL: 'bool',
};

const NAME_OF: Readonly<Record<DType, string>> = { f32: 'F32', f64: 'F64', i32: 'I32', u8: 'U8' };

/** The content of a .safetensors file, in the order in which its header names things. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, HostArray>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Where a tensor lies, from the beginning of the data. */
interface Entry {
  readonly name: string;
  readonly element: ElementName;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** What the beginning of a .safetensors file says of the rest. */
export interface SafetensorsHeader {
  readonly entries: readonly Entry[];
  readonly metadata: ReadonlyMap<string, string>;
  /** The byte at which the data begins. */
  readonly dataStart: number;
}

function parseEntry(scanner: Scanner, name: string): Entry {
  const wholeNumbers = (): number[] => scanner.list('[', ']', () => scanner.wholeNumber());
  const readers: Readonly<Record<string, () => string | number[]>> = {
    dtype: () => scanner.jsonString(),
    shape: wholeNumbers,
    data_offsets: wholeNumbers,
  };
  const fields = scanner.dictionary(
    () => scanner.jsonString(),
    (field) =>
      (Object.hasOwn(readers, field) ? readers[field]?.() : undefined) ??
      scanner.fail(`"dtype", "shape" or "data_offsets", not "${field}",`),
  );
  const dtype = fields.get('dtype');
  const shape = fields.get('shape');
  const offsets = fields.get('data_offsets');
  if (typeof dtype !== 'string' || !Array.isArray(shape) || !Array.isArray(offsets))
    return scanner.fail(`"dtype", "shape" and "data_offsets" of '${name}' before this`);
  const [start, end] = offsets;
  if (start === undefined || end === undefined || offsets.length !== 2 || end < start)
    return scanner.fail(`"data_offsets" of '${name}' to be [begin, end] before this`);
  const element = Object.hasOwn(ELEMENT_OF, dtype) ? ELEMENT_OF[dtype] : undefined;
  if (element === undefined) {
    throw new TensegrityError(
      'format',
      `${WHAT}: '${name}' holds ${dtype} elements; readable are ${Object.keys(ELEMENT_OF).join(', ')} (PyTorch: save tensor.float(); of complex numbers torch.view_as_real(tensor))`,
      {
        name,
        dtype,
      },
    );
  }
  return { name, element, shape, start, end };
}

function parseHeader(text: string): { entries: Entry[]; metadata: ReadonlyMap<string, string> } {
  const scanner = new Scanner(text, WHAT);
  let metadata: ReadonlyMap<string, string> = new Map();
  const entries = scanner.dictionary(
    () => scanner.jsonString(),
    (name) => {
      if (name !== METADATA) return parseEntry(scanner, name);
      metadata = scanner.dictionary(
        () => scanner.jsonString(),
        () => scanner.jsonString(),
      );
      return null;
    },
  );
  scanner.end();
  return { entries: [...entries.values()].filter((entry) => entry !== null), metadata };
}

function decodeHeader(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TensegrityError('format', `${WHAT}: the header is not UTF-8 text; the file is damaged or of another kind`, {}, cause);
  }
}

/**
 * Where the data of a .safetensors file begins, by its first eight bytes.
 * @param length of the whole file.
 * @throws TensegrityError `format` for a header that is longer than 16 MiB or than the file.
 */
export function safetensorsDataStart(bytes: Uint8Array, length = bytes.length): number {
  if (bytes.length < 8)
    throw new TensegrityError('format', `not a .safetensors file: it has ${bytes.length} bytes, and its header's length alone takes 8`);
  const headerLength = Number(viewOf(bytes).getBigUint64(0, true));
  const dataStart = 8 + headerLength;
  if (headerLength > LONGEST_HEADER || dataStart > length) {
    throw new TensegrityError(
      'format',
      `${WHAT}: a header of ${headerLength} bytes is claimed, but ${length - 8} bytes follow and at most ${LONGEST_HEADER} are allowed; the file is damaged, incomplete or of another kind`,
      { headerLength, fileLength: length },
    );
  }
  return dataStart;
}

/**
 * What a .safetensors file holds, by the bytes before its data.
 * @param length of the whole file.
 * @throws TensegrityError `format` as {@link parseSafetensors}, but for the elements, which have not been read.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, length = bytes.length): SafetensorsHeader {
  const dataStart = safetensorsDataStart(bytes, length);
  const { entries, metadata } = parseHeader(decodeHeader(bytes.slice(8, dataStart)));
  let position = 0;
  for (const { name, element, shape, start, end } of entries.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== position) {
      throw new TensegrityError(
        'format',
        `${WHAT}: '${name}' begins at byte ${start} of the data, but the tensor before it ends at ${position}; tensors may neither overlap nor leave holes`,
        { name, start, position },
      );
    }
    checkExtent(shape, elements[element].bytes, end - start, `${WHAT}, '${name}'`);
    position = end;
  }
  if (dataStart + position !== length) {
    throw new TensegrityError(
      'format',
      `${WHAT}: the header describes ${position} bytes of data, but ${length - dataStart} are there; the file is damaged or incomplete`,
      { described: position },
    );
  }
  return { entries, metadata, dataStart };
}

/**
 * Reads a .safetensors file. F16, BF16 and floats of 8 bits become f32, exactly; I8, I16, U16, U32, I64 and U64 become i32 where they fit;
 * BOOL becomes u8.
 * Nothing is allocated for a tensor before the whole header has been checked against the file's length; the tensors own their memory,
 * at most four times the file's size.
 * @throws TensegrityError `format` for anything that the format forbids: offsets that overlap, leave holes or end elsewhere than the file does,
 * a shape that does not fill its bytes, a name that comes twice, a header that is longer than 16 MiB or than the file.
 * Source: https://github.com/huggingface/safetensors, "Format".
 */
export function parseSafetensors(file: FileBytes): Safetensors {
  const bytes = fileBytes('parseSafetensors', file);
  const { entries, metadata, dataStart } = parseSafetensorsHeader(bytes);
  const tensors = new Map<string, HostArray>();
  for (const { name, element, shape, start, end } of entries) {
    const data = decodeElements(element, bytes.subarray(dataStart + start, dataStart + end), true, `${WHAT}, '${name}'`);
    tensors.set(name, { dtype: elements[element].dtype, shape, data });
  }
  return { tensors, metadata };
}

/**
 * Writes a .safetensors file; the same input gives the same bytes. The header names tensors in the order given;
 * the data is laid out by falling element width, so that every tensor is aligned for readers that map the file.
 * @param tensors names and arrays: a Map, or Object.entries of a record. f32 as F32, f64 as F64, i32 as I32, u8 as U8.
 * @param metadata free text by name, likewise.
 * @throws TensegrityError `shape` if an array's data does not fill its shape; `argument` for a name given twice, the reserved name `__metadata__`,
 * or names and metadata of more than 16 MiB.
 */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, HostArray]>,
  metadata: Iterable<readonly [string, string]> = [],
): OwnUint8Array {
  const arrays = new Map<string, HostArray>();
  for (const [name, array] of pairsOf('serializeSafetensors: the tensors', tensors)) {
    if (name === METADATA)
      throw new TensegrityError('argument', `serializeSafetensors: a tensor cannot be named '${METADATA}', which the format reserves`);
    if (arrays.has(name))
      throw new TensegrityError('argument', `serializeSafetensors: the name '${name}' is given twice; every tensor needs its own`, {
        name,
      });
    checkHostArray(array, `serializeSafetensors: '${name}'`);
    arrays.set(name, array);
  }
  const starts = new Map<string, number>();
  let dataLength = 0;
  for (const [name, { data }] of [...arrays].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)) {
    starts.set(name, dataLength);
    dataLength += data.byteLength;
  }
  // Written entry by entry: a JavaScript object would put names that look like numbers first.
  const written = pairsOf('serializeSafetensors: the metadata', metadata).map(
    ([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`,
  );
  const entries = written.length === 0 ? [] : [`"${METADATA}":{${written.join(',')}}`];
  for (const [name, { dtype, shape, data }] of arrays) {
    const start = starts.get(name) ?? 0;
    entries.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: NAME_OF[dtype], shape, data_offsets: [start, start + data.byteLength] })}`,
    );
  }
  const header = new TextEncoder().encode(`{${entries.join(',')}}`);
  const headerLength = Math.ceil(header.length / 8) * 8;
  if (headerLength > LONGEST_HEADER) {
    throw new TensegrityError(
      'argument',
      `serializeSafetensors: names and metadata take ${headerLength} bytes; at most ${LONGEST_HEADER} are allowed`,
      { headerLength },
    );
  }
  const dataStart = 8 + headerLength;
  const bytes = new Uint8Array(dataStart + dataLength);
  viewOf(bytes).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(header, 8);
  bytes.fill(0x20, 8 + header.length, dataStart);
  for (const [name, { data }] of arrays) bytes.set(littleEndianBytes(data), dataStart + (starts.get(name) ?? 0));
  return bytes;
}
