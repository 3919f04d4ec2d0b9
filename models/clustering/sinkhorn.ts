import type { Tensor } from '../../engine/core.ts';
import { check, checkNumber, options, shown } from '../../engine/internal.ts';
import { LEAST_TEMPERATURE } from '../methods/options.ts';
import { checkEmbedding } from '../regularizers/statistics.ts';

export interface SinkhornOptions {
  /** What scores are divided by, at least .001: the smaller, the nearer assignments are to one prototype each; .05, unless given. */
  readonly epsilon?: number;
  /** 3, unless given. 0 leaves softmax(scores/ε), which nothing keeps from one prototype for all. */
  readonly iterations?: number;
}

/**
 * Soft assignments of samples to prototypes that share the batch about equally: exp(scores/ε), scaled by turns so that each prototype has its
 * share (Sinkhorn and Knopp's iterations, 1967), and each sample 1. Rows of the result sum to 1, columns only near n/K after few iterations. It
 * does not change with a number added to all scores, or to all those of one prototype, and is uniform where all samples score alike. It is a
 * constant: no gradient goes through it. (M. Caron et al., NeurIPS 2020, §3.1 and Eq. 5; facebookresearch/swav:main_swav.py, distributed_sinkhorn)
 * @param scores [n, K] of samples with prototypes, finite; of any size, as all is done in logarithms.
 * @returns [n, K].
 * @throws TensegrityError `shape`, `dtype`, `argument` for an option that is unknown or out of its range.
 */
export function sinkhorn(scores: Tensor, given: SinkhornOptions = {}): Tensor {
  const { epsilon, iterations } = options('sinkhorn', given, { epsilon: 0.05, iterations: 3 });
  checkEmbedding(scores, 'sinkhorn', 1);
  checkNumber('sinkhorn: epsilon', epsilon, LEAST_TEMPERATURE);
  checkIterations('sinkhorn', iterations);
  let logarithms = scores.stopGradient().div(epsilon);
  // The shares themselves, 1/K and 1/n, are factors of all that the next turn takes out again.
  for (let i = 0; i < iterations; i++) logarithms = logarithms.sub(logarithms.logsumexp(0, true)).logSoftmax(1);
  return logarithms.softmax(1);
}

/** @throws TensegrityError `argument` for anything but a whole number ≥ 0, naming `what`. @internal */
export function checkIterations(what: string, iterations: number): void {
  check(
    Number.isSafeInteger(iterations) && iterations >= 0,
    'argument',
    () => `${what}: iterations must be a whole number ≥ 0, got ${shown(iterations)}`,
  );
}
