import type { Tensor } from '../engine/index.ts';
import { losses } from '../models/methods/losses.ts';
import type { FamilyName } from './formulas/index.ts';
import type { Loss } from './subject.ts';

/** Our own loss of that family, in the form that an audit asks: tensors, then one object of state and options. */
export function ourLoss(family: FamilyName): Loss {
  const row = losses[family]!;
  const loss = (...given: readonly unknown[]): unknown => {
    const context = given.at(-1) as Readonly<Record<string, unknown>>;
    const part = (ofState: boolean): Record<string, unknown> =>
      Object.fromEntries(Object.entries(context).filter(([name]) => name in row.state === ofState));
    // The questions are of tensors, and so is the state.
    return row.compute(given.slice(0, -1) as readonly Tensor[], part(false), part(true) as Readonly<Record<string, Tensor>>);
  };
  return Object.defineProperty(loss, 'name', { value: family });
}
