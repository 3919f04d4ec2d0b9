/** When and how a 3×3 convolution is done by Winograd's F(4×4, 3×3): `wasm/winograd.ts`. */
import * as command from '../../../wasm/command.ts';
import * as modes from '../../../wasm/modes.ts';
import * as sizes from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import type { ConvKernel, View } from '../../compiler/plan.ts';
import type { Command } from './command.ts';
import { inOrder, viewWords, type Words } from './words.ts';
import { rolesOf } from './workspace.ts';

/** What differs between the three kinds of convolution in `wasm/winogradTile.ts`; sizes are along an axis. */
interface Kind {
  readonly code: number;
  /** Pixels that come out of a tile. */
  readonly tile: number;
  /** Pixels that go into it. */
  readonly patch: number;
  /** Pixels from one patch to the next. */
  readonly patchStep: number;
  /** Products of a tile. */
  readonly points: number;
  /** The most pixels (and images) that tiles (and vectors) may cover for each that there is, below what is saved: 4, or 16/9 with a stride. */
  readonly mostCovered: number;
  /** Fewer channels, on either side, are not worth the transforms. */
  readonly leastChannels: Readonly<Record<ConvKernel['direction'], number>>;
}

const DENSE: Kind = {
  code: modes.DENSE,
  tile: sizes.DENSE_TILE,
  patch: sizes.DENSE_PATCH,
  patchStep: sizes.DENSE_PATCH_STEP,
  points: sizes.DENSE_POINTS,
  mostCovered: 2,
  leastChannels: { forward: 16, input: 16, weight: 16 },
};
const STRIDED: Kind = {
  code: modes.STRIDED,
  tile: sizes.STRIDED_TILE,
  patch: sizes.STRIDED_PATCH,
  patchStep: sizes.STRIDED_PATCH_STEP,
  points: sizes.STRIDED_POINTS,
  mostCovered: 1.4,
  leastChannels: { forward: 32, input: 32, weight: 64 },
};
const TRANSPOSED: Kind = {
  ...STRIDED,
  code: modes.TRANSPOSED,
  tile: sizes.TRANSPOSED_TILE,
  patch: sizes.TRANSPOSED_PATCH,
  patchStep: sizes.TRANSPOSED_PATCH_STEP,
};

interface Roles {
  readonly kind: Kind;
  /** What is convolved, [N, C, H, W]. */
  readonly source: View;
  /** What comes out of it, or its cotangent, [N, O, OH, OW]. */
  readonly target: View;
  /** [O, C, 3, 3]. */
  readonly filters: View;
  /** Pixels by which the first patch begins before the image. */
  readonly padding: readonly [number, number];
}

/** Every direction as a forward one; the gradient by input is one with turned filters, whose input and output channels are exchanged. Null where no kind fits. */
function forwardRoles(kernel: ConvKernel): Roles | null {
  const { padding, stride, dilation, groups, direction } = kernel;
  const { source, target, filters } = rolesOf(kernel);
  const isOnly = (values: readonly number[], value: number): boolean => values.every((each) => each === value);
  if (groups !== 1 || !isOnly(dilation, 1) || !isOnly(filters.shape.slice(2), 3)) return null;
  const isStrided = isOnly(stride, 2);
  if (!isStrided && !isOnly(stride, 1)) return null;
  if (direction !== 'input') return { kind: isStrided ? STRIDED : DENSE, source, target, filters, padding };
  // The tiles of a strided one begin at a pixel that the middle tap alone reaches.
  if (isStrided && !isOnly(padding, 1)) return null;
  const [o, c, h, w] = filters.strides;
  const [outputs, inputs] = filters.shape;
  const turned = { ...filters, shape: [inputs!, outputs!, 3, 3], strides: [c!, o!, -h!, -w!], offset: filters.offset + 2 * h! + 2 * w! };
  const before: readonly [number, number] = isStrided ? [0, 0] : [2 - padding[0], 2 - padding[1]];
  return { kind: isStrided ? TRANSPOSED : DENSE, source, target, filters: turned, padding: before };
}

/** Columns of a panel, which are images or channels. */
const LANES = sizes.TILE_COLUMNS;
const divideUp = (a: number, b: number): number => Math.ceil(a / b);
const roundUp = (a: number, b: number): number => divideUp(a, b) * b;

/** Bytes of a thread's transformed patches, which grow with channels × width: beyond, memory is worth more than multiplications. */
const MOST_BYTES = 32 << 20;

/** Transformed filters of so many bytes stay in cache; larger ones are written and read once more, which this many tiles pay for. */
const CACHED_BYTES = 2 << 20;
const LEAST_TILES = 32;
/** Four times the filters: beyond, memory is worth more. */
const MOST_FILTER_BYTES = 64 << 20;

