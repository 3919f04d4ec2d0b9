/**
 * The block interpreter: runs a program over a strided iteration space, a block of some hundred elements at a time, so
 * that every value stays in the first-level cache and each instruction is one tight loop over the block.
 *
 * Operands are slots of a table at the start of the workspace: an address, and the step to the next 16 elements.
 * Registers lie behind the table and never move; nor do stills, values that are the same for a whole block and hold 16
 * copies; streams are memory that the program reads (or writes) in place, and are set for every block. Loops run over
 * whole groups of 16 elements: registers have the room, streams are only read beyond their end, where every buffer is
 * followed by padding.
 */
import * as mode from './modes';
import { operate } from './operation';
import { COORDINATE_BYTES, GROUP, GROUP_BYTES, SLOT_BYTES } from './sizes';
import { base, behind, word } from './view';
import * as words from './words';

let rank: i32 = 0;
let shape: usize = 0;
let inputs: usize = 0;
let inputBytes: usize = 0;
let inputsEnd: usize = 0;
let instructions: usize = 0;
let instructionsEnd: usize = 0;
let bases: usize = 0;
let slots: usize = 0;
/** The position, in each dimension, of the first element of the block, and of the row that is being moved. */
let coordinates: usize = 0;
let cursor: usize = 0;

/** The address in slot `index`. */
@inline
export function slot(index: i32): usize {
  return <usize>load<u32>(slots + <usize>index * SLOT_BYTES);
}

@inline
function step(index: i32): usize {
  return <usize>load<u32>(slots + <usize>index * SLOT_BYTES, 4);
}

@inline
export function setSlot(index: i32, address: usize, step: usize = GROUP_BYTES): void {
  store<u32>(slots + <usize>index * SLOT_BYTES, <u32>address);
  store<u32>(slots + <usize>index * SLOT_BYTES, <u32>step, 4);
}

/** Bytes of `count` elements in whole groups. */
@inline
function groupedBytes(count: i32): usize {
  return <usize>((count + (GROUP - 1)) & -GROUP) << 2;
}

/** Makes a program ready for its first block. Returns the address behind it. */
export function begin(program: usize, table: usize, workspace: usize): usize {
  const registerBytes = <usize>word(program, words.PROGRAM_REGISTER_BYTES);
  const constantCount = word(program, words.PROGRAM_CONSTANTS);
  const registers = word(program, words.PROGRAM_REGISTERS);
  const stills = word(program, words.PROGRAM_STILLS);
  const half = word(program, words.PROGRAM_HALF);
  enter(word(program, words.PROGRAM_RANK), behind(program, words.PROGRAM_WORDS));
  inputs = behind(shape, rank);
  inputBytes = behind(0, words.INPUT_WORDS + words.WINDOW_WORDS + rank);
  inputsEnd = inputs + <usize>word(program, words.PROGRAM_INPUTS) * inputBytes;
  instructions = behind(inputsEnd, constantCount);
  instructionsEnd = behind(instructions, word(program, words.PROGRAM_INSTRUCTIONS) * words.INSTRUCTION_WORDS);
  bases = table;
  slots = workspace;
  coordinates = workspace + <usize>half * (2 * SLOT_BYTES);
  cursor = coordinates + COORDINATE_BYTES / 2;

  let memory = coordinates + COORDINATE_BYTES;
  for (let i = 0; i < registers; i++, memory += registerBytes) setSlot(i, memory);
  for (let i = 0; i < stills; i++, memory += GROUP_BYTES) {
    setSlot(half + i, memory, 0);
    if (i < constantCount) fillWords(memory, v128.load32_splat(behind(inputsEnd, i)), memory + GROUP_BYTES);
  }
  for (let at = inputs; at < inputsEnd; at += inputBytes) {
    const way = word(at, words.INPUT_LOAD), elements = way >> 2;
    if ((way & 3) != mode.ONCE) continue;
    setSlot(word(at, words.INPUT_SLOT), memory);
    locate(0);
    loadBlock(at, elements);
    memory += groupedBytes(elements) + GROUP_BYTES;
  }
  return instructionsEnd;
}

/** Computes the program's values for `count` elements from where `locate` pointed; they are in their slots then. */
export function evaluate(count: i32): void {
  for (let at = inputs; at < inputsEnd; at += inputBytes) {
    const way = word(at, words.INPUT_LOAD), window = behind(at, words.INPUT_WORDS);
    if (way == mode.DIRECT) setSlot(word(at, words.INPUT_SLOT), address(window));
    else if (way == mode.EACH) loadBlock(at, count);
    else if (way == mode.STILL) loadRun(word(at, words.INPUT_ELEMENT), address(window), 0, slot(word(at, words.INPUT_SLOT)), GROUP);
  }
  const bytes = groupedBytes(count);
  for (let at = instructions; at < instructionsEnd; at = behind(at, words.INSTRUCTION_WORDS)) {
    const a = word(at, words.INSTRUCTION_A);
    const b = word(at, words.INSTRUCTION_B);
    const c = word(at, words.INSTRUCTION_C);
    const result = slot(word(at, words.INSTRUCTION_RESULT)), d = slot(word(at, words.INSTRUCTION_D));
    operate(word(at, words.INSTRUCTION_OPCODE), result, slot(a), step(a), slot(b), step(b), slot(c), step(c), d, bytes);
  }
}

