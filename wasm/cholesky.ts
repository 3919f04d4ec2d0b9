/**
 * Cholesky factors, blocked: the workspace holds U = Lᵀ row by row, so every inner loop runs along a row.
 *
 *   for each panel of 32 rows      ┌───┬───────────────┐
 *     U₁₁ ← factor of A₁₁          │U₁₁│ U₁₂           │  row by row
 *     U₁₂ ← U₁₁⁻ᵀ · A₁₂            └───┼───────────────┤  substitution, 32 columns at once
 *     A₂₂ ← A₂₂ − U₁₂ᵀ · U₁₂           │ A₂₂           │  blocked product, upper strips only
 *                                      └───────────────┘
 * Threads take whole matrices.
 */
import { fillTable, Product, product, tableBytes } from './product';
import { FACTORED_ROWS, PRODUCT_BYTES, SOLVED_COLUMNS } from './sizes';
import { substitute } from './triangularSolve';
import { divideUp, pointer, shape, stride, viewAt } from './view';
import * as words from './words';

export function cholesky(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const from = viewAt(command, words.CHOLESKY_WORDS, 0), to = viewAt(command, words.CHOLESKY_WORDS, 1);
  const batches = shape(from, 1), size = shape(from, 2);
  // Rows are padded to whole panels with zeros, so that substitution needs no edge.
  const pitch = <usize>(divideUp(size, FACTORED_ROWS) * FACTORED_ROWS) << 2;
  const upper = workspace + PRODUCT_BYTES;
  const scratch = upper + pitch * <usize>size;
  for (let batch = thread; batch < batches; batch += threads) {
    const a = pointer(from, bases) + <usize>(batch * stride(from, 1) << 2);
    const l = pointer(to, bases) + <usize>(batch * stride(to, 1) << 2);
    memory.fill(upper, 0, pitch * <usize>size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        store<f32>(upper + <usize>j * pitch + (<usize>i << 2), load<f32>(a + <usize>(i * stride(from, 2) + j * stride(from, 3) << 2)));
      }
    }
    const definite = factor(upper, pitch, size, scratch, workspace);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const value: f32 = definite ? (j <= i ? load<f32>(upper + <usize>j * pitch + (<usize>i << 2)) : 0) : NaN;
        store<f32>(l + <usize>(i * stride(to, 2) + j * stride(to, 3) << 2), value);
      }
    }
  }
}

/** Whether the matrix is positive definite; if so, its factor is in place. */
function factor(upper: usize, pitch: usize, size: i32, scratch: usize, workspace: usize): bool {
  for (let start = 0; start < size; start += FACTORED_ROWS) {
    const stop = min(start + FACTORED_ROWS, size);
    const corner = upper + <usize>start * (pitch + 4);
    if (!factorBlock(corner, pitch, stop - start)) return false;
    if (stop == size) break;
    const rest = corner + <usize>(FACTORED_ROWS << 2);
    const restBytes = pitch - (<usize>stop << 2);
    for (let at: usize = 0; at < restBytes; at += <usize>(SOLVED_COLUMNS << 2)) {
      substitute(rest + at, pitch, corner, FACTORED_ROWS, 4, <i32>pitch, true);
    }
    update(upper, pitch, start, stop, size, scratch, workspace);
  }
  return true;
}

function factorBlock(block: usize, pitch: usize, size: i32): bool {
  const width = <usize>size << 2;
  for (let j: usize = 0; j < width; j += 4) {
    const row = block + (j >> 2) * pitch;
    const pivot = load<f32>(row + j);
    if (!(pivot > 0)) return false;
    const root = sqrt(pivot);
    store<f32>(row + j, root);
    for (let i = j + 4; i < width; i += 4) store<f32>(row + i, load<f32>(row + i) / root);
    for (let i = j + 4; i < width; i += 4) {
      // Row i, from its diagonal on; whole vectors may begin left of it, where nothing is read again.
      const target = block + (i >> 2) * pitch;
      const factor = f32x4.splat(load<f32>(row + i));
      for (let k = i & ~15; k < width; k += 16) {
        v128.store(target + k, f32x4.sub(v128.load(target + k), f32x4.mul(factor, v128.load(row + k))));
      }
    }
  }
  return true;
}

/** A₂₂ ← A₂₂ − U₁₂ᵀ · U₁₂, in strips of rows, each from its diagonal block on. */
function update(upper: usize, pitch: usize, start: i32, stop: i32, size: i32, scratch: usize, workspace: usize): void {
  const bytes = tableBytes(<i32>pitch >> 2), depthBytes = tableBytes(FACTORED_ROWS);
  const negated = scratch, negatedDepths = negated + pitch * FACTORED_ROWS, depths = negatedDepths + depthBytes;
  const negatedRows = depths + depthBytes, columns = negatedRows + bytes, cRows = columns + bytes, cColumns = cRows + bytes;
  const source = upper + <usize>start * pitch;
  for (let at: usize = 0, end = pitch * FACTORED_ROWS; at < end; at += 16) {
    v128.store(negated + at, f32x4.neg(v128.load(source + at)));
  }
  fillTable(negatedDepths, FACTORED_ROWS, 0, <i32>pitch);
  fillTable(depths, FACTORED_ROWS, 0, <i32>pitch);
  const p = Product.at(workspace, negatedRows, negatedDepths, depths, columns, cRows, cColumns);
  const strip = 2 * FACTORED_ROWS;
  for (let row = stop; row < size; row += strip) {
    const rows = min(strip, size - row);
    fillTable(negatedRows, rows, negated + (<usize>row << 2), 4);
    fillTable(columns, size - row, source + (<usize>row << 2), 4);
    fillTable(cRows, rows, upper + <usize>row * pitch, <i32>pitch);
    fillTable(cColumns, size - row, <usize>row << 2, 4);
    product(p, rows, size - row, FACTORED_ROWS, true);
  }
}
