import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostArray } from '../../../engine/dtype.ts';
import { TensegrityError } from '../../../engine/errors.ts';
import { downloadFiles } from '../../../models/data/download.ts';
import { datasetNames, downloadBytes, loadDataset } from '../../../models/data/node.ts';
import { writeArray } from '../../../models/io/node.ts';
import { capability } from '../../support/capabilities.ts';

const embedded = fileURLToPath(new URL('../../../data/fashion-mnist-subset', import.meta.url));
const idxFiles = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'];
const data = (...words: string[]): unknown =>
  expect.objectContaining({ code: 'data', message: expect.stringMatching(new RegExp(words.join('[^]*'))) });

let folder = '';
let offline: { readonly environment: { readonly XDG_CACHE_HOME: string }; readonly download: null };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensegrity-data-'));
  offline = { environment: { XDG_CACHE_HOME: folder }, download: null };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function u8(shape: number[]): HostArray {
  const values = Uint8Array.from({ length: shape.reduce((size, dimension) => size * dimension, 1) }, (_, at) => at);
  return { dtype: 'u8', shape, data: values };
}

async function saved(name: string, array: HostArray): Promise<string> {
  const path = join(folder, name);
  await writeArray(path, array);
  return path;
}

describe('the embedded data set', () => {
  it('is balanced, and normalised by its own figures', async () => {
    const { name, train, test, classes, mean, deviation } = await loadDataset('fashion-mnist-subset', offline);
    expect(name).toBe('fashion-mnist-subset');
    expect([train.images.dtype, train.images.shape, test?.images.shape]).toEqual(['u8', [10_000, 1, 28, 28], [2_000, 1, 28, 28]]);
    expect(classes).toHaveLength(10);
    for (const [split, each] of [
      [train, 1000],
      [test, 200],
    ] as const) {
      for (let label = 0; label < 10; label++) expect(split?.labels?.data.filter((value) => value === label)).toHaveLength(each);
    }
    expect(mean[0]).toBeCloseTo(0.286, 2);
    expect(deviation[0]).toBeCloseTo(0.353, 2);
  });

  it('is not mixed up with the whole one in a data folder', async () => {
    for (const file of idxFiles) writeFileSync(join(folder, file), 'something else');
    await expect(loadDataset('fashion-mnist-subset', { ...offline, folder })).resolves.toMatchObject({ name: 'fashion-mnist-subset' });
  });
});

const debian = '/usr/share/datasets/fashion-mnist';
describe.runIf(capability('fashion-mnist', existsSync(debian), `${debian} is missing (apt install dataset-fashion-mnist)`))(
  'the whole of Fashion-MNIST',
  () => {
    it("is found in Debian's folder, with PyTorch's mean and deviation", async () => {
      const { train, test, mean, deviation } = await loadDataset('fashion-mnist', offline);
      expect([train.images.shape, test?.images.shape]).toEqual([
        [60_000, 1, 28, 28],
        [10_000, 1, 28, 28],
      ]);
      expect(mean[0]).toBeCloseTo(0.2860405969887955, 8);
      expect(deviation[0]).toBeCloseTo(0.3530242445149223, 8);
    });
  },
);

