import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, grad, type HostArray, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { deepCluster, functional, Trainer, trainingConfig } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, values } from '../support.ts';
import { stripedDataset } from '../train/support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const { normalize } = functional;
const drawn = [
  fc.record({ n: fc.integer({ min: 1, max: 7 }), d: fc.integer({ min: 2, max: 4 }), k: fc.integer({ min: 1, max: 5 }) }),
  seeds,
  fc.double({ min: 0.05, max: 2, noNaN: true }),
] as const;

/** An assignment for each sample; the first has one, every third of the others none. */
const assignmentsOf = (seed: number, n: number, k: number): Tensor =>
  tensor(Int32Array.from({ length: n }, (_, i) => (i % 3 === 1 ? -100 : (seed + 7 * i) % k)));

describe('deepCluster', () => {
  it('is as written: −ln of the softmax of cosines over τ, mean over the samples that are assigned', () =>
    property([...drawn], async ({ n, d, k }, seed, temperature) => {
      const [z, prototypes, assignments] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, k, d), assignmentsOf(seed, n, k)];
      const [p] = await values(normalize(z).matmul(normalize(prototypes).transpose()).div(temperature).softmax(1));
      const terms = Array.from(await assignments.data()).flatMap((cluster, i) => (cluster < 0 ? [] : [-Math.log(p![i * k + cluster]!)]));
      const expected = terms.reduce((sum, term) => sum + term, 0) / terms.length;
      const value = await deepCluster(z, prototypes, assignments, { temperature }).loss.item();
      expect(Math.abs(value - expected)).toBeLessThan(1e-11 * Math.max(1, expected));
    }));

  it('has the gradient of its value, none for a sample without assignment, and for each other one across it', () =>
    property([...drawn], async ({ n, d, k }, seed, temperature) => {
      const [prototypes, assignments] = [normalMatrix(seed + 1, k, d), assignmentsOf(seed, n, k)];
      const loss = (z: Tensor): Tensor => deepCluster(z, prototypes, assignments, { temperature }).loss;
      const z = normalMatrix(seed, n, d);
      const [gradient] = grad(loss(z), [z]);
      await expectClose(gradient!.mul(z).sum(1), zeros([n], 'f64'), 1e-11, 1 / temperature);
      const rows = (await gradient!.array()) as number[][];
      for (let i = 1; i < n; i += 3) expect(rows[i]).toEqual(Array(d).fill(0));
      await expectGradient(loss, gaussian(seed, [n, d]), 1e-4, 1);
    }));

  it('does not change with lengths, a joint rotation, and the names of clusters', () =>
    property([...drawn], async ({ n, d, k }, seed, temperature) => {
      const [z, prototypes, assignments] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, k, d), assignmentsOf(seed, n, k)];
      const { loss } = deepCluster(z, prototypes, assignments, { temperature });
      const same = async (...args: readonly [Tensor, Tensor, Tensor]): Promise<void> =>
        expectClose(deepCluster(...args, { temperature }).loss, loss, 1e-11, 1);
      await same(z.mul(normalMatrix(seed + 2, n, 1).exp()), prototypes.mul(normalMatrix(seed + 3, k, 1).exp()), assignments);
      const rotation = orthogonal(seed + 4, d);
      await same(z.matmul(rotation), prototypes.matmul(rotation), assignments);
      await same(z, prototypes.flip(0), assignments.less(0).where(assignments, assignments.neg().add(k - 1)));
      await same(concat([z, z]), prototypes, concat([assignments, assignments]));
    }));

  it('is ln K where all prototypes are one', () =>
    property([...drawn], async ({ n, d, k }, seed, temperature) => {
      const { loss } = deepCluster(normalMatrix(seed, n, d), normalMatrix(seed + 1, 1, d).expand([k, d]), assignmentsOf(seed, n, k), {
        temperature,
      });
      expect(Math.abs((await loss.item()) - Math.log(k))).toBeLessThan(1e-11);
    }));

  it('has a temperature of .1, unless given', async () => {
    const [z, prototypes, assignments] = [normalMatrix(1, 6, 4), normalMatrix(2, 5, 4), assignmentsOf(1, 6, 5)];
    await expectClose(deepCluster(z, prototypes, assignments).loss, deepCluster(z, prototypes, assignments, { temperature: 0.1 }).loss, 0);
  });

  it('says what is wrong with its input', () => {
    const [z, prototypes, assignments] = [normalMatrix(1, 6, 4), normalMatrix(2, 5, 4), assignmentsOf(1, 6, 5)];
    expectError(() => deepCluster(z, normalMatrix(2, 5, 3), assignments), 'shape', /prototypes must be \[number, 4\].*\[5, 3\]/);
    expectError(() => deepCluster(z, prototypes.cast('f32'), assignments), 'dtype', /one type/);
    expectError(() => deepCluster(z, prototypes, assignmentsOf(1, 5, 5)), 'shape', /labels \[n\]/);
    expectError(() => deepCluster(z, prototypes, tensor(Int32Array.of(0, 1, 2, 3, 4, 5))), 'argument', /5 is none of the 5/);
    expectError(() => deepCluster(z, prototypes, assignments, { temperature: 1e-4 }), 'argument', /temperature must be .* ≥ 0\.001/);
  });
});

