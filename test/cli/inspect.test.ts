import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type HostArray, useBackend } from '../../engine/index.ts';
import { collapseMetrics } from '../../models/index.ts';
import { writeArray } from '../../models/io/node.ts';
import { gaussian } from '../models/support.ts';
import { expectWhole } from './pages/support.ts';
import { fails, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => join(folder, `${name}.npy`);
const [n, d] = [40, 6];
const z = gaussian(1, [n, d]);
const changed = (each: (value: number, at: number) => number): HostArray => ({ ...z, data: Float64Array.from(z.data, each) });

beforeAll(async () => {
  await useBackend('cpu');
  const labels = Int32Array.from({ length: n }, (_, i) => (i >> 1) % 4);
  await writeArray(path('z'), z);
  await writeArray(
    path('near'),
    changed((value, at) => value + 0.1 * Math.sin(at)),
  );
  await writeArray(
    path('point'),
    changed((value) => 1 + 1e-5 * value),
  );
  await writeArray(
    path('copies'),
    changed((_, at) => z.data[Math.floor(at / d) * d]!),
  );
  await writeArray(path('labels'), { dtype: 'i32', shape: [n], data: labels });
  // Rows of one class lie together: neighbours have its label.
  await writeArray(
    path('classes'),
    changed((value, at) => 0.1 * value + (at % d === labels[Math.floor(at / d)] ? 3 : 0)),
  );
  await writeArray(path('short'), { dtype: 'f64', shape: [n - 1, d], data: new Float64Array((n - 1) * d) });
  await writeArray(path('few'), { dtype: 'i32', shape: [3], data: Int32Array.of(0, 1, 2) });
});

const inspected = async (...words: readonly string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await succeeds(['inspect', ...words, '--json', '--backend', 'cpu'])).stdout) as Record<string, unknown>;

describe('tensegrity inspect', () => {
  it('gives the collapse metrics of two views, to the last digit', async () => {
    const second = changed((value, at) => value + 0.1 * Math.sin(at));
    const expected = await collapseMetrics(z, { second });
    expect(await inspected(path('z'), path('near'))).toEqual({ rows: n, dimensions: d, ...expected, verdict: { kind: 'healthy' } });
    expect(expected.alignment).toBeGreaterThan(0);
    expect(expected.lidar).toBeGreaterThan(1);
  });

  it('says in words what has collapsed, and how', async () => {
    const { stdout } = await succeeds(['inspect', path('point'), '--backend', 'cpu']);
    expect(stdout).toMatch(/^40 rows of 6 dimensions\n/);
    expect(stdout).toMatch(/\ncollapsed: every image maps to nearly the same point .*below 0\.1/);
    expect(stdout).not.toMatch(/alignment|lidar|NaN/);
    expect(await inspected(path('copies'))).toMatchObject({
      verdict: { kind: 'collapsed', message: expect.stringMatching(/copies of nearly one/) },
    });
    expect(await inspected(path('copies'), '--rows', '10')).toMatchObject({ rows: 10 });
  });

  it('classifies every other row by the rest', async () => {
    expect(await inspected(path('classes'), '--labels', path('labels'))).toMatchObject({ nearest: 1 });
  });

  it('writes a page, with images if there are any', async () => {
    const [page, images] = [join(folder, 'page.html'), path('images')];
    await writeArray(images, { dtype: 'u8', shape: [n, 3, 2, 2], data: Uint8Array.from({ length: n * 12 }, (_, i) => i % 256) });
    const words = [path('z'), path('near'), '--labels', path('labels'), '--images', images];
    await succeeds(['inspect', ...words, '--html', page, '--backend', 'cpu']);
    const text = readFileSync(page, 'utf8');
    expectWhole(text);
    for (const part of ['40 rows of 6 dimensions, two views', 'lidar', 'Cross-correlation of two views', 'query: class 0', '<image '])
      expect(text).toContain(part);
    await Promise.all([
      fails(['inspect', ...words], 2, /--images are shown on the page; name one with --html FILE\.html/),
      fails(['inspect', path('z'), '--html', path('z')], 2, /is the same file as/),
      fails(
        ['inspect', path('z'), '--images', path('few'), '--html', page],
        1,
        /images must be \[40, channels, height, width\].*got \[3\]/,
      ),
    ]);
  });

  it('says what does not fit', async () => {
    await Promise.all([
      fails(['inspect', path('z'), '--labels', path('few')], 1, /labels must be \[40\].*got \[3\]/),
      fails(['inspect', path('labels')], 1, /embeddings must be \[n, d\], got \[40\]/),
      fails(['inspect', path('z'), path('few')], 1, /few\.npy: embeddings must be \[n, d\]/),
      fails(['inspect', path('z'), path('short')], 1, /short\.npy: embeddings must be \[40, 6\], as those of \S+z\.npy, got \[39, 6\]/),
      fails(['inspect'], 2, /inspect takes/),
    ]);
  });
});
