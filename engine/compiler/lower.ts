import type { Node, OpName } from '../graph.ts';
import { type Draft, isElementwise, isPosition, leafKey } from './fuse.ts';
import { contiguous, type Layout } from './layout.ts';
import { isMovement, type Located } from './locate.ts';
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
  const node = nodes[0]!;
  if (isElementwise(node) || node.op === 'full' || node.op === 'arange') return lowerMap(nodes, stored, context);
  if (node.op === 'reduce') return lowerReduce(nodes as Node<'reduce'>[], context);
  if (isMovement(node)) {
    const source = context.locate(node.inputs[0]!);
    // Row-major order of the input is row-major order of the result, in its own shape.
    return { kind: 'copy', inputs: [view(source, node, context)], outputs: [whole(node, context, source.layout.shape)] };
  }
  // The table's type ties each lowering to its op's attributes; here node and lowering are of the same op.
  const lowering = lowerings[node.op] as Lowering<OpName> | null;
  if (!lowering) throw new Error(`the compiler has no kernel for ${node.op}`);
  return lowering(node, {
    inputs: node.inputs.map((input) => view(context.locate(input), input, context)),
    output: whole(node, context),
  });
}

function view({ base, layout }: Located, node: Node, { bufferOf }: LoweringContext): View {
  return { buffer: bufferOf(base), dtype: node.dtype, shape: layout.shape, strides: layout.strides, offset: layout.offset };
}

function whole(node: Node, context: LoweringContext, shape = node.shape): View {
  return view({ base: node, layout: contiguous(shape) }, node, context);
}

interface Operands {
  readonly inputs: readonly View[];
  readonly output: View;
}

type Lowering<Op extends OpName> = (node: Node<Op>, operands: Operands) => Kernel;

/** From a node to its kernel; null for what has none of its own. Total, so that the type checker asks for a new primitive's. */
const lowerings: { readonly [Op in OpName]: Lowering<Op> | null } = {
  // In memory before the plan runs.
  leaf: null,
  slot: null,
  placeholder: null,
  // Gone after `simplify`.
  stopGradient: null,
  customGradient: null,
  // Maps and folds, which compute several nodes at once.
  full: null,
  arange: null,
  scalar: null,
  cast: null,
  reduce: null,
  // Seen through, or copied.
  reshape: null,
  permute: null,
  expand: null,
  slice: null,
  flip: null,
  scan: ({ attributes: { fn } }, { inputs, output }) => ({ kind: 'scan', fn, inputs, outputs: [output] }),
  matmul: (_node, { inputs, output }) => ({ kind: 'matmul', epilogue: null, inputs, outputs: [output] }),
  conv2d: (node, operands) => convolution(node, 'forward', operands),
  conv2dInput: (node, operands) => convolution(node, 'input', operands),
  conv2dWeight: (node, operands) => convolution(node, 'weight', operands),
  pool: ({ attributes: { mode, kernel, stride, padding } }, { inputs, output }) => ({
    kind: 'pool',
    mode,
    kernel,
    stride,
    padding,
    inputs,
    outputs: [output],
  }),
  gather: (_node, { inputs, output }) => ({ kind: 'gather', inputs, outputs: [output] }),
  // The kernel takes the index first, as gather's transpose.
  scatterAdd: (_node, { inputs: [updates, index], output }) => ({ kind: 'scatterAdd', inputs: [index!, updates!], outputs: [output] }),
  gridSample: ({ attributes: { padding, alignCorners } }, { inputs, output }) => ({
    kind: 'gridSample',
    padding,
    alignCorners,
    inputs,
    outputs: [output],
  }),
  cholesky: (_node, { inputs, output }) => ({ kind: 'cholesky', inputs, outputs: [output] }),
  triangularSolve: ({ attributes: { lower: isLower, transpose } }, { inputs, output }) => ({
    kind: 'triangularSolve',
    lower: isLower,
    transpose,
    inputs,
    outputs: [output],
  }),
  eigh: (_node, { inputs, output }) => ({ kind: 'eigh', inputs, outputs: [output] }),
  argsort: ({ attributes: { descending } }, { inputs, output }) => ({ kind: 'argsort', descending, inputs, outputs: [output] }),
  pad: ({ attributes: { before, value } }, { inputs, output }) => ({ kind: 'pad', before, value, inputs, outputs: [output] }),
  concat: ({ attributes: { axis } }, { inputs, output }) => ({ kind: 'concat', axis, inputs, outputs: [output] }),
};

function convolution(
  { attributes: { stride, padding, dilation, groups } }: Node<'conv2d' | 'conv2dInput' | 'conv2dWeight'>,
  direction: 'forward' | 'input' | 'weight',
  { inputs, output }: Operands,
): Kernel {
  return { kind: 'conv', direction, stride, padding, dilation, groups, epilogue: null, inputs, outputs: [output] };
}

function lowerMap(nodes: readonly Node[], stored: readonly Node[], context: LoweringContext): Kernel {
  const shape = nodes[0]!.shape;
  const { program, inputs } = expression(stored, nodes, context, (layout) => layout);
  return { kind: 'map', shape, program, inputs, outputs: stored.map((node) => whole(node, context)) };
}

function lowerReduce(nodes: readonly Node<'reduce'>[], context: LoweringContext): Kernel {
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
