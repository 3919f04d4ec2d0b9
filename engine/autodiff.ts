import { checkList, shown } from './arguments.ts';
import { isFloat } from './dtype.ts';
import { check } from './errors.ts';
import { type Node, OFTEN, type OpName, topologicalOrder } from './graph.ts';
import { full } from './ops/create.ts';
import { customGradient } from './ops/gradient.ts';
import { checkTensors, type Rule } from './ops/rule.ts';
import { rules } from './ops/rules.ts';
import { sameShape, show } from './shape.ts';
import { Slot } from './slot.ts';
import { Tensor } from './tensor.ts';

/** What a derivative can be taken with respect to: an expression, or the value of a slot. */
export type Variable = Tensor | Slot;

/** A tensor for each of them, by place: of a list of known length, as many as it has. */
export type TensorsFor<Variables extends readonly Variable[]> = { -readonly [Place in keyof Variables]: Tensor };

/**
 * Gradients of a scalar with respect to each of `variables`, as graph: they can be differentiated again. A variable that the loss does
 * not depend on has gradient zero. So has one behind `stopGradient`, behind integers (positions, comparisons), or behind a slot, whose value
 * is a constant where it comes from another slot; but where the way to a variable has been let go (by `realize`, in what a compiled
 * function returned, in a slot's value before its update), that is an error.
 * @throws TensegrityError `shape` if `loss` is not one number (use {@link vjp}), `dtype` if a variable is not of a float type, `stale` if
 * its gradient would have to go through a value whose history has been let go.
 */
export function grad<const Variables extends readonly Variable[]>(loss: Tensor, variables: Variables): TensorsFor<Variables> {
  checkTensors('grad', loss);
  check(
    loss.size === 1,
    'shape',
    () => `grad: the loss must be one number, got ${show(loss.shape)}; reduce it with sum() or mean(), or use vjp`,
  );
  return vjp(loss, variables, full(loss.shape, 1, loss.dtype));
}

/**
 * Vector-Jacobian product: the gradients of ⟨output, cotangent⟩ with respect to each of `variables`. A slot means its value that the output
 * was built from: the one assigned last, or, if the output does not depend on that, the one it holds.
 * @throws TensegrityError `shape` if the cotangent does not have the output's shape, `dtype` unless all are floats, `stale` as {@link grad}.
 */
export function vjp<const Variables extends readonly Variable[]>(
  output: Tensor,
  variables: Variables,
  cotangent: Tensor,
): TensorsFor<Variables> {
  // It makes one for each, in their order.
  return pullBack(output, variables, cotangent, []) as TensorsFor<Variables>;
}

/** The same with respect to `inputs` as they are, whatever they were made of: partial derivatives, for rules that compose. */
function partials(output: Tensor, inputs: readonly Tensor[], cotangent: Tensor): Tensor[] {
  return pullBack(output, inputs, cotangent, inputs);
}

/** @param constants where the gradient ends. */
function pullBack(output: Tensor, variables: readonly Variable[], cotangent: Tensor, constants: readonly Tensor[]): Tensor[] {
  checkTensors('vjp', output, cotangent);
  checkList('grad: the variables', variables);
  for (const variable of variables)
    check(
      variable instanceof Tensor || variable instanceof Slot,
      'argument',
      () => `grad: a variable is a tensor or a slot, got ${shown(variable)}`,
    );
  check(isFloat(output.dtype), 'dtype', () => `grad: a derivative is one of floats, got ${output.dtype} ${show(output.shape)}`);
  checkLike('vjp: the cotangent', cotangent, 'the output', output);
  const ends = new Set(constants.map(({ node }) => node));
  // What is older than all variables was not made of them. (Of a slot, older values count.)
  const oldest = variables.reduce((id, variable) => (variable instanceof Slot ? 0 : Math.min(id, variable.node.id)), Infinity);
  const order = topologicalOrder([output.node], (node) => vjpOf(node) === null || ends.has(node) || node.id < oldest);
  const reached = new Set(order);
  const targets = variables.map((variable) => {
    if (!(variable instanceof Slot)) return variable;
    return reached.has(variable.value.node) ? variable.value : variable.held;
  });
  for (const target of targets) {
    check(
      isFloat(target.dtype),
      'dtype',
      () => `grad: a derivative is taken with respect to floats, got ${target.dtype} ${show(target.shape)}`,
    );
  }
  const wanted = targets.map((target) => target.node);
  // A variable is held by whoever names it, so it will be needed again.
  for (const node of wanted) if (!ends.has(node)) node.computed = Math.max(node.computed, OFTEN);
  // Of a slot that the output has with another value only than the one it holds, that one was meant.
  const missed = variables.filter((variable, i) => variable instanceof Slot && !reached.has(targets[i]!.node)) as Slot[];
  const given = new Set(missed.map((slot) => slot.given?.deref()));
  const led = wanted.filter((target) => target.leads !== null || target.is('slot'));
  const lost = order.filter((node) => {
    if (ends.has(node)) return false;
    if (node.is('slot')) return missed.includes(node.attributes.slot);
    const { past } = node;
    return given.has(node) || (past && (led.some((target) => past.has(target, node)) || missed.some((slot) => past.versionOf(slot) >= 0)));
  });
  const cotangents = propagate(order, output, new Set([...wanted, ...lost]), ends, cotangent);
  for (const node of lost) {
    check(
      !cotangents.has(node),
      'stale',
      () =>
        `grad: the history of a value of shape ${show(node.shape)} has been let go, and a variable was part of it; take the gradient before realize, before the slot's update, or inside the compiled function, or use stopGradient() if a constant is meant`,
    );
  }
  return targets.map((target) => cotangents.get(target.node) ?? full(target.shape, 0, target.dtype));
}

