import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../engine/index.ts';
import { takeSplit } from '../../../models/data/images.ts';
import { type Encoder, type FineTuneState, fineTune } from '../../../models/index.ts';
import { initialEncoder } from '../../../models/train/trainer.ts';
import { smallConfig, stripedDataset } from './support.ts';

beforeAll(async () => {
  await useBackend('wasm', { threads: 1 });
});

const dataset = stripedDataset();
const fresh = (): Encoder => initialEncoder(smallConfig(), 1);
const weightsOf = async (encoder: Encoder): Promise<unknown> =>
  [...(await encoder.stateDict())].map(([name, { data }]) => [name, [...data]]);

describe('fine-tuning', () => {
  it('learns the classes with the encoder, the same way each time', async () => {
    const [encoder, again] = [fresh(), fresh()];
    const steps: number[] = [];
    const options = { epochs: 6, batchSize: 16 } as const;
    const { accuracy } = await fineTune(encoder, dataset, { ...options, onStep: (step, all) => void steps.push(step / all) });
    expect(accuracy).toBeGreaterThan(0.9);
    expect(steps).toEqual(Array.from({ length: 36 }, (_, i) => (i + 1) / 36));
    expect(await weightsOf(encoder)).not.toEqual(await weightsOf(fresh()));
    expect((await fineTune(again, dataset, options)).accuracy).toBe(accuracy);
    expect(await weightsOf(again)).toEqual(await weightsOf(encoder));
    const [views, same, others] = await Promise.all(
      [0, 0, 1].map(async (seed) => {
        const own = fresh();
        await fineTune(own, dataset, { epochs: 1, augmentation: 'reference', seed });
        return weightsOf(own);
      }),
    );
    expect(same).toEqual(views);
    expect(others).not.toEqual(views);
  });

  it('takes so many steps at least, and labels in any range', async () => {
    const few = takeSplit(dataset.train, [0, 1, 2, 3, 4, 5]);
    const shifted = { ...few, labels: { ...few.labels!, data: Int32Array.from(few.labels!.data, (label: number) => 10 + 7 * label) } };
    const test = {
      ...dataset.test!,
      labels: { ...dataset.test!.labels!, data: Int32Array.from(dataset.test!.labels!.data, (label: number) => 10 + 7 * label) },
    };
    let count = 0;
    const { accuracy } = await fineTune(
      fresh(),
      { ...dataset, train: shifted, test },
      { epochs: 1, leastSteps: 30, onStep: () => void count++ },
    );
    expect(count).toBe(30);
    expect(accuracy).toBeGreaterThan(0.5);
  });

  it('goes on from a state to the bits of one that was not stopped', async () => {
    const options = { epochs: 3, batchSize: 32, augmentation: 'reference' } as const;
    const [whole, stopped, other] = [fresh(), fresh(), initialEncoder(smallConfig({ seed: 5 }), 1)];
    const expected = await fineTune(whole, dataset, options);
    let from: FineTuneState | undefined;
    const stop = async (step: number, _steps: number, state: () => Promise<FineTuneState>): Promise<void> => {
      if (step < 5) return;
      from = await state();
      throw new Error('stopped');
    };
    await expect(fineTune(stopped, dataset, { ...options, onStep: stop })).rejects.toThrow('stopped');
    expect(from!.step).toBe(5);
    expect(await fineTune(other, dataset, { ...options, from: from! })).toEqual(expected);
    expect(await weightsOf(other)).toEqual(await weightsOf(whole));
    await expect(fineTune(fresh(), dataset, { ...options, from: { ...from!, step: 100 } })).rejects.toThrow(/only 9/);
  });

  it('moves the encoder by its own rate, and the classifier by another', async () => {
    const encoder = fresh();
    const parameters = async (): Promise<number[]> =>
      (await Promise.all(encoder.parameters().map(async (slot) => [...(await slot.toHost()).data]))).flat();
    const before = await parameters();
    await fineTune(encoder, dataset, { epochs: 1, learningRate: 1e-30, headLearningRate: 1e-2 });
    // By far less than the bits of any weight but 0.
    (await parameters()).forEach((value, i) => expect(Math.abs(value - before[i]!)).toBeLessThan(1e-25));
  });

  it('refuses images without labels', async () => {
    const { labels: _labels, ...train } = dataset.train;
    await expect(fineTune(fresh(), { ...dataset, train })).rejects.toThrow(/needs labels of training and test images/);
    await expect(fineTune(fresh(), dataset, { augmentation: 'none' as never })).rejects.toThrow(/augmentation/);
    await expect(fineTune(fresh(), dataset, { epochs: 0 })).rejects.toThrow(/epochs must be a whole number ≥ 1/);
  });
});
