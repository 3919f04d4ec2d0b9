import type { DeviceBuffer } from './backends/backend.ts';

const registry = new FinalizationRegistry<DeviceBuffer>((buffer) => buffer.backend.free(buffer));

/** The net under `dispose`: gives device memory back when its owner is collected. */
export function freeWhenCollected(owner: object, buffer: DeviceBuffer): void {
  registry.register(owner, buffer, buffer);
}

/** Gives device memory back now. */
export function freeNow(buffer: DeviceBuffer): void {
  registry.unregister(buffer);
  buffer.backend.free(buffer);
}