describe('a named data set', () => {
  it('that is absent names the ways to get it', async () => {
    await expect(loadDataset('mnist', offline)).rejects.toEqual(
      data('mnist is not here', '1\\. connect', 'ossci-datasets', '2\\. put', '--data-dir', 'Looked in'),
    );
    await expect(loadDataset('cifar10', offline)).rejects.toEqual(
      data('1\\. download https://www.cs.toronto.edu', '2\\. put data_batch_1.bin'),
    );
  });

  it('that cannot be downloaded says why, and leaves nothing', async () => {
    const download = (): Promise<Uint8Array> => downloadBytes('http://127.0.0.1:1/', 10);
    await expect(loadDataset('mnist', { ...offline, download })).rejects.toEqual(
      data('downloading it failed', '127.0.0.1:1', '1\\. connect'),
    );
    expect(readdirSync(join(folder, 'tensegrity/mnist'))).toEqual([]);
  });

  it('that another server sends is refused, and not kept', async () => {
    const download = async (): Promise<Uint8Array> => readFileSync(join(embedded, 't10k-labels-idx1-ubyte.gz'));
    await expect(loadDataset('mnist', { ...offline, download })).rejects.toEqual(
      data('sent something else', 'not the published file of mnist', 'MD5'),
    );
    expect(readdirSync(join(folder, 'tensegrity/mnist'))).toEqual([]);
  });

  it('with the wrong content is refused by its checksum', async () => {
    for (const file of idxFiles) copyFileSync(join(embedded, `${file}.gz`), join(folder, `${file}.gz`));
    await expect(loadDataset('mnist', { ...offline, folder })).rejects.toEqual(data('not the published file of mnist', 'MD5'));
    const fromFolder = await loadDataset(folder, offline);
    expect(fromFolder.train.images.shape).toEqual([10_000, 1, 28, 28]);
    expect(fromFolder.classes).toHaveLength(10);
  });

  it('with damaged files names the file', async () => {
    for (const file of idxFiles) writeFileSync(join(folder, `${file}.gz`), Uint8Array.of(0x1f, 0x8b, 8, 0));
    await expect(loadDataset(folder, offline)).rejects.toMatchObject({
      code: 'format',
      message: expect.stringContaining(`${idxFiles[0]}.gz`),
    });
  });

  it('of CIFAR is read from a folder, by name or by path', async () => {
    const record = (label: number): number[] => [label, ...new Array<number>(3072).fill(label * 25)];
    const unpacked = join(folder, 'cifar-10-batches-bin');
    mkdirSync(unpacked);
    for (let batch = 1; batch <= 5; batch++) writeFileSync(join(unpacked, `data_batch_${batch}.bin`), Uint8Array.from(record(batch)));
    writeFileSync(join(unpacked, 'test_batch.bin'), Uint8Array.from(record(9)));
    for (const dataset of [await loadDataset('cifar10', { ...offline, folder }), await loadDataset(unpacked, offline)]) {
      expect([...dataset.train.labels!.data]).toEqual([1, 2, 3, 4, 5]);
      expect(dataset.test?.images.shape).toEqual([1, 3, 32, 32]);
      expect(dataset.mean).toHaveLength(3);
    }
    expect((await loadDataset('cifar10', { ...offline, environment: { TENSEGRITY_DATA: folder } })).classes[1]).toBe('automobile');
  });

  it('that nobody knows is refused with the names known', async () => {
    await expect(loadDataset('imagenet', offline)).rejects.toEqual(data("no data set 'imagenet'", datasetNames.join(', ')));
    await expect(loadDataset('constructor', offline)).rejects.toEqual(data("no data set 'constructor'"));
    writeFileSync(join(folder, 'readme'), '');
    await expect(loadDataset(folder, offline)).rejects.toEqual(data('has no images in it', '1 without extension'));
    writeFileSync(join(folder, 'test_batch.bin'), '');
    await expect(loadDataset(folder, offline)).rejects.toEqual(data('a part of a data set', 'data_batch_1.bin'));
  });
});

