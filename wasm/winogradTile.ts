/**
 * The transforms of Winograd's F(4×4, 3×3): 4×4 pixels of a 3×3 convolution from a patch of 6×6, with 36 multiplications instead of 144.
 *
 *   Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A
 *
 * g a filter, d a patch. Each matrix evaluates or interpolates polynomials at six points. With 0, ±2/3, ±3/2, ∞ rounding errs about
 * three times as much as the direct sum does (test/engine/backends/wasm/winograd.test.ts holds it below four). The
 * transforms are applied along rows, then along columns; four patches go through one vector, so each line below is one of vectors.
 * (A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016; points: B. Barabasz et al., ACM TOMS 2020)
 *
 * With a stride of two, along an axis, the even pixels of a patch meet the outer taps of a filter and the odd ones the middle tap:
 *
 *   y[i] = g₀ x[2i] + g₂ x[2i + 2]  +  g₁ x[2i + 1]
 *
 * The outer taps make a convolution of stride one with the filter (0, g₀, g₂), which vanishes at the point 0 and needs but the other five;
 * the middle tap multiplies four pixels as they are. So a line of 9 pixels has 9 products, not 12: in two dimensions 81 instead of 144. A
 * filter has six different values still: its middle tap takes the place of the point 0. The transpose, where each of five pixels
 * gives to eight (the input gradient), has the same products.
 */
import { multiplyAdd } from './microkernel';
import { DENSE, STRIDED, TRANSPOSED } from './modes';
import { transpose } from './pack';
import {
  DENSE_PATCH, DENSE_PATCH_STEP, DENSE_POINTS, DENSE_TILE, STRIDED_PATCH, STRIDED_PATCH_STEP, STRIDED_POINTS, STRIDED_TILE, TRANSPOSED_PATCH,
  TRANSPOSED_PATCH_STEP, TRANSPOSED_TILE,
} from './sizes';

/** Along an axis: products of a tile. */
// @ts-ignore: decorator
@inline
export function pointsOf(kind: i32): i32 {
  return kind == DENSE ? DENSE_POINTS : STRIDED_POINTS;
}

/** Along an axis: pixels that come out of a tile. */
// @ts-ignore: decorator
@inline
export function tileSizeOf(kind: i32): i32 {
  return kind == TRANSPOSED ? TRANSPOSED_TILE : kind == STRIDED ? STRIDED_TILE : DENSE_TILE;
}

/** Along an axis: pixels from one patch to the next. */
// @ts-ignore: decorator
@inline
export function patchStepOf(kind: i32): i32 {
  return kind == STRIDED ? STRIDED_PATCH_STEP : kind == DENSE ? DENSE_PATCH_STEP : TRANSPOSED_PATCH_STEP;
}

/** Along an axis: pixels of a patch. */
// @ts-ignore: decorator
@inline
export function patchSizeOf(kind: i32): i32 {
  return kind == DENSE ? DENSE_PATCH : kind == STRIDED ? STRIDED_PATCH : TRANSPOSED_PATCH;
}

/** Along an axis: the products of a tile that one value of a filter takes part in. */
// @ts-ignore: decorator
@inline
export function firstPoint(kind: i32, value: i32): i32 {
  return kind == DENSE || value == 0 ? value : value + 3;
}

// @ts-ignore: decorator
@inline
export function endPoint(kind: i32, value: i32): i32 {
  return kind == DENSE ? value + 1 : value + 4;
}

// With p = 2/3 and q = 3/2 = 1/p: the squares, their sum, and 1/(2p²(p² − q²)), 1/(2q²(q² − p²)), which interpolation divides by.
const coefficients = memory.data<f32>([
  0.6666666666666666, -0.6666666666666666, 1.5, -1.5,
  0.4444444444444444, -0.4444444444444444, 2.25, -2.25, -2.6944444444444446,
  0.2962962962962963, 3.375,
  -0.6230769230769231, 0.12307692307692308,
]);
const P: usize = 0, MINUS_P: usize = 4, Q: usize = 8, MINUS_Q: usize = 12;
const P2: usize = 16, MINUS_P2: usize = 20, Q2: usize = 24, MINUS_Q2: usize = 28, MINUS_SUM: usize = 32;
const P3: usize = 36, Q3: usize = 40;
const AT_P: usize = 44, AT_Q: usize = 48;

// @ts-ignore: decorator
@inline
function scale(coefficient: usize, x: v128): v128 {
  return f32x4.mul(v128.load32_splat(coefficients + coefficient), x);
}

/** coefficient · x + y. */
// @ts-ignore: decorator
@inline
function scaleAdd(coefficient: usize, x: v128, y: v128): v128 {
  return multiplyAdd(v128.load32_splat(coefficients + coefficient), x, y);
}

