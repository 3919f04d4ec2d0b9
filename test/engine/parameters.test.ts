/** Strides, paddings, dilations and windows of any size: the right numbers, at the cost of the image and of what comes out of it. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../engine/backends/backend.ts';
import { encodePlan } from '../../engine/backends/wasm/encode.ts';
import { createWebGpuBackend } from '../../engine/backends/webgpu/index.ts';
import { buildPlan } from '../../engine/compiler/compiler.ts';
import { partsOf } from '../../engine/compiler/epilogue.ts';
import { planFaults } from '../../engine/compiler/validate.ts';
import {
  adaptiveAveragePool2d,
  averagePool2d,
  conv2d,
  grad,
  maxPool2d,
  maxPool2dWithIndices,
  TensegrityError,
  type Tensor,
  tensor,
  uniform,
  useBackend,
} from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import { capability } from '../support/capabilities.ts';
import { property } from '../support/property.ts';
import { noise } from './backends/plans.ts';
import { Dense, firstLargest, generate, indices, conv2d as naiveConvolution, total, type Window, windowed } from './naive.ts';
import { backends, reference } from './support.ts';
import { relativeError } from './values.ts';

type Pair = readonly [number, number];

interface Convolution {
  readonly image: Pair;
  readonly window: Window;
  readonly groups: number;
}

/** Along an axis: any parameters that give a few outputs. */
const alongAxis = fc
  .record({
    pixels: fc.integer({ min: 1, max: 6 }),
    kernel: fc.integer({ min: 1, max: 4 }),
    stride: fc.constantFrom(1, 2, 3, 97, 1000, 10_001, 20_000, 2 ** 31, 2 ** 40),
    dilation: fc.constantFrom(1, 2, 100, 999, 10_000, 2 ** 32 + 1),
    /** Of what the window reaches, and of the stride. */
    parts: fc.tuple(fc.constantFrom(0, 0.5, 1), fc.constantFrom(0, 0, 1, 2)),
    more: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ pixels, kernel, stride, dilation, parts: [ofReach, ofStride], more }) => {
    const reach = dilation * (kernel - 1);
    const padding = Math.floor(ofReach * reach + ofStride * stride) + more;
    return { pixels, kernel, stride, dilation, padding, outputs: Math.floor((pixels + 2 * padding - reach - 1) / stride) + 1 };
  })
  .filter(({ outputs }) => outputs >= 1 && outputs <= 8);

const convolutions: fc.Arbitrary<Convolution> = fc.tuple(alongAxis, alongAxis, fc.constantFrom(1, 2)).map(([down, across, groups]) => {
  const both = (name: keyof typeof down): [number, number] => [down[name], across[name]];
  const window = { kernel: both('kernel'), stride: both('stride'), padding: both('padding'), dilation: both('dilation') };
  return { image: both('pixels'), window, groups };
});

const drawn = (shape: readonly number[], seed: number): Dense => new Dense(shape, noise(sizeOf(shape), seed));
const given = ({ shape, data }: Dense, dtype: 'f32' | 'f64'): Tensor => tensor(Float64Array.from(data), { shape, dtype });

/** What a convolution is given, and Σ over windows and taps of x·w·y as a function of two of them, for the third. */
function operandsOf({ image, window, groups }: Convolution): { x: Dense; w: Dense; y: Dense; g: Dense; gx: Dense; gw: Dense } {
  const x = drawn([2, 2 * groups, ...image], 1);
  const w = drawn([3 * groups, 2, ...window.kernel], 2);
  const y = naiveConvolution(x, w, window, groups);
  const g = drawn(y.shape, 3);
  const sums = { x: new Map<string, number>(), w: new Map<string, number>() };
  const add = (to: Map<string, number>, index: readonly number[], value: number): void => {
    to.set(index.join(), (to.get(index.join()) ?? 0) + value);
  };
  for (const [n, o, i, j] of indices(y.shape) as Iterable<[number, number, number, number]>) {
    for (const [c, u, v] of indices(w.shape.slice(1)) as Iterable<[number, number, number]>) {
      const h = i * window.stride[0] - window.padding[0] + u * window.dilation[0];
      const column = j * window.stride[1] - window.padding[1] + v * window.dilation[1];
      if (h < 0 || column < 0 || h >= image[0] || column >= image[1]) continue;
      const channel = Math.floor(o / 3) * 2 + c;
      add(sums.x, [n, channel, h, column], w.at(o, c, u, v) * g.at(n, o, i, j));
      add(sums.w, [o, c, u, v], x.at(n, channel, h, column) * g.at(n, o, i, j));
    }
  }
  const of = (to: Map<string, number>, shape: readonly number[]): Dense => generate(shape, (...index) => to.get(index.join()) ?? 0);
  return { x, w, y, g, gx: of(sums.x, x.shape), gw: of(sums.w, w.shape) };
}

