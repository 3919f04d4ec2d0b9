import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createWasmBackend } from '../../../../engine/backends/wasm/index.ts';
import { type ScalarName, scalarRow } from '../../../../engine/scalar.ts';
import { capability } from '../../../support/capabilities.ts';
import { host, program, runKernel } from '../plans.ts';

/** The largest error of every transcendental, in units in the last place of the f32 nearest to the true value. */
const bounds = {
  exp: 1,
  expm1: 1.5,
  log: 1,
  log1p: 1.5,
  sin: 1.5,
  cos: 1.5,
  tanh: 1.5,
  sigmoid: 2.5,
  erf: 1.25,
  erfInverse: 3,
  pow: 0.51,
  sqrt: 0.5,
} as const satisfies { readonly [Op in ScalarName]?: number };

const builds = ['simd', 'relaxed'] as const;
const loaded = Object.fromEntries(
  await Promise.all(
    builds.map(async (build) => [build, await createWasmBackend({ build, threads: 1 }).catch((error: Error) => error)] as const),
  ),
);

const specials = [
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  1,
  -1,
  0.5,
  -0.5,
  2,
  -2,
  3,
  -3,
  1e-45,
  -1e-45,
  1e-40,
  2 ** -126,
  -(2 ** -126),
  3.4028234663852886e38,
  -3.4028234663852886e38,
];

/** Every exponent and sign with random mantissas, and the places where functions change their ways, from both sides. */
function samples(count: number): Float32Array {
  const bits = new Uint32Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bits[i] = ((i % 512) << 23) | (state >>> 9);
  }
  const wide = new Float32Array(bits.buffer);
  const edges = [
    0.625,
    0.927734375,
    88.722839,
    -87.33655,
    -103.97208,
    -104,
    Math.SQRT1_2,
    Math.SQRT2,
    Math.PI / 2,
    Math.PI,
    12 * Math.PI,
    1e5,
    2 ** 28,
    8.66434,
    0.998,
  ];
  const near = edges.flatMap((edge) => Array.from({ length: 2001 }, (_, k) => edge * (1 + (k - 1000) * 2 ** -22)));
  const dense = Array.from({ length: count }, (_, k) => ((k - count / 2) / count) * 24);
  const multiples = Array.from({ length: 4000 }, (_, k) => Math.fround((k * Math.PI) / 2) * (k % 2 ? 1 : -1));
  return Float32Array.from([...specials, ...wide, ...near, ...near.map((x) => -x), ...dense, ...dense.map((x) => x / 1000), ...multiples]);
}

/** The distance from `x` to its neighbour away from 0, in f32. */
function unit(x: number): number {
  const magnitude = Math.max(Math.abs(Math.fround(x)), 2 ** -126);
  return 2 ** (Math.floor(Math.log2(Math.min(magnitude, 3.4e38))) - 23);
}

function error(got: number, want: number): number {
  const rounded = Math.fround(want);
  if (Object.is(got, rounded)) return 0;
  if (!Number.isFinite(rounded) && Number.isFinite(got)) return Math.abs(got) >= 3.4e38 && Number.isFinite(want) ? 1 : Infinity;
  if (rounded === 0 && got === 0) return want === 0 ? Infinity : 0.5;
  if (!Number.isFinite(got)) return Math.abs(rounded) >= 3.4e38 && Math.sign(got) === Math.sign(rounded) ? 1 : Infinity;
  return Math.abs(got - want) / unit(want);
}

const usable = builds.filter((build) => {
  const backend = loaded[build];
  return capability(`${build === 'relaxed' ? 'relaxed-' : ''}simd`, !(backend instanceof Error), 'this engine does not compile it');
});

describe.each(usable)('%s', (build) => {
  const wasm = loaded[build] as Backend;
  afterAll(() => wasm.dispose());

  it.each(Object.keys(bounds) as (keyof typeof bounds)[])('%s is within its bound', async (op) => {
    const { arity, reference } = scalarRow(op);
    const count = 1 << 16;
    let a = samples(count);
    let b = a;
    if (arity === 2) {
      const exponents = [0, -0, 1, -1, 2, 3, -3, 0.5, -0.5, 1 / 3, 2.5, -7, 100, 101, 1e9, -1e9, 16777215, 33554431, ...specials];
      b = Float32Array.from({ length: a.length * 4 }, (_, k) =>
        k % 2 ? exponents[k % exponents.length]! : ((k * 7919) % 2000) / 100 - 10,
      );
      a = Float32Array.from(b, (_, k) => a[(k * 31) % a.length]!);
    }
    const shape = [a.length];
    const inputs = [host('f32', shape, a), host('f32', shape, b)].slice(0, arity);
    const steps = program(arity, [], [[op, 'f32', ...inputs.keys()]]);
    const [out] = await runKernel(wasm, { kind: 'map', shape, program: steps }, inputs, [{ dtype: 'f32', shape }]);
    let worst = { error: 0, a: 0, b: 0, got: 0, want: 0 };
    for (let i = 0; i < a.length; i++) {
      const want = reference(a[i]!, b[i]!, 0);
      const e = error(out![i]!, want);
      if (e > worst.error) worst = { error: e, a: a[i]!, b: b[i]!, got: out![i]!, want };
    }
    expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(bounds[op]);
  });
});
