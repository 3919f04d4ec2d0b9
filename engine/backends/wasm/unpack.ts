/**
 * The module as this package carries it. Code compresses by a fifth better if what differs in kind lies apart: the codes of instructions in one
 * stream, a byte each, and what follows them (locals, addresses, constants, …) in others; hints of alignment, which engines do without, are left
 * out. And there is one module for two builds, which differ in what a multiply-add is: one instruction, or two that round twice. scripts/wasm.mjs
 * packs, by the same layout.
 */

/**
 * A stream's bytes, and what follows a code: so many zeros, which it has not; then of it so many LEB128 numbers (of a table of branches as many as
 * the first says, and one), and so many bytes.
 */
export type Stream = readonly [length: number, zeros: number, numbers: number, bytes: number];

export interface Packing {
  /** Bytes of the module, and of what comes before its functions. */
  readonly size: number;
  readonly start: number;
  readonly functions: number;
  /**
   * Those of {@link CODES}, {@link HEADS}, {@link LOCALS} and {@link PLAIN} first. They lie one behind the other, behind a byte for each code: its
   * stream, or {@link UNUSED}.
   */
  readonly streams: readonly Stream[];
}

/** Where a code's stream would be: the module has no such instruction. */
export const UNUSED = 255;

/** Of instructions: which it is of the codes that are used. */
export const CODES = 0;
/** Of functions: their size, and the types of their locals. */
export const HEADS = 1;
export const LOCALS = 2;
/** What is outside of functions. */
export const PLAIN = 3;
/** As `numbers`: a table of branches. */
export const TABLE = -1;

/** From this code on, a second number says which instruction: there are fewer than 512 behind each. */
export const FIRST_PREFIX = 0xfc;
const BEHIND_PREFIX = 512;
export const CODE_COUNT = 4 * BEHIND_PREFIX;

/** One number for an instruction. */
export function codeOf(prefix: number, second: number): number {
  return (prefix - FIRST_PREFIX + 1) * BEHIND_PREFIX + second;
}

function prefixOf(code: number): number {
  return FIRST_PREFIX - 1 + Math.floor(code / BEHIND_PREFIX);
}

/** f32x4.relaxed_madd and relaxed_nmadd: a·b + c and c − a·b. */
export const MULTIPLY_ADD: number = codeOf(0xfd, 0x105);
export const MULTIPLY_SUBTRACT: number = codeOf(0xfd, 0x106);
/** Bytes of either; of what does the same in several instructions, which the module has room for; and of what fills that room: `nop`. */
export const FUSED_BYTES = 3;
export const ROUNDED_BYTES = 14;
const NOP = 1;

/** `c`, which lies uppermost, steps aside (into a local, as the product does into the next); then c + a·b, or c − a·b. */
function rounded(local: number, last: number): readonly number[] {
  return [0x21, local, 0xfd, 0xe6, 1, 0x21, local + 1, 0x20, local, 0x20, local + 1, 0xfd, last, 1];
}

/**
 * It runs once, uncompiled: hence the plain loops.
 * @param fused whether multiply-adds are one instruction.
 * @throws {Error} if `packed` is not what `packing` describes.
 */
export function unpack(packed: Uint8Array, { size, start, functions, streams }: Packing, fused: boolean): Uint8Array<ArrayBuffer> {
  const module = new Uint8Array(size);
  let at = 0;
  let end = CODE_COUNT;
  const places = Uint32Array.from(streams, ([length]) => {
    end += length;
    return end - length;
  });
  const ends = Uint32Array.from(streams, ([length], k) => places[k]! + length);
  if (packed.length !== end) throw new Error(`the packed module has ${packed.length} bytes, not ${end}`);
  const copy = (stream: number, until: number): void => {
    const place = places[stream]!;
    module.set(packed.subarray(place, place + until - at), at);
    places[stream]! += until - at;
    at = until;
  };
  const number = (stream: number): number => {
    let place = places[stream]!;
    let byte = packed[place++]!;
    let value = byte & 127;
    module[at++] = byte;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = packed[place++]!;
      value += (byte & 127) << shift;
      module[at++] = byte;
    }
    places[stream] = place;
    return value;
  };
  const codes: number[] = [];
  for (let code = 0; code < CODE_COUNT; code++) if (packed[code] !== UNUSED) codes.push(code);
  copy(PLAIN, start);
  for (let k = 0; k < functions; k++) {
    end = number(HEADS) + at;
    for (let rest = 2 * number(HEADS); rest > 0; rest--) number(HEADS);
    while (at < end) {
      const code = codes[packed[places[CODES]!++]!]!;
      const second = code % BEHIND_PREFIX;
      module[at++] = code === second ? code : prefixOf(code);
      if (code !== second) {
        module[at++] = second > 127 ? second | 128 : second;
        if (second > 127) module[at++] = second >> 7;
      }
      if (code === MULTIPLY_ADD || code === MULTIPLY_SUBTRACT) {
        const local = packed[places[LOCALS]!++]!;
        if (fused) module.fill(NOP, at, at - FUSED_BYTES + ROUNDED_BYTES);
        else module.set(rounded(local, code === MULTIPLY_ADD ? 0xe4 : 0xe5), at - FUSED_BYTES);
        at += ROUNDED_BYTES - FUSED_BYTES;
        continue;
      }
      const stream = packed[code]!;
      if (stream === CODES) continue;
      const [, zeros, numbers, bytes] = streams[stream]!;
      at += zeros;
      for (let rest = numbers === TABLE ? number(stream) + 1 : numbers; rest > 0; rest--) number(stream);
      if (bytes > 0) copy(stream, at + bytes);
    }
  }
  copy(PLAIN, size);
  if (places.some((place, k) => place !== ends[k])) throw new Error('the packed module is damaged');
  return module;
}
