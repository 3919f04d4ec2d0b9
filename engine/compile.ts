import { options, shown } from './arguments.ts';
import type { Backend, Executable } from './backends/backend.ts';
import { whenCollected } from './collect.ts';
import { buildPlan } from './compiler/compiler.ts';
import type { Plan } from './compiler/plan.ts';
import { type PrintOptions, printPlan } from './compiler/print.ts';
import { isFloat } from './dtype.ts';
import { check } from './errors.ts';
import { Node, newId, topologicalOrder } from './graph.ts';
import { type Behind, behind, behindNearby, differentiable, type Past, remember } from './history.ts';
import type { SaveOptions } from './plan/save.ts';
import { backend, bindingsOf, buffersOn, checkDTypes, inMemoryOf, inTurnWithUpdates, runOn, settle, storageOn } from './runtime.ts';
import { show } from './shape.ts';
import type { Slot } from './slot.ts';
import { Tensor } from './tensor.ts';
import { checkArguments, graphOf, type Tree } from './trace.ts';
import { inTurn } from './turn.ts';

interface Specialization<Result extends Tree> {
  readonly plan: Plan;
  readonly positions: readonly number[];
  readonly slots: readonly Slot[];
  readonly updated: readonly Slot[];
  readonly rebuild: (leaves: readonly Tensor[]) => Result;
  readonly leaves: readonly Pick<Node, 'shape' | 'dtype'>[];
  /** What gradients of each leaf would lead to. */
  readonly origins: readonly (Origin | null)[];
  readonly backend: Backend;
  readonly executable: Executable;
}

/** What led to a result: arguments, slots, and tensors from outside. */
interface Origin {
  readonly positions: readonly number[];
  readonly slots: readonly Slot[];
  readonly references: readonly WeakRef<Slot>[];
  readonly outside: readonly WeakRef<Node>[];
  readonly pasts: ReadonlySet<Past>;
}

export interface CompileOptions {
  /** For how many combinations of shapes and types plans are kept, the least recently used going first; 32, unless given. */
  readonly specializations?: number;
}

export interface Compiled<Arguments extends readonly Tensor[], Result extends Tree> {
  (...args: Arguments): Promise<Result>;
  /** The plan for arguments of these shapes, built if need be; nothing runs. */
  plan(...args: Arguments): Promise<Plan>;
  /**
   * Its plans for lists of arguments of these shapes and types, with what they need: constants, and slots by name with their values now. `loadPlan` of
   * `tensegrity/plan` runs the bytes without the function, its graph and the compiler. Of the arguments only shapes and types count.
   * @param examples a list of arguments for each combination of shapes: `save([[zeros([1, 3, 32, 32])], [zeros([8, 3, 32, 32])]])`.
   * @throws TensegrityError `argument`, `dtype` for weights beyond what f16 holds.
   */
  save(examples: readonly Arguments[], options?: SaveOptions): Promise<Uint8Array>;
  /** That plan as a listing. @throws TensegrityError `argument` for the WGSL of a backend that has none, and for times that were not measured. */
  explain(args: Arguments, options?: PrintOptions): Promise<string>;
  /** Gives back the memory of its plans, after the calls made before. It can be called again, and compiles anew. */
  dispose(): void;
}

/**
 * Turns a function of tensors into one plan, traced once for each combination of argument shapes and types and replayed afterwards.
 * Assignments of slots inside the function are part of the plan. Tensors from outside are constants of the plan, copied once. The
 * function must build the same graph each time: values that vary belong in arguments or slots. What it returns has no history: a gradient
 * with respect to what it was made of is taken inside the function, and outside is an error.
 */
