import { beforeAll, describe, expect, it } from 'vitest';
import { batchSection, classNamer, embeddingSection, type Sample } from '../../../cli/pages/embedding.ts';
import { familiesOf } from '../../../cli/pages/families.ts';
import { inspectPage } from '../../../cli/pages/inspect.ts';
import { matchesOf } from '../../../cli/pages/neighbours.ts';
import { page, type Section } from '../../../cli/pages/page.ts';
import { type HostArray, useBackend } from '../../../engine/index.ts';
import { gaussian } from '../../models/support.ts';
import { expectWhole, textsOf } from './support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const labelled = (count: number, label: (i: number) => number): HostArray => ({
  dtype: 'i32',
  shape: [count],
  data: Int32Array.from({ length: count }, (_, i) => label(i)),
});
const pictured = (count: number, side = 4): HostArray => ({
  dtype: 'u8',
  shape: [count, 1, side, side],
  data: Uint8Array.from({ length: count * side * side }, (_, i) => (i * 37) % 256),
});
const whole = (...sections: readonly Section[]): string => {
  const text = page({ title: 'x', sections });
  expectWhole(text);
  return text;
};
const both = async (sample: Sample, second?: HostArray): Promise<string> =>
  whole(await embeddingSection('rows', '', sample), await batchSection('batch', '', sample.z, { second }));
const constant = (shape: readonly number[]): HostArray => {
  const z = gaussian(1, [...shape]);
  return { ...z, data: z.data.map(() => 3) as typeof z.data };
};

describe('sections of an embedding', () => {
  it('draws points by class, images at some, neighbours of some, and what a loss sees', async () => {
    const text = await both({ z: gaussian(1, [60, 5]), labels: labelled(60, (i) => i % 3), images: pictured(60) }, gaussian(2, [60, 5]));
    expect(textsOf(text, 'figcaption').map((title) => title.replace(/(?<=[a-zI])([A-Z]|\d).*/, ''))).toEqual([
      'Along the two axes of most variance',
      'Nearest neighbours',
      'Spread of each dimension',
      'Spectrum',
      'Covariance of dimensions',
      'Cross-correlation of two views',
      expect.stringMatching(/^One batch/),
      'The batch',
      'Collapsed',
      'Whitened, then normalised',
      'Cross-correlation to I',
      'Variance and covariance',
    ]);
    expect(text).toMatch(/aria-label="[^"]*60 points, in groups: class 0 \(20\), class 1 \(20\), class 2 \(20\)"/);
    expect([...text.matchAll(/alt="query: class \d"/g)]).toHaveLength(3);
    expect(text).toContain('class 1, similarity 0.');
  });

  it.each([
    ['d = 1', { z: gaussian(1, [30, 1]) }],
    ['d = 2', { z: gaussian(1, [30, 2]) }],
    ['n = 1', { z: gaussian(1, [1, 4]), labels: labelled(1, () => 0), images: pictured(1) }],
    ['n = 2', { z: gaussian(1, [2, 4]) }],
    ['n < d', { z: gaussian(1, [10, 40]), labels: labelled(10, (i) => i % 2) }],
    ['a single class', { z: gaussian(1, [30, 3]), labels: labelled(30, () => 7) }],
    ['constant', { z: constant([30, 4]), labels: labelled(30, (i) => i % 2) }],
    ['zeros', { z: { ...constant([30, 4]), data: new Float64Array(120) } }],
    ['tiny', { z: { ...gaussian(1, [30, 4]), data: gaussian(1, [30, 4]).data.map((value: number) => value * 1e-30) as Float64Array } }],
    ['large', { z: { ...gaussian(1, [30, 4]), data: gaussian(1, [30, 4]).data.map((value: number) => value * 1e15) as Float64Array } }],
  ] satisfies [string, Sample][])('holds for %s', async (_, sample) => {
    await both(sample, sample.z);
  });

  it('has a place for 1 000 classes, in a page that stays small', async () => {
    const text = await both({ z: gaussian(1, [1000, 4]), labels: labelled(1000, (i) => i), images: pictured(1000, 28) });
    expect(text).toContain('590 other classes');
    expect(text.length).toBeLessThan(400_000);
  });

  it('escapes whatever classes are called', async () => {
    const names = ['<script>alert(1)</script>', '" onload="x', "'&amp;\u202e"];
    const text = await both({
      z: gaussian(1, [9, 2]),
      labels: labelled(9, (i) => i % 3),
      images: pictured(9),
      className: classNamer(names),
    });
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).toContain('&#39;&amp;amp;\\u{202e}');
    expect(classNamer(['shoe', 'bag'])(1)).toBe('bag');
    expect(classNamer(['3', '7'])(7)).toBe('class 7');
    expect(classNamer([])(7)).toBe('class 7');
  });

  it('finds the axes that rows vary most along', async () => {
    // Rows on a line in 40 dimensions, by either decomposition.
    for (const n of [20, 60]) {
      const data = Float64Array.from({ length: n * 40 }, (_, at) => Math.floor(at / 40) * Math.sin(at % 40));
      const text = await both({ z: { dtype: 'f64', shape: [n, 40], data } });
      expect(text).toContain('Across: first axis, 100% of the variance; up: second axis, 0% of the variance');
    }
  });
});

