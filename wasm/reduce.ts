import { mulAdd } from './math';
import * as op from './opcode';
import { begin, enter, evaluate, locate, slot, storeBlock } from './program';
import { share } from './view';

/**
 * Folds: `[mode, prefix, reduced, suffix, run, block, group, chunk, state offset, register bytes, results, outer rank,
 * program…, outer shape ×rank, results: [opcode, element, slot, slot, buffer, byte offset, byte strides ×rank] …]`.
 *
 * The iteration space is prefix × reduced × suffix, the innermost axis being the one with the smallest strides.
 *
 *   ROWS (suffix 1): a block is a piece of one row, or `group` whole short rows
 *     for group of rows, for chunk of the row
 *       for piece of the chunk               run the program; fold each row's piece into its state
 *   COLUMNS: a block is one step of `block` columns, or `group` steps of all columns
 *     for prefix, for chunk of reduced, for block of columns
 *       for step in the chunk by group       run the program; fold the steps, column by column, into the states
 *
 * A fold in several chunks gives partial results, prefix × chunks × suffix, which another command folds. A DOT sums the
 * products of two slots; every other result has one slot twice.
 *
 * The state of a result is a register of words (an extremum, an integer, a partial sum in f32) and behind it two
 * registers of doubles (sums and products of f32) or of positions. What is folded in which order never depends on the
 * number of threads.
 */
let state: usize = 0;
let line: usize = 0;
let resultCount: i32 = 0;
let results: usize = 0;
let resultBytes: usize = 0;

/** Partial sums of so many f32 are added to the doubles, before rounding adds up. */
const ADDED_IN_SINGLE = 8;

export function reduce(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const mode = load<i32>(command);
  const prefix = load<i32>(command, 4);
  const reduced = load<i32>(command, 8);
  const suffix = load<i32>(command, 12);
  const run = load<i32>(command, 16);
  const block = load<i32>(command, 20);
  const group = load<i32>(command, 24);
  const chunk = load<i32>(command, 28);
  state = workspace + load<u32>(command, 32);
  line = load<u32>(command, 36);
  resultCount = load<i32>(command, 40);
  const outerRank = load<i32>(command, 44);
  const program = command + 48;
  const rank = load<i32>(program);
  const outerShape = begin(program, bases, workspace);
  results = outerShape + (<usize>outerRank << 2);
  resultBytes = <usize>(6 + outerRank) << 2;

  const chunks = max(1, (reduced + chunk - 1) / chunk);
  const columns = mode == op.ROWS ? 1 : (suffix + block - 1) / block;
  const rows = mode == op.ROWS ? (prefix + group - 1) / group : prefix;
  const end = share(rows * chunks * columns, thread + 1, threads);
  for (let unit = share(rows * chunks * columns, thread, threads); unit < end; unit++) {
    const first = (unit % columns) * block;
    const from = ((unit / columns) % chunks) * chunk;
    const to = min(reduced, from + chunk);
    let outer = unit / columns / chunks;
    let count: i32;
    if (mode == op.ROWS) {
      outer *= group;
      count = min(group, prefix - outer);
      clear(count);
      for (let r = from, piece = 0; r < to; r += piece) {
        piece = min(min(block, run - (r % run)), to - r);
        locate(outer * reduced + r);
        evaluate(group > 1 ? count * reduced : piece);
        for (let k = 0; k < resultCount; k++) foldRows(k, count, reduced, piece, r);
      }
    } else {
      count = min(block, suffix - first);
      clear(count);
      let added = 0;
      for (let r = from; r < to; r += group) {
        const steps = min(group, to - r);
        locate((outer * reduced + r) * suffix + first);
        evaluate(steps * count);
        for (let k = 0; k < resultCount; k++) foldColumns(k, steps, count, r);
        added += steps;
        if (added < ADDED_IN_SINGLE) continue;
        flush(count);
        added = 0;
      }
      flush(count);
    }
    const position = mode == op.ROWS ? outer * chunks + from / chunk : (outer * chunks + from / chunk) * suffix + first;
    enter(outerRank, outerShape);
    locate(position);
    for (let k = 0; k < resultCount; k++) {
      const result = results + <usize>k * resultBytes;
      storeBlock(result + 16, load<i32>(result, 4), finish(k, count), count);
    }
    enter(rank, program + 28);
  }
}

