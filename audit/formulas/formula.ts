import type { Arithmetic, Matrix } from '../arithmetic.ts';

export type Options = Readonly<Record<string, number | string>>;

/** What a loss is of: see `losses` of tensegrity/models for the names. */
export interface Inputs {
  readonly embeddings: readonly Matrix[];
  /** The same embeddings, where the definition has constants of them (stop-gradient). */
  readonly held: readonly Matrix[];
  readonly state: Readonly<Record<string, Matrix>>;
  readonly options: Options;
}

/** How a mistake is said, and where it was made in public, if it was. */
export type Mistake = readonly [sentence: string, source?: string];

/** A part of the loss as people speak of it: `unit` times the sum of some columns. */
export interface Term {
  readonly name: string;
  readonly columns: readonly number[];
  readonly unit: number;
}

/** What drawn batches must be, so that the definition has a value there. */
export interface Domain {
  /** Samples that d dimensions need; 2, unless given. */
  readonly samples?: (d: number) => number;
  readonly dimensions?: readonly [least: number, most: number];
  /** What must not be zero, or (of columns) constant. */
  readonly distinct?: 'rows' | 'columns' | 'full rank';
  /** How arrays of state are drawn. */
  readonly state?: Readonly<Record<string, StateKind>>;
}

export type StateKind = 'rows' | 'vector' | 'directions' | 'labels' | 'covariance';

/**
 * The definition of a loss as a sum of columns, each a number, with weights; and what it becomes by each of the known mistakes. Written in plain
 * loops, apart from the tensors of tensegrity/models, to which tests hold it: two derivations of one formula.
 */
export interface Formula {
  readonly columns: readonly string[];
  readonly terms: readonly Term[];
  readonly mistakes: Readonly<Record<string, Mistake>>;
  readonly domain: Domain;
  readonly weights: (options: Options, sizes: { readonly n: number; readonly d: number; readonly views: number }) => readonly number[];
  readonly evaluate: (a: Arithmetic, inputs: Inputs, has: (mistake: string) => boolean) => readonly number[];
}

/** A formula of one column, whose weight is 1 unless its options say another. */
export function single<Flag extends string>(row: {
  readonly mistakes: Readonly<Record<Flag, Mistake>>;
  readonly domain: Domain;
  readonly weight?: (options: Options) => number;
  readonly evaluate: (a: Arithmetic, inputs: Inputs, has: (mistake: Flag) => boolean) => number;
}): Formula {
  const { weight = () => 1 } = row;
  return formula({
    mistakes: row.mistakes,
    domain: row.domain,
    columns: ['the loss'],
    terms: [{ name: 'the loss', columns: [0], unit: 1 }],
    weights: (options) => [weight(options)],
    evaluate: (a, inputs, has) => [row.evaluate(a, inputs, has)],
  });
}

/** A formula, whose mistakes are those that its evaluation asks for. */
export function formula<Flag extends string>(
  row: Omit<Formula, 'mistakes' | 'evaluate'> & {
    readonly mistakes: Readonly<Record<Flag, Mistake>>;
    readonly evaluate: (a: Arithmetic, inputs: Inputs, has: (mistake: Flag) => boolean) => readonly number[];
  },
): Formula {
  return row;
}
