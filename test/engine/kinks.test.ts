/** Where a composed function has no slope, or an infinite one on its way, its gradient is the subgradient that its documentation states, and finite. */
import { beforeAll, describe, expect, it } from 'vitest';
import { grad, hessianVectorProduct, jvp, linspace, realize, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { cosineSimilarity, elu, normalize, softplus } from '../../models/nn/functional.ts';
import { alignment } from '../../models/regularizers/hypersphere.ts';
import { variance as varianceTerm } from '../../models/regularizers/information.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends } from './support.ts';

/** A function to one number, where it is taken, and its gradient there. */
type Kink = readonly [
  name: string,
  f: (x: Tensor) => Tensor,
  at: readonly (number | readonly number[])[],
  gradient: readonly (number | readonly number[])[],
];

const one = (x: Tensor): Tensor => x.mul(0).add(1);
const kinks: readonly Kink[] = [
  ['std of equal elements', (x) => x.std(), [3, 3, 3], [0, 0, 0]],
  [
    'std of a constant column',
    (x) => x.std(0).sum(),
    [
      [1, 5],
      [2, 5],
    ],
    [
      [-Math.SQRT1_2, 0],
      [Math.SQRT1_2, 0],
    ],
  ],
  ['std of one element, biased', (x) => x.std(0, { correction: 0 }), [7], [0]],
  ['std in f32 of what is already', (x) => x.std(0, { keepdims: true, dtype: 'f32' }).sum(), [0, 0], [0, 0]],
  ['norm of zero', (x) => x.norm(), [0, -0], [0, 0]],
  [
    'norm of rows, one of them zero',
    (x) => x.norm(1).sum(),
    [
      [3, 4],
      [0, 0],
    ],
    [
      [0.6, 0.8],
      [0, 0],
    ],
  ],
  ['normalize of zero, into what does not look', (x) => normalize(x).mul(0).sum(), [[0, 0]], [[0, 0]]],
  ['cosineSimilarity with itself', (x) => cosineSimilarity(x, x).sum(), [[3, 4]], [[0, 0]]],
  ['cosineSimilarity of zeros', (x) => cosineSimilarity(x, x).sum(), [[0, 0]], [[0, 0]]],
  [
    'alignment of equal pairs',
    (x) => alignment(x, one(x), 1),
    [
      [1, 1],
      [0.5, 0.5],
    ],
    [
      [0, 0],
      [0, 0],
    ],
  ],
  ['the variance term without ε', (x) => varianceTerm(x, { epsilon: 0 }), [[1], [1]], [[0], [0]]],
  ['logsumexp of −∞', (x) => x.logsumexp(), [-Infinity, -Infinity], [0, 0]],
  ['logsumexp with −∞', (x) => x.logsumexp(), [-Infinity, 1, 1], [0, 0.5, 0.5]],
  ['logsumexp with ∞', (x) => x.logsumexp(), [Infinity, 1, -Infinity], [0, 0, 0]],
  ['softmax with −∞', (x) => x.softmax().slice(0), [0, -Infinity, 0], [0.25, 0, -0.25]],
  ['logSoftmax with −∞', (x) => x.logSoftmax().slice(0), [0, -Infinity, 0], [0.5, 0, -0.5]],
  ['prod with a zero', (x) => x.prod(), [0, 2, 3], [6, 0, 0]],
  ['prod with two', (x) => x.prod(), [0, 2, 0], [0, 0, 0]],
  ['abs', (x) => x.abs().sum(), [0, -0, -2], [0, 0, -1]],
  ['relu', (x) => x.relu().sum(), [0, -1, 2], [0, 0, 1]],
  ['maximum of equals', (x) => x.maximum(0).sum(), [0, 1], [0.5, 1]],
  ['max of equals', (x) => x.max(), [2, 1, 2], [0.5, 0, 0.5]],
  ['clamp at its ends and beyond', (x) => x.clamp(-1, 1).sum(), [-1, 1, 2, -Infinity, Number.NaN], [1, 1, 0, 0, 0]],
  ['square', (x) => x.square().sum(), [0], [0]],
  ['powers of zero', (x) => x.pow(2).add(x.pow(1)).add(x.pow(0)).sum(), [0], [1]],
  ['softplus', (x) => softplus(x).sum(), [0, -Infinity, Infinity], [0.5, 0, 1]],
  ['elu', (x) => elu(x).sum(), [0, 200, -200], [1, 1, 0]],
  ['remainder', (x) => x.remainder(2).sum(), [4, 5], [1, 1]],
  // What `where` does not choose.
  ['a root that is not chosen', (x) => x.greater(0).where(x.sqrt(), 0).sum(), [0, -1, 4], [0, 0, 0.25]],
  ['the reciprocal of one', (x) => x.greater(0).where(x.rsqrt(), 0).sum(), [0, -1, 4], [0, 0, -1 / 16]],
  ['a logarithm', (x) => x.greater(0).where(x.log(), 0).sum(), [0, -1, 4], [0, 0, 0.25]],
  ['an entropy', (x) => x.equal(0).where(0, x.mul(x.log())).sum(), [0, 1], [0, 1]],
  ['an entropy, the other way round', (x) => x.equal(0).where(0, x.log().mul(x).neg()).sum(), [0, 1], [0, -1]],
  ['ln(1 + x)', (x) => x.greater(-1).where(x.log1p(), 0).sum(), [-1, 0], [0, 1]],
  ['a quotient', (x) => x.notEqual(0).where(one(x).div(x), 0).sum(), [0, 2], [0, -0.25]],
  ['0/0', (x) => x.notEqual(0).where(x.sin().div(x), 1).sum(), [0], [0]],
  ['a power', (x) => x.greater(0).where(x.pow(0.5), 0).sum(), [0, -1, 4], [0, 0, 0.25]],
  ['an inverse power', (x) => x.notEqual(0).where(x.pow(-1), 0).sum(), [0, 2], [0, -0.25]],
  ['an exponential', (x) => x.less(80).where(x.exp(), 0).sum(), [1000, 0], [0, 1]],
  ['eˣ − 1', (x) => x.less(80).where(x.expm1(), 0).sum(), [1000, 0], [0, 1]],
  ['erf⁻¹', (x) => x.abs().less(1).where(x.erfInverse(), 0).sum(), [1, -1, 0], [0, 0, Math.sqrt(Math.PI) / 2]],
  ['a sine', (x) => x.isFinite().where(x.sin(), 0).sum(), [Infinity, 0], [0, 1]],
  [
    'rows over their lengths, one of them zero',
    (x) => {
      const squares = x.square().sum(1, true);
      return squares.greater(0).where(x.mul(squares.rsqrt()), 0).slice(null, 0).sum();
    },
    [
      [0, 0],
      [3, 4],
    ],
    [
      [0, 0],
      [0.128, -0.096],
    ],
  ],
  ['deep down', (x) => x.greater(0).where(x.sqrt().mul(2).add(1).tanh().neg(), 0).sum(), [0], [0]],
];

describe.each([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))('on %s', (_name, backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('a gradient is what is stated, and its own gradient finite', async () => {
    const slopes = kinks.map(([, f, at]) => {
      const x = tensor(at);
      const first = grad(f(x), [x])[0]!;
      const weights = tensor(at.flat().map((_, i) => 1 + i)).reshape(x.shape);
      return { first, second: grad(first.mul(weights).sum(), [x])[0]! };
    });
    // One plan for all, which a CPU that plays a GPU compiles sooner.
    await realize(...slopes.flatMap(({ first, second }) => [first, second]));
    for (const [i, { first, second }] of slopes.entries()) {
      const [kink, , , gradient] = kinks[i]!;
      const expected = gradient.flat();
      const found = [...(await first.data())];
      const wrong = found.some((value, k) => !(Math.abs(value - expected[k]!) < 2e-6));
      expect([kink, wrong ? found : expected]).toEqual([kink, expected]);
      expect([kink, [...(await second.data())].every(Number.isFinite)]).toEqual([kink, true]);
    }
  });

  it('an infinite slope where mathematics has it stays', async () => {
    const x = tensor([0]);
    for (const f of [x.sqrt(), x.log(), x.pow(0.5)]) expect(await grad(f.sum(), [x])[0]!.item()).toBe(Infinity);
    expect(await jvp(x.sqrt(), [x], [tensor([1])]).item()).toBe(Infinity);
    expect(await jvp(x.greater(0).where(x.sqrt(), 0), [x], [tensor([1])]).item()).toBe(0);
  });

  it('where a first derivative is 0 by chance, the second is right', async () => {
    // f = (x − 1)²·ln x and (x − 1)²/x: at 1 the cotangents of ln and of the quotient are 0, their derivatives are not.
    const x = tensor([1]);
    const cotangent = x.sub(1);
    for (const [f, third] of [
      [cotangent.square().mul(x.log()), 6],
      [cotangent.square().div(x), -6],
    ] as const) {
      const second = grad(grad(f.sum(), [x])[0]!.sum(), [x])[0]!;
      expect(Math.abs((await second.item()) - (third === 6 ? 0 : 2))).toBeLessThan(1e-5);
      expect(Math.abs((await grad(second.sum(), [x])[0]!.item()) - third)).toBeLessThan(1e-4);
    }
    const [product] = hessianVectorProduct(cotangent.mul(x.log()).sum(), [x], [tensor([1])]);
    expect(await product!.item()).toBeCloseTo(2, 5);
  });

  it('linspace reaches both its ends, to the bit', async () => {
    for (const [start, stop, count] of [
      [0, 1, 8],
      [-0.1, 0.7, 50],
      [1e30, -3, 7],
      [-3e38, 3e38, 2],
      [-3e38, 3e38, 3],
      [5, 5, 4],
      [0.1, 9, 1],
    ] as const) {
      const values = [...(await linspace(start, stop, count).data())];
      expect([values[0], values.at(-1)]).toEqual([Math.fround(start), Math.fround(count === 1 ? start : stop)]);
      expect(values.every((value, i) => i === 0 || (value - values[i - 1]!) * (stop - start) >= 0)).toBe(true);
    }
  });
});
