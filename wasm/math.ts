/**
 * Transcendental functions on four f32 at once. Each is as exact as the scalar table says (`ulps` in `engine/scalar.ts`), and right on ±0, ±∞, NaN
 * and subnormals.
 * Polynomials: S. Moshier, Cephes (exp, log, sin, cos, tanh); N. Juffa (erf, erfInverse).
 */

/** Number `index` of a table, four times: a machine loads a vector of constants faster than it makes one. */
@inline
function constant(table: usize, index: i32): v128 {
  return v128.load32_splat(table + (<usize>index << 2));
}

/** a·b + c, rounded once where the machine can. */
@inline
export function mulAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

/** −a·b + c. */
@inline
export function negatedMulAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_nmadd(a, b, c);
}

/** Polynomials in x whose coefficients, the highest first, are `table`. */
@inline
function degree2(table: usize, x: v128): v128 {
  return mulAdd(mulAdd(constant(table, 0), x, constant(table, 1)), x, constant(table, 2));
}

@inline
function degree4(table: usize, x: v128): v128 {
  return mulAdd(mulAdd(degree2(table, x), x, constant(table, 3)), x, constant(table, 4));
}

@inline
function degree5(table: usize, x: v128): v128 {
  return mulAdd(degree4(table, x), x, constant(table, 5));
}

@inline
function degree6(table: usize, x: v128): v128 {
  return mulAdd(degree5(table, x), x, constant(table, 6));
}

@inline
function degree8(table: usize, x: v128): v128 {
  return mulAdd(mulAdd(degree6(table, x), x, constant(table, 7)), x, constant(table, 8));
}

@inline
function degree9(table: usize, x: v128): v128 {
  return mulAdd(degree8(table, x), x, constant(table, 9));
}

const COMMON: usize = memory.data<f32>([1, 0.5, -0.0, Infinity, -Infinity, NaN]);

@inline
function one(): v128 {
  return constant(COMMON, 0);
}

@inline
function half(): v128 {
  return constant(COMMON, 1);
}

@inline
function signBit(): v128 {
  return constant(COMMON, 2);
}

@inline
function infinity(): v128 {
  return constant(COMMON, 3);
}

@inline
function zero(): v128 {
  return i32x4.splat(0);
}

@inline
function withSignOf(magnitude: v128, sign: v128): v128 {
  return v128.bitselect(sign, magnitude, signBit());
}

const EXP: usize = memory.data<f32>([1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]);
/** 1/ln 2; ln 2 in two parts; 1.5·2²³, which leaves what is added to it rounded to a whole number in the low bits. */
const OCTAVE: usize = memory.data<f32>([1.4426950408889634, 0.693359375, -2.12194440e-4, 12582912]);
/** Beyond these eˣ is 0 and ∞; beyond the second, eˣ − 1 is −1. */
const RANGE: usize = memory.data<f32>([-104, 89, -18]);

/** `x` within bounds; NaN stays. */
@inline
function clamp(x: v128, low: i32): v128 {
  return f32x4.pmin(f32x4.pmax(x, constant(RANGE, low)), constant(RANGE, 1));
}

/** n of x = n·ln 2 + r, rounded, in the low bits. */
@inline
function octaves(x: v128): v128 {
  return mulAdd(x, constant(OCTAVE, 0), constant(OCTAVE, 3));
}

/** 2ⁿ⁺ˢʰⁱᶠᵗ within the normal range. */
@inline
function powerOfTwo(n: v128, shift: i32 = 0): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127 + shift)), 23);
}

/** eʳ − 1. */
@inline
function fraction(x: v128, octaves: v128): v128 {
  const n = f32x4.sub(octaves, constant(OCTAVE, 3));
  const r = negatedMulAdd(n, constant(OCTAVE, 2), negatedMulAdd(n, constant(OCTAVE, 1), x));
  return mulAdd(f32x4.mul(degree5(EXP, r), r), r, r);
}

@inline
export function exp(input: v128): v128 {
  const x = clamp(input, 0);
  const n = octaves(x);
  const p = f32x4.add(fraction(x, n), one());
  // 2ⁿ in two factors, so that results below and beyond the normal range are rounded once.
  const whole = i32x4.sub(n, constant(OCTAVE, 3));
  const part = i32x4.shr_s(whole, 1);
  return f32x4.mul(f32x4.mul(p, powerOfTwo(part)), powerOfTwo(i32x4.sub(whole, part)));
}

