import { type Tensor, zeros } from '../../engine/core.ts';
import { check, checkChoice, checkNumber, checkTensors, options, sameShape, show } from '../../engine/internal.ts';
import { cosineSimilarity, normalize } from '../nn/functional.ts';
import { constant } from '../nn/initialize.ts';
import { ModuleSlot } from '../nn/module.ts';
import { MLP } from '../nn/networks.ts';
import { targetMomentum } from '../optim/schedule.ts';
import { checkEmbedding, checkViews, gram } from '../regularizers/statistics.ts';
import { arrayLoss, pairOfViews } from './arrayLoss.ts';
import { method, type Outcome, type Setting, type Step } from './learner.ts';
import { choice, number, type OptionValues } from './options.ts';
import { TaughtLearner } from './teacher.ts';

/**
 * What the losses of this name differ in: the weight ρ of the contrast, what is added, and whether the batch's part of the covariance is data, or
 * has a gradient.
 * - paper (J. Zhu et al., arXiv 2206.10698; there is no official code)
 * - lightly (lightly/loss/tico_loss.py)
 * - sayannag (sayannag/TiCo-pytorch:TiCo/main.py)
 */
const dialects = {
  paper: { contrast: 8, added: 0, differentiated: false },
  lightly: { contrast: 8, added: 1, differentiated: false },
  sayannag: { contrast: 20, added: 0, differentiated: true },
} as const;

export type TiCoDialect = keyof typeof dialects;
export const ticoDialects = Object.keys(dialects) as readonly TiCoDialect[];

export interface TiCoOptions {
  /** Weight ρ of the covariance contrast; the dialect's (8; sayannag: 20), unless given. */
  readonly contrast?: number;
  /** Share β of itself that the covariance keeps, from 0 to 1; .9, unless given. */
  readonly covarianceMomentum?: number;
  /** Whose loss of this name it is; the paper's, unless given. */
  readonly dialect?: TiCoDialect;
}

/** The loss, and its parts before their weights: loss = invariance + ρ·contrast. */
export type TiCoLoss = Readonly<Record<'loss' | 'invariance' | 'contrast', Tensor>>;

/**
 * The covariance [d, d] that TiCo keeps, after a batch: C ← βC + (1−β)·z̄ᵀz̄/n, of the first view's rows z̄ scaled to length 1, un-centred. It begins
 * as 0. (arXiv 2206.10698, Eq. 3)
 * @param z the student's embedding [n, d].
 * @throws TensegrityError `shape`, `dtype`, `argument` for a momentum outside [0, 1].
 */
export function ticoCovariance(z: Tensor, covariance: Tensor, momentum = 0.9): Tensor {
  checkEmbedding(z, 'ticoCovariance');
  checkTensors('ticoCovariance', covariance);
  const d = z.shape[1]!;
  check(
    sameShape(covariance.shape, [d, d]) && covariance.dtype === z.dtype,
    'shape',
    () =>
      `ticoCovariance: embeddings ${z.dtype} ${show(z.shape)} need a covariance ${z.dtype} ${show([d, d])}, got ${covariance.dtype} ${show(covariance.shape)}`,
  );
  checkNumber('ticoCovariance: the momentum', momentum, 0, 1);
  return covariance.mul(momentum).add(gram(normalize(z).transpose()).mul((1 - momentum) / z.shape[0]!));
}

/**
 * TiCo of the student's embedding za and the teacher's zb of another view, both [n, d], with rows scaled to length 1: −mean ⟨z̄_a, z̄_b⟩ +
 * ρ·mean ⟨z̄_a, C·z̄_a⟩, where C is the {@link ticoCovariance} with this batch in it. Of a model that collapses to a point the contrast is 1; where
 * directions are spread evenly, 1/d.
 * (J. Zhu, R. Moraes, S. Karakulak, V. Sobol, A. Canziani, Y. LeCun, arXiv 2206.10698, Algorithm 1)
 * @param covariance C before the batch [d, d]; `ticoCovariance(za, covariance)` is what the next batch is given.
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown, out of its range,
 * or no dialect.
 */
