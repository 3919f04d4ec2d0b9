import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { tensor, useBackend, zeros } from '../../../engine/index.ts';
import { VisionTransformer } from '../../../models/index.ts';
import { scaledDotProductAttention } from '../../../models/nn/functional.ts';
import { Attention } from '../../../models/nn/transformer.ts';
import { property } from '../../support/property.ts';
import { type Replay, replayFamily } from '../recorded.ts';
import { expectClose, expectError, gaussian, seeds, values } from '../support.ts';

replayFamily('transformer', {
  scaledDotProductAttention: ([query, key, value]) => ({ outputs: [scaledDotProductAttention(query!, key!, value!)] }),
  visionTransformer: ([x, ...parameters], attributes, { inputNames = [] }): Replay => {
    const { width, heads, depth } = attributes as { readonly width: number; readonly heads: number; readonly depth: number };
    const network = new VisionTransformer({ width, heads, depth }, { key: 0, inputs: x!.shape[1]!, stem: 'cifar', dtype: x!.dtype });
    const slots = new Map(network.namedSlots());
    expect([...slots.keys()]).toEqual(inputNames.slice(1));
    for (const [i, slot] of [...slots.values()].entries()) slot.assign(parameters[i]!);
    return { outputs: [network.featureMap(x!), network.forward(x!)] };
  },
});

describe('attention', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });
  const drawn = fc.record({
    n: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 5 }),
    heads: fc.integer({ min: 1, max: 3 }),
  });

  it('gives each token a mean of the values: rows of weights add up to 1', () =>
    property([drawn, seeds], async ({ n, tokens, heads }, seed) => {
      const [query, key] = [seed, seed + 1].map((own) => tensor(gaussian(own, [n, heads, tokens, 4])));
      const same = tensor(gaussian(seed + 2, [n, heads, 1, 4])).expand([n, heads, tokens, 4]);
      await expectClose(scaledDotProductAttention(query!, key!, same), same, 1e-12);
    }));

  it('does not know where tokens are: permuting them permutes what it gives', () =>
    property([drawn, seeds], async ({ n, tokens, heads }, seed) => {
      const layer = new Attention(4 * heads, { heads, key: seed, dtype: 'f64' });
      const x = tensor(gaussian(seed, [n, tokens, 4 * heads]));
      await expectClose(layer.forward(x.flip(1)), layer.forward(x).flip(1), 1e-12);
    }));

  it('says what does not fit', () => {
    const own = { key: 0 };
    expectError(() => new Attention(8, { ...own, heads: 3 }), 'argument', /3 heads do not divide a width of 8/);
    expectError(() => new Attention(8, { ...own, heads: 2 }).forward(zeros([3, 8])), 'shape', /\[n, tokens, width\]/);
    expectError(() => scaledDotProductAttention(zeros([2, 3]), zeros([2, 4]), zeros([2, 3])), 'shape', /matmul/);
  });
});

describe('a vision transformer', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });
  const small = (): VisionTransformer => new VisionTransformer({ width: 8, depth: 1, heads: 2 }, { key: 1, inputs: 1, stem: 'cifar' });

  it('has the size of its name', () => {
    const count = (name: 'small-vit' | 'vit-tiny', stem: 'cifar' | 'imagenet'): number =>
      new VisionTransformer(name, { key: 0, stem }).parameters().reduce((sum, { size }) => sum + size, 0);
    // DeiT-Ti's 5 717 416 less its class token, 197 positions and classifier of 1000.
    expect(count('vit-tiny', 'imagenet')).toBe(5_717_416 - 192 - 197 * 192 - 1000 * 193);
    const block = (width: number): number => 12 * width * width + 13 * width;
    expect(count('small-vit', 'cifar')).toBe(4 * block(128) + 48 * 128 + 128 + 2 * 128);
  });

  it('takes images of any size that its patch divides, and knows where a patch is', async () => {
    const network = small();
    for (const [height, width] of [
      [4, 4],
      [8, 12],
      [16, 4],
    ] as const)
      expect(network.featureMap(zeros([2, 1, height, width])).shape).toEqual([2, 8, height / 4, width / 4]);
    const x = tensor(gaussian(1, [1, 1, 8, 8]), { dtype: 'f32' });
    const [here, turned] = await values(network.forward(x), network.forward(x.flip(3)));
    expect(here).not.toEqual(turned);
  });

  it('says what does not fit', () => {
    expectError(() => small().forward(zeros([2, 1, 10, 8])), 'shape', /patches of 4 divide, got \[2, 1, 10, 8\]/);
    expectError(() => small().forward(zeros([2, 1, 0, 8])), 'shape', /patches of 4 divide/);
    expectError(() => new VisionTransformer({ width: 6, depth: 1, heads: 2 }, { key: 0 }), 'argument', /multiple of 4/);
    expectError(
      () => new VisionTransformer({ width: 8, depth: 0, heads: 2 }, { key: 0 }),
      'argument',
      /depth must be a whole number ≥ 1, got 0/,
    );
    expectError(() => new VisionTransformer('vit-huge' as 'vit-tiny', { key: 0 }), 'argument', /small-vit, vit-tiny/);
  });
});
