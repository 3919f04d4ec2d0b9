/**
 * What each opcode does to four elements, and the loops that do it to a block. An operation is a class only so that a
 * loop is compiled for it; there are no objects. Every operand has a step: how far it moves for 16 elements, which is
 * 0 for a value that is the same for all. Fused forms round as often as their parts do: no bit of a value depends on
 * what was fused, so one that a derivative computes again is the same again.
 */
import * as math from './math';
import * as op from './opcode';

/** 0 or 1 from a comparison's 0 or −1. */
@inline
function truth(mask: v128): v128 {
  return i32x4.shr_u(mask, 31);
}

/** −0 and NaN stay. */
@inline
function relu(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(x, i32x4.splat(0)));
}

/** Too long to be compiled four times. */
function pow(x: v128, y: v128): v128 {
  return math.pow(x, y);
}

function threefry(x: v128, y: v128, z: v128): v128 {
  return math.threefry(x, y, z);
}

@unmanaged class Add { @inline of(x: v128, y: v128): v128 { return f32x4.add(x, y); } }
@unmanaged class Sub { @inline of(x: v128, y: v128): v128 { return f32x4.sub(x, y); } }
@unmanaged class Mul { @inline of(x: v128, y: v128): v128 { return f32x4.mul(x, y); } }
@unmanaged class Div { @inline of(x: v128, y: v128): v128 { return f32x4.div(x, y); } }
@unmanaged class Pow { @inline of(x: v128, y: v128): v128 { return pow(x, y); } }
@unmanaged class Maximum { @inline of(x: v128, y: v128): v128 { return f32x4.max(x, y); } }
@unmanaged class Minimum { @inline of(x: v128, y: v128): v128 { return f32x4.min(x, y); } }
@unmanaged class Neg { @inline of(x: v128): v128 { return f32x4.neg(x); } }
@unmanaged class Abs { @inline of(x: v128): v128 { return f32x4.abs(x); } }
/** ±1 with the sign of x; x itself where it is ±0 or NaN. */
@unmanaged class Sign { @inline of(x: v128): v128 { return v128.bitselect(v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1)), x, f32x4.gt(f32x4.abs(x), f32x4.splat(0))); } }
@unmanaged class Floor { @inline of(x: v128): v128 { return f32x4.floor(x); } }
@unmanaged class Ceil { @inline of(x: v128): v128 { return f32x4.ceil(x); } }
@unmanaged class Round { @inline of(x: v128): v128 { return f32x4.nearest(x); } }
@unmanaged class Trunc { @inline of(x: v128): v128 { return f32x4.trunc(x); } }
@unmanaged class Sqrt { @inline of(x: v128): v128 { return f32x4.sqrt(x); } }
@unmanaged class Exp { @inline of(x: v128): v128 { return math.exp(x); } }
@unmanaged class Expm1 { @inline of(x: v128): v128 { return math.expm1(x); } }
@unmanaged class Log { @inline of(x: v128): v128 { return math.log(x); } }
@unmanaged class Log1p { @inline of(x: v128): v128 { return math.log1p(x); } }
@unmanaged class Sin { @inline of(x: v128): v128 { return math.sin(x); } }
@unmanaged class Cos { @inline of(x: v128): v128 { return math.cos(x); } }
@unmanaged class Tanh { @inline of(x: v128): v128 { return math.tanh(x); } }
@unmanaged class Sigmoid { @inline of(x: v128): v128 { return math.sigmoid(x); } }
@unmanaged class Erf { @inline of(x: v128): v128 { return math.erf(x); } }
@unmanaged class ErfInverse { @inline of(x: v128): v128 { return math.erfInverse(x); } }
@unmanaged class Relu { @inline of(x: v128): v128 { return relu(x); } }
@unmanaged class Equal { @inline of(x: v128, y: v128): v128 { return truth(f32x4.eq(x, y)); } }
@unmanaged class NotEqual { @inline of(x: v128, y: v128): v128 { return truth(f32x4.ne(x, y)); } }
@unmanaged class Less { @inline of(x: v128, y: v128): v128 { return truth(f32x4.lt(x, y)); } }
@unmanaged class LessEqual { @inline of(x: v128, y: v128): v128 { return truth(f32x4.le(x, y)); } }
@unmanaged class Where { @inline of(x: v128, y: v128, z: v128): v128 { return v128.bitselect(z, y, i32x4.eq(x, i32x4.splat(0))); } }
@unmanaged class BitAnd { @inline of(x: v128, y: v128): v128 { return v128.and(x, y); } }
@unmanaged class BitOr { @inline of(x: v128, y: v128): v128 { return v128.or(x, y); } }
@unmanaged class BitXor { @inline of(x: v128, y: v128): v128 { return v128.xor(x, y); } }
@unmanaged class Threefry { @inline of(x: v128, y: v128, z: v128): v128 { return threefry(x, y, z); } }
@unmanaged class ToFloat { @inline of(x: v128): v128 { return f32x4.convert_i32x4_s(x); } }
@unmanaged class ToInt { @inline of(x: v128): v128 { return i32x4.trunc_sat_f32x4_s(x); } }
@unmanaged class IntegerAdd { @inline of(x: v128, y: v128): v128 { return i32x4.add(x, y); } }
@unmanaged class IntegerSub { @inline of(x: v128, y: v128): v128 { return i32x4.sub(x, y); } }
@unmanaged class IntegerMul { @inline of(x: v128, y: v128): v128 { return i32x4.mul(x, y); } }
@unmanaged class IntegerMaximum { @inline of(x: v128, y: v128): v128 { return i32x4.max_s(x, y); } }
@unmanaged class IntegerMinimum { @inline of(x: v128, y: v128): v128 { return i32x4.min_s(x, y); } }
@unmanaged class IntegerNeg { @inline of(x: v128): v128 { return i32x4.neg(x); } }
@unmanaged class IntegerAbs { @inline of(x: v128): v128 { return i32x4.abs(x); } }
@unmanaged class IntegerSign { @inline of(x: v128): v128 { return v128.or(i32x4.shr_s(x, 31), i32x4.shr_u(i32x4.neg(x), 31)); } }
@unmanaged class IntegerRelu { @inline of(x: v128): v128 { return i32x4.max_s(x, i32x4.splat(0)); } }
@unmanaged class IntegerEqual { @inline of(x: v128, y: v128): v128 { return truth(i32x4.eq(x, y)); } }
@unmanaged class IntegerNotEqual { @inline of(x: v128, y: v128): v128 { return truth(i32x4.ne(x, y)); } }
@unmanaged class IntegerLess { @inline of(x: v128, y: v128): v128 { return truth(i32x4.lt_s(x, y)); } }
@unmanaged class IntegerLessEqual { @inline of(x: v128, y: v128): v128 { return truth(i32x4.le_s(x, y)); } }
@unmanaged class MulAdd { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.add(f32x4.mul(x, y), z); } }
@unmanaged class MulSub { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.sub(f32x4.mul(x, y), z); } }
@unmanaged class NegatedMulAdd { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.sub(z, f32x4.mul(x, y)); } }
@unmanaged class MulMul { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.mul(f32x4.mul(x, y), z); } }
@unmanaged class MulDiv { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.div(f32x4.mul(x, y), z); } }
@unmanaged class SubMul { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.mul(f32x4.sub(x, y), z); } }
@unmanaged class AddMul { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.mul(f32x4.add(x, y), z); } }
@unmanaged class AddAdd { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.add(f32x4.add(x, y), z); } }
@unmanaged class SqrtMulAdd { @inline of(x: v128, y: v128, z: v128): v128 { return f32x4.add(f32x4.mul(f32x4.sqrt(x), y), z); } }
@unmanaged class MulAddMul { @inline of(x: v128, y: v128, z: v128, w: v128): v128 { return f32x4.add(f32x4.mul(x, y), f32x4.mul(z, w)); } }
@unmanaged class MulSubMul { @inline of(x: v128, y: v128, z: v128, w: v128): v128 { return f32x4.sub(f32x4.mul(x, y), f32x4.mul(z, w)); } }
@unmanaged class AddRelu { @inline of(x: v128, y: v128): v128 { return relu(f32x4.add(x, y)); } }
@unmanaged class MulAddRelu { @inline of(x: v128, y: v128, z: v128): v128 { return relu(f32x4.add(f32x4.mul(x, y), z)); } }
@unmanaged class Gate { @inline of(x: v128, y: v128): v128 { return v128.and(y, f32x4.gt(x, i32x4.splat(0))); } }