export function compile<Arguments extends readonly Tensor[], Result extends Tree>(
  fn: (...args: Arguments) => Result,
  given: CompileOptions = {},
): Compiled<Arguments, Result> {
  check(typeof fn === 'function', 'argument', () => `compile: takes a function of tensors, got ${shown(fn)}`);
  const { specializations: most } = options('compile', given, { specializations: 32 });
  check(
    Number.isInteger(most) && most >= 1,
    'argument',
    () => `compile: specializations must be a whole number of plans to keep, at least 1, got ${most}`,
  );
  const specializations = new Map<string, Specialization<Result>>();

  /** To be called in its turn, so that no trace is made twice, and none is let go while it runs. */
  const specialize = async (args: Arguments): Promise<Specialization<Result>> => {
    const target = await backend();
    const key = checkArguments(args)
      .map((x) => `${x.dtype}${show(x.shape)}`)
      .join(' ');
    let found = specializations.get(key);
    if (found?.backend !== target) {
      const traced = await prepared(trace(fn, args, bindingsOf(target)), target);
      found?.executable.dispose();
      found = traced;
    }
    specializations.delete(key);
    specializations.set(key, found);
    keepOnly(specializations, most);
    return found;
  };

  const call = (...args: Arguments): Promise<Result> =>
    inTurnWithUpdates(async (compute) => {
      const { positions, slots, updated, rebuild, leaves, origins, backend: target, executable } = await specialize(args);
      // Arguments are computed, and assignments from outside take effect, as before every plan.
      await compute(...args);
      const buffers = await buffersOn(target, slots, executable);
      const inputs = await Promise.all(positions.map((position) => storageOn(target, args[position]!.node)));
      const histories = [...new Set(origins)].map((origin) => ({ origin, found: origin && behindResult(origin, args) }));
      const outputs = await runOn(target, executable, inputs, buffers);
      for (const slot of updated) slot.updated();
      const results = leaves.map(({ shape, dtype }) => new Node('leaf', [], {}, shape, dtype));
      results.forEach((node, i) => settle(node, outputs[i]!));
      for (const { origin, found } of histories) {
        const made = results.filter((_, i) => origins[i] === origin);
        if (found) remember(made, found);
      }
      return rebuild(results.map((node) => new Tensor(node)));
    });
  whenCollected(call, disposal(specializations));

  return Object.assign(call, {
    // A copy: what a backend trusts is nobody's to change.
    plan: (...args: Arguments): Promise<Plan> => inTurn(async () => structuredClone((await specialize(args)).plan)),
    save: (examples: readonly Arguments[], given?: SaveOptions) =>
      inTurnWithUpdates(async (compute) => {
        // What has been assigned takes effect, as before every plan.
        await compute();
        const [target, { savePlans }] = await Promise.all([backend(), import('./plan/save.ts')]);
        return savePlans(examples, (args: Arguments, limits) => trace(fn, checkArguments(args), limits), target, given);
      }),
    explain: async (args: Arguments, { programs = false, wgsl = false, times = false }: PrintOptions = {}) => {
      // In a turn, so that the plan is not let go in the meantime.
      return inTurn(async () => {
        const { plan, executable } = await specialize(args);
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
      });
    },
    dispose: () => void inTurn(disposal(specializations)),
  });
}

type Plans = Map<string, Pick<Specialization<Tree>, 'executable'>>;

/** Lets go of the least recently used plans. */
function keepOnly(plans: Plans, count: number): void {
  for (const [key, { executable }] of plans) {
    if (plans.size <= count) break;
    executable.dispose();
    plans.delete(key);
  }
}

/** What disposes of all plans, and holds nothing else: not the function, which may hold what it was compiled to. */
function disposal(plans: Plans): () => void {
  return () => keepOnly(plans, 0);
}

/** A function as a plan, and what that is bound to. */
export interface Trace<Result extends Tree = Tree>
  extends Pick<Specialization<Result>, 'plan' | 'positions' | 'slots' | 'updated' | 'rebuild'> {
  readonly leaves: readonly Node[];
  readonly constants: readonly Node[];
  /** Its nodes begin at this id. */
  readonly first: number;
}

