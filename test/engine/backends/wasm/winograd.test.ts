import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWasmBackend } from '../../../../engine/backends/wasm/index.ts';
import { suitsWinograd } from '../../../../engine/backends/wasm/winograd.ts';
import type { ConvKernel } from '../../../../engine/compiler/plan.ts';
import { property } from '../../../support/property.ts';
import { runPlan } from '../plans.ts';
import { agree, builds, type Case, cpu, dataOf, draw, elements, epsilon, type Layout, layouts, planOfCase, sameBits } from './strided.ts';

const rowMajor: Layout = { order: [3, 2, 1, 0], gap: 0, flipped: false, still: null };

interface Geometry {
  readonly stride: 1 | 2;
  readonly images: number;
  readonly channels: number;
  readonly filters: number;
  readonly size: readonly [number, number];
  readonly padding: readonly [number, number];
}

function caseOf(
  direction: ConvKernel['direction'],
  { stride, images, channels, filters, size, padding }: Geometry,
  layouts: readonly Layout[],
): Case {
  const x = [images, channels, ...size];
  const w = [filters, channels, 3, 3];
  const [height, width] = [0, 1].map((axis) => Math.floor((size[axis]! + 2 * padding[axis]! - 3) / stride) + 1);
  const y = [images, filters, height!, width!];
  const [inputs, output] = direction === 'forward' ? [[x, w], y] : direction === 'input' ? [[y, w], x] : [[x, y], w];
  return {
    body: { kind: 'conv', epilogue: null, direction, stride: [stride, stride], padding, dilation: [1, 1], groups: 1 },
    inputs,
    output,
    layouts,
  };
}

const kernelOf = (given: Case) => planOfCase(given).kernels[0] as ConvKernel;

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
const geometriesOf = (leastStrided: number): fc.Arbitrary<Geometry> =>
  fc.oneof(
    fc.record({
      stride: fc.constant<1>(1),
      images: fc.integer({ min: 5, max: 18 }),
      channels: fc.integer({ min: 16, max: 37 }),
      filters: fc.integer({ min: 16, max: 53 }),
      size: pair(3, 13),
      padding: pair(0, 2),
    }),
    // Sizes that tiles of a stride of two cover well in most draws, for it has less to save.
    fc.record({
      stride: fc.constant<2>(2),
      images: fc.constantFrom(7, 8, 15, 16),
      channels: fc.integer({ min: leastStrided, max: leastStrided + 8 }),
      filters: fc.integer({ min: leastStrided, max: leastStrided + 14 }),
      size: fc.oneof(
        fc.tuple(fc.integer({ min: 6, max: 9 }), fc.constantFrom(7, 8, 14, 16)),
        fc.tuple(fc.constantFrom(13, 15), fc.constantFrom(7, 8)),
      ),
      padding: fc.oneof({ weight: 3, arbitrary: fc.constant<[number, number]>([1, 1]) }, pair(0, 2)),
    }),
  );
const lies = fc.tuple(layouts(4, true), layouts(4, true), layouts(4, false));

/** Of sums of so many products of numbers below 1, which transforms make some times as large; drawn layouts repeat numbers, and with them roundings. */
function tolerance({ body, inputs, output }: Case): number {
  const { direction } = body as ConvKernel;
  const [first, second] = [inputs[0]!, inputs[1]!];
  const steps = { forward: 9 * first[1]!, input: 9 * first[1]!, weight: second[0]! * second[2]! * second[3]! }[direction];
  return 16 * (steps + output.length) * epsilon;
}

