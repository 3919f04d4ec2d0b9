import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { eye, grad, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { type SimCLRDialect, simclr, simclrDialects } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, gaussian, normalMatrix, orthogonal, seeds, sizes, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const temperatures = fc.double({ min: 0.05, max: 4, noNaN: true });
const embedding = [sizes([2, 9], [1, 6]), seeds, temperatures] as const;

/** Eq. 1, row by row: a row's positive is the other view of its image, and its negatives are all rows but those two. */
async function reference(za: Tensor, zb: Tensor, temperature: number): Promise<number> {
  const rows = [...((await za.array()) as number[][]), ...((await zb.array()) as number[][])];
  const n = rows.length / 2;
  const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, value, k) => sum + value * y[k]!, 0);
  let total = 0;
  for (let i = 0; i < 2 * n; i++) {
    const similarity = (j: number): number => dot(rows[i]!, rows[j]!) / Math.sqrt(dot(rows[i]!, rows[i]!) * dot(rows[j]!, rows[j]!));
    let all = 0;
    for (let k = 0; k < 2 * n; k++) if (k !== i) all += Math.exp(similarity(k) / temperature);
    total -= Math.log(Math.exp(similarity((i + n) % (2 * n)) / temperature) / all);
  }
  return total / (2 * n);
}

/** A random order of 0 … n−1. */
function order(seed: number, n: number): Tensor {
  const { data } = gaussian(seed, [n]);
  return tensor(Int32Array.from(Array.from(data.keys()).sort((i, j) => data[i]! - data[j]!)));
}

/** A positive factor for each row, from .1 to 10. */
const scales = (seed: number, n: number): Tensor => normalMatrix(seed, n, 1).tanh().mul(Math.LN10).exp();

