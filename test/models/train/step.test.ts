import { beforeAll, describe, expect, it } from 'vitest';
import { arange, type HostArray, key, useBackend } from '../../../engine/index.ts';
import type { MethodName } from '../../../models/methods/index.ts';
import type { Outcome } from '../../../models/methods/learner.ts';
import { covariance, variance } from '../../../models/regularizers/information.ts';
import type { TrainingConfig } from '../../../models/train/config.ts';
import { dashboard } from '../../../models/train/dashboard.ts';
import { inexactParts, partsOf, withTerms } from '../../../models/train/step.ts';
import { type StepRecord, Trainer } from '../../../models/train/trainer.ts';
import { expectClose, expectError, normalMatrix } from '../support.ts';
import { smallConfig, stripedDataset } from './support.ts';

const dataset = stripedDataset(64);

interface Ran {
  readonly records: readonly StepRecord[];
  readonly tensors: ReadonlyMap<string, HostArray>;
}

/** Some steps of a run, one that is saved and taken up by another trainer after `stop` of them. */
async function ran(given: Partial<TrainingConfig>, steps = 4, stop?: number): Promise<Ran> {
  const config = smallConfig(given);
  const records: StepRecord[] = [];
  let state: Awaited<ReturnType<Trainer['state']>> | null = null;
  for (const count of stop === undefined ? [steps] : [stop, steps - stop]) {
    const trainer = new Trainer(config, dataset);
    if (state) trainer.restore(state);
    let done = 0;
    for await (const record of trainer.run()) {
      records.push(record);
      if (++done === count) break;
    }
    state = await trainer.state();
    trainer.dispose();
  }
  return { records, tensors: state!.tensors };
}

describe('a step in parts', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 });
  });

  it('has the rows of the whole, in order, with the same views', async () => {
    await useBackend('cpu');
    const views = [normalMatrix(1, 6, 2), normalMatrix(2, 6, 2)];
    const parts = partsOf({ views, indices: arange(6), at: {}, key: key(1) }, 3);
    for (const [i, part] of parts.entries()) {
      await expectClose(part.indices, arange(6).narrow(0, 2 * i, 2));
      for (const v of [0, 1]) await expectClose(part.views[v]!, views[v]!.narrow(0, 2 * i, 2));
    }
    await useBackend('wasm', { threads: 1 });
  });

  it.each(['vicreg', 'simsiam', 'byol'] as const)('of %s goes on to the bit, and learns', async (method) => {
    const whole = await ran({ method, accumulate: 2 });
    expect(await ran({ method, accumulate: 2 }, 4, 2)).toEqual(whole);
    expect(whole.records.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    expect(whole.records).not.toEqual((await ran({ method })).records);
  });

  it('moves a teacher once', async () => {
    const teacher = async (accumulate: number): Promise<number> => {
      const { tensors } = await ran({ method: 'byol', methodOptions: { teacherMomentum: 0.5 }, accumulate, epochs: 1000 }, 1);
      const values = (name: string): number[] => [...tensors.get(name)!.data];
      const [student, kept] = [values('encoder.0.0.weight'), values('teacher_encoder.0.0.weight')];
      // After one step from equal weights both are (1 − τ) of the way apart, whatever the parts.
      return Math.hypot(...student.map((value, i) => value - kept[i]!));
    };
    const [one, two] = [await teacher(1), await teacher(2)];
    expect(Math.abs(two / one - 1)).toBeLessThan(0.2);
  });

  it('is the whole batch’s, but for rounding, where no sample sees another', async () => {
    const given = { method: 'moco', methodOptions: { queue: 16 }, encoder: 'small-vit', optimizer: 'sgd' } as const;
    const [one, two] = [await ran(given, 2), await ran({ ...given, accumulate: 2 }, 2)];
    for (const [i, { loss }] of one.records.entries()) expect(Math.abs(two.records[i]!.loss / loss - 1)).toBeLessThan(1e-5);
    for (const name of ['encoder.norm.weight', 'teacher_head.0.weight']) {
      const [expected, found] = [one.tensors.get(name)!.data, two.tensors.get(name)!.data];
      expect(found.length).toBe(expected.length);
      for (let i = 0; i < expected.length; i++) expect(Math.abs(found[i]! - expected[i]!)).toBeLessThan(1e-5);
    }
    expect(inexactParts(smallConfig({ ...given, accumulate: 2 }), new Trainer(smallConfig(given), dataset).learner)).toBeNull();
  });

  it('says whether that is the whole batch’s', () => {
    const said = (method: MethodName, more: Partial<TrainingConfig> = {}): string | null => {
      const config = smallConfig({ method, accumulate: 2, ...more });
      return inexactParts(config, new Trainer(config, dataset).learner);
    };
    expect(said('vicreg')).toMatch(/compares the samples/);
    expect(said('simsiam')).toMatch(/batch norm/);
    expect(said('simsiam', { addVariance: 1 })).toMatch(/compares the samples/);
    expect(said('vicreg', { accumulate: 1 })).toBeNull();
  });

  it('refuses parts that the batch does not have', () => {
    expectError(() => smallConfig({ accumulate: 3 }), 'argument', /divides the batch of 16 into parts of 2 at least, got 3/);
    expectError(() => smallConfig({ accumulate: 16 }), 'argument', /got 16/);
    expectError(() => smallConfig({ accumulate: 0 }), 'argument', /got 0/);
  });
});