function unary<Operation>(r: usize, a: usize, aStep: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (const end = r + bytes; r < end; r += 64, a += aStep) {
    v128.store(r, operation.of(v128.load(a)));
    v128.store(r, operation.of(v128.load(a, 16)), 16);
    v128.store(r, operation.of(v128.load(a, 32)), 32);
    v128.store(r, operation.of(v128.load(a, 48)), 48);
  }
}

/** The same for an operation so long that unrolling gains little, or so rare that the binary is better off without it. */
function long<Operation>(r: usize, a: usize, aStep: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (const end = r + bytes; r < end; r += 16, a += aStep >> 2) v128.store(r, operation.of(v128.load(a)));
}

function binary<Operation>(r: usize, a: usize, aStep: usize, b: usize, bStep: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (const end = r + bytes; r < end; r += 64, a += aStep, b += bStep) {
    v128.store(r, operation.of(v128.load(a), v128.load(b)));
    v128.store(r, operation.of(v128.load(a, 16), v128.load(b, 16)), 16);
    v128.store(r, operation.of(v128.load(a, 32), v128.load(b, 32)), 32);
    v128.store(r, operation.of(v128.load(a, 48), v128.load(b, 48)), 48);
  }
}

function ternary<Operation>(r: usize, a: usize, aStep: usize, b: usize, bStep: usize, c: usize, cStep: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (const end = r + bytes; r < end; r += 64, a += aStep, b += bStep, c += cStep) {
    v128.store(r, operation.of(v128.load(a), v128.load(b), v128.load(c)));
    v128.store(r, operation.of(v128.load(a, 16), v128.load(b, 16), v128.load(c, 16)), 16);
    v128.store(r, operation.of(v128.load(a, 32), v128.load(b, 32), v128.load(c, 32)), 32);
    v128.store(r, operation.of(v128.load(a, 48), v128.load(b, 48), v128.load(c, 48)), 48);
  }
}

