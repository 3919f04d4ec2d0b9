import { type Node, type OpName, topologicalOrder } from '../graph.ts';
import { sameShape, sizeOf } from '../shape.ts';
import { append, Heap, Reach } from './collections.ts';
import { isContiguous, type Layout } from './layout.ts';
import { isMovement, type Located } from './locate.ts';
import { costOf } from './program.ts';

/** A kernel to be. */
export interface Draft {
  /** What it computes, in the order of the graph. All elementwise of one shape, or all folds of one shape over the same axes, or one other node. */
  readonly nodes: Node[];
  /** What of it others need. */
  readonly stored: readonly Node[];
  /** What an elementwise draft makes and then finishes in place: a product that nobody else reads. */
  readonly product?: Node;
  /** Bases that it reads from memory. */
  readonly reads: Set<Node>;
}

export interface Fusion {
  /** In an order in which they can run. */
  readonly drafts: readonly Draft[];
  /** Whether a node is computed inside the kernels that use it, and never stored. */
  readonly isVirtual: (node: Node) => boolean;
  /** How many elementwise nodes got no kernel of their own. */
  readonly fused: number;
}

/** A chain with one user is always inlined; one with several is computed again for each if that is cheaper than to store and read it. */
const RECOMPUTE = { cost: 12, largeInputs: 2 };
const CHAIN_LIMIT = 64;
/** So many of the latest kernels are considered for one more output. */
const CANDIDATES = 8;

/** What a stored elementwise or folded node costs to compute from memory. */
interface Chain {
  readonly cost: number;
  readonly length: number;
  readonly leaves: ReadonlyMap<string, { readonly base: Node; readonly layout: Layout }>;
  /** It needs the element's position, so the kernel must walk in row-major order of this shape. */
  readonly positional: boolean;
}

export function isElementwise(node: Node): boolean {
  return node.op === 'scalar' || node.op === 'cast';
}

/** `arange` seen in row-major order is the position of the element: no memory needed. */
export function isPosition({ base, layout }: Located): boolean {
  return base.op === 'arange' && isContiguous(layout) && sizeOf(layout.shape) === sizeOf(base.shape);
}

/**
 * Decides which elementwise nodes live only inside kernels, and which stored ones share a kernel.
 * @param bindings how many buffers a kernel may touch.
 */
export function fuse(roots: readonly Node[], isSource: (node: Node) => boolean, locate: (node: Node) => Located, bindings: number): Fusion {
  const order = topologicalOrder(roots, isSource);
  const virtual = chooseVirtual(order, new Set(roots), isSource, locate, bindings);
  const drafts = draftKernels(order, roots, virtual, isSource, locate);
  const merged = withEpilogues(
    withoutPrivate(mergeDrafts(drafts, virtual, locate, bindings), roots, locate),
    roots,
    virtual,
    locate,
    bindings,
  );
  const elementwise = order.filter((node) => !isSource(node) && isElementwise(node)).length;
  const kernels = merged.filter(({ nodes, product }) => !product && isElementwise(nodes[0]!)).length;
  return { drafts: merged, isVirtual: (node) => virtual.has(node), fused: elementwise - kernels };
}

function chooseVirtual(
  order: readonly Node[],
  kept: ReadonlySet<Node>,
  isSource: (node: Node) => boolean,
  locate: (node: Node) => Located,
  bindings: number,
): Set<Node> {
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
  const store = (node: Node): void => {
    virtual.delete(node);
    lookAgain(node);
  };
  for (const node of order) {
    if (isSource(node) || !isElementwise(node)) continue;
    const chain = chainOf(node, chains, virtual, locate, bindings, store);
    chains.set(node, chain);
    const uses = users.get(node) ?? [];
    const inline = !kept.has(node) && uses.every((user) => isElementwise(user) || (user.op === 'reduce' && !chain.positional));
    if (!inline || chain.length > CHAIN_LIMIT) continue;
    const large = [...chain.leaves.values()].filter(({ base }) => sizeOf(base.shape) * 2 > sizeOf(node.shape)).length;
    if (uses.length === 1 || (chain.cost <= RECOMPUTE.cost && large <= RECOMPUTE.largeInputs)) virtual.add(node);
  }
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    const { length } = chains.get(node)!;
    const chain = chainOf(node, chains, virtual, locate, bindings, store);
    chains.set(node, chain);
    if (virtual.has(node) && chain.length !== length) lookAgain(node);
  }
  return virtual;
}

