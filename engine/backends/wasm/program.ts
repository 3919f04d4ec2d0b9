/** Programs and the inputs they read, as words for the block interpreter (`wasm/program.ts`). */
import * as op from '../../../wasm/opcode.ts';
import { resultLane, valueLanes } from '../../compiler/lanes.ts';
import type { Instruction, Plan, Program, View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { scalarRow } from '../../scalar.ts';
import { type Axis, contiguousRun, extentOf, period } from './space.ts';

/** As many as the table of slots in the workspace holds. */
const SLOTS = 256;
/** The table of slots and the coordinates behind it. */
const TABLE_BYTES = SLOTS * 4 + 128;

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

/** How blocks of a view reach the program: where it lies, once for all blocks, or anew for each. */
export function loadOf({ element }: Window, { axes, segment, grain }: Blocks, view: number): number {
  if (element === op.WORD && liesInBlocks(axes, view, segment)) return op.DIRECT;
  return grain % period(axes, view) === 0 ? op.ONCE : op.EACH;
}

/** Whether every block of a view is contiguous words. */
export function liesInBlocks(axes: readonly Axis[], view: number, segment: number): boolean {
  const run = contiguousRun(axes, view, 4);
  return run === extentOf(axes) || run % segment === 0;
}

/**
 * @param windows of the inputs, then the element positions, then the outputs: in the order in which the axes have their strides.
 * @param direct whether result `k` may be written in place by the instruction that computes it.
 */
export function encodeProgram(
  plan: Plan,
  program: Program,
  inputs: readonly View[],
  blocks: Blocks,
  direct: (result: number) => View | null,
): EncodedProgram {
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const used = new Set([...program.results, ...program.instructions.flatMap(({ operands }) => operands)]);
  const slots: number[] = [];
  const loads: number[] = [];
  const constants: number[] = [];
  const code: number[] = [];
  let registers = program.registers;
  let streams = SLOTS;

  const load = (window: Window, view: number, mode: number): number => {
    const slot = mode === op.DIRECT ? --streams : registers++;
    loads.push(mode, window.element, slot, ...windowWords(window, blocks.axes, view));
    return slot;
  };
  const known = new Map<number, number>();
  const constant = (value: number, lane: Instruction['lane']): number => {
    const bits = lane === 'i32' ? value | 0 : new Int32Array(Float32Array.of(value).buffer)[0]!;
    let slot = known.get(bits);
    if (slot === undefined) {
      slot = registers++;
      known.set(bits, slot);
      constants.push(slot, bits);
    }
    return slot;
  };

  inputs.forEach((view, k) => {
    const window = windowOf(view);
    // An input that is stored as it is must be in a register before another result is written over it.
    const stored = program.results.length > 1 && program.results.includes(k);
    const mode = loadOf(window, blocks, k);
    slots.push(used.has(k) ? load(window, k, stored && mode === op.DIRECT ? op.EACH : mode) : 0);
  });
  for (const { value, lane } of program.constants) slots.push(constant(value, lane));

  const directAt = new Map<number, number>();
  program.results.forEach((value, k) => {
    const view = direct(k);
    const at = value - program.inputs - program.constants.length;
    const computed = at >= 0 && program.instructions[at]!.op !== 'index';
    if (view && computed && !directAt.has(value) && !readAfter(at, view)) directAt.set(value, k);
  });
  /** Whether the program reads, after instruction `at`, memory that `view` may share. */
  function readAfter(at: number, view: View): boolean {
    const later = new Set([...program.results, ...program.instructions.slice(at + 1).flatMap(({ operands }) => operands)]);
    return inputs.some((input, k) => later.has(k) && mayShare(plan, input.buffer, view.buffer));
  }

  let position: number | undefined;
  program.instructions.forEach((instruction, k) => {
    const value = program.inputs + program.constants.length + k;
    if (instruction.op === 'index') {
      const window = { buffer: plan.buffers.length, byteOffset: 0, element: op.POSITION };
      position ??= load(window, inputs.length, loadOf(window, blocks, inputs.length));
      slots.push(position);
      return;
    }
    const { typing, opcode } = scalarRow(instruction.op);
    const register = directAt.has(value) ? --streams : instruction.register;
    const [a = register, b = a, c = a] = instruction.operands.map((operand) => slots[operand]!);
    const integer = instruction.lane === 'i32' && (typing === 'same' || typing === 'compare');
    const converted = (typing === 'toFloat' || typing === 'toInt') && lanes[instruction.operands[0]!] === resultLane(instruction);
    // A conversion to the type that the value has moves it.
    code.push(converted ? op.BIT_OR : opcode + (integer ? op.INTEGER : 0), register, a, b, c);
    slots.push(register);
  });

  const results = program.results.map((value, k): Result => {
    const isDirect = directAt.get(value) === k;
    return { slot: slots[value]!, integer: lanes[value] === 'i32', direct: isDirect, spare: isDirect ? registers++ : 0 };
  });

  check(
    registers <= streams,
    'backend',
    () =>
      `a kernel of ${program.instructions.length} operations needs ${registers + SLOTS - streams} registers, the wasm backend has ${SLOTS}; split it`,
  );
  const registerBytes = Math.ceil(blocks.longest / 16) * 64 + 64;
  const { axes } = blocks;
  const loadCount = loads.length / (5 + axes.length);
  return {
    words: [
      axes.length,
      registerBytes,
      loadCount,
      constants.length / 2,
      code.length / 5,
      registers,
      ...axes.map(({ extent }) => extent),
      ...loads,
      ...constants,
      ...code,
    ],
    results,
    registerBytes,
    bytes: TABLE_BYTES + registers * registerBytes,
  };
}

/** Whether two buffers may have bytes in common. */
function mayShare(plan: Plan, first: number, second: number): boolean {
  const [a, b] = [plan.buffers[first]!, plan.buffers[second]!];
  if (first === second) return true;
  if (a.kind !== 'scratch' || b.kind !== 'scratch') return false;
  return a.offset < b.offset + b.length * dtypes[b.dtype].bytes && b.offset < a.offset + a.length * dtypes[a.dtype].bytes;
}
