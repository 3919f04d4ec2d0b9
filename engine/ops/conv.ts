import { checkList, options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { type ConvolutionAttributes, leafNode } from '../graph.ts';
import { type Shape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { take } from './indexing.ts';
import { pad } from './movement.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

// y = conv(x, w) is bilinear, and conv2dInput and conv2dWeight are its transposes in x and in w:
//   ⟨conv2d(x, w), g⟩ = ⟨x, conv2dInput(g, w)⟩ = ⟨w, conv2dWeight(x, g)⟩.
// Each one's derivatives are therefore the other two.

export const conv2dRule: Rule<'conv2d'> = {
  op: 'conv2d',
  infer: ([x, w], attributes) => ({ shape: outputShape(x!.shape, w!.shape, attributes), dtype: x!.dtype }),
  vjp: ({ g, inputs: [x, w], attributes }) => [inputGradient(g, w!, x!.shape, attributes), weightGradient(x!, g, w!.shape, attributes)],
};

export const conv2dInputRule: Rule<'conv2dInput'> = {
  op: 'conv2dInput',
  infer: ([y, w], { groups, size }) => ({ shape: [y!.shape[0]!, w!.shape[1]! * groups, ...size], dtype: y!.dtype }),
  vjp: ({ g, inputs: [y, w], attributes }) => [convolve(g, w!, attributes), weightGradient(g, y!, w!.shape, attributes)],
};

export const conv2dWeightRule: Rule<'conv2dWeight'> = {
  op: 'conv2dWeight',
  infer: ([x, y], { groups, size }) => ({ shape: [y!.shape[1]!, x!.shape[1]! / groups, ...size], dtype: x!.dtype }),
  vjp: ({ g, inputs: [x, y], attributes }) => [inputGradient(y!, g, x!.shape, attributes), convolve(x!, g, attributes)],
};

function convolve(x: Tensor, w: Tensor, { stride, padding, dilation, groups }: ConvolutionAttributes): Tensor {
  return apply(conv2dRule, [x, w], { stride, padding, dilation, groups });
}

function inputGradient(y: Tensor, w: Tensor, shape: Shape, { stride, padding, dilation, groups }: ConvolutionAttributes): Tensor {
  return apply(conv2dInputRule, [y, w], { stride, padding, dilation, groups, size: [shape[2]!, shape[3]!] });
}

function weightGradient(x: Tensor, y: Tensor, shape: Shape, { stride, padding, dilation, groups }: ConvolutionAttributes): Tensor {
  return apply(conv2dWeightRule, [x, y], { stride, padding, dilation, groups, size: [shape[2]!, shape[3]!] });
}

function outputShape(x: Shape, w: Shape, { stride, padding, dilation, groups }: ConvolutionAttributes): Shape {
  check(
    x.length === 4 && w.length === 4 && w[2]! * w[3]! > 0,
    'shape',
    () => `conv2d: takes images [N, C, H, W] and weights [O, C/groups, KH > 0, KW > 0], got ${show(x)} and ${show(w)}`,
  );
  check(
    x[1] === w[1]! * groups && w[0]! % groups === 0,
    'shape',
    () =>
      `conv2d: images ${show(x)} and weights ${show(w)} do not fit with groups ${groups}; ${x[1]! % groups === 0 ? `${x[1]} channels need weights [O, ${x[1]! / groups}, KH, KW] with O divisible by ${groups}` : `groups must divide the ${x[1]} channels`}`,
  );
  const spatial = [0, 1].map((axis) => outputSize(x[axis + 2]!, w[axis + 2]!, stride[axis]!, padding[axis]!, dilation[axis]!));
  check(
    spatial.every((size) => size >= 1),
    'shape',
    () =>
      `conv2d: a kernel of ${show(w.slice(2))} with dilation ${show(dilation)} is larger than the image ${show(x.slice(2))} padded by ${show(padding)}`,
  );
  return [x[0]!, w[0]!, ...spatial];
}

/** How many windows of a (dilated) kernel fit: ⌊(size + 2·padding − dilation·(kernel−1) − 1) / stride⌋ + 1. */
export function outputSize(size: number, kernel: number, stride: number, padding: number, dilation = 1): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** A number for both axes, or one for height and one for width. */
export type Pair = number | readonly [number, number];

/** @throws TensegrityError `argument` unless both are whole numbers ≥ `least`. */
export function pair(value: Pair, name: string, least: number): readonly [number, number] {
  const both: readonly [number, number] = typeof value === 'number' ? [value, value] : value;
  checkList(name, both);
  check(
    both.length === 2 && both.every((entry) => Number.isInteger(entry) && entry >= least),
    'argument',
    () => `${name} must be a whole number ≥ ${least}, or two of them, got ${JSON.stringify(value)}`,
  );
  return [both[0], both[1]];
}

export interface ConvolutionOptions {
  readonly stride?: Pair;
  /** Zeros on both sides of height and width. */
  readonly padding?: Pair;
  readonly dilation?: Pair;
  readonly groups?: number;
}

/**
 * 2-D cross-correlation, as PyTorch's `conv2d`: x [N, C, H, W], w [O, C/groups, KH, KW] → [N, O, OH, OW]. What it costs follows images, weights and result,
 * however large stride, padding and dilation are.
 * @throws TensegrityError `shape` where channels, groups and weights do not fit, `argument` for a stride, padding or dilation out of range.
 */
export function conv2d(x: Tensor, w: Tensor, given: ConvolutionOptions = {}): Tensor {
  checkTensors('conv2d', x, w);
  const {
    stride = 1,
    padding = 0,
    dilation = 1,
    groups,
  } = options('conv2d', given, {
    stride: undefined,
    padding: undefined,
    dilation: undefined,
    groups: 1,
  });
  check(Number.isInteger(groups) && groups >= 1, 'argument', () => `conv2d: groups must be a whole number ≥ 1, got ${groups}`);
  check(
    isFloat(x.dtype) && x.dtype === w.dtype,
    'dtype',
    () => `conv2d: takes images and weights of one float type, got ${x.dtype} and ${w.dtype}`,
  );
  return withoutGaps(x, w, {
    stride: pair(stride, 'conv2d: stride', 1),
    padding: pair(padding, 'conv2d: padding', 0),
    dilation: pair(dilation, 'conv2d: dilation', 1),
    groups,
  });
}

/** What windows span along an axis may be so many times what there is, and what a stride steps over so many times the taps; or a little, in any case. */
const MOST_SPREAD = 4;
const FEW_PIXELS = 64;
const FEW_TAPS = 4;
const MOST_PLACES = 2 ** 28;

/**
 * Kernels cost what a padded image and each phase of a stride do. Along an axis on which they would find next to nothing there, what the windows see is laid
 * side by side first: no more than the products that the convolution is made of.
 */
function withoutGaps(x: Tensor, w: Tensor, given: ConvolutionAttributes): Tensor {
  const out = outputShape(x.shape, w.shape, given);
  const stride: [number, number] = [...given.stride];
  const padding: [number, number] = [...given.padding];
  const dilation: [number, number] = [...given.dilation];
  let seen = x;
  for (const axis of [0, 1] as const) {
    const [pixels, taps, windows] = [x.shape[axis + 2]!, w.shape[axis + 2]!, out[axis + 2]!];
    const [step, before, apart] = [stride[axis], padding[axis], dilation[axis]];
    const spanned = windows * step + taps * apart;
    if (spanned <= MOST_SPREAD * (pixels + taps + windows + FEW_PIXELS) && Math.min(step, pixels) <= MOST_SPREAD * (taps + FEW_TAPS))
      continue;
    // What no result could hold is left to the kernels, which say so.
    if (windows * taps > MOST_PLACES) continue;
    const places = new Int32Array(windows * taps);
    for (let k = 0; k < places.length; k++) {
      const place = Math.floor(k / taps) * step - before + (k % taps) * apart;
      // What is outside is the 0 behind the last pixel.
      places[k] = place >= 0 && place < pixels ? place : pixels;
    }
    seen = take(pad(seen, [0, 0, 0, 0], [0, 0, 1 - axis, axis]), x.of(leafNode(places, [places.length], 'i32')), axis + 2);
    [stride[axis], padding[axis], dilation[axis]] = [taps, 0, 1];
  }
  return convolve(seen, w, { ...given, stride, padding, dilation });
}
