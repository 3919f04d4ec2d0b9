/** Programs and the inputs they read, as words for the block interpreter (`wasm/program.ts`). */
import * as modes from '../../../wasm/modes.ts';
import * as op from '../../../wasm/opcode.ts';
import { COORDINATE_BYTES, GROUP, GROUP_BYTES, HALF, SLOT_BYTES } from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import { valueLanes } from '../../compiler/lanes.ts';
import type { Plan, Program, View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { assignRegisters, stepsOf } from './fuse.ts';
import { type Axis, contiguousRun, extentOf, period, stillRun } from './space.ts';
import { inOrder, type Words } from './words.ts';

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
  /** Where the other factor is, if what is summed is a product; else null. */
  readonly factor: number | null;
  readonly integer: boolean;
  /** The instruction that computes it writes it where it belongs; where that may not be, it goes by way of the register `spare`. */
  readonly direct: boolean;
  readonly spare: number;
}

/** What a kernel does with the results of its program. */
export interface Use {
  /** Where result `k` may be written in place by the instruction that computes it, if it may. */
  readonly target?: (result: number) => View | null;
  /** Whether result `k` is only summed, so that its last multiplication can be left to the sum. */
  readonly summed?: (result: number) => boolean;
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
  element: view.dtype === 'u8' ? modes.BYTE : modes.WORD,
});

/** @param strides in bytes, one for each axis of the space. */
function windowOver({ buffer, byteOffset }: Omit<Window, 'element'>, strides: readonly number[]): number[] {
  const window: Words<'WINDOW'> = { [word.WINDOW_BUFFER]: buffer, [word.WINDOW_OFFSET]: byteOffset };
  return [...inOrder(window), ...strides];
}

export const windowWords = (window: Window, axes: readonly Axis[], view: number): number[] =>
  windowOver(
    window,
    axes.map(({ strides }) => strides[view] ?? 0),
  );

export const byteStrides = (view: View): number[] => view.strides.map((stride) => stride * dtypes[view.dtype].bytes);

/** A view that repeats itself is spread out once and read in place from there, if it is not larger. */
const MOST_EXPANDED = 16384;

/** How blocks of a view reach the program (`wasm/modes.ts`); EXPANDED: loaded once, then read in place. */
export function loadOf({ element }: Window, { axes, segment, grain }: Blocks, view: number): number {
  const cycle = period(axes, view);
  if (stillRun(axes, view) % segment === 0 || cycle === 1) return modes.STILL;
  if (element === modes.WORD && liesInBlocks(axes, view, segment)) return modes.DIRECT;
  if (grain % cycle === 0) return modes.ONCE;
  return cycle % segment === 0 && cycle <= MOST_EXPANDED && cycle < extentOf(axes) ? EXPANDED : modes.EACH;
}

export const EXPANDED = 4;

/** Whether every block of a view is contiguous words. */
export function liesInBlocks(axes: readonly Axis[], view: number, segment: number): boolean {
  const run = contiguousRun(axes, view, 4);
  return run === extentOf(axes) || run % segment === 0;
}

/**
 * @param inputs whose strides are the first of the axes; after them those of element positions, if the program uses them.
 * @param half of the slots of its table.
 */
