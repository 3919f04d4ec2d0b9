/**
 * The WGSL of extensions that no software GPU has, 16-bit floats and matrix units: Dawn's null backend, which has all features and computes nothing, holds
 * it to the language's rules.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { create, globals } from 'webgpu';
import type { Gpu } from '../../../../engine/backends/webgpu/shader.ts';
import { translate } from '../../../../engine/backends/webgpu/translate.ts';
import type { Plan } from '../../../../engine/compiler/plan.ts';
import { compile, grad, randn, slot, useBackend } from '../../../../engine/index.ts';
import { type KernelBody, program, type Slab, singleKernelPlan } from '../plans.ts';
import { realGpu } from './realGpu.ts';

Object.assign(globalThis, globals);
const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
const adapter = await gpu.requestAdapter();
const device = await adapter!.requestDevice({
  // The types of WebGPU know no experimental features.
  requiredFeatures: ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[],
});
// Dawn dies if its GPU object is collected before the device is done.
afterAll(() => [device, gpu]);

const gpus: Readonly<Record<string, Gpu>> = {
  'f32 and subgroups': realGpu,
  f16: { ...realGpu, f16: true },
  'matrix units of 16×16×16': { ...realGpu, unit: { rows: 16, columns: 16, inner: 16 } },
  'matrix units of 16×8×8, of a small GPU': { ...realGpu, parallelism: 2048, unit: { rows: 16, columns: 8, inner: 8 } },
  'matrix units and f16': { ...realGpu, f16: true, unit: { rows: 16, columns: 16, inner: 16 } },
};

const slab = (...shape: number[]): Slab => ({ dtype: 'f32', shape });
const convolution = (direction: 'forward' | 'input' | 'weight', stride: number): KernelBody => ({
  kind: 'conv',
  direction,
  stride: [stride, stride],
  padding: [1, 1],
  dilation: [1, 1],
  groups: 1,
  epilogue: null,
});
const plans: Readonly<Record<string, Plan>> = {
  'a small product': singleKernelPlan({ kind: 'matmul', epilogue: null }, [slab(1, 200, 300), slab(1, 300, 100)], [slab(1, 200, 100)]),
  'a large product': singleKernelPlan(
    { kind: 'matmul', epilogue: null },
    [slab(1, 2048, 2048), slab(1, 2048, 2048)],
    [slab(1, 2048, 2048)],
  ),
  'a convolution': singleKernelPlan(convolution('forward', 1), [slab(64, 64, 32, 32), slab(64, 64, 3, 3)], [slab(64, 64, 32, 32)]),
  'its weight gradient': singleKernelPlan(convolution('weight', 1), [slab(64, 64, 32, 32), slab(64, 64, 32, 32)], [slab(64, 64, 3, 3)]),
  'a strided input gradient': singleKernelPlan(
    convolution('input', 2),
    [slab(64, 128, 16, 16), slab(128, 64, 3, 3)],
    [slab(64, 64, 32, 32)],
  ),
  'a large map': singleKernelPlan(
    { kind: 'map', shape: [1 << 20], program: program(1, [], [['exp', 'f32', 0]]) },
    [slab(1 << 20)],
    [slab(1 << 20)],
  ),
  'a training step': await trainingStep(),
};

/** With arrays between kernels that are large enough to be kept in half the bytes. */
async function trainingStep(): Promise<Plan> {
  const backend = await useBackend('cpu');
  const drawn = async (key: number, ...shape: number[]) => slot({ dtype: 'f32', shape, data: await randn(shape, { key }).data() } as const);
  const slots = [await drawn(1, 96, 128), await drawn(2, 128, 64), await drawn(3, 64)];
  const step = compile((x) => {
    const [first, second, bias] = slots.map(({ value }) => value);
    const loss = x.matmul(first!).relu().matmul(second!).add(bias!).tanh().square().mean();
    grad(loss, [first!, second!, bias!]).forEach((gradient, i) => void slots[i]!.assign(slots[i]!.value.sub(gradient.mul(0.1))));
    return loss;
  });
  const plan = await step.plan(randn([64, 96], { key: 4 }));
  backend.dispose();
  return plan;
}

describe.each(Object.entries(gpus))('WGSL for %s', (_, given) => {
  it.each(Object.entries(plans))('is valid for %s', async (__, plan) => {
    const { dispatches } = translate(plan, given);
    expect(dispatches.length).toBeGreaterThan(0);
    for (const { code } of dispatches) {
      device.pushErrorScope('validation');
      const module = device.createShaderModule({ code });
      await device.popErrorScope();
      const { messages } = await module.getCompilationInfo();
      const faults = messages
        .filter(({ type }) => type === 'error')
        .map(({ lineNum, message }) => `${code.split('\n')[lineNum - 1]}: ${message}`);
      expect(faults).toEqual([]);
    }
  });
});

it('uses what it is there for', () => {
  const text = (name: string, given: Gpu): string =>
    translate(plans[name]!, given)
      .dispatches.map(({ code }) => code)
      .join('\n');
  expect(text('a large product', gpus['matrix units of 16×16×16']!)).toContain('subgroupMatrixMultiplyAccumulate');
  expect(text('a training step', gpus['f16']!)).toContain('array<f16>');
  expect(text('a training step', realGpu)).not.toContain('f16');
});
