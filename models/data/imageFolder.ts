import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { check, checkNames, named, shown } from '../../engine/internal.ts';
import { readBytes, withStorageErrors } from '../io/files.ts';
import type { ImageSplit } from './images.ts';

export interface ImageFolderOptions {
  /** Height and width of the decoded images (`--size`); 32, unless given. */
  readonly size?: number | undefined;
  /** The part of the images that is kept for tests, from 0 to below 1 (`--test-share`); .2 of images with classes, none of others, unless given. */
  readonly testShare?: number | undefined;
  /** Whether all images are one split, in the order of their paths, also where there are folders `train` and `test`; false, unless given. */
  readonly whole?: boolean | undefined;
  /** Given how many training images there are, which of them to take, from `start` to `stop`, not included. All, unless given. */
  readonly rows?: ((count: number) => readonly [start: number, stop: number]) | undefined;
  /** Another folder, with another picture of each image at the same path (`--pairs`); images without one are left out. None, unless given. */
  readonly pairs?: string | undefined;
  /** Told, in words, of what was left out, and why. */
  readonly onRemark?: ((message: string) => void) | undefined;
}

/** What a folder of images holds. */
export interface ImageFolder {
  readonly train: ImageSplit;
  readonly test?: ImageSplit;
  /** The names of the folders that are classes, sorted; empty where there are none. */
  readonly classes: readonly string[];
  /** Where each image lies within the folder, with slashes, in the order of the rows. */
  readonly files: { readonly train: readonly string[]; readonly test: readonly string[] };
  /** Of `rows`: which files those are, of how many, and a digest of the paths of all. */
  readonly part?: { readonly start: number; readonly stop: number; readonly of: number; readonly listing: string };
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif']);
/** What images are, as messages say it. */
export const imageKinds = [...EXTENSIONS].join(', ');
const TRAIN = 'train/';
const TESTS = ['test/', 'val/', 'validation/'] as const;
const CHANNELS = 3;
/** What all decoded images together may take: as much as a file of arrays. */
const MOST_BYTES = 2 ** 32;
/** How many names a message lists. */
const LISTED = 5;

interface Skipped {
  readonly path: string;
  readonly reason: string;
}

/**
 * The images of a folder and of all folders in it (.png, .jpg, .jpeg, .webp, .gif), decoded once by `sharp`, an optional peer, into u8 of one size: the
 * shorter side is scaled to `size` (Lanczos), and the middle square is kept. The EXIF rotation is applied; CMYK, grey and 16-bit images become
 * sRGB of three channels; what is transparent becomes white; of an animation the first frame counts. As many images are decoded at a time as
 * twice the cores, so that memory is what the result takes and a few images more.
 *
 * The folders in it are the classes, whatever lies between them and an image, if there are at least two. Where it has `train` and `test` (or `val`,
 * `validation`), these are the splits, each with its classes; else `testShare` of each class is kept for tests: the images whose paths have the
 * least digests, so that others stay where they are when images are added.
 *
 * Files that cannot be read or decoded are skipped, and named; hidden files and those of other kinds are left out, and counted.
 * @throws TensegrityError `data` without images, without any that can be decoded, with images beside folders of images, or without sharp;
 * `argument` for an option out of its range, and for more images of that size than memory is meant to hold; `storage`.
 */
export async function loadImageFolder(folder: string, given: ImageFolderOptions = {}): Promise<ImageFolder> {
  checkNames('loadImageFolder', given, { size: 0, testShare: 0, whole: 0, rows: 0, pairs: 0, onRemark: 0 });
  const { size = 32, testShare, whole = false, rows, pairs, onRemark = () => undefined } = given;
  check(
    Number.isSafeInteger(size) && size >= 1 && size <= 4096,
    'argument',
    () => `size, the height and width of decoded images, must be a whole number from 1 to 4096, got ${shown(size)}`,
  );
  check(
    testShare === undefined || (testShare >= 0 && testShare < 1),
    'argument',
    () => `testShare, the part of the images that is kept for tests, must be from 0 to below 1, got ${shown(testShare)}`,
  );
  const sharp = await findSharp();
  const { images: found, others } = await walk(folder);
  if (others.length > 0) onRemark(`${named(folder)}: left out ${countedKinds(others)}`);
  check(
    found.length > 0,
    'data',
    () => `${named(folder)} has no images in it (${imageKinds})${others.length === 0 ? ': it is empty' : `, only ${countedKinds(others)}`}`,
  );
  const images = pairs === undefined ? found : await paired(folder, found, pairs, onRemark);
  const roots = pairs === undefined ? [folder] : [folder, pairs];
  const { train: all, test, unused } = splitOf(folder, images, whole, testShare);
  const [start, stop] = rows?.(all.length) ?? [0, all.length];
  const train = all.slice(start, stop);
  if (unused > 0) onRemark(`${named(folder)}: left out ${unused} images beside its train and test folders`);
  const skipped: Skipped[] = [];
  const decoded: { -readonly [Split in 'train' | 'test']?: Decoded } = {};
  for (const [name, files] of [
    ['train', train],
    ['test', test],
  ] as const)
    if (files.length > 0) decoded[name] = await decodeAll(sharp, roots, files, size, skipped);
  if (skipped.length > 0) onRemark(`${named(folder)}: skipped ${skippedWords(skipped, train.length + test.length)}`);
  const classes = [...new Set([...train, ...test].flatMap(({ label }) => label ?? []))].sort();
  const split = (part: Decoded | undefined): ImageSplit | undefined => {
    if (part === undefined) return undefined;
    const labels = Int32Array.from(part.files, ({ label }) => classes.indexOf(label ?? ''));
    const [first, second] = part.pictures;
    return {
      images: first!,
      ...(second && { pairs: second }),
      ...(classes.length > 0 && { labels: { dtype: 'i32', shape: [labels.length], data: labels } }),
    };
  };
  for (const [name, part] of Object.entries(decoded))
    check(
      part.files.length > 0,
      'data',
      () => `${named(folder)}: none of the ${name} images can be decoded: ${skippedWords(skipped, images.length)}`,
    );
  const tested = split(decoded.test);
  return {
    train: split(decoded.train)!,
    ...(tested && { test: tested }),
    classes,
    files: { train: decoded.train!.files.map(({ path }) => path), test: decoded.test?.files.map(({ path }) => path) ?? [] },
    ...(rows && { part: { start, stop, of: all.length, listing: digestOf(all.map(({ path }) => path).join('\0')) } }),
  };
}

interface ImageFile {
  /** Within the folder. */
  readonly path: string;
  /** The folder that is its class. */
  readonly label: string | null;
}

/** All images within a folder, sorted by path, and what else is there, by kind. Links are followed, but not round. */
async function walk(root: string): Promise<{ images: string[]; others: string[] }> {
  const images: string[] = [];
  const others: string[] = [];
  const enter = async (within: string, above: readonly string[]): Promise<void> => {
    const folder = join(root, within);
    const place = await realpath(folder);
    if (above.includes(place)) return void others.push('a link to a folder that it is in');
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = `${within}${entry.name}`;
      if (entry.name.startsWith('.')) others.push('hidden');
      else if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(root, path)))))
        await enter(`${path}/`, [...above, place]);
      else if (EXTENSIONS.has(extname(entry.name).toLowerCase())) images.push(path);
      else others.push(extname(entry.name).toLowerCase() || 'without extension');
    }
  };
  await withStorageErrors('read', root, () => enter('', []));
  return { images: images.sort(), others };
}

