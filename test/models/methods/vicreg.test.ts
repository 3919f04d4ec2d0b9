import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile, eye, full, grad, slot, type Tensor, tensor, useBackend, zeros } from '../../../engine/index.ts';
import {
  covariance,
  covarianceMatrix,
  invariance,
  offDiagonal,
  type VICRegDialect,
  variance,
  vicreg,
  vicregDialects,
} from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, f64, gaussian, normalMatrix, seeds, sizes, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const embedding = [sizes([2, 12], [1, 7]), seeds] as const;
const wide = [sizes([2, 12], [2, 7]), seeds] as const;

/** A random order of 0 … n−1, from random numbers. */
function order(seed: number, n: number): Tensor {
  const { data } = gaussian(seed, [n]);
  return tensor(Int32Array.from(Array.from(data.keys()).sort((a, b) => data[a]! - data[b]!)));
}

/** Columns brought to mean 0 and the given variances. */
function withVariances(z: Tensor, variances: Tensor): Tensor {
  const centred = z.sub(z.mean(0, true));
  return centred.div(z.std(0, { keepdims: true })).mul(variances.sqrt());
}

describe('gradients are those of the closed forms', () => {
  it('∂s/∂Z = 2(Z−Z′)/(nd)', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const [ga, gb] = grad(invariance(za, zb), [za, zb]);
      const expected = za.sub(zb).mul(2 / (n * d));
      await expectClose(ga!, expected);
      await expectClose(gb!, expected.neg());
    }));

  it('∂v/∂Z = −1[S_j<γ]·Zc/((n−1)·d·S_j), halved in the official dialect', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      const deviation = z.variance(0).add(1e-4).sqrt();
      const expected = deviation
        .less(1)
        .where(
          z
            .sub(z.mean(0))
            .div(deviation)
            .div((n - 1) * d),
          0,
        )
        .neg();
      await expectClose(grad(variance(z), [z])[0]!, expected);
      const official = vicreg(z, z, { invariance: 0, variance: 1, covariance: 0 });
      // Both views are z here, so the two halves add up to the whole.
      await expectClose(grad(official.loss, [z])[0]!, expected);
    }));

  it('∂c/∂Z = 4/(d(n−1))·Zc·offdiag(C)', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      const expected = z
        .sub(z.mean(0))
        .matmul(offDiagonal(covarianceMatrix(z)))
        .mul(4 / (d * (n - 1)));
      await expectClose(grad(covariance(z), [z])[0]!, expected);
    }));

  it('their column sums are 0 for variance and covariance', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      for (const term of [variance(z), covariance(z)]) await expectClose(grad(term, [z])[0]!.sum(0), zeros([d], 'f64'), 1e-12, 1);
    }));

  it('the whole loss passes a gradient check in every dialect', () =>
    property([sizes([2, 8], [1, 5]), seeds, fc.constantFrom(...vicregDialects)], async ({ n, d }, seed, dialect) => {
      const zb = normalMatrix(seed + 1, n, d);
      await expectGradient((za) => vicreg(za, zb, { dialect }).loss, gaussian(seed, [n, d]), 1e-6, 1);
    }));
});

