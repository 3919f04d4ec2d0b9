import { type Node, topologicalOrder } from '../graph.ts';
import { sizeOf } from '../shape.ts';
import type { Slot } from '../slot.ts';
import { append, Reach } from './collections.ts';
import { type Draft, fuse, isElementwise, usesOf } from './fuse.ts';
import { contiguous, isContiguous } from './layout.ts';
import { type Located, locator } from './locate.ts';
import { type LoweringContext, lower } from './lower.ts';
import { paddedBytes, placeBuffers } from './memory.ts';
import type { BufferKind, BufferSpec, Kernel, Plan, View } from './plan.ts';
import { schedule } from './schedule.ts';
import { simplify } from './simplify.ts';
import { trusted } from './trusted.ts';

export interface Update {
  readonly slot: Slot;
  readonly value: Node;
}

export interface Request {
  readonly outputs: readonly Node[];
  readonly updates: readonly Update[];
  /** Whether a value in memory is bound once (a constant) or at every run (an input). */
  readonly isConstant: (node: Node) => boolean;
  /** How many buffers a kernel may touch. */
  readonly bindings?: number;
}

export interface Build {
  readonly plan: Plan;
  /** The nodes and slots that the plan's buffers of each kind stand for, in order. */
  readonly inputs: readonly Node[];
  readonly constants: readonly Node[];
  readonly slots: readonly Slot[];
}

const DEFAULT_BINDINGS = 16;

/** Values that are in memory before the plan runs. */
function isSource(node: Node): boolean {
  return node.storage !== null || node.op === 'leaf' || node.op === 'slot' || node.op === 'placeholder';
}

/** Graph → plan: simplify → fuse → schedule → memory. */
export function buildPlan({ outputs, updates, isConstant, bindings = DEFAULT_BINDINGS }: Request): Build {
  const { roots, original } = simplify([...outputs, ...updates.map(({ value }) => value)], isSource);
  const locate = locator();
  const { drafts, isVirtual, fused } = fuse(roots, isSource, locate, bindings);
  const assembly = new Assembly(isConstant);

  for (const root of topologicalOrder(roots, isSource)) if (isSource(root)) assembly.source(root);
  // Slots that are only written need a buffer too.
  for (const { slot } of updates) assembly.slot(slot);

  const results = roots.slice(0, outputs.length);
  const written = updates.map(({ slot }, i) => ({ slot, value: roots[outputs.length + i]! }));
  const seen = { locate, isVirtual };
  const inherited = chooseInherited(drafts, roots, isSource, seen);
  const inPlace = chooseInPlace(written, drafts, inherited, seen);
  const context = { locate, isVirtual, bufferOf: (node: Node) => assembly.bufferOf(node) };
  const reading = (node: Node): View => {
    const { base, layout } = locate(node);
    return { buffer: assembly.bufferOf(base), dtype: node.dtype, shape: layout.shape, strides: layout.strides, offset: layout.offset };
  };
  const target = (node: Node, buffer: number): View => ({ buffer, dtype: node.dtype, ...contiguous(node.shape) });
  const copy = (from: View, to: View): Kernel => ({ kind: 'copy', inputs: [from], outputs: [to] });

  // Whatever is stored gets its buffer first: only then is it known where copies read.
  // A result that is the whole of what a kernel stores, in whatever shape, is stored where it is given back.
  const bases = results.map((node) => locate(node).base);
  const taken = new Set<Node>();
  const direct = results.map((node) => {
    const { base } = locate(node);
    const first = !taken.has(base);
    taken.add(base);
    return first && !isSource(base) && !inPlace.has(base) && isWhole(locate(node));
  });
  results.forEach((node, i) => {
    assembly.outputs.push(direct[i] ? assembly.define(bases[i]!, 'output', `out${i}`) : assembly.buffer('output', node, `out${i}`));
  });
  for (const [value, slot] of inPlace) assembly.defineOver(value, assembly.slot(slot));

  // What elements are replaced in, if nobody else needs it, is made where the result will be.
  for (const { nodes } of drafts.toReversed()) {
    const x = inherited.get(nodes[0]!);
    if (x && !isSource(x)) assembly.defineAs(x, assembly.bufferOf(nodes[0]!));
  }

  // A product is made where the result of its epilogue will be.
  for (const { product, stored } of drafts) if (product) assembly.defineAs(product, assembly.bufferOf(stored[0]!));

  const kernels = drafts.flatMap((draft) => {
    const [node] = draft.nodes;
    const x = inherited.get(node!);
    // In the slot, a result is over the old value already.
    if (!node!.is('scatter') || (x && isSource(x))) return [lower(draft, context)];
    const own = assembly.bufferOf(x ?? node);
    assembly.defineOver(node, own);
    return [...(x ? [] : [copy(reading(node.inputs[0]!), target(node, own))]), lower(draft, context)];
  });
  results.forEach((node, i) => {
    if (!direct[i]) kernels.push(copy(reading(node), target(node, assembly.outputs[i]!)));
  });
  // Slots that are not updated in place change at the end. The old value of another one, which may change too, is set aside before.
  const finals = written.flatMap(({ slot, value }) => {
    if (inPlace.get(locate(value).base) === slot) return [];
    const to = target(value, assembly.slot(slot));
    if (!isSource(locate(value).base)) return [copy(reading(value), to)];
    const aside = target(value, assembly.buffer('scratch', value, ''));
    kernels.push(copy(reading(value), aside));
    return [copy(aside, to)];
  });

  const { specs, numbers } = assembly.memory();
  const placed = ({ buffer, ...view }: View): View => ({ buffer: numbers[buffer]!, ...view });
  const order = scheduleKernels([...kernels, ...finals], assembly, finals.length).map((kernel) => ({
    ...kernel,
    inputs: kernel.inputs.map(placed),
    outputs: kernel.outputs.map(placed),
  }));
  const ofKind = (kind: BufferKind): number[] => specs.flatMap((spec, number) => (spec.kind === kind ? [number] : []));
  const plan: Plan = {
    ...placeBuffers(specs, order),
    kernels: order,
    inputs: ofKind('input'),
    constants: ofKind('constant'),
    slots: ofKind('slot'),
    outputs: assembly.outputs.map((output) => numbers[output]!),
    fused,
  };
  trusted.add(plan);
  return { plan, inputs: assembly.inputNodes.map(original), constants: assembly.constantNodes.map(original), slots: assembly.slotList };
}

