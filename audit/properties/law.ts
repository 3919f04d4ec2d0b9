import type { Batch, Case, DrawOptions } from '../batch.ts';
import { differs, digits, type Property, plain, type Trial } from './property.ts';

/** A row whose batches are changed in a way that changes the loss in a known way. */
export function law(
  row: Omit<Property, 'check' | 'draws'> & {
    readonly draws?: readonly DrawOptions[];
    readonly change: (drawn: Case, trial: Trial) => Batch | null;
    /** What the loss becomes; the same, unless given. */
    readonly becomes?: (value: number, drawn: Batch) => number;
  },
): Property {
  const { change, becomes = (value) => value, draws = plain, ...rest } = row;
  return {
    ...rest,
    draws,
    check: async (trial, drawn) => {
      const after = change(drawn, trial);
      if (after === null) return null;
      const [first, second] = [await trial.ask(drawn.batch), await trial.ask(after)];
      const expected = becomes(first.loss, drawn.batch);
      const factor = first.loss === 0 ? 1 : Math.max(1, Math.abs(expected / first.loss));
      const tolerance = factor * (await trial.tolerance(drawn.batch, first.loss)) + (await trial.tolerance(after, second.loss));
      if (!Number.isFinite(tolerance)) return null;
      if (!Number.isFinite(first.loss)) return { sentence: `the loss is ${first.loss}`, expected: null, seen: first.loss, tolerance };
      return differs(second.loss, expected, tolerance, () => `the loss was ${digits(first.loss)}, and is ${digits(second.loss)} after`);
    },
  };
}
