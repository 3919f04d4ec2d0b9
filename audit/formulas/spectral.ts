import { type Arithmetic, at, identity, type Matrix, stacked, transposed } from '../arithmetic.ts';
import { formula, type Inputs, type Mistake, single } from './formula.ts';
import { rowMistakes, unitRows } from './rows.ts';

/** Σ^p of a positive definite matrix, by its eigenvectors. */
function power(a: Arithmetic, sigma: Matrix, exponent: number): Matrix {
  const { values, vectors } = a.singular(sigma);
  const scaled = a.matrix(vectors.rows, vectors.columns, (i, j) => at(vectors, i, j) * values[j]! ** exponent);
  return a.product(scaled, transposed(vectors));
}

export const wmse = single({
  mistakes: {
    'joint whitening': ['both views are whitened together, by one mean and covariance, not each by its own'],
    'whitened by the first': ["both views are whitened by the first one's statistics"],
    'not whitened': ['rows are not whitened'],
    'not centred': ['rows are not centred before they are whitened'],
    'mean left in': ['rows are whitened without having lost their mean, though the covariance is about it'],
    'detached whitening': ['mean and covariance are constants (detached), so that the gradient is not that of whitening'],
    'deviations only, then rotated': ['whitening leaves out the last rotation (PCA): each view is whitened along axes of its own'],
    'centred only': ['rows are centred, not whitened'],
    'standardised only': ['dimensions are standardised, not decorrelated'],
    'transposed factor': [
      "rows are multiplied by Lᵀ⁻¹'s transpose the wrong way round (y = (x − μ)·L⁻¹): the covariance of the result is not I",
    ],
    'factor not inverted': ['rows are multiplied by L, not by its inverse'],
    zca: ['whitening is by the symmetric root (ZCA), not by Cholesky'],
    cholesky: ['whitening is by Cholesky, not as it is said to be'],
    'whitened by the covariance': ['rows are multiplied by Σ⁻¹, not by its root'],
    'samples axis': ['samples are whitened [n, n] instead of dimensions [d, d] (the wrong axis)'],
    'not normalised': ['whitened rows are not scaled to length 1: their mean squared error'],
    'normalised first': ['rows are scaled to length 1 before they are whitened, too'],
    'normalised first only': ['rows are scaled to length 1 before they are whitened, and not after'],
    'mean over dimensions': ['squared distances of normalised rows are averaged over dimensions as well'],
    'columns normalised': ['columns are scaled to length 1 after whitening, over the batch, instead of rows (the wrong axis)'],
    rolled: ['rows meet those of other samples'],
    'epsilon 1e-4': ['the covariance is shrunk by ε = 1e-4'],
    'epsilon 1e-3': ['the covariance is shrunk by ε = 1e-3'],
    'epsilon 1e-5': ['the covariance is shrunk by ε = 1e-5'],
    'epsilon .01': ['the covariance is shrunk by ε = .01'],
    'epsilon added 1e-3': ['1e-3·I is added to the covariance'],
    'epsilon added 1e-5': ['1e-5·I is added to the covariance'],
    'first whitened': ['only the first view is whitened'],
    'second whitened': ['only the second view is whitened'],
    'one view': ['a view is compared with itself'],
    'biased covariance': ['the covariance is divided by n, not by n−1, which matters where rows are not normalised after'],
  },
  domain: { samples: (d) => 2 * d + 2, distinct: 'full rank', dimensions: [2, 3] },
  evaluate: (a, { embeddings, held, options }, has) => {
    const views = has('normalised first') || has('normalised first only') ? embeddings.map((z) => a.unitRows(z)) : embeddings;
    const both = stacked(views);
    const extra = (
      [
        ['epsilon .01', 0.01],
        ['epsilon 1e-3', 1e-3],
        ['epsilon 1e-4', 1e-4],
        ['epsilon 1e-5', 1e-5],
      ] as const
    ).find(([name]) => has(name))?.[1];
    const added = has('epsilon added 1e-3') ? 1e-3 : has('epsilon added 1e-5') ? 1e-5 : 0;
    const epsilon = extra ?? Number(options['epsilon'] ?? 0);
    const kind = has('zca') ? 'zca' : has('cholesky') ? 'cholesky' : String(options['whitening'] ?? 'cholesky');
    const whiten = (given: Matrix, place: number): Matrix => {
      if (has('not whitened') || kind === 'none' || (has('first whitened') && place === 1) || (has('second whitened') && place === 0))
        return given;
      const z = has('samples axis') ? transposed(given) : given;
      const source = has('joint whitening')
        ? both
        : has('whitened by the first')
          ? views[0]!
          : has('detached whitening')
            ? held[place]!
            : z;
      const means = a.columnMeans(source);
      const centred = has('not centred') || has('mean left in') ? z : a.shifted(z, means);
      if (has('centred only')) return centred;
      const own = has('not centred') ? source : a.shifted(source, means);
      const covariance = a.scaled(a.gram(own), 1 / (has('biased covariance') ? source.rows : source.rows - 1));
      const shrunk = a.matrix(
        covariance.rows,
        covariance.columns,
        (i, j) => (1 - epsilon) * at(covariance, i, j) + (i === j ? epsilon + added : 0),
      );
      if (has('standardised only')) return a.matrix(z.rows, z.columns, (i, j) => at(centred, i, j) / Math.sqrt(at(shrunk, j, j)));
      if (has('whitened by the covariance')) return a.product(centred, power(a, shrunk, -1));
      if (has('deviations only, then rotated')) {
        const { values, vectors } = a.singular(shrunk);
        const order = values.map((_, j) => j).sort((x, y) => values[x]! - values[y]!);
        return a.matrix(
          z.rows,
          z.columns,
          (i, j) => a.sum(z.columns, (k) => at(centred, i, k) * at(vectors, k, order[j]!)) / Math.sqrt(values[order[j]!]!),
        );
      }
      if (kind === 'zca') return a.product(centred, power(a, shrunk, -0.5));
      if (kind === 'iterative') {
        const trace = a.sum(shrunk.rows, (i) => at(shrunk, i, i));
        const normal = a.scaled(shrunk, 1 / trace);
        let p = identity(shrunk.rows);
        for (let step = 0; step < 5; step++) {
          const cubed = a.product(a.product(a.product(p, p), p), normal);
          p = a.zip(p, cubed, (x, y) => 1.5 * x - 0.5 * y);
        }
        return a.product(centred, a.scaled(p, 1 / Math.sqrt(trace)));
      }
      const factor = a.cholesky(shrunk);
      if (has('factor not inverted')) return a.product(centred, transposed(factor));
      if (has('transposed factor')) return a.product(centred, a.solveLower(factor, identity(factor.rows)));
      const white = transposed(a.solveLower(factor, transposed(centred)));
      return has('samples axis') ? transposed(white) : white;
    };
    const whitened = views.map(whiten);
    const [first, second] = [whitened[0]!, has('one view') ? whitened[0]! : whitened[1]!];
    const bare = has('not normalised') || has('normalised first only') || options['distance'] === 'mse';
    const unit = (z: Matrix): Matrix => (bare ? z : has('columns normalised') ? a.unitColumns(z) : a.unitRows(z));
    const [x, y] = [unit(first), unit(second)];
    const n = x.rows;
    const moved = has('rolled')
      ? { ...y, data: Float64Array.from({ length: y.data.length }, (_, k) => y.data[(k + y.columns) % y.data.length]!) }
      : y;
    if (bare || has('mean over dimensions')) return a.mean(a.zip(x, moved, (u, v) => (u - v) ** 2));
    const products = a.rowProducts(x, moved);
    if (!has('columns normalised')) return 2 - 2 * (a.sum(n, (i) => products[i]!) / n);
    return a.total(a.zip(x, moved, (u, v) => (u - v) ** 2)) / n;
  },
});