/** The convolution, its gradients, and the gradient of the weight's gradient by the image, which is a convolution again. */
async function checkConvolution(convolution: Convolution, dtype: 'f32' | 'f64', within: number): Promise<void> {
  const { kernel: _kernel, ...options } = convolution.window;
  const operands = operandsOf(convolution);
  const [x, w, g] = [operands.x, operands.w, operands.g].map((operand) => given(operand, dtype)) as [Tensor, Tensor, Tensor];
  const y = conv2d(x, w, { ...options, groups: convolution.groups });
  const [gx, gw] = grad(y.mul(g).sum(), [x, w]);
  const [again] = grad(gw!.mul(w).sum(), [x]);
  const pairs = [
    [y, operands.y],
    [gx!, operands.gx],
    [gw!, operands.gw],
    [again!, operands.gx],
  ] as const;
  for (const [actual, expected] of pairs) {
    expect(actual.shape).toEqual(expected.shape);
    expect(relativeError(await actual.data(), expected.data, 1)).toBeLessThanOrEqual(within);
  }
}

interface Pooling {
  readonly image: Pair;
  readonly window: Window;
}

const poolings: fc.Arbitrary<Pooling> = fc
  .tuple(
    ...([0, 1] as const).map(() =>
      fc
        .record({
          pixels: fc.integer({ min: 1, max: 6 }),
          kernel: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 300 })),
          stride: fc.constantFrom(1, 2, 3, 5, 1000, 2 ** 40),
          padded: fc.double({ min: 0, max: 0.5, noNaN: true }),
        })
        .map(({ padded, ...axis }) => ({ ...axis, padding: Math.floor(axis.kernel * padded) }))
        .filter(({ pixels, kernel, padding }) => kernel <= pixels + 2 * padding),
    ),
  )
  .map(([down, across]) => ({
    image: [down!.pixels, across!.pixels] as const,
    window: {
      kernel: [down!.kernel, across!.kernel] as const,
      stride: [down!.stride, across!.stride] as const,
      padding: [down!.padding, across!.padding] as const,
      dilation: [1, 1] as const,
    },
  }));

async function checkPooling({ image, window }: Pooling, dtype: 'f32' | 'f64', within: number): Promise<void> {
  const { kernel, stride, padding } = window;
  const x = drawn([1, 2, ...image], 4);
  const place = generate(x.shape, (_n, _c, h, w) => h! * image[1] + w!);
  /** The pixels of a window, without looking for any in the padding, of which it may have most. */
  const inside = (of: Dense, n: number, c: number, i: number, j: number): number[] => {
    const [rows, columns] = [i, j].map((place, axis) => {
      const from = place * stride[axis]! - padding[axis]!;
      const start = Math.max(0, from);
      return Array.from({ length: Math.min(image[axis]!, from + kernel[axis]!) - start }, (_, k) => start + k);
    });
    return rows!.flatMap((row) => columns!.map((column) => of.at(n, c, row, column)));
  };
  const largest = windowed(x, 2, window, (...at) => inside(place, ...at)[firstLargest(inside(x, ...at))]!);
  const sums = windowed(x, 2, window, (...at) => total(inside(x, ...at)));
  const t = given(x, dtype);
  const { values, indices: found } = maxPool2dWithIndices(t, kernel, { stride, padding });
  const best = largest.data.map((at, k) => x.data[Math.floor(k / (largest.data.length / 2)) * sizeOf(image) + at]!);
  expect(await found.data()).toEqual(Int32Array.from(largest.data));
  for (const maximum of [values, maxPool2d(t, kernel, { stride, padding })]) {
    expect(relativeError(await maximum.data(), best, 1)).toBeLessThanOrEqual(within);
  }
  const mean = averagePool2d(t, kernel, { stride, padding });
  const area = kernel[0] * kernel[1];
  const means = sums.data.map((value) => value / area);
  expect(relativeError(await mean.mul(area).data(), sums.data, 1)).toBeLessThanOrEqual(within * 10);
  expect(means.length).toBe(mean.size);
  const count = averagePool2d(t, kernel, { stride, padding, countIncludePad: false });
  const counted = windowed(x, 2, window, (...at) => total(inside(x, ...at)) / inside(x, ...at).length);
  expect(relativeError(await count.data(), counted.data, 1)).toBeLessThanOrEqual(within * 10);
  // Each pixel once for every window that it is in.
  const [gradient] = grad(mean.mul(area).sum(), [t]);
  const ones = generate(x.shape, () => 0);
  const times = new Map<number, number>();
  windowed(ones, 1, window, (...at) => {
    for (const pixel of inside(place, ...at)) times.set(pixel, (times.get(pixel) ?? 0) + 1);
    return 0;
  });
  const expected = place.data.map((pixel) => times.get(pixel) ?? 0);
  expect(relativeError(await gradient!.data(), expected, 1)).toBeLessThanOrEqual(within * 10);
}