function checkLike(what: string, value: Tensor, whose: string, like: Tensor): void {
  check(
    sameShape(value.shape, like.shape),
    'shape',
    () => `${what} has shape ${show(value.shape)}, ${whose} ${show(like.shape)}; they must be equal`,
  );
  check(
    value.dtype === like.dtype,
    'dtype',
    () => `${what} is ${value.dtype}, ${whose} ${like.dtype}; convert with .cast('${like.dtype}')`,
  );
}

/** @param order every node that the output needs, inputs first; it is used up. */
function propagate(
  order: Node[],
  output: Tensor,
  targets: ReadonlySet<Node>,
  ends: ReadonlySet<Node>,
  cotangent: Tensor,
): Map<Node, Tensor> {
  const ruleFor = (node: Node): Rule<OpName>['vjp'] => (ends.has(node) ? null : vjpOf(node));
  const active = new Set<Node>();
  for (const node of order) {
    if (targets.has(node) || (ruleFor(node) !== null && node.inputs.some((input) => active.has(input)))) active.add(node);
  }
  const cotangents = new Map<Node, Tensor>();
  if (active.has(output.node)) cotangents.set(output.node, cotangent);
  for (const node of order.reverse()) {
    const g = cotangents.get(node);
    const rule = ruleFor(node);
    if (!g || !rule || !node.inputs.some((input) => active.has(input))) continue;
    const contributions = rule({
      g,
      inputs: node.inputs.map((input) => new Tensor(input)),
      output: new Tensor(node),
      attributes: node.attributes,
      through: partials,
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
  return rules[node.op].vjp as Rule<OpName>['vjp'];
}

/**
 * Jacobian-vector product: the derivative of `output` along `tangents`, one for each of `variables`. By the double-vjp identity:
 * vjp is linear in its cotangent u, and the gradient in u of ⟨vjp(u), t⟩ is J·t.
 */
export function jvp(output: Tensor, variables: readonly Variable[], tangents: readonly Tensor[]): Tensor {
  checkTensors('jvp', output);
  // Any value but 0, which would stand for what nothing depends on, will do for u; it must be a node of its own.
  const u = full(output.shape, 1, output.dtype);
  return grad(inner('jvp: tangent', vjp(output, variables, u), tangents), [u])[0].cast(output.dtype);
}

/** Hessian of `loss` times `vectors`: the gradient of ⟨∇loss, v⟩ for constant v, whatever that was made of. */
export function hessianVectorProduct<const Variables extends readonly Variable[]>(
  loss: Tensor,
  variables: Variables,
  vectors: readonly Tensor[],
): TensorsFor<Variables> {
  const what = 'hessianVectorProduct: vector';
  checkList(`${what}s`, vectors);
  checkTensors(what, ...vectors);
  // The gradient ends at nodes of their own, which a later one passes.
  const constants = vectors.map((v) => customGradient(v, [v], (g) => [g]));
  const product = inner(what, grad(loss, variables), constants);
  return pullBack(product, variables, full([], 1, product.dtype), constants) as TensorsFor<Variables>;
}

/** Σ ⟨xᵢ, yᵢ⟩. @throws TensegrityError `argument`, `shape`, `dtype` unless the `ys` are like the `xs`. */
function inner(what: string, xs: readonly Tensor[], ys: readonly Tensor[]): Tensor {
  checkList(`${what}s`, ys);
  checkTensors(what, ...ys);
  check(xs.length === ys.length, 'argument', () => `${what}s: ${xs.length} variables need as many, got ${ys.length}`);
  return xs.reduce(
    (sum, x, i) => {
      const y = ys[i]!;
      checkLike(`${what} ${i}`, y, 'its variable', x);
      return sum.add(x.mul(y).sum());
    },
    full([], 0),
  );
}