/** Rows 1 to 5 of Bᵀ, which read d₁ to d₅. */
// @ts-ignore: decorator
@inline
function patchPoints(d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, to: usize, step: usize): void {
  const evenP = scaleAdd(MINUS_Q2, d2, d4), oddP = scaleAdd(P, d3, scale(MINUS_Q, d1));
  const evenQ = scaleAdd(MINUS_P2, d2, d4), oddQ = scaleAdd(Q, d3, scale(MINUS_P, d1));
  v128.store(to, f32x4.add(evenP, oddP));
  v128.store(to + step, f32x4.sub(evenP, oddP));
  v128.store(to + 2 * step, f32x4.add(evenQ, oddQ));
  v128.store(to + 3 * step, f32x4.sub(evenQ, oddQ));
  v128.store(to + 4 * step, scaleAdd(MINUS_SUM, d3, f32x4.add(d1, d5)));
}

// Each of these transforms `count` lines, `fromNext` and `toNext` bytes apart, whose values are `step` and `toStep` bytes apart. A line may be written over itself.

/** Bᵀ: a line of a patch → its points. */
export function patchLines(
  kind: i32, from: usize, step: usize, to: usize, toStep: usize, count: i32, fromNext: usize, toNext: usize,
): void {
  for (; count > 0; count--, from += fromNext, to += toNext) {
    const d0 = v128.load(from), d1 = v128.load(from + step), d2 = v128.load(from + 2 * step);
    const d3 = v128.load(from + 3 * step), d4 = v128.load(from + 4 * step);
    if (kind == DENSE) {
      const d5 = v128.load(from + 5 * step);
      v128.store(to, scaleAdd(MINUS_SUM, d2, f32x4.add(d0, d4)));
      patchPoints(d1, d2, d3, d4, d5, to + toStep, toStep);
    } else if (kind == STRIDED) {
      const d5 = v128.load(from + 5 * step), d6 = v128.load(from + 6 * step), d7 = v128.load(from + 7 * step), d8 = v128.load(from + 8 * step);
      storeFour(d1, d3, d5, d7, to, toStep);
      patchPoints(d0, d2, d4, d6, d8, to + 4 * toStep, toStep);
    } else {
      storeFour(d0, d1, d2, d3, to, toStep);
      patchPoints(d0, d1, d2, d3, d4, to + 4 * toStep, toStep);
    }
  }
}

// @ts-ignore: decorator
@inline
function storeFour(a: v128, b: v128, c: v128, d: v128, to: usize, step: usize): void {
  v128.store(to, a);
  v128.store(to + step, b);
  v128.store(to + 2 * step, c);
  v128.store(to + 3 * step, d);
}

/** Aᵀ: a line of products → pixels. */
export function tileLines(
  kind: i32, from: usize, step: usize, to: usize, toStep: usize, count: i32, fromNext: usize, toNext: usize,
): void {
  for (; count > 0; count--, from += fromNext, to += toNext) {
    const first = v128.load(from);
    let o1 = first, o2 = first, o3 = first, at = from;
    if (kind != DENSE) {
      o1 = v128.load(from + step);
      o2 = v128.load(from + 2 * step);
      o3 = v128.load(from + 3 * step);
      at += 3 * step;
    }
    const m1 = v128.load(at + step), m2 = v128.load(at + 2 * step);
    const m3 = v128.load(at + 3 * step), m4 = v128.load(at + 4 * step), m5 = v128.load(at + 5 * step);
    const evenP = f32x4.add(m1, m2), oddP = f32x4.sub(m1, m2), evenQ = f32x4.add(m3, m4), oddQ = f32x4.sub(m3, m4);
    const y1 = scaleAdd(Q, oddQ, scale(P, oddP)), y2 = scaleAdd(Q2, evenQ, scale(P2, evenP)), y3 = scaleAdd(Q3, oddQ, scaleAdd(P3, oddP, m5));
    if (kind == DENSE) storeFour(f32x4.add(f32x4.add(first, evenP), evenQ), y1, y2, y3, to, toStep);
    else if (kind == STRIDED) {
      storeFour(f32x4.add(f32x4.add(first, evenP), evenQ), f32x4.add(o1, y1), f32x4.add(o2, y2), f32x4.add(o3, y3), to, toStep);
    } else {
      storeFour(first, o1, o2, o3, to, 2 * toStep);
      storeFour(f32x4.add(evenP, evenQ), y1, y2, y3, to + toStep, 2 * toStep);
    }
  }
}

