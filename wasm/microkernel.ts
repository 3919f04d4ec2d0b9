/**
 * The register tiles: `C[i][j] (+)= Σₖ a[k][i] · b[k][j]` for a tile of C that stays in registers.
 *
 *   a: panel of `depth` steps, each 4 or 6 scalars, or vectors of one scalar four times
 *   b: panel of `depth` steps, each 8 columns (two v128)
 *   rows: table of the tile's row addresses; column: byte offset of the tile's first column
 *
 * A tile at the lower edge repeats its last row, in `a` and in `rows`: all sums are read before any is written, so the
 * copies write the same. x86-64 has 16 vector registers: 6×8 takes 12 sums, 2 of b and 1 of a, and fills them where a fused multiply-add
 * needs no temporary; without one, 4×8 is faster.
 */
import { TILE_ROWS } from './sizes';

/** a·b + c, fused where the build has it and the machine too. */
// @ts-ignore: decorator
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

/** 1 + 2⁻¹², whose square is 2⁻²⁴ more than what it is rounded to; and that, negative. */
const probe = memory.data<f32>([1.000244140625, -1.00048828125]);

/** Rows of the tile to be used: the larger one's where what is fused loses nothing, which is found out as the module starts. */
export const tileRows: i32 = f32x4.extract_lane(
  multiplyAdd(v128.load32_splat(probe), v128.load32_splat(probe), v128.load32_splat(probe, 4)), 0,
) == 0 ? 4 : TILE_ROWS;

/** A panel of scalars, each spread as it is loaded, which takes V8 two instructions. */
@unmanaged export class Compact {
  @inline get bytes(): usize { return 4; }
  @inline at0(a: usize): v128 { return v128.load32_splat(a, 0); }
  @inline at1(a: usize): v128 { return v128.load32_splat(a, 4); }
  @inline at2(a: usize): v128 { return v128.load32_splat(a, 8); }
  @inline at3(a: usize): v128 { return v128.load32_splat(a, 12); }
  @inline at4(a: usize): v128 { return v128.load32_splat(a, 16); }
  @inline at5(a: usize): v128 { return v128.load32_splat(a, 20); }
}

/** A panel of scalars that have been spread before, for those that are used often: what limits the tile is how fast instructions are fetched. */
@unmanaged export class Spread {
  @inline get bytes(): usize { return 16; }
  @inline at0(a: usize): v128 { return v128.load(a, 0); }
  @inline at1(a: usize): v128 { return v128.load(a, 16); }
  @inline at2(a: usize): v128 { return v128.load(a, 32); }
  @inline at3(a: usize): v128 { return v128.load(a, 48); }
  @inline at4(a: usize): v128 { return v128.load(a, 64); }
  @inline at5(a: usize): v128 { return v128.load(a, 80); }
}

// @ts-ignore: decorator
@inline
function rowAt(rows: usize, row: usize): usize {
  return <usize>load<u32>(rows + (row << 2));
}

export function tile6x8<Panel>(depth: i32, a: usize, b: usize, rows: usize, column: usize, accumulate: bool): void {
  const panel = changetype<Panel>(0);
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  for (const end = a + <usize>depth * (6 * panel.bytes); a != end; a += 6 * panel.bytes, b += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let s = panel.at0(a);
    c00 = multiplyAdd(s, b0, c00);
    c01 = multiplyAdd(s, b1, c01);
    s = panel.at1(a);
    c10 = multiplyAdd(s, b0, c10);
    c11 = multiplyAdd(s, b1, c11);
    s = panel.at2(a);
    c20 = multiplyAdd(s, b0, c20);
    c21 = multiplyAdd(s, b1, c21);
    s = panel.at3(a);
    c30 = multiplyAdd(s, b0, c30);
    c31 = multiplyAdd(s, b1, c31);
    s = panel.at4(a);
    c40 = multiplyAdd(s, b0, c40);
    c41 = multiplyAdd(s, b1, c41);
    s = panel.at5(a);
    c50 = multiplyAdd(s, b0, c50);
    c51 = multiplyAdd(s, b1, c51);
  }
  const r0 = rowAt(rows, 0) + column;
  const r1 = rowAt(rows, 1) + column;
  const r2 = rowAt(rows, 2) + column;
  const r3 = rowAt(rows, 3) + column;
  const r4 = rowAt(rows, 4) + column;
  const r5 = rowAt(rows, 5) + column;
  if (accumulate) {
    c00 = f32x4.add(v128.load(r0), c00);
    c01 = f32x4.add(v128.load(r0, 16), c01);
    c10 = f32x4.add(v128.load(r1), c10);
    c11 = f32x4.add(v128.load(r1, 16), c11);
    c20 = f32x4.add(v128.load(r2), c20);
    c21 = f32x4.add(v128.load(r2, 16), c21);
    c30 = f32x4.add(v128.load(r3), c30);
    c31 = f32x4.add(v128.load(r3, 16), c31);
    c40 = f32x4.add(v128.load(r4), c40);
    c41 = f32x4.add(v128.load(r4, 16), c41);
    c50 = f32x4.add(v128.load(r5), c50);
    c51 = f32x4.add(v128.load(r5, 16), c51);
  }
  v128.store(r0, c00);
  v128.store(r0, c01, 16);
  v128.store(r1, c10);
  v128.store(r1, c11, 16);
  v128.store(r2, c20);
  v128.store(r2, c21, 16);
  v128.store(r3, c30);
  v128.store(r3, c31, 16);
  v128.store(r4, c40);
  v128.store(r4, c41, 16);
  v128.store(r5, c50);
  v128.store(r5, c51, 16);
}

export function tile4x8<Panel>(depth: i32, a: usize, b: usize, rows: usize, column: usize, accumulate: bool): void {
  const panel = changetype<Panel>(0);
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (const end = a + <usize>depth * (4 * panel.bytes); a != end; a += 4 * panel.bytes, b += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let s = panel.at0(a);
    c00 = multiplyAdd(s, b0, c00);
    c01 = multiplyAdd(s, b1, c01);
    s = panel.at1(a);
    c10 = multiplyAdd(s, b0, c10);
    c11 = multiplyAdd(s, b1, c11);
    s = panel.at2(a);
    c20 = multiplyAdd(s, b0, c20);
    c21 = multiplyAdd(s, b1, c21);
    s = panel.at3(a);
    c30 = multiplyAdd(s, b0, c30);
    c31 = multiplyAdd(s, b1, c31);
  }
  const r0 = rowAt(rows, 0) + column;
  const r1 = rowAt(rows, 1) + column;
  const r2 = rowAt(rows, 2) + column;
  const r3 = rowAt(rows, 3) + column;
  if (accumulate) {
    c00 = f32x4.add(v128.load(r0), c00);
    c01 = f32x4.add(v128.load(r0, 16), c01);
    c10 = f32x4.add(v128.load(r1), c10);
    c11 = f32x4.add(v128.load(r1, 16), c11);
    c20 = f32x4.add(v128.load(r2), c20);
    c21 = f32x4.add(v128.load(r2, 16), c21);
    c30 = f32x4.add(v128.load(r3), c30);
    c31 = f32x4.add(v128.load(r3, 16), c31);
  }
  v128.store(r0, c00);
  v128.store(r0, c01, 16);
  v128.store(r1, c10);
  v128.store(r1, c11, 16);
  v128.store(r2, c20);
  v128.store(r2, c21, 16);
  v128.store(r3, c30);
  v128.store(r3, c31, 16);
}
