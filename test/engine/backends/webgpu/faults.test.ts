/** What goes wrong on a GPU: each time a typed error that says what to do, nothing lost, and the engine in working order. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import {
  backend,
  compile,
  full,
  grad,
  randn,
  slot,
  sort,
  type Tensor,
  type TypedArray,
  tensor,
  useBackend,
} from '../../../../engine/index.ts';
import { errorOf } from '../../../support/misuse.ts';
import { gpu } from './gpu.ts';

const deviceOf = (backend: Backend): GPUDevice => (backend as Backend & { device: GPUDevice }).device;
const works = async (): Promise<void> => expect(await tensor([1, 2]).add(1).array()).toEqual([2, 3]);
const typed = (message: RegExp) => ({ code: 'backend', message: expect.stringMatching(message) });

/** Training with momentum that can be saved and restored. */
function training() {
  const drawn = (shape: number[]) => slot({ dtype: 'f32', shape, data: new Float32Array(shape[0]! * shape[1]!) });
  const slots = [drawn([12, 20]), drawn([20, 3]), drawn([12, 20]), drawn([20, 3])];
  const step = compile((x: Tensor, y: Tensor) => {
    const [first, second, ...momenta] = slots.map(({ value }) => value) as [Tensor, Tensor, Tensor, Tensor];
    const loss = x.matmul(first).tanh().matmul(second).sub(y).square().mean();
    grad(loss, [first, second]).forEach((gradient, i) => {
      const momentum = momenta[i]!.mul(0.9).add(gradient);
      slots[i + 2]!.assign(momentum);
      slots[i]!.assign(slots[i]!.value.sub(momentum.mul(0.1)));
    });
    return loss;
  });
  const initial = async (): Promise<TypedArray[]> => {
    const weights = await Promise.all([randn([12, 20], { key: 1 }).data(), randn([20, 3], { key: 2 }).data()]);
    return [...weights, new Float32Array(240), new Float32Array(60)];
  };
  return {
    initial,
    save: () => Promise.all(slots.map((each) => each.data())),
    restore: (state: readonly TypedArray[]) => state.forEach((data, i) => slots[i]!.set(data)),
    step: async (i: number): Promise<number> => (await step(randn([16, 12], { key: 10 + i }), randn([16, 3], { key: 50 + i }))).item(),
    dispose: () => step.dispose(),
  };
}

describe.runIf(gpu)('faults of a GPU', () => {
  afterAll(async () => {
    gpu?.dispose();
    await useBackend('cpu');
  });

  it('a device that is lost in the middle of a step: what was saved goes on, on a new device to the same bits, and on another backend', async () => {
    const steps = async (run: ReturnType<typeof training>, from: number): Promise<number[]> => {
      const losses: number[] = [];
      for (let i = from; i < 8; i++) losses.push(await run.step(i));
      return losses;
    };
    await useBackend(gpu!);
    const whole = training();
    whole.restore(await whole.initial());
    const uninterrupted = await steps(whole, 0);
    const end = await whole.save();

    const doomed = await useBackend('webgpu');
    const run = training();
    run.restore(await run.initial());
    for (let i = 0; i < 3; i++) await run.step(i);
    const saved = await run.save();
    const device = deviceOf(doomed);
    const { submit } = device.queue;
    device.queue.submit = (commands) => {
      submit.call(device.queue, commands);
      device.destroy();
    };
    expect(await errorOf(() => run.step(3))).toMatchObject(
      typed(/the GPU device was lost .*useBackend\('webgpu'\).* resume from the last checkpoint/),
    );
    expect(await errorOf(() => run.save())).toMatchObject(typed(/the GPU device was lost/));
    expect(doomed.bytes).toBe(0);

    await useBackend('webgpu');
    run.restore(saved);
    expect(await steps(run, 3)).toEqual(uninterrupted.slice(3));
    expect(await run.save()).toEqual(end);

    await useBackend('wasm');
    run.restore(saved);
    for (const [i, loss] of (await steps(run, 3)).entries()) expect(loss).toBeCloseTo(uninterrupted[3 + i]!, 4);
    for (const each of [whole, run]) each.dispose();
  });

  /** The GPU with no more than what WebGPU promises everywhere. */
  function modestGpu(): GPU {
    const { keptGpu } = gpu as Backend & { keptGpu: GPU };
    const limits = {
      maxBufferSize: 2 ** 28,
      maxStorageBufferBindingSize: 2 ** 27,
      maxStorageBuffersPerShaderStage: 8,
      maxComputeWorkgroupStorageSize: 16384,
    };
    return {
      requestAdapter: async (options?: GPURequestAdapterOptions) => {
        const adapter = (await keptGpu.requestAdapter(options))!;
        return {
          info: adapter.info,
          features: adapter.features,
          limits,
          requestDevice: (asked: GPUDeviceDescriptor) => adapter.requestDevice(asked),
        };
      },
    } as unknown as GPU;
  }

  it('a tensor larger than a GPU takes, and a plan that needs more', async () => {
    const modest = await useBackend('webgpu', { gpu: modestGpu() });
    expect(deviceOf(modest).limits.maxStorageBufferBindingSize).toBe(2 ** 27);
    const large = full([2 ** 13, 2 ** 12 + 1], 1);
    expect(await errorOf(() => large.data())).toMatchObject(
      typed(/one buffer of 134250496 bytes; this GPU takes at most 134217728\. Use smaller batches/),
    );
    await works();
    // Nothing large comes in or out, but a product that a sort must have whole.
    const [x, y] = [randn([2 ** 13, 2], { key: 1 }), randn([2, 2 ** 12 + 1], { key: 2 })];
    const sorted = compile((a: Tensor, b: Tensor) => sort(a.matmul(b)).values.slice(null, 0));
    expect(await errorOf(() => sorted(x, y))).toMatchObject(
      typed(/this plan needs \d+ bytes of memory between kernels; this GPU takes at most 134217728\. Use smaller batches/),
    );
    await works();
    expect(await (await sorted(randn([3, 2], { key: 1 }), randn([2, 5], { key: 2 }))).shape).toEqual([3]);
    sorted.dispose();
    modest.dispose();
  });

  it('memory that runs out, and commands that WebGPU refuses', async () => {
    for (const [nth, message] of [
      [0, /failed on the GPU: it is refused$/],
      [1, /took more memory than the GPU has \(it is refused\); use smaller batches/],
    ] as const) {
      const opened = await useBackend('webgpu');
      const device = deviceOf(opened);
      const { popErrorScope } = device;
      let popped = 0;
      device.popErrorScope = async () => {
        const error = await popErrorScope.call(device);
        return popped++ === nth ? { message: 'it is refused' } : error;
      };
      const step = compile((x: Tensor) => x.mul(3));
      expect(await errorOf(() => step(tensor([1, 2])))).toMatchObject(typed(message));
      expect(await (await step(tensor([1, 2]))).array()).toEqual([3, 6]);
      await works();
      step.dispose();
      opened.dispose();
    }
  });

  it('a feature that it lacks: the backend in use stays', async () => {
    const wasm = await useBackend('wasm');
    for (const option of ['f16', 'subgroupMatrices'] as const) {
      const error = await errorOf(() => useBackend('webgpu', { [option]: true }));
      if (error === null) continue;
      expect(error).toMatchObject(
        typed(new RegExp(`the option ${option} needs the feature \\S+, which this GPU \\(.+\\) has not; leave ${option} out`)),
      );
      expect(await backend()).toBe(wasm);
      await works();
    }
  });
});