const named = (
  image: Pair,
  kernel: Pair,
  [stride, padding, dilation]: readonly [Pair | number, Pair | number, Pair | number],
): Convolution => {
  const both = (value: Pair | number): Pair => (typeof value === 'number' ? [value, value] : value);
  return { image, window: { kernel, stride: both(stride), padding: both(padding), dilation: both(dilation) }, groups: 1 };
};

const examples: readonly (readonly [string, Convolution])[] = [
  ['a stride of 20 000', named([4, 4], [3, 3], [20_000, 0, 1])],
  ['a dilation of 10 000', named([4, 4], [3, 3], [1, 10_000, 10_000])],
  ['all of them', named([4, 4], [2, 2], [10_001, 10_000, 10_000])],
  [
    'one axis',
    named(
      [4, 9],
      [3, 3],
      [
        [20_000, 2],
        [10_000, 1],
        [10_000, 1],
      ],
    ),
  ],
  ['nothing but padding', named([4, 4], [1, 1], [20_000, 10_000, 1])],
  ['a stride of 50 on an image of 128', named([128, 128], [2, 2], [50, 1, 1])],
];

describe.each(backends.map((backend) => [backend.name, backend] as const))('on %s', (_name, backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  const [dtype, within] = backend === reference ? (['f64', 1e-12] as const) : (['f32', 1e-5] as const);
  it('convolutions are what plain loops give', () =>
    property([convolutions], (convolution) => checkConvolution(convolution, dtype, within)));
  it.each(examples)('a convolution of %s', (_what, convolution) => checkConvolution(convolution, dtype, within));
  it('pools are what plain loops give', () => property([poolings], (pooling) => checkPooling(pooling, dtype, within)));

  it('steps of slices and their gradients', () =>
    property([fc.integer({ min: 1, max: 9 }), fc.constantFrom(1, 2, 3, 8, 20_000, 2 ** 40), fc.boolean()], async (n, step, backwards) => {
      const x = tensor(
        Float64Array.from({ length: n }, (_, i) => i + 1),
        { dtype },
      );
      const y = x.slice(backwards ? [null, null, -step] : [null, null, step]);
      const all = Array.from({ length: n }, (_, i) => i + 1);
      const picked = (backwards ? all.toReversed() : all).filter((_, i) => i % step === 0);
      expect(await y.array()).toEqual(picked);
      const [g] = grad(y.square().sum(), [x]);
      expect(await g!.array()).toEqual(all.map((value) => (picked.includes(value) ? 2 * value : 0)));
    }));

  it('adaptive pools of many cells', async () => {
    const values = noise(3000, 5);
    const x = tensor(values, { shape: [1, 1, 3000, 1], dtype });
    const cells = 2999;
    const pooled = adaptiveAveragePool2d(x, [cells, 1]);
    const expected = Array.from({ length: cells }, (_, cell) => {
      const [start, stop] = [Math.floor((cell * 3000) / cells), Math.ceil(((cell + 1) * 3000) / cells)];
      return total([...values.subarray(start, stop)]) / (stop - start);
    });
    expect(relativeError(await pooled.data(), expected, 1)).toBeLessThanOrEqual(within);
    const [gradient] = grad(pooled.sum(), [x]);
    expect(total([...(await gradient!.data())])).toBeCloseTo(cells, 2);
  });

  it('adaptive pools of what is no number spoil the cells that have it, and no others', async () => {
    const x = tensor([[[[NaN, 1, 2, 3, Infinity]]]], { dtype });
    const expected = [NaN, 2, Infinity];
    expect(await adaptiveAveragePool2d(x, [1, 3]).array()).toEqual([[[expected]]]);
    expect(await adaptiveAveragePool2d(x.transpose(), [3, 2]).array()).toEqual([[expected.map((value) => [value, value])]]);
    const columns = adaptiveAveragePool2d(x, [1, 3]).mul(tensor([1, 10, 100], { dtype }));
    expect(relativeError(await grad(columns.sum(), [x])[0]!.data(), [1 / 2, 1 / 2 + 10 / 3, 10 / 3, 10 / 3 + 50, 50], 1)).toBeLessThan(
      within,
    );
  });

  it('windows that no result could hold are refused when they are asked for, not listed', async () => {
    const x = tensor([[[[1, 2, 3]]]], { dtype });
    const w = tensor([[[[1, 1]]]], { dtype });
    for (const padding of [3e9, 1e15])
      await expect(conv2d(x, w, { padding: [0, padding], stride: [1, 5] }).data()).rejects.toThrow(TensegrityError);
  });
});

