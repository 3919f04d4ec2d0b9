/**
 * The register tiles: `C[i][j] (+)= Σₖ a[k][i] · b[k][j]` for a tile of C that stays in registers.
 *
 *   a: panel of `depth` steps, each 4 or 6 scalars      b: panel of `depth` steps, each 8 columns (two v128)
 *   rows: table of the tile's row addresses              column: byte offset of the tile's first column
 *
 * x86-64 has 16 vector registers: 6×8 takes 12 sums, 2 of b and 1 of a, and fills them where a fused multiply-add
 * needs no temporary; without one, 4×8 is faster.
 */

/** Rows of the larger tile. */
export const tileRows: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;
/** Columns of either tile. */
export const tileColumns: i32 = 8;

/** a·b + c, fused where the build has it. */
// @ts-ignore: decorator
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

// @ts-ignore: decorator
@inline
function storeRow(rows: usize, row: usize, column: usize, left: v128, right: v128, accumulate: bool): void {
  const c = <usize>load<u32>(rows + (row << 2)) + column;
  v128.store(c, accumulate ? f32x4.add(v128.load(c), left) : left);
  v128.store(c, accumulate ? f32x4.add(v128.load(c, 16), right) : right, 16);
}

export function tile6x8(depth: i32, a: usize, b: usize, rows: usize, column: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  for (const end = a + <usize>depth * 24; a != end; a += 24, b += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let s = v128.load32_splat(a);
    c00 = multiplyAdd(s, b0, c00);
    c01 = multiplyAdd(s, b1, c01);
    s = v128.load32_splat(a, 4);
    c10 = multiplyAdd(s, b0, c10);
    c11 = multiplyAdd(s, b1, c11);
    s = v128.load32_splat(a, 8);
    c20 = multiplyAdd(s, b0, c20);
    c21 = multiplyAdd(s, b1, c21);
    s = v128.load32_splat(a, 12);
    c30 = multiplyAdd(s, b0, c30);
    c31 = multiplyAdd(s, b1, c31);
    s = v128.load32_splat(a, 16);
    c40 = multiplyAdd(s, b0, c40);
    c41 = multiplyAdd(s, b1, c41);
    s = v128.load32_splat(a, 20);
    c50 = multiplyAdd(s, b0, c50);
    c51 = multiplyAdd(s, b1, c51);
  }
  storeRow(rows, 0, column, c00, c01, accumulate);
  storeRow(rows, 1, column, c10, c11, accumulate);
  storeRow(rows, 2, column, c20, c21, accumulate);
  storeRow(rows, 3, column, c30, c31, accumulate);
  storeRow(rows, 4, column, c40, c41, accumulate);
  storeRow(rows, 5, column, c50, c51, accumulate);
}

export function tile4x8(depth: i32, a: usize, b: usize, rows: usize, column: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (const end = a + <usize>(depth << 4); a != end; a += 16, b += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let s = v128.load32_splat(a);
    c00 = multiplyAdd(s, b0, c00);
    c01 = multiplyAdd(s, b1, c01);
    s = v128.load32_splat(a, 4);
    c10 = multiplyAdd(s, b0, c10);
    c11 = multiplyAdd(s, b1, c11);
    s = v128.load32_splat(a, 8);
    c20 = multiplyAdd(s, b0, c20);
    c21 = multiplyAdd(s, b1, c21);
    s = v128.load32_splat(a, 12);
    c30 = multiplyAdd(s, b0, c30);
    c31 = multiplyAdd(s, b1, c31);
  }
  storeRow(rows, 0, column, c00, c01, accumulate);
  storeRow(rows, 1, column, c10, c11, accumulate);
  storeRow(rows, 2, column, c20, c21, accumulate);
  storeRow(rows, 3, column, c30, c31, accumulate);
}
