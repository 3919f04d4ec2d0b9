/**
 * The scalar-op table: one row per elementwise operation.
 *
 * A row says how many operands an op takes, which element types it accepts and gives, its number in encoded
 * programs, what it costs, its reference in double precision, and its derivative as graph. Tensor methods, the
 * reference interpreter, the WASM block interpreter and the WGSL emitter are all driven by it.
 */
import { type DType, dtypes, isFloat } from './dtype.ts';
import type { Tensor } from './tensor.ts';

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
 * Cotangents of the operands, given the cotangent `g` of the result `y` at operands `a`, `b`, `c`.
 * `null` where the op is constant almost everywhere in that operand.
 */
type Derivative = (g: Tensor, y: Tensor, a: Tensor, b: Tensor, c: Tensor) => readonly (Tensor | null)[];

export interface ScalarRow {
  readonly opcode: number;
  readonly arity: 0 | 1 | 2 | 3;
  readonly typing: ScalarTyping;
  /** Rough cost in vector instructions, for the decision to recompute or to store. */
  readonly cost: number;
  /** The value in double precision; the cpu backend rounds it to the kernel's element type. */
  readonly reference: (a: number, b: number, c: number) => number;
  /** The value on 32-bit integers where rounding the `reference` would not give it. */
  readonly integer?: (a: number, b: number, c: number) => number;
  readonly derivative: Derivative | null;
}

function row(
  opcode: number,
  arity: ScalarRow['arity'],
  typing: ScalarTyping,
  cost: number,
  reference: ScalarRow['reference'],
  derivative: Derivative | null,
  integer?: NonNullable<ScalarRow['integer']>,
): ScalarRow {
  return { opcode, arity, typing, cost, reference, derivative, ...(integer && { integer }) };
}

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