const opened: Backend | Error = await createWebGpuBackend().catch((error: Error) => error);
const gpu = opened instanceof Error ? null : opened;
capability('webgpu', gpu !== null, String(opened));

describe.runIf(gpu)('on webgpu', () => {
  beforeAll(async () => {
    await useBackend(gpu!);
  });

  it.each(examples)('a convolution of %s', (_what, convolution) => checkConvolution(convolution, 'f32', 1e-5));
  it('pools', async () => {
    for (const [kernel, stride, padding] of [
      [300, 1, 150],
      [2, 2 ** 40, 1],
    ] as const) {
      const window = { kernel: [kernel, kernel], stride: [stride, stride], padding: [padding, padding], dilation: [1, 1] } as const;
      await checkPooling({ image: [4, 6], window }, 'f32', 1e-5);
    }
  });
});

describe('memory follows what is there', () => {
  /** Of a plan's arena and of a thread, beyond which it must be for the sake of what is read and written. */
  const FIXED = 4 << 20;
  const PER_BYTE = 200;

  const holds = (results: readonly Tensor[]): void => {
    const { plan } = buildPlan({ outputs: results.map(({ node }) => node), updates: [], isConstant: () => false });
    expect(planFaults(plan)).toEqual([]);
    const { workspaceBytes, partialBytes } = encodePlan(plan);
    const held = [...plan.inputs, ...plan.outputs].reduce((sum, number) => sum + 4 * plan.buffers[number]!.length, 0);
    expect(Math.max(workspaceBytes, partialBytes, plan.arenaBytes)).toBeLessThanOrEqual(FIXED + PER_BYTE * held);
    for (const kernel of plan.kernels.flatMap(partsOf)) {
      if (kernel.kind === 'conv') expect(Math.max(...kernel.stride, ...kernel.dilation, ...kernel.padding)).toBeLessThanOrEqual(2 ** 16);
    }
  };

  it('of convolutions', () =>
    property([convolutions], ({ image, window: { kernel, ...options }, groups }) => {
      const [x, w] = [uniform([2, 2 * groups, ...image], { key: 1 }), uniform([3 * groups, 2, ...kernel], { key: 2 })];
      const y = conv2d(x, w, { ...options, groups });
      holds([y, ...grad(y.square().sum(), [x, w])]);
    }));

  it('of pools', () =>
    property([poolings], ({ image, window: { kernel, stride, padding } }) => {
      const x = uniform([1, 2, ...image], { key: 1 });
      const scaled = (pair: Pair): Pair => [pair[0] * 2 ** 30, pair[1] * 2 ** 30];
      const y = averagePool2d(x, kernel, { stride, padding });
      const z = maxPool2d(x, scaled(kernel), {
        stride: scaled(stride),
        padding: scaled(kernel).map((size) => size / 2) as [number, number],
      });
      holds([y, z, ...grad(y.square().sum().add(z.sum()), [x])]);
    }));
});
