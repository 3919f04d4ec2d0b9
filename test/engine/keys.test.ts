/** Keys that are derived: one for each whole number, on every backend, apart from the others and from the parent's own draws. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile, foldIn, key, randomBits, split, type Tensor, tensor, useBackend, zeros } from '../../engine/index.ts';
import { permutation } from '../../models/data/permutation.ts';
import { deriveKey, type HostKey } from '../../models/nn/initialize.ts';
import { errorOf } from '../support/misuse.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends } from './support.ts';

const MOST = Number.MAX_SAFE_INTEGER;
/** Where a counter of 32 bits, a word's sign or the range itself ends. */
const edges = [0, 2 ** 29, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 52, MOST].flatMap((edge) => [
  edge - 2,
  edge - 1,
  edge,
  edge + 1,
  -edge,
]);
const whole = fc
  .oneof(fc.constantFrom(...edges), fc.maxSafeInteger(), fc.integer(), fc.nat(9))
  .filter(Number.isSafeInteger)
  .map((x) => x + 0);

describe.each([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))('on %s', (_name, backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('each whole number has its own, and none is among the draws', async () => {
    const numbers = [...new Set(edges.filter(Number.isSafeInteger).map((x) => x + 0))];
    const keys = await Promise.all(numbers.map(async (data) => `${await foldIn(1, data).data()}`));
    expect(new Set(keys).size).toBe(numbers.length);
    const draws = new Set(await randomBits(1, [64]).data());
    expect(keys.filter((words) => words.split(',').some((word) => draws.has(Number(word))))).toEqual([]);
  });

  it('a tensor, a number and ordinary memory give the same', () =>
    property([fc.maxSafeInteger(), whole], async (seed, data) => {
      const expected = [...(await foldIn(seed, data).data())];
      expect(deriveKey(seed, data)).toEqual(expected);
      if (data === (data | 0)) expect(await foldIn(seed, tensor(Int32Array.of(data))).array()).toEqual(expected);
      if (data >= 0 && data < 256) expect(await foldIn(seed, tensor(Uint8Array.of(data)).reshape([])).array()).toEqual(expected);
    }));

  it('in a compiled function the number may come with each call', async () => {
    const derive = compile((data: Tensor) => foldIn(7, data));
    for (const data of [0, -1, 2 ** 30, -(2 ** 31)])
      expect(await (await derive(tensor([data], { dtype: 'i32' }))).array()).toEqual(deriveKey(7, data));
    derive.dispose();
  });
});

it('the keys of small numbers are those that runs were recorded with', async () => {
  expect(deriveKey(1, 0)).toEqual([1117895319, -1441772383]);
  expect(deriveKey(12345, 777)).toEqual([1482129857, 1975102937]);
  expect(await split(5, 3).at(2)!.array()).toEqual(deriveKey(5, 2));
});

it('refuses what is no whole number', async () => {
  const one = tensor([1]);
  for (const [name, act, code, said] of [
    ['a fraction', () => foldIn(1, 0.5), 'argument', '0.5'],
    ['beyond 2^53', () => foldIn(1, 2 ** 53), 'argument', '2^53'],
    ['NaN', () => foldIn(1, Number.NaN), 'argument', 'NaN'],
    ['a float tensor', () => foldIn(1, one), 'argument', 'integer tensor'],
    ['several', () => foldIn(1, zeros([2], 'i32')), 'argument', 'of one'],
    ['a fraction in ordinary memory', () => deriveKey(1, 0.5), 'argument', '0.5'],
    ['a word that is none', () => deriveKey([1, 0.5], 0), 'argument', '[1,0.5]'],
    ['three words', () => deriveKey([1, 2, 3] as unknown as HostKey, 0), 'argument', '[1,2,3]'],
    ['a seed beyond 2^53', () => key(2 ** 53), 'argument', '2^53'],
  ] as const) {
    expect(await errorOf(act), name).toMatchObject({ code, message: expect.stringContaining(said) });
  }
});

it('seeds are told apart, however large', async () => {
  const seeds = [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 32 + 1, -(2 ** 32), MOST, -MOST];
  const keys = await Promise.all(seeds.map(async (seed) => `${await key(seed).data()}`));
  expect(new Set(keys).size).toBe(seeds.length);
  expect(await key(-0).array()).toEqual([0, 0]);
});

it('orders of distant epochs differ', () => {
  expect(permutation(50, 1, 2 ** 32)).not.toEqual(permutation(50, 1, 0));
  expect(permutation(50, 1, MOST)).not.toEqual(permutation(50, 1, MOST - 2 ** 32));
});
