import { type Node, type OpName, topologicalOrder } from '../graph.ts';
import { sameShape, sizeOf } from '../shape.ts';
import { append, Heap, Reach } from './collections.ts';
import { isContiguous } from './layout.ts';
import type { Located } from './locate.ts';
import { costOf } from './program.ts';

/** A kernel to be. */
export interface Draft {
  /** What it computes, in the order of the graph. All elementwise of one shape, or all folds of one shape over the same axes, or one other node. */
  readonly nodes: readonly Node[];
  /** What of it others need. */
  readonly stored: readonly Node[];
  /** What an elementwise draft makes and then finishes in place: a product that nobody else reads. */
  readonly product?: Node;
  /** Bases that it reads from memory. */
  readonly reads: ReadonlySet<Node>;
}

export interface Fusion {
  /** In an order in which they can run. */
  readonly drafts: readonly Draft[];
  /** Whether a node is computed inside the kernels that use it, and never stored. */
  readonly isVirtual: (node: Node) => boolean;
  /** How many elementwise nodes got no kernel of their own. */
  readonly fused: number;
}

/** A graph that is fused. */
export interface Graph {
  /** What is asked for, which is stored. */
  readonly roots: readonly Node[];
  readonly isSource: (node: Node) => boolean;
  readonly locate: (node: Node) => Located;
  /** How many buffers a kernel may touch. */
  readonly bindings: number;
}

/** A graph in kernels. */
export interface Fused extends Graph, Fusion {}

/** A graph of which it is decided what is stored. */
interface Decided extends Graph {
  readonly isVirtual: (node: Node) => boolean;
}

/** A chain with one user is always inlined; one with several is computed again for each if that is cheaper than to store and read it. */
const RECOMPUTE = { cost: 12, largeInputs: 2 };
const CHAIN_LIMIT = 64;
/** So many of the latest kernels are considered for one more output. */
const CANDIDATES = 8;

export function isElementwise(node: Node): boolean {
  return node.op === 'scalar' || node.op === 'cast';
}

/** `arange` seen in row-major order is the position of the element: no memory needed. */
export function isPosition({ base, layout }: Located): boolean {
  return base.op === 'arange' && isContiguous(layout) && sizeOf(layout.shape) === sizeOf(base.shape);
}

/** Decides which elementwise nodes live only inside kernels, and which stored ones share a kernel. */
export function fuse(graph: Graph): Fusion {
  const order = topologicalOrder(graph.roots, graph.isSource);
  const virtual = chooseVirtual(order, graph);
  const decided = { ...graph, isVirtual: (node: Node) => virtual.has(node) };
  const drafts = withEpilogues(withoutPrivate(mergeDrafts(draftKernels(order, decided), decided), decided), decided);
  const elementwise = order.filter((node) => !graph.isSource(node) && isElementwise(node)).length;
  const kernels = drafts.filter(({ nodes, product }) => !product && isElementwise(nodes[0]!)).length;
  return { drafts, isVirtual: decided.isVirtual, fused: elementwise - kernels };
}

/** What a stored elementwise or folded node costs to compute from memory. */
interface Chain {
  readonly cost: number;
  readonly length: number;
  readonly leaves: ReadonlyMap<string, Located>;
  /** It needs the element's position, so the kernel must walk in row-major order of this shape. */
  readonly positional: boolean;
  /** Operands that it would compute, but has no room for. */
  readonly left: readonly Node[];
}

function chooseVirtual(order: readonly Node[], graph: Graph): ReadonlySet<Node> {
  const { roots, isSource } = graph;
  const kept = new Set(roots);
  const users = new Map<Node, Node[]>();
  for (const node of order) {
    if (isSource(node)) continue;
    for (const input of new Set(node.inputs)) append(users, input, node);
  }
  const virtual = new Set<Node>();
  const chains = new Map<Node, Chain>();
  // A chain that one user had no room for is stored, and now read by those that had counted on computing it: these are looked at again. Chains are
  // short, so none is looked at often.
  const waiting = new Heap<Node>((a, b) => a.id < b.id);
  const lookAgain = (changed: Node): void => {
    for (const user of users.get(changed)!) if (chains.has(user)) waiting.push(user);
  };
  const measure = (node: Node): Chain => {
    const chain = chainOf(node, (operand) => (virtual.has(operand) ? chains.get(operand)! : null), graph);
    for (const operand of chain.left) {
      virtual.delete(operand);
      lookAgain(operand);
    }
    chains.set(node, chain);
    return chain;
  };
  for (const node of order) {
    if (isSource(node) || !isElementwise(node)) continue;
    const chain = measure(node);
    const uses = users.get(node) ?? [];
    const inline = !kept.has(node) && uses.every((user) => isElementwise(user) || (user.op === 'reduce' && !chain.positional));
    if (!inline || chain.length > CHAIN_LIMIT) continue;
    const large = [...chain.leaves.values()].filter(({ base }) => sizeOf(base.shape) * 2 > sizeOf(node.shape)).length;
    if (uses.length === 1 || (chain.cost <= RECOMPUTE.cost && large <= RECOMPUTE.largeInputs)) virtual.add(node);
  }
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    const { length } = chains.get(node)!;
    if (measure(node).length !== length && virtual.has(node)) lookAgain(node);
  }
  return virtual;
}

