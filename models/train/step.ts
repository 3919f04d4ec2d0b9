import { foldIn, stack, type Tensor } from '../../engine/core.ts';
import { methodNamed } from '../methods/index.ts';
import type { Learner, Outcome, Step } from '../methods/learner.ts';
import { covariance, variance } from '../regularizers/information.ts';
import type { TrainingConfig } from './config.ts';

/** A step in so many parts of equal size, each with the same views as in the whole. */
export function partsOf(step: Step, count: number): readonly Step[] {
  if (count === 1) return [step];
  const size = step.indices.shape[0]! / count;
  return Array.from({ length: count }, (_, part) => {
    const rows = (x: Tensor): Tensor => x.narrow(0, part * size, size);
    return {
      ...step,
      views: step.views.map(rows),
      indices: rows(step.indices),
      key: foldIn(step.key, part),
      part: { first: part === 0, last: part === count - 1 },
    };
  });
}

/**
 * An outcome with VICReg's variance and covariance terms of the embeddings added to its loss, by the configuration's weights, whatever the method.
 * (A. Bardes et al., ICLR 2022, Table 4: 1 and .01 inside BYOL and SimSiam)
 */
export function withTerms(
  outcome: Outcome,
  { addVariance, addCovariance }: Pick<TrainingConfig, 'addVariance' | 'addCovariance'>,
): Outcome {
  const views = outcome.embeddings;
  const mean = (term: (z: Tensor) => Tensor): Tensor => stack(views.map(term)).mean();
  // As the official code has them for two views: half of each view's hinge, all of each view's covariance.
  const added = {
    ...(addVariance > 0 && { addedVariance: { weight: addVariance, term: mean((z) => variance(z)) } }),
    ...(addCovariance > 0 && { addedCovariance: { weight: addCovariance, term: mean(covariance).mul(2) } }),
  };
  return {
    ...outcome,
    loss: Object.values(added).reduce((loss, { weight, term }) => loss.add(term.mul(weight)), outcome.loss),
    parts: { ...outcome.parts, ...Object.fromEntries(Object.entries(added).map(([name, { term }]) => [name, term])) },
  };
}

/** The names of the parts that {@link withTerms} adds. */
export function addedParts({ addVariance, addCovariance }: Pick<TrainingConfig, 'addVariance' | 'addCovariance'>): readonly string[] {
  return [...(addVariance > 0 ? ['addedVariance'] : []), ...(addCovariance > 0 ? ['addedCovariance'] : [])];
}

/** Why a step in parts is not that of its whole batch, as a phrase; null where it is, but for rounding, or where there is one part. */
export function inexactParts({ accumulate, method, addVariance, addCovariance }: TrainingConfig, learner: Learner): string | null {
  if (accumulate === 1) return null;
  if (!methodNamed(method).perSample || addVariance > 0 || addCovariance > 0) return 'the loss compares the samples of a batch';
  const normalizes = learner.namedBuffers().some(([name]) => name.endsWith('running_mean'));
  return normalizes ? 'batch norm takes its statistics from a batch' : null;
}
