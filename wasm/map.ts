import * as mode from './modes';
import { address, begin, evaluate, locate, setSlot, slot, storeBlock } from './program';
import { GROUP } from './sizes';
import { behind, share, word } from './view';
import * as words from './words';

let blockLength: i32 = 0;
let resultCount: i32 = 0;
let results: usize = 0;
let resultBytes: usize = 0;
/** Where the product lies that an epilogue finishes. */
let product: usize = 0;

/** Makes the words of a map ready for its first block. */
function beginBlocks(command: usize, bases: usize, workspace: usize): void {
  blockLength = word(command, words.MAP_BLOCK);
  resultCount = word(command, words.MAP_RESULTS);
  const program = behind(command, words.MAP_WORDS);
  resultBytes = behind(0, words.RESULT_WORDS + words.WINDOW_WORDS + word(program, words.PROGRAM_RANK));
  results = begin(program, bases, workspace);
}

function runBlock(start: u64, count: i32): void {
  locate(start);
  const inPlace = (count & (GROUP - 1)) == 0;
  for (let i = 0, at = results; i < resultCount; i++, at += resultBytes) {
    if (word(at, words.RESULT_STORE) != mode.DIRECT) continue;
    setSlot(word(at, words.RESULT_SLOT), inPlace ? address(behind(at, words.RESULT_WORDS)) : slot(word(at, words.RESULT_SPARE)));
  }
  evaluate(count);
  for (let i = 0, at = results; i < resultCount; i++, at += resultBytes) {
    if (inPlace && word(at, words.RESULT_STORE) == mode.DIRECT) continue;
    storeBlock(behind(at, words.RESULT_WORDS), word(at, words.RESULT_ELEMENT), slot(word(at, words.RESULT_SLOT)), count);
  }
}

/**
 * Elementwise:
 *
 *   for block of segment                  one after the other in row-major order; a block is within one segment
 *     load inputs, run the program
 *     store the results that the program could not write in place
 *
 * A DIRECT result is written where it belongs by the instruction that computes it, unless the block is not a multiple
 * of 16 elements: then it goes by way of the register `spare`, so that no neighbour is overwritten.
 */
export function map(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const segments = word(command, words.MAP_SEGMENTS);
  const length = <u32>word(command, words.MAP_LENGTH);
  beginBlocks(command, bases, workspace);
  const blocks = <i32>((length - 1) / blockLength + 1);
  const end = share(segments * blocks, thread + 1, threads);
  for (let k = share(segments * blocks, thread, threads); k < end; k++) {
    const within = <u32>(k % blocks) * blockLength;
    runBlock(<u64>(k / blocks) * length + within, <i32>min<u32>(blockLength, length - within));
  }
}

/** Makes ready an epilogue, the words of a map that has its segments from others, for the product that lies contiguously from `origin`. */
export function beginEpilogue(command: usize, bases: usize, workspace: usize, origin: usize): void {
  product = origin;
  beginBlocks(command, bases, workspace);
}

/** Finishes `width` elements in a row from each of `count` places: an entry of `rows` and `column` are an address. */
export function finishRows(rows: usize, count: i32, column: usize, width: i32): void {
  for (const last = rows + (<usize>count << 2); rows != last; rows += 4) {
    let start = <i32>(<usize>load<u32>(rows) + column - product >> 2);
    for (const end = start + width; start < end; start += blockLength) runBlock(start, min(blockLength, end - start));
  }
}
