import type { TrainingConfig } from '../../models/train/config.ts';
import type { Row } from './results.ts';
import type { Study, StudyRow } from './study.ts';

const OURS =
  'The paper has ImageNet, ResNet-50 and 100 epochs, and tells top-1 accuracy of a linear probe; here are small images, a small encoder and few epochs, so orders can be compared, not numbers.';

/** VICReg's weights of invariance, variance and covariance. */
const weights = (invariance: number, variance: number, covariance: number): Partial<TrainingConfig> => ({
  method: 'vicreg',
  methodOptions: { invariance, variance, covariance },
});

/** Table 7: weights, and what the paper has for them. */
const terms: readonly (readonly [weights: readonly [number, number, number], published: Row['published']])[] = [
  [[1, 0, 0], 'collapse'],
  [[25, 0, 1], 'collapse'],
  [[0, 25, 1], 'collapse'],
  [[1, 1, 1], 'collapse'],
  [[1, 10, 1], 'collapse'],
  [[10, 1, 1], 'collapse'],
  [[1, 1, 0], 57.5],
  [[25, 25, 1], 68.6],
];

/** Table 4's columns. */
const variants = ['no term', '+ variance', '+ variance, covariance'] as const;
type Variants<T> = readonly [T, T, T];

/** The terms where they are added to another method's loss, with the paper's weights. */
const added: Variants<Partial<TrainingConfig>> = [{}, { addVariance: 1 }, { addVariance: 1, addCovariance: 0.01 }];
/** And where they are VICReg's own: the weights of Table 7. */
const own: Variants<Partial<TrainingConfig>> = [weights(1, 0, 0), weights(1, 1, 0), weights(25, 25, 1)];

interface Branch {
  readonly training: Partial<TrainingConfig>;
  readonly terms: Variants<Partial<TrainingConfig>>;
  readonly published: Variants<Row['published']>;
}

const simsiam = (methodOptions: TrainingConfig['methodOptions']): Partial<TrainingConfig> => ({ method: 'simsiam', methodOptions });

/** Table 4's rows. */
const branches: Readonly<Record<string, Branch>> = {
  BYOL: { training: { method: 'byol' }, terms: added, published: [69.3, 70.2, 69.5] },
  SimSiam: { training: simsiam({}), terms: added, published: [67.9, 68.1, 67.6] },
  'SimSiam, no norm': { training: simsiam({ norm: 'off' }), terms: added, published: [35.1, 67.3, 67.1] },
  'SimSiam, stop-gradient only': {
    training: simsiam({ norm: 'off', predictor: 'off' }),
    terms: added,
    published: ['collapse', 56.8, 66.1],
  },
  'VICReg with a predictor': { training: { methodOptions: { predictor: 'on' } }, terms: own, published: ['collapse', 57.1, 68.7] },
  'VICReg with a predictor, no norm': {
    training: { methodOptions: { predictor: 'on', norm: 'off' } },
    terms: own,
    published: ['collapse', 56.2, 67.3],
  },
  VICReg: { training: {}, terms: own, published: ['collapse', 57.5, 68.6] },
  'VICReg, no norm': { training: { methodOptions: { norm: 'off' } }, terms: own, published: ['collapse', 56.5, 67.4] },
};

function branchRows(): StudyRow[] {
  return Object.entries(branches).flatMap(([group, { training, terms: of, published }]) =>
    variants.map(
      (variant, i): StudyRow => ({
        name: `${nameOf(group)}-${i}`,
        title: i === 0 ? group : `${group} ${variant}`,
        group,
        variant,
        published: published[i]!,
        subject: {
          kind: 'method',
          training: { ...training, ...of[i], methodOptions: { ...of[i]!.methodOptions, ...training.methodOptions } },
        },
      }),
    ),
  );
}

/** 'SimSiam, no norm' as 'simsiam-no-norm', for files. */
function nameOf(title: string): string {
  return title.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-');
}

/** Rows of one setting's values. */
function along(
  what: string,
  values: Readonly<Record<number, Row['published']>>,
  training: (value: number) => Partial<TrainingConfig>,
): StudyRow[] {
  return Object.entries(values).map(([value, published]) => ({
    name: `${nameOf(what)}-${value}`,
    title: `${what} ${value}`,
    at: Number(value),
    published,
    subject: { kind: 'method', training: training(Number(value)) },
  }));
}

const random: StudyRow = { name: 'random', title: 'random encoder', subject: { kind: 'random' } };

/** The ablations by the name that `tensegrity ablate` takes. */
export const ablations: Readonly<Record<string, Study>> = {
  terms: {
    name: 'ablate terms',
    title: "VICReg's weights of invariance, variance and covariance",
    notes: ['The form of Table 7 of VICReg (A. Bardes et al., ICLR 2022).', OURS],
    rows: [
      ...terms.map(
        ([of, published]): StudyRow => ({
          name: `terms-${of.join('-')}`,
          title: `(${of.join(', ')})`,
          published,
          subject: { kind: 'method', training: weights(...of) },
        }),
      ),
      random,
    ],
  },
  branches: {
    name: 'ablate branches',
    title: "VICReg's terms beside stop-gradient, predictor, batch norm and a teacher",
    notes: [
      'The form of Table 4 of VICReg (A. Bardes et al., ICLR 2022). To BYOL and SimSiam the variance term is added with weight 1 and the covariance term with .01, as there; in the rows of VICReg the weights of invariance, variance and covariance are 1, 0, 0; 1, 1, 0; and 25, 25, 1.',
      OURS,
    ],
    rows: [...branchRows(), random],
  },
  width: {
    name: 'ablate width',
    title: "Width of VICReg's expander",
    notes: [
      "The form of VICReg's table of expander widths (A. Bardes et al., ICLR 2022): three layers of the same width. The paper has widths of 256 to 8192 and batches of 2048, here they are 16 to 512 and batches of 256; its number beside each is that of the width 16 times as large.",
      OURS,
    ],
    rows: [
      ...along('width', { 16: 55.9, 32: 59.2, 64: 62.4, 128: 65.1, 256: 67.3, 512: 68.6 }, (width) => ({
        method: 'vicreg',
        widths: [width, width, width],
      })),
      random,
    ],
  },
  batch: {
    name: 'ablate batch',
    title: 'Size of the batch',
    notes: [
      "The form of VICReg's table of batch sizes (A. Bardes et al., ICLR 2022): VICReg with the same learning rate per image, lr·batch/256. The paper's batches are 128 to 2048; here 32 to 512, and the paper's number beside each is that of the batch four times as large.",
      OURS,
    ],
    rows: [
      ...along('batch', { 32: 67.3, 64: 67.9, 128: 68.2, 256: 68.3, 512: 68.6 }, (batchSize) => ({
        method: 'vicreg',
        batchSize,
        learningRate: (1e-3 * batchSize) / 256,
      })),
      random,
    ],
  },
};
