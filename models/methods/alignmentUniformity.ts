import type { Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { alignment, uniformity } from '../regularizers/hypersphere.ts';
import { checkViews } from '../regularizers/statistics.ts';
import { arrayLoss, pairOfViews } from './arrayLoss.ts';
import { number } from './options.ts';

export interface AlignmentUniformityOptions {
  /** Weight of the alignment; 1, unless given. */
  readonly alignment?: number;
  /** Weight of the uniformity; 1, unless given. */
  readonly uniformity?: number;
  /** The power of distances in the alignment; 2, unless given. */
  readonly exponent?: number;
  /** The t of the uniformity; 2, unless given. */
  readonly t?: number;
}

/** The loss, and its parts before their weights: loss = alignment + uniformity, each with its weight. */
export type AlignmentUniformityLoss = Readonly<Record<'loss' | 'alignment' | 'uniformity', Tensor>>;

/**
 * Alignment and uniformity of two views' embeddings [n, d], as a loss: positives are close on the sphere, and each view covers it evenly; the
 * uniformity is the mean of both views'. It makes matrices [n, n].
 * (T. Wang & P. Isola, ICML 2020, Fig. 5; SsnL/align_uniform:examples/stl10/main.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown or not finite.
 */
export function alignmentUniformity(za: Tensor, zb: Tensor, given: AlignmentUniformityOptions = {}): AlignmentUniformityLoss {
  const {
    alignment: a,
    uniformity: u,
    exponent,
    t,
  } = options('alignmentUniformity', given, { alignment: 1, uniformity: 1, exponent: 2, t: 2 });
  checkViews(za, zb, 'alignmentUniformity');
  const parts = { alignment: alignment(za, zb, exponent), uniformity: uniformity(za, t).add(uniformity(zb, t)).mul(0.5) };
  return { loss: parts.alignment.mul(a).add(parts.uniformity.mul(u)), ...parts };
}

/** The loss of files: two views. */
export const alignmentUniformityOfArrays = () =>
  arrayLoss({
    title: 'alignment and uniformity',
    source: 'T. Wang, P. Isola, ICML 2020; SsnL/align_uniform',
    options: {
      alignment: number(1, 'weight of the alignment'),
      uniformity: number(1, 'weight of the uniformity'),
      exponent: number(2, 'power of distances in the alignment'),
      t: number(2, 'what squared distances in the uniformity are multiplied by'),
    },
    embeddings: pairOfViews,
    compute: ([za, zb], given) => alignmentUniformity(za!, zb!, given),
  });
