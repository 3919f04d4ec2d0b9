/** The first 32 bits of the fractions of the first 64 primes' cube roots, and of the first 8 primes' square roots. (FIPS 180-4, §4.2.2, §5.3.3) */
const primes: number[] = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);

/**
 * The first 32 bits of the fraction of n^(1/power), exactly: ⌊n^(1/power)·2³²⌋ as a whole number, by bisection.
 */
function fractionOfRoot(n: number, power: bigint): number {
  const target = BigInt(n) << (32n * power);
  let [low, high] = [0n, BigInt(n) << 32n];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** power <= target) low = middle;
    else high = middle;
  }
  return Number(low & 0xffff_ffffn);
}

const roundConstants = Int32Array.from(primes, (prime) => fractionOfRoot(prime, 3n));
const initial = Int32Array.from(primes.slice(0, 8), (prime) => fractionOfRoot(prime, 2n));

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

/** Digests one block of 64 bytes into the state. (FIPS 180-4, §6.2.2) */
function block(state: Int32Array, words: Int32Array, view: DataView, start: number): void {
  for (let t = 0; t < 16; t++) words[t] = view.getInt32(start + 4 * t);
  for (let t = 16; t < 64; t++) {
    const [x, y] = [words[t - 15]!, words[t - 2]!];
    const first = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const second = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    words[t] = words[t - 16]! + first + words[t - 7]! + second;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let t = 0; t < 64; t++) {
    const choice = (e & f) ^ (~e & g);
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + roundConstants[t]! + words[t]!) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

/** The SHA-256 of bytes in parts, as 64 hexadecimal digits. The browser's own is only there for pages that came by HTTPS, and a phone may have this one from a computer beside it. */
export function sha256(parts: readonly Uint8Array[]): string {
  const state = initial.slice();
  const words = new Int32Array(64);
  const rest = new Uint8Array(128);
  const restView = new DataView(rest.buffer);
  let [held, total] = [0, 0];
  for (const part of parts) {
    total += part.length;
    let at = 0;
    if (held > 0) {
      at = Math.min(64 - held, part.length);
      rest.set(part.subarray(0, at), held);
      held += at;
      if (held < 64) continue;
      block(state, words, restView, 0);
      held = 0;
    }
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    for (; at + 64 <= part.length; at += 64) block(state, words, view, at);
    rest.set(part.subarray(at));
    held = part.length - at;
  }
  // A one, zeros, and the count of bits. (§5.1.1)
  rest.fill(0, held);
  rest[held] = 0x80;
  const end = held < 56 ? 64 : 128;
  restView.setUint32(end - 8, Math.floor(total / 2 ** 29));
  restView.setUint32(end - 4, (total * 8) >>> 0);
  for (let at = 0; at < end; at += 64) block(state, words, restView, at);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
