import fc from 'fast-check';
import { expect } from 'vitest';
import { type DType, dtypes, type HostArray } from '../../../engine/dtype.ts';
import { TensegrityError } from '../../../engine/errors.ts';
import { sizeOf } from '../../../engine/shape.ts';

/** Arrays of any element type and shape, their bits random: NaNs with payloads, −0 and denormals among them. */
export const hostArrays: fc.Arbitrary<HostArray> = fc
  .record({
    dtype: fc.constantFrom<DType>('f32', 'f64', 'i32', 'u8'),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const length = sizeOf(shape) * dtypes[dtype].bytes;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => ({ dtype, shape, data: dtypes[dtype].over(bytes.slice().buffer, 0, sizeOf(shape)) }));
  });

/** Its bits, so that arrays compare without NaN ≠ NaN or 0 = −0. */
export function bitsOf({ dtype, shape, data }: HostArray): unknown {
  return { dtype, shape, bytes: [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] };
}

/** A change to a file: cut off, bits flipped, bytes overwritten, removed or put in. */
export const damages: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array> = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }).map((part) => (bytes: Uint8Array) => bytes.slice(0, part * bytes.length)),
  fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 }).map((flips) => (bytes: Uint8Array) => {
    const damaged = bytes.slice();
    for (const [at, bit] of flips) if (damaged.length > 0) damaged[at % damaged.length]! ^= 1 << bit;
    return damaged;
  }),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.nat(12)).map(([at, inserted, removed]) => (bytes: Uint8Array) => {
    const start = at % (bytes.length + 1);
    return Uint8Array.from([...bytes.subarray(0, start), ...inserted, ...bytes.subarray(start + removed)]);
  }),
  // Digits for digits: headers that stay well formed and lie.
  fc.tuple(fc.nat(), fc.nat(9)).map(([which, digit]) => (bytes: Uint8Array) => {
    const damaged = bytes.slice();
    const digits = [...damaged.keys()].filter((at) => damaged[at]! >= 48 && damaged[at]! <= 57);
    const chosen = digits[which % Math.max(1, digits.length)];
    if (chosen !== undefined) damaged[chosen] = 48 + digit;
    return damaged;
  }),
);

/** Runs a parser on bytes of any origin: it returns, or throws a TensegrityError `format`; anything else fails the test. */
export function parsedOrRefused<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(TensegrityError);
    expect(error).toMatchObject({ code: 'format' });
    return undefined;
  }
}

/** Elements allocated by engine arrays while `action` runs, in bytes. */
export function bytesAllocated(action: () => void): number {
  const rows = Object.values(dtypes);
  const originals = rows.map(({ allocate }) => allocate);
  let bytes = 0;
  rows.forEach((row, index) => {
    Object.assign(row, {
      allocate: (length: number) => {
        bytes += length * row.bytes;
        return originals[index]!(length);
      },
    });
  });
  try {
    action();
  } finally {
    rows.forEach((row, index) => void Object.assign(row, { allocate: originals[index] }));
  }
  return bytes;
}
