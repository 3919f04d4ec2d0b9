import { type Arithmetic, at, identity, type Matrix, stacked, transposed } from '../arithmetic.ts';
import { formula, type Mistake, type Options } from './formula.ts';

const number = (options: Options, name: string): number => Number(options[name]);

/** What is done to the embeddings before a loss that takes them as they are. */
const preparations = {
  'rows normalised': ['rows are scaled to length 1 before the terms, which take the embeddings as they are'],
  'columns standardised': ['columns are standardised before the terms, so that the variance term sees nothing'],
  'centred first': ['views lose their means before all terms, the invariance included, which is un-centred'],
} as const satisfies Readonly<Record<string, Mistake>>;

function prepared(a: Arithmetic, views: readonly Matrix[], has: (mistake: keyof typeof preparations) => boolean): readonly Matrix[] {
  if (has('rows normalised')) return views.map((z) => a.unitRows(z));
  if (has('centred first')) return views.map((z) => a.centred(z));
  if (!has('columns standardised')) return views;
  return views.map((z) => a.scaled(a.unitColumns(a.centred(z)), Math.sqrt(z.rows - 1)));
}

const varianceMistakes = {
  'biased variance': ['the variance is biased: ÷n instead of ÷(n−1)', 'tensorflow/similarity:losses/vicreg.py'],
  'no epsilon': [
    'there is no ε under the root of the variance, whose slope is without bound where a dimension is constant',
    'augustwester/vicreg',
  ],
  'epsilon outside': ['ε is added outside of the root, √var + ε, instead of inside, √(var + ε)'],
  'epsilon twice': ['ε is added inside of the root and outside of it'],
  'epsilon squared': ['ε enters squared, √(var + ε²)'],
  'epsilon 1e-5': ['ε is 1e-5, not what it is said to be'],
  'epsilon 1e-6': ['ε is 1e-6, not what it is said to be'],
  'epsilon 1e-8': ['ε is 1e-8, not what it is said to be'],
  'epsilon 1e-12': ['ε is 1e-12, not what it is said to be'],
  'epsilon 1e-3': ['ε is 1e-3, not what it is said to be'],
  'hinge on variance': ['the hinge is on the variance, not on its root, the standard deviation'],
  'squared hinge': ['the hinge is squared'],
  'no hinge': ['there is no hinge: γ − S counts where S is above γ as well, so spread is rewarded without end'],
  'absolute hinge': ['|γ − S| instead of max(0, γ − S): spread above γ is punished'],
  'hinge at zero': ['the hinge has no γ: max(0, −S) is always 0'],
  'inverted hinge': ['the hinge is the wrong way round, max(0, S − γ): it asks for collapse'],
  'samples axis': ['deviations are taken within each sample, over its dimensions, instead of over the samples of each dimension'],
  'pooled deviations': ['one deviation is taken of both views together (pooled), instead of one of each'],
  'deviations of the mean view': ['deviations are taken of the mean of both views'],
  'uncentred variance': ['the second moment stands for the variance: the mean is not subtracted'],
  'one deviation': ['the hinge is on the mean of the deviations, so that one wide dimension pays for a collapsed one'],
  'total deviation': ['one deviation is taken over all elements, instead of one of each dimension'],
  'second twice': ['the second view stands in for the first as well: its variance and covariance count twice'],
  'least deviation': ['only the smallest deviation is counted'],
} as const satisfies Readonly<Record<string, Mistake>>;

const epsilons = {
  'epsilon 1e-3': 1e-3,
  'epsilon 1e-5': 1e-5,
  'epsilon 1e-6': 1e-6,
  'epsilon 1e-8': 1e-8,
  'epsilon 1e-12': 1e-12,
} as const;

type Has<Flag extends string> = (mistake: Flag) => boolean;

