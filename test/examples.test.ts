import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type Tensor, useBackend, zeros } from '../engine/index.ts';
import { type HostArray, loadPlan } from '../engine/plan/load.ts';
import { SmallConvNet } from '../models/index.ts';
import { type Chromium, findChromium, visit } from './browser/chromium.ts';
import { capability } from './support/capabilities.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = (path: string): string => join(root, 'examples', path);

const request = {
  query: [1, 0, 2],
  items: [
    [1, 0, 2],
    [0, 1, 0],
    [2, 1, 1],
  ],
  k: 2,
};
const [, second] = [1, 4 / Math.sqrt(30)];

/** How each platform calls its handler. */
const handlers = {
  'cloudflare-worker/worker.mjs': 'module.default.fetch(post).then((answer) => answer.json())',
  'next-edge-route/app/search/route.js': 'module.POST(post).then((answer) => answer.json())',
  'vercel-function/api/search.mjs': 'module.POST(post).then((answer) => answer.json())',
  'deno/main.mjs': 'module.default.fetch(post).then((answer) => answer.json())',
  'aws-lambda/handler.mjs': 'module.handler({ body }).then((answer) => JSON.parse(answer.body))',
};

/** What an example answers, in a Node of its own and from the built package. */
async function answerOf(path: keyof typeof handlers): Promise<unknown> {
  const script = `const body = ${JSON.stringify(JSON.stringify(request))};
    const post = new Request('http://localhost/', { method: 'POST', body });
    const module = await import(${JSON.stringify(pathToFileURL(example(path)).href)});
    console.log(JSON.stringify(await ${handlers[path]}));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

describe('the examples', () => {
  it.each(Object.keys(handlers) as (keyof typeof handlers)[])('%s finds the nearest', async (path) => {
    expect(await answerOf(path)).toEqual([
      { item: 0, score: expect.closeTo(1, 6) },
      { item: 2, score: expect.closeTo(second!, 6) },
    ]);
  });
});

describe('the search of images', async () => {
  const { decodePng, thumbnail } = await import(pathToFileURL(example('image-search/png.mjs')).href);
  const { imageSearch } = await import(pathToFileURL(example('image-search/search.mjs')).href);
  const [width, height] = [13, 11];
  /** Pixels of any number of channels, smooth enough for an encoder of PNG to choose each of its filters. */
  const drawing = (channels: number, seed: number) =>
    sharp(
      Uint8Array.from({ length: width * height * channels }, (_, i) => 128 + 90 * Math.sin(i / (3 + seed)) + 30 * Math.sin(seed * i * i)),
      { raw: { width, height, channels: channels as 1 | 2 | 3 | 4 } },
    );

  it.each([
    ['grey', () => drawing(1, 1)],
    ['grey and alpha', () => drawing(2, 2)],
    ['RGB', () => drawing(3, 3)],
    ['RGBA', () => drawing(4, 4)],
  ])('reads %s as sharp does, however it is filtered', async (_, draw) => {
    const opaque = await draw().removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    const { channels } = opaque.info;
    const expected = Uint8Array.from(
      { length: 3 * width * height },
      (_, i) => opaque.data[Math.floor(i / 3) * channels + Math.min(i % 3, channels - 1)]!,
    );
    for (const adaptiveFiltering of [false, true]) {
      const image = await decodePng(new Uint8Array(await draw().png({ adaptiveFiltering }).toBuffer()));
      expect(image).toEqual({ width, height, pixels: expected });
    }
  });

  it('reads a palette', async () => {
    const file = await drawing(3, 1).png({ palette: true, colours: 200 }).toBuffer();
    const { data } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect((await decodePng(new Uint8Array(file))).pixels).toEqual(new Uint8Array(data));
  });

  it('refuses what is none, is cut, or says that it is huge', async () => {
    const file = new Uint8Array(await drawing(3, 1).png().toBuffer());
    for (let length = 0; length < file.length - 12; length += 7) await expect(decodePng(file.slice(0, length))).rejects.toThrow(TypeError);
    const huge = file.slice();
    huge.fill(0x7f, 16, 24);
    await expect(decodePng(huge)).rejects.toThrow(/pixels, of at most/);
    const taller = file.slice();
    taller[23]! += 1;
    await expect(decodePng(taller)).rejects.toThrow(/fewer rows/);
  });

  it('keeps an image of the size that is asked for, and the mean of any other', () => {
    const pixels = Uint8Array.from({ length: 4 * 6 * 3 }, (_, i) => (37 * i) % 256);
    const planes = thumbnail({ width: 6, height: 4, pixels }, [3, 4, 6]);
    expect(planes).toEqual(Uint8Array.from({ length: 72 }, (_, i) => pixels[(i % 24) * 3 + Math.floor(i / 24)]!));
    const middle = Array.from({ length: 16 }, (_, i) => pixels[3 * (6 * (i >> 2) + 1 + (i & 3))]!);
    expect(thumbnail({ width: 6, height: 4, pixels }, [3, 1, 1])[0]).toBeCloseTo(middle.reduce((a, b) => a + b) / 16, -0.3);
  });

  it('finds an image by itself', async () => {
    await useBackend('wasm', { threads: 1 });
    const encoder = new SmallConvNet({ key: 1, inputs: 3 });
    const shape = [1, 3, height, width];
    const saved = compile((images: Tensor) => ({ features: encoder.forward(images.cast('f32').div(255)) }));
    const plan = await loadPlan<{ features: HostArray }>(await saved.save([[zeros(shape, 'u8')]]));
    const files = await Promise.all([1, 2, 3, 4].map(async (seed) => new Uint8Array(await drawing(3, seed).png().toBuffer())));
    const rows: number[] = [];
    for (const file of files) {
      const { features } = await plan({ dtype: 'u8', shape, data: thumbnail(await decodePng(file), shape.slice(1)) });
      rows.push(...features.data);
    }
    const index = { shape: [4, rows.length / 4], data: Float32Array.from(rows) };
    const search = imageSearch(plan, index, ['a', 'b', 'c', 'd'], 2);
    for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) {
      const [first, ...others] = await search(files[i]);
      expect(first).toEqual({ name, score: expect.closeTo(1, 6) });
      expect(others).toHaveLength(1);
    }
    plan.dispose();
  });
});

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');

describe.runIf(available)('the examples in headless Chromium', () => {
  // Where the pages of a test come from is the repository.
  const folder = '.cache/examples';
  const bundled = join(root, folder);

  const bundle = async (path: string, output: string, codeSplitting: boolean): Promise<void> => {
    const made = await rolldown({ input: example(path), platform: 'browser', external: /^node:/ });
    await made.write({ dir: bundled, entryFileNames: output, format: 'es', codeSplitting });
  };
  beforeAll(async () => {
    mkdirSync(bundled, { recursive: true });
    cpSync(example('page/index.html'), join(bundled, 'index.html'));
    await bundle('page/main.mjs', 'main.js', true);
    await bundle('service-worker/worker.mjs', 'service-worker.js', false);
  });
  afterAll(() => rmSync(bundled, { recursive: true, force: true }));

  const ask = (task: string, argument: unknown) => visit(chromium as Chromium, { site: 'plain', task, argument });

  it('the page finds the nearest', async () => {
    expect(await ask('page', `/plain/${folder}/index.html`)).toMatch(/^\[\{"item":0,"score":0?\.?\d+.*"item":2/);
  });

  it('the service worker answers', async () => {
    expect(await ask('serviceWorker', { address: `/plain/${folder}/service-worker.js`, request })).toEqual([5, 0, 4]);
  });
});