describe.each(['forward', 'input', 'weight'] as const)('winograd %s', (direction) => {
  const geometries = geometriesOf(direction === 'weight' ? 64 : 32);

  it('holds for any size, padding, number of channels and layout that suits it', () =>
    property([geometries, lies, fc.nat()], (geometry, drawn, seed) => {
      const given = caseOf(direction, geometry, drawn);
      fc.pre(suitsWinograd(kernelOf(given)));
      return agree(given, dataOf(given, seed), tolerance(given));
    }));

  it('gives the same bits to any number of threads', () =>
    property([geometries, fc.nat()], (geometry, seed) => {
      const given = caseOf(direction, geometry, [rowMajor, rowMajor, rowMajor]);
      fc.pre(suitsWinograd(kernelOf(given)));
      sameBits(given, dataOf(given, seed));
    }));

  it('lets no NaN or infinity of an image disappear', () =>
    property([geometries, fc.nat(), fc.constantFrom(NaN, Infinity, -Infinity)], async (geometry, seed, special) => {
      const given = caseOf(direction, geometry, [rowMajor, rowMajor, rowMajor]);
      fc.pre(suitsWinograd(kernelOf(given)));
      const [first, second] = dataOf(given, seed);
      first![seed % first!.length] = special;
      const plan = planOfCase(given);
      const want = (await runPlan(cpu, plan, [first!, second!]))[0]!;
      for (const backend of builds) {
        const got = (await runPlan(backend, plan, [first!, second!]))[0]!;
        expect(want.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(got[i]))).toBe(-1);
      }
    }));

  it.each([
    [
      'more channels than a round of filters, and a rest',
      { stride: 1, images: 8, channels: 70, filters: 50, size: [7, 7], padding: [1, 1] },
    ],
    ['tiles wider than a block', { stride: 1, images: 8, channels: 16, filters: 16, size: [4, 300], padding: [1, 1] }],
    ['a stride, and a rest of everything', { stride: 2, images: 15, channels: 70, filters: 75, size: [14, 15], padding: [1, 1] }],
    ['a stride, and tiles wider than a block', { stride: 2, images: 8, channels: 64, filters: 64, size: [7, 120], padding: [1, 1] }],
    ['a stride, and images of one tile', { stride: 2, images: 40, channels: 65, filters: 67, size: [8, 8], padding: [1, 1] }],
    ['images of one tile', { stride: 1, images: 40, channels: 33, filters: 31, size: [4, 4], padding: [1, 1] }],
  ] satisfies [string, Geometry][])('%s', async (_name, geometry) => {
    const given = caseOf(direction, geometry, [rowMajor, rowMajor, rowMajor]);
    expect(suitsWinograd(kernelOf(given))).toBe(true);
    await agree(given, dataOf(given, geometry.channels), tolerance(given));
  });

  it.each([
    [1, 4],
    [2, 3],
  ] as const)(
    'of stride %i errs at most %i times as much as the direct sum, in the mean over squares; and is left out on request',
    async (stride, times) => {
      const given = caseOf(direction, { stride, images: 16, channels: 64, filters: 80, size: [8, 8], padding: [1, 1] }, [
        rowMajor,
        rowMajor,
        rowMajor,
      ]);
      const plan = planOfCase(given);
      const view = plan.kernels[0]!.outputs[0]!;
      const inputs = plan.inputs.map((number) => draw(plan.buffers[number]!.length, number + 1));
      // The reference sums in double.
      const want = elements(view, (await runPlan(cpu, plan, inputs))[0]!);
      const error = async (winograd: boolean) => {
        const backend = await createWasmBackend({ build: 'simd', threads: 1, winograd });
        const got = elements(view, (await runPlan(backend, plan, inputs))[0]!);
        backend.dispose();
        return Math.sqrt(want.reduce((sum, value, i) => sum + (got[i]! - value) ** 2, 0));
      };
      const [saving, direct] = [await error(true), await error(false)];
      expect(saving).not.toBe(direct);
      expect(saving).toBeLessThan(times * direct);
    },
  );
});

describe('winograd is left alone', () => {
  const geometry: Geometry = { stride: 1, images: 8, channels: 16, filters: 16, size: [8, 8], padding: [1, 1] };
  const suits = (change: Partial<Geometry>) =>
    suitsWinograd(kernelOf(caseOf('forward', { ...geometry, ...change }, [rowMajor, rowMajor, rowMajor])));

  it.each([
    ['a stride and few channels', { stride: 2, channels: 31, filters: 32 }],
    ['a stride and images that tiles do not fit well', { stride: 2, channels: 32, filters: 32, size: [10, 10] }],
    ['few channels', { channels: 15 }],
    ['few filters', { filters: 15 }],
    ['few images', { images: 3 }],
    ['images that tiles do not fit', { size: [5, 5] }],
  ] satisfies [string, Partial<Geometry>][])('with %s', (_name, change) => {
    expect(suits({})).toBe(true);
    expect(suits(change)).toBe(false);
  });
});
