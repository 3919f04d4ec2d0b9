import {
  add,
  centred,
  cholesky,
  columnMeans,
  covarianceOf,
  identity,
  lessRow,
  type Matrix,
  map,
  multiply,
  norm,
  orthogonalized,
  scale,
  solveLower,
  subtract,
  transpose,
  variances,
  widthOf,
} from '../implementations/arithmetic.ts';
import { type Formula, type Loss, lossOf, lossWithGradients, type Pair } from '../implementations/formula.ts';
import {
  type BarlowTwins,
  barlowTwins,
  standardized,
  towardsIdentity,
  type WMSE,
  whitenedPairs,
  wmse,
} from '../implementations/information.ts';
import type { Mistake } from '../mistake.ts';

/** Barlow Twins of views that are standardised as `of` says, with a divisor of the products. */
const correlating =
  (of: (views: Pair, epsilon: number) => Pair, divisor = (n: number) => n): Formula<Pair, BarlowTwins> =>
  (views, _constants, { epsilon = 1e-5, ...rest }) => {
    const [a, b] = of(views, epsilon);
    return towardsIdentity(scale(multiply(transpose(a), b), 1 / divisor(a.length)), rest);
  };

/** Columns less their mean, divided by what `of` makes of their unbiased variances. */
const dividedBy =
  (of: (unbiased: number, n: number) => number) =>
  (z: Matrix): number[][] => {
    const deviations = variances(z).map((variance) => of(variance, z.length));
    return map(centred(z), (value, _, j) => value / deviations[j]!);
  };

const halfGradients: Loss = (...inputs) => {
  const outcome = lossWithGradients(barlowTwins)(...inputs);
  return typeof outcome === 'number' ? outcome : { ...outcome, gradients: outcome.gradients!.map((gradient) => scale(gradient, 1 / 2)) };
};

/** W-MSE whose views are whitened by `of` their rows, their mean and their shrunk covariance. */
const whitening =
  (of: (rows: Matrix, sigma: Matrix) => Matrix): Formula<Pair, WMSE> =>
  (views, _constants, context) =>
    whitenedPairs(views, context, (z) => {
      const { epsilon = 0 } = context;
      return of(centred(z), add(scale(covarianceOf(z), 1 - epsilon), scale(identity(widthOf(z)), epsilon)));
    });

/** x with Lᵀ·x = y, for lower triangular L. */
function solveUpper(l: Matrix, y: readonly number[]): number[] {
  const turned = l.map((row) => row.toReversed()).reverse();
  return solveLower(transpose(turned), y.toReversed()).reverse();
}

