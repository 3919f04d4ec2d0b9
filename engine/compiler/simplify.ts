import { type DType, dtypes, isFloat } from '../dtype.ts';
import { type Attributes, Node, type OpName, topologicalOrder } from '../graph.ts';
import { castValue, exact, type Reference } from '../reference.ts';
import { type Shape, sameShape } from '../shape.ts';
import { append } from './collections.ts';
import { attributesKey } from './key.ts';
import { kernelExtents } from './lower.ts';

/**
 * Rewrites the graph above `roots` into a smaller one of the same bits: equal subexpressions are shared, constants are folded where the
 * arithmetic is exact or correctly rounded, movements are composed, and contractions get the rank that their kernels take.
 * Nodes for which `stop` holds are where the graph begins: nothing looks behind them.
 * @param forKernels whether contractions get those ranks, and chains the shape that they end in: not for engines that have kernels of their own.
 */
export function simplify(roots: readonly Node[], stop: (node: Node) => boolean, forKernels = true): Simplified {
  const originals = new Map<Node, Node>();
  // A value in memory may have a history, which is for gradients: here another node stands for it, which has none.
  const begin = (node: Node): Node => {
    if (node.storage === null || node.op === 'leaf') return node;
    const leaf = new Node('leaf', [], {}, node.shape, node.dtype);
    leaf.storage = node.storage;
    originals.set(leaf, node);
    return leaf;
  };
  const shared = rebuild(roots, stop, again, begin, maker(forKernels));
  return { roots: forKernels ? liftReshapes(shared, stop) : shared, original: (source) => originals.get(source) ?? source };
}

export interface Simplified {
  /** The new roots, in order. */
  readonly roots: readonly Node[];
  /** The node that a beginning of the new graph stands for. */
  readonly original: (source: Node) => Node;
}

type Make = <Op extends OpName>(op: Op, inputs: readonly Node[], attributes: Attributes[Op], shape: Shape, dtype: DType) => Node;

function rebuild(
  roots: readonly Node[],
  stop: (node: Node) => boolean,
  build: (make: Make, node: Node, inputs: readonly Node[]) => Node,
  begin = (node: Node): Node => node,
  make = maker(true),
): Node[] {
  const replaced = new Map<Node, Node>();
  // In order of creation, so that the new nodes are numbered as the user's code built them: the scheduler goes by it.
  const order = topologicalOrder(roots, stop).sort((a, b) => a.id - b.id);
  for (const node of order) {
    const value = (): Node =>
      build(
        make,
        node,
        node.inputs.map((input) => replaced.get(input)!),
      );
    replaced.set(node, stop(node) ? begin(node) : value());
  }
  return roots.map((root) => replaced.get(root)!);
}

/** The same node of other inputs. */
function again(make: Make, { op, attributes, shape, dtype }: Node, inputs: readonly Node[]): Node {
  return make(op, inputs, attributes, shape, dtype);
}

/** Builds nodes, each structure once, after the rewrites of its op. */
function maker(forKernels: boolean): Make {
  const made = new Map<string, Node>();
  const make: Make = (op, inputs, attributes, shape, dtype) => {
    const candidate = new Node(op, inputs, attributes, shape, dtype);
    const rewritten = rewrite(candidate, make, forKernels);
    if (rewritten !== candidate) return rewritten;
    if (candidate.is('customGradient')) return candidate;
    const key = `${op}${attributesKey(candidate)}${inputs.map((input) => input.id).join(',')}:${dtype}[${shape.join(',')}]`;
    const existing = made.get(key);
    if (existing) return existing;
    made.set(key, candidate);
    return candidate;
  };
  return make;
}

function rewrite(node: Node, make: Make, forKernels: boolean): Node {
  const [x] = node.inputs;
  if (!x) return node;
  const { shape, dtype } = node;
  switch (node.op) {
    case 'stopGradient':
    case 'customGradient':
      return x;
    case 'cast':
      return rewriteCast(node, x, make);
    case 'reshape':
    case 'expand':
      if (sameShape(shape, x.shape)) return x;
      if (x.is('full')) return make('full', [], x.attributes, shape, dtype);
      return x.op === node.op ? make(node.op, x.inputs, { shape }, shape, dtype) : node;
    case 'permute':
      return rewritePermute(node as Node<'permute'>, x, make);
    case 'slice':
    case 'flip':
      return x.is('full') ? make('full', [], x.attributes, shape, dtype) : node;
    case 'scalar':
      return rewriteScalar(node as Node<'scalar'>, make);
    case 'concat':
      return node.inputs.length === 1 ? x : node;
    default:
      return forKernels ? atKernelRank(node, make) : node;
  }
}

function rewriteCast(node: Node, x: Node, make: Make): Node {
  if (x.dtype === node.dtype) return x;
  if (x.is('full')) return make('full', [], { value: castValue(x.attributes.value, node.dtype) }, node.shape, node.dtype);
  // Widening to i32 on the way to a float loses nothing and is not needed.
  const [inner] = x.inputs;
  if (x.op === 'cast' && inner && inner.dtype === 'u8' && x.dtype === 'i32')
    return make('cast', [inner], { dtype: node.dtype }, node.shape, node.dtype);
  return beforeExpand(node, make);
}

