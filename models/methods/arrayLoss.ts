import type { Key, Tensor } from '../../engine/core.ts';
import { checkNames } from '../../engine/internal.ts';
import { type OptionTable, type OptionValues, resolveOptions } from './options.ts';

/** An array that a loss takes beside the embeddings: its state, as a queue, prototypes, a running covariance. */
export interface StateArray {
  readonly description: string;
  /** As a reader says it: '[K, d]'. */
  readonly shape: string;
  /** Whether the loss can do without; false, unless given. */
  readonly optional?: boolean;
  /** Whether it is learned, so that the loss has a gradient for it; false, unless given. */
  readonly learned?: boolean;
  /** Whether it holds whole numbers; false, unless given. */
  readonly integers?: boolean;
  /** Whether its columns are directions, of length 1; false, unless given. */
  readonly unitColumns?: boolean;
  /** Options that say how it would be made if it were not given, beside the seed. */
  readonly insteadOf?: readonly string[];
}

/** Embeddings that a loss takes, by name and in order; with `more`, any number of others, which count on from those of that letter. */
export interface Embeddings {
  readonly names: readonly string[];
  readonly more?: string;
}

/** What an array loss is given, and what it comes to. */
type Compute<Options> = (
  embeddings: readonly Tensor[],
  options: Options,
  state: Readonly<Record<string, Tensor>>,
  key?: Key,
) => { readonly loss: Tensor } & Readonly<Record<string, Tensor>>;

/** A loss of arrays that files hold, for `tensegrity loss` and for audits: the method's own, with what a run would keep given from outside. */
export interface ArrayLoss {
  readonly title: string;
  readonly source: string;
  readonly options: OptionTable;
  /** Which embeddings it takes, [n, d] each: one of these lists. */
  readonly embeddings: readonly Embeddings[];
  readonly state: Readonly<Record<string, StateArray>>;
  /** With at least this `epsilon` a constant dimension gives a finite gradient; 0 where it has no such option. */
  readonly epsilon: number;
  /** Whether it draws at random, from `key`. */
  readonly draws: boolean;
  /** The loss with its parts, scalars. @throws TensegrityError `argument` naming the option or array that is unknown, missing or out of its range. */
  readonly compute: Compute<Readonly<Record<string, unknown>>>;
}

/** An array loss as its file writes it: its function takes exactly the options of its table. */
interface ArrayLossRow<Table extends OptionTable> extends Pick<ArrayLoss, 'title' | 'source' | 'embeddings'> {
  readonly options: Table;
  readonly state?: ArrayLoss['state'];
  readonly epsilon?: number;
  readonly draws?: boolean;
  readonly compute: Compute<OptionValues<Table>>;
}

/** A row of `losses`, with options and state checked wherever they are given. */
export function arrayLoss<const Table extends OptionTable>(row: ArrayLossRow<Table>): ArrayLoss {
  const state = row.state ?? {};
  return {
    epsilon: 0,
    draws: false,
    ...row,
    state,
    compute: (embeddings, given, arrays, key) => {
      checkNames(row.title, arrays, state);
      return row.compute(embeddings, resolveOptions(row.options, given, row.title), arrays, key);
    },
  };
}

/** Two views. */
export const pairOfViews: readonly Embeddings[] = [{ names: ['za', 'zb'] }];
/** Two views or more. */
export const anyViews: readonly Embeddings[] = [{ names: ['z1', 'z2'], more: 'z' }];
/** Two views that are their own predictions, or predictions and projections. */
export const predictionsAndProjections: readonly Embeddings[] = [{ names: ['z1', 'z2'] }, { names: ['p1', 'p2', 'z1', 'z2'] }];

/** The two halves of {@link predictionsAndProjections}: without a predictor both are the projections. */
export function halves(embeddings: readonly Tensor[]): [predictions: readonly [Tensor, Tensor], projections: readonly [Tensor, Tensor]] {
  const [first, second, third = first, fourth = second] = embeddings as readonly [Tensor, Tensor, Tensor?, Tensor?];
  return [
    [first, second],
    [third, fourth],
  ];
}

/** The names of so many embeddings, if the loss takes as many; else null. */
export function namesOf({ embeddings }: Pick<ArrayLoss, 'embeddings'>, count: number): readonly string[] | null {
  for (const { names, more } of embeddings) {
    if (count === names.length) return names;
    if (more === undefined || count < names.length) continue;
    const alike = names.filter((name) => name.startsWith(more)).length;
    return [...names, ...Array.from({ length: count - names.length }, (_, i) => `${more}${alike + i + 1}`)];
  }
  return null;
}

/** Directions to look along, given from outside instead of being drawn. */
export const directionsOfFiles: Readonly<Record<'slices', StateArray>> = {
  slices: {
    shape: '[d, slices]',
    description: 'directions, columns of length 1, instead of drawing them by --seed',
    optional: true,
    unitColumns: true,
    insteadOf: ['sliceCount'],
  },
};
