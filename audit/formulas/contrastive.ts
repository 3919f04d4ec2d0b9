import { at, stacked, transposed } from '../arithmetic.ts';
import { type Mistake, type Options, single } from './formula.ts';
import { rowMistakes, unitRows } from './rows.ts';

const temperatures = {
  'multiplied by temperature': ['cosines are multiplied by τ, not divided by it'],
  'temperature squared': ['cosines are divided by τ twice'],
  'no temperature': ['cosines are not divided by τ'],
  'temperature rooted': ['cosines are divided by √τ'],
  'temperature .07': ['τ is .07, not what it is said to be'],
  'temperature .1': ['τ is .1, not what it is said to be'],
  'temperature .2': ['τ is .2, not what it is said to be'],
  'temperature .5': ['τ is .5, not what it is said to be'],
} as const satisfies Readonly<Record<string, Mistake>>;

/** What a cosine is divided by. */
export function divisorOf(options: Options, has: (mistake: keyof typeof temperatures) => boolean, name = 'temperature'): number {
  const tau = Number(options[name]);
  if (has('multiplied by temperature')) return 1 / tau;
  if (has('temperature squared')) return tau ** 2;
  if (has('no temperature')) return 1;
  if (has('temperature rooted')) return Math.sqrt(tau);
  const other = (['temperature .07', 'temperature .1', 'temperature .2', 'temperature .5'] as const).find((flag) => has(flag));
  return other ? Number(other.slice(12)) : tau;
}
export { temperatures as temperatureMistakes };

