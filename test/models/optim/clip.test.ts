import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { realize, slot, useBackend } from '../../../engine/index.ts';
import { clipByNorm, SGD } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectError, f64, gaussian, normalMatrix, seeds, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

describe('clipByNorm', () => {
  it('brings the norm of all gradients together to the limit, and leaves shorter ones', () =>
    property([seeds, fc.double({ min: 0.01, max: 20, noNaN: true })], async (seed, most) => {
      const gradients = [normalMatrix(seed, 3, 2), normalMatrix(seed + 1, 1, 4)];
      const [before, after] = [await values(...gradients), await values(...clipByNorm(gradients, most))];
      const norm = (parts: readonly Float64Array[]): number => Math.hypot(...parts.flatMap((part) => [...part]));
      const factor = Math.min(1, most / (norm(before) + 1e-6));
      for (const [i, part] of after.entries())
        for (const [j, value] of part.entries()) expect(Math.abs(value - factor * before[i]![j]!)).toBeLessThan(1e-12);
      expect(norm(after)).toBeLessThanOrEqual(most);
    }));

  it('gives zero of zero, nothing of nothing, and refuses a limit that is none', async () => {
    expect([...(await values(...clipByNorm([f64([0, 0])], 1)))[0]!]).toEqual([0, 0]);
    expect(clipByNorm([], 1)).toEqual([]);
    expectError(() => clipByNorm([f64([1])], -1), 'argument', /≥ 0/);
  });
});

describe('groups with rates of their own', () => {
  it('move by them, and the rest by the learning rate', async () => {
    const [a, b] = [slot(gaussian(1, [2])), slot(gaussian(2, [2]))];
    const before = await Promise.all([a.data(), b.data()]);
    const optimizer = new SGD([{ parameters: [a] }, { parameters: [b], rate: 'predictor' }], { learningRate: 1 });
    optimizer.step([f64([1, 1]), f64([1, 1])], { learningRate: 0.5, predictor: 0.25 });
    await realize();
    expect([...(await a.data())]).toEqual([...before[0]!].map((value) => value - 0.5));
    expect([...(await b.data())]).toEqual([...before[1]!].map((value) => value - 0.25));
    expectError(() => optimizer.step([f64([1, 1]), f64([1, 1])], { learningRate: 0.5 }), 'argument', /predictor/);
  });
});
