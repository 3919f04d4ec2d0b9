import { eye, type Tensor, zeros } from '../../engine/core.ts';
import { check, checkList, checkNumber, checkTensors, options, sameShape, show } from '../../engine/internal.ts';
import { invariance } from '../regularizers/information.ts';
import { logDeterminant } from '../regularizers/matrix.ts';
import { checkEmbedding, checkViews, gram } from '../regularizers/statistics.ts';
import { arrayLoss, pairOfViews } from './arrayLoss.ts';
import { number } from './options.ts';

/** What CorInfoMax keeps of a view: a running mean [d], 0 to begin with, and covariance [d, d], I to begin with. */
export interface RunningMoments {
  readonly mean: Tensor;
  readonly covariance: Tensor;
}

export interface CorInfoMaxOptions {
  /** Weight α of the invariance; 500, unless given (CIFAR-10: 250, CIFAR-100: 1000). */
  readonly invariance?: number;
  /** Share λ of the old moments in the new ones, from 0 to 1; .01, unless given. */
  readonly momentum?: number;
  /** Added to the diagonal of the covariance; 1e-6, unless given. */
  readonly epsilon?: number;
}

/** The loss, and its parts before their weights: loss = α·invariance − information. */
export type CorInfoMaxLoss = Readonly<Record<'loss' | 'information' | 'invariance', Tensor>>;

/**
 * A view's running moments after a batch z [n, d]: μ ← λμ + (1−λ)·mean z, then R ← λR + (1−λ)·(z−μ)ᵀ(z−μ)/n, about the mean just updated. λ is
 * the weight of what was. Both carry the gradient of z. (S. Ozsoy et al., NeurIPS 2022, Eq. 5–6; serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py)
 * @throws TensegrityError `shape`, `dtype`, `argument` for a momentum outside [0, 1].
 */
export function runningMoments(z: Tensor, moments: RunningMoments, momentum = 0.01): RunningMoments {
  const { mean, covariance } = options('runningMoments: the moments', moments, { mean: undefined, covariance: undefined });
  checkEmbedding(z, 'runningMoments');
  checkTensors('runningMoments', mean, covariance);
  const [n, d] = [z.shape[0]!, z.shape[1]!];
  check(
    sameShape(mean.shape, [d]) && sameShape(covariance.shape, [d, d]) && mean.dtype === z.dtype && covariance.dtype === z.dtype,
    'shape',
    () =>
      `runningMoments: embeddings ${z.dtype} ${show(z.shape)} need a mean ${show([d])} and a covariance ${show([d, d])} of their type, got ${mean.dtype} ${show(mean.shape)} and ${covariance.dtype} ${show(covariance.shape)}`,
  );
  checkNumber('runningMoments: the momentum', momentum, 0, 1);
  const moved = mean.mul(momentum).add(z.mean(0).mul(1 - momentum));
  return { mean: moved, covariance: covariance.mul(momentum).add(gram(z.sub(moved).transpose()).mul((1 - momentum) / n)) };
}

/**
 * CorInfoMax of two views' embeddings [n, d]: views agree while the information that they hold, as the log-determinants of their covariances
 * measure it, grows: α·mean (z−z')² − (ln det(R + εI) + ln det(R' + εI))/d, with R and R' the {@link runningMoments} that have this batch in them.
 * In f32, R + εI may not be positive definite where R's largest eigenvalue is more than 10⁵·ε or so and its smallest is 0: the loss is NaN then.
 * (S. Ozsoy, S. Hamdan, S. Arik, D. Yuret, A. Erdogan, NeurIPS 2022, Eq. 9; serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py, pretrain_base.py)
 * @param moments of both views before the batch; `runningMoments` of each is what the next batch is given, as constants.
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown or out of its
 * range.
 */
export function corInfoMax(
  za: Tensor,
  zb: Tensor,
  moments: readonly [RunningMoments, RunningMoments],
  given: CorInfoMaxOptions = {},
): CorInfoMaxLoss {
  const { invariance: alpha, momentum, epsilon } = options('corInfoMax', given, { invariance: 500, momentum: 0.01, epsilon: 1e-6 });
  checkViews(za, zb, 'corInfoMax');
  checkList('corInfoMax: moments of both views', moments);
  check(moments.length === 2, 'argument', () => `corInfoMax: takes moments of two views, got ${moments.length}`);
  const d = za.shape[1]!;
  const information = (z: Tensor, before: RunningMoments): Tensor =>
    logDeterminant(runningMoments(z, before, momentum).covariance.add(eye(d, z.dtype).mul(epsilon))).div(d);
  const parts = {
    information: information(za, moments[0]).add(information(zb, moments[1])),
    invariance: invariance(za, zb),
  };
  return { loss: parts.invariance.mul(alpha).sub(parts.information), ...parts };
}

const optional = { optional: true } as const;

/** The loss of files: two views, and their moments before the batch. */
export const corInfoMaxOfArrays = () =>
  arrayLoss({
    title: 'CorInfoMax',
    source: 'S. Ozsoy et al., NeurIPS 2022; serdarozsoy/corinfomax-ssl',
    options: {
      invariance: number(500, 'weight of the invariance'),
      momentum: number(0.01, 'share of the moments before the batch in those after it', { most: 1 }),
      epsilon: number(1e-6, 'added to the diagonal of the covariance'),
    },
    embeddings: pairOfViews,
    state: {
      meanA: { shape: '[d]', description: 'running mean of za; 0, unless given', ...optional },
      covarianceA: { shape: '[d, d]', description: 'running covariance of za; I, unless given', ...optional },
      meanB: { shape: '[d]', description: 'running mean of zb; 0, unless given', ...optional },
      covarianceB: { shape: '[d, d]', description: 'running covariance of zb; I, unless given', ...optional },
    },
    epsilon: 1e-6,
    compute: ([za, zb], given, { meanA, covarianceA, meanB, covarianceB }) => {
      const d = za!.shape[1]!;
      const moments = (mean = zeros([d], za!.dtype), covariance = eye(d, za!.dtype)): RunningMoments => ({ mean, covariance });
      return corInfoMax(za!, zb!, [moments(meanA, covarianceA), moments(meanB, covarianceB)], given);
    },
  });