describe('the hinge', () => {
  it('is 0 exactly when every variance is at least γ² − ε', () =>
    property(
      [
        sizes([2, 10], [1, 6]),
        seeds,
        fc.array(fc.constantFrom(-0.5, -1e-3, -1e-6, 1e-6, 1e-3, 2), { minLength: 6, maxLength: 6 }),
        fc.constantFrom(0.5, 1, 2),
      ],
      async ({ n, d }, seed, margins, gamma) => {
        const epsilon = 1e-4;
        const threshold = gamma ** 2 - epsilon;
        const chosen = margins.slice(0, d);
        const z = withVariances(normalMatrix(seed, n, d), f64(chosen.map((margin) => threshold * (1 + margin))));
        const v = await variance(z, { gamma, epsilon }).item();
        if (chosen.every((margin) => margin > 0)) expect(v).toBe(0);
        else expect(v).toBeGreaterThan(0);
      },
    ));

  it('has the values of exact collapse: v = .99, s = c = 0, and no gradient', () =>
    property([sizes([2, 10], [1, 6]), seeds], async ({ n, d }, seed) => {
      // Powers of two and multiples of them have exact means, so that nothing but collapse is seen.
      const row = tensor({ dtype: 'f64', shape: [1, d], data: gaussian(seed, [1, d]).data.map((value) => Math.round(value * 16) / 16) });
      const z = row.expand([n, d]);
      const losses: Record<VICRegDialect, number> = { official: 24.75, paper: 49.5, 'solo-learn': 49.5, vicregl: 24.75 };
      for (const dialect of vicregDialects) {
        const { loss, invariance: s, variance: v, covariance: c } = vicreg(z, z, { dialect });
        const [l, ...parts] = await values(loss, s, v, c);
        expect(l![0]).toBeCloseTo(losses[dialect], 12);
        expect(parts[0]![0]).toBe(0);
        expect(parts[1]![0]).toBeCloseTo(losses[dialect] / 25, 12);
        expect(parts[2]![0]).toBe(0);
      }
      const leaf = tensor({ dtype: 'f64', shape: [n, d], data: Float64Array.from(await z.data()) });
      const [gradient] = await values(...grad(variance(leaf), [leaf]));
      expect(gradient!.every((value) => value === 0)).toBe(true);
    }));

  it('pushes ∝ r/√ε where the deviation r ≪ √ε', () =>
    property([sizes([3, 10], [1, 5]), seeds, fc.double({ min: 1e-7, max: 1e-5, noNaN: true })], async ({ n, d }, seed, r) => {
      const z = withVariances(normalMatrix(seed, n, d), full([d], r * r, 'f64'));
      const [gradient] = grad(variance(z), [z]);
      // ‖∇_j v‖ = ‖Zc_j‖/((n−1)·d·S_j) = r·√(n−1)/((n−1)·d·√ε)
      const expected = full([d], (r / Math.sqrt(1e-4)) * (1 / (d * Math.sqrt(n - 1))), 'f64');
      await expectClose(gradient!.square().sum(0).sqrt(), expected, 1e-4);
    }));
});

describe('the covariance term', () => {
  it('does not change with the order of rows and columns, translation and signs', () =>
    property([...wide], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      const signs = normalMatrix(seed + 3, 1, d).sign();
      const expected = covariance(z);
      for (const same of [
        z.take(order(seed + 1, n), 0),
        z.take(order(seed + 2, d), 1),
        z.add(normalMatrix(seed + 4, 1, d).mul(5)),
        z.mul(signs),
      ]) {
        await expectClose(covariance(same), expected, 1e-10);
      }
    }));

  it('scales with the fourth power', () =>
    property([...wide, fc.double({ min: 0.01, max: 100, noNaN: true })], async ({ n, d }, seed, alpha) => {
      const z = normalMatrix(seed, n, d);
      await expectClose(covariance(z.mul(alpha)), covariance(z).mul(alpha ** 4), 1e-10);
    }));

  it('changes with rotation', async () => {
    const z = normalMatrix(7, 40, 2).mul(f64([1, 3]));
    const c = Math.SQRT1_2;
    const rotated = z.matmul(
      f64([
        [c, -c],
        [c, c],
      ]),
    );
    const [before, after] = await values(covariance(z), covariance(rotated));
    expect(after![0]).toBeGreaterThan(10 * before![0]!);
    // The whole spectrum is the same: only off-diagonals are counted.
    await expectClose(covarianceMatrix(rotated).square().sum(), covarianceMatrix(z).square().sum());
  });

  it('is at least d/(n−1) − 1 where all variances are 1 and n − 1 < d', () =>
    property([fc.integer({ min: 2, max: 7 }), fc.integer({ min: 0, max: 6 }), seeds], async (n, more, seed) => {
      const d = n + more;
      const z = withVariances(normalMatrix(seed, n, d), full([d], 1, 'f64'));
      expect(await covariance(z).item()).toBeGreaterThanOrEqual(d / (n - 1) - 1 - 1e-9);
    }));

  it('has mean (d−1)/(n−1) for independent normal numbers', async () => {
    const [n, d, trials] = [16, 6, 400];
    const draws = await values(...Array.from({ length: trials }, (_, seed) => covariance(normalMatrix(seed, n, d))));
    const all = draws.map((draw) => draw[0]!);
    const mean = all.reduce((sum, value) => sum + value, 0) / trials;
    const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (trials - 1));
    expect(Math.abs(mean - (d - 1) / (n - 1))).toBeLessThan((4 * deviation) / Math.sqrt(trials));
  });
});

