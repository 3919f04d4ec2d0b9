import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { check, checkNames, isFloat, named, show, shown } from '../../engine/internal.ts';
import { LABEL_NUMBERS } from '../io/elements.ts';
import { readArray, readBytes, readRows, refuseLinkToNothing, withStorageErrors } from '../io/files.ts';
import { parseCifar } from './cifar.ts';
import { checkMd5, downloadBytes, downloadFiles } from './download.ts';
import { inflateIdx, parseIdx } from './idx.ts';
import { type ImageFolderOptions, imageKinds, isFolder, loadImageFolder } from './imageFolder.ts';
import { channelStatistics, type ImageDataset, type ImageSplit, labelsIn, takeSplit } from './images.ts';

export interface DatasetOptions extends ImageFolderOptions {
  /** Where to look first, and where to download to (`--data-dir`). Default: TENSEGRITY_DATA, then the cache folder. */
  readonly folder?: string;
  /** For a .npy of images: a .npy of their classes (`--labels`), and the same for test images. */
  readonly labels?: string;
  readonly testImages?: string;
  readonly testLabels?: string;
  /** Fetches at most `largest` bytes; `null` stays off the network. Default {@link downloadBytes}. */
  readonly download?: ((address: string, largest: number) => Promise<Uint8Array>) | null;
  /** Told of each file before it is downloaded. */
  readonly onDownload?: (address: string, path: string) => void;
  /** Default process.env: TENSEGRITY_DATA, XDG_CACHE_HOME. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

const optionNames: Readonly<Record<keyof DatasetOptions, 0>> = {
  folder: 0,
  size: 0,
  testShare: 0,
  whole: 0,
  rows: 0,
  pairs: 0,
  background: 0,
  sample: 0,
  concurrency: 0,
  onRemark: 0,
  labels: 0,
  testImages: 0,
  testLabels: 0,
  download: 0,
  onDownload: 0,
  environment: 0,
};

/** How a kind of data set is spread over files. */
interface Layout {
  /** Each may also be there gzipped, with `.gz` after its name. */
  readonly files: readonly string[];
  readonly read: (contents: readonly Uint8Array[]) => { readonly train: ImageSplit; readonly test: ImageSplit };
}

interface Source {
  readonly layout: LayoutName;
  readonly classes: readonly string[];
  /** The names its folder goes by inside a data folder: ours, torchvision's, the archive's; '.' where the data folder may hold the files itself. */
  readonly folderNames: readonly string[];
  /** Folders to look in besides those that the user names. */
  readonly otherFolders?: readonly string[];
  /** Where the gzipped files are downloaded from, and the MD5 of each file's content, in the layout's order. */
  readonly published?: { readonly address: string; readonly md5: readonly string[] };
  /** How a person gets it by hand. */
  readonly remedies: readonly string[];
}

function idxSplit(images: Uint8Array | undefined, labels: Uint8Array | undefined, what: string): ImageSplit {
  const pixels = parseIdx(images ?? new Uint8Array());
  const [count, height, width] = pixels.shape;
  if (pixels.dtype !== 'u8' || count === undefined || height === undefined || width === undefined || pixels.shape.length !== 3) {
    throw new TensegrityError(
      'data',
      `${what} images must be unsigned bytes [count, height, width], not ${pixels.dtype} ${show(pixels.shape)}`,
    );
  }
  return { images: { ...pixels, shape: [count, 1, height, width] }, labels: asLabels(parseIdx(labels ?? new Uint8Array()), what) };
}

const layouts = {
  idx: {
    files: ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'],
    read: ([trainImages, trainLabels, testImages, testLabels]) => ({
      train: idxSplit(trainImages, trainLabels, 'training'),
      test: idxSplit(testImages, testLabels, 'test'),
    }),
  },
  cifar10: {
    files: ['data_batch_1.bin', 'data_batch_2.bin', 'data_batch_3.bin', 'data_batch_4.bin', 'data_batch_5.bin', 'test_batch.bin'],
    read: (contents) => ({ train: parseCifar(contents.slice(0, -1), 'cifar10'), test: parseCifar(contents.slice(-1), 'cifar10') }),
  },
  cifar100: {
    files: ['train.bin', 'test.bin'],
    read: (contents) => ({ train: parseCifar(contents.slice(0, -1), 'cifar100'), test: parseCifar(contents.slice(-1), 'cifar100') }),
  },
} as const satisfies Readonly<Record<string, Layout>>;

type LayoutName = keyof typeof layouts;

const FASHION_CLASSES = ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'];
const CIFAR10_CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, label) => String(label));
}

