/**
 * `a · x = b` or `aᵀ · x = b` for a triangular a [B, D, D] and b [B, D, M], by substitution on 32 columns of x at a time,
 * which stay in the workspace ([D, 32]) while eight vector sums hold a row. Threads take the groups of columns.
 *
 *   for each row i, in the order of substitution
 *     x[i] = (b[i] − Σ over rows k already solved of a[i, k] · x[k]) / a[i, i]
 */
import { multiplyAdd } from './microkernel';
import { SOLVED_COLUMNS } from './sizes';
import { divideUp, pointer, shape, stride, viewAt, word } from './view';
import * as words from './words';

const rowBytes: usize = SOLVED_COLUMNS * 4;

export function triangularSolve(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const lower = word(command, words.TRIANGULAR_SOLVE_IS_LOWER), transpose = word(command, words.TRIANGULAR_SOLVE_TRANSPOSES);
  const a = viewAt(command, words.TRIANGULAR_SOLVE_WORDS, 0), b = viewAt(command, words.TRIANGULAR_SOLVE_WORDS, 1);
  const x = viewAt(command, words.TRIANGULAR_SOLVE_WORDS, 2);
  const batches = shape(x, 1), size = shape(x, 2), columns = shape(x, 3);
  const groups = divideUp(columns, SOLVED_COLUMNS);
  const rowStep = stride(a, transpose ? 3 : 2) << 2, columnStep = stride(a, transpose ? 2 : 3) << 2;
  const forwards = lower != transpose;
  for (let task = thread, tasks = batches * groups; task < tasks; task += threads) {
    const batch = task / groups, column = task % groups * SOLVED_COLUMNS;
    const width = min(SOLVED_COLUMNS, columns - column);
    copyIn(
      workspace, pointer(b, bases) + <usize>(batch * stride(b, 1) + column * stride(b, 3) << 2), size, width, stride(b, 2) << 2, stride(b, 3) << 2,
    );
    substitute(workspace, rowBytes, pointer(a, bases) + <usize>(batch * stride(a, 1) << 2), size, rowStep, columnStep, forwards);
    copyOut(
      pointer(x, bases) + <usize>(batch * stride(x, 1) + column * stride(x, 3) << 2), workspace, size, width, stride(x, 2) << 2, stride(x, 3) << 2,
    );
  }
}

function copyIn(to: usize, from: usize, rows: i32, columns: i32, rowStep: i32, columnStep: i32): void {
  for (let i = 0; i < rows; i++, from += <usize>rowStep) {
    for (let j = 0; j < SOLVED_COLUMNS; j++, to += 4) {
      store<f32>(to, j < columns ? load<f32>(from + <usize>(j * columnStep)) : 0);
    }
  }
}

function copyOut(to: usize, from: usize, rows: i32, columns: i32, rowStep: i32, columnStep: i32): void {
  for (let i = 0; i < rows; i++, to += <usize>rowStep, from += rowBytes) {
    for (let j = 0; j < columns; j++) store<f32>(to + <usize>(j * columnStep), load<f32>(from + (<usize>j << 2)));
  }
}

/** Solves in place for 32 columns of x, whose rows are `pitch` bytes apart; element (i, k) of a is at `i·rowStep + k·columnStep`. */
export function substitute(
  x: usize, pitch: usize, a: usize, size: i32, rowStep: i32, columnStep: i32, forwards: bool,
): void {
  for (let t = 0; t < size; t++) {
    const i = forwards ? t : size - 1 - t;
    const row = x + <usize>i * pitch;
    let entry = a + <usize>(i * rowStep);
    const diagonal = v128.load32_splat(entry + <usize>(i * columnStep));
    // The solved rows: 0 … i − 1, or i + 1 … size − 1.
    let solved = forwards ? x : row + pitch;
    if (!forwards) entry += <usize>((i + 1) * columnStep);
    let s0 = v128.load(row), s1 = v128.load(row, 16), s2 = v128.load(row, 32), s3 = v128.load(row, 48);
    let s4 = v128.load(row, 64), s5 = v128.load(row, 80), s6 = v128.load(row, 96), s7 = v128.load(row, 112);
    for (let k = t; k > 0; k--, solved += pitch, entry += <usize>columnStep) {
      const factor = f32x4.neg(v128.load32_splat(entry));
      s0 = multiplyAdd(factor, v128.load(solved), s0);
      s1 = multiplyAdd(factor, v128.load(solved, 16), s1);
      s2 = multiplyAdd(factor, v128.load(solved, 32), s2);
      s3 = multiplyAdd(factor, v128.load(solved, 48), s3);
      s4 = multiplyAdd(factor, v128.load(solved, 64), s4);
      s5 = multiplyAdd(factor, v128.load(solved, 80), s5);
      s6 = multiplyAdd(factor, v128.load(solved, 96), s6);
      s7 = multiplyAdd(factor, v128.load(solved, 112), s7);
    }
    v128.store(row, f32x4.div(s0, diagonal));
    v128.store(row, f32x4.div(s1, diagonal), 16);
    v128.store(row, f32x4.div(s2, diagonal), 32);
    v128.store(row, f32x4.div(s3, diagonal), 48);
    v128.store(row, f32x4.div(s4, diagonal), 64);
    v128.store(row, f32x4.div(s5, diagonal), 80);
    v128.store(row, f32x4.div(s6, diagonal), 96);
    v128.store(row, f32x4.div(s7, diagonal), 112);
  }
}
