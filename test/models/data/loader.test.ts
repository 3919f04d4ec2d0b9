import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostArray } from '../../../engine/dtype.ts';
import {
  balancedSubset,
  batches,
  batchesPerEpoch,
  channelStatistics,
  type ImageSplit,
  normalizeImages,
  permutation,
  prefetch,
  takeRows,
  takeSplit,
} from '../../../models/data/index.ts';
import { property } from '../../support/property.ts';

const argument = expect.objectContaining({ code: 'argument' });

/** Images of one pixel, each its own number, labelled with it. */
function numbered(count: number): ImageSplit {
  const order = Array.from({ length: count }, (_, index) => index);
  return {
    images: { dtype: 'u8', shape: [count, 1, 1, 1], data: Uint8Array.from(order) },
    labels: { dtype: 'i32', shape: [count], data: Int32Array.from(order) },
  };
}

const u8Images = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(1, 3), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
  .chain(([count, channels, height, width]) => {
    const length = count * channels * height * width;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data): HostArray => ({ dtype: 'u8', shape: [count, channels, height, width], data }));
  });

describe('permutation', () => {
  it('is a permutation, a pure function of its arguments', () =>
    property([fc.nat(300), fc.maxSafeInteger(), fc.nat(1000)], (count, seed, epoch) => {
      const order = permutation(count, seed, epoch);
      expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
      expect(permutation(count, seed, epoch)).toEqual(order);
    }));

  it('differs between epochs, and between seeds in any of their bits', () => {
    const orders = [0, 1, -1, 2 ** 32, 2 ** 40].flatMap((seed) => [0, 1].map((epoch) => permutation(50, seed, epoch).join()));
    expect(new Set(orders).size).toBe(orders.length);
  });

  it('keeps its order from release to release, so that runs resume', () => {
    expect([...permutation(10, 1, 2)]).toMatchInlineSnapshot(`
      [
        0,
        4,
        5,
        1,
        3,
        7,
        2,
        9,
        8,
        6,
      ]
    `);
  });

  it('puts every item everywhere equally often', () => {
    const size = 5;
    const draws = 4000;
    const counts = new Float64Array(size * size);
    for (let epoch = 0; epoch < draws; epoch++) permutation(size, 7, epoch).forEach((item, place) => void counts[item * size + place]!++);
    const expected = draws / size;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 16 degrees of freedom: the .999 quantile is 39.3.
    expect(chiSquare).toBeLessThan(39.3);
  });

  it.each([
    [-1, 0, 0],
    [1.5, 0, 0],
    [2 ** 31, 0, 0],
    [1, 0.5, 0],
    [1, 0, -1],
  ])('refuses %d, %d, %d', (count, seed, epoch) => {
    expect(() => permutation(count, seed, epoch)).toThrow(argument);
  });
});

describe('batches', () => {
  it('cover the epoch once, images beside their labels', () =>
    property(
      [fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.boolean(), fc.nat(9)],
      (count, batchSize, dropLast, epoch) => {
        fc.pre(batchSize <= count);
        const seen = [...batches(numbered(count), { batchSize, dropLast, seed: 3 }, epoch)];
        expect(seen.length).toBe(batchesPerEpoch(count, { batchSize, dropLast }));
        for (const [index, batch] of seen.entries()) {
          expect(batch).toMatchObject({ epoch, index });
          expect([...batch.images.data]).toEqual([...batch.indices]);
          expect([...batch.labels!.data]).toEqual([...batch.indices]);
          if (dropLast) expect(batch.images.shape[0]).toBe(batchSize);
        }
        const indices = seen.flatMap((batch) => [...batch.indices]);
        expect(new Set(indices).size).toBe(indices.length);
        expect(indices.length).toBe(dropLast ? count - (count % batchSize) : count);
      },
    ));

  it('resume: beginning at any batch gives the rest of the epoch', () =>
    property([fc.nat(9), fc.nat(4)], (first, epoch) => {
      const options = { batchSize: 4, seed: 11 };
      expect([...batches(numbered(38), options, epoch, first)]).toEqual([...batches(numbered(38), options, epoch)].slice(first));
    }));

  it('keep the order without shuffling, and apply prepare', () => {
    const [batch] = batches(numbered(4), { batchSize: 3, shuffle: false, prepare: normalizeImages }, 5);
    expect([...batch!.indices]).toEqual([0, 1, 2]);
    expect(batch!.images.dtype).toBe('f32');
  });

  it('refuse a batch size that leaves none, and a beginning past the end', () => {
    expect(() => batchesPerEpoch(3, { batchSize: 4 })).toThrow(argument);
    expect(() => batchesPerEpoch(3, { batchSize: 0 })).toThrow(argument);
    expect(() => [...batches(numbered(4), { batchSize: 2 }, 0, 3)]).toThrow(argument);
    expect([...batches(numbered(4), { batchSize: 2 }, 0, 2)]).toEqual([]);
  });
});

