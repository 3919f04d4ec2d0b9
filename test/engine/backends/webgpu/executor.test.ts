/** How plans run on WebGPU: what a run makes, submits and keeps, how values come back, and what its errors say. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, DeviceBuffer, Executable } from '../../../../engine/backends/backend.ts';
import { createWebGpuBackend } from '../../../../engine/backends/webgpu/index.ts';
import type { Plan, View } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { compile, slot, useBackend } from '../../../../engine/index.ts';
import { errorOf } from '../../../support/misuse.ts';
import { buffer, contiguous, planOf, program } from '../plans.ts';
import { gpu as opened } from './gpu.ts';

/** What WebGPU was asked for, by name of the call. */
function counted(backend: Backend): { counts: Record<string, number>; device: GPUDevice } {
  const { device } = backend as Backend & { device: GPUDevice };
  const counts: Record<string, number> = {};
  const count = (target: object, name: string): void => {
    const original: unknown = Reflect.get(target, name);
    if (typeof original !== 'function') throw new Error(`no ${name}`);
    counts[name] = 0;
    Reflect.set(target, name, (...args: readonly unknown[]) => {
      counts[name]!++;
      return Reflect.apply(original, target, args);
    });
  };
  for (const name of ['createBuffer', 'createBindGroup', 'createShaderModule', 'createComputePipelineAsync', 'pushErrorScope'])
    count(device, name);
  count(device.queue, 'submit');
  return { counts, device };
}

const resetTo = (counts: Record<string, number>): void => {
  for (const name of Object.keys(counts)) counts[name] = 0;
};