/** A, the transpose of `tileLines`: a line of four pixels → its points. */
export function tileLinesTransposed(
  kind: i32, from: usize, step: usize, to: usize, toStep: usize, count: i32, fromNext: usize, toNext: usize,
): void {
  for (; count > 0; count--, from += fromNext, to += toNext) {
    const y0 = v128.load(from), y1 = v128.load(from + step), y2 = v128.load(from + 2 * step), y3 = v128.load(from + 3 * step);
    const evenP = scaleAdd(P2, y2, y0), oddP = scaleAdd(P3, y3, scale(P, y1));
    const evenQ = scaleAdd(Q2, y2, y0), oddQ = scaleAdd(Q3, y3, scale(Q, y1));
    let at = to;
    if (kind == DENSE) v128.store(to, y0);
    else {
      storeFour(y0, y1, y2, y3, to, toStep);
      at += 3 * toStep;
    }
    storeFour(f32x4.add(evenP, oddP), f32x4.sub(evenP, oddP), f32x4.add(evenQ, oddQ), f32x4.sub(evenQ, oddQ), at + toStep, toStep);
    v128.store(at + 5 * toStep, y3);
  }
}

/** G: a line of a filter, three values → six. */
export function filterLines(
  kind: i32, from: usize, step: usize, to: usize, toStep: usize, count: i32, fromNext: usize, toNext: usize,
): void {
  for (; count > 0; count--, from += fromNext, to += toNext) {
    let g0 = v128.load(from), g1 = v128.load(from + step);
    const g2 = v128.load(from + 2 * step);
    v128.store(to, kind == DENSE ? g0 : g1);
    if (kind != DENSE) {
      g1 = g0;
      g0 = f32x4.splat(0);
    }
    const evenP = scale(AT_P, scaleAdd(P2, g2, g0)), oddP = scale(AT_P, scale(P, g1));
    const evenQ = scale(AT_Q, scaleAdd(Q2, g2, g0)), oddQ = scale(AT_Q, scale(Q, g1));
    storeFour(f32x4.add(evenP, oddP), f32x4.sub(evenP, oddP), f32x4.add(evenQ, oddQ), f32x4.sub(evenQ, oddQ), to + toStep, toStep);
    v128.store(to + 5 * toStep, g2);
  }
}

/** Gᵀ: six values → three. */
export function filterLinesTransposed(
  kind: i32, from: usize, step: usize, to: usize, toStep: usize, count: i32, fromNext: usize, toNext: usize,
): void {
  for (; count > 0; count--, from += fromNext, to += toNext) {
    const u0 = v128.load(from), u1 = v128.load(from + step), u2 = v128.load(from + 2 * step);
    const u3 = v128.load(from + 3 * step), u4 = v128.load(from + 4 * step), u5 = v128.load(from + 5 * step);
    const evenP = scale(AT_P, f32x4.add(u1, u2)), oddP = scale(AT_P, f32x4.sub(u1, u2));
    const evenQ = scale(AT_Q, f32x4.add(u3, u4)), oddQ = scale(AT_Q, f32x4.sub(u3, u4));
    const g1 = scaleAdd(Q, oddQ, scale(P, oddP));
    v128.store(to, kind == DENSE ? f32x4.add(u0, f32x4.add(evenP, evenQ)) : g1);
    v128.store(to + toStep, kind == DENSE ? g1 : u0);
    v128.store(to + 2 * toStep, scaleAdd(Q2, evenQ, scaleAdd(P2, evenP, u5)));
  }
}

/**
 * Four images (or channels, `stride` bytes apart) side by side, so that a pixel of all four is one vector: row `row` of each from `column`
 * on, `count` columns; what is outside of [0, width) is zero. `last` lanes are there; beyond, the last is repeated.
 */
export function interleave(to: usize, pitch: usize, from: usize, stride: usize, last: i32, column: i32, count: i32, width: i32): void {
  const p0 = from;
  const p1 = last > 0 ? p0 + stride : p0;
  const p2 = last > 1 ? p1 + stride : p1;
  const p3 = last > 2 ? p2 + stride : p2;
  const start = min(count, max(0, -column)), stop = max(start, min(count, width - column));
  let j = 0;
  for (; j < start; j++, to += pitch) v128.store(to, f32x4.splat(0));
  for (; j + 4 <= stop; j += 4, to += 4 * pitch) {
    const at = <usize>(column + j) << 2;
    transpose(v128.load(p0 + at), v128.load(p1 + at), v128.load(p2 + at), v128.load(p3 + at), to, to + pitch, to + 2 * pitch, to + 3 * pitch);
  }
  for (; j < stop; j++, to += pitch) {
    const at = <usize>(column + j) << 2;
    let pixel = v128.load32_zero(p0 + at);
    pixel = v128.load32_lane(p1 + at, pixel, 1);
    pixel = v128.load32_lane(p2 + at, pixel, 2);
    v128.store(to, v128.load32_lane(p3 + at, pixel, 3));
  }
  for (; j < count; j++, to += pitch) v128.store(to, f32x4.splat(0));
}
