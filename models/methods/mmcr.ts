import { stack, type Tensor } from '../../engine/core.ts';
import { check, checkList, options, show } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { Expander } from '../nn/networks.ts';
import { nuclearNorm } from '../regularizers/matrix.ts';
import { checkAllViews } from '../regularizers/statistics.ts';
import { anyViews, arrayLoss } from './arrayLoss.ts';
import { ofEmbeddings } from './learner.ts';
import { number } from './options.ts';

export interface MMCROptions {
  /** Weight of the global term; 1, unless given. */
  readonly global?: number;
  /** Weight λ of the local term; 0, unless given. */
  readonly local?: number;
  /** The same views' embeddings by a teacher, which have half a share in each centroid then (the momentum form); none, unless given. */
  readonly teacher?: readonly Tensor[];
}

/** The loss, and its parts before their weights: loss = λ·local − global. */
export type MMCRLoss = Readonly<Record<'loss' | 'global' | 'local', Tensor>>;

/**
 * MMCR of any number V of views [n, d] with rows scaled to length 1: the centroids of the samples' views fill as many directions as they can.
 * Global: ‖C‖_*, the nuclear norm of the centroids [n, d], at most √(n·min(n, d)), and √n where all are one; it grows as views agree and samples
 * differ. Local: the mean over samples of ‖·‖_* of the sample's views [V, d], from √V where they agree to V where they are orthogonal.
 * (T. Yerxa, Y. Kuang, E. Simoncelli, S. Chung, NeurIPS 2023, Eq. 3; ThomasYerxa/mmcr:mmcr/cifar_stl/loss_mmcr.py, and of the momentum form
 * mmcr/imagenet/loss_mmcr_momentum.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for fewer than 2 views, a teacher of another
 * number, and for an option that is unknown or not finite.
 */
export function mmcr(views: readonly Tensor[], given: MMCROptions = {}): MMCRLoss {
  const { global: mu, local: lambda, teacher } = options('mmcr', given, { global: 1, local: 0, teacher: undefined });
  checkAllViews(views, 'mmcr');
  const rows = stack(views.map((view) => normalize(view)));
  const parts = { global: nuclearNorm(centroids(rows, views, teacher)), local: nuclearNorm(rows.permute([1, 0, 2])).mean() };
  const loss = parts.global.mul(-mu);
  // Without weight it has no gradient either: of views that agree, the local one is not unique.
  return { loss: lambda === 0 ? loss : loss.add(parts.local.mul(lambda)), ...parts };
}

/** The mean over views of rows [V, n, d], and of the teacher's, where there is one. */
function centroids(rows: Tensor, views: readonly Tensor[], teacher: readonly Tensor[] | undefined): Tensor {
  if (teacher === undefined) return rows.mean(0);
  checkList('mmcr: the teacher', teacher);
  checkAllViews([views[0]!, ...teacher], 'mmcr');
  check(teacher.length === views.length, 'argument', () => `mmcr: the teacher must have ${views.length} views, got ${teacher.length}`);
  return rows
    .mean(0)
    .add(stack(teacher.map((view) => normalize(view))).mean(0))
    .mul(0.5);
}

const about = { title: 'MMCR', source: 'T. Yerxa et al., NeurIPS 2023; ThomasYerxa/mmcr' } as const;

const table = {
  global: number(1, "weight of the nuclear norm of the samples' centroids"),
  local: number(0, "weight λ of that of each sample's views"),
};

/** The loss of files: any number of views, and in its momentum form a teacher's of the same. */
export const mmcrOfArrays = () =>
  arrayLoss({
    ...about,
    options: table,
    embeddings: anyViews,
    state: {
      teacher: {
        shape: '[V·n, d]',
        description:
          "a teacher's embeddings of the same V views, one below the other, which have half a share in each centroid (the momentum form)",
        optional: true,
      },
    },
    compute: (views, given, { teacher }) => mmcr(views, { ...given, ...(teacher && { teacher: below(teacher, views) }) }),
  });

/** The parts of x [V·n, d] that lie one below the other, one for each view [n, d]. */
function below(x: Tensor, views: readonly Tensor[]): Tensor[] {
  const [n, d] = views[0]!.shape as [number, number];
  check(
    x.rank === 2 && x.shape[0] === views.length * n && x.shape[1] === d,
    'shape',
    () =>
      `mmcr: the teacher of ${views.length} views [${n}, ${d}] must be [${views.length * n}, ${d}], one below the other, got ${show(x.shape)}`,
  );
  return views.map((_, i) => x.narrow(0, i * n, n));
}

export const mmcrMethod = () =>
  ofEmbeddings({
    ...about,
    parts: ['global', 'local'],
    options: table,
    training: {},
    widths: [256, 256, 64],
    ablation: { of: 'the global term', options: { global: 0, local: 1 } },
    advice: {
      watched: 'directions',
      collapsed: 'raise the weight of the global term (--global), or lower --lr',
      redundant: 'raise the weight of the global term (--global)',
      epsilon: 0,
    },
    head: (inputs, widths, options) => new Expander(inputs, widths, { ...options, bias: false }),
    loss: (za, zb, options) => mmcr([za, zb], options),
  });