@inline
export function expm1(input: v128): v128 {
  const x = clamp(input, 2);
  const n = octaves(x);
  // 2·(2ⁿ⁻¹·p + (2ⁿ⁻¹ − ½)), since 2ⁿ may overflow where the result does not.
  const scale = powerOfTwo(i32x4.sub(n, constant(OCTAVE, 3)), -1);
  const y = mulAdd(scale, fraction(x, n), f32x4.sub(scale, half()));
  return withSignOf(f32x4.add(y, y), input);
}

const LOG: usize = memory.data<f32>([
  7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
  3.3333331174e-1,
]);
/** The smallest normal number, and what makes every smaller one normal: 2²³. */
const SUBNORMAL: usize = memory.data<f32>([1.17549435e-38, 8388608]);
/** The bits of √½. */
const ROOT = 0x3f3504f3;

@inline
export function log(x: v128): v128 {
  const tiny = f32x4.lt(x, constant(SUBNORMAL, 0));
  const normal = v128.bitselect(f32x4.mul(x, constant(SUBNORMAL, 1)), x, tiny);
  // x = 2ᵉ·(1 + f) with √½ ≤ 1 + f < √2
  const shifted = i32x4.sub(normal, i32x4.splat(ROOT));
  const e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_s(shifted, 23), v128.and(tiny, i32x4.splat(23))));
  const f = f32x4.sub(i32x4.add(v128.and(shifted, i32x4.splat(0x007fffff)), i32x4.splat(ROOT)), one());
  const square = f32x4.mul(f, f);
  let p = mulAdd(f32x4.mul(degree8(LOG, f), square), f, f32x4.mul(e, constant(OCTAVE, 2)));
  p = negatedMulAdd(square, half(), p);
  const y = mulAdd(e, constant(OCTAVE, 1), f32x4.add(f, p));
  // ln 0 = −∞, ln ∞ = ∞, and NaN below 0.
  const positive = f32x4.gt(x, zero());
  const edge = v128.bitselect(constant(COMMON, 4), v128.bitselect(x, constant(COMMON, 5), positive), f32x4.eq(x, zero()));
  return v128.bitselect(y, edge, v128.and(positive, f32x4.lt(x, infinity())));
}

@inline
export function log1p(x: v128): v128 {
  const u = f32x4.add(x, one());
  const kept = f32x4.sub(u, one());
  // What rounding 1 + x lost, to first order; where it lost nothing the quotient may be 0/0.
  const lost = v128.andnot(f32x4.div(f32x4.sub(kept, x), u), f32x4.eq(kept, x));
  return withSignOf(f32x4.sub(log(u), lost), x);
}

/** 2/π in 32-bit digits, for angles that a double cannot reduce. */
const TWO_OVER_PI: usize = memory.data<u32>([0, 0x28be60db, 0x9391054a, 0x7f09d5f4, 0x7d4d3770, 0x36d8a566, 0x4f10e410, 0x7f9458ea]);

/** 32 bits of 2/π from bit `shift` of the digit at `at`. */
@inline
function digit(at: usize, shift: u64): u64 {
  return (rotl<u64>(load<u64>(at), 32) << shift) >> 32;
}

/** An angle within half a turn of 0 with the sine and cosine of `x`, for |x| ≥ 2²⁸ (M. Payne and R. Hanek, 1983). */
function reduceHuge(x: f64): f64 {
  const bits = reinterpret<u32>(<f32>x);
  const mantissa = <u64>((bits << 8) | 0x80000000);
  const exponent = ((bits >> 23) & 0xff) - 126;
  const at = TWO_OVER_PI + (<usize>(exponent >> 5) << 2);
  const shift = <u64>(exponent & 31);
  const low = (mantissa * digit(at + 8, shift)) >> 32;
  const turns = ((mantissa * digit(at, shift)) << 32) + mantissa * digit(at + 4, shift) + low;
  // A whole turn is 2⁶⁴, so that turns fall off the top; ½π·2⁻⁶².
  return copysign(1.0, x) * <f64>(<i64>turns) * 3.4061215800865545e-19;
}

