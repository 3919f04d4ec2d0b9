import type { Plan } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';

/** Which of a few shared pieces of memory each scratch buffer lives in. */
export interface ScratchLayout {
  /** By buffer number. */
  readonly pieces: ReadonlyMap<number, number>;
  readonly bytes: readonly number[];
}

/**
 * Shares memory between scratch buffers whose lives do not meet. The plan's own arena cannot be used: WebGPU forbids one buffer to be
 * read and written in a dispatch, and here what a kernel reads and what it writes always lie in different pieces.
 */
export function layOutScratch(plan: Plan): ScratchLayout {
  const lives = new Map<number, { first: number; last: number }>();
  for (const [at, kernel] of plan.kernels.entries()) {
    for (const { buffer } of [...kernel.inputs, ...kernel.outputs]) {
      if (plan.buffers[buffer]!.kind === 'scratch') lives.set(buffer, { first: lives.get(buffer)?.first ?? at, last: at });
    }
  }
  const pieces = new Map<number, number>();
  const bytes: number[] = [];
  const lastUse: number[] = [];
  for (const [buffer, { first, last }] of lives) {
    const { dtype, length } = plan.buffers[buffer]!;
    const size = length * dtypes[dtype].bytes;
    // The free piece whose size is nearest, else a new one.
    const free = bytes.flatMap((_, piece) => (lastUse[piece]! < first ? [piece] : []));
    const [piece = bytes.length] = free.sort((a, b) => Math.abs(bytes[a]! - size) - Math.abs(bytes[b]! - size));
    pieces.set(buffer, piece);
    bytes[piece] = Math.max(bytes[piece] ?? 0, size);
    lastUse[piece] = last;
  }
  return { pieces, bytes };
}
