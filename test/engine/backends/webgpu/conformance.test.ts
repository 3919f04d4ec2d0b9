import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createWebGpuBackend } from '../../../../engine/backends/webgpu/index.ts';
import { translate } from '../../../../engine/backends/webgpu/translate.ts';
import type { Kernel, Reduction, View } from '../../../../engine/compiler/plan.ts';
import type { DType, HostArray } from '../../../../engine/dtype.ts';
import { grad, randn, tensor, useBackend } from '../../../../engine/index.ts';
import { accuracyOf, type ScalarName, scalarRow, scalars } from '../../../../engine/scalar.ts';
import { contiguousStrides, sizeOf } from '../../../../engine/shape.ts';
import { functions, worstOf } from '../../accuracy.ts';
import { toleranceOf } from '../../values.ts';
import { arranged } from '../arranged.ts';
import {
  buffer,
  contiguous,
  host,
  identity,
  type KernelBody,
  noise,
  planOf,
  program,
  runPlan,
  type Slab,
  singleKernelPlan,
} from '../plans.ts';
import { gpu as opened } from './gpu.ts';
import { realGpu } from './realGpu.ts';
import { agreement, layouts } from './support.ts';

describe.runIf(opened)('webgpu computes what cpu computes', () => {
  const gpu = opened as Backend;
  const agree = agreement(gpu);
  afterAll(() => gpu.dispose());

  const single = (body: KernelBody, inputs: readonly HostArray[], outputs: readonly Slab[], tolerance = 0) =>
    agree(
      singleKernelPlan(body, inputs, outputs),
      inputs.map(({ data }) => data),
      tolerance,
    );

  const specials = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 2, 3, -3, 1.5, 2.5, -2.5, 1e-4, -1e-4, 0.99999, 3e9, -3e9];
  const floats = [...specials, ...noise(100).map((x) => 4 * x), ...noise(40, 2).map((x) => 100 * x)].map(Math.fround);
  const integers = [0, 1, -1, 2, 7, 31, 32, 33, 65537, 2147483647, -2147483648, ...noise(40).map((x) => x * 2 ** 31)].map(Math.trunc);
  async function op(name: ScalarName, lane: 'f32' | 'i32', values: readonly number[], tolerance = 0): Promise<void> {
    const { arity, typing } = scalarRow(name);
    const pairs = values.flatMap((a, k) =>
      Array.from({ length: arity > 1 ? 20 : 1 }, (_, j) => [a, values[(k * 7 + j) % values.length]!, values[(k + j) % values.length]!]),
    );
    const shape = [pairs.length];
    const inputs = [0, 1, 2].slice(0, arity).map((k) => {
      const condition = typing === 'select' && k === 0;
      return host(
        condition ? 'u8' : lane,
        shape,
        pairs.map((pair) => (condition ? +(pair[0]! > 0) : pair[k]!)),
      );
    });
    const body = program(arity, [], [[name, typing === 'toFloat' ? 'f32' : lane, ...inputs.keys()]]);
    const dtype = typing === 'compare' ? 'u8' : typing === 'toInt' ? 'i32' : typing === 'toFloat' ? 'f32' : lane;
    await single({ kind: 'map', shape, program: body }, inputs, [{ dtype, shape }], tolerance);
  }

  const names = Object.keys(scalars) as ScalarName[];
  const takes = (name: ScalarName, lane: 'f32' | 'i32') => {
    const { typing } = scalarRow(name);
    return lane === 'f32' ? typing !== 'bits' : !['float', 'toInt'].includes(typing);
  };
  it.each(names.filter((name) => takes(name, 'f32')))('map: %s of floats', (name) => {
    const { upTo = Infinity } = accuracyOf(name);
    const within = floats.filter((x) => !(Math.abs(x) > upTo && Math.abs(x) < Infinity));
    return op(name, 'f32', within, toleranceOf(name).webgpu);
  });
  it.each(functions)('map: %s of floats is as exact as the scalar table says', async (name) => {
    const { error, bound, at } = await worstOf(name, gpu);
    expect(error, at).toBeLessThanOrEqual(bound);
  });
  it.each(names.filter((name) => takes(name, 'i32')))('map: %s of integers', (name) => op(name, 'i32', integers));

  it('map: threefry, to the bit, and the words of Random123', async () => {
    const shape = [200];
    const keys = [
      { value: 0x13198a2e, lane: 'i32' },
      { value: 0x03707344, lane: 'i32' },
    ] as const;
    const bits = program(0, keys, [
      ['index', 'i32'],
      ['threefry', 'i32', 0, 1, 2],
    ]);
    await single({ kind: 'map', shape, program: bits }, [], [{ dtype: 'i32', shape }]);
    const zeros = program(0, [{ value: 0, lane: 'i32' }], [['threefry', 'i32', 0, 0, 0]]);
    const [out] = await runPlan(gpu, singleKernelPlan({ kind: 'map', shape: [1], program: zeros }, [], [{ dtype: 'i32', shape: [1] }]), []);
    expect(out![0]).toBe(0x6b200159 ^ 0x99ba4efe);
  });

  it('map: constants that WGSL cannot write', async () => {
    const values = [NaN, Infinity, -Infinity, -0, 1e-40, 3.4e38, 0.1];
    const body = program(
      0,
      values.map((value) => ({ value, lane: 'f32' as const })),
      [],
      values.map((_, k) => k),
    );
    // Small, so that no output is the ninth binding.
    await single(
      { kind: 'map', shape: [], program: body },
      [],
      values.map(() => ({ dtype: 'f32' as const, shape: [] })),
      1e-38,
    );
  });

  const extents = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 3, maxLength: 3 });
  const dtype = fc.constantFrom<DType>('f32', 'i32', 'u8');
  const data = (type: DType, length: number) =>
    host(
      type,
      [length],
      noise(length, length + 1).map((x) => 100 * x),
    ).data;
  // Each run compiles a shader: for a CPU that plays GPU 20 ms, or half a second where threads meet at barriers.
  const runs = { numRuns: 15 };
  const fewRuns = { numRuns: 5 };

  it('map: any layout and type', async () => {
    await fc.assert(
      fc.asyncProperty(extents, dtype, layouts(3, true), layouts(3, false), async (shape, type, from, to) => {
        const [source, target] = [arranged(0, type, shape, from), arranged(1, type, shape, to)];
        const body = program(1, [], [['add', type === 'f32' ? 'f32' : 'i32', 0, 0]]);
        // Filled first, so that bytes which the map leaves alone are the same on both sides.
        const nothing = contiguous(2, { dtype: type, shape: [0] });
        const whole = contiguous(1, { dtype: type, shape: [target.length] });
        const fill = { kind: 'pad', before: [0], value: 7, inputs: [nothing], outputs: [whole] } as const;
        const plan = planOf(
          [buffer('input', type, source.length), buffer('output', type, target.length), buffer('input', type, 0)],
          [fill, { kind: 'map', shape, program: body, inputs: [source.view], outputs: [target.view] }],
        );
        await agree(plan, [data(type, source.length), data(type, 0)]);
      }),
      runs,
    );
  });

  it('reduce: every fold, type and layout', async () => {
    const some = fc.subarray<Reduction>(['sum', 'max', 'min', 'argmax', 'argmin'], { minLength: 2, maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(extents, fc.nat(3), dtype, layouts(3, true), some, async (shape, reduced, type, from, reductions) => {
        const source = arranged(0, type, shape, from);
        const kept = shape.slice(0, 3 - reduced);
        const outputs = reductions.map((reduction) => ({ dtype: reduction.startsWith('arg') ? ('i32' as const) : type, shape: kept }));
        const plan = planOf(
          [buffer('input', type, source.length), ...outputs.map((slab) => buffer('output', slab.dtype, sizeOf(kept)))],
          [
            {
              kind: 'reduce',
              shape,
              reduced,
              program: { ...identity, results: reductions.map(() => 0) },
              reductions,
              inputs: [source.view],
              outputs: outputs.map((slab, k) => contiguous(k + 1, slab)),
            },
          ],
        );
        await agree(plan, [data(type, source.length)], 1e-6);
      }),
      fewRuns,
    );
  });

  it('reduce: few outputs, cut into parts that a second stage folds', async () => {
    const wide = await createWebGpuBackend({ assume: { parallelism: 4096 } });
    const cut = agreement(wide);
    const all: Reduction[] = ['sum', 'max', 'argmin', 'argmax', 'min'];
    for (const [shape, order] of [
      [
        [3, 5000],
        [0, 1],
      ],
      [
        [5000, 3],
        [1, 0],
      ],
      [
        [60, 3, 70],
        [1, 0, 2],
      ],
    ] as const) {
      const strides = contiguousStrides(shape);
      const moved = order.map((axis) => shape[axis]!);
      const source: View = { buffer: 0, dtype: 'f32', shape: moved, strides: order.map((axis) => strides[axis]!), offset: 0 };
      const values = Float32Array.from(noise(sizeOf(shape)), (x) => Math.round(40 * x) / 4);
      const slabs = all.map((reduction) => ({
        dtype: reduction.startsWith('arg') ? ('i32' as const) : ('f32' as const),
        shape: moved.slice(0, 1),
      }));
      const plan = planOf(
        [buffer('input', 'f32', values.length), ...slabs.map(({ dtype: type }) => buffer('output', type, moved[0]!))],
        [
          {
            kind: 'reduce',
            shape: moved,
            reduced: moved.length - 1,
            program: { ...identity, results: all.map(() => 0) },
            reductions: all,
            inputs: [source],
            outputs: slabs.map((slab, k) => contiguous(k + 1, slab)),
          },
        ],
      );
      const executable = await wide.prepare(plan, []);
      expect(executable.wgsl!().join('')).toContain('reduceParts');
      await cut(plan, [values], 1e-5);
      values[Math.floor(values.length / 2)] = NaN;
      await cut(plan, [values], 1e-5);
    }
    wide.dispose();
  });

  it('reduce: binds at most 8 buffers, cut or not', () => {
    for (let count = 1; count <= 7; count++) {
      const reductions = Array.from({ length: count }, (_, k): Reduction => (k % 2 === 0 ? 'sum' : 'argmax'));
      const outputs = reductions.map((reduction) => ({ dtype: reduction === 'sum' ? ('f32' as const) : ('i32' as const), shape: [] }));
      const plan = singleKernelPlan(
        { kind: 'reduce', shape: [200_000], reduced: 1, program: { ...identity, results: reductions.map(() => 0) }, reductions },
        [{ dtype: 'f32', shape: [200_000] }],
        outputs,
      );
      const { dispatches } = translate(plan, realGpu);
      for (const { bindings } of dispatches) expect(bindings.length).toBeLessThanOrEqual(8);
      // As long as there is room for the parts, there are.
      expect(dispatches).toHaveLength(count <= 6 ? 2 : 1);
    }
  });

  it('reduce: NaN, ties, products, and long sums', async () => {
    const values = host('f32', [3, 4], [1, NaN, 3, NaN, 2, 5, 5, -1, -0, 0, -Infinity, Infinity]);
    const reductions: Reduction[] = ['max', 'min', 'argmax', 'argmin', 'prod'];
    const outputs = reductions.map((reduction) => ({
      dtype: reduction.startsWith('arg') ? ('i32' as const) : ('f32' as const),
      shape: [3],
    }));
    await single(
      { kind: 'reduce', shape: [3, 4], reduced: 1, program: { ...identity, results: [0, 0, 0, 0, 0] }, reductions },
      [values],
      outputs,
    );
    const long = host(
      'f32',
      [2, 50_000],
      noise(100_000).map((x) => 1 + x),
    );
    const square = program(1, [], [['mul', 'f32', 0, 0]]);
    await single(
      { kind: 'reduce', shape: [2, 50_000], reduced: 1, program: square, reductions: ['sum'] },
      [long],
      [{ dtype: 'f32', shape: [2] }],
      3e-7,
    );
  });

  it('matmul: any shape, transposed or not', async () => {
    const extent = fc.integer({ min: 0, max: 40 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        extent,
        extent,
        extent,
        fc.boolean(),
        fc.boolean(),
        async (batch, rows, inner, columns, transposeA, transposeB) => {
          const matrix = (number: number, m: number, n: number, transposed: boolean): View => {
            const shape = [batch, m, n];
            return { buffer: number, dtype: 'f32', shape, strides: transposed ? [m * n, 1, m] : contiguousStrides(shape), offset: 0 };
          };
          const views = [
            matrix(0, rows, inner, transposeA),
            matrix(1, inner, columns, transposeB),
            matrix(2, rows, columns, false),
          ] as const;
          const specs = views.map((view, k) => buffer(k === 2 ? 'output' : 'input', 'f32', sizeOf(view.shape)));
          await agree(
            planOf(specs, [{ kind: 'matmul', epilogue: null, inputs: [views[0], views[1]], outputs: [views[2]] }]),
            [data('f32', specs[0]!.length), data('f32', specs[1]!.length)].map((array) => array.map((x) => x / 100)),
            1e-5,
          );
        },
      ),
      fewRuns,
    );
  });

  it('matmul: an epilogue, in another shape, of broadcast inputs and positions', async () => {
    const extent = fc.integer({ min: 1, max: 40 });
    const finish = program(
      2,
      [],
      [
        ['add', 'f32', 0, 1],
        ['relu', 'f32', 2],
        ['index', 'i32'],
        ['toFloat', 'f32', 4],
        ['add', 'f32', 3, 5],
      ],
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), extent, extent, extent, async (batch, rows, inner, columns) => {
        const [left, right, out] = [
          [batch, rows, inner],
          [batch, inner, columns],
          [batch, rows, columns],
        ] as const;
        const specs = [
          ...[left, right].map((shape) => buffer('input', 'f32', sizeOf(shape))),
          buffer('input', 'f32', columns),
          buffer('output', 'f32', sizeOf(out)),
        ];
        const flat = [batch * rows, columns];
        const kernel: Kernel = {
          kind: 'matmul',
          epilogue: finish,
          inputs: [
            contiguous(0, { dtype: 'f32', shape: left }),
            contiguous(1, { dtype: 'f32', shape: right }),
            contiguous(3, { dtype: 'f32', shape: flat }),
            { buffer: 2, dtype: 'f32', shape: flat, strides: [0, 1], offset: 0 },
          ],
          outputs: [contiguous(3, { dtype: 'f32', shape: out })],
        };
        await agree(
          planOf(specs, [kernel]),
          specs.slice(0, 3).map(({ length }) => data('f32', length).map((x) => x / 100)),
          1e-5,
        );
      }),
      fewRuns,
    );
  });

  it('pad, concat: windows of every type', async () => {
    for (const type of ['f32', 'i32', 'u8'] as const) {
      const rows = contiguous(0, { dtype: type, shape: [2, 3] });
      const columns = { ...rows, shape: [3, 2], strides: [1, 3] };
      const specs = [buffer('input', type, 6), buffer('output', type, 35), buffer('output', type, 12)];
      const plan = planOf(specs, [
        { kind: 'pad', before: [1, 0], value: 9, inputs: [columns], outputs: [contiguous(1, { dtype: type, shape: [7, 5] })] },
        { kind: 'concat', axis: 1, inputs: [columns, columns], outputs: [{ ...columns, buffer: 2, shape: [3, 4] }] },
      ]);
      await agree(plan, [host(type, [2, 3], [1, 2, 3, 4, 5, 6]).data]);
    }
  });
});

