import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { ConvKernel } from '../../../../engine/compiler/plan.ts';
import { property } from '../../../support/property.ts';
import { agree, type Case, dataOf, epsilon, type Layout, layouts, sameBits } from './strided.ts';

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

interface Geometry {
  readonly images: number;
  readonly groups: number;
  readonly channels: number;
  readonly filters: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
}

const geometries: fc.Arbitrary<Geometry> = fc
  .record({
    images: fc.integer({ min: 0, max: 3 }),
    groups: fc.constantFrom(1, 1, 2, 3),
    channels: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 5 }) }, fc.constant(0)),
    filters: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) }, { weight: 1, arbitrary: fc.integer({ min: 6, max: 20 }) }),
    size: pair(1, 14),
    kernel: pair(1, 4),
    stride: pair(1, 3),
    padding: pair(0, 3),
    dilation: pair(1, 2),
  })
  .filter((geometry) => outOf(geometry).every((extent) => extent > 0));

const outOf = ({ size, kernel, stride, padding, dilation }: Geometry) =>
  [0, 1].map((k) => Math.floor((size[k]! + 2 * padding[k]! - dilation[k]! * (kernel[k]! - 1) - 1) / stride[k]!) + 1);

function caseOf(direction: ConvKernel['direction'], geometry: Geometry, layouts: readonly Layout[]): Case {
  const { images, groups, channels, filters, size, kernel, stride, padding, dilation } = geometry;
  const x = [images, groups * channels, ...size];
  const w = [groups * filters, channels, ...kernel];
  const y = [images, groups * filters, ...outOf(geometry)];
  const [inputs, output] = direction === 'forward' ? [[x, w], y] : direction === 'input' ? [[y, w], x] : [[x, y], w];
  return { body: { kind: 'conv', epilogue: null, direction, stride, padding, dilation, groups }, inputs, output, layouts };
}

/** Sums of at most so many products of numbers below 1. */
function tolerance({ body, inputs, output }: Case): number {
  const count = (shape: readonly number[], ...axes: number[]) => axes.reduce((product, axis) => product * shape[axis]!, 1);
  const steps = (body as ConvKernel).direction === 'weight' ? count(inputs[1]!, 0, 2, 3) : count(inputs[1]!, 0, 1, 2, 3);
  return (Math.min(steps, count(inputs[0]!, 0, 1, 2, 3), 4096 + output.length) + 4) * epsilon;
}

const lies = fc.tuple(layouts(4, true), layouts(4, true), layouts(4, false));
const rowMajor: Layout = { order: [3, 2, 1, 0], gap: 0, flipped: false, still: null };
const channelsLast: Layout = { order: [1, 3, 2, 0], gap: 0, flipped: false, still: null };

describe.each(['forward', 'input', 'weight'] as const)('conv %s', (direction) => {
  it('holds for any stride, padding, dilation, groups and layout', () =>
    property(
      [geometries, lies, fc.nat()],
      (geometry, layouts, seed) => {
        const given = caseOf(direction, geometry, layouts);
        return agree(given, dataOf(given, seed), tolerance(given));
      },
      { numRuns: 250 },
    ));

  // Padding counts as zeros, and 0 · ∞ is NaN: what lies outside the image is multiplied too, so only images are drawn with specials.
  it('lets no NaN or infinity of an image disappear', () =>
    property(
      [geometries, lies, fc.nat()],
      (geometry, layouts, seed) => {
        const given = caseOf(direction, geometry, layouts);
        return agree(given, dataOf(given, seed, [true, false]), tolerance(given));
      },
      { numRuns: 150 },
    ));

  it('gives the same bits to any number of threads', () =>
    property([geometries, lies, fc.nat()], (geometry, layouts, seed) => {
      const given = caseOf(direction, geometry, layouts);
      sameBits(given, dataOf(given, seed));
    }));

  it.each([
    [
      'a first layer',
      { images: 3, groups: 1, channels: 1, filters: 32, size: [28, 28], kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
    ],
    [
      'three channels',
      { images: 2, groups: 1, channels: 3, filters: 8, size: [32, 32], kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
    ],
    [
      'a strided layer',
      {
        images: 9,
        groups: 1,
        channels: 20,
        filters: 24,
        size: [14, 14],
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
      },
    ],
    [
      'images of 7 × 7',
      { images: 5, groups: 1, channels: 40, filters: 10, size: [7, 7], kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
    ],
    [
      '1 × 1',
      { images: 2, groups: 1, channels: 33, filters: 17, size: [9, 9], kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] },
    ],
    [
      '1 × 1, strided',
      { images: 2, groups: 1, channels: 33, filters: 17, size: [9, 9], kernel: [1, 1], stride: [2, 2], padding: [0, 0], dilation: [1, 1] },
    ],
    [
      'more channels than a block',
      { images: 1, groups: 1, channels: 300, filters: 7, size: [5, 5], kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
    ],
    [
      'depthwise',
      { images: 3, groups: 24, channels: 1, filters: 1, size: [15, 13], kernel: [3, 3], stride: [2, 1], padding: [1, 1], dilation: [1, 1] },
    ],
    [
      'large images',
      {
        images: 1,
        groups: 1,
        channels: 3,
        filters: 4,
        size: [130, 230],
        kernel: [7, 7],
        stride: [2, 2],
        padding: [3, 3],
        dilation: [1, 1],
      },
    ],
    [
      'a row wider than a slab',
      {
        images: 1,
        groups: 1,
        channels: 2,
        filters: 2,
        size: [3, 70000],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
      },
    ],
    [
      'a kernel as large as the image',
      {
        images: 2,
        groups: 1,
        channels: 2,
        filters: 3,
        size: [50, 47],
        kernel: [50, 47],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
      },
    ],
  ] satisfies [string, Geometry][])('%s', async (_name, geometry) => {
    for (const lie of [rowMajor, channelsLast]) {
      const given = caseOf(direction, geometry, [lie, rowMajor, lie]);
      await agree(given, dataOf(given, geometry.channels), tolerance(given));
    }
  });
});
