import {
  add,
  average,
  centred,
  columnMeans,
  cosines,
  covarianceOf,
  dot,
  gram,
  identity,
  lessRow,
  logDeterminant,
  type Matrix,
  mean,
  meanSquaredError,
  multiply,
  normalized,
  nuclearNorm,
  scale,
  sum,
  transpose,
  type Vector,
  widthOf,
} from '../implementations/arithmetic.ts';
import { type Formula, lossOf, lossWithGradients, type Pair, type Views } from '../implementations/formula.ts';
import {
  type CorInfoMax,
  codingRate,
  concentration,
  corInfoMax,
  distanceToMean,
  type FroSSL,
  frossl,
  type LeJEPA,
  lejepa,
  type MMCR,
  type Slices,
  sigreg,
  type TCR,
  type TiCo,
  tcr,
  tico,
} from '../implementations/information.ts';
import type { Mistake } from '../mistake.ts';

/** TiCo with the batch's part of the covariance, and its rows, as they are said. */
const ticoBut =
  (batchOf: (a: Matrix, b: Matrix) => Matrix, prepare = (z: Matrix): Matrix => z): Formula<Pair, TiCo> =>
  (
    [za, zb],
    _constants,
    { covarianceMomentum = 0.9, dialect = 'paper', contrast = dialect === 'sayannag' ? 20 : 8, runningCovariance },
  ) => {
    const [a, b] = [normalized(prepare(za)), normalized(prepare(zb))];
    const before = runningCovariance ?? scale(identity(widthOf(za)), 0);
    const c = add(scale(before, covarianceMomentum), scale(batchOf(a, b), 1 - covarianceMomentum));
    return (dialect === 'lightly' ? 1 : 0) - mean(cosines(a, b)) + contrast * mean(multiply(a, c).map((row, i) => dot(row, a[i]!)));
  };

/** CorInfoMax whose covariance after the batch is as `of` says of a view's rows, its mean and its covariance before it, and λ. */
const corInfoMaxBut =
  (of: (z: Matrix, before: Vector, covariance: Matrix, momentum: number) => Matrix): Formula<Pair, CorInfoMax> =>
  ([za, zb], _constants, { invariance = 500, momentum = 0.01, epsilon = 1e-6, meanA, covarianceA, meanB, covarianceB }) => {
    const held = (z: Matrix, before = columnMeans(z).map(() => 0) as Vector, covariance: Matrix = identity(widthOf(z))): number =>
      logDeterminant(add(of(z, before, covariance, momentum), scale(identity(widthOf(z)), epsilon))) / widthOf(z);
    return invariance * meanSquaredError(za, zb) - held(za, meanA, covarianceA) - held(zb, meanB, covarianceB);
  };