describe('prefetch', () => {
  it('gives the same items', () =>
    property([fc.array(fc.anything())], async (items) => {
      const seen: unknown[] = [];
      for await (const item of prefetch(items)) seen.push(item);
      expect(seen).toEqual(items);
    }));

  it('prepares one item ahead while the consumer waits, and no more', async () => {
    let prepared = 0;
    const iterator = prefetch(
      (function* () {
        for (;;) yield ++prepared;
      })(),
    );
    expect((await iterator.next()).value).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(prepared).toBe(2);
    await iterator.return();
  });

  it('closes its source when left early, and passes errors on', async () => {
    let closed = false;
    function* source(): Generator<number> {
      try {
        yield 1;
        throw new Error('broken');
      } finally {
        closed = true;
      }
    }
    for await (const item of prefetch(source())) if (item === 1) break;
    expect(closed).toBe(true);
    await expect(
      (async () => {
        for await (const _ of prefetch(source()));
      })(),
    ).rejects.toThrow('broken');
    // An error that nobody asks for does not end the process.
    const iterator = prefetch(source());
    await iterator.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await iterator.return();
  });
});

describe('balanced subset', () => {
  const labels = (counts: readonly number[]): HostArray => {
    const data = Int32Array.from(counts.flatMap((count, label) => new Array<number>(count).fill(label)));
    return { dtype: 'i32', shape: [data.length], data };
  };

  it('has equally many of each class, ascending, nested in a larger one', () =>
    property([fc.integer({ min: 1, max: 6 }), fc.integer({ min: 10, max: 40 }), fc.integer()], (classes, each, seed) => {
      const all = labels(new Array<number>(classes).fill(each));
      const [small, large] = [balancedSubset(all, 0.1, seed), balancedSubset(all, 0.5, seed)];
      expect(large.every((row, at) => at === 0 || row > large[at - 1]!)).toBe(true);
      expect([...small].every((row) => large.includes(row))).toBe(true);
      for (let label = 0; label < classes; label++)
        expect([...large].filter((row) => all.data[row] === label).length).toBe(Math.round(each / 2));
    }));

  it('takes at least one of each, and refuses what a class does not have', () => {
    expect([...takeRows(labels([5, 5]), balancedSubset(labels([5, 5]), 0.01)).data]).toEqual([0, 1]);
    expect(() => balancedSubset(labels([1, 99]), 0.5)).toThrow(argument);
    expect(() => balancedSubset(labels([1]), 0)).toThrow(argument);
    expect(() => balancedSubset(labels([1]), NaN)).toThrow(argument);
    const negative: HostArray = { dtype: 'i32', shape: [2], data: Int32Array.of(0, -1) };
    expect(() => balancedSubset(negative, 1)).toThrow(/labels must be from 0, got -1 at 1/);
    const fractional: HostArray = { dtype: 'f32', shape: [2], data: Float32Array.of(0, 0.5) };
    expect(() => balancedSubset(fractional, 1)).toThrow(/labels must be integers/);
  });
});

describe('images', () => {
  it('have the mean and the unbiased deviation of each channel', () =>
    property([u8Images], (images) => {
      const [count = 0, channels = 0, height = 0, width = 0] = images.shape;
      const { mean, deviation } = channelStatistics(images);
      for (let channel = 0; channel < channels; channel++) {
        const values = [...images.data]
          .filter((_, at) => Math.floor(at / (height * width)) % channels === channel)
          .map((value) => value / 255);
        expect(values.length).toBe(count * height * width);
        const expectedMean = values.reduce((sum, value) => sum + value) / values.length;
        const variance = values.reduce((sum, value) => sum + (value - expectedMean) ** 2, 0) / (values.length - 1);
        expect(mean[channel]).toBeCloseTo(expectedMean, 12);
        expect(deviation[channel]).toBeCloseTo(new Set(values).size > 1 ? Math.sqrt(variance) : 1, 12);
      }
    }));

  it('are normalised to mean 0 and deviation 1', () =>
    property([u8Images], (images) => {
      const scale = channelStatistics(images);
      const normalized = normalizeImages(images, scale);
      const [, channels = 0, height = 0, width = 0] = images.shape;
      normalized.data.forEach((value, at) => {
        const channel = Math.floor(at / (height * width)) % channels;
        expect(value).toBe(Math.fround((images.data[at]! / 255 - scale.mean[channel]!) / scale.deviation[channel]!));
      });
      expect(normalizeImages(normalized, scale)).toBe(normalized);
    }));

  it('are refused with the wrong rank, type or number of means', () => {
    const flat: HostArray = { dtype: 'u8', shape: [4], data: new Uint8Array(4) };
    expect(() => channelStatistics(flat)).toThrow(expect.objectContaining({ code: 'shape' }));
    expect(() => normalizeImages({ dtype: 'i32', shape: [1, 1, 1, 1], data: new Int32Array(1) })).toThrow(
      expect.objectContaining({ code: 'dtype' }),
    );
    expect(() => normalizeImages({ ...flat, shape: [1, 1, 2, 2] }, { mean: [0, 0], deviation: [1, 1] })).toThrow(
      expect.objectContaining({ code: 'shape' }),
    );
    for (const index of [4, -5, 0.5, NaN, 2 ** 31]) expect(() => takeRows(flat, [index])).toThrow(argument);
    expect(takeRows(flat, [-1, 0, -4])).toEqual(takeRows(flat, [3, 0, 0]));
    const { images } = numbered(3);
    expect(() => takeSplit({ images, labels: numbered(4).labels! }, [-1])).toThrow(
      /each image needs a label, got images \[3, 1, 1, 1\] and labels \[4\]/,
    );
  });
});
