import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import type { PoolKernel } from '../../../../engine/compiler/plan.ts';
import type { DType } from '../../../../engine/dtype.ts';
import type { Shape } from '../../../../engine/shape.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { property } from '../../../support/property.ts';
import { dot, host, type KernelBody, noise, runKernel, runPlan, singleKernelPlan } from '../plans.ts';

const backend = createCpuBackend({ poison: true });

async function run(body: KernelBody, inputs: Parameters<typeof host>[], shape: Shape, given?: DType): Promise<number[]> {
  const dtype = given ?? (inputs.every(([type]) => type === 'f32') ? 'f32' : 'f64');
  const [out] = await runKernel(
    backend,
    body,
    inputs.map((input) => host(...input)),
    [{ dtype, shape }],
  );
  return [...out!];
}

const small = fc.integer({ min: 1, max: 4 });
const pair = (from: number, to: number) => fc.tuple(fc.integer({ min: from, max: to }), fc.integer({ min: from, max: to }));
const symmetric = (size: number, seed: number) => {
  const a = noise(size * size, seed);
  return a.map((_, at) => a[Math.max(Math.floor(at / size), at % size) * size + Math.min(Math.floor(at / size), at % size)]!);
};
const multiply = async (a: ArrayLike<number>, b: ArrayLike<number>, size: number) =>
  run(
    { kind: 'matmul', epilogue: null },
    [
      ['f64', [1, size, size], a],
      ['f64', [1, size, size], b],
    ],
    [1, size, size],
  );
const transpose = (a: readonly number[], size: number) => a.map((_, at) => a[(at % size) * size + Math.floor(at / size)]!);

describe('matmul', () => {
  it('multiplies each matrix of a batch', async () => {
    const out = await run(
      { kind: 'matmul', epilogue: null },
      [
        ['f32', [2, 1, 2], [1, 2, 3, 4]],
        ['f32', [2, 2, 2], [1, 0, 0, 1, 5, 6, 7, 8]],
      ],
      [2, 1, 2],
      'f32',
    );
    expect(out).toEqual([1, 2, 43, 50]);
  });

  it('gives zeros where there is nothing to sum', async () => {
    expect(
      await run(
        { kind: 'matmul', epilogue: null },
        [
          ['f32', [1, 2, 0], []],
          ['f32', [1, 0, 2], []],
        ],
        [1, 2, 2],
      ),
    ).toEqual([0, 0, 0, 0]);
  });

  it('lets NaN through zeros', async () => {
    expect(
      await run(
        { kind: 'matmul', epilogue: null },
        [
          ['f32', [1, 1, 1], [0]],
          ['f32', [1, 1, 1], [NaN]],
        ],
        [1, 1, 1],
      ),
    ).toEqual([NaN]);
  });
});