/**
 * A node's operation, behind the chains of its operands as far as there is room for them.
 * @param chainAt the chain of an operand that is not in memory.
 */
function chainOf(node: Node, chainAt: (operand: Node) => Chain | null, { locate, bindings }: Graph): Chain {
  let cost = costOf(node);
  let length = 1;
  let positional = false;
  const leaves = new Map<string, Located>();
  const left: Node[] = [];
  const read = (operand: Node): void => {
    const located = locate(operand);
    if (located.base.op === 'full') return;
    if (isPosition(located)) positional = true;
    else leaves.set(leafKey(located), located);
  };
  const chained: (readonly [operand: Node, chain: Chain])[] = [];
  for (const operand of new Set(node.inputs)) {
    const chain = chainAt(operand);
    if (chain) chained.push([operand, chain]);
    else read(operand);
  }
  chained.forEach(([operand, chain], i) => {
    const added = [...chain.leaves.keys()].filter((key) => !leaves.has(key)).length;
    // Of the operands that wait, each may turn out to be one more to read; the kernel writes one buffer, too.
    const waiting = chained.length - 1 - i;
    if (leaves.size + added + waiting < bindings && length + chain.length <= CHAIN_LIMIT) {
      cost += chain.cost;
      length += chain.length;
      positional ||= chain.positional;
      for (const [key, leaf] of chain.leaves) leaves.set(key, leaf);
    } else {
      left.push(operand);
      read(operand);
    }
  });
  return { cost, length, leaves, positional, left };
}

export function leafKey({ base, layout }: Located): string {
  return `${base.id}@${layout.offset}:${layout.shape.join(',')}/${layout.strides.join(',')}`;
}

/** What a kernel that stores `node` reads: bases, through virtual operands. */
function readsOf(node: Node, { isVirtual, locate }: Decided): Located[] {
  const found: Located[] = [];
  const seen = new Set<Node>();
  const visit = (operand: Node): void => {
    if (seen.has(operand)) return;
    seen.add(operand);
    if (isVirtual(operand)) {
      operand.inputs.forEach(visit);
      return;
    }
    const located = locate(operand);
    const folded = isElementwise(node) || node.op === 'reduce';
    if (folded && located.base.op === 'full') return;
    if (isElementwise(node) && isPosition(located)) return;
    found.push(located);
  };
  node.inputs.forEach(visit);
  return found;
}

/** A kernel for each node that must be in memory. */
function draftKernels(order: readonly Node[], graph: Decided): Draft[] {
  const reads = new Map<Node, Set<Node>>();
  const stack = graph.roots.map((root) => graph.locate(root).base);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (reads.has(node) || graph.isSource(node)) continue;
    const bases = new Set(readsOf(node, graph).map(({ base }) => base));
    reads.set(node, bases);
    stack.push(...bases);
  }
  return order.flatMap((node) => {
    const bases = reads.get(node);
    return bases ? [{ nodes: [node], stored: [node], reads: bases }] : [];
  });
}

/** Kernels that walk the same space may become one with several outputs, if they share something and no other kernel must run between. */
function mergeDrafts(drafts: readonly Draft[], graph: Decided): Draft[] {
  const kernels = drafts.map((draft) => ({ ...draft, nodes: [...draft.nodes], reads: new Set(draft.reads) }));
  type Kernel = (typeof kernels)[number];
  const places = new Map(kernels.map((kernel, place) => [kernel, place]));
  const placeOf = (kernel: Kernel): number => places.get(kernel)!;
  const producer = new Map(kernels.map((kernel) => [kernel.nodes[0]!, kernel]));
  const producersOf = ({ reads }: Kernel): Kernel[] => [...reads].flatMap((base) => producer.get(base) ?? []);
  const order = new Reach();

  const canMerge = (earlier: Kernel, later: Kernel): boolean => {
    const node = later.nodes[0]!;
    const own = [...later.reads].filter((base) => earlier.nodes.includes(base));
    // Sharing pays where it saves reading something as large as the space that is walked.
    const space = sizeOf(node.op === 'reduce' ? node.inputs[0]!.shape : node.shape);
    const shared = [...later.reads].filter((base) => earlier.reads.has(base) && sizeOf(base.shape) * 2 > space);
    if (own.length === 0 && shared.length === 0) return false;
    if (new Set([...earlier.reads, ...later.reads]).size + earlier.nodes.length + 1 > graph.bindings) return false;
    // A value of the same kernel can be used only where it is computed: at the same position.
    if (own.length > 0) {
      if (!isElementwise(node)) return false;
      const direct = readsOf(node, graph).filter(({ base }) => own.includes(base));
      if (!direct.every(({ base, layout }) => isContiguous(layout) && sameShape(layout.shape, base.shape))) return false;
    }
    // Not where it needs it through a kernel between them, which then could run neither before nor after both.
    const between = producersOf(later).filter((needed) => needed !== earlier);
    return !order.reaches(between, earlier, producersOf, placeOf);
  };

  const kept: Kernel[] = [];
  const bySpace = new Map<string, Kernel[]>();
  for (const kernel of kernels) {
    const node = kernel.nodes[0]!;
    const space = spaceOf(node);
    const candidates = space === null ? [] : (bySpace.get(space) ?? []);
    const partner = candidates.find((candidate) => canMerge(candidate, kernel));
    if (partner) {
      partner.nodes.push(node);
      for (const base of kernel.reads) if (!partner.nodes.includes(base)) partner.reads.add(base);
      producer.set(node, partner);
      order.tie(placeOf(partner), placeOf(kernel));
      continue;
    }
    kept.push(kernel);
    // The latest first: it shares most with its neighbours, and keeps values waiting least.
    if (space !== null) bySpace.set(space, [kernel, ...candidates.slice(0, CANDIDATES - 1)]);
  }
  return runnable(kept, producersOf);
}

