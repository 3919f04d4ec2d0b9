import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import type { View } from '../../../../engine/compiler/plan.ts';
import { trusted } from '../../../../engine/compiler/trusted.ts';
import { buffer, contiguous, identity, planOf, program, runPlan } from '../plans.ts';

const two = (number: number): View => contiguous(number, { dtype: 'f32', shape: [2] });
const map = (from: number, to: number, body = identity) =>
  ({ kind: 'map', shape: [2], program: body, inputs: [two(from)], outputs: [two(to)] }) as const;
const double = program(1, [{ value: 2, lane: 'f32' }], [['mul', 'f32', 0, 1]]);

describe('the cpu backend', () => {
  it('counts the bytes it holds', async () => {
    const backend = createCpuBackend();
    const slot = backend.allocate(16);
    expect(backend.bytes).toBe(16);
    const plan = planOf([buffer('constant', 'f32', 2), buffer('scratch', 'f32', 2), buffer('output', 'f32', 2)], [map(0, 1), map(1, 2)], 8);
    const executable = await backend.prepare(plan, [Float32Array.of(1, 2)]);
    expect(backend.bytes).toBe(32);
    await executable.run([], []);
    expect(backend.bytes).toBe(32);
    executable.dispose();
    executable.dispose();
    backend.free(slot);
    backend.free(slot);
    expect(backend.bytes).toBe(0);
    await expect(executable.run([], [])).rejects.toMatchObject({ code: 'disposed' });
    await expect(backend.read(slot, 'f32', 1)).rejects.toMatchObject({ code: 'disposed' });
  });

  it('updates slots in place, and keeps constants as they were prepared', async () => {
    const backend = createCpuBackend();
    const slot = backend.allocate(8);
    backend.write(slot, Float32Array.of(1, 3));
    const constant = Float32Array.of(5, 6);
    const plan = planOf(
      [buffer('slot', 'f32', 2), buffer('constant', 'f32', 2), buffer('output', 'f32', 2)],
      [map(0, 0, double), map(1, 2)],
    );
    const executable = await backend.prepare(plan, [constant]);
    constant.fill(0);
    const first = await executable.run([], [slot]);
    const second = await executable.run([], [slot]);
    expect(await backend.read(slot, 'f32', 2)).toEqual(Float32Array.of(4, 12));
    expect([first, second]).toEqual([[Float32Array.of(5, 6)], [Float32Array.of(5, 6)]]);
    expect(first[0]).not.toBe(second[0]);
  });

  it('keeps scratch where the plan puts it, so that an overlap shows', async () => {
    const specs = [buffer('input', 'f32', 2), buffer('scratch', 'f32', 2, 0), buffer('scratch', 'f32', 2, 4), buffer('output', 'f32', 2)];
    const plan = planOf(specs, [map(0, 1), map(0, 2, double), map(1, 3)], 12);
    // As if the compiler had made it.
    trusted.add(plan);
    expect(await runPlan(createCpuBackend(), plan, [Float32Array.of(1, 2)])).toEqual([Float32Array.of(1, 2).fill(2, 1)]);
  });

  it('poisons what no kernel wrote', async () => {
    const plan = planOf([buffer('scratch', 'f32', 2, 0), buffer('output', 'f32', 2), buffer('output', 'f32', 1)], [map(0, 1)], 8);
    trusted.add(plan);
    expect(await runPlan(createCpuBackend({ poison: true }), plan, [])).toEqual([Float32Array.of(NaN, NaN), Float32Array.of(NaN)]);
  });

  it('refuses what does not fit, and says what would', async () => {
    const backend = createCpuBackend();
    const plan = planOf([buffer('input', 'f32', 2), buffer('output', 'f32', 2)], [map(0, 1)]);
    await expect(runPlan(backend, plan, [])).rejects.toThrow('the plan has 1 inputs, 0 were given');
    await expect(runPlan(backend, plan, [Int32Array.of(1, 2)])).rejects.toThrow('the plan wants 2 elements of f32, got 2 of i32');
    await expect((await backend.prepare(plan, [])).run([createCpuBackend().allocate(8)], [])).rejects.toMatchObject({ code: 'backend' });
    await expect((await backend.prepare(plan, [])).run([backend.allocate(4)], [])).rejects.toMatchObject({ code: 'argument' });
  });
});
