import { Arithmetic } from '../arithmetic.ts';
import { mapEmbeddings, sizesOf } from '../batch.ts';
import { movedBy, scaledBy } from './batches.ts';
import { law } from './law.ts';
import { cosine, type Property } from './property.ts';

const powers = [2, 0.5, 4, 0.25] as const;

/** Translations, scales and linear maps of embeddings. */
export const affineInvariances: readonly Property[] = [
  law({
    name: 'translation',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    statement: 'the same vector added to all samples of both views changes nothing',
    source: 'differences and centred statistics do not change',
    families: ['vicreg', 'barlow-twins', 'w-mse', 'vibcreg'],
    change: ({ batch, dice }) => movedBy((column) => ((dice + column) % 5) - 2 || 3)(batch),
  }),
  law({
    name: 'translation of a view',
    when: ({ shape }) => shape.options['whitening'] !== 'none',
    statement: 'a vector added to all samples of one view changes nothing',
    source: 'each view is centred by itself',
    families: ['barlow-twins', 'w-mse'],
    change: ({ batch, dice }) => movedBy((column, place) => (place === 0 ? ((dice + column) % 5) - 2 || 3 : 0))(batch),
  }),
  law({
    name: 'length of rows',
    statement: 'a row times a positive number changes nothing',
    source: 'only directions count',
    families: cosine,
    change: ({ batch, dice }) => scaledBy((row, place) => (row % 2 === dice % 2 ? powers[(row + place + dice) % 4]! : 1))(batch),
  }),
  law({
    name: 'scale of a view',
    statement: 'one view times a positive number changes nothing',
    source: 'each view is whitened by itself',
    families: ['w-mse'],
    change: ({ batch, dice }) =>
      batch.options['epsilon'] || batch.options['whitening'] === 'none'
        ? null
        : scaledBy((_, place) => (place === 0 ? powers[dice % 4]! : 1))(batch),
  }),
  law({
    name: 'scale of dimensions',
    statement: 'a dimension of a view times a positive number changes nothing',
    source: 'columns are scaled to one length',
    families: ['frossl'],
    change: ({ batch, dice }) => scaledBy((_, place, column) => powers[(dice + place + column) % 4]!)(batch),
  }),
  law({
    name: 'triangular maps',
    statement: 'one view times an upper triangular matrix of positive diagonal changes nothing',
    source: 'the Cholesky factor of Mᵀ·Σ·M is Mᵀ·L for such M',
    families: ['w-mse'],
    draws: [{ style: 'whole' }],
    change: ({ batch, dice }) => {
      if (batch.options['epsilon'] || batch.options['whitening'] !== 'cholesky') return null;
      const { d } = sizesOf(batch);
      const a = new Arithmetic();
      const m = a.matrix(d, d, (i, j) => (i > j ? 0 : i === j ? powers[(dice + i) % 2]! : ((dice + i + j) % 3) - 1));
      return mapEmbeddings(batch, (z, place) => (place === 0 ? a.product(z, m) : z));
    },
  }),
];

/** Translations of logits, of which a softmax is taken. */
export const logitShifts: readonly Property[] = [
  law({
    name: 'shift of logits',
    statement: 'a number added to all of a sample’s outputs changes nothing',
    source: 'softmax does not change',
    families: ['dino'],
    change: ({ batch, dice }) =>
      mapEmbeddings(batch, (z) => ({
        ...z,
        data: z.data.map((x, k) => x + (Math.floor(k / z.columns) % 2 === 0 ? (dice % 5) - 2 || 1 : 0)),
      })),
  }),
  law({
    name: 'centre goes with the teacher',
    statement: 'the same vector added to the teacher’s outputs and to the centre changes nothing',
    source: 'DINO §3.1: the centre is subtracted from outputs',
    families: ['dino'],
    change: ({ batch, dice }) => {
      const by = (column: number): number => ((dice + column) % 4) - 1;
      const moved = movedBy((column, place) => (place < 2 ? by(column) : 0))(batch);
      const centre = batch.state['centre']!;
      return { ...moved, state: { ...batch.state, centre: { ...centre, data: centre.data.map((x, j) => x + by(j)) } } };
    },
  }),
];
