import { type Arithmetic, at, type Matrix, rowsOf, stacked, transposed } from '../arithmetic.ts';
import { divisorOf, temperatureMistakes } from './contrastive.ts';
import { single } from './formula.ts';
import { rowMistakes, unitRows } from './rows.ts';

interface SinkhornOptions {
  readonly epsilon: number;
  readonly iterations: number;
  readonly samplesFirst: boolean;
  readonly prototypesLast: boolean;
}

/** Assignments [n, K] of scores, in logarithms. */
function sinkhorn(a: Arithmetic, scores: Matrix, { epsilon, iterations, samplesFirst, prototypesLast }: SinkhornOptions): Matrix {
  let logs = a.scaled(scores, 1 / epsilon);
  const overSamples = (): void => {
    logs = transposed(a.logSoftmax(transposed(logs)));
  };
  const overPrototypes = (): void => {
    logs = a.logSoftmax(logs);
  };
  for (let i = 0; i < iterations; i++) {
    if (samplesFirst) overPrototypes();
    overSamples();
    if (!samplesFirst) overPrototypes();
  }
  if (prototypesLast) overSamples();
  else overPrototypes();
  return a.map(logs, Math.exp);
}

const { 'first normalised': _first, 'second normalised': _second, 'not normalised': _none, ...ofRows } = rowMistakes;

const scoreMistakes = {
  ...ofRows,
  'embeddings not normalised': [
    'embeddings are not scaled to length 1: scores are no cosines, and exponentials of them overflow',
    'swav #67',
  ],
  'prototypes not normalised': ['prototypes are not scaled to length 1', 'swav #67'],
  'nothing normalised': ['neither embeddings nor prototypes are scaled to length 1', 'swav #67'],
  'prototype columns normalised': ['columns of the prototypes are scaled to length 1 instead of rows (the wrong axis)'],
} as const;

/** Scores [n, K]; `held` is z as a constant. */
function scoresOf(a: Arithmetic, z: Matrix, prototypes: Matrix, has: (mistake: keyof typeof scoreMistakes) => boolean, held = z): Matrix {
  const bare = has('nothing normalised');
  const rows =
    bare || has('embeddings not normalised')
      ? z
      : unitRows(a, z, (mistake) => mistake in ofRows && has(mistake as keyof typeof ofRows), { held });
  const centres =
    bare || has('prototypes not normalised')
      ? prototypes
      : has('prototype columns normalised')
        ? a.unitColumns(prototypes)
        : a.unitRows(prototypes);
  return a.product(rows, transposed(centres));
}

