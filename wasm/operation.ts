/**
 * What each opcode does to four elements, and the loops that do it to a block. An operation is a class only so that
 * `loop<Operation>` is compiled for it; there are no objects.
 */
import * as math from './math';
import * as op from './opcode';

@inline
function at(address: usize): v128 {
  return v128.load(address);
}

/** 0 or 1 from a comparison's 0 or −1. */
@inline
function truth(mask: v128): v128 {
  return i32x4.shr_u(mask, 31);
}

@unmanaged class Add { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.add(at(a), at(b)); } }
@unmanaged class Sub { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.sub(at(a), at(b)); } }
@unmanaged class Mul { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.mul(at(a), at(b)); } }
@unmanaged class Div { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.div(at(a), at(b)); } }
@unmanaged class Pow { @inline of(a: usize, b: usize, c: usize): v128 { return math.pow(at(a), at(b)); } }
@unmanaged class Maximum { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.max(at(a), at(b)); } }
@unmanaged class Minimum { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.min(at(a), at(b)); } }
@unmanaged class Neg { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.neg(at(a)); } }
@unmanaged class Abs { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.abs(at(a)); } }
/** ±1 with the sign of x; x itself where it is ±0 or NaN. */
@unmanaged class Sign { @inline of(a: usize, b: usize, c: usize): v128 { return v128.bitselect(v128.or(v128.and(at(a), f32x4.splat(-0.0)), f32x4.splat(1)), at(a), f32x4.gt(f32x4.abs(at(a)), f32x4.splat(0))); } }
@unmanaged class Floor { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.floor(at(a)); } }
@unmanaged class Ceil { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.ceil(at(a)); } }
@unmanaged class Round { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.nearest(at(a)); } }
@unmanaged class Trunc { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.trunc(at(a)); } }
@unmanaged class Sqrt { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.sqrt(at(a)); } }
@unmanaged class Exp { @inline of(a: usize, b: usize, c: usize): v128 { return math.exp(at(a)); } }
@unmanaged class Expm1 { @inline of(a: usize, b: usize, c: usize): v128 { return math.expm1(at(a)); } }
@unmanaged class Log { @inline of(a: usize, b: usize, c: usize): v128 { return math.log(at(a)); } }
@unmanaged class Log1p { @inline of(a: usize, b: usize, c: usize): v128 { return math.log1p(at(a)); } }
@unmanaged class Sin { @inline of(a: usize, b: usize, c: usize): v128 { return math.sin(at(a)); } }
@unmanaged class Cos { @inline of(a: usize, b: usize, c: usize): v128 { return math.cos(at(a)); } }
@unmanaged class Tanh { @inline of(a: usize, b: usize, c: usize): v128 { return math.tanh(at(a)); } }
@unmanaged class Sigmoid { @inline of(a: usize, b: usize, c: usize): v128 { return math.sigmoid(at(a)); } }
@unmanaged class Erf { @inline of(a: usize, b: usize, c: usize): v128 { return math.erf(at(a)); } }
@unmanaged class ErfInverse { @inline of(a: usize, b: usize, c: usize): v128 { return math.erfInverse(at(a)); } }
@unmanaged class Relu { @inline of(a: usize, b: usize, c: usize): v128 { return v128.andnot(at(a), f32x4.lt(at(a), f32x4.splat(0))); } }
@unmanaged class Equal { @inline of(a: usize, b: usize, c: usize): v128 { return truth(f32x4.eq(at(a), at(b))); } }
@unmanaged class NotEqual { @inline of(a: usize, b: usize, c: usize): v128 { return truth(f32x4.ne(at(a), at(b))); } }
@unmanaged class Less { @inline of(a: usize, b: usize, c: usize): v128 { return truth(f32x4.lt(at(a), at(b))); } }
@unmanaged class LessEqual { @inline of(a: usize, b: usize, c: usize): v128 { return truth(f32x4.le(at(a), at(b))); } }
@unmanaged class Where { @inline of(a: usize, b: usize, c: usize): v128 { return v128.bitselect(at(c), at(b), i32x4.eq(at(a), i32x4.splat(0))); } }
@unmanaged class BitAnd { @inline of(a: usize, b: usize, c: usize): v128 { return v128.and(at(a), at(b)); } }
@unmanaged class BitOr { @inline of(a: usize, b: usize, c: usize): v128 { return v128.or(at(a), at(b)); } }
@unmanaged class BitXor { @inline of(a: usize, b: usize, c: usize): v128 { return v128.xor(at(a), at(b)); } }
@unmanaged class Threefry { @inline of(a: usize, b: usize, c: usize): v128 { return math.threefry(at(a), at(b), at(c)); } }
@unmanaged class ToFloat { @inline of(a: usize, b: usize, c: usize): v128 { return f32x4.convert_i32x4_s(at(a)); } }
@unmanaged class ToInt { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.trunc_sat_f32x4_s(at(a)); } }
@unmanaged class IntegerAdd { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.add(at(a), at(b)); } }
@unmanaged class IntegerSub { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.sub(at(a), at(b)); } }
@unmanaged class IntegerMul { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.mul(at(a), at(b)); } }
@unmanaged class IntegerMaximum { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.max_s(at(a), at(b)); } }
@unmanaged class IntegerMinimum { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.min_s(at(a), at(b)); } }
@unmanaged class IntegerNeg { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.neg(at(a)); } }
@unmanaged class IntegerAbs { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.abs(at(a)); } }
@unmanaged class IntegerSign { @inline of(a: usize, b: usize, c: usize): v128 { return v128.or(i32x4.shr_s(at(a), 31), i32x4.shr_u(i32x4.neg(at(a)), 31)); } }
@unmanaged class IntegerRelu { @inline of(a: usize, b: usize, c: usize): v128 { return i32x4.max_s(at(a), i32x4.splat(0)); } }
@unmanaged class IntegerEqual { @inline of(a: usize, b: usize, c: usize): v128 { return truth(i32x4.eq(at(a), at(b))); } }
@unmanaged class IntegerNotEqual { @inline of(a: usize, b: usize, c: usize): v128 { return truth(i32x4.ne(at(a), at(b))); } }
@unmanaged class IntegerLess { @inline of(a: usize, b: usize, c: usize): v128 { return truth(i32x4.lt_s(at(a), at(b))); } }
@unmanaged class IntegerLessEqual { @inline of(a: usize, b: usize, c: usize): v128 { return truth(i32x4.le_s(at(a), at(b))); } }

