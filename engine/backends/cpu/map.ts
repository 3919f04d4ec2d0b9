import type { MapKernel } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { writeView } from './dense.ts';
import { forEachPiece } from './program.ts';

/** Piece by piece: an output in the place of an input has each element where that had it, so none is read after it is written. */
export function map(kernel: MapKernel, buffers: readonly TypedArray[]): void {
  forEachPiece(kernel, buffers, (results, from) => {
    for (const [k, view] of kernel.outputs.entries()) writeView(view, buffers[view.buffer]!, results[k]!, from);
  });
}