/** The images that the other folder has at the same path. */
async function paired(folder: string, images: readonly string[], pairs: string, onRemark: (message: string) => void): Promise<string[]> {
  const there = new Set((await walk(pairs)).images);
  const both = images.filter((path) => there.has(path));
  check(
    both.length > 0,
    'data',
    () => `${named(pairs)} has no image at the path of one in ${named(folder)}; pairs must have the same names, as ${named(images[0]!)}`,
  );
  const alone = images.length + there.size - 2 * both.length;
  if (alone > 0) onRemark(`${named(folder)} and ${named(pairs)}: left out ${alone} images that only one of them has`);
  return both;
}

/** Whether a folder is at the path, links followed. */
export const isFolder = async (path: string): Promise<boolean> => (await stat(path).catch(() => null))?.isDirectory() ?? false;

function splitOf(
  folder: string,
  images: readonly string[],
  whole: boolean,
  testShare: number | undefined,
): { readonly train: readonly ImageFile[]; readonly test: readonly ImageFile[]; readonly unused: number } {
  const within = (prefix: string): string[] => images.filter((path) => path.startsWith(prefix));
  const tests = TESTS.find((prefix) => within(prefix).length > 0);
  if (!whole && tests !== undefined && within(TRAIN).length > 0) {
    check(
      testShare === undefined,
      'argument',
      () => `testShare is for a folder without test images of its own, and ${named(folder)} has ${named(tests)}`,
    );
    const parts = [TRAIN, tests].map((prefix) => withLabels(join(folder, prefix), within(prefix), prefix));
    const [train, test] = parts as [ImageFile[], ImageFile[]];
    const labelled = [train, test].map((files) => files.some(({ label }) => label !== null));
    check(
      labelled[0] === labelled[1],
      'data',
      () => `${named(folder)} has folders for classes in ${named(labelled[0] ? TRAIN : tests)} alone; make them in both, or in neither`,
    );
    return { train, test, unused: images.length - train.length - test.length };
  }
  const files = withLabels(folder, images, '');
  const share = whole ? 0 : (testShare ?? (files.some(({ label }) => label !== null) ? 0.2 : 0));
  const tested = new Set<ImageFile>();
  for (const own of grouped(files, ({ label }) => label).values()) {
    const ordered = own.map((file) => [digestOf(file.path), file] as const).sort(([a], [b]) => (a < b ? -1 : 1));
    // A class has an image to learn from.
    const count = Math.min(own.length - 1, Math.round(share * own.length));
    for (const [, file] of ordered.slice(0, count)) tested.add(file);
  }
  return { train: files.filter((file) => !tested.has(file)), test: files.filter((file) => tested.has(file)), unused: 0 };
}

