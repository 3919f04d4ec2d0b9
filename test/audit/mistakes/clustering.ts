import { logSoftmax, type Matrix, map, mean, multiply, normalized, scale, sum, transpose } from '../implementations/arithmetic.ts';
import {
  crossEntropyOf,
  type DeepCluster,
  deepCluster,
  type Sinkhorn,
  type SwAV,
  scoresOf,
  sinkhorn,
} from '../implementations/contrast.ts';
import { type Formula, lossOf, type Views } from '../implementations/formula.ts';
import type { Mistake } from '../mistake.ts';

interface Parts {
  /** Scores [n, K] of rows with prototypes. */
  readonly scores?: (z: Matrix, prototypes: Matrix) => Matrix;
  /** Assignments by the scores of each assigning view, with its queue's behind them. */
  readonly assign?: (scores: readonly Matrix[], options: Sinkhorn) => readonly Matrix[];
}

/** SwAV, but for a part of it. */
const swavBut =
  ({ scores = scoresOf, assign = (all, options) => all.map((own) => sinkhorn(own, options)) }: Parts): Formula<Views, SwAV> =>
  (views, constants, { temperature = 0.1, prototypes, queue1 = [], queue2 = [], ...rest }) => {
    const predictions = views.map((view) => scale(scores(view, prototypes), 1 / temperature));
    const assigned = assign(
      [queue1, queue2].map((queue, i) => scores([...constants[i]!, ...queue], prototypes)),
      rest,
    );
    return mean(
      assigned.flatMap((targets, i) =>
        predictions.flatMap((prediction, v) => (v === i ? [] : [crossEntropyOf(targets.slice(0, prediction.length), prediction)])),
      ),
    );
  };

export const mistakes: readonly Mistake[] = [
  {
    family: 'swav',
    name: 'embeddings not normalised',
    sentence:
      'Embeddings are multiplied by the prototypes without being scaled to length 1: scores are no cosines, and overflow in Sinkhorn.',
    source: 'facebookresearch/swav #67',
    loss: lossOf(swavBut({ scores: (z, prototypes) => multiply(z, transpose(normalized(prototypes))) })),
  },
  {
    family: 'swav',
    name: 'one assignment for both views',
    sentence: 'Both views share one run of Sinkhorn, so that prototypes have their share of both together, and not of each.',
    source: 'rbalestr-lab/stable-pretraining:stable_pretraining/losses/joint_embedding.py (SwAVLoss)',
    loss: lossOf(
      swavBut({
        assign: ([first, second], options) => {
          const both = sinkhorn([...first!, ...second!], options);
          return [both.slice(0, first!.length), both.slice(first!.length)];
        },
      }),
    ),
  },
  {
    family: 'swav',
    name: "sample's maximum subtracted",
    sentence:
      "Against overflow each sample's greatest score is subtracted, not that of all: Sinkhorn of few iterations does not cancel that.",
    source: 'facebookresearch/dinov2 #583 (proposed there)',
    loss: lossOf(
      swavBut({
        assign: (all, options) =>
          all.map((own) =>
            sinkhorn(
              own.map((row) => row.map((score) => score - Math.max(...row))),
              options,
            ),
          ),
      }),
    ),
    options: { iterations: 3 },
  },
  {
    family: 'swav',
    name: 'prototypes normalised along the wrong axis',
    sentence: 'Prototypes [K, d] are scaled to length 1 by columns, as the pseudo-code has it of their transpose, and not by rows.',
    source: 'facebookresearch/swav #14; vturrisi/solo-learn #249',
    loss: lossOf(swavBut({ scores: (z, prototypes) => multiply(normalized(z), normalized(transpose(prototypes))) })),
  },
  {
    family: 'swav',
    name: 'scores taken for costs',
    sentence: 'Sinkhorn is given e^(−score/ε), as for costs, so that samples go to the prototypes that they are farthest from.',
    source: 'facebookresearch/vissl #250 (asked for there)',
    loss: lossOf(swavBut({ assign: (all, options) => all.map((own) => sinkhorn(scale(own, -1), options)) })),
  },
  {
    family: 'deepcluster',
    name: 'unassigned samples in the mean',
    sentence: 'Samples without a cluster (−100) add nothing to the sum, and yet are counted in the mean.',
    source: "PaddlePaddle/Paddle #76033, #23708 (there of the library's cross-entropy)",
    loss: lossOf<readonly [Matrix], DeepCluster>(([z], _constants, { temperature = 0.1, prototypes, assignments }) => {
      const scores = map(scoresOf(z, prototypes), (value) => value / temperature);
      return -sum(scores.map((row, i) => (assignments[i] === -100 ? 0 : logSoftmax(row)[assignments[i]!]!))) / z.length;
    }),
  },
  {
    family: 'deepcluster',
    name: 'temperature multiplied',
    sentence: 'Cosines are multiplied by the temperature, not divided.',
    source: 'bowang-lab/BLEEP #5',
    loss: lossOf<readonly [Matrix], DeepCluster>((views, constants, { temperature = 0.1, ...rest }) =>
      deepCluster(views, constants, { ...rest, temperature: 1 / temperature }),
    ),
  },
];
