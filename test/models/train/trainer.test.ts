import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { memoryBytes } from '../../../engine/index.ts';
import type { ImageDataset } from '../../../models/data/images.ts';
import { methods } from '../../../models/methods/index.ts';
import { type TrainingConfig, trainingConfig } from '../../../models/train/config.ts';
import { diagnose } from '../../../models/train/monitor.ts';
import { initialEncoder, type StepRecord, Trainer } from '../../../models/train/trainer.ts';
import { expectError } from '../support.ts';

/** 64 images of 8×8 in four kinds: stripes of two directions and two widths, with noise. */
const dataset: ImageDataset = (() => {
  const [count, size] = [64, 8];
  const data = Uint8Array.from({ length: count * size * size }, (_, at) => {
    const [image, row, column] = [Math.floor(at / (size * size)), Math.floor(at / size) % size, at % size];
    const along = image % 2 === 0 ? row : column;
    return 200 * (Math.floor(along / (image % 4 < 2 ? 1 : 2)) % 2) + ((at * 7919) % 50);
  });
  return {
    name: 'stripes',
    train: { images: { dtype: 'u8', shape: [count, 1, size, size], data } },
    classes: [],
    mean: [0.48],
    deviation: [0.4],
  };
})();

const small = (given: Partial<TrainingConfig> = {}): TrainingConfig =>
  trainingConfig({ batchSize: 16, widths: [8, 8], epochs: 2, ...given });

/** Trains until `stop` steps are done. */
async function trained(trainer: Trainer, stop = trainer.steps): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  if (trainer.step >= stop) return records;
  for await (const record of trainer.run()) {
    records.push(record);
    if (record.step >= stop) break;
  }
  return records;
}

/** A digest of every slot's bits. */
async function bitsOf(trainer: Trainer): Promise<Record<string, string>> {
  const { tensors } = await trainer.state();
  return Object.fromEntries([...tensors].map(([name, { data }]) => [name, createHash('sha256').update(data).digest('hex')]));
}

