import type { Family } from './draws.ts';
import type { Loss } from './implementations/formula.ts';

/**
 * A mistake that was made in public, written anew as a variation of the right implementation, for audits to find.
 *
 * Its loss takes what the right one takes. Where the mistake is in the gradient (a target that is not detached), it gives its gradients as well, and
 * its value may be the right one. Where it is in what the next batch is given (DINO's centre, with momentum .9), it gives that beside the loss, as
 * whoever wrote the class would return both. What else was wrong with state (a queue that is not normalised) shows in the loss, which takes the
 * state as the right one takes it.
 */
export interface Mistake {
  readonly family: Family;
  /** Whose loss of this name it means to be; that of no dialect, or the first, unless given. */
  readonly dialect?: string;
  /** Of no other mistake in the family. */
  readonly name: string;
  /** The cause. */
  readonly sentence: string;
  /** Where it stood: repository, and file, issue (#) or commit. */
  readonly source: string;
  /** What it is to be given for the mistake to show; nothing, unless given. */
  readonly options?: Readonly<Record<string, number | string>>;
  readonly loss: Loss;
  /** `gradients` or `state` where the loss itself may be right. */
  readonly shows?: 'gradients' | 'state';
}
