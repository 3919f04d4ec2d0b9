import { isFloat } from './dtype.ts';
import type { Node } from './graph.ts';
import type { Slot } from './slot.ts';

/**
 * Values whose histories were let go one after the other, each made of the one before it: what was behind one is behind the next. Which lines
 * a node is behind it knows itself, so that nothing is remembered of nodes that nobody holds.
 */
class Line {
  /** When the latest was let go. */
  latest = 0;
  /** Slots that were behind, in lists that stand for themselves, with their latest versions. */
  readonly slots: Slots = new Map();
  readonly leads: Leads = new Map();
  #values: WeakRef<Node>[] = [];

  add(value: Node): void {
    if (isPowerOfTwo(this.#values.push(new WeakRef(value)))) this.forgotten();
  }

  /** Whether nobody holds any of its values. */
  forgotten(): boolean {
    this.#values = this.#values.filter((value) => value.deref());
    return this.#values.length === 0;
  }
}

type Slots = Map<readonly WeakRef<Slot>[], readonly number[]>;

/** To which lines something leads that was there up to a time, and since when. */
export type Leads = Map<Line, Passage>;

interface Passage {
  readonly upTo: number;
  readonly since: number;
}

/** Where in a line a value is. */
export class Past {
  readonly line: Line;
  readonly time: number;

  constructor(line: Line, time: number) {
    this.line = line;
    this.time = time;
  }

  /** Whether a node was behind the value, before that let go of its history. */
  has(node: Node, value: Node): boolean {
    if (node.is('slot') && this.versionOf(node.attributes.slot) === node.attributes.version) return true;
    // What was made later is behind nothing.
    if (node.id >= value.id) return false;
    const seen = new Map<Line, number>();
    const open = [{ leads: node.leads ?? new Map(), at: 0 }];
    for (const { leads, at } of open) {
      for (const [next, { upTo, since }] of leads) {
        if (at > upTo || since >= (seen.get(next) ?? Infinity)) continue;
        if (next === this.line && since <= this.time) return true;
        seen.set(next, since);
        open.push({ leads: next.leads, at: since });
      }
    }
    return false;
  }

  /** The latest version of a slot that was behind the value, or −1. */
  versionOf(slot: Slot): number {
    const versions = [...this.line.slots].map(([list, versions]) => versions[list.indexOf(slot.itself[0]!)] ?? -1);
    return Math.max(-1, ...versions);
  }
}

/** What gradients lead to. */
export interface Behind {
  readonly nodes: Set<Node>;
  readonly slots: Slots;
  readonly pasts: Set<Past>;
}

/** What gradients of `roots` lead to, the roots among it. */
export function behind(roots: Iterable<Node>): Behind {
  const found: Behind = { nodes: new Set(roots), slots: new Map(), pasts: new Set() };
  // A set goes on to what is added while it is walked.
  for (const node of found.nodes) {
    if (node.is('slot')) note(found.slots, node.attributes.slot.itself, [node.attributes.version]);
    if (node.past) found.pasts.add(node.past);
    for (const input of differentiable(node)) found.nodes.add(input);
  }
  return found;
}

function differentiable({ op, inputs }: Node): Node[] {
  // The value of a customGradient is its first input, which gets no gradient.
  if (op === 'stopGradient') return [];
  return (op === 'customGradient' ? inputs.slice(1) : inputs).filter(({ dtype }) => isFloat(dtype));
}

/** Records that `slots` were behind. */
function note(slots: Slots, list: readonly WeakRef<Slot>[], versions: readonly number[]): void {
  const known = slots.get(list);
  slots.set(list, known ? versions.map((version, i) => Math.max(version, known[i]!)) : versions);
}

let now = 0;

/** Records what was behind values that have no history from now on. */
export function remember(values: readonly Node[], { nodes, slots, pasts }: Behind): void {
  now++;
  const line = [...pasts].find(({ line, time }) => line.latest === time)?.line ?? new Line();
  line.latest = now;
  for (const past of pasts) {
    if (past.line === line) continue;
    lead(past.line.leads, line, { upTo: past.time, since: now });
    for (const [list, versions] of past.line.slots) note(line.slots, list, versions);
  }
  for (const [list, versions] of slots) note(line.slots, list, versions);
  const passage = { upTo: Infinity, since: now };
  for (const node of nodes) {
    node.leads ??= new Map();
    lead(node.leads, line, passage);
  }
  const past = new Past(line, now);
  for (const value of values) {
    value.past = past;
    line.add(value);
  }
}

function lead(leads: Leads, line: Line, passage: Passage): void {
  const known = leads.get(line);
  // Where it has led there before, but from less, this says too much: but only of values that are older than what they were made of.
  leads.set(line, known ? { upTo: Math.max(passage.upTo, known.upTo), since: known.since } : passage);
  if (known || !isPowerOfTwo(leads.size)) return;
  for (const [through, { upTo, since }] of leads) {
    if (!through.forgotten()) continue;
    leads.delete(through);
    for (const [next, on] of through.leads) if (since <= on.upTo) lead(leads, next, { upTo, since: on.since });
  }
}

/** When to look for what is no more needed, so that it takes no time to speak of. */
function isPowerOfTwo(count: number): boolean {
  return count >= 64 && (count & (count - 1)) === 0;
}

/** How many nodes may be walked again for each value that is let go of. */
const FAR = 512;

/** The same; if that is much, values on the way let go of their histories first, the oldest before the others. */
export function behindNearby(roots: readonly Node[]): Behind {
  const found = behind(roots);
  const values = [...found.nodes].filter(({ storage, inputs }) => storage !== null && inputs.length > 0);
  if (found.nodes.size <= FAR || values.length === 0) return found;
  for (const value of values.sort((a, b) => a.id - b.id)) becomeLeaf([value], behind(differentiable(value)));
  return behind(roots);
}

function becomeLeaf(values: readonly Node[], found: Behind): void {
  const made = values.filter(({ inputs, dtype }) => inputs.length > 0 && isFloat(dtype));
  if (made.length > 0) remember(made, found);
  for (const value of values) Object.assign(value, { op: 'leaf', inputs: [], attributes: {} });
}

/** How many values are told apart, where histories of several are let go at once. */
const FEW = 8;

/** Lets go of what led to values: from here on the nodes are leaves. */
export function forgetHistory(...values: readonly Node[]): void {
  const inner = values.length > FEW ? behind(values.flatMap(differentiable)).nodes : new Set(values);
  const groups = [values.filter((value) => !inner.has(value)), ...values.filter((value) => inner.has(value)).map((value) => [value])];
  const histories = groups.map((group) => behindNearby(group.flatMap(differentiable)));
  groups.forEach((group, i) => {
    becomeLeaf(group, histories[i]!);
  });
}
