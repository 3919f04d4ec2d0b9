import { eye, stack, type Tensor } from '../../engine/core.ts';
import { check, options } from '../../engine/internal.ts';
import { cosineSimilarity, normalize } from '../nn/functional.ts';
import { logDeterminant } from '../regularizers/matrix.ts';
import { checkAllViews, checkEmbedding, gram } from '../regularizers/statistics.ts';
import { anyViews, arrayLoss } from './arrayLoss.ts';
import { number } from './options.ts';

/**
 * The coding rate of one view z [n, d], rows as they are: ½·ln det(I + d/(n·ε)·zᵀz), about how many nats it takes to tell the rows up to an error.
 * It is 0 where all rows are 0, and of rows of length 1 at least ½·ln(1 + d/ε), where they are one, and at most ½·r·ln(1 + d/(r·ε)) with
 * r = min(n, d), where they are spread evenly. (The code has ε where the paper has ε².)
 * (Y. Yu et al., NeurIPS 2020, Eq. 7, MCR²; tsb0601/EMP-SSL:loss.py, TotalCodingRate)
 * @throws TensegrityError `shape`, `dtype`, `argument` unless ε is above 0.
 */
export function codingRate(z: Tensor, epsilon = 0.2): Tensor {
  checkEmbedding(z, 'codingRate', 1);
  check(epsilon > 0 && epsilon < Infinity, 'argument', () => `codingRate: epsilon must be above 0, got ${epsilon}`);
  const [n, d] = [z.shape[0]!, z.shape[1]!];
  // det(I + XᵀX) = det(I + XXᵀ): of the smaller one.
  const smaller = gram(n < d ? z : z.transpose());
  return logDeterminant(smaller.mul(d / (n * epsilon)).add(eye(Math.min(n, d), z.dtype))).mul(0.5);
}

export interface EMPSSLOptions {
  /** Weight of the coding rate; 1, unless given. */
  readonly codingRate?: number;
  /** Weight of the similarity; 200, unless given. */
  readonly similarity?: number;
  /** The ε of {@link codingRate}; .2, unless given. */
  readonly epsilon?: number;
}

/** The loss, and its parts before their weights: loss = −codingRate − similarity, each with its weight. */
export type EMPSSLLoss = Readonly<Record<'loss' | 'codingRate' | 'similarity', Tensor>>;

/**
 * EMP-SSL of any number of views [n, d] with rows scaled to length 1: the {@link codingRate} grows, and so does the cosine between each view and the
 * mean of all; mean over views and samples. (S. Tong, Y. Chen, Y. Ma, Y. LeCun, arXiv 2304.03977, Eq. 4; tsb0601/EMP-SSL:main.py, loss.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for fewer than 2 views, and for an option that
 * is unknown or out of its range.
 */
export function empssl(views: readonly Tensor[], given: EMPSSLOptions = {}): EMPSSLLoss {
  const { codingRate: mu, similarity: lambda, epsilon } = options('empssl', given, { codingRate: 1, similarity: 200, epsilon: 0.2 });
  checkAllViews(views, 'empssl');
  const rows = views.map((view) => normalize(view));
  const all = stack(rows);
  const parts = {
    codingRate: stack(rows.map((view) => codingRate(view, epsilon))).mean(),
    similarity: cosineSimilarity(all, all.mean(0).expand(all.shape)).mean(),
  };
  return { loss: parts.codingRate.mul(-mu).sub(parts.similarity.mul(lambda)), ...parts };
}

/** The loss of files: any number of views. */
export const empsslOfArrays = () =>
  arrayLoss({
    title: 'EMP-SSL',
    source: 'S. Tong et al., arXiv 2304.03977; tsb0601/EMP-SSL',
    options: {
      codingRate: number(1, 'weight of the coding rate'),
      similarity: number(200, 'weight of the cosine with the mean of all views'),
      epsilon: number(0.2, 'error up to which the coding rate tells rows apart; above 0'),
    },
    embeddings: anyViews,
    compute: (views, given) => empssl(views, given),
  });

/** TCR alone of files: minus the coding rate of rows of length 1, mean over any number of views. */
export const tcrOfArrays = () =>
  arrayLoss({
    title: 'TCR',
    source: 'Y. Yu et al., NeurIPS 2020; tsb0601/EMP-SSL',
    options: { epsilon: number(0.2, 'error up to which the coding rate tells rows apart; above 0') },
    embeddings: [{ names: ['z1'], more: 'z' }],
    compute: (views, { epsilon }) => ({
      loss: stack(views.map((view) => codingRate(normalize(view), epsilon)))
        .mean()
        .neg(),
    }),
  });