function hinge(a: Arithmetic, z: Matrix, options: Options, has: Has<keyof typeof varianceMistakes>): number {
  const gamma = has('hinge at zero') ? 0 : number(options, 'gamma');
  const other = Object.entries(epsilons).find(([name]) => has(name as keyof typeof epsilons))?.[1];
  const epsilon = has('no epsilon') ? 0 : (other ?? number(options, 'epsilon'));
  const x = has('total deviation') ? { rows: z.data.length, columns: 1, data: z.data } : has('samples axis') ? transposed(z) : z;
  const squares = a.columnSquares(has('uncentred variance') ? x : a.centred(x));
  const divisor = has('biased variance') ? x.rows : x.rows - 1;
  const deviations = squares.map((square) => {
    const variance = square / divisor;
    if (has('hinge on variance')) return variance;
    if (has('epsilon outside')) return Math.sqrt(variance) + epsilon;
    if (has('epsilon twice')) return Math.sqrt(variance + epsilon) + epsilon;
    if (has('epsilon squared')) return Math.sqrt(variance + epsilon ** 2);
    return Math.sqrt(variance + epsilon);
  });
  const terms = (has('one deviation') ? [a.meanOf(deviations)] : has('least deviation') ? [Math.min(...deviations)] : deviations).map(
    (deviation) => {
      const rest = a.round(gamma - a.round(deviation), gamma);
      if (has('no hinge')) return rest;
      if (has('absolute hinge')) return Math.abs(rest);
      const cut = Math.max(0, has('inverted hinge') ? -rest : rest);
      return has('squared hinge') ? cut ** 2 : cut;
    },
  );
  return a.meanOf(terms);
}

const covarianceMistakes = {
  'biased covariance': ['the covariance is divided by n instead of n−1'],
  'uncentred covariance': ['the covariance is not centred: second moments stand for it, and a shift of the batch changes them'],
  'diagonal included': ['the diagonal of the covariance is not left out: variances are punished with it'],
  'unsquared covariance': ['covariances count by their absolute values, not squared'],
  'signed covariance': ['covariances are added up with their signs, not squared: they cancel'],
  correlation: ['correlations stand in the place of covariances'],
  'sample covariance': ['the Gram matrix of samples [n, n] stands for the covariance of dimensions [d, d] (the wrong axis)'],
  'sample products': ['the covariance is of samples, X·Xᵀ [n, n], not of dimensions, Xᵀ·X [d, d]'],
  'rows centred': ['rows lose their means over the dimensions, where columns are to lose those over the samples (the wrong axis)'],
  'cross covariance': ['the covariance is between the views, not within each: redundancy within a view goes unseen'],
  'pooled covariance': ['one covariance is taken of both views together (pooled), instead of one of each'],
  'rooted covariance': ['the root of the sum of squares (the norm) stands for the sum'],
} as const satisfies Readonly<Record<string, Mistake>>;

/** The sum of squares off the diagonal of the covariance. */
function offDiagonals(a: Arithmetic, z: Matrix, other: Matrix, has: Has<keyof typeof covarianceMistakes>): number {
  const view = has('sample covariance') ? transposed(z) : z;
  const pair = has('cross covariance') ? other : view;
  const centre = (x: Matrix): Matrix =>
    has('uncentred covariance') ? x : has('rows centred') ? transposed(a.centred(transposed(x))) : a.centred(x);
  const [left, right] = [centre(view), centre(pair)];
  const divisor = has('biased covariance') ? view.rows : view.rows - 1;
  const c = has('sample products')
    ? a.scaled(a.product(left, transposed(left)), 1 / divisor)
    : has('correlation')
      ? a.gram(a.unitColumns(left))
      : a.scaled(a.product(transposed(left), right), 1 / divisor);
  const all = has('diagonal included');
  // Most take the diagonal from the whole, which loses what is small beside it.
  const whole = all ? 0 : c.data.reduce((squares, value) => squares + value ** 2, 0);
  const exact = a.sum(c.data.length, (k) => {
    const value = c.data[k]!;
    if (!all && k % (c.columns + 1) === 0) return 0;
    return has('unsquared covariance') ? Math.abs(value) : has('signed covariance') ? value : value ** 2;
  });
  const sum = a.round(exact, whole);
  return has('rooted covariance') ? Math.sqrt(sum) : sum;
}

const invarianceMistakes = {
  'absolute error': ['the invariance is of absolute differences, not squared'],
  'euclidean error': ['the invariance is of distances ‖z − z′‖, not squared'],
  'root mean square': ['the root of the mean square stands for the mean square'],
  'cosine error': ['1 − cosine stands for the mean squared difference'],
  'doubled cosine error': ['distances of rows of length 1 stand for those of the embeddings'],
  'invariance of means': ["the invariance compares the batch's means, not the pairs"],
  'invariance of one view': ['a view is compared with itself, so the invariance is 0'],
} as const satisfies Readonly<Record<string, Mistake>>;

