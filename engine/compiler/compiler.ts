import { type Node, topologicalOrder } from '../graph.ts';
import { sameShape, sizeOf } from '../shape.ts';
import type { Slot } from '../slot.ts';
import { append, Reach } from './collections.ts';
import { type Draft, fuse, isElementwise, usesOf } from './fuse.ts';
import { contiguous, isContiguous } from './layout.ts';
import { locator } from './locate.ts';
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
  const inPlace = chooseInPlace(written, roots, drafts, { locate, isVirtual });
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
    const { base, layout } = locate(node);
    const first = !taken.has(base);
    taken.add(base);
    return first && !isSource(base) && isContiguous(layout) && sizeOf(layout.shape) === sizeOf(base.shape);
  });
  results.forEach((node, i) => {
    assembly.outputs.push(direct[i] ? assembly.define(bases[i]!, 'output', `out${i}`) : assembly.buffer('output', node, `out${i}`));
  });
  for (const { slot, value } of written) if (inPlace.get(value) === slot) assembly.defineAs(value, assembly.slot(slot));

  // A product is made where the result of its epilogue will be.
  for (const { product, stored } of drafts) if (product) assembly.defineAs(product, assembly.bufferOf(stored[0]!));

  const kernels = drafts.map((draft) => lower(draft, context));
  results.forEach((node, i) => {
    if (!direct[i]) kernels.push(copy(reading(node), target(node, assembly.outputs[i]!)));
  });
  // Slots that are not updated in place change at the end. The old value of another one, which may change too, is set aside before.
  const finals = written.flatMap(({ slot, value }) => {
    if (inPlace.get(value) === slot) return [];
    const to = target(value, assembly.slot(slot));
    if (!isSource(locate(value).base)) return [copy(reading(value), to)];
    const aside = target(value, assembly.buffer('scratch', value, ''));
    kernels.push(copy(reading(value), aside));
    return [copy(aside, to)];
  });

  const order = scheduleKernels([...kernels, ...finals], assembly.specs, finals.length);
  const placed = placeBuffers(assembly.specs, order);
  const plan: Plan = {
    buffers: placed.buffers,
    kernels: order,
    inputs: assembly.of('input'),
    constants: assembly.of('constant'),
    slots: assembly.of('slot'),
    outputs: assembly.outputs,
    arenaBytes: placed.arenaBytes,
    fused,
  };
  trusted.add(plan);
  return { plan, inputs: assembly.inputNodes.map(original), constants: assembly.constantNodes.map(original), slots: assembly.slotList };
}

/** Collects buffers. */
class Assembly {
  readonly specs: BufferSpec[] = [];
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

  of(kind: BufferKind): number[] {
    return this.specs.flatMap((spec, i) => (spec.kind === kind ? [i] : []));
  }
}

/**
 * Updates that a kernel may write straight into the slot's memory: everyone else who reads the old value can run before that kernel, and
 * the kernel itself reads it, if at all, element by element in place.
 */
function chooseInPlace(
  updates: readonly { slot: Slot; value: Node }[],
  roots: readonly Node[],
  drafts: readonly Draft[],
  context: Pick<LoweringContext, 'locate' | 'isVirtual'>,
): Map<Node, Slot> {
  const { locate } = context;
  const chosen = new Map<Node, Slot>();
  const producer = new Map<Node, Draft>();
  const places = new Map(drafts.map((draft, place) => [draft, place]));
  const placeOf = (draft: Draft): number => places.get(draft)!;
  const slotReaders = new Map<Slot, Draft[]>();
  for (const draft of drafts) {
    for (const node of draft.nodes) producer.set(node, draft);
    for (const base of draft.reads) if (base.is('slot')) append(slotReaders, base.attributes.slot, draft);
  }
  const uses = usesOf(drafts, roots, locate);
  // Edges that in-place writes add: these kernels must run before those.
  const before = new Map<Draft, Draft[]>();
  const needs = (draft: Draft): Draft[] => [...[...draft.reads].flatMap((base) => producer.get(base) ?? []), ...(before.get(draft) ?? [])];
  const order = new Reach();
  for (const { slot, value } of updates) {
    const draft = producer.get(value);
    // Who else needs the new value must find it where it stays: in a buffer of its own.
    if (!draft || locate(value).base !== value || uses.get(value)! > 1) continue;
    const old = slotReaders.get(slot) ?? [];
    const others = old.filter((reader) => reader !== draft);
    if (others.length < old.length && !readsInPlace(draft, slot, context)) continue;
    if (others.some((reader) => order.reaches([reader], draft, needs, placeOf))) continue;
    for (const other of others) {
      append(before, draft, other);
      order.tie(placeOf(draft), placeOf(other));
    }
    chosen.set(value, slot);
  }
  return chosen;
}

/** Whether a kernel is elementwise and reads a slot only as it lies in memory. */
function readsInPlace(draft: Draft, slot: Slot, { locate, isVirtual }: Pick<LoweringContext, 'locate' | 'isVirtual'>): boolean {
  const seen = new Set<Node>();
  const stack = [...draft.nodes];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (isVirtual(node) || draft.nodes.includes(node)) {
      if (!isElementwise(node)) return false;
      stack.push(...node.inputs);
      continue;
    }
    const { base, layout } = locate(node);
    const whole = isContiguous(layout) && sameShape(layout.shape, slot.shape);
    if (base.is('slot') && base.attributes.slot === slot && !whole) return false;
  }
  return true;
}

/** Orders the kernels; the last `finals` of them run at the end. Kernels that read a slot run before the one that writes it. */
function scheduleKernels(kernels: readonly Kernel[], specs: readonly BufferSpec[], finals: number): Kernel[] {
  const writer = new Map<number, number>();
  kernels.forEach(({ outputs }, i) => {
    for (const { buffer } of outputs) if (!writer.has(buffer)) writer.set(buffer, i);
  });
  const isSlot = (buffer: number): boolean => specs[buffer]!.kind === 'slot';
  // What ends the plan waits for one task that waits for all others.
  const end = kernels.length;
  const tasks: { reads: number[]; writes: number[]; after: number[] }[] = kernels.map(({ inputs, outputs }, i) => {
    const reads = [...new Set(inputs.map((view) => view.buffer))];
    const writes = [...new Set(outputs.map((view) => view.buffer))];
    return {
      reads,
      writes,
      after: reads.flatMap((buffer) => (writer.has(buffer) && writer.get(buffer) !== i && !isSlot(buffer) ? [writer.get(buffer)!] : [])),
    };
  });
  tasks.forEach(({ reads }, i) => {
    for (const buffer of reads) {
      const write = writer.get(buffer);
      if (write === undefined || write === i || !isSlot(buffer)) continue;
      tasks[write]!.after.push(i);
    }
  });
  const last = tasks.slice(end - finals);
  for (const { after } of last) after.push(end);
  tasks.push({ reads: [], writes: [], after: [...Array(end - finals).keys()] });
  const bytes = specs.map((spec) => (spec.kind === 'scratch' || spec.kind === 'output' ? paddedBytes(spec) : 0));
  return schedule(tasks, bytes).flatMap((task) => kernels[task] ?? []);
}