function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

const digestOf = (path: string): string => createHash('sha256').update(path).digest('hex');

/** The images with the folders directly under `prefix` that they are in, if these are two or more. */
function withLabels(folder: string, images: readonly string[], prefix: string): ImageFile[] {
  const files = images.map((path) => {
    const [first, ...rest] = path.slice(prefix.length).split('/');
    return { path, label: rest.length > 0 ? first! : null };
  });
  const labels = new Set(files.flatMap(({ label }) => label ?? []));
  if (labels.size < 2) return files.map(({ path }) => ({ path, label: null }));
  const beside = files.filter(({ label }) => label === null);
  check(
    beside.length === 0,
    'data',
    () =>
      `${named(folder)} has ${labels.size} folders of images, which are classes, and beside them ${beside.length} images of none, as ${named(beside[0]!.path)}; move these into a class's folder, or out`,
  );
  return files;
}

interface Decoded {
  /** One array for each of the folders that the pictures are in. */
  readonly pictures: readonly HostArray[];
  readonly files: readonly ImageFile[];
}

/** Decodes the files of each folder into the rows of an array; what cannot be is put on the list. */
async function decodeAll(
  sharp: Sharp,
  roots: readonly string[],
  files: readonly ImageFile[],
  size: number,
  skipped: Skipped[],
): Promise<Decoded> {
  const plane = size * size;
  const stride = CHANNELS * plane;
  const bytes = files.length * stride;
  check(
    roots.length * bytes <= MOST_BYTES,
    'argument',
    () =>
      `${files.length} images of ${size}×${size} take ${((roots.length * bytes) / 2 ** 30).toFixed(1)} GiB decoded, more than ${MOST_BYTES / 2 ** 30}; choose a smaller size, or fewer images`,
  );
  const arrays = roots.map(() => new Uint8Array(bytes));
  const failed = new Set<number>();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let row = next++; row < files.length; row = next++) {
      const { path } = files[row]!;
      try {
        for (const [i, root] of roots.entries()) {
          const pixels = await decode(sharp, await readBytes(join(root, path)), size);
          for (let channel = 0; channel < CHANNELS; channel++) {
            const at = row * stride + channel * plane;
            for (let pixel = 0; pixel < plane; pixel++) arrays[i]![at + pixel] = pixels[pixel * CHANNELS + channel]!;
          }
        }
      } catch (cause) {
        failed.add(row);
        skipped.push({ path, reason: cause instanceof Error ? cause.message : String(cause) });
      }
    }
  };
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, work));
  const kept = files.flatMap((_, row) => (failed.has(row) ? [] : [row]));
  const pictures = arrays.map((data): HostArray => {
    // What is left moves up, in order.
    if (failed.size > 0) for (const [to, row] of kept.entries()) data.copyWithin(to * stride, row * stride, (row + 1) * stride);
    return { dtype: 'u8', shape: [kept.length, CHANNELS, size, size], data: data.subarray(0, kept.length * stride) };
  });
  return {
    pictures,
    files: kept.map((row) => files[row]!),
  };
}

/** What is used of sharp, which need not be here to compile. */
interface Pipeline {
  rotate(): Pipeline;
  resize(width: number, height: number, options: { readonly fit: 'cover'; readonly position: 'centre' }): Pipeline;
  flatten(options: { readonly background: string }): Pipeline;
  toColourspace(space: 'srgb'): Pipeline;
  raw(): Pipeline;
  toBuffer(options: { readonly resolveWithObject: true }): Promise<{ data: Uint8Array; info: { readonly channels: number } }>;
}
type Sharp = (input: Uint8Array, options: { readonly failOn: 'error'; readonly sequentialRead: true }) => Pipeline;

/** Pixels [size, size, 3]. */
async function decode(sharp: Sharp, file: Uint8Array, size: number): Promise<Uint8Array> {
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

/** '3 other files (2 .txt, 1 hidden)'. */
function countedKinds(kinds: readonly string[]): string {
  const counts = [...grouped(kinds, (kind) => kind)].map(([kind, all]) => `${all.length} ${kind}`);
  return `${kinds.length} other ${kinds.length === 1 ? 'file' : 'files'} (${counts.join(', ')})`;
}

function skippedWords(skipped: readonly Skipped[], of: number): string {
  const listed = skipped
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .slice(0, LISTED)
    .map(({ path, reason }) => `${named(path)} (${named(reason.split('\n')[0]!, 200)})`);
  return `${skipped.length} of ${of} images: ${listed.join(', ')}${skipped.length > LISTED ? ', …' : ''}`;
}
