import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { property } from '../../../support/property.ts';
import { host, runKernel } from '../plans.ts';
import { agree, builds, type Case, dataOf, epsilon, layouts, sameBits } from './strided.ts';

const extent = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 70 }) },
  { weight: 1, arbitrary: fc.constant(1) },
);
const depth = fc.oneof({ weight: 4, arbitrary: extent }, { weight: 1, arbitrary: fc.integer({ min: 250, max: 600 }) });

const cases = fc
  .record({
    batches: fc.integer({ min: 0, max: 3 }),
    rows: extent,
    columns: extent,
    steps: depth,
    lies: fc.tuple(layouts(3, true), layouts(3, true), layouts(3, false)),
  })
  .map(
    ({ batches, rows, columns, steps, lies }): Case => ({
      body: { kind: 'matmul', epilogue: null },
      inputs: [
        [batches, rows, steps],
        [batches, steps, columns],
      ],
      output: [batches, rows, columns],
      layouts: lies,
    }),
  );

/** Sums of `steps` products of numbers below 1. */
const tolerance = (given: Case) => (given.inputs[0]![2]! + 4) * epsilon;

describe('matmul', () => {
  it('multiplies any shapes and layouts', () =>
    property([cases, fc.nat()], (given, seed) => agree(given, dataOf(given, seed), tolerance(given)), { numRuns: 300 }));

  it('lets no NaN or infinity disappear', () =>
    property([cases, fc.nat()], (given, seed) => agree(given, dataOf(given, seed, [true, true]), tolerance(given)), { numRuns: 200 }));

  it('crosses the blocks of columns, rows and steps', async () => {
    const plain = { order: [2, 1, 0], gap: 0, flipped: false, still: null };
    for (const [rows, columns, steps] of [
      [7, 1100, 300],
      [2100, 9, 5],
      [3, 5, 4200],
      [1, 2500, 9],
      [2300, 1, 33],
      [40, 40, 257],
    ] as const) {
      const given: Case = {
        body: { kind: 'matmul', epilogue: null },
        inputs: [
          [1, rows, steps],
          [1, steps, columns],
        ],
        output: [1, rows, columns],
        layouts: [plain, plain, plain],
      };
      await agree(given, dataOf(given, rows), tolerance(given));
    }
  });

  it('gives the same bits to any number of threads', () =>
    property([cases, fc.nat()], (given, seed) => sameBits(given, dataOf(given, seed))));

  it('gives an element the same bits wherever it falls in a tile', async () => {
    // The same row and column, alone and among others.
    const [rows, columns, steps] = [13, 21, 300];
    for (const backend of builds) {
      const a = Float32Array.from({ length: rows * steps }, (_, i) => Math.sin(i));
      const b = Float32Array.from({ length: steps * columns }, (_, i) => Math.cos(3 * i));
      const run = async (from: number, count: number) =>
        (
          await runKernel(
            backend,
            { kind: 'matmul', epilogue: null },
            [host('f32', [1, count, steps], a.subarray(from * steps, (from + count) * steps)), host('f32', [1, steps, columns], b)],
            [{ dtype: 'f32', shape: [1, count, columns] }],
          )
        )[0]!;
      const whole = await run(0, rows);
      expect([...(await run(4, 5))]).toEqual([...whole.subarray(4 * columns, 9 * columns)]);
    }
  });
});
