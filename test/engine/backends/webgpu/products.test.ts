/** Products of every kind on WebGPU: tiles of all sizes, cut inner axes, the three convolutions, epilogues. */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import { createWebGpuBackend } from '../../../../engine/backends/webgpu/index.ts';
import type { ConvKernel, Kernel, Plan, View } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { relativeError } from '../../values.ts';
import { buffer, contiguous, noise, planOf, program, runPlan } from '../plans.ts';
import { gpu as opened } from './gpu.ts';

// What this GPU would not choose: tiles in workgroup memory.
const tiled = opened ? await createWebGpuBackend({ assume: { software: false, parallelism: 1024 } }) : null;

describe.runIf(opened)('products on webgpu', () => {
  const gpu = opened as Backend;
  const cpu = createCpuBackend({ poison: true });
  afterAll(() => gpu.dispose());

  async function agree(plan: Plan, on: Backend = gpu, within = 1e-5): Promise<void> {
    expect(planFaults(plan)).toEqual([]);
    const inputs = plan.inputs.map((number, k) => Float32Array.from(noise(plan.buffers[number]!.length, k + 1)));
    const [expected, actual] = [await runPlan(cpu, plan, inputs), await runPlan(on, plan, inputs)];
    for (const [k, array] of expected.entries()) expect(relativeError(actual[k]!, array)).toBeLessThan(within);
  }

  const pair = (least: number, most: number) => fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));
  const convolutions = fc.record({
    images: fc.integer({ min: 0, max: 3 }),
    groups: fc.integer({ min: 1, max: 3 }),
    outputs: fc.integer({ min: 1, max: 5 }),
    channels: fc.integer({ min: 1, max: 5 }),
    size: pair(1, 9),
    kernel: pair(1, 4),
    stride: pair(1, 3),
    padding: pair(0, 3),
    dilation: pair(1, 3),
    direction: fc.constantFrom('forward', 'input', 'weight'),
    finished: fc.boolean(),
  });

  const finish = program(
    2,
    [],
    [
      ['mul', 'f32', 0, 1],
      ['relu', 'f32', 2],
      ['index', 'i32'],
      ['toFloat', 'f32', 4],
      ['add', 'f32', 3, 5],
    ],
  );

  type Convolution = typeof convolutions extends fc.Arbitrary<infer T> ? T : never;
  function convolution({
    images,
    groups,
    outputs,
    channels,
    size,
    kernel,
    stride,
    padding,
    dilation,
    direction,
    finished,
  }: Convolution): Plan | null {
    const out = size.map(
      (extent, axis) => Math.floor((extent + 2 * padding[axis]! - dilation[axis]! * (kernel[axis]! - 1) - 1) / stride[axis]!) + 1,
    );
    if (out.some((extent) => extent < 1)) return null;
    const shapes = {
      x: [images, groups * channels, ...size],
      w: [groups * outputs, channels, ...kernel],
      y: [images, groups * outputs, ...out],
    };
    const [a, b, c] = ({ forward: 'xwy', input: 'ywx', weight: 'xyw' } as const)[direction].split('') as ('x' | 'w' | 'y')[];
    const order = [shapes[a!], shapes[b!], shapes[c!]];
    const specs = order.map((shape, k) => buffer(k === 2 ? 'output' : 'input', 'f32', sizeOf(shape)));
    // The first operand with its axes reversed in memory.
    const reversed = [...order[0]!].reverse();
    const strides = reversed.map((_, axis) => sizeOf(reversed.slice(axis + 1))).reverse();
    const first: View = { buffer: 0, dtype: 'f32', shape: order[0]!, strides, offset: 0 };
    const target = contiguous(2, { dtype: 'f32', shape: order[2]! });
    const scale: View = { ...target, buffer: 3, strides: [0, 1, 0, 0] };
    const body: ConvKernel = {
      kind: 'conv',
      direction,
      stride,
      padding,
      dilation,
      groups,
      epilogue: finished ? finish : null,
      inputs: [first, contiguous(1, { dtype: 'f32', shape: order[1]! }), ...(finished ? [target, scale] : [])],
      outputs: [target],
    };
    return planOf([...specs, ...(finished ? [buffer('input', 'f32', order[2]![1]!)] : [])], [body]);
  }

  afterAll(() => tiled?.dispose());

  it('convolves in every direction, with any stride, padding, dilation and groups', () =>
    fc.assert(
      fc.asyncProperty(convolutions, async (drawn) => {
        const plan = convolution(drawn);
        if (plan) await agree(plan);
      }),
      { numRuns: 60 },
    ));

  // The same draws each time: of some others' shaders (an input gradient of 4×1 filters, say) SwiftShader's compiler takes minutes and gigabytes.
  it('convolves through workgroup memory', () =>
    fc.assert(
      fc.asyncProperty(convolutions, async (drawn) => {
        const plan = convolution({ ...drawn, images: 2, channels: 4 * drawn.channels });
        if (plan) await agree(plan, tiled!);
      }),
      { numRuns: 15, seed: 5 },
    ));

  it.each([
    [128, 128, 128],
    [200, 100, 40],
    [33, 700, 31],
  ])('multiplies %i×%i by ×%i through workgroup memory', async (rows, inner, columns) => {
    for (const transposed of [false, true]) await agree(matrices(rows, inner, columns, transposed, !transposed), tiled!);
  });

  /** A product of matrices that may lie transposed in memory. */
  function matrices(rows: number, inner: number, columns: number, left: boolean, right: boolean): Plan {
    const matrix = (number: number, m: number, n: number, transposed: boolean): View => ({
      buffer: number,
      dtype: 'f32',
      shape: [1, m, n],
      strides: transposed ? [0, 1, m] : [0, n, 1],
      offset: 0,
    });
    const kernel: Kernel = {
      kind: 'matmul',
      epilogue: null,
      inputs: [matrix(0, rows, inner, left), matrix(1, inner, columns, right)],
      outputs: [matrix(2, rows, columns, false)],
    };
    return planOf(
      [rows * inner, inner * columns, rows * columns].map((length, k) => buffer(k === 2 ? 'output' : 'input', 'f32', length)),
      [kernel],
    );
  }

  const large = {
    images: 2,
    groups: 1,
    outputs: 40,
    channels: 12,
    size: [14, 13],
    kernel: [3, 3],
    padding: [1, 1],
    dilation: [1, 1],
  } as const;
  it.each(['forward', 'input', 'weight'] as const)('convolves many channels %s, the inner axis cut', async (direction) => {
    for (const stride of [1, 2])
      await agree(
        convolution({
          ...large,
          size: [...large.size],
          kernel: [...large.kernel],
          padding: [...large.padding],
          dilation: [...large.dilation],
          stride: [stride, stride],
          direction,
          finished: stride === 2,
        })!,
      );
  });

  it.each([
    [1, 300, 5],
    [5, 2000, 3],
    [200, 40, 200],
    [129, 17, 65],
  ])('multiplies %i×%i by ×%i, transposed in all ways', async (rows, inner, columns) => {
    for (const left of [false, true]) for (const right of [false, true]) await agree(matrices(rows, inner, columns, left, right));
  });
});