describe('matchesOf', () => {
  it('finds the nearest by direction, whatever the length', () => {
    const z: HostArray = { dtype: 'f64', shape: [5, 2], data: Float64Array.of(1, 0, 0, 1, 1e200, 1e199, -1, 0, 0, 0) };
    const [match] = matchesOf(z, [0]);
    expect(match!.nearest.map(({ row }) => row)).toEqual([2, 1, 4, 3]);
    expect(match!.nearest[0]!.similarity).toBeCloseTo(1 / Math.sqrt(1.01), 12);
    expect(matchesOf({ ...z, shape: [1, 2], data: z.data.slice(0, 2) as Float64Array }, [0])).toEqual([]);
  });
});

describe('familiesOf', () => {
  const correlationOf = (points: Float64Array): { readonly deviations: readonly number[]; readonly correlation: number } => {
    const column = (k: number): number[] => Array.from({ length: points.length / 3 }, (_, i) => points[3 * i + k]!);
    const centred = (values: number[]): number[] =>
      values.map((value) => value - values.reduce((sum, other) => sum + other, 0) / values.length);
    const [x, y] = [centred(column(0)), centred(column(1))];
    const product = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (a.length - 1);
    const deviations = [Math.sqrt(product(x, x)), Math.sqrt(product(y, y))];
    return { deviations, correlation: product(x, y) / (deviations[0]! * deviations[1]!) };
  };

  it('does to a batch what each loss asks for', async () => {
    // Two dimensions that repeat each other, one that is by itself, and small.
    const z = gaussian(3, [200, 3]);
    const data = Float64Array.from(z.data, (value, at) => 0.3 * (at % 3 === 1 ? z.data[at - 1]! + 0.3 * value : value));
    const { panels, dimensions, scale } = (await familiesOf({ ...z, data }))!;
    const [batch, collapsed, whitened, barlow, vicreg] = panels.map(({ points }) => points!) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    expect([...dimensions.slice(0, 2)].sort()).toEqual([0, 1]);
    expect(scale).toBe(1);
    const before = correlationOf(batch);
    expect(before.correlation).toBeGreaterThan(0.9);
    expect(correlationOf(collapsed).deviations[0]).toBeLessThan(0.01);
    for (let i = 0; i < whitened.length; i += 3) expect(Math.hypot(...whitened.subarray(i, i + 3))).toBeCloseTo(1, 4);
    expect(correlationOf(barlow).correlation).toBeCloseTo(0, 2);
    expect(correlationOf(barlow).deviations[0]! / before.deviations[0]!).toBeCloseTo(1, 0);
    expect(correlationOf(vicreg).correlation).toBeCloseTo(0, 1);
    for (const deviation of correlationOf(vicreg).deviations) expect(deviation).toBeGreaterThan(0.98);
  });

  it('leaves out what does not exist', async () => {
    expect(await familiesOf(gaussian(1, [3, 2]))).toBeNull();
    const { panels } = (await familiesOf(constant([30, 3])))!;
    expect(panels.map(({ points }) => points === null)).toEqual([false, false, true, false, false]);
  });
});

describe('inspectPage', () => {
  it('holds for names that are markup, and says what is wrong first', async () => {
    const text = await inspectPage({
      path: '/tmp/<img src=x onerror=alert(1)>.npy',
      z: gaussian(1, [8, 2]),
      metrics: [{ name: 'deviation', value: 0.5, meaning: 'a & b' }],
      nearest: 0.25,
      verdict: 'collapsed: one <point>',
    });
    expectWhole(text);
    expect(textsOf(text, 'h1')).toEqual(['&lt;img src=x onerror=alert(1)&gt;.npy']);
    expect(text).toContain('✗ collapsed: one &lt;point&gt;');
    expect(text).toContain('25.0%');
  });
});