describe('conv', () => {
  const plain = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 } as const;

  it('slides a filter over an image, without flipping it', async () => {
    const image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const out = await run(
      { kind: 'conv', epilogue: null, direction: 'forward', ...plain },
      [
        ['f32', [1, 1, 3, 3], image],
        ['f32', [1, 1, 2, 2], [1, 0, 0, 10]],
      ],
      [1, 1, 2, 2],
    );
    expect(out).toEqual([51, 62, 84, 95]);
  });

  it('has its two transposes as adjoints: ⟨conv(x,w),y⟩ = ⟨x,convInput(y,w)⟩ = ⟨w,convWeight(x,y)⟩', () =>
    property(
      [fc.tuple(small, small, small, small), pair(1, 3), pair(1, 3), pair(0, 2), pair(1, 2), pair(0, 6)],
      async ([images, groups, inputs, outputs], [kh, kw], stride, padding, dilation, [moreHeight, moreWidth]) => {
        const height = Math.max(1, (kh - 1) * dilation[0] + 1 - 2 * padding[0]) + moreHeight;
        const width = Math.max(1, (kw - 1) * dilation[1] + 1 - 2 * padding[1]) + moreWidth;
        const outHeight = Math.floor((height + 2 * padding[0] - (kh - 1) * dilation[0] - 1) / stride[0]) + 1;
        const outWidth = Math.floor((width + 2 * padding[1] - (kw - 1) * dilation[1] - 1) / stride[1]) + 1;
        const [xShape, wShape, yShape] = [
          [images, groups * inputs, height, width],
          [groups * outputs, inputs, kh, kw],
          [images, groups * outputs, outHeight, outWidth],
        ];
        const [x, w, y] = [noise(sizeOf(xShape), 1), noise(sizeOf(wShape), 2), noise(sizeOf(yShape), 3)];
        const options = { kind: 'conv', epilogue: null, stride, padding, dilation, groups } as const;
        const forward = await run(
          { ...options, direction: 'forward' },
          [
            ['f64', xShape, x],
            ['f64', wShape, w],
          ],
          yShape,
        );
        const input = await run(
          { ...options, direction: 'input' },
          [
            ['f64', yShape, y],
            ['f64', wShape, w],
          ],
          xShape,
        );
        const weight = await run(
          { ...options, direction: 'weight' },
          [
            ['f64', xShape, x],
            ['f64', yShape, y],
          ],
          wShape,
        );
        expect(dot(x, input)).toBeCloseTo(dot(forward, y), 10);
        expect(dot(w, weight)).toBeCloseTo(dot(forward, y), 10);

        const direct = forward.map((_, at) => {
          const [j, i] = [at % outWidth, Math.floor(at / outWidth) % outHeight];
          const [o, n] = [
            Math.floor(at / outWidth / outHeight) % (groups * outputs),
            Math.floor(at / outWidth / outHeight / groups / outputs),
          ];
          let sum = 0;
          for (let c = 0; c < inputs; c++)
            for (let u = 0; u < kh; u++)
              for (let v = 0; v < kw; v++) {
                const [row, column] = [i * stride[0] - padding[0] + u * dilation[0], j * stride[1] - padding[1] + v * dilation[1]];
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                const channel = Math.floor(o / outputs) * inputs + c;
                sum += x[((n * groups * inputs + channel) * height + row) * width + column]! * w[((o * inputs + c) * kh + u) * kw + v]!;
              }
          return sum;
        });
        forward.forEach((value, at) => void expect(value).toBeCloseTo(direct[at]!, 10));
      },
    ));
});

describe('pool', () => {
  const pool = (mode: PoolKernel['mode'], padding: [number, number] = [0, 0]): KernelBody => ({
    kind: 'pool',
    mode,
    kernel: [2, 2],
    stride: [1, 2],
    padding,
  });
  const image = [1, 5, 5, 2, NaN, 0, -1, -3];

  it('takes maxima and says where they are: the first of equals, or the first NaN', async () => {
    const flat: Parameters<typeof host> = ['f32', [1, 1, 2, 4], [1, 5, 5, 2, 5, 0, -1, 6]];
    expect(await run(pool('max'), [flat], [1, 1, 1, 2])).toEqual([5, 6]);
    expect(await run(pool('argmax'), [flat], [1, 1, 1, 2], 'i32')).toEqual([1, 7]);
    expect(await run(pool('argmax'), [['f32', [1, 1, 2, 4], image]], [1, 1, 1, 2], 'i32')).toEqual([4, 2]);
    expect(await run(pool('max'), [['f32', [1, 1, 2, 4], image]], [1, 1, 1, 2])).toEqual([NaN, 5]);
  });

  it('never lets padding win a maximum', async () => {
    expect(await run(pool('max', [1, 1]), [['f32', [1, 1, 1, 1], [-7]]], [1, 1, 2, 1])).toEqual([-7, -7]);
  });

  it('has sumTranspose as the adjoint of sum', () =>
    property(
      [small, small, pair(1, 3), pair(1, 3), pair(0, 1), pair(3, 7)],
      async (images, channels, kernel, stride, padding, [height, width]) => {
        const outHeight = Math.floor((height + 2 * padding[0] - kernel[0]) / stride[0]) + 1;
        const outWidth = Math.floor((width + 2 * padding[1] - kernel[1]) / stride[1]) + 1;
        const [xShape, yShape] = [
          [images, channels, height, width],
          [images, channels, outHeight, outWidth],
        ];
        const [x, y] = [noise(sizeOf(xShape), 1), noise(sizeOf(yShape), 2)];
        const sum = await run({ kind: 'pool', mode: 'sum', kernel, stride, padding }, [['f64', xShape, x]], yShape);
        const back = await run({ kind: 'pool', mode: 'sumTranspose', kernel, stride, padding }, [['f64', yShape, y]], xShape);
        expect(dot(x, back)).toBeCloseTo(dot(sum, y), 10);
      },
    ));
});

