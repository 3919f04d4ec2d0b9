import { checkRecord, named, options, pairsOf, shown } from '../../engine/arguments.ts';
import { checkHostArray, type HostArray, isFloat } from '../../engine/dtype.ts';
import { check, TensegrityError } from '../../engine/errors.ts';
import { sameShape, show } from '../../engine/shape.ts';
import { Slot } from '../../engine/slot.ts';

/** Named arrays: what a state dict holds, and what `parseSafetensors` gives. */
export type StateDict = Readonly<Record<string, HostArray>> | ReadonlyMap<string, HostArray>;

export interface LoadOptions {
  /** Unless false, every slot must be given and every array must be wanted. */
  readonly strict?: boolean;
  /** Prefixes of names that may be left over: `['fc.']` accepts a classifier head and ignores it. */
  readonly ignore?: readonly string[];
}

/** Pairs of names and slots. @throws TensegrityError `argument`. */
function slotsOf(what: string, slots: Iterable<readonly [name: string, slot: Slot]>): (readonly [string, Slot])[] {
  const pairs = pairsOf(`${what}: the slots`, slots);
  for (const [name, slot] of pairs) check(slot instanceof Slot, 'argument', () => `${what}: ${name} must be a slot, got ${shown(slot)}`);
  return pairs;
}

/** Reads named slots. @throws TensegrityError `argument`. */
export async function readSlots(slots: Iterable<readonly [name: string, slot: Slot]>): Promise<Map<string, HostArray>> {
  return new Map(await Promise.all(slotsOf('readSlots', slots).map(async ([name, slot]) => [name, await slot.toHost()] as const)));
}

/**
 * Writes named arrays into named slots; floats of another width are rounded. All is checked before anything is written.
 * @throws TensegrityError `format` naming every missing and left-over name, shape and type that does not fit.
 */
export function writeSlots(
  slots: Iterable<readonly [name: string, slot: Slot]>,
  state: StateDict,
  what: string,
  given: LoadOptions = {},
): void {
  const { strict, ignore } = options(what, given, { strict: true, ignore: [] });
  const wanted = new Map(slotsOf(what, slots));
  checkRecord(`${what}: the state`, state);
  const arrays: ReadonlyMap<string, HostArray> = state instanceof Map ? state : new Map(Object.entries(state));
  const present = [...wanted].flatMap(([name, slot]) => {
    const array = arrays.get(name);
    if (!array) return [];
    checkHostArray(array, `${what}: ${name}`);
    return [{ name, slot, array }];
  });
  const missing = [...wanted.keys()].filter((name) => !arrays.has(name));
  const leftOver = [...arrays.keys()].filter(
    (name) => !wanted.has(name) && !ignore.some((prefix) => name.startsWith(prefix)) && !name.endsWith('num_batches_tracked'),
  );
  const misfits = present.filter(({ slot, array }) => !sameShape(slot.shape, array.shape) || isFloat(slot.dtype) !== isFloat(array.dtype));

  const faults = [
    ...(strict && missing.length > 0 ? [`missing: ${list(missing)}`] : []),
    ...(strict && leftOver.length > 0 ? [`left over: ${list(leftOver)}`] : []),
    ...misfits.map(({ name, slot, array }) => `${name} must be ${slot.dtype} ${show(slot.shape)}, got ${array.dtype} ${show(array.shape)}`),
  ];
  if (faults.length > 0) {
    throw new TensegrityError('format', `${what}: the state does not fit; ${faults.join('; ')}`, {
      missing,
      leftOver,
      misfits: misfits.map(({ name }) => name),
    });
  }
  for (const { slot, array } of present) slot.set(array.data);
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 8)
    .map((name) => named(name))
    .join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
