/** Every backend checks plans that its own compiler did not make, and what a run is given. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, DeviceBuffer, Storage } from '../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../../engine/backends/wasm/index.ts';
import { createWebGpuBackend } from '../../../engine/backends/webgpu/index.ts';
import type { Kernel, Plan, View } from '../../../engine/compiler/plan.ts';
import type { TypedArray } from '../../../engine/dtype.ts';
import { compile, tensor, useBackend } from '../../../engine/index.ts';
import { buffer, contiguous, planOf, program, runPlan } from './plans.ts';
import { gpu } from './webgpu/gpu.ts';

const makers: Readonly<Record<string, (() => Promise<Backend>) | null>> = {
  cpu: async () => createCpuBackend(),
  wasm: () => createWasmBackend({ threads: 1 }),
  'wasm with threads': () => createWasmBackend({ threads: 2 }),
  webgpu: gpu && (() => createWebGpuBackend()),
};

const view = (number: number): View => contiguous(number, { dtype: 'f32', shape: [2] });
const add = program(2, [], [['add', 'f32', 0, 1]]);
/** out = a + b and b = a + b, of an input a and slots b and c. */
const sums = (): Plan => {
  const kernel = (to: number): Kernel => ({ kind: 'map', shape: [2], program: add, inputs: [view(0), view(1)], outputs: [view(to)] });
  const specs = [buffer('input', 'f32', 2), buffer('slot', 'f32', 2), buffer('slot', 'f32', 2), buffer('output', 'f32', 2)];
  return planOf(specs, [kernel(3), kernel(2)]);
};
const edited = (
  change: (plan: { -readonly [Name in keyof Plan]: unknown } & { kernels: { outputs: { offset: number }[]; kind: string }[] }) => void,
): Plan => {
  const plan = structuredClone(sums());
  // To be written as nobody should.
  change(plan as never);
  return plan;
};

