import { clear, finish, flush, foldColumns, foldRows, isSum } from './fold';
import * as walk from './modes';
import { begin, enter, evaluate, locate, slot, storeBlock } from './program';
import { STATE_LINES } from './sizes';
import { behind, share, word } from './view';
import * as words from './words';

/** So many f32 are summed before they are added to a double. */
const ADDED_IN_SINGLE = 8;

let results: usize = 0;
let resultsEnd: usize = 0;
let resultBytes: usize = 0;
let states: usize = 0;
let line: usize = 0;

/**
 * Folds. The iteration space is prefix × reduced × suffix, the innermost axis being the one with the smallest strides. What is
 * folded is never stored, so memory does not bound it: `reduced`, `run` and `chunk` are of 64 bits.
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
  const mode = word(command, words.REDUCE_MODE);
  const prefix = word(command, words.REDUCE_PREFIX);
  const suffix = word(command, words.REDUCE_SUFFIX);
  const block = word(command, words.REDUCE_BLOCK);
  const group = word(command, words.REDUCE_GROUP);
  const outerRank = word(command, words.REDUCE_OUTER_RANK);
  const reduced = load<i64>(behind(command, words.REDUCE_REDUCED));
  const run = load<i64>(behind(command, words.REDUCE_RUN));
  const chunk = load<i64>(behind(command, words.REDUCE_CHUNK));
  const program = behind(command, words.REDUCE_WORDS);
  const outerShape = begin(program, bases, workspace);
  results = behind(outerShape, outerRank);
  resultBytes = behind(0, words.FOLD_WORDS + words.WINDOW_WORDS + outerRank);
  resultsEnd = results + <usize>word(command, words.REDUCE_RESULTS) * resultBytes;
  states = workspace + <usize>word(command, words.REDUCE_STATES);
  line = <usize>word(command, words.REDUCE_LINE_BYTES);

  const chunks = max(1, <i32>((reduced + chunk - 1) / chunk));
  const columns = mode == walk.COLUMNS ? (suffix + block - 1) / block : 1;
  const rows = mode == walk.ROWS ? (prefix + group - 1) / group : prefix;
  const end = share(rows * chunks * columns, thread + 1, threads);
  for (let unit = share(rows * chunks * columns, thread, threads); unit < end; unit++) {
    const number = (unit / columns) % chunks;
    const from = <i64>number * chunk;
    const to = min(reduced, from + chunk);
    let outer: i64 = unit / columns / chunks;
    let first = 0;
    let count: i32;
    if (mode == walk.ROWS) {
      outer *= group;
      count = <i32>min<i64>(group, prefix - outer);
      clearAll(count);
      let left = from == 0 ? run : run - from % run;
      for (let r = from, piece = 0; r < to; r += piece, left = left == piece ? run : left - piece) {
        piece = <i32>min(min<i64>(block, left), to - r);
        locate(outer * reduced + r);
        evaluate(group > 1 ? count * <i32>reduced : piece);
        for (let at = results, state = states; at < resultsEnd; at += resultBytes, state += line * STATE_LINES) {
          foldRows(opcode(at), state, state + line, values(at), factors(at), count, <usize>reduced << 2, piece, <i32>r);
        }
      }
    } else if (mode == walk.PLANES) {
      count = suffix;
      clearAll(count);
      for (let r = from; r < to; r++) {
        for (let row = 0, rows = 0; row < suffix; row += rows) {
          rows = min(group, suffix - row);
          for (let i: i64 = 0, piece = 0; i < run; i += piece) {
            piece = <i32>min<i64>(block, run - i);
            locate(((outer * reduced + r) * suffix + row) * run + i);
            evaluate(group > 1 ? rows * <i32>run : piece);
            for (let at = results, state = states + (<usize>row << 2); at < resultsEnd; at += resultBytes, state += line * STATE_LINES) {
              foldRows(opcode(at), state, state + line + (<usize>row << 2), values(at), factors(at), rows, <usize>run << 2, piece, <i32>r);
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
        for (let at = results, state = states; at < resultsEnd; at += resultBytes, state += line * STATE_LINES) {
          foldColumns(opcode(at), state, state + line, values(at), factors(at), steps, count, <i32>r);
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
    for (let at = results, state = states; at < resultsEnd; at += resultBytes, state += line * STATE_LINES) {
      storeBlock(behind(at, words.FOLD_WORDS), word(at, words.FOLD_ELEMENT), finish(opcode(at), state, state + line, count), count);
    }
    enter(word(program, words.PROGRAM_RANK), behind(program, words.PROGRAM_WORDS));
  }
}

@inline
function opcode(result: usize): i32 {
  return word(result, words.FOLD_OPCODE);
}

@inline
function values(result: usize): usize {
  return slot(word(result, words.FOLD_SLOT));
}

@inline
function factors(result: usize): usize {
  return slot(word(result, words.FOLD_FACTOR));
}

function clearAll(count: i32): void {
  for (let at = results, state = states; at < resultsEnd; at += resultBytes, state += line * STATE_LINES) clear(opcode(at), state, state + line, count);
}

function flushAll(count: i32): void {
  for (let at = results, state = states; at < resultsEnd; at += resultBytes, state += line * STATE_LINES) {
    if (isSum(opcode(at))) flush(state, state + line, count);
  }
}
