import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import type { HostArray } from '../../engine/core.ts';
import { check, checkNames, named, type OwnInt32Array, type OwnUint8Array, show, shown, sizeOf } from '../../engine/internal.ts';
import { readBytes, withStorageErrors } from '../io/files.ts';
import { Backlog } from './backlog.ts';
import { channelStatistics, checkRows, completeSplit, type ImageDataset, type ImageSplit, type PendingRows } from './images.ts';
import { CHANNELS, decode, findSharp, lookAt, type Sharp } from './sharp.ts';

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
  /**
   * Whether images may come while they are in use: the splits are {@link ImageSplit.pending} then, as {@link loadImageFolder} says; false, unless given.
   */
  readonly background?: boolean | undefined;
  /** How many training images mean and deviation are of where images come in the background; 1024, unless given, or all. */
  readonly sample?: number | undefined;
  /** How many images are decoded at a time; 16, or twice the cores if that is more, unless given. */
  readonly concurrency?: number | undefined;
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
  /** What is known of images in the background: statistics of a sample of them, and what tells them from others. */
  readonly foreseen?: Pick<ImageDataset, 'mean' | 'deviation'> & Required<Pick<ImageDataset, 'contents'>>;
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif']);
/** What images are, as messages say it. */
export const imageKinds = [...EXTENSIONS].join(', ');
const TRAIN = 'train/';
const TESTS = ['test/', 'val/', 'validation/'] as const;
/** What all decoded images together may take: as much as a file of arrays. */
const MOST_BYTES = 2 ** 32;
/** More than are at work, so that some are at hand where the thread that hands them out is busy with a step. */
const LEAST_AT_A_TIME = 16;
/** How many names a message lists. */
const LISTED = 5;

interface Skipped {
  readonly path: string;
  readonly reason: string;
}

/**
 * The images of a folder and of all folders in it (.png, .jpg, .jpeg, .webp, .gif), decoded once by `sharp`, an optional peer, into u8 of one size: the
 * shorter side is scaled to `size` (Lanczos), and the middle square is kept. The EXIF rotation is applied; CMYK, grey and 16-bit images become
 * sRGB of three channels; what is transparent becomes white; of an animation the first frame counts. Memory is what the result takes and
 * a few images more, as many as are decoded at a time.
 *
 * The folders in it are the classes, whatever lies between them and an image, if there are at least two. Where it has `train` and `test` (or `val`,
 * `validation`), these are the splits, each with its classes; else `testShare` of each class is kept for tests: the images whose paths have the
 * least digests, so that others stay where they are when images are added.
 *
 * Files that cannot be read or decoded are skipped, and named; hidden files and those of other kinds are left out, and counted.
 *
 * In the `background`, files are only read at first: each is held to its SHA-256 from then on, and skipped if it is no image or lacks its end. Then a `sample`,
 * the training images whose files have the least digests, is decoded, and it returns; the others are decoded when they are waited for, and ahead
 * of that ({@link PendingRows}). What comes of it depends on the files alone, not on when they were decoded. An image that proves damaged inside is
 * named then; its row has a copy of the next image of its class (of any, if that has none), and {@link completeSplit} leaves it out.
 * @throws TensegrityError `data` without images, without any that can be decoded, with images beside folders of images, or without sharp;
 * `argument` for an option out of its range, and for more images of that size than memory is meant to hold; `storage`.
 */
