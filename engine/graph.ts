import type { Storage } from './backends/backend.ts';
import type { PoolKernel, Reduction, ScanKernel } from './compiler/plan.ts';
import type { DType, TypedArray } from './dtype.ts';
import type { Leads, Past } from './history.ts';
import type { ScalarName } from './scalar.ts';
import type { Shape } from './shape.ts';
import type { Slot } from './slot.ts';
import type { Tensor } from './tensor.ts';

export interface ConvolutionAttributes {
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

/** The closed set of primitives, each with its attributes. Everything else is composed from them. */
export interface Attributes {
  /** A value that is there: `node.storage` holds it. */
  readonly leaf: Record<never, never>;
  /** The value of a slot, as it was at `version`. `epoch` tells a trace's leaves from others'. */
  readonly slot: { readonly slot: Slot; readonly version: number; readonly epoch: number };
  /** An argument of a function while `compile` traces it. */
  readonly placeholder: { readonly position: number; readonly epoch: number };
  readonly full: { readonly value: number };
  /** `i32` 0, 1, … along one axis. */
  readonly arange: Record<never, never>;
  readonly scalar: { readonly fn: ScalarName };
  readonly cast: { readonly dtype: DType };
  /** The folded axes are dropped. */
  readonly reduce: { readonly fn: Reduction; readonly axes: readonly number[] };
  /** What the axis holds up to each element, itself with it. */
  readonly scan: { readonly fn: ScanKernel['fn']; readonly axis: number };
  readonly reshape: { readonly shape: Shape };
  readonly permute: { readonly axes: readonly number[] };
  readonly expand: { readonly shape: Shape };
  readonly slice: { readonly start: readonly number[]; readonly length: readonly number[]; readonly step: readonly number[] };
  readonly flip: { readonly axes: readonly number[] };
  readonly pad: { readonly before: readonly number[]; readonly after: readonly number[]; readonly value: number };
  readonly concat: { readonly axis: number };
  readonly matmul: Record<never, never>;
  readonly conv2d: ConvolutionAttributes;
  readonly conv2dInput: ConvolutionAttributes & { readonly size: readonly [number, number] };
  readonly conv2dWeight: ConvolutionAttributes & { readonly size: readonly [number, number] };
  readonly pool: Pick<PoolKernel, 'mode' | 'kernel' | 'stride' | 'padding'> & { readonly size?: readonly [number, number] };
  readonly gather: { readonly axis: number };
  readonly scatterAdd: { readonly axis: number; readonly size: number };
  readonly scatter: { readonly axis: number };
  readonly gridSample: { readonly padding: 'zeros' | 'border'; readonly alignCorners: boolean };
  readonly cholesky: Record<never, never>;
  readonly triangularSolve: { readonly lower: boolean; readonly transpose: boolean };
  /** Eigenvalues in row 0, eigenvectors below: see EighKernel. */
  readonly eigh: Record<never, never>;
  readonly argsort: { readonly descending: boolean };
  readonly stopGradient: Record<never, never>;
  /** Its value is that of input 0; the cotangents of the further inputs come from `vjp`. */
  readonly customGradient: { readonly vjp: (g: Tensor) => readonly (Tensor | null)[] };
}

export type OpName = keyof Attributes;

/** Attributes whose lists are nobody else's: the graph must not follow what callers do later to what they gave. */
function owned<T extends object>(attributes: T): T {
  let own = attributes;
  for (const name in attributes) {
    const value = attributes[name];
    if (!Array.isArray(value)) continue;
    if (own === attributes) own = { ...attributes };
    // A copy is of its type.
    own[name] = value.slice() as typeof value;
  }
  return own;
}

/** In how many plans a value is computed before it is kept. */
export const OFTEN = 2;

let nextId = 1;

/** An id that later nodes are above. */
export function newId(): number {
  return nextId++;
}

/** A node of the lazy graph. Immutable, but that its value becomes known (`storage`), and then may stand for what led to it. */
export class Node<Op extends OpName = OpName> {
  readonly id: number;
  readonly op: Op;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes[Op];
  readonly shape: Shape;
  readonly dtype: DType;
  storage: Storage | null = null;
  disposed = false;
  /** What led to the value, where that has been let go. */
  past: Past | null = null;
  /** To which such values it led. */
  leads: Leads | null = null;
  /** In how many plans it was computed on the way to something else, and how many bytes of history it keeps where it was read. */
  computed = 0;
  reach = 0;

  constructor(op: Op, inputs: readonly Node[], attributes: Attributes[Op], shape: Shape, dtype: DType) {
    this.id = newId();
    this.op = op;
    this.inputs = inputs;
    this.attributes = owned(attributes);
    this.shape = shape.slice();
    this.dtype = dtype;
  }

  /** Narrows the node to one op, with that op's attributes. */
  is<Name extends OpName>(op: Name): this is Node<Name> {
    return (this.op as OpName) === op;
  }
}

/** A leaf that holds `data`, which must not be changed afterwards. */
export function leafNode(data: TypedArray, shape: Shape, dtype: DType): Node<'leaf'> {
  const node = new Node('leaf', [], {}, shape, dtype);
  node.storage = data;
  return node;
}

/**
 * Every node that `roots` need, inputs before users. Walks no further than nodes for which `stop` holds, which are included.
 * Iterative, so that a graph of any depth is walked.
 */
export function topologicalOrder(roots: readonly Node[], stop: (node: Node) => boolean = () => false): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const inputs = stop(top.node) ? [] : top.node.inputs;
      if (top.next === inputs.length) {
        order.push(top.node);
        stack.pop();
        continue;
      }
      const input = inputs[top.next++]!;
      if (!seen.has(input)) {
        seen.add(input);
        stack.push({ node: input, next: 0 });
      }
    }
  }
  return order;
}
