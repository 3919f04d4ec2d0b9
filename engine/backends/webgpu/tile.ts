import type { Gpu } from './shader.ts';

/** A product of subgroups by the GPU's matrix units: rows × inner times inner × columns, of 16-bit factors. */
export interface MatrixUnit {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

/** How much of a product one workgroup makes, and how. All sizes are multiples of 4. */
export interface Tile {
  /** `direct`: threads read factors from where they are. `workgroup`: through workgroup memory. `matrix`: so, and by matrix units. */
  readonly how: 'direct' | 'workgroup' | 'matrix';
  readonly rows: number;
  readonly columns: number;
  /** How far along the inner axis the factors are read at once. */
  readonly depth: number;
  /** What each thread makes, in the mean. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Multiplications that a thread does in the time in which one of the first tile does one. */
  readonly efficiency: number;
}

export function threadsOf({ rows, columns, threadRows, threadColumns }: Tile): number {
  return (rows / threadRows) * (columns / threadColumns);
}

type Sizes = readonly [rows: number, columns: number, depth: number, threadRows: number, threadColumns: number, efficiency: number];

function tilesOf(how: Tile['how'], sizes: readonly Sizes[]): Tile[] {
  return sizes.map(([rows, columns, depth, threadRows, threadColumns, efficiency]) => ({
    how,
    rows,
    columns,
    depth,
    threadRows,
    threadColumns,
    efficiency,
  }));
}

/** Efficiencies are of an H100, at 4096³. */
const tiles = {
  workgroup: tilesOf('workgroup', [
    [128, 128, 16, 8, 8, 1],
    [128, 64, 16, 8, 4, 0.84],
    [64, 128, 16, 4, 8, 0.84],
    [64, 64, 16, 8, 4, 0.85],
    [64, 64, 16, 4, 4, 0.71],
    [128, 32, 16, 8, 4, 0.7],
    [32, 128, 16, 4, 8, 0.7],
    [64, 32, 16, 4, 4, 0.61],
    [32, 64, 16, 4, 4, 0.61],
    [32, 32, 16, 4, 4, 0.55],
  ]),
  matrix: tilesOf('matrix', [
    [128, 128, 32, 8, 8, 3],
    [64, 64, 32, 4, 8, 2.5],
  ]),
  // For a CPU that plays GPU: to it, workgroup memory is memory like any other, and a barrier is dear.
  direct: tilesOf('direct', [
    [32, 32, 1, 8, 8, 2],
    [32, 32, 1, 4, 4, 1],
  ]),
};

/** Of a product: batch times rows × inner times inner × columns. */
export interface Extents {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

/** How many tiles cover its results. */
export function tilesOver({ batch, rows, columns }: Extents, tile: Tile): number {
  return batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
}

export interface Cut {
  readonly tile: Tile;
  /** Into how many parts the inner axis is cut, each made by workgroups of its own. */
  readonly splits: number;
  /** How long each of these is, but for the last. */
  readonly chunk: number;
}

/** How much of the inner axis is worth workgroups of its own. */
const LEAST_PART = 64;
/** What starting a tile and finishing it take, as so much of its inner axis would. */
const BESIDES = 32;
/** Of a second stage, in multiplications of a thread: what starting it takes, and adding up a number from memory. */
const STARTING = 2500;
const ADDING = 16;
/** What compiling the code of one multiplication takes a CPU that plays GPU, in multiplications. */
const COMPILING = 128;

/** The tile, and the cut of the inner axis, with which a product should be ready first. */
export function cutProduct(product: Extents, gpu: Gpu): Cut {
  const { batch, rows, columns, inner } = product;
  const { parallelism, software } = gpu;
  const fitting = candidates(gpu).filter((each) => threadsOf(each) <= gpu.threads && workgroupBytesOf(each, gpu) <= gpu.workgroupBytes);
  const cuts = fitting.flatMap((tile) => {
    const threads = tilesOver(product, tile) * threadsOf(tile);
    const most = Math.max(1, Math.floor(inner / LEAST_PART));
    // As many parts as fill the GPU once, twice, …
    const parts = [1, ...[1, 2, 3, 4].map((times) => Math.floor((times * parallelism) / threads))].map((each) =>
      Math.min(most, Math.max(1, each)),
    );
    return parts.map((each): Cut & { time: number } => {
      const chunk = Math.max(1, Math.ceil(inner / tile.depth / each)) * tile.depth;
      const splits = Math.max(1, Math.ceil(inner / chunk));
      const waves = Math.ceil((threads * splits) / parallelism);
      const size = tile.threadRows * tile.threadColumns;
      const adding = splits === 1 ? 0 : STARTING + (ADDING * splits * batch * rows * columns) / parallelism;
      const time = (waves * size * (chunk + BESIDES)) / tile.efficiency + adding + (software ? COMPILING * size : 0);
      return { tile, splits, chunk, time };
    });
  });
  return cuts.reduce((best, each) => (each.time < best.time ? each : best));
}

function candidates({ software, unit }: Gpu): readonly Tile[] {
  if (software) return tiles.direct;
  return unit ? [...tiles.workgroup, ...tiles.matrix] : tiles.workgroup;
}

/** Of the parts of both factors that a workgroup holds. */
export function workgroupBytesOf(tile: Tile, { unit }: Gpu): number {
  const { how, rows, columns, depth } = tile;
  if (how === 'direct') return 0;
  if (how === 'workgroup') return (vectorPitch(rows) + vectorPitch(columns)) * depth * 16;
  const factors = (line: number): number => 2 * Math.max((depth + PADDING) * line, (line + PADDING) * depth);
  const subgroups = threadsOf(tile) / SUBGROUP;
  return factors(rows) + factors(columns) + 4 * subgroups * unit!.rows * unit!.columns;
}

/** From one inner position to the next in workgroup memory, in vectors of 4: one of padding spreads columns of them over the banks of memory. */
export function vectorPitch(lines: number): number {
  return lines / 4 + 1;
}

/** What rows of 16-bit numbers are apart in workgroup memory beyond their length, for the same reason. */
export const PADDING = 8;
/** Threads that have a matrix unit together. */
export const SUBGROUP = 32;
