/** What the scalar table says of a function's accuracy, as tests hold results to it. */
import type { Backend } from '../../engine/backends/backend.ts';
import { references } from '../../engine/backends/cpu/reference.ts';
import { accuracyOf, type ScalarName, scalarRow, scalars } from '../../engine/scalar.ts';
import { host, program, runKernel } from './backends/plans.ts';

/** The functions of floats that round. */
export const functions = (Object.keys(scalars) as ScalarName[]).filter((name) => scalars[name].typing === 'float');

const NORMAL = 2 ** -126;

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
  NORMAL,
  -NORMAL,
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
    0.3,
    0.5,
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

/** Operands of a function, each a list. */
function operandsOf(op: ScalarName, count: number): Float32Array[] {
  const all = samples(count);
  if (scalarRow(op).arity === 1) return [all];
  const exponents = [0, -0, 1, -1, 2, 3, -3, 0.5, -0.5, 1 / 3, 2.5, -7, 100, 101, 1e9, -1e9, 16777215, 33554431, ...specials];
  const second = Float32Array.from({ length: all.length * 4 }, (_, k) =>
    k % 2 ? exponents[k % exponents.length]! : ((k * 7919) % 2000) / 100 - 10,
  );
  return [Float32Array.from(second, (_, k) => all[(k * 31) % all.length]!), second];
}

/** The distance from `x` to its neighbour away from 0, in f32. */
function unit(x: number): number {
  const magnitude = Math.max(Math.abs(Math.fround(x)), NORMAL);
  return 2 ** (Math.floor(Math.log2(Math.min(magnitude, 3.4e38))) - 23);
}

function distance(got: number, want: number): number {
  const rounded = Math.fround(want);
  if (Object.is(got, rounded)) return 0;
  if (!Number.isFinite(rounded) && Number.isFinite(got)) return Math.abs(got) >= 3.4e38 && Number.isFinite(want) ? 1 : Infinity;
  if (rounded === 0 && got === 0) return want === 0 ? Infinity : 0.5;
  if (!Number.isFinite(got)) return Math.abs(rounded) >= 3.4e38 && Math.sign(got) === Math.sign(rounded) ? 1 : Infinity;
  return Math.abs(got - want) / unit(want);
}

/** Where a function of floats is furthest off on a backend, beside what the table says of it: in the same units, and where it says something. */
export async function worstOf(
  op: ScalarName,
  backend: Backend,
  count = 1 << 15,
): Promise<{ readonly error: number; readonly bound: number; readonly at: string }> {
  const isGpu = backend.name === 'webgpu';
  const { upTo = Infinity, ...accuracy } = accuracyOf(op);
  const bound = backend.name === 'cpu' ? 0.5 : accuracy[isGpu ? 'webgpu' : 'wasm'];
  const { of: reference } = references[op];
  const operands = operandsOf(op, count);
  const shape = [operands[0]!.length];
  const body = { kind: 'map', shape, program: program(operands.length, [], [[op, 'f32', ...operands.keys()]]) } as const;
  const inputs = operands.map((values) => host('f32', shape, values));
  const [out] = await runKernel(backend, body, inputs, [{ dtype: 'f32', shape }]);
  let worst = { error: 0, bound, at: '' };
  for (const [i, got] of out!.entries()) {
    const [a, b = 0] = operands.map((values) => values[i]!) as [number, number?];
    const want = reference(a, b, 0);
    // A GPU may lose subnormal numbers, those on the way among them, and the sign of 0.
    const isLost = (x: number): boolean => x !== 0 && (Math.abs(x) < 2 ** -120 || Math.abs(x) > upTo) && Math.abs(x) < Infinity;
    if (isGpu && ([a, b, want].some(isLost) || got === want)) continue;
    const error = isGpu && upTo < Infinity && Number.isFinite(got - want) ? Math.abs(got - want) * 2 ** 23 : distance(got, want);
    if (error > worst.error) worst = { error, bound, at: `${op}(${operands.length === 1 ? a : `${a}, ${b}`}) is ${got}, not ${want}` };
  }
  return worst;
}
