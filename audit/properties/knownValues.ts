import type { Matrix } from '../arithmetic.ts';
import { type Batch, type Case, type DrawOptions, mapEmbeddings, sizesOf } from '../batch.ts';
import { collapsed, healthy } from './batches.ts';
import { option } from './options.ts';
import { differs, digits, type Property, styles, type Trial } from './property.ts';

/** A row that says what the loss of known batches is. */
function known(
  row: Pick<Property, 'name' | 'statement' | 'source' | 'families'> & {
    readonly batch: (drawn: Case, trial: Trial) => Batch | null;
    readonly value: (batch: Batch) => number;
    readonly draws?: readonly DrawOptions[];
  },
): Property {
  const { batch: of, value, draws = styles('whole'), ...rest } = row;
  return {
    ...rest,
    draws,
    share: 0.3,
    check: async (trial, drawn) => {
      const batch = of(drawn, trial);
      if (batch === null) return null;
      const [answer, expected] = [await trial.ask(batch), value(batch)];
      const tolerance = await trial.tolerance(batch, expected);
      return differs(
        answer.loss,
        expected,
        tolerance,
        () => `the loss of such a batch is ${digits(expected)}; it is ${digits(answer.loss)}`,
        batch,
      );
    },
  };
}

const every1 = (z: Matrix): Matrix => ({ ...z, data: Float64Array.from(z.data, (_, k) => z.data[k % z.columns]!) });

