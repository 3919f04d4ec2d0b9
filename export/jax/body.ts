/** From a graph to the lines of a Python function. */

import { simplify } from '../../engine/compiler/simplify.ts';
import type { TypedArray } from '../../engine/dtype.ts';
import { TensegrityError } from '../../engine/errors.ts';
import type { Node, OpName } from '../../engine/graph.ts';
import { scalarRow } from '../../engine/scalar.ts';
import { broadcastShapes, type Shape, sameShape, show, sizeOf } from '../../engine/shape.ts';
import type { Slot } from '../../engine/slot.ts';
import { helpers } from './helpers.ts';
import { ops } from './ops.ts';
import { atom, jaxType, literal, Names, substituted, tuple } from './python.ts';
import { scalarTexts } from './scalars.ts';

/** What a function's values are called that it does not compute. */
export interface Sources {
  /** Of an argument of the graph, by its position. */
  readonly placeholder: (position: number) => string;
  readonly slot: (slot: Slot) => string;
  /** Of an array that is part of the graph. */
  readonly constant: (value: TypedArray, node: Node) => string;
}

export interface Body {
  /** Statements, in order, without indentation. */
  readonly lines: readonly string[];
  /** Each root as an expression, in order. */
  readonly results: readonly string[];
}

/** A value as Python has it. */
interface Code {
  readonly text: string;
  /** Whether it is a truth value, which is u8 here. */
  readonly truth: boolean;
}

/** What fits in a line of a module beside a name and a comment. */
const LONGEST = 88;

const isSource = (node: Node): boolean => node.storage !== null || node.op === 'leaf' || node.op === 'slot' || node.op === 'placeholder';

/** Values that lie elsewhere are read into ordinary memory before. */
async function valuesOf(nodes: readonly Node[]): Promise<ReadonlyMap<Node, TypedArray>> {
  const held = nodes.filter(({ storage }) => storage !== null);
  const read = async ({ storage, dtype, shape }: Node): Promise<TypedArray> =>
    ArrayBuffer.isView(storage) ? storage : storage!.backend.read(storage!, dtype, sizeOf(shape));
  return new Map(await Promise.all(held.map(async (node) => [node, await read(node)] as const)));
}

/**
 * The statements that compute `roots`. Values that are used once are written where they are used; the others have names: `named` says which, else they are called as
 * their op, and those that a layer computes as the layer.
 * @throws TensegrityError `dtype` for a graph with f64.
 */
export async function bodyOf(roots: readonly Node[], sources: Sources, named: ReadonlyMap<Node, string>): Promise<Body> {
  const { roots: shared, original } = simplify(roots, isSource, false);
  const wished = new Map(roots.flatMap((root, i) => (named.has(root) ? [[shared[i]!, named.get(root)!]] : [])));
  const order = needed(shared);
  const values = await valuesOf(order);
  const uses = new Map<Node, number>();
  for (const node of order) for (const operand of operandsOf(node)) uses.set(operand, (uses.get(operand) ?? 0) + 1);
  const kept = new Set(shared);
  const names = new Names(Object.keys(helpers));
  const codes = new Map<Node, Code>();
  const lines: string[] = [];
  const source = (node: Node): string | null => {
    if (node.storage !== null) return sources.constant(values.get(node)!, original(node));
    if (node.is('slot')) return sources.slot(node.attributes.slot);
    return node.is('placeholder') ? sources.placeholder(node.attributes.position) : null;
  };
  for (const node of order) {
    jaxType(node.dtype);
    const given = isSource(node) ? source(node) : null;
    const code = given === null ? codeOf(node, codes) : { text: given, truth: false };
    const once = (uses.get(node) ?? 0) <= 1 && !kept.has(node) && code.text.length <= LONGEST;
    if (given !== null || node.op === 'full' || once) {
      codes.set(node, code);
      continue;
    }
    const name = names.of(wished.get(node) ?? nameOf(node));
    lines.push(`${name} = ${code.text}  # ${code.truth ? 'bool' : node.dtype} ${show(node.shape)}`);
    codes.set(node, { text: name, truth: code.truth });
  }
  return { lines, results: shared.map((root) => asNumber(codes.get(root)!)) };
}

