import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../../../engine/backends/wasm/index.ts';
import { LinearMemory } from '../../../../engine/backends/wasm/memory.ts';
import { scalars } from '../../../../engine/scalar.ts';
import * as opcode from '../../../../wasm/opcode.ts';
import { property } from '../../../support/property.ts';
import { buffer, contiguous, host, identity, noise, planOf, program, runKernel, runPlan, singleKernelPlan } from '../plans.ts';

const create = () => createWasmBackend({ threads: 1 });

describe('linear memory', () => {
  it('gives regions that never overlap, and takes all of them back', () =>
    property([fc.array(fc.tuple(fc.nat(300_000), fc.nat(), fc.boolean()), { maxLength: 60 })], (steps) => {
      const memory = new LinearMemory(new WebAssembly.Memory({ initial: 1 }), 5000);
      const held = new Map<number, number>();
      for (const [bytes, pick, give] of steps) {
        const addresses = [...held.keys()];
        if (give && addresses.length > 0) {
          const address = addresses[pick % addresses.length]!;
          held.delete(address);
          memory.free(address);
        } else {
          const address = memory.allocate(bytes);
          expect(address % 64).toBe(0);
          expect(address).toBeGreaterThanOrEqual(5000);
          expect(address + bytes + 64).toBeLessThanOrEqual(memory.memory.buffer.byteLength);
          for (const [other, length] of held) expect(address + bytes <= other || other + length <= address).toBe(true);
          held.set(address, bytes);
        }
      }
      const grown = memory.memory.buffer.byteLength;
      for (const address of held.keys()) memory.free(address);
      expect(memory.bytes).toBe(0);
      // All of it is one hole again.
      memory.allocate(grown - 5056 - 128);
      expect(memory.memory.buffer.byteLength).toBe(grown);
    }));

  it('says what was asked for when there is no more', () => {
    const memory = new LinearMemory(new WebAssembly.Memory({ initial: 1, maximum: 4 }), 0);
    memory.allocate(100_000);
    expect(() => memory.allocate(200_000)).toThrow(
      expect.objectContaining({ code: 'backend', message: expect.stringMatching(/cannot get 200\d\d\d more/) }),
    );
    expect(memory.allocate(100_000)).toBeGreaterThan(0);
  });
});

