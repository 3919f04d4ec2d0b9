import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, grad, type Tensor, useBackend, zeros } from '../../../engine/index.ts';
import { functional, type SwAVOptions, sinkhorn, swav, Trainer, type TrainingConfig, trainingConfig } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, values } from '../support.ts';
import { stripedDataset } from '../train/support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const { normalize } = functional;
const drawn = [
  fc.record({
    n: fc.integer({ min: 2, max: 6 }),
    d: fc.integer({ min: 2, max: 4 }),
    k: fc.integer({ min: 1, max: 5 }),
    crops: fc.integer({ min: 2, max: 4 }),
  }),
  seeds,
  fc.record({
    temperature: fc.double({ min: 0.1, max: 2, noNaN: true }),
    epsilon: fc.double({ min: 0.05, max: 1, noNaN: true }),
    iterations: fc.integer({ min: 0, max: 3 }),
    assigning: fc.constantFrom(1, 2),
  }),
] as const;

const viewsOf = (seed: number, crops: number, n: number, d: number): Tensor[] =>
  Array.from({ length: crops }, (_, i) => normalMatrix(seed + i, n, d));
const prototypesOf = (seed: number, k: number, d: number): Tensor => normalMatrix(seed + 97, k, d);
const scale = (seed: number, n: number): Tensor => normalMatrix(seed, n, 1).exp();

