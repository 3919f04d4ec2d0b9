import type { DeviceBuffer } from './backends/backend.ts';
import { inTurn } from './turn.ts';

type GiveBack = () => void;

/** What nobody holds any more, and has not been given back. */
const left = new Set<GiveBack>();
const registry = new FinalizationRegistry<GiveBack>((giveBack) => {
  left.add(giveBack);
  void inTurn(giveBackLeft);
});

/** To be called in a turn, where no plan runs. */
export function giveBackLeft(): void {
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
