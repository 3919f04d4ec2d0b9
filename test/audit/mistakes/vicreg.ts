import {
  centred,
  covarianceOf,
  dot,
  gram,
  type Matrix,
  map,
  mean,
  meanSquaredError,
  multiply,
  offDiagonalSquares,
  scale,
  sum,
  transpose,
  variances,
  widthOf,
} from '../implementations/arithmetic.ts';
import { type Formula, given, type Loss, lossOf, lossWithGradients, type Pair } from '../implementations/formula.ts';
import { type Hinge, hinge, meanCorrelation, redundancy, type VICReg, vicreg, type Weights } from '../implementations/information.ts';
import type { Mistake } from '../mistake.ts';

interface Terms {
  readonly variance?: (z: Matrix, options: Hinge) => number;
  readonly covariance?: (z: Matrix) => number;
}

/** The official loss, but for some of its terms. */
const officialBut =
  ({ variance: v = hinge, covariance: c = redundancy }: Terms): Formula<Pair, VICReg> =>
  ([za, zb], _constants, { invariance = 25, variance = 25, covariance = 1, ...rest }) =>
    invariance * meanSquaredError(za, zb) + (variance * (v(za, rest) + v(zb, rest))) / 2 + covariance * (c(za) + c(zb));

const withoutEpsilon = (z: Matrix, { gamma = 1 }: Hinge): number =>
  mean(variances(z).map((variance) => Math.max(0, gamma - Math.sqrt(variance))));

/** The gradient of the official loss by the view z whose other is `other`, for deviations √var: 0/0 where nothing varies. */
function gradientWithoutEpsilon(
  z: Matrix,
  other: Matrix,
  { invariance = 25, variance = 25, covariance = 1, gamma = 1 }: VICReg,
): number[][] {
  const [n, d] = [z.length, widthOf(z)];
  const deviations = variances(z).map(Math.sqrt);
  const inner = centred(z);
  const mixed = multiply(
    inner,
    map(covarianceOf(z), (value, i, j) => (i === j ? 0 : value)),
  );
  return map(z, (value, i, j) => {
    const deviation = deviations[j]!;
    const pulled = deviation < gamma ? -inner[i]![j]! / ((n - 1) * d * deviation) : 0;
    return (
      (invariance * 2 * (value - other[i]![j]!)) / (n * d) + (variance * pulled) / 2 + (covariance * 4 * mixed[i]![j]!) / (d * (n - 1))
    );
  });
}

const noEpsilon: Loss = (...inputs) => {
  const [[za, zb], context] = given(inputs) as unknown as [Pair, VICReg];
  const loss = officialBut({ variance: withoutEpsilon })([za, zb], [za, zb], context);
  return { loss, gradients: [gradientWithoutEpsilon(za, zb, context), gradientWithoutEpsilon(zb, za, context)] };
};

const halved =
  (loss: Loss): Loss =>
  (...inputs) => {
    const outcome = loss(...inputs);
    return typeof outcome === 'number' ? outcome : { ...outcome, gradients: outcome.gradients!.map((gradient) => scale(gradient, 1 / 2)) };
  };

const vibcregBut =
  (covarianceTerm: (z: Matrix) => number): Formula<Pair, Weights & Hinge> =>
  ([za, zb], _constants, { invariance = 25, variance = 25, covariance = 200, ...rest }) =>
    invariance * meanSquaredError(za, zb) +
    variance * (hinge(za, rest) + hinge(zb, rest)) +
    covariance * (covarianceTerm(za) + covarianceTerm(zb));

