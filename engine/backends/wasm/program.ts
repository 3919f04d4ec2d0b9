/** Programs and the inputs they read, as words for the block interpreter (`wasm/program.ts`). */
import * as modes from '../../../wasm/modes.ts';
import * as op from '../../../wasm/opcode.ts';
import { COORDINATE_BYTES, GROUP_BYTES, HALF, SLOT_BYTES } from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import { valueLanes } from '../../compiler/lanes.ts';
import type { Plan, Program, View } from '../../compiler/plan.ts';
import { dtypes } from '../../dtype.ts';
import { contiguousStrides } from '../../shape.ts';
import { type Blocks, EXPANDED, loadOf, registerBytesOf, roundUp, type Window, windowOf, windowWords } from './blocks.ts';
import { positionBuffer } from './command.ts';
import { assignRegisters, type Step, stepsOf } from './fuse.ts';
import { extentOf, period, stridesAlong } from './space.ts';
import { inOrder, type Words, wordOf } from './words.ts';

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

/** Takes a slot in a part of the table of operands. */
type Take = (part: 'register' | 'still' | 'stream') => number;

/** The strides of the positions of a space's elements, if a program uses these: a view behind its inputs. */
export const positionStrides = (program: Program, shape: readonly number[]): number[][] =>
  program.instructions.some(({ op: name }) => name === 'index') ? [contiguousStrides(shape)] : [];

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
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }) => dtype),
  );
  const loads = inputs.map((view, k) => loadOf(windowOf(view), blocks, k));
  const firstStep = program.inputs + program.constants.length;
  const isStill = (value: number): boolean => loads[value] === modes.STILL || (value >= program.inputs && value < firstStep);
  const { steps, factors } = leaveToSums(program, stepsOf(program, lanes, isStill), isStill, use);
  const wanted = factors.flat();
  const inPlace = writtenInPlace(plan, program, inputs, steps, use);
  const assigned = assignRegisters(steps, wanted, new Set(inPlace.keys()));

  const taken = { register: assigned.count, still: 0, stream: 0 };
  /** The next slot: registers are counted from the beginning of the table, stills from its middle, streams from its end. */
  const take: Take = (part) => {
    const number = taken[part]++;
    return part === 'register' ? number : part === 'still' ? half + number : 2 * half - 1 - number;
  };
  const slots = new Map(assigned.of);
  for (const value of inPlace.keys()) slots.set(value, take('stream'));
  const constants = new Map<number, number>();
  for (const [k, { value, lane }] of program.constants.entries()) {
    const bits = wordOf(value, lane);
    const slot = constants.get(bits) ?? take('still');
    constants.set(bits, slot);
    slots.set(program.inputs + k, slot);
  }

  const brought: number[][] = [];
  const bringIn = (window: Window, view: number, load: number): number => {
    brought.push(...inputsFor(window, view, load, blocks, take));
    return brought.at(-1)![word.INPUT_SLOT]!;
  };
  const used = new Set([...wanted, ...steps.flatMap(({ operands }) => operands)]);
  for (const [k, view] of inputs.entries()) {
    // An input that is stored as it is must be in a register before another result is written over it.
    const aside = loads[k] === modes.DIRECT && program.results.length > 1 && program.results.includes(k);
    if (used.has(k)) slots.set(k, bringIn(windowOf(view), k, aside ? modes.EACH : loads[k]!));
  }
  const positions = program.instructions.flatMap(({ op: name }, k) => (name === 'index' ? [firstStep + k] : []));
  if (positions.length > 0) {
    const window = { buffer: positionBuffer(plan), byteOffset: 0, element: modes.POSITION };
    const slot = bringIn(window, inputs.length, loadOf(window, blocks, inputs.length));
    for (const value of positions) slots.set(value, slot);
  }

  const slotOf = (value: number): number => slots.get(value)!;
  const instructions = steps.map(({ opcode, operands, value }) => instructionWords(opcode, slotOf(value), operands.map(slotOf)));
  const results = factors.map(([value, factor], k): Result => {
    let slot = slotOf(value!);
    // What is stored or folded is so element by element, of which a still has not enough.
    if (slot >= half && slot < half + taken.still) {
      const whole = take('register');
      instructions.push(instructionWords(op.BITWISE_OR, whole, [slot]));
      slot = whole;
    }
    const direct = inPlace.get(value!) === k;
    const second = factor === undefined ? null : slotOf(factor);
    return { slot, factor: second, integer: lanes[value!] === 'i32', direct, spare: direct ? take('register') : 0 };
  });

  if (taken.register > half || taken.still + taken.stream > half) return encodeProgram(plan, program, inputs, blocks, use, 2 * half);
  const registerBytes = registerBytesOf(blocks.longest);
  const onceBytes = brought.map((input) => input[word.INPUT_LOAD]! >> 2).reduce((sum, count) => sum + (count && registerBytesOf(count)), 0);
  const head: Words<'PROGRAM'> = {
    [word.PROGRAM_RANK]: blocks.axes.length,
    [word.PROGRAM_REGISTER_BYTES]: registerBytes,
    [word.PROGRAM_INPUTS]: brought.length,
    [word.PROGRAM_CONSTANTS]: constants.size,
    [word.PROGRAM_INSTRUCTIONS]: instructions.length,
    [word.PROGRAM_REGISTERS]: taken.register,
    [word.PROGRAM_STILLS]: taken.still,
    [word.PROGRAM_HALF]: half,
  };
  const shape = blocks.axes.map(({ extent }) => extent);
  return {
    words: [...inOrder(head), ...shape, ...brought.flat(), ...constants.keys(), ...instructions.flat()],
    results,
    registerBytes,
    bytes: 2 * half * SLOT_BYTES + COORDINATE_BYTES + taken.register * registerBytes + taken.still * GROUP_BYTES + onceBytes,
  };
}