describe('a .npy of images', () => {
  it('in floats is used as it is', async () => {
    const values = Float32Array.from({ length: 24 }, (_, at) => at - 12);
    const dataset = await loadDataset(await saved('a.npy', { dtype: 'f32', shape: [2, 3, 2, 2], data: values }), offline);
    expect(dataset).toMatchObject({ name: 'a', classes: [], mean: [0, 0, 0], deviation: [1, 1, 1], train: { images: { data: values } } });
    expect(dataset.test).toBeUndefined();
    const wide = await loadDataset(await saved('b.npy', { dtype: 'f64', shape: [2, 3, 4], data: Float64Array.from(values) }), offline);
    expect(wide.train.images).toMatchObject({ dtype: 'f32', shape: [2, 1, 3, 4], data: values });
  });

  it('in bytes may have its channels first or last', async () => {
    const first = await loadDataset(await saved('first.npy', u8([2, 3, 4, 5])), offline);
    expect(first.train.images).toEqual(u8([2, 3, 4, 5]));
    expect(first.deviation).toHaveLength(3);
    const last = await loadDataset(await saved('last.npy', u8([2, 4, 5, 3])), offline);
    expect(last.train.images.shape).toEqual([2, 3, 4, 5]);
    expect([...last.train.images.data.subarray(18, 23)]).toEqual([54, 57, 1, 4, 7]);
  });

  it('may come with labels and a test set', async () => {
    const labels = await saved('labels.npy', { dtype: 'u8', shape: [2], data: Uint8Array.of(0, 4) });
    const images = await saved('images.npy', u8([2, 1, 4, 4]));
    const dataset = await loadDataset(images, { ...offline, labels, testImages: images, testLabels: labels });
    expect(dataset.classes).toEqual(['0', '4']);
    expect(dataset.test?.labels).toEqual({ dtype: 'i32', shape: [2], data: Int32Array.of(0, 4) });
  });

  it.each<[string, HostArray, string]>([
    ['of ambiguous layout', u8([2, 3, 4, 1]), 'in both'],
    ['of ambiguous layout, of other channels', u8([2, 4, 4, 2]), 'in both'],
    ['of unknown layout', u8([2, 5, 5, 5]), 'in neither'],
    ['of rank 2', u8([4, 4]), 'channels, height, width'],
    ['of rank 5', u8([1, 1, 1, 2, 2]), 'channels, height, width'],
    ['without images', u8([0, 1, 2, 2]), 'at least one image'],
    ['of whole numbers', { dtype: 'i32', shape: [1, 1, 1, 1], data: new Int32Array(1) }, 'astype'],
    ['beyond f32', { dtype: 'f64', shape: [1, 1, 1, 1], data: Float64Array.of(1e300) }, 'finite f32 values'],
    [
      'with channels last',
      { dtype: 'f32', shape: [1, 5, 6, 2], data: new Float32Array(60) },
      'looks like channels last; in NumPy, array.transpose',
    ],
    ['with channels last, in f64', { dtype: 'f64', shape: [1, 8, 8, 4], data: new Float64Array(256) }, 'looks like channels last'],
    ['with a NaN', { dtype: 'f32', shape: [1, 1, 1, 2], data: Float32Array.of(0, NaN) }, 'element 1 is NaN'],
  ])('%s is refused', async (_, array, words) => {
    await expect(saved('a.npy', array).then((path) => loadDataset(path, offline))).rejects.toEqual(data('a.npy', words));
  });

  it('may have any whole numbers for labels, and keeps them as they are', async () => {
    const labels = await saved('labels.npy', { dtype: 'i32', shape: [2], data: Int32Array.of(1_500_000_000, 1000) });
    const images = await saved('images.npy', u8([2, 1, 4, 4]));
    const dataset = await loadDataset(images, { ...offline, labels });
    expect(dataset.classes).toEqual(['1000', '1500000000']);
    expect([...dataset.train.labels!.data]).toEqual([1_500_000_000, 1000]);
  });

  it('with more labels than there can be classes is refused', async () => {
    const count = 65_537;
    const labels = await saved('labels.npy', { dtype: 'i32', shape: [count], data: Int32Array.from({ length: count }, (_, i) => i) });
    const images = await saved('images.npy', u8([count, 1, 1]));
    await expect(loadDataset(images, { ...offline, labels })).rejects.toEqual(data('65537 different labels'));
  });

  it.each<[string, HostArray, string]>([
    ['too few', { dtype: 'i32', shape: [1], data: new Int32Array(1) }, '2 training images, but 1 labels'],
    [
      'negative',
      { dtype: 'i32', shape: [2], data: Int32Array.of(0, -1) },
      'image 1 has label -1; labels are whole numbers from 0; leave images without a class out, or number the labels anew',
    ],
    ['fractional', { dtype: 'f32', shape: [2], data: Float32Array.of(0, 0.5) }, 'numpy.concatenate.*return_inverse=True'],
    ['NaN', { dtype: 'f64', shape: [2], data: Float64Array.of(0, Number.NaN) }, 'whole numbers'],
    ['of rank 2', { dtype: 'i32', shape: [2, 1], data: new Int32Array(2) }, 'labels.ravel'],
    ['a column for each class', { dtype: 'f32', shape: [2, 3], data: new Float32Array(6) }, 'labels.argmax'],
  ])('with labels that are %s is refused', async (_, labels, words) => {
    const images = await saved('images.npy', u8([2, 1, 4, 4]));
    await expect(saved('labels.npy', labels).then((path) => loadDataset(images, { ...offline, labels: path }))).rejects.toEqual(
      data(words),
    );
  });

  it('that is missing is a storage error', async () => {
    await expect(loadDataset(join(folder, 'none.npy'), offline)).rejects.toMatchObject({ code: 'storage' });
  });

  it('must agree with its test set', async () => {
    const [images, testImages] = [await saved('a.npy', u8([2, 1, 4, 4])), await saved('b.npy', u8([2, 1, 4, 5]))];
    await expect(loadDataset(images, { ...offline, testImages })).rejects.toEqual(data('must agree'));
  });
});