describe('swav', () => {
  it('is as written: every other view predicts the assignment of each that assigns', () =>
    property([...drawn], async ({ n, d, k, crops }, seed, given) => {
      const [views, prototypes] = [viewsOf(seed, crops, n, d), prototypesOf(seed, k, d)];
      const scores = views.map((view) => normalize(view).matmul(normalize(prototypes).transpose()));
      const [p, q] = [
        scores.map((own) => own.div(given.temperature).softmax(1)),
        scores.map((own) => sinkhorn(own, { epsilon: given.epsilon, iterations: given.iterations })),
      ];
      const [predicted, assigned] = [await values(...p), await values(...q)];
      let total = 0;
      for (let i = 0; i < given.assigning; i++)
        for (let v = 0; v < crops; v++)
          if (v !== i)
            for (let at = 0; at < n * k; at++)
              total -= (assigned[i]![at]! * Math.log(predicted[v]![at]!)) / n / (crops - 1) / given.assigning;
      expect(Math.abs((await swav(views, prototypes, given).loss.item()) - total)).toBeLessThan(1e-11 * Math.max(1, total));
    }));

  it('has the gradient of its value, and of prototypes that of their directions', () =>
    property([drawn[0], seeds], async ({ n, d, k, crops }, seed) => {
      const [views, prototypes] = [viewsOf(seed, crops, n, d), prototypesOf(seed, k, d)];
      // An assignment is a constant: it is that of the second view here, which stays.
      const loss = (z: Tensor, c: Tensor): Tensor => {
        const q = sinkhorn(normalize(views[1]!).matmul(normalize(prototypes).transpose()));
        return q.mul(normalize(z).matmul(c.transpose()).div(0.1).logSoftmax(1)).sum(1).mean().neg();
      };
      const { loss: own } = swav([views[1]!, views[0]!], prototypes, { assigning: 1 });
      const unit = normalize(prototypes);
      const [first, second] = [grad(own, [views[0]!, prototypes]), grad(loss(views[0]!, unit), [views[0]!, unit])];
      await expectClose(first[0]!, second[0]!, 1e-10, 1e-6);
      await expectClose(first[1]!.mul(prototypes.norm(-1, true)), second[1]!, 1e-10, 1e-6);
      await expectGradient((z) => loss(z, unit), gaussian(seed, [n, d]), 1e-4, 1);
    }));

  it('does not change with lengths, a joint order, a joint rotation, the order of prototypes, and the exchange of both views', () =>
    property([...drawn], async ({ n, d, k }, seed, given) => {
      const [[a, b], prototypes] = [viewsOf(seed, 2, n, d) as [Tensor, Tensor], prototypesOf(seed, k, d)];
      const { loss } = swav([a, b], prototypes, given);
      const same = async (views: readonly Tensor[], other: Tensor, options: SwAVOptions = given): Promise<void> =>
        expectClose(swav(views, other, options).loss, loss, 1e-10, 1);
      await same([a.mul(scale(seed + 5, n)), b.mul(scale(seed + 6, n))], prototypes.mul(scale(seed + 7, k)));
      await same([a.flip(0), b.flip(0)], prototypes.flip(0));
      const rotation = orthogonal(seed + 8, d);
      await same([a.matmul(rotation), b.matmul(rotation)], prototypes.matmul(rotation));
      const both = { ...given, assigning: 2 };
      await expectClose(swav([b, a], prototypes, both).loss, swav([a, b], prototypes, both).loss, 1e-12, 1);
    }));

  it('is at least ln K where all samples are one, since then the assignment is uniform', () =>
    property([...drawn], async ({ n, d, k, crops }, seed, { iterations, ...given }) => {
      const one = normalMatrix(seed, 1, d).expand([n, d]);
      const options = { ...given, iterations: 1 + iterations };
      const views = Array.from({ length: crops }, () => one);
      expect(await swav(views, prototypesOf(seed, k, d), options).loss.item()).toBeGreaterThanOrEqual(Math.log(k) - 1e-12);
      // And that, where all prototypes are one, too: without gradient.
      const prototypes = prototypesOf(seed, 1, d).expand([k, d]);
      const z = one.add(zeros([n, d], 'f64'));
      const { loss } = swav([z, one], prototypes, options);
      expect(Math.abs((await loss.item()) - Math.log(k))).toBeLessThan(1e-12);
      await expectClose(grad(loss, [z])[0]!, zeros([n, d], 'f64'), 1e-12, 1);
    }));

  it('assigns the same with a queue of copies of the batch, and lets no gradient into the queue', () =>
    property([...drawn], async ({ n, d, k, crops }, seed, given) => {
      const [views, prototypes] = [viewsOf(seed, crops, n, d), prototypesOf(seed, k, d)];
      const copies = views.slice(0, given.assigning).map((view) => concat([view, view]));
      await expectClose(swav(views, prototypes, { ...given, queues: copies }).loss, swav(views, prototypes, given).loss, 1e-10, 1);
      const queues = viewsOf(seed + 11, given.assigning, 3, d);
      for (const gradient of await values(...grad(swav(views, prototypes, { ...given, queues }).loss, queues)))
        expect(gradient.every((value) => value === 0)).toBe(true);
    }));

  it('changes with a queue of other embeddings', async () => {
    const [views, prototypes] = [viewsOf(1, 2, 6, 4), prototypesOf(1, 5, 4)];
    const queues = views.map((view) => view.neg());
    const [without, and] = await values(swav(views, prototypes).loss, swav(views, prototypes, { queues }).loss);
    expect(Math.abs(without![0]! - and![0]!)).toBeGreaterThan(1e-3);
  });

  it('is as published, unless told otherwise', async () => {
    const [views, prototypes] = [viewsOf(1, 3, 6, 4), prototypesOf(1, 5, 4)];
    const published = { temperature: 0.1, epsilon: 0.05, iterations: 3, assigning: 2 };
    await expectClose(swav(views, prototypes).loss, swav(views, prototypes, published).loss, 0);
  });

  it('says what is wrong with its input', () => {
    const [views, prototypes] = [viewsOf(1, 2, 6, 4), prototypesOf(1, 5, 4)];
    expectError(() => swav([views[0]!], prototypes), 'argument', /2 views or more, got 1/);
    expectError(() => swav([views[0]!, normalMatrix(1, 5, 4)], prototypes), 'shape', /one shape/);
    expectError(() => swav(viewsOf(1, 2, 1, 4), prototypes), 'shape', /at least 2 samples/);
    expectError(() => swav(views, prototypesOf(1, 5, 3)), 'shape', /prototypes must be \[number, 4\].*\[5, 3\]/);
    expectError(() => swav(views, prototypes.cast('f32')), 'dtype', /one type, got f64 and f32/);
    expectError(() => swav(views, prototypes, { temperature: 0 }), 'argument', /temperature must be .* ≥ 0\.001/);
    expectError(() => swav(views, prototypes, { epsilon: 0 }), 'argument', /epsilon must be .* ≥ 0\.001/);
    for (const assigning of [0, 3, 1.5])
      expectError(() => swav(views, prototypes, { assigning }), 'argument', /assigning must be a whole number from 1 to 2/);
    expectError(() => swav(views, prototypes, { queues: viewsOf(1, 3, 2, 4) }), 'argument', /one for each of the 2 assigning views.*got 3/);
    expectError(() => swav(views, prototypes, { queues: viewsOf(1, 2, 2, 3) }), 'shape', /queues: prototypes must be \[number, 3\]/);
    expectError(() => swav(views, prototypes, { queues: viewsOf(1, 2, 2, 4).map((z) => z.cast('f32')) }), 'dtype', /one type/);
  });
});

