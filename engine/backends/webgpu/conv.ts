import type { ConvKernel, View } from '../../compiler/plan.ts';
import type { Factor, Part } from './factor.ts';
import { type Product, productStages } from './product.ts';
import { type Emitter, range } from './shader.ts';

type Pair = readonly [vertical: number, horizontal: number];

/** y = x ∗ w in each group of channels. Padding and dilation may be negative: the index functions are the same. */
interface Correlation {
  readonly x: View;
  readonly y: View;
  /** The filter of one group [O/groups, C/groups, KH, KW], and from one group to the next. */
  readonly w: View;
  readonly groupStride: number;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  /** The pixels of y that are meant: how many, the first, and from one to the next. */
  readonly pixels: { readonly extents: Pair; readonly first: Pair; readonly step: Pair };
}

/**
 * The three convolutions as products by index functions, in each group of channels:
 *
 * - forward: y[o, (n,i,j)] = Σ over (c,u,v) of w[o, (c,u,v)] · x[(c,u,v), (n,i,j)]
 * - weight: w[o, (c,u,v)] = Σ over (n,i,j) of y[o, (n,i,j)] · x[(n,i,j), (c,u,v)]
 * - input: forward ones of y, one for each phase of the stride: see {@link phases}.
 */
export const conv: Emitter<'conv'> = (kernel, context) => {
  const { direction, inputs, outputs, epilogue } = kernel;
  const [first, second, ...others] = inputs as [View, View, ...View[]];
  const out = outputs[0]!;
  const products = {
    forward: () => [forward(correlation(kernel, first, second, out))],
    weight: () => [weight(correlation(kernel, first, out, second))],
    input: () => phases(kernel, correlation(kernel, out, second, first)).map(forward),
  }[direction]();
  return products.flatMap((product, k) =>
    productStages({ ...product, epilogue, others, name: `conv_${direction}`, besides: k > 0 }, context),
  );
};

function correlation({ stride, padding, dilation, groups }: ConvKernel, x: View, w: View, y: View): Correlation {
  const rows = w.shape[0]! / groups;
  const pixels = { extents: [y.shape[2]!, y.shape[3]!], first: [0, 0], step: [1, 1] } as const;
  const filter = { ...w, shape: [rows, ...w.shape.slice(1)] };
  return { x, w: filter, y, groupStride: rows * w.strides[0]!, stride, padding, dilation, pixels };
}

type Found = Omit<Product, 'name' | 'epilogue' | 'others' | 'besides'>;

function forward(given: Correlation): Found {
  const { w, y, groupStride, pixels } = given;
  const [images = 0, outputs = 0] = y.shape;
  const [rows = 0, channels = 0, kernelHeight = 0, kernelWidth = 0] = w.shape;
  const [height, width] = pixels.extents;
  const along = (axis: 0 | 1, name: string) => `${name} * ${pixels.step[axis]} + ${pixels.first[axis]}`;
  return {
    batch: rows === 0 ? 0 : outputs / rows,
    rows,
    columns: images * height * width,
    inner: channels * kernelHeight * kernelWidth,
    left: {
      view: w,
      innerDense: true,
      lineStep: w.strides[0]!,
      line: (row, name) => `let ${name}At = ${w.offset} + batch * ${groupStride} + ${row} * ${w.strides[0]};`,
      inner: (tap, name) => `let ${name}At = ${placeOfDigits(tap, [kernelHeight, kernelWidth], w.strides.slice(1))};`,
    },
    right: imageFactor(given, 'pixel'),
    out: y,
    coordinates: {
      statements: `let n = column / ${height * width};
let h = ${along(0, `column / ${width} % ${height}`)};
let w = ${along(1, `column % ${width}`)};`,
      names: ['n', `(batch * ${rows} + row)`, 'h', 'w'],
    },
  };
}

function weight(given: Correlation): Found {
  const { w, y, x } = given;
  const [images = 0, outputs = 0, height = 0, width = 0] = y.shape;
  const [rows = 0, channels = 0, kernelHeight = 0, kernelWidth = 0] = w.shape;
  const [imageStride, channelStride, rowStride, columnStride] = y.strides as [number, number, number, number];
  const groups = x.shape[1]! / channels;
  return {
    batch: outputs === 0 || channels === 0 ? 0 : groups,
    rows,
    columns: channels * kernelHeight * kernelWidth,
    inner: images * height * width,
    left: {
      view: y,
      innerDense: true,
      lineStep: channelStride,
      line: (row, name) => `let ${name}At = ${y.offset} + (batch * ${rows} + ${row}) * ${channelStride};`,
      inner: (pixel, name) => `let ${name}At = ${placeOfDigits(pixel, [height, width], [imageStride, rowStride, columnStride])};`,
    },
    right: imageFactor(given, 'tap'),
    out: { ...w, shape: [outputs, ...w.shape.slice(1)] },
    coordinates: {
      statements: `let c = column / ${kernelHeight * kernelWidth};
let u = column / ${kernelWidth} % ${kernelHeight};
let v = column % ${kernelWidth};`,
      names: [`(batch * ${rows} + row)`, 'c', 'u', 'v'],
    },
  };
}

/** The place of element (a, b, c) of an array by its row-major number, where b and c have these extents. */
function placeOfDigits(number: string, [b, c]: Pair, [first, second, third]: readonly number[]): string {
  return `${number} / ${b * c || 1} * ${first} + ${number} / ${c || 1} % ${b || 1} * ${second} + ${number} % ${c || 1} * ${third}`;
}

