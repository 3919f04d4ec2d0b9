/** Checks a plan against every promise of plan.ts: for plans that come from files or hands, and for tests of the compiler. */
import { dtypes } from '../dtype.ts';
import { TensegrityError } from '../errors.ts';
import { show, sizeOf } from '../shape.ts';
import { partsOf } from './epilogue.ts';
import { isContiguous } from './layout.ts';
import type { BufferKind, BufferSpec, Kernel, Plan, View } from './plan.ts';
import { plan, readAs } from './readPlan.ts';
import { isCountable, kernelFaults } from './validateKernel.ts';

/** So many faults tell what is wrong, in so many characters each. */
const MOST_FAULTS = 20;
const LONGEST = 300;

/**
 * Checks that a value, whatever it is, is a plan that any backend runs without touching memory that is not the plan's: that it is plain data with
 * the fields of a `Plan` and no others, that views stay in their buffers and buffers in the arena, that shapes, types and programs go together, and
 * that nothing is read before it is written. How long a plan takes, and whether there is memory for it, is not checked: that depends on where it runs.
 * Backends check plans that do not come from `compile` themselves.
 * @throws TensegrityError `format`, listing what is wrong; `details.faults` has it as a list.
 */
export function validatePlan(plan: unknown): asserts plan is Plan {
  checkedCopy(plan);
}

/** A copy of the plan that is checked, and that nobody else can change. @throws TensegrityError `format`, as {@link validatePlan}. */
export function checkedCopy(given: unknown): Plan {
  const { read, faults } = readAs(plan, given);
  checkMeaning(read, faults);
  return read;
}

/** What in a plan breaks the contract, in words; nothing when it is sound. */
export function planFaults(given: unknown): readonly string[] {
  const { read, faults } = readAs(plan, given);
  return read ? meaningFaults(read) : faults;
}

/** @throws TensegrityError `format` unless there is a plan, and it keeps what its fields do not promise. */
function checkMeaning(read: Plan | null, structure: readonly string[]): asserts read is Plan {
  const faults = read ? meaningFaults(read) : structure;
  if (faults.length > 0) throw new TensegrityError('format', `not a valid plan:\n${faults.join('\n')}`, { faults });
}

/** What breaks the contract in a plan that has all its fields. An epilogue counts as the map that it is. */
export function meaningFaults(given: Plan): string[] {
  const unfit = some(epilogueFaults(given));
  if (unfit.length > 0) return unfit;
  const plan = { ...given, kernels: given.kernels.flatMap((kernel) => ('epilogue' in kernel ? partsOf(kernel) : [kernel])) };
  const faults = some(bufferFaults(plan), viewFaults(plan));
  // The rest follows views into buffers, and would stumble over broken ones.
  return faults.length > 0 ? faults : some(shapeFaults(plan), orderFaults(plan), inPlaceFaults(plan), arenaFaults(plan));
}

function some(...sources: Iterable<string>[]): string[] {
  const faults: string[] = [];
  for (const source of sources) {
    for (const fault of source) {
      faults.push(fault.length > LONGEST ? `${fault.slice(0, LONGEST)}…` : fault);
      if (faults.length === MOST_FAULTS) return faults;
    }
  }
  return faults;
}

const lists = { input: 'inputs', constant: 'constants', slot: 'slots', output: 'outputs' } as const satisfies Partial<
  Record<BufferKind, keyof Plan>
>;

function* bufferFaults(plan: Plan): Generator<string> {
  for (const [kind, list] of Object.entries(lists)) {
    const owned = plan.buffers.flatMap((spec, number) => (spec.kind === kind ? [number] : []));
    const listed = [...plan[list]].sort((a, b) => a - b);
    if (owned.join() !== listed.join()) yield `plan.${list} lists buffers [${listed}], but those of that kind are [${owned}]`;
  }
  for (const [number, spec] of plan.buffers.entries()) {
    const { kind, dtype, offset } = spec;
    const end = endOf(spec);
    if (!Number.isSafeInteger(end)) yield `buffer ${number}: its bytes are more than can be counted`;
    else if (kind !== 'scratch') {
      if (offset !== 0) yield `buffer ${number}: offset ${offset} of one that is not in the arena; it must be 0`;
    } else if (offset % dtypes[dtype].bytes !== 0) yield `buffer ${number}: offset ${offset} is not aligned to ${dtype}`;
    else if (end > plan.arenaBytes) yield `buffer ${number}: ends at byte ${end} of an arena of ${plan.arenaBytes}`;
  }
}

function endOf({ dtype, length, offset }: BufferSpec): number {
  return offset + length * dtypes[dtype].bytes;
}

