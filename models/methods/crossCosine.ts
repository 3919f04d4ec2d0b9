import type { Tensor } from '../../engine/index.ts';
import { check, checkList } from '../../engine/internal.ts';
import { cosineSimilarity } from '../nn/functional.ts';
import { checkViews } from '../regularizers/statistics.ts';

/** Two views. */
export type Pair = readonly [Tensor, Tensor];

/**
 * cos(p₁, z₂) + cos(p₂, z₁), mean over samples, of two views' predictions p and targets z, all [n, d]: what the methods agree on that predict one
 * view's embedding from the other's.
 * @throws TensegrityError `shape`, `dtype`, `argument` naming `what`.
 */
export function crossCosine(what: string, predictions: Pair, targets: Pair): Tensor {
  for (const pair of [predictions, targets]) {
    checkList(`${what}: two views`, pair);
    check(pair.length === 2, 'argument', () => `${what}: takes a pair of views, got ${pair.length}`);
    checkViews(...pair, what);
  }
  const [[p1, p2], [z1, z2]] = [predictions, targets];
  return cosineSimilarity(p1, z2).mean().add(cosineSimilarity(p2, z1).mean());
}
