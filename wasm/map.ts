import * as op from './opcode';
import { address, begin, evaluate, locate, setSlot, slot, storeBlock } from './program';
import { share } from './view';

/**
 * Elementwise: `[segments, segment length, block length, results, program…,
 * results: [load, element, slot, spare, buffer, byte offset, byte strides ×rank] …]`.
 *
 *   for block of segment                  one after the other in row-major order; a block is within one segment
 *     load inputs, run the program
 *     store the results that the program could not write in place
 *
 * A DIRECT result is written where it belongs by the instruction that computes it, unless the block is not a multiple
 * of 16 elements: then it goes by way of the register `spare`, so that no neighbour is overwritten.
 */
export function map(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const segments = load<i32>(command);
  const length = load<i32>(command, 4);
  const block = load<i32>(command, 8);
  const resultCount = load<i32>(command, 12);
  const rank = load<i32>(command, 16);
  const results = begin(command + 16, bases, workspace);
  const resultBytes = <usize>(6 + rank) << 2;
  const blocks = (length + block - 1) / block;

  const end = share(segments * blocks, thread + 1, threads);
  for (let k = share(segments * blocks, thread, threads); k < end; k++) {
    const within = (k % blocks) * block;
    const count = min(block, length - within);
    const start = (k / blocks) * length + within;
    locate(start);
    const inPlace = (count & 15) == 0;
    for (let i = 0, at = results; i < resultCount; i++, at += resultBytes) {
      if (load<i32>(at) == op.DIRECT) setSlot(load<i32>(at, 8), inPlace ? address(at + 16) : slot(load<i32>(at, 12)));
    }
    evaluate(count);
    for (let i = 0, at = results; i < resultCount; i++, at += resultBytes) {
      if (load<i32>(at) != op.DIRECT || !inPlace) storeBlock(at + 16, load<i32>(at, 4), slot(load<i32>(at, 8)), count);
    }
  }
}