/** Where a window has the first element of the block. A buffer below 0 is what slot −1 − buffer holds. */
export function address(window: usize): usize {
  const buffer = word(window, words.WINDOW_BUFFER);
  let at = (buffer < 0 ? slot(~buffer) : base(bases, buffer)) + <usize>word(window, words.WINDOW_OFFSET);
  for (let axis = 0; axis < rank; axis++) at += <usize>(word(coordinates, axis) * word(window, words.WINDOW_WORDS + axis));
  return at;
}

/** Splits a row-major position into coordinates. Those of folds are of 64 bits, which take longer to divide: only as far in as they must. */
export function locate(position: u64): void {
  let axis = rank - 1;
  while (axis > 0 && position > u32.MAX_VALUE) position = place<u64>(axis--, position);
  let rest = <u32>position;
  while (axis > 0) rest = place<u32>(axis--, rest);
  store<u32>(coordinates, rest);
}

@inline
function place<T>(axis: i32, position: T): T {
  const extent = <T>extentOf(axis);
  const quotient = position / extent;
  store<u32>(behind(coordinates, axis), <u32>(position - quotient * extent));
  return quotient;
}

@inline
function extentOf(axis: i32): u32 {
  return word(shape, axis);
}

/** Continues in another space, which has its shape at `at`: that of a reduction's outputs. */
export function enter(dimensions: i32, at: usize): void {
  rank = dimensions;
  shape = at;
}

@inline
function loadBlock(input: usize, count: i32): void {
  walk(behind(input, words.INPUT_WORDS), word(input, words.INPUT_ELEMENT), slot(word(input, words.INPUT_SLOT)), count, false);
}

/** Writes `count` words to where `window` has the elements of the block. */
@inline
export function storeBlock(window: usize, element: i32, register: usize, count: i32): void {
  walk(window, element, register, count, true);
}

/** Moves `count` elements of the block from a window to contiguous words, or back, one innermost row after another. */
function walk(window: usize, element: i32, register: usize, count: i32, storing: bool): void {
  const inner = rank - 1;
  const strides = behind(window, words.WINDOW_WORDS);
  const extent = extentOf(inner);
  const stride = <usize>word(strides, inner);
  const rowStride = inner ? <usize>word(strides, inner - 1) : 0;
  // Where the axis outside the innermost one begins again, the others are counted on.
  let rows = inner ? extentOf(inner - 1) - word(coordinates, inner - 1) : 1;
  let i: u32 = word(coordinates, inner);
  let row = address(window) - <usize>i * stride;
  for (let turned = false; ; i = 0) {
    const run = <i32>min<u32>(extent - i, count);
    if (storing) storeRun(element, row + <usize>i * stride, stride, register, run);
    else loadRun(element, row + <usize>i * stride, stride, register, run);
    count -= run;
    if (count <= 0) return;
    register += <usize>run << 2;
    row += rowStride;
    if (--rows != 0) continue;
    if (!turned) memory.copy(cursor, coordinates, COORDINATE_BYTES / 2);
    turned = true;
    rows = inner ? extentOf(inner - 1) : 1;
    row -= <usize>rows * rowStride;
    for (let axis = inner - 2; axis >= 0; axis--) {
      const at = behind(cursor, axis);
      const next = load<u32>(at) + 1;
      const step = word(strides, axis);
      row += <usize>step;
      store<u32>(at, next);
      if (next < extentOf(axis)) break;
      row -= <usize>(next * step);
      store<i32>(at, 0);
    }
  }
}

/** May write up to 60 bytes beyond the run, which the next run or the register's margin covers. */
@inline
function loadRun(element: i32, from: usize, stride: usize, to: usize, run: i32): void {
  const end = to + (<usize>run << 2);
  if (element == mode.WORD) {
    if (stride == 4) {
      for (; to < end; to += 64, from += 64) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        v128.store(to, v128.load(from, 32), 32);
        v128.store(to, v128.load(from, 48), 48);
      }
    } else if (stride == 0) fillWords(to, v128.load32_splat(from), end);
    else for (; to < end; to += 4, from += stride) store<u32>(to, load<u32>(from));
  } else if (element == mode.BYTE) {
    if (stride == 1) for (; to < end; to += 16, from += 4) v128.store(to, i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(from))));
    else for (; to < end; to += 4, from += stride) store<u32>(to, load<u8>(from));
  } else {
    for (; to < end; to += 4, from += stride) store<u32>(to, <u32>from);
  }
}

/** Fills up to `end`, in groups of four vectors. */
@inline
function fillWords(to: usize, value: v128, end: usize): void {
  for (; to < end; to += 64) {
    v128.store(to, value);
    v128.store(to, value, 16);
    v128.store(to, value, 32);
    v128.store(to, value, 48);
  }
}

/** Writes the run's bytes and no other. */
function storeRun(element: i32, to: usize, stride: usize, from: usize, run: i32): void {
  const end = from + (<usize>run << 2);
  if (element == mode.BYTE) {
    for (; from < end; from += 4, to += stride) store<u8>(to, load<u8>(from));
    return;
  }
  if (stride == 4) for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  for (; from < end; from += 4, to += stride) store<u32>(to, load<u32>(from));
}
