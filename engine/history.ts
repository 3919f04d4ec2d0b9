import { isFloat } from './dtype.ts';
import type { Node } from './graph.ts';
import type { Slot } from './slot.ts';

/**
 * What a value was made of whose history is gone, so that a gradient which would have gone that way is missed instead of being 0. It keeps
 * nothing alive: of what nobody else holds, nobody asks for a gradient.
 */
export interface Past {
  readonly nodes: readonly WeakRef<Node>[];
  readonly slots: readonly WeakRef<Slot>[];
  /** Which value of each slot. */
  readonly versions: readonly number[];
  readonly before: readonly Past[];
  /** How many references it had when it was last put together, and how many have come since. */
  readonly base: number;
  readonly added: number;
}

/** Everything that gradients of some values lead to. */
export interface Behind {
  readonly nodes: Set<Node>;
  /** The latest version of each slot. */
  readonly slots: Map<Slot, number>;
  readonly pasts: Set<Past>;
}

/** How many more references than it had may come to a past before it is put together anew. */
const SLACK = 256;

/** What gradients of `roots` lead to, the roots among it. */
export function behind(...roots: readonly Node[]): Behind {
  const found: Behind = { nodes: new Set(roots), slots: new Map(), pasts: new Set() };
  // A set goes on to what is added while it is walked.
  for (const node of found.nodes) {
    if (node.is('slot')) note(found.slots, node.attributes.slot, node.attributes.version);
    if (node.past) found.pasts.add(node.past);
    if (node.op === 'stopGradient') continue;
    // The value of a customGradient is its first input, which gets no gradient.
    for (const input of node.op === 'customGradient' ? node.inputs.slice(1) : node.inputs) if (isFloat(input.dtype)) found.nodes.add(input);
  }
  return found;
}

/** A past of what is behind some values. What has been collected is left out when as much has come to it as it had. */
export function pastOf({ nodes, slots, pasts }: Behind): Past {
  const most = (count: 'base' | 'added'): number => [...pasts].reduce((largest, past) => Math.max(largest, past[count]), 0);
  const [base, added] = [most('base'), most('added') + nodes.size + slots.size];
  if (added <= base + SLACK) return past(nodes, slots, [...pasts], base, added);
  const left = remains(...pasts);
  for (const node of nodes) left.nodes.add(node);
  for (const [slot, version] of slots) note(left.slots, slot, version);
  return past(left.nodes, left.slots, [], left.nodes.size + left.slots.size, 0);
}

function past(nodes: Set<Node>, slots: Map<Slot, number>, before: readonly Past[], base: number, added: number): Past {
  const references = { nodes: [...nodes].map((node) => new WeakRef(node)), slots: [...slots.keys()].map((slot) => new WeakRef(slot)) };
  return { ...references, versions: [...slots.values()], before, base, added };
}

/** What there still is of pasts. */
export function remains(...pasts: readonly Past[]): Omit<Behind, 'pasts'> {
  const nodes = new Set<Node>();
  const slots = new Map<Slot, number>();
  const all = new Set(pasts);
  for (const each of all) {
    for (const earlier of each.before) all.add(earlier);
    for (const reference of each.nodes) {
      const node = reference.deref();
      if (node) nodes.add(node);
    }
    each.slots.forEach((reference, i) => {
      const slot = reference.deref();
      if (slot) note(slots, slot, each.versions[i]!);
    });
  }
  return { nodes, slots };
}

function note(slots: Map<Slot, number>, slot: Slot, version: number): void {
  slots.set(slot, Math.max(version, slots.get(slot) ?? version));
}

/** Lets go of what led to a value: from here on the node is a leaf. */
export function forgetHistory(node: Node): void {
  if (node.inputs.length > 0 && isFloat(node.dtype)) {
    const found = behind(node);
    found.nodes.delete(node);
    node.past = pastOf(found);
  }
  Object.assign(node, { op: 'leaf', inputs: [], attributes: {} });
}
