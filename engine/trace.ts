/** A function of tensors as a graph. */
import { isMarked, shown } from './arguments.ts';
import { check, TensegrityError } from './errors.ts';
import { Node, topologicalOrder } from './graph.ts';
import { checkReadable } from './runtime.ts';
import { newScope, withScope } from './scope.ts';
import type { Slot } from './slot.ts';
import { Tensor } from './tensor.ts';

/** What a traced function may return: tensors, in arrays and records of any depth. */
export type Tree = Tensor | readonly Tree[] | { readonly [name: string]: Tree };

/** What a function makes of its arguments, and of the slots that it reads and assigns. */
export interface Graph<Result extends Tree = Tree> {
  /** The tensors of the result, in order. */
  readonly leaves: readonly Node[];
  /** The result, with these tensors in their places. */
  readonly rebuild: (leaves: readonly Tensor[]) => Result;
  readonly updates: readonly { readonly slot: Slot; readonly value: Node }[];
}

/**
 * The graph of a function, of arguments with the shapes and types of these. To be called in its turn.
 * @throws TensegrityError `argument` for a result that is no tree of tensors, `stale` and `disposed` for tensors that have no value there.
 */
export function graphOf<Arguments extends readonly Tensor[], Result extends Tree>(
  fn: (...args: Arguments) => Result,
  args: Arguments,
): Graph<Result> {
  const scope = newScope();
  const placeholders = args.map((x, position) => new Node('placeholder', [], { position, epoch: scope.epoch }, x.shape, x.dtype));
  // The placeholders stand for the arguments one by one, so they have the same types.
  const { leaves, rebuild } = flatten(
    withScope(scope, () => fn(...(placeholders.map((node) => new Tensor(node)) as unknown as Arguments))),
  );
  const updates = [...scope.assigned.values()].map(({ slot, value }) => ({ slot, value: value.node }));
  const order = topologicalOrder([...leaves, ...updates.map(({ value }) => value)], (node) => node.storage !== null);
  checkReadable(order, scope.epoch);
  return { leaves, rebuild, updates };
}

export function checkArguments<Arguments extends readonly Tensor[]>(args: Arguments): Arguments {
  args.forEach((x, i) => {
    check(x instanceof Tensor, 'argument', () => `compile: argument ${i} must be a Tensor, got ${shown(x)}; wrap a number with tensor()`);
  });
  return args;
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
