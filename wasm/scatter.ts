import { entryOf } from './gather';
import * as element from './modes';
import { pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/**
 * index [A, M, B], updates [A, M, B] → out [A, N, B].
 *
 *   for a, for n of this thread, for b      0, to add to
 *   for a, for m, for b                     add, or replace, where index is an n of this thread; rows of B at once where they are alike
 *
 * Every thread reads all indices, so that each output gets its updates in ascending m, from one thread alone.
 */
export function scatter(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const type = word(command, words.SCATTER_ELEMENT);
  const adds = word(command, words.SCATTER_ADDS) != 0;
  const index = viewAt(command, words.SCATTER_WORDS, 0);
  const updates = viewAt(command, words.SCATTER_WORDS, 1);
  const out = viewAt(command, words.SCATTER_WORDS, 2);
  const positions = <u32>shape(out, 2);
  const rows = shape(index, 2);
  const inner = shape(index, 3);
  const size = type == element.U8 ? 1 : 4;
  const first = share(positions, thread, threads);
  const mine = <u32>(share(positions, thread + 1, threads) - first);
  const indexRow = stride(index, 2) << 2;
  const indexInner = stride(index, 3) << 2;
  const updateRow = stride(updates, 2) * size;
  const updateInner = stride(updates, 3) * size;
  const outRow = stride(out, 2) * size;
  const outInner = stride(out, 3) * size;
  const addsFloats = adds && type == element.F32;
  const isWhole = !adds && indexInner == 0 && updateInner == size && outInner == size;

  for (let a = 0; a < shape(out, 1); a++) {
    const picks = pointer(index, bases) + <usize>(a * stride(index, 1) << 2);
    const source = pointer(updates, bases) + <usize>(a * stride(updates, 1) * size);
    const target = pointer(out, bases) + <usize>(a * stride(out, 1) * size + first * outRow);
    for (let n = 0; n < <i32>mine && adds; n++) fill(target + <usize>(n * outRow), inner, outInner, size, 0);
    let isOutside = false;
    for (let m = 0; m < rows; m++) {
      let pick = picks + <usize>(m * indexRow);
      let from = source + <usize>(m * updateRow);
      let line = target;
      for (let b = 0; b < inner; b++, pick += <usize>indexInner, from += <usize>updateInner, line += <usize>outInner) {
        const entry = entryOf(pick, positions);
        const n = entry - <u32>first;
        if (n < mine) {
          const to = line + <usize>(<i32>n * outRow);
          if (addsFloats) store<f32>(to, load<f32>(from) + load<f32>(to));
          else if (isWhole) memory.copy(to, from, <usize>(inner * size));
          else if (size == 4) store<i32>(to, load<i32>(from) + (adds ? load<i32>(to) : 0));
          else store<u8>(to, load<u8>(from) + (adds ? load<u8>(to) : 0));
        } else if (entry >= positions) isOutside = true;
        if (isWhole) break;
      }
    }
    // Lines in which an update belongs nowhere.
    if (!isOutside || adds || type != element.F32) continue;
    for (let b = 0; b < inner; b++) {
      let m = 0;
      while (m < rows && entryOf(picks + <usize>(m * indexRow + b * indexInner), positions) < positions) m++;
      if (m < rows) fill(target + <usize>(b * outInner), <i32>mine, outRow, size, reinterpret<i32>(<f32>NaN));
    }
  }
}

/** Sets elements that are `step` bytes apart. */
function fill(at: usize, count: i32, step: i32, size: i32, value: i32): void {
  for (; count > 0; count--, at += <usize>step) {
    if (size == 1) store<u8>(at, <u8>value);
    else store<i32>(at, value);
  }
}
