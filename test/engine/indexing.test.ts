/** Positions: negative ones count from the end; outside they are an error where they are known, and what each op says where a plan finds them. */
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  arange,
  compile,
  concat,
  eye,
  full,
  grad,
  gridSample,
  oneHot,
  realize,
  scatter,
  scatterAdd,
  slot,
  stack,
  type Tensor,
  take,
  takeAlongAxis,
  tensor,
  useBackend,
} from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { generator } from './draws.ts';
import { backends, reference } from './support.ts';

const ints = (...values: number[]): Tensor => tensor(Int32Array.from(values));
const floats = (...values: number[]): Tensor => tensor(Float64Array.from(values));
const three = floats(10, 20, 30);

afterEach(async () => {
  await useBackend(reference);
});

describe('an index outside that is known', () => {
  const ops: readonly (readonly [string, (index: Tensor) => unknown])[] = [
    ['take', (index) => take(three, index)],
    ['takeAlongAxis', (index) => takeAlongAxis(three, index, 0)],
    ['scatterAdd', (index) => scatterAdd(full(index.shape, 1), index, 0, 3)],
    ['scatter', (index) => scatter(three, index, full(index.shape, 1, 'f64'), 0)],
    ['oneHot', (index) => oneHot(index, 3)],
  ];
  const outside: readonly (readonly [string, () => Tensor, number])[] = [
    ['beyond the end', () => ints(0, 3), 3],
    ['before the start', () => ints(-4, 0), -4],
    ['of bytes', () => tensor(Uint8Array.of(1, 255)), 255],
    ['cast', () => tensor([0, 3.9]).cast('i32'), 3],
    ['cast twice', () => tensor([2.9999999999], { dtype: 'f64' }).cast('f32').cast('i32'), 3],
    ['∞, cast', () => tensor([Infinity]).cast('i32'), 2 ** 31 - 1],
    ['reshaped', () => ints(0, 1, 2, 3).reshape([2, 2]).reshape([4]), 3],
    ['turned', () => ints(3, 0).flip(), 3],
    ['expanded', () => ints(5).expand([4]), 5],
    ['sliced', () => ints(0, 7, 0, 8).slice([3, null]), 8],
    ['sliced of turned', () => ints(0, 7, 0, 8).reshape([2, 2]).transpose().flip(0).slice(0), 7],
    ['sliced of cast', () => tensor([1, 9, 2]).cast('i32').slice([1, 2]), 9],
    ['joined', () => concat([ints(0, 1), ints(-2, 4).reshape([2])]), 4],
    ['stacked', () => stack([ints(0, 1), full([2], 8, 'i32')], 1).reshape([4]), 8],
    ['full', () => full([2], -7, 'i32'), -7],
    ['full, sliced', () => full([4], -7, 'i32').slice([1, 3]), -7],
    ['arange', () => arange(4), 3],
    ['arange, turned', () => arange(9).reshape([3, 3]).transpose().reshape([9]).slice([1, 2]), 3],
  ];
  it.for(ops.flatMap(([op, f]) => outside.map(([what, index, value]) => [op, what, f, index, value] as const)))(
    '%s: %s',
    ([op, , f, index, value]) => {
      expect(() => f(index())).toThrow(
        expect.objectContaining({
          code: 'argument',
          message: expect.stringMatching(`^${op}: index ${value} is outside axis . *, which has 3; use -3 to 2`),
        }),
      );
    },
  );

  it('says so of an empty axis, and an empty index is none', async () => {
    const none = tensor(new Float64Array(0));
    expect(() => take(none, ints(0))).toThrow(/there is no place in it/);
    expect(take(none, ints()).shape).toEqual([0]);
    expect((await take(three, full([0], 9, 'i32')).data()).length).toBe(0);
  });

  it('is not one that is cut away, and what is cast from NaN is 0', async () => {
    expect([...(await take(three, ints(0, 7, 1, 8).slice([0, null, 2])).data())]).toEqual([10, 20]);
    expect([...(await take(three, ints(9, 1, -1, 9).reshape([2, 2]).flip().slice(0, [1, 2])).data())]).toEqual([30]);
    expect([...(await take(three, tensor([NaN, -0.9]).cast('i32')).data())]).toEqual([10, 10]);
  });

  it('is looked for no further than makes sense: what is huge, or far behind, is built at once', () => {
    const huge = 2 ** 31;
    expect(() => take(three, arange(huge - 1))).toThrow(/index 2147483646 is outside/);
    expect(() => oneHot(ints(9).expand([huge]), 3)).toThrow(/index 9 is outside/);
    expect(take(three, ints(2).expand([huge]).slice([1, null])).shape).toEqual([huge - 1]);
    expect(take(three, arange(huge - 1).slice([1, 4])).shape).toEqual([3]);
    let index = ints(0, 1);
    for (let i = 0; i < 20_000; i++) index = index.flip();
    expect(take(three, index).shape).toEqual([2]);
  });
});

