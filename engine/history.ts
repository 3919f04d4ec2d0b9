import { isFloat } from './dtype.ts';
import { type Node, newId } from './graph.ts';
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
  readonly leads = new Leads();
  #values: WeakRef<Node>[] = [];
  #most = MANY;

  add(value: Node): void {
    if (this.#values.push(new WeakRef(value)) <= this.#most) return;
    this.#values = this.#values.filter((each) => each.deref());
    this.#most = Math.max(MANY, 2 * this.#values.length);
  }

  /** Whether nobody holds any of its values. */
  forgotten(): boolean {
    return !this.#values.findLast((value) => value.deref());
  }
}

type Slots = Map<readonly WeakRef<Slot>[], readonly number[]>;

/** To which lines something leads that was there up to a time, and since when. */
export class Leads extends Map<Line, Passage> {
  /** How many there are before forgotten ones are looked for. */
  most = MANY;
}

/** When to look for what is no more needed: at first, and then whenever there is twice as much, so that it takes no time to speak of. */
const MANY = 64;

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
    const open = [{ leads: node.leads ?? new Leads(), at: 0 }];
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

/** The inputs that a gradient goes to. */
export function differentiable({ op, inputs }: Node): Node[] {
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
    node.leads ??= new Leads();
    lead(node.leads, line, passage);
  }
  const past = new Past(line, now);
  for (const value of values) {
    value.past = past;
    line.add(value);
  }
}

function lead(leads: Leads, line: Line, passage: Passage): void {
  widen(leads, line, passage);
  if (leads.size <= leads.most) return;
  leaveOutForgotten(leads);
  leads.most = Math.max(MANY, 2 * leads.size);
}

/** Where it has led there before, but from less, this says too much: but only of values that are older than what they were made of. */
function widen(leads: Leads, line: Line, { upTo, since }: Passage): void {
  const known = leads.get(line) ?? { upTo, since };
  leads.set(line, { upTo: Math.max(upTo, known.upTo), since: Math.min(since, known.since) });
}

/** Leads past lines that nobody holds a value of, to those that they lead to. They may lead in circles: each is passed again only for more. */
function leaveOutForgotten(leads: Leads): void {
  const passed = new Leads();
  const open = [...leads];
  for (const [line, { upTo, since }] of open) {
    if (!line.forgotten()) {
      widen(leads, line, { upTo, since });
      continue;
    }
    leads.delete(line);
    const known = passed.get(line);
    if (known && known.upTo >= upTo && known.since <= since) continue;
    widen(passed, line, { upTo, since });
    for (const [next, on] of line.leads) if (since <= on.upTo) open.push([next, { upTo, since: on.since }]);
  }
}

/** How many nodes may be walked again for each value that is let go of, and for each node that was made since. */
const FAR = 512;
const AGAIN = 8;
let [credit, latest] = [0, 0];

/**
 * The same; where a loop walks what was made long ago again and again, values on the way let go of their histories first, the oldest before
 * the others. The roots keep theirs: of what was made of them a gradient may be asked for next.
 */
export function behindNearby(roots: readonly Node[]): Behind {
  const found = behind(roots);
  const id = newId();
  credit = credit / 2 + FAR + AGAIN * (id - latest) - found.nodes.size;
  latest = id;
  if (credit >= 0) return found;
  const kept = new Set(roots);
  const values = [...found.nodes].filter((node) => node.storage !== null && node.inputs.length > 0 && !kept.has(node));
  for (const value of inOrder(values)) becomeLeaf([value], behind(differentiable(value)));
  return values.length > 0 ? behind(roots) : found;
}

/** Inputs before users. */
function inOrder(nodes: Iterable<Node>): Node[] {
  return [...nodes].sort((a, b) => a.id - b.id);
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
  // The walk from one ends at those that it was made of.
  for (const group of values.length > FEW ? levelsOf(values) : inOrder(values).map((value) => [value]))
    becomeLeaf(group, behindNearby(group.flatMap(differentiable)));
}

/** Values in groups, none of which was made of another of its group, or of a later one. */
function levelsOf(values: readonly Node[]): Node[][] {
  const { nodes } = behind(values.flatMap(differentiable));
  if (!values.some((value) => nodes.has(value))) return [[...values]];
  const levels = new Map<Node, number>();
  const groups: Node[][] = [];
  const own = new Set(values);
  for (const node of inOrder(new Set([...nodes, ...values]))) {
    const level = differentiable(node).reduce((most, input) => Math.max(most, levels.get(input)! + Number(own.has(input))), 0);
    levels.set(node, level);
    if (!own.has(node)) continue;
    groups[level] ??= [];
    groups[level].push(node);
  }
  return groups;
}
