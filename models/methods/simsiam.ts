import type { Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { cosineSimilarity } from '../nn/functional.ts';
import { BatchNorm1d } from '../nn/layers.ts';
import { type Mode, Sequential } from '../nn/module.ts';
import { type Encoder, MLP } from '../nn/networks.ts';
import { arrayLoss, halves, predictionsAndProjections } from './arrayLoss.ts';
import { crossed, type Pair } from './crossed.ts';
import { type LearnedGroup, Learner, method, type Outcome, type Setting, type Step, TRAIN } from './learner.ts';
import { choice, number, type OptionValues } from './options.ts';

export interface SimSiamOptions {
  /** Whether the targets are constants; true, unless given. */
  readonly stopGradient?: boolean;
}

/**
 * SimSiam of two views' predictions p and projections z, all [n, d]: −½(cos(p₁, sg z₂) + cos(p₂, sg z₁)), mean over samples; in [−1, 1]. The
 * targets are constants (sg): `stopGradient: false` lets the gradient through, and what is learned collapses. Rows shorter than 1e-8 count as
 * that long, as PyTorch's `CosineSimilarity` has it.
 * (X. Chen & K. He, CVPR 2021, Eq. 1–4; facebookresearch/simsiam:main_simsiam.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown.
 */
export function simsiam(predictions: Pair, projections: Pair, given: SimSiamOptions = {}): { readonly loss: Tensor } {
  const { stopGradient } = options('simsiam', given, { stopGradient: true });
  const cosine = (p: Tensor, z: Tensor): Tensor => cosineSimilarity(p, stopGradient ? z.stopGradient() : z, 1e-8);
  return { loss: crossed('simsiam', predictions, projections, cosine).mul(-0.5) };
}

const table = {
  bottleneck: number(null, "width of the predictor's hidden layer; a quarter of the embedding's, unless given", {
    least: 1,
    whole: true,
    needs: 'predictor',
  }),
  stopGradient: choice(['on', 'off'], 'on', 'whether the target is a constant; without that it collapses'),
  predictor: choice(['on', 'off'], 'on', 'whether one view predicts the other, or must be as it'),
  norm: choice(['on', 'off'], 'on', 'whether the head has batch norms, and the predictor'),
};
/** The loss of files: without a predictor, or with. */
export const simsiamOfArrays = () =>
  arrayLoss({
    title: 'SimSiam',
    source: 'X. Chen, K. He, CVPR 2021; facebookresearch/simsiam',
    options: { stopGradient: table.stopGradient },
    embeddings: predictionsAndProjections,
    compute: (embeddings, { stopGradient }) => simsiam(...halves(embeddings), { stopGradient: stopGradient !== 'off' }),
  });

type Options = OptionValues<typeof table>;

class SimSiamLearner extends Learner {
  override readonly encoder: Encoder;
  readonly head: Sequential;
  readonly predictor: MLP | null;
  readonly #stopGradient: boolean;

  constructor({ encoder, widths, key, options: { bottleneck, stopGradient, predictor, norm } }: Setting<Options>) {
    super();
    this.encoder = encoder();
    const width = widths.at(-1)!;
    const normalize = norm === 'on';
    // The projector ends in a batch norm without scale and shift; the predictor does not. (§4.4)
    this.head = new Sequential([
      new MLP([this.encoder.width, ...widths], { key: key(0), normalize, bias: !normalize, outputBias: !normalize }),
      ...(normalize ? [new BatchNorm1d(width, { affine: false })] : []),
    ]);
    const hidden = bottleneck ?? Math.max(1, Math.floor(width / 4));
    this.predictor = predictor === 'on' ? new MLP([width, hidden, width], { key: key(1), normalize, bias: !normalize }) : null;
    this.#stopGradient = stopGradient === 'on';
  }

  override learned(): readonly LearnedGroup[] {
    const base = [...this.encoder.parameters(), ...this.head.parameters()];
    return [{ parameters: base }, ...(this.predictor ? [{ parameters: this.predictor.parameters(), rate: 'predictor' }] : [])];
  }

  override embed(images: Tensor, _view: number, mode?: Mode): Tensor {
    return this.head.forward(this.encoder.forward(images, mode), mode);
  }

  override step({ views }: Step): Outcome {
    const [z1, z2] = views.map((images, view) => this.embed(images, view, TRAIN)) as [Tensor, Tensor];
    const [p1, p2] = [z1, z2].map((z) => this.predictor?.forward(z, TRAIN) ?? z) as [Tensor, Tensor];
    const { loss } = simsiam([p1, p2], [z1, z2], { stopGradient: this.#stopGradient });
    return { loss, parts: {}, embeddings: [z1, z2] };
  }
}

export const simsiamMethod = () =>
  method({
    title: 'SimSiam',
    source: 'X. Chen, K. He, CVPR 2021; facebookresearch/simsiam',
    parts: [],
    perSample: true,
    options: table,
    training: { batchSize: 32 },
    widths: [256, 256, 256],
    ablation: { of: 'the stop-gradient', options: { stopGradient: 'off' } },
    advice: {
      // The projector's last norm keeps every dimension's deviation at 1: what collapses becomes copies of one dimension.
      watched: 'correlation',
      collapsed: 'leave the stop-gradient on (--stop-gradient on), narrow the predictor (--bottleneck), or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    // The predictor's rate stays as it began: it is to follow the latest embedding. (§4.2; --fix-pred-lr)
    schedules: (_options, { learningRate }) => ({ predictor: () => learningRate }),
    learner: (setting) => new SimSiamLearner(setting),
  });
