/** What a kernel is given to work in is enough: bytes behind it stay as they were (shares.ts looks after each run). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePlan } from '../../../../engine/backends/wasm/encode.ts';
import type { ConvKernel, KernelKind } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { property } from '../../../support/property.ts';
import { type KernelBody, program, type Slab, singleKernelPlan } from '../plans.ts';
import { draw } from './harness.ts';
import { runOn, sharedBuilds } from './shares.ts';

interface Drawn {
  readonly body: KernelBody;
  readonly inputs: readonly Slab[];
  readonly outputs: readonly Slab[];
}

const f32 = (...shape: number[]): Slab => ({ dtype: 'f32', shape });
const i32 = (...shape: number[]): Slab => ({ dtype: 'i32', shape });
const from = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
/** Small, about the width of a vector or panel; or large, beyond what a block holds. */
const sizes = (most: number): fc.Arbitrary<number> => fc.oneof(from(1, 17), from(1, most));
const pair = (arbitrary: fc.Arbitrary<number>): fc.Arbitrary<[number, number]> => fc.tuple(arbitrary, arbitrary);

function convolution(
  direction: ConvKernel['direction'],
  given: Pick<ConvKernel, 'stride' | 'padding' | 'dilation' | 'groups'>,
  x: Slab,
  w: Slab,
): Drawn {
  const body = { kind: 'conv', epilogue: null, direction, ...given } as const;
  const { stride, padding, dilation } = given;
  const out = [0, 1].map(
    (axis) => Math.floor((x.shape[2 + axis]! + 2 * padding[axis]! - dilation[axis]! * (w.shape[2 + axis]! - 1) - 1) / stride[axis]!) + 1,
  );
  const y = f32(x.shape[0]!, w.shape[0]!, ...out);
  return {
    forward: { body, inputs: [x, w], outputs: [y] },
    input: { body, inputs: [y, w], outputs: [x] },
    weight: { body, inputs: [x, y], outputs: [w] },
  }[direction];
}

const direct = (direction: ConvKernel['direction']): fc.Arbitrary<Drawn> =>
  fc
    .record({
      images: from(1, 3),
      groups: from(1, 2),
      channels: pair(from(1, 12)),
      kernel: fc.oneof({ weight: 9, arbitrary: pair(from(1, 5)) }, { weight: 1, arbitrary: pair(from(44, 52)) }),
      stride: pair(from(1, 3)),
      padding: pair(from(0, 2)),
      dilation: pair(from(1, 2)),
      extra: fc.oneof(pair(from(0, 20)), fc.tuple(from(0, 3), from(0, 3000))),
    })
    .map(({ images, groups, channels: [c, o], kernel, stride, padding, dilation, extra }) => {
      const [height, width] = [0, 1].map((axis) => dilation[axis]! * (kernel[axis]! - 1) + 1 + extra[axis]!);
      // A kernel of thousands of taps has one channel, so that this ends.
      const few = kernel[0] > 5 ? 1 : 12;
      const [inputs, outputs] = [Math.min(c, few), Math.min(o, few)];
      return convolution(
        direction,
        { stride, padding, dilation, groups },
        f32(images, groups * inputs, height!, width!),
        f32(groups * outputs, inputs, ...kernel),
      );
    });

const winograd = (direction: ConvKernel['direction']): fc.Arbitrary<Drawn> =>
  fc
    .record({
      images: fc.oneof(from(5, 9), fc.constant(16)),
      channels: pair(fc.oneof(from(16, 40), from(16, 130))),
      padding: fc.oneof(pair(from(0, 2)), fc.constant<[number, number]>([1, 1])),
      size: fc.oneof(pair(from(3, 12)), fc.tuple(from(3, 4), from(13, 400))),
      stride: fc.constantFrom<[number, number]>([1, 1], [2, 2]),
    })
    .map(({ images, channels: [c, o], padding, size, stride }) =>
      convolution(direction, { stride, padding, dilation: [1, 1], groups: 1 }, f32(images, c, ...size), f32(o, c, 3, 3)),
    );

const square = program(1, [], [['mul', 'f32', 0, 0]]);

