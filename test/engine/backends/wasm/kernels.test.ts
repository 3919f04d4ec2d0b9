import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import type { Kernel, Plan, Reduction } from '../../../../engine/compiler/plan.ts';
import type { DType } from '../../../../engine/dtype.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { property } from '../../../support/property.ts';
import { arranged, type Layout } from '../arranged.ts';
import { buffer, contiguous, host, identity, indexed, type KernelBody, noise, planOf, program, runKernel, runPlan } from '../plans.ts';
import { agree, layouts } from './harness.ts';
import { runOn } from './shares.ts';
import { builds } from './strided.ts';

const [wasm] = builds as readonly [Backend];

const types = fc.constantFrom<DType>('f32', 'i32', 'u8');

interface Slab {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A plan of one kernel with its views laid out in any way; outputs are slots, so that bytes between their elements are compared too. */
function laidOut(body: KernelBody, inputs: readonly Slab[], outputs: readonly Slab[], layout: readonly Layout[]): Plan {
  const slabs = [...inputs, ...outputs].map(({ dtype, shape }, k) => arranged(k, dtype, shape, layout[k]!));
  const specs = slabs.map(({ view, length }, k) => buffer(k < inputs.length ? 'input' : 'slot', view.dtype, length));
  const views = slabs.map(({ view }) => view);
  return planOf(specs, [{ ...body, inputs: views.slice(0, inputs.length), outputs: views.slice(inputs.length) } as Kernel]);
}

const few = fc.integer({ min: 0, max: 6 });
const extents = fc.tuple(few, few, few, few);

describe('wasm computes what cpu computes', () => {
  it('gather, scatterAdd and scatter, for any index, layout and type', () =>
    property(
      [extents, types, layouts(3, true), layouts(3, true), layouts(3, false), fc.boolean(), fc.nat()],
      async ([a, n, m, b], dtype, one, two, three, rows, seed) => {
        const index = { ...two, still: rows ? [false, false, true] : two.still };
        const gather = laidOut(
          { kind: 'gather' },
          [
            { dtype, shape: [a, n, b] },
            { dtype: 'i32', shape: [a, m, b] },
          ],
          [{ dtype, shape: [a, m, b] }],
          [one, index, three],
        );
        await agree(gather, seed, 0, { 1: indexed(n, seed) });
        for (const kind of ['scatterAdd', 'scatter'] as const) {
          const scatter = laidOut(
            { kind },
            [
              { dtype: 'i32', shape: [a, m, b] },
              { dtype, shape: [a, m, b] },
            ],
            [{ dtype, shape: [a, n, b] }],
            [index, one, three],
          );
          await agree(scatter, seed, kind === 'scatter' ? 0 : 1e-6, { 0: indexed(n, seed, seed % 2 === 0) });
        }
      },
    ));

  it('gather of whole rows longer than a block', async () => {
    const x = host('f32', [1, 50, 700], noise(35_000));
    const index = host(
      'i32',
      [1, 80, 700],
      Array.from({ length: 56_000 }, (_, k) => ((Math.floor(k / 700) * 7) % 120) - 60),
    );
    const [out] = await runKernel(wasm, { kind: 'gather' }, [x, index], [{ dtype: 'f32', shape: [1, 80, 700] }]);
    for (let m = 0; m < 80; m++) {
      const given = ((m * 7) % 120) - 60;
      expect(out![m * 700 + 3]).toBe(given >= -50 && given < 50 ? x.data[((given + 50) % 50) * 700 + 3] : NaN);
    }
  });

  it('sort, either way, with NaN, ties and any type', () =>
    property(
      [few, fc.oneof(few, fc.integer({ min: 30, max: 300 })), types, fc.boolean(), layouts(2, true), layouts(2, false), fc.nat()],
      async (rows, length, dtype, descending, from, to, seed) => {
        const plan = laidOut(
          { kind: 'argsort', descending },
          [{ dtype, shape: [rows, length] }],
          [{ dtype: 'i32', shape: [rows, length] }],
          [from, to],
        );
        await agree(plan, seed);
      },
    ));

  it('scan, along lines side by side or apart, of any type', () =>
    property(
      [
        fc.tuple(few, fc.oneof(few, fc.integer({ min: 30, max: 300 })), fc.oneof(few, fc.integer({ min: 14, max: 50 }))),
        fc.constantFrom<DType>('f32', 'i32'),
        fc.constantFrom('sum' as const, 'prod' as const),
        layouts(3, true),
        layouts(3, false),
        fc.nat(),
      ],
      async ([a, n, b], dtype, fn, from, to, seed) => {
        const slab = { dtype, shape: [a, n, b] };
        // Both carry doubles, in the line's order.
        await agree(laidOut({ kind: 'scan', fn }, [slab], [slab], [from, to]), seed);
      },
    ));

  it('scan, with the error of one rounding of a million', async () => {
    const data = Float32Array.from(noise(1e6), (x) => 1.1 + x);
    const [sums] = await runKernel(
      wasm,
      { kind: 'scan', fn: 'sum' },
      [host('f32', [1, 1e6, 1], data)],
      [{ dtype: 'f32', shape: [1, 1e6, 1] }],
    );
    let exact = 0;
    for (const [i, x] of data.entries()) {
      exact += x;
      if (sums![i] !== Math.fround(exact)) throw new Error(`the first ${i + 1} come to ${exact}, not ${sums![i]}`);
    }
  });

  it('gridSample, at any place', () =>
    property(
      [
        fc.tuple(few, few, few, few),
        fc.tuple(few, few),
        fc.constantFrom('zeros' as const, 'border' as const),
        fc.boolean(),
        layouts(4, true),
        layouts(4, true),
        layouts(4, false),
        fc.nat(),
      ],
      async ([n, c, h, w], [oh, ow], padding, alignCorners, one, two, three, seed) => {
        const body = { kind: 'gridSample', padding, alignCorners } as const;
        const plan = laidOut(
          body,
          [
            { dtype: 'f32', shape: [n, c, h, w] },
            { dtype: 'f32', shape: [n, oh, ow, 2] },
          ],
          [{ dtype: 'f32', shape: [n, c, oh, ow] }],
          [one, two, three],
        );
        await agree(plan, seed, 1e-4, {
          0: (length) => Float32Array.from(noise(length, seed + 3)),
          1: (length) =>
            Float32Array.from(noise(length, seed + 2), (x, k) =>
              k % 31 === 7 ? NaN : k % 7 === 5 ? x / 0 : k % 17 === 5 ? 1e9 * x : 1.5 * x,
            ),
        });
      },
    ));

  const someShapes = fc.oneof(fc.array(few, { maxLength: 4 }), fc.constantFrom<number[]>([33, 70], [5, 17, 40], [3, 4, 130]));

  it('copy, of any windows', () =>
    property(
      [someShapes, types, fc.nat(), fc.nat()],
      async (shape, dtype, pick, seed) => {
        const [from, to] = fc.sample(fc.tuple(layouts(shape.length, true), layouts(shape.length, false)), { numRuns: 1, seed: pick })[0]!;
        await agree(laidOut({ kind: 'copy' }, [{ dtype, shape }], [{ dtype, shape }], [from, to]), seed);
        // The same as a program that does nothing.
        await agree(laidOut({ kind: 'map', shape, program: identity }, [{ dtype, shape }], [{ dtype, shape }], [from, to]), seed);
      },
      { numRuns: 200 },
    ));

  it('pad, of any input, into a window of its buffer', () =>
    property(
      [
        someShapes,
        types,
        fc.constantFrom(0, 7, -1),
        fc.array(fc.tuple(fc.nat(3), fc.nat(9)), { minLength: 4, maxLength: 4 }),
        fc.nat(5),
        fc.nat(),
      ],
      async (shape, dtype, value, around, offset, seed) => {
        const [from] = fc.sample(layouts(shape.length, true), { numRuns: 1, seed });
        const { view, length } = arranged(0, dtype, shape, from!);
        const whole = shape.map((extent, axis) => around[axis]![0] + extent + around[axis]![1]);
        const output = { ...contiguous(1, { dtype, shape: whole }), offset };
        const before = shape.map((_, axis) => around[axis]![0]);
        const specs = [buffer('input', dtype, length), buffer('slot', dtype, offset + sizeOf(whole) + 3)];
        await agree(planOf(specs, [{ kind: 'pad', before, value, inputs: [view], outputs: [output] }]), seed);
      },
      { numRuns: 200 },
    ));

  it('concat, of inputs of any layout, along any axis of any layout', () =>
    property(
      [someShapes.filter(({ length }) => length > 0), types, fc.array(few, { maxLength: 4 }), fc.nat(3), fc.nat()],
      async (shape, dtype, extents, pick, seed) => {
        const axis = pick % shape.length;
        const along = (extent: number): number[] => shape.with(axis, extent);
        const lies = fc.sample(layouts(shape.length, true), { numRuns: extents.length, seed });
        const [to] = fc.sample(layouts(shape.length, false), { numRuns: 1, seed });
        const inputs = extents.map((extent, k) => arranged(k, dtype, along(extent), lies[k]!));
        const output = arranged(extents.length, dtype, along(extents.reduce((sum, extent) => sum + extent, 0)), to!);
        const specs = [...inputs.map(({ length }) => buffer('input', dtype, length)), buffer('slot', dtype, output.length)];
        await agree(planOf(specs, [{ kind: 'concat', axis, inputs: inputs.map(({ view }) => view), outputs: [output.view] }]), seed);
      },
      { numRuns: 200 },
    ));

  it('products of floats, which are kept in double, and of integers, which wrap', () =>
    property([few, fc.integer({ min: 0, max: 700 }), fc.boolean(), fc.boolean(), fc.nat()], async (outer, count, float, columns, seed) => {
      const dtype = float ? 'f32' : 'i32';
      const shape = [outer, count];
      const input = { buffer: 0, dtype, shape, strides: columns ? [1, outer] : [count, 1], offset: 0 } as const;
      const output = { buffer: 1, dtype, shape: [outer], strides: [1], offset: 0 } as const;
      const plan = planOf(
        [buffer('input', dtype, outer * count), buffer('slot', dtype, outer)],
        [{ kind: 'reduce', shape, reduced: 1, program: identity, reductions: ['prod'], inputs: [input], outputs: [output] }],
      );
      await agree(plan, seed, 1e-6, {
        0: (length) =>
          float ? Float32Array.from(noise(length, seed), (x) => 1 + 0.1 * x) : Int32Array.from(noise(length, seed), (x) => 100 * x),
      });
    }));
});

describe('folds of planes, pixels within channels within images', () => {
  const planes = fc.record({
    images: fc.integer({ min: 1, max: 40 }),
    channels: fc.integer({ min: 1, max: 24 }),
    pixels: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 61, max: 700 })),
    dtype: fc.constantFrom('f32' as const, 'i32' as const),
  });
  /** Sums of x, of (x − shift)² and of (x − shift)·x, and extrema, for each channel. */
  const planOfPlanes = ({
    images,
    channels,
    pixels,
    dtype,
  }: {
    images: number;
    channels: number;
    pixels: number;
    dtype: 'f32' | 'i32';
  }): Plan => {
    const shape = [channels, images, pixels];
    const view = (buffer: number, strides: readonly number[]) => ({ buffer, dtype, shape, strides, offset: 0 });
    const body = program(
      2,
      [],
      [
        ['sub', dtype, 0, 1],
        ['mul', dtype, 2, 2],
        ['mul', dtype, 2, 0],
      ],
      [0, 3, 4, 0, 2],
    );
    const reductions: Reduction[] = ['sum', 'sum', 'sum', 'max', 'min'];
    return planOf(
      [
        buffer('input', dtype, images * channels * pixels),
        buffer('input', dtype, channels),
        ...reductions.map(() => buffer('output', dtype, channels)),
      ],
      [
        {
          kind: 'reduce',
          shape,
          reduced: 2,
          program: body,
          reductions,
          inputs: [view(0, [pixels, channels * pixels, 1]), view(1, [1, 0, 0])],
          outputs: reductions.map((_, k) => contiguous(2 + k, { dtype, shape: [channels] })),
        },
      ],
    );
  };
  const dataOf = (plan: Plan, seed: number) =>
    plan.inputs.map((number) => {
      const { length, dtype } = plan.buffers[number]!;
      const values = noise(length, seed + number + 1);
      return dtype === 'f32' ? Float32Array.from(values, (x) => 1.5 + x) : Int32Array.from(values, (x) => 1e4 * x);
    });

  it('are what the reference gives', () =>
    property([planes, fc.nat(1e6)], (geometry, seed) => {
      const plan = planOfPlanes(geometry);
      const data = dataOf(plan, seed);
      return agree(plan, seed, 1e-5, { 0: () => data[0]!, 1: () => data[1]! });
    }));

  it('have the same bits for any number of threads', () =>
    property([planes, fc.nat(1e6)], (geometry, seed) => {
      const plan = planOfPlanes(geometry);
      const bits = (threads: number) => runOn(threads, plan, dataOf(plan, seed)).map((result) => Buffer.from(result.slice().buffer));
      const alone = bits(1);
      for (const threads of [2, 3, 7]) bits(threads).forEach((result, k) => expect(result.equals(alone[k]!)).toBe(true));
    }));
});

