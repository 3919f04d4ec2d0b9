import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { named } from '../engine/arguments.ts';
import type { HostArray } from '../engine/dtype.ts';
import { show } from '../engine/shape.ts';
import type { ImageDataset } from '../models/data/images.ts';
import { datasetNames, loadDataset } from '../models/data/node.ts';
import { asUsage, type Input, type OptionTable } from './options.ts';
import { remark } from './text.ts';

/** Of a folder of images. */
export const sizeOption: OptionTable = {
  size: {
    type: 'string',
    value: 'N',
    help: 'of a folder: height and width of its images, whose shorter side is scaled to it, and the middle kept (32)',
  },
};

export const datasetOptions: OptionTable = {
  data: {
    type: 'string',
    value: 'NAME|FILE.npy|FOLDER',
    help: 'fashion-mnist-subset (embedded, the default), fashion-mnist, mnist, cifar10, cifar100, a .npy of images, or a folder of images (png, jpeg, webp, gif), whose folders are classes; that needs npm install sharp',
  },
  'data-dir': { type: 'string', value: 'FOLDER', help: 'where the data set is, or is downloaded to' },
  labels: { type: 'string', value: 'FILE.npy', help: "classes of a .npy's images" },
  pairs: {
    type: 'string',
    value: 'FILE.npy|FOLDER',
    help: 'another picture of each image, at its place: every other view is of it (none: all views are of the image)',
  },
  'test-images': { type: 'string', value: 'FILE.npy', help: 'test images for a .npy' },
  'test-labels': { type: 'string', value: 'FILE.npy', help: 'and their classes' },
  ...sizeOption,
  'test-share': {
    type: 'string',
    value: 'X',
    help: 'of a folder that has no train and test in it: part of each class that is kept for tests (.2; 0 without classes)',
  },
};

/** Where a run's data comes from, as its folder remembers it. */
export interface DataSource {
  readonly data: string;
  readonly folder?: string;
  readonly labels?: string;
  readonly testImages?: string;
  readonly testLabels?: string;
  readonly size?: number;
  readonly testShare?: number;
  readonly pairs?: string;
}

/**
 * Paths are made absolute, so that a run can go on from any folder.
 * @param of other names of the options, for a second data set.
 */
export function dataSource(input: Input, of: Readonly<Record<string, string>> = {}): DataSource {
  const given = { pairs: 'pairs', folder: 'data-dir', labels: 'labels', testImages: 'test-images', testLabels: 'test-labels' };
  const paths = Object.entries(given).flatMap(([name, option]) => {
    const path = input.text(of[option] ?? option);
    return path === undefined ? [] : [[name, resolve(path)] as const];
  });
  const data = input.text(of['data'] ?? 'data') ?? 'fashion-mnist-subset';
  const [size, testShare] = [input.whole('size', 1), input.number('test-share')];
  return {
    data: datasetNames.includes(data) ? data : resolve(data),
    ...Object.fromEntries(paths),
    ...(size !== undefined && { size }),
    ...(testShare !== undefined && { testShare }),
  };
}

/** The files and folders that a source names. */
export function placesOf(source: DataSource): string[] {
  return Object.entries(source).flatMap(([, place]) => (typeof place === 'string' ? [place] : []));
}

const ofArrays = ['labels', 'test-images', 'test-labels'];
const ofFolders = ['size', 'test-share'];

/** @throws UsageError for options that say nothing of such a source. */
export function checkDatasetOptions(input: Input, { data }: DataSource): void {
  if (datasetNames.includes(data)) input.refuse(['pairs', ...ofArrays, ...ofFolders], `${data} has its own images and labels`);
  else if (data.endsWith('.npy')) input.refuse(['data-dir', ...ofFolders], `${named(data)} is a file of images`);
  else input.refuse(['data-dir', ...ofArrays], `${named(data)} is a folder, with its own labels and test images`);
}

/** What the data of a run is, whatever files hold it: the element type, shape and SHA-256 digest of each part, and how images are normalised. */
export interface DataIdentity {
  readonly images: string;
  readonly labels: string | null;
  readonly testImages: string | null;
  readonly testLabels: string | null;
  /** Absent where there are none. */
  readonly pairs?: string;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** An array as its element type, shape and SHA-256 digest. */
export function arrayIdentity({ dtype, shape, data }: HostArray): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${dtype} ${show(shape)}, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

export function identityOf({ train, test, contents, mean, deviation }: ImageDataset): DataIdentity {
  const digest = (array: HostArray | undefined): string | null => (array ? arrayIdentity(array) : null);
  return {
    images: contents?.images ?? digest(train.images)!,
    labels: digest(train.labels),
    testImages: contents ? contents.testImages : digest(test?.images),
    testLabels: digest(test?.labels),
    ...(train.pairs && { pairs: contents?.pairs ?? digest(train.pairs)! }),
    mean,
    deviation,
  };
}

/** The data of a source; images of a folder are decoded while they are in use. */
export function openDataset({ data, ...options }: DataSource): Promise<ImageDataset> {
  const onDownload = (address: string, path: string): void => remark(`downloading ${address} to ${named(path)}`);
  return asUsage(() => loadDataset(data, { ...options, background: true, onRemark: remark, onDownload }));
}
