import fc, { type Arbitrary } from 'fast-check';
import { expect } from 'vitest';
import { grad, type HostArray, realize, type Tensor, tensor } from '../../engine/index.ts';
import { threefry2x32 } from '../../engine/reference.ts';

export { expectError } from '../support/errors.ts';

/** Standard normal numbers, f64, a pure function of the seed. */
export function gaussian(seed: number, shape: readonly number[]): HostArray {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  const data = Float64Array.from({ length: size }, (_, i) => {
    const [x0, x1] = threefry2x32(seed, 0x7e57, 0, i);
    return Math.sqrt(-2 * Math.log(((x0 >>> 0) + 1) * 2 ** -32)) * Math.cos(2 * Math.PI * (x1 >>> 0) * 2 ** -32);
  });
  return { dtype: 'f64', shape, data };
}

export function normalMatrix(seed: number, rows: number, columns: number): Tensor {
  return tensor(gaussian(seed, [rows, columns]));
}

/** A tensor of doubles. */
export function f64(data: Parameters<typeof tensor>[0]): Tensor {
  return tensor(data, { dtype: 'f64' });
}

export const seeds: Arbitrary<number> = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** Sizes of an embedding: samples and dimensions. */
export function sizes(
  samples: readonly [least: number, most: number],
  dimensions: readonly [least: number, most: number],
): Arbitrary<{ n: number; d: number }> {
  return fc.record({ n: fc.integer({ min: samples[0], max: samples[1] }), d: fc.integer({ min: dimensions[0], max: dimensions[1] }) });
}

/** An orthogonal matrix [d, d]: Gram–Schmidt on normal columns. */
export function orthogonal(seed: number, d: number): Tensor {
  const { data } = gaussian(seed, [d, d]);
  const rows: number[][] = [];
  for (let i = 0; i < d; i++) {
    let row = Array.from(data.subarray(i * d, (i + 1) * d));
    // Twice is enough.
    for (let pass = 0; pass < 2; pass++) {
      for (const other of rows) {
        const product = row.reduce((sum, value, j) => sum + value * other[j]!, 0);
        row = row.map((value, j) => value - product * other[j]!);
      }
    }
    const length = Math.hypot(...row);
    rows.push(row.map((value) => value / length));
  }
  return f64(rows);
}

/** Reads several tensors that one plan computes. They keep their histories, for gradients. */
export async function values(...tensors: readonly Tensor[]): Promise<Float64Array[]> {
  const copies = tensors.map((x) => x.stopGradient());
  await realize(...copies);
  return Promise.all(copies.map(async (x) => Float64Array.from(await x.data())));
}

/** max |a − b| / max(|b|, floor). */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>, floor = 1e-300): number {
  expect(a.length).toBe(b.length);
  let [worst, scale] = [0, floor];
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return worst / scale;
}

/** Holds two tensors to each other: max |a − b| ≤ tolerance·max(|b|, floor). */
export async function expectClose(a: Tensor, b: Tensor, tolerance = 1e-10, floor = 1e-12): Promise<void> {
  expect(a.shape).toEqual(b.shape);
  const [left, right] = await values(a, b);
  expect(relativeError(left!, right!, floor)).toBeLessThanOrEqual(tolerance);
}

/**
 * Central differences of `loss` at `at`, along random directions, against its gradient: of fourth order, (8·(f(h) − f(−h)) − (f(2h) − f(−2h)))/12h, since
 * near a row of length 0, whose direction is what counts, derivatives are large.
 */
export async function expectGradient(
  loss: (z: Tensor) => Tensor,
  at: HostArray,
  tolerance = 1e-6,
  directions = 3,
  step = 1e-5,
): Promise<void> {
  const z = tensor(at);
  const [gradient] = await values(...grad(loss(z), [z]));
  for (let seed = 0; seed < directions; seed++) {
    const direction = gaussian(seed + 991, at.shape);
    const moved = (sign: number): Tensor =>
      tensor({ ...at, data: Float64Array.from(at.data, (value, i) => value + sign * step * direction.data[i]!) });
    const [up, down, farUp, farDown] = await values(...[1, -1, 2, -2].map((steps) => loss(moved(steps))));
    const slope = gradient!.reduce((sum, value, i) => sum + value * direction.data[i]!, 0);
    const scale = Math.max(1e-3, Math.hypot(...gradient!) * Math.hypot(...direction.data));
    const difference = (8 * (up![0]! - down![0]!) - (farUp![0]! - farDown![0]!)) / (12 * step);
    expect(Math.abs(difference - slope) / scale).toBeLessThanOrEqual(tolerance);
  }
}
