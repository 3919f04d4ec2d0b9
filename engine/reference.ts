/**
 * What the ops of the scalar table are, in double precision: those that every backend computes to the last bit of f32, which the compiler may compute too. The
 * others are the cpu backend's (backends/cpu/reference.ts).
 */
import { type DType, dtypes, isFloat } from './dtype.ts';
import type { ScalarName } from './scalar.ts';

export interface Reference {
  /** The value in double precision, to be rounded to the element type. */
  readonly of: (a: number, b: number, c: number) => number;
  /** The value on 32-bit integers where rounding that would not give it. */
  readonly integer?: (a: number, b: number, c: number) => number;
}

export const exact = {
  index: { of: () => 0 },
  add: { of: (a, b) => a + b },
  sub: { of: (a, b) => a - b },
  mul: { of: (a, b) => a * b, integer: (a, b) => Math.imul(a, b) },
  div: { of: (a, b) => a / b },
  maximum: { of: (a, b) => Math.max(a, b) },
  minimum: { of: (a, b) => Math.min(a, b) },
  neg: { of: (a) => -a },
  abs: { of: Math.abs },
  sign: { of: Math.sign },
  floor: { of: Math.floor },
  ceil: { of: Math.ceil },
  round: { of: roundHalfToEven },
  trunc: { of: Math.trunc },
  sqrt: { of: Math.sqrt },
  relu: { of: (a) => (a < 0 ? 0 : a) },
  equal: { of: (a, b) => +(a === b) },
  notEqual: { of: (a, b) => +(a !== b) },
  less: { of: (a, b) => +(a < b) },
  lessEqual: { of: (a, b) => +(a <= b) },
  where: { of: (a, b, c) => (a !== 0 ? b : c) },
  bitwiseAnd: { of: (a, b) => a & b },
  bitwiseOr: { of: (a, b) => a | b },
  bitwiseXor: { of: (a, b) => a ^ b },
  shiftLeft: { of: (a, b) => a << b },
  shiftRight: { of: (a, b) => (a >>> b) | 0 },
  threefry: { of: (a, b, c) => threefryBits(a, b, c) },
  toFloat: { of: (a) => a },
  toInt: { of: (a) => (Number.isNaN(a) ? 0 : Math.min(2147483647, Math.max(-2147483648, Math.trunc(a)))) },
  remainder: { of: floatRemainder, integer: (a, b) => (b === 0 ? 0 : ((a % b) + b) % b) },
} as const satisfies { readonly [Name in ScalarName]?: Reference };

/** What a cast to another element type makes of a value. */
export function castValue(value: number, dtype: DType): number {
  return dtypes[dtype].round(exact[isFloat(dtype) ? 'toFloat' : 'toInt'].of(value));
}

/** C's exact fmod, brought to the sign of the divisor by one addition, which may round: NumPy's and Python's. Zeros have that sign too. */
function floatRemainder(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 === b < 0 ? rest : rest + b;
}

function roundHalfToEven(a: number): number {
  const below = Math.floor(a);
  const difference = a - below;
  if (difference < 0.5) return below === 0 && Object.is(Math.sign(a), -0) ? -0 : below;
  if (difference > 0.5) return Math.ceil(a);
  if (difference === 0.5) return below % 2 === 0 ? below : Math.ceil(a);
  return a;
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;

/**
 * Threefry-2x32 with 20 rounds: two 32-bit words that no statistical test tells from random, a pure function of key and counter.
 * Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, §3.3.
 */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const keys = [key0 | 0, key1 | 0, PARITY ^ key0 ^ key1];
  let x0 = (counter0 + keys[0]!) | 0;
  let x1 = (counter1 + keys[1]!) | 0;
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round % 8]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + keys[injection % 3]!) | 0;
      x1 = (x1 + keys[(injection + 1) % 3]! + injection) | 0;
    }
  }
  return [x0, x1];
}

function threefryBits(key0: number, key1: number, counter: number): number {
  const [x0, x1] = threefry2x32(key0, key1, 0, counter);
  return x0 ^ x1;
}
