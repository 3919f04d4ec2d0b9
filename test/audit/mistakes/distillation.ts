import {
  columnMeans,
  cosines,
  dot,
  logSoftmax,
  type Matrix,
  map,
  mean,
  softmax,
  transpose,
  type Vector,
} from '../implementations/arithmetic.ts';
import { byol, crossEntropyOf, type DINO, dino, halves, type SimSiam, simsiam } from '../implementations/contrast.ts';
import { type Formula, given, type Loss, lossOf, lossWithGradients, type Predicted } from '../implementations/formula.ts';
import type { Mistake } from '../mistake.ts';

type Outputs = readonly [Matrix, Matrix, ...Matrix[]];

/** Teachers' distributions. */
const targetsOf = ([t1, t2]: Outputs, { teacherTemperature = 0.04, centre }: DINO): number[][][] =>
  [t1, t2].map((view) => view.map((row) => softmax(row.map((value, j) => (value - centre[j]!) / teacherTemperature))));

/** The right loss, and beside it the centre for the next batch, of which `of` gives the batch's part. */
const withCentre =
  (of: (outputs: Outputs, context: DINO) => Vector): Loss =>
  (...inputs) => {
    const [outputs, context] = given(inputs) as unknown as [Outputs, DINO];
    const batch = of(outputs, context);
    return { loss: dino(outputs, outputs, context), centre: context.centre.map((value, j) => 0.9 * value + 0.1 * batch[j]!) };
  };

/** The loss of DINO and the centre that follows: what the mistakes of this form are held to. */
export const dinoWithCentre: Loss = withCentre(([t1, t2]) => columnMeans([...t1, ...t2]));

const reversed: Formula<Outputs, DINO> = ([, , ...students], constants, context) => {
  const { studentTemperature = 0.1, teacherTemperature = 0.04, centre } = context;
  const predictions = students.map((view) => view.map((row) => softmax(row.map((value) => value / studentTemperature))));
  const teachers = constants.slice(0, 2).map((view) => map(view, (value, _, j) => (value - centre[j]!) / teacherTemperature));
  return mean(
    teachers.flatMap((teacher, i) => predictions.flatMap((prediction, v) => (v === i ? [] : [crossEntropyOf(prediction, teacher)]))),
  );
};

