import { dtypes } from '../dtype.ts';
import { sizeOf } from '../shape.ts';
import { isContiguous } from './layout.ts';
import type { BufferSpec, Kernel, Plan, View } from './plan.ts';

/** Every scratch buffer starts at a multiple of this, and has its size rounded up to it. */
export const ALIGNMENT = 64;

/** From the first kernel that writes a buffer to the last that touches it, both included. */
interface Life {
  readonly buffers: number[];
  readonly bytes: number;
  first: number;
  last: number;
}

/**
 * Gives scratch buffers their places in the arena: the largest first, each at the lowest place that no buffer alive at the same time
 * has. An elementwise kernel may write over an operand that dies there.
 */
export function placeBuffers(
  buffers: readonly BufferSpec[],
  kernels: readonly Kernel[],
): { readonly buffers: readonly BufferSpec[]; readonly arenaBytes: number } {
  const lives = livesOf(buffers, kernels);
  joinInPlace(buffers, kernels, lives);
  const distinct = [...new Set(lives.filter((life) => life !== null))].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const occupied = new Occupied(kernels.length);
  const offsets = new Map<Life, number>();
  let arenaBytes = 0;
  for (const life of distinct) {
    const offset = occupied.take(life);
    offsets.set(life, offset);
    arenaBytes = Math.max(arenaBytes, offset + life.bytes);
  }
  return {
    buffers: buffers.map((buffer, i) => (lives[i] ? { ...buffer, offset: offsets.get(lives[i])! } : buffer)),
    arenaBytes,
  };
}

/** Bytes from the first to before the second. */
type Span = readonly [start: number, end: number];

/**
 * Which bytes of the arena are taken at which times: a binary tree of times, whose nodes know what is taken at some of their times, and what at all of them
 * by a life that covers these. What a life meets is in a few nodes then, and since neighbours are one span, in few spans.
 */
class Occupied {
  readonly #times: number;
  readonly #nodes = new Map<number, readonly [sometimes: Span[], always: Span[]]>();

  constructor(times: number) {
    this.#times = times;
  }

  /** The lowest place that is free for as long as the life is, which is taken by it then. */
  take({ first, last, bytes }: Life): number {
    const met: Span[][] = [];
    const taken: Span[][] = [];
    const visit = (node: number, low: number, high: number): void => {
      if (last < low || high < first) return;
      const known = this.#nodes.get(node) ?? [[], []];
      this.#nodes.set(node, known);
      const covered = first <= low && high <= last;
      met.push(known[covered ? 0 : 1]);
      taken.push(...known.slice(0, covered ? 2 : 1));
      if (covered) return;
      const middle = (low + high) >> 1;
      visit(2 * node, low, middle);
      visit(2 * node + 1, middle + 1, high);
    };
    visit(1, 0, this.#times - 1);
    let offset = 0;
    for (let before = -1; before !== offset; ) {
      before = offset;
      for (const spans of met) {
        for (let i = firstBeyond(spans, offset); i < spans.length && spans[i]![0] < offset + bytes; i++) offset = spans[i]![1];
      }
    }
    for (const spans of taken) add(spans, [offset, offset + bytes]);
    return offset;
  }
}

/** The number of the first span that ends beyond `offset`. */
function firstBeyond(spans: readonly Span[], offset: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]![1] > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Makes one span of all that touch each other. */
function add(spans: Span[], [start, end]: Span): void {
  const from = firstBeyond(spans, start - 1);
  let to = from;
  while (to < spans.length && spans[to]![0] <= end) to++;
  const touched = spans.slice(from, to);
  spans.splice(from, to - from, [Math.min(start, touched[0]?.[0] ?? start), Math.max(end, touched.at(-1)?.[1] ?? end)]);
}

/** The most bytes of the arena that are alive at once, which no order of places could do without: how near `arenaBytes` comes to it. */
export function mostAliveBytes({ buffers, kernels }: Pick<Plan, 'buffers' | 'kernels'>): number {
  const lives = livesOf(buffers, kernels);
  const alive = lives.flatMap((life, i) => (life && life.last >= 0 ? [{ ...life, offset: buffers[i]!.offset }] : []));
  // What is written in place has the bytes of what it is written over, which ends there.
  const ending = new Set(alive.map(({ offset, first, last }) => (first < last ? `${offset} ${last}` : '')));
  const changes = Array<number>(kernels.length + 2).fill(0);
  for (const { offset, bytes, first, last } of alive) {
    changes[first + +ending.has(`${offset} ${first}`)]! += bytes;
    changes[last + 1]! -= bytes;
  }
  let [sum, most] = [0, 0];
  for (const change of changes) {
    sum += change;
    most = Math.max(most, sum);
  }
  return most;
}

function livesOf(buffers: readonly BufferSpec[], kernels: readonly Kernel[]): (Life | null)[] {
  const lives = buffers.map((buffer, i): Life | null =>
    buffer.kind === 'scratch' ? { buffers: [i], bytes: paddedBytes(buffer), first: Infinity, last: -1 } : null,
  );
  kernels.forEach(({ inputs, outputs }, at) => {
    for (const { buffer } of [...inputs, ...outputs]) {
      const life = lives[buffer];
      if (!life) continue;
      life.first = Math.min(life.first, at);
      life.last = Math.max(life.last, at);
    }
  });
  return lives;
}

export function paddedBytes({ dtype, length }: BufferSpec): number {
  return Math.max(ALIGNMENT, Math.ceil((length * dtypes[dtype].bytes) / ALIGNMENT) * ALIGNMENT);
}

/** Makes an output of a map and an operand that dies there one life. */
function joinInPlace(buffers: readonly BufferSpec[], kernels: readonly Kernel[], lives: (Life | null)[]): void {
  const covers = (view: View): boolean => isContiguous(view) && sizeOf(view.shape) === buffers[view.buffer]!.length;
  kernels.forEach((kernel, at) => {
    if (kernel.kind !== 'map') return;
    for (const output of kernel.outputs) {
      const own = lives[output.buffer];
      if (!own || own.first !== at || own.buffers.length > 1 || !covers(output)) continue;
      const donor = kernel.inputs.find((input) => {
        const life = lives[input.buffer];
        const onlyHere = kernel.inputs.every((other) => other.buffer !== input.buffer || covers(other));
        return (
          life &&
          life.last === at &&
          kernel.outputs.every((other) => lives[other.buffer] !== life) &&
          life.first < at &&
          covers(input) &&
          onlyHere &&
          dtypes[input.dtype].bytes === dtypes[output.dtype].bytes &&
          life.bytes === own.bytes
        );
      });
      const life = donor && lives[donor.buffer];
      if (!life) continue;
      life.last = own.last;
      life.buffers.push(output.buffer);
      lives[output.buffer] = life;
    }
  });
}
