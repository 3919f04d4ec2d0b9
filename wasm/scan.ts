import * as element from './modes';
import { SCANNED_LINES } from './sizes';
import { divideUp, pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/**
 * x [A, N, B] → out [A, N, B], elements of 32 bits.
 *
 *   for a, for some of B                    of this thread
 *     for n, for b                          totals[b] ← totals[b] ∘ x, of floats in double
 */
export function scan(command: usize, bases: usize, totals: usize, thread: i32, threads: i32): void {
  const isProduct = word(command, words.SCAN_IS_PRODUCT);
  const isFloat = word(command, words.SCAN_ELEMENT) == element.F32;
  const x = viewAt(command, words.SCAN_WORDS, 0);
  const out = viewAt(command, words.SCAN_WORDS, 1);
  const length = shape(x, 2);
  const inner = shape(x, 3);
  const across = <usize>(stride(x, 3) << 2);
  const outAcross = <usize>(stride(out, 3) << 2);
  const blocks = divideUp(inner, SCANNED_LINES);

  const end = share(shape(x, 1) * blocks, thread + 1, threads);
  for (let i = share(shape(x, 1) * blocks, thread, threads); i < end; i++) {
    const a = i / blocks;
    const first = i % blocks * SCANNED_LINES;
    const last = totals + (<usize>min(SCANNED_LINES, inner - first) << 3);
    for (let n = 0; n < length; n++) {
      let from = pointer(x, bases) + <usize>(a * stride(x, 1) + n * stride(x, 2) << 2) + <usize>first * across;
      let to = pointer(out, bases) + <usize>(a * stride(out, 1) + n * stride(out, 2) << 2) + <usize>first * outAcross;
      for (let at = totals; at < last; at += 8, from += across, to += outAcross) {
        if (isFloat) {
          const value = <f64>load<f32>(from), total = load<f64>(at);
          const next = n == 0 ? value : isProduct ? total * value : total + value;
          store<f64>(at, next);
          store<f32>(to, <f32>next);
        } else {
          const value = load<i32>(from), total = load<i32>(at);
          const next = n == 0 ? value : isProduct ? total * value : total + value;
          store<i32>(at, next);
          store<i32>(to, next);
        }
      }
    }
  }
}
