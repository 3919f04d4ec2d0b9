import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { arange, compile, eye, grad, key, type Tensor, tensor, uniform, useBackend } from '../../../engine/index.ts';
import {
  dino,
  dinoCentre,
  type Learner,
  methods,
  SmallConvNet,
  Trainer,
  type TrainingConfig,
  trainingConfig,
} from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, f64, gaussian, normalMatrix, seeds, sizes, values } from '../support.ts';
import { stripedDataset } from '../train/support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const isEqual = (a: readonly number[], b: readonly number[]): boolean => a.every((value, i) => value === b[i]);

const crops = fc.record({ students: fc.integer({ min: 2, max: 4 }), teachers: fc.integer({ min: 1, max: 2 }) });

/** −Σ softmax((t − c)/τ_t)·log softmax(s/τ_s), over pairs of different crops and samples, as numbers. */
async function reference(students: readonly Tensor[], teachers: readonly Tensor[], centre: Tensor, temperature: number): Promise<number> {
  const softmax = (row: readonly number[]): number[] => {
    const powers = row.map((value) => Math.exp(value - Math.max(...row)));
    return powers.map((power) => power / powers.reduce((sum, other) => sum + other, 0));
  };
  const [s, t] = [await Promise.all(students.map((x) => x.array())), await Promise.all(teachers.map((x) => x.array()))] as [
    number[][][],
    number[][][],
  ];
  const c = (await centre.array()) as number[];
  let [total, terms] = [0, 0];
  for (const [i, target] of t.entries()) {
    for (const [j, output] of s.entries()) {
      if (i === j) continue;
      for (const [row, of] of target.entries()) {
        const q = softmax(of.map((value, k) => (value - c[k]!) / temperature));
        const p = softmax(output[row]!.map((value) => value / 0.1));
        total -= q.reduce((sum, value, k) => sum + value * Math.log(p[k]!), 0) / target.length;
      }
      terms++;
    }
  }
  return total / terms;
}

describe('dino', () => {
  it('is the mean cross-entropy over pairs of different crops', () =>
    property(
      [sizes([1, 5], [1, 6]), crops, seeds, fc.double({ min: 0.05, max: 1, noNaN: true })],
      async ({ n, d }, count, seed, teacherTemperature) => {
        const outputs = (many: number, from: number): Tensor[] =>
          Array.from({ length: many }, (_, i) => normalMatrix(seed + from + i, n, d).tanh());
        const [students, teachers, centre] = [
          outputs(count.students, 0),
          outputs(count.teachers, 9),
          f64(await normalMatrix(seed, 1, d).flatten().array()),
        ];
        const expected = await reference(students, teachers, centre, teacherTemperature);
        const value = await dino(students, teachers, centre, { teacherTemperature }).loss.item();
        expect(Math.abs(value - expected)).toBeLessThan(1e-10 * Math.max(1, expected));
        const scheduled = await dino(students, teachers, centre, { teacherTemperature: f64(teacherTemperature) }).loss.item();
        expect(Math.abs(scheduled - expected)).toBeLessThan(1e-10 * Math.max(1, expected));
      },
    ));

  it('has temperatures of .1 and .04, unless given', async () => {
    const [a, b] = [normalMatrix(1, 4, 3), normalMatrix(2, 4, 3)];
    const centre = f64([0.1, 0, -0.1]);
    const given = { studentTemperature: 0.1, teacherTemperature: 0.04 };
    expect(await dino([a, b], [a, b], centre).loss.item()).toBe(await dino([a, b], [a, b], centre, given).loss.item());
    await expectClose(dinoCentre(centre, [a, b]), dinoCentre(centre, [a, b], { momentum: 0.9 }), 0);
  });

  it('has the gradient of its value', () =>
    property([sizes([1, 5], [2, 6]), seeds], async ({ n, d }, seed) => {
      const [other, t1, t2] = [1, 2, 3].map((i) => normalMatrix(seed + i, n, d).tanh()) as [Tensor, Tensor, Tensor];
      const centre = normalMatrix(seed + 4, 1, d).flatten();
      await expectGradient((s) => dino([s.tanh(), other, other.neg()], [t1, t2], centre).loss, gaussian(seed, [n, d]), 1e-5, 1);
    }));

  it('gives a crop that has no pair no gradient', async () => {
    const [a, b] = [normalMatrix(1, 4, 3), normalMatrix(2, 4, 3)];
    const [first, second] = await values(...grad(dino([a, b], [a], f64([0, 0, 0])).loss, [a, b]));
    expect(first!.every((value) => value === 0)).toBe(true);
    expect(second!.some((value) => value !== 0)).toBe(true);
  });

  it('says what is wrong with its input', () => {
    const [z, centre] = [normalMatrix(0, 3, 4), f64([0, 0, 0, 0])];
    expectError(
      () => dino([z, normalMatrix(0, 3, 5)], [z], centre),
      'shape',
      /dino: the outputs must have one shape.*\[3, 4\] and \[3, 5\]/,
    );
    expectError(() => dino([z, z], [z], f64([0, 0])), 'shape', /the centre must be \[4\], got \[2\]/);
    expectError(() => dino([z], [z], centre), 'shape', /needs two crops that differ, got 1 of the student and 1 of the teacher/);
    expectError(() => dino([], [], centre), 'shape', /needs two crops/);
    expectError(() => dino([eye(4, 'i32')], [eye(4, 'i32')], centre), 'dtype', /floats/);
    expectError(() => dino([z, z], [z], centre, { teacherTemperature: 0 }), 'argument', /teacherTemperature must be .* ≥ 0\.001/);
    expectError(() => dino([z, z], [z], centre, { studentTemperature: 1e-4 }), 'argument', /studentTemperature must be .* ≥ 0\.001/);
    expectError(() => dinoCentre(centre, [z], { momentum: 2 }), 'argument', /momentum must be from 0 to 1/);
    expectError(() => dinoCentre(centre, []), 'argument', /one crop at least/);
  });
});