it('folds long axes in chunks, to what the reference gives', async () => {
  const extent = 70_001;
  // The folded axis inside, outside, and split by the axis that is kept.
  for (const [shape, strides, reduced] of [
    [[2, extent], [extent, 1], 1],
    [[3, extent], [1, 3], 1],
    [[700, 200], [1, 700], 1],
    [[2, 300, 2, 120], [120, 480, 240, 1], 2],
  ] as const) {
    for (const dtype of ['f32', 'i32'] as const) {
      const kept = shape.slice(0, shape.length - reduced);
      const reductions: Reduction[] = ['sum', 'max', 'min', 'sum', ...(dtype === 'f32' ? [] : ['argmax' as const])];
      const body = program(
        1,
        [],
        [['mul', dtype, 0, 0]],
        reductions.map((_, k) => (k === 3 ? 1 : 0)),
      );
      const outputs = reductions.map((_, k) => ({ ...contiguous(k + 1, { dtype, shape: kept }) }));
      const size = shape.reduce((product, each) => product * each, 1);
      const plan = planOf(
        [
          buffer('input', dtype, size),
          ...outputs.map(() =>
            buffer(
              'slot',
              dtype,
              kept.reduce((product, each) => product * each, 1),
            ),
          ),
        ],
        [{ kind: 'reduce', shape, reduced, program: body, reductions, inputs: [{ buffer: 0, dtype, shape, strides, offset: 0 }], outputs }],
      );
      await agree(plan, size, 1e-5, {
        0: (length) =>
          dtype === 'f32' ? Float32Array.from(noise(length), (x) => 1.5 + x) : Int32Array.from(noise(length), (x) => 1e6 * x),
      });
    }
  }
});

