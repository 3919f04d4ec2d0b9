import { isFloat } from './dtype.ts';
import { check, TensegrityError } from './errors.ts';
import { type Node, type OpName, topologicalOrder } from './graph.ts';
import { full } from './ops/create.ts';
import type { Rule } from './ops/rule.ts';
import { ruleOf } from './ops/rules.ts';
import { sameShape, show } from './shape.ts';
import { Slot } from './slot.ts';
import { Tensor } from './tensor.ts';

/** What a derivative can be taken with respect to: an expression, or the value of a slot. */
export type Variable = Tensor | Slot;

/**
 * Gradients of a scalar with respect to each of `variables`, as graph: they can be differentiated again. A variable that the loss does
 * not depend on has gradient zero.
 * @throws TensegrityError `shape` if `loss` is not one number (use {@link vjp}), `dtype` if a variable is not of a float type.
 */
export function grad(loss: Tensor, variables: readonly Variable[]): Tensor[] {
  check(
    loss.size === 1,
    'shape',
    () => `grad: the loss must be one number, got ${show(loss.shape)}; reduce it with sum() or mean(), or use vjp`,
  );
  return vjp(loss, variables, full(loss.shape, 1, loss.dtype));
}

/**
 * Vector-Jacobian product: the gradients of ⟨output, cotangent⟩ with respect to each of `variables`.
 * @throws TensegrityError `shape` if the cotangent does not have the output's shape.
 */
export function vjp(output: Tensor, variables: readonly Variable[], cotangent: Tensor): Tensor[] {
  check(
    sameShape(output.shape, cotangent.shape),
    'shape',
    () => `vjp: the output has shape ${show(output.shape)}, its cotangent ${show(cotangent.shape)}`,
  );
  const targets = variables.map((variable) => (variable instanceof Slot ? variable.value : variable));
  for (const target of targets) {
    check(
      isFloat(target.dtype),
      'dtype',
      () => `grad: a derivative is taken with respect to floats, got ${target.dtype} ${show(target.shape)}`,
    );
  }
  const cotangents = propagate(output, new Set(targets.map((target) => target.node)), cotangent);
  return targets.map((target) => cotangents.get(target.node) ?? full(target.shape, 0, target.dtype));
}

function propagate(output: Tensor, targets: ReadonlySet<Node>, cotangent: Tensor): Map<Node, Tensor> {
  const order = topologicalOrder([output.node], (node) => vjpOf(node) === null);
  const active = new Set<Node>();
  for (const node of order) {
    if (targets.has(node) || (vjpOf(node) !== null && node.inputs.some((input) => active.has(input)))) active.add(node);
  }
  const cotangents = new Map<Node, Tensor>();
  if (active.has(output.node)) cotangents.set(output.node, cotangent);
  for (const node of order.reverse()) {
    const g = cotangents.get(node);
    const rule = vjpOf(node);
    if (!g || !rule || !node.inputs.some((input) => active.has(input))) continue;
    const contributions = rule({
      g,
      inputs: node.inputs.map((input) => new Tensor(input)),
      output: new Tensor(node),
      attributes: node.attributes,
    });
    node.inputs.forEach((input, i) => {
      const contribution = contributions[i];
      if (!contribution || !active.has(input)) return;
      const sum = cotangents.get(input);
      cotangents.set(input, sum ? sum.add(contribution) : contribution);
    });
  }
  return cotangents;
}

function vjpOf(node: Node): Rule<OpName>['vjp'] {
  // The table's type ties each rule to its op's attributes; here node and rule are of the same op.
  return ruleOf(node.op).vjp as Rule<OpName>['vjp'];
}

/**
 * Jacobian-vector product: the derivative of `output` along `tangents`, one for each of `variables`. By the double-vjp identity:
 * vjp is linear in its cotangent u, and the gradient in u of ⟨vjp(u), t⟩ is J·t.
 */
export function jvp(output: Tensor, variables: readonly Variable[], tangents: readonly Tensor[]): Tensor {
  if (tangents.length !== variables.length)
    throw new TensegrityError('argument', `jvp: ${variables.length} variables need as many tangents, got ${tangents.length}`);
  // Any value will do for u; it must be a node of its own.
  const u = full(output.shape, 0, output.dtype);
  const products = vjp(output, variables, u);
  const total = products.map((product, i) => product.mul(tangents[i]!).sum()).reduce((sum, term) => sum.add(term));
  return vjp(total, [u], full([], 1, total.dtype))[0]!;
}

/** Hessian of `loss` times `vectors`: the gradient of ⟨∇loss, v⟩. */
export function hessianVectorProduct(loss: Tensor, variables: readonly Variable[], vectors: readonly Tensor[]): Tensor[] {
  const gradients = grad(loss, variables);
  const product = gradients.map((gradient, i) => gradient.mul(vectors[i]!).sum()).reduce((sum, term) => sum.add(term));
  return grad(product, variables);
}
