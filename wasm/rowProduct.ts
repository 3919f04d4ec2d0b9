/**
 * The product of one row with a matrix, addressed as in product.ts. Packing would cost more than it saves, so the
 * matrix is read where it is, once, in the direction in which it lies in memory:
 *
 *   few steps:            eight columns at a time, over all steps                        (depthwise filters)
 *   many:                 sums of all columns += a[k]·b[k, …], four steps a pass         (x·W)
 *   along steps:          sums of all columns += dot products over a run of steps        (x·Wᵀ, gradients of filters)
 */
import { multiplyAdd } from './microkernel';
import { at, consecutive, consecutive8 } from './pack';
import { Product } from './product';
import { FACTOR_BYTES } from './sizes';

/** Steps and columns taken at once, so that row and sums stay in L1. */
const block: i32 = 2048;
const blockBytes: usize = (block + 8) << 2;
/** Up to here, reading the steps of a strip one below the other is better than many passes over the sums. */
const fewSteps: i32 = 32;

/**
 * As `product`, with tables of one row for A and C. `alongSteps` says that steps, not columns, are what follows each other
 * in memory; the caller knows, and must not judge by a thread's share, because the order of the sums depends on it.
 */
export function rowProduct(p: Product, columns: i32, steps: i32, alongSteps: bool, accumulate: bool): void {
  const a = at(p.aRows, 0), aDepths = p.aDepths, bDepths = p.bDepths, bColumns = p.bColumns, c = at(p.cRows, 0), cColumns = p.cColumns;
  const row = changetype<usize>(p) + FACTOR_BYTES, sums = row + blockBytes;
  for (let column = 0; column < columns; column += block) {
    const width = min(block, columns - column);
    const lanes = bColumns + (<usize>column << 2), targets = cColumns + (<usize>column << 2);
    for (let to = sums, end = sums + (<usize>width << 2); to < end; to += 32) {
      v128.store(to, f32x4.splat(0));
      v128.store(to, f32x4.splat(0), 16);
    }
    for (let step = 0; step < steps; step += block) {
      const depth = min(block, steps - step);
      const ak = aDepths + (<usize>step << 2), bk = bDepths + (<usize>step << 2);
      for (let k: usize = 0, end = <usize>depth << 2; k < end; k += 4) store<f32>(row + k, load<f32>(a + <usize>load<u32>(ak + k)));
      if (alongSteps) sumColumns(width, depth, row, bk, lanes, sums);
      else if (depth <= fewSteps) sumStrips(width, depth, row, bk, lanes, sums);
      else sumRows(width, depth, row, bk, lanes, sums);
    }
    scatterSums(sums, width, c, targets, accumulate);
  }
}