export const scalars = {
  // The linear index of the element in the kernel's iteration space; only programs use it (see `arange`, `randomBits`).
  index: row(0, 0, 'bits', 1, () => 0, null),

  // d(a+b) = da + db
  add: row(
    1,
    2,
    'same',
    1,
    (a, b) => a + b,
    (g) => [g, g],
  ),
  // d(a−b) = da − db
  sub: row(
    2,
    2,
    'same',
    1,
    (a, b) => a - b,
    (g) => [g, g.neg()],
  ),
  // d(ab) = b·da + a·db
  mul: row(
    3,
    2,
    'same',
    1,
    (a, b) => a * b,
    (g, _y, a, b) => [g.mul(b), g.mul(a)],
    (a, b) => Math.imul(a, b),
  ),
  // d(a/b) = da/b − (a/b)/b·db
  div: row(
    4,
    2,
    'float',
    3,
    (a, b) => a / b,
    (g, y, _a, b) => [g.div(b), g.mul(y).div(b).neg()],
  ),
  // d(a^b) = b·a^(b−1)·da + ln a·a^b·db; the first term is 0 at b = 0, the second at a = 0, its limit for b > 0. The branch that is not
  // taken is kept finite, for the sake of higher derivatives.
  pow: row(5, 2, 'float', 20, powReference, (g, y, a, b) => {
    const [flat, zero] = [b.equal(0), a.equal(0)];
    const exponent = flat.where(1, b);
    return [g.mul(flat.where(0, exponent.mul(a.pow(exponent.sub(1))))), g.mul(zero.where(0, zero.where(1, a).log()).mul(y))];
  }),
  // d max(a,b) = [a>b]·da + [a<b]·db, halves at a tie; NaN in either operand gives NaN
  maximum: row(
    6,
    2,
    'same',
    1,
    (a, b) => Math.max(a, b),
    (g, _y, a, b) => pickDerivative(g, a.greater(b), a.equal(b), b.greater(a)),
  ),
  minimum: row(
    7,
    2,
    'same',
    1,
    (a, b) => Math.min(a, b),
    (g, _y, a, b) => pickDerivative(g, a.less(b), a.equal(b), b.less(a)),
  ),

  // d(−a) = −da
  neg: row(
    8,
    1,
    'same',
    1,
    (a) => -a,
    (g) => [g.neg()],
  ),
  // d|a| = sign(a)·da
  abs: row(9, 1, 'same', 1, Math.abs, (g, _y, a) => [g.mul(a.sign())]),
  sign: row(10, 1, 'same', 2, Math.sign, null),
  floor: row(11, 1, 'float', 1, Math.floor, null),
  ceil: row(12, 1, 'float', 1, Math.ceil, null),
  // Ties go to the even neighbour, as IEEE 754, NumPy and PyTorch have it.
  round: row(13, 1, 'float', 1, roundHalfToEven, null),
  trunc: row(14, 1, 'float', 1, Math.trunc, null),
  // d√a = da/(2√a)
  sqrt: row(15, 1, 'float', 3, Math.sqrt, (g, y) => [g.div(y.mul(2))]),
  // d eᵃ = eᵃ·da
  exp: row(16, 1, 'float', 12, Math.exp, (g, y) => [g.mul(y)]),
  // d(eᵃ−1) = eᵃ·da
  expm1: row(17, 1, 'float', 14, Math.expm1, (g, _y, a) => [g.mul(a.exp())]),
  // d ln a = da/a
  log: row(18, 1, 'float', 12, Math.log, (g, _y, a) => [g.div(a)]),
  // d ln(1+a) = da/(1+a)
  log1p: row(19, 1, 'float', 14, Math.log1p, (g, _y, a) => [g.div(a.add(1))]),
  // d sin a = cos a·da
  sin: row(20, 1, 'float', 16, Math.sin, (g, _y, a) => [g.mul(a.cos())]),
  // d cos a = −sin a·da
  cos: row(21, 1, 'float', 16, Math.cos, (g, _y, a) => [g.mul(a.sin()).neg()]),
  // d tanh a = (1−tanh²a)·da
  tanh: row(22, 1, 'float', 16, Math.tanh, (g, y) => [g.mul(y.square().neg().add(1))]),
  // σ' = σ(1−σ), which stays finite where eᵃ does not
  sigmoid: row(
    23,
    1,
    'float',
    16,
    (a) => 1 / (1 + Math.exp(-a)),
    (g, y) => [g.mul(y).mul(y.neg().add(1))],
  ),
  // d erf a = 2/√π·e^(−a²)·da
  erf: row(24, 1, 'float', 20, erfReference, (g, _y, a) => [g.mul(a.square().neg().exp()).mul(TWO_OVER_SQRT_PI)]),
  // d erf⁻¹ a = √π/2·e^(y²)·da
  erfInverse: row(25, 1, 'float', 24, erfInverseReference, (g, y) => [g.mul(y.square().exp()).div(TWO_OVER_SQRT_PI)]),
  // relu' = [a>0]; 0 at the kink, as PyTorch has it
  relu: row(
    26,
    1,
    'same',
    1,
    (a) => (a < 0 ? 0 : a),
    (g, y) => [y.greater(0).where(g, 0)],
  ),

  equal: row(27, 2, 'compare', 1, (a, b) => +(a === b), null),
  notEqual: row(28, 2, 'compare', 1, (a, b) => +(a !== b), null),
  less: row(29, 2, 'compare', 1, (a, b) => +(a < b), null),
  lessEqual: row(30, 2, 'compare', 1, (a, b) => +(a <= b), null),
  // The branch not taken gets an exact 0, so a NaN there does not leak.
  where: row(
    31,
    3,
    'select',
    1,
    (a, b, c) => (a !== 0 ? b : c),
    (g, _y, a) => [null, a.where(g, 0), a.where(0, g)],
  ),

  bitwiseAnd: row(32, 2, 'bits', 1, (a, b) => a & b, null),
  bitwiseOr: row(33, 2, 'bits', 1, (a, b) => a | b, null),
  bitwiseXor: row(34, 2, 'bits', 1, (a, b) => a ^ b, null),
  // The shift count is taken modulo 32.
  shiftLeft: row(35, 2, 'bits', 2, (a, b) => a << b, null),
  // Zeros move in from the left.
  shiftRight: row(36, 2, 'bits', 2, (a, b) => (a >>> b) | 0, null),
  // Threefry-2x32-20 of counter (0, c) under key (a, b); its two words combined by xor, as JAX's partitionable bits are.
  threefry: row(37, 3, 'bits', 120, (a, b, c) => threefryBits(a, b, c), null),

  toFloat: row(
    38,
    1,
    'toFloat',
    1,
    (a) => a,
    (g) => [g],
  ),
  // Towards zero; NaN becomes 0, and values outside 32 bits become the nearest end, as WASM's saturating conversion does.
  toInt: row(39, 1, 'toInt', 1, (a) => (Number.isNaN(a) ? 0 : Math.min(2147483647, Math.max(-2147483648, Math.trunc(a)))), null),

  // d(a mod b) = da − ⌊a/b⌋·db; the quotient is had from the result, since ⌊a/b⌋ of a rounded a/b may be the next whole number. It is −1 where
  // the result is b: by rounding, or where b is infinite and has the other sign.
  // (40 to 55 are the fused forms of `wasm/opcode.ts`.)
  remainder: row(
    56,
    2,
    'same',
    12,
    floatRemainder,
    (g, y, a, b) => [g, g.mul(y.equal(b).where(1, y.sub(a).div(b).round()))],
    (a, b) => (b === 0 ? 0 : ((a % b) + b) % b),
  ),
} as const satisfies Record<string, ScalarRow>;

export type ScalarName = keyof typeof scalars;

/** The row of an op, at its general type. */
export function scalarRow(name: ScalarName): ScalarRow {
  return scalars[name];
}

/** What a cast to another element type makes of a value. */
export function castValue(value: number, dtype: DType): number {
  return dtypes[dtype].round(scalarRow(isFloat(dtype) ? 'toFloat' : 'toInt').reference(value, 0, 0));
}

function pickDerivative(g: Tensor, first: Tensor, tie: Tensor, second: Tensor): Tensor[] {
  const half = tie.where(g.mul(0.5), 0);
  return [first.where(g, half), second.where(g, half)];
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