describe('added terms', () => {
  it('are VICReg’s, of every view', async () => {
    await useBackend('cpu');
    const [za, zb] = [normalMatrix(1, 8, 3), normalMatrix(2, 8, 3)];
    const outcome: Outcome = { loss: za.sum(), parts: { own: zb.sum() }, embeddings: [za, zb] };
    const { loss, parts } = withTerms(outcome, { addVariance: 2, addCovariance: 3 });
    expect(Object.keys(parts)).toEqual(['own', 'addedVariance', 'addedCovariance']);
    await expectClose(parts['addedVariance']!, variance(za).add(variance(zb)).div(2));
    await expectClose(parts['addedCovariance']!, covariance(za).add(covariance(zb)));
    await expectClose(loss, za.sum().add(parts['addedVariance']!.mul(2)).add(parts['addedCovariance']!.mul(3)));
    expect(withTerms(outcome, { addVariance: 0, addCovariance: 0 }).loss).toBe(outcome.loss);
    await useBackend('wasm', { threads: 1 });
  });

  it.each(['simsiam', 'byol'] as const)('run with %s, are shown, and go on to the bit', async (method) => {
    const given = { method, addVariance: 1, addCovariance: 0.01 } as const;
    const whole = await ran(given);
    expect(await ran(given, 4, 1)).toEqual(whole);
    for (const { parts } of whole.records) expect(Object.keys(parts)).toEqual(['addedVariance', 'addedCovariance']);
    expect(whole.tensors).not.toEqual((await ran({ method })).tensors);
  });
});

describe('an online probe', () => {
  it('learns classes beside the encoder, without moving it, and goes on to the bit', async () => {
    const [without, whole] = [await ran({ epochs: 8 }, 32), await ran({ epochs: 8, probe: 'on' }, 32)];
    for (const [name, { data }] of without.tensors) expect(whole.tensors.get(name)!.data, name).toEqual(data);
    const accuracies = whole.records.map(({ probeAccuracy }) => probeAccuracy!);
    const last = accuracies.slice(-8);
    expect(last.reduce((sum, accuracy) => sum + accuracy, 0) / last.length).toBeGreaterThan(0.5);
    expect(await ran({ epochs: 8, probe: 'on' }, 32, 5)).toEqual(whole);
  });

  it('needs labels', () => {
    const unlabelled = { ...dataset, train: { images: dataset.train.images } };
    expectError(() => new Trainer(smallConfig({ probe: 'on' }), unlabelled), 'argument', /probe must be off for a data set without labels/);
  });
});

describe('a look at the features', () => {
  it('has every metric, is the same again, and changes nothing', async () => {
    const config = smallConfig();
    const trainer = new Trainer(config, dataset);
    const before = (await trainer.state()).tensors;
    const look = await dashboard(trainer.encoder, dataset, config);
    expect(await dashboard(trainer.encoder, dataset, config)).toEqual(look);
    expect((await trainer.state()).tensors).toEqual(before);
    const { spectrum, ...numbers } = look;
    for (const [name, value] of Object.entries(numbers)) expect(value, name).toSatisfy(Number.isFinite);
    expect(spectrum.length).toBe(64);
    expect(look.nearest).toBeGreaterThan(0.3);
    const unlabelled = { ...dataset, train: { images: dataset.train.images } };
    expect((await dashboard(trainer.encoder, unlabelled, config)).nearest).toBeNull();
    trainer.dispose();
  });
});