/** The slots of a small run after each step, by name. */
async function statesOf(given: Partial<TrainingConfig>): Promise<Map<string, number[]>[]> {
  const trainer = new Trainer(
    trainingConfig({ method: 'swav', batchSize: 8, widths: [8, 4], epochs: 2, ...given }),
    stripedDataset(24, { size: 6 }),
  );
  const states: Map<string, number[]>[] = [];
  const note = async (): Promise<void> => {
    const { tensors } = await trainer.state();
    states.push(new Map([...tensors].map(([name, { data }]) => [name, [...data]])));
  };
  await note();
  for await (const _ of trainer.run()) await note();
  trainer.dispose();
  return states;
}

const lengths = (values: readonly number[], width: number): number[] =>
  Array.from({ length: values.length / width }, (_, row) => Math.hypot(...values.slice(row * width, (row + 1) * width)));

describe('the learner of swav', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 });
  });

  it('keeps its prototypes at length 1, and where they are for the first steps, whatever decay pulls at them', async () => {
    const states = await statesOf({ weightDecay: 0.1, methodOptions: { prototypes: 5, freezePrototypes: 3 } });
    const prototypes = states.map((state) => state.get('prototypes')!);
    for (const [step, values] of prototypes.entries()) {
      for (const length of lengths(values, 4)) expect(Math.abs(length - 1)).toBeLessThan(1e-6);
      const moved = Math.max(...values.map((value, i) => Math.abs(value - prototypes[0]![i]!)));
      if (step <= 3) expect(moved).toBeLessThan(1e-6);
      else expect(moved).toBeGreaterThan(1e-5);
    }
  });

  it('has the last embeddings of each view in its queues, in whole batches, of length 1', async () => {
    const states = await statesOf({ methodOptions: { prototypes: 5, queue: 20, queueStart: 1 } });
    const rows = (step: number, view: number, from: number): number[] =>
      states[step]!.get(`queues.${view}`)!.slice(4 * from, 4 * from + 32);
    for (const view of [0, 1]) expect([rows(0, view, 0), rows(0, view, 8)]).toEqual([Array(32).fill(0), Array(32).fill(0)]);
    for (let step = 1; step < states.length; step++) {
      // By turns one half is new, and the other stays.
      const [fresh, kept] = step % 2 === 1 ? [0, 8] : [8, 0];
      for (const view of [0, 1]) {
        expect(rows(step, view, kept!)).toEqual(rows(step - 1, view, kept!));
        for (const length of lengths(rows(step, view, fresh!), 4)) expect(Math.abs(length - 1)).toBeLessThan(1e-6);
      }
      expect(rows(step, 0, fresh!)).not.toEqual(rows(step, 1, fresh!));
      expect(rows(step, 0, fresh!)).not.toEqual(rows(step - 1, 0, fresh!));
    }
  });

  it('trains the same with a queue that is not used yet as without', async () => {
    const [without, unused] = [
      await statesOf({ methodOptions: { prototypes: 5 } }),
      await statesOf({ methodOptions: { prototypes: 5, queue: 16, queueStart: 9 } }),
    ];
    for (const name of ['prototypes', 'encoder.0.0.weight']) {
      const [a, b] = [without.at(-1)!.get(name)!, unused.at(-1)!.get(name)!];
      expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))).toBeLessThan(1e-3);
    }
  });

  it('refuses a queue that holds no batch', () => {
    const dataset = stripedDataset(24, { size: 6 });
    const config = trainingConfig({ method: 'swav', batchSize: 8, methodOptions: { queue: 7 } });
    expectError(() => new Trainer(config, dataset), 'argument', /queue of 7 does not hold a batch of 8/);
  });
});
