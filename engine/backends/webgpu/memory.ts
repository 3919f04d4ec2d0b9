/** The GPU's memory: buffers, regions of buffers that many small results share, and buffers that results are read through. */
import type { Backend, DeviceBuffer } from '../backend.ts';

/** Of WebGPU's GPUBufferUsage and GPUMapMode, which Node does not have as globals. */
const usages = {
  storage: 4 | 8 | 128, // copied from, copied to, bound
  staging: 1 | 8, // mapped for reading, copied to
  queries: 4 | 512, // copied from, resolved to
} as const;
const MAP_READ = 1;

/** Part of a buffer. */
export interface Place {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export function samePlace(a: Place, b: Place): boolean {
  return a.buffer === b.buffer && a.offset === b.offset;
}

/** A binding must not be empty, and copies move whole words. */
export function wordsFor(bytes: number): number {
  return Math.max(4, Math.ceil(bytes / 4) * 4);
}

/** Of a buffer for reading, once the GPU has written it. */
export async function contentsOf(buffer: GPUBuffer): Promise<ArrayBuffer> {
  await buffer.mapAsync(MAP_READ);
  const contents = buffer.getMappedRange().slice(0);
  buffer.unmap();
  return contents;
}

/** Makes buffers, and counts their bytes. */
export class Memory {
  readonly device: GPUDevice;
  bytes = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  create(bytes: number, usage: keyof typeof usages = 'storage'): Place {
    const size = wordsFor(bytes);
    const buffer = this.device.createBuffer({ size, usage: usages[usage] });
    this.bytes += bytes;
    return { buffer, offset: 0, size };
  }

  destroy({ buffer }: Place, bytes: number): void {
    buffer.destroy();
    this.bytes -= bytes;
  }
}

/** What the engine holds of the GPU's memory. */
export class WebGpuBuffer implements DeviceBuffer {
  readonly backend: Backend;
  readonly bytes: number;
  readonly place: Place;
  /** Gives the place back to where it was taken from. */
  readonly release: () => void;
  /** A copy on the way to ordinary memory, as long as it is there. */
  readonly copy: Copy | null;
  freed = false;

  constructor(backend: Backend, bytes: number, place: Place, release: () => void, copy: Copy | null = null) {
    this.backend = backend;
    this.bytes = bytes;
    this.place = place;
    this.release = release;
    this.copy = copy;
  }
}

/** Results of at most this many bytes share buffers; a region can be bound where it begins. */
export const REGION = 256;
const REGIONS = 1024;

/** Regions for small results: programs that leave them to the garbage collector make no new buffer each step. */
export class Regions {
  readonly #memory: Memory;
  readonly #free: Place[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  take(): Place {
    if (this.#free.length === 0) {
      const { buffer } = this.#memory.create(REGION * REGIONS);
      for (let k = REGIONS - 1; k >= 0; k--) this.#free.push({ buffer, offset: k * REGION, size: REGION });
    }
    return this.#free.pop()!;
  }

  give(region: Place): void {
    this.#free.push(region);
  }
}

/** A buffer that the GPU copies to and JavaScript reads; one copy after the other. */
export class Staging {
  readonly bytes: number;
  readonly place: Place;
  /** Which copy it holds. */
  turn = 0;
  #contents: Promise<ArrayBuffer> | null = null;
  #mapping = false;

  constructor(memory: Memory, bytes: number) {
    this.bytes = bytes;
    this.place = memory.create(bytes, 'staging');
  }

  /** Whether a new copy may take the place of the last. */
  get free(): boolean {
    return !this.#mapping;
  }

  next(): number {
    this.#contents = null;
    return ++this.turn;
  }

  /** What was copied here, once the GPU has done so. */
  contents(): Promise<ArrayBuffer> {
    this.#contents ??= this.#map();
    return this.#contents;
  }

  async #map(): Promise<ArrayBuffer> {
    this.#mapping = true;
    try {
      return await contentsOf(this.place.buffer);
    } finally {
      this.#mapping = false;
    }
  }
}

/** A copy of a small result in a staging buffer, until that is needed for another. */
export class Copy {
  readonly #staging: Staging;
  readonly #turn: number;
  readonly #offset: number;

  constructor(staging: Staging, turn: number, offset: number) {
    this.#staging = staging;
    this.#turn = turn;
    this.#offset = offset;
  }

  /** Its first bytes, or null where another copy has taken its place. */
  contents(bytes: number): Promise<ArrayBuffer> | null {
    if (this.#staging.turn !== this.#turn) return null;
    return this.#staging.contents().then((all) => all.slice(this.#offset, this.#offset + bytes));
  }
}

/** How many staging buffers of a size are kept, and up to which size. */
const KEPT = 8;
const LARGEST_KEPT = 1 << 24;

/** Staging buffers by size: a ring of them, so that several reads can be on their way. */
export class StagingRing {
  readonly #memory: Memory;
  readonly #rings = new Map<number, Staging[]>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** One that is free, if the ring has one or room for one. */
  spare(bytes: number): Staging | null {
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, bytes)));
    if (size > LARGEST_KEPT) return null;
    const ring = this.#rings.get(size) ?? [];
    this.#rings.set(size, ring);
    // The one whose copy is the oldest.
    const free = ring.findIndex((staging) => staging.free);
    const [staging = null] = free >= 0 ? ring.splice(free, 1) : ring.length < KEPT ? [new Staging(this.#memory, size)] : [];
    if (staging) ring.push(staging);
    return staging;
  }

  /** The contents of a place, when all that was submitted before has run. */
  async read({ buffer, offset }: Place, bytes: number): Promise<ArrayBuffer> {
    const size = wordsFor(bytes);
    const kept = this.spare(size);
    const staging = kept ?? new Staging(this.#memory, size);
    staging.next();
    const { device } = this.#memory;
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, staging.place.buffer, 0, size);
    device.queue.submit([encoder.finish()]);
    try {
      return (await staging.contents()).slice(0, bytes);
    } finally {
      // Nobody else reads this copy.
      staging.next();
      if (!kept) this.#memory.destroy(staging.place, staging.bytes);
    }
  }
}