/** Merges the chains of the virtual operands; an operand that would make the kernel too large is stored after all. */
function chainOf(
  node: Node,
  chains: ReadonlyMap<Node, Chain>,
  virtual: ReadonlySet<Node>,
  locate: (node: Node) => Located,
  bindings: number,
  store: (operand: Node) => void,
): Chain {
  let cost = costOf(node);
  let length = 1;
  let positional = false;
  const leaves = new Map<string, { base: Node; layout: Layout }>();
  const read = (input: Node): void => {
    const located = locate(input);
    if (located.base.op === 'full') return;
    if (isPosition(located)) positional = true;
    else leaves.set(leafKey(located), located);
  };
  const operands = [...new Set(node.inputs)];
  for (const input of operands) if (!virtual.has(input)) read(input);
  const chained = operands.filter((input) => virtual.has(input));
  chained.forEach((input, i) => {
    const chain = chains.get(input)!;
    const added = [...chain.leaves.keys()].filter((key) => !leaves.has(key)).length;
    // Of the operands that wait, each may turn out to be one more to read; the kernel writes one buffer, too.
    const waiting = chained.length - 1 - i;
    if (leaves.size + added + waiting < bindings && length + chain.length <= CHAIN_LIMIT) {
      cost += chain.cost;
      length += chain.length;
      positional ||= chain.positional;
      for (const [key, leaf] of chain.leaves) leaves.set(key, leaf);
    } else {
      store(input);
      read(input);
    }
  });
  return { cost, length, leaves, positional };
}

export function leafKey({ base, layout }: Located): string {
  return `${base.id}@${layout.offset}:${layout.shape.join(',')}/${layout.strides.join(',')}`;
}