function* viewFaults(plan: Plan): Generator<string> {
  for (const [at, kernel] of plan.kernels.entries()) {
    for (const [name, view] of namedViews(kernel)) {
      const fault = viewFault(plan, view);
      if (fault !== null) yield `${label(at, kernel)}, ${name}: ${fault}`;
      else if (name.startsWith('output') && overlapsItself(view))
        yield `${label(at, kernel)}, ${name}: strides [${view.strides}] put two elements of [${view.shape}] in one place`;
    }
  }
}

function viewFault(plan: Plan, view: View): string | null {
  const spec = plan.buffers[view.buffer];
  if (spec === undefined) return `there is no buffer ${view.buffer}`;
  if (view.dtype !== spec.dtype) return `a view as ${view.dtype} of buffer ${view.buffer}, which holds ${spec.dtype}`;
  if (!isCountable(view.shape)) return `more elements than can be counted: [${view.shape}]`;
  if (view.strides.length !== view.shape.length) return `strides [${view.strides}] do not go with shape [${view.shape}]`;
  const { low, high } = spanOf(view);
  if (sizeOf(view.shape) > 0 && !(low >= 0 && high < spec.length))
    return `reaches elements ${low} to ${high} of buffer ${view.buffer}, which has ${spec.length}`;
  return null;
}

/** The first and last element that a view touches. */
function spanOf({ shape, strides, offset }: View): { low: number; high: number } {
  let [low, high] = [offset, offset];
  for (const [axis, stride] of strides.entries()) {
    const reach = (shape[axis]! - 1) * stride;
    low += Math.min(0, reach);
    high += Math.max(0, reach);
  }
  return { low, high };
}

/** A map in place on a contiguous product. */
function* epilogueFaults({ kernels }: Plan): Generator<string> {
  for (const [at, kernel] of kernels.entries()) {
    if (!('epilogue' in kernel) || !kernel.epilogue) continue;
    const [[, , first], [out]] = [kernel.inputs, kernel.outputs];
    if (!first || !out || sizeOf(first.shape) !== sizeOf(out.shape) || !isContiguous({ ...out, offset: 0 }))
      yield `${label(at, kernel)}: its epilogue takes ${show(first?.shape ?? [])} of a product of ${show(out?.shape ?? [])} at [${out?.strides}]`;
  }
}

function* shapeFaults(plan: Plan): Generator<string> {
  for (const [at, kernel] of plan.kernels.entries()) for (const fault of kernelFaults(kernel)) yield `${label(at, kernel)}: ${fault}`;
}

/** What is made is made whole before it is read or given back, and what is only lent is not written. */
function* orderFaults(plan: Plan): Generator<string> {
  const written = new Set<number>();
  for (const [at, kernel] of plan.kernels.entries()) {
    // What is replaced in is there before.
    for (const { buffer, shape } of kernel.kind === 'scatter' ? [...kernel.inputs, ...kernel.outputs] : kernel.inputs) {
      if (isMade(plan, buffer) && sizeOf(shape) > 0 && !written.has(buffer))
        yield `${label(at, kernel)} reads buffer ${buffer}, which nothing has written yet`;
    }
    for (const { buffer, shape } of kernel.outputs) {
      const size = sizeOf(shape);
      const { kind, length } = plan.buffers[buffer]!;
      if (kind === 'input' || kind === 'constant')
        yield `${label(at, kernel)} writes buffer ${buffer}, which is ${kind === 'input' ? 'an input' : 'a constant'}`;
      if (isMade(plan, buffer) && !written.has(buffer) && size !== length)
        yield `${label(at, kernel)} is the first to write buffer ${buffer}, but only ${size} of its ${length} elements`;
      written.add(buffer);
    }
  }
  for (const number of plan.outputs)
    if (plan.buffers[number]!.length > 0 && !written.has(number)) yield `no kernel writes output ${number}`;
}

function isMade(plan: Plan, buffer: number): boolean {
  const { kind } = plan.buffers[buffer]!;
  return kind === 'scratch' || kind === 'output';
}

/** A kernel reads and writes the same buffer only element by element, and writes it once. */
function* inPlaceFaults(plan: Plan): Generator<string> {
  for (const [at, kernel] of plan.kernels.entries()) {
    const written = new Map(kernel.outputs.map((view) => [view.buffer, view]));
    if (written.size < kernel.outputs.length)
      yield `${label(at, kernel)} has outputs that overlap, or may: they must be in buffers of their own`;
    for (const input of kernel.inputs) {
      const output = written.get(input.buffer);
      if (output && !inPlace(plan, kernel, input, output)) {
        yield `${label(at, kernel)} reads buffer ${input.buffer} elsewhere than it writes it`;
        break;
      }
    }
  }
}

