/** Saved plans from any bytes whatever: what is accepted is whole, sound, and fits together. */
import type { BufferSpec } from '../compiler/plan.ts';
import { choice, count, counts, dtype, type Field, list, plan, readAs, record, text } from '../compiler/readPlan.ts';
import { trusted } from '../compiler/trusted.ts';
import { meaningFaults } from '../compiler/validate.ts';
import { type DType, dtypes, type TypedArray } from '../dtype.ts';
import { TensegrityError } from '../errors.ts';
import { type Shape, show, sizeOf } from '../shape.ts';
import {
  type ArraySpec,
  aligned,
  bytesOf,
  dtypeOf,
  HEAD,
  type Header,
  MAGIC,
  MOST_PLANS,
  type Result,
  type SavedPlan,
  type StoredArray,
  type StoredType,
  VERSION,
} from './format.ts';
import { fromHalves } from './half.ts';

export interface Held extends ArraySpec {
  readonly data: TypedArray;
}
export interface HeldSlot extends Held {
  readonly name: string;
}

/** What a file holds. What is allocated for it is no more than its bytes tell twice, whatever it claims. @throws TensegrityError `format`. */
export function open(file: Uint8Array): { plans: readonly SavedPlan[]; slots: readonly HeldSlot[]; constants: readonly Held[] } {
  const magic = String.fromCharCode(...file.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw fault(`these ${file.length} bytes are no saved plan, which begins with '${MAGIC}'; see compile(f).save()`);
  if (file.length < HEAD) throw fault(`the plan ends within its head, after ${file.length} bytes; it is incomplete`);
  const words = new DataView(file.buffer, file.byteOffset, HEAD);
  const version = words.getUint32(MAGIC.length, true);
  if (version !== VERSION)
    throw fault(
      `the plan is of version ${version}, and this tensegrity reads version ${VERSION}: save it anew with this tensegrity, or load it with the one that saved it`,
    );
  const start = HEAD + words.getUint32(MAGIC.length + 4, true);
  if (start > file.length) throw fault(`the plan's header ends at byte ${start} of ${file.length}; the file is incomplete`);
  const head = headerOf(file.slice(HEAD, start));
  const problems = faultsOf(head);
  if (problems.length > 0) throw fault(`not a valid plan:\n${problems.join('\n')}`, problems);
  const stored = [...head.slots, ...head.constants];
  const end = stored.reduce((at, array) => aligned(at + bytesOf(array)), start);
  if (start !== aligned(start) || end !== file.length)
    throw fault(`the plan's arrays end at byte ${end}, and ${file.length} are there; the file is damaged or incomplete`);
  let at = start;
  const arrays = stored.map((array): Held => {
    const data = decoded(array, file.slice(at, at + bytesOf(array)));
    at = aligned(at + bytesOf(array));
    return { dtype: dtypeOf(array), shape: array.shape, data };
  });
  // Nobody else has them, and they have been checked.
  for (const { plan } of head.plans) trusted.add(plan);
  return {
    plans: head.plans,
    slots: head.slots.map(({ name }, k) => ({ name, ...arrays[k]! })),
    constants: arrays.slice(head.slots.length),
  };
}

const stored = choice<StoredType>({ ...dtypes, f16: 1 });
const spec = record<ArraySpec>({ dtype, shape: counts });

/** Arrays and records within each other. */
const MOST_DEPTH = 100;

const result =
  (depth: number): Field<Result> =>
  (value, reader) => {
    if (typeof value !== 'object' || value === null || depth === MOST_DEPTH) return count(value, reader);
    if (Array.isArray(value)) return list(result(depth + 1))(value, reader);
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, reader.at(name, part, result(depth + 1))]));
  };

/** What a header has. */
const header: Field<Header> = record<Header>({
  slots: list(record<Header['slots'][number]>({ name: text, stored, shape: counts })),
  constants: list(record<StoredArray>({ stored, shape: counts })),
  plans: list(
    record<SavedPlan>({
      arguments: list(spec),
      inputs: counts,
      constants: counts,
      slots: counts,
      outputs: list(spec),
      result: result(0),
      plan,
    }),
  ),
});

/** What `write` wrote. */
function read(key: string, value: unknown): unknown {
  return key === 'value' && typeof value === 'string' ? Number(value) : value;
}

function headerOf(bytes: Uint8Array): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), read);
  } catch (cause) {
    throw new TensegrityError('format', `loadPlan: the plan's header is damaged (${String(cause)})`, {}, cause);
  }
  const { read: head, faults } = readAs(header, parsed);
  if (!head) throw fault(`not a valid plan:\n${faults.join('\n')}`, faults);
  return head;
}

/** One list of bytes, in memory of its own. */
function decoded(array: StoredArray, bytes: Uint8Array): TypedArray {
  const size = sizeOf(array.shape);
  return array.stored === 'f16' ? fromHalves(new Uint16Array(bytes.buffer, 0, size)) : dtypes[dtypeOf(array)].over(bytes.buffer, 0, size);
}

/** What in a header with all its fields is wrong, in words. */
function faultsOf({ slots, constants, plans }: Header): string[] {
  const uncountable = [...slots, ...constants].find((array) => !Number.isSafeInteger(bytesOf(array)));
  if (uncountable) return [`an array of shape ${show(uncountable.shape)} has more elements than can be counted`];
  const names = new Set(slots.map(({ name }) => name));
  if (names.size < slots.length) return ['two slots have one name'];
  if (plans.length === 0 || plans.length > MOST_PLANS) return [`it holds ${plans.length} plans, and may hold 1 to ${MOST_PLANS}`];
  for (const [k, saved] of plans.entries()) {
    const { plan } = saved;
    const faults = meaningFaults(plan);
    if (faults.length > 0) return faults.map((text) => `plan ${k}: ${text}`);
    const pick = <T>(from: readonly T[], numbers: readonly number[]): (T | undefined)[] => numbers.map((number) => from[number]);
    const stored = (arrays: readonly StoredArray[], numbers: readonly number[]): (ArraySpec | undefined)[] =>
      pick(
        arrays.map((array) => ({ dtype: dtypeOf(array), shape: array.shape })),
        numbers,
      );
    const bound = {
      inputs: pick(saved.arguments, saved.inputs),
      constants: stored(constants, saved.constants),
      slots: stored(slots, saved.slots),
      outputs: saved.outputs,
    };
    for (const [what, specs] of Object.entries(bound)) {
      const numbers = plan[what as keyof typeof bound];
      const fit = numbers.length === specs.length && numbers.every((number, i) => isOf(plan.buffers[number]!, specs[i]));
      if (!fit) return [`plan ${k}: its ${what} are not those of the file: other in number, type or size`];
    }
    // What is bound twice would be there twice.
    for (const list of [saved.constants, saved.slots]) if (new Set(list).size < list.length) return [`plan ${k}: an array is bound twice`];
    if (leavesOf(saved.result).some((number) => number >= saved.outputs.length))
      return [`plan ${k}: there are only ${saved.outputs.length} outputs`];
  }
  return [];
}

function isOf({ dtype, length }: BufferSpec, spec: { readonly dtype: DType; readonly shape: Shape } | undefined): boolean {
  return spec !== undefined && spec.dtype === dtype && sizeOf(spec.shape) === length;
}

function leavesOf(result: Result): number[] {
  return typeof result === 'number' ? [result] : Object.values(result).flatMap(leavesOf);
}

/** The error for bytes that are no saved plan. */
function fault(what: string, faults: readonly string[] = []): TensegrityError {
  return new TensegrityError('format', `loadPlan: ${what}`, faults.length > 0 ? { faults } : {});
}