/** Collects buffers. Until kernels are in order each holds one value; of several in one memory each comes over the one before. */
class Assembly {
  readonly specs: BufferSpec[] = [];
  /** Which buffer one comes over: all that read that must be done by then. */
  readonly over = new Map<number, number>();
  readonly outputs: number[] = [];
  readonly inputNodes: Node[] = [];
  readonly constantNodes: Node[] = [];
  readonly slotList: Slot[] = [];
  readonly #isConstant: (node: Node) => boolean;
  readonly #buffers = new Map<Node, number>();
  readonly #slots = new Map<Slot, number>();

  constructor(isConstant: (node: Node) => boolean) {
    this.#isConstant = isConstant;
  }

  buffer(kind: BufferKind, { dtype, shape }: Pick<Node, 'dtype' | 'shape'>, name: string): number {
    return this.specs.push({ kind, dtype, length: sizeOf(shape), offset: 0, name }) - 1;
  }

  define(node: Node, kind: BufferKind, name: string): number {
    const buffer = this.buffer(kind, node, name);
    this.#buffers.set(node, buffer);
    return buffer;
  }

  defineAs(node: Node, buffer: number): void {
    this.#buffers.set(node, buffer);
  }

  defineOver(node: Node, before: number): void {
    const { kind, name } = this.specs[before]!;
    this.over.set(this.define(node, kind, name), before);
  }

  slot(slot: Slot): number {
    let buffer = this.#slots.get(slot);
    if (buffer === undefined) {
      buffer = this.buffer('slot', slot, slot.name);
      this.#slots.set(slot, buffer);
      this.slotList.push(slot);
    }
    return buffer;
  }

  source(node: Node): void {
    if (node.is('slot')) {
      this.#buffers.set(node, this.slot(node.attributes.slot));
    } else if (this.#isConstant(node)) {
      this.define(node, 'constant', `const${this.constantNodes.push(node) - 1}`);
    } else {
      this.define(node, 'input', `in${this.inputNodes.push(node) - 1}`);
    }
  }

  bufferOf(node: Node): number {
    return this.#buffers.get(node) ?? this.define(node, 'scratch', '');
  }

  /** The buffers that there are when those in one memory are one, and each one's number among them. */
  memory(): { readonly specs: readonly BufferSpec[]; readonly numbers: readonly number[] } {
    const specs: BufferSpec[] = [];
    const numbers: number[] = [];
    for (const [buffer, spec] of this.specs.entries()) {
      const before = this.over.get(buffer);
      numbers.push(before === undefined ? specs.push(spec) - 1 : numbers[before]!);
    }
    return { specs, numbers };
  }
}