const everywhere = [...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const);
afterAll(() => gpu?.dispose());

describe.for(everywhere)('an index that a plan finds, on %s', ([, backend]) => {
  const dtype = backend === reference ? 'f64' : 'f32';
  const outside = [0, -1, 3, -3, -4, 2 ** 31 - 1, -(2 ** 31)];
  const taken = [10, 30, Number.NaN, 10, Number.NaN, Number.NaN, Number.NaN];
  /** Ways in which nobody knows before: an argument, a slot, and what is computed, read before or not. */
  const ways: readonly (readonly [string, (f: (index: Tensor) => Tensor) => Promise<Tensor>])[] = [
    ['an argument', (f) => compile((index: Tensor) => f(index))(ints(...outside))],
    ['a slot', async (f) => f(slot({ dtype: 'i32', shape: [outside.length], data: Int32Array.from(outside) }).value)],
    ['computed', async (f) => f(ints(...outside).bitwiseXor(0))],
  ];

  it.for(ways)('%s', async ([, way]) => {
    await useBackend(backend);
    const x = tensor([10, 20, 30], { dtype });
    const list = async (f: (index: Tensor) => Tensor): Promise<number[]> => [...(await (await way(f)).data())];
    expect(await list((index) => take(x, index))).toEqual(taken);
    expect(await list((index) => takeAlongAxis(x, index, 0))).toEqual(taken);
    for (const type of ['i32', 'u8'] as const)
      expect(await list((index) => take(tensor([10, 20, 30], { dtype: type }), index))).toEqual(taken.map((value) => value || 0));
    // Row 0 has a place for each update, row 1 has not.
    const updates = tensor([...outside.keys()].map((k) => 2 ** k));
    expect(await list((index) => scatterAdd(updates, index, 0, 3))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(await list((index) => scatterAdd(updates.cast('i32'), index, 0, 3))).toEqual([1 + 8, 0, 2]);
    const places = tensor([8, 9, 7]);
    expect(await list((index) => scatter(places, index, updates, 0))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(await list((index) => scatter(places.cast('i32'), index, updates.cast('i32'), 0))).toEqual([8, 9, 2]);
    const lines = (index: Tensor): Tensor =>
      index
        .slice([0, 2])
        .unsqueeze(0)
        .expand([2, 2])
        .add(tensor([[0], [3]], { dtype: 'i32' }));
    expect(
      await list((index) =>
        scatterAdd(
          tensor([
            [1, 2],
            [3, 4],
          ]),
          lines(index),
          1,
          3,
        ),
      ),
    ).toEqual([1, 0, 2, ...new Array(3).fill(Number.NaN)]);
    expect(
      await list((index) =>
        scatter(
          tensor([
            [7, 8, 9],
            [7, 8, 9],
          ]),
          lines(index),
          tensor([
            [1, 2],
            [3, 4],
          ]),
          1,
        ),
      ),
    ).toEqual([1, 8, 2, ...new Array(3).fill(Number.NaN)]);
    const row = (at: number | null): number[] => [0, 1, 2].map((k) => (at === null ? Number.NaN : +(k === at)));
    expect(await list((index) => oneHot(index, 3))).toEqual([0, 2, null, 0, null, null, null].flatMap(row));
  });

  it('gives no gradient where it is outside, nor NaN to those beside it', async () => {
    await useBackend(backend);
    const x = tensor([10, 20, 30], { dtype });
    const index = ints(...outside).bitwiseXor(0);
    const inside = index.greaterEqual(-3).logicalAnd(index.less(3));
    const loss = inside.where(take(x, index), 0).square().sum();
    const [slope] = grad(loss, [x]);
    expect([...(await slope!.data())]).toEqual([40, 0, 60]);
    const [curvature] = grad(slope!.sum(), [x]);
    expect([...(await curvature!.data())]).toEqual([4, 0, 2]);
  });

  it('is known no better for having been read', async () => {
    await useBackend(backend);
    const x = tensor([10, 20, 30], { dtype });
    const index = ints(1, 7).bitwiseXor(0);
    const loss = index.less(3).where(take(x, index), 0).sum();
    await index.data();
    await realize(index);
    const [slope] = grad(loss, [x]);
    expect([...(await slope!.data())]).toEqual([0, 1, 0]);
  });
});

describe('positions counted from either end', () => {
  const draws = [fc.integer({ min: 1, max: 5 }), fc.nat(6), fc.nat()] as const;

  it('are transposes of each other: ⟨gather(x, i), g⟩ = ⟨x, scatterAdd(g, i)⟩, known before or not', () =>
    property([...draws], async (n, m, seed) => {
      const random = generator(seed);
      const numbers = (count: number): Tensor => tensor(Float64Array.from({ length: count }, () => random() - 0.5));
      const known = ints(...Array.from({ length: m }, () => Math.floor((2 * random() - 1) * n)));
      const [x, g] = [numbers(n), numbers(m)];
      for (const index of [known, known.bitwiseXor(0)]) {
        const difference = take(x, index)
          .mul(g)
          .sum()
          .sub(scatterAdd(g, index, 0, n).mul(x).sum());
        expect(Math.abs(await difference.item())).toBeLessThan(1e-14);
      }
    }));

  it('are rows of the identity', () =>
    property([...draws], async (n, m, seed) => {
      const random = generator(seed);
      const index = ints(...Array.from({ length: m }, () => Math.floor((2 * random() - 1) * n)));
      expect(await oneHot(index, n).data()).toEqual(await take(eye(n), index).data());
    }));
});

describe('gridSample of places far away', () => {
  const grid = (...places: number[]): Tensor => tensor(Float64Array.from(places), { shape: [1, 1, places.length / 2, 2] });
  const image = tensor(
    [
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ],
    { dtype: 'f64' },
  );
  const far = [Infinity, 0, -Infinity, 0, 1e300, -1e300, 3e9, 3e9, -1e10, 0.2];

  it.for([
    ['zeros', false, [0, 0, 0, 0, 0]],
    ['zeros', true, [0, 0, 0, 0, 0]],
    ['border', false, [3, 2, 2, 4, 2.4]],
    ['border', true, [3, 2, 2, 4, 2.2]],
  ] as const)('%s, alignCorners %s: the value, and a finite gradient, as PyTorch has them', async ([padding, alignCorners, expected]) => {
    const places = grid(...far);
    const samples = gridSample(image, places, { padding, alignCorners });
    const [pixels, slopes] = grad(samples.sum(), [image, places]);
    (await samples.data()).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 12));
    expect((await pixels!.sum().item()).toFixed(9)).toBe((padding === 'zeros' ? 0 : 5).toFixed(9));
    // Down the image, one pixel is 2 in value: in the units of the grid, half of the image or of the way between centres.
    const slope = alignCorners ? 1 : 2;
    expect([...(await slopes!.data())]).toEqual(padding === 'zeros' ? new Array(10).fill(0) : [0, slope, 0, slope, 0, 0, 0, 0, 0, slope]);
  });

  it('shows a NaN place, and leaves the gradient of the others alone', async () => {
    const places = grid(Number.NaN, 0, 0, Number.NaN, 0, 0);
    const samples = gridSample(image, places);
    expect([...(await samples.data())]).toEqual([Number.NaN, Number.NaN, 2.5]);
    const [pixels] = grad(samples.isNaN().where(0, samples).sum(), [image]);
    expect([...(await pixels!.data())]).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  it('finds pixels beyond those that f32 can count', async () => {
    await useBackend(backends.at(-1)!);
    // 2²⁴ + 2 pixels of two rows; the gradient by the grid reads the last two.
    const width = 2 ** 23 + 1;
    const wide = arange(2 * width)
      .reshape([1, 1, 2, width])
      .greaterEqual(2 * width - 1)
      .cast('f32');
    const place = tensor([[[[1 - 1.5 / width, 1 - 0.5]]]]);
    const [slope] = grad(gridSample(wide, place).sum(), [place]);
    expect((await slope!.data())[0]).not.toBe(0);
  });
});
