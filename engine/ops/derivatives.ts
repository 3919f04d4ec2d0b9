/** The scalar table's derivatives, a column of their own: they speak of tensors, and the table of numbers. */
import { type ScalarName, TWO_OVER_SQRT_PI } from '../scalar.ts';
import type { Tensor } from '../tensor.ts';

/**
 * Cotangents of the operands, given the cotangent `g` of the result `y` at operands `a`, `b`, `c`.
 * `null` where the op is constant almost everywhere in that operand.
 */
type Derivative = (g: Tensor, y: Tensor, a: Tensor, b: Tensor, c: Tensor) => readonly (Tensor | null)[];

export const derivatives: { readonly [Name in ScalarName]: Derivative | null } = {
  index: null,
  // d(a+b) = da + db
  add: (g) => [g, g],
  // d(a−b) = da − db
  sub: (g) => [g, g.neg()],
  // d(ab) = b·da + a·db
  mul: (g, _y, a, b) => [g.mul(b), g.mul(a)],
  // d(a/b) = da/b − (a/b)/b·db
  div: (g, y, _a, b) => [g.div(b), g.mul(y).div(b).neg()],
  // d(a^b) = b·a^(b−1)·da + ln a·a^b·db; the first term is 0 at b = 0, the second at a = 0, its limit for b > 0. The branch that is not
  // taken is kept finite, for the sake of higher derivatives.
  pow: (g, y, a, b) => {
    const [flat, zero] = [b.equal(0), a.equal(0)];
    const exponent = flat.where(1, b);
    return [g.mul(flat.where(0, exponent.mul(a.pow(exponent.sub(1))))), g.mul(zero.where(0, zero.where(1, a).log()).mul(y))];
  },
  // d max(a,b) = [a>b]·da + [a<b]·db, halves at a tie; NaN in either operand gives NaN
  maximum: (g, _y, a, b) => pickDerivative(g, a.greater(b), a.equal(b), b.greater(a)),
  minimum: (g, _y, a, b) => pickDerivative(g, a.less(b), a.equal(b), b.less(a)),
  // d(−a) = −da
  neg: (g) => [g.neg()],
  // d|a| = sign(a)·da
  abs: (g, _y, a) => [g.mul(a.sign())],
  sign: null,
  floor: null,
  ceil: null,
  round: null,
  trunc: null,
  // d√a = da/(2√a)
  sqrt: (g, y) => [g.div(y.mul(2))],
  // d eᵃ = eᵃ·da
  exp: (g, y) => [g.mul(y)],
  // d(eᵃ−1) = eᵃ·da
  expm1: (g, _y, a) => [g.mul(a.exp())],
  // d ln a = da/a
  log: (g, _y, a) => [g.div(a)],
  // d ln(1+a) = da/(1+a)
  log1p: (g, _y, a) => [g.div(a.add(1))],
  // d sin a = cos a·da
  sin: (g, _y, a) => [g.mul(a.cos())],
  // d cos a = −sin a·da
  cos: (g, _y, a) => [g.mul(a.sin()).neg()],
  // d tanh a = (1−tanh²a)·da
  tanh: (g, y) => [g.mul(y.square().neg().add(1))],
  // σ' = σ(1−σ), which stays finite where eᵃ does not
  sigmoid: (g, y) => [g.mul(y).mul(y.neg().add(1))],
  // d erf a = 2/√π·e^(−a²)·da
  erf: (g, _y, a) => [g.mul(a.square().neg().exp()).mul(TWO_OVER_SQRT_PI)],
  // d erf⁻¹ a = √π/2·e^(y²)·da
  erfInverse: (g, y) => [g.mul(y.square().exp()).div(TWO_OVER_SQRT_PI)],
  // relu' = [a>0]; 0 at the kink, as PyTorch has it
  relu: (g, y) => [y.greater(0).where(g, 0)],
  equal: null,
  notEqual: null,
  less: null,
  lessEqual: null,
  // The branch not taken gets an exact 0, so a NaN there does not leak.
  where: (g, _y, a) => [null, a.where(g, 0), a.where(0, g)],
  bitwiseAnd: null,
  bitwiseOr: null,
  bitwiseXor: null,
  shiftLeft: null,
  shiftRight: null,
  threefry: null,
  toFloat: (g) => [g],
  toInt: null,
  // d(a mod b) = da − ⌊a/b⌋·db; the quotient is had from the result, since ⌊a/b⌋ of a rounded a/b may be the next whole number.
  // It is −1 where the result is b: by rounding, or where b is infinite and has the other sign.
  remainder: (g, y, a, b) => [g, g.mul(y.equal(b).where(1, y.sub(a).div(b).round()))],
};

function pickDerivative(g: Tensor, first: Tensor, tie: Tensor, second: Tensor): Tensor[] {
  const half = tie.where(g.mul(0.5), 0);
  return [first.where(g, half), second.where(g, half)];
}
