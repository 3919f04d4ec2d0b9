import { isOwn, shown } from '../arguments.ts';
import type { DType } from '../dtype.ts';
import { check } from '../errors.ts';
import { type Attributes, Node, type OpName } from '../graph.ts';
import type { Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

/** What a primitive is to the graph: its shape rule and its derivative. */
export interface Rule<Op extends OpName> {
  readonly op: Op;
  /** The result's shape and element type. @throws TensegrityError naming the op, the shapes and what would fit. */
  readonly infer: (inputs: readonly Node[], attributes: Attributes[Op]) => { readonly shape: Shape; readonly dtype: DType };
  /**
   * Vector-Jacobian product: cotangents of `inputs`, given the cotangent `g` of `output`; `null` where the output does not depend on an
   * input, or is constant almost everywhere in it. `null` as a whole: the gradient ends here.
   */
  readonly vjp: ((context: VjpContext<Op>) => readonly (Tensor | null)[]) | null;
}

export interface VjpContext<Op extends OpName> {
  readonly g: Tensor;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  readonly attributes: Attributes[Op];
  /** Cotangents of `inputs`, which `output` was composed of, given its cotangent: for a rule whose derivative is that of a composition. */
  readonly through: (output: Tensor, inputs: readonly Tensor[], cotangent: Tensor) => readonly Tensor[];
}

/** Whether it is a tensor. Ops need the type alone, and make theirs from one at hand: `x.of(node)`. */
export function isTensor(value: unknown): value is Tensor {
  return isOwn(value, 'Tensor');
}

/** @throws TensegrityError `argument` for anything but tensors. */
export function checkTensors(op: string, ...values: readonly unknown[]): void {
  checkAll(op, values);
}

/** The same of a list, which may be longer than a call has arguments. */
export function checkAll(op: string, values: readonly unknown[]): void {
  for (const value of values) check(isTensor(value), 'argument', () => `${op}: takes tensors, got ${shown(value)}; make one with tensor()`);
}

/** Builds a node by its rule; nothing is computed. */
export function apply<Op extends OpName>(rule: Rule<Op>, inputs: readonly Tensor[], attributes: Attributes[Op]): Tensor {
  checkAll(rule.op, inputs);
  const nodes = inputs.map((input) => input.node);
  const { shape, dtype } = rule.infer(nodes, attributes);
  return inputs[0]!.of(new Node(rule.op, nodes, attributes, shape, dtype));
}
