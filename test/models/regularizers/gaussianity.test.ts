import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, grad, randn, realize, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { sigreg } from '../../../models/index.ts';
import { normalQuantiles } from '../../../models/regularizers/gaussianity.ts';
import { property } from '../../support/property.ts';
import { atEachPrecision, converted } from '../recorded.ts';
import { expectClose, expectError, gaussian, normalMatrix, orthogonal, seeds, sizes, values } from '../support.ts';

describe('SIGReg', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it('is about 1.06 of a normal sample, and more of one of another scale or mean', async () => {
    const z = randn([400, 4], { key: 1, dtype: 'f64' });
    const [normal, small, large, moved] = await values(...[z, z.mul(0.5), z.mul(2), z.add(1)].map((of) => sigreg(of, { slices: 20 })));
    // E n·|mean e^{itx} − φ|² = 1 − φ², and ∫(1 − e^{−t²})·e^{−t²/2} dt = √(2π)·(1 − 1/√3).
    expect(normal![0]! / (Math.sqrt(2 * Math.PI) * (1 - 1 / Math.sqrt(3)))).toBeCloseTo(1, 0);
    for (const other of [small!, large!, moved!]) expect(other[0]).toBeGreaterThan(10 * normal![0]!);
  });

  it('does not change with the order of samples, their signs, or a rotation of them and of the directions', () =>
    property([sizes([1, 9], [1, 5]), seeds], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      const turn = orthogonal(seed + 1, d);
      const directions = orthogonal(seed + 2, d);
      const value = sigreg(z, { directions });
      await expectClose(sigreg(z.flip(0), { directions }), value, 1e-12);
      await expectClose(sigreg(z.neg(), { directions }), value, 1e-12);
      await expectClose(sigreg(z.matmul(turn), { directions: turn.transpose().matmul(directions) }), value, 1e-11);
    }));

  it('lies between 0 and n·∫(1 + φ)²·φ, and is that of each direction, on average', () =>
    property([sizes([1, 9], [1, 5]), seeds, fc.double({ min: 0.01, max: 100, noNaN: true })], async ({ n, d }, seed, scale) => {
      const z = normalMatrix(seed, n, d).mul(scale);
      const directions = orthogonal(seed, d);
      const parts = Array.from({ length: d }, (_, k) => sigreg(z, { directions: directions.slice(null, [k, k + 1]) }));
      const [value, ...each] = await values(sigreg(z, { directions }), ...parts);
      expect(Math.abs(value![0]! - each.reduce((sum, part) => sum + part[0]!, 0) / d)).toBeLessThan(1e-10 * n);
      expect(value![0]).toBeGreaterThanOrEqual(0);
      expect(value![0]).toBeLessThanOrEqual(n * 7.6);
    }));

  it('is drawn from a key: the same directions again, others for another', async () => {
    const z = normalMatrix(1, 12, 4);
    const [first, again, other, more] = await values(
      sigreg(z),
      sigreg(z, { key: 0, slices: 256 }),
      sigreg(z, { key: 1 }),
      sigreg(z, { slices: 3 }),
    );
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(more).not.toEqual(first);
  });

  it('says what is wrong', () => {
    const z = normalMatrix(1, 4, 3);
    expectError(() => sigreg(z, { slices: 0 }), 'argument', /slices must be a whole number ≥ 1, got 0/);
    expectError(() => sigreg(z, { knots: 1 }), 'argument', /knots must be a whole number ≥ 2/);
    expectError(() => sigreg(z, { reach: 0 }), 'argument', /reach must be above 0/);
    expectError(() => sigreg(z, { directions: zeros([2, 5], 'f64') }), 'shape', /\[dimensions, slices\] = \[3, ≥ 1\], got \[2, 5\]/);
    expectError(() => sigreg(z, { directions: eye(3) }), 'dtype', /directions must be f64/);
  });
});

describe('SIGReg at collapse', () => {
  atEachPrecision(({ dtype }) => {
    it('is .402·n, where its gradient falls to 0 as the distance does', async () => {
      for (const n of [1, 7, 64]) {
        const z = gaussian(1, [n, 3]);
        const slopes: number[] = [];
        for (const scale of [0, 1e-3, 2e-3]) {
          const at = tensor(converted({ ...z, data: Float64Array.from(z.data, (value) => value * scale) }, dtype));
          const value = sigreg(at, { slices: 20 });
          const [gradient] = grad(value, [at]);
          await realize(value, gradient!);
          expect((await value.item()) / n).toBeCloseTo(0.402, 3);
          slopes.push(Math.hypot(...(await gradient!.data())));
        }
        expect(slopes[0]).toBe(0);
        expect(slopes[2]! / slopes[1]!).toBeCloseTo(2, 2);
      }
    });
  });
});

it('the quantiles of a normal sample are symmetric, rise, and halve it', async () => {
  await useBackend('cpu');
  for (const n of [1, 2, 5, 100]) {
    const quantiles = normalQuantiles(n, 'f64');
    await expectClose(quantiles.flip(0).neg(), quantiles, 1e-12, 1);
    // Φ(Φ⁻¹(p)) = p
    const p = quantiles
      .mul(Math.SQRT1_2)
      .erf()
      .add(1)
      .mul((n + 1) / 2);
    expect((await p.data()).every((value, i) => Math.abs(value - (i + 1)) < 1e-10 * n)).toBe(true);
  }
});
