import { type Arithmetic, type Matrix, stacked, transposed } from '../arithmetic.ts';
import { type Mistake, single } from './formula.ts';
import { rowMistakes, unitRows } from './rows.ts';

const pairMistakes = {
  ...rowMistakes,
  products: ['2 − 2·⟨p, z⟩ of rows as they are, not of length 1', 'imbue-ai/self_supervised #7'],
  'cosine of columns': ['cosines are of columns, along the samples, not of rows (the wrong axis)', 'gabeur/mmt #1'],
  'own view': ["a prediction meets its own view's target, not the other view's"],
  'first direction': ['only the first direction counts (p1 with z2)'],
  'second direction': ['only the second direction counts (p2 with z1)'],
  'one view in both': ['one view is in both branches: the pairing does not matter', 'reported of BYOL ports'],
  rolled: ['predictions meet the targets of other samples'],
  'cosine squared': ['the cosine is squared'],
  'cosine absolute': ['the absolute value of the cosine counts: opposite rows are as good as equal ones'],
  'not squared': ['distances ‖p − z‖ count, not squared'],
  'absolute differences': ['absolute differences count, not squares'],
  'predictions with predictions': ['predictions meet predictions, targets are not used'],
  'projections with projections': ['projections meet projections, predictions are not used'],
  'targets exchanged': ["the second direction's target is the first one's"],
} as const satisfies Readonly<Record<string, Mistake>>;

type PairHas = (mistake: keyof typeof pairMistakes) => boolean;

/** Two directions of a prediction and a target; `least` is what a length counts as at least. */
function directionsOf(
  a: Arithmetic,
  embeddings: readonly Matrix[],
  held: readonly Matrix[],
  least: number,
  has: PairHas,
): readonly (readonly [Matrix, Matrix])[] {
  const count = embeddings.length;
  const [p1, p2] = has('projections with projections')
    ? [embeddings[count - 2]!, embeddings[count - 1]!]
    : [embeddings[0]!, embeddings[1]!];
  const [z1, z2] = has('predictions with predictions') ? [held[0]!, held[1]!] : [held[count - 2]!, held[count - 1]!];
  const unit = (x: Matrix, target: boolean, constant: Matrix): Matrix => {
    if (has('cosine of columns')) return a.unitRows(transposed(x), least);
    return has('products') ? x : unitRows(a, x, has, { least, place: target ? 1 : 0, held: constant });
  };
  const roll = (x: Matrix): Matrix =>
    has('rolled')
      ? stacked([
          { ...x, rows: x.rows - 1, data: x.data.slice(x.columns) },
          { ...x, rows: 1, data: x.data.slice(0, x.columns) },
        ])
      : x;
  const constantOf = (p: Matrix): Matrix => held[embeddings.indexOf(p)] ?? p;
  const pair = (p: Matrix, z: Matrix): readonly [Matrix, Matrix] => [unit(p, false, constantOf(p)), unit(roll(z), true, roll(z))];
  if (has('one view in both')) return [pair(p1, z1), pair(p1, z1)];
  if (has('own view')) return [pair(p1, z1), pair(p2, z2)];
  if (has('first direction')) return [pair(p1, z2)];
  if (has('second direction')) return [pair(p2, z1)];
  if (has('targets exchanged')) return [pair(p1, z2), pair(p2, z2)];
  return [pair(p1, z2), pair(p2, z1)];
}

export const byol = single({
  mistakes: pairMistakes,
  domain: { distinct: 'rows' },
  evaluate: (a, { embeddings, held }, has) =>
    directionsOf(a, embeddings, held, 1e-6, has)
      .map(([p, z]) => {
        if (has('absolute differences')) return a.total(a.zip(p, z, (x, y) => Math.abs(x - y))) / p.rows;
        if (has('not squared')) return a.meanOf(a.rowSquares(a.sub(p, z)).map(Math.sqrt));
        const products = a.rowProducts(p, z);
        if (has('products')) return 2 - 2 * a.meanOf(products);
        if (has('cosine squared')) return 2 - 2 * a.meanOf(products.map((x) => x ** 2));
        if (has('cosine absolute')) return 2 - 2 * a.meanOf(products.map(Math.abs));
        const [ps, zs] = [a.rowSquares(p), a.rowSquares(z)];
        return a.sum(products.length, (i) => a.round(ps[i]! + zs[i]! - 2 * products[i]!, ps[i]! + zs[i]!)) / p.rows;
      })
      .reduce((sum, value) => a.round(sum + value)),
});