describe('scan', () => {
  it('is the fold of each beginning of a line', () =>
    property([small, small, small, fc.constantFrom('sum' as const, 'prod' as const)], async (a, n, b, fn) => {
      const x = noise(a * n * b, 1);
      const totals = await run({ kind: 'scan', fn }, [['f64', [a, n, b], x]], [a, n, b]);
      for (let i = 0; i < totals.length; i++) {
        const before = Array.from({ length: (Math.floor(i / b) % n) + 1 }, (_, k) => x[i - k * b]!);
        expect(totals[i]).toBeCloseTo(
          before.reduce((one, other) => (fn === 'sum' ? one + other : one * other)),
          12,
        );
      }
    }));

  it('keeps −0, and what is not finite, as adding and multiplying in turn does', async () => {
    const scan = (fn: 'sum' | 'prod', values: number[]) =>
      run({ kind: 'scan', fn }, [['f32', [1, values.length, 1], values]], [1, values.length, 1]);
    expect(await scan('sum', [-0, -0, Infinity, 1, -Infinity, 1])).toEqual([-0, -0, Infinity, Infinity, NaN, NaN]);
    expect(await scan('prod', [-1, 0, 3, Infinity, 1])).toEqual([-1, -0, -0, NaN, NaN]);
  });
});

describe('gather, scatterAdd and scatter', () => {
  it('count negatives from the end; an index outside gives NaN, 0 for integers, and is dropped when scattering', async () => {
    const index: Parameters<typeof host> = ['i32', [1, 6, 1], [1, -1, -2, 2, -3, -(2 ** 31)]];
    expect(await run({ kind: 'gather' }, [['f32', [1, 2, 1], [7, 8]], index], [1, 6, 1], 'f32')).toEqual([8, 8, 7, NaN, NaN, NaN]);
    expect(await run({ kind: 'gather' }, [['u8', [1, 2, 1], [7, 8]], index], [1, 6, 1], 'u8')).toEqual([8, 8, 7, 0, 0, 0]);
    expect(await run({ kind: 'scatterAdd' }, [index, ['f32', [1, 6, 1], [1, 2, 4, 8, 16, 32]]], [1, 2, 1], 'f32')).toEqual([4, 3]);
  });

  it('replace: the last of equal positions wins; one outside makes its line NaN, and is dropped of integers', async () => {
    const replaced = async (dtype: DType, places: number[], updates: number[]) => {
      const shape = [1, places.length / 2, 2];
      const plan = singleKernelPlan(
        { kind: 'scatter' },
        [
          { dtype: 'i32', shape },
          { dtype, shape },
        ],
        [{ dtype, shape: [1, 3, 2] }],
      );
      return [...(await runPlan(backend, plan, [host('i32', shape, places).data, host(dtype, shape, updates).data]))[0]!];
    };
    for (const dtype of ['f32', 'f64', 'i32', 'u8'] as const) {
      expect(await replaced(dtype, [0, -1, -3, 2, 1, 2], [1, 2, 3, 4, 5, 6])).toEqual([3, 0, 5, 0, 0, 6]);
      const lost = dtype.startsWith('f') ? NaN : 0;
      expect(await replaced(dtype, [0, 0, 1, 3], [1, 2, 3, 4])).toEqual([1, dtype.startsWith('f') ? NaN : 2, 3, lost, 0, lost]);
      expect(await replaced(dtype, [], [])).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });

  it('are adjoint', () =>
    property(
      [small, small, small, small, fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 64, maxLength: 64 })],
      async (a, n, b, m, indices) => {
        const index: Parameters<typeof host> = ['i32', [a, m, b], indices.slice(0, a * m * b)];
        const [x, y] = [noise(a * n * b, 1), noise(a * m * b, 2)];
        const gathered = await run({ kind: 'gather' }, [['f64', [a, n, b], x], index], [a, m, b]);
        const scattered = await run({ kind: 'scatterAdd' }, [index, ['f64', [a, m, b], y]], [a, n, b]);
        expect(dot(scattered, x)).toBeCloseTo(
          dot(
            gathered.map((value) => (Number.isNaN(value) ? 0 : value)),
            y,
          ),
          10,
        );
      },
    ));
});