function invariance(a: Arithmetic, za: Matrix, zb: Matrix, has: Has<keyof typeof invarianceMistakes>): number {
  if (has('invariance of one view')) return 0;
  if (has('absolute error')) return a.mean(a.zip(za, zb, (x, y) => Math.abs(x - y)));
  if (has('cosine error')) return 1 - a.meanOf(a.rowProducts(a.unitRows(za), a.unitRows(zb)));
  if (has('invariance of means')) return a.mean(a.map(a.columnMeans(a.sub(za, zb)), (x) => x ** 2));
  const [x, y] = has('doubled cosine error') ? [a.unitRows(za), a.unitRows(zb)] : [za, zb];
  const difference = a.sub(x, y);
  if (has('euclidean error')) return a.meanOf(a.rowSquares(difference).map(Math.sqrt));
  const mean = a.mean(a.map(difference, (value) => value ** 2));
  return has('root mean square') ? Math.sqrt(mean) : mean;
}

const twoViews = {
  columns: ['invariance', 'variance of za', 'variance of zb', 'covariance of za', 'covariance of zb'],
} as const;

/** Which views' statistics the terms of both views are of. */
function sources(views: readonly Matrix[], pooled: boolean): readonly Matrix[] {
  return pooled ? views.map(() => stacked(views)) : views;
}

/** Statistics of one view each, or of what stands for both. */
function deviationViews(a: Arithmetic, views: readonly Matrix[], has: Has<keyof typeof varianceMistakes>): readonly Matrix[] {
  if (has('deviations of the mean view')) return views.map(() => a.zip(views[0]!, views[1]!, (x, y) => (x + y) / 2));
  if (has('second twice')) return [views[1]!, views[1]!];
  return sources(views, has('pooled deviations'));
}

/** What a dialect makes of λ, μ and ν: see `dialects` in models/methods/vicreg.ts, to which tests hold it. */
const dialects: Readonly<Record<string, (d: number) => readonly [invariance: number, variance: number, covariance: number]>> = {
  official: () => [1, 0.5, 1],
  paper: (d) => [d, 1, 1],
  'solo-learn': () => [1, 1, 1],
  vicregl: () => [1, 0.5, 0.5],
};

export const vicreg = formula({
  ...twoViews,
  terms: [
    { name: 'invariance', columns: [0], unit: 1 },
    { name: 'variance', columns: [1, 2], unit: 0.5 },
    { name: 'covariance', columns: [3, 4], unit: 1 },
  ],
  mistakes: { ...preparations, ...varianceMistakes, ...covarianceMistakes, ...invarianceMistakes },
  domain: {},
  weights: (options, { d }) => {
    const [s, v, c] = dialects[String(options['dialect'] ?? 'official')]!(d);
    const [lambda, mu, nu] = [number(options, 'invariance') * s, number(options, 'variance') * v, number(options, 'covariance') * c];
    return [lambda, mu, mu, nu, nu];
  },
  evaluate: (a, { embeddings, options }, has) => {
    const views = prepared(a, embeddings, has);
    const spread = deviationViews(a, views, has).map((z) => hinge(a, z, options, has));
    const related = sources(has('second twice') ? [views[1]!, views[1]!] : views, has('pooled covariance'));
    const d = views[0]!.columns;
    const [ca, cb] = [offDiagonals(a, related[0]!, related[1]!, has) / d, offDiagonals(a, related[1]!, related[0]!, has) / d];
    return [invariance(a, views[0]!, views[1]!, has), spread[0]!, spread[1]!, ca, cb];
  },
});

