import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type CreateRaw, type Sharp } from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ImageFolder, type ImageFolderOptions, loadImageFolder } from '../../../models/data/imageFolder.ts';
import { channelStatistics, completeDataset, completeSplit, takeRows, takeSplit } from '../../../models/data/images.ts';
import { batches, readyBatches } from '../../../models/data/loader.ts';
import { loadDataset } from '../../../models/data/node.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensegrity-images-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.doUnmock('sharp');
});

type Colour = readonly [red: number, green: number, blue: number];
const RED: Colour = [255, 0, 0];
const GREEN: Colour = [0, 255, 0];
const BLUE: Colour = [0, 0, 255];
const WHITE: Colour = [255, 255, 255];

/** A picture whose left half is of one colour, and the right of another. */
function halves(left: Colour, right: Colour, width = 16, height = 8): Sharp {
  const data = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) data.set(at % width < width / 2 ? left : right, 3 * at);
  return sharp(data, { raw: { width, height, channels: 3 } });
}
const plain = (colour: Colour, width = 8, height = 8): Sharp => halves(colour, colour, width, height);

function put(name: string, content: Uint8Array | string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}
async function draw(name: string, picture: Sharp = plain(RED)): Promise<void> {
  const format = name.endsWith('png') ? 'png' : 'jpeg';
  put(name, await picture.toFormat(format, { quality: 100 }).toBuffer());
}

/** All of the images, wherever they were decoded. */
async function complete(from: string, given: ImageFolderOptions): Promise<ImageFolder> {
  const { foreseen = channelStatistics({ dtype: 'u8', shape: [1, 3, 1, 1], data: new Uint8Array(3) }), ...loaded } = await loadImageFolder(
    from,
    given,
  );
  const { train, test, files } = await completeDataset({ name: from, ...loaded, ...foreseen });
  return { ...loaded, train, ...(test && { test }), files: files! };
}

async function loadAs(given: ImageFolderOptions) {
  const remarks: string[] = [];
  const loaded = await complete(folder, { size: 4, ...given, onRemark: (remark) => remarks.push(remark) });
  const { images } = loaded.train;
  /** The colour at a place of an image, rounded to full or none. */
  const colour = (file: string, x: number, y: number): Colour => {
    const [row, size] = [loaded.files.train.indexOf(file), images.shape[3]!];
    return [0, 1, 2].map((c) => Math.round(images.data[((row * 3 + c) * size + y) * size + x]! / 255) * 255) as unknown as Colour;
  };
  return { ...loaded, remarks, colour };
}
const data = (message: RegExp): unknown => expect.objectContaining({ code: 'data', message: expect.stringMatching(message) });