describe('its learner', () => {
  const learnerOf = (options: Readonly<Record<string, unknown>>, widths: readonly number[] = [8, 4, 6]): Learner =>
    methods.dino.learner({
      options,
      encoder: () => new SmallConvNet({ key: 1 }),
      widths,
      key: (part) => 100 + part,
      batchSize: 4,
      images: 8,
    });
  const at = { teacherTemperature: tensor(0.04), teacherMomentum: tensor(0.75), lastLayer: tensor(1) };
  const views = [6, 6, 4, 4].map((size, i) => uniform([4, 1, size, size], { key: i }));
  const stepping = (learner: Learner) =>
    compile(() => {
      const { loss, embeddings, ...outcome } = learner.step({ views, indices: arange(4), at, key: key(3) });
      outcome.after?.();
      return { loss, embedding: embeddings[0]! };
    });
  /** Three steps an epoch. */
  const trainerOf = (training: Partial<TrainingConfig>, options: TrainingConfig['methodOptions']): Trainer =>
    new Trainer(
      trainingConfig({
        method: 'dino',
        batchSize: 8,
        epochs: 2,
        ...training,
        methodOptions: { localCrops: 0, localSize: 4, ...options },
      }),
      stripedDataset(24, { size: 6 }),
    );
  const data = async (learner: Learner, name: string): Promise<number[]> => [...(await learner.stateDict()).get(name)!.data];

  it('takes crops of different sizes, and moves centre and teacher after the loss', async () => {
    const learner = learnerOf({});
    for (const [name, slot] of learner.namedSlots())
      if (name === 'head.last_layer') slot.set((await slot.data()).map((value) => value + 1));
    const [student, teacher] = [await data(learner, 'head.last_layer'), await data(learner, 'teacher_head.last_layer')];
    const run = stepping(learner);
    const { loss, embedding } = await run();
    expect(Number.isFinite(await loss.item())).toBe(true);
    // Cosines.
    expect(embedding.shape).toEqual([4, 6]);
    expect((await embedding.data()).every((value) => Math.abs(value) <= 1 + 1e-6)).toBe(true);
    const moved = await data(learner, 'teacher_head.last_layer');
    for (const [i, value] of moved.entries()) expect(value).toBeCloseTo(0.75 * teacher[i]! + 0.25 * student[i]!, 6);
    const centre = await data(learner, 'centre');
    expect(centre.some((value) => value !== 0)).toBe(true);
    // A tenth of a mean of cosines.
    expect(centre.every((value) => Math.abs(value) <= 0.1 + 1e-6)).toBe(true);
    run.dispose();
    learner.dispose();
  });

  it('leaves the centre at 0 without centring', async () => {
    const learner = learnerOf({ centring: 'off' });
    const run = stepping(learner);
    await run();
    expect((await data(learner, 'centre')).every((value) => value === 0)).toBe(true);
    run.dispose();
    learner.dispose();
  });

  it('leaves the last layer as it is while it is frozen, whatever decay pulls at it, and moves it from then on', async () => {
    const trainer = trainerOf({ widths: [8, 4, 6], weightDecay: 0.1 }, { headNorm: 'batch', frozenEpochs: 1 });
    const state = async (): Promise<(readonly [string, number[]])[]> =>
      [...(await trainer.state()).tensors].map(([name, { data }]) => [name, [...data]] as const);
    const first = new Map(await state());
    let step = 0;
    for await (const _ of trainer.run()) {
      step += 1;
      for (const [name, data] of (await state()).filter(([name]) => /^(head|optimizer.step)/.test(name))) {
        if (/last_layer|step.lastLayer/.test(name)) expect(isEqual(data, first.get(name)!), `${name} after step ${step}`).toBe(step <= 3);
        else if (/weight/.test(name)) expect(isEqual(data, first.get(name)!), name).toBe(false);
      }
    }
    expect(step).toBe(6);
    trainer.dispose();
  });

  it('scales all gradients down by their norm without that of the last layer while it is frozen', async () => {
    const trainer = trainerOf(
      { widths: [16, 8, 16], optimizer: 'sgd', momentum: 0, weightDecay: 0, clip: 0.1 },
      { headNorm: 'none', frozenEpochs: 1, clipEach: 0 },
    );
    const weights = async (): Promise<number[]> =>
      [...(await trainer.state()).tensors].flatMap(([name, { data }]) =>
        /^(encoder|head)/.test(name) && !/running|tracked/.test(name) ? [...data] : [],
      );
    const before = await weights();
    for await (const { learningRate } of trainer.run()) {
      const moved = Math.hypot(...(await weights()).map((value, i) => value - before[i]!));
      expect(Math.abs(moved / (0.1 * learningRate) - 1)).toBeLessThan(1e-3);
      break;
    }
    trainer.dispose();
  });

  it('scales the gradient of each parameter down by itself', async () => {
    const gradientsAt = (clipEach: number): Promise<Float64Array[]> => {
      const learner = learnerOf({ clipEach });
      const { loss, gradients } = learner.step({ views, indices: arange(4), at, key: key(3) });
      const parameters = learner.learned().flatMap((group) => group.parameters);
      return values(...grad(loss, parameters).map(gradients!));
    };
    const own = await gradientsAt(0);
    const lengths = own.map((gradient) => Math.hypot(...gradient));
    // Some are longer, and some are not.
    const most = Math.fround([...lengths].sort((a, b) => a - b)[lengths.length >> 1]!);
    const clipped = await gradientsAt(most);
    for (const [i, length] of lengths.entries()) {
      const factor = Math.min(1, most / (length + 1e-6));
      for (const [j, value] of clipped[i]!.entries()) expect(Math.abs(value - own[i]![j]! * factor)).toBeLessThan(1e-5 * length + 1e-12);
    }
  });

  it('has batch norms in its head on request', async () => {
    const norms = (options: Readonly<Record<string, unknown>>): number =>
      [...learnerOf(options).namedSlots()].filter(([name]) => /^head.*running_mean$/.test(name)).length;
    expect([norms({}), norms({ headNorm: 'batch' })]).toEqual([0, 1]);
  });

  it('has the schedules of the published code', () => {
    const course = { learningRate: 1, steps: 100, stepsPerEpoch: 10, batchSize: 16 };
    const published = methods.dino.schedules({}, course);
    expect([published['teacherTemperature']!(0), published['teacherTemperature']!(99)]).toEqual([0.04, 0.04]);
    expect(published['teacherMomentum']!(0)).toBeCloseTo(0.996, 12);
    expect(published['teacherMomentum']!(100)).toBe(1);
    expect([9, 10].map(published['lastLayer']!)).toEqual([0, 1]);
    const warm = methods.dino.schedules({ teacherTemperature: 0.07, temperatureWarmup: 0.3, frozenEpochs: 0 }, course);
    expect(warm['teacherTemperature']!(0)).toBeCloseTo(0.04, 12);
    expect(warm['teacherTemperature']!(15)).toBeCloseTo(0.055, 12);
    expect(warm['teacherTemperature']!(30)).toBe(0.07);
    expect(warm['lastLayer']!(0)).toBe(1);
  });

  it('makes small crops of the first view, beside the two large ones', () => {
    const large = { crop: { scale: [0.3, 1] }, flip: 0.5 } as const;
    const small = { crop: { scale: [0.05, 0.4] }, flip: 0.5, size: [12, 12] };
    expect(methods.dino.views([large, large], { localCrops: 2, localSize: 12 })).toEqual([large, large, small, small]);
    expect(methods.dino.views([large, large], { localCrops: 0 })).toEqual([large, large]);
  });

  it('refuses a head without a layer before its last', () => {
    expectError(() => learnerOf({}, [8]), 'argument', /DINO: the head needs the widths of a layer and of the output at least.*got 8/);
  });
});
