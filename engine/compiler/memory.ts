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
  const placed: { life: Life; offset: number }[] = [];
  const offsets = new Map<Life, number>();
  for (const life of distinct) {
    const neighbours = placed
      .filter(({ life: other }) => other.first <= life.last && life.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const neighbour of neighbours) {
      if (offset + life.bytes <= neighbour.offset) break;
      offset = Math.max(offset, neighbour.offset + neighbour.life.bytes);
    }
    placed.push({ life, offset });
    offsets.set(life, offset);
  }
  return {
    buffers: buffers.map((buffer, i) => (lives[i] ? { ...buffer, offset: offsets.get(lives[i])! } : buffer)),
    arenaBytes: placed.reduce((end, { life, offset }) => Math.max(end, offset + life.bytes), 0),
  };
}

/** The most bytes of the arena that are alive at once, which no order of places could do without: how near `arenaBytes` comes to it. */
export function mostAliveBytes({ buffers, kernels }: Pick<Plan, 'buffers' | 'kernels'>): number {
  const lives = livesOf(buffers, kernels);
  const aliveAt = (at: number): number => {
    const alive = buffers.filter((_, i) => lives[i] && lives[i].first <= at && at <= lives[i].last).sort((a, b) => a.offset - b.offset);
    // What is written in place has the bytes of what it is written over.
    let [sum, end] = [0, 0];
    for (const buffer of alive) {
      const stop = buffer.offset + paddedBytes(buffer);
      sum += Math.max(0, stop - Math.max(end, buffer.offset));
      end = Math.max(end, stop);
    }
    return sum;
  };
  return kernels.reduce((most, _, at) => Math.max(most, aliveAt(at)), 0);
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