/** The inputs that bring in a view, of which the last has it. */
function inputsFor(window: Window, view: number, load: number, { axes, longest }: Blocks, take: Take): number[][] {
  const strides = stridesAlong(axes, view);
  if (load === EXPANDED) {
    const [cycle, spread] = [period(axes, view), take('stream')];
    const whole = axes.map((_, axis) => 4 * extentOf(axes.slice(axis + 1))).map((stride) => (stride < 4 * cycle ? stride : 0));
    return [
      inputWords(modes.ONCE + 4 * cycle, spread, window, strides),
      inputWords(modes.DIRECT, take('stream'), { buffer: ~spread, byteOffset: 0, element: modes.WORD }, whole),
    ];
  }
  const slot = take(load === modes.STILL ? 'still' : load === modes.EACH ? 'register' : 'stream');
  return [inputWords(load === modes.ONCE ? load + 4 * roundUp(longest) : load, slot, window, strides)];
}

/** The steps but for multiplications whose products are only summed, and of each result what is stored or folded: its value, or two factors. */
function leaveToSums(
  { results }: Program,
  steps: readonly Step[],
  isStill: (value: number) => boolean,
  { summed = () => false }: Use,
): { readonly steps: readonly Step[]; readonly factors: readonly (readonly number[])[] } {
  const uses = [...results, ...steps.flatMap(({ operands }) => operands)];
  const left = results.map((value, k) => {
    const product = steps.find((step) => step.value === value && step.opcode === op.MUL && !step.operands.some(isStill));
    return summed(k) && uses.filter((used) => used === value).length === 1 ? product : undefined;
  });
  return { steps: steps.filter((step) => !left.includes(step)), factors: left.map((product, k) => product?.operands ?? [results[k]!]) };
}

/** Which values are written where a result belongs, and which result: those after whose computation nothing is read from there. */
function writtenInPlace(
  plan: Plan,
  { results }: Program,
  inputs: readonly View[],
  steps: readonly Step[],
  { target = () => null }: Use,
): ReadonlyMap<number, number> {
  const readAfter = (at: number, { buffer }: View): boolean => {
    const later = new Set([...results, ...steps.slice(at + 1).flatMap(({ operands }) => operands)]);
    return inputs.some((input, k) => later.has(k) && mayShare(plan, input.buffer, buffer));
  };
  const written = new Map<number, number>();
  for (const [k, value] of results.entries()) {
    const view = target(k);
    const at = steps.findIndex((step) => step.value === value);
    if (view && at >= 0 && !written.has(value) && !readAfter(at, view)) written.set(value, k);
  }
  return written;
}

function inputWords(load: number, slot: number, window: Window, strides: readonly number[]): number[] {
  const input: Words<'INPUT'> = { [word.INPUT_LOAD]: load, [word.INPUT_ELEMENT]: window.element, [word.INPUT_SLOT]: slot };
  return [...inOrder(input), ...windowWords(window, strides)];
}

/** Operands that an operation does not have are its first. */
function instructionWords(opcode: number, result: number, [a = 0, b = a, c = a, d = a]: readonly number[]): number[] {
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

/** Whether two buffers may have bytes in common. */
export function mayShare(plan: Plan, first: number, second: number): boolean {
  const [a, b] = [plan.buffers[first]!, plan.buffers[second]!];
  if (first === second) return true;
  if (a.kind !== 'scratch' || b.kind !== 'scratch') return false;
  return a.offset < b.offset + b.length * dtypes[b.dtype].bytes && b.offset < a.offset + a.length * dtypes[a.dtype].bytes;
}
