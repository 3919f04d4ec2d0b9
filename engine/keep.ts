/** Which values are kept although nobody asked for them, and how much history those keep that were read. */
import { free } from './collect.ts';
import { dtypes } from './dtype.ts';
import { type Node, OFTEN } from './graph.ts';
import { sizeOf } from './shape.ts';

/** Whether a value is there before a plan runs. */
export function known(node: Node): boolean {
  return node.storage !== null || node.op === 'slot';
}

/** Gives a value's memory back. To be called in a turn. */
export function letGo(node: Node): void {
  if (node.storage && !ArrayBuffer.isView(node.storage)) free(node.storage);
  node.storage = null;
}

/** What may be kept of any size, in bytes: as much as this, or as the largest value that is there already. */
const SMALL = 2 ** 20;

/**
 * What a plan computes on its way that has been computed in two plans before, or is the variable of a gradient: it will be needed again. Only
 * where something new is made of it, so that a loop which reads what it makes of its last value computes a few rounds each time, not all.
 */
export function worthKeeping(order: readonly Node[], wanted: readonly Node[]): Node[] {
  const kept = new Set<Node>();
  const most = order.reduce((bytes, node) => (known(node) ? Math.max(bytes, bytesOf(node)) : bytes), SMALL);
  for (const node of order) {
    if (known(node) || node.computed >= OFTEN) continue;
    for (let input of node.inputs) {
      // What repeats a value is no value of its own.
      while (input.op === 'expand' && !known(input)) input = input.inputs[0]!;
      if (input.computed >= OFTEN && !known(input) && input.inputs.length > 0 && bytesOf(input) <= most) kept.add(input);
    }
  }
  for (const node of wanted) kept.delete(node);
  return [...kept];
}

function bytesOf({ shape, dtype }: Node): number {
  return sizeOf(shape) * dtypes[dtype].bytes;
}

/** Values that were kept by themselves, which can be computed again, the oldest first; and their bytes. */
export const automatic = new WeakSet<Node>();
const queue = new Map<WeakRef<Node>, number>();
let queued = 0;
/** How many bytes of them there may be. */
const MOST_KEPT = 2 ** 28;

export function keep(node: Node): void {
  automatic.add(node);
  // A reference has a size too.
  const bytes = bytesOf(node) + 256;
  queue.set(new WeakRef(node), bytes);
  queued += bytes;
  for (const [reference, size] of queue) {
    if (queued <= MOST_KEPT) break;
    queue.delete(reference);
    queued -= size;
    const oldest = reference.deref();
    if (oldest && oldest.inputs.length > 0 && automatic.delete(oldest)) letGo(oldest);
  }
}

/** Bytes of history, roughly, that a value which was read keeps: those of each plan on the way, none of which counts for more than a share. */
const MOST_HISTORY = 2 ** 27;
const SHARE = 2 ** 21;
const NODE = 256;

/** How much history the results of a plan have. Where it is too much, the values that the plan begins with let go of theirs. */
export async function reachOf(order: readonly Node[]): Promise<number> {
  let [before, own] = [0, 0];
  for (const node of order) {
    const begins = node.storage !== null;
    own += NODE + (begins && node.inputs.length === 0 ? bytesOf(node) : 0);
    if (!begins || node.inputs.length === 0) continue;
    // What was read may be the loss of a gradient that is yet to be asked for.
    if (node.reach > MOST_HISTORY * (automatic.has(node) ? 1 : 2)) (await import('./history.ts')).forgetHistory(node);
    else before = Math.max(before, node.reach);
  }
  return before + Math.min(own, SHARE);
}