const sigregMistakes = {
  'not multiplied by n': ['the statistic is not multiplied by n'],
  'views together': ['both views are tested as one sample', 'stable-pretraining #413'],
  'no window': ['the squared error is not weighted by e^{−t²/2}'],
  'squared window': ['the window is e^{−t²}, not e^{−t²/2}'],
  'ends count': ['the ends of the trapezoid rule count as much as the rest'],
  'no ends': ['the ends of the trapezoid rule are left out'],
  'no sine': ['the imaginary part (sin) is left out: an asymmetric sample passes'],
  'no cosine target': ['the real part is compared with 0, not with e^{−t²/2}'],
  'wrong target': ['the characteristic function of the normal distribution is e^{−t²}, not e^{−t²/2}'],
  'target of t': ['the characteristic function of the normal distribution is taken at t/2'],
  'five seconds': ['the integral ends at 5, not at 3'],
  'four seconds': ['the integral ends at 4, not at 3'],
  'absolute error': ['the absolute value of the error counts, not its square'],
  'directions not unit': ['directions are not of length 1'],
  standardised: ['dimensions are standardised first: neither scale nor mean is seen'],
  centred: ['the mean is subtracted first, so that it is not seen'],
  'rows normalised': ['rows are scaled to length 1 first'],
  'sum over directions': ['directions are added up, not averaged'],
  'first view': ['only the first view is tested'],
  'knots without dt': ['the step dt of the integral is missing'],
  'mean over knots': ['knots are averaged with equal weights, not integrated'],
  'most over directions': ['the worst direction counts, not the mean'],
  'one side': ['only half of the axis, t ≥ 0, is integrated, not doubled'],
  'mean of squares': ['the square is taken before the mean over samples'],
  'dimensions as directions': ['dimensions are tested instead of the random directions'],
} as const satisfies Readonly<Record<string, Mistake>>;