@inline
function patchHuge(x: v128): v128 {
  if (!v128.any_true(f64x2.ge(f64x2.abs(x), f64x2.splat(268435456)))) return x;
  return patchLanes(x);
}

function patchLanes(x: v128): v128 {
  const a = f64x2.extract_lane(x, 0);
  const b = f64x2.extract_lane(x, 1);
  // ∞ − ∞ is NaN, which is what the sine of ∞ is.
  const first = abs(a) < 268435456 ? a : abs(a) < Infinity ? reduceHuge(a) : a - a;
  const second = abs(b) < 268435456 ? b : abs(b) < Infinity ? reduceHuge(b) : b - b;
  return f64x2.replace_lane(f64x2.splat(first), 1, second);
}

@inline
function quarterTurns(x: v128): v128 {
  return f64x2.nearest(f64x2.mul(x, f64x2.splat(0.6366197723675814)));
}

@inline
function withinQuarter(x: v128, n: v128): v128 {
  const r = f64x2.sub(x, f64x2.mul(n, f64x2.splat(1.5707963109016418)));
  return f32x4.demote_f64x2_zero(f64x2.sub(r, f64x2.mul(n, f64x2.splat(1.5893254773528197e-8))));
}

/** The low halves of two vectors. */
@inline
function join(low: v128, high: v128): v128 {
  return i64x2.shuffle(low, high, 0, 2);
}

@inline
function highHalf(x: v128): v128 {
  return i64x2.shuffle(x, x, 1, 1);
}

