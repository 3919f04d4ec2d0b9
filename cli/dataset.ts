import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { named } from '../engine/arguments.ts';
import type { HostArray } from '../engine/dtype.ts';
import { show } from '../engine/shape.ts';
import type { ImageDataset } from '../models/data/images.ts';
import { datasetNames, loadDataset } from '../models/data/node.ts';
import type { Input, OptionTable } from './options.ts';
import { remark } from './text.ts';

export const datasetOptions: OptionTable = {
  data: {
    type: 'string',
    value: 'NAME|FILE.npy',
    help: 'fashion-mnist-subset (embedded, the default), fashion-mnist, mnist, cifar10, cifar100, or a .npy of images',
  },
  'data-dir': { type: 'string', value: 'FOLDER', help: 'where the data set is, or is downloaded to' },
  labels: { type: 'string', value: 'FILE.npy', help: "classes of a .npy's images" },
  'test-images': { type: 'string', value: 'FILE.npy', help: 'test images for a .npy' },
  'test-labels': { type: 'string', value: 'FILE.npy', help: 'and their classes' },
};

/** Where a run's data comes from, as its folder remembers it. */
export interface DataSource {
  readonly data: string;
  readonly folder?: string;
  readonly labels?: string;
  readonly testImages?: string;
  readonly testLabels?: string;
}

/** Paths are made absolute, so that a run can go on from any folder. */
export function dataSource(input: Pick<Input, 'text'>): DataSource {
  const given = { folder: 'data-dir', labels: 'labels', testImages: 'test-images', testLabels: 'test-labels' };
  const paths = Object.entries(given).flatMap(([name, option]) => {
    const path = input.text(option);
    return path === undefined ? [] : [[name, resolve(path)] as const];
  });
  const data = input.text('data') ?? 'fashion-mnist-subset';
  return { data: datasetNames.includes(data) ? data : resolve(data), ...Object.fromEntries(paths) };
}

/** What the data of a run is, whatever files hold it: the element type, shape and SHA-256 digest of each part, and how images are normalised. */
export interface DataIdentity {
  readonly images: string;
  readonly labels: string | null;
  readonly testImages: string | null;
  readonly testLabels: string | null;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

export function identityOf({ train, test, mean, deviation }: ImageDataset): DataIdentity {
  const digest = (array: HostArray | undefined): string | null => {
    if (!array) return null;
    const { dtype, shape, data } = array;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return `${dtype} ${show(shape)}, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}`;
  };
  return {
    images: digest(train.images)!,
    labels: digest(train.labels),
    testImages: digest(test?.images),
    testLabels: digest(test?.labels),
    mean,
    deviation,
  };
}

export function openDataset({ data, ...options }: DataSource): Promise<ImageDataset> {
  return loadDataset(data, { ...options, onDownload: (address, path) => remark(`downloading ${address} to ${named(path)}`) });
}
