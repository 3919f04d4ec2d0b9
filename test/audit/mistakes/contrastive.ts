import { dot, logSoftmax, logSumExp, type Matrix, map, mean, normalized, scale, squares, sum } from '../implementations/arithmetic.ts';
import { type MoCo, moco, type SimCLR, simclr } from '../implementations/contrast.ts';
import { type Formula, lossOf, type Pair } from '../implementations/formula.ts';
import type { Mistake } from '../mistake.ts';

/** Of one row of 2n: its scores with all rows, the place of its other view, and its own. */
type RowTerm = (scores: readonly number[], positive: number, own: number, temperature: number) => number;

/** The mean over both views' rows of what `of` makes of their scores. */
const overRows =
  (of: RowTerm, prepare = (rows: Matrix): Matrix => normalized(rows, 1e-6)): Formula<Pair, SimCLR> =>
  ([za, zb], _constants, { temperature = 0.5, dialect = 'mean' }) => {
    const rows = [...prepare(za), ...prepare(zb)];
    const n = za.length;
    const terms = rows.map((row, i) =>
      of(
        rows.map((other) => dot(row, other) / temperature),
        (i + n) % (2 * n),
        i,
        temperature,
      ),
    );
    return mean(terms) * (dialect === 'google' ? 2 : 1);
  };

const right: RowTerm = (scores, positive, own) => logSumExp(scores.filter((_, k) => k !== own)) - scores[positive]!;

