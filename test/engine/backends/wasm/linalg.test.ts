import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { property } from '../../../support/property.ts';
import type { KernelBody } from '../plans.ts';
import { host, runKernel } from '../plans.ts';
import { agree, builds, type Case, draw, elements, layouts, planOfCase } from './strided.ts';

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 13, max: 80 }) },
);
const batches = fc.integer({ min: 0, max: 3 });

/** Writes row-major matrices through a view. */
function place(given: Case, input: number, values: ArrayLike<number>): Float32Array {
  const plan = planOfCase(given);
  const view = plan.kernels[0]!.inputs[input]!;
  const data = new Float32Array(plan.buffers[input]!.length);
  const positions = elements(
    view,
    Float64Array.from(data, (_, i) => i),
  );
  for (const [i, position] of positions.entries()) data[position] = values[i]!;
  return data;
}

/** Well-conditioned: AᵀA/size + 1. */
function definite(batch: number, size: number, seed: number): Float64Array {
  const out = new Float64Array(batch * size * size);
  for (let n = 0; n < batch; n++) {
    const a = draw(size * size, seed + n);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        let sum = i === j ? 1 : 0;
        for (let k = 0; k < size; k++) sum += (a[k * size + i]! * a[k * size + j]!) / size;
        out[(n * size + i) * size + j] = sum;
      }
    }
  }
  return out;
}

/** Copies one triangle and fills the other with what must not be read. */
const onlyTriangle = (values: Float64Array, size: number, lower: boolean) =>
  values.map((value, at) =>
    at % size <= Math.floor(at / size) % size === lower || at % size === Math.floor(at / size) % size ? value : NaN,
  );

const still = fc.tuple(layouts(3, false), layouts(3, false), layouts(3, false));

describe('cholesky', () => {
  it('factors positive definite matrices, reading the lower triangle only', () =>
    property([batches, sizes, still, fc.nat()], (batch, size, lies, seed) => {
      const given: Case = { body: { kind: 'cholesky' }, inputs: [[batch, size, size]], output: [batch, size, size], layouts: lies };
      return agree(given, [place(given, 0, onlyTriangle(definite(batch, size, seed), size, true))], 2e-6);
    }));

  it('factors a large matrix', () => {
    const given: Case = {
      body: { kind: 'cholesky' },
      inputs: [[1, 200, 200]],
      output: [1, 200, 200],
      layouts: Array(2).fill({ order: [2, 1, 0], gap: 0, flipped: false, still: null }),
    };
    return agree(given, [place(given, 0, definite(1, 200, 3))], 3e-6);
  });

  it('gives NaN for what is not positive definite, and for that matrix only', () =>
    property([fc.integer({ min: 1, max: 70 }), fc.nat(), fc.constantFrom(-1, 0, NaN)], async (size, pick, pivot) => {
      const values = definite(2, size, pick);
      const at = pick % size;
      values[at * size + at] = pivot;
      for (const backend of builds) {
        const [out] = await runKernel(
          backend,
          { kind: 'cholesky' },
          [host('f32', [2, size, size], values)],
          [{ dtype: 'f32', shape: [2, size, size] }],
        );
        expect(out!.subarray(0, size * size).every(Number.isNaN)).toBe(true);
        expect(out!.subarray(size * size).every(Number.isFinite)).toBe(true);
      }
    }));
});

describe('triangularSolve', () => {
  it('solves with either triangle, transposed or not', () =>
    property(
      [batches, sizes, fc.integer({ min: 0, max: 70 }), still, fc.boolean(), fc.boolean(), fc.nat()],
      (batch, size, columns, lies, lower, transpose, seed) => {
        const given: Case = {
          body: { kind: 'triangularSolve', lower, transpose },
          inputs: [
            [batch, size, size],
            [batch, size, columns],
          ],
          output: [batch, size, columns],
          layouts: lies,
        };
        const a = onlyTriangle(definite(batch, size, seed), size, lower);
        const b = draw(batch * size * columns, seed + 1);
        return agree(given, [place(given, 0, a), place(given, 1, b)], 1e-5);
      },
      { numRuns: 200 },
    ));
});

