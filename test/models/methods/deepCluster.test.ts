import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, grad, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { deepCluster, functional } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, values } from '../support.ts';

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