describe.each([{ background: false }, { background: true }])('a folder of images ($background)', ({ background }) => {
  const load = (given: ImageFolderOptions = {}) => loadAs({ background, sample: 2, ...given });

  it('holds images of any size, scaled by the shorter side and cut to the middle', async () => {
    await draw('wide.png', halves(RED, BLUE, 40, 10));
    await draw('high.png', halves(RED, BLUE, 10, 40));
    await draw('small.jpg', plain(GREEN, 2, 2));
    const { train, test, classes, colour } = await load();
    expect([train.images.dtype, train.images.shape, train.labels, test, classes]).toEqual(['u8', [3, 3, 4, 4], undefined, undefined, []]);
    expect([colour('wide.png', 0, 2), colour('wide.png', 3, 2)]).toEqual([RED, BLUE]);
    expect([colour('high.png', 0, 0), colour('high.png', 3, 3)]).toEqual([RED, BLUE]);
    expect(colour('small.jpg', 2, 2)).toEqual(GREEN);
  });

  it('turns what EXIF says is turned, and makes sRGB of CMYK, grey and 16 bits, the first frame of an animation, and white of nothing', async () => {
    // Turned by a quarter: what was left is above.
    put('turned.jpg', await halves(RED, BLUE).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer());
    put('cmyk.jpg', await plain(RED).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
    put('grey.png', await plain(WHITE).greyscale().png().toBuffer());
    put('deep.png', await plain(BLUE).toColourspace('rgb16').png().toBuffer());
    const frames = Buffer.concat([GREEN, BLUE].map((colour) => Buffer.from(Array.from({ length: 64 }, () => colour).flat())));
    const animation = sharp(frames, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } as CreateRaw });
    put('animated.gif', await animation.gif({ delay: [100, 100] }).toBuffer());
    put('animated.webp', await animation.webp({ lossless: true, delay: [100, 100] }).toBuffer());
    put(
      'nothing.png',
      await sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
        .png()
        .toBuffer(),
    );
    expect((await sharp(join(folder, 'cmyk.jpg')).metadata()).space).toBe('cmyk');
    expect((await sharp(join(folder, 'deep.png')).metadata()).depth).toBe('ushort');
    expect((await sharp(join(folder, 'animated.gif')).metadata()).pages).toBe(2);
    const { colour, remarks } = await load();
    expect(remarks).toEqual([]);
    expect([colour('turned.jpg', 1, 0), colour('turned.jpg', 1, 3)]).toEqual([RED, BLUE]);
    const once = {
      'cmyk.jpg': RED,
      'grey.png': WHITE,
      'deep.png': BLUE,
      'animated.gif': GREEN,
      'animated.webp': GREEN,
      'nothing.png': WHITE,
    };
    expect(Object.fromEntries(Object.keys(once).map((name) => [name, colour(name, 1, 2)]))).toEqual(once);
  });

  it('names what it cannot read, and counts what is no image', async () => {
    for (let i = 0; i < 3; i++) await draw(`${i}.jpg`, plain([RED, GREEN, BLUE][i]!));
    put('broken.png', 'no image');
    put('cut.jpg', (await plain(RED, 64, 64).jpeg().toBuffer()).subarray(0, 200));
    symlinkSync('/nowhere/at/all', join(folder, 'gone.jpg'));
    symlinkSync(folder, join(folder, 'round'));
    for (const name of ['.hidden.png', 'notes.txt', 'more.txt', 'LICENSE']) put(name, '');
    const { files, remarks, colour } = await load();
    expect(files.train).toEqual(['0.jpg', '1.jpg', '2.jpg']);
    // Rows have moved up.
    expect(colour('2.jpg', 1, 1)).toEqual(BLUE);
    expect(remarks[0]).toMatch(/left out 5 other files \(.*2 \.txt/);
    expect(remarks[0]).toMatch(/1 hidden.*|1 a link to a folder that it is in/);
    expect(remarks[1]).toMatch(/skipped 3 of 6 images: broken\.png \(.*\), cut\.jpg \(.*\), gone\.jpg \(.*which is not there/);
  });

  it('has its folders for classes, and keeps a part of each for tests, always the same', async () => {
    for (const [name, count] of [
      ['cat', 10],
      ['dog/deep', 5],
      ['Zebra', 1],
    ] as const)
      for (let i = 0; i < count; i++) await draw(`${name}/${i}.png`);
    const { classes, files, train, test } = await load({ testShare: 0.4 });
    expect(classes).toEqual(['Zebra', 'cat', 'dog']);
    expect([files.train.length, files.test.length]).toEqual([10, 6]);
    expect(Array.from(test!.labels!.data)).toEqual([1, 1, 1, 1, 2, 2]);
    expect(Array.from(train.labels!.data)).toEqual([0, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
    expect((await load()).files.test).toHaveLength(3);
    expect(files.test).toEqual(expect.arrayContaining([...(await load()).files.test]));
    expect((await load({ testShare: 0 })).test).toBeUndefined();
    await draw('cat/10.png');
    const after = (await load({ testShare: 0.4 })).files.test;
    expect(files.test.filter((file) => !after.includes(file)).length).toBeLessThanOrEqual(1);
    const all = await load({ whole: true });
    expect([all.files.train.length, all.test]).toEqual([17, undefined]);
  });

  it('has train and test, or val, where these are there', async () => {
    for (const part of ['train', 'val']) for (const name of ['a', 'b']) await draw(`${part}/${name}/x.png`);
    await draw('val/c/x.png');
    await draw('elsewhere/x.png');
    const { classes, files, train, test, remarks } = await load();
    expect([classes, files]).toEqual([
      ['a', 'b', 'c'],
      { train: ['train/a/x.png', 'train/b/x.png'], test: ['val/a/x.png', 'val/b/x.png', 'val/c/x.png'] },
    ]);
    expect([Array.from(train.labels!.data), Array.from(test!.labels!.data)]).toEqual([
      [0, 1],
      [0, 1, 2],
    ]);
    expect(remarks).toEqual([expect.stringMatching(/left out 1 images beside its train and test folders/)]);
    await expect(load({ testShare: 0.5 })).rejects.toThrow(/testShare is for a folder without test images of its own/);
    expect((await loadDataset(folder, { size: 4 })).train.images.shape).toEqual([2, 3, 4, 4]);
  });

  it('has pairs at the same paths of another folder, and both or neither of what cannot be decoded', async () => {
    for (const [i, part] of ['a', 'b'].entries())
      for (let n = 0; n < 4; n++)
        await draw(
          `${part}/${n}.png`,
          plain(
            [
              [RED, GREEN],
              [BLUE, WHITE],
            ][i]![n % 2]!,
          ),
        );
    rmSync(join(folder, 'a/3.png'));
    put('b/2.png', '');
    const remarks: string[] = [];
    const given = { size: 2, background, pairs: join(folder, 'b'), onRemark: (remark: string) => remarks.push(remark) };
    const { train, files } = await complete(join(folder, 'a'), given);
    expect(files.train).toEqual(['0.png', '1.png']);
    expect([train.images.data[0], train.images.data[12]]).toEqual([255, 0]);
    expect([train.pairs!.data[0], train.pairs!.data[12], train.pairs!.shape]).toEqual([0, 255, [2, 3, 2, 2]]);
    expect(remarks).toEqual([
      expect.stringMatching(/left out 1 images that only one/),
      expect.stringMatching(/skipped 1 of 3 images: 2\.png/),
    ]);
    await expect(loadImageFolder(join(folder, 'a'), { pairs: folder })).rejects.toEqual(data(/has no image at the path of one/));
  });

  it('is an error without images, without one that can be decoded, and with images of no class beside classes', async () => {
    await expect(load()).rejects.toEqual(data(/has no images in it \(\.png, .*\): it is empty/));
    put('a.txt', '');
    await expect(load()).rejects.toEqual(data(/only 1 other file \(1 \.txt\)/));
    put('one/broken.png', '');
    await expect(load()).rejects.toEqual(data(/none of the train images can be decoded: 1 of 1 images: one\/broken\.png/));
    await draw('one/x.png');
    // A single folder is no class.
    expect((await load()).classes).toEqual([]);
    await draw('two/x.png');
    expect((await load()).classes).toEqual(['one', 'two']);
    await draw('x.png');
    await expect(load()).rejects.toEqual(data(/2 folders of images, which are classes, and beside them 1 images of none, as x\.png/));
    for (const size of [0, 1.5, 5000]) await expect(load({ size })).rejects.toThrow(/size, .* must be a whole number from 1 to 4096/);
    for (const testShare of [-0.1, 1]) await expect(load({ testShare })).rejects.toThrow(/testShare, .* must be from 0 to below 1/);
    for (const wrong of [{ sample: 0 }, { concurrency: 1.5 }])
      await expect(load(wrong)).rejects.toThrow(/(sample|concurrency), .* from 1, got/);
    await expect(loadImageFolder(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'storage' });
  });

  it('says what to install where sharp is not here', async () => {
    await draw('x.png');
    vi.doMock('sharp', () => {
      throw Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' });
    });
    await expect(load()).rejects.toEqual(data(/decoded by the package sharp, .*npm install sharp/));
    expect(existsSync(join(folder, 'x.png'))).toBe(true);
  });
});

/** A PNG whose pixels are damaged: both of its ends are as they should be. */
async function damaged(colour: Colour): Promise<Uint8Array> {
  const bytes = await plain(colour).png().toBuffer();
  const at = bytes.indexOf('IDAT') + 8;
  bytes.fill(0xee, at, at + 6);
  return bytes;
}

describe('images in the background', () => {
  /** Files 0.png … of one shade each. */
  const shades = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await draw(`${i}.png`, plain([10 * i, 0, 255 - i]));
  };
  const background = (given: ImageFolderOptions = {}) =>
    loadImageFolder(folder, { size: 2, background: true, sample: 1, concurrency: 1, ...given });

  it('are there when they are waited for, those of a batch first, and taken by nobody before', async () => {
    await shades(9);
    const { train, files, foreseen } = await background();
    const { pending, images } = train;
    const there = () => files.train.map((_, row) => pending!.has(row));
    expect(there().filter(Boolean)).toHaveLength(1);
    const row = there().lastIndexOf(false);
    expect(() => takeSplit(train, [row])).toThrow(new RegExp(`row ${row} is not decoded yet`));
    expect(() => takeSplit(train, [row - 9])).toThrow(/is not decoded yet/);
    expect(() => [...batches(train, { batchSize: 9 }, 0)]).toThrow(/is not decoded yet/);
    await pending!.ready([row]);
    expect(there().filter(Boolean)).toHaveLength(2);
    expect(takeSplit(train, [row]).images.data[0]).toBe(10 * Number.parseInt(files.train[row]!, 10));
    await expect(pending!.ready([9])).rejects.toThrow(/there are rows 0 … 8, got 9/);
    const seen: number[] = [];
    for await (const batch of readyBatches(train, { batchSize: 3, seed: 5 }, 2)) {
      seen.push(...batch.indices);
      expect(batch.images).toEqual(takeRows(images, batch.indices));
    }
    expect(there().every(Boolean)).toBe(true);
    expect(seen).toEqual([...batches(train, { batchSize: 3, seed: 5 }, 2)].flatMap(({ indices }) => [...indices]));
    const { pending: _, ...whole } = train;
    expect(await completeSplit(train)).toEqual(whole);
    expect((await loadImageFolder(folder, { size: 2 })).train).toEqual(whole);
    expect(foreseen!.mean).not.toEqual(channelStatistics(images).mean);
  });

  it('are decoded ahead until that is given up', async () => {
    await shades(40);
    const { train } = await background();
    const order = train.pending!.ahead([7]);
    await train.pending!.ready([3]);
    order[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(Array.from({ length: 40 }, (_, row) => train.pending!.has(row)).filter(Boolean).length).toBeLessThan(40);
  });

  it('have the mean and deviation of those whose files have the least digests, and are known by all files and the pixels of these', async () => {
    await shades(12);
    const { train, files, foreseen } = await background({ sample: 5 });
    const digest = (row: number): string =>
      createHash('sha256')
        .update(readFileSync(join(folder, files.train[row]!)))
        .digest('hex');
    const least = files.train
      .map((_, row) => row)
      .sort((a, b) => (digest(a) < digest(b) ? -1 : 1))
      .slice(0, 5);
    expect(least.every((row) => train.pending!.has(row))).toBe(true);
    const { contents, ...scale } = foreseen!;
    expect(scale).toEqual(channelStatistics(takeRows((await completeSplit(train)).images, least)));
    expect(contents.testImages).toBeNull();
    expect((await background({ sample: 5, concurrency: 8 })).foreseen).toEqual(foreseen);
    expect((await background({ sample: 4 })).foreseen!.contents).not.toEqual(contents);
    expect((await background({ sample: 5, size: 3 })).foreseen!.contents).not.toEqual(contents);
    put(files.train[0]!, await plain(WHITE).png({ compressionLevel: 0 }).toBuffer());
    expect((await background({ sample: 5 })).foreseen!.contents).not.toEqual(contents);
    expect((await loadDataset(folder, { size: 2, background: true })).contents).toMatchObject({
      images: expect.stringMatching(/^u8 \[12, 3, 2, 2\], SHA-256 of the files [0-9a-f]{64}, of 12 decoded/),
    });
  });

  it.each([1, 4])('that prove damaged are named, and have the next of their class in their place (%i at a time)', async (concurrency) => {
    const colours = { a: RED, b: BLUE };
    for (const name of ['a', 'b'] as const) for (let i = 0; i < 4; i++) await draw(`${name}/${i}.png`, plain(colours[name]));
    await draw('b/2.png', plain(GREEN));
    for (const name of ['a/3.png', 'b/0.png', 'b/1.png']) put(name, await damaged(WHITE));
    for (let i = 0; i < 2; i++) put(`c/${i}.png`, await damaged(WHITE));
    const remarks: string[] = [];
    const dataset = await loadDataset(folder, {
      size: 1,
      testShare: 0,
      background: true,
      sample: 3,
      concurrency,
      onRemark: (remark) => remarks.push(remark),
    });
    const { train, files } = dataset;
    expect([train.images.shape[0], dataset.classes]).toEqual([10, ['a', 'b', 'c']]);
    const whole = await completeDataset(dataset);
    const seen = Object.fromEntries(files!.train.map((file, row) => [file, Array.from(takeRows(train.images, [row]).data)]));
    expect(seen).toMatchObject({ 'a/3.png': RED, 'b/0.png': GREEN, 'b/1.png': GREEN, 'b/3.png': BLUE, 'c/0.png': RED, 'c/1.png': RED });
    expect(remarks.toSorted()).toEqual(
      ['a/3', 'b/0', 'b/1', 'c/0', 'c/1'].map((name) =>
        expect.stringMatching(`: ${name}\\.png \\(.+\\) is damaged: training sees the next of its class`),
      ),
    );
    expect(whole.files!.train).toEqual(['a/0.png', 'a/1.png', 'a/2.png', 'b/2.png', 'b/3.png']);
    expect(Array.from(whole.train.labels!.data)).toEqual([0, 0, 0, 1, 1]);
    expect(whole.train.images.shape).toEqual([5, 3, 1, 1]);
    expect(await completeSplit(train)).toBe(whole.train);
    expect((await loadImageFolder(folder, { size: 1, testShare: 0 })).files.train).toEqual(whole.files!.train);
  });

  it('are an error if all of them prove damaged, before training or where scores need them', async () => {
    for (let i = 0; i < 3; i++) put(`train/${i}.png`, await damaged(RED));
    await draw('test/0.png');
    await expect(background()).rejects.toEqual(data(/none of the train images can be decoded: 3 of 4 images: train/));
    await draw('train/3.png');
    put('test/0.png', await damaged(RED));
    const { test } = await background();
    await expect(completeSplit(test!)).rejects.toEqual(data(/none of 1 images can be decoded/));
  });

  it('are held to what their files were', async () => {
    await shades(6);
    const { train, files } = await background();
    const [changed, removed] = files.train.map((_, row) => row).filter((row) => !train.pending!.has(row)) as [number, number];
    await draw(files.train[changed]!, plain(WHITE));
    await expect(train.pending!.ready([changed])).rejects.toEqual(data(/\d\.png has changed while its folder was in use/));
    await expect(completeSplit(train)).rejects.toEqual(data(/has changed/));
    const again = await background();
    rmSync(join(folder, files.train[removed]!));
    await expect(again.train.pending!.ready([removed])).rejects.toMatchObject({
      code: 'storage',
      message: expect.stringMatching(/cannot read .*there is no such file/),
    });
  });
});
