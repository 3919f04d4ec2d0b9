import { TensegrityError } from '../../errors.ts';

const PAGE = 65536;
/** 4 GiB, where 32 bits end; the module's import names it as the maximum. */
export const MOST_PAGES = 65536;
/** Vectors are read a cache line at a time, and up to one line beyond the end of what they hold. */
const LINE = 64;

/** Bytes rounded up to whole lines, with one more for reads beyond the end. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / LINE) * LINE + LINE;
}

interface Hole {
  start: number;
  end: number;
}

/** The linear memory of a module and its allocator: first fit, holes in order of address, grown when nothing fits. */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  /** Bytes that are allocated. */
  bytes = 0;
  #holes: Hole[] = [];
  #end: number;
  #words: Int32Array;
  readonly #sizes = new Map<number, number>();

  /** @param start the first address that is free. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#end = Math.ceil(start / LINE) * LINE;
    this.#words = new Int32Array(memory.buffer);
    if (memory.buffer.byteLength > this.#end) this.#holes.push({ start: this.#end, end: memory.buffer.byteLength });
    this.#end = memory.buffer.byteLength;
  }

  /** All of memory as words; growing replaces it. */
  get words(): Int32Array {
    if (this.#words.buffer !== this.memory.buffer) this.#words = new Int32Array(this.memory.buffer);
    return this.#words;
  }

  /** The address of `bytes` bytes, aligned and followed by padding; their content is undefined. @throws TensegrityError `backend` where memory is exhausted. */
  allocate(bytes: number): number {
    const size = padded(bytes);
    let hole = this.#holes.find(({ start, end }) => end - start >= size);
    if (!hole) hole = this.#grow(size);
    const address = hole.start;
    hole.start += size;
    if (hole.start === hole.end) this.#holes.splice(this.#holes.indexOf(hole), 1);
    this.#sizes.set(address, size);
    this.bytes += size;
    return address;
  }

  free(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) return;
    this.#sizes.delete(address);
    this.bytes -= size;
    const at = this.#holes.findIndex(({ start }) => start > address);
    this.#holes.splice(at < 0 ? this.#holes.length : at, 0, { start: address, end: address + size });
    this.#holes = this.#holes.reduce<Hole[]>((merged, hole) => {
      const last = merged.at(-1);
      if (last?.end === hole.start) last.end = hole.end;
      else merged.push(hole);
      return merged;
    }, []);
  }

  #grow(size: number): Hole {
    const last = this.#holes.at(-1);
    const free = last?.end === this.#end ? last.end - last.start : 0;
    const pages = Math.ceil((size - free) / PAGE);
    try {
      // The last page stays empty, so that an address beyond the end of what a loop reads is still larger than that end.
      if (this.#end / PAGE + pages >= MOST_PAGES) throw new RangeError('a module of 32 bits ends at 4 GiB');
      this.memory.grow(pages);
    } catch (cause) {
      throw new TensegrityError(
        'backend',
        `the wasm backend holds ${this.bytes} bytes and cannot get ${size} more; use a smaller batch, or dispose of tensors and plans that are not needed`,
        { held: this.bytes, requested: size, exhausted: true },
        cause,
      );
    }
    const start = this.#end;
    this.#end += pages * PAGE;
    if (last?.end === start) {
      last.end = this.#end;
      return last;
    }
    const hole = { start, end: this.#end };
    this.#holes.push(hole);
    return hole;
  }
}