export async function loadImageFolder(folder: string, given: ImageFolderOptions = {}): Promise<ImageFolder> {
  checkNames('loadImageFolder', given, {
    size: 0,
    testShare: 0,
    whole: 0,
    rows: 0,
    pairs: 0,
    background: 0,
    sample: 0,
    concurrency: 0,
    onRemark: 0,
  });
  const { size = 32, testShare, whole = false, rows, pairs, onRemark = () => undefined } = given;
  const { background = false, sample = 1024, concurrency = Math.max(LEAST_AT_A_TIME, 2 * availableParallelism()) } = given;
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
  const counts = [
    ['sample, how many images mean and deviation are of,', sample],
    ['concurrency, how many images are decoded at a time,', concurrency],
  ] as const;
  for (const [what, count] of counts)
    check(Number.isSafeInteger(count) && count >= 1, 'argument', () => `${what} must be a whole number from 1, got ${shown(count)}`);
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
  const listed = [...train, ...test];
  checkMemory(roots.length * listed.length, size);
  const skipped: Skipped[] = [];
  let told = 0;
  const onBroken = (file: Skipped): void => {
    skipped.push(file);
    if (background && ++told <= LISTED)
      onRemark(
        `${named(folder)}: ${withReason(file)} is damaged: training sees the next of its class in its place, scores leave it out${told === LISTED ? '; further ones are counted, once all are decoded' : ''}`,
      );
  };
  const decoder: Decoder = { sharp, roots, size, concurrency };
  const [own, tests] = [
    partOf(decoder, await examine(decoder, train, skipped), onBroken),
    partOf(decoder, await examine(decoder, test, skipped), onBroken),
  ];
  const tellSkipped = (): void => {
    if (skipped.length > 0) onRemark(`${named(folder)}: skipped ${skippedWords(skipped, listed.length)}`);
  };
  const checkLeft = (): void => {
    for (const [name, { length }, { files, broken }] of [
      ['train', train, own],
      ['test', test, tests],
    ] as const)
      check(
        length === 0 || files.length > broken.size,
        'data',
        () => `${named(folder)}: none of the ${name} images can be decoded: ${skippedWords(skipped, listed.length)}`,
      );
  };
  const count = own.files.length;
  let left = count + tests.files.length;
  const backlog = new Backlog(left, concurrency, async (item) => {
    await (item < count ? own.fill(item) : tests.fill(item - count));
    if (--left === 0 && background && told > LISTED) onRemark(`${named(folder)}: ${told} images were damaged, all in all`);
  });
  const classes = [...new Set(listed.flatMap(({ label }) => label ?? []))].sort();
  const folderOf = (trained: ImageSplit, tested: ImageSplit): ImageFolder => ({
    train: trained,
    ...(test.length > 0 && { test: tested }),
    classes,
    files: { train: pathsOf(own, background), test: pathsOf(tests, background) },
    ...(rows && { part: { start, stop, of: all.length, listing: digestOf(all.map(({ path }) => path).join('\0')) } }),
  });
  const splits = [
    imageSplit(own, classes, pendingOf(own, backlog, 0)),
    imageSplit(tests, classes, pendingOf(tests, backlog, count)),
  ] as const;
  if (background) {
    tellSkipped();
    checkLeft();
    const foreseen = await foresee(own, tests, sample, backlog);
    checkLeft();
    return { ...folderOf(...splits), foreseen };
  }
  await backlog.ready(rowsOf(count + tests.files.length));
  tellSkipped();
  checkLeft();
  return folderOf(await completeSplit(splits[0]), await completeSplit(splits[1]));
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

/** How images are decoded. */
interface Decoder {
  readonly sharp: Sharp;
  /** The folders in which each image has a picture. */
  readonly roots: readonly string[];
  readonly size: number;
  readonly concurrency: number;
}

interface FoundFile extends ImageFile {
  /** SHA-256 of each of its pictures. */
  readonly digests: readonly string[];
}

/** As a string of 32 characters, which is a third of the size that others have. */
const digestOfBytes = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('binary');

/** The files that can be read and seem to be whole images, which is settled by decoding where a look at their ends leaves a doubt. The others go on the list. */
async function examine(
  { sharp, roots, size, concurrency }: Decoder,
  files: readonly ImageFile[],
  skipped: Skipped[],
): Promise<FoundFile[]> {
  const found = new Array<FoundFile | null>(files.length).fill(null);
  const look = async (path: string): Promise<string> => {
    const bytes = await readBytes(path);
    const seen = lookAt(bytes);
    if (seen !== 'whole')
      await decode(sharp, bytes, size).catch((cause: unknown) => {
        throw seen === 'cut' ? new Error('its end is missing', { cause }) : cause;
      });
    return digestOfBytes(bytes);
  };
  const work = new Backlog(files.length, concurrency, async (item) => {
    const file = files[item]!;
    try {
      const digests: string[] = [];
      for (const root of roots) digests.push(await look(join(root, file.path)));
      found[item] = { ...file, digests };
    } catch (cause) {
      skipped.push({ path: file.path, reason: messageOf(cause) });
    }
  });
  await work.ready(rowsOf(files.length));
  return found.filter((file) => file !== null);
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
const rowsOf = (count: number): OwnInt32Array => Int32Array.from({ length: count }, (_, row) => row);

/** @throws TensegrityError `argument` for more than memory is meant to hold. */
function checkMemory(pictures: number, size: number): void {
  const bytes = pictures * CHANNELS * size * size;
  check(
    bytes <= MOST_BYTES,
    'argument',
    () =>
      `${pictures} images of ${size}×${size} take ${(bytes / 2 ** 30).toFixed(1)} GiB decoded, more than ${MOST_BYTES / 2 ** 30}; choose a smaller size, or fewer images`,
  );
}

/** A split in the making. */
interface Part {
  /** Of its rows. */
  readonly files: readonly FoundFile[];
  /** One array for each of the folders that the pictures are in. */
  readonly pictures: readonly HostArray[];
  /** Rows whose files turned out not to be decodable. */
  readonly broken: ReadonlySet<number>;
  /** Decodes a row. */
  readonly fill: (row: number) => Promise<void>;
}

function partOf({ sharp, roots, size }: Decoder, files: readonly FoundFile[], onBroken: (file: Skipped) => void): Part {
  const plane = size * size;
  const arrays = roots.map(() => new Uint8Array(files.length * CHANNELS * plane));
  const broken = new Set<number>();
  const put = (row: number, pictures: readonly Uint8Array[]): void => {
    for (const [i, pixels] of pictures.entries())
      for (let channel = 0; channel < CHANNELS; channel++) {
        const at = (row * CHANNELS + channel) * plane;
        for (let pixel = 0; pixel < plane; pixel++) arrays[i]![at + pixel] = pixels[pixel * CHANNELS + channel]!;
      }
  };
  const fill = async (row: number): Promise<void> => {
    for (const candidate of standIns(files, row)) {
      if (broken.has(candidate)) continue;
      const file = files[candidate]!;
      const pictures: Uint8Array[] = [];
      for (const [i, root] of roots.entries()) {
        const bytes = await readUnchanged(join(root, file.path), file.digests[i]!);
        const pixels = await decode(sharp, bytes, size).catch((cause: unknown) => {
          if (!broken.has(candidate)) onBroken({ path: file.path, reason: messageOf(cause) });
          broken.add(candidate);
          return null;
        });
        if (pixels === null) break;
        pictures.push(pixels);
      }
      if (pictures.length === roots.length) return put(row, pictures);
    }
  };
  const pictures = arrays.map((data): HostArray => ({ dtype: 'u8', shape: [files.length, CHANNELS, size, size], data }));
  return { files, pictures, broken, fill };
}

/** The row itself, those after it of its class, from the end on from the beginning, and then the others: the first that can be decoded is what it holds. */
function* standIns(files: readonly FoundFile[], row: number): Generator<number> {
  for (const same of [true, false])
    for (let i = 0; i < files.length; i++) {
      const candidate = (row + i) % files.length;
      if ((files[candidate]!.label === files[row]!.label) === same) yield candidate;
    }
}

/** @throws TensegrityError `data`, `storage` for a file that is not what it was. */
async function readUnchanged(path: string, digest: string): Promise<OwnUint8Array> {
  const bytes = await readBytes(path);
  check(
    digestOfBytes(bytes) === digest,
    'data',
    () => `${named(path)} has changed while its folder was in use; put back what was there, and go on, or begin anew`,
  );
  return bytes;
}

function imageSplit({ files, pictures: [images, pairs] }: Part, classes: readonly string[], pending: PendingRows): ImageSplit {
  const labels = Int32Array.from(files, ({ label }) => classes.indexOf(label ?? ''));
  return {
    images: images!,
    ...(pairs && { pairs }),
    ...(classes.length > 0 && { labels: { dtype: 'i32', shape: [labels.length], data: labels } }),
    pending,
  };
}

/** The rows of a part, whose first is an item of the backlog. */
function pendingOf({ files, broken }: Part, backlog: Backlog, first: number): PendingRows {
  const items = (rows: ArrayLike<number>): OwnInt32Array => {
    checkRows('pending', rows, files.length);
    return Int32Array.from(rows, (row) => row + first);
  };
  return {
    ready: async (rows) => backlog.ready(items(rows)),
    ahead: (rows) => backlog.ahead(items(rows)),
    has: (row) => backlog.has(row + first),
    broken,
  };
}

/**
 * What can be said of images before all are decoded: statistics of a sample of the training images, those whose files have the least digests, and the
 * digests of all files, with that of the sample's pixels: another version of sharp may make others of the same files.
 */
async function foresee(own: Part, tests: Part, count: number, backlog: Backlog): Promise<NonNullable<ImageFolder['foreseen']>> {
  const { files, broken, pictures } = own;
  const digest = (row: number): string => files[row]!.digests[0]!;
  const order = rowsOf(files.length).sort((a, b) => (digest(a) < digest(b) ? -1 : digest(a) > digest(b) ? 1 : a - b));
  const sample: number[] = [];
  for (let next = 0; sample.length < count && next < order.length; ) {
    const more = order.subarray(next, next + count - sample.length);
    await backlog.ready(more);
    sample.push(...more.filter((row) => !broken.has(row)));
    next += more.length;
  }
  const words = (part: Part, i: number, decoded: readonly number[]): string => {
    const { dtype, shape, data } = part.pictures[i]!;
    const [stored, seen] = [createHash('sha256'), createHash('sha256')];
    for (const { digests } of part.files) stored.update(digests[i]!, 'latin1');
    const size = sizeOf(shape.slice(1));
    for (const row of decoded) seen.update(data.subarray(row * size, (row + 1) * size));
    const pixels = decoded.length === 0 ? '' : `, of ${decoded.length} decoded ${seen.digest('hex')}`;
    return `${dtype} ${show(shape)}, SHA-256 of the files ${stored.digest('hex')}${pixels}`;
  };
  return {
    ...channelStatistics(pictures[0]!, sample),
    contents: {
      images: words(own, 0, sample),
      testImages: tests.files.length === 0 ? null : words(tests, 0, []),
      ...(pictures.length > 1 && { pairs: words(own, 1, sample) }),
    },
  };
}

/** Where the images of the rows lie: of those that are there, or of all that there may be. */
function pathsOf({ files, broken }: Part, all: boolean): string[] {
  return files.flatMap(({ path }, row) => (all || !broken.has(row) ? [path] : []));
}

/** '3 other files (2 .txt, 1 hidden)'. */
function countedKinds(kinds: readonly string[]): string {
  const counts = [...grouped(kinds, (kind) => kind)].map(([kind, all]) => `${all.length} ${kind}`);
  return `${kinds.length} other ${kinds.length === 1 ? 'file' : 'files'} (${counts.join(', ')})`;
}

const withReason = ({ path, reason }: Skipped): string => `${named(path)} (${named(reason.split('\n')[0]!, 200)})`;

function skippedWords(skipped: readonly Skipped[], of: number): string {
  const listed = skipped
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .slice(0, LISTED)
    .map(withReason);
  return `${skipped.length} of ${of} images: ${listed.join(', ')}${skipped.length > LISTED ? ', …' : ''}`;
}
