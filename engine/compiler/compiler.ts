import { type Node, topologicalOrder } from '../graph.ts';
import type { Slot } from '../slot.ts';
import { Buffers } from './buffers.ts';
import { type Fused, fuse } from './fuse.ts';
import { chooseInPlace, type InPlace, isWhole } from './inPlace.ts';
import { locator } from './locate.ts';
import { lower } from './lower.ts';
import { placeBuffers } from './memory.ts';
import type { BufferKind, Kernel, Plan, View } from './plan.ts';
import { scheduleKernels } from './schedule.ts';
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

/** A graph in kernels, and what they are for. */
interface Work extends Fused {
  readonly results: readonly Node[];
  readonly updates: readonly Update[];
}

/** Graph → plan: simplify → fuse → lower → schedule → memory. */
export function buildPlan({ outputs, updates, isConstant, bindings = DEFAULT_BINDINGS }: Request): Build {
  const { roots, original } = simplify([...outputs, ...updates.map(({ value }) => value)], isSource);
  const graph = { roots, isSource, locate: locator(), bindings };
  const work: Work = {
    ...graph,
    ...fuse(graph),
    results: roots.slice(0, outputs.length),
    updates: updates.map(({ slot }, i) => ({ slot, value: roots[outputs.length + i]! })),
  };
  const inPlace = chooseInPlace(work, work.updates);
  const buffers = new Buffers(work.locate);
  const apart = putValues(work, inPlace, buffers, isConstant);
  const kernels = lowerDrafts(work, inPlace, buffers);
  const copies = apart.map((to) => buffers.copy(...to));
  const { aside, last } = copyUpdates(work, inPlace, buffers);
  const order = scheduleKernels([...kernels, ...copies, ...aside, ...last], buffers, last.length);

  const { specs, numbers } = buffers.merged();
  const placed = ({ buffer, ...view }: View): View => ({ buffer: numbers[buffer]!, ...view });
  const settled = order.map((kernel) => ({ ...kernel, inputs: kernel.inputs.map(placed), outputs: kernel.outputs.map(placed) }));
  const ofKind = (kind: BufferKind): number[] => specs.flatMap((spec, number) => (spec.kind === kind ? [number] : []));
  const plan: Plan = {
    ...placeBuffers(specs, settled),
    kernels: settled,
    inputs: ofKind('input'),
    constants: ofKind('constant'),
    slots: ofKind('slot'),
    outputs: buffers.outputs.map((output) => numbers[output]!),
    fused: work.fused,
  };
  trusted.add(plan);
  return { plan, inputs: buffers.inputs.map(original), constants: buffers.constants.map(original), slots: buffers.slots };
}

/**
 * Gives a buffer to what is in memory already, to the results, and to each value that is stored where one of these says, or another value.
 * @returns the results that are stored elsewhere, each with its buffer.
 */
function putValues(
  { roots, results, updates, drafts, locate }: Work,
  { inherited, updated }: InPlace,
  buffers: Buffers,
  isConstant: Request['isConstant'],
): (readonly [result: Node, buffer: number])[] {
  for (const node of topologicalOrder(roots, isSource)) if (isSource(node)) buffers.putSource(node, isConstant(node));
  // Slots that are only written need a buffer too.
  for (const { slot } of updates) buffers.ofSlot(slot);
  for (const [value, slot] of updated) buffers.putOver(value, buffers.ofSlot(slot));
  // A result that is the whole of what a kernel stores, in whatever shape, is stored where it is given back.
  const apart = results.flatMap((node, i) => {
    const located = locate(node);
    const buffer = buffers.add('output', node, `out${i}`);
    buffers.outputs.push(buffer);
    if (buffers.has(located.base) || !isWhole(located)) return [[node, buffer] as const];
    buffers.put(located.base, buffer);
    return [];
  });
  // What elements are replaced in, if nobody else needs it, is made where the result will be.
  for (const { nodes } of drafts.toReversed()) {
    const x = inherited.get(nodes[0]!);
    if (x && !isSource(x)) buffers.put(x, buffers.of(nodes[0]!));
  }
  // A product is made where the result of its epilogue will be.
  for (const { product, stored } of drafts) if (product) buffers.put(product, buffers.of(stored[0]!));
  return apart;
}

/** The kernels of the drafts. What elements are replaced in is copied before, unless it is inherited. */
function lowerDrafts({ drafts, locate, isVirtual }: Work, { inherited }: InPlace, buffers: Buffers): Kernel[] {
  const context = { locate, isVirtual, bufferOf: (node: Node) => buffers.of(node) };
  return drafts.flatMap((draft) => {
    const node = draft.nodes[0]!;
    const x = inherited.get(node);
    // In a slot, a result is over the old value already.
    if (!node.is('scatter') || (x && isSource(x))) return [lower(draft, context)];
    const own = buffers.of(x ?? node);
    buffers.putOver(node, own);
    return [...(x ? [] : [buffers.copy(node.inputs[0]!, own)]), lower(draft, context)];
  });
}

/** Slots that are not updated in place change at the end. The old value of another one, which may change too, is set aside before. */
function copyUpdates(
  { updates, locate }: Work,
  { updated }: InPlace,
  buffers: Buffers,
): { readonly aside: Kernel[]; readonly last: Kernel[] } {
  const aside: Kernel[] = [];
  const last = updates.flatMap(({ slot, value }) => {
    const { base } = locate(value);
    if (updated.get(base) === slot) return [];
    if (!isSource(base)) return [buffers.copy(value, buffers.ofSlot(slot))];
    const kept = buffers.copy(value, buffers.add('scratch', value));
    aside.push(kept);
    return [{ ...buffers.copy(value, buffers.ofSlot(slot)), inputs: kept.outputs }];
  });
  return { aside, last };
}