export const vibcreg = formula({
  ...twoViews,
  terms: [
    { name: 'invariance', columns: [0], unit: 1 },
    { name: 'variance', columns: [1, 2], unit: 1 },
    { name: 'covariance', columns: [3, 4], unit: 1 },
  ],
  mistakes: {
    ...preparations,
    ...varianceMistakes,
    ...covarianceMistakes,
    ...invarianceMistakes,
    'covariance itself': ['covariances stand in the place of correlations, so that the term depends on the scale'],
    'over pairs': ['the mean is over the d(d−1) pairs, not over all d² entries'],
    'rows in correlation': ['rows are scaled to length 1 in the correlation, not centred columns'],
    'over d': ["the sum of squared correlations is divided by d, as VICReg's covariances are, not by d²"],
  },
  domain: { distinct: 'columns' },
  weights: (options) => {
    const [lambda, mu, nu] = [number(options, 'invariance'), number(options, 'variance'), number(options, 'covariance')];
    return [lambda, mu, mu, nu, nu];
  },
  evaluate: (a, { embeddings, options }, has) => {
    const views = prepared(a, embeddings, has);
    const spread = deviationViews(a, views, has).map((z) => hinge(a, z, options, has));
    const d = views[0]!.columns;
    const divisor = has('over pairs') ? Math.max(1, d * (d - 1)) : has('over d') ? d : d ** 2;
    const correlated = sources(has('second twice') ? [views[1]!, views[1]!] : views, has('pooled covariance')).map((z) => {
      if (has('covariance itself')) return z;
      const unit = has('rows in correlation') ? a.unitRows(a.centred(z)) : a.unitColumns(has('uncentred covariance') ? z : a.centred(z));
      // As offDiagonals divides by n−1.
      return a.scaled(unit, Math.sqrt(z.rows - 1));
    });
    // Correlations have been centred, unless that is left out.
    const flags = (mistake: keyof typeof covarianceMistakes): boolean =>
      mistake === 'uncentred covariance' && !has('covariance itself') ? true : mistake !== 'biased covariance' && has(mistake);
    const [ca, cb] = [offDiagonals(a, correlated[0]!, correlated[1]!, flags), offDiagonals(a, correlated[1]!, correlated[0]!, flags)];
    return [invariance(a, views[0]!, views[1]!, has), spread[0]!, spread[1]!, ca / divisor, cb / divisor];
  },
});

