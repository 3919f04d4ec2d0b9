import { concat, full, type HostArray, realize, type Tensor, tensor } from '../../engine/core.ts';
import { check, options } from '../../engine/internal.ts';
import { normalize, standardize } from '../nn/functional.ts';
import { alignment, uniformity } from '../regularizers/hypersphere.ts';
import { checkEmbedding, offDiagonal } from '../regularizers/statistics.ts';
import { alphaReQ, entropyRank, lidar, positiveCount, rankMe, singularValues } from './spectral.ts';

/** The mean over dimensions of the standard deviation over samples of z [n, d]: 0 at collapse, and VICReg's γ or more when trained by it. */
export function embeddingDeviation(z: Tensor): Tensor {
  checkEmbedding(z, 'embeddingDeviation');
  return z.std(0).mean();
}

/**
 * √d·mean_j std(z̄_j) of rows scaled to length 1: 1 where directions are spread evenly, 0 where all are the same.
 * (X. Chen & K. He, CVPR 2021, §4.1, there std = 1/√d)
 */
export function normalizedDeviation(z: Tensor): Tensor {
  checkEmbedding(z, 'normalizedDeviation');
  return normalize(z).std(0).mean().mul(Math.sqrt(z.shape[1]!));
}

/**
 * Logits [n, K] as rows whose directions tell a collapse of the classes that a softmax makes of them, [n, K + 1]: less their mean over classes,
 * which a softmax does not see, and beside that √K, as long as logits of deviation 1. So {@link normalizedDeviation} is near 0 where all images
 * fall into the same classes, and where all fall into every class alike.
 */
export function classRows(logits: Tensor): Tensor {
  const [n, classes] = [logits.shape[0]!, logits.shape[1]!];
  return concat([logits.sub(logits.mean(-1, true)), full([n, 1], Math.sqrt(classes), logits.dtype)], 1);
}

/** The mean of |corr(z_i, z_j)| over i ≠ j for z [n, d], d ≥ 2; a dimension that does not vary correlates with nothing. */
export function meanOffDiagonalCorrelation(z: Tensor): Tensor {
  checkEmbedding(z, 'meanOffDiagonalCorrelation');
  const [n, d] = [z.shape[0]!, z.shape[1]!];
  check(d >= 2, 'shape', () => 'meanOffDiagonalCorrelation: needs at least 2 dimensions, got 1');
  // Scaled by the largest deviation, so that an ε that guards against 0/0 is as small as the type allows.
  const scale = z.std(0).max();
  const { normalized } = standardize(z.div(scale.equal(0).where(1, scale)), 0, z.dtype === 'f64' ? 1e-30 : 1e-14);
  return offDiagonal(normalized.transpose().matmul(normalized).div(n))
    .abs()
    .sum()
    .div(d * (d - 1));
}

/** What tells a healthy embedding from a collapsed one, of z [n, d]. */
export interface CollapseMetrics {
  /** {@link embeddingDeviation}. */
  readonly deviation: number;
  /** {@link normalizedDeviation}: 1 healthy, 0 collapsed. */
  readonly normalizedDeviation: number;
  /** RankMe as published, of the un-centred embeddings. */
  readonly rankMe: number;
  readonly rankMeCentred: number;
  readonly effectiveRank: number;
  /** NaN where the spectrum has fewer than two positive eigenvalues. */
  readonly alphaReQ: number;
  readonly uniformity: number;
  /** NaN for one dimension. */
  readonly meanOffDiagonalCorrelation: number;
  /** {@link alignment} with the second view; NaN without one. */
  readonly alignment: number;
  /** {@link lidar} of both views; NaN without a second. */
  readonly lidar: number;
  /** Eigenvalues of the covariance, in descending order. */
  readonly spectrum: readonly number[];
}

export interface CollapseOptions {
  /** Uniformity, which takes n² pairs, is of so many first rows at most; 2048, unless given. */
  readonly pairs?: number;
  /** Another view of the same samples, [n, d]: what alignment and LiDAR are told by. */
  readonly second?: HostArray;
}

/**
 * All collapse metrics of embeddings [n, d], in memory. RankMe and its kin take about 2nd² + 16d³ operations on the calling thread: for d in the
 * thousands, give a sample of rows.
 * @throws TensegrityError `shape` for fewer than 2 samples.
 */
export async function collapseMetrics(z: HostArray, given: CollapseOptions = {}): Promise<CollapseMetrics> {
  const { pairs, second } = options('collapseMetrics', given, { pairs: 2048, second: undefined });
  const embedding = tensor(z);
  checkEmbedding(embedding, 'collapseMetrics');
  const [n, d] = [z.shape[0]!, z.shape[1]!];
  const graph = {
    deviation: embeddingDeviation(embedding),
    normalizedDeviation: normalizedDeviation(embedding),
    uniformity: uniformity(embedding.slice([0, Math.min(n, pairs)])),
    ...(d >= 2 && { meanOffDiagonalCorrelation: meanOffDiagonalCorrelation(embedding) }),
    ...(second && { alignment: alignment(embedding, tensor(second)) }),
  };
  await realize(...Object.values(graph));
  // The decomposition is what takes time: one of the centred embeddings serves three metrics.
  const centred = singularValues(z, { centred: true });
  const spectrum = centred.map((value) => (value * value) / (n - 1));
  return {
    deviation: await graph.deviation.item(),
    normalizedDeviation: await graph.normalizedDeviation.item(),
    uniformity: await graph.uniformity.item(),
    meanOffDiagonalCorrelation: (await graph.meanOffDiagonalCorrelation?.item()) ?? NaN,
    alignment: (await graph.alignment?.item()) ?? NaN,
    lidar: second ? lidar(interleaved(z, second)) : NaN,
    rankMe: rankMe(z),
    rankMeCentred: entropyRank(centred, 1e-7),
    effectiveRank: entropyRank(centred),
    alphaReQ: positiveCount(spectrum) >= 2 ? alphaReQ(spectrum) : NaN,
    spectrum: [...spectrum],
  };
}

/** Two views [n, d] as [n, 2, d]. */
function interleaved(first: HostArray, second: HostArray): HostArray {
  const [n, d] = [first.shape[0]!, first.shape[1]!];
  const data = new Float64Array(2 * n * d);
  for (let i = 0; i < n; i++) {
    data.set(first.data.subarray(i * d, (i + 1) * d), 2 * i * d);
    data.set(second.data.subarray(i * d, (i + 1) * d), (2 * i + 1) * d);
  }
  return { dtype: 'f64', shape: [n, 2, d], data };
}
