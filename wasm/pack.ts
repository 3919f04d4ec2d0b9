/**
 * Packing: a panel of `width` lanes is copied, step by step, into consecutive memory, as the register tiles read it.
 * The element of lane `i` at step `k` lies at address `lanes[i] + depths[k]`: two tables describe a strided matrix, its
 * transpose, and the patches of an image alike.
 *
 *   lanes  → i₀ i₁ … i₇ │ i₈ …            panel 0: k₀ (i₀ … i₇), k₁ (i₀ … i₇), …    panel 1: k₀ (i₈ …
 *   depths → k₀ k₁ k₂ …
 */

// @ts-ignore: decorator
@inline
export function at(table: usize, index: usize): usize {
  return <usize>load<u32>(table + (index << 2));
}

/** In memory, because a vector constant is made anew, in several instructions, wherever it is used. */
const ramp = memory.data<i32>([0, 4, 8, 12, 16, 20, 24, 28]);

/** Whether four entries of a table follow each other in memory. */
// @ts-ignore: decorator
@inline
export function consecutive(table: usize): bool {
  return !v128.any_true(v128.xor(v128.load(table), i32x4.add(v128.load32_splat(table), v128.load(ramp))));
}

/** Whether eight entries of a table follow each other in memory. */
// @ts-ignore: decorator
@inline
export function consecutive8(table: usize): bool {
  const first = v128.load32_splat(table);
  const left = v128.xor(v128.load(table), i32x4.add(first, v128.load(ramp)));
  const right = v128.xor(v128.load(table, 16), i32x4.add(first, v128.load(ramp, 16)));
  return !v128.any_true(v128.or(left, right));
}

/** Stores the columns of four rows. */
// @ts-ignore: decorator
@inline
export function transpose(r0: v128, r1: v128, r2: v128, r3: v128, c0: usize, c1: usize, c2: usize, c3: usize): void {
  const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
  const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
  v128.store(c0, i64x2.shuffle(low01, low23, 0, 2));
  v128.store(c1, i64x2.shuffle(low01, low23, 1, 3));
  v128.store(c2, i64x2.shuffle(high01, high23, 0, 2));
  v128.store(c3, i64x2.shuffle(high01, high23, 1, 3));
}

/** Packs four lanes of a panel whose steps are `pitch` bytes apart. */
function packQuad(to: usize, pitch: usize, lanes: usize, depths: usize, depth: i32): void {
  const end = depths + (<usize>depth << 2);
  const p0 = at(lanes, 0), p1 = at(lanes, 1), p2 = at(lanes, 2), p3 = at(lanes, 3);
  if (consecutive(lanes)) {
    for (; depths != end; depths += 4, to += pitch) v128.store(to, v128.load(p0 + at(depths, 0)));
    return;
  }
  while (depths != end) {
    if (depths + 16 <= end && consecutive(depths)) {
      // Four lanes of four consecutive steps: a 4×4 transposition.
      const k = at(depths, 0);
      const r0 = v128.load(p0 + k), r1 = v128.load(p1 + k), r2 = v128.load(p2 + k), r3 = v128.load(p3 + k);
      transpose(r0, r1, r2, r3, to, to + pitch, to + 2 * pitch, to + 3 * pitch);
      depths += 16;
      to += 4 * pitch;
    } else {
      const k = at(depths, 0);
      let r = v128.load32_zero(p0 + k);
      r = v128.load32_lane(p1 + k, r, 1);
      r = v128.load32_lane(p2 + k, r, 2);
      r = v128.load32_lane(p3 + k, r, 3);
      v128.store(to, r);
      depths += 4;
      to += pitch;
    }
  }
}

/** Packs one panel of 4, 6 or 8 lanes. In a panel of six the two quads overlap. */
// @ts-ignore: decorator
@inline
export function packPanel(to: usize, width: i32, lanes: usize, depths: usize, depth: i32): void {
  const pitch = <usize>width << 2;
  packQuad(to, pitch, lanes, depths, depth);
  if (width > 4) packQuad(to + pitch - 16, pitch, lanes + pitch - 16, depths, depth);
}

/** Four of each of `count` numbers in the place of one. */
export function spread(to: usize, from: usize, count: i32): void {
  for (const end = from + (<usize>count << 2); from < end; from += 8, to += 32) {
    v128.store(to, v128.load32_splat(from));
    v128.store(to, v128.load32_splat(from, 4), 16);
  }
}
