import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { arange, compile, eye, key, type Tensor, tensor, uniform, useBackend, zeros } from '../../../engine/index.ts';
import { type Learner, methods, moco, SmallConvNet } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, sizes } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const temperatures = fc.double({ min: 0.05, max: 4, noNaN: true });
const drawn = [sizes([1, 6], [1, 6]), fc.integer({ min: 1, max: 9 }), seeds, temperatures] as const;

/** −ln of the softmax of the key among key and queue, row by row. */
async function reference(queries: Tensor, keys: Tensor, queue: Tensor, temperature: number): Promise<number> {
  const [q, k, others] = (await Promise.all([queries, keys, queue].map((x) => x.array()))) as [number[][], number[][], number[][]];
  const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const similarity = (x: readonly number[], y: readonly number[]): number => dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)) / temperature;
  const rows = q.map((row, i) => {
    const positive = Math.exp(similarity(row, k[i]!));
    return -Math.log(positive / others.reduce((sum, other) => sum + Math.exp(similarity(row, other)), positive));
  });
  return rows.reduce((sum, row) => sum + row, 0) / rows.length;
}

describe('moco', () => {
  it('is the cross-entropy of the key among it and the queue', () =>
    property([...drawn], async ({ n, d }, K, seed, temperature) => {
      const [q, k, queue] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d), normalMatrix(seed + 2, K, d)];
      const expected = await reference(q, k, queue, temperature);
      expect(Math.abs((await moco(q, k, queue, { temperature }).loss.item()) - expected)).toBeLessThan(1e-11 * Math.max(1, expected));
    }));

  it('has a temperature of .2, unless given', async () => {
    const [q, k, queue] = [1, 2, 3].map((seed) => normalMatrix(seed, 5, 3)) as [Tensor, Tensor, Tensor];
    expect(await moco(q, k, queue).loss.item()).toBe(await moco(q, k, queue, { temperature: 0.2 }).loss.item());
  });

  it('has the gradient of its value', () =>
    property([sizes([1, 6], [2, 6]), seeds], async ({ n, d }, seed) => {
      const [k, queue] = [normalMatrix(seed + 1, n, d), normalMatrix(seed + 2, 7, d)];
      await expectGradient((q) => moco(q, k, queue, { temperature: 0.5 }).loss, gaussian(seed, [n, d]), 1e-5, 1);
    }));

  it('does not change with the scale of rows, the order of the queue, and a joint rotation; it does with the order of the keys', () =>
    property([...drawn], async ({ n, d }, K, seed, temperature) => {
      const [q, k, queue] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d), normalMatrix(seed + 2, K, d)];
      const { loss } = moco(q, k, queue, { temperature });
      const rotation = orthogonal(seed + 3, d);
      const scale = (rows: number): Tensor =>
        normalMatrix(seed + 4, rows, 1)
          .tanh()
          .exp();
      const backwards = arange(K)
        .neg()
        .add(K - 1);
      await expectClose(moco(q.mul(scale(n)), k.mul(scale(n)), queue.mul(scale(K)), { temperature }).loss, loss, 1e-11, 1);
      await expectClose(moco(q, k, queue.take(backwards, 0), { temperature }).loss, loss, 1e-11, 1);
      await expectClose(
        moco(...([q, k, queue].map((x) => x.matmul(rotation)) as [Tensor, Tensor, Tensor]), { temperature }).loss,
        loss,
        1e-10,
        1,
      );
    }));

  it('is higher for keys of other images', async () => {
    const [q, queue] = [normalMatrix(1, 8, 5), normalMatrix(2, 9, 5)];
    expect(await moco(q, q.flip(0), queue).loss.item()).toBeGreaterThan((await moco(q, q, queue).loss.item()) + 0.1);
  });

  it('says what is wrong with its input', () => {
    const z = normalMatrix(0, 3, 4);
    expectError(() => moco(z, normalMatrix(0, 4, 4), z), 'shape', /moco: both views must have one shape.*\[3, 4\] and \[4, 4\]/);
    expectError(() => moco(z, z, normalMatrix(0, 5, 3)), 'shape', /the queue must be \[K, 4\].*\[5, 3\]/);
    expectError(() => moco(z, z, zeros([0, 4], 'f64')), 'shape', /the queue: needs at least 1 samples/);
    expectError(() => moco(eye(3, 'i32'), eye(3, 'i32'), eye(3, 'i32')), 'dtype', /floats/);
    for (const temperature of [0, -1, 1e-4])
      expectError(() => moco(z, z, z, { temperature }), 'argument', /temperature must be .* ≥ 0\.001/);
  });
});

