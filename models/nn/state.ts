import { type HostArray, Slot, TensegrityError } from '../../engine/core.ts';
import {
  check,
  checkHostArray,
  checkList,
  checkRecord,
  isFloat,
  named,
  options,
  pairsOf,
  sameShape,
  show,
  shown,
} from '../../engine/internal.ts';

/** Named arrays: what a state dict holds, and what `parseSafetensors` gives. */
export type StateDict = Readonly<Record<string, HostArray>> | ReadonlyMap<string, HostArray>;

export interface LoadOptions {
  /** Unless false, every slot must be given and every array must be wanted. */
  readonly strict?: boolean;
  /** Prefixes of names that may be left over: `['fc.']` accepts a classifier head and ignores it. */
  readonly ignore?: readonly string[];
  /** What every name has in front in the state, as `'module.'`; names without it are passed over. See {@link prefixesOf}. */
  readonly prefix?: string;
}

/** Pairs of names and slots. @throws TensegrityError `argument`, for one name of two slots too. */
function slotsOf(what: string, slots: Iterable<readonly [name: string, slot: Slot]>): Map<string, Slot> {
  const named = new Map<string, Slot>();
  for (const [name, slot] of pairsOf(`${what}: the slots`, slots)) {
    check(slot instanceof Slot, 'argument', () => `${what}: ${name} must be a slot, got ${shown(slot)}`);
    check((named.get(name) ?? slot) === slot, 'argument', () => `${what}: two slots are named ${name}; rename one of them`);
    named.set(name, slot);
  }
  return named;
}

/** Reads named slots. @throws TensegrityError `argument`. */
export async function readSlots(slots: Iterable<readonly [name: string, slot: Slot]>): Promise<Map<string, HostArray>> {
  return new Map(await Promise.all([...slotsOf('readSlots', slots)].map(async ([name, slot]) => [name, await slot.toHost()] as const)));
}

/**
 * The prefixes under which a state has all `names`, as 'module.' or 'module.encoder_q.', in its order; '' where it has them as they are.
 * Others than these names may be there, beside the prefix and under it.
 */
export function prefixesOf(state: StateDict, names: readonly string[]): string[] {
  checkRecord('prefixesOf: the state', state);
  checkList('prefixesOf: the names', names);
  const given = new Set(entriesOf(state).keys());
  const [first = ''] = names;
  return [...given]
    .filter((name) => name === first || name.endsWith(`.${first}`))
    .map((name) => name.slice(0, name.length - first.length))
    .filter((prefix) => names.every((name) => given.has(prefix + name)));
}

/** A record, or a map of any realm. */
function entriesOf(state: StateDict): ReadonlyMap<string, HostArray> {
  return new Map(Symbol.iterator in state ? (state as ReadonlyMap<string, HostArray>) : Object.entries(state));
}

/**
 * Writes named arrays into named slots; floats of another width are rounded. All is checked before anything is written. A slot of several names
 * takes its array by any of them.
 * @throws TensegrityError `format` naming every missing and left-over name, shape and type that does not fit.
 */
export function writeSlots(
  slots: Iterable<readonly [name: string, slot: Slot]>,
  state: StateDict,
  what: string,
  given: LoadOptions = {},
): void {
  const { strict, ignore, prefix } = options(what, given, { strict: true, ignore: [], prefix: '' });
  const wanted = slotsOf(what, slots);
  checkRecord(`${what}: the state`, state);
  const arrays = new Map(
    [...entriesOf(state)].flatMap(([name, array]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), array]] : [])),
  );
  const present = [...wanted].flatMap(([name, slot]) => {
    const array = arrays.get(name);
    if (!array) return [];
    checkHostArray(array, `${what}: ${name}`);
    return [{ name, slot, array }];
  });
  const filled = new Map(present.map(({ slot, array }) => [slot, array]));
  const missing = [...wanted].filter(([, slot]) => !filled.has(slot)).map(([name]) => name);
  const leftOver = [...arrays.keys()].filter(
    (name) => !wanted.has(name) && !ignore.some((start) => name.startsWith(start)) && !name.endsWith('num_batches_tracked'),
  );
  const misfits = present.filter(({ slot, array }) => !sameShape(slot.shape, array.shape) || isFloat(slot.dtype) !== isFloat(array.dtype));

  const torn = present.filter(({ slot, array }) => !sameData(array, filled.get(slot)!));

  const faults = [
    ...(strict && missing.length > 0 ? [`missing: ${list(missing)}`] : []),
    ...(strict && leftOver.length > 0 ? [`left over: ${list(leftOver)}`] : []),
    ...misfits.map(({ name, slot, array }) => `${name} must be ${slot.dtype} ${show(slot.shape)}, got ${array.dtype} ${show(array.shape)}`),
    ...torn.map(({ name, slot }) => `${name} is one with ${namesOf(wanted, slot, name)} here, and other numbers there`),
  ];
  if (faults.length > 0) {
    throw new TensegrityError(
      'format',
      `${what}: the state does not fit; ${faults.join('; ')}${missing.length > 0 ? prefixHint(state, [...wanted.keys()], prefix) : ''}`,
      {
        missing,
        leftOver,
        misfits: misfits.map(({ name }) => name),
      },
    );
  }
  for (const [slot, array] of filled) slot.set(array.data);
}

function sameData(a: HostArray, b: HostArray): boolean {
  return a === b || (a.data.length === b.data.length && a.data.every((value, i) => Object.is(value, b.data[i])));
}

function namesOf(wanted: ReadonlyMap<string, Slot>, slot: Slot, but: string): string {
  return [...wanted].flatMap(([name, other]) => (other === slot && name !== but ? [name] : [])).join(', ');
}

/** What to say of names that are all there, but longer. */
function prefixHint(state: StateDict, names: readonly string[], prefix: string): string {
  const fitting = prefixesOf(state, names).map((found) => `'${found}'`);
  if (fitting.length > 0) return `; all are there with the prefix ${fitting.join(' or ')}: give it as the option \`prefix\``;
  const [first = '', ...others] = [...entriesOf(state).keys()];
  const shared = first
    .split('.')
    .slice(0, -1)
    .map((_, i, parts) => `${parts.slice(0, i + 1).join('.')}.`);
  const common = shared.findLast((start) => start !== prefix && others.every((name) => name.startsWith(start)));
  return common === undefined ? '' : `; all names begin with '${common}'`;
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 8)
    .map((name) => named(name))
    .join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
