import { clear, finish, flush, foldColumns, foldRows, isSum } from './fold';
import * as op from './opcode';
import { begin, enter, evaluate, locate, slot, storeBlock } from './program';
import { STATE_LINES } from './sizes';
import { share } from './view';

/** Of a result, before its window: opcode, element, two slots. */
const RESULT: usize = 16;
/** So many f32 are summed before they are added to a double. */
const ADDED_IN_SINGLE = 8;

let results: usize = 0;
let resultsEnd: usize = 0;
let resultBytes: usize = 0;
let states: usize = 0;
let line: usize = 0;

/**
 * Folds: `[mode, prefix, suffix, block, group, state offset, register bytes, results, outer rank, reduced, run, chunk,
 * program…, outer shape ×rank, results: [opcode, element, slot, slot, buffer, byte offset, byte strides ×rank] …]`.
 *
 * The iteration space is prefix × reduced × suffix, the innermost axis being the one with the smallest strides. What is
 * folded is never stored, so memory does not bound it: `reduced`, `run` and `chunk` are of 64 bits, two words each.
 *
 *   ROWS (suffix 1): a block is a piece of one row, or `group` whole short rows
 *     for group of rows, for chunk of the row
 *       for piece of the chunk               run the program; fold each row's piece into its state
 *   COLUMNS: a block is one step of `block` columns, or `group` steps of all columns
 *     for prefix, for chunk of reduced, for block of columns
 *       for steps in the chunk by group      run the program; fold the steps, column by column, into the states
 *   PLANES: each of `reduced` is a plane of `suffix` rows of `run` elements, which are folded too; a block as in ROWS
 *     for prefix, for chunk of reduced
 *       for plane of the chunk, for group of rows, for piece of a row
 *                                            run the program; fold each row's piece into its state
 *
 * A fold in several chunks gives partial results, prefix × chunks × suffix, which another command folds. A DOT sums the
 * products of two slots; every other result has one slot twice. The state of a result is one register of words and two
 * of doubles (`fold.ts`). What is folded in which order never depends on the number of threads.
 */
export function reduce(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const mode = load<i32>(command);
  const prefix = load<i32>(command, 4);
  const suffix = load<i32>(command, 8);
  const block = load<i32>(command, 12);
  const group = load<i32>(command, 16);
  const outerRank = load<i32>(command, 32);
  const reduced = load<i64>(command, 36);
  const run = load<i64>(command, 44);
  const chunk = load<i64>(command, 52);
  const program = command + 60;
  const rank = load<i32>(program);
  const outerShape = begin(program, bases, workspace);
  results = outerShape + (<usize>outerRank << 2);
  resultBytes = RESULT + (<usize>(2 + outerRank) << 2);
  resultsEnd = results + <usize>load<u32>(command, 28) * resultBytes;
  states = workspace + load<u32>(command, 20);
  line = load<u32>(command, 24);

  const chunks = max(1, <i32>((reduced + chunk - 1) / chunk));
  const columns = mode == op.COLUMNS ? (suffix + block - 1) / block : 1;
  const rows = mode == op.ROWS ? (prefix + group - 1) / group : prefix;
  const end = share(rows * chunks * columns, thread + 1, threads);
  for (let unit = share(rows * chunks * columns, thread, threads); unit < end; unit++) {
    const number = (unit / columns) % chunks;
    const from = <i64>number * chunk;
    const to = min(reduced, from + chunk);
    let outer: i64 = unit / columns / chunks;
    let first = 0;
    let count: i32;
    if (mode == op.ROWS) {
      outer *= group;
      count = <i32>min<i64>(group, prefix - outer);
      clearAll(count);
      let left = from == 0 ? run : run - from % run;
      for (let r = from, piece = 0; r < to; r += piece, left = left == piece ? run : left - piece) {
        piece = <i32>min(min<i64>(block, left), to - r);
        locate(outer * reduced + r);
        evaluate(group > 1 ? count * <i32>reduced : piece);
        for (let at = results, words = states; at < resultsEnd; at += resultBytes, words += line * STATE_LINES) {
          foldRows(load<i32>(at), words, words + line, values(at), factors(at), count, <usize>reduced << 2, piece, <i32>r);
        }
      }
    } else if (mode == op.PLANES) {
      count = suffix;
      clearAll(count);
      for (let r = from; r < to; r++) {
        for (let row = 0, rows = 0; row < suffix; row += rows) {
          rows = min(group, suffix - row);
          for (let i: i64 = 0, piece = 0; i < run; i += piece) {
            piece = <i32>min<i64>(block, run - i);
            locate(((outer * reduced + r) * suffix + row) * run + i);
            evaluate(group > 1 ? rows * <i32>run : piece);
            for (let at = results, words = states + (<usize>row << 2); at < resultsEnd; at += resultBytes, words += line * STATE_LINES) {
              foldRows(load<i32>(at), words, words + line + (<usize>row << 2), values(at), factors(at), rows, <usize>run << 2, piece, <i32>r);
            }
          }
        }
      }
    } else {
      first = (unit % columns) * block;
      count = min(block, suffix - first);
      clearAll(count);
      let added = 0;
      for (let r = from; r < to; r += group) {
        const steps = <i32>min<i64>(group, to - r);
        locate((outer * reduced + r) * suffix + first);
        evaluate(steps * count);
        for (let at = results, words = states; at < resultsEnd; at += resultBytes, words += line * STATE_LINES) {
          foldColumns(load<i32>(at), words, words + line, values(at), factors(at), steps, count, <i32>r);
        }
        // Whole eights have gone to the doubles at once.
        added += steps % ADDED_IN_SINGLE;
        if (added + group % ADDED_IN_SINGLE <= ADDED_IN_SINGLE && r + group < to) continue;
        if (added > 0) flushAll(count);
        added = 0;
      }
    }
    enter(outerRank, outerShape);
    locate((outer * chunks + number) * suffix + first);
    for (let at = results, words = states; at < resultsEnd; at += resultBytes, words += line * STATE_LINES) {
      storeBlock(at + RESULT, load<i32>(at, 4), finish(load<i32>(at), words, words + line, count), count);
    }
    enter(rank, program + 28);
  }
}

@inline
function values(result: usize): usize {
  return slot(load<i32>(result, 8));
}

@inline
function factors(result: usize): usize {
  return slot(load<i32>(result, 12));
}

function clearAll(count: i32): void {
  for (let at = results, words = states; at < resultsEnd; at += resultBytes, words += line * STATE_LINES) clear(load<i32>(at), words, words + line, count);
}

function flushAll(count: i32): void {
  for (let at = results, words = states; at < resultsEnd; at += resultBytes, words += line * STATE_LINES) {
    if (isSum(load<i32>(at))) flush(words, words + line, count);
  }
}
