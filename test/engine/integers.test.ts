/** Integers keep all 32 bits: no operation takes them through an f32. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { randint, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { backends } from './support.ts';

const [LEAST, MOST] = [-(2 ** 31), 2 ** 31 - 1];
const edges = [LEAST, LEAST + 1, -(2 ** 24) - 1, -3, -1, 0, 1, 3, 2 ** 24 + 1, MOST - 1, MOST];
const word = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: LEAST, max: MOST }), fc.integer({ min: -9, max: 9 }));
const words = fc.array(word, { minLength: 1, maxLength: 70 });

/** By the definition, in integers without bounds. */
function remainder(x: number, y: number): number {
  if (y === 0) return 0;
  const [a, b] = [BigInt(x), BigInt(y)];
  return Number(((a % b) + b) % b);
}

const i32 = (values: readonly number[]): Tensor => tensor(Int32Array.from(values));

describe.each(backends.map((backend) => [backend.name, backend] as const))('on %s', (_name, backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('the remainder has the sign of the divisor, and is 0 for a divisor of 0', () =>
    property([words, words, word], async (xs, ys, y) => {
      const [rows, byNumber] = [i32(xs).unsqueeze(1).remainder(i32(ys)), i32(xs).remainder(y)];
      expect([rows.dtype, byNumber.dtype]).toEqual(['i32', 'i32']);
      expect(await rows.array()).toEqual(xs.map((a) => ys.map((b) => remainder(a, b))));
      expect(await byNumber.array()).toEqual(xs.map((a) => remainder(a, y)));
    }));

  it('of bytes it is an integer, and of a fraction a float', async () => {
    const bytes = tensor(Uint8Array.of(255, 7, 0));
    expect(await bytes.remainder(4).array()).toEqual([3, 3, 0]);
    expect(bytes.remainder(4).dtype).toBe('i32');
    expect(await bytes.remainder(2.5).array()).toEqual([0, 2, 0]);
    expect(await tensor([1]).remainder(0).array()).toEqual([Number.NaN]);
  });

  it('is whole already: rounding leaves it as it is', () =>
    property([words], async (xs) => {
      const x = i32(xs);
      for (const y of [x.floor(), x.ceil(), x.round(), x.trunc()]) {
        expect(y.dtype).toBe('i32');
        expect(await y.array()).toEqual(xs);
      }
    }));

  it('sums and products wrap', () =>
    property([words], async (xs) => {
      const x = i32(xs);
      expect(await x.sum().item()).toBe(xs.reduce((sum, value) => (sum + value) | 0, 0));
      expect(await x.prod().item()).toBe(xs.reduce(Math.imul, 1));
    }));

  it('sums and products of another type do not wrap, nor do means', async () => {
    // The sum that the issue quotes: 2 295 000 000, less 2³².
    const bytes = tensor(Uint8Array.of(255)).expand([9, 1_000_000]);
    expect(await bytes.sum().item()).toBe(-1_999_967_296);
    const large = i32([MOST, MOST]).expand([1000, 2]);
    expect(await large.mean().item()).toBe(2 ** 31);
    expect(await large.variance().item()).toBe(0);
    const sum = bytes.sum(undefined, { dtype: 'f32', keepdims: true });
    expect([sum.dtype, sum.shape]).toEqual(['f32', [1, 1]]);
    expect(Math.abs((await sum.reshape([]).item()) / 2_295_000_000 - 1)).toBeLessThan(1e-6);
    expect(await i32([70_000, 70_000]).prod(0, { dtype: 'f32' }).item()).toBe(Math.fround(4.9e9));
    expect(await i32([MOST, MOST]).mean([], { keepdims: true }).array()).toEqual([2 ** 31, 2 ** 31]);
    expect(await i32([50_000, 0]).norm().item()).toBe(50_000);
    expect(await tensor([2.7, -2.7]).sum(0, { dtype: 'i32' }).item()).toBe(0);
    // Nor do differences from the largest.
    expect(await i32([LEAST, MOST]).softmax().array()).toEqual([0, 1]);
    expect(await i32([LEAST, MOST]).logsumexp().item()).toBe(2 ** 31);
  });

  it.runIf(backend.name === 'cpu')('in f64 a sum of integers is exact', async () => {
    const bytes = tensor(Uint8Array.of(255)).expand([9_000_000]);
    expect(await bytes.sum(0, { dtype: 'f64' }).item()).toBe(2_295_000_000);
    expect(
      await i32([MOST, MOST - 2])
        .mean(0, { dtype: 'f64' })
        .item(),
    ).toBe(MOST - 1);
    expect(
      await i32([MOST, MOST - 2])
        .variance(0, { dtype: 'f64' })
        .item(),
    ).toBe(2);
    expect(
      await i32([MOST, MOST - 2])
        .std(0, { dtype: 'f64', correction: 0 })
        .item(),
    ).toBe(1);
  });

  it('what is logical is so of every type, and a mask', async () => {
    const x = tensor([2, 0, Number.NaN, -0, 0.5]);
    const y = tensor([1, 1, 1, 0, 0]);
    const results = [x.logicalAnd(y), x.logicalOr(y), x.logicalXor(y), x.logicalNot()];
    expect(results.map(({ dtype }) => dtype)).toEqual(['u8', 'u8', 'u8', 'u8']);
    expect(await Promise.all(results.map((result) => result.array()))).toEqual([
      [1, 0, 1, 0, 0],
      [1, 1, 1, 0, 1],
      [0, 1, 0, 0, 1],
      [0, 1, 0, 1, 0],
    ]);
    expect(await i32([2, 256, 0]).logicalAnd(1).array()).toEqual([1, 1, 0]);
    expect(await i32([2, 256, 0]).logicalOr(Number.NaN).array()).toEqual([1, 1, 1]);
    expect(
      await i32([2])
        .logicalAnd(i32([1]))
        .item(),
    ).toBe(1);
    expect(
      await i32([2])
        .bitwiseAnd(i32([1]))
        .item(),
    ).toBe(0);
    // Bytes of bits are no mask.
    expect(await i32([2]).bitwiseAnd(6).cast('u8').logicalAnd(1).item()).toBe(1);
  });

  it('clamp leaves integers as they are', async () => {
    const x = i32([LEAST, 2 ** 24 + 1, MOST]);
    expect(await x.clamp(0, Infinity).array()).toEqual([0, 2 ** 24 + 1, MOST]);
    expect(await x.clamp(-Infinity, 5).array()).toEqual([LEAST, 5, 5]);
    expect(await x.clamp(-Infinity, Infinity).array()).toEqual([LEAST, 2 ** 24 + 1, MOST]);
    expect(x.clamp(0, Infinity).dtype).toBe('i32');
  });

  it('a tensor in a sentence says what it is', () => {
    expect(`${i32([1, 2])}`).toBe('Tensor i32 [2]');
  });

  it('randint keeps to its range, however wide', async () => {
    for (const [low, high] of [
      [LEAST, -1],
      [0, MOST],
      [-5, 2 ** 25],
      [-7, -5],
    ] as const) {
      const drawn = [...(await randint([4096], { key: 3, low, high }).data())];
      expect(drawn.every((value) => value >= low && value < high)).toBe(true);
      expect(Math.abs(drawn.reduce((sum, value) => sum + value / 4096, 0) - (low + high - 1) / 2)).toBeLessThan((high - low) / 40);
      if (high - low > 2 ** 24) expect(drawn.some((value) => value % 2 !== 0)).toBe(true);
    }
  });
});
