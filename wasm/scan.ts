import { divideUp, parameter, pointer, shape, share, stride, viewAt } from './view';

/** How many neighbouring lines are walked together; where all are apart in memory, a line of cache is used whole. `workspace.ts` knows it. */
const LINES = 16;

@unmanaged class Sum { @inline of<T>(a: T, b: T): T { return a + b; } }
@unmanaged class Product { @inline of<T>(a: T, b: T): T { return a * b; } }

/**
 * `[whether products, element type]`; x [A, N, B] → out [A, N, B].
 *
 *   for a, for some of B                    of this thread
 *     for n, for b                          totals[b] ← totals[b] ∘ x, in double; integers in 32 bits
 */
export function scan(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const type = parameter(command, 1);
  if (parameter(command, 0)) {
    if (type == 0) scanAs<f32, f64, Product>(1, command, bases, workspace, thread, threads);
    else if (type == 1) scanAs<i32, i32, Product>(1, command, bases, workspace, thread, threads);
    else scanAs<u8, i32, Product>(1, command, bases, workspace, thread, threads);
  } else if (type == 0) scanAs<f32, f64, Sum>(-0.0, command, bases, workspace, thread, threads);
  else if (type == 1) scanAs<i32, i32, Sum>(0, command, bases, workspace, thread, threads);
  else scanAs<u8, i32, Sum>(0, command, bases, workspace, thread, threads);
}

function scanAs<T, Total, Operation>(neutral: Total, command: usize, bases: usize, totals: usize, thread: i32, threads: i32): void {
  const operation = changetype<Operation>(0);
  const x = viewAt(command, 2, 0);
  const out = viewAt(command, 2, 1);
  const length = shape(x, 2);
  const inner = shape(x, 3);
  const size = <i32>sizeof<T>();
  const step = stride(x, 2) * size;
  const across = stride(x, 3) * size;
  const outStep = stride(out, 2) * size;
  const outAcross = stride(out, 3) * size;
  const blocks = divideUp(inner, LINES);

  const end = share(shape(x, 1) * blocks, thread + 1, threads);
  for (let i = share(shape(x, 1) * blocks, thread, threads); i < end; i++) {
    const a = i / blocks;
    const first = i % blocks * LINES;
    const lines = min(LINES, inner - first);
    let source = pointer(x, bases) + <usize>(a * stride(x, 1) * size + first * across);
    let target = pointer(out, bases) + <usize>(a * stride(out, 1) * size + first * outAcross);
    if (lines == 1) {
      // In a register: what one addition waits for is the one before it, and nothing else.
      let total = neutral;
      for (let n = 0; n < length; n++, source += <usize>step, target += <usize>outStep) {
        total = operation.of<Total>(total, <Total>load<T>(source));
        store<T>(target, <T>total);
      }
      continue;
    }
    const last = totals + (<usize>lines << 3);
    for (let at = totals; at < last; at += 8) store<Total>(at, neutral);
    for (let n = 0; n < length; n++, source += <usize>step, target += <usize>outStep) {
      let from = source, to = target;
      for (let at = totals; at < last; at += 8, from += <usize>across, to += <usize>outAcross) {
        const total = operation.of<Total>(load<Total>(at), <Total>load<T>(from));
        store<Total>(at, total);
        store<T>(to, <T>total);
      }
    }
  }
}