/** What a kernel that stores `node` reads: bases, through virtual operands. */
function readsOf(node: Node, virtual: ReadonlySet<Node>, locate: (node: Node) => Located): Located[] {
  const found: Located[] = [];
  const seen = new Set<Node>();
  const visit = (operand: Node): void => {
    if (seen.has(operand)) return;
    seen.add(operand);
    if (virtual.has(operand)) {
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

function draftKernels(
  order: readonly Node[],
  roots: readonly Node[],
  virtual: ReadonlySet<Node>,
  isSource: (node: Node) => boolean,
  locate: (node: Node) => Located,
): Draft[] {
  const needed = new Set<Node>();
  const reads = new Map<Node, Set<Node>>();
  const stack = roots.map((root) => locate(root).base);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (needed.has(node) || isSource(node)) continue;
    needed.add(node);
    // A movement that strides cannot express is copied from where its input is.
    const bases = new Set((isMovement(node) ? [locate(node.inputs[0]!)] : readsOf(node, virtual, locate)).map(({ base }) => base));
    reads.set(node, bases);
    for (const base of bases) stack.push(base);
  }
  return order.filter((node) => needed.has(node)).map((node) => ({ nodes: [node], stored: [node], reads: reads.get(node)! }));
}

/** Kernels that walk the same space may become one with several outputs, if they share something and no other kernel must run between. */
function mergeDrafts(drafts: readonly Draft[], virtual: ReadonlySet<Node>, locate: (node: Node) => Located, bindings: number): Draft[] {
  const position = new Map<Node, number>();
  drafts.forEach((draft, i) => position.set(draft.nodes[0]!, i));
  const producer = new Map<Node, Draft>();
  for (const draft of drafts) producer.set(draft.nodes[0]!, draft);

  const order = new Reach();
  const placeOf = ({ nodes }: Draft): number => position.get(nodes[0]!)!;
  const producersOf = ({ reads }: Draft): Draft[] => [...reads].flatMap((base) => producer.get(base) ?? []);

  const kept = new Set<Draft>();
  const bySpace = new Map<string, Draft[]>();
  for (const draft of drafts) {
    const node = draft.nodes[0]!;
    const space = spaceOf(node);
    const candidates = space === null ? [] : (bySpace.get(space) ?? []);
    const partner = candidates.find((candidate) => canMerge(candidate, draft));
    if (partner) {
      partner.nodes.push(node);
      for (const base of draft.reads) if (!partner.nodes.includes(base)) partner.reads.add(base);
      producer.set(node, partner);
      order.tie(placeOf(partner), placeOf(draft));
      continue;
    }
    kept.add(draft);
    // The latest first: it shares most with its neighbours, and keeps values waiting least.
    if (space !== null) bySpace.set(space, [draft, ...candidates.slice(0, CANDIDATES - 1)]);
  }
  return runnable([...kept], producer, position);

  function canMerge(earlier: Draft, later: Draft): boolean {
    const node = later.nodes[0]!;
    const own = [...later.reads].filter((base) => earlier.nodes.includes(base));
    // Sharing pays where it saves reading something as large as the space that is walked.
    const space = sizeOf(node.op === 'reduce' ? node.inputs[0]!.shape : node.shape);
    const shared = [...later.reads].filter((base) => earlier.reads.has(base) && sizeOf(base.shape) * 2 > space);
    if (own.length === 0 && shared.length === 0) return false;
    if (new Set([...earlier.reads, ...later.reads]).size + earlier.nodes.length + 1 > bindings) return false;
    // A value of the same kernel can be used only where it is computed: at the same position.
    if (own.length > 0) {
      if (!isElementwise(node)) return false;
      const direct = readsOf(node, virtual, locate).filter(({ base }) => own.includes(base));
      if (!direct.every(({ base, layout }) => isContiguous(layout) && sameShape(layout.shape, base.shape))) return false;
    }
    // Not where it needs it through a kernel between them, which then could run neither before nor after both.
    const between = producersOf(later).filter((needed) => needed !== earlier);
    return !order.reaches(between, earlier, producersOf, placeOf);
  }
}

/** Kernels that were merged may compute values for themselves alone: those are not stored. */
function withoutPrivate(drafts: readonly Draft[], roots: readonly Node[], locate: (node: Node) => Located): Draft[] {
  const needed = new Set([...roots.map((root) => locate(root).base), ...drafts.flatMap(({ reads }) => [...reads])]);
  return drafts.map((draft) => ({ ...draft, stored: draft.nodes.filter((node) => needed.has(node)) }));
}

/** How many kernels, results and updates need each value in memory. */
export function usesOf(drafts: readonly Draft[], roots: readonly Node[], locate: (node: Node) => Located): Map<Node, number> {
  const uses = new Map<Node, number>();
  for (const base of [...roots.map((root) => locate(root).base), ...drafts.flatMap(({ reads }) => [...reads])])
    uses.set(base, (uses.get(base) ?? 0) + 1);
  return uses;
}

const products: ReadonlySet<OpName> = new Set(['matmul', 'conv2d', 'conv2dInput', 'conv2dWeight']);

/** A map that alone reads a product, and reads it as it lies, becomes its epilogue. */
function withEpilogues(
  drafts: readonly Draft[],
  roots: readonly Node[],
  virtual: ReadonlySet<Node>,
  locate: (node: Node) => Located,
  bindings: number,
): readonly Draft[] {
  const kept = new Set(roots);
  const uses = usesOf(drafts, roots, locate);
  const made = new Map(drafts.flatMap((draft, place) => (products.has(draft.nodes[0]!.op) ? [[draft.nodes[0]!, { draft, place }]] : [])));
  const finished = drafts.map((draft): Draft => {
    // The last of several products, so that none of what it reads has to wait for another one.
    const read = [...draft.reads].flatMap((base) => made.get(base) ?? []).sort((a, b) => b.place - a.place);
    const source = read.find((product) => finishes(draft, product.draft.nodes[0]!, product.draft.reads))?.draft;
    return source ? { ...draft, product: source.nodes[0]!, reads: new Set([...source.reads, ...draft.reads]) } : draft;
  });
  const absorbed = new Set(finished.map(({ product }) => product));
  return finished.filter(({ nodes }) => !absorbed.has(nodes[0]));

  function finishes({ nodes, stored, reads }: Draft, product: Node, factors: ReadonlySet<Node>): boolean {
    const result = stored[0]!;
    if (stored.length > 1 || !isElementwise(result)) return false;
    const size = sizeOf(product.shape);
    const bases = [...factors, ...reads];
    return (
      uses.get(product) === 1 &&
      result.dtype === product.dtype &&
      // At most these, since the result takes the product's place.
      bases.length <= bindings &&
      // What is wanted may update a slot of this size: a map can do that in place.
      !(kept.has(result) && bases.some((base) => base.is('slot') && sizeOf(base.shape) === size)) &&
      nodes
        .flatMap((node) => readsOf(node, virtual, locate))
        .every(({ base, layout }) => base !== product || (isContiguous(layout) && sizeOf(layout.shape) === size))
    );
  }
}

/** What two kernels must have in common to be one. */
function spaceOf(node: Node): string | null {
  if (isElementwise(node)) return `map ${node.shape.join(',')}`;
  if (node.is('reduce')) return `reduce ${node.inputs[0]!.shape.join(',')} over ${node.attributes.axes.join(',')}`;
  return null;
}

/** Producers before their users. */
function runnable(drafts: readonly Draft[], producer: ReadonlyMap<Node, Draft>, position: ReadonlyMap<Node, number>): Draft[] {
  const done = new Set<Draft>();
  const result: Draft[] = [];
  const visit = (root: Draft): void => {
    const stack: { draft: Draft; pending: Draft[] }[] = [];
    const enter = (draft: Draft): void => {
      done.add(draft);
      const pending = [...draft.reads].flatMap((base) => producer.get(base) ?? []).filter((needed) => needed !== draft);
      stack.push({ draft, pending });
    };
    if (!done.has(root)) enter(root);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const next = top.pending.pop();
      if (next === undefined) {
        result.push(top.draft);
        stack.pop();
      } else if (!done.has(next)) enter(next);
    }
  };
  [...drafts].sort((a, b) => position.get(a.nodes[0]!)! - position.get(b.nodes[0]!)!).forEach(visit);
  return result;
}
