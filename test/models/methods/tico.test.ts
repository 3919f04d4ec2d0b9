import { beforeAll, describe, expect, it } from 'vitest';
import { arange, grad, key, realize, type Tensor, tensor, uniform, useBackend } from '../../../engine/index.ts';
import { type Learner, methods, SmallConvNet, tico, ticoCovariance } from '../../../models/index.ts';
import { values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const options = { teacherMomentum: 0.9, covarianceMomentum: 0.75 };

function learner(): Learner {
  return methods.tico.learner({
    options,
    encoder: ({ key: own = 1 } = {}) => new SmallConvNet({ key: own }),
    widths: [16, 8],
    key: (part) => 100 + part,
    batchSize: 8,
    images: 64,
  });
}

const views = (seed: number): readonly Tensor[] => [0, 1].map((v) => uniform([8, 1, 6, 6], { key: seed + v }));
const at = { teacherMomentum: tensor(0.9) };

describe('a learner of TiCo', () => {
  it('keeps the covariance of its batches, which its next loss sees, and a teacher that has no gradient', async () => {
    const ours = learner();
    const slots = new Map(ours.namedSlots());
    const covariance = slots.get('covariance')!;
    expect(covariance.shape).toEqual([8, 8]);
    const learned = new Set(ours.learned().flatMap(({ parameters }) => parameters));
    expect([...slots].every(([name, slot]) => !name.startsWith('teacher') || !learned.has(slot as never))).toBe(true);
    let before = [...(await covariance.data())];
    expect(before.every((value) => value === 0)).toBe(true);
    for (const seed of [1, 11]) {
      const { loss, parts, embeddings, after } = ours.step({ views: views(seed), indices: arange(8), at, key: key(3) });
      const [za] = embeddings;
      const given = tensor({ dtype: 'f32', shape: [8, 8], data: Float32Array.from(before) });
      const expected = ticoCovariance(za!, given, 0.75);
      after!();
      const copy = za!.stopGradient();
      await realize(loss, copy, expected, ...Object.values(parts), covariance.value);
      const [kept, wanted, contrast, zc] = await values(covariance.value, expected, parts['contrast']!, copy);
      for (const [i, value] of kept!.entries()) expect(value).toBeCloseTo(wanted![i]!, 6);
      const z = tensor({ dtype: 'f32', shape: [8, 8], data: Float32Array.from(zc!) });
      const [again] = await values(tico(z, z, given, { covarianceMomentum: 0.75 }).contrast);
      expect(contrast![0]).toBeCloseTo(again![0]!, 5);
      before = [...kept!];
    }
    ours.dispose();
  });

  it('moves its teacher towards the student', async () => {
    const ours = learner();
    const slots = new Map(ours.namedSlots());
    const [student, teacher] = [slots.get('encoder.0.0.weight')!, slots.get('teacher_encoder.0.0.weight')!];
    const start = [...(await teacher.data())];
    expect([...(await student.data())]).toEqual(start);
    const { loss, after } = ours.step({ views: views(1), indices: arange(8), at, key: key(3) });
    const [gradient] = grad(loss, [student]);
    student.assign(student.value.sub(gradient!));
    after!();
    await realize(loss, student.value, teacher.value);
    const [now, moved] = [await student.data(), await teacher.data()];
    for (const [i, value] of moved.entries()) expect(value).toBeCloseTo(0.9 * start[i]! + 0.1 * now[i]!, 6);
    ours.dispose();
  });
});
