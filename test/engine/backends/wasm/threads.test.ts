import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel, Reduction } from '../../../../engine/compiler/plan.ts';
import type { DType } from '../../../../engine/dtype.ts';
import { property } from '../../../support/property.ts';
import { buffer, contiguous, indexed, noise, planOf } from '../plans.ts';
import { draw } from './harness.ts';
import { programs, shapes } from './programs.ts';
import { bitsOf, runOn, sharedBuilds } from './shares.ts';

describe('bits do not depend on the number of threads', () => {
  async function same(kernel: Kernel, seed: number, fill: typeof draw = draw): Promise<void> {
    const slabs = [...kernel.inputs, ...kernel.outputs];
    const specs = slabs.map(({ dtype, shape }, k) =>
      buffer(
        k < kernel.inputs.length ? 'input' : kernel.kind === 'scatter' ? 'slot' : 'output',
        dtype,
        shape.reduce((size, extent) => size * extent, 1),
      ),
    );
    const plan = planOf(specs, [kernel]);
    const values = (number: number) => fill(plan.buffers[number]!.dtype, plan.buffers[number]!.length, seed + number);
    const [inputs, slots] = [plan.inputs.map(values), plan.slots.map(values)];
    for (const build of sharedBuilds) {
      const alone = bitsOf(runOn(1, plan, inputs, { slots, build }));
      for (const threads of [2, 3, 7])
        expect(bitsOf(runOn(threads, plan, inputs, { slots, build })), `${threads} threads, ${build}`).toEqual(alone);
    }
  }

  const slab = (number: number, dtype: DType, shape: readonly number[]) => contiguous(number, { dtype, shape });

  it('map and reduce', () =>
    property(
      [shapes, programs(1, 8, true), fc.nat(4), fc.constantFrom<Reduction>('sum', 'max', 'argmin', 'prod'), fc.nat()],
      async (shape, draft, folded, reduction, seed) => {
        const inputs = draft.inputs.map((dtype, k) => slab(k, dtype, shape));
        const outputs = draft.outputs.map((dtype, k) => slab(inputs.length + k, dtype, shape));
        await same({ kind: 'map', shape, program: draft.program, inputs, outputs }, seed);
        const reduced = Math.min(folded, shape.length);
        const kept = shape.slice(0, shape.length - reduced);
        const folds = draft.outputs.map((dtype, k) => slab(inputs.length + k, reduction.startsWith('arg') ? 'i32' : dtype, kept));
        await same(
          { kind: 'reduce', shape, reduced, program: draft.program, reductions: folds.map(() => reduction), inputs, outputs: folds },
          seed,
        );
      },
    ));

  it('scan, gather, scatterAdd, scatter, gridSample, sort, copy, pad and concat', () =>
    property(
      [fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 4, maxLength: 4 }), fc.nat()],
      async ([a = 1, n = 1, m = 1, b = 1], seed) => {
        const f32 = (number: number, ...shape: number[]) => slab(number, 'f32', shape);
        const i32 = (number: number, ...shape: number[]) => slab(number, 'i32', shape);
        await same({ kind: 'scan', fn: m % 2 ? 'sum' : 'prod', inputs: [f32(0, a, n, 3 * b)], outputs: [f32(1, a, n, 3 * b)] }, seed);
        await same({ kind: 'gather', inputs: [f32(0, a, n, b), i32(1, a, m, b)], outputs: [f32(2, a, m, b)] }, seed);
        const places: typeof draw = (dtype, length, from) =>
          dtype === 'i32' ? indexed(n, from, b % 2 === 0)(length) : draw(dtype, length, from);
        for (const kind of ['scatterAdd', 'scatter'] as const)
          await same({ kind, inputs: [i32(0, a, m, b), f32(1, a, m, b)], outputs: [f32(2, a, n, b)] }, seed, places);
        const whole = { ...i32(0, a, m, b), strides: [m, 1, 0] };
        await same({ kind: 'scatter', inputs: [whole, f32(1, a, m, b)], outputs: [f32(2, a, n, b)] }, seed, places);
        await same(
          {
            kind: 'gridSample',
            padding: 'zeros',
            alignCorners: false,
            inputs: [f32(0, a, 3, n, m), f32(1, a, b, 4, 2)],
            outputs: [f32(2, a, 3, b, 4)],
          },
          seed,
        );
        await same({ kind: 'argsort', descending: false, inputs: [f32(0, a, n)], outputs: [i32(1, a, n)] }, seed);
        const turned = { ...f32(0, a, n, m), strides: [n * m, 1, n] };
        await same({ kind: 'copy', inputs: [turned], outputs: [f32(1, a, n, m)] }, seed);
        await same({ kind: 'pad', before: [1, 0, 2], value: 1, inputs: [turned], outputs: [f32(1, a + 1, n, m + 3)] }, seed);
        await same({ kind: 'concat', axis: 1, inputs: [turned, { ...turned, buffer: 1 }], outputs: [f32(2, a, 2 * n, m)] }, seed);
      },
    ));

  it('long folds, in chunks', async () => {
    const program = { inputs: 1, constants: [], instructions: [], registers: 0, results: [0, 0] };
    for (const [shape, reduced] of [
      [[300_000], 1],
      [[5, 60_001], 1],
      [[3, 50, 40, 60], 3],
    ] as const) {
      const kept = shape.slice(0, shape.length - reduced);
      const outputs = [slab(1, 'f32', kept), slab(2, 'f32', kept)];
      const kernel: Kernel = {
        kind: 'reduce',
        shape,
        reduced,
        program,
        reductions: ['sum', 'max'],
        inputs: [slab(0, 'f32', shape)],
        outputs,
      };
      // Of finite numbers, whose sums tell in which order they were added.
      await same(kernel, 1, (_dtype, length, seed) => Float32Array.from(noise(length, seed)));
    }
  });
});
