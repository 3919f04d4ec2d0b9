import { type MovingKernel, movesOf } from '../../compiler/moves.ts';
import type { PadKernel } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { readView, writeView } from './dense.ts';

/** One input after another: there may be more than a call has arguments. */
export function copy(kernel: MovingKernel, buffers: readonly TypedArray[]): void {
  for (const [from, to] of movesOf(kernel)) writeView(to, buffers[to.buffer]!, readView(from, buffers[from.buffer]!));
}

export function pad(kernel: PadKernel, buffers: readonly TypedArray[]): void {
  const { buffer, offset, shape } = kernel.outputs[0]!;
  buffers[buffer]!.fill(kernel.value, offset, offset + sizeOf(shape));
  copy(kernel, buffers);
}