export const mistakes: readonly Mistake[] = [
  {
    family: 'barlow-twins',
    name: 'unbiased deviation',
    sentence:
      'Columns are divided by their unbiased deviation (n − 1), and their products by n: of equal views the diagonal is (n − 1)/n, not 1.',
    source: 'Project-MONAI/MONAI:monai/losses/barlow_twins.py; yaohungt/Barlow-Twins-HSIC #6',
    loss: lossOf(correlating((views, epsilon) => views.map(dividedBy((unbiased) => Math.sqrt(unbiased + epsilon))) as unknown as Pair)),
  },
  {
    family: 'barlow-twins',
    name: 'epsilon outside the root',
    sentence: 'ε is added to the deviation, not to the variance under the root.',
    source: 'rbalestr-lab/stable-pretraining:stable_pretraining/losses/joint_embedding.py',
    loss: lossOf(
      correlating(
        (views, epsilon) => views.map(dividedBy((unbiased, n) => Math.sqrt((unbiased * (n - 1)) / n) + epsilon)) as unknown as Pair,
      ),
    ),
  },
  {
    family: 'barlow-twins',
    name: 'statistics mixed',
    sentence: 'Both views are standardised by the mean and deviation of both together, so that a scale of one view changes the loss.',
    source: 'lightly-ai/lightly #1806',
    loss: lossOf(
      correlating(([za, zb], epsilon) => {
        const both = standardized([...za, ...zb], epsilon);
        return [both.slice(0, za.length), both.slice(za.length)];
      }),
    ),
  },
  {
    family: 'barlow-twins',
    name: 'twice the batch',
    sentence: "The products are divided by the number of both views' rows, taken before they were split: no correlation is above ½.",
    source: 'facebookresearch/vissl #230',
    loss: lossOf(
      correlating(
        ([za, zb], epsilon) => [standardized(za, epsilon), standardized(zb, epsilon)],
        (n) => 2 * n,
      ),
    ),
  },
  {
    family: 'barlow-twins',
    name: 'weight lost in a copy',
    sentence: 'The weight λ is multiplied into a copy of the elements off the diagonal, so that they count as much as those on it.',
    source: 'J. Zbontar et al., ICML 2021, Algorithm 1 (off_diagonal(c_diff).mul_), with an off_diagonal that flattens',
    loss: lossOf<Pair, BarlowTwins>((views, constants, context) => barlowTwins(views, constants, { ...context, offDiagonal: 1 })),
  },
  {
    family: 'barlow-twins',
    name: 'factor of the gradient',
    sentence: 'The gradient lacks the factor 2 of the squares.',
    source: 'davisking/dlib #2518',
    loss: halfGradients,
    shows: 'gradients',
  },
  {
    family: 'w-mse',
    name: 'second view detached',
    sentence: 'The second view is a constant, as if it were a target: it has no gradient.',
    source: 'vturrisi/solo-learn:solo/losses/wmse.py',
    loss: lossWithGradients<Pair, WMSE>(([za], constants, context) => wmse([za, constants[1]], constants, context)),
    shows: 'gradients',
  },
  {
    family: 'w-mse',
    name: 'whitened together',
    sentence: 'Both views are whitened by the mean and covariance of both together, where each has its own.',
    source: 'rbalestr-lab/stable-pretraining:stable_pretraining/methods/wmse.py',
    loss: lossOf<Pair, WMSE>(([za, zb], _constants, context) => {
      const both = [...za, ...zb];
      const { epsilon = 0 } = context;
      const l = cholesky(add(scale(covarianceOf(both), 1 - epsilon), scale(identity(widthOf(za)), epsilon)));
      const middle = columnMeans(both);
      return whitenedPairs([za, zb], { ...context, subBatch: za.length }, (z) => lessRow(z, middle).map((row) => solveLower(l, row)));
    }),
    options: { whitening: 'cholesky' },
  },
  {
    family: 'w-mse',
    name: 'mean over dimensions',
    sentence: 'The square distance of rows of length 1 is divided by their width, since it is a mean over all elements: it is in [0, 4/d].',
    source: 'rbalestr-lab/stable-pretraining:stable_pretraining/methods/wmse.py (F.mse_loss of normalised rows)',
    loss: lossOf<Pair, WMSE>((views, constants, context) => wmse(views, constants, context) / widthOf(views[0])),
    options: { distance: 'normalized' },
  },
  {
    family: 'w-mse',
    name: 'transposed factor',
    sentence:
      "Rows are multiplied by the inverse of Cholesky's factor where its transpose belongs: the covariance of what comes out is not I.",
    source: 'tidymodels/themis #284',
    loss: lossOf(
      whitening((rows, sigma) => {
        const l = cholesky(sigma);
        return rows.map((row) => solveUpper(l, row));
      }),
    ),
    options: { whitening: 'cholesky' },
  },
  {
    family: 'w-mse',
    name: 'not rotated back',
    sentence: 'ZCA leaves out the last factor Vᵀ of V·Λ^−½·Vᵀ, so that each view is whitened along axes of its own.',
    source: 'rosejn/torch-datasets #29',
    loss: lossOf(
      whitening((rows, sigma) => {
        const { columns, vectors } = orthogonalized(sigma);
        return map(multiply(rows, transpose(vectors)), (value, _, j) => value / Math.sqrt(norm(columns[j]!)));
      }),
    ),
    options: { whitening: 'zca' },
  },
  {
    family: 'w-mse',
    name: 'mean left in',
    sentence: 'Rows are whitened without having lost their mean, though the covariance is about it.',
    source: 'trap of htdt/self-supervised:methods/whitening.py (xn, not x, goes through the last convolution)',
    loss: lossOf<Pair, WMSE>(([za, zb], _constants, context) => {
      const { epsilon = 0 } = context;
      return whitenedPairs([za, zb], context, (z) => {
        const l = cholesky(subtract(scale(covarianceOf(z), 1 - epsilon), scale(identity(widthOf(z)), -epsilon)));
        return z.map((row) => solveLower(l, row));
      });
    }),
    options: { whitening: 'cholesky' },
  },
];