/** From the source and from dist/, where this file lies one folder deeper. */
const embeddedFolders = ['../../data', '../../../data'].map((folder) =>
  fileURLToPath(new URL(`${folder}/fashion-mnist-subset`, import.meta.url)),
);

/** The data sets known by name. */
const sources: Readonly<Record<string, Source>> = {
  'fashion-mnist-subset': {
    layout: 'idx',
    classes: FASHION_CLASSES,
    folderNames: [],
    otherFolders: embeddedFolders,
    remedies: [
      'clone the repository of tensegrity: it is in data/fashion-mnist-subset, and not in the published package',
      'use the whole data set instead: fashion-mnist',
    ],
  },
  'fashion-mnist': {
    layout: 'idx',
    classes: FASHION_CLASSES,
    folderNames: ['fashion-mnist', 'FashionMNIST/raw', '.'],
    otherFolders: ['/usr/share/datasets/fashion-mnist'],
    published: {
      address: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
      md5: [
        'f4a8712d7a061bf5bd6d2ca38dc4d50a',
        '9018921c3c673c538a1fc5bad174d6f9',
        '8181f5470baa50b63fa0f6fddb340f0a',
        '15d484375f8d13e6eb1aabb0c3f46965',
      ],
    },
    remedies: ["install Debian's package: apt install dataset-fashion-mnist"],
  },
  mnist: {
    layout: 'idx',
    classes: numbered(10),
    folderNames: ['mnist', 'MNIST/raw', '.'],
    published: {
      address: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
      md5: [
        '6bbc9ace898e44ae57da46a324031adb',
        'a25bea736e30d166cdddb491f175f624',
        '2646ac647ad5339dbf082846283269ea',
        '27ae3e4e09519cfbb04c329615203637',
      ],
    },
    remedies: [],
  },
  cifar10: {
    layout: 'cifar10',
    classes: CIFAR10_CLASSES,
    folderNames: ['cifar10', 'cifar-10-batches-bin', '.'],
    remedies: ['download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz and unpack it there'],
  },
  cifar100: {
    layout: 'cifar100',
    classes: numbered(100),
    folderNames: ['cifar100', 'cifar-100-binary', '.'],
    remedies: ['download https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz and unpack it there'],
  },
};

/** The names that {@link loadDataset} knows. */
export const datasetNames: readonly string[] = Object.keys(sources);

/** More different labels than these are no classes, but measurements. */
const MOST_CLASSES = 65_536;

function asLabels({ shape, data, dtype }: HostArray, what: string): HostArray {
  if (shape.length !== 1 || (dtype !== 'u8' && dtype !== 'i32')) {
    const remedies = [
      [shape.length === 2 && shape.includes(1), 'labels.ravel() has a single axis'],
      [shape.length === 2 && !shape.includes(1), 'labels.argmax(1) is the place of the largest in each row'],
      [shape.length === 1 && isFloat(dtype), `labels.astype('<i4') has whole numbers, and ${LABEL_NUMBERS} numbers any classes`],
    ] as const;
    const remedy = remedies.flatMap(([fits, words]) => (fits ? [`; in NumPy, ${words}`] : [])).join('');
    throw new TensegrityError('data', `${what} labels must be whole numbers [count], not ${dtype} ${show(shape)}${remedy}`, {
      shape,
      dtype,
    });
  }
  return { dtype: 'i32', shape, data: Int32Array.from(data) };
}

/** @param classes how many the data set has names for; any number of them, unless given. */
function checkSplit({ images, labels, pairs }: ImageSplit, classes: number | undefined, what: string): void {
  const [count] = images.shape;
  if (count === 0) throw new TensegrityError('data', `there are no ${what} images`);
  if (pairs !== undefined && (pairs.dtype !== images.dtype || show(pairs.shape) !== show(images.shape)))
    throw new TensegrityError(
      'data',
      `pairs are ${pairs.dtype} ${show(pairs.shape)}, ${what} images ${images.dtype} ${show(images.shape)}; each image needs a pair like it`,
    );
  if (labels === undefined) return;
  if (labels.shape[0] !== count)
    throw new TensegrityError('data', `there are ${count} ${what} images, but ${labels.shape[0]} labels; each image needs one`, {
      count,
      labels: labels.shape[0],
    });
  const wrong = labels.data.findIndex((label) => label < 0 || label >= (classes ?? Infinity));
  if (wrong >= 0)
    throw new TensegrityError(
      'data',
      `${what} image ${wrong} has label ${labels.data[wrong]}; labels are ${classes === undefined ? `whole numbers from 0; leave images without a class out, or number the labels anew: ${LABEL_NUMBERS}` : `0 … ${classes - 1}`}`,
      { index: wrong, label: labels.data[wrong] },
    );
}