@inline
function opcode(k: i32): i32 {
  return load<i32>(results + <usize>k * resultBytes);
}

@inline
function valuesOf(k: i32): usize {
  return slot(load<i32>(results + <usize>k * resultBytes, 8));
}

@inline
function factorsOf(k: i32): usize {
  return slot(load<i32>(results + <usize>k * resultBytes, 12));
}

@inline
function isSum(code: i32): bool {
  return code == op.ADD || code == op.DOT;
}

/** The words of result `k`'s state; its doubles or positions are one `line` behind. */
@inline
function stateOf(k: i32): usize {
  return state + <usize>k * 3 * line;
}

/** What a fold begins with, as a word. */
function identity(code: i32): i32 {
  switch (code) {
    case op.MUL: return reinterpret<i32>(<f32>1);
    case op.MAXIMUM:
    case op.ARGMAX: return reinterpret<i32>(<f32>-Infinity);
    case op.MINIMUM:
    case op.ARGMIN: return reinterpret<i32>(<f32>Infinity);
    case op.INTEGER + op.MUL: return 1;
    case op.INTEGER + op.MAXIMUM:
    case op.INTEGER + op.ARGMAX: return i32.MIN_VALUE;
    case op.INTEGER + op.MINIMUM:
    case op.INTEGER + op.ARGMIN: return i32.MAX_VALUE;
    default: return 0;
  }
}

/** Begins a fold in the first `count` lanes of every state. */
function clear(count: i32): void {
  for (let k = 0; k < resultCount; k++) {
    const word = identity(opcode(k));
    const wide = <f64>(opcode(k) == op.MUL);
    const at = stateOf(k);
    for (let i: usize = 0; i < <usize>count; i++) {
      store<i32>(at + (i << 2), word);
      store<f64>(at + line + (i << 3), wide);
    }
  }
}

/** Folds `rows` steps of `count` columns into the states of the columns. */
function foldColumns(k: i32, rows: i32, count: i32, r: i32): void {
  const code = opcode(k);
  const at = stateOf(k);
  const values = valuesOf(k);
  switch (code) {
    case op.ADD: columns<Sum>(at, values, rows, count); break;
    case op.DOT: dotColumns(at, values, factorsOf(k), rows, count); break;
    case op.MAXIMUM: columns<Maximum>(at, values, rows, count); break;
    case op.MINIMUM: columns<Minimum>(at, values, rows, count); break;
    case op.INTEGER + op.ADD: columns<IntegerSum>(at, values, rows, count); break;
    case op.INTEGER + op.MUL: columns<IntegerProduct>(at, values, rows, count); break;
    case op.INTEGER + op.MAXIMUM: columns<IntegerMaximum>(at, values, rows, count); break;
    case op.INTEGER + op.MINIMUM: columns<IntegerMinimum>(at, values, rows, count); break;
    default:
      for (let i = 0, value = values; i < rows * count; i++, value += 4) {
        if (code == op.MUL) multiply(at, i % count, value);
        else seek(code, at, i % count, value, 1, r + i / count);
      }
  }
}

/** Four steps at a time, so that the states are loaded and stored a quarter as often. */
function columns<Operation>(at: usize, values: usize, rows: i32, count: i32): void {
  const operation = changetype<Operation>(0);
  const pitch = <usize>count << 2;
  const end = at + pitch;
  for (; rows >= 4; rows -= 4, values += 4 * pitch) {
    let from = values;
    for (let to = at; to < end; to += 16, from += 16) {
      const left = operation.of(v128.load(from), v128.load(from + pitch));
      const right = operation.of(v128.load(from + 2 * pitch), v128.load(from + 3 * pitch));
      v128.store(to, operation.of(v128.load(to), operation.of(left, right)));
    }
  }
  for (; rows > 0; rows--, values += pitch) {
    let from = values;
    for (let to = at; to < end; to += 64, from += 64) {
      v128.store(to, operation.of(v128.load(to), v128.load(from)));
      v128.store(to, operation.of(v128.load(to, 16), v128.load(from, 16)), 16);
      v128.store(to, operation.of(v128.load(to, 32), v128.load(from, 32)), 32);
      v128.store(to, operation.of(v128.load(to, 48), v128.load(from, 48)), 48);
    }
  }
}