const SINE: usize = memory.data<f32>([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);
const COSINE: usize = memory.data<f32>([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);

/** sin(x + phase·π/2), the angle reduced in double: n·π/2 is exact in two parts up to |x| = 2²⁸. */
@inline
function sine(x: v128, phase: i32): v128 {
  const low = patchHuge(f64x2.promote_low_f32x4(x));
  const high = patchHuge(f64x2.promote_low_f32x4(highHalf(x)));
  const nLow = quarterTurns(low);
  const nHigh = quarterTurns(high);
  const r = join(withinQuarter(low, nLow), withinQuarter(high, nHigh));
  const n = join(i32x4.trunc_sat_f64x2_s_zero(nLow), i32x4.trunc_sat_f64x2_s_zero(nHigh));
  const quadrant = i32x4.add(n, i32x4.splat(phase));
  const z = f32x4.mul(r, r);
  const s = withSignOf(mulAdd(f32x4.mul(degree2(SINE, z), z), r, r), r);
  const c = f32x4.add(mulAdd(f32x4.mul(degree2(COSINE, z), z), z, f32x4.neg(f32x4.mul(z, half()))), one());
  const swapped = i32x4.shr_s(i32x4.shl(quadrant, 31), 31);
  return v128.xor(v128.bitselect(c, s, swapped), v128.and(i32x4.shl(quadrant, 30), signBit()));
}

@inline
export function sin(x: v128): v128 {
  // −0 would lose its sign to the angle's reduction.
  return v128.bitselect(x, sine(x, 0), f32x4.eq(x, zero()));
}

@inline
export function cos(x: v128): v128 {
  return sine(x, 1);
}

const TANH: usize = memory.data<f32>([-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1, 0.625, 2]);

@inline
export function tanh(x: v128): v128 {
  const t = f32x4.abs(x);
  // tanh t = 1 − 2/(e²ᵗ + 1), which cancels near 0.
  const large = f32x4.sub(one(), f32x4.div(constant(TANH, 6), f32x4.add(exp(f32x4.add(t, t)), one())));
  const z = f32x4.mul(x, x);
  const small = mulAdd(f32x4.mul(degree4(TANH, z), z), t, t);
  return withSignOf(v128.bitselect(small, large, f32x4.lt(t, constant(TANH, 5))), x);
}

@inline
export function sigmoid(x: v128): v128 {
  // e^(−|x|) never overflows: σ = 1/(1 + e) above 0, e/(1 + e) below.
  const e = exp(v128.or(x, signBit()));
  return f32x4.div(v128.bitselect(e, one(), f32x4.lt(x, zero())), f32x4.add(e, one()));
}

const ERF_NEAR: usize = memory.data<f32>([-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1, 0.927734375]);
/** The last is where erf has become 1. */
const ERF_FAR: usize = memory.data<f32>([
  -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1, 4,
]);

@inline
export function erf(x: v128): v128 {
  const t = f32x4.pmin(f32x4.abs(x), constant(ERF_FAR, 7));
  const large = f32x4.sub(one(), exp(f32x4.sub(f32x4.mul(degree6(ERF_FAR, t), t), t)));
  const small = mulAdd(degree5(ERF_NEAR, f32x4.mul(t, t)), t, t);
  return withSignOf(v128.bitselect(large, small, f32x4.gt(t, constant(ERF_NEAR, 6))), x);
}

/** For ln(1 − x²) above and below the number at their ends. */
const ERF_INVERSE_NEAR: usize = memory.data<f32>([
  5.43877832e-9, 1.43285448e-7, 1.22774793e-6, 1.12963626e-7, -5.61530760e-5, -1.47697632e-4, 2.31468678e-3, 1.15392581e-2, -2.32015476e-1,
  8.86226892e-1,
]);
const ERF_INVERSE_FAR: usize = memory.data<f32>([
  3.03697567e-10, 2.93243101e-8, 1.22150334e-6, 2.84108955e-5, 3.93552968e-4, 3.02698812e-3, 4.83185798e-3, -2.64646143e-1, 8.40016484e-1,
  -6.125,
]);

@inline
export function erfInverse(x: v128): v128 {
  const t = log(f32x4.mul(f32x4.sub(one(), x), f32x4.add(one(), x)));
  const far = f32x4.lt(t, constant(ERF_INVERSE_FAR, 9));
  return f32x4.mul(x, v128.bitselect(degree8(ERF_INVERSE_FAR, t), degree9(ERF_INVERSE_NEAR, t), far));
}

/** 2/ln 2 over 13, 11, …, 1: log₂ ((1 + z)/(1 − z)) over z, in z². */
const ARTANH: usize = memory.data<f64>([
  0.22195308321368667, 0.2623081892525388, 0.3205988979753252, 0.4121985831111324, 0.5770780163555853, 0.9617966939259756, 2.8853900817779268,
]);
/** 1/8!, 1/7!, …, 1/0!. */
const TAYLOR: usize = memory.data<f64>([1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1]);

@inline
function polynomial(table: usize, degree: usize, x: v128): v128 {
  let sum = v128.load64_splat(table);
  for (let at = table + 8; at <= table + (degree << 3); at += 8) sum = f64x2.add(f64x2.mul(sum, x), v128.load64_splat(at));
  return sum;
}

/** aᵇ for two a ≥ 0, in double. */
function power(a: v128, b: v128): v128 {
  // a = 2ᵉ·m with √½ ≤ m < √2; ln m = 2·artanh z, z = (m − 1)/(m + 1)
  const shifted = i64x2.sub(a, i64x2.splat(0x3fe6a09e00000000));
  const exponent = i64x2.shr_s(shifted, 52);
  const m = i64x2.add(v128.and(shifted, i64x2.splat(0x000fffffffffffff)), i64x2.splat(0x3fe6a09e00000000));
  const z = f64x2.div(f64x2.sub(m, f64x2.splat(1)), f64x2.add(m, f64x2.splat(1)));
  const e = f64x2.convert_low_i32x4_s(i32x4.shuffle(exponent, exponent, 0, 2, 0, 2));
  let logarithm = f64x2.add(f64x2.mul(polynomial(ARTANH, 6, f64x2.mul(z, z)), z), e);
  logarithm = v128.bitselect(f64x2.splat(-Infinity), logarithm, f64x2.eq(a, f64x2.splat(0)));
  logarithm = v128.bitselect(f64x2.splat(Infinity), logarithm, f64x2.eq(a, f64x2.splat(Infinity)));
  // 2ʸ = 2ⁿ·2ᶠ; beyond ±160 an f32 is 0 or ∞ anyway.
  const y = f64x2.pmin(f64x2.pmax(f64x2.mul(b, logarithm), f64x2.splat(-160)), f64x2.splat(160));
  const n = f64x2.nearest(y);
  const f = f64x2.mul(f64x2.sub(y, n), f64x2.splat(0.6931471805599453));
  const whole = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(n));
  return f32x4.demote_f64x2_zero(f64x2.mul(polynomial(TAYLOR, 8, f), i64x2.shl(i64x2.add(whole, i64x2.splat(1023)), 52)));
}

/** aᵇ with every special case of IEEE 754. */
@inline
export function pow(a: v128, b: v128): v128 {
  const magnitude = f32x4.abs(a);
  const low = power(f64x2.promote_low_f32x4(magnitude), f64x2.promote_low_f32x4(b));
  const high = power(f64x2.promote_low_f32x4(highHalf(magnitude)), f64x2.promote_low_f32x4(highHalf(b)));
  const halved = f32x4.mul(b, half());
  const whole = f32x4.eq(f32x4.nearest(b), b);
  const odd = v128.andnot(whole, f32x4.eq(f32x4.nearest(halved), halved));
  let y = v128.xor(join(low, high), v128.and(v128.and(a, odd), signBit()));
  // Below 0 (but at −∞) there is no real power that is not whole.
  const unreal = v128.andnot(v128.and(f32x4.lt(a, zero()), f32x4.lt(magnitude, infinity())), whole);
  const unordered = v128.or(f32x4.ne(a, a), f32x4.ne(b, b));
  y = v128.bitselect(constant(COMMON, 5), y, v128.or(unreal, unordered));
  const unit = v128.and(f32x4.eq(magnitude, one()), f32x4.eq(f32x4.abs(b), infinity()));
  const always = v128.or(v128.or(f32x4.eq(a, one()), f32x4.eq(b, zero())), unit);
  return v128.bitselect(one(), y, always);
}

/** x − ⌊x/y⌋·y of two, in double. */
@inline
function remainderOfTwo(x: v128, y: v128): v128 {
  const a = f64x2.promote_low_f32x4(x);
  const b = f64x2.promote_low_f32x4(y);
  return f32x4.demote_f64x2_zero(f64x2.sub(a, f64x2.mul(f64x2.floor(f64x2.div(a, b)), b)));
}

/**
 * x mod y with the sign of y, which is C's fmod, plus y where the signs differ. For |x/y| < 2²⁸ and finite y ({@link fewTimes}) double does:
 * x/y is at least 2⁻²⁴ from a whole number that it is not, so that it is not rounded to it, and the whole number times y has 52 bits.
 */
@inline
export function remainder(x: v128, y: v128): v128 {
  return withSignOf(join(remainderOfTwo(x, y), remainderOfTwo(highHalf(x), highHalf(y))), y);
}

@inline
export function fewTimes(x: v128, y: v128): bool {
  const few = f32x4.lt(f32x4.abs(f32x4.div(x, y)), f32x4.splat(268435456));
  return i32x4.all_true(v128.and(few, f32x4.lt(f32x4.abs(y), infinity())));
}

@inline
function mix(x: v128, y: v128, rotation: i32): v128 {
  return v128.xor(v128.or(i32x4.shl(y, rotation), i32x4.shr_u(y, 32 - rotation)), x);
}

/** Threefry-2x32-20 of the counter (0, c) under the key (a, b), its two words combined by xor. */
@inline
export function threefry(a: v128, b: v128, c: v128): v128 {
  let first = a;
  let second = b;
  let third = v128.xor(v128.xor(a, b), i32x4.splat(0x1bd11bda));
  let x = a;
  let y = i32x4.add(c, b);
  for (let group = 1; group <= 5; group++) {
    if (group & 1) {
      x = i32x4.add(x, y); y = mix(x, y, 13);
      x = i32x4.add(x, y); y = mix(x, y, 15);
      x = i32x4.add(x, y); y = mix(x, y, 26);
      x = i32x4.add(x, y); y = mix(x, y, 6);
    } else {
      x = i32x4.add(x, y); y = mix(x, y, 17);
      x = i32x4.add(x, y); y = mix(x, y, 29);
      x = i32x4.add(x, y); y = mix(x, y, 16);
      x = i32x4.add(x, y); y = mix(x, y, 24);
    }
    x = i32x4.add(x, second);
    y = i32x4.add(y, i32x4.add(third, i32x4.splat(group)));
    const rotated = first;
    first = second;
    second = third;
    third = rotated;
  }
  return v128.xor(x, y);
}
