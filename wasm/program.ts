/**
 * The block interpreter: runs a program over a strided iteration space, a block of some hundred elements at a time, so
 * that every value stays in the first-level cache and each instruction is one tight loop over the block.
 *
 *   [rank, register bytes, inputs, constants, instructions, registers, stills, shape ×rank, half of the table's slots,
 *    inputs: [load, element, slot, buffer, byte offset, byte strides ×rank] …,
 *    constants: [bits] …, instructions: [opcode, result, a, b, c, d] …]
 *
 * (`load` is ONCE with four times the number of elements to load. A buffer below 0 is what slot −1 − buffer holds.)
 *
 * Operands are slots of a table at the start of the workspace: an address, and the step to the next 16 elements.
 * Registers lie behind the table and never move; nor do stills, values that are the same for a whole block and hold 16
 * copies; streams are memory that the program reads (or writes) in place, and are set for every block. Loops run over
 * whole groups of 16 elements: registers have the room, streams are only read beyond their end, where every buffer is
 * followed by padding.
 */
import * as op from './opcode';
import { operate } from './operation';
import { COORDINATE_BYTES, GROUP, GROUP_BYTES, SLOT_BYTES } from './sizes';
import { base } from './view';

let rank: i32 = 0;
let shape: usize = 0;
let inputs: usize = 0;
let inputCount: i32 = 0;
let instructions: usize = 0;
let instructionsEnd: usize = 0;
let bases: usize = 0;
let slots: usize = 0;
/** The position, in each dimension, of the first element of the block, and of the row that is being moved. */
let coordinates: usize = 0;
let cursor: usize = 0;

@inline
function word(address: usize, index: i32): i32 {
  return load<i32>(address + (<usize>index << 2));
}

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
  rank = word(program, 0);
  const registerBytes = <usize>word(program, 1);
  inputCount = word(program, 2);
  const constantCount = word(program, 3);
  const instructionCount = word(program, 4);
  const registers = word(program, 5);
  const stills = word(program, 6);
  shape = program + 28;
  const half = word(shape, rank);
  inputs = shape + (<usize>(rank + 1) << 2);
  const constants = inputs + <usize>(inputCount * (5 + rank)) * 4;
  instructions = constants + (<usize>constantCount << 2);
  instructionsEnd = instructions + <usize>instructionCount * 24;
  bases = table;
  slots = workspace;
  coordinates = workspace + <usize>half * (2 * SLOT_BYTES);
  cursor = coordinates + COORDINATE_BYTES / 2;

  let memory = coordinates + COORDINATE_BYTES;
  for (let i = 0; i < registers; i++, memory += registerBytes) setSlot(i, memory);
  for (let i = 0; i < stills; i++, memory += GROUP_BYTES) {
    setSlot(half + i, memory, 0);
    if (i < constantCount) fillWords(memory, v128.load32_splat(constants + (<usize>i << 2)), memory + GROUP_BYTES);
  }
  for (let i = 0, at = inputs; i < inputCount; i++, at += <usize>(5 + rank) << 2) {
    if ((word(at, 0) & 3) != op.ONCE) continue;
    const elements = word(at, 0) >> 2;
    setSlot(word(at, 2), memory);
    locate(0);
    loadBlock(at, elements);
    memory += groupedBytes(elements) + GROUP_BYTES;
  }
  return instructionsEnd;
}

/** Computes the program's values for `count` elements from where `locate` pointed; they are in their slots then. */
export function evaluate(count: i32): void {
  for (let i = 0, at = inputs; i < inputCount; i++, at += <usize>(5 + rank) << 2) {
    const mode = word(at, 0);
    if (mode == op.DIRECT) setSlot(word(at, 2), address(at + 12));
    else if (mode == op.EACH) loadBlock(at, count);
    else if (mode == op.STILL) loadRun(word(at, 1), address(at + 12), 0, slot(word(at, 2)), GROUP);
  }
  const bytes = groupedBytes(count);
  for (let at = instructions; at < instructionsEnd; at += 24) {
    const a = word(at, 2);
    const b = word(at, 3);
    const c = word(at, 4);
    operate(word(at, 0), slot(word(at, 1)), slot(a), step(a), slot(b), step(b), slot(c), step(c), slot(word(at, 5)), bytes);
  }
}

/** Where `window`, [buffer, byte offset, byte strides ×rank], has the first element of the block. */
export function address(window: usize): usize {
  const buffer = load<i32>(window);
  let at = (buffer < 0 ? slot(~buffer) : base(bases, buffer)) + <usize>load<u32>(window, 4);
  for (let axis = 0; axis < rank; axis++) at += <usize>(word(coordinates, axis) * word(window + 8, axis));
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
  store<u32>(coordinates + (<usize>axis << 2), <u32>(position - quotient * extent));
  return quotient;
}

@inline
function extentOf(axis: i32): u32 {
  return load<u32>(shape + (<usize>axis << 2));
}

/** Continues in another space, which has its shape at `at`: that of a reduction's outputs. */
export function enter(dimensions: i32, at: usize): void {
  rank = dimensions;
  shape = at;
}

@inline
function loadBlock(input: usize, count: i32): void {
  walk(input + 12, word(input, 1), slot(word(input, 2)), count, false);
}

/** Writes `count` words to where `window` has the elements of the block. */
@inline
export function storeBlock(window: usize, element: i32, words: usize, count: i32): void {
  walk(window, element, words, count, true);
}

/** Moves `count` elements of the block from a window to contiguous words, or back, one innermost row after another. */
function walk(window: usize, element: i32, words: usize, count: i32, storing: bool): void {
  const inner = rank - 1;
  const strides = window + 8;
  const extent = extentOf(inner);
  const stride = <usize>word(strides, inner);
  const rowStride = inner ? <usize>word(strides, inner - 1) : 0;
  // Where the axis outside the innermost one begins again, the others are counted on.
  let rows = inner ? extentOf(inner - 1) - word(coordinates, inner - 1) : 1;
  let i: u32 = word(coordinates, inner);
  let row = address(window) - <usize>i * stride;
  for (let turned = false; ; i = 0) {
    const run = <i32>min<u32>(extent - i, count);
    if (storing) storeRun(element, row + <usize>i * stride, stride, words, run);
    else loadRun(element, row + <usize>i * stride, stride, words, run);
    count -= run;
    if (count <= 0) return;
    words += <usize>run << 2;
    row += rowStride;
    if (--rows != 0) continue;
    if (!turned) memory.copy(cursor, coordinates, COORDINATE_BYTES / 2);
    turned = true;
    rows = inner ? extentOf(inner - 1) : 1;
    row -= <usize>rows * rowStride;
    for (let axis = inner - 2; axis >= 0; axis--) {
      const at = cursor + (<usize>axis << 2);
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
  if (element == op.WORD) {
    if (stride == 4) {
      for (; to < end; to += 64, from += 64) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        v128.store(to, v128.load(from, 32), 32);
        v128.store(to, v128.load(from, 48), 48);
      }
    } else if (stride == 0) fillWords(to, v128.load32_splat(from), end);
    else for (; to < end; to += 4, from += stride) store<u32>(to, load<u32>(from));
  } else if (element == op.BYTE) {
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
  if (element == op.BYTE) {
    for (; from < end; from += 4, to += stride) store<u8>(to, load<u8>(from));
    return;
  }
  if (stride == 4) for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  for (; from < end; from += 4, to += stride) store<u32>(to, load<u32>(from));
}