/** A ternary operation whose operand b is the same for all: it is loaded once, since loads are what limits these loops. */
function scaled<Operation>(r: usize, a: usize, aStep: usize, b: usize, c: usize, cStep: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  const y = v128.load(b);
  for (const end = r + bytes; r < end; r += 64, a += aStep, c += cStep) {
    v128.store(r, operation.of(v128.load(a), y, v128.load(c)));
    v128.store(r, operation.of(v128.load(a, 16), y, v128.load(c, 16)), 16);
    v128.store(r, operation.of(v128.load(a, 32), y, v128.load(c, 32)), 32);
    v128.store(r, operation.of(v128.load(a, 48), y, v128.load(c, 48)), 48);
  }
}

/** The same for four operands, of which b and d are the same for all. */
function blended<Operation>(r: usize, a: usize, aStep: usize, b: usize, c: usize, cStep: usize, d: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  const y = v128.load(b);
  const w = v128.load(d);
  for (const end = r + bytes; r < end; r += 64, a += aStep, c += cStep) {
    v128.store(r, operation.of(v128.load(a), y, v128.load(c), w));
    v128.store(r, operation.of(v128.load(a, 16), y, v128.load(c, 16), w), 16);
    v128.store(r, operation.of(v128.load(a, 32), y, v128.load(c, 32), w), 32);
    v128.store(r, operation.of(v128.load(a, 48), y, v128.load(c, 48), w), 48);
  }
}

