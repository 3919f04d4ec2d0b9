import { TensegrityError } from '../../engine/core.ts';
import { type OwnInt32Array, threefry2x32 } from '../../engine/internal.ts';

/** Keeps this use of a seed apart from every other use of the same seed. */
const PERMUTATION = 0x7065726d;

/**
 * 0 … count − 1 in random order: Fisher–Yates, its draws a pure function of (seed, epoch, position), so that any epoch's order is had at once,
 * without drawing those before it, and is the same on every machine.
 * @param count below 2^31.
 * @param seed a whole number; negative ones are distinct from positive ones.
 * @param epoch a whole number ≥ 0.
 * @throws TensegrityError `argument`.
 * Source: R. Durstenfeld, "Algorithm 235: Random permutation", CACM 7 (1964); Threefry-2x32-20.
 */
export function permutation(count: number, seed: number, epoch: number): OwnInt32Array {
  if (
    !Number.isInteger(count) ||
    count < 0 ||
    count > 0x7fffffff ||
    !Number.isSafeInteger(seed) ||
    !Number.isSafeInteger(epoch) ||
    epoch < 0
  ) {
    throw new TensegrityError(
      'argument',
      `permutation: count, seed and epoch must be whole numbers, count from 0 to 2^31 − 1 and epoch ≥ 0; got ${count}, ${seed}, ${epoch}`,
    );
  }
  const [epochKey0, epochKey1] = threefry2x32(seed, Math.floor(seed / 2 ** 32), epoch, PERMUTATION ^ Math.floor(epoch / 2 ** 32));
  const order = Int32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const [high, low] = threefry2x32(epochKey0, epochKey1, last, 0);
    // 53 random bits: the bias of scaling them instead of rejecting is below count / 2^53.
    const fraction = ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53;
    const chosen = Math.floor(fraction * (last + 1));
    const kept = order[last]!;
    order[last] = order[chosen]!;
    order[chosen] = kept;
  }
  return order;
}
