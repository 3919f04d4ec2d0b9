/** The same key gives the same bits on every backend. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import {
  bernoulli,
  foldIn,
  permutation,
  randint,
  randomBits,
  realize,
  split,
  type Tensor,
  uniform,
  useBackend,
} from '../../../../engine/index.ts';
import { propertyTogether } from '../../../support/property.ts';
import { backends } from '../../support.ts';
import { gpu } from './gpu.ts';

const drawings: Readonly<Record<string, (key: number, count: number) => Tensor | readonly Tensor[]>> = {
  randomBits: (key, count) => randomBits(key, [count]),
  uniform: (key, count) => uniform([count], { key }),
  bernoulli: (key, count) => bernoulli([count], { key, p: 0.3 }),
  randint: (key, count) => randint([count], { key, low: -7, high: 12_345 }),
  'randint of every word': (key, count) => randint([count], { key, low: -(2 ** 31), high: -1 }),
  permutation: (key, count) => permutation(count, { key }),
  foldIn: (key, count) => foldIn(key, count),
  split: (key, count) => split(key, 1 + (count % 5)),
  'uniform of a key that was derived': (key, count) => uniform([count], { key: foldIn(foldIn(key, 3), count) }),
};

describe.runIf(gpu)('to the bit on webgpu as elsewhere', () => {
  const keys = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
  // Beyond a workgroup, and beyond a row of a sort.
  const counts = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(257, 1025));

  it.for(Object.entries(drawings))('%s', ([, draw]) =>
    propertyTogether([keys, counts], 6, async (sample) => {
      const results: string[][] = [];
      for (const backend of [gpu as Backend, ...backends]) {
        await useBackend(backend);
        const drawn = sample.map(([key, count]) => [draw(key, count)].flat());
        await realize(...drawn.flat());
        results.push(await Promise.all(drawn.map(async (tensors) => (await Promise.all(tensors.map((x) => x.data()))).join('; '))));
      }
      return sample.map((_, i) => {
        const [got, ...others] = results.map((texts) => texts[i]!);
        const at = others.findIndex((wanted) => wanted !== got);
        return at < 0 ? null : `not as on ${backends[at]!.name}: ${got!.slice(0, 200)}, not ${others[at]!.slice(0, 200)}`;
      });
    }),
  );
});
