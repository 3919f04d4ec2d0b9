import type { Kernel } from '../../compiler/plan.ts';

/** Shorter rows are blocks that cost more than a pass over memory; and products of fewer rows or columns may be made transposed (`wasm/matmul.ts`). */
const SHORTEST = 256;
/** As many as tables hold; long before, such a pass is next to nothing beside the product. */
const MOST_STEPS = 2048;

/**
 * The length of the rows that a product finishes with its epilogue, panel by panel in cache (`wasm/product.ts`), or 0 where a map had better do it: where
 * another matrix is read, since a map reads that from end to end. (Planes of convolutions are not made in panels, and were not faster.)
 */
export function finishedRow({ kind, inputs: [left, , ...others], outputs: [out] }: Kernel): number {
  const [, rows = 0, columns = 0] = out!.shape;
  const suits = kind === 'matmul' && Math.min(rows, columns) >= SHORTEST && left!.shape[2]! <= MOST_STEPS;
  return suits && others.every(({ buffer, strides }) => buffer === out!.buffer || strides.includes(0)) ? columns : 0;
}