export const mistakes: readonly Mistake[] = [
  {
    family: 'simclr',
    name: 'positive missing below',
    sentence: 'The denominator has the negatives only, not the positive, so that the loss falls below 0.',
    source: 'HannesStark/3DInfomax:commons/losses.py',
    loss: lossOf(overRows((scores, positive, own) => logSumExp(scores.filter((_, k) => k !== own && k !== positive)) - scores[positive]!)),
  },
  {
    family: 'simclr',
    name: 'self subtracted',
    sentence:
      'e^(1/τ) is subtracted for the pair of a row with itself, which is not masked: right in value only of rows of length 1, which these are not.',
    source: 'Lightning-Universe/lightning-bolts #695',
    loss: lossOf(
      overRows(
        (scores, positive, _own, temperature) => Math.log(sum(scores.map(Math.exp)) - Math.exp(1 / temperature)) - scores[positive]!,
        (rows) => rows,
      ),
    ),
  },
  {
    family: 'simclr',
    name: 'epsilon below',
    sentence: '10⁻⁶ is added to the denominator.',
    source: 'Lightning-Universe/lightning-bolts #681',
    loss: lossOf(
      overRows((scores, positive, own) => Math.log(sum(scores.filter((_, k) => k !== own).map(Math.exp)) + 1e-6) - scores[positive]!),
    ),
  },
  {
    family: 'simclr',
    name: 'one view twice',
    sentence: 'The first view is compared with itself, and the second not at all.',
    source: 'microsoft/A-CLIP #4',
    loss: lossOf<Pair, SimCLR>(([za], _constants, context) => simclr([za, za], [za, za], context)),
  },
  {
    family: 'simclr',
    name: 'wrong diagonal',
    sentence:
      "For the second half of the rows the diagonal of the first half is cleared, so that each row's positive is itself, and its other view a negative.",
    source: 'vturrisi/solo-learn #206',
    loss: lossOf(
      overRows((scores, positive, own) => {
        const second = own >= scores.length / 2;
        return second ? logSumExp(scores) - scores[own]! : right(scores, positive, own, 1);
      }),
    ),
  },
  {
    family: 'simclr',
    name: 'maximum along the wrong axis',
    sentence: "Each row's greatest score is subtracted from a column of the scores instead of a row, so that it does not cancel.",
    source: 'AdaptiveMotorControlLab/CEBRA #48, 8520b9b',
    loss: lossOf<Pair, SimCLR>(([za, zb], _constants, { temperature = 0.5, dialect = 'mean' }) => {
      const rows = [...normalized(za, 1e-6), ...normalized(zb, 1e-6)];
      const scores = rows.map((row, i) => rows.map((other, k) => (i === k ? -Infinity : dot(row, other) / temperature)));
      const greatest = scores.map((row) => Math.max(...row));
      const terms = scores.map(
        (row, i) => logSumExp(row.map((score, k) => score - greatest[k]!)) - (row[(i + za.length) % rows.length]! - greatest[i]!),
      );
      return mean(terms) * (dialect === 'google' ? 2 : 1);
    }),
  },
  {
    family: 'simclr',
    name: 'temperature not on the positive',
    sentence: 'The score of the positive is not divided by the temperature.',
    source: 'RElbers/info-nce-pytorch #17',
    loss: lossOf(
      overRows((scores, positive, own, temperature) => {
        const cosine = scores[positive]! * temperature;
        return logSumExp(scores.flatMap((score, k) => (k === own ? [] : [k === positive ? cosine : score]))) - cosine;
      }),
    ),
  },
  {
    family: 'simclr',
    name: 'two sums of logarithms',
    sentence: 'The logarithms of the sums over the own and over the other view are added, where the sums should be, before the logarithm.',
    source: 'lightly-ai/lightly #1827 (there of DCL)',
    loss: lossOf(
      overRows((scores, positive, own) => {
        const n = scores.length / 2;
        const [first, second] = [0, n].map((from) => logSumExp(scores.slice(from, from + n).filter((_, k) => k + from !== own)));
        return first! + second! - scores[positive]!;
      }),
    ),
  },
  {
    family: 'simclr',
    name: 'normalised as a whole',
    sentence: 'Embeddings are divided by the length of the whole matrix, since no axis was named, and not each row by its own.',
    source: 'tensorflow/similarity #237',
    loss: lossOf(overRows(right, (rows) => scale(rows, 1 / Math.max(Math.sqrt(squares(rows)), 1e-6)))),
  },
  {
    family: 'moco',
    name: 'queue not normalised',
    sentence: 'The normalised queue is thrown away, and the queue taken as it is, so that long keys outweigh all others.',
    source: 'lightly-ai/lightly #1009 (7891ae77)',
    loss: lossOf<Pair, MoCo>(([queries], [, keys], { temperature = 0.2, queue }) => {
      const [q, k] = [normalized(queries), normalized(keys)];
      return -mean(q.map((row, i) => logSoftmax([k[i]!, ...queue].map((other) => dot(row, other) / temperature))[0]!));
    }),
  },
  {
    family: 'moco',
    name: 'own key among the negatives',
    sentence: "The batch's keys are in the queue before the loss is taken, so that each query is pushed from its own key, too.",
    source: 'lightly-ai/lightly #564',
    loss: lossOf<Pair, MoCo>(([queries, keys], constants, context) =>
      moco([queries, keys], constants, { ...context, queue: [...context.queue, ...keys] }),
    ),
  },
  {
    family: 'moco',
    name: 'temperature not on the negatives',
    sentence: 'The scores of the negatives are not divided by the temperature.',
    source: 'huiserwang/ContrastMask #4',
    loss: lossOf<Pair, MoCo>(([queries], [, keys], { temperature = 0.2, queue }) => {
      const [q, k, negatives] = [normalized(queries), normalized(keys), normalized(queue)];
      return -mean(q.map((row, i) => logSoftmax([dot(row, k[i]!) / temperature, ...negatives.map((other) => dot(row, other))])[0]!));
    }),
  },
  {
    family: 'moco',
    name: 'rows not normalised',
    sentence: 'Queries and keys are multiplied as they are, so that their lengths count.',
    source: 'imbue-ai/self_supervised #7 (there of BYOL)',
    loss: lossOf<Pair, MoCo>(([queries], [, keys], { temperature = 0.2, queue }) => {
      const scores = queries.map((row, i) => [keys[i]!, ...normalized(queue)].map((other) => dot(row, other)));
      return -mean(map(scores, (score) => score / temperature).map((row) => logSoftmax(row)[0]!));
    }),
  },
];
