import type { Gpu } from './shader.ts';

/** How much of a product one workgroup makes, and how much of that each of its threads. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** How far along the inner axis the factors are brought into workgroup memory at once; 1 where threads read them from where they are. */
  readonly depth: number;
  /** Multiples of 4, as the sizes are. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** How much of its peak a GPU reaches with this tile when there is enough to do. */
  readonly efficiency: number;
}

export function threadsOf({ rows, columns, threadRows, threadColumns }: Tile): number {
  return (rows / threadRows) * (columns / threadColumns);
}

const tile = (rows: number, columns: number, depth: number, threadRows: number, threadColumns: number, efficiency: number): Tile => ({
  rows,
  columns,
  depth,
  threadRows,
  threadColumns,
  efficiency,
});

const tiles: readonly Tile[] = [
  tile(128, 128, 16, 8, 8, 1),
  tile(128, 64, 16, 8, 4, 0.85),
  tile(64, 128, 16, 4, 8, 0.85),
  tile(64, 64, 16, 4, 4, 0.7),
  tile(128, 32, 16, 8, 4, 0.6),
  tile(32, 128, 16, 4, 8, 0.6),
  tile(64, 32, 16, 4, 4, 0.5),
  tile(32, 64, 16, 4, 4, 0.5),
  tile(32, 32, 16, 4, 4, 0.4),
];

/** For a CPU that plays GPU, to which workgroup memory is memory like any other, and a barrier is dear. */
const directTiles: readonly Tile[] = [tile(32, 32, 1, 8, 8, 2), tile(32, 32, 1, 4, 4, 1)];

export interface Cut {
  readonly tile: Tile;
  /** Into how many parts the inner axis is cut, each made by workgroups of its own. */
  readonly splits: number;
  /** How long each of these is, but for the last. */
  readonly chunk: number;
}

/** How much of the inner axis is worth workgroups of its own. */
const LEAST_PART = 64;

/** What adding up a number from memory takes, in multiplications of a thread. */
const ADDING = 16;

/** The tile, and the cut of the inner axis, with which a product should be ready first. */
export function cutProduct(batch: number, rows: number, columns: number, inner: number, gpu: Gpu): Cut {
  const fitting = (gpu.software ? directTiles : tiles).filter(
    (each) => threadsOf(each) <= gpu.threads && workgroupBytesOf(each) <= gpu.workgroupBytes,
  );
  const cuts = fitting.map((each): Cut & { time: number } => {
    const threads = batch * Math.ceil(rows / each.rows) * Math.ceil(columns / each.columns) * threadsOf(each);
    const steps = Math.ceil(inner / each.depth);
    const parts = Math.max(1, Math.min(Math.floor(inner / LEAST_PART), Math.floor(gpu.parallelism / threads)));
    const chunk = Math.max(1, Math.ceil(steps / parts)) * each.depth;
    const splits = Math.max(1, Math.ceil(inner / chunk));
    const waves = Math.ceil((threads * splits) / gpu.parallelism);
    const adding = splits === 1 ? 0 : (ADDING * splits * batch * rows * columns) / gpu.parallelism;
    const time = (waves * each.threadRows * each.threadColumns * chunk) / each.efficiency + adding;
    return { tile: each, splits, chunk, time };
  });
  return cuts.reduce((best, each) => (each.time < best.time ? each : best));
}

/** Of the parts of both factors that a workgroup holds; a vector of padding spreads columns of them over the banks of memory. */
export function workgroupBytesOf({ rows, columns, depth }: Tile): number {
  return depth === 1 ? 0 : (pitchOf(rows) + pitchOf(columns)) * depth * 16;
}

/** From one inner position to the next in workgroup memory, in vectors of 4. */
export function pitchOf(lines: number): number {
  return lines / 4 + 1;
}