describe('simclr', () => {
  it('is Eq. 1, and twice that as google-research sums it', () =>
    property([...embedding], async ({ n, d }, seed, temperature) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const expected = await reference(za, zb, temperature);
      const [mean, google] = await values(...simclrDialects.map((dialect) => simclr(za, zb, { temperature, dialect }).loss));
      expect(Math.abs(mean![0]! - expected)).toBeLessThan(1e-11 * Math.max(1, expected));
      expect(google![0]).toBe(2 * mean![0]!);
    }));

  it('has a temperature of .5 and the dialect of the paper, unless given', async () => {
    const [za, zb] = [normalMatrix(1, 5, 3), normalMatrix(2, 5, 3)];
    expect(await simclr(za, zb).loss.item()).toBe(await simclr(za, zb, { temperature: 0.5, dialect: 'mean' }).loss.item());
  });

  it('has the gradient of its value', () =>
    property([sizes([2, 9], [1, 6]), seeds, fc.constantFrom(...simclrDialects)], async ({ n, d }, seed, dialect) => {
      const other = normalMatrix(seed + 1, n, d);
      // Away from 0, where the direction of a row of one dimension jumps.
      const start = gaussian(seed, [n, d]);
      const at = { ...start, data: Float64Array.from(start.data, (value) => value + Math.sign(value) * 0.1) };
      await expectGradient((z) => simclr(z, other, { dialect }).loss, at, 1e-5, 1);
      await expectGradient((z) => simclr(other, z, { dialect }).loss, at, 1e-5, 1);
    }));

  it('has a gradient that is orthogonal to each row, and of a length that falls with its scale', () =>
    property([...embedding], async ({ n, d }, seed, temperature) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const gradients = grad(simclr(za, zb, { temperature }).loss, [za, zb]);
      for (const [i, z] of [za, zb].entries()) {
        const unit = z.div(z.norm(-1, true));
        // Against the length of a row's gradient for a row of length 1, which is at most 4/τ.
        await expectClose(gradients[i]!.mul(z.norm(-1, true)).mul(unit).sum(-1), zeros([n], 'f64'), 1e-12, 4 / temperature);
      }
      const scale = scales(seed + 2, n);
      const scaled = za.mul(scale);
      const [gradient] = grad(simclr(scaled, zb, { temperature }).loss, [scaled]);
      await expectClose(gradient!.mul(scale), gradients[0]!, 1e-9, 1e-3);
    }));

  it('does not change with the scale of rows, a joint order, a joint rotation and the exchange of the views', () =>
    property([...embedding], async ({ n, d }, seed, temperature) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const { loss } = simclr(za, zb, { temperature });
      const same = async (a: Tensor, b: Tensor): Promise<void> => expectClose(simclr(a, b, { temperature }).loss, loss, 1e-11, 1);
      await same(za.mul(scales(seed + 2, n)), zb.mul(scales(seed + 3, n)));
      await same(za.take(order(seed + 4, n), 0), zb.take(order(seed + 4, n), 0));
      const rotation = orthogonal(seed + 5, d);
      await same(za.matmul(rotation), zb.matmul(rotation));
      await same(zb, za);
    }));

  it('changes with the order of one view, which makes other pairs', async () => {
    const za = normalMatrix(1, 8, 5);
    const [pairs, others] = await values(simclr(za, za).loss, simclr(za, za.take(order(2, 8), 0)).loss);
    expect(others![0]).toBeGreaterThan(pairs![0]! + 0.1);
  });

  it('lies within ln(1 + (2n − 2)·e^(∓2/τ)), and reaches the lower bound', () =>
    property([...embedding], async ({ n, d }, seed, temperature) => {
      const bound = (sign: number): number => Math.log1p((2 * n - 2) * Math.exp((sign * 2) / temperature));
      const value = await simclr(normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d), { temperature }).loss.item();
      expect(value).toBeGreaterThanOrEqual(bound(-1) - 1e-12);
      expect(value).toBeLessThanOrEqual(bound(1) + 1e-12);
      // Two images opposite to each other: each row's positive is at cosine 1, all else at −1.
      const opposite = tensor([[1], [-1]], { dtype: 'f64' });
      const least = Math.log1p(2 * Math.exp(-2 / temperature));
      expect(Math.abs((await simclr(opposite, opposite, { temperature }).loss.item()) - least)).toBeLessThan(1e-12);
    }));

  it('is ln(2n − 1) at collapse, with no gradient, whatever the temperature', () =>
    property([...embedding], async ({ n, d }, seed, temperature) => {
      const z = tensor({ dtype: 'f64', shape: [n, d], data: Float64Array.from(await normalMatrix(seed, 1, d).expand([n, d]).data()) });
      const { loss } = simclr(z, z, { temperature });
      expect(Math.abs((await loss.item()) - Math.log(2 * n - 1))).toBeLessThan(1e-11);
      await expectClose(grad(loss, [z])[0]!.mul(z.norm(-1, true)), zeros([n, d], 'f64'), 1e-12, 4 / temperature);
    }));

  it('is finite in f32 at the least temperature, and at rows of zeros', async () => {
    const [za, zb] = [normalMatrix(1, 6, 4).cast('f32'), normalMatrix(2, 6, 4).cast('f32')];
    for (const [a, b] of [
      [za, zb],
      [za, zeros([6, 4])],
    ] as const) {
      const { loss } = simclr(a, b, { temperature: 1e-3 });
      const results = await values(loss, ...grad(loss, [a, b]));
      for (const result of results) expect(result.every(Number.isFinite)).toBe(true);
    }
  });

  it('says what is wrong with its input', () => {
    const z = normalMatrix(0, 3, 4);
    expectError(() => simclr(z, normalMatrix(0, 4, 4)), 'shape', /simclr: both views must have one shape.*\[3, 4\] and \[4, 4\]/);
    expectError(() => simclr(normalMatrix(0, 1, 4), normalMatrix(1, 1, 4)), 'shape', /at least 2 samples/);
    expectError(() => simclr(eye(3, 'i32'), eye(3, 'i32')), 'dtype', /floats/);
    for (const temperature of [0, -1, 1e-4])
      expectError(() => simclr(z, z, { temperature }), 'argument', /temperature must be .* ≥ 0\.001/);
    const unknown: string = 'lightly';
    expectError(() => simclr(z, z, { dialect: unknown as SimCLRDialect }), 'argument', /simclr: dialect.*mean, google/);
  });
});
