import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inflateIdx, parseCifar, parseIdx } from '../../../models/data/index.ts';
import { property } from '../../support/property.ts';
import { bytesAllocated, damages, parsedOrRefused } from '../io/arrays.ts';

const format = expect.objectContaining({ code: 'format' });

function idx(code: number, shape: readonly number[], data: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const header = new DataView(bytes.buffer);
  header.setUint8(2, code);
  header.setUint8(3, shape.length);
  shape.forEach((dimension, axis) => void header.setUint32(4 + 4 * axis, dimension));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

const files = fc.array(fc.nat(4), { maxLength: 4 }).chain((shape) => {
  const length = shape.reduce((size, dimension) => size * dimension, 1);
  return fc.uint8Array({ minLength: length, maxLength: length }).map((data) => ({ shape, data, bytes: idx(8, shape, data) }));
});

describe('IDX', () => {
  it('reads bytes of every shape, plain and gzipped', () =>
    property([files], async ({ shape, data, bytes }) => {
      const expected = { dtype: 'u8', shape, data };
      expect(parseIdx(bytes)).toEqual(expected);
      expect(parseIdx(await inflateIdx(gzipSync(bytes)))).toEqual(expected);
    }));

  it.each([
    [0x09, [0xff], 'i32', [-1]],
    [0x0b, [0xff, 0xfe], 'i32', [-2]],
    [0x0c, [0, 0, 1, 0], 'i32', [256]],
    [0x0d, [0x3f, 0x80, 0, 0], 'f32', [1]],
    [0x0e, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0], 'f64', [1]],
  ])('reads type %d', (code, data, dtype, values) => {
    const array = parseIdx(idx(code, [1], data));
    expect(array.dtype).toBe(dtype);
    expect([...array.data]).toEqual(values);
  });

  it('survives damage, plain and gzipped, before or after compression', () =>
    property(
      [files, damages, fc.constantFrom('plain', 'before', 'after')],
      async ({ bytes }, damage, where) => {
        const damaged = where === 'plain' ? damage(bytes) : where === 'before' ? gzipSync(damage(bytes)) : damage(gzipSync(bytes));
        const content = await inflateIdx(damaged).catch((error: unknown) =>
          parsedOrRefused(() => {
            throw error;
          }),
        );
        if (content === undefined) return;
        expect(bytesAllocated(() => parsedOrRefused(() => parseIdx(content)))).toBeLessThanOrEqual(4 * content.length);
      },
      { numRuns: 500 },
    ));

  it('stops a gzip bomb at what its header announces', async () => {
    const bomb = gzipSync(idx(8, [2, 3], new Uint8Array(50_000_000)));
    await expect(inflateIdx(bomb)).rejects.toMatchObject({ code: 'format', message: expect.stringContaining('18 bytes') });
  });

  it('stops at the cap, whatever the header announces', async () => {
    const bomb = gzipSync(idx(8, [0xffffffff, 0xffffffff], new Uint8Array(1_000_000)));
    await expect(inflateIdx(bomb, 100_000)).rejects.toEqual(format);
    const uncountable = gzipSync(idx(8, [...new Array<number>(200).fill(0xffffffff), 0], new Uint8Array(1_000_000)));
    await expect(inflateIdx(uncountable)).rejects.toEqual(format);
  });

  it('refuses gzip of something else before inflating it', async () => {
    await expect(inflateIdx(gzipSync(new Uint8Array(50_000_000).fill(1)))).rejects.toEqual(format);
  });

  it('refuses every truncation', async () => {
    const bytes = idx(8, [2, 2], [1, 2, 3, 4]);
    const zipped = gzipSync(bytes);
    for (let length = 0; length < bytes.length; length++) expect(() => parseIdx(bytes.subarray(0, length))).toThrow(format);
    for (let length = 2; length < zipped.length; length++)
      await expect(inflateIdx(zipped.subarray(0, length)).then(parseIdx)).rejects.toEqual(format);
  });
});

describe('CIFAR', () => {
  const record = (labels: readonly number[], pixel: number): number[] => [...labels, ...new Array<number>(3072).fill(pixel)];

  it('reads records of several files in order', () => {
    const { images, labels } = parseCifar(
      [Uint8Array.from([...record([3], 1), ...record([9], 2)]), Uint8Array.from(record([0], 3))],
      'cifar10',
    );
    expect(images.shape).toEqual([3, 3, 32, 32]);
    expect([images.data[0], images.data[3072], images.data[6144], images.data[9215]]).toEqual([1, 2, 3, 3]);
    expect([...labels.data]).toEqual([3, 9, 0]);
  });

  it('reads the fine class of CIFAR-100', () => {
    expect([...parseCifar([Uint8Array.from(record([19, 99], 1))], 'cifar100').labels.data]).toEqual([99]);
  });

  it.each([
    ['an empty file', []],
    ['a truncated file', record([1], 0).slice(0, -1)],
    ['a label that is no class', record([10], 0)],
  ])('refuses %s', (_, bytes) => expect(() => parseCifar([Uint8Array.from(bytes)], 'cifar10')).toThrow(format));

  it('survives damage', () =>
    property([fc.nat(9), damages], (label, damage) => {
      parsedOrRefused(() => parseCifar([damage(Uint8Array.from(record([label], 7)))], 'cifar10'));
    }));
});
