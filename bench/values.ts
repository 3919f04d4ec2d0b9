/**
 * Inputs that every contestant makes for itself, alike in every language: a hash of the position, uniform on [−1, 1).
 * (MurmurHash3's finalizer, in the public domain.)
 */
export function values(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let hash = (Math.imul(i, 0x9e3779b1) + Math.imul(seed, 0x85ebca77)) | 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
    // Both factors are powers of two or of 24 bits, so that no language rounds differently.
    result[i] = Math.fround(((hash >>> 8) * 2 ** -23 - 1) * scale);
  }
  return result;
}

/** Mean magnitude: what contestants compare to know that they have computed the same, whatever their layouts. */
export function magnitude(...arrays: readonly ArrayLike<number>[]): number {
  let sum = 0;
  let count = 0;
  for (const array of arrays) {
    for (let i = 0; i < array.length; i++) sum += Math.abs(array[i]!);
    count += array.length;
  }
  return sum / count;
}

/** The scale of initial weights. */
export const weightScale = (fanIn: number): number => Math.sqrt(3 / fanIn);