/** SIGReg of views, mean over them. */
function gaussianity(a: Arithmetic, { embeddings, state }: Inputs, has: (mistake: keyof typeof sigregMistakes) => boolean): number {
  const reach = has('five seconds') ? 5 : has('four seconds') ? 4 : 3;
  const knots = 17;
  const step = reach / (knots - 1);
  const views = has('views together') ? [stacked(embeddings)] : has('first view') ? embeddings.slice(0, 1) : embeddings;
  const of = (given: Matrix): number => {
    const centred = has('standardised') || has('centred') ? a.centred(given) : given;
    const z = has('rows normalised')
      ? a.unitRows(given)
      : has('standardised')
        ? a.scaled(a.unitColumns(centred), Math.sqrt(given.rows - 1))
        : centred;
    const slices = has('dimensions as directions')
      ? identity(z.columns)
      : has('directions not unit')
        ? a.scaled(state['slices']!, 2)
        : state['slices']!;
    const x = a.product(z, slices);
    const values = Array.from({ length: slices.columns }, (_, s) =>
      a.sum(knots, (k) => {
        const t = k * step;
        const normal = Math.exp(-(t * t) / 2);
        const target = has('no cosine target')
          ? 0
          : has('wrong target')
            ? Math.exp(-t * t)
            : has('target of t')
              ? Math.exp(-(t * t) / 8)
              : normal;
        const real = a.sum(x.rows, (i) => Math.cos(t * at(x, i, s))) / x.rows - target;
        const imaginary = has('no sine') ? 0 : a.sum(x.rows, (i) => Math.sin(t * at(x, i, s))) / x.rows;
        const end = k === 0 || k === knots - 1;
        const share = has('mean over knots')
          ? 1 / knots
          : (has('no ends') && end ? 0 : end && !has('ends count') ? 1 : 2) *
            (has('one side') ? 0.5 : 1) *
            (has('knots without dt') ? 1 : step);
        const window = has('no window') ? 1 : has('squared window') ? normal ** 2 : normal;
        const error = has('absolute error')
          ? Math.abs(real) + Math.abs(imaginary)
          : has('mean of squares')
            ? a.sum(x.rows, (i) => (Math.cos(t * at(x, i, s)) - target) ** 2 + Math.sin(t * at(x, i, s)) ** 2) / x.rows
            : real ** 2 + imaginary ** 2;
        return share * window * error;
      }),
    );
    const mean = has('most over directions')
      ? Math.max(...values)
      : a.sum(values.length, (s) => values[s]!) / (has('sum over directions') ? 1 : values.length);
    return mean * (has('not multiplied by n') ? 1 : z.rows);
  };
  return a.meanOf(views.map(of));
}

export const sigreg = single({
  mistakes: sigregMistakes,
  domain: { state: { slices: 'directions' } },
  evaluate: gaussianity,
});

