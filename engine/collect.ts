import type { DeviceBuffer } from './backends/backend.ts';
import { inTurn } from './turn.ts';

const registry = new FinalizationRegistry<DeviceBuffer>(giveBack);

/** The net under `dispose`: gives device memory back when its owner is collected. */
export function freeWhenCollected(owner: object, buffer: DeviceBuffer): void {
  registry.register(owner, buffer, buffer);
}

/** Gives device memory back, when the plan that runs now is done with it. */
export function free(buffer: DeviceBuffer): void {
  registry.unregister(buffer);
  giveBack(buffer);
}

function giveBack(buffer: DeviceBuffer): void {
  void inTurn(() => buffer.backend.free(buffer));
}
