/**
 * The scalar-op table: one row per elementwise operation.
 *
 * A row says how many operands an op takes, which element types it accepts and gives, its number in encoded
 * programs, what it costs, how exact it is, and its reference in double precision; its derivative, which speaks of tensors, is a column of its own in
 * ops/derivatives.ts. Tensor methods, the reference interpreter, the WASM block interpreter and the WGSL emitter are all driven by it.
 */
import { type DType, dtypes, isFloat } from './dtype.ts';

/**
 * What element types an op takes and gives.
 * - `same`: operands are promoted to one type, the result has it (`u8` counts as `i32`).
 * - `float`: operands are promoted to a float type, the result has it.
 * - `compare`: operands are promoted to one type, the result is `u8`, 0 or 1.
 * - `bits`: operands and result are `i32`.
 * - `select`: a condition, then operands that are promoted to one type, which the result has.
 * - `toFloat`, `toInt`: conversions.
 */
export type ScalarTyping = 'same' | 'float' | 'compare' | 'bits' | 'select' | 'toFloat' | 'toInt';

/**
 * How far f32 may be from the true value, in units in the last place; ½ is the f32 nearest to it. cpu, which computes in double precision, has the nearest of every
 * function. WGSL lets a GPU take subnormal numbers for 0; these, and what overflows on the way, are beyond what `webgpu` says.
 */
export interface Accuracy {
  readonly wasm: number;
  readonly webgpu: number;
  /** As far as this from 0, what `webgpu` says is in units of 2⁻²³; beyond, it is the GPU's own. */
  readonly upTo?: number;
}

export interface ScalarRow {
  readonly opcode: number;
  readonly arity: 0 | 1 | 2 | 3;
  readonly typing: ScalarTyping;
  /** Rough cost in vector instructions, for the decision to recompute or to store. */
  readonly cost: number;
  /** How exact it is in f32, where that is not to the last bit: {@link accuracyOf}. */
  readonly ulps?: Accuracy;
  /** The value in double precision; the cpu backend rounds it to the kernel's element type. */
  readonly reference: (a: number, b: number, c: number) => number;
  /** The value on 32-bit integers where rounding the `reference` would not give it. */
  readonly integer?: (a: number, b: number, c: number) => number;
}

export const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