export function encodeProgram(
  plan: Plan,
  program: Program,
  inputs: readonly View[],
  blocks: Blocks,
  use: Use,
  half = HALF,
): EncodedProgram {
  const { target = () => null, summed = () => false } = use;
  const { axes } = blocks;
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const loadModes = inputs.map((view, k) => loadOf(windowOf(view), blocks, k));
  const isStill = (value: number): boolean =>
    loadModes[value] === modes.STILL || (value >= program.inputs && value < program.inputs + program.constants.length);
  let steps = stepsOf(program, lanes, isStill);
  const factors = program.results.map((value, k) => {
    const step = steps.find((candidate) => candidate.value === value);
    const alone =
      program.results.filter((result) => result === value).length === 1 && !steps.some(({ operands }) => operands.includes(value));
    if (!summed(k) || !alone || step?.opcode !== op.MUL || step.operands.some(isStill)) return [value];
    steps = steps.filter((other) => other !== step);
    return step.operands;
  });
  const wanted = factors.flat();

  const used = new Set([...wanted, ...steps.flatMap(({ operands }) => operands)]);
  const placed = new Map<number, number>();
  let streams = 2 * half;
  const direct = new Set<number>();
  for (const [k, value] of program.results.entries()) {
    const view = target(k);
    const at = steps.findIndex((step) => step.value === value);
    if (!view || at < 0 || placed.has(value) || readsAfter(at, view)) continue;
    placed.set(value, --streams);
    direct.add(k);
  }
  /** Whether the program reads, after step `at`, memory that `view` may share. */
  function readsAfter(at: number, view: View): boolean {
    const later = new Set([...program.results, ...steps.slice(at + 1).flatMap(({ operands }) => operands)]);
    return inputs.some((input, k) => later.has(k) && mayShare(plan, input.buffer, view.buffer));
  }

  const assigned = assignRegisters(steps, wanted, new Set(placed.keys()));
  let registers = assigned.count;
  let stills = half;
  let onceBytes = 0;
  const slots = new Map([...placed, ...assigned.of]);
  const constants = new Map<number, number>();
  for (const [k, { value, lane }] of program.constants.entries()) {
    const bits = lane === 'i32' ? value | 0 : new Int32Array(Float32Array.of(value).buffer)[0]!;
    if (!constants.has(bits)) constants.set(bits, stills++);
    slots.set(program.inputs + k, constants.get(bits)!);
  }

  const loads: number[][] = [];
  const once = (window: Window, view: number, count: number): number => {
    onceBytes += registerBytesOf(count);
    loads.push(inputWords(modes.ONCE + 4 * count, window.element, --streams, windowWords(window, axes, view)));
    return streams;
  };
  const load = (window: Window, view: number, mode: number): number => {
    if (mode === modes.ONCE) return once(window, view, roundUp(blocks.longest));
    if (mode === EXPANDED) {
      const cycle = period(axes, view);
      const spread = once(window, view, cycle);
      const strides = axes.map((_, axis) => 4 * extentOf(axes.slice(axis + 1)));
      const repeated = windowOver(
        { buffer: ~spread, byteOffset: 0 },
        strides.map((stride) => (stride < 4 * cycle ? stride : 0)),
      );
      loads.push(inputWords(modes.DIRECT, modes.WORD, --streams, repeated));
      return streams;
    }
    const slot = mode === modes.STILL ? stills++ : mode === modes.DIRECT ? --streams : registers++;
    loads.push(inputWords(mode, window.element, slot, windowWords(window, axes, view)));
    return slot;
  };
  for (const [k, view] of inputs.entries()) {
    // An input that is stored as it is must be in a register before another result is written over it.
    const aside = loadModes[k] === modes.DIRECT && program.results.length > 1 && program.results.includes(k);
    if (used.has(k)) slots.set(k, load(windowOf(view), k, aside ? modes.EACH : loadModes[k]!));
  }
  const positions = program.instructions.flatMap(({ op: name }, k) =>
    name === 'index' ? [program.inputs + program.constants.length + k] : [],
  );
  if (positions.length > 0) {
    const window = { buffer: plan.buffers.length, byteOffset: 0, element: modes.POSITION };
    const slot = load(window, inputs.length, loadOf(window, blocks, inputs.length));
    for (const value of positions) slots.set(value, slot);
  }

  const code = steps.flatMap(({ opcode, operands, value }) => {
    const [a, b = a, c = a, d = a] = operands.map((operand) => slots.get(operand)!);
    return instructionWords(opcode, slots.get(value)!, a!, b!, c!, d!);
  });
  /** Written out if it is a still, since a result is stored or folded element by element. */
  const whole = (slot: number): number => {
    if (slot < half || slot >= stills) return slot;
    code.push(...instructionWords(op.BITWISE_OR, registers, slot, slot, slot, slot));
    return registers++;
  };
  const results = factors.map(([value, factor], k): Result => {
    const slot = whole(slots.get(value!)!);
    const isDirect = direct.has(k);
    return {
      slot,
      factor: factor === undefined ? null : slots.get(factor)!,
      integer: lanes[value!] === 'i32',
      direct: isDirect,
      spare: isDirect ? registers++ : 0,
    };
  });

  if (registers > half || stills > streams) return encodeProgram(plan, program, inputs, blocks, use, 2 * half);
  const registerBytes = registerBytesOf(blocks.longest);
  const head: Words<'PROGRAM'> = {
    [word.PROGRAM_RANK]: axes.length,
    [word.PROGRAM_REGISTER_BYTES]: registerBytes,
    [word.PROGRAM_INPUTS]: loads.length,
    [word.PROGRAM_CONSTANTS]: constants.size,
    [word.PROGRAM_INSTRUCTIONS]: code.length / word.INSTRUCTION_WORDS,
    [word.PROGRAM_REGISTERS]: registers,
    [word.PROGRAM_STILLS]: stills - half,
    [word.PROGRAM_HALF]: half,
  };
  return {
    words: [...inOrder(head), ...axes.map(({ extent }) => extent), ...loads.flat(), ...constants.keys(), ...code],
    results,
    registerBytes,
    bytes: 2 * half * SLOT_BYTES + COORDINATE_BYTES + registers * registerBytes + (stills - half) * GROUP_BYTES + onceBytes,
  };
}

function inputWords(load: number, element: number, slot: number, window: readonly number[]): number[] {
  const input: Words<'INPUT'> = { [word.INPUT_LOAD]: load, [word.INPUT_ELEMENT]: element, [word.INPUT_SLOT]: slot };
  return [...inOrder(input), ...window];
}

function instructionWords(opcode: number, result: number, a: number, b: number, c: number, d: number): number[] {
  const instruction: Words<'INSTRUCTION'> = {
    [word.INSTRUCTION_OPCODE]: opcode,
    [word.INSTRUCTION_RESULT]: result,
    [word.INSTRUCTION_A]: a,
    [word.INSTRUCTION_B]: b,
    [word.INSTRUCTION_C]: c,
    [word.INSTRUCTION_D]: d,
  };
  return inOrder(instruction);
}

/** A count of elements in whole groups, as loops run over them. */
export const roundUp = (count: number): number => Math.ceil(count / GROUP) * GROUP;

/** Bytes of a register for so many elements, of which moves may write a group too many. */
export const registerBytesOf = (count: number): number => 4 * roundUp(count) + GROUP_BYTES;

/** Whether two buffers may have bytes in common. */
export function mayShare(plan: Plan, first: number, second: number): boolean {
  const [a, b] = [plan.buffers[first]!, plan.buffers[second]!];
  if (first === second) return true;
  if (a.kind !== 'scratch' || b.kind !== 'scratch') return false;
  return a.offset < b.offset + b.length * dtypes[b.dtype].bytes && b.offset < a.offset + a.length * dtypes[a.dtype].bytes;
}
