import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../engine/index.ts';
import { crossValidatedProbe, type LabelledFeatures, linearProbe } from '../../../models/index.ts';
import { gaussian } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

/** Two classes, told apart by the first of `d` dimensions, among noise. */
function noisy(seed: number, count: number, d: number): LabelledFeatures {
  const data = Float64Array.from(gaussian(seed, [count, d]).data);
  const labels = Int32Array.from({ length: count }, (_, i) => 3 + (i % 2));
  labels.forEach((label, i) => {
    data[i * d]! += label === 3 ? -1 : 1;
  });
  return { features: { dtype: 'f64', shape: [count, d], data }, labels: { dtype: 'i32', shape: [count], data: labels } };
}

describe('the cross-validated probe', () => {
  it('chooses by the labelled samples alone, and ends in the linear probe with what it chose', async () => {
    const [train, test] = [noisy(1, 24, 40), noisy(2, 200, 40)];
    const { weightDecay, accuracy, predictions } = await crossValidatedProbe(train, test, { weightDecays: [1e-4, 1], seed: 3 });
    // More noise than samples: weights that are held back say more of it.
    expect(weightDecay).toBe(1);
    const options = { weightDecay, seed: 3, epochs: 300, learningRate: 0.1, finalLearningRate: 1e-4 };
    expect((await linearProbe(train, test, options)).predictions).toEqual(predictions);
    expect(accuracy).toBeGreaterThan(0.6);
    // Other test labels, the same choice.
    const turned = { ...test, labels: { ...test.labels, data: Int32Array.from(test.labels.data, (label) => 7 - label) } };
    const other = await crossValidatedProbe(train, turned, { weightDecays: [1, 1e-4], seed: 3 });
    expect(other).toMatchObject({ weightDecay, predictions });
  });

  it('takes the decay in the middle where a class has a single sample', async () => {
    const train = noisy(1, 2, 3);
    expect((await crossValidatedProbe(train, train)).weightDecay).toBe(0.1);
  });

  it('refuses decays and folds that are none, and ends where it is told to', async () => {
    const train = noisy(1, 8, 3);
    await expect(crossValidatedProbe(train, train, { weightDecays: [] })).rejects.toThrow(/weightDecays must be a list of numbers ≥ 0/);
    await expect(crossValidatedProbe(train, train, { weightDecays: [-1] })).rejects.toThrow(/got -1/);
    await expect(crossValidatedProbe(train, train, { folds: 1 })).rejects.toThrow(/folds must be a whole number ≥ 2, got 1/);
    const pause = async (): Promise<void> => {
      throw new Error('enough');
    };
    await expect(crossValidatedProbe(train, train, { pause })).rejects.toThrow('enough');
  });
});
