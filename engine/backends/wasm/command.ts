import type { Plan } from '../../compiler/plan.ts';

/** A kernel of `wasm/`, or part of one. */
export interface Command {
  readonly kind: number;
  readonly words: readonly number[];
  readonly workspaceBytes: number;
  readonly partialBytes?: number;
}

/**
 * Besides a plan's own buffers, commands name two: one whose base is 0, of views whose elements are their own positions, and one for
 * what its threads pass on: partial results of folds, transformed filters of convolutions.
 */
export const extraBuffers = 2;
export const positionBuffer = ({ buffers }: Plan): number => buffers.length;
export const partialBuffer = ({ buffers }: Plan): number => buffers.length + 1;
