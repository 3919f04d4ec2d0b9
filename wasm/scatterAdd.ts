import { entryOf } from './gather';
import * as element from './modes';
import { pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/**
 * index [A, M, B], updates [A, M, B] → out [A, N, B].
 *
 *   for a, for n of this thread, for b      0
 *   for a, for m, for b                     add where index is an n of this thread
 *
 * Every thread reads all indices, so that each output is summed in ascending m by one thread alone.
 */
export function scatterAdd(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const type = word(command, words.SCATTER_ADD_ELEMENT);
  if (type == element.F32) scatterAs<f32>(command, bases, thread, threads);
  else if (type == element.U8) scatterAs<u8>(command, bases, thread, threads);
  else scatterAs<i32>(command, bases, thread, threads);
}

function scatterAs<T>(command: usize, bases: usize, thread: i32, threads: i32): void {
  const index = viewAt(command, words.SCATTER_ADD_WORDS, 0);
  const updates = viewAt(command, words.SCATTER_ADD_WORDS, 1);
  const out = viewAt(command, words.SCATTER_ADD_WORDS, 2);
  const positions = shape(out, 2);
  const rows = shape(index, 2);
  const inner = shape(index, 3);
  const size = <i32>sizeof<T>();
  const first = share(positions, thread, threads);
  const mine = <u32>(share(positions, thread + 1, threads) - first);
  const indexInner = stride(index, 3) << 2;
  const updateInner = stride(updates, 3) * size;
  const outRow = stride(out, 2) * size;
  const outInner = stride(out, 3) * size;

  for (let a = 0; a < shape(out, 1); a++) {
    const target = pointer(out, bases) + <usize>(a * stride(out, 1) * size + first * outRow);
    for (let n = 0; n < <i32>mine; n++) {
      for (let b = 0; b < inner; b++) store<T>(target + <usize>(n * outRow + b * outInner), <T>0);
    }
    for (let m = 0; m < rows; m++) {
      const picks = pointer(index, bases) + <usize>((a * stride(index, 1) + m * stride(index, 2)) << 2);
      const source = pointer(updates, bases) + <usize>((a * stride(updates, 1) + m * stride(updates, 2)) * size);
      for (let b = 0; b < inner; b++) {
        const n = entryOf(picks + <usize>(b * indexInner), positions) - <u32>first;
        if (n >= mine) continue;
        const at = target + <usize>(<i32>n * outRow + b * outInner);
        store<T>(at, load<T>(at) + load<T>(source + <usize>(b * updateInner)));
      }
    }
  }
}