describe.each(Object.entries(makers))('%s', (_, make) => {
  const made: Backend[] = [];
  const fresh = async (): Promise<Backend> => {
    const backend = await make!();
    made.push(backend);
    return backend;
  };
  afterAll(() => {
    for (const backend of made) backend.dispose();
  });
  const test = it.skipIf(make === null);

  test('runs a sound plan that comes from elsewhere, as it was when it was given', async () => {
    const backend = await fresh();
    const plan = JSON.parse(JSON.stringify(sums())) as Plan & { kernels: { outputs: { offset: number }[] }[] };
    const executable = await backend.prepare(plan, []);
    plan.kernels[0]!.outputs[0]! = { ...plan.kernels[0]!.outputs[0]!, offset: -17 };
    const [b, c] = [backend.allocate(8), backend.allocate(8)];
    backend.write(b, Float32Array.of(10, 20));
    const [out] = await executable.run([Float32Array.of(1, 2)], [b, c]);
    const read = async (storage: Storage): Promise<TypedArray> => (ArrayBuffer.isView(storage) ? storage : backend.read(storage, 'f32', 2));
    expect([await read(out!), await read(c)]).toEqual([Float32Array.of(11, 22), Float32Array.of(11, 22)]);
  });

  test('walks as many axes as positions of 32 bits have', async () => {
    const backend = await fresh();
    // None of these axes is one with its neighbour in both views.
    const shape = Array<number>(18).fill(2);
    const length = 2 ** 18;
    const from: View = { buffer: 0, dtype: 'f32', shape, strides: shape.map((_, axis) => 2 ** axis), offset: 0 };
    const to = contiguous(1, { dtype: 'f32', shape });
    const twice = program(2, [], [['add', 'f32', 0, 1]]);
    const other: View = { ...from, strides: shape.map((_, axis) => 2 ** ((axis * 5) % 18)) };
    const plan = planOf(
      [buffer('input', 'f32', length), buffer('output', 'f32', length)],
      [{ kind: 'map', shape, program: twice, inputs: [from, other], outputs: [to] }],
    );
    const data = Float32Array.from({ length }, (_, i) => i);
    const [out] = await runPlan(backend, plan, [data]);
    // Bit `b` of a position is the coordinate of axis 17 − b.
    const at = (position: number, { strides }: View) =>
      strides.reduce((sum, stride, axis) => sum + ((position >> (17 - axis)) & 1) * stride, 0);
    expect(out!.findIndex((sum, position) => sum !== at(position, from) + at(position, other))).toBe(-1);
  });

  test('refuses plans that are none, and prepares others afterwards', async () => {
    const backend = await fresh();
    const held = backend.bytes;
    for (const plan of [
      edited(({ kernels }) => (kernels[0]!.outputs[0]!.offset = -17)),
      edited(({ kernels }) => (kernels[0]!.outputs[0]!.offset = -500)),
      edited(({ kernels }) => (kernels[0]!.kind = 'max')),
      edited((plan) => (plan.arenaBytes = NaN)),
      edited((plan) => (plan.slots = { 0: 1, 1: 2, length: 2 })),
      null,
      () => 1,
    ] as Plan[])
      await expect((async () => backend.prepare(plan, []))()).rejects.toMatchObject({ name: 'TensegrityError', code: 'format' });
    expect(backend.bytes).toBe(held);
    await backend.prepare(sums(), []);
  });

  test('refuses what a plan does not take, and names it', async () => {
    const backend = await fresh();
    const executable = await backend.prepare(sums(), []);
    const a = Float32Array.of(1, 2);
    const [b, c, small, freed] = [8, 8, 4, 8].map((bytes) => backend.allocate(bytes)) as [
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
    ];
    backend.free(freed);
    const elsewhere = createCpuBackend().allocate(8);
    const run = (inputs: unknown, slots: unknown) => executable.run(inputs as Storage[], slots as DeviceBuffer[]);
    const wrong: [inputs: unknown, slots: unknown, code: string][] = [
      [[], [b, c], 'argument'],
      [[a, a], [b, c], 'argument'],
      [[a], [b], 'argument'],
      [null, [b, c], 'argument'],
      [[a], undefined, 'argument'],
      [{ 0: a, length: 1 }, [b, c], 'argument'],
      [[null], [b, c], 'argument'],
      [[[1, 2]], [b, c], 'argument'],
      [[Float32Array.of(1)], [b, c], 'dtype'],
      [[Int32Array.of(1, 2)], [b, c], 'dtype'],
      [[new DataView(new ArrayBuffer(8))], [b, c], 'dtype'],
      [[a], [b, b], 'argument'],
      [[b], [b, c], 'argument'],
      [[a], [b, Float32Array.of(1, 2)], 'argument'],
      [[a], [b, null], 'argument'],
      [[a], [b, {}], 'argument'],
      [[a], [b, small], 'argument'],
      [[small], [b, c], 'argument'],
      [[a], [b, freed], 'disposed'],
      [[freed], [b, c], 'disposed'],
      [[a], [b, elsewhere], 'backend'],
    ];
    for (const [inputs, slots, code] of wrong) await expect(run(inputs, slots)).rejects.toMatchObject({ name: 'TensegrityError', code });
    for (const constants of [[a], null, undefined])
      await expect((async () => backend.prepare(sums(), constants as unknown as Storage[]))()).rejects.toMatchObject({ code: 'argument' });
    for (const bytes of [-1, -100, NaN, 0.5, 2 ** 60, '8', null])
      expect(() => backend.allocate(bytes as number)).toThrow(expect.objectContaining({ name: 'TensegrityError' }));
    for (const length of [-1, NaN, 3]) await expect(backend.read(b, 'f32', length)).rejects.toMatchObject({ name: 'TensegrityError' });
    await expect(backend.read(b, 'f16' as 'f32', 1)).rejects.toMatchObject({ name: 'TensegrityError' });
    for (const value of [null, [1, 2], Float32Array.of(1, 2, 3)])
      expect(() => backend.write(b, value as TypedArray)).toThrow(expect.objectContaining({ name: 'TensegrityError' }));
    expect(() => backend.free(null as unknown as DeviceBuffer)).toThrow(expect.objectContaining({ name: 'TensegrityError' }));
    // And none of it did harm.
    backend.write(b, Float32Array.of(10, 20));
    await executable.run([a], [b, c]);
    expect(await backend.read(c, 'f32', 2)).toEqual(Float32Array.of(11, 22));
  });

  test('gives constants that do not fit back', async () => {
    const backend = await fresh();
    const plan = planOf(
      [buffer('constant', 'f32', 2), buffer('constant', 'f32', 2), buffer('output', 'f32', 2)],
      [{ kind: 'map', shape: [2], program: add, inputs: [view(0), view(1)], outputs: [view(2)] }],
    );
    (await backend.prepare(plan, [Float32Array.of(1, 2), Float32Array.of(1, 2)])).dispose();
    const held = backend.bytes;
    for (const wrong of [Float32Array.of(1), Int32Array.of(1, 2), null])
      await expect((async () => backend.prepare(plan, [Float32Array.of(1, 2), wrong as Float32Array]))()).rejects.toMatchObject({
        name: 'TensegrityError',
      });
    expect(backend.bytes).toBe(held);
  });

  test('says that it, or the plan, was disposed of', async () => {
    const backend = await fresh();
    const [executable, other] = [await backend.prepare(sums(), []), await backend.prepare(sums(), [])];
    const slots = [backend.allocate(8), backend.allocate(8)];
    executable.dispose();
    executable.dispose();
    await expect(executable.run([Float32Array.of(1, 2)], slots)).rejects.toMatchObject({ code: 'disposed' });
    backend.dispose();
    const code = expect.stringMatching(/disposed|backend/);
    await expect(other.run([Float32Array.of(1, 2)], slots)).rejects.toMatchObject({ name: 'TensegrityError', code });
    await expect((async () => backend.prepare(sums(), []))()).rejects.toMatchObject({ name: 'TensegrityError', code });
    other.dispose();
    for (const slot of slots) backend.free(slot);
  });
});

describe('the plan of a compiled function', () => {
  it('is a copy: changing it changes nothing, and it is checked where it is prepared', async () => {
    const backend = await useBackend(createCpuBackend());
    const step = compile((x: ReturnType<typeof tensor>) => x.mul(2));
    const plan = (await step.plan(tensor([1, 2]))) as { kernels: { outputs: { offset: number }[] }[] } & Plan;
    const executable = await backend.prepare(plan, []);
    expect(await executable.run([Float32Array.of(1, 2)], [])).toEqual([Float32Array.of(2, 4)]);
    plan.kernels[0]!.outputs[0]!.offset = 1;
    await expect((async () => backend.prepare(plan, []))()).rejects.toMatchObject({ code: 'format' });
    expect(await (await step(tensor([1, 2]))).data()).toEqual(Float32Array.of(2, 4));
  });
});
