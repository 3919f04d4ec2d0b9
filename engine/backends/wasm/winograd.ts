/** When and how a convolution is done by Winograd's F(4×4, 3×3): `wasm/winograd.ts`. */
import * as command from '../../../wasm/command.ts';
import type { ConvKernel } from '../../compiler/plan.ts';
import type { Command } from './encode.ts';
import { rolesOf } from './workspace.ts';

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
function forwardRoles(kernel: ConvKernel): Roles {
  const { padding } = kernel;
  const { source, target, filters } = rolesOf(kernel);
  if (kernel.direction !== 'input') return { source, target, filters, padding };
  const [o, c, h, w] = filters.strides;
  const [outputs, inputs] = filters.shape;
  const turned = { shape: [inputs!, outputs!, 3, 3], strides: [c!, o!, -h!, -w!], offset: filters.offset + 2 * h! + 2 * w! };
  return { source, target, filters: { ...turned, buffer: filters.buffer }, padding: [2 - padding[0], 2 - padding[1]] };
}

/** Pixels of a tile, and of the patch it needs, along an axis; products of a tile. */
const TILE = 4;
const PATCH = 6;
const POINTS = PATCH * PATCH;
/** Columns of a panel, which are images or channels. */
const LANES = 8;
/** Filters are padded to whole panels of either build, of six and of four rows. */
const PANEL_ROWS = 12;
const divideUp = (a: number, b: number): number => Math.ceil(a / b);
const roundUp = (a: number, b: number): number => divideUp(a, b) * b;

/** Fewer channels are not worth the transforms, which every channel needs on either side. */
const LEAST_CHANNELS = 16;
/** Of the pixels (and images) that tiles (and vectors) cover, so many times those that there are: with four there is nothing to gain. */
const MOST_COVERED = 2;
/** Bytes of a thread's transformed patches, which grow with channels × width: beyond, memory is worth more than multiplications. */
const MOST_BYTES = 32 << 20;

/** Whether there is less to compute this way, in a workspace of some megabytes, and views are as the kernels need them. */
export function suitsWinograd(kernel: ConvKernel): boolean {
  const [kernelHeight, kernelWidth] = rolesOf(kernel).filters.shape.slice(2);
  const once = [...kernel.stride, ...kernel.dilation, kernel.groups].every((value) => value === 1);
  if (!once || kernelHeight !== 3 || kernelWidth !== 3) return false;
  const { source, target, filters, padding } = forwardRoles(kernel);
  const [images, outputs, height, width] = target.shape as [number, number, number, number];
  const covered = (size: number, piece: number): number => roundUp(size, piece) / size;
  const lanes = kernel.direction === 'weight' ? 1 : covered(images, LANES);
  return (
    padding.every((size) => size >= 0) &&
    Math.min(source.shape[1]!, outputs) >= LEAST_CHANNELS &&
    covered(height, TILE) * covered(width, TILE) * lanes <= MOST_COVERED &&
    workspaceOf(kernel.direction, filters, target) <= MOST_BYTES &&
    source.strides[3] === 1 &&
    target.strides[3] === 1
  );
}

/** The commands, which pass filters, transformed, through the buffer `partial`. */
export function encodeWinograd(kernel: ConvKernel, partial: number): Command[] {
  const { source, target, filters, padding } = forwardRoles(kernel);
  const [rows, steps] = filters.shape as [number, number];
  const points: Role = { buffer: partial, offset: 0, shape: [1, 1, 1, 1], strides: [0, 0, 0, 0] };
  const partialBytes = 4 * POINTS * roundUp(rows, PANEL_ROWS) * roundUp(steps, LANES);
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
    workspaceBytes: workspaceOf(kernel.direction, filters, target),
    partialBytes,
  };
  return isWeight
    ? [convolve, transform(command.WINOGRAD_FILTER_GRADIENT, [points, filters])]
    : [transform(command.WINOGRAD_FILTERS, [filters, points]), convolve];
}

// The layouts of wasm/winograd.ts, which must change together with these.
const BLOCK_PANELS = 8;
const ROUND_FILTERS = 24;
const BLOCK_TILES = 64;
const VECTOR = 16;
const SKEW = 64;
/** The table of rows, a square of points, and one of a tile's pixels with its half-way. */
const FIXED_BYTES = 32 + POINTS * VECTOR + 256;
/** A filter's taps, half-way, and its points. */
const FILTER_BYTES = (3 * 3 + 3 * PATCH + POINTS) * VECTOR;

/** Bytes that a thread needs for the products of all points. */
function workspaceOf(direction: ConvKernel['direction'], filters: Role, { shape: [, , , width = 1] }: Role): number {
  const [rows, steps] = filters.shape as [number, number];
  const rowTiles = divideUp(width, TILE);
  /** The tiles of a block: some rows of tiles, at least one. */
  const blockOf = (tiles: number): number => Math.max(1, Math.floor(tiles / rowTiles)) * rowTiles;
  /** A patch line of every tile of a row, of so many lanes. */
  const patchBytes = (lanes: number): number => PATCH * (rowTiles * TILE + 2) * lanes * 4;
  if (direction === 'weight') {
    const depth = blockOf(BLOCK_TILES);
    return FIXED_BYTES + POINTS * ((roundUp(rows, PANEL_ROWS) + roundUp(steps, LANES)) * depth * 4 + 2 * SKEW) + patchBytes(4);
  }
  const columns = blockOf(BLOCK_PANELS) * LANES;
  return FIXED_BYTES + POINTS * (columns * (steps + ROUND_FILTERS) * 4 + 2 * SKEW) + patchBytes(LANES);
}
