/** Cases of ops that make a tensor of nothing. */
import { arange, eye, full, linspace, type NestedArray, ones, tensor, zeros } from '../../../engine/index.ts';
import { domains, generator } from '../draws.ts';
import { Dense, generate } from '../naive.ts';
import { created, type OpCase } from './case.ts';

const nested = (x: Dense, ...index: number[]): NestedArray =>
  index.length === x.shape.length ? x.at(...index) : Array.from({ length: x.shape[index.length]! }, (_, i) => nested(x, ...index, i));

export const createCases: readonly OpCase[] = [
  created('tensor', (dimensions, seed) => {
    const values = new Dense(dimensions, domains.small(generator(seed), dimensions));
    // Nesting says nothing of what is inside an empty axis.
    const flat = seed % 2 === 0 || values.data.length === 0;
    return {
      compute: () => (flat ? tensor(Float32Array.from(values.data), { shape: dimensions }) : tensor(nested(values))),
      naive: () => values,
    };
  }),
  created('zeros', (dimensions) => ({ compute: () => zeros(dimensions), naive: () => generate(dimensions, () => 0) })),
  created('ones', (dimensions) => ({ compute: () => ones(dimensions, 'u8'), naive: () => generate(dimensions, () => 1) })),
  created('full', (dimensions, seed) => ({
    compute: () => full(dimensions, seed),
    naive: () => generate(dimensions, () => Math.fround(seed)),
  })),
  created('arange', ([n = 3]) => ({ compute: () => arange(n), naive: () => generate([n], (i) => i!) })),
  created('eye', ([n = 2]) => ({
    compute: () => eye(Math.min(n, 40)),
    naive: () => generate([Math.min(n, 40), Math.min(n, 40)], (i, j) => +(i === j)),
  })),
  created(
    'linspace',
    ([n = 5], seed) => ({
      compute: () => linspace(-1, seed % 7, n + 1),
      naive: () => generate([n + 1], (i) => -1 + (i! * ((seed % 7) + 1)) / Math.max(1, n)),
      within: 1e-6,
    }),
    { f32: 1e-6, of: 'largest' },
  ),
];
