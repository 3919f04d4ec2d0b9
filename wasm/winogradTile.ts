/**
 * The transforms of Winograd's F(4×4, 3×3): 4×4 pixels of a 3×3 convolution from a patch of 6×6, with 36 multiplications instead of 144.
 *
 *   Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A
 *
 * g a filter, d a patch. Each matrix evaluates or interpolates polynomials at six points. With 0, ±2/3, ±3/2, ∞ rounding errs about
 * three times as much as the direct sum does (test/engine/backends/wasm/winograd.test.ts holds it below four). The
 * transforms are applied along rows, then along columns; four patches go through one vector, so each line below is one of vectors.
 * (A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016; points: B. Barabasz et al., ACM TOMS 2020)
 */
import { multiplyAdd } from './microkernel';
import { transpose } from './pack';

/** Pixels of a tile, and of the patch it needs, along an axis. */
export const tileSize: i32 = 4;
export const patchSize: i32 = 6;
/** Products of a tile. */
export const points: usize = 36;

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

/** Bᵀ: a line of a patch, six values → six. The two may be the same. */
// @ts-ignore: decorator
@inline
export function patchLine(from: usize, step: usize, to: usize, toStep: usize): void {
  const d0 = v128.load(from), d1 = v128.load(from + step), d2 = v128.load(from + 2 * step);
  const d3 = v128.load(from + 3 * step), d4 = v128.load(from + 4 * step), d5 = v128.load(from + 5 * step);
  const evenP = scaleAdd(MINUS_Q2, d2, d4), oddP = scaleAdd(P, d3, scale(MINUS_Q, d1));
  const evenQ = scaleAdd(MINUS_P2, d2, d4), oddQ = scaleAdd(Q, d3, scale(MINUS_P, d1));
  v128.store(to, scaleAdd(MINUS_SUM, d2, f32x4.add(d0, d4)));
  v128.store(to + toStep, f32x4.add(evenP, oddP));
  v128.store(to + 2 * toStep, f32x4.sub(evenP, oddP));
  v128.store(to + 3 * toStep, f32x4.add(evenQ, oddQ));
  v128.store(to + 4 * toStep, f32x4.sub(evenQ, oddQ));
  v128.store(to + 5 * toStep, scaleAdd(MINUS_SUM, d3, f32x4.add(d1, d5)));
}

/** Aᵀ: a line of products, six values → four pixels. */
// @ts-ignore: decorator
@inline
export function tileLine(from: usize, step: usize, to: usize, toStep: usize): void {
  const m0 = v128.load(from), m1 = v128.load(from + step), m2 = v128.load(from + 2 * step);
  const m3 = v128.load(from + 3 * step), m4 = v128.load(from + 4 * step), m5 = v128.load(from + 5 * step);
  const evenP = f32x4.add(m1, m2), oddP = f32x4.sub(m1, m2), evenQ = f32x4.add(m3, m4), oddQ = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(f32x4.add(m0, evenP), evenQ));
  v128.store(to + toStep, scaleAdd(Q, oddQ, scale(P, oddP)));
  v128.store(to + 2 * toStep, scaleAdd(Q2, evenQ, scale(P2, evenP)));
  v128.store(to + 3 * toStep, scaleAdd(Q3, oddQ, scaleAdd(P3, oddP, m5)));
}

/** A, the transpose of `tileLine`: four values → six. */
// @ts-ignore: decorator
@inline
export function tileLineTransposed(from: usize, step: usize, to: usize, toStep: usize): void {
  const y0 = v128.load(from), y1 = v128.load(from + step), y2 = v128.load(from + 2 * step), y3 = v128.load(from + 3 * step);
  const evenP = scaleAdd(P2, y2, y0), oddP = scaleAdd(P3, y3, scale(P, y1));
  const evenQ = scaleAdd(Q2, y2, y0), oddQ = scaleAdd(Q3, y3, scale(Q, y1));
  v128.store(to, y0);
  v128.store(to + toStep, f32x4.add(evenP, oddP));
  v128.store(to + 2 * toStep, f32x4.sub(evenP, oddP));
  v128.store(to + 3 * toStep, f32x4.add(evenQ, oddQ));
  v128.store(to + 4 * toStep, f32x4.sub(evenQ, oddQ));
  v128.store(to + 5 * toStep, y3);
}

/** G: a line of a filter, three values → six. */
// @ts-ignore: decorator
@inline
export function filterLine(from: usize, step: usize, to: usize, toStep: usize): void {
  const g0 = v128.load(from), g1 = v128.load(from + step), g2 = v128.load(from + 2 * step);
  const evenP = scale(AT_P, scaleAdd(P2, g2, g0)), oddP = scale(AT_P, scale(P, g1));
  const evenQ = scale(AT_Q, scaleAdd(Q2, g2, g0)), oddQ = scale(AT_Q, scale(Q, g1));
  v128.store(to, g0);
  v128.store(to + toStep, f32x4.add(evenP, oddP));
  v128.store(to + 2 * toStep, f32x4.sub(evenP, oddP));
  v128.store(to + 3 * toStep, f32x4.add(evenQ, oddQ));
  v128.store(to + 4 * toStep, f32x4.sub(evenQ, oddQ));
  v128.store(to + 5 * toStep, g2);
}

/** Gᵀ: six values → three. */
// @ts-ignore: decorator
@inline
export function filterLineTransposed(from: usize, step: usize, to: usize, toStep: usize): void {
  const u0 = v128.load(from), u1 = v128.load(from + step), u2 = v128.load(from + 2 * step);
  const u3 = v128.load(from + 3 * step), u4 = v128.load(from + 4 * step), u5 = v128.load(from + 5 * step);
  const evenP = scale(AT_P, f32x4.add(u1, u2)), oddP = scale(AT_P, f32x4.sub(u1, u2));
  const evenQ = scale(AT_Q, f32x4.add(u3, u4)), oddQ = scale(AT_Q, f32x4.sub(u3, u4));
  v128.store(to, f32x4.add(u0, f32x4.add(evenP, evenQ)));
  v128.store(to + toStep, scaleAdd(Q, oddQ, scale(P, oddP)));
  v128.store(to + 2 * toStep, scaleAdd(Q2, evenQ, scaleAdd(P2, evenP, u5)));
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