export const swav = single({
  mistakes: {
    ...temperatureMistakes,
    ...scoreMistakes,
    'joint assignment': ["one Sinkhorn runs over both views together: each view's marginals are off", 'stable-pretraining'],
    'own assignment': ['a view predicts its own assignment, not the other one’s: nothing is swapped'],
    'first direction': ['only one direction counts: the second view predicts the first'],
    'second direction': ['only one direction counts: the first view predicts the second'],
    'softmax assignment': ['assignments are softmax(scores/ε) without Sinkhorn: nothing keeps samples from one prototype'],
    'one iteration': ['Sinkhorn runs once, not as often as it is said to'],
    'two iterations': ['Sinkhorn runs twice, not as often as it is said to'],
    'one iteration less': ['Sinkhorn runs once less than it is said to'],
    'one iteration more': ['Sinkhorn runs once more than it is said to'],
    'samples first': ['Sinkhorn scales samples before prototypes in each turn'],
    'prototypes last': ["Sinkhorn ends with the prototypes: a sample's assignments do not sum to 1"],
    'prototypes last, over n': ['Sinkhorn ends with the prototypes, and assignments are not multiplied by n'],
    'assignment temperature': ["assignments are made at τ, the prediction's temperature, instead of at ε"],
    'epsilon for both': ["predictions are made at ε, the assignment's temperature, instead of at τ"],
    'epsilon multiplied': ['scores are multiplied by ε, not divided by it'],
    'assignment over samples': ['assignments are normalised over the samples, not over the prototypes (the wrong axis)'],
    'prediction over samples': ["the prediction's softmax runs over the samples, not over the prototypes (the wrong axis)"],
    'no logarithm': ['the logarithm of the prediction is missing'],
    'hard assignment': ['assignments are rounded to the nearest prototype'],
    'entropy subtracted': ["the assignment's entropy is subtracted: KL divergence"],
    'roles exchanged': ['the prediction is the target: −Σ p·ln q'],
    rolled: ['assignments go with the predictions of other samples'],
    'squared error': ['squared differences of probabilities stand for the cross-entropy'],
    'sample maximum': [
      'each sample’s greatest score is subtracted before Sinkhorn, which does not cancel in few iterations',
      'dinov2 #583',
    ],
    costs: ['Sinkhorn is given e^(−score/ε), as for costs: samples go to the farthest prototypes', 'vissl #250'],
    'assignment of the first twice': ["the first view's assignment stands for the second's"],
  },
  domain: { distinct: 'rows', state: { prototypes: 'rows', queue1: 'rows', queue2: 'rows' } },
  evaluate: (a, { embeddings, held, state, options }, has) => {
    const prototypes = state['prototypes']!;
    const epsilon = has('assignment temperature')
      ? Number(options['temperature'])
      : has('epsilon multiplied')
        ? 1 / Number(options['epsilon'])
        : Number(options['epsilon']);
    const tau = has('epsilon for both') ? Number(options['epsilon']) : divisorOf(options, has);
    const given = Number(options['iterations']);
    const iterations = has('softmax assignment')
      ? 0
      : has('one iteration')
        ? 1
        : has('two iterations')
          ? 2
          : given + (has('one iteration more') ? 1 : has('one iteration less') ? -1 : 0);
    const last = has('prototypes last') || has('prototypes last, over n');
    const turns = { epsilon, iterations, samplesFirst: has('samples first') || last, prototypesLast: last };
    const n = embeddings[0]!.rows;
    const assign = (given: Matrix): Matrix => {
      const most = (i: number): number => Math.max(...given.data.subarray(i * given.columns, (i + 1) * given.columns));
      const scores = has('costs')
        ? a.scaled(given, -1)
        : has('sample maximum')
          ? a.matrix(given.rows, given.columns, (i, k) => at(given, i, k) - most(i))
          : given;
      return has('assignment over samples') ? transposed(sinkhorn(a, transposed(scores), turns)) : sinkhorn(a, scores, turns);
    };
    const queues = [state['queue1'], state['queue2']];
    const targetScores = [0, 1].map((i) =>
      scoresOf(
        a,
        stacked([held[has('assignment of the first twice') ? 0 : i]!, ...[queues[i]].filter((queue) => queue !== undefined)]),
        prototypes,
        has,
      ),
    );
    const joint = has('joint assignment') ? assign(stacked(targetScores)) : null;
    const targets = targetScores.map((scores, i) => {
      const q = joint ? rowsOf(joint, i * n, n) : rowsOf(assign(scores), 0, n);
      if (has('prototypes last')) return a.scaled(q, n / prototypes.rows);
      if (has('prototypes last, over n')) return a.scaled(q, 1 / prototypes.rows);
      if (has('hard assignment'))
        return a.matrix(n, q.columns, (row, k) => {
          const values = Array.from(q.data.subarray(row * q.columns, (row + 1) * q.columns));
          return values.indexOf(Math.max(...values)) === k ? 1 : 0;
        });
      return q;
    });
    const predictions = embeddings.map((z, v) => {
      const scaled = a.scaled(scoresOf(a, z, prototypes, has, held[v]!), 1 / tau);
      return has('prediction over samples') ? transposed(a.logSoftmax(transposed(scaled))) : a.logSoftmax(scaled);
    });
    const terms: number[] = [];
    for (const [i, target] of targets.entries())
      for (const [v, prediction] of predictions.entries()) {
        if (has('own assignment') ? v !== i : v === i) continue;
        if ((has('first direction') && i !== 0) || (has('second direction') && i !== 1)) continue;
        const columns = target.columns;
        terms.push(
          a.sum(target.data.length, (k) => {
            const [q, p] = [target.data[k]!, prediction.data[has('rolled') ? (k + columns) % target.data.length : k]!];
            if (has('squared error')) return (q - Math.exp(p)) ** 2;
            if (has('no logarithm')) return -q * Math.exp(p);
            if (has('roles exchanged')) return -Math.exp(p) * Math.log(q);
            return -q * p + (has('entropy subtracted') && q > 0 ? q * Math.log(q) : 0);
          }) / n,
        );
      }
    return a.meanOf(terms);
  },
});

