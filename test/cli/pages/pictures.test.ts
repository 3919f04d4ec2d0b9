import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimated, histogram, lineChart } from '../../../cli/pages/chart.ts';
import { heatMap } from '../../../cli/pages/heatMap.ts';
import { imageTag, png, type Raster, rasters } from '../../../cli/pages/image.ts';
import { page } from '../../../cli/pages/page.ts';
import type { HostArray } from '../../../engine/index.ts';
import { property } from '../../support/property.ts';
import { expectWhole } from './support.ts';

/** What a PNG decoder reads, by the standard: no interlacing, 8 bits a channel. */
function decoded(bytes: Uint8Array): Raster & { readonly colourType: number } {
  const file = Buffer.from(bytes);
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length; at += file.readUInt32BE(at) + 12)
    chunks.set(file.toString('latin1', at + 4, at + 8), file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  const header = chunks.get('IHDR')!;
  const [width, height, colourType] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9]!];
  const channels = colourType === 2 ? 3 : 1;
  const rows = inflateSync(chunks.get('IDAT')!);
  const stride = width * channels;
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++)
    for (let i = 0; i < stride; i++) {
      const [left, above] = [i < channels ? 0 : pixels[y * stride + i - channels]!, y === 0 ? 0 : pixels[(y - 1) * stride + i]!];
      pixels[y * stride + i] = rows[y * (stride + 1) + 1 + i]! + [0, left, above, (left + above) >> 1][rows[y * (stride + 1)]!]!;
    }
  return { width, height, pixels, colourType };
}

const raster = fc
  .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }), channels: fc.constantFrom(1, 3) })
  .chain(({ width, height, channels }) =>
    fc
      .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
      .map((pixels) => ({ width, height, pixels })),
  );

describe('png', () => {
  it('holds the pixels that it was given', () =>
    property([raster], (given) => {
      const { width, height, pixels, colourType } = decoded(png(given));
      expect({ width, height, pixels: [...pixels] }).toEqual({ ...given, pixels: [...given.pixels] });
      expect(colourType).toBe(given.pixels.length === width * height ? 0 : 2);
    }));

  it('sums up its chunks as decoders ask', () => {
    // The chunk that ends every PNG is the same in all files.
    expect(Buffer.from(png({ width: 1, height: 1, pixels: new Uint8Array(1) }).slice(-12)).toString('hex')).toBe(
      '0000000049454e44ae426082',
    );
  });
});

describe('rasters', () => {
  const images = (channels: number, side: number, value: (i: number) => number, dtype: 'u8' | 'f32' = 'u8'): HostArray => {
    const length = 2 * channels * side * side;
    return {
      dtype,
      shape: [2, channels, side, side],
      data: dtype === 'u8' ? Uint8Array.from({ length }, (_, i) => value(i)) : Float32Array.from({ length }, (_, i) => value(i)),
    };
  };

  it('keeps grey and RGB as they are', () => {
    const second = (channels: number, side: number): number[] => [...rasters(images(channels, side, (i) => i))[1]!.pixels];
    expect(second(1, 2)).toEqual([4, 5, 6, 7]);
    expect(second(3, 1)).toEqual([3, 4, 5]);
    // Four channels are no colours.
    expect(second(4, 1)).toEqual([4]);
  });

  it('makes large ones small, and floats bytes', () => {
    const [large] = rasters(images(1, 64, (i) => i % 2));
    expect(large).toMatchObject({ width: 32, height: 32 });
    const [first, second] = rasters(images(1, 1, (i) => [-2, 6][i]!, 'f32'));
    expect([first!.pixels[0], second!.pixels[0]]).toEqual([0, 255]);
    expect(rasters(images(1, 1, () => NaN, 'f32'))[0]!.pixels[0]).toBe(0);
    expect(imageTag(first!, 'a "shoe"').text).toMatch(
      /^<img src="data:image\/png;base64,[^"]+" width="1" height="1" alt="a &quot;shoe&quot;"/,
    );
  });
});

