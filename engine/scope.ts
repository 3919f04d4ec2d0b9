import type { Slot } from './slot.ts';
import type { Tensor } from './tensor.ts';

export interface Update {
  readonly slot: Slot;
  readonly value: Tensor;
  /** Whether a plan has run it, or could not. */
  done: boolean;
}

/**
 * Updates that have been assigned and not yet run, and the trace they belong to. A trace's leaves carry its epoch, so that an
 * expression which leaks out of a trace, or into one, is found.
 */
export interface Scope {
  readonly epoch: number;
  readonly assigned: Map<Slot, Update>;
  readonly leaves: WeakMap<Slot, Tensor>;
}

let epochs = 0;
export function newScope(): Scope {
  return { epoch: epochs++, assigned: new Map(), leaves: new WeakMap() };
}

let current = newScope();
/** The epoch of what is in no trace. */
export const OUTSIDE = current.epoch;
export function currentScope(): Scope {
  return current;
}

/** Runs `body` with a scope of its own, and puts the old one back. */
export function withScope<T>(scope: Scope, body: () => T): T {
  const outer = current;
  current = scope;
  try {
    return body();
  } finally {
    current = outer;
  }
}
