import { stack, type Tensor } from '../../engine/core.ts';
import { checkChoice, options } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { invarianceToMean } from '../regularizers/information.ts';
import { centre, checkAllViews, gram } from '../regularizers/statistics.ts';
import { anyViews, arrayLoss } from './arrayLoss.ts';
import { choice, number } from './options.ts';

/**
 * What the losses of this name differ in: whether columns lose their mean before they are scaled to length 1, and what the mean square distance
 * from the view mean is multiplied by, beside d, for V views.
 * - official (OFSkean/FroSSL:solo/losses/frossl.py, multiview_frossl_loss_func; lightly): V for each of the V views
 * - paper (O. Skean et al., ECCV 2024; frossl_loss_func there): of two views, standardised first; the rest comes to the same
 * - solo-learn (solo/losses/frossl.py): V for the mean over views, V times less
 */
const dialects = {
  official: { centred: false, factor: (views: number) => views * views },
  paper: { centred: true, factor: (views: number) => views * views },
  'solo-learn': { centred: false, factor: (views: number) => views },
} as const;

export type FroSSLDialect = keyof typeof dialects;
export const frosslDialects = Object.keys(dialects) as readonly FroSSLDialect[];

export interface FroSSLOptions {
  /** Weight of the invariance; 1, unless given. */
  readonly invariance?: number;
  /** Whose loss of this name it is; the official code's, unless given. */
  readonly dialect?: FroSSLDialect;
}

/** The loss, and its parts before their weights: loss = regularization + weight·invariance. */
export type FroSSLLoss = Readonly<Record<'loss' | 'regularization' | 'invariance', Tensor>>;

/**
 * FroSSL of any number of views [n, d], columns scaled to length 1: views agree, and the eigenvalues of each one's covariance K are alike, since
 * 2·ln(‖K‖_F/tr K), summed over views, is from −ln min(n, d), where they are, to 0, where there is but one (or none).
 * (O. Skean, A. Dhakal, N. Jacobs, L. Sanchez Giraldo, ECCV 2024, Eq. 3 and 6; OFSkean/FroSSL:solo/losses/frossl.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for fewer than 2 views, and for an option that
 * is unknown, not finite, or no dialect.
 */
export function frossl(views: readonly Tensor[], given: FroSSLOptions = {}): FroSSLLoss {
  const { invariance: lambda, dialect } = options('frossl', given, { invariance: 1, dialect: 'official' });
  checkAllViews(views, 'frossl');
  checkChoice('frossl: dialect', dialect, frosslDialects);
  const { centred, factor } = dialects[dialect];
  const [n, d] = [views[0]!.shape[0]!, views[0]!.shape[1]!];
  const columns = views.map((view) => normalize(centred ? centre(view) : view, 0));
  // XᵀX and XXᵀ have the same norm and trace: the smaller one, of X scaled to trace 1, since the square of a small trace is nothing.
  const concentration = (x: Tensor): Tensor => {
    const trace = x.square().sum();
    const nothing = trace.equal(0);
    const unit = x.div(nothing.where(1, trace).sqrt());
    return nothing
      .where(
        1,
        gram(n > d ? unit.transpose() : unit)
          .square()
          .sum(),
      )
      .log();
  };
  const parts = {
    regularization: stack(columns.map(concentration)).sum(),
    invariance: invarianceToMean(columns).mul(factor(views.length) * d),
  };
  return { loss: parts.regularization.add(parts.invariance.mul(lambda)), ...parts };
}

/** The loss of files: any number of views. */
export const frosslOfArrays = () =>
  arrayLoss({
    title: 'FroSSL',
    source: 'O. Skean et al., ECCV 2024; OFSkean/FroSSL',
    options: {
      invariance: number(1, 'weight of the invariance'),
      dialect: choice(frosslDialects, 'official', 'whose loss of this name'),
    },
    embeddings: anyViews,
    compute: (views, given) => frossl(views, given),
  });
