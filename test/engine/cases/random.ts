/** Cases of chance, to the bit of its generator. */
import { bernoulli, foldIn, key, permutation, randint, randn, randomBits, split, uniform } from '../../../engine/index.ts';
import { threefry2x32 } from '../../../engine/reference.ts';
import type { Shape } from '../../../engine/shape.ts';
import * as naive from '../naive.ts';
import { Dense, elementwise, erf, generate } from '../naive.ts';
import { created, type OpCase } from './case.ts';

/** A word that a seed draws: Threefry of counter (0, position), its halves combined by xor. */
function wordOf(seed: number, position: number): number {
  const [first, second] = threefry2x32(Math.floor(seed / 2 ** 32), seed | 0, 0, position);
  return first ^ second;
}
function wordsOf(seed: number, dimensions: Shape): Dense {
  let at = 0;
  return generate(dimensions, () => wordOf(seed, at++));
}
/** The key for a small whole number: two words from the far end of what the seed draws. */
const folding = (seed: number, data: number): Dense => new Dense([2], [wordOf(seed, -2 * data - 2), wordOf(seed, -2 * data - 1)]);
/** 24 bits of a word as a number in [0, 1). */
const unit = (word: number): number => (word >>> 8) / 2 ** 24;

export const randomCases: readonly OpCase[] = [
  created('randomBits', (dimensions, seed) => ({ compute: () => randomBits(seed, dimensions), naive: () => wordsOf(seed, dimensions) })),
  created('uniform', (dimensions, seed) => ({
    compute: () => uniform(dimensions, { key: seed }),
    naive: () => elementwise((x) => unit(x!))(wordsOf(seed, dimensions)),
  })),
  created(
    'uniform from 1 to 4',
    (dimensions, seed) => ({
      compute: () => uniform(dimensions, { key: seed, low: 1, high: 4 }),
      naive: () => elementwise((x) => unit(x!) * 3 + 1)(wordsOf(seed, dimensions)),
      within: 1e-6,
    }),
    // With fused multiply-add, or without.
    { f32: 3e-7 },
  ),
  created('bernoulli', (dimensions, seed) => ({
    compute: () => bernoulli(dimensions, { key: seed, p: 0.25 }),
    naive: () => elementwise((x) => +(unit(x!) < 0.25))(wordsOf(seed, dimensions)),
  })),
  created('randint', (dimensions, seed) => ({
    compute: () => randint(dimensions, { key: seed, low: -3, high: 5 }),
    naive: () => elementwise((x) => Math.floor(unit(x!) * 8) - 3)(wordsOf(seed, dimensions)),
  })),
  created(
    'randn',
    (dimensions, seed) => ({
      compute: () => randn(dimensions, { key: seed }),
      // Compared by the quantiles that the numbers are of; beyond 4 deviations, by their signs.
      check: ([x]) => {
        const quantiles = elementwise((word) => (word! >>> 9) * 2 ** -22 + 2 ** -23 - 1)(wordsOf(seed, dimensions));
        return [[elementwise((value) => (Math.abs(value!) < 4 ? erf(value! / Math.SQRT2) : Math.sign(value!)))(x!), quantiles]];
      },
      within: 1e-4,
    }),
    { f32: 1e-5 },
  ),
  created('permutation', ([n = 4], seed) => ({
    compute: () => permutation(n, { key: seed }),
    naive: () => {
      const words = wordsOf(seed, [n]);
      return new naive.Dense([n], naive.sortedPositions(words.data, false));
    },
  })),
  created('key', (_, seed) => ({ compute: () => key(seed), naive: () => new Dense([2], [Math.floor(seed / 2 ** 32), seed | 0]) })),
  created('foldIn', (_, seed) => ({ compute: () => foldIn(seed, 7), naive: () => folding(seed, 7) })),
  created('split', ([n = 3], seed) => ({
    compute: () => split(seed, Math.min(n, 5)),
    naive: () => Array.from({ length: Math.min(n, 5) }, (_, i) => folding(seed, i)),
  })),
];
