import { isMarked, shown } from './arguments.ts';
import type { Backend, Executable } from './backends/backend.ts';
import { buildPlan } from './compiler/compiler.ts';
import type { Plan } from './compiler/plan.ts';
import { type PrintOptions, printPlan } from './compiler/print.ts';
import { check, TensegrityError } from './errors.ts';
import { Node, topologicalOrder } from './graph.ts';
import { backend, bindingsOf, checkDTypes, checkReadable, compute, inMemoryOf, settle, storageOn } from './runtime.ts';
import { show } from './shape.ts';
import { newScope, type Slot, withScope } from './slot.ts';
import { Tensor } from './tensor.ts';
import { inTurn } from './turn.ts';

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
  /** That plan as a listing. @throws TensegrityError `argument` for the WGSL of a backend that has none, and for times that were not measured. */
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
  check(typeof fn === 'function', 'argument', () => `compile: takes a function of tensors, got ${shown(fn)}`);
  const specializations = new Map<string, Specialization<Result>>();

  /** To be called in its turn, so that no trace is made twice. */
  const specialize = async (args: Arguments): Promise<Specialization<Result>> => {
    args.forEach((x, i) => {
      check(x instanceof Tensor, 'argument', () => `compile: argument ${i} must be a Tensor, got ${shown(x)}; wrap a number with tensor()`);
    });
    const target = await backend();
    const key = args.map((x) => `${x.dtype}${show(x.shape)}`).join(' ');
    const cached = specializations.get(key);
    if (cached?.backend === target) return cached;
    const traced = await trace(fn, args, target);
    cached?.executable.dispose();
    specializations.set(key, traced);
    return traced;
  };

  const call = (...args: Arguments): Promise<Result> =>
    inTurn(async () => {
      const { positions, slots, updated, rebuild, leaves, backend: target, executable } = await specialize(args);
      // Arguments are realised, and assignments from outside take effect, as before every plan.
      const unknown = args.filter(({ node }) => node.storage === null);
      await compute(unknown);
      for (const { node } of unknown) if (node.op !== 'slot') node.forgetHistory();
      const inputs = await Promise.all(positions.map((position) => storageOn(target, args[position]!.node)));
      const buffers = await Promise.all(slots.map((slot) => slot.bufferOn(target)));
      const outputs = await inMemoryOf(target, () => executable.run(inputs, buffers));
      for (const slot of updated) slot.updated();
      return rebuild(
        leaves.map(({ shape, dtype }, i) => {
          const node = new Node('leaf', [], {}, shape, dtype);
          settle(node, outputs[i]!);
          return new Tensor(node);
        }),
      );
    });

  return Object.assign(call, {
    // A copy: what a backend trusts is nobody's to change.
    plan: (...args: Arguments): Promise<Plan> => inTurn(async () => structuredClone((await specialize(args)).plan)),
    explain: async (args: Arguments, { programs = false, wgsl = false, times = false }: PrintOptions = {}) => {
      const { plan, executable } = await inTurn(() => specialize(args));
      check(!wgsl || executable.wgsl, 'argument', () => "explain: only the webgpu backend writes WGSL; useBackend('webgpu') first");
      check(
        !times || executable.times,
        'argument',
        () => "explain: only the webgpu backend measures times; useBackend('webgpu', { profile: true }) first",
      );
      return printPlan(
        plan,
        { programs },
        { wgsl: wgsl ? executable.wgsl?.() : [], times: times ? await executable.times?.() : undefined },
      );
    },
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
  const { leaves, rebuild } = flatten(result);
  const updates = [...scope.assigned].map(([slot, value]) => ({ slot, value: value.node }));
  const order = topologicalOrder([...leaves, ...updates.map(({ value }) => value)], (node) => node.storage !== null);
  checkReadable(order, scope.epoch);

  const build = buildPlan({ outputs: leaves, updates, isConstant: (node) => node.op !== 'placeholder', ...bindingsOf(target) });
  checkDTypes(build, target);
  const constants = await Promise.all(build.constants.map((node) => storageOn(target, node)));
  return {
    plan: build.plan,
    // Every input of the plan is a placeholder: values from outside are constants.
    positions: build.inputs.map((node) => (node as Node<'placeholder'>).attributes.position),
    slots: build.slots,
    updated: updates.map(({ slot }) => slot),
    rebuild,
    leaves,
    backend: target,
    executable: await inMemoryOf(target, () => target.prepare(build.plan, constants)),
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
    requireRecord(part);
    const parts = Object.entries(part).map(([name, value]) => [name, visit(value)] as const);
    return (values) => Object.fromEntries(parts.map(([name, rebuildPart]) => [name, rebuildPart(values)]));
  };
  const rebuild = visit(tree);
  // The rebuilt tree has the structure of `tree`, with tensors for tensors.
  return { leaves, rebuild: (values) => rebuild(values) as Result };
}

/** @throws TensegrityError `argument`, since types do not hold in plain JavaScript. */
function requireRecord(part: unknown): void {
  // As of any realm, and of any library.
  if (typeof part === 'object' && part !== null && 'then' in part && typeof part.then === 'function')
    throw new TensegrityError('argument', 'compile: the function must not be async; reading tensors inside it is not possible');
  check(
    typeof part === 'object' && part !== null && !isMarked(part),
    'argument',
    () => `compile: the function must return tensors, in arrays and records of any depth; got ${shown(part)}`,
  );
}

function isList(part: Tree): part is readonly Tree[] {
  return Array.isArray(part);
}
