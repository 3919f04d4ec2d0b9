import { createHash } from 'node:crypto';
import type { ImageDataset } from '../../models/data/images.ts';
import { methodNamed } from '../../models/methods/index.ts';
import { type TrainingConfig, trainingConfig } from '../../models/train/config.ts';
import type { BackendChoice } from '../backend.ts';
import type { DataIdentity } from '../dataset.ts';
import { SCORING } from './metrics.ts';
import type { Row } from './results.ts';

/** A row as a study lists it: what is trained, and where it stands in the table. */
export interface StudyRow extends Pick<Row, 'name' | 'title'>, Partial<Pick<Row, 'group' | 'variant' | 'at' | 'published'>> {
  /** The settings of a method's training that differ from its small-scale defaults, or what else is scored. */
  readonly subject:
    | { readonly kind: 'method'; readonly training: Partial<TrainingConfig> }
    | { readonly kind: Exclude<Row['kind'], 'method'> };
}

/** A list of trainings and what is told of them: compare and each ablation are one. */
export interface Study {
  /** The words after `tensegrity`. */
  readonly name: string;
  readonly title: string;
  readonly notes: readonly string[];
  readonly rows: readonly StudyRow[];
}

/** What all rows of a study have in common, unless they say otherwise. */
export type Common = Pick<TrainingConfig, 'encoder' | 'stem' | 'epochs'> & Partial<Pick<TrainingConfig, 'batchSize'>>;

/** How the supervised row learns: the first view of the reference augmentation, and otherwise the reference recipe. */
export const SUPERVISED = {
  batchSize: 256,
  learningRate: 3e-3,
  headLearningRate: 1e-2,
  weightDecay: 1e-6,
  augmentation: 'reference',
} as const;

/** Everything that the scores of a row at a seed are a function of, but for those on a second data set: two that agree in it are one. */
export interface CellIdentity {
  readonly kind: Row['kind'];
  readonly seed: number;
  /** Settings of its training; of an encoder that is not trained, what it is drawn by; null for pixels. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  readonly data: DataIdentity;
  readonly backend: BackendChoice;
  readonly scoring: number;
  /** The method's, where it is not 0. */
  readonly revision?: number;
}

/** A row at a seed, as work to be done. */
export interface CellTask {
  readonly row: StudyRow;
  readonly seed: number;
  /** Of what is trained as a method. */
  readonly training: TrainingConfig | null;
  readonly identity: CellIdentity;
  /** What its files are called. */
  readonly file: string;
}

interface Circumstances {
  readonly common: Common;
  readonly data: DataIdentity;
  readonly backend: BackendChoice;
}

/** @throws TensegrityError `argument` for settings that make no sense. */
export function cellTask(row: StudyRow, seed: number, { common, data, backend }: Circumstances): CellTask {
  const { kind } = row.subject;
  const training = row.subject.kind === 'method' ? trainingConfig({ ...common, ...row.subject.training, seed }) : null;
  const { encoder, stem, epochs, batchSize = SUPERVISED.batchSize } = common;
  const settings = {
    method: () => ({ ...training }),
    supervised: () => ({ encoder, stem, epochs, ...SUPERVISED, batchSize }),
    random: () => ({ encoder, stem }),
    pixels: () => null,
  }[kind]();
  const revision = training ? (methodNamed(training.method).revision ?? 0) : 0;
  const identity: CellIdentity = { kind, seed, settings, data, backend, scoring: SCORING, ...(revision > 0 && { revision }) };
  const digest = createHash('sha256').update(canonical(identity)).digest('hex');
  return { row, seed, training, identity, file: `${row.name}-seed${seed}-${digest.slice(0, 12)}` };
}

/** JSON in which the order of names says nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The settings of a row, without its seed. */
export function settingsOf({ identity: { settings } }: CellTask): Row['settings'] {
  if (settings === null) return null;
  const { seed: _seed, ...rest } = settings;
  return rest;
}

/** The order of the work: all rows at one seed, then at the next, so that what is broken off is a table of fewer seeds. */
export function tasksOf(study: Study, seeds: readonly number[], circumstances: Circumstances): CellTask[] {
  return seeds.flatMap((seed) => study.rows.map((row) => cellTask(row, seed, circumstances)));
}

/** How much of a cell is training, told beforehand: images that pass through the encoder and back. */
export function effortOf({ training, identity }: CellTask, { train }: ImageDataset): number {
  const count = train.images.shape[0]!;
  if (training) return 2 * count * training.epochs;
  return identity.kind === 'supervised' ? count * Number(identity.settings!['epochs']) : 0;
}
