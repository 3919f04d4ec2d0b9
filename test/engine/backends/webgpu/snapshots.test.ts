/** The WGSL of a handful of kernels, as a GPU gets it: to be read, and to show what a change of an emitter does to all of them. */
import { describe, expect, it } from 'vitest';
import { listing } from '../../../../engine/backends/webgpu/listing.ts';
import { translate } from '../../../../engine/backends/webgpu/translate.ts';
import type { Plan, View } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { type Shape, sizeOf } from '../../../../engine/shape.ts';
import { buffer, contiguous, planOf, program, type Slab, singleKernelPlan } from '../plans.ts';
import { realGpu } from './realGpu.ts';

const floats = (...shape: number[]): Slab => ({ dtype: 'f32', shape });
const integers = (...shape: number[]): Slab => ({ dtype: 'i32', shape });

/** A view of a whole buffer whose axes lie in another order, or do not count: those without a name in `axes` are broadcast. */
function arranged(number: number, shape: Shape, memory: readonly number[]): View {
  const strides = shape.map((_, axis) => {
    const place = memory.indexOf(axis);
    return place < 0 ? 0 : sizeOf(memory.slice(place + 1).map((later) => shape[later]!));
  });
  return { buffer: number, dtype: 'f32', shape, strides, offset: 0 };
}

/** relu(x · scale + shift) of images, scale and shift by channel. */
function normalized(): Plan {
  const shape = [16, 32, 7, 7];
  const each = program(
    3,
    [],
    [
      ['mul', 'f32', 0, 1],
      ['add', 'f32', 3, 2],
      ['relu', 'f32', 4],
    ],
  );
  const inputs = [contiguous(0, floats(...shape)), arranged(1, shape, [1]), arranged(2, shape, [1])];
  const outputs = [contiguous(3, floats(...shape))];
  return planOf(
    [buffer('input', 'f32', sizeOf(shape)), buffer('input', 'f32', 32), buffer('input', 'f32', 32), buffer('output', 'f32', sizeOf(shape))],
    [{ kind: 'map', shape, program: each, inputs, outputs }],
  );
}

/** Σ x and Σ x² of images by channel: too few sums for a GPU, so each is cut. */
function statistics(): Plan {
  const shape = [32, 64, 14, 14];
  const square = program(1, [], [['mul', 'f32', 0, 0]], [0, 1]);
  return planOf(
    [buffer('input', 'f32', sizeOf(shape)), buffer('output', 'f32', 32), buffer('output', 'f32', 32)],
    [
      {
        kind: 'reduce',
        shape,
        reduced: 3,
        program: square,
        reductions: ['sum', 'sum'],
        inputs: [arranged(0, shape, [1, 0, 2, 3])],
        outputs: [contiguous(1, floats(32)), contiguous(2, floats(32))],
      },
    ],
  );
}

/** relu(x · w + b) */
function layer(): Plan {
  const out = contiguous(3, floats(1, 256, 512));
  const finish = program(
    2,
    [],
    [
      ['add', 'f32', 0, 1],
      ['relu', 'f32', 2],
    ],
  );
  return planOf(
    [256 * 784, 784 * 512, 512, 256 * 512].map((length, k) => buffer(k === 3 ? 'output' : 'input', 'f32', length)),
    [
      {
        kind: 'matmul',
        epilogue: finish,
        inputs: [contiguous(0, floats(1, 256, 784)), contiguous(1, floats(1, 784, 512)), out, arranged(2, out.shape, [2])],
        outputs: [out],
      },
    ],
  );
}

/** The gradient by its input of a 3×3 convolution of stride 2. */
const inputGradient = (): Plan =>
  singleKernelPlan(
    { kind: 'conv', direction: 'input', stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 1, epilogue: null },
    [floats(8, 32, 7, 7), floats(32, 16, 3, 3)],
    [floats(8, 16, 14, 14)],
  );

/** w ← w − rate · g of three parameters. */
function updates(): Plan {
  const lengths = [512, 32, 288];
  const rate = lengths.length * 2;
  const descend = program(
    3,
    [],
    [
      ['mul', 'f32', 1, 2],
      ['sub', 'f32', 0, 3],
    ],
  );
  return planOf(
    [...lengths.flatMap((length) => [buffer('slot', 'f32', length), buffer('input', 'f32', length)]), buffer('input', 'f32', 1)],
    lengths.map((length, k) => {
      const parameter = contiguous(2 * k, floats(length));
      const inputs = [parameter, contiguous(2 * k + 1, floats(length)), arranged(rate, [length], [])];
      return { kind: 'map', shape: [length], program: descend, inputs, outputs: [parameter] };
    }),
  );
}

/** The gradient of a table of which 256 rows were taken. */
function tableGradient(): Plan {
  const index: View = { ...contiguous(0, integers(256)), shape: [1, 256, 32], strides: [0, 1, 0] };
  return planOf(
    [buffer('input', 'i32', 256), buffer('input', 'f32', 256 * 32), buffer('output', 'f32', 1000 * 32)],
    [
      {
        kind: 'scatterAdd',
        inputs: [index, contiguous(1, floats(1, 256, 32))],
        outputs: [contiguous(2, floats(1, 1000, 32))],
      },
    ],
  );
}

const plans = { normalized, statistics, layer, inputGradient, updates, tableGradient };

describe('WGSL', () => {
  it.each(Object.entries(plans))('%s', async (name, plan) => {
    const written = plan();
    expect(planFaults(written)).toEqual([]);
    await expect(`${listing(written, translate(written, realGpu)).join('\n')}\n`).toMatchFileSnapshot(`snapshots/${name}.wgsl`);
  });
});
