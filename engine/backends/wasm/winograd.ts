/** When and how a convolution is done by Winograd's F(4×4, 3×3): `wasm/winograd.ts`. */
import * as command from '../../../wasm/command.ts';
import type { ConvKernel } from '../../compiler/plan.ts';
import type { Command } from './encode.ts';

/** A view that is of f32, and of four axes. */
interface Role {
  readonly buffer: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Roles {
  /** What is convolved, [N, C, H, W]. */
  readonly source: Role;
  /** What comes out of it, or its cotangent, [N, O, OH, OW]. */
  readonly target: Role;
  /** [O, C, 3, 3]. */
  readonly filters: Role;
  readonly padding: readonly [number, number];
}

/** Every direction as a forward one; the gradient by input is one with turned filters, whose input and output channels are exchanged. */
function rolesOf({ direction, inputs, outputs, padding }: ConvKernel): Roles {
  const [first, second, last] = [inputs[0]!, inputs[1]!, outputs[0]!];
  if (direction === 'weight') return { source: first, target: second, filters: last, padding };
  if (direction === 'forward') return { source: first, target: last, filters: second, padding };
  const [o, c, h, w] = second.strides;
  const [outputChannels, inputChannels] = second.shape;
  const turned = { shape: [inputChannels!, outputChannels!, 3, 3], strides: [c!, o!, -h!, -w!], offset: second.offset + 2 * h! + 2 * w! };
  return { source: first, target: last, filters: { ...turned, buffer: second.buffer }, padding: [2 - padding[0], 2 - padding[1]] };
}

const TILE = 4;
const LANES = 8;
const divideUp = (a: number, b: number): number => Math.ceil(a / b);

/** Fewer channels are not worth the transforms, which every channel needs on either side. */
const LEAST_CHANNELS = 16;
/** Of the pixels (and images) that tiles (and vectors) cover, so many times those that there are: with four there is nothing to gain. */
const MOST_COVERED = 2;

/** Whether there is less to compute this way, and views are as the kernels need them. */
export function suitsWinograd(kernel: ConvKernel): boolean {
  const [kernelHeight, kernelWidth] = (kernel.direction === 'weight' ? kernel.outputs[0]! : kernel.inputs[1]!).shape.slice(2);
  const once = [...kernel.stride, ...kernel.dilation, kernel.groups].every((value) => value === 1);
  if (!once || kernelHeight !== 3 || kernelWidth !== 3) return false;
  const { source, target, padding } = rolesOf(kernel);
  const [images, outputs, height, width] = target.shape as [number, number, number, number];
  const covered = (size: number, piece: number): number => (divideUp(size, piece) * piece) / size;
  const lanes = kernel.direction === 'weight' ? 1 : covered(images, LANES);
  return (
    padding.every((size) => size >= 0) &&
    Math.min(source.shape[1]!, outputs) >= LEAST_CHANNELS &&
    covered(height, TILE) * covered(width, TILE) * lanes <= MOST_COVERED &&
    source.strides[3] === 1 &&
    target.strides[3] === 1
  );
}

/** The commands, which pass filters, transformed, through the buffer `partial`. */
export function encodeWinograd(kernel: ConvKernel, partial: number): Command[] {
  const { source, target, filters, padding } = rolesOf(kernel);
  const [rows, steps] = filters.shape as [number, number];
  const points: Role = { buffer: partial, offset: 0, shape: [1, 1, 1, 1], strides: [0, 0, 0, 0] };
  const partialBytes = 4 * 36 * divideUp(rows, 12) * 12 * divideUp(steps, 8) * 8;
  const words = (parameters: readonly number[], views: readonly Role[]): number[] => [
    ...parameters,
    ...views.flatMap(({ buffer, offset, shape, strides }) => [buffer, 4 * offset, ...shape, ...strides]),
  ];
  const transform = (kind: number, views: readonly Role[]): Command => ({
    kind,
    words: words([], views),
    workspaceBytes: FILTER_BYTES,
    partialBytes,
  });
  const isWeight = kernel.direction === 'weight';
  const convolve: Command = {
    kind: isWeight ? command.WINOGRAD_WEIGHT : command.WINOGRAD,
    words: words(padding, isWeight ? [source, target, points] : [source, points, target]),
    workspaceBytes: isWeight ? weightBytes(rows, steps, target.shape) : forwardBytes(steps, target.shape),
    partialBytes,
  };
  return isWeight
    ? [convolve, transform(command.WINOGRAD_FILTER_GRADIENT, [points, filters])]
    : [transform(command.WINOGRAD_FILTERS, [filters, points]), convolve];
}

// The layouts of wasm/winograd.ts, which must change together with these.
const FILTER_BYTES = (9 + 18 + 36) * 16;
const BLOCK_PANELS = 8;
const ROUND_FILTERS = 24;
const BLOCK_TILES = 64;
const SKEW = 64;
const FIXED_BYTES = 32 + 36 * 16 + 256;

/** The tiles of a block: some rows of tiles, at least one. */
const blockOf = (tiles: number, width: number): number => Math.max(1, Math.floor(tiles / divideUp(width, TILE))) * divideUp(width, TILE);

/** A patch line of every tile of a row, of so many lanes. */
const patchBytes = (width: number, lanes: number): number => 6 * (divideUp(width, TILE) * TILE + 2) * lanes * 4;

function forwardBytes(channels: number, [, , , width = 1]: readonly number[]): number {
  const panels = blockOf(BLOCK_PANELS, width);
  return FIXED_BYTES + 36 * (panels * channels * 32 + panels * ROUND_FILTERS * 32 + 2 * SKEW) + patchBytes(width, 8);
}

function weightBytes(filters: number, channels: number, [, , , width = 1]: readonly number[]): number {
  const depth = blockOf(BLOCK_TILES, width);
  const rows = divideUp(filters, 12) * 12 + divideUp(channels, 8) * 8;
  return FIXED_BYTES + 36 * (rows * depth * 4 + 2 * SKEW) + patchBytes(width, 4);
}
