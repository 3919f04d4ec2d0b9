import fc from 'fast-check';
import { expect } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import type { Kernel, Plan } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import type { TypedArray } from '../../../../engine/dtype.ts';
import { arranged, type Layout } from '../arranged.ts';
import { buffer, contiguous, type KernelBody, planOf, runPlan, type Slab } from '../plans.ts';

const cpu = createCpuBackend({ poison: true });

/** Runs a plan on a backend and on the reference, and compares: integers exactly, floats to `tolerance` relative to 1 or the value, whichever is larger. */
export function agreement(gpu: Backend) {
  return async (plan: Plan, inputs: readonly TypedArray[], tolerance = 0): Promise<void> => {
    expect(planFaults(plan)).toEqual([]);
    const [expected, actual] = [await runPlan(cpu, plan, inputs), await runPlan(gpu, plan, inputs)];
    for (const [k, array] of expected.entries()) {
      expect(actual[k]!.length).toBe(array.length);
      for (let i = 0; i < array.length; i++) {
        const [want, got] = [array[i]!, actual[k]![i]!];
        const close = Object.is(want, got) || want === got || Math.abs(want - got) <= tolerance * Math.max(1, Math.abs(want));
        if (!close) throw new Error(`output ${k}, element ${i}: cpu ${want}, webgpu ${got}`);
      }
    }
  };
}

/** How a view lies inside a buffer of its own: permuted, flipped, spread out, or (for inputs) broadcast. */
export const layouts = (rank: number, broadcast: boolean): fc.Arbitrary<Layout> =>
  fc.record({
    order: fc.shuffledSubarray([...Array(rank).keys()], { minLength: rank }),
    flips: fc.array(fc.boolean(), { minLength: rank, maxLength: rank }),
    gap: fc.nat(2),
    still: broadcast ? fc.array(fc.boolean(), { minLength: rank, maxLength: rank }) : fc.constant(Array<boolean>(rank).fill(false)),
  });

/** A plan of one kernel whose views lie as they are said to. Its output is filled first, so that what the kernel must leave alone is the same on all backends. */
export function laidOut(body: KernelBody, inputs: readonly Slab[], output: Slab, lies: readonly Layout[]): Plan {
  const slabs = [...inputs, output].map(({ dtype, shape }, k) => arranged(k, dtype, shape, lies[k]!));
  const specs = slabs.map(({ view, length }, k) => buffer(k < inputs.length ? 'input' : 'output', view.dtype, length));
  const views = slabs.map(({ view }) => view);
  const [out] = views.slice(inputs.length);
  const nothing = contiguous(specs.length, { dtype: output.dtype, shape: [0] });
  const whole = contiguous(out!.buffer, { dtype: output.dtype, shape: [specs[out!.buffer]!.length] });
  const fill: Kernel = { kind: 'pad', before: [0], value: 7, inputs: [nothing], outputs: [whole] };
  const kernel = { ...body, inputs: views.slice(0, inputs.length), outputs: [out!] } as Kernel;
  return planOf([...specs, buffer('scratch', output.dtype, 0)], [fill, kernel]);
}
