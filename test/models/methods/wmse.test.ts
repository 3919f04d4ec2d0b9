import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { stack, tensor, useBackend } from '../../../engine/index.ts';
import { type WhiteningName, whitenings, wmse } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, seeds, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const names = Object.keys(whitenings) as WhiteningName[];
const batches = fc.record({
  d: fc.integer({ min: 1, max: 4 }),
  more: fc.integer({ min: 1, max: 4 }),
  parts: fc.integer({ min: 1, max: 3 }),
});

describe('W-MSE', () => {
  it('has the gradient of its value, for each whitening and distance', () =>
    property(
      [batches, seeds, fc.constantFrom(...names), fc.constantFrom('normalized' as const, 'mse' as const)],
      async ({ d, more, parts }, seed, whitening, distance) => {
        const size = 2 * d + more;
        const n = size * parts;
        const zb = normalMatrix(seed + 1, n, d);
        await expectGradient(
          (za) => wmse(za, zb, { whitening, distance, subBatch: size, epsilon: 0.05, key: seed }).loss,
          gaussian(seed, [n, d]),
          1e-5,
          1,
        );
      },
    ));

  it('lies in [0, 4], is 0 for equal views, and changes neither with the exchange of the views nor with an affine map of one', () =>
    property([batches, seeds], async ({ d, more, parts }, seed) => {
      const size = d + 1 + more;
      const n = size * parts;
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const options = { subBatch: size, key: seed, iterations: 2 };
      const [loss, same] = await values(wmse(za, zb, options).loss, wmse(za, za, options).loss);
      expect(loss![0]).toBeGreaterThanOrEqual(0);
      expect(loss![0]).toBeLessThanOrEqual(4);
      expect(same![0]).toBeCloseTo(0, 12);
      await expectClose(wmse(zb, za, options).loss, wmse(za, zb, options).loss, 1e-12);
      const scale = normalMatrix(seed + 2, 1, d)
        .abs()
        .add(0.5);
      await expectClose(wmse(za.mul(scale).add(normalMatrix(seed + 3, 1, d)), zb, options).loss, wmse(za, zb, options).loss, 1e-9);
    }));

  it('is about 2 for independent views', async () => {
    const losses = await values(
      ...Array.from({ length: 40 }, (_, i) => wmse(normalMatrix(2 * i, 64, 8), normalMatrix(2 * i + 1, 64, 8)).loss),
    );
    const mean = losses.reduce((sum, loss) => sum + loss[0]!, 0) / losses.length;
    expect(Math.abs(mean - 2)).toBeLessThan(0.05);
  });

  it('is the mean over its divisions, which the key draws, and of a whole batch all divisions are one', () =>
    property([seeds], async (seed) => {
      // So many images that two keys hardly ever divide them alike.
      const [n, d] = [24, 2];
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const orders = [Array.from({ length: n }, (_, i) => (i * 5) % n), Array.from({ length: n }, (_, i) => (i * 7 + 3) % n)].map((order) =>
        Int32Array.from(order),
      );
      const one = (order: Int32Array): ReturnType<typeof tensor> =>
        wmse(za, zb, { subBatch: 4, permutations: tensor(order, { shape: [1, n] }) }).loss;
      const both = wmse(za, zb, {
        subBatch: 4,
        iterations: 2,
        permutations: tensor(Int32Array.from(orders.flatMap((order) => [...order])), { shape: [2, n] }),
      }).loss;
      await expectClose(both, one(orders[0]!).add(one(orders[1]!)).div(2), 1e-12);
      await expectClose(wmse(za, zb, { iterations: 3, key: seed }).loss, wmse(za, zb).loss, 1e-12);
      const [drawn, again, other] = await values(...[seed, seed, seed + 1].map((key) => wmse(za, zb, { subBatch: 4, key }).loss));
      expect(again![0]).toBe(drawn![0]);
      expect(other![0]).not.toBe(drawn![0]);
    }));

  it('whitens sub-batches as one by one', () =>
    property([seeds, fc.constantFrom(...names)], async (seed, name) => {
      const parts = [0, 1, 2].map((i) => normalMatrix(seed + i, 7, 3));
      await expectClose(whitenings[name](stack(parts)), stack(parts.map((part) => whitenings[name](part))), 1e-10);
    }));

  it('says what is wrong with its input', () => {
    const [za, zb] = [normalMatrix(0, 12, 4), normalMatrix(1, 12, 4)];
    expectError(() => wmse(za, zb, { subBatch: 4 }), 'shape', /4 samples of 4 dimensions is singular; use at least 5/);
    expectError(() => wmse(za, zb, { subBatch: 5 }), 'shape', /5 do not divide the batch of 12/);
    expectError(
      () => wmse(za.slice([0, 4]), zb.slice([0, 4]), { subBatch: 8 }),
      'shape',
      /8 do not divide the batch of 4; .* a batch as large/,
    );
    expectError(() => wmse(za, zb, { iterations: 0 }), 'argument', /iterations/);
    expectError(() => wmse(za, zb, { epsilon: 2 }), 'argument', /from 0 to 1/);
    expectError(() => wmse(normalMatrix(0, 1, 2), normalMatrix(1, 1, 2)), 'shape', /at least 2 samples/);
    const unknown: string = 'pca';
    expectError(() => wmse(za, zb, { whitening: unknown as WhiteningName }), 'argument', /cholesky, zca, iterative/);
    expectError(() => wmse(za, zb, { permutations: tensor(Int32Array.from([0, 1])) }), 'shape', /\[1, 12\], got \[2\]/);
  });
});