export const lejepa = formula({
  columns: ['invariance', 'sigreg'],
  terms: [
    { name: 'invariance', columns: [0], unit: 1 },
    { name: 'sigreg', columns: [1], unit: 1 },
  ],
  mistakes: {
    ...sigregMistakes,
    'invariance between views': [
      'the invariance is the mean squared difference of the views, not to their mean: four times as much of two',
    ],
    'invariance to the first': ['views are to agree with the first, not with their mean'],
    'invariance of directions': ['the invariance is of rows scaled to length 1'],
    'global views left out': ['the global views are left out: only the others are tested and drawn to their mean', 'lightly #2002'],
    'invariance as distance': ['the invariance is of distances, not squared'],
  },
  domain: { state: { slices: 'directions' } },
  weights: (options) => [1 - Number(options['sigreg']), Number(options['sigreg'])],
  evaluate: (a, inputs, has) => {
    const views = has('invariance of directions') ? inputs.embeddings.map((z) => a.unitRows(z)) : inputs.embeddings;
    const [n, d] = [views[0]!.rows, views[0]!.columns];
    const count = Number(inputs.options['globals'] ?? views.length);
    const rest = has('global views left out') ? views.slice(count) : views;
    const mean = has('invariance to the first') ? views[0]! : a.matrix(n, d, (i, j) => a.sum(count, (v) => at(views[v]!, i, j)) / count);
    const pairs: readonly (readonly [Matrix, Matrix])[] = has('invariance between views')
      ? [[views[0]!, views[1]!]]
      : rest.map((view) => [view, mean]);
    const invariance = a.meanOf(
      pairs.map(([x, y]) =>
        has('invariance as distance') ? a.meanOf(a.rowSquares(a.sub(x, y)).map(Math.sqrt)) : a.mean(a.zip(x, y, (u, v) => (u - v) ** 2)),
      ),
    );
    return [
      invariance,
      gaussianity(a, { ...inputs, embeddings: has('global views left out') ? inputs.embeddings.slice(count) : inputs.embeddings }, has),
    ];
  },
});

