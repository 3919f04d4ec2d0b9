import { stopGradient, type Tensor } from '../../engine/index.ts';
import { checkList } from '../../engine/internal.ts';
import { type Encoder, MLP } from '../nn/networks.ts';
import { moveAverage } from '../optim/ema.ts';
import { targetMomentum } from '../optim/schedule.ts';
import { crossCosine, type Pair } from './crossCosine.ts';
import { type LearnedGroup, Learner, method, type Outcome, type Setting, type Step, TRAIN } from './learner.ts';
import { number, type OptionValues } from './options.ts';

/**
 * BYOL of two views' predictions p by the student and projections z by the teacher, all [n, d]: (2 − 2·cos(p₁, sg z₂)) + (2 − 2·cos(p₂, sg z₁)),
 * mean over samples; each direction in [0, 4].
 * (J.-B. Grill et al., NeurIPS 2020, Eq. 2; google-deepmind/deepmind-research:byol/byol_experiment.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples.
 */
export function byol(predictions: Pair, projections: Pair): { readonly loss: Tensor } {
  checkList('byol: two views', projections);
  const targets = projections.map((z) => stopGradient(z)) as unknown as Pair;
  return { loss: crossCosine('byol', predictions, targets).mul(-2).add(4) };
}

const options = {
  teacherMomentum: number(0.99, 'share of itself that the teacher keeps at the first step, τ₀; it rises to 1', { most: 1 }),
};
type Options = OptionValues<typeof options>;

class ByolLearner extends Learner {
  override readonly encoder: Encoder;
  readonly head: MLP;
  readonly predictor: MLP;
  readonly teacherEncoder: Encoder;
  readonly teacherHead: MLP;

  constructor({ encoder, widths, key }: Setting<Options>) {
    super();
    const head = (): MLP => new MLP([this.encoder.width, ...widths], { key: key(0), normalize: true, outputBias: false });
    this.encoder = encoder();
    this.head = head();
    this.teacherEncoder = encoder();
    this.teacherHead = head();
    const width = widths.at(-1)!;
    this.predictor = new MLP([width, widths[0]!, width], { key: key(1), normalize: true, outputBias: false });
  }

  override learned(): readonly LearnedGroup[] {
    return [{ parameters: [this.encoder, this.head, this.predictor].flatMap((part) => part.parameters()) }];
  }

  override step({ views, at }: Step): Outcome {
    const project = (encoder: Encoder, head: MLP): [Tensor, Tensor] =>
      views.map((view) => head.forward(encoder.forward(view, TRAIN), TRAIN)) as [Tensor, Tensor];
    const student = project(this.encoder, this.head);
    // The teacher normalises by its own batch, too, and keeps statistics of its own.
    const teacher = project(this.teacherEncoder, this.teacherHead);
    const predictions = student.map((z) => this.predictor.forward(z, TRAIN)) as [Tensor, Tensor];
    return {
      loss: byol(predictions, teacher).loss,
      parts: {},
      embedding: student[0],
      after: () => {
        const pairs = [
          [this.teacherEncoder, this.encoder],
          [this.teacherHead, this.head],
        ] as const;
        for (const [target, source] of pairs) moveAverage(target.parameters(), source.parameters(), at['teacherMomentum']!);
      },
    };
  }
}

export const byolMethod = () =>
  method({
    title: 'BYOL',
    source: 'J.-B. Grill et al., NeurIPS 2020; google-deepmind/deepmind-research',
    parts: [],
    options,
    training: {},
    widths: [512, 128],
    advice: {
      watched: 'normalizedDeviation',
      collapsed: 'slow the teacher (--teacher-momentum nearer to 1), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    // τ = 1 − (1 − τ₀)·(cos(πk/K) + 1)/2 (§3.3)
    schedules: ({ teacherMomentum: start = 0.99 }, { steps }) => ({ teacherMomentum: (step) => targetMomentum(step, { start, steps }) }),
    learner: (setting) => new ByolLearner(setting),
  });