describe('the wasm backend', () => {
  it('counts what it holds, and is back where it was after plans and buffers are gone', async () => {
    const wasm = await create();
    const slab = { dtype: 'f32', shape: [1000] } as const;
    const add = { kind: 'map', shape: [1000], program: program(1, [], [['add', 'f32', 0, 0]]) } as const;
    await runKernel(wasm, add, [host('f32', [1000], noise(1000))], [slab]);
    const rest = wasm.bytes;
    const executable = await wasm.prepare(singleKernelPlan(add, [slab], [slab]), []);
    expect(wasm.bytes).toBeGreaterThan(rest);
    const running = wasm.bytes;
    for (let step = 0; step < 50; step++) await executable.run([new Float32Array(1000)], []);
    expect(wasm.bytes).toBe(running);
    executable.dispose();
    executable.dispose();
    const memory = wasm.allocate(4000);
    expect(memory.bytes).toBe(4000);
    wasm.free(memory);
    wasm.free(memory);
    expect(wasm.bytes).toBe(rest);
  });

  it('zeroes what it allocates, also where something was before', async () => {
    const wasm = await create();
    const first = wasm.allocate(20);
    wasm.write(first, Float32Array.of(1, 2, 3, 4, 5));
    expect([...(await wasm.read(first, 'f32', 5))]).toEqual([1, 2, 3, 4, 5]);
    wasm.free(first);
    expect([...(await wasm.read(wasm.allocate(20), 'f32', 5))]).toEqual([0, 0, 0, 0, 0]);
  });

  it('keeps results when memory grows, and takes buffers of its own as inputs', async () => {
    const wasm = await create();
    const n = 3_000_000;
    const held = wasm.allocate(4 * n);
    wasm.write(
      held,
      Float32Array.from({ length: n }, (_, k) => k % 1000),
    );
    const slab = { dtype: 'f32', shape: [n] } as const;
    const plan = singleKernelPlan(
      { kind: 'map', shape: [n], program: program(1, [{ value: 1, lane: 'f32' }], [['add', 'f32', 0, 1]]) },
      [slab],
      [slab],
    );
    const executable = await wasm.prepare(plan, []);
    const [first] = (await executable.run([held], [])) as [Float32Array];
    wasm.allocate(50_000_000);
    const [second] = (await executable.run([held], [])) as [Float32Array];
    expect(first[n - 1]).toBe(1000);
    expect(Buffer.compare(Buffer.from(second.buffer), Buffer.from(first.buffer))).toBe(0);
  });

  it('shares one arena among plans of any size, and updates slots in place', async () => {
    const wasm = await create();
    const cpu = createCpuBackend();
    for (const n of [10, 100_000, 1000]) {
      const one = { value: 1, lane: 'f32' } as const;
      const step = (from: number, to: number) =>
        ({
          kind: 'map',
          shape: [n],
          program: program(1, [one], [['add', 'f32', 0, 1]]),
          inputs: [contiguous(from, { dtype: 'f32', shape: [n] })],
          outputs: [contiguous(to, { dtype: 'f32', shape: [n] })],
        }) as const;
      const plan = planOf(
        [buffer('constant', 'f32', n), buffer('scratch', 'f32', n, 64), buffer('slot', 'f32', n), buffer('output', 'f32', n)],
        [step(0, 1), step(1, 2), step(2, 2), step(2, 3)],
        64 + 4 * n,
      );
      for (const backend of [cpu, wasm]) {
        const slot = backend.allocate(4 * n);
        const executable = await backend.prepare(plan, [new Float32Array(n).fill(0.5)]);
        const [out] = (await executable.run([], [slot])) as [Float32Array];
        expect([out[0], out[n - 1], (await backend.read(slot, 'f32', n))[n - 1]]).toEqual([4.5, 4.5, 3.5]);
      }
    }
  });

  it('says what is wrong with what it is given', async () => {
    const wasm = await create();
    const other = await create();
    const slab = { dtype: 'f32', shape: [3] } as const;
    const copy = (dtype: 'f32' | 'f64') =>
      singleKernelPlan({ kind: 'map', shape: [3], program: identity }, [{ ...slab, dtype }], [{ ...slab, dtype }]);
    await expect((async () => wasm.prepare(copy('f64'), []))()).rejects.toMatchObject({
      code: 'dtype',
      message: expect.stringContaining('cpu backend'),
    });
    const executable = await wasm.prepare(copy('f32'), []);
    const held = wasm.allocate(8);
    await expect(executable.run([], [])).rejects.toMatchObject({ code: 'argument' });
    await expect(executable.run([new Float32Array(4)], [])).rejects.toMatchObject({ code: 'dtype' });
    await expect(executable.run([new Int32Array(3)], [])).rejects.toMatchObject({ code: 'dtype' });
    await expect(executable.run([held], [])).rejects.toMatchObject({ code: 'argument' });
    await expect(executable.run([other.allocate(12)], [])).rejects.toMatchObject({ code: 'backend' });
    wasm.free(held);
    await expect(wasm.read(held, 'f32', 2)).rejects.toMatchObject({ code: 'disposed' });
    executable.dispose();
    await expect(executable.run([new Float32Array(3)], [])).rejects.toMatchObject({ code: 'disposed' });
    const pooled = { kind: 'pool', mode: 'max', kernel: [1, 1], stride: [1, 1], padding: [0, 0] } as const;
    const pixels = { dtype: 'i32', shape: [1, 1, 1, 1] } as const;
    await expect((async () => wasm.prepare(singleKernelPlan(pooled, [pixels], [pixels]), []))()).rejects.toMatchObject({ code: 'format' });
    wasm.dispose();
    expect(wasm.bytes).toBe(0);
    expect(() => wasm.allocate(4)).toThrow(expect.objectContaining({ code: 'disposed' }));
    await expect(runPlan(wasm, copy('f32'), [new Float32Array(3)])).rejects.toMatchObject({ code: 'disposed' });
  });

  it('names operations as the scalar table does', () => {
    const numbers = Object.fromEntries(Object.entries(opcode).map(([name, number]) => [name.replaceAll('_', '').toLowerCase(), number]));
    for (const [name, { opcode: number }] of Object.entries(scalars)) {
      expect(numbers[name.toLowerCase()], name).toBe(number);
      expect(number).toBeLessThan(opcode.FUSED);
    }
  });
});
