import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  customGradient,
  type ErrorCode,
  grad,
  hessianVectorProduct,
  jvp,
  maxPool2d,
  slot,
  stopGradient,
  TensegrityError,
  type Tensor,
  tensor,
  useBackend,
  vjp,
} from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { reference } from './support.ts';
import { host, relativeError } from './values.ts';

const f64 = (values: number[]): Tensor => tensor(host([values.length], values));
const numbers = (length: number) => fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: length, maxLength: length });
const list = async (x: Tensor): Promise<number[]> => [...(await x.data())];

function code(action: () => unknown): ErrorCode | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(TensegrityError);
    return (error as TensegrityError).code;
  }
}

describe('derivatives as graph', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  it('goes on to third order and beyond', () =>
    property([fc.double({ min: -2, max: 2, noNaN: true })], async (at) => {
      // x⁵ − 2x³ + x: 5x⁴ − 6x² + 1, 20x³ − 12x, 60x² − 12, 120x, 120, 0.
      const x = tensor(at, { dtype: 'f64' });
      let y = x.pow(5).sub(x.pow(3).mul(2)).add(x);
      const expected = [5 * at ** 4 - 6 * at ** 2 + 1, 20 * at ** 3 - 12 * at, 60 * at ** 2 - 12, 120 * at, 120, 0];
      for (const value of expected) {
        y = grad(y, [x])[0]!;
        expect(await y.item()).toBeCloseTo(value, 9);
      }
    }));

  it('of running products, to third order, where some factors are 0', async () => {
    // y₃ = x₀x₁x₂x₃, and at x₁ = x₂ = 0 only ∂³/∂x₁∂x₂ is left of it: of x₀ it is x₃, of x₃ it is x₀.
    const x = tensor([2, 0, 0, 3], { dtype: 'f64' });
    const along = (y: Tensor, i: number): Tensor => grad(y.narrow(0, i, 1).sum(), [x])[0]!;
    const first = grad(x.cumprod().narrow(0, 3, 1).sum(), [x])[0]!;
    expect(await along(along(first, 1), 2).data()).toEqual(Float64Array.of(3, 0, 0, 2));
    expect(await grad(x.cumprod().sum(), [x])[0]!.data()).toEqual(Float64Array.of(1, 2, 0, 0));
  });

  it('multiplies by the Jacobian from either side', () =>
    property([numbers(6), numbers(3), numbers(2)], async (entries, along, against) => {
      // y = tanh(A x) has the Jacobian diag(1 − y²) A.
      const a = tensor(host([2, 3], entries));
      const [x, v, u] = [f64([0.3, -0.7, 1.1]), f64(along), f64(against)];
      const y = a.matmul(x).tanh();
      const values = await list(y);
      const row = (i: number): number[] => entries.slice(3 * i, 3 * i + 3).map((entry) => entry * (1 - values[i]! ** 2));
      const dot = (p: readonly number[], q: readonly number[]): number => p.reduce((sum, value, i) => sum + value * q[i]!, 0);
      expect(relativeError(await list(jvp(y, [x], [v])), [dot(row(0), along), dot(row(1), along)], 1e-3)).toBeLessThan(1e-11);
      const [back] = vjp(y, [x], u);
      const expected = [0, 1, 2].map((j) => against[0]! * row(0)[j]! + against[1]! * row(1)[j]!);
      expect(relativeError(await list(back!), expected, 1e-3)).toBeLessThan(1e-11);
    }));

  it('sums over several variables in a Jacobian-vector product', async () => {
    const [x, y] = [f64([2]), f64([5])];
    expect(await jvp(x.mul(y), [x, y], [f64([10]), f64([100])]).item()).toBe(5 * 10 + 2 * 100);
    expect(await jvp(x.square(), [y], [f64([1])]).item()).toBe(0);
    expect(await jvp(x.square(), [], []).item()).toBe(0);
  });

  it('multiplies by the Hessian', () =>
    property([numbers(3), numbers(3)], async (at, along) => {
      // f = x₀²x₁ + x₂³
      const [x, v] = [f64(at), f64(along)];
      const [p, q, r] = [x.slice(0), x.slice(1), x.slice(2)];
      const f = p.square().mul(q).add(r.pow(3));
      const [product] = hessianVectorProduct(f, [x], [v]);
      const [a, b, c] = at as [number, number, number];
      const expected = [2 * b * along[0]! + 2 * a * along[1]!, 2 * a * along[0]!, 6 * c * along[2]!];
      expect(relativeError(await list(product!), expected, 1e-3)).toBeLessThan(1e-10);
    }));

  it('is zero for what the loss does not depend on', async () => {
    const [x, other, w] = [f64([1, 2]), f64([3, 4, 5]), slot(host([2], [1, 1]), 'weight')];
    const [gx, gOther, gw] = grad(x.square().sum(), [x, other, w]);
    expect([await list(gx!), await list(gOther!), await list(gw!)]).toEqual([
      [2, 4],
      [0, 0, 0],
      [0, 0],
    ]);
    expect(await list(grad(x.argmax().cast('f64').sum(), [x])[0]!)).toEqual([0, 0]);
    expect(await list(grad(x.greater(1).where(1, 0).cast('f64').sum(), [x])[0]!)).toEqual([0, 0]);
  });

  it('is one for the loss itself, and counts every use of a variable', async () => {
    const x = tensor(3, { dtype: 'f64' });
    expect(await grad(x, [x, x])[1]!.item()).toBe(1);
    const y = x.add(x).mul(x);
    expect(await grad(y, [x])[0]!.item()).toBe(12);
    // With respect to what is on the way, both directly and through it.
    const middle = x.square();
    const [gm, gx] = grad(middle.mul(x), [middle, x]);
    expect([await gm!.item(), await gx!.item()]).toEqual([3, 27]);
  });

  it('means the expression that the loss was built from when it is taken with respect to a slot', async () => {
    const w = slot(host([1], [3]), 'weight');
    const loss = w.value.square().sum();
    const [before] = grad(loss, [w]);
    w.assign(w.value.sub(before!.mul(0.1)));
    const [after] = grad(loss, [w]);
    expect(await list(after!)).toEqual([6]);
  });

  it('stops where it is told to', async () => {
    const x = tensor(3, { dtype: 'f64' });
    const [g] = grad(x.mul(stopGradient(x.square())), [x]);
    expect(await g!.item()).toBe(9);
    const [none] = grad(x.square().stopGradient(), [x]);
    expect(await none!.item()).toBe(0);
  });

  it('takes a derivative of the user’s own, and differentiates it again', async () => {
    const x = tensor(3, { dtype: 'f64' });
    // The value of x², the derivative x³.
    const y = customGradient(x.square(), [x], (g) => [g.mul(x.pow(3))]);
    const [first] = grad(y.mul(2), [x]);
    expect(await first!.item()).toBe(54);
    expect(await grad(first!, [x])[0]!.item()).toBe(54);
    expect(await y.item()).toBe(9);
    // No gradient reaches x through the value, nor where null is given.
    expect(
      await grad(
        customGradient(x.square(), [x], () => [null]),
        [x],
      )[0]!.item(),
    ).toBe(0);
    expect(
      await grad(
        customGradient(x.square(), [], () => []),
        [x],
      )[0]!.item(),
    ).toBe(0);
  });

  it('has the subgradients that PyTorch has', async () => {
    const x = f64([-1, 0, 1]);
    const slope = async (y: Tensor): Promise<number[]> => (await list(grad(y.sum(), [x])[0]!)).map((value) => value + 0);
    expect(await slope(x.relu())).toEqual([0, 0, 1]);
    expect(await slope(x.abs())).toEqual([-1, 0, 1]);
    expect(await slope(x.maximum(0))).toEqual([0, 0.5, 1]);
    expect(await slope(x.clamp(-1, 0))).toEqual([1, 1, 0]);
    expect(await slope(x.mul(0).norm())).toEqual([0, 0, 0]);
    expect(await slope(x.mul(0).max())).toEqual([0, 0, 0]);
    expect(await slope(x.sign())).toEqual([0, 0, 0]);
    const flat = tensor(host([1, 1, 2, 2], [1, 1, 1, 1]));
    expect(await list(grad(maxPool2d(flat, 2).sum(), [flat])[0]!)).toEqual([1, 0, 0, 0]);
  });

  it('lets no NaN of a branch that is not taken through', async () => {
    const x = f64([-1, 4]);
    const y = x.greater(0).where(x.sqrt(), 0);
    expect(await list(grad(y.sum(), [x])[0]!)).toEqual([0, 0.25]);
    const safe = x.greater(0).where(x.greater(0).where(x, 1).sqrt(), 0);
    expect(await list(grad(safe.sum(), [x])[0]!)).toEqual([0, 0.25]);
  });

  it('keeps the types of its variables', async () => {
    const [x, y] = [tensor([1, 2]), f64([3, 4])];
    const [gx, gy] = grad(x.mul(y).sum(), [x, y]);
    expect([gx!.dtype, gy!.dtype]).toEqual(['f32', 'f64']);
    const [cast] = grad(x.cast('f64').square().sum(), [x]);
    expect([cast!.dtype, await list(cast!)]).toEqual(['f32', [2, 4]]);
  });

  it('follows graphs of any depth', async () => {
    const x = tensor(1, { dtype: 'f64' });
    let y = x;
    for (let i = 0; i < 3000; i++) y = y.mul(0.999).add(0.001);
    expect(await grad(y, [x])[0]!.item()).toBeCloseTo(0.999 ** 3000, 9);
  });

  it('says what it cannot do', () => {
    const [x, i] = [f64([1, 2]), tensor([1, 2], { dtype: 'i32' })];
    expect(code(() => grad(x, [x]))).toBe('shape');
    expect(code(() => grad(x.sum(), [i]))).toBe('dtype');
    expect(code(() => grad(i.sum(), [x]))).toBe('dtype');
    expect(code(() => vjp(x, [x], f64([1])))).toBe('shape');
    expect(code(() => vjp(x, [x], tensor([1, 2])))).toBe('dtype');
    expect(code(() => jvp(x, [x], []))).toBe('argument');
    expect(code(() => jvp(x, [x], [f64([1])]))).toBe('shape');
    expect(code(() => hessianVectorProduct(x.sum(), [x], []))).toBe('argument');
    expect(code(() => hessianVectorProduct(x.sum(), [x], [f64([1])]))).toBe('shape');
    expect(code(() => grad(customGradient(x, [x], () => []).sum(), [x]))).toBe('shape');
    expect(code(() => grad(customGradient(x, [x], (g) => [g.sum()]).sum(), [x]))).toBe('shape');
  });
});