export const scalars = {
  // The linear index of the element in the kernel's iteration space; only programs use it (see `arange`, `randomBits`).
  index: { opcode: 0, arity: 0, typing: 'bits', cost: 1, reference: () => 0 },
  add: { opcode: 1, arity: 2, typing: 'same', cost: 1, reference: (a, b) => a + b },
  sub: { opcode: 2, arity: 2, typing: 'same', cost: 1, reference: (a, b) => a - b },
  mul: { opcode: 3, arity: 2, typing: 'same', cost: 1, reference: (a, b) => a * b, integer: (a, b) => Math.imul(a, b) },
  // WGSL lets a division be off by 2.5 units, and a root be one by an inverse root, of 2.
  div: { opcode: 4, arity: 2, typing: 'float', cost: 3, ulps: { wasm: 0.5, webgpu: 2.5 }, reference: (a, b) => a / b },
  // webgpu's is exp2(b·log2 a), for which WGSL allows 3 + 2·|b·log2 a| units: at most 128 there.
  pow: { opcode: 5, arity: 2, typing: 'float', cost: 20, ulps: { wasm: 0.51, webgpu: 259 }, reference: powReference },
  maximum: { opcode: 6, arity: 2, typing: 'same', cost: 1, reference: (a, b) => Math.max(a, b) },
  minimum: { opcode: 7, arity: 2, typing: 'same', cost: 1, reference: (a, b) => Math.min(a, b) },
  neg: { opcode: 8, arity: 1, typing: 'same', cost: 1, reference: (a) => -a },
  abs: { opcode: 9, arity: 1, typing: 'same', cost: 1, reference: Math.abs },
  sign: { opcode: 10, arity: 1, typing: 'same', cost: 2, reference: Math.sign },
  floor: { opcode: 11, arity: 1, typing: 'float', cost: 1, reference: Math.floor },
  ceil: { opcode: 12, arity: 1, typing: 'float', cost: 1, reference: Math.ceil },
  // Ties go to the even neighbour, as IEEE 754, NumPy and PyTorch have it.
  round: { opcode: 13, arity: 1, typing: 'float', cost: 1, reference: roundHalfToEven },
  trunc: { opcode: 14, arity: 1, typing: 'float', cost: 1, reference: Math.trunc },
  sqrt: { opcode: 15, arity: 1, typing: 'float', cost: 3, ulps: { wasm: 0.5, webgpu: 4.5 }, reference: Math.sqrt },
  exp: { opcode: 16, arity: 1, typing: 'float', cost: 12, ulps: { wasm: 1, webgpu: 2 }, reference: Math.exp },
  expm1: { opcode: 17, arity: 1, typing: 'float', cost: 14, ulps: { wasm: 1.5, webgpu: 3 }, reference: Math.expm1 },
  log: { opcode: 18, arity: 1, typing: 'float', cost: 12, ulps: { wasm: 1, webgpu: 5 }, reference: Math.log },
  log1p: { opcode: 19, arity: 1, typing: 'float', cost: 14, ulps: { wasm: 1.5, webgpu: 6 }, reference: Math.log1p },
  sin: { opcode: 20, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 10, upTo: 1e5 }, reference: Math.sin },
  cos: { opcode: 21, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 10, upTo: 1e5 }, reference: Math.cos },
  tanh: { opcode: 22, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 6 }, reference: Math.tanh },
  sigmoid: { opcode: 23, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 2.5, webgpu: 5 }, reference: (a) => 1 / (1 + Math.exp(-a)) },
  erf: { opcode: 24, arity: 1, typing: 'float', cost: 20, ulps: { wasm: 1.25, webgpu: 6 }, reference: erfReference },
  erfInverse: { opcode: 25, arity: 1, typing: 'float', cost: 24, ulps: { wasm: 3, webgpu: 8 }, reference: erfInverseReference },
  relu: { opcode: 26, arity: 1, typing: 'same', cost: 1, reference: (a) => (a < 0 ? 0 : a) },
  equal: { opcode: 27, arity: 2, typing: 'compare', cost: 1, reference: (a, b) => +(a === b) },
  notEqual: { opcode: 28, arity: 2, typing: 'compare', cost: 1, reference: (a, b) => +(a !== b) },
  less: { opcode: 29, arity: 2, typing: 'compare', cost: 1, reference: (a, b) => +(a < b) },
  lessEqual: { opcode: 30, arity: 2, typing: 'compare', cost: 1, reference: (a, b) => +(a <= b) },
  where: { opcode: 31, arity: 3, typing: 'select', cost: 1, reference: (a, b, c) => (a !== 0 ? b : c) },
  bitwiseAnd: { opcode: 32, arity: 2, typing: 'bits', cost: 1, reference: (a, b) => a & b },
  bitwiseOr: { opcode: 33, arity: 2, typing: 'bits', cost: 1, reference: (a, b) => a | b },
  bitwiseXor: { opcode: 34, arity: 2, typing: 'bits', cost: 1, reference: (a, b) => a ^ b },
  // The shift count is taken modulo 32.
  shiftLeft: { opcode: 35, arity: 2, typing: 'bits', cost: 2, reference: (a, b) => a << b },
  // Zeros move in from the left.
  shiftRight: { opcode: 36, arity: 2, typing: 'bits', cost: 2, reference: (a, b) => (a >>> b) | 0 },
  // Threefry-2x32-20 of counter (0, c) under key (a, b); its two words combined by xor, as JAX's partitionable bits are.
  threefry: { opcode: 37, arity: 3, typing: 'bits', cost: 120, reference: (a, b, c) => threefryBits(a, b, c) },
  toFloat: { opcode: 38, arity: 1, typing: 'toFloat', cost: 1, reference: (a) => a },
  // Towards zero; NaN becomes 0, and values outside 32 bits become the nearest end, as WASM's saturating conversion does.
  toInt: {
    opcode: 39,
    arity: 1,
    typing: 'toInt',
    cost: 1,
    reference: (a) => (Number.isNaN(a) ? 0 : Math.min(2147483647, Math.max(-2147483648, Math.trunc(a)))),
  },
  remainder: {
    opcode: 40,
    arity: 2,
    typing: 'same',
    cost: 12,
    reference: floatRemainder,
    integer: (a, b) => (b === 0 ? 0 : ((a % b) + b) % b),
  },
} as const satisfies Record<string, ScalarRow>;

export type ScalarName = keyof typeof scalars;

/** The row of an op, at its general type. */
export function scalarRow(name: ScalarName): ScalarRow {
  return scalars[name];
}

const nearest: Accuracy = { wasm: 0.5, webgpu: 0.5 };

/** How exact an op is in f32. */
export function accuracyOf(name: ScalarName): Accuracy {
  return scalarRow(name).ulps ?? nearest;
}

/** What a cast to another element type makes of a value. */
export function castValue(value: number, dtype: DType): number {
  return dtypes[dtype].round(scalarRow(isFloat(dtype) ? 'toFloat' : 'toInt').reference(value, 0, 0));
}

/** IEEE 754 pow as C has it: unlike `**`, 1^NaN and (−1)^±∞ are 1. */
function powReference(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1;
  return a ** b;
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

/**
 * erf by its Maclaurin series below 2.5 and by Lentz's continued fraction of erfc above; about 1e-16 throughout.
 * (Abramowitz & Stegun 7.1.6 and 7.1.14)
 */
function erfReference(a: number): number {
  const x = Math.abs(a);
  if (Number.isNaN(a)) return NaN;
  if (x > 6) return Math.sign(a);
  if (x < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return TWO_OVER_SQRT_PI * Math.exp(-a * a) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.sign(a) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}

/** Winitzki's closed form, refined by Halley's steps on erf; ±∞ at ±1, NaN outside. */
function erfInverseReference(a: number): number {
  if (Math.abs(a) >= 1) return Math.abs(a) === 1 ? a * Infinity : NaN;
  if (a === 0) return a;
  let x = Math.sign(a) * winitzki(Math.abs(a));
  for (let step = 0; step < 4; step++) {
    const error = (erfReference(x) - a) / (TWO_OVER_SQRT_PI * Math.exp(-x * x));
    x -= error / (1 + x * error);
  }
  return x;
}

/** S. Winitzki's closed form of erf⁻¹, good to 2e-3. */
function winitzki(a: number): number {
  const k = 0.147;
  const logarithm = Math.log1p(-a * a);
  const t = 2 / (Math.PI * k) + logarithm / 2;
  return Math.sqrt(Math.sqrt(t * t - logarithm / k) - t);
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
