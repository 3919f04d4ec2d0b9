/**
 * What the machine can do through 128-bit WebAssembly: loops with nothing in them but the arithmetic, or the copying, that is counted.
 * AssemblyScript; compiled when the benchmark runs.
 */

// Thirteen chains hide the latency of two operations each on processors that start two a cycle. With x and y they take 15 of 16 registers,
// and V8 keeps one.
const CHAINS: f64 = 13;
const LANES: f64 = 4;

// @ts-ignore: decorator
@inline
function fused(a: v128, x: v128, y: v128): v128 {
  // The accumulator is what is added to, as in a matrix product: processors overwrite that operand.
  return f32x4.relaxed_madd(x, y, a);
}

// @ts-ignore: decorator
@inline
function unfused(a: v128, x: v128, y: v128): v128 {
  return f32x4.add(f32x4.mul(a, x), y);
}

/** Where the factors come from, which no compiler may know, and where the last values go, so that it cannot drop the loop. */
const FACTORS: usize = 1024;
const SINK: usize = 1088;

export function prepare(): void {
  v128.store(FACTORS, f32x4.splat(0.999));
  v128.store(FACTORS, f32x4.splat(0.001), 16);
}

/** Runs `rounds` fused multiply-adds on each chain and gives the number of floating-point operations. */
export function relaxed(rounds: i32): f64 {
  const x = v128.load(FACTORS), y = v128.load(FACTORS, 16);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  let a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0, a12 = a0;
  for (let i = 0; i < rounds; i++) {
    a0 = fused(a0, x, y); a1 = fused(a1, x, y); a2 = fused(a2, x, y); a3 = fused(a3, x, y);
    a4 = fused(a4, x, y); a5 = fused(a5, x, y); a6 = fused(a6, x, y); a7 = fused(a7, x, y);
    a8 = fused(a8, x, y); a9 = fused(a9, x, y); a10 = fused(a10, x, y); a11 = fused(a11, x, y);
    a12 = fused(a12, x, y);
  }
  keep(a0, a1, a2, a3, a4, a5); keep(a6, a7, a8, a9, a10, f32x4.add(a11, a12));
  return 2 * CHAINS * LANES * <f64>rounds;
}

/** The same with a multiplication and an addition. */
export function simd(rounds: i32): f64 {
  const x = v128.load(FACTORS), y = v128.load(FACTORS, 16);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  let a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0, a12 = a0;
  for (let i = 0; i < rounds; i++) {
    a0 = unfused(a0, x, y); a1 = unfused(a1, x, y); a2 = unfused(a2, x, y); a3 = unfused(a3, x, y);
    a4 = unfused(a4, x, y); a5 = unfused(a5, x, y); a6 = unfused(a6, x, y); a7 = unfused(a7, x, y);
    a8 = unfused(a8, x, y); a9 = unfused(a9, x, y); a10 = unfused(a10, x, y); a11 = unfused(a11, x, y);
    a12 = unfused(a12, x, y);
  }
  keep(a0, a1, a2, a3, a4, a5); keep(a6, a7, a8, a9, a10, f32x4.add(a11, a12));
  return 2 * CHAINS * LANES * <f64>rounds;
}

function keep(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128): void {
  v128.store(SINK, f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(e, f)));
}

/** Copies `bytes`, a multiple of 64, through registers. */
export function copyLoop(to: usize, from: usize, bytes: i32): void {
  for (let i: usize = 0; i < <usize>bytes; i += 64) {
    const a = v128.load(from + i), b = v128.load(from + i, 16), c = v128.load(from + i, 32), d = v128.load(from + i, 48);
    v128.store(to + i, a); v128.store(to + i, b, 16); v128.store(to + i, c, 32); v128.store(to + i, d, 48);
  }
}

/** Copies `bytes` as the engine that runs this does it. */
export function copyBuiltin(to: usize, from: usize, bytes: i32): void {
  memory.copy(to, from, bytes);
}
