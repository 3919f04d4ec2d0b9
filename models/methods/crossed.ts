import type { Tensor } from '../../engine/core.ts';
import { check, checkList } from '../../engine/internal.ts';
import { checkViews } from '../regularizers/statistics.ts';

/** Two views. */
export type Pair = readonly [Tensor, Tensor];

/**
 * f(p₁, z₂) + f(p₂, z₁), mean over samples, of two views' predictions p and targets z, all [n, d]: what the methods agree on that predict one
 * view's embedding from the other's.
 * @param of f: two embeddings [n, d] → [n].
 * @throws TensegrityError `shape`, `dtype`, `argument` naming `what`.
 */
export function crossed(what: string, predictions: Pair, targets: Pair, of: (prediction: Tensor, target: Tensor) => Tensor): Tensor {
  for (const pair of [predictions, targets]) {
    checkList(`${what}: two views`, pair);
    check(pair.length === 2, 'argument', () => `${what}: takes a pair of views, got ${pair.length}`);
    checkViews(...pair, what);
  }
  const [[p1, p2], [z1, z2]] = [predictions, targets];
  return of(p1, z2).mean().add(of(p2, z1).mean());
}
