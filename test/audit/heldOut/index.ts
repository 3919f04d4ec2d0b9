/**
 * Mistakes that the audit's author has not seen, to measure how many are found the first time. They are not in `mistakes/`, were not read in public
 * code, and are to be read only after that.
 */
import {
  centred,
  columnMeans,
  cosines,
  dot,
  identity,
  logSumExp,
  type Matrix,
  map,
  mean,
  meanSquaredError,
  multiply,
  normalized,
  scale,
  softmax,
  sum,
  transpose,
  type Vector,
  widthOf,
} from '../implementations/arithmetic.ts';
import {
  crossEntropyOf,
  type DINO,
  halves,
  type SimCLR,
  type SimSiam,
  type Sinkhorn,
  type SwAV,
  scoresOf,
  simsiam,
} from '../implementations/contrast.ts';
import { lossOf, lossWithGradients, type Pair, type Predicted, type Views } from '../implementations/formula.ts';
import {
  type BarlowTwins,
  type CorInfoMax,
  columnsNormalized,
  concentration,
  directionsOf,
  distanceToMean,
  type FroSSL,
  hinge,
  information,
  redundancy,
  type Slices,
  standardized,
  type TiCo,
  type VICReg,
} from '../implementations/information.ts';
import type { Mistake } from '../mistake.ts';

/** Samples first, prototypes last. */
const sinkhornInTheOtherOrder = (scores: Matrix, { epsilon = 0.05, iterations = 3 }: Sinkhorn): number[][] => {
  const divided = (rows: Matrix): number[][] => rows.map((row) => row.map((value) => value / sum(row)));
  const greatest = Math.max(...scores.flat());
  let q: Matrix = map(scores, (value) => Math.exp((value - greatest) / epsilon));
  for (let i = 0; i < iterations; i++) q = transpose(divided(transpose(divided(q))));
  return scale(q, scores.length / widthOf(scores));
};

