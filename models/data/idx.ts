import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { type FileBytes, fileBytes, sizeOf } from '../../engine/internal.ts';
import { checkExtent, decodeElements, type ElementName, elements, viewOf } from '../io/elements.ts';

const WHAT = 'IDX file';

/** IDX's type codes. All values are big-endian. */
const ELEMENT_OF: Readonly<Record<number, ElementName>> = { 8: 'u8', 9: 'i8', 11: 'i16', 12: 'i32', 13: 'f32', 14: 'f64' };

/** 1 GiB: no IDX data set comes near it. */
const LARGEST_CONTENT = 2 ** 30;

/** Deflate expands a byte to at most 1032, so one step of input is at most 17 MB of output. */
const STEP = 16 * 1024;

interface Header {
  readonly element: ElementName;
  readonly shape: readonly number[];
  readonly start: number;
}

/** The header, or undefined where the file's beginning is too short to hold it. */
function parseHeader(bytes: Uint8Array): Header | undefined {
  const [zero, zeroToo, code, rank] = bytes;
  if (code === undefined || rank === undefined) return undefined;
  const element = ELEMENT_OF[code];
  if (zero !== 0 || zeroToo !== 0 || element === undefined) {
    throw new TensegrityError(
      'format',
      `not an ${WHAT}: it must begin with two zero bytes and a type code (8 for u8, 12 for i32, 13 for f32), and begins with ${[...bytes.subarray(0, 4)].join(' ')}`,
    );
  }
  const start = 4 + 4 * rank;
  if (bytes.length < start) return undefined;
  const view = viewOf(bytes);
  return { element, start, shape: Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis)) };
}

/**
 * Reads an IDX file (MNIST's format): 8- and 16-bit whole numbers become i32, unsigned bytes u8.
 * The result owns its memory, at most four times the file's size.
 * @param file its content, not compressed; see {@link inflateIdx}.
 * @throws TensegrityError `format` unless the header is sound and the file exactly as long as it says.
 * Source: "The IDX file format", http://yann.lecun.com/exdb/mnist/ (archived).
 */
export function parseIdx(file: FileBytes): HostArray {
  const bytes = fileBytes('parseIdx', file);
  const header = parseHeader(bytes);
  if (header === undefined)
    throw new TensegrityError('format', `${WHAT}: it ends after ${bytes.length} bytes, within its header; the file is incomplete`);
  const { element, shape, start } = header;
  checkExtent(shape, elements[element].bytes, bytes.length - start, WHAT);
  return { dtype: elements[element].dtype, shape, data: decodeElements(element, bytes.subarray(start), false, WHAT) };
}

/**
 * The content of an IDX file that may be gzipped; anything that does not begin as gzip is returned as it is.
 * Inflating stops as soon as there is more than the IDX header announces, so a gzip bomb costs no more than the data it claims to be,
 * and what was inflated is all that is held: a header that lies upwards allocates nothing.
 * @param largest bytes of content to accept at most, whatever the header says. Default 1 GiB.
 * @throws TensegrityError `format` for damaged gzip data, or content that is longer than its header says or than `largest`.
 */
export async function inflateIdx(file: FileBytes, largest = LARGEST_CONTENT): Promise<Uint8Array> {
  const bytes = fileBytes('inflateIdx', file);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  let at = 0;
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + STEP));
      at += STEP;
    },
  });
  const reader = source.pipeThrough(new DecompressionStream('gzip')).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let announced: number | undefined;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return join(chunks, length);
      chunks.push(value);
      length += value.length;
      announced ??= contentLength(join(chunks, length));
      const limit = Math.min(announced ?? largest, largest);
      if (length > limit)
        throw new TensegrityError(
          'format',
          `${WHAT}: the gzip data holds more than the ${limit} bytes that ${limit === largest ? 'are allowed' : 'its header announces'}`,
          { limit },
        );
    }
  } catch (cause) {
    if (cause instanceof TensegrityError) throw cause;
    throw new TensegrityError(
      'format',
      `${WHAT}: the gzip data is damaged or incomplete (${cause instanceof Error ? cause.message : String(cause)})`,
      {},
      cause,
    );
  } finally {
    // Its rejection, if any, is the error that has been thrown above.
    reader.cancel().catch(() => undefined);
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function contentLength(beginning: Uint8Array): number | undefined {
  const header = parseHeader(beginning);
  // Huge dimensions beside a zero would multiply to NaN, which limits nothing.
  return header && header.start + (header.shape.includes(0) ? 0 : sizeOf(header.shape)) * elements[header.element].bytes;
}