function rewritePermute(node: Node<'permute'>, x: Node, make: Make): Node {
  const { axes } = node.attributes;
  if (axes.every((axis, i) => axis === i)) return x;
  if (x.is('full')) return make('full', [], x.attributes, node.shape, node.dtype);
  if (!x.is('permute')) return node;
  const outer = x.attributes.axes;
  return make('permute', x.inputs, { axes: axes.map((axis) => outer[axis]!) }, node.shape, node.dtype);
}

function constantOf(node: Node | undefined): number | null {
  return node?.is('full') ? node.attributes.value : null;
}

function rewriteScalar(node: Node<'scalar'>, make: Make): Node {
  const { fn } = node.attributes;
  const [x, y, z] = node.inputs;
  const [a, b, c] = [constantOf(x), constantOf(y), constantOf(z)];
  // Rounded once from double precision, as kernels have it where they have the nearest f32.
  const reference: Reference | undefined = Object.hasOwn(exact, fn) ? exact[fn as keyof typeof exact] : undefined;
  if (reference && node.inputs.every((input) => input.op === 'full')) {
    const evaluate = (!isFloat(node.inputs.at(-1)!.dtype) && reference.integer) || reference.of;
    return make('full', [], { value: dtypes[node.dtype].round(evaluate(a ?? 0, b ?? 0, c ?? 0)) }, node.shape, node.dtype);
  }
  // x·1 = x/1 = x−0 = x and x·(−1) = −x, to the bit.
  if ((fn === 'mul' || fn === 'div') && b === 1) return x!;
  if (fn === 'mul' && a === 1) return y!;
  if (fn === 'mul' && b === -1) return make('scalar', [x!], { fn: 'neg' }, node.shape, node.dtype);
  if (fn === 'mul' && a === -1) return make('scalar', [y!], { fn: 'neg' }, node.shape, node.dtype);
  if (fn === 'sub' && Object.is(b, 0)) return x!;
  if (fn === 'neg' && x!.is('scalar') && x!.attributes.fn === 'neg') return x!.inputs[0]!;
  if (fn === 'where' && a !== null) return a !== 0 ? y! : z!;
  return beforeExpand(node, make);
}

/** op(expand(x), expand(y)) = expand(op(x, y)): computed once for each value, not once for each copy. */
function beforeExpand(node: Node, make: Make): Node {
  const expanded = node.inputs.filter((input) => input.op !== 'full');
  const source = expanded[0]?.op === 'expand' ? expanded[0].inputs[0]!.shape : null;
  if (!source || !expanded.every((input) => input.op === 'expand' && sameShape(input.inputs[0]!.shape, source))) return node;
  const inputs = node.inputs.map((input) =>
    input.is('full') ? make('full', [], input.attributes, source, input.dtype) : input.inputs[0]!,
  );
  const small = make(node.op, inputs, node.attributes, source, node.dtype);
  return make('expand', [small], { shape: node.shape }, node.shape, node.dtype);
}

/** What a kernel takes in extents of one rank has reshapes around it that give it these; the axis that it goes along is the middle one of three then. */
function atKernelRank(node: Node, make: Make): Node {
  const extents = kernelExtents(node);
  if (!extents) return node;
  const { op, inputs, shape, dtype } = node;
  const { axis = 1 } = node.attributes as { readonly axis?: number };
  const attributes = axis === 1 ? node.attributes : { ...node.attributes, axis: 1 };
  const reshaped = (from: Node, to: Shape): Node => make('reshape', [from], { shape: to }, to, from.dtype);
  const full = extents(shape);
  if (sameShape(full, shape) && axis === 1) return node;
  const operands = inputs.map((input) => reshaped(input, extents(input.shape)));
  return reshaped(make(op, operands, attributes, full, dtype), shape);
}

/**
 * reshape(f(x)) = f(reshape(x)): an elementwise chain that ends in a reshape, and goes on elementwise behind it, becomes one chain. Done
 * where nothing else needs the unshaped value.
 */
function liftReshapes(roots: readonly Node[], stop: (node: Node) => boolean): Node[] {
  const order = topologicalOrder(roots, stop);
  const users = new Map<Node, Node[]>();
  for (const node of order) if (!stop(node)) for (const input of node.inputs) append(users, input, node);
  const kept = new Set(roots);
  const elementwise = (node: Node): boolean => !stop(node) && (node.op === 'scalar' || node.op === 'cast');
  const liftable = (node: Node): boolean => elementwise(node) && !kept.has(node) && users.get(node)?.length === 1;
  /** The shape that a value is made in at once. */
  const shapes = new Map<Node, Shape>();
  for (const node of order.toReversed()) {
    const lifted =
      !stop(node) &&
      !kept.has(node) &&
      node.op === 'reshape' &&
      users.get(node)!.every((user) => elementwise(user) || user.op === 'reduce');
    const shape = lifted ? node.shape : shapes.get(node);
    if (shape) for (const input of node.inputs) if (liftable(input)) shapes.set(input, shape);
  }
  return rebuild(roots, stop, (make, node, inputs) => {
    const shape = shapes.get(node);
    if (!shape) return again(make, node, inputs);
    const reshaped = inputs.map((input) => make('reshape', [input], { shape }, shape, input.dtype));
    return make(node.op, reshaped, node.attributes, shape, node.dtype);
  });
}
