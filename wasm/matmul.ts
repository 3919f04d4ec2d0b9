/**
 * `out[b] = a[b] · b[b]`, any strides: tables of strided addresses for the blocked product. Threads split
 * the products where there are many, else rows or columns. With an epilogue (map.ts) `out` is contiguous, of so many rows and columns that it is not better transposed, and tables hold
 * all steps.
 */
import { beginEpilogue } from './map';
import { tileRows } from './microkernel';
import { fillTable, Product, product, tiledSize } from './product';
import { rowProduct } from './rowProduct';
import { PRODUCT_BYTES, TABLE_BYTES, TABLE_LENGTH, TILE_COLUMNS } from './sizes';
import { pointer, shape, stride, viewAt, word } from './view';
import * as words from './words';

export function matmul(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  let a = viewAt(command, words.MATMUL_WORDS, 0), b = viewAt(command, words.MATMUL_WORDS, 1);
  const out = viewAt(command, words.MATMUL_WORDS, 2);
  let batches = shape(out, 1), rows = shape(out, 2), columns = shape(out, 3);
  const steps = shape(a, 3);
  if (rows == 0 || columns == 0) return;
  let aRow = stride(a, 2), aStep = stride(a, 3), bStep = stride(b, 2), bColumn = stride(b, 3);
  let cRow = stride(out, 2), cColumn = stride(out, 3);
  let aBatch = stride(a, 1), bBatch = stride(b, 1);
  const cBatch = stride(out, 1);

  // A batch of products with one right-hand side is one tall product.
  if (bBatch == 0 && aBatch == rows * aRow && cBatch == rows * cRow) {
    rows *= batches;
    batches = 1;
  }
  let pa = pointer(a, bases), pb = pointer(b, bases), pc = pointer(out, bases);
  // (A·B)ᵀ = Bᵀ·Aᵀ. Tiles store along the columns, so where the rows are what is contiguous the transpose is better; and
  // where it fits the tiles better, as for a tall product of few columns; and a single column is a single row.
  const fits = steps >= 32 && tiledSize(columns, rows) * 5 < tiledSize(rows, columns) * 4;
  if (rows != 1 && (columns == 1 || fits || (cColumn != 1 && cRow == 1))) {
    let t = rows; rows = columns; columns = t;
    t = cRow; cRow = cColumn; cColumn = t;
    t = aRow; aRow = bColumn; bColumn = t;
    t = aStep; aStep = bStep; bStep = t;
    t = aBatch; aBatch = bBatch; bBatch = t;
    const p = pa; pa = pb; pb = p;
  }
  const registers = <usize>word(command, words.MATMUL_EPILOGUE);
  if (registers != 0) beginEpilogue(viewAt(command, words.MATMUL_WORDS, 3), bases, workspace + registers, pc);
  // Each thread takes whole products where there are many (small ones have few tiles to share, and each thread would pack all of B), else a run
  // of whole tiles of the longer side.
  let row0 = 0, row1 = rows, column0 = 0, column1 = columns, batch = 0, next = 1;
  if (batches >= 8 * threads) {
    batch = thread;
    next = threads;
  } else if (rows >= columns) {
    const share = shareOf(rows, tileRows, threads);
    row0 = min(rows, share * thread);
    row1 = min(rows, row0 + share);
  } else {
    const share = shareOf(columns, TILE_COLUMNS, threads);
    column0 = min(columns, share * thread);
    column1 = min(columns, column0 + share);
  }

  const aRows = workspace + PRODUCT_BYTES;
  const aSteps = aRows + TABLE_BYTES;
  const bSteps = aSteps + TABLE_BYTES;
  const bColumns = bSteps + TABLE_BYTES;
  const cRows = bColumns + TABLE_BYTES;
  const cColumns = cRows + TABLE_BYTES;
  const p = Product.at(workspace, aRows, aSteps, bSteps, bColumns, cRows, cColumns);
  p.spreads = columns >= spreadFrom;
  p.finishes = registers != 0;
  for (; batch < batches; batch += next) {
    const a0 = pa + <usize>(batch * aBatch << 2), b0 = pb + <usize>(batch * bBatch << 2), c0 = pc + <usize>(batch * cBatch << 2);
    for (let column = column0; column < column1; column += TABLE_LENGTH) {
      const width = min(TABLE_LENGTH, column1 - column);
      fillTable(bColumns, width, b0 + <usize>(column * bColumn << 2), bColumn << 2);
      fillTable(cColumns, width, <usize>(column * cColumn << 2), cColumn << 2);
      for (let row = row0; row < row1; row += TABLE_LENGTH) {
        const height = min(TABLE_LENGTH, row1 - row);
        fillTable(aRows, height, a0 + <usize>(row * aRow << 2), aRow << 2);
        fillTable(cRows, height, c0 + <usize>(row * cRow << 2), cRow << 2);
        for (let step = 0; step == 0 || step < steps; step += TABLE_LENGTH) {
          const depth = min(TABLE_LENGTH, steps - step);
          fillTable(aSteps, depth, <usize>(step * aStep << 2), aStep << 2);
          fillTable(bSteps, depth, <usize>(step * bStep << 2), bStep << 2);
          if (rows == 1) rowProduct(p, width, depth, bStep == 1, step > 0);
          else product(p, height, width, depth, step > 0);
        }
      }
    }
  }
}

/** From so many columns on, panels of the rows are used often enough to be spread. */
const spreadFrom: i32 = 256;

/** A thread's share of `count`: whole tiles. */
// @ts-ignore: decorator
@inline
function shareOf(count: i32, tile: i32, threads: i32): i32 {
  const tiles = (count + tile - 1) / tile;
  return (tiles + threads - 1) / threads * tile;
}
