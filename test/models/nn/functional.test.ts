import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { references } from '../../../engine/backends/cpu/reference.ts';
import { grad, hessianVectorProduct, ones, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { batchNorm, dropout, elu, gelu, leakyRelu, normalize, relu, silu, softplus, standardize } from '../../../models/nn/functional.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, expectGradient, f64, gaussian, normalMatrix, relativeError, seeds, sizes, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

/** Value and slope at −∞, 0 and +∞ as they should be, in closed form. */
const activations: Record<
  string,
  { readonly of: (x: Tensor) => Tensor; readonly reference: (x: number) => number; readonly slopeAt0: number }
> = {
  relu: { of: relu, reference: (x) => Math.max(0, x), slopeAt0: 0 },
  leakyRelu: { of: (x) => leakyRelu(x, 0.1), reference: (x) => (x > 0 ? x : 0.1 * x), slopeAt0: 0.1 },
  elu: { of: (x) => elu(x, 1.5), reference: (x) => (x > 0 ? x : 1.5 * Math.expm1(x)), slopeAt0: 1.5 },
  silu: { of: silu, reference: (x) => x / (1 + Math.exp(-x)), slopeAt0: 0.5 },
  softplus: { of: softplus, reference: (x) => (x > 30 ? x : Math.log1p(Math.exp(x))), slopeAt0: 0.5 },
  gelu: { of: gelu, reference: (x) => (x * (1 + references.erf.of(x * Math.SQRT1_2, 0, 0))) / 2, slopeAt0: 0.5 },
};

describe.each(Object.entries(activations))('%s', (_name, { of, reference, slopeAt0 }) => {
  it('is its formula and has its gradient, without overflow', () =>
    property(
      [
        fc.array(
          fc.double({ min: -6, max: 6, noNaN: true }).filter((x) => Math.abs(x) > 1e-3),
          { minLength: 1, maxLength: 6 },
        ),
      ],
      async (xs) => {
        const [y] = await values(of(f64(xs)));
        xs.forEach((x, i) => expect(y![i]).toBeCloseTo(reference(x), 12));
        await expectGradient((x) => of(x).sum(), { dtype: 'f64', shape: [xs.length], data: Float64Array.from(xs) }, 1e-6, 1);
      },
    ));

  it('has PyTorch’s slope at 0, and finite ones far out', async () => {
    const x = f64([0, 1000, -1000]);
    const [gradient] = await values(...grad(of(x).sum(), [x]));
    expect(gradient![0]).toBeCloseTo(slopeAt0, 12);
    expect(gradient![1]).toBeCloseTo(1, 12);
    expect(Number.isFinite(gradient![2])).toBe(true);
  });
});

describe('standardize', () => {
  it('has the first and second derivative of its formula', () =>
    property([sizes([2, 6], [1, 4]), seeds], async ({ n, d }, seed) => {
      const [x, weights, direction] = [normalMatrix(seed, n, d), normalMatrix(seed + 1, n, d), normalMatrix(seed + 2, n, d)];
      const plain = (z: Tensor): Tensor => z.sub(z.mean(0)).div(z.variance(0, { correction: 0 }).add(1e-2).sqrt());
      const loss = (f: (z: Tensor) => Tensor): Tensor => f(x).mul(weights).add(f(x).square().mul(weights)).sum();
      const custom = (z: Tensor): Tensor => standardize(z, 0, 1e-2).normalized;
      await expectClose(custom(x), plain(x), 1e-12);
      await expectClose(grad(loss(custom), [x])[0]!, grad(loss(plain), [x])[0]!, 1e-9);
      await expectClose(
        hessianVectorProduct(loss(custom), [x], [direction])[0]!,
        hessianVectorProduct(loss(plain), [x], [direction])[0]!,
        1e-8,
      );
    }));
});

describe('batchNorm', () => {
  const plainly = (x: Tensor, weight: Tensor, bias: Tensor): Tensor =>
    x
      .sub(x.mean(0))
      .div(x.variance(0, { correction: 0 }).add(1e-2).sqrt())
      .mul(weight)
      .add(bias);

  it('has the value, and the first and second derivative, of its formula', () =>
    property([sizes([2, 6], [1, 4]), seeds], async ({ n, d }, seed) => {
      const x = normalMatrix(seed, n, d);
      const [weight, bias] = [normalMatrix(seed + 1, 1, d), normalMatrix(seed + 2, 1, d)];
      const weights = normalMatrix(seed + 3, n, d);
      const directions = [normalMatrix(seed + 4, n, d), normalMatrix(seed + 5, 1, d), normalMatrix(seed + 6, 1, d)];
      const custom = batchNorm(x, { axes: [0], weight, bias, epsilon: 1e-2 }).output;
      const plain = plainly(x, weight, bias);
      const loss = (y: Tensor): Tensor => y.mul(weights).add(y.square().mul(weights)).sum();
      const operands = [x, weight, bias];
      await expectClose(custom, plain, 1e-12);
      const [ours, expected] = [grad(loss(custom), operands), grad(loss(plain), operands)];
      const [ourSecond, expectedSecond] = [custom, plain].map((y) => hessianVectorProduct(loss(y), operands, directions));
      for (const k of operands.keys()) {
        await expectClose(ours[k]!, expected[k]!, 1e-9);
        await expectClose(ourSecond![k]!, expectedSecond![k]!, 1e-8);
      }
    }));

  it('keeps its digits in f32 where the mean is thousands of deviations', () =>
    property([sizes([4, 40], [1, 4]), seeds, fc.constantFrom(0, 10, -3e3, 1e5)], async ({ n, d }, seed, mean) => {
      const rounded = Float32Array.from(await normalMatrix(seed, n, d).add(mean).data());
      const normalized = (data: Float32Array | Float64Array): Tensor =>
        batchNorm(tensor(data, { shape: [n, d] }), { axes: [0], weight: null, bias: null, epsilon: 1e-5 }).output;
      await expectClose(normalized(rounded).cast('f64'), normalized(Float64Array.from(rounded)), 2e-5);
    }));

  it('is refused where a channel has one value, or none', () => {
    for (const [n, name] of [
      [1, '1, 3'],
      [0, '0, 3'],
    ] as const) {
      const call = (): unknown => batchNorm(ones([n, 3]), { axes: [0], weight: null, bias: null, epsilon: 1e-5 });
      expectError(call, 'shape', new RegExp(`more than one value to a channel, got \\[${name}\\]`));
    }
  });
});

/** Images [n, 1, h, w] of f32 that are hard on a variance: far from 0, with outliers anywhere, or all but constant. */
const hardImages = fc
  .record({
    shape: fc.oneof(
      fc.tuple(fc.integer({ min: 2, max: 600 }), fc.constant(1), fc.constant(1), fc.constant(1)),
      fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constant(1), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 2, max: 9 })),
    ),
    mean: fc.constantFrom(0, 1, -1e3, 1e4, 1e5, -1e6),
    deviation: fc.constantFrom(0, 1e-2, 0.1, 1),
    outlier: fc.constantFrom(0, 1, 1e3, -1e6),
    /** Which elements are outliers: one, or those in a row, as those of one image are. */
    from: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })),
    share: fc.constantFrom(0, 0.03, 0.3),
    seed: seeds,
  })
  .map(({ shape, mean, deviation, outlier, from, share, seed }) => {
    const noise = gaussian(seed, shape).data;
    const first = Math.floor(from * noise.length);
    const last = first + share * noise.length;
    return { shape, data: Float32Array.from(noise, (z, i) => mean + deviation * z + (i >= first && i <= last ? outlier : 0)) };
  });