export const mistakes: readonly Mistake[] = [
  {
    family: 'sigreg',
    name: 'views as one sample',
    sentence: 'All views are tested as one sample of V·n rows, where each is one of n, and their mean is taken.',
    source: 'galilai-group/stable-pretraining #413',
    loss: lossOf<Views, Slices>((views, constants, context) => sigreg([views.flat()], constants, context)),
  },
  {
    family: 'lejepa',
    name: 'invariance with all its weight',
    sentence: 'The invariance counts with weight 1, not 1 − λ.',
    source: 'galilai-group/stable-pretraining #413',
    loss: lossOf<Views, LeJEPA>((views, constants, context) => {
      const { sigreg: lambda = 0.02, globals } = context;
      return lejepa(views, constants, context) + lambda * distanceToMean(views, globals);
    }),
  },
  {
    family: 'lejepa',
    name: 'global views left out',
    sentence: 'Only the small views are tested and drawn to the mean of the global ones, which are left free.',
    source: 'lightly-ai/lightly #2002, #2023',
    options: { globals: 1 },
    loss: lossOf<Views, LeJEPA>((views, constants, { sigreg: lambda = 0.02, globals = views.length, ...rest }) => {
      const [small, centroid] = [views.slice(globals), average(views.slice(0, globals))];
      const invariance = mean(small.map((view) => meanSquaredError(view, centroid)));
      return (1 - lambda) * invariance + lambda * sigreg(small as unknown as Views, constants, rest);
    }),
  },
  {
    family: 'tico',
    name: 'covariance of both views centred',
    sentence:
      'The covariance is of both views together and about their mean, where it is of the first and not centred, so that collapse costs nothing.',
    source: 'rbalestr-lab/stable-pretraining:stable_pretraining/methods/tico.py',
    loss: lossOf(ticoBut((a, b) => covarianceOf([...a, ...b]))),
  },
  {
    family: 'tico',
    dialect: 'lightly',
    name: 'covariance not detached',
    sentence: "The batch's part of the covariance has a gradient, where it is data.",
    source: 'lightly-ai/lightly #1484',
    loss: lossWithGradients<Pair, TiCo>((live, _constants, context) => tico(live, live, context)),
    shows: 'gradients',
  },
  {
    family: 'tico',
    dialect: 'lightly',
    name: 'centred first',
    sentence: 'Embeddings lose their mean over the batch before their rows are scaled, so that a translation does not change the loss.',
    source: 'lightly-ai/lightly #1016',
    loss: lossOf(
      ticoBut(
        (a) => scale(gram(transpose(a)), 1 / a.length),
        (z) => centred(z),
      ),
    ),
  },
  {
    family: 'mmcr',
    name: 'rows not normalised',
    sentence: 'Rows are not scaled to length 1, so that longer ones make the loss as low as one likes.',
    source: 'lightly-ai/lightly:lightly/loss/mmcr_loss.py',
    loss: lossOf<Views, MMCR>((views, _constants, { global: mu = 1, local: lambda = 0 }) => {
      const local = mean(views[0].map((_, i) => nuclearNorm(views.map((view) => view[i]!))));
      return lambda * local - mu * nuclearNorm(average(views));
    }),
  },
  {
    family: 'mmcr',
    name: 'mean of singular values',
    sentence: 'The mean of the singular values is taken, not their sum, the nuclear norm.',
    source: 'jindongwang/transferlearning:code/DeepDA/loss_funcs/bnm.py (a nuclear norm by name)',
    loss: lossOf<Views, MMCR>((views, _constants, { global: mu = 1, local: lambda = 0 }) => {
      const rows = views.map((view) => normalized(view));
      const part = (x: Matrix): number => nuclearNorm(x) / Math.min(x.length, widthOf(x));
      return lambda * mean(views[0].map((_, i) => part(rows.map((view) => view[i]!)))) - mu * part(average(rows));
    }),
  },
  {
    family: 'tcr',
    name: 'sign inverted',
    sentence: 'The coding rate is made small, not great: what is learned is drawn to collapse.',
    source: 'lightly-ai/lightly:lightly/loss/emp_ssl_loss.py',
    loss: lossOf<Views, TCR>((views, constants, context) => -tcr(views, constants, context)),
  },
  {
    family: 'tcr',
    name: 'rows not normalised',
    sentence: 'Rows are not scaled to length 1, so that longer ones make the rate as high as one likes.',
    source: 'lightly-ai/lightly:lightly/loss/emp_ssl_loss.py',
    loss: lossOf<Views, TCR>((views, _constants, context) => -mean(views.map((view) => codingRate(view, context)))),
  },
  {
    family: 'frossl',
    dialect: 'official',
    name: 'rows normalised',
    sentence: 'Rows are scaled to length 1, the default axis, and not columns.',
    source: 'OFSkean/FroSSL 3ff28da:solo/losses/frossl.py',
    loss: lossOf<Views, FroSSL>((views, _constants, { invariance = 1 }) => {
      const rows = views.map((view) => normalized(view));
      const factor = widthOf(views[0]) * views.length ** 2;
      return sum(rows.map((view) => 2 * concentration(view))) + invariance * factor * distanceToMean(rows);
    }),
  },
  {
    family: 'frossl',
    dialect: 'official',
    name: 'number of views left out',
    sentence: 'The distance from the mean is not multiplied by the number of views V for each of them.',
    source: 'OFSkean/FroSSL 3ff28da:solo/losses/frossl.py; vturrisi/solo-learn #390',
    loss: lossOf<Views, FroSSL>((views, constants, context) => frossl(views, constants, { ...context, dialect: 'solo-learn' })),
  },
  {
    family: 'corinfomax',
    name: 'share of the old for that of the new',
    sentence: 'λ is taken as the weight of the batch, where it is that of what was before.',
    source: 'trap of serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py (la_R = .01 weights the old)',
    loss: lossOf<Pair, CorInfoMax>((views, constants, { momentum = 0.01, ...rest }) =>
      corInfoMax(views, constants, { ...rest, momentum: 1 - momentum }),
    ),
  },
  {
    family: 'corinfomax',
    name: "about the batch's mean",
    sentence: "The batch's covariance is about its own mean, not about the running mean just updated.",
    source: 'trap of serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py (new_mu)',
    loss: lossOf(
      corInfoMaxBut((z, _before, covariance, momentum) => add(scale(covariance, momentum), scale(covarianceOf(z, z.length), 1 - momentum))),
    ),
  },
  {
    family: 'corinfomax',
    name: 'about the mean before',
    sentence: "The batch's covariance is about the running mean as it was before the batch.",
    source: 'trap of serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py (mu and new_mu)',
    loss: lossOf(
      corInfoMaxBut((z, before, covariance, momentum) =>
        add(scale(covariance, momentum), scale(gram(transpose(lessRow(z, before))), (1 - momentum) / z.length)),
      ),
    ),
  },
];
