import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../engine/index.ts';
import { type MethodName, methodNamed, methods } from '../../../models/methods/index.ts';
import type { TrainingConfig } from '../../../models/train/config.ts';
import { type StepRecord, Trainer } from '../../../models/train/trainer.ts';
import { expectError } from '../support.ts';
import { smallConfig, stripedDataset } from './support.ts';

beforeAll(async () => {
  await useBackend('wasm', { threads: 1 });
});

const dataset = stripedDataset();
/** Other values than the defaults, of every method's live options. */
const others: Readonly<Record<string, number>> = {
  invariance: 3,
  variance: 7,
  covariance: 0.5,
  offDiagonal: 0.2,
  temperature: 2,
  teacherMomentum: 0.5,
};
const steerable = Object.keys(methods).filter((name) => methodNamed(name).live) as MethodName[];
const live = (method: MethodName): Record<string, number> =>
  Object.fromEntries(methodNamed(method).live!.map((name) => [name, others[name]!]));
const config = (given: Partial<TrainingConfig>): TrainingConfig => smallConfig({ widths: [24, 8], ...given });

async function take(trainer: Trainer, steps: number): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  for await (const record of trainer.run()) if (records.push(record) === steps) break;
  return records;
}

describe('a steered run', () => {
  it('is of the methods whose loss or schedules take numbers of the step', () => {
    expect(steerable).toEqual(['vicreg', 'barlow-twins', 'byol', 'simclr']);
  });

  it.each(steerable)('of %s has the losses of one with those options, once it is steered so', async (method) => {
    const steered = new Trainer(config({ method }), dataset, { steered: true });
    const { strength, learningRate, ...first } = steered.steering;
    expect({ strength, learningRate }).toEqual({ strength: 1, learningRate: steered.config.learningRate });
    expect(Object.keys(first)).toEqual(methodNamed(method).live);
    steered.steer({ learningRate: 1e-3, ...live(method) });
    const steps = await take(steered, 4);
    // At a constant rate, as steered ones are: the cosine has hardly begun to fall.
    const plain = new Trainer(config({ method, methodOptions: live(method), epochs: 100_000, warmup: 0, learningRate: 1e-3 }), dataset);
    const expected = await take(plain, 4);
    steps.forEach(({ loss }, i) => expect(loss).toBeCloseTo(expected[i]!.loss, 3));
    for (const trainer of [steered, plain]) trainer.dispose();
  });

  it('changes from the step on that comes next, and back, and resumes from a state to the bit', async () => {
    const [first, second] = [0, 1].map(() => new Trainer(config({}), dataset, { steered: true })) as [Trainer, Trainer];
    const [before] = await take(first, 1);
    first.steer({ variance: 0 });
    const [without] = await take(first, 1);
    expect(without!.loss).toBeCloseTo(25 * without!.parts['invariance']! + without!.parts['covariance']!, 3);
    const state = await first.state();
    first.steer({ variance: 25, strength: 0.5 });
    const rest = await take(first, 2);
    expect(before!.loss).toBeCloseTo(25 * before!.parts['invariance']! + 25 * before!.parts['variance']! + before!.parts['covariance']!, 3);
    second.restore(state);
    second.steer({ strength: 0.5 });
    expect(await take(second, 2)).toEqual(rest);
    for (const trainer of [first, second]) trainer.dispose();
  });

  it('learns nothing at a rate of 0, SimSiam’s predictor among it, and sees one image twice at a strength of 0', async () => {
    for (const method of ['vicreg', 'simsiam'] as const) {
      const trainer = new Trainer(config({ method, weightDecay: 0 }), dataset, { steered: true });
      expect(trainer.embedded).toEqual([]);
      trainer.steer({ learningRate: 0, strength: 0 });
      const weights = async () => Promise.all(trainer.learner.parameters().map((each) => each.data()));
      const before = await weights();
      await take(trainer, 2);
      expect(await weights()).toEqual(before);
      const [za, zb] = await Promise.all(trainer.embedded.map((each) => each.data()));
      expect(trainer.embedded.map(({ shape }) => shape)).toEqual([
        [16, 8],
        [16, 8],
      ]);
      // Bilinear sampling at the pixels themselves, but for the flips that are left out.
      za!.forEach((value, i) => expect(value).toBeCloseTo(zb![i]!, 3));
      trainer.dispose();
    }
  });

  it('refuses what it cannot be steered by', () => {
    const trainer = new Trainer(config({}), dataset, { steered: true });
    expectError(() => trainer.steer({ gamma: 1 }), 'argument', /no 'gamma'; there are learningRate, strength, invariance, variance/);
    expectError(() => trainer.steer({ variance: -1 }), 'argument', /variance must be a finite number ≥ 0/);
    expectError(() => trainer.steer({ strength: 2 }), 'argument', /strength must be from 0 to 1/);
    expectError(() => trainer.steer({ learningRate: NaN }), 'argument', /learningRate/);
    expect(trainer.steering['variance']).toBe(25);
    const plain = new Trainer(config({}), dataset);
    expect(plain.steering).toEqual({});
    expectError(() => plain.steer({ learningRate: 1 }), 'argument', /not steered; make it with \{ steered: true \}/);
    const cold = new Trainer(config({ method: 'simclr' }), dataset, { steered: true });
    expectError(() => cold.steer({ temperature: 0 }), 'argument', /temperature must be a number ≥ 0.001/);
    for (const each of [trainer, plain, cold]) each.dispose();
  });
});