function assemble(
  name: string,
  splits: { readonly train: ImageSplit; readonly test?: ImageSplit },
  knownClasses?: readonly string[],
  scale?: Pick<ImageDataset, 'mean' | 'deviation'>,
): ImageDataset {
  const { train, test } = splits;
  checkSplit(train, knownClasses?.length, 'training');
  if (test !== undefined) {
    checkSplit(test, knownClasses?.length, 'test');
    if (test.images.dtype !== train.images.dtype || show(test.images.shape.slice(1)) !== show(train.images.shape.slice(1))) {
      throw new TensegrityError(
        'data',
        `${named(name)}: test images are ${test.images.dtype} ${show(test.images.shape)}, training images ${train.images.dtype} ${show(train.images.shape)}; all but the count must agree`,
      );
    }
  }
  const classes = knownClasses ?? labelsIn(name, ...[train, test].flatMap((split) => split?.labels ?? [])).map(String);
  if (classes.length > MOST_CLASSES)
    throw new TensegrityError('data', `${named(name)} has ${classes.length} different labels; classes are at most ${MOST_CLASSES}`, {
      classes: classes.length,
    });
  return { name, ...splits, classes, ...(scale ?? channelStatistics(train.images)) };
}

async function namesIn(folder: string): Promise<ReadonlySet<string>> {
  const names = await withStorageErrors('read', folder, () =>
    readdir(folder).catch(async (cause: NodeJS.ErrnoException) => {
      // A folder that is not there holds nothing; one that cannot be looked into might.
      if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') throw cause;
      await refuseLinkToNothing(folder);
      return [];
    }),
  );
  return new Set(names);
}

/** The file names under which a layout's files lie in a folder; undefined for those that are missing. */
async function locate(folder: string, layout: Layout): Promise<(string | undefined)[]> {
  const names = await namesIn(folder);
  return layout.files.map((file) => [`${file}.gz`, file].find((name) => names.has(name)));
}

async function readFolder(folder: string, name: string, layoutName: LayoutName, source?: Source): Promise<ImageDataset> {
  const layout: Layout = layouts[layoutName];
  const contents: Uint8Array[] = [];
  for (const [index, file] of (await locate(folder, layout)).entries()) {
    const path = join(folder, file ?? layout.files[index]!);
    try {
      const content = await inflateIdx(await readBytes(path, 2 ** 30));
      checkMd5(content, source?.published?.md5[index], name);
      contents.push(content);
    } catch (cause) {
      damaged(path, cause);
    }
  }
  try {
    return assemble(name, layout.read(contents), source?.classes);
  } catch (cause) {
    return damaged(folder, cause);
  }
}

/** Adds to a complaint about a file which one it is, and what to do. */
function damaged(path: string, cause: unknown): never {
  if (!(cause instanceof TensegrityError) || cause.code === 'storage') throw cause;
  throw new TensegrityError(
    cause.code,
    `${named(path)}: ${cause.message}; remove it and get it anew, or name another folder`,
    { path, ...cause.details },
    cause,
  );
}

async function loadNamed(name: string, source: Source, options: DatasetOptions): Promise<ImageDataset> {
  const environment = options.environment ?? process.env;
  const given = options.folder ?? environment['TENSEGRITY_DATA'];
  const cache = join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tensegrity');
  const within = (folder: string): string[] => source.folderNames.map((folderName) => join(folder, folderName));
  const looked = [...(given ? within(given) : []), ...(source.otherFolders ?? []), ...within(cache)];
  const layout: Layout = layouts[source.layout];
  for (const folder of looked) {
    if ((await locate(folder, layout)).every((file) => file !== undefined)) return readFolder(folder, name, source.layout, source);
  }
  const { published } = source;
  const target = join(given || cache, name);
  const fetchBytes = options.download === undefined ? downloadBytes : options.download;
  let reason: unknown;
  if (published !== undefined && fetchBytes !== null) {
    try {
      const files = layout.files.map((file, index) => ({ name: `${file}.gz`, md5: published.md5[index] }));
      await downloadFiles(published.address, target, files, name, fetchBytes, options.onDownload);
      return await readFolder(target, name, source.layout, source);
    } catch (cause) {
      if (!(cause instanceof TensegrityError) || cause.code === 'storage') throw cause;
      reason = cause;
    }
  }
  const ways = [
    ...source.remedies,
    ...(published === undefined
      ? []
      : [`connect to the network and run this again: the files are downloaded from ${published.address} into ${named(target)}`]),
    ...(source.folderNames.length === 0
      ? []
      : [`put ${layout.files.join(', ')} (each as it is, or as .gz) into a folder and name it with --data-dir or TENSEGRITY_DATA`]),
  ];
  throw new TensegrityError(
    'data',
    `the data set ${name} is not here${reason instanceof Error ? `, and downloading it failed: ${reason.message}` : ''}. Any one of these brings it:\n${ways.map((way, index) => `  ${index + 1}. ${way}`).join('\n')}\nLooked in ${looked.map((folder) => named(folder)).join(', ')}`,
    { name, looked },
    reason,
  );
}

