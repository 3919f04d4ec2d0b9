import type { Tensor } from '../../engine/index.ts';
import { checkNumber, options } from '../../engine/internal.ts';
import { LEAST_TEMPERATURE, prototypeScores } from '../clustering/prototypes.ts';
import { crossEntropy } from '../nn/functional.ts';

/** The assignment of an image that has none, as in facebookresearch/swav. */
export const UNASSIGNED = -100;

export interface DeepClusterOptions {
  /** What cosines are divided by, τ, at least .001; .1, unless given. */
  readonly temperature?: number;
}

/**
 * DeepCluster v2's loss: the cross-entropy of softmax(cosine/τ) of embeddings with prototypes, against the cluster that each sample was assigned to;
 * mean over the samples that have one. With several heads it is the mean over their prototypes.
 * (M. Caron et al., NeurIPS 2020, §A.3; facebookresearch/swav:main_deepclusterv2.py)
 * @param z embeddings [n, d]; their lengths do not count.
 * @param prototypes [K, d], centroids; their lengths do not count, and are constants.
 * @param assignments integers [n], from 0 to K − 1, or −100 for a sample without one.
 * @throws TensegrityError `shape`, `dtype`, `argument` for an option that is unknown or out of its range, and for an assignment that is known to be none.
 */
export function deepCluster(z: Tensor, prototypes: Tensor, assignments: Tensor, given: DeepClusterOptions = {}): { readonly loss: Tensor } {
  const { temperature } = options('deepCluster', given, { temperature: 0.1 });
  checkNumber('deepCluster: temperature', temperature, LEAST_TEMPERATURE);
  const scores = prototypeScores(z, prototypes, 'deepCluster');
  return { loss: crossEntropy(scores.div(temperature), assignments, { ignoreIndex: UNASSIGNED }) };
}