describe('the trainer', () => {
  it('has the reference recipe for its defaults', () => {
    expect(trainingConfig()).toEqual({
      method: 'vicreg',
      methodOptions: {},
      encoder: 'small-conv',
      stem: 'cifar',
      widths: [256, 256, 256],
      augmentation: 'reference',
      epochs: 5,
      batchSize: 256,
      optimizer: 'adam',
      learningRate: 1e-3,
      weightDecay: 1e-6,
      warmup: 0.1,
      seed: 0,
    });
  });

  it('records every step: its place, the schedule, the loss with its parts, and how healthy the embedding is', async () => {
    const trainer = new Trainer(small({ epochs: 5 }), dataset);
    const records = await trained(trainer);
    expect(records.map(({ step, epoch }) => [step, epoch])).toEqual(Array.from({ length: 20 }, (_, i) => [i + 1, Math.floor(i / 4)]));
    // Two steps of warm-up, (i + 1)/2 of the rate; then half a cosine over the other 18.
    for (const [i, { learningRate }] of records.entries()) {
      expect(learningRate).toBeCloseTo(1e-3 * (i < 2 ? (i + 1) / 2 : 0.5 * (1 + Math.cos((Math.PI * (i - 2)) / 18))), 9);
    }
    for (const { loss, parts, deviation, normalizedDeviation, correlation } of records) {
      expect(Object.keys(parts)).toEqual(['invariance', 'variance', 'covariance']);
      expect(loss).toBeCloseTo(25 * parts['invariance']! + 25 * parts['variance']! + parts['covariance']!, 3);
      expect(deviation).toBeGreaterThan(0);
      expect(normalizedDeviation).toBeGreaterThan(0);
      expect(normalizedDeviation).toBeLessThanOrEqual(1.1);
      expect(correlation >= 0 && correlation <= 1).toBe(true);
    }
    expect(records.at(-1)!.loss).toBeLessThan(records[0]!.loss);
  });

  it('gives the same bits for the same seed, and others for another', async () => {
    const [first, again, other] = await Promise.all(
      [3, 3, 4].map(async (seed) => {
        const trainer = new Trainer(small({ seed }), dataset);
        return { records: await trained(trainer), bits: await bitsOf(trainer) };
      }),
    );
    expect(again).toEqual(first);
    expect(other!.records).not.toEqual(first!.records);
    expect(other!.bits['encoder.0.0.weight']).not.toBe(first!.bits['encoder.0.0.weight']);
  });

  it('goes on from any step with the bits of a run that was never stopped, for every method and optimiser', async () => {
    const cases = [
      { method: 'vicreg', optimizer: 'adam', stop: 3 },
      { method: 'barlow-twins', optimizer: 'lars', stop: 4 },
      { method: 'w-mse', optimizer: 'sgd', stop: 5, methodOptions: { subBatch: 16, epsilon: 0.01 } },
      { method: 'vicreg', optimizer: 'adamw', stop: 7 },
    ] as const;
    for (const { stop, ...given } of cases) {
      const config = small(given);
      const whole = new Trainer(config, dataset);
      const records = await trained(whole);
      const stopped = new Trainer(config, dataset);
      const before = await trained(stopped, stop);
      const state = await stopped.state();
      expect([state.step, state.epoch, state.batch]).toEqual([stop, Math.floor(stop / 4), stop % 4]);
      const resumed = new Trainer(config, dataset);
      resumed.restore(state);
      const after = await trained(resumed);
      expect([...before, ...after]).toEqual(records);
      expect(await bitsOf(resumed)).toEqual(await bitsOf(whole));
      for (const trainer of [whole, stopped, resumed]) trainer.dispose();
    }
  });

  it('takes no state of another configuration, and is not changed by it', async () => {
    const other = new Trainer(small({ widths: [8, 4] }), dataset);
    const trainer = new Trainer(small(), dataset);
    const before = await bitsOf(trainer);
    const state = await other.state();
    expectError(() => trainer.restore(state), 'format', /head\./);
    expectError(() => trainer.restore({ ...state, step: 9 }), 'format', /step 9, and the run has only 8/);
    expect(await bitsOf(trainer)).toEqual(before);
    expect(trainer.step).toBe(0);
  });

  it('trains with each method, and the encoder leaves where the untrained one was', async () => {
    for (const method of Object.keys(methods) as (keyof typeof methods)[]) {
      const trainer = new Trainer(
        small({ method, ...(method === 'w-mse' && { methodOptions: { subBatch: 16, epsilon: 0.01 } }) }),
        dataset,
      );
      const start = await initialEncoder(trainer.config, 1).stateDict();
      const before = await trainer.encoder.stateDict();
      const records = await trained(trainer);
      for (const { loss } of records) expect(Number.isFinite(loss)).toBe(true);
      const end = await trainer.encoder.stateDict();
      const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => Array.from(a).every((value, i) => value === b[i]);
      for (const [name, { data }] of start)
        expect([name, same(before.get(name)!.data, data), same(end.get(name)!.data, data)]).toEqual([name, true, false]);
    }
  });

  it('holds no more memory after a thousand steps than after three', async () => {
    const trainer = new Trainer(small({ epochs: 250 }), dataset);
    const bytes: number[] = [];
    for await (const { step } of trainer.run()) if (step >= 3) bytes.push(await memoryBytes());
    expect(bytes).toHaveLength(998);
    expect(Math.max(...bytes)).toBe(bytes[0]);
    trainer.dispose();
  }, 240_000);

  it('refuses settings that make no sense, naming each with what would be right', () => {
    const refused: readonly [Partial<TrainingConfig>, RegExp][] = [
      [{ batchSize: 1 }, /batchSize must be a whole number ≥ 2, got 1/],
      [{ epochs: 0 }, /epochs must be a whole number ≥ 1, got 0/],
      [{ learningRate: 0 }, /learningRate must be above 0/],
      [{ weightDecay: -1 }, /weightDecay must be ≥ 0/],
      [{ warmup: 2 }, /warmup .* from 0 to 1; got 2/],
      [{ seed: 0.5 }, /seed must be a whole number/],
      [{ widths: [] }, /widths must be whole numbers ≥ 1/],
      [{ methodOptions: { lambda: 1 } }, /there is no option 'lambda'/],
      [{ methodOptions: { variance: -1 } }, /variance must be/],
      [{ method: 'nothing' as 'vicreg' }, /there is no method 'nothing'; there are vicreg/],
      [{ encoder: 'resnet19' as 'resnet18' }, /there is no encoder 'resnet19'/],
    ];
    for (const [given, message] of refused) expectError(() => small(given), 'argument', message);
    expectError(() => new Trainer(small({ batchSize: 65 }), dataset), 'argument', /at most 64/);
  });
});

describe('the monitor', () => {
  it('says in plain words that a run without variance term collapses, and nothing of the kind of one with it', async () => {
    const [without, within] = await Promise.all(
      [0, 25].map(async (variance) => {
        const trainer = new Trainer(small({ methodOptions: { variance, covariance: 0 }, epochs: 20, learningRate: 3e-3 }), dataset);
        return (await trained(trainer)).at(-1)!;
      }),
    );
    expect(without!.deviation).toBeLessThan(0.1);
    expect(diagnose(without!)).toMatchObject({
      kind: 'collapsed',
      message: expect.stringMatching(/collapsed: every image maps to nearly the same point/),
    });
    expect(within!.deviation).toBeGreaterThan(0.3);
    expect(diagnose(within!)?.kind).not.toBe('collapsed');
  });

  it('tells divergence, collapse and redundancy apart from health', () => {
    const health = { loss: 1, deviation: 0.9, correlation: 0.05 };
    expect(diagnose(health)).toBeNull();
    expect(diagnose({ ...health, loss: NaN })?.kind).toBe('diverged');
    expect(diagnose({ ...health, deviation: 0.05, correlation: 0.9 })?.kind).toBe('collapsed');
    expect(diagnose({ ...health, correlation: 0.9 })?.kind).toBe('redundant');
  });
});
