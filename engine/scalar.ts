/**
 * The scalar-op table: one row per elementwise operation.
 *
 * A row says how many operands an op takes, which element types it accepts and gives, its number in encoded
 * programs, what it costs, and how exact it is. Two columns are apart: its reference in double precision (reference.ts), and its derivative, which speaks of
 * tensors (ops/derivatives.ts). Tensor methods, the reference interpreter, the WASM block interpreter and the WGSL emitter are all driven by it.
 */

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
}

export const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

export const scalars = {
  // The linear index of the element in the kernel's iteration space; only programs use it (see `arange`, `randomBits`).
  index: { opcode: 0, arity: 0, typing: 'bits', cost: 1 },
  add: { opcode: 1, arity: 2, typing: 'same', cost: 1 },
  sub: { opcode: 2, arity: 2, typing: 'same', cost: 1 },
  mul: { opcode: 3, arity: 2, typing: 'same', cost: 1 },
  // WGSL lets a division be off by 2.5 units, and a root be one by an inverse root, of 2.
  div: { opcode: 4, arity: 2, typing: 'float', cost: 3, ulps: { wasm: 0.5, webgpu: 2.5 } },
  // webgpu's is exp2(b·log2 a), for which WGSL allows 3 + 2·|b·log2 a| units: at most 128 there.
  pow: { opcode: 5, arity: 2, typing: 'float', cost: 20, ulps: { wasm: 0.51, webgpu: 259 } },
  maximum: { opcode: 6, arity: 2, typing: 'same', cost: 1 },
  minimum: { opcode: 7, arity: 2, typing: 'same', cost: 1 },
  neg: { opcode: 8, arity: 1, typing: 'same', cost: 1 },
  abs: { opcode: 9, arity: 1, typing: 'same', cost: 1 },
  sign: { opcode: 10, arity: 1, typing: 'same', cost: 2 },
  floor: { opcode: 11, arity: 1, typing: 'float', cost: 1 },
  ceil: { opcode: 12, arity: 1, typing: 'float', cost: 1 },
  // Ties go to the even neighbour, as IEEE 754, NumPy and PyTorch have it.
  round: { opcode: 13, arity: 1, typing: 'float', cost: 1 },
  trunc: { opcode: 14, arity: 1, typing: 'float', cost: 1 },
  sqrt: { opcode: 15, arity: 1, typing: 'float', cost: 3, ulps: { wasm: 0.5, webgpu: 4.5 } },
  exp: { opcode: 16, arity: 1, typing: 'float', cost: 12, ulps: { wasm: 1, webgpu: 2 } },
  expm1: { opcode: 17, arity: 1, typing: 'float', cost: 14, ulps: { wasm: 1.5, webgpu: 3 } },
  log: { opcode: 18, arity: 1, typing: 'float', cost: 12, ulps: { wasm: 1, webgpu: 5 } },
  log1p: { opcode: 19, arity: 1, typing: 'float', cost: 14, ulps: { wasm: 1.5, webgpu: 6 } },
  sin: { opcode: 20, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 10, upTo: 1e5 } },
  cos: { opcode: 21, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 10, upTo: 1e5 } },
  tanh: { opcode: 22, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 1.5, webgpu: 6 } },
  sigmoid: { opcode: 23, arity: 1, typing: 'float', cost: 16, ulps: { wasm: 2.5, webgpu: 5 } },
  erf: { opcode: 24, arity: 1, typing: 'float', cost: 20, ulps: { wasm: 1.25, webgpu: 6 } },
  erfInverse: { opcode: 25, arity: 1, typing: 'float', cost: 24, ulps: { wasm: 3, webgpu: 8 } },
  relu: { opcode: 26, arity: 1, typing: 'same', cost: 1 },
  equal: { opcode: 27, arity: 2, typing: 'compare', cost: 1 },
  notEqual: { opcode: 28, arity: 2, typing: 'compare', cost: 1 },
  less: { opcode: 29, arity: 2, typing: 'compare', cost: 1 },
  lessEqual: { opcode: 30, arity: 2, typing: 'compare', cost: 1 },
  where: { opcode: 31, arity: 3, typing: 'select', cost: 1 },
  bitwiseAnd: { opcode: 32, arity: 2, typing: 'bits', cost: 1 },
  bitwiseOr: { opcode: 33, arity: 2, typing: 'bits', cost: 1 },
  bitwiseXor: { opcode: 34, arity: 2, typing: 'bits', cost: 1 },
  // The shift count is taken modulo 32.
  shiftLeft: { opcode: 35, arity: 2, typing: 'bits', cost: 2 },
  // Zeros move in from the left.
  shiftRight: { opcode: 36, arity: 2, typing: 'bits', cost: 2 },
  // Threefry-2x32-20 of counter (0, c) under key (a, b); its two words combined by xor, as JAX's partitionable bits are.
  threefry: { opcode: 37, arity: 3, typing: 'bits', cost: 120 },
  toFloat: { opcode: 38, arity: 1, typing: 'toFloat', cost: 1 },
  // Towards zero; NaN becomes 0, and values outside 32 bits become the nearest end, as WASM's saturating conversion does.
  toInt: { opcode: 39, arity: 1, typing: 'toInt', cost: 1 },
  remainder: { opcode: 40, arity: 2, typing: 'same', cost: 12 },
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