describe.runIf(opened)('the webgpu backend', () => {
  it('runs what tensors compile to, gradients too', async () => {
    const results: number[][] = [];
    for (const name of ['cpu', 'webgpu'] as const) {
      const backend = await useBackend(name);
      const weights = randn([2, 3], { key: 1 });
      const loss = tensor([
        [1, 2],
        [3, 4],
      ])
        .matmul(weights)
        .relu()
        .square()
        .mean();
      const [gradient] = grad(loss, [weights]);
      results.push([await loss.item(), ...(await gradient!.data())]);
      backend.dispose();
    }
    for (const [k, value] of results[0]!.entries()) expect(results[1]![k]).toBeCloseTo(value, 5);
  });

  it('refuses a kernel of more buffers than the GPU binds', async () => {
    const gpu = await createWebGpuBackend();
    const many = Array.from({ length: 20 }, () => ({ dtype: 'f32' as const, shape: [1] }));
    await expect(
      gpu.prepare(
        singleKernelPlan({ kind: 'map', shape: [1], program: { ...identity, inputs: 19, results: [0] } }, many.slice(1), [many[0]!]),
        [],
      ),
    ).rejects.toThrow('this plan needs 20 buffers in a kernel');
    gpu.dispose();
  });
});

describe('without a GPU', () => {
  it('says why, with a typed error', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(createWebGpuBackend({ gpu })).rejects.toMatchObject({ code: 'backend', message: expect.stringContaining('found no GPU') });
  });
});
