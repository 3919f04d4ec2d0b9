import fc from 'fast-check';
import { expect } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../../../engine/backends/wasm/index.ts';
import type { Kernel, Plan, View } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import type { DType, TypedArray } from '../../../../engine/dtype.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { buffer, type KernelBody, planOf, runPlan } from '../plans.ts';
import { bitsOf, runOn, sharedBuilds } from './shares.ts';

/** The builds that this platform runs. */
export const builds: readonly Backend[] = (
  await Promise.all((['simd', 'relaxed'] as const).map((build) => createWasmBackend({ build, threads: 1 }).catch(() => null)))
).filter((backend) => backend !== null);

export const cpu = createCpuBackend({ poison: true });

export const epsilon = 2 ** -23;

export interface Layout {
  /** Axes from the innermost to the outermost. */
  readonly order: readonly number[];
  /** Elements before the first and after each row of the innermost axis. */
  readonly gap: number;
  readonly flipped: boolean;
  /** Axis of stride 0, if any. */
  readonly still: number | null;
}

/** How a view of a rank lies in its buffer. More often than not, row by row. */
export const layouts = (rank: number, input: boolean): fc.Arbitrary<Layout> => {
  const rowMajor = Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return fc.record({
    order: fc.oneof(
      { weight: 2, arbitrary: fc.constant(rowMajor) },
      { weight: 1, arbitrary: fc.shuffledSubarray(rowMajor, { minLength: rank }) },
    ),
    gap: fc.constantFrom(0, 0, 0, 3),
    flipped: fc.constantFrom(false, false, false, true),
    still: input ? fc.constantFrom(null, null, null, ...rowMajor) : fc.constant(null),
  });
};

export function arranged(
  number: number,
  dtype: DType,
  shape: readonly number[],
  { order, gap, flipped, still }: Layout,
): { view: View; length: number } {
  const strides = Array<number>(shape.length).fill(0);
  let extent = 1;
  for (const axis of order) {
    if (axis === still) continue;
    strides[axis] = extent;
    extent = extent * Math.max(1, shape[axis]!) + gap;
  }
  let offset = gap;
  const first = order[0]!;
  if (flipped && first !== still) {
    offset += Math.max(0, shape[first]! - 1) * strides[first]!;
    strides[first] = -strides[first]!;
  }
  return { view: { buffer: number, dtype, shape, strides, offset }, length: extent + 2 * gap };
}

/** Deterministic values in −1…1; with `specials`, one in twelve is NaN, ±∞, ±0 or 1. */
export function draw(length: number, seed: number, specials = false): Float32Array {
  const unusual = [NaN, Infinity, -Infinity, 0, -0, 1];
  let state = seed | 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return specials && (state >>> 13) % 12 === 0 ? unusual[(state >>> 17) % unusual.length]! : state / 2 ** 31;
  });
}

export interface Case {
  readonly body: KernelBody;
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly dtype?: DType;
  /** Of the inputs, then of the output. */
  readonly layouts: readonly Layout[];
}

export function planOfCase({ body, inputs, output, dtype = 'f32', layouts }: Case): Plan {
  const views = [...inputs, output].map((shape, k) => arranged(k, k < inputs.length ? 'f32' : dtype, shape, layouts[k]!));
  // What is not written whole was there before.
  const result = sizeOf(output) === views.at(-1)!.length ? 'output' : 'slot';
  const specs = views.map(({ view, length }, k) => buffer(k < inputs.length ? 'input' : result, view.dtype, length));
  const [target, ...rest] = views.map(({ view }) => view).toReversed();
  const plan = planOf(specs, [{ ...body, inputs: rest.toReversed(), outputs: [target!] } as Kernel]);
  const faults = planFaults(plan);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return plan;
}

/** The elements of a view of rank 4 or less, row by row. */
export function elements({ shape, strides, offset }: View, data: TypedArray): number[] {
  let at = [offset];
  for (const [axis, extent] of shape.entries())
    at = at.flatMap((start) => Array.from({ length: extent }, (_, i) => start + i * strides[axis]!));
  return at.map((position) => data[position]!);
}

/** Runs a case on the reference and on every build and compares, NaN with NaN, to `tolerance` times 1 or the value, whichever is larger. */
export async function agree(given: Case, data: readonly Float32Array[], tolerance: number): Promise<void> {
  const plan = planOfCase(given);
  const inputs = plan.inputs.map((k) => data[k]!.subarray(0, plan.buffers[k]!.length));
  const view = plan.kernels[0]!.outputs[0]!;
  const want = elements(view, (await runPlan(cpu, plan, inputs))[0]!);
  for (const [which, backend] of builds.entries()) {
    const got = elements(view, (await runPlan(backend, plan, inputs))[0]!);
    for (const [i, expected] of want.entries()) {
      const actual = got[i]!;
      if (Object.is(expected, actual) || expected === actual || Math.abs(expected - actual) <= tolerance * Math.max(1, Math.abs(expected)))
        continue;
      throw new Error(
        `${which === 0 ? 'simd' : 'relaxed'}, element ${i} of [${view.shape}]: cpu ${expected}, wasm ${actual}, tolerance ${tolerance}`,
      );
    }
  }
}

/** Random data for the inputs of a case. */
export function dataOf(given: Case, seed: number, specials: readonly boolean[] = []): Float32Array[] {
  const plan = planOfCase(given);
  return plan.inputs.map((k) => draw(plan.buffers[k]!.length, seed + 7919 * k, specials[k] ?? false));
}

/** Each thread taking its share in turn, a case must give the bits that one thread gives. */
export function sameBits(given: Case, data: readonly Float32Array[]): void {
  const plan = planOfCase(given);
  const inputs = plan.inputs.map((k) => data[k]!.subarray(0, plan.buffers[k]!.length));
  for (const build of sharedBuilds) {
    const alone = bitsOf(runOn(1, plan, inputs, { build }));
    for (const threads of [2, 3, 7]) expect(bitsOf(runOn(threads, plan, inputs, { build })), `${threads} threads, ${build}`).toEqual(alone);
  }
}
