import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { grad, realize, slot, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { byol, dino, dinoCentre, moco, moveAverage, simclr, simsiam, vicreg } from '../../../models/index.ts';
import { gpu } from '../../engine/backends/webgpu/gpu.ts';
import { fewDraws, property } from '../../support/property.ts';
import { atEachPrecision, converted, type Precision } from '../recorded.ts';
import { expectClose, gaussian, seeds, sizes, values } from '../support.ts';

/** What follows from the formulas of the losses of two views, wherever they run. */
const invariants = ({ dtype, tolerance, holds }: Pick<Precision, 'dtype' | 'tolerance'> & { readonly holds: typeof property }): void => {
  const drawn = (seed: number, ...shape: number[]): Tensor => tensor(converted(gaussian(seed, shape), dtype));
  const temperatures = fc.constantFrom(0.07, 0.2, 0.5, 2);
  const shapes = sizes([2, 7], [2, 5]);
  const queues = fc.constantFrom(1, 3, 16);
  const oneRow = (seed: number, n: number, d: number): Tensor => drawn(seed, 1, d).expand([n, d]);
  const item = async (x: Tensor): Promise<number> => (await values(x))[0]![0]!;
  const expectWithin = async (x: Tensor, least: number, most: number, scale = 1): Promise<void> => {
    const value = await item(x);
    expect(value).toBeGreaterThanOrEqual(least - tolerance * scale);
    expect(value).toBeLessThanOrEqual(most + tolerance * scale);
  };

  it('collapse costs SimCLR ln(2n − 1) and MoCo ln(K + 1), whatever the temperature', () =>
    holds([shapes, seeds, temperatures, queues], async ({ n, d }, seed, temperature, K) => {
      const z = oneRow(seed, n, d);
      const [contrast, queued] = [simclr(z, z, { temperature }).loss, moco(z, z, oneRow(seed, K, d), { temperature }).loss];
      const scale = 1 + 1 / temperature;
      await expectWithin(contrast, Math.log(2 * n - 1), Math.log(2 * n - 1), scale);
      await expectWithin(queued, Math.log(K + 1), Math.log(K + 1), scale);
    }));

  it('SimCLR lies within ln(1 + (2n − 2)·e^(∓2/τ)), MoCo within ln(1 + K·e^(∓2/τ))', () =>
    holds([shapes, seeds, temperatures, queues], async ({ n, d }, seed, temperature, K) => {
      const [za, zb, queue] = [drawn(seed, n, d), drawn(seed + 1, n, d), drawn(seed + 2, K, d)];
      const bound = (others: number, sign: number): number => Math.log1p(others * Math.exp((sign * 2) / temperature));
      const scale = 1 + 1 / temperature;
      await expectWithin(simclr(za, zb, { temperature }).loss, bound(2 * n - 2, -1), bound(2 * n - 2, 1), scale);
      await expectWithin(moco(za, zb, queue, { temperature }).loss, bound(K, -1), bound(K, 1), scale);
      // Keys that agree with their queries, and are opposite to the queue.
      const [point, opposite] = [oneRow(seed, n, d), oneRow(seed, K, d).neg()];
      await expectWithin(moco(point, point, opposite, { temperature }).loss, bound(K, -1), bound(K, -1), scale);
    }));

  it('collapse to a point costs VICReg 24.75, and moving all of a view changes neither its variance nor its covariance', () =>
    holds([shapes, seeds], async ({ n, d }, seed) => {
      const point = oneRow(seed, n, d).mul(0.25);
      await expectWithin(vicreg(point, point).loss, 24.75, 24.75, 25);
      const [a, b] = [drawn(seed, n, d), drawn(seed + 1, n, d)];
      for (const part of ['variance', 'covariance'] as const) {
        const [gradient] = grad(vicreg(a, b)[part], [a]);
        await expectClose(gradient!.sum(0), zeros([d], dtype), tolerance, 10);
      }
    }));

  it('no loss of directions pulls along a row', () =>
    holds([shapes, seeds, queues], async ({ n, d }, seed, K) => {
      const [a, b, c, e] = [0, 1, 2, 3].map((i) => drawn(seed + i, n, d)) as [Tensor, Tensor, Tensor, Tensor];
      const losses = [
        simclr(a, b, { temperature: 0.2 }).loss,
        moco(a, b, drawn(seed + 4, K, d)).loss,
        byol([a, b], [c, e]).loss,
        simsiam([a, b], [c, e]).loss,
      ];
      for (const loss of losses) {
        const [gradient] = grad(loss, [a]);
        // Against the length of the gradient of a row of length 1, which is at most 4/τ.
        await expectClose(gradient!.mul(a).sum(-1), zeros([n], dtype), tolerance, 4 / 0.2);
      }
    }));

  it('BYOL lies within [0, 4] in each direction, SimSiam within [−1, 1], and agreement is the least of both', () =>
    holds([shapes, seeds], async ({ n, d }, seed) => {
      const [p1, p2, z1, z2] = [0, 1, 2, 3].map((i) => drawn(seed + i, n, d)) as [Tensor, Tensor, Tensor, Tensor];
      await expectWithin(byol([p1, p2], [z1, z2]).loss, 0, 8, 8);
      await expectWithin(simsiam([p1, p2], [z1, z2]).loss, -1, 1);
      await expectWithin(byol([p1, p2], [p2, p1]).loss, 0, 0);
      await expectWithin(byol([p1, p2], [p2.neg(), p1]).loss, 4, 4, 4);
      await expectWithin(byol([p1, p2], [p2.neg(), p1.neg()]).loss, 8, 8, 8);
      await expectWithin(simsiam([p1, p2], [p2.mul(3), p1.mul(0.1)]).loss, -1, -1);
    }));

  it('what the methods hold constant gets no gradient', () =>
    holds([shapes, seeds], async ({ n, d }, seed) => {
      const [a, b, c, e] = [0, 1, 2, 3].map((i) => drawn(seed + i, n, d)) as [Tensor, Tensor, Tensor, Tensor];
      const centre = drawn(seed + 4, d);
      const constants = [
        ...grad(moco(a, b, c).loss, [b, c]),
        ...grad(byol([a, b], [c, e]).loss, [c, e]),
        ...grad(simsiam([a, b], [c, e]).loss, [c, e]),
        ...grad(dino([a, b], [c, e], centre).loss, [c, e, centre]),
      ];
      for (const gradient of await values(...constants)) expect(gradient.every((value) => value === 0)).toBe(true);
    }));

  it('DINO is at least the entropy of the teacher’s distributions, which a student that says the same reaches; uniform, it is ln d', () =>
    holds([shapes, seeds, fc.constantFrom(0.04, 0.07, 0.5)], async ({ n, d }, seed, teacherTemperature) => {
      const [t1, t2, s1, s2] = [0, 1, 2, 3].map((i) => drawn(seed + i, n, d).tanh()) as [Tensor, Tensor, Tensor, Tensor];
      const centre = drawn(seed + 4, d).tanh();
      const logits = [t1, t2].map((t) => t.sub(centre).div(teacherTemperature)) as [Tensor, Tensor];
      const entropies = logits.map((x) => x.softmax(-1).mul(x.logSoftmax(-1)).sum(-1).mean().neg());
      const least = await item(entropies[0]!.add(entropies[1]!).div(2));
      const scale = 4 / teacherTemperature;
      await expectWithin(dino([s1, s2], [t1, t2], centre, { teacherTemperature }).loss, least, Infinity, scale);
      const same = [logits[1].mul(0.1), logits[0].mul(0.1)];
      await expectWithin(dino(same, [t1, t2], centre, { teacherTemperature }).loss, least, least, scale);
      const flat = [zeros([n, d], dtype), zeros([n, d], dtype)];
      await expectWithin(dino(flat, [t1, t2], centre, { teacherTemperature }).loss, Math.log(d), Math.log(d));
    }));

  it('DINO does not see a shift of the student’s outputs, nor one of the teacher’s that its centre takes part in; and the centre moves by what its outputs move', () =>
    holds([shapes, seeds, fc.double({ min: 0, max: 1, noNaN: true })], async ({ n, d }, seed, momentum) => {
      const [t1, t2, s1, s2] = [0, 1, 2, 3].map((i) => drawn(seed + i, n, d)) as [Tensor, Tensor, Tensor, Tensor];
      const [centre, shift, rows] = [drawn(seed + 4, d), drawn(seed + 5, d), drawn(seed + 6, n, 1)];
      const loss = (students: readonly Tensor[], teachers: readonly Tensor[], c: Tensor): Tensor =>
        dino(students, teachers, c, { teacherTemperature: 0.5 }).loss;
      const moved = [t1.add(shift), t2.add(shift)];
      await expectClose(loss([s1.add(rows), s2], moved, centre.add(shift)), loss([s1, s2], [t1, t2], centre), 10 * tolerance, 10);
      const [before, after] = [dinoCentre(centre, [t1, t2], { momentum }), dinoCentre(centre, moved, { momentum })];
      await expectClose(after.sub(before), shift.mul(1 - momentum), tolerance, 10);
    }));

  it('an average moves nearer by τ each time: ‖ξ_t − θ‖ = τ^t·‖ξ_0 − θ‖', () =>
    holds(
      [shapes, seeds, fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 5 })],
      async ({ n, d }, seed, momentum, times) => {
        const [from, to] = [gaussian(seed, [n, d]), gaussian(seed + 1, [n, d])].map((array) => converted(array, dtype));
        const [target, source] = [slot(from!), slot(to!)];
        for (let t = 0; t < times; t++) moveAverage([target], [source], momentum);
        await realize();
        const distance = tensor(from!)
          .sub(tensor(to!))
          .norm()
          .mul(momentum ** times);
        await expectClose(
          tensor(await target.toHost())
            .sub(tensor(to!))
            .norm(),
          distance,
          tolerance,
          1,
        );
      },
    ));
};

atEachPrecision((precision) => invariants({ ...precision, holds: property }));

describe.runIf(gpu)('on webgpu in f32', () => {
  beforeAll(async () => {
    await useBackend(gpu!);
  });
  // Each draw has shapes, and so shaders, of its own.
  invariants({ dtype: 'f32', tolerance: 1e-5, holds: (arbitraries, predicate) => fewDraws(1, arbitraries, predicate) });
});
