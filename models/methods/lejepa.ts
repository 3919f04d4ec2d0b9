import { stack, type Tensor } from '../../engine/index.ts';
import { checkNumber, options } from '../../engine/internal.ts';
import { directionsOf, type SliceOptions, sigreg } from '../regularizers/gaussianity.ts';
import { invarianceToMean } from '../regularizers/information.ts';

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
  } = options('lejepa', given, { sigreg: 0.02, globals: undefined, slices: 256, key: 0, directions: undefined });
  checkNumber('lejepa: sigreg', lambda, 0, 1);
  const invariance = invarianceToMean(views, globals);
  const directions = directionsOf(views[0]!, slicing, 'lejepa');
  const parts = { invariance, sigreg: stack(views.map((view) => sigreg(view, { directions }))).mean() };
  return { loss: parts.invariance.mul(1 - lambda).add(parts.sigreg.mul(lambda)), ...parts };
}