function scatterSums(sums: usize, columns: i32, c: usize, cColumns: usize, accumulate: bool): void {
  for (; columns > 0; columns -= 4, sums += 16, cColumns += 16) {
    if (columns >= 4 && consecutive(cColumns)) {
      const to = c + at(cColumns, 0);
      v128.store(to, accumulate ? f32x4.add(v128.load(to), v128.load(sums)) : v128.load(sums));
    } else {
      for (let j: usize = 0, end = <usize>min(4, columns) << 2; j < end; j += 4) {
        const to = c + <usize>load<u32>(cColumns + j), sum = load<f32>(sums + j);
        store<f32>(to, accumulate ? load<f32>(to) + sum : sum);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function gather(b: usize, columns: usize): v128 {
  let quad = v128.load32_zero(b + at(columns, 0));
  quad = v128.load32_lane(b + at(columns, 1), quad, 1);
  quad = v128.load32_lane(b + at(columns, 2), quad, 2);
  return v128.load32_lane(b + at(columns, 3), quad, 3);
}

/** The four columns of a row of b, consecutive or not. */
// @ts-ignore: decorator
@inline
function loadQuad(b: usize, columns: usize): v128 {
  return consecutive(columns) ? v128.load(b + at(columns, 0)) : gather(b, columns);
}

function sumStrips(columns: i32, steps: i32, row: usize, bDepths: usize, bColumns: usize, sums: usize): void {
  const depthEnd = bDepths + (<usize>steps << 2);
  for (const end = sums + (<usize>columns << 2); sums < end; sums += 32, bColumns += 32) {
    let left = v128.load(sums), right = v128.load(sums, 16);
    const second = bColumns + 16;
    if (consecutive(bColumns) && consecutive(second)) {
      const j = at(bColumns, 0), l = at(second, 0);
      for (let k = bDepths, a = row; k != depthEnd; k += 4, a += 4) {
        const scale = v128.load32_splat(a), b = at(k, 0);
        left = multiplyAdd(scale, v128.load(b + j), left);
        right = multiplyAdd(scale, v128.load(b + l), right);
      }
    } else {
      for (let k = bDepths, a = row; k != depthEnd; k += 4, a += 4) {
        const scale = v128.load32_splat(a), b = at(k, 0);
        left = multiplyAdd(scale, gather(b, bColumns), left);
        right = multiplyAdd(scale, gather(b, second), right);
      }
    }
    v128.store(sums, left);
    v128.store(sums, right, 16);
  }
}

/** Whether sixteen columns lie side by side, the first at `start`. */
function consecutive16(columns: usize, start: usize): bool {
  return at(columns, 0) == start && at(columns, 8) == start + 32 && consecutive8(columns) && consecutive8(columns + 32);
}

function sumRows(columns: i32, steps: i32, row: usize, bDepths: usize, bColumns: usize, sums: usize): void {
  // The table of columns is padded, so whole quads may be read; what lies beyond the last column is dropped.
  const end = sums + (<usize>columns << 2);
  const last = row + (<usize>steps << 2);
  // Columns that lie side by side need not be looked up; of these, sixteen at a time.
  let beside = bColumns;
  for (const stop = bColumns + (end - sums) - 64; beside <= stop && consecutive16(beside, at(bColumns, 0) + (beside - bColumns)); beside += 64) {}
  const inPlace = sums + (beside - bColumns);
  for (; row + 16 <= last; row += 16, bDepths += 16) {
    const a0 = v128.load32_splat(row), a1 = v128.load32_splat(row, 4);
    const a2 = v128.load32_splat(row, 8), a3 = v128.load32_splat(row, 12);
    const b0 = at(bDepths, 0), b1 = at(bDepths, 1), b2 = at(bDepths, 2), b3 = at(bDepths, 3);
    let to = sums;
    for (let j = at(bColumns, 0); to < inPlace; to += 64, j += 64) {
      const p0 = b0 + j, p1 = b1 + j, p2 = b2 + j, p3 = b3 + j;
      let s0 = v128.load(to), s1 = v128.load(to, 16), s2 = v128.load(to, 32), s3 = v128.load(to, 48);
      s0 = multiplyAdd(a0, v128.load(p0), s0);
      s1 = multiplyAdd(a0, v128.load(p0, 16), s1);
      s2 = multiplyAdd(a0, v128.load(p0, 32), s2);
      s3 = multiplyAdd(a0, v128.load(p0, 48), s3);
      s0 = multiplyAdd(a1, v128.load(p1), s0);
      s1 = multiplyAdd(a1, v128.load(p1, 16), s1);
      s2 = multiplyAdd(a1, v128.load(p1, 32), s2);
      s3 = multiplyAdd(a1, v128.load(p1, 48), s3);
      s0 = multiplyAdd(a2, v128.load(p2), s0);
      s1 = multiplyAdd(a2, v128.load(p2, 16), s1);
      s2 = multiplyAdd(a2, v128.load(p2, 32), s2);
      s3 = multiplyAdd(a2, v128.load(p2, 48), s3);
      s0 = multiplyAdd(a3, v128.load(p3), s0);
      s1 = multiplyAdd(a3, v128.load(p3, 16), s1);
      s2 = multiplyAdd(a3, v128.load(p3, 32), s2);
      s3 = multiplyAdd(a3, v128.load(p3, 48), s3);
      v128.store(to, s0);
      v128.store(to, s1, 16);
      v128.store(to, s2, 32);
      v128.store(to, s3, 48);
    }
    for (let column = bColumns + (to - sums); to < end; to += 16, column += 16) {
      let sum = v128.load(to);
      sum = multiplyAdd(a0, loadQuad(b0, column), sum);
      sum = multiplyAdd(a1, loadQuad(b1, column), sum);
      sum = multiplyAdd(a2, loadQuad(b2, column), sum);
      sum = multiplyAdd(a3, loadQuad(b3, column), sum);
      v128.store(to, sum);
    }
  }
  for (; row < last; row += 4, bDepths += 4) {
    const scale = v128.load32_splat(row), b = at(bDepths, 0);
    for (let to = sums, column = bColumns; to < end; to += 16, column += 16) {
      v128.store(to, multiplyAdd(scale, loadQuad(b, column), v128.load(to)));
    }
  }
}

/** Four column sums as the lanes of one vector. */
// @ts-ignore: decorator
@inline
function totals(s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  const s01 = f32x4.add(i32x4.shuffle(s0, s1, 0, 4, 1, 5), i32x4.shuffle(s0, s1, 2, 6, 3, 7));
  const s23 = f32x4.add(i32x4.shuffle(s2, s3, 0, 4, 1, 5), i32x4.shuffle(s2, s3, 2, 6, 3, 7));
  return f32x4.add(i64x2.shuffle(s01, s23, 0, 2), i64x2.shuffle(s01, s23, 1, 3));
}

function sumColumns(columns: i32, steps: i32, row: usize, bDepths: usize, bColumns: usize, sums: usize): void {
  const last = row + (<usize>steps << 2), end = sums + (<usize>columns << 2);
  while (row < last) {
    // A run of steps that follow each other in memory.
    const start = at(bDepths, 0), begin = row;
    for (row += 4, bDepths += 4; row < last && at(bDepths, 0) == start + (row - begin); row += 4) bDepths += 4;
    for (let to = sums, column = bColumns; to < end; to += 16, column += 16) {
      let b0 = at(column, 0) + start, b1 = at(column, 1) + start, b2 = at(column, 2) + start, b3 = at(column, 3) + start;
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
      let from = begin;
      for (; from + 16 <= row; from += 16, b0 += 16, b1 += 16, b2 += 16, b3 += 16) {
        const quad = v128.load(from);
        s0 = multiplyAdd(quad, v128.load(b0), s0);
        s1 = multiplyAdd(quad, v128.load(b1), s1);
        s2 = multiplyAdd(quad, v128.load(b2), s2);
        s3 = multiplyAdd(quad, v128.load(b3), s3);
      }
      for (; from < row; from += 4, b0 += 4, b1 += 4, b2 += 4, b3 += 4) {
        // Only the first lane: the others would add 0.
        const one = v128.load32_zero(from);
        s0 = multiplyAdd(one, v128.load32_zero(b0), s0);
        s1 = multiplyAdd(one, v128.load32_zero(b1), s1);
        s2 = multiplyAdd(one, v128.load32_zero(b2), s2);
        s3 = multiplyAdd(one, v128.load32_zero(b3), s3);
      }
      v128.store(to, f32x4.add(v128.load(to), totals(s0, s1, s2, s3)));
    }
  }
}
