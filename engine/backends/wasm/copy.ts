/** What only moves: copies, pads, concatenations (`wasm/copy.ts`). */
import * as command from '../../../wasm/command.ts';
import * as word from '../../../wasm/words.ts';
import { type MovingKernel, movesOf } from '../../compiler/moves.ts';
import type { KernelOf, Plan, View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { sizeOf } from '../../shape.ts';
import { byteStrides, windowOf } from './blocks.ts';
import type { Command } from './command.ts';
import { axesOf, byReach, collapse } from './space.ts';
import { inOrder, type Words, wordOf } from './words.ts';

export function encodePad(plan: Plan, kernel: KernelOf<'pad'>): Command[] {
  const output = kernel.outputs[0]!;
  const { buffer, byteOffset } = windowOf(output);
  const filled: Words<'FILL'> = {
    [word.FILL_BUFFER]: buffer,
    [word.FILL_OFFSET]: byteOffset,
    [word.FILL_BYTES]: sizeOf(output.shape) * dtypes[output.dtype].bytes,
    [word.FILL_VALUE]: wordOf(kernel.value, output.dtype),
  };
  return [{ kind: command.FILL, words: inOrder(filled), workspaceBytes: 0 }, ...encodeMoves(plan, kernel)];
}

export function encodeMoves(_plan: Plan, kernel: MovingKernel): Command[] {
  return movesOf(kernel).flatMap((move) => encodeMove(...move));
}

/** One window copied to another. */
export function encodeMove(from: View, to: View): Command[] {
  if (sizeOf(to.shape) === 0) return [];
  check(from.dtype === to.dtype, 'dtype', () => `a copy keeps the element type, got ${from.dtype} to ${to.dtype}; convert with a map`);
  const walked = collapse(byReach(axesOf(to.shape, [byteStrides(from), byteStrides(to)]), 1));
  // A transposing copy wants the source's finest axis beside the destination's.
  const finest = walked.slice(0, -1).findLastIndex(({ strides }) => strides[0] === 4);
  if (finest >= 0) walked.splice(walked.length - 2, 0, ...walked.splice(finest, 1));
  if (walked.length === 1) walked.unshift({ extent: 1, strides: [0, 0] });
  const copied: Words<'COPY'> = {
    [word.COPY_BYTES]: dtypes[to.dtype].bytes,
    [word.COPY_FROM_BUFFER]: from.buffer,
    [word.COPY_FROM_OFFSET]: windowOf(from).byteOffset,
    [word.COPY_TO_BUFFER]: to.buffer,
    [word.COPY_TO_OFFSET]: windowOf(to).byteOffset,
    [word.COPY_RANK]: walked.length,
  };
  const axes = walked.flatMap(({ extent, strides: [fromStride, toStride] }) => {
    const axis: Words<'AXIS'> = { [word.AXIS_EXTENT]: extent, [word.AXIS_FROM_STRIDE]: fromStride!, [word.AXIS_TO_STRIDE]: toStride! };
    return inOrder(axis);
  });
  return [{ kind: command.COPY, words: [...inOrder(copied), ...axes], workspaceBytes: 0 }];
}