export const barlowTwins = formula({
  columns: ['onDiagonal', 'offDiagonal'],
  terms: [
    { name: 'onDiagonal', columns: [0], unit: 1 },
    { name: 'offDiagonal', columns: [1], unit: 1 },
  ],
  mistakes: {
    'unbiased deviation': [
      'deviations are unbiased (÷(n−1)) and the product is divided by n: the diagonal of identical views is (n−1)/n, not 1',
      'MONAI; stable-pretraining',
    ],
    'product over n−1': ['deviations are biased (÷n) and the product is divided by n−1: the diagonal of identical views is n/(n−1), not 1'],
    'product not divided': ['the product is not divided by n'],
    'product over 2n': ['the product is divided by the rows of both views, 2n: no correlation is above ½', 'vissl #230'],
    'rows centred': ['rows lose their means over the dimensions, where columns are to lose those over the samples (the wrong axis)'],
    'detached statistics': ['means and deviations are constants (detached), so that the gradient is not that of batch normalisation'],
    'product over d': ['the product is divided by d, not by n'],
    'epsilon outside': ['ε is added outside of the root, √var + ε'],
    'no epsilon': ['no ε under the root: a constant dimension gives NaN'],
    'epsilon 1e-4': ['ε is 1e-4, not what it is said to be'],
    'epsilon 1e-6': ['ε is 1e-6, not what it is said to be'],
    'epsilon 1e-3': ['ε is 1e-3, not what it is said to be'],
    'epsilon 1e-8': ['ε is 1e-8, not what it is said to be'],
    'epsilon 1e-12': ['ε is 1e-12, not what it is said to be'],
    'not centred': ['columns are scaled, but not centred'],
    'not scaled': ['columns are centred, but not divided by their deviations: covariances stand for correlations'],
    'not standardised': ['columns are not standardised'],
    'uncentred deviation': ['columns are divided by their lengths, un-centred'],
    'rows normalised': ['rows are scaled to length 1, where columns are to be standardised (the wrong axis)'],
    'rows standardised': ['each sample is standardised over its dimensions (layer norm), where each dimension is to be over the samples'],
    'pooled statistics': ['both views are standardised by the statistics of the two together'],
    'statistics of the first': ["both views are standardised by the first view's statistics"],
    'one view': ['the first view is correlated with itself: the pairing does not matter'],
    'second view alone': ['the second view is correlated with itself: the pairing does not matter'],
    'diagonal unsquared': ['1 − C_ii is not squared'],
    'diagonal absolute': ['|1 − C_ii| stands for its square'],
    'diagonal to zero': ['the diagonal is drawn to 0 as the rest, not to 1'],
    'rest unsquared': ['off-diagonal correlations are added up with their signs, not squared'],
    'rest absolute': ['off-diagonal correlations count by their absolute values, not squared'],
    'rest with diagonal': ['the off-diagonal part includes the diagonal'],
    'upper triangle': ['only the upper triangle counts; C is not symmetric, so that is not half of the off-diagonal part'],
    'lower triangle': ['only the lower triangle counts; C is not symmetric, so that is not half of the off-diagonal part'],
    'sample correlation': ['the matrix is of samples [n, n], not of dimensions [d, d] (the wrong axis)'],
    'all to identity squared by weight': ['λ multiplies C before it is squared, so it enters as λ²'],
    'rest minus one': ['1 is subtracted from all of C, not from its diagonal'],
  },
  domain: { distinct: 'columns' },
  weights: (options) => [number(options, 'scale'), number(options, 'scale') * number(options, 'offDiagonal')],
  evaluate: (a, { embeddings, held, options }, has) => {
    const names = ['epsilon 1e-3', 'epsilon 1e-4', 'epsilon 1e-6', 'epsilon 1e-8', 'epsilon 1e-12'] as const;
    const other = names.find((name) => has(name));
    const epsilon = has('no epsilon') ? 0 : other ? Number(other.slice(8)) : number(options, 'epsilon');
    const n = embeddings[0]!.rows;
    const standardised = (z: Matrix, of: Matrix): Matrix => {
      if (has('not standardised')) return z;
      if (has('rows normalised')) return a.unitRows(z);
      const means = a.columnMeans(of);
      const centred = a.shifted(of, means);
      const divisor = has('unbiased deviation') ? of.rows - 1 : of.rows;
      const squares = a.columnSquares(has('uncentred deviation') ? of : centred);
      const deviations = squares.map((square) =>
        has('not scaled') ? 1 : has('epsilon outside') ? Math.sqrt(square / divisor) + epsilon : Math.sqrt(square / divisor + epsilon),
      );
      const bare = has('not centred') || has('uncentred deviation');
      return a.matrix(z.rows, z.columns, (i, j) => a.round(at(z, i, j) - (bare ? 0 : means.data[j]!), means.data[j]!) / deviations[j]!);
    };
    const both = stacked(embeddings);
    const [ua, ub] = embeddings.map((given, place) => {
      const z = has('rows centred') ? transposed(a.centred(transposed(given))) : given;
      if (has('rows standardised')) return transposed(standardised(transposed(z), transposed(z)));
      return standardised(
        z,
        has('pooled statistics') ? both : has('statistics of the first') ? embeddings[0]! : has('detached statistics') ? held[place]! : z,
      );
    });
    const [left, right] = has('one view') ? [ua!, ua!] : has('second view alone') ? [ub!, ub!] : [ua!, ub!];
    const product = has('sample correlation') ? a.product(left, transposed(right)) : a.product(transposed(left), right);
    const divisor = has('product not divided')
      ? 1
      : has('product over n−1')
        ? n - 1
        : has('product over d')
          ? left.columns
          : has('product over 2n')
            ? 2 * n
            : n;
    const c = a.scaled(product, 1 / divisor);
    const target = has('diagonal to zero') ? 0 : 1;
    const on = a.sum(c.rows, (i) => {
      const rest = a.round(at(c, i, i) - target, 1);
      return has('diagonal unsquared') ? -rest : has('diagonal absolute') ? Math.abs(rest) : rest ** 2;
    });
    const weight = has('all to identity squared by weight') ? Math.sqrt(number(options, 'offDiagonal')) : 1;
    const off = a.sum(c.data.length, (k) => {
      const [i, j] = [Math.floor(k / c.columns), k % c.columns];
      const skipped = has('rest with diagonal') ? false : has('upper triangle') ? i >= j : has('lower triangle') ? i <= j : i === j;
      if (skipped) return 0;
      const value = (c.data[k]! - (has('rest minus one') ? 1 : 0)) * weight;
      return has('rest unsquared') ? value : has('rest absolute') ? Math.abs(value) : value ** 2;
    });
    return [on, off];
  },
});