export const simsiam = single({
  mistakes: pairMistakes,
  domain: { distinct: 'rows' },
  evaluate: (a, { embeddings, held, options }, has) =>
    directionsOf(a, embeddings, options['stopGradient'] === 'off' ? embeddings : held, 1e-8, has)
      .map(([p, z]) => {
        if (has('absolute differences')) return a.total(a.zip(p, z, (x, y) => Math.abs(x - y))) / p.rows;
        if (has('not squared')) return a.meanOf(a.rowSquares(a.sub(p, z)).map(Math.sqrt));
        const products = a.rowProducts(p, z);
        const cosines = has('cosine squared') ? products.map((x) => x ** 2) : has('cosine absolute') ? products.map(Math.abs) : products;
        return -0.5 * a.meanOf(cosines);
      })
      .reduce((sum, value) => a.round(sum + value, Math.abs(sum) + Math.abs(value))),
});

export const dino = single({
  mistakes: {
    'no centre': ["the centre is not subtracted from the teacher's outputs"],
    'centre added': ["the centre is added to the teacher's outputs, not subtracted"],
    'centre after temperature': ["the centre is subtracted after the division by the teacher's temperature"],
    'centre of student': ["the centre is subtracted from the student's outputs, not from the teacher's"],
    'centre of both': ["the centre is subtracted from the student's outputs as well"],
    'batch centre': ["the teacher's outputs are centred by the batch itself, not by the running centre"],
    'centre of probabilities': ["the centre is subtracted from the teacher's probabilities, not from its outputs"],
    'temperatures swapped': ["the student's and the teacher's temperatures are exchanged"],
    'teacher not sharpened': ["the teacher's outputs are not divided by a temperature"],
    'student not sharpened': ["the student's outputs are not divided by a temperature"],
    'student temperature for both': ["the teacher's outputs are divided by the student's temperature"],
    'teacher temperature for both': ["the student's outputs are divided by the teacher's temperature"],
    'teacher temperature multiplied': ["the teacher's outputs are multiplied by their temperature"],
    'student temperature multiplied': ["the student's outputs are multiplied by their temperature"],
    'same crops too': ['pairs of one and the same crop count as well'],
    'same crops only': ['only pairs of one and the same crop count'],
    'first pair only': ['only one direction counts: teacher 1 with student 2'],
    'second pair only': ['only one direction counts: teacher 2 with student 1'],
    'roles exchanged': ["the student's distribution is the target and the teacher's the prediction"],
    'no logarithm': ["the student's probabilities are not taken to logarithms"],
    'logarithm after mean': ['the logarithm is of the mean over the batch'],
    divergence: ["the teacher's entropy is subtracted: KL divergence, whose value is another though its gradient is the same"],
    'raw teacher': ["the teacher's outputs are not made probabilities"],
    'student unnormalised': ["the student's outputs are used as logarithms of probabilities without softmax"],
    'softmax over batch': ['softmax runs over the batch, not over the dimensions (the wrong axis)'],
    'teacher softmax over batch': ["the teacher's softmax runs over the batch, not over the dimensions (the wrong axis)"],
    'student softmax over batch': ["the student's softmax runs over the batch, not over the dimensions (the wrong axis)"],
    'squared error': ['squared differences of probabilities stand for the cross-entropy'],
    'hard targets': ["the teacher's largest output is the target, not its distribution"],
    'logarithm without the logarithm': ['KL without the logarithm of the target', 'lightly 337fb79f (PMSN)'],
    'rows normalised': ['outputs are scaled to length 1 first'],
    rolled: ['the student predicts the teacher of other samples'],
    'first teacher twice': ["the first crop's teacher stands for the second's as well"],
  },
  domain: { dimensions: [2, 4], state: { centre: 'vector' } },
  evaluate: (a, { embeddings, held, state, options }, has) => {
    const centre = state['centre']!;
    const [ts, tt] = [Number(options['studentTemperature']), Number(options['teacherTemperature'])];
    const swapped = has('temperatures swapped');
    const student = has('student not sharpened')
      ? 1
      : has('student temperature multiplied')
        ? 1 / ts
        : swapped || has('teacher temperature for both')
          ? tt
          : ts;
    const teacher = has('teacher not sharpened')
      ? 1
      : has('teacher temperature multiplied')
        ? 1 / tt
        : swapped || has('student temperature for both')
          ? ts
          : tt;
    const unit = (z: Matrix): Matrix => (has('rows normalised') ? a.unitRows(z) : z);
    const flipped = (x: Matrix, over: boolean, of: (rows: Matrix) => Matrix): Matrix => {
      if (!over) return of(x);
      const turned = { rows: x.columns, columns: x.rows, data: new Float64Array(x.data.length) };
      for (let i = 0; i < x.rows; i++) for (let j = 0; j < x.columns; j++) turned.data[j * x.rows + i] = x.data[i * x.columns + j]!;
      const result = of(turned);
      const back = new Float64Array(x.data.length);
      for (let i = 0; i < x.rows; i++) for (let j = 0; j < x.columns; j++) back[i * x.columns + j] = result.data[j * x.rows + i]!;
      return { rows: x.rows, columns: x.columns, data: back };
    };
    const givenTeachers = has('first teacher twice') ? [held[0]!, held[0]!] : held.slice(0, 2);
    const both = stacked(givenTeachers);
    const own = has('batch centre') ? a.columnMeans(both) : centre;
    const logsOfTeachers = givenTeachers.map((raw) => {
      const t = unit(raw);
      const moved =
        has('no centre') || has('centre of student') || has('centre after temperature') || has('centre of probabilities')
          ? t
          : a.shifted(t, own, has('centre added') ? 1 : -1);
      const sharp = a.scaled(moved, 1 / teacher);
      const shifted = has('centre after temperature') ? a.shifted(sharp, own) : sharp;
      return flipped(shifted, has('softmax over batch') || has('teacher softmax over batch'), (x) => a.logSoftmax(x));
    });
    const targets = logsOfTeachers.map((logs, v) => {
      if (has('raw teacher')) return givenTeachers[v]!;
      if (has('hard targets'))
        return a.matrix(logs.rows, logs.columns, (i, j) => {
          const row = Array.from(logs.data.subarray(i * logs.columns, (i + 1) * logs.columns));
          return row.indexOf(Math.max(...row)) === j ? 1 : 0;
        });
      const probabilities = a.map(logs, Math.exp);
      return has('centre of probabilities') ? a.shifted(probabilities, own) : probabilities;
    });
    const predictions = embeddings.slice(2).map((raw) => {
      const s = unit(raw);
      const moved = has('centre of student') || has('centre of both') ? a.shifted(s, own) : s;
      const sharp = a.scaled(moved, 1 / student);
      return has('student unnormalised')
        ? sharp
        : flipped(sharp, has('softmax over batch') || has('student softmax over batch'), (x) => a.logSoftmax(x));
    });
    const terms: number[] = [];
    for (const [i, target] of targets.entries())
      for (const [j, prediction] of predictions.entries()) {
        if (has('same crops only') ? i !== j : i === j && !has('same crops too')) continue;
        if ((has('first pair only') && i !== 0) || (has('second pair only') && i !== 1)) continue;
        const [n, columns] = [target.rows, target.columns];
        const of = (k: number): number => {
          const other = has('rolled') ? (k + columns) % (n * columns) : k;
          const [q, p] = [target.data[k]!, prediction.data[other]!];
          if (has('squared error')) return (q - Math.exp(p)) ** 2;
          if (has('no logarithm')) return -q * Math.exp(p);
          if (has('roles exchanged')) return -Math.exp(p) * logsOfTeachers[i]!.data[k]!;
          if (has('divergence')) return q * (logsOfTeachers[i]!.data[k]! - p);
          if (has('logarithm without the logarithm')) return q * (q - p);
          return -q * p;
        };
        if (has('logarithm after mean')) {
          const means = a.columnMeans(a.map(prediction, Math.exp));
          terms.push(a.sum(n * columns, (k) => -target.data[k]! * Math.log(means.data[k % columns]!)) / n);
        } else terms.push(a.sum(n * columns, of) / n);
      }
    return a.meanOf(terms);
  },
});
