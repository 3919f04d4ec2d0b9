import { sizeOf } from '../shape.ts';
import type { ConcatKernel, CopyKernel, PadKernel, View } from './plan.ts';

/** A kernel that moves elements, and computes nothing. */
export type MovingKernel = CopyKernel | PadKernel | ConcatKernel;

/** What a kernel moves: each input that has elements, and its window on the output. */
export function movesOf(kernel: MovingKernel): readonly (readonly [from: View, to: View])[] {
  const output = kernel.outputs[0]!;
  const { strides } = output;
  let { offset } = output;
  if (kernel.kind === 'pad') for (const [axis, position] of kernel.before.entries()) offset += position * strides[axis]!;
  return kernel.inputs
    .map((from) => {
      const to = { ...output, shape: from.shape, offset };
      if (kernel.kind === 'concat') offset += from.shape[kernel.axis]! * strides[kernel.axis]!;
      return [from, to] as const;
    })
    .filter(([{ shape }]) => sizeOf(shape) > 0);
}
