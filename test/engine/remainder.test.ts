/** The float remainder is NumPy's, to the bit, on every backend: C's exact fmod, brought to the sign of the divisor by one addition. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createWasmBackend } from '../../engine/backends/wasm/index.ts';
import { compile, type DType, full, grad, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { reference } from './support.ts';

/** A finite double as a whole number of 2^−1074. */
function whole(x: number): bigint {
  const bits = new BigUint64Array(Float64Array.of(Math.abs(x)).buffer)[0]!;
  const [exponent, fraction] = [bits >> 52n, bits & ((1n << 52n) - 1n)];
  const magnitude = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return x < 0 ? -magnitude : magnitude;
}

/** What fmod leaves is a double: its leading bits, then its power of two, which do not round. */
function double(x: bigint): number {
  let power = 0;
  let rest = x;
  for (; rest !== 0n && rest % 2n === 0n; rest /= 2n) power++;
  return Number(rest) * 2 ** Math.max(-1074, power - 1074);
}

/** By NumPy's documentation and integers without bounds. */
function remainder(x: number, y: number, round: (value: number) => number): number {
  if (Number.isNaN(x) || Number.isNaN(y) || Math.abs(x) === Infinity || y === 0) return Number.NaN;
  const rest = Math.abs(y) === Infinity ? x : double(whole(x) % whole(y));
  if (rest === 0) return y < 0 ? -0 : 0;
  return rest < 0 === y < 0 ? rest : round(rest + y);
}

const specials = [0, -0, 1, -1, 5, -5, Infinity, -Infinity, Number.NaN, 1e38, -1e38, 1e-3, 1e8, 7, 0.1, -0.1, 2 ** 28, 2 ** -126, 3e-5];
/** Of ordinary quotients as well as of any: bits of any kind seldom are of like size. */
const numbers = {
  f32: fc.oneof(
    fc.constantFrom(...specials.map(Math.fround)),
    fc.float(),
    fc.float({ min: -100, max: 100 }),
    fc.integer({ min: -(2 ** 24), max: 2 ** 24 }).map((x) => x / 64),
  ),
  f64: fc.oneof(fc.constantFrom(...specials), fc.double(), fc.double({ min: -100, max: 100 })),
} as const;
/** A GPU may take a subnormal number for 0. */
const normal = (x: number): boolean => x === 0 || Math.abs(x) >= 2 ** -126;

/** The cases that the issue quotes, with NumPy's answers. */
const quoted = [
  [1e9, Math.PI, 1.0241957],
  [1e8, 7, 2],
  [5, Infinity, 5],
  [-5, Infinity, Infinity],
  [5, -Infinity, -Infinity],
  [-5, -Infinity, -5],
  [5.5, 0.1, 0.0999999],
  [3, 2.5, 0.5],
  [-1e-8, 1, 1],
  [7, -7, -0],
  [-7, 7, 0],
  [1, 0, Number.NaN],
  [Infinity, 3, Number.NaN],
] as const;

const wasm = await Promise.all((['simd', 'relaxed'] as const).map((build) => createWasmBackend({ build, threads: 1 }).catch(() => null)));
const backends = [reference, ...wasm, gpu].filter((backend) => backend !== null);

describe.each(backends.map((backend) => [backend.name, backend] as const))('on %s', (name, backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  const remainders = async (xs: readonly number[], ys: readonly number[], dtype: DType): Promise<number[]> => [
    ...(await tensor(xs, { dtype }).remainder(tensor(ys, { dtype })).data()),
  ];

  it('is what NumPy says', async () => {
    const found = await remainders(
      quoted.map(([x]) => x),
      quoted.map(([, y]) => y),
      'f32',
    );
    for (const [i, [x, y, expected]] of quoted.entries()) {
      const rounded = remainder(Math.fround(x), Math.fround(y), Math.fround);
      if (!Number.isNaN(rounded) && Math.abs(rounded) < Infinity) expect(Math.abs(rounded - expected)).toBeLessThan(1e-6);
      expect([x, y, found[i]]).toEqual([x, y, rounded]);
    }
  });

  it('is exact, but for one rounding where the signs differ', () =>
    property([fc.array(fc.tuple(numbers.f32, numbers.f32), { minLength: 1, maxLength: 200 })], async (drawn) => {
      const pairs = drawn.filter(([x, y]) => name !== 'webgpu' || (normal(x) && normal(y) && normal(remainder(x, y, Math.fround))));
      const [xs, ys] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
      const found = await remainders(xs, ys, 'f32');
      expect(found.map((value, i) => [xs[i], ys[i], value])).toEqual(pairs.map(([x, y]) => [x, y, remainder(x, y, Math.fround)]));
    }));

  it.runIf(name === 'cpu')('in f64 too', () =>
    property([numbers.f64, numbers.f64], async (x, y) => {
      expect(await remainders([x], [y], 'f64')).toEqual([remainder(x, y, (value) => value)]);
    }),
  );

  it('of numbers, rows and views, in a compiled function and folded as a constant, it is the same', async () => {
    const [xs, ys] = [
      [1e9, -7, 5.5, -1e-8],
      [Math.fround(Math.PI), 0.3, -0.1],
    ];
    const expected = xs.map((x) => ys.map((y) => remainder(Math.fround(x), Math.fround(y), Math.fround)));
    const f = compile((x: Tensor, y: Tensor) => x.unsqueeze(1).remainder(y));
    expect(await (await f(tensor(xs), tensor(ys))).array()).toEqual(expected);
    expect(await tensor(xs).flip().unsqueeze(0).transpose().remainder(tensor(ys).flip()).array()).toEqual(
      expected.map((row) => row.toReversed()).toReversed(),
    );
    expect(await full([2], 1e9).remainder(Math.PI).array()).toEqual([expected[0]![0], expected[0]![0]]);
    f.dispose();
  });

  it('has gradient 1 in x and −⌊x/y⌋ in y', async () => {
    const [x, y] = [tensor([7.5, -7.5, 5.5, 1e6, 5, -5, 5, -1e-9]), tensor([2, 2, 0.1, 0.3, Infinity, Infinity, -Infinity, 3])];
    const [dx, dy] = grad(x.remainder(y).sum(), [x, y]);
    expect(await dx!.array()).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(await dy!.array()).toEqual([-3, 4, -54, -Math.floor(1e6 / Math.fround(0.3)), 0, 1, 1, 1]);
    expect(await grad(dy!.sum(), [x])[0]!.array()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});