export const corInfoMax = formula({
  columns: ['information of za', 'information of zb', 'invariance'],
  terms: [
    { name: 'information', columns: [0, 1], unit: 1 },
    { name: 'invariance', columns: [2], unit: 1 },
  ],
  mistakes: {
    'momentum swapped': ['λ weights the new moments instead of the old ones: the covariance hardly sees the batch'],
    'old mean': ['the covariance is about the mean before the update, not after it'],
    'batch mean': ["the covariance is about the batch's own mean, not about the running one just updated"],
    uncentred: ['the covariance is not centred'],
    'batch covariance': ['the covariance is of the batch alone; what was before does not count'],
    'old covariance': ['the loss is of the covariance before the batch: it has no gradient'],
    'unbiased covariance': ['the covariance is divided by n−1, not by n'],
    'not divided by n': ['the covariance is not divided by n'],
    'no epsilon': ['no ε on the diagonal: a singular covariance gives NaN or −∞'],
    'epsilon 1e-3': ['ε is 1e-3, not what it is said to be'],
    'epsilon 1e-4': ['ε is 1e-4, not what it is said to be'],
    'epsilon 1e-8': ['ε is 1e-8, not what it is said to be'],
    'not divided by d': ['the log-determinants are not divided by d'],
    'first view twice': ["the first view's covariance counts twice; the second view may collapse"],
    'states swapped': ["each view goes with the other's running moments"],
    'state of the first': ["both views go with the first one's running moments"],
    'rows normalised': ['rows are scaled to length 1 first'],
    'covariance added': ['the new covariance is added to the old one without weights'],
    ...invarianceMistakes,
  },
  domain: { state: { meanA: 'vector', covarianceA: 'covariance', meanB: 'vector', covarianceB: 'covariance' } },
  weights: (options) => [-1, -1, number(options, 'invariance')],
  evaluate: (a, { embeddings, state, options }, has) => {
    const names = ['epsilon 1e-3', 'epsilon 1e-4', 'epsilon 1e-8'] as const;
    const other = names.find((name) => has(name));
    const epsilon = has('no epsilon') ? 0 : other ? Number(other.slice(8)) : number(options, 'epsilon');
    const views = has('rows normalised') ? embeddings.map((z) => a.unitRows(z)) : embeddings;
    const [n, d] = [views[0]!.rows, views[0]!.columns];
    const momentum = number(options, 'momentum');
    const kept = has('momentum swapped') ? 1 - momentum : momentum;
    const information = (z: Matrix, place: 'A' | 'B'): number => {
      const mean = state[`mean${place}`] ?? { rows: 1, columns: d, data: new Float64Array(d) };
      const covariance = state[`covariance${place}`] ?? identity(d);
      const own = a.columnMeans(z);
      const moved = a.zip(mean, own, (old, now) => kept * old + (1 - kept) * now);
      const centre = has('old mean') ? mean : has('batch mean') ? own : moved;
      const divisor = has('unbiased covariance') ? n - 1 : has('not divided by n') ? 1 : n;
      const batch = a.scaled(a.gram(has('uncentred') ? z : a.shifted(z, centre)), 1 / divisor);
      const updated = has('batch covariance')
        ? batch
        : has('old covariance')
          ? covariance
          : has('covariance added')
            ? a.zip(covariance, batch, (old, now) => old + now)
            : a.zip(covariance, batch, (old, now) => kept * old + (1 - kept) * now);
      const regular = a.zip(updated, identity(d, epsilon), (x, y) => x + y);
      return a.logDeterminant(regular) / (has('not divided by d') ? 1 : d);
    };
    const second = has('first view twice') ? views[0]! : views[1]!;
    const [placeA, placeB] = has('states swapped')
      ? (['B', 'A'] as const)
      : has('state of the first')
        ? (['A', 'A'] as const)
        : (['A', 'B'] as const);
    return [information(views[0]!, placeA), information(second, placeB), invariance(a, views[0]!, views[1]!, has)];
  },
});