describe('a download', () => {
  let server: Server;
  let address = '';
  beforeEach(async () => {
    server = createServer((request, response) => {
      if (request.url === '/missing') response.writeHead(404).end();
      else if (request.url === '/stalls') response.write('beginning');
      else if (request.url === '/breaks') response.writeHead(200, { 'content-length': '100' }).write('part', () => response.destroy());
      else response.end('x'.repeat(1000));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const listening = server.address();
    address = `http://127.0.0.1:${typeof listening === 'object' ? listening?.port : ''}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('of files brings those that are missing, goes on where it was broken off, and keeps none that is wrong', async () => {
    const contents = ['first', 'second', 'third'].map((text) =>
      gzipSync(Uint8Array.from([0, 0, 8, 1, 0, 0, 0, text.length, ...Buffer.from(text)])),
    );
    const files = contents.map((bytes, index) => ({ name: `${index}.gz`, md5: createHash('md5').update(gunzipSync(bytes)).digest('hex') }));
    const asked: string[] = [];
    let reachable = 2;
    const download = async (from: string): Promise<Uint8Array> => {
      asked.push(from);
      if (asked.length > reachable) throw new TensegrityError('data', 'cut off');
      return contents[Number(/(\d)\.gz$/.exec(from)?.[1])]!;
    };
    const target = join(folder, 'new/folder');
    await expect(downloadFiles('http://host/path/', target, files, 'x', download)).rejects.toThrow('cut off');
    expect(readdirSync(target).sort()).toEqual(['0.gz', '1.gz']);
    reachable = Infinity;
    await downloadFiles('http://host/path/', target, files, 'x', download);
    expect(asked).toEqual([0, 1, 2, 2].map((index) => `http://host/path/${index}.gz`));
    expect(contents.map((_, index) => readFileSync(join(target, `${index}.gz`)))).toEqual(contents);
    await expect(downloadFiles('http://host/', folder, [{ name: '0.gz', md5: files[1]!.md5 }], 'x', download)).rejects.toEqual(
      data('not the published file'),
    );
    expect(readdirSync(folder)).toEqual(['new']);
  });

  it('gives the bytes sent', async () => {
    expect((await downloadBytes(`${address}/`, 1000)).length).toBe(1000);
  });

  it.each([
    ['missing', 1000, '404', 10_000],
    ['breaks', 1000, 'cannot download', 10_000],
    ['stalls', 1000, 'nothing came for 0.05 s', 50],
    ['long', 999, 'more than the 999 bytes', 10_000],
  ])('fails by name: %s', async (path, largest, words, patience) => {
    await expect(downloadBytes(`${address}/${path}`, largest, patience)).rejects.toEqual(data(words));
  });
});