/** The counts differ from element to element, which no vector instruction takes. */
function shift(left: bool, r: usize, a: usize, aStep: usize, b: usize, bStep: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 4) {
    const value = load<u32>(a + (aStep ? i : 0));
    const count = load<u32>(b + (bStep ? i : 0));
    store<u32>(r + i, left ? value << count : value >> count);
  }
}

/** The same of one element for any quotient: 28 bits of it at a time, each of whose products with |y|·2²⁸ᵏ is exact. */
function remainderOf(x: f32, y: f32): f32 {
  const divisor = abs(<f64>y);
  let rest = abs(<f64>x);
  if (!(rest < Infinity && divisor > 0)) return NaN;
  while (rest >= divisor) {
    let scale = divisor;
    while (scale * 268435456 <= rest) scale *= 268435456;
    rest -= floor(rest / scale) * scale;
  }
  return copysign(<f32>(rest > 0 && x < 0 != y < 0 ? divisor - rest : rest), y);
}

function remainder(r: usize, a: usize, aStep: usize, b: usize, bStep: usize, bytes: usize): void {
  for (const end = r + bytes; r < end; r += 16, a += aStep >> 2, b += bStep >> 2) {
    const x = v128.load(a);
    const y = v128.load(b);
    if (math.fewTimes(x, y)) v128.store(r, math.remainder(x, y));
    else for (let i: usize = 0; i < 16; i += 4) store<f32>(r + i, remainderOf(load<f32>(a + i), load<f32>(b + i)));
  }
}

/** No vector instruction divides integers. */
function integerRemainder(r: usize, a: usize, aStep: usize, b: usize, bStep: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 4) {
    const divisor = load<i32>(b + (bStep ? i : 0));
    let rest = divisor ? load<i32>(a + (aStep ? i : 0)) % divisor : 0;
    if (rest && (rest ^ divisor) < 0) rest += divisor;
    store<i32>(r + i, rest);
  }
}