/** Whether there is less to compute this way, in a workspace of some megabytes, and views are as the kernels need them. */
export function suitsWinograd(kernel: ConvKernel): boolean {
  const roles = forwardRoles(kernel);
  if (!roles) return false;
  const { kind, source, target, filters, padding } = roles;
  const [images, outputs, height, width] = target.shape as [number, number, number, number];
  const covered = (size: number, piece: number): number => roundUp(size, piece) / size;
  const tiles = images * divideUp(height, kind.tile) * divideUp(width, kind.tile);
  const lanes = kernel.direction === 'weight' ? 1 : covered(images, LANES);
  return (
    padding.every((size) => size >= 0) &&
    Math.min(source.shape[1]!, outputs) >= kind.leastChannels[kernel.direction] &&
    covered(height, kind.tile) * covered(width, kind.tile) * lanes <= kind.mostCovered &&
    (filterBytes(filters) <= CACHED_BYTES || tiles >= LEAST_TILES) &&
    filterBytes(filters) <= MOST_FILTER_BYTES &&
    workspaceOf(kernel.direction, roles) <= MOST_BYTES &&
    source.strides[3] === 1 &&
    target.strides[3] === 1
  );
}

/** Bytes of transformed filters, padded to whole panels. */
function filterBytes({ shape: [rows, steps] }: View): number {
  return 4 * sizes.FILTER_POINTS * roundUp(rows!, sizes.WHOLE_ROWS) * roundUp(steps!, LANES);
}

/** The commands for a convolution that `suitsWinograd`; they pass filters, transformed, through the buffer `partial`. */
export function encodeWinograd(kernel: ConvKernel, partial: number): Command[] {
  const roles = forwardRoles(kernel)!;
  const { kind, source, target, filters, padding } = roles;
  const points: View = { buffer: partial, dtype: 'f32', offset: 0, shape: [], strides: [] };
  const partialBytes = filterBytes(filters);
  const transformed: Words<'FILTERS'> = { [word.FILTERS_KIND]: kind.code };
  const transform = (transformation: number, views: readonly View[]): Command => ({
    kind: transformation,
    words: [...inOrder(transformed), ...views.flatMap(viewWords)],
    workspaceBytes: FILTER_BYTES,
    partialBytes,
  });
  const isWeight = kernel.direction === 'weight';
  const convolved: Words<'WINOGRAD'> = {
    [word.WINOGRAD_KIND]: kind.code,
    [word.WINOGRAD_PADDING_HEIGHT]: padding[0],
    [word.WINOGRAD_PADDING_WIDTH]: padding[1],
  };
  const views = isWeight ? [source, target, points] : [source, points, target];
  const convolve: Command = {
    kind: isWeight ? command.WINOGRAD_WEIGHT : command.WINOGRAD,
    words: [...inOrder(convolved), ...views.flatMap(viewWords)],
    workspaceBytes: workspaceOf(kernel.direction, roles),
    partialBytes,
  };
  return isWeight
    ? [convolve, transform(command.WINOGRAD_FILTER_GRADIENT, [points, filters])]
    : [transform(command.WINOGRAD_FILTERS, [filters, points]), convolve];
}

/** Four filters: their taps, half-way, and their points. */
const FILTER_BYTES = (sizes.FILTER_TAPS + sizes.FILTER_LINES + sizes.FILTER_POINTS) * sizes.VECTOR_BYTES;

/** Bytes that a thread needs for the products of all points, as `wasm/winograd.ts` lays them out. */
function workspaceOf(direction: ConvKernel['direction'], { kind, filters, target }: Roles): number {
  const { tile, patch, patchStep, points } = kind;
  const [rows, steps] = filters.shape as [number, number];
  const rowTiles = divideUp(target.shape[3]!, tile);
  /** The tiles of a block: some rows of tiles, at least one. */
  const blockOf = (tiles: number): number => Math.max(1, Math.floor(tiles / rowTiles)) * rowTiles;
  /** A patch line of every tile of a row, of so many lanes. */
  const patchBytes = (lanes: number): number => points * (rowTiles * patchStep + patch - patchStep) * lanes * 4;
  /** A panel of rows, spread, of so many steps. */
  const spreadBytes = (depth: number): number => sizes.TILE_ROWS * depth * sizes.VECTOR_BYTES;
  const fixed = sizes.ROW_TABLE_BYTES + sizes.SQUARE_BYTES;
  if (direction === 'weight') {
    const depth = blockOf(sizes.BLOCK_TILES);
    const panels = roundUp(rows, sizes.WHOLE_ROWS) + roundUp(steps, LANES);
    return fixed + spreadBytes(depth) + points ** 2 * (panels * depth * 4 + 2 * sizes.SKEW_BYTES) + patchBytes(4);
  }
  const columns = blockOf(points > sizes.DENSE_POINTS ? sizes.BLOCK_PANELS / 2 : sizes.BLOCK_PANELS) * LANES;
  return (
    fixed + spreadBytes(steps) + points ** 2 * (columns * (steps + sizes.ROUND_FILTERS) * 4 + 2 * sizes.SKEW_BYTES) + patchBytes(LANES)
  );
}