export const mistakes: readonly Mistake[] = [
  {
    family: 'vicreg',
    name: 'biased variance',
    sentence: 'The variance in the hinge is biased: it is divided by n, not by n − 1.',
    source: 'tensorflow/similarity:tensorflow_similarity/losses/vicreg.py (reduce_variance)',
    loss: lossOf(
      officialBut({
        variance: (z, { gamma = 1, epsilon = 1e-4 }) =>
          mean(variances(z, z.length).map((variance) => Math.max(0, gamma - Math.sqrt(variance + epsilon)))),
      }),
    ),
  },
  {
    family: 'vicreg',
    name: 'no epsilon',
    sentence: 'Nothing is added to the variance under the root, so that the gradient is NaN where a dimension does not vary.',
    source: 'augustwester/vicreg:loss.py',
    loss: noEpsilon,
    shows: 'gradients',
  },
  {
    family: 'vicreg',
    dialect: 'official',
    name: 'hinges not halved',
    sentence: 'The variance terms of both views are added up, where the official code takes their mean: collapse costs twice as much.',
    source: 'KevinMusgrave/pytorch-metric-learning #467',
    loss: lossOf<Pair, VICReg>((views, constants, context) => vicreg(views, constants, { ...context, dialect: 'solo-learn' })),
  },
  {
    family: 'vicreg',
    name: 'covariance of samples',
    sentence: 'The covariance is of samples, X·Xᵀ, not of dimensions, Xᵀ·X.',
    source: 'facebookresearch/vicreg #25 (proposed there)',
    loss: lossOf(officialBut({ covariance: (z) => offDiagonalSquares(scale(gram(centred(z)), 1 / (z.length - 1))) / widthOf(z) })),
  },
  {
    family: 'vicreg',
    dialect: 'vicregl',
    name: 'overwritten',
    sentence:
      'Variance and covariance of the second view take the place of those of the first, instead of being added; the mean is half of what is left.',
    source: 'facebookresearch/VICRegL #6',
    loss: lossOf<Pair, VICReg>(([za, zb], _constants, { invariance = 25, variance = 25, covariance = 1, ...rest }) => {
      return invariance * meanSquaredError(za, zb) + (variance * hinge(zb, rest)) / 2 + (covariance * redundancy(zb)) / 2;
    }),
  },
  {
    family: 'vicreg',
    name: 'covariance not centred',
    sentence: 'The covariance is of embeddings that have not lost their mean, so that a translation changes the loss.',
    source: 'KevinMusgrave/pytorch-metric-learning #467 (the replacement proposed there)',
    loss: lossOf(officialBut({ covariance: (z) => offDiagonalSquares(scale(gram(transpose(z)), 1 / (z.length - 1))) / widthOf(z) })),
  },
  {
    family: 'vicreg',
    name: 'covariances not squared',
    sentence: 'The covariances off the diagonal are added up without being squared, so that negative ones are rewarded.',
    source: 'changun/CollMetric #20',
    loss: lossOf(
      officialBut({ covariance: (z) => sum(map(covarianceOf(z), (value, i, j) => (i === j ? 0 : value)).map(sum)) / widthOf(z) }),
    ),
  },
  {
    family: 'vicreg',
    name: 'nominal batch',
    sentence: 'The covariance is divided by the number of samples that a batch should have, 256 less 1, whatever it has.',
    source: 'facebookresearch/vicreg:main_vicreg.py (args.batch_size, without drop_last)',
    loss: lossOf(officialBut({ covariance: (z) => offDiagonalSquares(covarianceOf(z, 255)) / widthOf(z) })),
  },
  {
    family: 'vicreg',
    name: 'gradients over devices',
    sentence:
      'The gradients of gathered embeddings are not added up over the devices, of which there are two, so that half is left of them.',
    source: 'lightly-ai/lightly #1528, #1531; #1920, #1977',
    loss: halved(lossWithGradients(vicreg)),
    shows: 'gradients',
  },
  {
    family: 'vibcreg',
    name: 'covariance for correlation',
    sentence: "VICReg's covariance term stands where that of correlations should, and counts with the weight of those.",
    source: 'ML4ITS/vibcreg:pypilib/vibcreg/losses.py has both, a line apart',
    loss: lossOf(vibcregBut(redundancy)),
  },
  {
    family: 'vibcreg',
    name: 'mean off the diagonal',
    sentence: 'The mean of squared correlations is over the d(d − 1) elements off the diagonal, not over all d².',
    source: 'trap of ML4ITS/vibcreg:pypilib/vibcreg/losses.py (fill_diagonal_, then mean)',
    loss: lossOf(vibcregBut((z) => (widthOf(z) === 1 ? 0 : (meanCorrelation(z) * widthOf(z)) / (widthOf(z) - 1)))),
  },
  {
    family: 'vibcreg',
    name: 'rows normalised',
    sentence: 'What has lost its mean is scaled to length 1 by rows, the default axis, and not by columns: these are no correlations.',
    source: 'OFSkean/FroSSL 3ff28da:solo/losses/frossl.py (F.normalize of [n, d] without dim)',
    loss: lossOf(
      vibcregBut((z) => {
        const rows = centred(z).map((row) => row.map((value) => value / Math.max(Math.sqrt(dot(row, row)), 1e-12)));
        return offDiagonalSquares(gram(transpose(rows))) / widthOf(z) ** 2;
      }),
    ),
  },
];