it('rounds sums of floats as often as adding eight takes, and once more, however they lie', () =>
  property(
    [
      fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 40 })),
      fc.integer({ min: 1, max: 600 }),
      fc.boolean(),
      fc.boolean(),
      fc.nat(),
    ],
    async (kept, folded, rows, equal, seed) => {
      const values = noise(kept * folded, seed + 1);
      // Equal numbers round the same way each time.
      const data = Float32Array.from(values, (x) => (equal ? values[0]! : x));
      const shape = [kept, folded];
      const input = { buffer: 0, dtype: 'f32', shape, strides: rows ? [folded, 1] : [1, kept], offset: 0 } as const;
      const plan = planOf(
        [buffer('input', 'f32', data.length), buffer('output', 'f32', kept)],
        [
          {
            kind: 'reduce',
            shape,
            reduced: 1,
            program: identity,
            reductions: ['sum'],
            inputs: [input],
            outputs: [contiguous(1, { dtype: 'f32', shape: [kept] })],
          },
        ],
      );
      for (const backend of builds) {
        const [sums] = await runPlan(backend, plan, [data]);
        for (const [k, sum] of sums!.entries()) {
          const line = data.filter((_, at) => (rows ? Math.floor(at / folded) : at % kept) === k);
          const [exact, size] = line.reduce(([total, absolute], x) => [total + x, absolute + Math.abs(x)], [0, 0]);
          // Three roundings of a tree of eight, and the result's.
          expect(Math.abs(sum - exact)).toBeLessThanOrEqual(4 * 2 ** -24 * size);
        }
      }
    },
  ));

