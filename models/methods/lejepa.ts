import { stack, type Tensor } from '../../engine/core.ts';
import { checkNumber, options } from '../../engine/internal.ts';
import { MLP } from '../nn/networks.ts';
import { directionsOf, type SliceOptions, sigreg } from '../regularizers/gaussianity.ts';
import { invarianceToMean } from '../regularizers/information.ts';
import { anyViews, arrayLoss, directionsOfFiles } from './arrayLoss.ts';
import { ofEmbeddings } from './learner.ts';
import { number } from './options.ts';

export interface LeJEPAOptions extends SliceOptions {
  /** Weight λ of SIGReg, from 0 to 1; the invariance has 1 − λ. .02, unless given (the paper's tables: .05). */
  readonly sigreg?: number;
  /** The views are to agree with the mean of the first so many, all unless given: of multi-crop, the global ones. */
  readonly globals?: number;
}

/** The loss, and its parts before their weights: loss = (1 − λ)·invariance + λ·sigreg. */
export type LeJEPALoss = Readonly<Record<'loss' | 'invariance' | 'sigreg', Tensor>>;

/**
 * LeJEPA of any number of views [n, d]: they agree with their mean, and each is a sample of a standard normal distribution along every direction,
 * as {@link sigreg} tests it along 256 that are drawn; mean over views.
 * (R. Balestriero & Y. LeCun, arXiv 2511.08544; rbalestr-lab/lejepa:MINIMAL.md)
 * @throws TensegrityError `shape` for views of different shapes, `argument` for fewer than 2 views, and for an option that is unknown or out of its
 * range.
 */
export function lejepa(views: readonly Tensor[], given: LeJEPAOptions = {}): LeJEPALoss {
  const {
    sigreg: lambda,
    globals,
    ...slicing
  } = options('lejepa', given, { sigreg: 0.02, globals: undefined, slices: 256, key: undefined, directions: undefined });
  checkNumber('lejepa: sigreg', lambda, 0, 1);
  const invariance = invarianceToMean(views, globals);
  const directions = directionsOf(views[0]!, slicing, 'lejepa');
  const parts = { invariance, sigreg: stack(views.map((view) => sigreg(view, { directions }))).mean() };
  return { loss: parts.invariance.mul(1 - lambda).add(parts.sigreg.mul(lambda)), ...parts };
}

const about = { title: 'LeJEPA', source: 'R. Balestriero, Y. LeCun, arXiv 2511.08544; rbalestr-lab/lejepa' } as const;

const table = {
  sigreg: number(0.02, 'weight λ of SIGReg; the invariance has 1 − λ', { most: 1 }),
  slices: number(256, 'directions along which the embedding is to be normal', { least: 1, whole: true }),
};

/** The loss of files: any number of views. */
export const lejepaOfArrays = () =>
  arrayLoss({
    ...about,
    options: {
      sigreg: table.sigreg,
      sliceCount: table.slices,
      globals: number(null, 'the views agree with the mean of so many first ones; all, unless given', { least: 1, whole: true }),
    },
    embeddings: anyViews,
    draws: true,
    state: directionsOfFiles,
    compute: (views, { sliceCount: slices, ...given }, { slices: directions }, key = 0) =>
      lejepa(views, { ...given, slices, key, ...(directions && { directions }) }),
  });

/** SIGReg alone of files: any number of views. */
export const sigregOfArrays = () =>
  arrayLoss({
    ...about,
    title: 'SIGReg',
    options: { sliceCount: table.slices },
    embeddings: [{ names: ['z1'], more: 'z' }],
    draws: true,
    state: directionsOfFiles,
    compute: (views, { sliceCount }, { slices }, key = 0) => {
      const directions = slices ?? directionsOf(views[0]!, { slices: sliceCount, key }, 'SIGReg');
      return { loss: stack(views.map((view) => sigreg(view, { directions }))).mean() };
    },
  });

export const lejepaMethod = () =>
  ofEmbeddings({
    ...about,
    parts: ['invariance', 'sigreg'],
    options: table,
    // SIGReg counts each sample (× n): at 256 it outweighs the invariance, and 39 steps an epoch are few.
    training: { batchSize: 64 },
    widths: [256, 256, 64],
    ablation: { of: 'SIGReg', options: { sigreg: 0 } },
    advice: {
      watched: 'deviation',
      collapsed: 'raise the weight of SIGReg (--sigreg)',
      redundant: 'raise the weight of SIGReg (--sigreg), or look along more directions (--slices)',
      epsilon: 0,
    },
    head: (inputs, widths, options) => new MLP([inputs, ...widths], { ...options, normalize: true }),
    loss: (za, zb, options, key = 0) => lejepa([za, zb], { ...options, key }),
  });