export function tico(za: Tensor, zb: Tensor, covariance: Tensor, given: TiCoOptions = {}): TiCoLoss {
  const { contrast, covarianceMomentum, dialect } = options('tico', given, {
    contrast: undefined,
    covarianceMomentum: 0.9,
    dialect: 'paper',
  });
  checkViews(za, zb, 'tico');
  checkChoice('tico: dialect', dialect, ticoDialects);
  const { added, differentiated, ...published } = dialects[dialect];
  const rho = contrast ?? published.contrast;
  checkNumber('tico: contrast', rho);
  const c = ticoCovariance(differentiated ? za : za.stopGradient(), covariance, covarianceMomentum);
  const rows = normalize(za);
  const parts = {
    invariance: cosineSimilarity(za, zb).mean().neg().add(added),
    contrast: rows.matmul(c).mul(rows).sum(-1).mean(),
  };
  return { loss: parts.invariance.add(parts.contrast.mul(rho)), ...parts };
}

const about = { title: 'TiCo', source: 'J. Zhu et al., arXiv 2206.10698; lightly, sayannag/TiCo-pytorch' } as const;

const ofLoss = {
  contrast: number(null, "weight of the covariance contrast, ρ; the dialect's (8; sayannag: 20), unless given"),
  covarianceMomentum: number(0.9, 'share of itself that the running covariance keeps at a step, β', { most: 1 }),
  dialect: choice(ticoDialects, 'paper', 'whose loss of this name'),
};

/** The loss of files: a view by the student, another by the teacher, and the covariance before the batch. */
export const ticoOfArrays = () =>
  arrayLoss({
    ...about,
    options: ofLoss,
    embeddings: pairOfViews,
    state: { runningCovariance: { shape: '[d, d]', description: 'of the batches before; 0, unless given', optional: true } },
    compute: ([za, zb], given, { runningCovariance }) =>
      tico(za!, zb!, runningCovariance ?? zeros([za!.shape[1]!, za!.shape[1]!], za!.dtype), given),
  });

const table = {
  ...ofLoss,
  teacherMomentum: number(0.99, 'share of itself that the teacher keeps at the first step; it rises to 1', { most: 1 }),
};
type Options = OptionValues<typeof table>;

class TiCoLearner extends TaughtLearner {
  readonly covariance: ModuleSlot;
  readonly #options: OptionValues<typeof ofLoss>;

  constructor({ encoder, widths, key, options: { teacherMomentum: _teacherMomentum, ...options } }: Setting<Options>) {
    super(encoder, (inputs) => new MLP([inputs, ...widths], { key: key(0), normalize: true, bias: false }));
    const d = widths.at(-1)!;
    this.covariance = new ModuleSlot(constant([d, d], 0), 'covariance');
    this.#options = options;
  }

  override step({ views: [first, second], at, part }: Step): Outcome {
    const za = this.student(first!);
    const zb = this.teacher(second!);
    const { loss, ...parts } = tico(za, zb, this.covariance.value, this.#options);
    return {
      loss,
      parts,
      embeddings: [za],
      after: () => {
        this.covariance.assign(ticoCovariance(za.stopGradient(), this.covariance.value, this.#options.covarianceMomentum));
        if (part?.last !== false) this.moveTeacher(at['teacherMomentum']!);
      },
    };
  }
}

export const ticoMethod = () =>
  method({
    ...about,
    parts: ['invariance', 'contrast'],
    options: table,
    training: { methodOptions: { teacherMomentum: 0.9 } },
    widths: [512, 128],
    ablation: { of: 'the covariance contrast', options: { contrast: 0 } },
    advice: {
      watched: 'directions',
      collapsed: 'raise the weight of the covariance contrast (--contrast), or lower --lr',
      redundant: 'raise the weight of the covariance contrast (--contrast)',
      epsilon: 0,
    },
    schedules: ({ teacherMomentum: start }, { steps }) => ({ teacherMomentum: (step) => targetMomentum(step, { start, steps }) }),
    learner: (setting) => new TiCoLearner(setting),
  });