/** Whether a kernel may write `to` in the bytes where it reads `from`: a map may, where each element stays in place. */
function inPlace(plan: Plan, { kind }: Kernel, from: View, to: View): boolean {
  const place = ({ buffer, dtype, offset, shape, strides }: View) =>
    [
      dtypes[dtype].bytes,
      plan.buffers[buffer]!.offset + offset * dtypes[dtype].bytes,
      ...strides.filter((_, axis) => shape[axis] !== 1),
    ].join();
  return kind === 'map' && place(from) === place(to);
}

interface Life {
  readonly buffer: number;
  readonly spec: BufferSpec;
  readonly first: number;
  last: number;
}

/** Scratch buffers that share bytes are never alive together, but where one takes over from the other in place. */
function* arenaFaults(plan: Plan): Generator<string> {
  const lives = new Map<number, Life>();
  for (const [at, { inputs, outputs }] of plan.kernels.entries()) {
    for (const { buffer } of [...inputs, ...outputs]) {
      const spec = plan.buffers[buffer]!;
      if (spec.kind !== 'scratch' || spec.length === 0) continue;
      const life = lives.get(buffer) ?? { buffer, spec, first: at, last: at };
      life.last = at;
      lives.set(buffer, life);
    }
  }
  const turns = plan.kernels.map(() => ({ born: [] as Life[], dying: [] as Life[] }));
  for (const life of lives.values()) {
    turns[life.first]!.born.push(life);
    turns[life.last]!.dying.push(life);
  }
  // Those that are alive, in the order in which they lie in the arena, where none meets another.
  const alive: Life[] = [];
  for (const [at, kernel] of plan.kernels.entries()) {
    const { born, dying } = turns[at]!;
    const made = born.sort((a, b) => a.spec.offset - b.spec.offset);
    for (const [k, life] of made.entries()) {
      const neighbours = made[k + 1] ? [made[k + 1]!] : [];
      for (let i = placeIn(alive, life.spec.offset); i < alive.length && alive[i]!.spec.offset < endOf(life.spec); i++)
        neighbours.push(alive[i]!);
      for (const other of neighbours) {
        if (endOf(life.spec) <= other.spec.offset || isHandedOver(plan, kernel, at, other, life)) continue;
        yield `buffers ${Math.min(other.buffer, life.buffer)} and ${Math.max(other.buffer, life.buffer)} share bytes, and both are alive at ${label(at, kernel)}`;
        return;
      }
    }
    for (const { spec } of dying) {
      const i = placeIn(alive, spec.offset);
      if (alive[i]?.spec === spec) alive.splice(i, 1);
    }
    for (const life of made) if (life.last > at) alive.splice(placeIn(alive, life.spec.offset), 0, life);
  }
}

/** The first of them that ends behind an offset. */
function placeIn(alive: readonly Life[], offset: number): number {
  let [low, high] = [0, alive.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(alive[middle]!.spec) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Whether a buffer dies where the other is born, and every element that it is read for stays in place. */
function isHandedOver(plan: Plan, kernel: Kernel, at: number, from: Life, to: Life): boolean {
  if (from.last > at || from.first === at) return false;
  const outputs = kernel.outputs.filter(({ buffer }) => buffer === to.buffer);
  return (
    kernel.outputs.every(({ buffer }) => buffer !== from.buffer) &&
    kernel.inputs.every((input) => input.buffer !== from.buffer || outputs.every((output) => inPlace(plan, kernel, input, output)))
  );
}

/** Unless each stride, from the smallest, steps over all that the smaller ones reach: true of every layout, and of its slices. */
function overlapsItself({ shape, strides }: View): boolean {
  const axes = strides.flatMap((stride, axis) => (shape[axis]! > 1 ? [{ stride: Math.abs(stride), extent: shape[axis]! }] : []));
  let reach = 0;
  for (const { stride, extent } of axes.sort((a, b) => a.stride - b.stride)) {
    if (stride <= reach) return sizeOf(shape) > 0;
    reach += stride * (extent - 1);
  }
  return false;
}

function namedViews(kernel: Kernel): [name: string, view: View][] {
  return [
    ...kernel.inputs.map((view, k): [string, View] => [`input ${k}`, view]),
    ...kernel.outputs.map((view, k): [string, View] => [`output ${k}`, view]),
  ];
}

function label(at: number, kernel: Kernel): string {
  return `kernel ${at} (${kernel.kind})`;
}
