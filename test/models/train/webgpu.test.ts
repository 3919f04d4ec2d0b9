/** Training on the GPU ends where training on the CPU does, and goes on where that was. */
import { afterAll, describe, expect, it } from 'vitest';
import { type Backend, type HostArray, useBackend } from '../../../engine/index.ts';
import type { ImageDataset } from '../../../models/data/images.ts';
import { loadDataset } from '../../../models/data/node.ts';
import { trainingConfig } from '../../../models/train/config.ts';
import { type FeatureScores, scoreEncoder } from '../../../models/train/evaluate.ts';
import { Trainer, type TrainerState } from '../../../models/train/trainer.ts';
import { gpu } from '../../engine/backends/webgpu/gpu.ts';

const first = (array: HostArray, count: number): HostArray => ({
  ...array,
  shape: [count, ...array.shape.slice(1)],
  data: array.data.slice(0, (array.data.length / array.shape[0]!) * count),
});

/** The beginning of the embedded images: a CPU that plays GPU takes seconds for a step of 32 of them. */
async function fewImages(): Promise<ImageDataset> {
  const whole = await loadDataset('fashion-mnist-subset');
  const part = ({ images, labels }: NonNullable<ImageDataset['test']>, count: number) => ({
    images: first(images, count),
    labels: first(labels!, count),
  });
  return { ...whole, train: part(whole.train, 160), test: part(whole.test!, 400) };
}

describe.runIf(gpu)('training on webgpu', () => {
  afterAll(() => gpu?.dispose());

  it('has the losses and the accuracies of wasm, and each goes on where the other was', async () => {
    const dataset = await fewImages();
    const config = trainingConfig({ epochs: 1, batchSize: 32, widths: [64, 64, 64], seed: 1 });
    const middle = 3;

    /** Trains to the end from a state, or from the beginning; on the way tells where it stood in the middle. */
    async function trained(from?: TrainerState): Promise<{ losses: number[]; state: TrainerState | null; trainer: Trainer }> {
      const trainer = new Trainer(config, dataset);
      if (from) trainer.restore(from);
      const losses: number[] = [];
      let state: TrainerState | null = null;
      for await (const record of trainer.run()) {
        losses.push(record.loss);
        if (record.step === middle) state = await trainer.state();
      }
      return { losses, state, trainer };
    }
    const accuracies = ({ linear, linear2x2, nearest }: FeatureScores): number[] => [linear!, linear2x2!, nearest!];
    const close = (actual: readonly number[], expected: readonly number[]): void => {
      expect(actual).toHaveLength(expected.length);
      for (const [i, value] of actual.entries()) expect(Math.abs(value / expected[i]! - 1)).toBeLessThan(2e-3);
    };

    const wasm = await useBackend('wasm');
    const onWasm = await trained();
    const expected = await scoreEncoder(onWasm.trainer.encoder, dataset);
    expect(onWasm.losses).toHaveLength(5);

    await useBackend(gpu as Backend);
    const onGpu = await trained();
    close(onGpu.losses, onWasm.losses);
    const actual = await scoreEncoder(onGpu.trainer.encoder, dataset);
    for (const [i, accuracy] of accuracies(actual).entries())
      expect(Math.abs(accuracy - accuracies(expected)[i]!)).toBeLessThanOrEqual(0.01);
    close([actual.collapse!.rankMe], [expected.collapse!.rankMe]);
    const fromWasm = await trained(onWasm.state!);
    close(fromWasm.losses, onWasm.losses.slice(middle));

    await useBackend(wasm);
    const fromGpu = await trained(onGpu.state!);
    close(fromGpu.losses, onWasm.losses.slice(middle));
    for (const { trainer } of [onWasm, onGpu, fromWasm, fromGpu]) trainer.dispose();
    wasm.dispose();
  }, 600_000);
});