describe('decimated', () => {
  const values = fc.array(fc.oneof(fc.double({ min: -9, max: 9, noNaN: true }), fc.constantFrom(NaN, Infinity)), {
    minLength: 1,
    maxLength: 200,
  });
  it('keeps the least and the largest value of each column, the first and the last, in order', () =>
    property([values, fc.integer({ min: 1, max: 20 })], (y, width) => {
      const columnOf = (x: number): number => Math.floor(x / width);
      const kept = decimated(Array.from(y.keys()), y, columnOf);
      const at = kept.map(({ i }) => i);
      expect(at).toEqual([...new Set(at)].sort((a, b) => a - b));
      const finite = [...y.keys()].filter((i) => Number.isFinite(y[i]));
      expect([at[0], at.at(-1)]).toEqual([finite[0], finite.at(-1)]);
      for (const column of new Set(finite.map(columnOf))) {
        const [all, some] = [finite, at].map((list) => list.filter((i) => columnOf(i) === column).map((i) => y[i]!));
        expect([Math.min(...some!), Math.max(...some!)]).toEqual([Math.min(...all!), Math.max(...all!)]);
        expect(some!.length).toBeLessThanOrEqual(4);
      }
      // A curve begins anew after what is no number.
      expect(kept.filter(({ begins }) => begins).length > 0).toBe(finite.length > 0);
    }));
});

describe('charts', () => {
  const whole = (content: ReturnType<typeof lineChart>): string => {
    const text = page({ title: 'x', sections: [{ title: 'y', content }] });
    expectWhole(text);
    return text;
  };
  const number = fc.oneof(
    { weight: 5, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
    fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 5e-324, 1.7e308, -1.7e308, 1e-30, 1),
  );

  it('are whole whatever numbers there are', () =>
    property([fc.array(number, { maxLength: 30 }), fc.array(number, { maxLength: 30 })], (a, b) => {
      const x = a.map((_, i) => i + 1);
      const chart = lineChart({
        title: 't',
        x: { label: 'step', values: x },
        series: [
          { name: 'a', values: a },
          { name: 'b', values: b.slice(0, a.length) },
        ],
      });
      expect(chart === null).toBe(![...a, ...b.slice(0, a.length)].some((value) => Math.abs(value) <= 1e300));
      const text = whole(chart);
      // Every coordinate lies in the picture.
      for (const [, left, top] of text.matchAll(/[ML](-?[\d.e+-]+),(-?[\d.e+-]+)/g)) {
        expect(Number(left)).toBeGreaterThanOrEqual(0);
        expect(Number(left)).toBeLessThanOrEqual(360);
        expect(Number(top)).toBeGreaterThanOrEqual(0);
        expect(Number(top)).toBeLessThanOrEqual(220);
      }
      whole(histogram({ title: 't', values: a, x: { label: 'std' }, of: 'dimensions', marks: [{ at: 1, label: 'γ' }] }));
    }));

  it('keep a spike of one step in 100 000, in a small page', () => {
    const y = Float64Array.from({ length: 100_000 }, (_, i) => Math.sin(i / 900));
    y[54_321] = 40;
    const text = whole(
      lineChart({ title: 'loss', x: { label: 'step', values: y.map((_, i) => i) }, series: [{ name: 'loss', values: y }] }),
    );
    expect(text.length).toBeLessThan(20_000);
    expect(text).toMatch(/within −1 … 40/);
    // At the top of the plot.
    expect(text).toMatch(/L[\d.]+,12L/);
  });

  it('say where numbers end', () => {
    const text = whole(
      lineChart({ title: 'loss', x: { label: 'step', values: [1, 2, 3, 4] }, series: [{ name: 'loss', values: [3, 2, NaN, Infinity] }] }),
    );
    expect(text).toContain('× no number: loss at step 3 and 1 more.');
  });
});

describe('heatMap', () => {
  it.each([1, 2, 256, 600])('draws %i rows', (size) => {
    const values = new Float64Array(size * size);
    values[size * size - 1] = -3;
    const { text } = heatMap({ title: 'covariance', values, size, axis: 'dimension' });
    expect(text).toContain('magnitudes up to 3');
    const [, data] = /base64,([^"]*)/.exec(text)!;
    const { width, pixels } = decoded(Buffer.from(data!, 'base64'));
    expect(width).toBe(Math.ceil(size / Math.ceil(size / 256)));
    expect([pixels[0], pixels.at(-1)]).toEqual([size === 1 ? 0 : 127, 0]);
    expectWhole(
      page({ title: 'x', sections: [{ title: 'y', content: heatMap({ title: 'c', values: values.fill(NaN), size, axis: 'dimension' }) }] }),
    );
  });
});
