/**
 * The blocked product that matrix products and convolutions share: `C (+)= A·B`, where tables say where each element
 * is. Element (i, k) of A lies at `aRows[i] + aDepths[k]`, (k, j) of B at `bDepths[k] + bColumns[j]`, (i, j) of C at
 * `cRows[i] + cColumns[j]`. All tables hold byte offsets; the sum of the two is an address.
 *
 *   for each block of columns (BLOCK_COLUMNS)           ┐
 *     for each block of steps (BLOCK_DEPTH)             │ a block of B, packed: 8 columns a panel, in L2
 *       for each panel of rows (tileRows)              │ a panel of A, packed: in L1
 *         for each panel of B (TILE_COLUMNS)            │
 *           register tile, over all steps of the block ┘
 *
 * So the bits of an element of C depend only on the order of its steps, never on which tile it falls in. (A product of
 * a single row is better read where it lies: rowProduct.ts. Its sums run in another order, so a caller chooses it by
 * the size of the whole problem, not of one thread's share.)
 */
import { Compact, Spread, tile4x8, tile6x8, tileRows } from './microkernel';
import { finishRows } from './map';
import { consecutive8, packPanel, spread } from './pack';
import {
  BLOCK_COLUMNS, BLOCK_DEPTH, FACTOR_BYTES, PACKED_BYTES, PANEL_BYTES, ROW_TABLE_BYTES, SPREAD_DEPTH, TILE_BYTES, TILE_COLUMNS, TILE_ROWS,
} from './sizes';

/** From so many columns of a block on, a panel of A is worth spreading. */
const spreadWidth: i32 = 96;

/** Bytes of a table of `count` addresses, with room for a whole tile beyond. */
// @ts-ignore: decorator
@inline
export function tableBytes(count: i32): usize {
  return <usize>(count + TILE_COLUMNS) << 2;
}

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

/** What the tiles of a product compute for one step, padding included: how well it fits them. */
export function tiledSize(rows: i32, columns: i32): i64 {
  const rest = rows % tileRows;
  const height = rows - rest + (rest == 0 ? 0 : rest > 4 ? 6 : 4);
  return <i64>height * (columns + TILE_COLUMNS - 1 & -TILE_COLUMNS);
}

// @ts-ignore: decorator
@inline
function runTile(rows: i32, isSpread: bool, depth: i32, a: usize, b: usize, cRows: usize, column: usize, accumulate: bool): void {
  if (tileRows == 6 && rows > 4) {
    if (isSpread) tile6x8<Spread>(depth, a, b, cRows, column, accumulate);
    else tile6x8<Compact>(depth, a, b, cRows, column, accumulate);
  } else if (isSpread) tile4x8<Spread>(depth, a, b, cRows, column, accumulate);
  else tile4x8<Compact>(depth, a, b, cRows, column, accumulate);
}

/** Takes four columns of a finished tile to where they belong. At the edge, copies of the last column write the same. */
// @ts-ignore: decorator
@inline
function scatterQuad(tile: usize, rows: i32, cRows: usize, cColumns: usize, accumulate: bool): void {
  const c0 = <usize>load<u32>(cColumns), c1 = <usize>load<u32>(cColumns, 4);
  const c2 = <usize>load<u32>(cColumns, 8), c3 = <usize>load<u32>(cColumns, 12);
  for (const end = cRows + (<usize>rows << 2); cRows != end; cRows += 4, tile += 32) {
    const row = <usize>load<u32>(cRows);
    let sums = v128.load(tile);
    if (accumulate) {
      let c = v128.load32_zero(row + c0);
      c = v128.load32_lane(row + c1, c, 1);
      c = v128.load32_lane(row + c2, c, 2);
      c = v128.load32_lane(row + c3, c, 3);
      sums = f32x4.add(c, sums);
    }
    v128.store32_lane(row + c0, sums, 0);
    v128.store32_lane(row + c1, sums, 1);
    v128.store32_lane(row + c2, sums, 2);
    v128.store32_lane(row + c3, sums, 3);
  }
}

function scatterTile(tile: usize, rows: i32, columns: i32, cRows: usize, cColumns: usize, accumulate: bool): void {
  scatterQuad(tile, rows, cRows, cColumns, accumulate);
  if (columns > 4) scatterQuad(tile + 16, rows, cRows, cColumns + 16, accumulate);
}