describe('the learner of deepcluster', () => {
  beforeAll(async () => {
    await useBackend('wasm', { threads: 1 });
  });

  const config = trainingConfig({
    method: 'deepcluster',
    batchSize: 8,
    widths: [8, 4],
    epochs: 2,
    methodOptions: { prototypes: 5, heads: 3 },
  });
  const tensors = async (trainer: Trainer): Promise<ReadonlyMap<string, HostArray>> => (await trainer.state()).tensors;

  it('clusters all images by what they were when it last saw them, with other centroids for each head', async () => {
    // 20 images make 2 batches of 8: an epoch leaves some out, which have a cluster all the same.
    const trainer = new Trainer(config, stripedDataset(20, { size: 6 }));
    for (const bank of ['banks.0', 'banks.1'])
      expect((await tensors(trainer)).get(bank)!.data.every((value: number) => value === 0)).toBe(true);
    let before = await tensors(trainer);
    for await (const { step } of trainer.run()) {
      const state = await tensors(trainer);
      const names = [0, 1, 2].map((head) => `assignments.${head}`);
      if (step % 2 === 1) {
        const banks = [0, 1, 0].map((bank) => tensor(before.get(`banks.${bank}`)!));
        for (const [head, name] of names.entries()) {
          const assigned = state.get(name)!.data;
          expect(assigned).toHaveLength(20);
          const centroids = tensor(state.get(`prototypes.${head}`)!);
          // At the beginning of the first epoch the bank was made by visiting.
          if (step > 1) expect(assigned).toEqual(await banks[head]!.matmul(centroids.transpose()).argmax(1).data());
        }
        expect(state.get('prototypes.0')!.data).not.toEqual(state.get('prototypes.2')!.data);
      } else for (const name of [...names, 'prototypes.0']) expect(state.get(name)!.data).toEqual(before.get(name)!.data);
      // Eight rows of each bank are new.
      if (step > 1) {
        for (const bank of ['banks.0', 'banks.1']) {
          const [old, now] = [before, state].map((at) => at.get(bank)!.data);
          const rows = Array.from({ length: 20 }, (_, row) => [0, 1, 2, 3].some((i) => old![4 * row + i] !== now![4 * row + i]));
          expect(rows.filter(Boolean)).toHaveLength(8);
        }
      }
      before = state;
    }
    for (const length of await tensor(before.get('banks.0')!).norm(1).data()) expect(Math.abs(length - 1)).toBeLessThan(1e-6);
    trainer.dispose();
  });

  it('refuses more clusters than there are images, before it trains', async () => {
    const trainer = new Trainer({ ...config, methodOptions: { prototypes: 21 } }, stripedDataset(20, { size: 6 }));
    await expect(trainer.prepare()).rejects.toThrow(/21 clusters need as many images, and there are 20/);
    trainer.dispose();
  });
});