export const deepCluster = single({
  mistakes: {
    ...temperatureMistakes,
    ...scoreMistakes,
    'unassigned counted': ['samples without a cluster (−100) count in the divisor of the mean'],
    'unassigned to zero': ['samples without a cluster (−100) go to the first one'],
    'unassigned to last': ['samples without a cluster (−100) go to the last one'],
    'label off by one': ['labels are off by one'],
    'softmax over samples': ['softmax runs over the samples, not over the prototypes (the wrong axis)'],
    'no logarithm': ['the logarithm is missing: probabilities stand for their logarithms'],
    'positive not in denominator': ['the own cluster is missing from the denominator'],
    distances: ['squared distances to prototypes stand for cosines'],
    'softmax twice': ['the softmax is taken twice: its probabilities are given to a cross-entropy, which takes logits'],
    'no softmax': ['the softmax is missing: the mean score of the own cluster'],
    'mean over clusters': ['the mean is over clusters, so that small ones count as much as large ones'],
    smoothed: ['labels are smoothed by .1'],
    'hard assignment': ['samples go to the nearest prototype of the moment, not to the cluster that they were given'],
  },
  domain: { distinct: 'rows', state: { prototypes: 'rows', assignments: 'labels' } },
  evaluate: (a, { embeddings: [z], held, state, options }, has) => {
    const prototypes = state['prototypes']!;
    const scores = scoresOf(a, z!, prototypes, has, held[0]!);
    const squares = a.rowSquares(a.unitRows(z!));
    const lengths = a.rowSquares(a.unitRows(prototypes));
    const used = has('distances')
      ? a.matrix(scores.rows, scores.columns, (i, k) => 2 * at(scores, i, k) - squares[i]! - lengths[k]!)
      : scores;
    const logits = a.scaled(used, 1 / divisorOf(options, has));
    const logs = has('softmax over samples')
      ? transposed(a.logSoftmax(transposed(logits)))
      : has('no softmax')
        ? logits
        : a.logSoftmax(has('softmax twice') ? a.softmax(logits) : logits);
    const K = prototypes.rows;
    const labels = Array.from(state['assignments']!.data, (label, i) => {
      if (has('hard assignment')) {
        const row = Array.from(logits.data.subarray(i * K, (i + 1) * K));
        return row.indexOf(Math.max(...row));
      }
      if (label < 0) return has('unassigned to zero') ? 0 : has('unassigned to last') ? K - 1 : -1;
      return has('label off by one') ? (label + 1) % K : label;
    });
    const counted = labels.filter((label) => label >= 0).length;
    const term = (i: number): number => {
      const label = labels[i]!;
      if (label < 0) return 0;
      if (has('positive not in denominator'))
        return a.logSumExp(K, (k) => (k === label ? -Infinity : at(logits, i, k))) - at(logits, i, label);
      if (has('smoothed')) return -(0.9 * at(logs, i, label) + 0.1 * (a.sum(K, (k) => at(logs, i, k)) / K));
      return has('no logarithm') ? -Math.exp(at(logs, i, label)) : -at(logs, i, label);
    };
    if (has('mean over clusters')) {
      const present = [...new Set(labels.filter((label) => label >= 0))];
      return a.meanOf(present.map((label) => a.meanOf(labels.flatMap((own, i) => (own === label ? [term(i)] : [])))));
    }
    return a.sum(labels.length, term) / (has('unassigned counted') ? labels.length : counted);
  },
});