function dotColumns(at: usize, values: usize, factors: usize, rows: i32, count: i32): void {
  const pitch = <usize>count << 2;
  const end = at + pitch;
  for (; rows > 0; rows -= 2, values += 2 * pitch, factors += 2 * pitch) {
    const second = rows > 1 ? pitch : 0;
    let a = values;
    let b = factors;
    for (let to = at; to < end; to += 16, a += 16, b += 16) {
      const sum = mulAdd(v128.load(a), v128.load(b), v128.load(to));
      v128.store(to, second ? mulAdd(v128.load(a + second), v128.load(b + second), sum) : sum);
    }
  }
}

/** Adds the partial sums of `count` lanes to their doubles. */
function flush(count: i32): void {
  for (let k = 0; k < resultCount; k++) {
    if (!isSum(opcode(k))) continue;
    let at = stateOf(k);
    let wide = at + line;
    for (const end = at + (<usize>count << 2); at < end; at += 16, wide += 32) {
      const sums = v128.load(at);
      v128.store(wide, f64x2.add(v128.load(wide), lowHalf(sums)));
      v128.store(wide, f64x2.add(v128.load(wide, 16), highHalf(sums)), 16);
      v128.store(at, i32x4.splat(0));
    }
  }
}

/** Folds `count` values of each of `rows` rows into lane `row` of the state. */
function foldRows(k: i32, rows: i32, stride: i32, count: i32, r: i32): void {
  const code = opcode(k);
  const at = stateOf(k);
  let values = valuesOf(k);
  let factors = factorsOf(k);
  for (let row = 0; row < rows; row++, values += <usize>stride << 2, factors += <usize>stride << 2) {
    const word = at + (<usize>row << 2);
    const wide = at + line + (<usize>row << 3);
    switch (code) {
      case op.ADD: store<f64>(wide, load<f64>(wide) + sumRow(values, count)); break;
      case op.DOT: store<f64>(wide, load<f64>(wide) + dotRow(values, factors, count)); break;
      case op.MUL: for (let i = 0; i < count; i++) multiply(at, row, values + (<usize>i << 2)); break;
      case op.MAXIMUM: foldWord<Maximum>(code, word, values, count); break;
      case op.MINIMUM: foldWord<Minimum>(code, word, values, count); break;
      case op.INTEGER + op.ADD: foldWord<IntegerSum>(code, word, values, count); break;
      case op.INTEGER + op.MUL: foldWord<IntegerProduct>(code, word, values, count); break;
      case op.INTEGER + op.MAXIMUM: foldWord<IntegerMaximum>(code, word, values, count); break;
      case op.INTEGER + op.MINIMUM: foldWord<IntegerMinimum>(code, word, values, count); break;
      default: seek(code, at, row, values, count, r);
    }
  }
}

@unmanaged class Sum { @inline of(a: v128, b: v128): v128 { return f32x4.add(a, b); } }
@unmanaged class Maximum { @inline of(a: v128, b: v128): v128 { return f32x4.max(a, b); } }
@unmanaged class Minimum { @inline of(a: v128, b: v128): v128 { return f32x4.min(a, b); } }
@unmanaged class IntegerSum { @inline of(a: v128, b: v128): v128 { return i32x4.add(a, b); } }
@unmanaged class IntegerProduct { @inline of(a: v128, b: v128): v128 { return i32x4.mul(a, b); } }
@unmanaged class IntegerMaximum { @inline of(a: v128, b: v128): v128 { return i32x4.max_s(a, b); } }
@unmanaged class IntegerMinimum { @inline of(a: v128, b: v128): v128 { return i32x4.min_s(a, b); } }

/** Four partial folds of `count` contiguous words. */
function foldRow<Operation>(code: i32, from: usize, count: i32): v128 {
  const operation = changetype<Operation>(0);
  const neutral = i32x4.splat(identity(code));
  let a = neutral;
  let b = neutral;
  let c = neutral;
  let d = neutral;
  const end = from + (<usize>count << 2);
  for (; from + 64 <= end; from += 64) {
    a = operation.of(a, v128.load(from));
    b = operation.of(b, v128.load(from, 16));
    c = operation.of(c, v128.load(from, 32));
    d = operation.of(d, v128.load(from, 48));
  }
  for (; from + 16 <= end; from += 16) a = operation.of(a, v128.load(from));
  b = operation.of(b, v128.bitselect(v128.load(from), neutral, inside(from, end)));
  return operation.of(operation.of(a, b), operation.of(c, d));
}