/** How many channels an image has most often. */
const CHANNELS: readonly (number | undefined)[] = [1, 3];

/** Where the last axis is this short and those before are longer, it holds channels (grey and alpha, or colour and alpha, at most). */
const MOST_CHANNELS = 4;

/** A .npy array, or its rows from `first` on, as images [count, channels, height, width]. */
function asImages(array: HostArray, path: string, first = 0): HostArray {
  const { dtype, shape, data } = array;
  const fail = (expected: string): never => {
    throw new TensegrityError('data', `${named(path)}: cannot take ${dtype} ${show(shape)} for images; expected ${expected}`, {
      path,
      dtype,
      shape,
    });
  };
  const [count = 0, second = 0, third = 0, fourth] = shape;
  if (fourth === undefined ? shape.length !== 3 : shape.length !== 4)
    return fail('[count, channels, height, width] or, with one channel, [count, height, width]');
  if (shape.includes(0)) return fail('at least one image of at least one pixel');
  if (dtype === 'i32') return fail("f32, used as it is, or u8, which is normalised (in NumPy: array.astype('u1') for values 0 … 255)");
  const values = dtype === 'f64' ? Float32Array.from(data) : data;
  const type = dtype === 'f64' ? 'f32' : dtype;
  if (type === 'f32') {
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) return fail(`finite f32 values, and element ${(first * data.length) / count + wrong} is ${data[wrong]}`);
  }
  if (fourth === undefined) return { dtype: type, shape: [count, 1, second, third], data: values };
  if (type === 'f32') {
    // Trained as they are, rows would count as channels, and nothing would say so.
    if (fourth <= MOST_CHANNELS && second > MOST_CHANNELS && third > MOST_CHANNELS)
      return fail(
        `[count, channels, height, width], and this looks like channels last; in NumPy, array.transpose(0, 3, 1, 2) gives ${show([count, fourth, second, third])}`,
      );
    return { dtype: type, shape, data: values };
  }
  const usual = [CHANNELS.includes(second), CHANNELS.includes(fourth)];
  const [channelsFirst, channelsLast] = usual.includes(true) ? usual : [second <= MOST_CHANNELS, fourth <= MOST_CHANNELS];
  if (channelsFirst === channelsLast) {
    return fail(
      `1 to ${MOST_CHANNELS} channels in either the second place, [count, channels, height, width], or the last, and here they may be in ${channelsFirst ? 'both' : 'neither'}; save as f32 [count, channels, height, width], in [0, 1], to settle it`,
    );
  }
  return channelsFirst ? array : channelsLastToFirst(data, count, second, third, fourth);
}

function channelsLastToFirst(data: ArrayLike<number>, count: number, height: number, width: number, channels: number): HostArray {
  const result = new Uint8Array(data.length);
  const plane = height * width;
  for (let image = 0, source = 0; image < count; image++) {
    for (let pixel = 0; pixel < plane; pixel++) {
      for (let channel = 0; channel < channels; channel++) result[(image * channels + channel) * plane + pixel] = data[source++]!;
    }
  }
  return { dtype: 'u8', shape: [count, channels, height, width], data: result };
}

async function npySplit(imagesPath: string, labelsPath: string | undefined): Promise<ImageSplit> {
  const images = asImages(await readArray(imagesPath), imagesPath);
  return labelsPath === undefined ? { images } : { images, labels: asLabels(await readArray(labelsPath), `${named(labelsPath)}:`) };
}

/** Rows of a .npy of images, of which the others are not read. */
async function loadRows(path: string, rows: NonNullable<DatasetOptions['rows']>): Promise<ImageDataset> {
  const { rows: array, start, of } = await readRows(path, rows);
  const images = asImages(array, path, start);
  return { ...assemble(basename(path, '.npy'), { train: { images } }), part: { start, stop: start + images.shape[0]!, of } };
}

