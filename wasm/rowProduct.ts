/**
 * The product of one row with a matrix, addressed as in product.ts. Packing would cost more than it saves, so the
 * matrix is read where it is, once, in the direction in which it lies in memory:
 *
 *   columns consecutive:  sums of all columns (workspace) += a[k]·b[k, …], four steps a pass     (x·W, depthwise filters)
 *   steps consecutive:    four dot products at a time                                            (x·Wᵀ, their gradients)
 */
import { multiplyAdd } from './microkernel';
import { at, consecutive, consecutive8 } from './pack';

/** The elements at `start + table[0…3]`. */
// @ts-ignore: decorator
@inline
function loadQuad(start: usize, table: usize): v128 {
  if (consecutive(table)) return v128.load(start + at(table, 0));
  let quad = v128.load32_zero(start + at(table, 0));
  quad = v128.load32_lane(start + at(table, 1), quad, 1);
  quad = v128.load32_lane(start + at(table, 2), quad, 2);
  return v128.load32_lane(start + at(table, 3), quad, 3);
}

// @ts-ignore: decorator
@inline
function storeSum(c: usize, sum: f32, accumulate: bool): void {
  store<f32>(c, accumulate ? load<f32>(c) + sum : sum);
}

// @ts-ignore: decorator
@inline
function total(quad: v128): f32 {
  return (
    f32x4.extract_lane(quad, 0) + f32x4.extract_lane(quad, 1) + (f32x4.extract_lane(quad, 2) + f32x4.extract_lane(quad, 3))
  );
}

export function rowProduct(
  columns: i32, steps: i32, a: usize, aDepths: usize, bDepths: usize, bColumns: usize, c: usize, cColumns: usize,
  accumulate: bool, sums: usize,
): void {
  if (steps >= 4 && consecutive(bDepths) && (steps > columns || !consecutive(bColumns))) {
    dotProducts(columns, steps, a, aDepths, bDepths, bColumns, c, cColumns, accumulate);
  } else {
    sumRows(columns, steps, a, aDepths, bDepths, bColumns, sums);
    for (let j: usize = 0, end = <usize>columns << 2; j < end; j += 4) {
      storeSum(c + <usize>load<u32>(cColumns + j), load<f32>(sums + j), accumulate);
    }
  }
}

function sumRows(columns: i32, steps: i32, a: usize, aDepths: usize, bDepths: usize, bColumns: usize, sums: usize): void {
  // The table of columns is padded, so whole quads may be read; what lies beyond the last column is dropped.
  const end = sums + (<usize>columns << 2);
  for (let to = sums; to < end; to += 16) v128.store(to, f32x4.splat(0));
  const last = aDepths + (<usize>steps << 2);
  for (; aDepths + 16 <= last; aDepths += 16, bDepths += 16) {
    const a0 = v128.load32_splat(a + at(aDepths, 0)), a1 = v128.load32_splat(a + at(aDepths, 1));
    const a2 = v128.load32_splat(a + at(aDepths, 2)), a3 = v128.load32_splat(a + at(aDepths, 3));
    const b0 = at(bDepths, 0), b1 = at(bDepths, 1), b2 = at(bDepths, 2), b3 = at(bDepths, 3);
    for (let to = sums, column = bColumns; to < end; to += 16, column += 16) {
      let sum = v128.load(to);
      if (consecutive(column)) {
        const j = at(column, 0);
        sum = multiplyAdd(a0, v128.load(j + b0), sum);
        sum = multiplyAdd(a1, v128.load(j + b1), sum);
        sum = multiplyAdd(a2, v128.load(j + b2), sum);
        sum = multiplyAdd(a3, v128.load(j + b3), sum);
      } else {
        sum = multiplyAdd(a0, loadQuad(b0, column), sum);
        sum = multiplyAdd(a1, loadQuad(b1, column), sum);
        sum = multiplyAdd(a2, loadQuad(b2, column), sum);
        sum = multiplyAdd(a3, loadQuad(b3, column), sum);
      }
      v128.store(to, sum);
    }
  }
  for (; aDepths < last; aDepths += 4, bDepths += 4) {
    const scale = v128.load32_splat(a + at(aDepths, 0));
    for (let to = sums, column = bColumns; to < end; to += 16, column += 16) {
      v128.store(to, multiplyAdd(scale, loadQuad(at(bDepths, 0), column), v128.load(to)));
    }
  }
}

function dotProducts(
  columns: i32, steps: i32, a: usize, aDepths: usize, bDepths: usize, bColumns: usize, c: usize, cColumns: usize, accumulate: bool,
): void {
  const end = aDepths + (<usize>steps << 2);
  for (let j = 0; j < columns; j += 4, bColumns += 16, cColumns += 16) {
    // Beyond the last column the padded table repeats it; the copies are not stored.
    const b0 = at(bColumns, 0), b1 = at(bColumns, 1), b2 = at(bColumns, 2), b3 = at(bColumns, 3);
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let ak = aDepths, bk = bDepths;
    while (ak + 16 <= end) {
      if (ak + 32 <= end && consecutive8(ak) && consecutive8(bk)) {
        const k = at(bk, 0), from = a + at(ak, 0);
        const left = v128.load(from), right = v128.load(from, 16);
        s0 = multiplyAdd(right, v128.load(b0 + k, 16), multiplyAdd(left, v128.load(b0 + k), s0));
        s1 = multiplyAdd(right, v128.load(b1 + k, 16), multiplyAdd(left, v128.load(b1 + k), s1));
        s2 = multiplyAdd(right, v128.load(b2 + k, 16), multiplyAdd(left, v128.load(b2 + k), s2));
        s3 = multiplyAdd(right, v128.load(b3 + k, 16), multiplyAdd(left, v128.load(b3 + k), s3));
        ak += 32;
        bk += 32;
      } else {
        const quad = loadQuad(a, ak);
        s0 = multiplyAdd(quad, loadQuad(b0, bk), s0);
        s1 = multiplyAdd(quad, loadQuad(b1, bk), s1);
        s2 = multiplyAdd(quad, loadQuad(b2, bk), s2);
        s3 = multiplyAdd(quad, loadQuad(b3, bk), s3);
        ak += 16;
        bk += 16;
      }
    }
    for (; ak < end; ak += 4, bk += 4) {
      const one = v128.load32_zero(a + at(ak, 0)), k = at(bk, 0);
      s0 = f32x4.add(s0, f32x4.mul(one, v128.load32_zero(b0 + k)));
      s1 = f32x4.add(s1, f32x4.mul(one, v128.load32_zero(b1 + k)));
      s2 = f32x4.add(s2, f32x4.mul(one, v128.load32_zero(b2 + k)));
      s3 = f32x4.add(s3, f32x4.mul(one, v128.load32_zero(b3 + k)));
    }
    storeSum(c + at(cColumns, 0), total(s0), accumulate);
    if (j + 1 < columns) storeSum(c + at(cColumns, 1), total(s1), accumulate);
    if (j + 2 < columns) storeSum(c + at(cColumns, 2), total(s2), accumulate);
    if (j + 3 < columns) storeSum(c + at(cColumns, 3), total(s3), accumulate);
  }
}
