import type { Attributes, Node, OpName } from '../graph.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { type Draft, isPosition, leafKey } from './fuse.ts';
import { contiguous, type Layout } from './layout.ts';
import type { Located } from './locate.ts';
import type { ConvKernel, Kernel, MapKernel, MatmulKernel, Program, Reduction, View } from './plan.ts';
import { ProgramBuilder, scalarOf, type Value } from './program.ts';

export interface LoweringContext {
  readonly locate: (node: Node) => Located;
  readonly isVirtual: (node: Node) => boolean;
  /** The buffer of a node that is in memory. */
  readonly bufferOf: (node: Node) => number;
}

/** The kernel of a draft. A product that it finishes must have the buffer of the result. */
export function lower({ nodes, stored, product }: Draft, context: LoweringContext): Kernel {
  const kernel = lowerNodes(nodes, stored, context);
  if (!product) return kernel;
  // What `fuse` calls a product is lowered to one of these, and what finishes it to a map.
  const made = lowerNodes([product], [product], context) as MatmulKernel | ConvKernel;
  const { program, inputs } = kernel as MapKernel;
  return { ...made, epilogue: program, inputs: [...made.inputs, ...inputs] };
}

function lowerNodes(nodes: readonly Node[], stored: readonly Node[], context: LoweringContext): Kernel {
  // The table's type ties each lowering to its op's attributes; here node and lowering are of the same op.
  const lowering = lowerings[nodes[0]!.op] as Lowering<OpName> | null;
  if (!lowering) throw new Error(`the compiler has no kernel for ${nodes[0]!.op}`);
  return lowering.lower(nodes, stored, context);
}

function view({ base, layout }: Located, node: Node, { bufferOf }: LoweringContext): View {
  return { buffer: bufferOf(base), dtype: node.dtype, shape: layout.shape, strides: layout.strides, offset: layout.offset };
}

function whole(node: Node, context: LoweringContext, shape = node.shape): View {
  return view({ base: node, layout: contiguous(shape) }, node, context);
}

/** How an op becomes a kernel. */
interface Lowering<Op extends OpName> {
  /** The extents in which the kernel takes a shape, where it takes so many and no others; null: it takes them as they are. */
  readonly extents: Extents<Attributes[Op]> | null;
  /** @param stored what others need of the nodes, which are one, but of those that a map or a fold computes at once. */
  readonly lower: (nodes: readonly Node<Op>[], stored: readonly Node[], context: LoweringContext) => Kernel;
}

type Extents<A> = (shape: Shape, attributes: A) => Shape;

const matrices: Extents<unknown> = (shape) => [sizeOf(shape.slice(0, -2)), ...shape.slice(-2)];
const rows: Extents<unknown> = (shape) => [sizeOf(shape.slice(0, -1)), shape.at(-1) ?? 1];
const lines: Extents<{ readonly axis: number }> = (shape, { axis }) => [
  sizeOf(shape.slice(0, axis)),
  shape[axis]!,
  sizeOf(shape.slice(axis + 1)),
];

/** The lowering of an op whose kernel computes one node, from what this has for operands. */
function alone<Op extends OpName>(
  extents: Extents<Attributes[Op]> | null,
  kernel: (attributes: Attributes[Op], views: Pick<Kernel, 'inputs' | 'outputs'>) => Kernel,
): Lowering<Op> {
  return {
    extents,
    lower: ([node], _stored, context) =>
      kernel(node!.attributes, {
        inputs: node!.inputs.map((input) => view(context.locate(input), input, context)),
        outputs: [whole(node!, context)],
      }),
  };
}

const map = { extents: null, lower: lowerMap };
const fold = { extents: null, lower: lowerReduce };
/** What strides cannot express. */
const copy = {
  extents: null,
  lower: ([node]: readonly Node[], _stored: readonly Node[], context: LoweringContext): Kernel => {
    const [input] = node!.inputs;
    const source = context.locate(input!);
    // Row-major order of the input is row-major order of the result, in its own shape.
    return { kind: 'copy', inputs: [view(source, node!, context)], outputs: [whole(node!, context, source.layout.shape)] };
  },
};

function convolution(direction: ConvKernel['direction']): Lowering<'conv2d' | 'conv2dInput' | 'conv2dWeight'> {
  return alone(null, ({ stride, padding, dilation, groups }, views) => ({
    kind: 'conv',
    direction,
    stride,
    padding,
    dilation,
    groups,
    epilogue: null,
    ...views,
  }));
}

