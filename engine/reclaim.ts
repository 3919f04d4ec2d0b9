import type { Backend } from './backends/backend.ts';
import { giveBackLeft } from './collect.ts';
import { rest } from './turn.ts';

/** What is allocated and dropped so that the garbage collector runs, which does not see how large the memory behind small objects is. */
const GARBAGE = 64 * 2 ** 20;
/** Rounds at most: on a machine with too few cores for its work the collector, which works beside the program, may take many. */
const ROUNDS = 32;

/** Finds what nobody holds any more and gives it back. To be called in a turn, where no plan runs. */
export async function reclaim(backend: Backend): Promise<void> {
  const before = backend.bytes;
  for (let round = 0; round < ROUNDS && backend.bytes === before; round++) {
    try {
      for (let k = 0; k < 4; k++) new ArrayBuffer(GARBAGE);
    } catch {
      // Where there is no room for it, the collector has run.
    }
    // Callbacks come in a turn of the event loop after the one in which the collector is done.
    await rest();
    await rest();
    giveBackLeft();
  }
}