/**
 * x[c, i·stride − padding + u·dilation, …]: what a pixel (n, i, j) of the result and a tap (c, u, v) of the filter meet in, as a factor whose lines are the
 * one, and whose inner positions are the other.
 */
function imageFactor({ x, w, pixels, stride, padding, dilation }: Correlation, lines: 'pixel' | 'tap'): Factor {
  const [, , height = 0, width = 0] = x.shape;
  const [, channels = 0, kernelHeight = 0, kernelWidth = 0] = w.shape;
  const [outHeight, outWidth] = pixels.extents;
  const [imageStride, channelStride, rowStride, columnStride] = x.strides as [number, number, number, number];
  const pixel: Part = (p, name) => `let ${name}Y = ${p} / ${outWidth} % ${outHeight} * ${stride[0]} - ${padding[0]};
let ${name}X = ${p} % ${outWidth} * ${stride[1]} - ${padding[1]};
let ${name}At = ${x.offset} + batch * ${channels * channelStride} + ${p} / ${outHeight * outWidth} * ${imageStride} + ${name}Y * ${rowStride} + ${name}X * ${columnStride};`;
  const tap: Part = (k, name) => `let ${name}Y = ${k} / ${kernelWidth || 1} % ${kernelHeight || 1} * ${dilation[0]};
let ${name}X = ${k} % ${kernelWidth || 1} * ${dilation[1]};
let ${name}At = ${k} / ${kernelHeight * kernelWidth || 1} * ${channelStride} + ${name}Y * ${rowStride} + ${name}X * ${columnStride};`;
  const inside =
    staysInside(outHeight, stride[0], kernelHeight, dilation[0], padding[0], height) &&
    staysInside(outWidth, stride[1], kernelWidth, dilation[1], padding[1], width);
  return {
    view: x,
    innerDense: lines === 'tap',
    line: lines === 'pixel' ? pixel : tap,
    inner: lines === 'pixel' ? tap : pixel,
    ...(inside ? {} : { image: { height, width } }),
  };
}

/** Whether every pixel that taps reach along one axis is inside. */
function staysInside(outputs: number, stride: number, taps: number, dilation: number, padding: number, extent: number): boolean {
  const reach = (taps - 1) * dilation;
  const [first, last] = [Math.min(0, reach) - padding, (outputs - 1) * stride + Math.max(0, reach) - padding];
  return first >= 0 && last < extent;
}

/** Pixels of one axis of the image that the same taps reach: the first of them, and how far apart they are; likewise of taps; and where the first tap finds them in y. */
interface Phase {
  readonly pixel: number;
  readonly tap: number;
  readonly taps: number;
  readonly tapStep: number;
  readonly start: number;
  readonly step: number;
}

/**
 * x[c, h, w] = Σ over (o,u,v) of w[o, c, u, v] · y[o, i, j] where i·stride = h + padding − u·dilation. All pixels h = a + stride·h′ meet the taps u for
 * which a + padding − u·dilation is a multiple of the stride, at i = h′ + (a + padding − u·dilation)/stride: a convolution of stride 1 for each a, without
 * multiplications by the zeros between the pixels of a dilated y.
 */
function phases({ stride, padding, dilation }: ConvKernel, { x, w, y, groupStride }: Correlation): Correlation[] {
  const phasesAlong = (axis: 0 | 1): Phase[] =>
    phasesOf(stride[axis], padding[axis], dilation[axis], w.shape[axis + 2]!, x.shape[axis + 2]!);
  return phasesAlong(0).flatMap((down) =>
    phasesAlong(1).map((right): Correlation => {
      const extent = (axis: 0 | 1, { pixel }: Phase): number => Math.max(0, Math.ceil((x.shape[axis + 2]! - pixel) / stride[axis]));
      const [outputStride, channelStride, rowStride, columnStride] = w.strides as [number, number, number, number];
      return {
        x: y,
        w: {
          ...w,
          shape: [w.shape[1]!, w.shape[0]!, down.taps, right.taps],
          strides: [channelStride, outputStride, rowStride * down.tapStep, columnStride * right.tapStep],
          offset: w.offset + rowStride * down.tap + columnStride * right.tap,
        },
        y: x,
        groupStride,
        stride: [1, 1],
        padding: [-down.start, -right.start],
        dilation: [-down.step, -right.step],
        pixels: { extents: [extent(0, down), extent(1, right)], first: [down.pixel, right.pixel], step: stride },
      };
    }),
  );
}

function phasesOf(stride: number, padding: number, dilation: number, kernel: number, extent: number): Phase[] {
  // Taps that a pixel meets are this far apart: as many as bring u·dilation to the next multiple of the stride.
  const tapStep = range(stride).find((u) => ((u + 1) * dilation) % stride === 0)! + 1;
  // Phases beyond the image have no pixels.
  return range(Math.min(stride, extent)).map((pixel) => {
    const meeting = range(kernel).filter((u) => (pixel + padding - u * dilation) % stride === 0);
    const [tap = 0] = meeting;
    const start = meeting.length === 0 ? 0 : (pixel + padding - tap * dilation) / stride;
    return { pixel, tap, taps: meeting.length, tapStep, start, step: (tapStep * dilation) / stride };
  });
}
