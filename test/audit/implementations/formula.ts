import type { Matrix, Vector } from './arithmetic.ts';

/** What a loss is given after the embeddings: its row's state arrays and options, by name; all may be absent but arrays that it cannot do without. */
export type Context = Readonly<Record<string, Matrix | Vector | number | string | undefined>>;

/** What a loss comes to: a number, or that with its gradients by the embeddings, in their order, or with what the next batch is given. */
export type Outcome = number | { readonly loss: number; readonly gradients?: readonly Matrix[]; readonly centre?: Vector };

/** A loss as the audit takes it: `loss(...embeddings, context)`; without context, all is as published. */
export type Loss = (...inputs: readonly (Matrix | Context)[]) => Outcome;

/**
 * A loss by its formula: of the embeddings, and of the same embeddings where they are constants, as targets are. So what the gradient does not see
 * is written down, and {@link gradientsOf} sees it no more than autograd would.
 */
export type Formula<Views extends readonly (Matrix | undefined)[], Given extends object> = (
  live: Views,
  constants: Views,
  context: Given,
) => number;

export type Pair = readonly [Matrix, Matrix];
/** Views, as many as there are; at least one. */
export type Views = readonly [Matrix, ...Matrix[]];
/** Predictions and projections; without a predictor both are one. */
export type Predicted = readonly [Matrix, Matrix, Matrix?, Matrix?];

/** Embeddings and context: the context is the last, and no list. */
export function given(inputs: readonly (Matrix | Context)[]): [views: Matrix[], context: Context] {
  const views = inputs.filter((input): input is Matrix => Array.isArray(input));
  const [context = {}] = inputs.filter((input): input is Context => !Array.isArray(input));
  return [views, context];
}

/** A formula without its types: whoever calls gives it the embeddings and arrays that its row in `losses` names. */
type Untyped = (live: readonly Matrix[], constants: readonly Matrix[], context: Context) => number;

/** The loss of a formula: a number. */
export function lossOf<V extends readonly (Matrix | undefined)[], G extends object>(formula: Formula<V, G>): Loss {
  return (...inputs) => {
    const [views, context] = given(inputs);
    return (formula as unknown as Untyped)(views, views, context);
  };
}

/** The loss of a formula with its gradients, the constants held still. */
export function lossWithGradients<V extends readonly (Matrix | undefined)[], G extends object>(formula: Formula<V, G>): Loss {
  return (...inputs) => {
    const [views, context] = given(inputs);
    const of = (live: readonly Matrix[]): number => (formula as unknown as Untyped)(live, views, context);
    return { loss: of(views), gradients: frozenDifferences(of, views) };
  };
}

/** Central differences of fourth order by every element: (8·(f(h) − f(−h)) − (f(2h) − f(−2h)))/12h. */
export function frozenDifferences(of: (views: readonly Matrix[]) => number, views: readonly Matrix[]): number[][][] {
  return views.map((view, v) =>
    view.map((row, i) =>
      row.map((value, j) => {
        const h = 2 ** -11 * Math.max(1e-3, Math.abs(value));
        const moved = (by: number): number => of(views.with(v, view.with(i, row.with(j, value + by))));
        return (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
      }),
    ),
  );
}