type Seen = Pick<LoweringContext, 'locate' | 'isVirtual'>;

/** For each node that replaces elements of a value which nobody else needs: the base of that. */
function chooseInherited(drafts: readonly Draft[], roots: readonly Node[], isSource: (node: Node) => boolean, seen: Seen): Map<Node, Node> {
  const uses = usesOf(drafts, roots, seen.locate);
  const inherited = new Map<Node, Node>();
  for (const draft of drafts) {
    const [node] = draft.nodes;
    if (!node?.is('scatter')) continue;
    const x = seen.locate(node.inputs[0]!);
    if (!isSource(x.base) && isWhole(x) && uses.get(x.base) === 1 && readsInPlace(draft, x.base, seen)) inherited.set(node, x.base);
  }
  return inherited;
}

/**
 * Updates that kernels may write straight into the slot's memory, by the base of their values: everyone else who reads the old value can run before the
 * first of them, and it reads that, if at all, element by element in place. Where elements are replaced in the old value, that is inherited.
 */
function chooseInPlace(
  updates: readonly { slot: Slot; value: Node }[],
  drafts: readonly Draft[],
  inherited: Map<Node, Node>,
  seen: Seen,
): Map<Node, Slot> {
  const { locate } = seen;
  const chosen = new Map<Node, Slot>();
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
    if (!isWhole(located) || chosen.has(located.base)) continue;
    // The first that is made in the memory of the value.
    let first = located.base;
    for (let x = inherited.get(first); x; x = inherited.get(first)) first = x;
    const draft = producer.get(first);
    if (!draft) continue;
    const old = slotReaders.get(slot) ?? [];
    const others = old.filter((reader) => reader !== draft);
    const own = [...draft.reads].filter((base) => base.is('slot') && base.attributes.slot === slot);
    if (!own.every((base) => readsInPlace(draft, base, seen))) continue;
    if (others.some((reader) => order.reaches([reader], draft, needs, placeOf))) continue;
    for (const other of others) {
      append(before, draft, other);
      order.tie(placeOf(draft), placeOf(other));
    }
    chosen.set(located.base, slot);
    if (own[0] && first.is('scatter')) inherited.set(first, own[0]);
  }
  return chosen;
}

/** Whether what is located is all of its base, as it lies in memory. */
function isWhole({ base, layout }: Located): boolean {
  return isContiguous(layout) && sizeOf(layout.shape) === sizeOf(base.shape);
}

/** Whether a kernel reads a value only where it may write over it: elementwise as it lies in memory, or to replace elements in it. */
function readsInPlace({ nodes, product }: Draft, value: Node, { locate, isVirtual }: Seen): boolean {
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

/** Orders the kernels; the last `finals` of them run at the end. Kernels that read a buffer run before one that comes over it. */
function scheduleKernels(kernels: readonly Kernel[], { specs, over }: Pick<Assembly, 'specs' | 'over'>, finals: number): Kernel[] {
  // What ends the plan waits for one task that waits for all others.
  const end = kernels.length;
  const writer = new Map<number, number>();
  kernels.slice(0, end - finals).forEach(({ outputs }, i) => {
    for (const { buffer } of outputs) writer.set(buffer, i);
  });
  const overwriter = new Map([...over].map(([buffer, before]) => [before, writer.get(buffer)]));
  const tasks = kernels.map(({ inputs, outputs }, i) => {
    const writes = outputs.map((view) => view.buffer);
    const reads = [...new Set([...inputs.map((view) => view.buffer), ...writes.flatMap((buffer) => over.get(buffer) ?? [])])];
    return { reads, writes, after: reads.flatMap((buffer) => writer.get(buffer) ?? []).filter((task) => task !== i) };
  });
  tasks.forEach(({ reads }, i) => {
    for (const buffer of reads) {
      const write = overwriter.get(buffer);
      if (write !== undefined && write !== i) tasks[write]!.after.push(i);
    }
  });
  for (const { after } of tasks.slice(end - finals)) after.push(end);
  tasks.push({ reads: [], writes: [], after: [...Array(end - finals).keys()] });
  const bytes = specs.map((spec) => (spec.kind === 'scratch' || spec.kind === 'output' ? paddedBytes(spec) : 0));
  return schedule(tasks, bytes).flatMap((task) => kernels[task] ?? []);
}
