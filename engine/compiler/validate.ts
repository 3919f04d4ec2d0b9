/** Checks a plan against every promise of plan.ts: for tests of the compiler, and for plans that come from files. */
import { dtypes } from '../dtype.ts';
import { TensegrityError } from '../errors.ts';
import { show, sizeOf } from '../shape.ts';
import { partsOf } from './epilogue.ts';
import { isContiguous } from './layout.ts';
import type { BufferKind, Kernel, Plan, View } from './plan.ts';
import { kernelFaults } from './validateKernel.ts';

/** @throws TensegrityError `format`, listing what is wrong. */
export function validatePlan(plan: Plan): void {
  const faults = planFaults(plan);
  if (faults.length > 0) throw new TensegrityError('format', `not a valid plan:\n${faults.join('\n')}`, { faults });
}

/** Everything in a plan that breaks the contract, in words; nothing when it is sound. An epilogue counts as the map that it is. */
export function planFaults(given: Plan): string[] {
  const unfit = [...epilogueFaults(given)];
  if (unfit.length > 0) return unfit;
  const plan = { ...given, kernels: given.kernels.flatMap(partsOf) };
  const faults = [...bufferFaults(plan), ...viewFaults(plan)];
  // The rest follows views into buffers, and would stumble over broken ones.
  return faults.length > 0 ? faults : [...shapeFaults(plan), ...orderFaults(plan), ...inPlaceFaults(plan), ...arenaFaults(plan)];
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
  for (const [number, { kind, dtype, length, offset }] of plan.buffers.entries()) {
    if (!isCount(length)) yield `buffer ${number}: length ${length} is not a whole number ≥ 0`;
    if (kind !== 'scratch') continue;
    const { bytes } = dtypes[dtype];
    if (!isCount(offset) || offset % bytes !== 0) yield `buffer ${number}: offset ${offset} is not aligned to ${dtype}`;
    if (offset + length * bytes > plan.arenaBytes)
      yield `buffer ${number}: ends at byte ${offset + length * bytes} of an arena of ${plan.arenaBytes}`;
  }
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
  if (!view.shape.every(isCount)) return `[${view.shape}] is not a shape`;
  if (view.strides.length !== view.shape.length || !view.strides.every(Number.isInteger))
    return `strides [${view.strides}] do not go with shape [${view.shape}]`;
  const { low, high } = span(view);
  if (sizeOf(view.shape) > 0 && !(low >= 0 && high < spec.length))
    return `reaches elements ${low} to ${high} of buffer ${view.buffer}, which has ${spec.length}`;
  return null;
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

/** Nothing is read before it is written, outputs are written, and what is only lent is not. */
function* orderFaults(plan: Plan): Generator<string> {
  const written = new Set<number>();
  for (const [at, kernel] of plan.kernels.entries()) {
    for (const { buffer, shape } of kernel.inputs) {
      const { kind } = plan.buffers[buffer]!;
      const made = kind === 'scratch' || kind === 'output';
      if (made && sizeOf(shape) > 0 && !written.has(buffer))
        yield `${label(at, kernel)} reads buffer ${buffer}, which nothing has written yet`;
    }
    for (const { buffer } of kernel.outputs) {
      const { kind } = plan.buffers[buffer]!;
      if (kind === 'input' || kind === 'constant')
        yield `${label(at, kernel)} writes buffer ${buffer}, which is ${kind === 'input' ? 'an input' : 'a constant'}`;
      written.add(buffer);
    }
  }
  for (const number of plan.outputs)
    if (plan.buffers[number]!.length > 0 && !written.has(number)) yield `no kernel writes output ${number}`;
}

/** A kernel reads and writes the same buffer only element by element. */
function* inPlaceFaults(plan: Plan): Generator<string> {
  for (const [at, kernel] of plan.kernels.entries()) {
    const buffers = new Set(kernel.outputs.map(({ buffer }) => buffer));
    for (const buffer of buffers)
      if (!mayShare(plan, kernel, buffer, buffer)) yield `${label(at, kernel)} reads buffer ${buffer} elsewhere than it writes it`;
  }
}

/** Scratch buffers that share bytes are never alive together, but where one takes over from the other in place. */
function* arenaFaults(plan: Plan): Generator<string> {
  const lives = new Map<number, { first: number; last: number }>();
  for (const [at, kernel] of plan.kernels.entries()) {
    for (const { buffer } of [...kernel.inputs, ...kernel.outputs]) {
      if (plan.buffers[buffer]!.kind === 'scratch') lives.set(buffer, { first: lives.get(buffer)?.first ?? at, last: at });
    }
  }
  for (const [a, lifeOfA] of lives) {
    for (const [b, lifeOfB] of lives) {
      // Of each pair, once, with `a` the older.
      const older = lifeOfA.first - lifeOfB.first || a - b;
      if (older >= 0 || lifeOfA.last < lifeOfB.first || !shareBytes(plan, a, b)) continue;
      const kernel = plan.kernels[lifeOfB.first]!;
      if (lifeOfA.last > lifeOfB.first || kernel.outputs.some(({ buffer }) => buffer === a) || !mayShare(plan, kernel, a, b)) {
        yield `buffers ${a} and ${b} share bytes, and both are alive at ${label(lifeOfB.first, kernel)}`;
      }
    }
  }
}

/** Whether `kernel` may read buffer `from` and write buffer `to` in the same bytes: a map may, where each element stays in place. */
function mayShare(plan: Plan, kernel: Kernel, from: number, to: number): boolean {
  const place = ({ buffer, dtype, offset, shape, strides }: View) =>
    [
      dtypes[dtype].bytes,
      plan.buffers[buffer]!.offset + offset * dtypes[dtype].bytes,
      ...strides.filter((_, axis) => shape[axis] !== 1),
    ].join();
  return kernel.inputs.every(
    (input) =>
      input.buffer !== from ||
      kernel.outputs.every((output) => output.buffer !== to || (kernel.kind === 'map' && place(input) === place(output))),
  );
}

function shareBytes(plan: Plan, a: number, b: number): boolean {
  const [first, second] = [plan.buffers[a]!, plan.buffers[b]!];
  const end = ({ offset, length, dtype }: typeof first) => offset + length * dtypes[dtype].bytes;
  return first.length > 0 && second.length > 0 && first.offset < end(second) && second.offset < end(first);
}

/** The first and last element that a view touches. */
function span({ shape, strides, offset }: View): { low: number; high: number } {
  let [low, high] = [offset, offset];
  for (const [axis, stride] of strides.entries()) {
    const reach = (shape[axis]! - 1) * stride;
    low += Math.min(0, reach);
    high += Math.max(0, reach);
  }
  return { low, high };
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

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
