import { pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/**
 * x [A, N, B], index [A, M, B] → out [A, M, B].
 *
 *   for a, for m                            a row of B, all at once where its index is one and both sides are contiguous
 *     for b
 */
export function gather(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const size = word(command, words.GATHER_BYTES);
  const missing = word(command, words.GATHER_MISSING);
  const x = viewAt(command, words.GATHER_WORDS, 0);
  const index = viewAt(command, words.GATHER_WORDS, 1);
  const out = viewAt(command, words.GATHER_WORDS, 2);
  const positions = <u32>shape(x, 2);
  const rows = shape(index, 2);
  const inner = shape(index, 3);
  const xStride = stride(x, 2);
  const xInner = stride(x, 3);
  const indexInner = stride(index, 3);
  const outInner = stride(out, 3);
  const whole = indexInner == 0 && xInner == 1 && outInner == 1;

  const end = share(shape(index, 1) * rows, thread + 1, threads);
  for (let i = share(shape(index, 1) * rows, thread, threads); i < end; i++) {
    const a = i / rows;
    const m = i % rows;
    const source = pointer(x, bases) + <usize>(a * stride(x, 1) * size);
    const picks = pointer(index, bases) + <usize>((a * stride(index, 1) + m * stride(index, 2)) << 2);
    const target = pointer(out, bases) + <usize>((a * stride(out, 1) + m * stride(out, 2)) * size);
    if (whole) {
      const n = entryOf(picks, positions);
      if (n < positions) {
        memory.copy(target, source + <usize>(<i32>n * xStride * size), <usize>(inner * size));
        continue;
      }
    }
    for (let b = 0; b < inner; b++) {
      const n = entryOf(picks + <usize>((b * indexInner) << 2), positions);
      const from = source + <usize>((<i32>n * xStride + b * xInner) * size);
      const to = target + <usize>(b * outInner * size);
      if (size == 4) store<i32>(to, n < positions ? load<i32>(from) : missing);
      else store<u8>(to, n < positions ? load<u8>(from) : <u8>missing);
    }
  }
}

/** Which entry of an axis the index at an address means: negative ones count from the end. Outside it is, unsigned, not below `extent` on either side. */
@inline
export function entryOf(address: usize, extent: u32): u32 {
  const index = load<i32>(address);
  return <u32>(index < 0 ? index + <i32>extent : index);
}