export const tico = formula({
  columns: ['cosine', 'contrast', 'constant'],
  terms: [
    { name: 'cosine', columns: [0], unit: 1 },
    { name: 'contrast', columns: [1], unit: 1 },
    { name: 'constant', columns: [2], unit: 1 },
  ],
  mistakes: {
    ...rowMistakes,
    'covariance after the loss': ['the contrast is with the covariance before the batch: C is updated after the loss, not before'],
    'momentum swapped': ['β weights the batch, not what was before'],
    centred: ['the covariance is centred: a model that collapses costs nothing', 'stable-pretraining'],
    'centred over both': ['the covariance is centred over both views: a model that collapses costs nothing', 'stable-pretraining'],
    'of both views': ['the covariance is of both views, not of the first only'],
    'of the second view': ['the covariance is of the second view, not of the first'],
    'contrast of the second view': ["the contrast is of the second view's rows"],
    'covariance not normalised': ['the covariance is of rows that are not scaled to length 1'],
    'not divided by n': ["the batch's part of the covariance is not divided by n"],
    'divided by n−1': ["the batch's part of the covariance is divided by n−1, not by n"],
    'batch covariance': ['the covariance is of the batch alone; what was before does not count'],
    'squared contrast': ['‖C·z‖² stands for zᵀ·C·z'],
    'contrast across': ['the contrast is between the views, z_aᵀ·C·z_b'],
    'without old weight': ['the old covariance is added without its weight β'],
    'without new weight': ["the batch's part is added without its weight 1 − β"],
    'squared error': ['squared distances stand for cosines, doubled'],
    rolled: ['rows meet those of other samples'],
    'mean over dimensions': ['products are averaged over dimensions as well, not added up'],
  },
  domain: { distinct: 'rows', state: { runningCovariance: 'covariance' } },
  weights: (options) => {
    const dialect = String(options['dialect'] ?? 'paper');
    return [-1, Number(options['contrast'] ?? (dialect === 'sayannag' ? 20 : 8)), dialect === 'lightly' ? 1 : 0];
  },
  evaluate: (a, { embeddings: [za, zb], held: [heldA, heldB], state, options }, has) => {
    const unit = (z: Matrix): Matrix => unitRows(a, z, has, { place: z === zb || z === heldB ? 1 : 0, held: z === za ? heldA! : z });
    const differentiated = options['dialect'] === 'sayannag';
    const [ya, yb] = [unit(za!), unit(zb!)];
    const [sourceA, sourceB] = differentiated ? [za!, zb!] : [heldA!, heldB!];
    const bare = has('covariance not normalised') ? (z: Matrix): Matrix => z : unit;
    let own = has('of the second view')
      ? bare(sourceB)
      : has('of both views') || has('centred over both')
        ? stacked([bare(sourceA), bare(sourceB)])
        : bare(sourceA);
    if (has('centred') || has('centred over both')) own = a.centred(own);
    const n = own.rows;
    const batch = a.scaled(a.gram(own), 1 / (has('not divided by n') ? 1 : has('divided by n−1') ? n - 1 : n));
    const beta = Number(options['covarianceMomentum']);
    const kept = has('momentum swapped') ? 1 - beta : beta;
    const old = state['runningCovariance'] ?? identity(za!.columns, 0);
    const c = has('covariance after the loss')
      ? old
      : has('batch covariance')
        ? batch
        : a.zip(old, batch, (x, y) => (has('without old weight') ? 1 : kept) * x + (has('without new weight') ? 1 : 1 - kept) * y);
    const rows = has('contrast of the second view') ? yb : ya;
    const turned = a.product(rows, c);
    const contrast = has('squared contrast')
      ? a.meanOf(a.rowSquares(turned))
      : a.meanOf(a.rowProducts(turned, has('contrast across') ? yb : rows));
    const moved = has('rolled')
      ? { ...yb, data: Float64Array.from({ length: yb.data.length }, (_, k) => yb.data[(k + yb.columns) % yb.data.length]!) }
      : yb;
    const cosine = has('squared error') ? -a.meanOf(a.rowSquares(a.sub(ya, yb))) : a.meanOf(a.rowProducts(ya, moved));
    return [has('mean over dimensions') ? cosine / ya.columns : cosine, contrast, 1];
  },
});

export const mmcr = formula({
  columns: ['global', 'local'],
  terms: [
    { name: 'global', columns: [0], unit: 1 },
    { name: 'local', columns: [1], unit: 1 },
  ],
  mistakes: {
    ...rowMistakes,
    'centroids normalised': ['centroids are scaled to length 1, so that the agreement of views does not count'],
    'normalised after': ['rows are scaled to length 1 after the centroid, not before it'],
    frobenius: ['the Frobenius norm stands for the nuclear norm: it does not see how values are spread'],
    spectral: ['the largest singular value stands for the nuclear norm, their sum'],
    'squared values': ['squares of singular values are added up'],
    logarithms: ['logarithms of singular values are added up'],
    'centroids centred': ["the batch's mean is subtracted from the centroids"],
    'all views': ['the norm is of all views below each other, not of their centroids'],
    'first view': ['the norm is of the first view alone'],
    'each view': ["the mean of each view's norm stands for that of the centroids: agreement does not count"],
    'sum of views': ['the sum of the views stands for their mean'],
    'over n': ['the norm is divided by n'],
    'over root n': ['the norm is divided by √n'],
    covariance: ["the nuclear norm is of the centroids' Gram matrix"],
    difference: ['the norm is of the difference of the views'],
    trace: ['the sum of absolute elements stands for the nuclear norm'],
  },
  domain: { distinct: 'rows' },
  weights: (options) => [-Number(options['global']), Number(options['local'])],
  evaluate: (a, { embeddings, held }, has) => {
    const views = embeddings.map((z, v) => (has('normalised after') ? z : unitRows(a, z, has, { place: v === 0 ? 0 : 1, held: held[v]! })));
    const [n, d] = [views[0]!.rows, views[0]!.columns];
    const share = has('sum of views') ? 1 : views.length;
    const mean = a.matrix(n, d, (i, j) => a.sum(views.length, (v) => at(views[v]!, i, j)) / share);
    const centroids =
      has('centroids normalised') || has('normalised after') ? a.unitRows(mean) : has('centroids centred') ? a.centred(mean) : mean;
    const norm = (x: Matrix): number => {
      const { values } = a.singular(x.rows < x.columns ? transposed(x) : x);
      if (has('frobenius')) return Math.sqrt(a.sum(x.data.length, (k) => x.data[k]! ** 2));
      if (has('trace')) return a.sum(x.data.length, (k) => Math.abs(x.data[k]!));
      if (has('spectral')) return Math.max(...values);
      return a.sum(values.length, (k) => (has('squared values') ? values[k]! ** 2 : has('logarithms') ? Math.log(values[k]!) : values[k]!));
    };
    const global = has('all views')
      ? norm(stacked(views))
      : has('first view')
        ? norm(views[0]!)
        : has('difference')
          ? norm(a.sub(views[0]!, views[1]!))
          : has('each view')
            ? a.meanOf(views.map(norm))
            : norm(has('covariance') ? a.gram(centroids) : centroids);
    const local =
      a.sum(n, (i) => a.nuclearNorm(stacked(views.map((view) => ({ rows: 1, columns: d, data: view.data.slice(i * d, (i + 1) * d) }))))) /
      n;
    return [global / (has('over n') ? n : has('over root n') ? Math.sqrt(n) : 1), local];
  },
});

