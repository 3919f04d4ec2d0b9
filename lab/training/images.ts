import { type HostArray, TensegrityError } from 'tensegrity';
import { channelStatistics, type ImageDataset, type ImageSplit, parseSafetensors, takeRows, takeSplit } from 'tensegrity/models';
import { messageOf } from './place.ts';
import type { Pictures } from './protocol.ts';

/** What is trained on, and what of it is shown. */
export interface Images {
  readonly name: 'embedded' | 'own';
  readonly dataset: ImageDataset;
  /** How many images there are to train on; the data set may have some of them several times. */
  readonly count: number;
  /** Those that are embedded, in the order of their numbers. */
  readonly shown: ImageSplit;
}

/** How many images are embedded, and drawn as points. */
const SHOWN = 256;

export function picturesOf({ shape: [count, channels, height, width], data }: HostArray): Pictures {
  return { count: count!, channels: channels!, height: height!, width: width!, pixels: Uint8Array.from(data) };
}

async function inflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  // A server may have said that it is compressed, and the browser inflated it.
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The embedded images: `train.images`, `train.labels`, `test.images` and `test.labels` of a gzipped .safetensors file, whose metadata name the classes.
 * @throws TensegrityError `data`, `format`.
 */
export async function embeddedImages(address: string): Promise<Images> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`the server says ${response.status}`);
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new TensegrityError('data', `the embedded images did not come from ${address}: ${messageOf(error)}`);
  }
  const { tensors, metadata } = parseSafetensors(await inflated(bytes));
  const array = (name: string): HostArray => {
    const found = tensors.get(name);
    if (!found) throw new TensegrityError('format', `the embedded images lack ${name}; build the page anew`);
    return found;
  };
  const split = (name: string): Required<Pick<ImageSplit, 'images' | 'labels'>> => ({
    images: array(`${name}.images`),
    labels: { ...array(`${name}.labels`), dtype: 'i32', data: Int32Array.from(array(`${name}.labels`).data) },
  });
  const [train, test] = [split('train'), split('test')];
  const classes = (metadata.get('classes') ?? '').split('\n');
  const count = train.images.shape[0]!;
  const dataset = { name: 'embedded', train, test, classes, ...channelStatistics(train.images) };
  return { name: 'embedded', dataset, count, shown: first(test, SHOWN) };
}

export function first(split: ImageSplit, most: number): ImageSplit {
  const count = Math.min(most, split.images.shape[0]!);
  return takeSplit(
    split,
    Array.from({ length: count }, (_, i) => i),
  );
}

/** The images' side. */
const SIDE = 32;
/** More would take long to decode, and much memory. */
const MOST = 4096;
/** Pixels of an image that is decoded, at 4 bytes each: 400 MB. */
const MOST_PIXELS = 1e8;

/** What became of files. */
export interface Decoded {
  /** Null where fewer than two images came of them. */
  readonly images: Images | null;
  /** What was left out and why, one line each. */
  readonly remarks: readonly string[];
}

/** A blob as [3, SIDE, SIDE] bytes: its middle square, scaled; what is transparent is white. @throws Error saying why not. */
async function decode(blob: Blob, context: OffscreenCanvasRenderingContext2D): Promise<Uint8Array> {
  if (blob.size === 0) throw new Error('it is empty');
  const whole = await createImageBitmap(blob).catch(() => {
    throw new Error('the browser cannot decode it: it is damaged, no image, or too large');
  });
  const { width, height } = whole;
  try {
    if (width * height > MOST_PIXELS)
      throw new Error(`it has ${Math.round((width * height) / 1e6)} megapixels, more than ${MOST_PIXELS / 1e6}`);
    const side = Math.min(width, height);
    const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
    // In two steps, since browsers scale a canvas's drawing in one, which skips pixels of large images.
    const square = await createImageBitmap(whole, left, top, side, side, { resizeWidth: SIDE, resizeHeight: SIDE, resizeQuality: 'high' });
    context.fillStyle = '#fff';
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(square, 0, 0);
    square.close();
  } finally {
    whole.close();
  }
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const planes = new Uint8Array(3 * SIDE * SIDE);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel++)
    for (let channel = 0; channel < 3; channel++) planes[channel * SIDE * SIDE + pixel] = data[4 * pixel + channel]!;
  return planes;
}

export interface OwnFiles {
  readonly files: readonly Blob[];
  readonly names?: readonly string[];
  readonly labels?: readonly string[];
}

/**
 * A visitor's own images. One is decoded after the other, so that memory holds one at its full size; nothing leaves this thread.
 * @param batchSize of which there must be as many rows: fewer images come several times, with other views each time.
 */
export async function ownImages({ files, names = [], labels = [] }: OwnFiles, batchSize: number): Promise<Decoded> {
  if (typeof OffscreenCanvas === 'undefined')
    return { images: null, remarks: ['this browser decodes no images off its page (it has no OffscreenCanvas)'] };
  const context = new OffscreenCanvas(SIDE, SIDE).getContext('2d', { willReadFrequently: true });
  if (!context) return { images: null, remarks: ['this browser gives no canvas to decode images with'] };
  const remarks: string[] = [];
  const decoded: Uint8Array[] = [];
  const labelled: (string | undefined)[] = [];
  for (const [i, file] of files.entries()) {
    if (decoded.length === MOST) {
      remarks.push(`the first ${MOST} images are taken, and ${files.length - i} left out`);
      break;
    }
    try {
      decoded.push(await decode(file, context));
      labelled.push(labels[i]);
    } catch (error) {
      remarks.push(`${names[i] ?? `file ${i + 1}`}: ${messageOf(error)}`);
    }
  }
  const count = decoded.length;
  if (count < 2) return { images: null, remarks };
  const data = new Uint8Array(count * 3 * SIDE * SIDE);
  decoded.forEach((planes, i) => data.set(planes, i * planes.length));
  const images: HostArray = { dtype: 'u8', shape: [count, 3, SIDE, SIDE], data };
  const given = labelled.flatMap((label) => (label === undefined ? [] : [label]));
  const classes = [...new Set(given)].sort();
  const named = classes.length > 1 && given.length === count;
  const split: ImageSplit = {
    images,
    ...(named && {
      labels: { dtype: 'i32', shape: [count], data: Int32Array.from(given, (label) => classes.indexOf(label)) },
    }),
  };
  const times = Math.ceil(batchSize / count);
  const rows = Array.from({ length: count * times }, (_, i) => i % count);
  if (times > 1)
    remarks.push(`${count} images are fewer than a batch of ${batchSize}: each comes ${times} times in it, with views of its own`);
  const dataset: ImageDataset = {
    name: 'own',
    train: times === 1 ? split : { images: takeRows(images, rows), ...(split.labels && { labels: takeRows(split.labels, rows) }) },
    classes: named ? classes : [],
    ...channelStatistics(images),
  };
  return { images: { name: 'own', dataset, count, shown: first(split, SHOWN) }, remarks };
}