describe('descending one term alone', () => {
  /** Runs gradient descent from `start`; gives the final embedding. */
  async function descend(term: (z: Tensor) => Tensor, start: Tensor, rate: number, steps: number): Promise<Tensor> {
    const z = slot(await start.toHost(), 'z');
    const step = compile(() => {
      const loss = term(z.value);
      z.assign(z.value.sub(grad(loss, [z])[0]!.mul(rate)));
      return loss;
    });
    for (let i = 0; i < steps; i++) (await step()).dispose();
    const end = tensor(await z.toHost());
    step.dispose();
    z.dispose();
    return end;
  }

  it('the covariance drives the off-diagonals to zero', () =>
    property([fc.integer({ min: 2, max: 4 }), fc.integer({ min: 2, max: 8 }), seeds], async (d, more, seed) => {
      const n = d + more;
      const start = normalMatrix(seed, n, d);
      // The gradient is at most 4·λ_max/(d(n−1)) times Z, so this rate is stable.
      const end = await descend(covariance, withVariances(start, full([d], 1, 'f64')), (d * (n - 1)) / (4 * d), 400);
      const [before, after] = await values(covariance(withVariances(start, full([d], 1, 'f64'))), covariance(end));
      expect(after![0]).toBeLessThan(1e-4 * before![0]! + 1e-12);
    }));

  it('the variance lifts every deviation to γ and stops', () =>
    property([sizes([3, 8], [1, 4]), seeds, fc.double({ min: 0.05, max: 0.9, noNaN: true })], async ({ n, d }, seed, scale) => {
      const start = normalMatrix(seed, n, d).mul(scale);
      const end = await descend(variance, start, ((n - 1) * d) / 8, 200);
      const [v, deviation] = await values(variance(end), end.variance(0).add(1e-4).sqrt());
      expect(v![0]).toBe(0);
      const [initial] = await values(start.variance(0).add(1e-4).sqrt());
      deviation!.forEach((value, j) => {
        expect(value).toBeGreaterThanOrEqual(1);
        expect(value).toBeLessThan(Math.max(1.15, initial![j]! + 1e-9));
      });
      const [gradient] = await values(...grad(variance(end), [end]));
      expect(gradient!.every((entry) => entry === 0)).toBe(true);
    }));
});

describe('dialects', () => {
  it('differ by the factors that the sources have', () =>
    property([...embedding], async ({ n, d }, seed) => {
      const [za, zb] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d)];
      const official = vicreg(za, zb);
      const factors: Record<VICRegDialect, readonly [number, number, number]> = {
        official: [1, 1, 1],
        paper: [d, 2, 1],
        'solo-learn': [1, 2, 1],
        vicregl: [1, 1, 0.5],
      };
      for (const dialect of vicregDialects) {
        const other = vicreg(za, zb, { dialect });
        const [s, v, c] = factors[dialect];
        await expectClose(other.invariance, official.invariance.mul(s), 1e-12);
        await expectClose(other.variance, official.variance.mul(v), 1e-12);
        await expectClose(other.covariance, official.covariance.mul(c), 1e-12);
        await expectClose(other.loss, other.invariance.mul(25).add(other.variance.mul(25)).add(other.covariance), 1e-12);
      }
    }));
});

it('says what is wrong with its input', () => {
  const z = normalMatrix(0, 1, 4);
  expectError(() => vicreg(z, z), 'shape', /at least 2 samples.*\[1, 4\].*larger batch/);
  expectError(() => vicreg(normalMatrix(0, 3, 4), normalMatrix(0, 4, 4)), 'shape', /one shape.*\[3, 4\] and \[4, 4\]/);
  expectError(() => vicreg(eye(3, 'i32'), eye(3, 'i32')), 'dtype', /floats/);
  expectError(() => vicreg(zeros([4]), zeros([4])), 'shape', /\[samples, dimensions\]/);
  const unknown: string = 'lightly';
  expectError(() => vicreg(eye(3), eye(3), { dialect: unknown as VICRegDialect }), 'argument', /official, paper, solo-learn, vicregl/);
});
