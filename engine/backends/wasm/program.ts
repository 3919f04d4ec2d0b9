/** Programs and the inputs they read, as words for the block interpreter (`wasm/program.ts`). */
import * as op from '../../../wasm/opcode.ts';
import { valueLanes } from '../../compiler/lanes.ts';
import type { Plan, Program, View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { assignRegisters, stepsOf } from './fuse.ts';
import { type Axis, contiguousRun, extentOf, period, stillRun } from './space.ts';

/** The table of slots, and the coordinates behind it. */
const TABLE_BYTES = op.SLOTS * 8 + 128;
const STILL_BYTES = 64;

/** A view without its strides, which the axes of a space have. */
export interface Window {
  readonly buffer: number;
  readonly byteOffset: number;
  readonly element: number;
}

/** How an iteration space is cut into blocks. */
export interface Blocks {
  readonly axes: readonly Axis[];
  /** The most elements of a block. */
  readonly longest: number;
  /** No block reaches across a multiple of this many elements. */
  readonly segment: number;
  /** Every block begins at a multiple of this many elements. */
  readonly grain: number;
}

/** A value that the kernel stores or folds. */
export interface Result {
  readonly slot: number;
  readonly integer: boolean;
  /** The instruction that computes it writes it where it belongs; where that may not be, it goes by way of the register `spare`. */
  readonly direct: boolean;
  readonly spare: number;
}

export interface EncodedProgram {
  readonly words: number[];
  readonly results: readonly Result[];
  readonly registerBytes: number;
  /** Of the workspace that the program uses. */
  readonly bytes: number;
}

export const windowOf = (view: View): Window => ({
  buffer: view.buffer,
  byteOffset: view.offset * dtypes[view.dtype].bytes,
  element: view.dtype === 'u8' ? op.BYTE : op.WORD,
});

export const windowWords = ({ buffer, byteOffset }: Window, axes: readonly Axis[], view: number): number[] => [
  buffer,
  byteOffset,
  ...axes.map(({ strides }) => strides[view]!),
];

export const byteStrides = (view: View): number[] => view.strides.map((stride) => stride * dtypes[view.dtype].bytes);

/** How blocks of a view reach the program (`wasm/opcode.ts`). */
export function loadOf({ element }: Window, { axes, segment, grain }: Blocks, view: number): number {
  if (stillRun(axes, view) % segment === 0 || period(axes, view) === 1) return op.STILL;
  if (element === op.WORD && liesInBlocks(axes, view, segment)) return op.DIRECT;
  return grain % period(axes, view) === 0 ? op.ONCE : op.EACH;
}

/** Whether every block of a view is contiguous words. */
export function liesInBlocks(axes: readonly Axis[], view: number, segment: number): boolean {
  const run = contiguousRun(axes, view, 4);
  return run === extentOf(axes) || run % segment === 0;
}

/**
 * @param inputs whose strides are the first of the axes; after them those of element positions, if the program uses them.
 * @param target where result `k` may be written in place by the instruction that computes it, if it may.
 */
export function encodeProgram(
  plan: Plan,
  program: Program,
  inputs: readonly View[],
  blocks: Blocks,
  target: (result: number) => View | null,
): EncodedProgram {
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const steps = stepsOf(program, lanes);
  const used = new Set([...program.results, ...steps.flatMap(({ operands }) => operands)]);
  const placed = new Map<number, number>();
  let streams = op.SLOTS;
  const direct = new Map<number, number>();
  for (const [k, value] of program.results.entries()) {
    const view = target(k);
    const at = steps.findIndex((step) => step.value === value);
    if (!view || at < 0 || placed.has(value) || readsAfter(at, view)) continue;
    placed.set(value, --streams);
    direct.set(k, value);
  }
  /** Whether the program reads, after step `at`, memory that `view` may share. */
  function readsAfter(at: number, view: View): boolean {
    const later = new Set([...program.results, ...steps.slice(at + 1).flatMap(({ operands }) => operands)]);
    return inputs.some((input, k) => later.has(k) && mayShare(plan, input.buffer, view.buffer));
  }

  const assigned = assignRegisters(steps, program.results, new Set(placed.keys()));
  let registers = assigned.count;
  let stills = op.STILLS;
  const slots = new Map([...placed, ...assigned.of]);
  const constants = new Map<number, number>();
  for (const [k, { value, lane }] of program.constants.entries()) {
    const bits = lane === 'i32' ? value | 0 : new Int32Array(Float32Array.of(value).buffer)[0]!;
    if (!constants.has(bits)) constants.set(bits, stills++);
    slots.set(program.inputs + k, constants.get(bits)!);
  }

  const loads: number[] = [];
  const load = (window: Window, view: number, stored: boolean): number => {
    const mode = loadOf(window, blocks, view);
    // An input that is stored as it is must be in a register before another result is written over it.
    const aside = mode === op.DIRECT && stored && program.results.length > 1;
    const slot = mode === op.STILL ? stills++ : mode === op.DIRECT && !aside ? --streams : registers++;
    loads.push(aside ? op.EACH : mode, window.element, slot, ...windowWords(window, blocks.axes, view));
    return slot;
  };
  for (const [k, view] of inputs.entries()) if (used.has(k)) slots.set(k, load(windowOf(view), k, program.results.includes(k)));
  const positions = program.instructions.flatMap(({ op: name }, k) =>
    name === 'index' ? [program.inputs + program.constants.length + k] : [],
  );
  if (positions.length > 0) {
    const slot = load({ buffer: plan.buffers.length, byteOffset: 0, element: op.POSITION }, inputs.length, false);
    for (const value of positions) slots.set(value, slot);
  }

  const code = steps.flatMap(({ opcode, operands, value }) => {
    const [a, b = a, c = a] = operands.map((operand) => slots.get(operand)!);
    return [opcode, slots.get(value)!, a!, b!, c!];
  });
  const results = program.results.map((value, k): Result => {
    let slot = slots.get(value)!;
    if (slot >= op.STILLS && slot < stills) {
      // Written out, since a result is stored or folded element by element.
      code.push(op.BIT_OR, registers, slot, slot, slot);
      slot = registers++;
    }
    const isDirect = direct.has(k);
    return { slot, integer: lanes[value] === 'i32', direct: isDirect, spare: isDirect ? registers++ : 0 };
  });

  check(
    registers <= op.STILLS && stills <= streams,
    'backend',
    () =>
      `a kernel of ${program.instructions.length} operations and ${inputs.length} inputs needs more than the ${op.SLOTS} registers of the wasm backend; split it`,
  );
  const { axes } = blocks;
  const registerBytes = Math.ceil(blocks.longest / 16) * 64 + 64;
  const counts = [loads.length / (5 + axes.length), constants.size, code.length / 5, registers, stills - op.STILLS];
  return {
    words: [axes.length, registerBytes, ...counts, ...axes.map(({ extent }) => extent), ...loads, ...constants.keys(), ...code],
    results,
    registerBytes,
    bytes: TABLE_BYTES + registers * registerBytes + (stills - op.STILLS) * STILL_BYTES,
  };
}

/** Whether two buffers may have bytes in common. */
function mayShare(plan: Plan, first: number, second: number): boolean {
  const [a, b] = [plan.buffers[first]!, plan.buffers[second]!];
  if (first === second) return true;
  if (a.kind !== 'scratch' || b.kind !== 'scratch') return false;
  return a.offset < b.offset + b.length * dtypes[b.dtype].bytes && b.offset < a.offset + a.length * dtypes[a.dtype].bytes;
}