/** What a kernel tells its products once for all. It lies where the workspace begins. */
@unmanaged export class Product {
  /** Tables. Those of rows and columns must be padded (`padTable`). */
  aRows: usize;
  aDepths: usize;
  bDepths: usize;
  bColumns: usize;
  cRows: usize;
  cColumns: usize;
  /**
   * Scalars of A are spread as they are packed: a quarter faster where a neighbour shares the core, and with it the fetching of
   * instructions; a few hundredths slower where none does. It must not depend on a thread's share. (Only tiles with fused multiply-add gain by it, so others do not.)
   */
  spreads: bool;
  /** Every product has all steps, its columns lie side by side, and the epilogue (map.ts) is applied to each panel of rows while it is in L1. */
  finishes: bool;

  /** Of tables in the order of the fields. */
  static at(workspace: usize, aRows: usize, aDepths: usize, bDepths: usize, bColumns: usize, cRows: usize, cColumns: usize): Product {
    if (offsetof<Product>() > <usize>FACTOR_BYTES) ERROR('FACTOR_BYTES');
    const p = changetype<Product>(workspace);
    p.aRows = aRows;
    p.aDepths = aDepths;
    p.bDepths = bDepths;
    p.bColumns = bColumns;
    p.cRows = cRows;
    p.cColumns = cColumns;
    p.spreads = p.finishes = false;
    return p;
  }
}

/** With no steps, C is zero unless `accumulate`. */
export function product(p: Product, rows: i32, columns: i32, steps: i32, accumulate: bool): void {
  const aRows = p.aRows, aDepths = p.aDepths, bDepths = p.bDepths, bColumns = p.bColumns, cRows = p.cRows, cColumns = p.cColumns;
  const spreads = tileRows == 6 && p.spreads, finishes = p.finishes;
  const tileTable = changetype<usize>(p) + FACTOR_BYTES;
  const tile = tileTable + ROW_TABLE_BYTES;
  const panel = tileTable + TILE_BYTES;
  const block = panel + PANEL_BYTES;
  for (let i: usize = 0; i < <usize>TILE_ROWS; i++) store<u32>(tileTable + (i << 2), <u32>(tile + (i << 5)));

  for (let column = 0; column < columns; column += BLOCK_COLUMNS) {
    const width = min(BLOCK_COLUMNS, columns - column);
    const step0 = <usize>column << 2;
    // How deep a block is decides the order of sums; whether it is spread does not.
    const deepest = spreads ? SPREAD_DEPTH : BLOCK_DEPTH, isSpread = spreads && width >= spreadWidth;
    for (let step = 0; step == 0 || step < steps; step += deepest) {
      const depth = min(deepest, steps - step);
      const deeper = accumulate || step > 0;
      const panelStride = <usize>depth * (TILE_COLUMNS << 2);
      const k = <usize>step << 2;
      let to = block;
      for (let j = 0; j < width; j += TILE_COLUMNS, to += panelStride) {
        packPanel(to, TILE_COLUMNS, bColumns + step0 + (<usize>j << 2), bDepths + k, depth);
      }
      for (let row = 0; row < rows; row += tileRows) {
        const height = min(tileRows, rows - row);
        const lanes = aRows + (<usize>row << 2);
        const cLanes = cRows + (<usize>row << 2);
        const lanesOfA = tileRows == 6 && height > 4 ? 6 : 4;
        packPanel(panel, lanesOfA, lanes, aDepths + k, depth);
        const a = isSpread ? panel + PACKED_BYTES : panel;
        if (isSpread) spread(a, panel, lanesOfA * depth);
        let b = block;
        for (let j = 0; j < width; j += TILE_COLUMNS, b += panelStride) {
          const cLane = cColumns + step0 + (<usize>j << 2);
          const offset = <usize>load<u32>(cLane);
          if (width - j >= TILE_COLUMNS && consecutive8(cLane)) runTile(height, isSpread, depth, a, b, cLanes, offset, deeper);
          else {
            runTile(height, isSpread, depth, a, b, tileTable, 0, false);
            scatterTile(tile, height, width - j, cLanes, cLane, deeper);
          }
        }
        if (finishes && step + depth == steps) finishRows(cLanes, height, <usize>load<u32>(cColumns + step0), width);
      }
    }
  }
}