export const tcr = single({
  mistakes: {
    ...rowMistakes,
    'epsilon squared': ['ε² as in the paper, where the code has ε'],
    'epsilon rooted': ['√ε stands for ε'],
    'epsilon .5': ['ε is .5, not what it is said to be'],
    'epsilon .01': ['ε is .01, not what it is said to be'],
    'epsilon .1': ['ε is .1, not what it is said to be'],
    'over d': ['the factor is n/(d·ε), not d/(n·ε)'],
    'over n only': ['the factor is 1/(n·ε), without d'],
    'no n': ['the factor is d/ε, not divided by n'],
    'no factor': ['the covariance has no factor d/(n·ε)'],
    'over n−1': ['the covariance is divided by n−1, not by n'],
    'times epsilon': ['ε multiplies where it should divide'],
    'no identity': ['the identity is missing: a singular covariance gives −∞ or NaN'],
    centred: ["the batch's mean is subtracted"],
    'views together': ['the coding rate is of both views together, not the mean of each'],
    'of the mean view': ['the coding rate is of the mean of the views'],
    'first view': ['only the first view counts'],
    trace: ['the trace stands for the log-determinant'],
    determinant: ['the logarithm is missing: the determinant itself'],
    diagonal: ['the logarithm is of the diagonal, not of the determinant: correlations do not count'],
    'plus one': ['ln(1 + det) stands for ln det'],
  },
  domain: { distinct: 'rows' },
  evaluate: (a, { embeddings, options }, has) => {
    const other = (['epsilon .5', 'epsilon .1', 'epsilon .01'] as const).find((name) => has(name));
    const given = other ? Number(other.slice(8)) : Number(options['epsilon']);
    const epsilon = has('epsilon squared')
      ? given ** 2
      : has('epsilon rooted')
        ? Math.sqrt(given)
        : has('times epsilon')
          ? 1 / given
          : given;
    const mean = (): Matrix => a.zip(embeddings[0]!, embeddings.at(-1)!, (x, y) => (x + y) / 2);
    const views = has('views together')
      ? [stacked(embeddings)]
      : has('first view')
        ? embeddings.slice(0, 1)
        : has('of the mean view')
          ? [mean()]
          : embeddings;
    const rate = (view: Matrix): number => {
      const z = unitRows(a, view, has);
      const [n, d] = [z.rows, z.columns];
      const factor = has('no factor')
        ? 1
        : has('over d')
          ? n / (d * epsilon)
          : has('over n only')
            ? 1 / (n * epsilon)
            : has('no n')
              ? d / epsilon
              : d / ((has('over n−1') ? n - 1 : n) * epsilon);
      const gram = a.scaled(a.gram(z), factor);
      const regular = has('no identity') ? gram : a.zip(gram, identity(d), (x, y) => x + y);
      if (has('trace')) return a.sum(d, (i) => at(regular, i, i)) / 2;
      if (has('diagonal')) return a.sum(d, (i) => Math.log(at(regular, i, i))) / 2;
      const value = a.logDeterminant(regular);
      return (has('determinant') ? Math.exp(value) : has('plus one') ? Math.log1p(Math.exp(value)) : value) / 2;
    };
    return -a.meanOf(views.map(rate));
  },
});