/** Rows of a data set that is here as a whole. */
function rowsOf(dataset: ImageDataset, rows: NonNullable<DatasetOptions['rows']>): ImageDataset {
  const of = dataset.train.images.shape[0]!;
  const [start, stop] = rows(of);
  const train = takeSplit(
    dataset.train,
    Array.from({ length: stop - start }, (_, i) => start + i),
  );
  return { ...dataset, train, part: { start, stop, of } };
}

async function loadArrays(path: string, { labels, testImages, testLabels, pairs }: DatasetOptions): Promise<ImageDataset> {
  if (testLabels !== undefined && testImages === undefined)
    throw new TensegrityError('argument', 'labels of test images are given, but no test images');
  const images = await npySplit(path, labels);
  const train = pairs === undefined ? images : { ...images, pairs: (await npySplit(pairs, undefined)).images };
  return assemble(basename(path, '.npy'), testImages === undefined ? { train } : { train, test: await npySplit(testImages, testLabels) });
}

async function loadFolder(path: string, options: DatasetOptions): Promise<ImageDataset> {
  for (const layoutName of ['idx', 'cifar10', 'cifar100'] as const) {
    if ((await locate(path, layouts[layoutName])).every((file) => file !== undefined)) return readFolder(path, basename(path), layoutName);
  }
  const names = await namesIn(path);
  const known = Object.values(layouts).map(({ files }): readonly string[] => files);
  const [incomplete] = known.filter((files) => files.some((file) => names.has(file) || names.has(`${file}.gz`)));
  if (incomplete)
    throw new TensegrityError('data', `${named(path)} has a part of a data set in it, which would be ${incomplete.join(', ')}`, { path });
  const { size, testShare, whole, rows, pairs, background, sample, concurrency, onRemark } = options;
  const loaded = await loadImageFolder(path, { size, testShare, whole, rows, pairs, background, sample, concurrency, onRemark });
  const { classes, files, part, foreseen, ...splits } = loaded;
  const dataset = assemble(basename(path), splits, classes, foreseen);
  return { ...dataset, files, ...(part && { part }), ...(foreseen && { contents: foreseen.contents }) };
}

/**
 * A data set by name, from a folder of images (see {@link loadImageFolder}), or of IDX or CIFAR binary files, or from a .npy of images.
 *
 * By name ({@link datasetNames}): looked for in `folder` or TENSEGRITY_DATA, the system's folder (Debian's `/usr/share/datasets`), and the cache
 * (`$XDG_CACHE_HOME/tensegrity`, `~/.cache/tensegrity`); else downloaded, where it has an address. Every file's content is held against its published
 * checksum; a download is written aside and renamed, so one that is broken off leaves nothing half, and begins again with the file it was at.
 *
 * A .npy: float images are used as they are, [count, channels, height, width] (up to 4 channels last are refused); u8 ones are given with the mean and deviation to normalise them by,
 * and may have their channels, up to 4, last. [count, height, width] has one channel.
 *
 * With `rows` the training images are those alone, and mean and deviation are of them; of a .npy, or a folder of images, no others are read.
 *
 * @param nameOrPath a name, a folder, or a path that ends in `.npy`.
 * @returns u8 or f32 images and i32 labels; no test split where a .npy comes without test images.
 * @throws TensegrityError `data` if it is absent (the message gives the ways to get it) or its content is wrong; `format` for a damaged file; `storage`.
 */
export async function loadDataset(nameOrPath: string, options: DatasetOptions = {}): Promise<ImageDataset> {
  checkNames('loadDataset', options, optionNames);
  check(typeof nameOrPath === 'string', 'argument', () => `loadDataset: takes a name or a path, got ${shown(nameOrPath)}`);
  const { rows } = options;
  if (rows && nameOrPath.endsWith('.npy')) return loadRows(nameOrPath, rows);
  const dataset = await loadWhole(nameOrPath, options);
  return rows && !dataset.part ? rowsOf(dataset, rows) : dataset;
}

async function loadWhole(nameOrPath: string, options: DatasetOptions): Promise<ImageDataset> {
  const source = Object.hasOwn(sources, nameOrPath) ? sources[nameOrPath] : undefined;
  if (source !== undefined) return loadNamed(nameOrPath, source, options);
  if (nameOrPath.endsWith('.npy')) return loadArrays(nameOrPath, options);
  if ((await namesIn(nameOrPath)).size > 0 || (await isFolder(nameOrPath))) return loadFolder(nameOrPath, options);
  throw new TensegrityError(
    'data',
    `there is no data set ${shown(nameOrPath)}; give one of ${datasetNames.join(', ')}, a .npy of images, or a folder of images (${imageKinds}), or of IDX or CIFAR binary files`,
    { name: nameOrPath },
  );
}