it('sums floats as well as pairwise summation would', async () => {
  const count = 1 << 20;
  for (const [shape, strides] of [
    [
      [1, count],
      [count, 1],
    ],
    [
      [3, count / 4],
      [1, 3],
    ],
    [
      [600, count / 1024],
      [1, 600],
    ],
  ] as const) {
    const [outer, folded] = shape;
    const data = Float32Array.from(noise(outer * folded), (x) => Math.exp(10 * x) * Math.sign(Math.sin(1e6 * x)));
    const plan = planOf(
      [buffer('input', 'f32', data.length), buffer('output', 'f32', outer)],
      [
        {
          kind: 'reduce',
          shape,
          reduced: 1,
          program: identity,
          reductions: ['sum'],
          inputs: [{ buffer: 0, dtype: 'f32', shape, strides, offset: 0 }],
          outputs: [{ buffer: 1, dtype: 'f32', shape: [outer], strides: [1], offset: 0 }],
        },
      ],
    );
    const [out] = await runPlan(wasm, plan, [data]);
    for (let o = 0; o < outer; o++) {
      let [exact, magnitude] = [0, 0];
      for (let r = 0; r < folded; r++) {
        const value = data[o * strides[0] + r * strides[1]]!;
        exact += value;
        magnitude += Math.abs(value);
      }
      // Pairwise summation is held to log₂ n roundings of the sum of magnitudes.
      expect(Math.abs(out![o]! - exact)).toBeLessThanOrEqual(0.5 * Math.log2(folded) * 2 ** -24 * magnitude + Math.abs(exact) * 2 ** -24);
    }
  }
});