export const simclr = single({
  mistakes: {
    ...temperatures,
    ...rowMistakes,
    'positive not in denominator': ['the positive pair is missing from the denominator, so that the loss goes below 0', '3DInfomax'],
    'self in denominator': ['a row is told apart from itself as well: the self-pair, e^{1/τ}, is not masked'],
    'self subtracted': [
      'e^{1/τ} is subtracted instead of masking the self-pair: that cancels, and is wrong where a row has not the length 1',
      'lightning-bolts #695',
    ],
    'self pairs zeroed': ['the self-pair is set to 0 before the exponential, so it counts as e⁰ = 1, instead of −∞'],
    'negatives of the other view': ['negatives are only those of the other view (n−1, not 2n−2)'],
    'negatives of the other view, one way': [
      "only the first view's rows are told apart, from the second view's (n−1 negatives, one direction)",
    ],
    'first view only': ["only the first view's rows are averaged, not all 2n"],
    'second view only': ["only the second view's rows are averaged, not all 2n"],
    'negatives of the own view': ['negatives are only those of the own view'],
    'positive twice': ['the positive pair counts twice in the denominator'],
    'no logarithm': ['the logarithm is missing: the mean of probabilities stands for that of their logarithms'],
    'logarithm of the mean': ['the logarithm is of the mean probability, not the mean of logarithms'],
    'shift of columns': ['the stabilising maximum is subtracted along the wrong axis, and does not cancel in the row', 'CEBRA 8520b9b'],
    'positive unscaled': ["the positive's cosine is not divided by τ in the numerator"],
    'shifted labels': ['the label is off by one: the positive of a row is the next sample'],
    'mean of denominators': ['the denominator is the mean of exponentials, not their sum'],
    'two log-sums': ['two log-sum-exps are added up instead of joined', 'lightly #1827'],
    'decoupled, over both': ['the positive is missing from the denominator, and the self-pair is in it'],
    distance: ['negative squared distances stand for cosines, doubled'],
    'batch softmax': ['softmax runs over the wrong axis of all pairs at once, not of each row'],
    'first view twice': ['the first view is compared with itself; the second is not used'],
    'second view twice': ['the second view is compared with itself; the first is not used'],
    'own positive': [
      'the positive of the second view’s rows is the row itself, whose other view is a negative (the mask of the first half)',
      'solo-learn #206',
    ],
    'positive unscaled throughout': ["the positive's cosine is not divided by τ, in the numerator or below"],
    'denominator plus 1e-6': ['1e-6 is added to the denominator', 'lightning-bolts #681'],
    'denominator plus 1e-8': ['1e-8 is added to the denominator'],
    'denominator plus 1e-12': ['1e-12 is added to the denominator'],
    'margin of one': ['one pair for each sample counts as negative: that of the next sample'],
  },
  domain: { distinct: 'rows' },
  weight: (options) => (options['dialect'] === 'google' ? 2 : 1),
  evaluate: (a, { embeddings, held, options }, has) => {
    const tau = divisorOf(options, has);
    const given = has('first view twice')
      ? [embeddings[0]!, embeddings[0]!]
      : has('second view twice')
        ? [embeddings[1]!, embeddings[1]!]
        : embeddings;
    const [za, zb] = given.map((z, i) => {
      const place = i === 0 ? 0 : 1;
      return unitRows(a, z, has, {
        least: 1e-6,
        place,
        held: has('first view twice') ? held[0]! : has('second view twice') ? held[1]! : held[i]!,
      });
    });
    const n = za!.rows;
    const rows = stacked([za!, zb!]);
    const products = a.product(rows, transposed(rows));
    const squares = a.rowSquares(rows);
    const logits = a.matrix(2 * n, 2 * n, (i, j) =>
      has('distance') ? -(squares[i]! + squares[j]! - 2 * at(products, i, j)) / tau : at(products, i, j) / tau,
    );
    const positive = (i: number): number => (has('shifted labels') ? ((i + 1) % n) + (i < n ? n : 0) : (i + n) % (2 * n));
    const everything = (): number => a.logSumExp(4 * n * n, (k) => (k % (2 * n + 1) === 0 ? -Infinity : logits.data[k]!));
    const all = has('batch softmax') ? everything() : 0;
    const term = (i: number): number => {
      const p = has('own positive') && i >= n ? i : positive(i);
      const of = (j: number): number => {
        const same = i < n === j < n;
        if (has('own positive') && i >= n) return at(logits, i, j);
        if (j === i && !has('self in denominator') && !has('decoupled, over both')) return has('self pairs zeroed') ? 0 : -Infinity;
        if (j === p && (has('positive not in denominator') || has('decoupled, over both'))) return -Infinity;
        if (same && (has('negatives of the other view') || has('negatives of the other view, one way'))) return -Infinity;
        if (!same && j !== p && has('negatives of the own view')) return -Infinity;
        if (has('margin of one') && j !== p && j !== (i + 1) % (2 * n)) return -Infinity;
        return (
          at(logits, i, j) * (j === p && has('positive unscaled throughout') ? tau : 1) + (j === p && has('positive twice') ? Math.LN2 : 0)
        );
      };
      let sum = a.logSumExp(2 * n, of);
      if (has('batch softmax')) sum = all;
      if (has('two log-sums'))
        sum =
          a.logSumExp(2 * n, (j) => (i < n === j < n ? of(j) : -Infinity)) +
          a.logSumExp(2 * n, (j) => (i < n !== j < n ? of(j) : -Infinity));
      if (has('self subtracted')) sum = Math.log(Math.exp(a.logSumExp(2 * n, (j) => at(logits, i, j))) - Math.exp(1 / tau));
      if (has('mean of denominators')) sum -= Math.log(2 * n - 1);
      if (has('shift of columns')) {
        // Of the masked matrix, which is symmetric: a row's and a column's are one.
        const most = (j: number): number => Math.max(...Array.from({ length: 2 * n }, (_, k) => (k === j ? -Infinity : at(logits, k, j))));
        sum = a.logSumExp(2 * n, (j) => of(j) - most(j));
        return -(at(logits, i, p) - most(i) - sum);
      }
      const plus = has('denominator plus 1e-6') ? 1e-6 : has('denominator plus 1e-8') ? 1e-8 : has('denominator plus 1e-12') ? 1e-12 : 0;
      if (plus > 0) sum = Math.log(Math.exp(sum) + plus);
      const top = at(logits, i, p) * (has('positive unscaled') || has('positive unscaled throughout') ? tau : 1);
      const logarithm = a.round(top - sum, Math.abs(top));
      return has('no logarithm') || has('logarithm of the mean') ? -Math.exp(logarithm) : -logarithm;
    };
    const [from, count] =
      has('first view only') || has('negatives of the other view, one way') ? [0, n] : has('second view only') ? [n, n] : [0, 2 * n];
    const mean = a.sum(count, (i) => term(from + i)) / count;
    return has('logarithm of the mean') ? -Math.log(-mean) : mean;
  },
});

