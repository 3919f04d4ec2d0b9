import * as element from './modes';
import { pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/** Bits of an f32 that is NaN, and every number's after `ordered`. */
const NOT_A_NUMBER: u32 = 0xffffffff;

/**
 * x [R, N] → positions [R, N]. A value and its position make one 64-bit number, all of
 * them different, so that any sort of these is stable: a merge sort from the bottom up, back and forth between the two
 * halves of the workspace.
 */
export function argsort(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const descending: u32 = word(command, words.ARGSORT_DESCENDS) ? 0xffffffff : 0;
  const type = word(command, words.ARGSORT_ELEMENT);
  const x = viewAt(command, words.ARGSORT_WORDS, 0);
  const out = viewAt(command, words.ARGSORT_WORDS, 1);
  const rows = shape(x, 2);
  const length = shape(x, 3);
  const bytes = <usize>length << 3;
  const shift = type == element.U8 ? 0 : 2;
  const step = stride(x, 3);

  const end = share(rows, thread + 1, threads);
  for (let row = share(rows, thread, threads); row < end; row++) {
    let from = workspace;
    let to = workspace + bytes;
    const source = pointer(x, bases) + (<usize>(row * stride(x, 2)) << shift);
    for (let i = 0; i < length; i++) {
      const key = ordered(source + (<usize>(i * step) << shift), type) ^ descending;
      store<u64>(from + (<usize>i << 3), (<u64>key << 32) | <u64>i);
    }
    for (let run: usize = 8; run < bytes; run <<= 1) {
      for (let at: usize = 0; at < bytes; at += run << 1) merge(from + at, from + min(at + run, bytes), from + min(at + (run << 1), bytes), to + at);
      const swapped = from;
      from = to;
      to = swapped;
    }
    const target = pointer(out, bases) + (<usize>(row * stride(out, 2)) << 2);
    for (let i = 0; i < length; i++) store<u32>(target + (<usize>(i * stride(out, 3)) << 2), load<u32>(from + (<usize>i << 3)));
  }
}

/** An unsigned number in the order of the element: NaN is one and the largest, −0 is 0. */
@inline
function ordered(address: usize, type: i32): u32 {
  if (type == element.U8) return load<u8>(address);
  if (type == element.I32) return load<u32>(address) ^ 0x80000000;
  const value = load<f32>(address) + 0;
  if (value != value) return NOT_A_NUMBER;
  const bits = reinterpret<u32>(value);
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

/** Merges [left, middle) and [middle, end) into `to`, without a branch that the data decide. */
@inline
function merge(left: usize, middle: usize, end: usize, to: usize): void {
  let right = middle;
  while (left < middle && right < end) {
    const a = load<u64>(left);
    const b = load<u64>(right);
    const takeLeft = a < b;
    store<u64>(to, takeLeft ? a : b);
    left += <usize>takeLeft << 3;
    right += <usize>!takeLeft << 3;
    to += 8;
  }
  for (; left < middle; left += 8, to += 8) store<u64>(to, load<u64>(left));
  for (; right < end; right += 8, to += 8) store<u64>(to, load<u64>(right));
}
