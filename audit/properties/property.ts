import type { Batch, Case, DrawOptions, Shape, Style } from '../batch.ts';
import { type Family, familyNames } from '../formulas/index.ts';
import type { Expected, Model } from '../model.ts';
import type { Answer } from '../subject.ts';

/** What a property is checked against: a loss, and its definition where the family has one. */
export interface Trial {
  readonly shape: Shape;
  /** The roundoff of the precision. */
  readonly unit: number;
  readonly definition: Model | null;
  /** Whether the loss gives gradients. */
  readonly gradients: boolean;
  /** Options that the loss takes from its context: another value of theirs changes what it comes to. */
  readonly reads: readonly string[];
  /** Asks for the loss, and for its gradients if they are wanted. */
  ask(batch: Batch, gradients?: boolean): Promise<Answer>;
  expected(batch: Batch): Expected;
  /** How far a loss of this batch that was seen to be `value` may be from another evaluation of it. */
  tolerance(batch: Batch, value: number): Promise<number>;
}

/** What was seen where something else should have been. */
export interface Breach {
  readonly sentence: string;
  readonly expected: number | null;
  readonly seen: number | null;
  readonly tolerance: number | null;
  /** The batch that it is about, where that is not the one that was drawn. */
  readonly batch?: Batch;
  /** The message of the error, where the loss threw. */
  readonly threw?: string;
}

/** A row of the table of properties. Rows stand in the order in which what they find matters. */
export interface Property {
  readonly name: string;
  /** What should hold, as a sentence. */
  readonly statement: string;
  /** Where it is said or shown. */
  readonly source: string;
  readonly families: readonly Family[];
  /** What else must be so: gradients given, an option of some value. */
  readonly when?: (trial: Pick<Trial, 'gradients' | 'reads' | 'shape'>) => boolean;
  /** How its batches are drawn; in order, the plainest first. */
  readonly draws: readonly DrawOptions[];
  /** How many draws of each hundred that are asked for; 1, unless given. */
  readonly share?: number;
  /** What most likely breaks it, where nothing else does. */
  readonly likely?: string;
  readonly check: (trial: Trial, drawn: Case) => Promise<Breach | null>;
}

export const every: readonly Family[] = [...familyNames, 'custom'];
export const plain: readonly DrawOptions[] = [{ style: 'whole' }, { style: 'fine', plain: true }];
export const both: readonly DrawOptions[] = [{ style: 'whole' }, { style: 'fine' }];
export const styles = (...names: Style[]): readonly DrawOptions[] => names.map((style) => ({ style, plain: true }));

/** Families that take directions of rows. */
export const cosine = ['simclr', 'moco', 'swav', 'deepcluster', 'byol', 'simsiam', 'tico', 'mmcr', 'tcr'] as const;

export const digits = (x: number | null): string =>
  x === null ? 'none' : Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : String(Number(x.toPrecision(9)));

/** A breach if what was seen is not what was expected. */
export function differs(seen: number, expected: number, tolerance: number, sentence: () => string, batch?: Batch): Breach | null {
  // Where the definition itself has no value, or none that can be told from another, nothing is asked.
  if (!Number.isFinite(expected) || !Number.isFinite(tolerance)) return null;
  if (Math.abs(seen - expected) <= tolerance) return null;
  return { sentence: sentence(), expected, seen, tolerance, ...(batch && { batch }) };
}
