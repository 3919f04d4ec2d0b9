import type { Backend, Executable } from './backends/backend.ts';
import { buildPlan } from './compiler/compiler.ts';
import type { Plan } from './compiler/plan.ts';
import { type PrintOptions, printPlan } from './compiler/print.ts';
import { check, TensegrityError } from './errors.ts';
import { Node, topologicalOrder } from './graph.ts';
import { backend, bindingsOf, checkDTypes, checkReadable, inTurn, realize, settle } from './runtime.ts';
import { show } from './shape.ts';
import { newScope, type Slot, withScope } from './slot.ts';
import { Tensor } from './tensor.ts';

/** What a compiled function may return: tensors, in arrays and records of any depth. */
export type Tree = Tensor | readonly Tree[] | { readonly [name: string]: Tree };

interface Specialization<Result extends Tree> {
  readonly plan: Plan;
  readonly positions: readonly number[];
  readonly slots: readonly Slot[];
  readonly updated: readonly Slot[];
  readonly rebuild: (leaves: readonly Tensor[]) => Result;
  readonly leaves: readonly Node[];
  readonly backend: Backend;
  readonly executable: Executable;
}

export interface Compiled<Arguments extends readonly Tensor[], Result extends Tree> {
  (...args: Arguments): Promise<Result>;
  /** The plan for arguments of these shapes, built if need be; nothing runs. */
  plan(...args: Arguments): Promise<Plan>;
  /** That plan as a listing. */
  explain(args: Arguments, options?: PrintOptions): Promise<string>;
  /** Gives back the memory of its plans. It can be called again, and compiles anew. */
  dispose(): void;
}

/**
 * Turns a function of tensors into one plan, traced once for each combination of argument shapes and types and replayed afterwards.
 * Assignments of slots inside the function are part of the plan. Tensors from outside are constants of the plan, copied once. The
 * function must build the same graph each time: values that vary belong in arguments or slots.
 */
export function compile<Arguments extends readonly Tensor[], Result extends Tree>(
  fn: (...args: Arguments) => Result,
): Compiled<Arguments, Result> {
  const specializations = new Map<string, Specialization<Result>>();

  const specialize = async (args: Arguments): Promise<Specialization<Result>> => {
    const target = await backend();
    const key = args.map((x) => `${x.dtype}${show(x.shape)}`).join(' ');
    const cached = specializations.get(key);
    if (cached?.backend === target) return cached;
    cached?.executable.dispose();
    const traced = await trace(fn, args, target);
    specializations.set(key, traced);
    return traced;
  };

  const call = async (...args: Arguments): Promise<Result> => {
    const unknown = args.filter((x) => x.node.storage === null);
    if (unknown.length > 0) await realize(...unknown);
    const { positions, slots, updated, rebuild, leaves, backend: target, executable } = await specialize(args);
    return inTurn(async () => {
      const inputs = positions.map((position) => {
        const { storage } = args[position]!.node;
        check(storage, 'disposed', () => `argument ${position} of a compiled function was disposed`);
        return storage;
      });
      const buffers = await Promise.all(slots.map((slot) => slot.residentOn(target) ?? slot.bufferOn(target)));
      const outputs = await executable.run(inputs, buffers);
      for (const slot of updated) slot.updated();
      return rebuild(
        leaves.map(({ shape, dtype }, i) => {
          const node = new Node('leaf', [], {}, shape, dtype);
          settle(node, outputs[i]!);
          return new Tensor(node);
        }),
      );
    });
  };

  const plan = async (...args: Arguments): Promise<Plan> => (await specialize(args)).plan;
  return Object.assign(call, {
    plan,
    explain: async (args: Arguments, options?: PrintOptions) => printPlan(await plan(...args), options),
    dispose: () => {
      for (const { executable } of specializations.values()) executable.dispose();
      specializations.clear();
    },
  });
}

async function trace<Arguments extends readonly Tensor[], Result extends Tree>(
  fn: (...args: Arguments) => Result,
  args: Arguments,
  target: Backend,
): Promise<Specialization<Result>> {
  const scope = newScope();
  const placeholders = args.map((x, position) => new Node('placeholder', [], { position, epoch: scope.epoch }, x.shape, x.dtype));
  // The placeholders stand for the arguments one by one, so they have the same types.
  const result = withScope(scope, () => fn(...(placeholders.map((node) => new Tensor(node)) as unknown as Arguments)));
  if (result instanceof Promise)
    throw new TensegrityError('argument', 'compile: the function must not be async; reading tensors inside it is not possible');
  const { leaves, rebuild } = flatten(result);
  const updates = [...scope.assigned].map(([slot, value]) => ({ slot, value: value.node }));
  const order = topologicalOrder([...leaves, ...updates.map(({ value }) => value)], (node) => node.storage !== null);
  checkReadable(order, scope.epoch);

  const build = buildPlan({ outputs: leaves, updates, isConstant: (node) => node.op !== 'placeholder', ...bindingsOf(target) });
  checkDTypes(build, target);
  const constants = build.constants.map((node) => node.storage!);
  return {
    plan: build.plan,
    // Every input of the plan is a placeholder: values from outside are constants.
    positions: build.inputs.map((node) => (node as Node<'placeholder'>).attributes.position),
    slots: build.slots,
    updated: updates.map(({ slot }) => slot),
    rebuild,
    leaves,
    backend: target,
    executable: await target.prepare(build.plan, constants),
  };
}

/** The tensors of a tree, and how to put others in their places. */
function flatten<Result extends Tree>(tree: Result): { leaves: Node[]; rebuild: (leaves: readonly Tensor[]) => Result } {
  const leaves: Node[] = [];
  const visit = (part: Tree): ((values: readonly Tensor[]) => Tree) => {
    if (part instanceof Tensor) {
      const position = leaves.push(part.node) - 1;
      return (values) => values[position]!;
    }
    if (isList(part)) {
      const parts = part.map(visit);
      return (values) => parts.map((rebuildPart) => rebuildPart(values));
    }
    const parts = Object.entries(part).map(([name, value]) => [name, visit(value)] as const);
    return (values) => Object.fromEntries(parts.map(([name, rebuildPart]) => [name, rebuildPart(values)]));
  };
  const rebuild = visit(tree);
  // The rebuilt tree has the structure of `tree`, with tensors for tensors.
  return { leaves, rebuild: (values) => rebuild(values) as Result };
}

function isList(part: Tree): part is readonly Tree[] {
  return Array.isArray(part);
}