/** Every node that is computed on the way to the roots, and what they are computed of, in the order in which the graph was built: forwards, backwards, updates. */
function needed(roots: readonly Node[]): Node[] {
  const all = new Set<Node>();
  const waiting = [...roots];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (all.has(node)) continue;
    all.add(node);
    waiting.push(...operandsOf(node));
  }
  return [...all].sort((a, b) => a.id - b.id);
}

const unexpanded = (node: Node): Node => (node.op === 'expand' ? node.inputs[0]! : node);

/** What a node is computed of: operands before they were repeated, where JAX repeats them by itself. */
function operandsOf(node: Node): readonly Node[] {
  if (isSource(node)) return [];
  if (node.op === 'scalar') {
    const operands = node.inputs.map(unexpanded);
    return operands.some(({ op }) => op !== 'full') && sameShape(broadcast(operands), node.shape) ? operands : node.inputs;
  }
  if (node.op === 'gather' || node.op === 'scatterAdd') {
    const [x, index] = node.inputs as readonly [Node, Node];
    const rows = unexpanded(index);
    return rows.shape.length === index.shape.length ? [x, rows] : node.inputs;
  }
  return node.inputs;
}

/** The shape of what NumPy makes of them; a value that is everywhere the same is a number. */
function broadcast(operands: readonly Node[]): Shape {
  return broadcastShapes(
    operands.map(({ op, shape }) => (op === 'full' ? [] : shape)),
    'export',
  );
}

const asNumber = ({ text, truth }: Code): string => (truth ? `${atom(text)}.astype(jnp.uint8)` : text);

function codeOf(node: Node, codes: ReadonlyMap<Node, Code>): Code {
  const operands = operandsOf(node);
  if (node.is('scalar')) return scalarCode(node, operands, codes);
  const texts = operands.map((operand) => {
    const code = codes.get(operand)!;
    // A truth value is converted as it is.
    return node.op === 'cast' ? code.text : asNumber(code);
  });
  // The table's type ties each row to its op's node.
  const row = ops[node.op] as ((node: Node<OpName>, operands: readonly string[]) => string) | null;
  if (row === null) throw new TensegrityError('argument', `export: ${node.op} ${show(node.shape)} is nothing that JAX could compute`);
  return { text: row(node, texts), truth: false };
}

function scalarCode(node: Node<'scalar'>, operands: readonly Node[], codes: ReadonlyMap<Node, Code>): Code {
  const { fn } = node.attributes;
  const { typing } = scalarRow(fn);
  const row = scalarTexts[fn];
  if (row === null) throw new TensegrityError('argument', `export: ${fn} is of a kernel's program, and no graph has it`);
  const first = typing === 'select' ? 1 : 0;
  // Numbers adopt the type of what they are computed with; where there are only numbers, the first says which it is.
  const numbersOnly = operands.slice(first).every(({ op }) => op === 'full');
  const texts = operands.map((operand, i) => {
    if (operand.is('full')) {
      const text = literal(operand.attributes.value, operand.dtype);
      return numbersOnly && i === first ? `${jaxType(operand.dtype)}(${text})` : text;
    }
    const code = codes.get(operand)!;
    if (i >= first) return asNumber(code);
    return code.truth ? code.text : `${atom(code.text)} != 0`;
  });
  const isFloat = operands.at(-1)!.dtype === 'f32';
  const text = substituted(typeof row === 'string' ? row : row[isFloat ? 0 : 1], texts);
  const whole = sameShape(broadcast(operands), node.shape);
  return { text: whole ? text : `jnp.broadcast_to(${text}, ${tuple(node.shape)})`, truth: typing === 'compare' };
}

/** A layer's result has the layer's name; everything else that of its op. */
function nameOf(node: Node): string {
  const layer = node.inputs.map(weightOf).find((name) => name !== null);
  if ((node.op === 'conv2d' || node.op === 'matmul') && layer) return layer;
  if (node.is('scalar') || node.is('reduce') || node.is('scan')) return node.attributes.fn;
  return node.op;
}

/** The name of the module whose weight it is, moved about perhaps. */
function weightOf(node: Node): string | null {
  if (node.is('slot')) return node.attributes.slot.name.split('.').slice(0, -1).join('.');
  const moved = node.op === 'permute' || node.op === 'reshape' || node.op === 'expand';
  return moved ? weightOf(node.inputs[0]!) : null;
}