describe('its learner', () => {
  const learnerOf = (options: Readonly<Record<string, unknown>>, batchSize = 4): Learner =>
    methods.moco.learner({
      options,
      encoder: () => new SmallConvNet({ key: 1 }),
      widths: [8, 4],
      key: (part) => 100 + part,
      batchSize,
      images: 8,
    });
  const views = [1, 2].map((seed) => uniform([4, 1, 6, 6], { key: seed }));
  const step = (learner: Learner): ReturnType<Learner['step']> => learner.step({ views, indices: arange(4), at: {}, key: key(3) });
  const slotNamed = async (learner: Learner, name: string): Promise<number[][]> => {
    const { shape, data } = (await learner.stateDict()).get(name)!;
    return Array.from({ length: shape[0]! }, (_, i) => Array.from(data.subarray(i * shape[1]!, (i + 1) * shape[1]!)));
  };

  it('begins with a queue of directions, and puts new keys, of length 1, in the place of the oldest', async () => {
    const learner = learnerOf({ queue: 10 });
    const before = await slotNamed(learner, 'queue');
    for (const row of before) expect(Math.hypot(...row)).toBeCloseTo(1, 6);
    const run = compile(() => {
      const outcome = step(learner);
      outcome.after?.();
      return outcome.loss;
    });
    await run();
    const first = await slotNamed(learner, 'queue');
    // The loss came of the queue as it was; the student's weights are the teacher's still.
    expect(first.slice(4)).toEqual(before.slice(4));
    for (const [i, row] of first.slice(0, 4).entries()) expect(row).not.toEqual(before[i]);
    for (const row of first) expect(Math.hypot(...row)).toBeCloseTo(1, 6);
    await run();
    await run();
    const third = await slotNamed(learner, 'queue');
    // Ten are not a multiple of four: the third batch ends where the first one began.
    expect(third.slice(2, 4)).toEqual(first.slice(2, 4));
    for (const i of [0, 1, 8, 9]) expect(third[i]).not.toEqual(first[i]);
    expect((await learner.stateDict()).get('oldest')!.data).toEqual(Int32Array.of(2));
    run.dispose();
    learner.dispose();
  });

  it('moves the teacher before it makes the keys', async () => {
    const learner = learnerOf({ queue: 4, teacherMomentum: 0.75 });
    const slots = new Map(learner.namedSlots());
    const weight = (prefix: string) => slots.get(`${prefix}head.2.weight`)!;
    const start = await weight('').data();
    weight('').set(start.map((value) => value + 1));
    const run = compile(() => step(learner).loss);
    await run();
    for (const [i, value] of (await weight('teacher_').data()).entries()) expect(value).toBeCloseTo(start[i]! + 0.25, 6);
    run.dispose();
    learner.dispose();
  });

  it('without negatives asks for agreement alone', async () => {
    const [on, off] = [learnerOf({ queue: 4, temperature: 0.5 }), learnerOf({ queue: 4, temperature: 0.5, negatives: 'off' })];
    const values = async (learner: Learner): Promise<[number, Tensor]> => {
      const { loss, embeddings } = step(learner);
      const copy = embeddings[0]!.stopGradient();
      return [await loss.item(), tensor(await copy.toHost())];
    };
    const [[contrast], [agreement]] = [await values(on), await values(off)];
    expect(agreement).toBeGreaterThanOrEqual(-2 - 1e-6);
    expect(agreement).toBeLessThanOrEqual(2 + 1e-6);
    expect(contrast).toBeGreaterThan(0);
    on.dispose();
    off.dispose();
  });

  it('refuses a queue that does not hold a batch', () => {
    expectError(() => learnerOf({ queue: 3 }), 'argument', /a queue of 3 does not hold a batch of 4; lengthen it \(--queue\)/);
  });
});