export const moco = single({
  mistakes: {
    ...temperatures,
    ...rowMistakes,
    'queue not normalised': ["the queue's rows are not of length 1 (the result of the normalisation is thrown away)", 'lightly 7891ae77'],
    'nothing normalised': ['nothing is scaled to length 1: products stand for cosines'],
    'positive not in denominator': ['the positive pair is missing from the denominator, so that the loss goes below 0', '3DInfomax'],
    'positive unscaled': ["the positive's cosine is not divided by τ"],
    'negatives unscaled': ['the cosines with the queue are not divided by τ'],
    'label last': ['the label is that of a key in the queue (the last), not of the positive'],
    'label one': ["the label is that of the queue's first key, not of the positive"],
    'keys as negatives': ['the keys of the batch are negatives as well: the positive counts twice'],
    'negatives of the key': ['the queue is compared with the key, not with the query'],
    'batch negatives': ['negatives are the other keys of the batch; the queue is not used'],
    'batch and queue': ['the other keys of the batch are negatives beside the queue'],
    'enqueued before': ["the keys are enqueued before the logits: each query's own key is among its negatives, in place of the oldest"],
    'no logarithm': ['the logarithm is missing: probabilities stand for their logarithms'],
    'softmax over batch': ['softmax runs over the batch, not over the keys (the wrong axis)'],
    'shift of columns': ['the stabilising maximum is that of the column, and does not cancel in the row', 'CEBRA 8520b9b'],
    'keys rolled': ['queries meet the keys of other samples'],
    'two log-sums': ['the positive and the sum of the negatives enter as two logarithms, not one', 'lightly #1827'],
    binary: ['each pair is classified by itself (sigmoid), not all keys of a query together (softmax)'],
    'mean of negatives': ['the mean of the negatives stands in the denominator for their sum'],
  },
  domain: { distinct: 'rows', state: { queue: 'rows' } },
  evaluate: (a, { embeddings: [queries], held: [heldQueries, keys], state, options }, has) => {
    const tau = divisorOf(options, has);
    const bare = has('nothing normalised');
    const q = bare ? queries! : unitRows(a, queries!, has, { held: heldQueries! });
    const k = bare ? keys! : unitRows(a, keys!, has, { place: 1 });
    const kept = bare || has('queue not normalised') ? state['queue']! : a.unitRows(state['queue']!);
    const n = q.rows;
    const negatives = has('enqueued before')
      ? { ...stacked([k, kept]), rows: kept.rows, data: stacked([k, kept]).data.slice(0, kept.data.length) }
      : has('keys as negatives') || has('batch and queue')
        ? stacked([kept, k])
        : has('batch negatives')
          ? k
          : kept;
    const own = a.rowProducts(
      q,
      has('keys rolled')
        ? stacked([
            { ...k, rows: n - 1, data: k.data.slice(k.columns) },
            { ...k, rows: 1, data: k.data.slice(0, k.columns) },
          ])
        : k,
    );
    const others = a.product(has('negatives of the key') ? k : q, transposed(negatives));
    const logits = a.matrix(n, 1 + negatives.rows, (i, j) => {
      if (j === 0) return own[i]! / (has('positive unscaled') ? 1 : tau);
      const among = j - 1 - (has('batch and queue') ? kept.rows : 0);
      if ((has('batch and queue') || has('batch negatives')) && among === i) return -Infinity;
      return at(others, i, j - 1) / (has('negatives unscaled') ? 1 : tau);
    });
    const label = has('label last') ? negatives.rows : has('label one') ? 1 : 0;
    return (
      a.sum(n, (i) => {
        const top = at(logits, i, label);
        if (has('softmax over batch')) return a.logSumExp(n, (m) => at(logits, m, label)) - top;
        if (has('two log-sums')) return a.logSumExp(negatives.rows, (j) => at(logits, i, 1 + j));
        if (has('binary')) {
          const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
          return (softplus(-top) + a.sum(negatives.rows, (j) => softplus(at(logits, i, 1 + j)))) / (1 + negatives.rows);
        }
        const skip = has('positive not in denominator') ? 1 : 0;
        const most = (j: number): number =>
          has('shift of columns') ? Math.max(...Array.from({ length: n }, (_, m) => at(logits, m, j))) : 0;
        const share = has('mean of negatives') ? Math.log(negatives.rows) : 0;
        const sum = a.logSumExp(logits.columns - skip, (j) => at(logits, i, j + skip) - most(j + skip) - (j + skip > 0 ? share : 0));
        const logarithm = a.round(top - most(label) - sum, Math.abs(top));
        return has('no logarithm') ? -Math.exp(logarithm) : -logarithm;
      }) / n
    );
  },
});
