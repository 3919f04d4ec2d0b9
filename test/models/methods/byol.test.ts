import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { arange, compile, grad, key, type Tensor, tensor, uniform, useBackend } from '../../../engine/index.ts';
import { byol, methods, SmallConvNet, simsiam } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { normalMatrix } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

describe('byol', () => {
  it('is the sum over both directions of 2 − 2·cos, in [0, 4] each: 4 more than four times SimSiam’s', () =>
    property(
      [fc.record({ seed: fc.nat(1000), n: fc.integer({ min: 2, max: 9 }), d: fc.integer({ min: 1, max: 6 }) })],
      async ({ seed, n, d }) => {
        const [p1, p2, z1, z2] = [0, 1, 2, 3].map((i) => normalMatrix(4 * seed + i, n, d)) as [Tensor, Tensor, Tensor, Tensor];
        const value = await byol([p1, p2], [z1, z2]).loss.item();
        expect(value).toBeGreaterThanOrEqual(-1e-12);
        expect(value).toBeLessThanOrEqual(8 + 1e-12);
        expect(Math.abs(value - 4 - 4 * (await simsiam([p1, p2], [z1, z2]).loss.item()))).toBeLessThan(1e-11);
      },
    ));

  it('lets no gradient into the teacher', async () => {
    const [p1, p2, z1, z2] = [1, 2, 3, 4].map((seed) => normalMatrix(seed, 5, 3)) as [Tensor, Tensor, Tensor, Tensor];
    expect(
      await grad(byol([p1, p2], [z1, z2]).loss, [z1])[0]!
        .abs()
        .sum()
        .item(),
    ).toBe(0);
  });

  it('moves its teacher as the closed form says while the student stands still: ξ_k − θ = Πτ_t·(ξ_0 − θ)', async () => {
    const steps = 7;
    const learner = methods.byol.learner({
      options: { teacherMomentum: 0.8 },
      encoder: () => new SmallConvNet({ key: 1 }),
      widths: [8, 4],
      key: (part) => 100 + part,
      batchSize: 4,
      images: 8,
    });
    const schedule = methods.byol.schedules({ teacherMomentum: 0.8 }, { learningRate: 0.1, steps, stepsPerEpoch: steps, batchSize: 4 })[
      'teacherMomentum'
    ]!;
    const state = async (): Promise<Map<string, number[]>> =>
      new Map([...(await learner.stateDict())].map(([name, { data }]) => [name, [...data]]));
    const start = await state();
    const names = [...start.keys()].filter((name) => /^(encoder|head)\..*(weight|bias)$/.test(name));
    const teachers = names.map((name) => `teacher_${name}`);
    for (const [i, name] of names.entries()) expect(start.get(teachers[i]!)).toEqual(start.get(name));
    // The teacher begins as the student: here the student has moved before it stands still.
    for (const [name, slot] of learner.namedSlots())
      if (names.includes(name)) slot.set(Float32Array.from(start.get(name)!, (value) => value + 1));
    const step = compile((momentum: Tensor) => {
      const { loss, after } = learner.step({
        views: [1, 2].map((seed) => uniform([4, 1, 6, 6], { key: seed })),
        indices: arange(4),
        at: { teacherMomentum: momentum },
        key: key(3),
      });
      after?.();
      return loss;
    });
    let kept = 1;
    for (let t = 0; t < steps; t++) {
      await step(tensor(schedule(t)));
      kept *= schedule(t);
    }
    const end = await state();
    for (const name of teachers) {
      const student = name.replace('teacher_', '');
      for (const [i, value] of end.get(name)!.entries()) {
        const [from, to] = [start.get(name)![i]!, end.get(student)![i]!];
        expect(Math.abs(value - (to + kept * (from - to)))).toBeLessThan(2e-6);
      }
    }
    expect(schedule(0)).toBeCloseTo(0.8, 12);
    expect(schedule(steps)).toBe(1);
    step.dispose();
    learner.dispose();
  });
});