describe('eigh', () => {
  const run = async (backend: (typeof builds)[number], values: ArrayLike<number>, size: number) => {
    const body: KernelBody = { kind: 'eigh' };
    const [out] = await runKernel(backend, body, [host('f32', [1, size, size], values)], [{ dtype: 'f32', shape: [1, size + 1, size] }]);
    return {
      values: [...out!.subarray(0, size)],
      vector: (k: number) => Array.from({ length: size }, (_, i) => out![(i + 1) * size + k]!),
    };
  };

  /** A = V·Λ·Vᵀ, VᵀV = 1, in order, signed as plan.ts says: what the decomposition is, whatever algorithm found it. */
  const check = async (matrix: Float64Array, size: number) => {
    const a = Float64Array.from(new Float32Array(matrix));
    const scale =
      Math.max(
        1e-30,
        a.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
      ) * Math.max(1, size);
    for (const backend of builds) {
      const { values, vector } = await run(backend, onlyTriangle(a, size, true), size);
      const vectors = values.map((_, k) => vector(k));
      for (let k = 1; k < size; k++) expect(values[k]!).toBeGreaterThanOrEqual(values[k - 1]!);
      for (const v of vectors) {
        const largest = v.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
        expect(largest).toBeGreaterThan(0);
      }
      for (let i = 0; i < size; i++) {
        for (let j = 0; j <= i; j++) {
          let sum = 0;
          let dot = 0;
          for (let k = 0; k < size; k++) {
            sum += values[k]! * vectors[k]![i]! * vectors[k]![j]!;
            dot += vectors[i]![k]! * vectors[j]![k]!;
          }
          expect(Math.abs(sum - a[i * size + j]!)).toBeLessThanOrEqual(1e-6 * scale);
          expect(Math.abs(dot - +(i === j))).toBeLessThanOrEqual(1e-6);
        }
      }
    }
  };

  const symmetric = (size: number, seed: number) => {
    const a = draw(size * size, seed);
    return Float64Array.from(
      a,
      (_, at) => a[Math.max(Math.floor(at / size), at % size) * size + Math.min(Math.floor(at / size), at % size)]!,
    );
  };

  it('decomposes any symmetric matrix', () =>
    property([sizes, fc.nat(), fc.constantFrom(1, 1e-30, 1e30)], (size, seed, scale) =>
      check(
        symmetric(size, seed).map((value) => value * scale),
        size,
      ),
    ));

  it('decomposes matrices of low rank, of equal eigenvalues, and of whole numbers', () =>
    property(
      [fc.integer({ min: 1, max: 16 }), fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 16, maxLength: 16 })],
      (size, whole) => {
        const outer = Float64Array.from({ length: size * size }, (_, at) => whole[Math.floor(at / size)]! * whole[at % size]!);
        return check(outer, size);
      },
    ));

  it('agrees with the reference on eigenvalues, in any layout', () =>
    property([batches, fc.integer({ min: 0, max: 24 }), still, fc.nat()], async (batch, size, lies, seed) => {
      const given: Case = { body: { kind: 'eigh' }, inputs: [[batch, size, size]], output: [batch, size + 1, size], layouts: lies };
      // Eigenvalues far apart, so that each vector is determined.
      const values = Float64Array.from({ length: batch * size * size }, (_, at) => {
        const [i, j] = [Math.floor(at / size) % size, at % size];
        return i === j ? 3 * i + 0.25 * Math.sin(seed + i) : 0.25 * Math.cos((i + 1) * (j + 1) + seed);
      });
      await agree(given, [place(given, 0, onlyTriangle(values, size, true))], 1e-5 * Math.max(1, 3 * size));
    }));

  it('gives NaN for what is not finite, and ends', async () => {
    for (const backend of builds) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const { values, vector } = await run(backend, [1, 0, 0, bad, 1, 0, 0, 0, 1], 3);
        expect([...values, ...vector(0), ...vector(2)].every(Number.isNaN)).toBe(true);
      }
    }
  });
});