export const mistakes: readonly Mistake[] = [
  {
    family: 'byol',
    name: 'no constant',
    sentence: 'Each direction is −2·cos, without the 2 that is added: it is in [−2, 2], not [0, 4].',
    source: 'Lightning-Universe/lightning-bolts #1058',
    loss: lossOf<Predicted, object>((live, constants) => byol(live, constants, {}) - 4),
  },
  {
    family: 'byol',
    name: 'views not crossed',
    sentence: 'Each prediction is compared with the projection of its own view, not of the other.',
    source: 'The-AI-Summer/byol-cifar10 #1',
    loss: lossOf<Predicted, object>((live, constants) => {
      const [[p1, p2], [, , z1, z2]] = [halves(live as readonly [Matrix, Matrix]), halves(constants as readonly [Matrix, Matrix])];
      return byol([p1, p2, z2, z1], [p1, p2, z2, z1], {});
    }),
  },
  {
    family: 'byol',
    name: 'target not detached',
    sentence: "The target's projection is no constant, so that the gradient goes through the teacher as well.",
    source: 'Lightning-Universe/lightning-bolts #697',
    loss: lossWithGradients<Predicted, object>((live) => byol(live, live, {})),
    shows: 'gradients',
  },
  {
    family: 'simsiam',
    name: 'detached in vain',
    sentence: 'What detach returns is not used, so that the target is no constant, and what is learned collapses.',
    source: 'ML4ITS/vibcreg:pypilib/vibcreg/losses.py (simsiam_cos_sim_loss)',
    options: { stopGradient: 'on' },
    loss: lossWithGradients<Predicted, SimSiam>((live, _constants, context) => simsiam(live, live, context)),
    shows: 'gradients',
  },
  {
    family: 'simsiam',
    name: 'not halved',
    sentence: 'Both directions are added up, not their mean taken: the loss is in [−2, 2].',
    source: 'Lightning-Universe/lightning-bolts #407',
    loss: lossOf<Predicted, SimSiam>((live, constants, context) => 2 * simsiam(live, constants, context)),
  },
  {
    family: 'simsiam',
    name: 'cosine along samples',
    sentence: 'The cosine is that of columns, along the samples, and not of rows.',
    source: 'gabeur/mmt #1; vpariza/open-hummingbird-eval #5',
    loss: lossOf<Predicted, SimSiam>((live) => {
      const [p1, p2, z1, z2] = halves(live as readonly [Matrix, Matrix]).map(transpose) as unknown as [Matrix, Matrix, Matrix, Matrix];
      return -(mean(cosines(p1, z2, 1e-8)) + mean(cosines(p2, z1, 1e-8))) / 2;
    }),
  },
  {
    family: 'dino',
    name: 'centre of probabilities',
    sentence:
      "The centre moves by the mean of the teacher's probabilities, not of its outputs: adding a number to an output does not move it.",
    source:
      'trap of rbalestr-lab/stable-pretraining:stable_pretraining/losses/dino.py (update_center wants what softmax_center_teacher takes)',
    loss: withCentre((outputs, context) => columnMeans(targetsOf(outputs, context).flat())),
    shows: 'state',
  },
  {
    family: 'dino',
    name: 'centre of a sum',
    sentence:
      "The centre moves by the sum of the teacher's outputs, since the division by their number stands in a branch for several devices.",
    source: 'vturrisi/solo-learn #59',
    loss: withCentre(([t1, t2]) => columnMeans([...t1, ...t2]).map((value) => value * 2 * t1.length)),
    shows: 'state',
  },
  {
    family: 'dino',
    name: 'teacher and student reversed',
    sentence:
      "The cross-entropy is of the teacher's distribution relative to the student's, −Σ p_student·log p_teacher, not the other way round.",
    source: 'Richarizardd/Self-Supervised-ViT-Path #3; facebookresearch/dino #169',
    loss: lossOf(reversed),
  },
  {
    family: 'dino',
    name: 'same crop not skipped',
    sentence: "The student's output for a crop is compared with the teacher's for the same crop, too.",
    source: 'facebookresearch/dino #267',
    loss: lossOf<Outputs, DINO>(([, , ...students], constants, context) => {
      const { studentTemperature = 0.1 } = context;
      const logits = students.map((view) => map(view, (value) => value / studentTemperature));
      return mean(targetsOf(constants, context).flatMap((target) => logits.map((student) => crossEntropyOf(target, student))));
    }),
  },
  {
    family: 'dino',
    name: 'no logarithm',
    sentence: "The student's probabilities are multiplied by the teacher's without their logarithm.",
    source: 'lightly-ai/lightly 337fb79f (there of PMSN); yyliu01/IT2 #3',
    loss: lossOf<Outputs, DINO>(([, , ...students], constants, context) => {
      const { studentTemperature = 0.1 } = context;
      const probabilities = students.map((view) =>
        view.map((row) => logSoftmax(row.map((value) => value / studentTemperature)).map(Math.exp)),
      );
      return -mean(
        targetsOf(constants, context).flatMap((target, i) =>
          probabilities.flatMap((student, v) => (v === i ? [] : [mean(target.map((row, k) => dot(row, student[k]!)))])),
        ),
      );
    }),
  },
  {
    family: 'byol',
    name: 'rows not normalised',
    sentence: 'The square distance is that of rows as they are, not of length 1.',
    source: 'imbue-ai/self_supervised #7',
    loss: lossOf<Predicted, object>((live) => {
      const [p1, p2, z1, z2] = halves(live as readonly [Matrix, Matrix]);
      const inner = (p: Matrix, z: Matrix): number => 2 - 2 * mean(p.map((row, i) => dot(row, z[i]!)));
      return inner(p1, z2) + inner(p2, z1);
    }),
  },
];