describe('gridSample', () => {
  const image: Parameters<typeof host> = ['f64', [1, 1, 2, 2], [1, 2, 3, 4]];
  const sample = (padding: 'zeros' | 'border', alignCorners: boolean, points: number[]) =>
    run(
      { kind: 'gridSample', padding, alignCorners },
      [image, ['f64', [1, 1, points.length / 2, 2], points]],
      [1, 1, 1, points.length / 2],
    );

  it('agrees with PyTorch at corners, edges and outside', async () => {
    expect(await sample('zeros', true, [-1, -1, 1, -1, 0, 0, 1, 1])).toEqual([1, 2, 2.5, 4]);
    expect(await sample('zeros', false, [-1, -1, -0.5, -0.5, 0, 0, 2, 2])).toEqual([0.25, 1, 2.5, 0]);
    expect(await sample('border', false, [-1, -1, 9, -9, Infinity, Infinity])).toEqual([1, 2, 4]);
    expect(await sample('zeros', false, [NaN, 0, 0, NaN, Infinity, 0])).toEqual([NaN, NaN, 0]);
  });
});

describe('linear algebra', () => {
  it('cholesky: L·Lᵀ = A, lower triangular, the upper triangle unread', () =>
    property([fc.integer({ min: 1, max: 7 }), fc.nat(1000)], async (size, seed) => {
      const root = [...noise(size * size, seed)];
      const a = (await multiply(root, transpose(root, size), size)).map((value, at) => value + +(at % (size + 1) === 0));
      const lower = await run(
        { kind: 'cholesky' },
        [['f64', [1, size, size], a.map((value, at) => (at % size > Math.floor(at / size) ? NaN : value))]],
        [1, size, size],
      );
      lower.forEach((value, at) => void (at % size > Math.floor(at / size) && expect(value).toBe(0)));
      (await multiply(lower, transpose(lower, size), size)).forEach((value, at) => void expect(value).toBeCloseTo(a[at]!, 10));
    }));

  it('cholesky: all NaN, for that matrix alone, where none exists', async () => {
    const out = await run({ kind: 'cholesky' }, [['f64', [2, 2, 2], [1, 2, 2, 1, 4, 0, 0, 9]]], [2, 2, 2]);
    expect(out).toEqual([NaN, NaN, NaN, NaN, 2, 0, 0, 3]);
  });

  it('triangularSolve: a·x = b for each triangle, transposed or not', () =>
    property([fc.integer({ min: 1, max: 6 }), small, fc.boolean(), fc.boolean()], async (size, columns, lower, transposed) => {
      const inside = (at: number) => (lower ? at % size <= Math.floor(at / size) : at % size >= Math.floor(at / size));
      const a = [...noise(size * size, 5)].map((value, at) => value + 2 * +(at % (size + 1) === 0));
      const b = noise(size * columns, 6);
      const masked = a.map((value, at) => (inside(at) ? value : NaN));
      const x = await run(
        { kind: 'triangularSolve', lower, transpose: transposed },
        [
          ['f64', [1, size, size], masked],
          ['f64', [1, size, columns], b],
        ],
        [1, size, columns],
      );
      const triangle = a.map((value, at) => (inside(at) ? value : 0));
      const back = await run(
        { kind: 'matmul', epilogue: null },
        [
          ['f64', [1, size, size], transposed ? transpose(triangle, size) : triangle],
          ['f64', [1, size, columns], x],
        ],
        [1, size, columns],
      );
      back.forEach((value, at) => void expect(value).toBeCloseTo(b[at]!, 9));
    }));

  it('eigh: V·diag(λ)·Vᵀ = A, VᵀV = 1, λ ascending, the largest component positive', () =>
    property([fc.integer({ min: 1, max: 8 }), fc.nat(1000), fc.integer({ min: -100, max: 100 })], async (size, seed, exponent) => {
      const a = symmetric(size, seed).map((value) => value * 10 ** exponent);
      const out = await run({ kind: 'eigh' }, [['f64', [1, size, size], a]], [1, size + 1, size]);
      const [values, vectors] = [out.slice(0, size), out.slice(size)];
      const scaled = vectors.map((value, at) => value * (values[at % size]! / 10 ** exponent));
      (await multiply(scaled, transpose(vectors, size), size)).forEach(
        (value, at) => void expect(value).toBeCloseTo(a[at]! / 10 ** exponent, 12),
      );
      (await multiply(transpose(vectors, size), vectors, size)).forEach(
        (value, at) => void expect(value).toBeCloseTo(+(at % (size + 1) === 0), 12),
      );
      expect(values).toEqual([...values].sort((x, y) => x - y));
      for (let k = 0; k < size; k++) {
        const column = vectors.filter((_, at) => at % size === k);
        expect(Math.max(...column)).toBe(Math.max(...column.map(Math.abs)));
      }
    }));

  it('eigh: repeated eigenvalues, zeros, and NaN', async () => {
    expect(await run({ kind: 'eigh' }, [['f64', [1, 2, 2], [3, 0, 0, 3]]], [1, 3, 2])).toEqual([3, 3, 1, 0, 0, 1]);
    expect(await run({ kind: 'eigh' }, [['f64', [1, 2, 2], [0, 0, 0, 0]]], [1, 3, 2])).toEqual([0, 0, 1, 0, 0, 1]);
    expect(await run({ kind: 'eigh' }, [['f64', [1, 1, 1], [Infinity]]], [1, 2, 1])).toEqual([NaN, NaN]);
  });
});