const kernels: Readonly<Record<Exclude<KernelKind, 'conv'> | `${'conv' | 'winograd'} ${ConvKernel['direction']}`, fc.Arbitrary<Drawn>>> = {
  'conv forward': direct('forward'),
  'conv input': direct('input'),
  'conv weight': direct('weight'),
  'winograd forward': winograd('forward'),
  'winograd input': winograd('input'),
  'winograd weight': winograd('weight'),
  // Each extent may be longer than the tables of addresses.
  matmul: fc
    .tuple(from(1, 2), fc.oneof(fc.tuple(sizes(300), sizes(600), sizes(600)), fc.shuffledSubarray([5, 9, 2100], { minLength: 3 })))
    .map(([batch, [m = 1, k = 1, n = 1]]) => ({
      body: { kind: 'matmul', epilogue: null },
      inputs: [f32(batch, m, k), f32(batch, k, n)],
      outputs: [f32(batch, m, n)],
    })),
  cholesky: fc
    .tuple(from(1, 3), sizes(150))
    .map(([batch, n]) => ({ body: { kind: 'cholesky' }, inputs: [f32(batch, n, n)], outputs: [f32(batch, n, n)] })),
  triangularSolve: fc.tuple(from(1, 3), sizes(150), sizes(150), fc.boolean(), fc.boolean()).map(([batch, n, m, lower, transpose]) => ({
    body: { kind: 'triangularSolve', lower, transpose },
    inputs: [f32(batch, n, n), f32(batch, n, m)],
    outputs: [f32(batch, n, m)],
  })),
  // One matrix for both: values, then vectors.
  eigh: fc
    .tuple(from(1, 3), sizes(40))
    .map(([batch, n]) => ({ body: { kind: 'eigh' }, inputs: [f32(batch, n, n)], outputs: [f32(batch, n + 1, n)] })),
  argsort: fc.tuple(from(1, 5), sizes(5000), fc.boolean()).map(([rows, length, descending]) => ({
    body: { kind: 'argsort', descending },
    inputs: [f32(rows, length)],
    outputs: [i32(rows, length)],
  })),
  pool: fc
    .tuple(
      fc.constantFrom('max' as const, 'argmax' as const, 'sum' as const),
      pair(from(1, 5)),
      pair(from(1, 3)),
      pair(from(0, 30)),
      from(0, 2000),
      fc.boolean(),
    )
    .map(([mode, kernel, stride, extra, wide, padded]) => {
      const size = [kernel[0] + extra[0], kernel[1] + extra[1] + wide];
      const padding = kernel.map((extent) => (padded ? Math.floor(extent / 2) : 0)) as [number, number];
      const out = size.map((extent, axis) => Math.floor((extent + 2 * padding[axis]! - kernel[axis]!) / stride[axis]!) + 1);
      return {
        body: { kind: 'pool', mode, kernel, stride, padding },
        inputs: [f32(2, 3, ...size)],
        outputs: [mode === 'argmax' ? i32(2, 3, ...out) : f32(2, 3, ...out)],
      };
    }),
  map: fc
    .tuple(sizes(70), sizes(900))
    .map(([n, m]) => ({ body: { kind: 'map', shape: [n, m], program: square }, inputs: [f32(n, m)], outputs: [f32(n, m)] })),
  reduce: fc
    .tuple(sizes(70), sizes(900), sizes(40), fc.constantFrom('sum' as const, 'max' as const, 'argmax' as const), fc.boolean())
    .map(([n, m, k, reduction, outer]) => ({
      body: { kind: 'reduce', shape: [k, n, m], reduced: outer ? 2 : 1, program: square, reductions: [reduction] },
      inputs: [f32(k, n, m)],
      outputs: [{ dtype: reduction === 'argmax' ? 'i32' : 'f32', shape: outer ? [k] : [k, n] }],
    })),
  copy: fc.tuple(sizes(70), sizes(900)).map(([n, m]) => ({ body: { kind: 'copy' }, inputs: [f32(n, m)], outputs: [f32(n, m)] })),
  pad: fc
    .tuple(sizes(70), sizes(900))
    .map(([n, m]) => ({ body: { kind: 'pad', before: [1, 2], value: 1 }, inputs: [f32(n, m)], outputs: [f32(n + 3, m + 2)] })),
  concat: fc
    .tuple(sizes(70), sizes(900))
    .map(([n, m]) => ({ body: { kind: 'concat', axis: 1 }, inputs: [f32(n, m), f32(n, 3)], outputs: [f32(n, m + 3)] })),
  scan: fc
    .tuple(sizes(30), sizes(60))
    .map(([n, b]) => ({ body: { kind: 'scan', fn: 'sum' }, inputs: [f32(2, n, b)], outputs: [f32(2, n, b)] })),
  gather: fc
    .tuple(sizes(30), sizes(30), sizes(300))
    .map(([n, m, b]) => ({ body: { kind: 'gather' }, inputs: [f32(2, n, b), i32(2, m, b)], outputs: [f32(2, m, b)] })),
  scatterAdd: fc
    .tuple(sizes(30), sizes(30), sizes(300))
    .map(([n, m, b]) => ({ body: { kind: 'scatterAdd' }, inputs: [i32(2, m, b), f32(2, m, b)], outputs: [f32(2, n, b)] })),
  scatter: fc
    .tuple(sizes(30), sizes(30), sizes(300))
    .map(([n, m, b]) => ({ body: { kind: 'scatter' }, inputs: [i32(2, m, b), f32(2, m, b)], outputs: [f32(2, n, b)] })),
  gridSample: fc.tuple(sizes(30), sizes(30), sizes(60)).map(([h, w, n]) => ({
    body: { kind: 'gridSample', padding: 'border', alignCorners: false },
    inputs: [f32(2, 3, h, w), f32(2, n, 4, 2)],
    outputs: [f32(2, 3, n, 4)],
  })),
};

describe.each(Object.entries(kernels))('%s', (_name, drawn) => {
  it('writes nothing behind its workspace, partial results or results', () =>
    property([drawn, fc.nat()], ({ body, inputs, outputs }, seed) => {
      const plan = singleKernelPlan(body, inputs, outputs);
      expect(planFaults(plan)).toEqual([]);
      const data = plan.inputs.map((number) => draw(plan.buffers[number]!.dtype, plan.buffers[number]!.length, seed + number, 1e3));
      for (const build of sharedBuilds) for (const threads of [1, 3]) runOn(threads, plan, data, { build });
    }));
});

describe('a workspace stays small', () => {
  const bytesOf = (direction: ConvKernel['direction'], images: number, channels: number, height: number, width: number): number => {
    const { body, inputs, outputs } = convolution(
      direction,
      { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 },
      f32(images, channels, height, width),
      f32(channels, channels, 3, 3),
    );
    return encodePlan(singleKernelPlan(body, inputs, outputs)).workspaceBytes;
  };

  it.each(['forward', 'input', 'weight'] as const)('for convolutions %s of any size', (direction) => {
    expect(bytesOf(direction, 8, 512, 4, 8192)).toBeLessThanOrEqual(32 << 20);
    return property([from(1, 64), from(1, 2048), from(1, 64), sizes(65536)], (images, channels, height, width) => {
      fc.pre(sizeOf([images, channels, height, width]) < 2 ** 31);
      expect(bytesOf(direction, images, channels, height, width)).toBeLessThanOrEqual(32 << 20);
    });
  });
});
