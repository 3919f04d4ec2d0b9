import { orderOf, permuteSamples, sizesOf } from '../batch.ts';
import type { Family } from '../formulas/index.ts';
import { law } from './law.ts';
import { digits, type Property, styles } from './property.ts';

const paired = [
  'vicreg',
  'barlow-twins',
  'w-mse',
  'simclr',
  'moco',
  'swav',
  'byol',
  'simsiam',
  'dino',
  'lejepa',
  'vibcreg',
  'tico',
  'mmcr',
  'frossl',
  'corinfomax',
] as const;

/** Which embeddings a permutation of one view alone is of. */
const secondView: Partial<Record<Family, readonly number[]>> = { byol: [-1], simsiam: [-1] };

/** Whether it counts which samples are views of one image. */
export const pairing: readonly Property[] = [
  law({
    name: 'pairing',
    statement: 'no view is compared with the other: samples of one in another order change nothing',
    source: 'EMP-SSL, MCR² Eq. 7; LeJEPA Eq. 6',
    families: ['sigreg', 'tcr'],
    change: ({ batch, dice }, { shape }) => permuteSamples(batch, orderOf(sizesOf(batch).n, dice), shape.state, [0]),
  }),
  {
    name: 'pairing matters',
    statement: 'which samples are views of one image matters: one view in another order changes the loss',
    source: 'what is learned is that views of one image agree',
    families: paired,
    draws: styles('fine'),
    check: async (trial, { batch, dice }) => {
      const count = batch.embeddings.length;
      const views = (secondView[trial.shape.family] ?? [1]).map((place) => (place + count) % count);
      const after = permuteSamples(
        batch,
        orderOf(sizesOf(batch).n, dice),
        trial.shape.state,
        trial.shape.family === 'dino' ? [2, 3] : views,
      );
      const [before, moved] = [trial.expected(batch), trial.expected(after)];
      const gap = Math.abs(before.value - moved.value);
      if (!(gap > 1000 * (before.tolerance + moved.tolerance) + 1e-6 * Math.abs(before.value))) return null;
      const [first, second] = [await trial.ask(batch), await trial.ask(after)];
      const tolerance = (await trial.tolerance(batch, first.loss)) + (await trial.tolerance(after, second.loss));
      if (Math.abs(first.loss - second.loss) > Math.min(tolerance, gap / 2)) return null;
      return {
        sentence: `one view in another order leaves the loss at ${digits(second.loss)}, where it should change by ${digits(gap)}`,
        expected: null,
        seen: second.loss,
        tolerance,
      };
    },
  },
];