/** From ops to kernels; null for those that have none. Total, so that the type checker asks for a new primitive's, and for the extents that it takes. */
const lowerings: { readonly [Op in OpName]: Lowering<Op> | null } = {
  // In memory before the plan runs.
  leaf: null,
  slot: null,
  placeholder: null,
  // Gone after `simplify`.
  stopGradient: null,
  customGradient: null,
  full: map,
  arange: map,
  scalar: map,
  cast: map,
  reduce: fold,
  reshape: copy,
  permute: copy,
  expand: copy,
  slice: copy,
  flip: copy,
  pad: alone(null, ({ before, value }, views) => ({ kind: 'pad', before, value, ...views })),
  concat: alone(null, ({ axis }, views) => ({ kind: 'concat', axis, ...views })),
  scan: alone(lines, ({ fn }, views) => ({ kind: 'scan', fn, ...views })),
  matmul: alone(matrices, (_, views) => ({ kind: 'matmul', epilogue: null, ...views })),
  conv2d: convolution('forward'),
  conv2dInput: convolution('input'),
  conv2dWeight: convolution('weight'),
  pool: alone(null, ({ mode, kernel, stride, padding }, views) => ({ kind: 'pool', mode, kernel, stride, padding, ...views })),
  gather: alone(lines, (_, views) => ({ kind: 'gather', ...views })),
  // The kernel takes the index first, as gather's transpose.
  scatterAdd: alone(lines, (_, { inputs, outputs }) => ({ kind: 'scatterAdd', inputs: inputs.toReversed(), outputs })),
  // What elements are replaced in is where the output is.
  scatter: alone(lines, (_, { inputs, outputs }) => ({ kind: 'scatter', inputs: inputs.slice(1), outputs })),
  gridSample: alone(null, ({ padding, alignCorners }, views) => ({ kind: 'gridSample', padding, alignCorners, ...views })),
  cholesky: alone(matrices, (_, views) => ({ kind: 'cholesky', ...views })),
  triangularSolve: alone(matrices, ({ lower: isLower, transpose }, views) => ({
    kind: 'triangularSolve',
    lower: isLower,
    transpose,
    ...views,
  })),
  eigh: alone(matrices, (_, views) => ({ kind: 'eigh', ...views })),
  argsort: alone(rows, ({ descending }, views) => ({ kind: 'argsort', descending, ...views })),
};

/** A node's extents as its kernel takes them; null where it takes them as they are. */
export function kernelExtents({ op, attributes }: Node): ((shape: Shape) => Shape) | null {
  const extents = (lowerings[op] as Lowering<OpName> | null)?.extents;
  return extents ? (shape) => extents(shape, attributes) : null;
}

function lowerMap(nodes: readonly Node[], stored: readonly Node[], context: LoweringContext): Kernel {
  const shape = nodes[0]!.shape;
  const { program, inputs } = expression(stored, nodes, context, (layout) => layout);
  return { kind: 'map', shape, program, inputs, outputs: stored.map((node) => whole(node, context)) };
}

function lowerReduce(nodes: readonly Node<'reduce'>[], _stored: readonly Node[], context: LoweringContext): Kernel {
  const { axes } = nodes[0]!.attributes;
  const full = nodes[0]!.inputs[0]!.shape;
  const kept = full.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const permuted = (layout: Layout): Layout => ({
    shape: order.map((axis) => layout.shape[axis]!),
    strides: order.map((axis) => layout.strides[axis]!),
    offset: layout.offset,
  });
  const { program, inputs } = expression(
    nodes.map((node) => node.inputs[0]!),
    [],
    context,
    permuted,
  );
  return {
    kind: 'reduce',
    shape: order.map((axis) => full[axis]!),
    reduced: axes.length,
    program,
    reductions: nodes.map((node): Reduction => node.attributes.fn),
    inputs,
    outputs: nodes.map((node) => whole(node, context)),
  };
}

/** The program that computes `results`, and the views it reads. `own` are values that this kernel itself computes. */
function expression(
  results: readonly Node[],
  own: readonly Node[],
  { locate, isVirtual, bufferOf }: LoweringContext,
  place: (layout: Layout) => Layout,
): { program: Program; inputs: View[] } {
  const builder = new ProgramBuilder();
  const inputs: View[] = [];
  const numbers = new Map<string, number>();
  const memo = new Map<Node, Value>();
  const mine = new Set(own);

  /** What a value is computed of here; nothing, if it is known or read. */
  const operandsOf = (node: Node): readonly Node[] => {
    const located = locate(node);
    // Only maps walk in row-major order for certain; folds never get here with a position (see `fuse`).
    if (located.base.op === 'full' || (own.length > 0 && isPosition(located))) return [];
    if (mine.has(located.base) && located.base !== node) return [located.base];
    return mine.has(node) || isVirtual(node) ? node.inputs : [];
  };
  // Iterative, so that kernels may be as deep as they like.
  const emit = (root: Node): Value => {
    const stack = [root];
    for (let node = stack.at(-1); node; node = stack.at(-1)) {
      const operands = operandsOf(node);
      const missing = memo.has(node) ? [] : operands.filter((operand) => !memo.has(operand));
      if (missing.length > 0) {
        stack.push(...missing.reverse());
        continue;
      }
      if (!memo.has(node))
        memo.set(
          node,
          build(
            node,
            operands.map((operand) => memo.get(operand)!),
          ),
        );
      stack.pop();
    }
    return memo.get(root)!;
  };
  const build = (node: Node, operands: readonly Value[]): Value => {
    const located = locate(node);
    if (located.base.is('full')) return builder.constant(located.base.attributes.value, node.dtype);
    if (own.length > 0 && isPosition(located)) return builder.instruction('index', 'i32', []);
    if (operands.length > 0) {
      const scalar = located.base === node ? scalarOf(node) : null;
      return scalar ? builder.instruction(scalar.op, scalar.lane, operands) : operands[0]!;
    }
    const key = leafKey(located);
    let number = numbers.get(key);
    if (number === undefined) {
      const layout = place(located.layout);
      number =
        inputs.push({
          buffer: bufferOf(located.base),
          dtype: node.dtype,
          shape: layout.shape,
          strides: layout.strides,
          offset: layout.offset,
        }) - 1;
      numbers.set(key, number);
    }
    return builder.input(number);
  };
  const values = results.map(emit);
  return { program: builder.build(values), inputs };
}