export const frossl = formula({
  columns: ['regularization', 'invariance'],
  terms: [
    { name: 'regularization', columns: [0], unit: 1 },
    { name: 'invariance', columns: [1], unit: 1 },
  ],
  mistakes: {
    'not normalised': ['columns are not scaled to length 1: the invariance is of the embeddings themselves'],
    'rows normalised': ['rows are scaled to length 1 instead of columns (the wrong axis)'],
    centred: ['columns are centred first'],
    'not centred': ['columns are not centred first'],
    'no trace': ['the Gram matrix is not divided by its trace'],
    'squared norm': ['the squared norm enters without the factor 2 of its logarithm'],
    'no logarithm': ['the logarithm is missing: the norm itself'],
    'first view': ["only the first view's covariance counts"],
    cross: ['the covariance is between the views, not within each'],
    'logarithm of the sum': ['the logarithm is of the sum over views, not the sum of logarithms'],
    nuclear: ['the nuclear norm stands for the Frobenius norm: with the trace, it is constant'],
    'invariance of embeddings': ['the invariance is of the embeddings, not of their scaled columns'],
    'invariance between views': ['the invariance is between the views, not to their mean: four times as much'],
    'diagonal left out': ['the diagonal is left out of the norm'],
    'over n': ['the invariance is divided by n'],
    spectral: ['the largest eigenvalue stands for the Frobenius norm'],
    'invariance of rows': ['the invariance is of rows scaled to length 1'],
  },
  domain: { distinct: 'columns' },
  weights: (options, { d, views }) => {
    const dialect = String(options['dialect'] ?? 'official');
    return [1, Number(options['invariance']) * d * (dialect === 'solo-learn' ? views : views ** 2)];
  },
  evaluate: (a, { embeddings, options }, has) => {
    const centred = has('centred') || (options['dialect'] === 'paper' && !has('not centred'));
    const columns = embeddings.map((z) => {
      const moved = centred ? a.centred(z) : z;
      return has('not normalised') ? moved : has('rows normalised') ? a.unitRows(moved) : a.unitColumns(moved);
    });
    const [n, d] = [columns[0]!.rows, columns[0]!.columns];
    const spread = (x: Matrix, other: Matrix): number => {
      const gram = has('cross') ? a.product(transposed(other), x) : a.gram(x);
      const trace = has('no trace') ? 1 : a.sum(d, (i) => at(gram, i, i));
      if (has('nuclear')) return (a.nuclearNorm(gram) / trace) ** 2;
      if (has('spectral')) return (Math.max(...a.singular(gram).values) / trace) ** 2;
      return a.sum(gram.data.length, (k) => (has('diagonal left out') && k % (d + 1) === 0 ? 0 : gram.data[k]! ** 2)) / trace ** 2;
    };
    const spreads = (has('first view') ? columns.slice(0, 1) : columns).map((x, v) => spread(x, columns[(v + 1) % columns.length]!));
    const regularization = has('logarithm of the sum')
      ? Math.log(spreads.reduce((sum, value) => sum + value))
      : a.sum(spreads.length, (v) =>
          has('no logarithm') ? Math.sqrt(spreads[v]!) : Math.log(spreads[v]!) * (has('squared norm') ? 0.5 : 1),
        );
    const compared = has('invariance of embeddings')
      ? embeddings
      : has('invariance of rows')
        ? embeddings.map((z) => a.unitRows(z))
        : columns;
    const count = compared.length;
    const mean = a.matrix(n, d, (i, j) => a.sum(count, (v) => at(compared[v]!, i, j)) / count);
    const targets = has('invariance between views') ? [compared[1]!, compared[0]!] : compared.map(() => mean);
    const invariance = a.sum(count, (v) => a.total(a.zip(compared[v]!, targets[v]!, (x, y) => (x - y) ** 2))) / (count * n * d);
    return [regularization, has('over n') ? invariance / n : invariance];
  },
});