function moments(data: ArrayLike<number>): { mean: number; variance: number } {
  const all = Array.from(data);
  // Differences from one of them first, so that the reference is exact to f64's own last digits.
  const mean = all[0]! + all.reduce((sum, value) => sum + (value - all[0]!), 0) / all.length;
  return { mean, variance: all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length };
}

describe.each(['cpu', 'wasm'] as const)('batchNorm of f32 on %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });
  afterAll(async () => {
    await useBackend('cpu');
  });
  const statistics = { axes: [0, 2, 3], weight: null, bias: null, epsilon: 1e-5 } as const;

  it('has mean and variance to 1e-5, wherever outliers are and however large the mean is', () =>
    property(
      [hardImages],
      async ({ shape, data }) => {
        const { mean, variance } = batchNorm(tensor(data, { shape }), statistics);
        const [[ourMean], [ourVariance]] = (await values(mean, variance)) as [Float64Array, Float64Array];
        const expected = moments(data);
        expect(Math.abs(ourMean! - expected.mean)).toBeLessThanOrEqual(
          2 ** -22 * Math.abs(expected.mean) + 2 ** -22 * Math.sqrt(expected.variance),
        );
        expect(Math.abs(ourVariance! - expected.variance)).toBeLessThanOrEqual(1e-5 * expected.variance);
      },
      { numRuns: 300 },
    ));

  it('gives a constant channel its bias, and the gradient of √ε', () =>
    property([sizes([2, 70], [1, 3]), fc.constantFrom(0, 0.1, -1e7, 16777215, 1e10, 3e38), seeds], async ({ n, d }, value, seed) => {
      const x = tensor(new Float32Array(n * d).fill(value), { shape: [n, d] });
      const g = Float32Array.from(gaussian(seed, [n, d]).data);
      const { output, variance } = batchNorm(x, { axes: [0], weight: ones([1, d]), bias: ones([1, d]), epsilon: 1e-5 });
      const [gradient] = grad(output.mul(tensor(g, { shape: [n, d] })).sum(), [x]);
      const [y, spread, slope, even] = await values(output, variance, gradient!, grad(output.sum(), [x])[0]!);
      expect(y!.every((element) => element === 1)).toBe(true);
      expect(spread!.every((element) => element === 0)).toBe(true);
      // d y/d x = (I − 11ᵀ/n)/√ε, which takes a gradient that is the same for all to 0.
      expect(even!.every((element) => Math.abs(element) < 1e-4)).toBe(true);
      const expected = Array.from(g, (value, i) => (value - moments(g.filter((_, j) => j % d === i % d)).mean) / Math.sqrt(1e-5));
      expect(relativeError(slope!, expected, 1)).toBeLessThanOrEqual(1e-5);
    }));
});

describe('normalize', () => {
  it('makes rows of length 1 whose gradient is at right angles to them', () =>
    property([sizes([1, 6], [2, 5]), seeds], async ({ n, d }, seed) => {
      const z = normalMatrix(seed, n, d);
      await expectClose(normalize(z).norm(1), ones([n], 'f64'), 1e-12);
      const [gradient] = grad(
        normalize(z)
          .mul(normalMatrix(seed + 1, n, d))
          .sum(),
        [z],
      );
      await expectClose(gradient!.mul(z).sum(1).abs().max(), f64(0), 1e-10, 1);
    }));

  it('leaves a zero row zero, with a finite gradient', async () => {
    const z = f64([[0, 0, 0]]);
    const [y, gradient] = await values(normalize(z), ...grad(normalize(z).sum(), [z]));
    expect([...y!]).toEqual([0, 0, 0]);
    expect(gradient!.every(Number.isFinite)).toBe(true);
  });
});

describe('dropout', () => {
  it('says what is wrong', () => {
    expectError(() => dropout(ones([2]), { p: 1, key: 0 }), 'argument', /below 1/);
  });
});
