/** Plans as bytes: what `compile(f).save()` does. Loaded when it is called, so it is no part of what a page loads before. */
import { checkChoice, checkList, options, shown } from '../arguments.ts';
import type { Backend } from '../backends/backend.ts';
import type { Trace } from '../compile.ts';
import type { TypedArray } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import type { Node } from '../graph.ts';
import { storageOn } from '../runtime.ts';
import { type Shape, show, sizeOf } from '../shape.ts';
import type { Slot } from '../slot.ts';
import { Tensor } from '../tensor.ts';
import type { Tree } from '../trace.ts';
import { aligned, HEAD, type Header, MAGIC, MOST_PLANS, type Result, type SavedPlan, type StoredType, VERSION, write } from './format.ts';
import { toHalves } from './half.ts';

export interface SaveOptions {
  /**
   * How f32 slots and constants of two axes or more lie in the file: as they are (unless given), or rounded to the nearest f16, which computes in
   * f32 still. What has fewer axes (biases, statistics) and slots that the plan updates stay f32.
   */
  readonly weights?: 'f32' | 'f16';
  /** No kernel touches more buffers than any backend takes, so that `webgpu` runs what was compiled for another; its bits may differ from those of the compiled function. */
  readonly portable?: boolean;
}

const optionDefaults = { weights: 'f32', portable: false } as const;

/** Buffers that a kernel may touch on any backend. */
const PORTABLE = 8;

/** What is bound to a plan, once for each place in the file, in order. */
class Places<Key, Place> {
  readonly all: Place[] = [];
  readonly #numbers = new Map<Key, number>();

  number(key: Key, place: () => Place): number {
    const number = this.#numbers.get(key) ?? this.all.push(place()) - 1;
    this.#numbers.set(key, number);
    return number;
  }
}

interface Held<Source> {
  readonly source: Source;
  readonly stored: StoredType;
  readonly shape: Shape;
}

/** To be called in a turn. @param trace of the function, for arguments like those of an example. */
export async function savePlans<Arguments extends readonly Tensor[]>(
  examples: readonly Arguments[],
  trace: (args: Arguments, limits: { readonly bindings?: number }) => Trace<Tree>,
  target: Backend,
  given: SaveOptions = {},
): Promise<Uint8Array> {
  const { weights, portable } = options('save', given, optionDefaults);
  checkChoice('save: weights', weights, ['f32', 'f16']);
  const form = 'a list of arguments for each combination of shapes, as save([[x, y]])';
  checkList(`save: examples are ${form}; they`, examples);
  check(examples.length > 0, 'argument', () => `save: takes ${form}; got none`);
  check(examples.length <= MOST_PLANS, 'argument', () => `save: a file holds at most ${MOST_PLANS} plans, got ${examples.length}`);
  for (const example of examples) check(Array.isArray(example), 'argument', () => `save: takes ${form}; got ${shown(example)} for a list`);
  const bindings = portable ? PORTABLE : target.maxBindings;
  const traces = examples.map((args) => ({ args, ...trace(args, bindings === undefined ? {} : { bindings }) }));

  const updated = new Set(traces.flatMap((each) => each.updated));
  const storedAs = ({ dtype, shape }: Pick<Node, 'dtype' | 'shape'>, exact: boolean): StoredType =>
    weights === 'f16' && dtype === 'f32' && shape.length > 1 && !exact ? 'f16' : dtype;
  const slots = new Places<Slot, Held<Slot>>();
  const constants = new Places<Node, Held<Node>>();
  const plans = traces.map(
    (each): SavedPlan => ({
      arguments: each.args.map(specOf),
      inputs: each.positions,
      constants: each.constants.map((source) =>
        constants.number(source, () => ({ source, stored: storedAs(source, false), shape: source.shape })),
      ),
      slots: each.slots.map((source) =>
        slots.number(source, () => ({ source, stored: storedAs(source, updated.has(source)), shape: source.shape })),
      ),
      outputs: each.leaves.map(specOf),
      result: resultOf(each),
      plan: each.plan,
    }),
  );
  const names = distinctNames(slots.all.map(({ source }) => source.name));
  const header: Header = {
    slots: slots.all.map(({ stored, shape }, k) => ({ name: names[k]!, stored, shape })),
    constants: constants.all.map(({ stored, shape }) => ({ stored, shape })),
    plans,
  };
  const arrays: Uint8Array[] = [];
  for (const [k, { source, stored }] of slots.all.entries()) {
    const data = await target.read(await source.bufferOn(target), source.dtype, source.size);
    arrays.push(elements(data, stored, `slot ${names[k]}`));
  }
  for (const { source, stored, shape } of constants.all) {
    const storage = await storageOn(target, source);
    const data = ArrayBuffer.isView(storage) ? storage : await target.read(storage, source.dtype, sizeOf(shape));
    arrays.push(elements(data, stored, `a constant of shape ${show(shape)}`));
  }
  return fileOf(header, arrays);
}

function specOf({ dtype, shape }: Pick<Node, 'dtype' | 'shape'>): SavedPlan['outputs'][number] {
  return { dtype, shape: [...shape] };
}

/** What the function returned, with the numbers of its tensors. */
function resultOf({ leaves, rebuild }: Trace<Tree>): Result {
  const tensors = leaves.map((node) => new Tensor(node));
  const numbers = new Map<Tree, number>(tensors.map((tensor, number) => [tensor, number]));
  const visit = (part: Tree): Result =>
    numbers.get(part) ??
    (Array.isArray(part) ? part.map(visit) : Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, visit(inner)])));
  return visit(rebuild(tensors));
}

/** By which slots are found: of two with one name, the second is `name (2)`. */
function distinctNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let distinct = name;
    for (let count = 2; taken.has(distinct); count++) distinct = `${name} (${count})`;
    taken.add(distinct);
    return distinct;
  });
}

/** @throws TensegrityError `dtype` for what is finite, and not in f16. */
function elements(data: TypedArray, stored: StoredType, what: string): Uint8Array {
  const kept = stored === 'f16' ? toHalves(data as Float32Array) : data;
  if (stored === 'f16') {
    const beyond = data.findIndex((value, at) => (kept[at]! & 0x7fff) === 0x7c00 && Number.isFinite(value));
    if (beyond >= 0)
      throw new TensegrityError(
        'dtype',
        `save: element ${beyond} of ${what} is ${data[beyond]}, and f16 ends at 65504; save with weights 'f32'`,
      );
  }
  return new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength);
}

/** A header and its arrays as bytes. */
export function fileOf(header: Header, arrays: readonly Uint8Array[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header, write));
  const start = aligned(HEAD + text.length);
  const bytes = new Uint8Array(arrays.reduce((end, array) => aligned(end + array.length), start));
  bytes.set(new TextEncoder().encode(MAGIC));
  const words = new DataView(bytes.buffer);
  words.setUint32(MAGIC.length, VERSION, true);
  words.setUint32(MAGIC.length + 4, start - HEAD, true);
  bytes.fill(32, HEAD, start);
  bytes.set(text, HEAD);
  let at = start;
  for (const array of arrays) {
    bytes.set(array, at);
    at = aligned(at + array.length);
  }
  return bytes;
}
