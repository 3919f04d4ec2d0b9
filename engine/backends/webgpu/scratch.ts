import { Heap } from '../../compiler/collections.ts';
import type { Emitted } from './emit.ts';
import type { Group } from './merge.ts';

/** Which of a few pieces of memory each scratch buffer lives in. */
export interface ScratchLayout {
  /** By memory: the number of a buffer, or SHARED. */
  readonly pieces: ReadonlyMap<number, number>;
  readonly bytes: readonly number[];
}

/**
 * Shares memory between scratch buffers whose lives, from the first dispatch that uses them to the last, do not meet. The plan's own arena cannot be
 * used: WebGPU forbids one buffer to be read and written in a dispatch, and here what a dispatch reads and what it writes always lie in
 * different pieces.
 */
export function layOutScratch({ buffers, sharedBytes }: Emitted, groups: readonly Group[]): ScratchLayout {
  const isScratch = (memory: number): boolean => memory < 0 || buffers[memory]!.kind === 'scratch';
  const sizeOf = (memory: number): number => buffers[memory]?.bytes ?? sharedBytes;
  const lives = new Map<number, { first: number; last: number }>();
  for (const [at, { bindings }] of groups.entries()) {
    for (const { memory } of bindings) if (isScratch(memory)) lives.set(memory, { first: lives.get(memory)?.first ?? at, last: at });
  }
  const pieces = new Map<number, number>();
  const bytes: number[] = [];
  const lastUse: number[] = [];
  const used = new Heap<number>((a, b) => lastUse[a]! < lastUse[b]!);
  // Free pieces by their size.
  const free = new Map<number, Heap<number>>();
  // Lives come in the order in which they begin.
  for (const [memory, { first, last }] of lives) {
    while (lastUse[used.first ?? -1]! < first) {
      const piece = used.pop()!;
      const alike = free.get(bytes[piece]!) ?? new Heap<number>((a, b) => a < b);
      free.set(bytes[piece]!, alike);
      alike.push(piece);
    }
    // The free piece whose size is nearest, else a new one.
    const size = sizeOf(memory);
    const distance = (piece: number): number => Math.abs(bytes[piece]! - size);
    const [piece = bytes.length] = [...free.values()].map((alike) => alike.first!).sort((a, b) => distance(a) - distance(b) || a - b);
    const alike = free.get(bytes[piece] ?? -1);
    alike?.pop();
    if (alike?.first === undefined) free.delete(bytes[piece] ?? -1);
    pieces.set(memory, piece);
    bytes[piece] = Math.max(bytes[piece] ?? 0, size);
    lastUse[piece] = last;
    used.push(piece);
  }
  return { pieces, bytes };
}