/** Batches whose loss is known in closed form: collapse, agreement, and a hinge that is met. */
export const knownValues: readonly Property[] = [
  known({
    name: 'collapse',
    statement: 'where all samples are one, the loss is 25·(γ − √ε) = 24.75 (official; both views added up: 49.5)',
    source: 'VICReg Eq. 1–2, with ε = 1e-4',
    families: ['vicreg'],
    batch: collapsed,
    value: ({ options, embeddings: [z] }) => {
      const views = options['dialect'] === 'paper' || options['dialect'] === 'solo-learn' ? 2 : 1;
      return z ? views * Number(options['variance']) * Math.max(0, Number(options['gamma']) - Math.sqrt(Number(options['epsilon']))) : 0;
    },
  }),
  known({
    name: 'collapse of vibcreg',
    statement: 'where all samples are one, the loss is 25·2·(γ − √ε) = 49.5',
    source: 'VIbCReg: both views’ hinges are added up',
    families: ['vibcreg'],
    batch: collapsed,
    value: (batch) => 2 * option(batch, 'variance') * Math.max(0, option(batch, 'gamma') - Math.sqrt(option(batch, 'epsilon'))),
  }),
  known({
    name: 'collapse of barlow-twins',
    statement: 'where all samples are one, C = 0 and the loss is d',
    source: 'Barlow Twins Eq. 1',
    families: ['barlow-twins'],
    batch: collapsed,
    value: (batch) => sizesOf(batch).d * option(batch, 'scale'),
  }),
  known({
    name: 'collapse of simclr',
    statement: 'where all samples are one, the loss is ln(2n − 1)',
    source: 'SimCLR Eq. 1',
    families: ['simclr'],
    batch: collapsed,
    value: (batch) => Math.log(2 * sizesOf(batch).n - 1) * (batch.options['dialect'] === 'google' ? 2 : 1),
  }),
  known({
    name: 'collapse of moco',
    statement: 'where all keys are one, the loss is ln(K + 1)',
    source: 'MoCo Eq. 1',
    families: ['moco'],
    batch: collapsed,
    value: (batch) => Math.log(batch.state['queue']!.rows + 1),
  }),
  known({
    name: 'collapse of clusters',
    statement: 'where all prototypes are one, the loss is ln K',
    source: 'SwAV Eq. 2',
    families: ['swav', 'deepcluster'],
    batch: ({ batch }) => ({ ...batch, state: { ...batch.state, prototypes: every1(batch.state['prototypes']!) } }),
    value: (batch) => Math.log(batch.state['prototypes']!.rows),
  }),
  known({
    name: 'agreement',
    statement: 'where both views agree, the loss is 0',
    source: 'BYOL Eq. 2',
    families: ['byol'],
    batch: ({ batch }) => ({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }),
    value: () => 0,
  }),
  known({
    name: 'opposition',
    statement: 'where targets are opposite to predictions, the loss is 8: 4 in each direction',
    source: 'BYOL Eq. 2',
    families: ['byol'],
    batch: ({ batch }) =>
      mapEmbeddings({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }, (z, place) =>
        place < batch.embeddings.length / 2 ? z : { ...z, data: z.data.map((x) => -x) },
      ),
    value: () => 8,
  }),
  known({
    name: 'agreement of simsiam',
    statement: 'where both views agree, the loss is −1',
    source: 'SimSiam Eq. 1',
    families: ['simsiam'],
    batch: ({ batch }) => ({ ...batch, embeddings: batch.embeddings.map(() => batch.embeddings[0]!) }),
    value: () => -1,
  }),
  known({
    name: 'uniform student',
    statement: 'a student that tells nothing apart has the loss ln d',
    source: 'DINO Eq. 2',
    families: ['dino'],
    batch: ({ batch }) => mapEmbeddings(batch, (z, place) => (place < 2 ? z : { ...z, data: z.data.map(() => 1) })),
    value: (batch) => Math.log(sizesOf(batch).d),
  }),
  known({
    name: 'collapse of mmcr',
    statement: 'where all samples are one, the nuclear norm is √n',
    source: 'MMCR Eq. 3',
    families: ['mmcr'],
    batch: collapsed,
    value: (batch) => -option(batch, 'global') * Math.sqrt(sizesOf(batch).n) + option(batch, 'local') * Math.sqrt(batch.embeddings.length),
  }),
  known({
    name: 'collapse of tcr',
    statement: 'where all samples are one, the loss is −½·ln(1 + d/ε)',
    source: 'MCR² Eq. 7',
    families: ['tcr'],
    batch: collapsed,
    value: (batch) => -0.5 * Math.log1p(sizesOf(batch).d / option(batch, 'epsilon')),
  }),
  known({
    name: 'collapse of frossl',
    statement: 'where all samples are one, the loss is 0',
    source: 'FroSSL Eq. 3',
    families: ['frossl'],
    batch: (drawn) => {
      const z = drawn.batch.embeddings[0]!;
      return drawn.batch.options['dialect'] === 'paper' || z.data.subarray(0, z.columns).includes(0) ? null : collapsed(drawn);
    },
    value: () => 0,
  }),
  known({
    name: 'hinge',
    statement: 'where views agree, dimensions are uncorrelated, and every deviation is above γ, the loss is 0',
    source: 'VICReg Eq. 1: v = 0 exactly when every variance is at least γ² − ε',
    families: ['vicreg', 'vibcreg'],
    batch: (drawn, trial) => healthy(drawn, trial, Number(drawn.batch.options['gamma']) * (1 + drawn.dice / 300), drawn.dice % 3),
    value: () => 0,
  }),
  {
    name: 'hinge exactness',
    statement: 'a dimension whose variance is a little less than γ² − ε costs what the definition says, and one a little above it nothing',
    source: 'VICReg Eq. 1',
    families: ['vicreg', 'vibcreg'],
    draws: styles('whole'),
    share: 0.3,
    check: async (trial, drawn) => {
      const { gamma, epsilon } = drawn.batch.options;
      const batch = healthy(
        drawn,
        trial,
        Math.sqrt(Math.max(0, Number(gamma) ** 2 - Number(epsilon))) * (1 + ((drawn.dice % 21) - 10) / 400),
      );
      if (batch === null) return null;
      const { value, tolerance } = trial.expected(batch);
      const { loss } = await trial.ask(batch);
      return differs(loss, value, tolerance, () => `by its definition the loss is ${digits(value)}; it is ${digits(loss)}`, batch);
    },
  },
];
