import type { Tensor } from '../../engine/core.ts';
import { check, show } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { checkEmbedding } from '../regularizers/statistics.ts';

/**
 * The cosines [n, K] of embeddings z [n, d] and prototypes [K, d], whatever their lengths. The prototypes' lengths are constants: where they are 1,
 * the gradient is that of facebookresearch/swav, which sets them to 1 between steps and does not differentiate that.
 * @throws TensegrityError `shape`, `dtype` naming `what`.
 */
export function prototypeScores(z: Tensor, prototypes: Tensor, what: string): Tensor {
  checkEmbedding(z, what, 1);
  checkEmbedding(prototypes, `${what}: the prototypes`, 1);
  check(
    prototypes.shape[1] === z.shape[1],
    'shape',
    () => `${what}: prototypes must be [number, ${z.shape[1]}], as wide as the embeddings ${show(z.shape)}; got ${show(prototypes.shape)}`,
  );
  check(
    prototypes.dtype === z.dtype,
    'dtype',
    () => `${what}: embeddings and prototypes must have one type, got ${z.dtype} and ${prototypes.dtype}`,
  );
  const lengths = prototypes.norm(-1, true).maximum(1e-12).stopGradient();
  return normalize(z).matmul(prototypes.div(lengths).transpose());
}