describe('sort', () => {
  it('is a stable permutation that orders each row, NaN last (first if descending)', () =>
    property(
      [fc.array(fc.constantFrom(-Infinity, -1, -0, 0, 1, 2, Infinity, NaN), { maxLength: 12 }), fc.boolean()],
      async (values, descending) => {
        const order = await run({ kind: 'argsort', descending }, [['f32', [1, values.length], values]], [1, values.length], 'i32');
        expect([...order].sort((a, b) => a - b)).toEqual(values.map((_, at) => at));
        const rank = (value: number) => (Number.isNaN(value) ? 1e9 : value === Infinity ? 1e8 : value === -Infinity ? -1e8 : value);
        for (let k = 1; k < order.length; k++) {
          const [before, after] = [rank(values[order[k - 1]!]!), rank(values[order[k]!]!)];
          const step = descending ? before - after : after - before;
          expect(step > 0 || (step === 0 && order[k - 1]! < order[k]!)).toBe(true);
        }
      },
    ));
});

describe('gridSample', () => {
  const coordinate = fc.oneof(
    fc.constantFrom(NaN, Infinity, -Infinity, 3e38, -3e38, -1, 0, 1),
    fc.double({ min: -2, max: 2, noNaN: true }),
  );

  it('gives NaN for a NaN coordinate, and takes an infinite one for what it is: outside', () =>
    property(
      [fc.constantFrom('zeros' as const, 'border' as const), fc.boolean(), pair(2, 4), coordinate, coordinate],
      async (padding, alignCorners, [height, width], x, y) => {
        const image = noise(height * width, 4);
        const sample = async (place: readonly number[]) => {
          const [value] = await run(
            { kind: 'gridSample', padding, alignCorners },
            [
              ['f64', [1, 1, height, width], image],
              ['f64', [1, 1, 1, 2], place],
            ],
            [1, 1, 1, 1],
          );
          return value!;
        };
        const value = await sample([x, y]);
        const [unknown, outside] = [[x, y].some(Number.isNaN), [x, y].some((place) => Math.abs(place) > 2)];
        if (unknown) expect(value).toBeNaN();
        else if (outside && padding === 'zeros') expect(Math.abs(value)).toBe(0);
        // Beyond the border, how far makes no difference.
        else expect(value).toBe(await sample([x, y].map((place) => Math.min(9, Math.max(-9, place)))));
      },
    ));
});
