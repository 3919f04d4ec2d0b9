import {
  cosines,
  dot,
  logSoftmax,
  logSumExp,
  type Matrix,
  map,
  mean,
  multiply,
  normalized,
  softmax,
  sum,
  transpose,
  type Vector,
} from './arithmetic.ts';
import type { Formula, Pair, Predicted, Views } from './formula.ts';

export type SimCLRDialect = 'mean' | 'google';
export interface SimCLR {
  readonly temperature?: number;
  readonly dialect?: SimCLRDialect;
}

/** (T. Chen et al., ICML 2020; google-research/simclr) */
export const simclr: Formula<Pair, SimCLR> = ([za, zb], _constants, { temperature = 0.5, dialect = 'mean' }) => {
  const rows = [...normalized(za, 1e-6), ...normalized(zb, 1e-6)];
  const n = za.length;
  const terms = rows.map((row, i) => {
    const scores = rows.map((other) => dot(row, other) / temperature);
    return logSumExp(scores.filter((_, k) => k !== i)) - scores[(i + n) % (2 * n)]!;
  });
  return mean(terms) * (dialect === 'google' ? 2 : 1);
};

export interface MoCo {
  readonly temperature?: number;
  readonly queue: Matrix;
}

/** (K. He et al., CVPR 2020; facebookresearch/moco) */
export const moco: Formula<Pair, MoCo> = ([queries], [, keys], { temperature = 0.2, queue }) => {
  const [q, k, negatives] = [normalized(queries), normalized(keys), normalized(queue)];
  return -mean(q.map((row, i) => logSoftmax([k[i]!, ...negatives].map((other) => dot(row, other) / temperature))[0]!));
};

/** Cosines [n, K] of rows with prototypes. */
export const scoresOf = (z: Matrix, prototypes: Matrix): number[][] => multiply(normalized(z), transpose(normalized(prototypes)));
/** −Σ_k q·ln softmax(p) of rows, the mean over them. */
export const crossEntropyOf = (targets: Matrix, logits: Matrix): number =>
  -mean(targets.map((target, i) => dot(target, logSoftmax(logits[i]!))));

export interface Sinkhorn {
  readonly epsilon?: number;
  readonly iterations?: number;
}

/** exp(scores/ε), prototypes and then samples scaled to equal shares, by turns; rows of sum 1. In logarithms, so that no score is too great. */
export const sinkhorn = (scores: Matrix, { epsilon = 0.05, iterations = 3 }: Sinkhorn): number[][] => {
  let logarithms = map(scores, (value) => value / epsilon);
  for (let i = 0; i < iterations; i++) logarithms = transpose(transpose(logarithms).map(logSoftmax)).map(logSoftmax);
  return logarithms.map(softmax);
};

export interface SwAV extends Sinkhorn {
  readonly temperature?: number;
  readonly prototypes: Matrix;
  readonly queue1?: Matrix;
  readonly queue2?: Matrix;
}

/** (M. Caron et al., NeurIPS 2020; facebookresearch/swav) */
export const swav: Formula<Views, SwAV> = (views, constants, { temperature = 0.1, prototypes, queue1 = [], queue2 = [], ...rest }) => {
  const predictions = views.map((view) => map(scoresOf(view, prototypes), (value) => value / temperature));
  const terms = [queue1, queue2].flatMap((queue, i) => {
    const assigned = sinkhorn(scoresOf([...constants[i]!, ...queue], prototypes), rest);
    return predictions.flatMap((prediction, v) => (v === i ? [] : [crossEntropyOf(assigned.slice(0, prediction.length), prediction)]));
  });
  return mean(terms);
};

export interface DeepCluster {
  readonly temperature?: number;
  readonly prototypes: Matrix;
  /** The cluster of each sample, or −100. */
  readonly assignments: Vector;
}

/** (M. Caron et al., NeurIPS 2020; facebookresearch/swav) */
export const deepCluster: Formula<readonly [Matrix], DeepCluster> = ([z], _constants, { temperature = 0.1, prototypes, assignments }) => {
  const scores = map(scoresOf(z, prototypes), (value) => value / temperature);
  return -mean(scores.flatMap((row, i) => (assignments[i] === -100 ? [] : [logSoftmax(row)[assignments[i]!]!])));
};

/** Predictions of the embeddings, and projections of the constants. */
export const halves = <M extends Matrix>([p1, p2, z1 = p1, z2 = p2]: readonly [M, M, M?, M?]): [M, M, M, M] => [p1, p2, z1, z2];

/** (J.-B. Grill et al., NeurIPS 2020; google-deepmind/deepmind-research) */
export const byol: Formula<Predicted, object> = (live, constants) => {
  const [[p1, p2], [, , z1, z2]] = [halves(live), halves(constants)];
  const distance = (p: Matrix, z: Matrix): number => {
    const [a, b] = [normalized(p, 1e-6), normalized(z, 1e-6)];
    return mean(a.map((row, i) => sum(row.map((value, j) => (value - b[i]![j]!) ** 2))));
  };
  return distance(p1, z2) + distance(p2, z1);
};

export interface SimSiam {
  readonly stopGradient?: 'on' | 'off';
}

/** (X. Chen & K. He, CVPR 2021; facebookresearch/simsiam) */
export const simsiam: Formula<Predicted, SimSiam> = (live, constants, { stopGradient = 'on' }) => {
  const [[p1, p2], [, , z1, z2]] = [halves(live), halves(stopGradient === 'on' ? constants : live)];
  return -(mean(cosines(p1, z2, 1e-8)) + mean(cosines(p2, z1, 1e-8))) / 2;
};

export interface DINO {
  readonly studentTemperature?: number;
  readonly teacherTemperature?: number;
  readonly centre: Vector;
}

/** (M. Caron et al., ICCV 2021; facebookresearch/dino) */
export const dino: Formula<readonly [Matrix, Matrix, ...Matrix[]], DINO> = (
  [, , ...students],
  [t1, t2],
  { studentTemperature = 0.1, teacherTemperature = 0.04, centre },
) => {
  const targets = [t1, t2].map((view) => view.map((row) => softmax(row.map((value, j) => (value - centre[j]!) / teacherTemperature))));
  const predictions = students.map((view) => map(view, (value) => value / studentTemperature));
  return mean(
    targets.flatMap((target, i) => predictions.flatMap((prediction, v) => (v === i ? [] : [crossEntropyOf(target, prediction)]))),
  );
};