export const mistakes: readonly Mistake[] = [
  {
    family: 'vicreg',
    name: 'invariance of what is centred',
    sentence: 'Both views lose their mean before the invariance is taken, so that a translation of one of them costs nothing.',
    source: 'none: thought of',
    loss: lossOf<Pair, VICReg>(([za, zb], _constants, { invariance = 25, variance = 25, covariance = 1, ...rest }) => {
      return (
        invariance * meanSquaredError(centred(za), centred(zb)) +
        (variance * (hinge(za, rest) + hinge(zb, rest))) / 2 +
        covariance * (redundancy(za) + redundancy(zb))
      );
    }),
  },
  {
    family: 'barlow-twins',
    name: 'upper triangle',
    sentence:
      'The elements off the diagonal are those above it only, as if the cross-correlation were symmetric: exchanging the views matters.',
    source: 'none: thought of',
    loss: lossOf<Pair, BarlowTwins>(([za, zb], _constants, { offDiagonal = 0.0051, scale: factor = 1, epsilon = 1e-5 }) => {
      const c = scale(multiply(transpose(standardized(za, epsilon)), standardized(zb, epsilon)), 1 / za.length);
      const part = (of: (value: number, i: number, j: number) => number): number => sum(map(c, of).map(sum));
      return (
        factor *
        (part((value, i, j) => (i === j ? (value - 1) ** 2 : 0)) + 2 * offDiagonal * part((value, i, j) => (i < j ? value ** 2 : 0)))
      );
    }),
  },
  {
    family: 'simclr',
    name: 'negatives of the other view only',
    sentence: "Each row is told from the other view's rows only, and not from those of its own: n in the denominator, not 2n − 1.",
    source: 'none: thought of',
    loss: lossOf<Pair, SimCLR>(([za, zb], _constants, { temperature = 0.5, dialect = 'mean' }) => {
      const [a, b] = [normalized(za, 1e-6), normalized(zb, 1e-6)];
      const direction = (from: Matrix, to: Matrix): number =>
        mean(
          from.map((row, i) => {
            const scores = to.map((other) => dot(row, other) / temperature);
            return logSumExp(scores) - scores[i]!;
          }),
        );
      return ((direction(a, b) + direction(b, a)) / 2) * (dialect === 'google' ? 2 : 1);
    }),
  },
  {
    family: 'swav',
    name: 'prototypes last',
    sentence: "Sinkhorn's turns end with the prototypes' shares, not with the samples', so that a sample's assignment does not sum to 1.",
    source: 'none: thought of',
    loss: lossOf<Views, SwAV>((views, constants, { temperature = 0.1, prototypes, queue1 = [], queue2 = [], ...rest }) => {
      const predictions = views.map((view) => scale(scoresOf(view, prototypes), 1 / temperature));
      const terms = [queue1, queue2].flatMap((queue, i) => {
        const assigned = sinkhornInTheOtherOrder(scoresOf([...constants[i]!, ...queue], prototypes), rest);
        return predictions.flatMap((own, v) => (v === i ? [] : [crossEntropyOf(assigned.slice(0, own.length), own)]));
      });
      return mean(terms);
    }),
    options: { iterations: 3 },
  },
  {
    family: 'dino',
    name: 'centred after the temperature',
    sentence: "The centre is subtracted from the teacher's outputs after these were divided by the temperature: t/τ − c for (t − c)/τ.",
    source: 'none: thought of',
    loss: lossOf<readonly [Matrix, Matrix, ...Matrix[]], DINO>(
      ([, , ...students], [t1, t2], { studentTemperature = 0.1, teacherTemperature = 0.04, centre }) => {
        const targets = [t1, t2].map((view) => view.map((row) => softmax(row.map((value, j) => value / teacherTemperature - centre[j]!))));
        const logits = students.map((view) => map(view, (value) => value / studentTemperature));
        return mean(targets.flatMap((target, i) => logits.flatMap((own, v) => (v === i ? [] : [crossEntropyOf(target, own)]))));
      },
    ),
  },
  {
    family: 'simsiam',
    name: 'the wrong side detached',
    sentence: 'The predictions are constants, and the projections have the gradient.',
    source: 'none: thought of',
    options: { stopGradient: 'on' },
    loss: lossWithGradients<Predicted, SimSiam>((live, constants) => {
      const [[, , z1, z2], [p1, p2]] = [live, constants].map((views) => halves(views as readonly [Matrix, Matrix])) as [
        [Matrix, Matrix, Matrix, Matrix],
        [Matrix, Matrix, Matrix, Matrix],
      ];
      return simsiam([p1, p2, z1, z2], [p1, p2, z1, z2], { stopGradient: 'on' });
    }),
    shows: 'gradients',
  },
  {
    family: 'sigreg',
    name: 'real part only',
    sentence:
      'The characteristic function is compared by its real part: the sines are left out, so that what is odd in the distribution counts only half.',
    source: 'none: thought of',
    loss: lossOf<Views, Slices>((views, _constants, context) =>
      mean(
        views.flatMap((z) =>
          directionsOf(widthOf(z), context).map((direction) => {
            const x: Vector = z.map((row) => dot(row, direction));
            const terms = Array.from({ length: 17 }, (_, k) => {
              const t = (k * 3) / 16;
              const normal = Math.exp((-t * t) / 2);
              return (mean(x.map((value) => Math.cos(t * value))) - normal) ** 2 * normal * (3 / 16) * (k === 0 || k === 16 ? 1 : 2);
            });
            return x.length * sum(terms);
          }),
        ),
      ),
    ),
  },
  {
    family: 'tico',
    name: 'covariance of the step before',
    sentence: 'The contrast is with the covariance before the batch, which is moved only afterwards.',
    source: 'none: thought of',
    loss: lossOf<Pair, TiCo>(
      ([za, zb], _constants, { dialect = 'paper', contrast = dialect === 'sayannag' ? 20 : 8, runningCovariance }) => {
        const rows = normalized(za);
        const before = runningCovariance ?? scale(identity(widthOf(za)), 0);
        return (
          (dialect === 'lightly' ? 1 : 0) -
          mean(cosines(za, zb)) +
          contrast * mean(multiply(rows, before).map((row, i) => dot(row, rows[i]!)))
        );
      },
    ),
  },
  {
    family: 'frossl',
    dialect: 'official',
    name: 'norm not squared',
    sentence: 'The logarithm is of the norm, not of its square: the factor 2 of the regularization is missing.',
    source: 'none: thought of',
    loss: lossOf<Views, FroSSL>((views, _constants, { invariance = 1 }) => {
      const columns = views.map((view) => columnsNormalized(view, 'official'));
      const factor = widthOf(views[0]) * views.length ** 2;
      return sum(columns.map(concentration)) + invariance * factor * distanceToMean(columns);
    }),
  },
  {
    family: 'corinfomax',
    name: "first view's state for both",
    sentence: "The second view's moments are moved from the running mean and covariance of the first.",
    source: 'none: thought of',
    loss: lossOf<Pair, CorInfoMax>(([za, zb], _constants, context) => {
      const { invariance = 500, meanA = columnMeans(za).map(() => 0), covarianceA = identity(widthOf(za)) } = context;
      return (
        invariance * meanSquaredError(za, zb) - information(za, meanA, covarianceA, context) - information(zb, meanA, covarianceA, context)
      );
    }),
  },
];
