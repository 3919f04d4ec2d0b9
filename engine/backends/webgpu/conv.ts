import type { ConvKernel, View } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import { type Factor, type Part, stridedFactor } from './factor.ts';
import { arranged, coordinateStatements, coordinatesOf } from './indices.ts';
import { type Product, productStages } from './product.ts';
import { type Emitter, range } from './shader.ts';

type Pair = readonly [vertical: number, horizontal: number];

/** y = x ∗ w in each group of channels. Padding and dilation may be negative: the index functions are the same. */
interface Correlation {
  /** [N, groups, C, H, W] */
  readonly x: View;
  /** [groups, O, C, KH, KW] */
  readonly w: View;
  /** [N, groups, O, OH, OW] */
  readonly y: View;
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
  const pixels = { extents: [y.shape[2]!, y.shape[3]!], first: [0, 0], step: [1, 1] } as const;
  return { x: grouped(x, 1, groups), w: grouped(w, 0, groups), y: grouped(y, 1, groups), stride, padding, dilation, pixels };
}

/** A view with one axis, of all channels, as two: of groups, and of the channels of each. */
function grouped({ shape, strides, ...view }: View, axis: number, groups: number): View {
  const [channels, stride] = [shape[axis]! / groups, strides[axis]!];
  return { ...view, shape: shape.toSpliced(axis, 1, groups, channels), strides: strides.toSpliced(axis, 1, channels * stride, stride) };
}

type Found = Omit<Product, 'name' | 'epilogue' | 'others' | 'besides'>;

function forward(given: Correlation): Found {
  const { w, y, pixels } = given;
  const [batch = 0, rows = 0, ...taps] = w.shape;
  const columns = [y.shape[0]!, ...pixels.extents];
  const [n, i, j] = coordinatesOf('column', columns);
  return {
    batch,
    rows,
    columns: sizeOf(columns),
    inner: sizeOf(taps),
    left: stridedFactor(w),
    right: imageFactor(given, 'pixel'),
    out: y,
    coordinates: {
      statements: `let n = ${n};
let h = ${i} * ${pixels.step[0]} + ${pixels.first[0]};
let w = ${j} * ${pixels.step[1]} + ${pixels.first[1]};`,
      names: ['n', 'batch', 'row', 'h', 'w'],
    },
  };
}

function weight(given: Correlation): Found {
  const { w, y } = given;
  const [batch = 0, rows = 0, ...taps] = w.shape;
  const [images = 0, , , height = 0, width = 0] = y.shape;
  return {
    batch,
    rows,
    columns: sizeOf(taps),
    inner: images * height * width,
    left: stridedFactor(arranged(y, [1, 2, 0, 3, 4])),
    right: imageFactor(given, 'tap'),
    out: w,
    coordinates: { statements: coordinateStatements('column', taps, ['c', 'u', 'v']), names: ['batch', 'row', 'c', 'u', 'v'] },
  };
}

/**
 * x[c, i·stride − padding + u·dilation, …]: what a pixel (n, i, j) of the result and a tap (c, u, v) of the filter meet in, as a factor whose lines are the
 * one, and whose inner positions are the other.
 */
function imageFactor({ x, w, y, pixels, stride, padding, dilation }: Correlation, lines: 'pixel' | 'tap'): Factor {
  const [, , , height = 0, width = 0] = x.shape;
  const [, , channels = 0, kernelHeight = 0, kernelWidth = 0] = w.shape;
  const [outHeight, outWidth] = pixels.extents;
  const [imageStride, groupStride, channelStride, rowStride, columnStride] = x.strides;
  /** A part that moves by one of these numbers from image or channel to the next, and in an image by its row and column. */
  const part = (name: string, start: string, row: string, column: string): string => `let ${name}Y = ${row};
let ${name}X = ${column};
let ${name}At = ${start} + ${name}Y * ${rowStride} + ${name}X * ${columnStride};`;
  const pixel: Part = (position, name) => {
    const [n, i, j] = coordinatesOf(position, [y.shape[0]!, outHeight, outWidth]);
    const start = `${x.offset} + batch * ${groupStride} + ${n} * ${imageStride}`;
    return part(name, start, `${i} * ${stride[0]} - ${padding[0]}`, `${j} * ${stride[1]} - ${padding[1]}`);
  };
  const tap: Part = (position, name) => {
    const [c, u, v] = coordinatesOf(position, [channels, kernelHeight, kernelWidth]);
    return part(name, `${c} * ${channelStride}`, `${u} * ${dilation[0]}`, `${v} * ${dilation[1]}`);
  };
  const inside =
    staysInside(outHeight, stride[0], kernelHeight, dilation[0], padding[0], height) &&
    staysInside(outWidth, stride[1], kernelWidth, dilation[1], padding[1], width);
  return {
    view: x,
    innerDense: lines === 'tap',
    ...(lines === 'pixel' ? { line: pixel, inner: tap } : { line: tap, inner: pixel }),
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
function phases({ stride, padding, dilation }: ConvKernel, { x, w, y }: Correlation): Correlation[] {
  const phasesAlong = (axis: 0 | 1): Phase[] =>
    phasesOf(stride[axis], padding[axis], dilation[axis], w.shape[axis + 3]!, x.shape[axis + 3]!);
  return phasesAlong(0).flatMap((down) =>
    phasesAlong(1).map((right): Correlation => {
      const extent = (axis: 0 | 1, { pixel }: Phase): number => Math.max(0, Math.ceil((x.shape[axis + 3]! - pixel) / stride[axis]));
      const { shape, strides, offset, ...rest } = arranged(w, [0, 2, 1, 3, 4]);
      const [rowStride, columnStride] = strides.slice(3) as [number, number];
      return {
        x: y,
        w: {
          ...rest,
          shape: [...shape.slice(0, 3), down.taps, right.taps],
          strides: [...strides.slice(0, 3), rowStride * down.tapStep, columnStride * right.tapStep],
          offset: offset + rowStride * down.tap + columnStride * right.tap,
        },
        y: x,
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