/** What two kernels must have in common to be one. */
function spaceOf(node: Node): string | null {
  if (isElementwise(node)) return `map ${node.shape.join(',')}`;
  if (node.is('reduce')) return `reduce ${node.inputs[0]!.shape.join(',')} over ${node.attributes.axes.join(',')}`;
  return null;
}

/** What kernels need before them, and else as they were given. */
function runnable<Kernel>(kernels: readonly Kernel[], needs: (kernel: Kernel) => Kernel[]): Kernel[] {
  const entered = new Set<Kernel>();
  const result: Kernel[] = [];
  const stack: { readonly kernel: Kernel; readonly pending: Kernel[] }[] = [];
  const enter = (kernel: Kernel): void => {
    if (entered.has(kernel)) return;
    entered.add(kernel);
    stack.push({ kernel, pending: needs(kernel) });
  };
  for (const root of kernels) {
    enter(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.pending.pop();
      if (next) enter(next);
      else {
        result.push(top.kernel);
        stack.pop();
      }
    }
  }
  return result;
}

/** Kernels that were merged may compute values for themselves alone: those are not stored. */
function withoutPrivate(drafts: readonly Draft[], graph: Graph): Draft[] {
  const uses = usesOf(drafts, graph);
  return drafts.map((draft) => ({ ...draft, stored: draft.nodes.filter((node) => uses.has(node)) }));
}

/** How many kernels, results and updates need each value in memory. */
export function usesOf(drafts: readonly Draft[], { roots, locate }: Pick<Graph, 'roots' | 'locate'>): ReadonlyMap<Node, number> {
  const uses = new Map<Node, number>();
  for (const base of [...roots.map((root) => locate(root).base), ...drafts.flatMap(({ reads }) => [...reads])])
    uses.set(base, (uses.get(base) ?? 0) + 1);
  return uses;
}

const products: ReadonlySet<OpName> = new Set(['matmul', 'conv2d', 'conv2dInput', 'conv2dWeight']);

/** A map that alone reads a product, and reads it as it lies, becomes its epilogue. */
function withEpilogues(drafts: readonly Draft[], graph: Decided): Draft[] {
  const kept = new Set(graph.roots);
  const uses = usesOf(drafts, graph);

  const finishes = ({ nodes, stored, reads }: Draft, product: Node, factors: ReadonlySet<Node>): boolean => {
    const result = stored[0]!;
    if (stored.length > 1 || !isElementwise(result)) return false;
    const size = sizeOf(product.shape);
    const bases = [...factors, ...reads];
    return (
      uses.get(product) === 1 &&
      result.dtype === product.dtype &&
      // At most these, since the result takes the product's place.
      bases.length <= graph.bindings &&
      // What is wanted may update a slot of this size: a map can do that in place.
      !(kept.has(result) && bases.some((base) => base.is('slot') && sizeOf(base.shape) === size)) &&
      nodes
        .flatMap((node) => readsOf(node, graph))
        .every(({ base, layout }) => base !== product || (isContiguous(layout) && sizeOf(layout.shape) === size))
    );
  };

  const made = new Map(drafts.flatMap((draft, place) => (products.has(draft.nodes[0]!.op) ? [[draft.nodes[0]!, { draft, place }]] : [])));
  const finished = drafts.map((draft): Draft => {
    // The last of several products, so that none of what it reads has to wait for another one.
    const read = [...draft.reads].flatMap((base) => made.get(base) ?? []).sort((a, b) => b.place - a.place);
    const source = read.find((product) => finishes(draft, product.draft.nodes[0]!, product.draft.reads))?.draft;
    return source ? { ...draft, product: source.nodes[0]!, reads: new Set([...source.reads, ...draft.reads]) } : draft;
  });
  const absorbed = new Set(finished.map(({ product }) => product));
  return finished.filter(({ nodes }) => !absorbed.has(nodes[0]));
}
