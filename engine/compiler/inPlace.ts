import type { Node } from '../graph.ts';
import { sizeOf } from '../shape.ts';
import type { Slot } from '../slot.ts';
import { append, Reach } from './collections.ts';
import { type Draft, type Fused, isElementwise, usesOf } from './fuse.ts';
import { isContiguous } from './layout.ts';
import type { Located } from './locate.ts';

/** What is made in the memory of something else. */
export interface InPlace {
  /** For each node that replaces elements of a value which nobody else needs: the base of that. */
  readonly inherited: ReadonlyMap<Node, Node>;
  /** The slots that values are written straight into, by the bases of these. */
  readonly updated: ReadonlyMap<Node, Slot>;
}

/**
 * Updates may be written straight into the slot's memory where everyone else who reads the old value can run before the first kernel that does so, and this
 * reads it, if at all, element by element in place. Where elements are replaced in the old value, that is inherited.
 */
export function chooseInPlace(graph: Fused, updates: readonly { readonly slot: Slot; readonly value: Node }[]): InPlace {
  const { drafts, locate } = graph;
  const inherited = chooseInherited(graph);
  const updated = new Map<Node, Slot>();
  const producer = new Map<Node, Draft>();
  const places = new Map(drafts.map((draft, place) => [draft, place]));
  const placeOf = (draft: Draft): number => places.get(draft)!;
  const slotReaders = new Map<Slot, Draft[]>();
  for (const draft of drafts) {
    for (const node of draft.nodes) producer.set(node, draft);
    for (const base of draft.reads) if (base.is('slot')) append(slotReaders, base.attributes.slot, draft);
  }
  // Edges that in-place writes add: these kernels must run before those.
  const before = new Map<Draft, Draft[]>();
  const needs = (draft: Draft): Draft[] => [...[...draft.reads].flatMap((base) => producer.get(base) ?? []), ...(before.get(draft) ?? [])];
  const order = new Reach();
  for (const { slot, value } of updates) {
    const located = locate(value);
    if (!isWhole(located) || updated.has(located.base)) continue;
    // The first that is made in the memory of the value.
    let first = located.base;
    for (let x = inherited.get(first); x; x = inherited.get(first)) first = x;
    const draft = producer.get(first);
    if (!draft) continue;
    const old = slotReaders.get(slot) ?? [];
    const others = old.filter((reader) => reader !== draft);
    const own = [...draft.reads].filter((base) => base.is('slot') && base.attributes.slot === slot);
    if (!own.every((base) => readsInPlace(draft, base, graph))) continue;
    if (others.some((reader) => order.reaches([reader], draft, needs, placeOf))) continue;
    for (const other of others) {
      append(before, draft, other);
      order.tie(placeOf(draft), placeOf(other));
    }
    updated.set(located.base, slot);
    if (own[0] && first.is('scatter')) inherited.set(first, own[0]);
  }
  return { inherited, updated };
}

function chooseInherited(graph: Fused): Map<Node, Node> {
  const { drafts, locate, isSource } = graph;
  const uses = usesOf(drafts, graph);
  const inherited = new Map<Node, Node>();
  for (const draft of drafts) {
    const [node] = draft.nodes;
    if (!node?.is('scatter')) continue;
    const x = locate(node.inputs[0]!);
    if (!isSource(x.base) && isWhole(x) && uses.get(x.base) === 1 && readsInPlace(draft, x.base, graph)) inherited.set(node, x.base);
  }
  return inherited;
}

/** Whether what is located is all of its base, as it lies in memory. */
export function isWhole({ base, layout }: Located): boolean {
  return isContiguous(layout) && sizeOf(layout.shape) === sizeOf(base.shape);
}

/** Whether a kernel reads a value only where it may write over it: elementwise as it lies in memory, or to replace elements in it. */
function readsInPlace({ nodes, product }: Draft, value: Node, { locate, isVirtual }: Fused): boolean {
  const own = product ? [product, ...nodes] : nodes;
  const isMap = own.every(isElementwise);
  const found = new Set(own);
  // A set goes on to what is added while it is walked.
  for (const node of found) {
    for (const [i, input] of node.inputs.entries()) {
      const located = locate(input);
      if (isVirtual(input)) found.add(input);
      else if (located.base === value && !((isMap || (node.op === 'scatter' && i === 0)) && isWhole(located))) return false;
    }
  }
  return true;
}
