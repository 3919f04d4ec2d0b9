import type { Backend, DeviceBuffer } from './backends/backend.ts';
import { inTurn, rest } from './turn.ts';

type GiveBack = () => void;

/** What nobody holds any more, and has not been given back. */
const left = new Set<GiveBack>();
const registry = new FinalizationRegistry<GiveBack>((giveBack) => {
  left.add(giveBack);
  void inTurn(giveBackLeft);
});

function giveBackLeft(): void {
  for (const giveBack of left) {
    left.delete(giveBack);
    giveBack();
  }
}

/** The net under `dispose`: gives back what an owner holds when that is collected. `giveBack` must not hold the owner. */
export function whenCollected(owner: object, giveBack: GiveBack, token: object = owner): void {
  registry.register(owner, giveBack, token);
}

/** The same for device memory. */
export function freeWhenCollected(owner: object, buffer: DeviceBuffer): void {
  whenCollected(owner, () => buffer.backend.free(buffer), buffer);
}

/** Gives device memory back. To be called in a turn, where no plan runs. */
export function free(buffer: DeviceBuffer): void {
  registry.unregister(buffer);
  buffer.backend.free(buffer);
}

/** What is allocated and dropped so that the garbage collector runs, which does not see how large the memory behind small objects is. */
const GARBAGE = 64 * 2 ** 20;
const ROUNDS = 8;

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
