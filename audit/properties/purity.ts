import type { Matrix } from '../arithmetic.ts';
import { differs, digits, every, type Property, styles } from './property.ts';

const shapeList = (z: Matrix): string => `[${z.rows}, ${z.columns}]`;

/** The loss keeps nothing from call to call. */
export const determinism: Property = {
  name: 'determinism',
  likely: 'the loss draws something at random, or keeps something from call to call',
  statement: 'the same batch gives the same loss',
  source: 'a loss is a function of its arguments',
  families: every,
  draws: styles('fine'),
  share: 0.2,
  check: async (trial, { batch }) => {
    const [first, second] = [await trial.ask(batch), await trial.ask(batch)];
    const tolerance = await trial.tolerance(batch, first.loss);
    return differs(second.loss, first.loss, tolerance, () => `the same batch gave ${digits(first.loss)}, and then ${digits(second.loss)}`);
  },
};

/** The loss leaves nothing behind in what it was given. */
export const argumentsUnchanged: Property = {
  name: 'arguments unchanged',
  likely: 'the loss computes in place',
  statement: 'the loss does not change its arguments',
  source: 'what calls it goes on with them',
  families: every,
  draws: styles('whole'),
  share: 0.2,
  check: async (trial, { batch }) => {
    const { changed } = await trial.ask(batch);
    return changed.length === 0
      ? null
      : {
          sentence: `the call changed ${changed.join(' and ')}, ${shapeList(batch.embeddings[0]!)}`,
          expected: null,
          seen: null,
          tolerance: null,
        };
  },
};
