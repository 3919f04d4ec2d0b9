import type { Operand, Tensor } from '../../engine/core.ts';
import { check, checkChoice, options } from '../../engine/internal.ts';
import { type EncoderName, encoders } from '../nn/encoders.ts';
import { Expander } from '../nn/networks.ts';
import { covariance, invariance, type VarianceHinge, variance } from '../regularizers/information.ts';
import { checkViews } from '../regularizers/statistics.ts';
import type { Pair } from './crossed.ts';
import { ofEmbeddings } from './learner.ts';
import { choice, number, operand } from './options.ts';

/**
 * What each dialect makes of the invariance (mean over samples and dimensions) and of the sums over both views of variance and covariance term.
 * - official (facebookresearch/vicreg:main_vicreg.py; lightly): s, (v+v')/2, c+c'
 * - paper (ICLR 2022, Eq. 5–6): s = Σ‖z−z'‖²/n, v+v', c+c'
 * - solo-learn (solo/losses/vicreg.py): s, v+v', c+c'
 * - vicregl (facebookresearch/VICRegL:main_vicregl.py): s, and means over views of both
 */
const dialects = {
  official: () => ({ invariance: 1, variance: 0.5, covariance: 1 }),
  paper: (d: number) => ({ invariance: d, variance: 1, covariance: 1 }),
  'solo-learn': () => ({ invariance: 1, variance: 1, covariance: 1 }),
  vicregl: () => ({ invariance: 1, variance: 0.5, covariance: 0.5 }),
} as const satisfies Record<string, (d: number) => Record<'invariance' | 'variance' | 'covariance', number>>;

export type VICRegDialect = keyof typeof dialects;
export const vicregDialects = Object.keys(dialects) as readonly VICRegDialect[];

export interface VICRegOptions extends VarianceHinge {
  /** Weight λ of the invariance; 25, unless given. A tensor [] may differ from step to step. */
  readonly invariance?: Operand;
  /** Weight μ of the variance; 25, unless given. */
  readonly variance?: Operand;
  /** Weight ν of the covariance; 1, unless given. */
  readonly covariance?: Operand;
  /** Whose loss of this name it is; the official code's, unless given. */
  readonly dialect?: VICRegDialect;
}

/** The loss, and its parts before their weights: loss = λ·invariance + μ·variance + ν·covariance. */
export type VICRegLoss = Readonly<Record<'loss' | 'invariance' | 'variance' | 'covariance', Tensor>>;

/**
 * VICReg of two views' embeddings [n, d]: the views agree, every dimension varies, no two dimensions vary together.
 * (A. Bardes, J. Ponce, Y. LeCun, ICLR 2022; facebookresearch/vicreg:main_vicreg.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown, not finite, or no dialect.
 */
export function vicreg(za: Tensor, zb: Tensor, given: VICRegOptions = {}): VICRegLoss {
  return ofPairs([[za, zb]], za, zb, given);
}

/** The invariance is the mean over `pairs`; the other terms are of the embeddings. */
function ofPairs(pairs: readonly Pair[], za: Tensor, zb: Tensor, given: VICRegOptions): VICRegLoss {
  const { dialect, gamma, epsilon, ...weights } = options('vicreg', given, {
    invariance: undefined,
    variance: undefined,
    covariance: undefined,
    gamma: 1,
    epsilon: 1e-4,
    dialect: 'official',
  });
  const weight = (name: keyof typeof weights, otherwise: number): Operand => operand(`vicreg: ${name}`, weights[name], otherwise);
  const [lambda, mu, nu] = [weight('invariance', 25), weight('variance', 25), weight('covariance', 1)];
  const hinge = { gamma, epsilon };
  checkViews(za, zb, 'vicreg');
  checkChoice('vicreg: dialect', dialect, vicregDialects);
  const factors = dialects[dialect](za.shape[1]!);
  const parts = {
    invariance: pairs
      .map(([a, b]) => invariance(a, b))
      .reduce((sum, term) => sum.add(term))
      .mul(factors.invariance / pairs.length),
    variance: variance(za, hinge).add(variance(zb, hinge)).mul(factors.variance),
    covariance: covariance(za).add(covariance(zb)).mul(factors.covariance),
  };
  return { loss: parts.invariance.mul(lambda).add(parts.variance.mul(mu)).add(parts.covariance.mul(nu)), ...parts };
}

export const vicregMethod = () =>
  ofEmbeddings({
    title: 'VICReg',
    source: 'A. Bardes, J. Ponce, Y. LeCun, ICLR 2022; facebookresearch/vicreg',
    parts: ['invariance', 'variance', 'covariance'],
    options: {
      invariance: number(25, 'weight of the invariance term'),
      variance: number(25, 'weight of the variance term'),
      covariance: number(1, 'weight of the covariance term'),
      gamma: number(1, 'standard deviation that each dimension must reach'),
      epsilon: number(1e-4, 'added to the variance inside the root'),
      dialect: choice(vicregDialects, 'official', 'whose loss of this name'),
      branches: choice(['shared', 'separate'], 'shared', 'whether both views have one encoder and expander, or each its own'),
      secondEncoder: choice(
        ['same', ...(Object.keys(encoders) as EncoderName[])] as const,
        'same',
        "architecture of the second view's encoder, with --branches separate",
      ),
      predictor: choice(['on', 'off'], 'off', 'whether a network predicts one view from the other, for the invariance (as in SimSiam)'),
      norm: choice(['on', 'off'], 'on', 'whether the head has batch norms, and the predictor'),
    },
    live: ['invariance', 'variance', 'covariance'],
    training: {},
    widths: [256, 256, 256],
    ablation: { of: 'the variance term', options: { variance: 0 } },
    advice: {
      watched: 'deviation',
      collapsed: 'raise the weight of the variance term (--variance)',
      redundant: 'raise the weight of the covariance term (--covariance)',
      epsilon: 1e-4,
    },
    head: (inputs, widths, options, { norm }) => new Expander(inputs, widths, { ...options, normalize: norm === 'on' }),
    // As wide as SimSiam's: a quarter in the middle.
    predictor: (width, options, { predictor, norm }) =>
      predictor === 'on'
        ? new Expander(width, [Math.max(1, Math.floor(width / 4)), width], { ...options, normalize: norm === 'on' })
        : null,
    loss: (
      za,
      zb,
      { branches: _branches, secondEncoder: _secondEncoder, predictor: _predictor, norm: _norm, ...options },
      _key,
      predictions,
    ) =>
      ofPairs(
        predictions
          ? [
              [predictions[0], zb],
              [predictions[1], za],
            ]
          : [[za, zb]],
        za,
        zb,
        options,
      ),
    // Nothing in the loss needs the branches to share weights, or an architecture. (§3, "Method", of the paper)
    second: ({ options: { branches, secondEncoder }, encoder, key }) => {
      check(
        branches === 'separate' || secondEncoder === 'same',
        'argument',
        () => `VICReg: a second encoder '${secondEncoder}' needs branches of their own; set branches to separate`,
      );
      return branches === 'shared' ? null : encoder({ key: key(2), name: secondEncoder === 'same' ? undefined : secondEncoder });
    },
  });