/** `r = opcode(a, b, c, d)` on arrays of `bytes`, a multiple of 64; d has no step. */
export function operate(opcode: i32, r: usize, a: usize, aStep: usize, b: usize, bStep: usize, c: usize, cStep: usize, d: usize, bytes: usize): void {
  switch (opcode) {
    case op.ADD: binary<Add>(r, a, aStep, b, bStep, bytes); break;
    case op.SUB: binary<Sub>(r, a, aStep, b, bStep, bytes); break;
    case op.MUL: binary<Mul>(r, a, aStep, b, bStep, bytes); break;
    case op.DIV: binary<Div>(r, a, aStep, b, bStep, bytes); break;
    case op.POW: binary<Pow>(r, a, aStep, b, bStep, bytes); break;
    case op.MAXIMUM: binary<Maximum>(r, a, aStep, b, bStep, bytes); break;
    case op.MINIMUM: binary<Minimum>(r, a, aStep, b, bStep, bytes); break;
    case op.NEG: unary<Neg>(r, a, aStep, bytes); break;
    case op.ABS: unary<Abs>(r, a, aStep, bytes); break;
    case op.SIGN: long<Sign>(r, a, aStep, bytes); break;
    case op.FLOOR: long<Floor>(r, a, aStep, bytes); break;
    case op.CEIL: long<Ceil>(r, a, aStep, bytes); break;
    case op.ROUND: long<Round>(r, a, aStep, bytes); break;
    case op.TRUNC: long<Trunc>(r, a, aStep, bytes); break;
    case op.SQRT: unary<Sqrt>(r, a, aStep, bytes); break;
    case op.EXP: long<Exp>(r, a, aStep, bytes); break;
    case op.EXPM1: long<Expm1>(r, a, aStep, bytes); break;
    case op.LOG: long<Log>(r, a, aStep, bytes); break;
    case op.LOG1P: long<Log1p>(r, a, aStep, bytes); break;
    case op.SIN: long<Sin>(r, a, aStep, bytes); break;
    case op.COS: long<Cos>(r, a, aStep, bytes); break;
    case op.TANH: long<Tanh>(r, a, aStep, bytes); break;
    case op.SIGMOID: long<Sigmoid>(r, a, aStep, bytes); break;
    case op.ERF: long<Erf>(r, a, aStep, bytes); break;
    case op.ERF_INVERSE: long<ErfInverse>(r, a, aStep, bytes); break;
    case op.RELU: unary<Relu>(r, a, aStep, bytes); break;
    case op.EQUAL: binary<Equal>(r, a, aStep, b, bStep, bytes); break;
    case op.NOT_EQUAL: binary<NotEqual>(r, a, aStep, b, bStep, bytes); break;
    case op.LESS: binary<Less>(r, a, aStep, b, bStep, bytes); break;
    case op.LESS_EQUAL: binary<LessEqual>(r, a, aStep, b, bStep, bytes); break;
    case op.WHERE: ternary<Where>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.BITWISE_AND: binary<BitAnd>(r, a, aStep, b, bStep, bytes); break;
    case op.BITWISE_OR: binary<BitOr>(r, a, aStep, b, bStep, bytes); break;
    case op.BITWISE_XOR: binary<BitXor>(r, a, aStep, b, bStep, bytes); break;
    case op.SHIFT_LEFT: shift(true, r, a, aStep, b, bStep, bytes); break;
    case op.SHIFT_RIGHT: shift(false, r, a, aStep, b, bStep, bytes); break;
    case op.REMAINDER: remainder(r, a, aStep, b, bStep, bytes); break;
    case op.THREEFRY: ternary<Threefry>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.TO_FLOAT: unary<ToFloat>(r, a, aStep, bytes); break;
    case op.TO_INT: unary<ToInt>(r, a, aStep, bytes); break;
    case op.MUL_ADD: ternary<MulAdd>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.MUL_SUB: ternary<MulSub>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.NEGATED_MUL_ADD: ternary<NegatedMulAdd>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.MUL_MUL: ternary<MulMul>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.MUL_DIV: ternary<MulDiv>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.SUB_MUL: ternary<SubMul>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.ADD_MUL: ternary<AddMul>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.ADD_ADD: ternary<AddAdd>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.SQRT_MUL_ADD: ternary<SqrtMulAdd>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.ADD_RELU: binary<AddRelu>(r, a, aStep, b, bStep, bytes); break;
    case op.MUL_ADD_RELU: ternary<MulAddRelu>(r, a, aStep, b, bStep, c, cStep, bytes); break;
    case op.GATE: binary<Gate>(r, a, aStep, b, bStep, bytes); break;
    case op.SCALE_ADD: scaled<MulAdd>(r, a, aStep, b, c, cStep, bytes); break;
    case op.NEGATED_SCALE_ADD: scaled<NegatedMulAdd>(r, a, aStep, b, c, cStep, bytes); break;
    case op.SCALE_ADD_SCALE: blended<MulAddMul>(r, a, aStep, b, c, cStep, d, bytes); break;
    case op.SCALE_SUB_SCALE: blended<MulSubMul>(r, a, aStep, b, c, cStep, d, bytes); break;
    case op.INTEGER + op.ADD: binary<IntegerAdd>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.SUB: binary<IntegerSub>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.MUL: binary<IntegerMul>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.MAXIMUM: binary<IntegerMaximum>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.MINIMUM: binary<IntegerMinimum>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.NEG: long<IntegerNeg>(r, a, aStep, bytes); break;
    case op.INTEGER + op.ABS: long<IntegerAbs>(r, a, aStep, bytes); break;
    case op.INTEGER + op.SIGN: long<IntegerSign>(r, a, aStep, bytes); break;
    case op.INTEGER + op.RELU: long<IntegerRelu>(r, a, aStep, bytes); break;
    case op.INTEGER + op.EQUAL: binary<IntegerEqual>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.NOT_EQUAL: binary<IntegerNotEqual>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.LESS: binary<IntegerLess>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.LESS_EQUAL: binary<IntegerLessEqual>(r, a, aStep, b, bStep, bytes); break;
    case op.INTEGER + op.REMAINDER: integerRemainder(r, a, aStep, b, bStep, bytes); break;
    default: unreachable();
  }
}
