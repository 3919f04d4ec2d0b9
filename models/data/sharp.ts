import { TensegrityError } from '../../engine/core.ts';

/** Of decoded images. */
export const CHANNELS = 3;

/** What is used of sharp, which need not be here to compile. */
interface Pipeline {
  rotate(): Pipeline;
  resize(width: number, height: number, options: { readonly fit: 'cover'; readonly position: 'centre' }): Pipeline;
  flatten(options: { readonly background: string }): Pipeline;
  toColourspace(space: 'srgb'): Pipeline;
  raw(): Pipeline;
  toBuffer(options: { readonly resolveWithObject: true }): Promise<{ data: Uint8Array; info: { readonly channels: number } }>;
}
export type Sharp = (input: Uint8Array, options: { readonly failOn: 'error'; readonly sequentialRead: true }) => Pipeline;

/** The middle of an image, pixels [size, size, 3]. @throws what sharp says of a file that it cannot decode. */
export async function decode(sharp: Sharp, file: Uint8Array, size: number): Promise<Uint8Array> {
  const { data, info } = await sharp(file, { failOn: 'error', sequentialRead: true })
    .rotate()
    .resize(size, size, { fit: 'cover', position: 'centre' })
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== CHANNELS) throw new Error(`it was decoded to ${info.channels} channels, and not to ${CHANNELS}`);
  return data;
}

/** What decodes images. @throws TensegrityError `data` saying how to get it. */
export async function findSharp(): Promise<Sharp> {
  // Named by a variable, and marked, so that bundlers leave it alone.
  const packageName = 'sharp';
  try {
    const { default: sharp }: { readonly default: Sharp } = await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
    return sharp;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = missing || !(cause instanceof Error) ? 'which is not here' : `which does not start: ${cause.message}`;
    throw new TensegrityError('data', `a folder of images is decoded by the package sharp, ${why}; npm install sharp`, {}, cause);
  }
}

/** Whether a mark stands in the second half of a file: what comes after its end (a film, a signature) may be as long as the image. */
const endsWith =
  (mark: string) =>
  (file: Buffer): boolean =>
    file.lastIndexOf(mark, undefined, 'latin1') >= file.length / 2;

/** How files of each kind begin, and what tells one that was cut short. */
const KINDS: readonly (readonly [begins: string, hasEnd: (file: Buffer) => boolean])[] = [
  ['\x89PNG\r\n\x1a\n', endsWith('IEND\xaeB`\x82')],
  ['\xff\xd8\xff', endsWith('\xff\xd9')],
  ['GIF8', endsWith('\0;')],
  ['RIFF', (file) => file.length >= 12 && file.readUInt32LE(4) + 8 <= file.length],
];

/**
 * What a look at both ends of a file says: `whole` of an image that begins and ends as its kind does, `cut` of one that lacks its end, `other` of any other.
 * It takes a hundredth of the time of decoding; what it does not find to be whole may be an image all the same.
 */
export function lookAt(file: Uint8Array): 'whole' | 'cut' | 'other' {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const kind = KINDS.find(([begins]) => bytes.toString('latin1', 0, begins.length) === begins);
  if (kind === undefined) return 'other';
  return kind[1](bytes) ? 'whole' : 'cut';
}
