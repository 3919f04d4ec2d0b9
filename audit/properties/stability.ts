import { mapEmbeddings, sizesOf } from '../batch.ts';
import { movedBy, scaledBy } from './batches.ts';
import { withOption } from './options.ts';
import { cosine, differs, digits, type Property, plain, styles } from './property.ts';

/** Numerical stability: short rows, large offsets, extreme scales, a small temperature. */
export const stability: readonly Property[] = [
  {
    name: 'a row of zeros',
    likely: 'rows are divided by their lengths without an ε',
    statement: 'a row of zeros, as dead features give, has a finite loss: its length counts as ε at least',
    source: 'normalisation with ε: PyTorch normalize, TensorFlow l2_normalize',
    families: cosine.filter((family) => family !== 'mmcr'),
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, { batch, dice }) => {
      const { n, views } = sizesOf(batch);
      const zeroed = mapEmbeddings(batch, (z, place) =>
        place === dice % views ? { ...z, data: z.data.map((x, k) => (Math.floor(k / z.columns) === (dice >> 3) % n ? 0 : x)) } : z,
      );
      const value = trial.definition!.value(zeroed);
      const { loss } = await trial.ask(zeroed);
      // 2 − 2·cos and ‖p̄ − z̄‖², which are one of rows of length 1, differ here.
      if (trial.shape.family === 'byol' && Number.isFinite(loss)) return null;
      const tolerance = await trial.tolerance(batch, value);
      return differs(
        loss,
        value,
        tolerance,
        () => `with a row of zeros the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        zeroed,
      );
    },
  },
  {
    name: 'large offset',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    likely: 'the variance is computed in one pass, as the mean of squares less the square of the mean',
    statement: 'a large number added to all samples costs no more digits than the number has',
    source: 'two passes: the mean first, then squares of differences',
    families: ['vicreg', 'barlow-twins', 'w-mse', 'vibcreg'],
    draws: styles('whole'),
    share: 0.2,
    check: async (trial, { batch }) => {
      const offset = trial.unit < 1e-10 ? 2 ** 20 : 2 ** 12;
      const moved = movedBy(() => offset)(batch);
      const { loss } = await trial.ask(moved);
      const { value, tolerance } = trial.expected(batch);
      return differs(
        loss,
        value,
        4 * offset * tolerance,
        () =>
          `${offset} added to all samples makes the loss ${digits(loss)}, where it was ${digits(value)}: a variance as mean of squares less square of the mean?`,
        moved,
      );
    },
  },
  {
    name: 'small and large numbers',
    likely: 'something overflows, or an ε is too large or not there',
    statement: 'embeddings of any common scale have a finite loss, as their definition says',
    source: 'the definition',
    families: [
      'vicreg',
      'barlow-twins',
      'simclr',
      'moco',
      'swav',
      'deepcluster',
      'byol',
      'simsiam',
      'dino',
      'vibcreg',
      'tico',
      'mmcr',
      'tcr',
    ],
    draws: styles('whole'),
    share: 0.3,
    check: async (trial, { batch, dice }) => {
      const factors = trial.unit < 1e-10 ? [2 ** -10, 2 ** 20] : [2 ** -8, 2 ** 10];
      // Of logits large ones are nothing common.
      const scaled = scaledBy(() => factors[trial.shape.family === 'dino' ? 0 : dice % 2]!)(batch);
      const { value, tolerance } = trial.expected(scaled);
      const { loss } = await trial.ask(scaled);
      return differs(loss, value, tolerance, () => `the loss is ${digits(value)} by its definition; it is ${digits(loss)}`, scaled);
    },
  },
  {
    name: 'small temperature',
    likely: 'exponentials are not stabilised by their maximum',
    statement: 'at a temperature of .02 the loss is still what its definition says',
    source: 'logarithms of sums of exponentials, stabilised by their maximum',
    families: ['simclr', 'moco', 'swav', 'deepcluster'],
    when: ({ reads }) => reads.includes('temperature'),
    draws: plain,
    share: 0.3,
    check: async (trial, { batch }) => {
      const cold = withOption(batch, 'temperature', 0.02);
      const { value, tolerance } = trial.expected(cold);
      const { loss } = await trial.ask(cold);
      return differs(
        loss,
        value,
        tolerance,
        () => `at a temperature of .02 the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        cold,
      );
    },
  },
];