function loop<Operation>(result: usize, a: usize, b: usize, c: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (let i: usize = 0; i < bytes; i += 64) {
    v128.store(result + i, operation.of(a + i, b + i, c + i));
    v128.store(result + i, operation.of(a + i + 16, b + i + 16, c + i + 16), 16);
    v128.store(result + i, operation.of(a + i + 32, b + i + 32, c + i + 32), 32);
    v128.store(result + i, operation.of(a + i + 48, b + i + 48, c + i + 48), 48);
  }
}

/** The same for an operation so long that unrolling gains nothing. */
function longLoop<Operation>(result: usize, a: usize, b: usize, c: usize, bytes: usize): void {
  const operation = changetype<Operation>(0);
  for (let i: usize = 0; i < bytes; i += 16) v128.store(result + i, operation.of(a + i, b + i, c + i));
}

/** `result = opcode(a, b, c)` on arrays of `bytes`, a multiple of 64. */
export function operate(opcode: i32, r: usize, a: usize, b: usize, c: usize, bytes: usize): void {
  switch (opcode) {
    case op.ADD: loop<Add>(r, a, b, c, bytes); break;
    case op.SUB: loop<Sub>(r, a, b, c, bytes); break;
    case op.MUL: loop<Mul>(r, a, b, c, bytes); break;
    case op.DIV: loop<Div>(r, a, b, c, bytes); break;
    case op.POW: longLoop<Pow>(r, a, b, c, bytes); break;
    case op.MAXIMUM: loop<Maximum>(r, a, b, c, bytes); break;
    case op.MINIMUM: loop<Minimum>(r, a, b, c, bytes); break;
    case op.NEG: loop<Neg>(r, a, b, c, bytes); break;
    case op.ABS: loop<Abs>(r, a, b, c, bytes); break;
    case op.SIGN: loop<Sign>(r, a, b, c, bytes); break;
    case op.FLOOR: loop<Floor>(r, a, b, c, bytes); break;
    case op.CEIL: loop<Ceil>(r, a, b, c, bytes); break;
    case op.ROUND: loop<Round>(r, a, b, c, bytes); break;
    case op.TRUNC: loop<Trunc>(r, a, b, c, bytes); break;
    case op.SQRT: loop<Sqrt>(r, a, b, c, bytes); break;
    case op.EXP: longLoop<Exp>(r, a, b, c, bytes); break;
    case op.EXPM1: longLoop<Expm1>(r, a, b, c, bytes); break;
    case op.LOG: longLoop<Log>(r, a, b, c, bytes); break;
    case op.LOG1P: longLoop<Log1p>(r, a, b, c, bytes); break;
    case op.SIN: longLoop<Sin>(r, a, b, c, bytes); break;
    case op.COS: longLoop<Cos>(r, a, b, c, bytes); break;
    case op.TANH: longLoop<Tanh>(r, a, b, c, bytes); break;
    case op.SIGMOID: longLoop<Sigmoid>(r, a, b, c, bytes); break;
    case op.ERF: longLoop<Erf>(r, a, b, c, bytes); break;
    case op.ERF_INVERSE: longLoop<ErfInverse>(r, a, b, c, bytes); break;
    case op.RELU: loop<Relu>(r, a, b, c, bytes); break;
    case op.EQUAL: loop<Equal>(r, a, b, c, bytes); break;
    case op.NOT_EQUAL: loop<NotEqual>(r, a, b, c, bytes); break;
    case op.LESS: loop<Less>(r, a, b, c, bytes); break;
    case op.LESS_EQUAL: loop<LessEqual>(r, a, b, c, bytes); break;
    case op.WHERE: loop<Where>(r, a, b, c, bytes); break;
    case op.BIT_AND: loop<BitAnd>(r, a, b, c, bytes); break;
    case op.BIT_OR: loop<BitOr>(r, a, b, c, bytes); break;
    case op.BIT_XOR: loop<BitXor>(r, a, b, c, bytes); break;
    // The counts differ from element to element, which no vector instruction takes.
    case op.SHIFT_LEFT: for (let i: usize = 0; i < bytes; i += 4) store<u32>(r + i, load<u32>(a + i) << load<u32>(b + i)); break;
    case op.SHIFT_RIGHT: for (let i: usize = 0; i < bytes; i += 4) store<u32>(r + i, load<u32>(a + i) >> load<u32>(b + i)); break;
    case op.THREEFRY: longLoop<Threefry>(r, a, b, c, bytes); break;
    case op.TO_FLOAT: loop<ToFloat>(r, a, b, c, bytes); break;
    case op.TO_INT: loop<ToInt>(r, a, b, c, bytes); break;
    case op.INTEGER + op.ADD: loop<IntegerAdd>(r, a, b, c, bytes); break;
    case op.INTEGER + op.SUB: loop<IntegerSub>(r, a, b, c, bytes); break;
    case op.INTEGER + op.MUL: loop<IntegerMul>(r, a, b, c, bytes); break;
    case op.INTEGER + op.MAXIMUM: loop<IntegerMaximum>(r, a, b, c, bytes); break;
    case op.INTEGER + op.MINIMUM: loop<IntegerMinimum>(r, a, b, c, bytes); break;
    case op.INTEGER + op.NEG: loop<IntegerNeg>(r, a, b, c, bytes); break;
    case op.INTEGER + op.ABS: loop<IntegerAbs>(r, a, b, c, bytes); break;
    case op.INTEGER + op.SIGN: loop<IntegerSign>(r, a, b, c, bytes); break;
    case op.INTEGER + op.RELU: loop<IntegerRelu>(r, a, b, c, bytes); break;
    case op.INTEGER + op.EQUAL: loop<IntegerEqual>(r, a, b, c, bytes); break;
    case op.INTEGER + op.NOT_EQUAL: loop<IntegerNotEqual>(r, a, b, c, bytes); break;
    case op.INTEGER + op.LESS: loop<IntegerLess>(r, a, b, c, bytes); break;
    case op.INTEGER + op.LESS_EQUAL: loop<IntegerLessEqual>(r, a, b, c, bytes); break;
    default: unreachable();
  }
}