describe.runIf(opened)('the executor of webgpu', () => {
  const two = (number: number): View => contiguous(number, { dtype: 'f32', shape: [2] });
  const double = program(1, [{ value: 2, lane: 'f32' }], [['mul', 'f32', 0, 1]]);
  const map = (from: number, to: number) =>
    ({ kind: 'map', shape: [2], program: double, inputs: [two(from)], outputs: [two(to)] }) as const;

  it('updates slots in place, keeps constants, shares scratch, and counts its bytes', async () => {
    const gpu = await createWebGpuBackend();
    const slot = gpu.allocate(8);
    gpu.write(slot, Float32Array.of(1, 3));
    const scratch = [0, 8, 0].map((offset) => buffer('scratch', 'f32', 2, offset));
    const kernels = [map(0, 0), map(1, 3), map(3, 4), map(4, 5), map(5, 2)];
    const plan = planOf([buffer('slot', 'f32', 2), buffer('constant', 'f32', 2), buffer('output', 'f32', 2), ...scratch], kernels, 16);
    expect(planFaults(plan)).toEqual([]);
    const constant = Float32Array.of(5, 6);
    const executable = await gpu.prepare(plan, [constant]);
    constant.fill(0);
    // The slot, the constant, the result, and three small scratch buffers, each on a line of its own.
    expect(gpu.bytes).toBe(8 + 8 + 8 + 3 * 256);
    for (let run = 0; run < 2; run++) {
      const [out] = await executable.run([], [slot]);
      if (out === undefined || ArrayBuffer.isView(out)) throw new Error('expected a buffer');
      expect(await gpu.read(out, 'f32', 2)).toEqual(Float32Array.of(80, 96));
      gpu.free(out);
    }
    expect(await gpu.read(slot, 'f32', 2)).toEqual(Float32Array.of(4, 12));
    executable.dispose();
    gpu.free(slot);
    // What small results and reads go through stays, for those to come.
    expect(gpu.bytes).toBeLessThan(300_000);
    await expect(executable.run([], [slot])).rejects.toMatchObject({ code: 'disposed' });
    gpu.dispose();
    expect(() => gpu.allocate(4)).toThrow('disposed');
  });

  /** x + 1, whole and summed: a large result and a small one. */
  const size = 1000;
  const view = (number: number): View => contiguous(number, { dtype: 'f32', shape: [size] });
  const both: Plan = planOf(
    [buffer('slot', 'f32', size), buffer('output', 'f32', size), buffer('output', 'f32', 1)],
    [
      {
        kind: 'map',
        shape: [size],
        program: program(1, [{ value: 1, lane: 'f32' }], [['add', 'f32', 0, 1]]),
        inputs: [view(0)],
        outputs: [view(0)],
      },
      { kind: 'copy', inputs: [view(0)], outputs: [view(1)] },
      {
        kind: 'reduce',
        shape: [size],
        reduced: 1,
        program: { inputs: 1, constants: [], instructions: [], registers: 0, results: [0] },
        reductions: ['sum'],
        inputs: [view(0)],
        outputs: [contiguous(2, { dtype: 'f32', shape: [] })],
      },
    ],
  );
  async function started(gpu: Backend): Promise<{ executable: Executable; state: DeviceBuffer }> {
    const state = gpu.allocate(4 * size);
    return { executable: await gpu.prepare(both, []), state };
  }
  async function step(gpu: Backend, { executable, state }: { executable: Executable; state: DeviceBuffer }): Promise<DeviceBuffer[]> {
    const results = await executable.run([], [state]);
    return results.map((result) => {
      if (ArrayBuffer.isView(result)) throw new Error('expected a buffer');
      expect(result.backend).toBe(gpu);
      return result;
    });
  }

  it('makes nothing in a second run, and submits once, the reading of small results in it', async () => {
    const gpu = await createWebGpuBackend();
    const run = await started(gpu);
    const { counts } = counted(gpu);
    for (let k = 1; k <= 20; k++) {
      resetTo(counts);
      const [large, small] = await step(gpu, run);
      expect(await gpu.read(small!, 'f32', 1)).toEqual(Float32Array.of(k * size));
      if (k > 2) {
        expect(counts).toEqual({
          createBuffer: 0,
          createBindGroup: 0,
          createShaderModule: 0,
          createComputePipelineAsync: 0,
          pushErrorScope: 0,
          submit: 1,
        });
      }
      gpu.free(large!);
      // Small results are left to the garbage collector.
    }
    gpu.dispose();
  });

  it('holds as many bytes after a thousand runs as after three', async () => {
    const gpu = await createWebGpuBackend();
    const run = await started(gpu);
    let early = 0;
    for (let k = 1; k <= 1000; k++) {
      for (const result of await step(gpu, run)) gpu.free(result);
      if (k === 3) early = gpu.bytes;
    }
    expect(gpu.bytes).toBe(early);
    gpu.dispose();
  });

  it('reads results of earlier runs while later ones go on, in any order', async () => {
    const gpu = await createWebGpuBackend();
    const run = await started(gpu);
    const results: DeviceBuffer[][] = [];
    for (let k = 0; k < 30; k++) results.push(await step(gpu, run));
    const reads = results.map(async ([large, small], k) => {
      expect(await gpu.read(small!, 'f32', 1)).toEqual(Float32Array.of((k + 1) * size));
      expect((await gpu.read(large!, 'f32', size))[size - 1]).toBe(k + 1);
    });
    await Promise.all(reads.reverse());
    gpu.dispose();
  });

  it('runs what is asked for at once one after the other', async () => {
    const gpu = await createWebGpuBackend();
    const executable = await gpu.prepare(planOf([buffer('input', 'f32', 2), buffer('output', 'f32', 2)], [map(0, 1)]), []);
    const results = await Promise.all([1, 2, 3].map((x) => executable.run([Float32Array.of(x, -x)], [])));
    const read = await Promise.all(results.map(([result]) => gpu.read(result as DeviceBuffer, 'f32', 2)));
    expect(read.map((values) => [...values])).toEqual([1, 2, 3].map((x) => [2 * x, -2 * x]));
    gpu.dispose();
  });

  it('gives arrays of their own, as long as the values', async () => {
    const gpu = await createWebGpuBackend();
    const [large, small] = await step(gpu, await started(gpu));
    expect((await gpu.read(large!, 'f32', size)).buffer.byteLength).toBe(4 * size);
    expect((await gpu.read(small!, 'f32', 1)).buffer.byteLength).toBe(4);
    const again = gpu.allocate(3);
    gpu.write(again, Uint8Array.of(1, 2, 3));
    expect((await gpu.read(again, 'u8', 3)).buffer.byteLength).toBe(3);
    gpu.dispose();
  });

  it('holds no memory of a run that failed, and runs again', async () => {
    const gpu = await createWebGpuBackend();
    const run = await started(gpu);
    for (const result of await step(gpu, run)) gpu.free(result);
    const before = gpu.bytes;
    const { device } = gpu as Backend & { device: GPUDevice };
    const createBindGroup = device.createBindGroup.bind(device);
    Reflect.set(device, 'createBindGroup', () => {
      throw new Error('no bind group');
    });
    const other = gpu.allocate(4 * size);
    expect(await errorOf(() => step(gpu, { ...run, state: other }))).toMatchObject({
      code: 'backend',
      message: expect.stringContaining('no bind group'),
    });
    Reflect.set(device, 'createBindGroup', createBindGroup);
    gpu.free(other);
    expect(gpu.bytes).toBeLessThanOrEqual(before);
    const [, small] = await step(gpu, run);
    expect(await gpu.read(small!, 'f32', 1)).toEqual(Float32Array.of(2 * size));
    gpu.dispose();
  });

  it('binds a small result of one plan as the input of another', async () => {
    const gpu = await createWebGpuBackend();
    const plan = planOf([buffer('input', 'f32', 2), buffer('output', 'f32', 2)], [map(0, 1)]);
    const executable = await gpu.prepare(plan, []);
    let value: DeviceBuffer | Float32Array = Float32Array.of(1, 3);
    for (let k = 0; k < 5; k++) [value] = (await executable.run([value], [])) as [DeviceBuffer];
    if (ArrayBuffer.isView(value)) throw new Error('expected a buffer');
    expect(await gpu.read(value, 'f32', 2)).toEqual(Float32Array.of(32, 96));
    gpu.dispose();
  });

  it('measures each kernel where it was asked to', async () => {
    const gpu = await createWebGpuBackend({ profile: true });
    const run = await started(gpu);
    expect(await errorOf(() => run.executable.times!())).toMatchObject({
      code: 'argument',
      message: expect.stringContaining('run the function first'),
    });
    for (let k = 0; k < 3; k++) await step(gpu, run);
    const [times] = await Promise.all([run.executable.times!(), run.executable.times!(), step(gpu, run), step(gpu, run)]);
    expect(times).toHaveLength(both.kernels.length);
    for (const time of times) expect(time).toBeGreaterThanOrEqual(0);
    gpu.dispose();
    const plain = await createWebGpuBackend();
    const { executable } = await started(plain);
    expect(await errorOf(() => executable.times!())).toMatchObject({ code: 'argument', message: expect.stringContaining('profile: true') });
    plain.dispose();
  });

  it('says that a device was lost, to reads on their way and to calls that follow', async () => {
    const gpu = await createWebGpuBackend();
    const run = await started(gpu);
    const [, small] = await step(gpu, run);
    const { device } = gpu as Backend & { device: GPUDevice };
    const reading = errorOf(() => gpu.read(small!, 'f32', 1));
    device.destroy();
    // Either it was read in time, or the error says what happened.
    const outcome = await reading;
    if (outcome !== null)
      expect(outcome).toMatchObject({ code: 'backend', message: expect.stringContaining('resume from the last checkpoint') });
    await device.lost;
    for (const call of [() => step(gpu, run), () => gpu.read(small!, 'f32', 1), () => gpu.allocate(4), () => gpu.prepare(both, [])])
      expect(await errorOf(call)).toMatchObject({ code: 'backend', message: expect.stringContaining('was lost') });
    expect(gpu.bytes).toBe(0);
  });

  it('refuses what does not fit, and what the GPU has not', async () => {
    const gpu = await createWebGpuBackend();
    const { device } = gpu as Backend & { device: GPUDevice };
    const most = device.limits.maxStorageBufferBindingSize;
    expect(await errorOf(() => gpu.allocate(most + 4))).toMatchObject({
      code: 'backend',
      message: expect.stringContaining(`at most ${most}`),
    });
    for (const [option, feature] of [
      ['f16', 'shader-f16'],
      ['subgroupMatrices', 'chromium-experimental-subgroup-matrix'],
    ] as const) {
      const error = await errorOf(async () => (await createWebGpuBackend({ [option]: true })).dispose());
      if (error)
        expect(error).toMatchObject({ code: 'backend', message: expect.stringContaining(`${option} needs the feature ${feature}`) });
      else expect(device.features).toContain(feature);
    }
    for (const wrong of [{ threads: 2 }, { gpu: {} }, { gpu: 5 }, { f16: 'yes' }, { assume: 5 }])
      expect(await errorOf(() => useBackend('webgpu', wrong as object))).toMatchObject({ code: 'argument' });
    const failing = { requestAdapter: () => Promise.reject(new Error('no')) };
    expect(await errorOf(() => createWebGpuBackend({ gpu: failing }))).toMatchObject({ code: 'backend' });
    gpu.dispose();
  });

  it('updates slots in a compiled step whose loss is read later', async () => {
    const gpu = await useBackend('webgpu');
    const w = slot({ dtype: 'f32', shape: [3], data: Float32Array.of(1, 2, 3) });
    const training = compile(() => {
      const loss = w.value.square().sum();
      w.assign(w.value.mul(0.5));
      return loss;
    });
    const losses = [];
    for (let k = 0; k < 12; k++) losses.push(await training());
    expect(await Promise.all(losses.map((loss) => loss.item()))).toEqual(Array.from({ length: 12 }, (_, k) => 14 * 0.25 ** k));
    training.dispose();
    gpu.dispose();
  });

  afterAll(() => useBackend('cpu'));
});
