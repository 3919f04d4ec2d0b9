import { forgetHistory } from './history.ts';
import { checkTensors } from './ops/rule.ts';
import { inTurnWithUpdates } from './runtime.ts';
import type { Tensor } from './tensor.ts';

/**
 * Computes tensors and runs pending assignments of slots, all in one plan. What it computes becomes a constant: graph that led there is
 * let go, so gradients do not reach behind it; one that would have to is an error.
 */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  checkTensors('realize', ...tensors);
  await inTurnWithUpdates(async (compute) => {
    await compute(...tensors);
    forgetHistory(...new Set(tensors.map(({ node }) => node).filter((node) => node.op !== 'slot')));
  });
}