/** Sums four in f32, and these in double: little slower, and hardly an error. */
function sumRow(from: usize, count: i32): f64 {
  let low = i32x4.splat(0);
  let high = low;
  const end = from + (<usize>count << 2);
  for (; from + 64 <= end; from += 64) {
    const left = f32x4.add(v128.load(from), v128.load(from, 16));
    const sum = f32x4.add(left, f32x4.add(v128.load(from, 32), v128.load(from, 48)));
    low = f64x2.add(low, lowHalf(sum));
    high = f64x2.add(high, highHalf(sum));
  }
  for (; from < end; from += 16) {
    const rest = v128.and(v128.load(from), inside(from, end));
    low = f64x2.add(low, lowHalf(rest));
    high = f64x2.add(high, highHalf(rest));
  }
  return total(low, high);
}

/** The same of the products of two rows. */
function dotRow(a: usize, b: usize, count: i32): f64 {
  let low = i32x4.splat(0);
  let high = low;
  const end = a + (<usize>count << 2);
  for (; a + 64 <= end; a += 64, b += 64) {
    const left = mulAdd(v128.load(a, 16), v128.load(b, 16), f32x4.mul(v128.load(a), v128.load(b)));
    const right = mulAdd(v128.load(a, 48), v128.load(b, 48), f32x4.mul(v128.load(a, 32), v128.load(b, 32)));
    const sum = f32x4.add(left, right);
    low = f64x2.add(low, lowHalf(sum));
    high = f64x2.add(high, highHalf(sum));
  }
  for (; a < end; a += 16, b += 16) {
    const rest = v128.and(f32x4.mul(v128.load(a), v128.load(b)), inside(a, end));
    low = f64x2.add(low, lowHalf(rest));
    high = f64x2.add(high, highHalf(rest));
  }
  return total(low, high);
}

@inline
function lowHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

@inline
function highHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 1));
}

@inline
function total(low: v128, high: v128): f64 {
  const pair = f64x2.add(low, high);
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

/** Of the four words at `from`, those before `end`. */
@inline
function inside(from: usize, end: usize): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>(end - from) >> 2));
}

function foldWord<Operation>(code: i32, word: usize, from: usize, count: i32): void {
  const operation = changetype<Operation>(0);
  let v = foldRow<Operation>(code, from, count);
  v = operation.of(v, i64x2.shuffle(v, v, 1, 0));
  v = operation.of(v, i32x4.shuffle(v, v, 1, 0, 3, 2));
  v128.store_lane<i32>(word, operation.of(v, v128.load32_splat(word)), 0);
}

/** A product of f32 is kept in double, so that it neither loses bits nor leaves the range on the way. */
@inline
function multiply(at: usize, lane: i32, value: usize): void {
  const wide = at + line + (<usize>lane << 3);
  store<f64>(wide, load<f64>(wide) * <f64>load<f32>(value));
}

/** Keeps in `lane` the first NaN, else the first extremum, and its position. */
function seek(code: i32, at: usize, lane: i32, from: usize, count: i32, r: i32): void {
  if (code & op.INTEGER) seekFirst<i32>(code & 1, at + (<usize>lane << 2), from, count, r);
  else seekFirst<f32>(code & 1, at + (<usize>lane << 2), from, count, r);
}

@inline
function seekFirst<T>(least: i32, word: usize, from: usize, count: i32, r: i32): void {
  let best = load<T>(word);
  for (let i = 0; i < count; i++) {
    const value = load<T>(from + (<usize>i << 2));
    if ((least ? value < best : value > best) || (value != value && best == best)) {
      best = value;
      store<i32>(word + line, r + i);
    }
  }
  store<T>(word, best);
}

/** The results of a fold, as contiguous words. */
function finish(k: i32, count: i32): usize {
  const code = opcode(k);
  const at = stateOf(k);
  if ((code & ~1 & ~op.INTEGER) == op.ARGMAX) return at + line;
  if (isSum(code) || code == op.MUL) {
    for (let i: usize = 0; i < <usize>count; i++) store<f32>(at + (i << 2), <f32>load<f64>(at + line + (i << 3)));
  }
  return at;
}