function trace<Arguments extends readonly Tensor[], Result extends Tree>(
  fn: (...args: Arguments) => Result,
  args: Arguments,
  limits: { readonly bindings?: number },
): Trace<Result> {
  const first = newId();
  const { leaves, rebuild, updates } = graphOf(fn, args);

  const { plan, inputs, constants, slots } = buildPlan({
    outputs: leaves,
    updates,
    isConstant: (node) => node.op !== 'placeholder',
    ...limits,
  });
  return {
    plan,
    constants,
    slots,
    // Every input of the plan is a placeholder: values from outside are constants.
    positions: inputs.map((node) => (node as Node<'placeholder'>).attributes.position),
    updated: updates.map(({ slot }) => slot),
    rebuild,
    leaves,
    first,
  };
}

async function prepared<Result extends Tree>(
  { plan, positions, slots, updated, rebuild, leaves, constants, first }: Trace<Result>,
  target: Backend,
): Promise<Specialization<Result>> {
  checkDTypes(plan, target);
  const values = await Promise.all(constants.map((node) => storageOn(target, node)));
  return {
    plan,
    positions,
    slots,
    updated,
    rebuild,
    leaves: leaves.map(({ shape, dtype }) => ({ shape, dtype })),
    origins: originsOf(leaves, first),
    backend: target,
    executable: await inMemoryOf(target, () => target.prepare(plan, values)),
  };
}

/** How often a call may look up what all results come from. */
const AGAIN = 4;

/**
 * Of results of a trace whose nodes begin at an id. Equal origins are one; so are the widest, where there are many: a step that gives back
 * all its parameters, each made of all, would look up each for each.
 */
function originsOf(results: readonly Node[], first: number): (Origin | null)[] {
  const sources: Node[] = [];
  // Which sources led to a node, as bits.
  const masks = new Map<Node, bigint>();
  for (const node of topologicalOrder(results, ({ id }) => id < first)) {
    const isSource = node.id < first || node.op === 'placeholder' || node.op === 'slot';
    const inherited = (): bigint => differentiable(node).reduce((mask, input) => mask | masks.get(input)!, 0n);
    masks.set(node, isSource ? 1n << BigInt(sources.push(node) - 1) : inherited());
  }
  const sourcesOf = (mask: bigint): Node[] => {
    const bits = [...mask.toString(2)].reverse();
    return sources.filter((_, k) => bits[k] === '1');
  };
  const found = results.map((result) => (isFloat(result.dtype) ? masks.get(result)! : null));
  const distinct = [...new Set(found)].flatMap((mask) => (mask === null ? [] : [{ mask, own: sourcesOf(mask) }]));
  const origins = new Map<bigint | null, Origin>();
  const wide: bigint[] = [];
  let room = AGAIN * sources.length;
  for (const { mask, own } of distinct.sort((a, b) => a.own.length - b.own.length)) {
    room -= own.length;
    if (room >= 0) origins.set(mask, originIn(own, first));
    else wide.push(mask);
  }
  const widest = originIn(sourcesOf(wide.reduce((all, mask) => all | mask, 0n)), first);
  for (const mask of wide) origins.set(mask, widest);
  return found.map((mask) => origins.get(mask) ?? null);
}

function originIn(sources: readonly Node[], first: number): Origin {
  const { nodes, pasts } = behind(sources);
  const all = [...nodes];
  const slots = all.flatMap((node) => (node.is('slot') ? node.attributes.slot : []));
  return {
    positions: all.flatMap((node) => (node.is('placeholder') ? node.attributes.position : [])),
    slots,
    references: slots.flatMap(({ itself }) => itself),
    outside: all.flatMap((node) => (node.id < first ? new WeakRef(node) : [])),
    pasts,
  };
}

/** What is behind a result of a call with these arguments. */
function behindResult({ positions, slots, references, outside, pasts }: Origin, args: readonly Tensor[]): Behind {
  const found = behindNearby(positions.map((position) => args[position]!.node));
  for (const past of pasts) found.pasts.add(past);
  for (const node of outside) if (node.deref()) found.nodes.add(node.deref()!);
  found.slots.set(
    references,
    slots.map(({ version }) => version),
  );
  return found;
}
