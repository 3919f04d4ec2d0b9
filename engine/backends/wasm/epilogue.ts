import { TABLE_LENGTH } from '../../../wasm/sizes.ts';
import type { Kernel } from '../../compiler/plan.ts';

/** Shorter rows are blocks that cost more than a pass over memory; and products of fewer rows or columns may be made transposed (`wasm/matmul.ts`). */
const SHORTEST = 256;

/**
 * The length of the rows that a product finishes with its epilogue, panel by panel in cache (`wasm/product.ts`), or 0 where a map had better do it: where
 * another matrix is read, since a map reads that from end to end, and where there are more steps than tables hold: long before, such a pass is next
 * to nothing beside the product. (Planes of convolutions are not made in panels, and were not faster.)
 */
export function finishedRow({ kind, inputs: [left, , ...others], outputs: [out] }: Kernel): number {
  const [, rows = 0, columns = 0] = out!.shape;
  const suits = kind === 'matmul' && Math.min(rows, columns) >= SHORTEST && left!.shape[2]! <= TABLE_LENGTH;
  return suits && others.every(({ buffer, strides }) => buffer === out!.buffer || strides.includes(0)) ? columns : 0;
}
