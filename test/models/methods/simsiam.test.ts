import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { grad, type Tensor, useBackend } from '../../../engine/index.ts';
import { simsiam } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectError, normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const shapes = fc.record({ seed: fc.nat(1000), n: fc.integer({ min: 2, max: 9 }), d: fc.integer({ min: 1, max: 6 }) });
const drawn = ({ seed, n, d }: { seed: number; n: number; d: number }): [Tensor, Tensor, Tensor, Tensor] => [
  normalMatrix(4 * seed, n, d),
  normalMatrix(4 * seed + 1, n, d),
  normalMatrix(4 * seed + 2, n, d),
  normalMatrix(4 * seed + 3, n, d),
];

/** −½(mean cos(p₁, z₂) + mean cos(p₂, z₁)), row by row. */
async function reference([p1, p2, z1, z2]: readonly [Tensor, Tensor, Tensor, Tensor]): Promise<number> {
  const meanCosine = async (a: Tensor, b: Tensor): Promise<number> => {
    const [x, y] = [(await a.array()) as number[][], (await b.array()) as number[][]];
    const dot = (u: number[], v: number[]): number => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
    return x.reduce((sum, row, i) => sum + dot(row, y[i]!) / Math.sqrt(dot(row, row) * dot(y[i]!, y[i]!)), 0) / x.length;
  };
  return -0.5 * ((await meanCosine(p1, z2)) + (await meanCosine(p2, z1)));
}

describe('simsiam', () => {
  it('is half the negative cosine of each prediction with the other view’s projection', () =>
    property([shapes], async (shape) => {
      const [p1, p2, z1, z2] = drawn(shape);
      const value = await simsiam([p1, p2], [z1, z2]).loss.item();
      expect(Math.abs(value - (await reference([p1, p2, z1, z2])))).toBeLessThan(1e-12);
      expect(Math.abs(value)).toBeLessThanOrEqual(1 + 1e-12);
      expect(Math.abs((await simsiam([p1, p2], [p2, p1]).loss.item()) + 1)).toBeLessThan(1e-12);
    }));

  it('does not depend on the scale of any row, nor on which view is first', () =>
    property([shapes], async (shape) => {
      const [p1, p2, z1, z2] = drawn(shape);
      const value = await simsiam([p1, p2], [z1, z2]).loss.item();
      expect(Math.abs((await simsiam([p1.mul(3), p2], [z1, z2.mul(0.1)]).loss.item()) - value)).toBeLessThan(1e-12);
      expect(Math.abs((await simsiam([p2, p1], [z2, z1]).loss.item()) - value)).toBeLessThan(1e-12);
    }));

  it('lets no gradient into the targets, unless it is told to', async () => {
    const [p1, p2, z1, z2] = drawn({ seed: 1, n: 5, d: 3 });
    const through = async (stopGradient: boolean): Promise<number> =>
      Math.hypot(...(await grad(simsiam([p1, p2], [z1, z2], { stopGradient }).loss, [z1])[0]!.data()));
    expect(await through(true)).toBe(0);
    expect(await through(false)).toBeGreaterThan(0);
  });

  it('refuses views that do not pair', () => {
    const [p1, p2] = [normalMatrix(1, 4, 3), normalMatrix(2, 5, 3)];
    expectError(() => simsiam([p1, p2], [p1, p1]), 'shape', /simsiam/);
  });
});
