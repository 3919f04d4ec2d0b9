/**
 * The blocked product that matrix products and convolutions share: `C (+)= A·B`, where tables say where each element
 * is. Element (i, k) of A lies at `aRows[i] + aDepths[k]`, (k, j) of B at `bDepths[k] + bColumns[j]`, (i, j) of C at
 * `cRows[i] + cColumns[j]`. All tables hold byte offsets; the sum of the two is an address.
 *
 *   for each block of columns (blockColumns)           ┐
 *     for each block of steps (blockDepth)             │ a block of B, packed: 8 columns a panel, in L2
 *       for each panel of rows (tileRows)              │ a panel of A, packed: in L1
 *         for each panel of B (tileColumns)            │
 *           register tile, over all steps of the block ┘
 *
 * So the bits of an element of C depend only on the order of its steps, never on which tile it falls in.
 */
import { tile4x8, tile6x8, tileColumns, tileRows } from './microkernel';
import { packPanel } from './pack';

const blockColumns: i32 = 512;
const blockDepth: i32 = 256;

/** The most rows, columns or steps that the tables of a caller should hold; with room for a whole tile beyond. */
export const tableLength: i32 = 2048;
export const tableBytes: usize = (tableLength + 8) << 2;

const panelBytes: usize = 6 * blockDepth * 4;
const blockBytes: usize = blockColumns * blockDepth * 4;
const tileBytes: usize = 6 * 8 * 4 + 32;
/** Workspace of `product`; the caller's own begins behind it. Mirrored in engine/backends/wasm/workspace.ts. */
export const productBytes: usize = panelBytes + blockBytes + tileBytes;

/** Fills a table of `count` entries `start + i·step`, and repeats the last to a whole tile beyond. */
export function fillTable(table: usize, count: i32, start: usize, step: i32): void {
  for (let i = 0; i < count; i++, start += step) store<u32>(table + (<usize>i << 2), <u32>start);
  padTable(table, count);
}

/** Repeats the last entry, so that a tile at the edge reads valid memory; what it computes there is never stored. */
export function padTable(table: usize, count: i32): void {
  if (count == 0) return;
  const end = table + (<usize>count << 2);
  const last = v128.load32_splat(end - 4);
  v128.store(end, last);
  v128.store(end, last, 16);
}

// @ts-ignore: decorator
@inline
function runTile(rows: i32, depth: i32, a: usize, b: usize, cRows: usize, column: usize, accumulate: bool): void {
  if (tileRows == 6 && rows > 4) tile6x8(depth, a, b, cRows, column, accumulate);
  else tile4x8(depth, a, b, cRows, column, accumulate);
}

/** Copies the part of a finished tile that exists to where it belongs. */
function scatterTile(tile: usize, rows: i32, columns: i32, cRows: usize, cColumns: usize, accumulate: bool): void {
  for (let i = 0; i < rows; i++, tile += 32) {
    const row = <usize>load<u32>(cRows + (<usize>i << 2));
    for (let j = 0; j < columns; j++) {
      const c = row + <usize>load<u32>(cColumns + (<usize>j << 2));
      const value = load<f32>(tile + (<usize>j << 2));
      store<f32>(c, accumulate ? load<f32>(c) + value : value);
    }
  }
}

/**
 * The tables of A's rows and of B's and C's columns must be padded (`padTable`). With no steps, C is zero unless
 * `accumulate`.
 */
export function product(
  rows: i32, columns: i32, steps: i32,
  aRows: usize, aDepths: usize, bDepths: usize, bColumns: usize, cRows: usize, cColumns: usize,
  accumulate: bool, workspace: usize,
): void {
  const tileTable = workspace;
  const tile = workspace + 32;
  const panel = workspace + tileBytes;
  const block = panel + panelBytes;
  for (let i: usize = 0; i < 6; i++) store<u32>(tileTable + (i << 2), <u32>(tile + (i << 5)));

  for (let column = 0; column < columns; column += blockColumns) {
    const width = min(blockColumns, columns - column);
    const step0 = <usize>column << 2;
    for (let step = 0; step == 0 || step < steps; step += blockDepth) {
      const depth = min(blockDepth, steps - step);
      const deeper = accumulate || step > 0;
      const panelStride = <usize>depth * (tileColumns << 2);
      const k = <usize>step << 2;
      let to = block;
      for (let j = 0; j < width; j += tileColumns, to += panelStride) {
        packPanel(to, tileColumns, bColumns + step0 + (<usize>j << 2), bDepths + k, depth);
      }
      for (let row = 0; row < rows; row += tileRows) {
        const height = min(tileRows, rows - row);
        const lanes = aRows + (<usize>row << 2);
        const cLanes = cRows + (<usize>row << 2);
        packPanel(panel, tileRows == 6 && height > 4 ? 6 : 4, lanes, aDepths + k, depth);
        let b = block;
        for (let j = 0; j < width; j += tileColumns, b += panelStride) {
          const cLane = cColumns + step0 + (<usize>j << 2);
          const offset = <usize>load<u32>(cLane);
          const whole = (height == tileRows || height == 4) && width - j >= tileColumns && adjacent(cLane);
          if (whole) runTile(height, depth, panel, b, cLanes, offset, deeper);
          else {
            runTile(height, depth, panel, b, tileTable, 0, false);
            scatterTile(tile, height, min(tileColumns, width - j), cLanes, cLane, deeper);
          }
        }
      }
    }
  }
}

/** Whether eight columns follow each other in memory. */
// @ts-ignore: decorator
@inline
function adjacent(table: usize): bool {
  const first = v128.load32_splat(table);
  const left = i32x4.eq(i32x4.sub(v128.load(table), first), i32x4(0, 4, 8, 12));
  const right = i32x4.eq(i32x4.sub(v128.load(table, 16), first), i32x4(16, 20, 24, 28));
  return i32x4.all_true(v128.and(left, right));
}
