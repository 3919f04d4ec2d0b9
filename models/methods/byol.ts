import type { Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { MLP } from '../nn/networks.ts';
import { targetMomentum } from '../optim/schedule.ts';
import { arrayLoss, halves, predictionsAndProjections } from './arrayLoss.ts';
import { crossed, type Pair } from './crossed.ts';
import { method, type Outcome, type Setting, type Step, TRAIN } from './learner.ts';
import { choice, number, type OptionValues } from './options.ts';
import { TaughtLearner } from './teacher.ts';

export interface BYOLOptions {
  /** Whether the targets are constants; true, unless given. */
  readonly stopGradient?: boolean;
}

/**
 * BYOL of two views' predictions p by the student and projections z by the teacher, all [n, d]: (2 − 2·cos(p₁, sg z₂)) + (2 − 2·cos(p₂, sg z₁)),
 * mean over samples; each direction in [0, 4]. Rows shorter than 1e-6 count as that long. The targets are constants (sg): `stopGradient: false` lets
 * the gradient through, and what is learned collapses.
 * (J.-B. Grill et al., NeurIPS 2020, Eq. 2; google-deepmind/deepmind-research:byol/utils/helpers.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown.
 */
export function byol(predictions: Pair, projections: Pair, given: BYOLOptions = {}): { readonly loss: Tensor } {
  const { stopGradient } = options('byol', given, { stopGradient: true });
  // Of rows of length 1 (the square of which is at least 1e-12 before) this is 2 − 2·cos, and loses nothing where they agree.
  const unit = (x: Tensor): Tensor => normalize(x, -1, 1e-6);
  const distance = (p: Tensor, z: Tensor): Tensor =>
    unit(p)
      .sub(unit(stopGradient ? z.stopGradient() : z))
      .square()
      .sum(-1);
  return { loss: crossed('byol', predictions, projections, distance) };
}

/** The loss of files: without a predictor, or with. */
export const byolOfArrays = () =>
  arrayLoss({
    title: 'BYOL',
    source: 'J.-B. Grill et al., NeurIPS 2020; google-deepmind/deepmind-research',
    options: {},
    embeddings: predictionsAndProjections,
    compute: (embeddings) => byol(...halves(embeddings)),
  });

const table = {
  teacherMomentum: number(0.99, 'share of itself that the teacher keeps at the first step, τ₀; it rises to 1', { most: 1 }),
  stopGradient: choice(
    ['on', 'off'],
    'on',
    "whether the target is a constant, the teacher's; else it is the student's own projection, and it collapses",
  ),
  predictor: choice(['on', 'off'], 'on', 'whether the student predicts the projection, or must be as it; without that it collapses'),
};
type Options = OptionValues<typeof table>;

class BYOLLearner extends TaughtLearner {
  readonly predictor: MLP | null;
  readonly #stopGradient: boolean;

  constructor({ encoder, widths, key, options: { stopGradient, predictor } }: Setting<Options>) {
    super(encoder, (inputs) => new MLP([inputs, ...widths], { key: key(0), normalize: true, outputBias: false }));
    const width = widths.at(-1)!;
    this.predictor = predictor === 'on' ? new MLP([width, widths[0]!, width], { key: key(1), normalize: true, outputBias: false }) : null;
    this.#stopGradient = stopGradient === 'on';
  }

  override step({ views: [first, second], at, part }: Step): Outcome {
    const projections = [this.student(first!), this.student(second!)] as const;
    const predict = (projection: Tensor): Tensor => this.predictor?.forward(projection, TRAIN) ?? projection;
    const predictions = [predict(projections[0]), predict(projections[1])] as const;
    const targets = this.#stopGradient ? ([this.teacher(first!), this.teacher(second!)] as const) : projections;
    return {
      loss: byol(predictions, targets, { stopGradient: this.#stopGradient }).loss,
      parts: {},
      embeddings: projections,
      after: () => {
        if (part?.last !== false) this.moveTeacher(at['teacherMomentum']!);
      },
    };
  }
}

export const byolMethod = () =>
  method({
    title: 'BYOL',
    source: 'J.-B. Grill et al., NeurIPS 2020; google-deepmind/deepmind-research',
    parts: [],
    perSample: true,
    options: table,
    live: ['teacherMomentum'],
    // τ₀ as published for the shortest runs, of 40 epochs; .996 is for 1000. (google-deepmind/deepmind-research:byol/configs/byol.py)
    training: { batchSize: 32, methodOptions: { teacherMomentum: 0.97 } },
    widths: [512, 128],
    ablation: { of: 'the predictor', options: { predictor: 'off' } },
    advice: {
      watched: 'directions',
      collapsed:
        'leave the predictor and the stop-gradient on (--predictor on, --stop-gradient on), slow the teacher (--teacher-momentum nearer to 1), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    // τ = 1 − (1 − τ₀)·(cos(πk/K) + 1)/2 (§3.3)
    schedules: ({ teacherMomentum: start }, { steps }) => ({ teacherMomentum: (step) => targetMomentum(step, { start, steps }) }),
    learner: (setting) => new BYOLLearner(setting),
  });
