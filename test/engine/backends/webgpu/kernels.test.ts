import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import type { View } from '../../../../engine/compiler/plan.ts';
import type { DType, TypedArray } from '../../../../engine/dtype.ts';
import { host, indexed, type KernelBody, noise, runKernel, type Slab } from '../plans.ts';
import { gpu as opened } from './gpu.ts';
import { agreement, laidOut, layouts } from './support.ts';

describe.runIf(opened)('webgpu computes what cpu computes', () => {
  const gpu = opened as Backend;
  const agree = agreement(gpu);
  afterAll(() => gpu.dispose());

  // A shader takes a CPU that plays GPU 20 to 300 ms to compile.
  const runs = { numRuns: 40 };
  const fewRuns = { numRuns: 12 };
  const few = fc.integer({ min: 0, max: 5 });
  const types = fc.constantFrom<DType>('f32', 'i32', 'u8');
  const unusual = [NaN, Infinity, -Infinity, 0, -0, 1, 1];
  // A GPU may take these for 0.
  const subnormal = [1e-40, -1e-40, 1e-45];
  const values = (dtype: DType, length: number, seed: number, specials: readonly number[] = []): TypedArray => {
    const scale = dtype === 'f32' ? 1 : 100;
    const some = Array.from(noise(length, seed + 1), (x, k) =>
      specials.length > 0 && (x * 2 ** 20) % 1 > 0.6 ? specials[k % specials.length]! : scale * x,
    );
    return host(dtype, [length], some).data;
  };
  const slab = (dtype: DType, ...shape: number[]): Slab => ({ dtype, shape });
  /** The inputs of a plan, by what makes them: noise, unless said otherwise. */
  const inputsOf = (plan: ReturnType<typeof laidOut>, seed: number, ...made: readonly (((length: number) => TypedArray) | null)[]) =>
    plan.inputs.map((number, k) => {
      const { dtype, length } = plan.buffers[number]!;
      return made[k]?.(length) ?? values(dtype, length, seed + k);
    });
  it('pool: every mode', async () => {
    const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
    const window = fc.record({ image: pair(1, 9), kernel: pair(1, 4), stride: pair(1, 3), pad: pair(0, 2) });
    const modes = fc.constantFrom('max', 'argmax', 'sum', 'sumTranspose');
    await fc.assert(
      fc.asyncProperty(
        window,
        few,
        few,
        modes,
        layouts(4, true),
        layouts(4, false),
        fc.nat(),
        async (drawn, n, c, mode, from, to, seed) => {
          const kernel = drawn.kernel.map((extent, k) => Math.min(extent, drawn.image[k]!));
          const padding = kernel.map((extent, k) => Math.min(drawn.pad[k]!, extent >> 1));
          const { image, stride } = drawn;
          const windows = image.map((extent, k) => Math.floor((extent + 2 * padding[k]! - kernel[k]!) / stride[k]!) + 1);
          const body = { kind: 'pool', mode, kernel, stride, padding } as unknown as KernelBody;
          const [x, y] = [
            [n, c, ...image],
            [n, c, ...windows],
          ] as const;
          const [input, output] = mode === 'sumTranspose' ? [y, x] : [x, y];
          const plan = laidOut(body, [slab('f32', ...input)], slab(mode === 'argmax' ? 'i32' : 'f32', ...output), [from, to]);
          await agree(
            plan,
            inputsOf(plan, seed, (length) => values('f32', length, seed, mode.endsWith('max') ? unusual : [])),
            2e-6,
          );
        },
      ),
      { numRuns: 80 },
    );
  });

  it('gather, scatterAdd and scatter: any index, layout and type', async () => {
    const extents = fc.tuple(few, fc.oneof(few, fc.integer({ min: 6, max: 40 })), fc.oneof(few, fc.integer({ min: 65, max: 200 })), few);
    await fc.assert(
      fc.asyncProperty(
        extents,
        types,
        fc.tuple(layouts(3, true), layouts(3, true), layouts(3, false)),
        fc.boolean(),
        fc.nat(),
        async ([a, n, m, b], dtype, [one, two, three], rows, seed) => {
          const index = rows ? { ...two, still: [false, false, true] } : two;
          const gather = laidOut({ kind: 'gather' }, [slab(dtype, a, n, b), slab('i32', a, m, b)], slab(dtype, a, m, b), [
            one,
            index,
            three,
          ]);
          await agree(gather, inputsOf(gather, seed, null, indexed(n, seed)));
          for (const kind of ['scatterAdd', 'scatter'] as const) {
            const scatter = laidOut({ kind }, [slab('i32', a, m, b), slab(dtype, a, m, b)], slab(dtype, a, n, b), [index, one, three]);
            await agree(scatter, inputsOf(scatter, seed, indexed(n, seed, seed % 2 === 0)), kind === 'scatter' ? 0 : 1e-5);
          }
        },
      ),
      runs,
    );
  });

  it('scatterAdd: many updates of few, and the same bits each time', async () => {
    const [positions, count, inner] = [7, 5000, 3];
    const index = host('i32', [1, count, inner], indexed(positions, 3)(count * inner));
    const updates = host('f32', [1, count, inner], noise(count * inner, 4));
    const run = async () => {
      const [out] = await runKernel(gpu, { kind: 'scatterAdd' }, [index, updates], [slab('f32', 1, positions, inner)]);
      return out!;
    };
    const sums = await run();
    expect(await run()).toEqual(sums);
    for (let at = 0; at < sums.length; at++) {
      let sum = 0;
      for (let k = at % inner; k < count * inner; k += inner)
        if ([0, -positions].some((from) => index.data[k]! - from === Math.floor(at / inner))) sum += updates.data[k]!;
      expect(Math.abs(sums[at]! - sum)).toBeLessThan(1e-4);
    }
  });

  it('gridSample: any place', async () => {
    const padding = fc.constantFrom('zeros' as const, 'border' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(few, few, few, few, few, few),
        padding,
        fc.boolean(),
        fc.tuple(layouts(4, true), layouts(4, true), layouts(4, false)),
        fc.nat(),
        async ([n, c, h, w, oh, ow], padding, alignCorners, lies, seed) => {
          const plan = laidOut(
            { kind: 'gridSample', padding, alignCorners },
            [slab('f32', n, c, h, w), slab('f32', n, oh, ow, 2)],
            slab('f32', n, c, oh, ow),
            lies,
          );
          const places = (length: number) =>
            Float32Array.from(noise(length, seed + 2), (x, k) =>
              k % 31 === 7 ? NaN : k % 7 === 5 ? x / 0 : k % 17 === 5 ? 1e9 * x : 1.5 * x,
            );
          await agree(plan, inputsOf(plan, seed, null, places), 1e-5);
        },
      ),
      { numRuns: 80 },
    );
  });

  it('scan: any layout and type, lines of threads, of teams, and of chunks', async () => {
    const extents = fc.tuple(few, fc.oneof(few, fc.integer({ min: 9, max: 130 }), fc.integer({ min: 500, max: 1100 })), few);
    await fc.assert(
      fc.asyncProperty(
        extents,
        fc.constantFrom<DType>('f32', 'i32'),
        fc.constantFrom('sum' as const, 'prod' as const),
        layouts(3, true),
        layouts(3, false),
        fc.boolean(),
        fc.nat(),
        async ([a, n, b], dtype, fn, from, to, special, seed) => {
          const plan = laidOut({ kind: 'scan', fn }, [slab(dtype, a, n, b)], slab(dtype, a, n, b), [from, to]);
          // Products neither vanish nor explode; one in a hundred is unusual.
          const some = (length: number): TypedArray =>
            Float32Array.from(noise(length, seed), (x, k) =>
              special && k % 100 === 99 ? unusual[((k / 100) % 7) | 0]! : fn === 'sum' ? x : 1 + x / 16,
            );
          // A rounding for each factor, which add up where all are the same.
          await agree(plan, inputsOf(plan, seed, dtype === 'f32' ? some : null), Math.max(2e-5, n * 2 ** -24));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('scan: 300 000 in three levels, with an error that does not grow with them, and the same bits each time', async () => {
    const data = Float32Array.from(noise(300_000), (x) => 1.1 + x);
    for (const lines of [1, 8]) {
      const shape = [1, data.length / lines, lines];
      const run = async () => (await runKernel(gpu, { kind: 'scan', fn: 'sum' }, [host('f32', shape, data)], [slab('f32', ...shape)]))[0]!;
      const sums = await run();
      const exact = new Float64Array(lines);
      let worst = 0;
      for (const [i, x] of data.entries()) {
        exact[i % lines]! += x;
        worst = Math.max(worst, Math.abs(sums[i]! / exact[i % lines]! - 1));
      }
      expect(worst).toBeLessThan(66 * 2 ** -24);
      expect(Buffer.from((await run()).buffer).equals(Buffer.from(sums.buffer))).toBe(true);
    }
  });

  it('scan: more lines than one axis of a grid has workgroups for', async () => {
    const shape = [2 ** 22 + 100, 1, 1];
    const data = Float32Array.from({ length: shape[0]! }, (_, i) => i);
    const [out] = await runKernel(gpu, { kind: 'scan', fn: 'sum' }, [host('f32', shape, data)], [slab('f32', ...shape)]);
    expect(Buffer.from(out!.buffer, out!.byteOffset, out!.byteLength).equals(Buffer.from(data.buffer))).toBe(true);
  });

  it('scan: products that f32 cannot hold on the way in the order of a tree', async () => {
    const line = [0, ...Array<number>(40).fill(1e30)];
    const [zeros] = await runKernel(gpu, { kind: 'scan', fn: 'prod' }, [host('f32', [1, 41, 1], line)], [slab('f32', 1, 41, 1)]);
    expect([...zeros!]).toEqual(line.map(() => 0));
    // Beyond f32 and back, as the doubles of the others; far beyond, it is ∞.
    const back = [1e30, 1e30, 1e-30, 1e-30, ...Array<number>(20).fill(1), -1e30, 1e20];
    const [products] = await runKernel(gpu, { kind: 'scan', fn: 'prod' }, [host('f32', [1, 26, 1], back)], [slab('f32', 1, 26, 1)]);
    expect(products![1]).toBe(Infinity);
    expect(products![3]).toBeCloseTo(1, 5);
    expect(products![25]).toBe(-Infinity);
    const [tiny] = await runKernel(
      gpu,
      { kind: 'scan', fn: 'prod' },
      [host('f32', [1, 3, 1], [1e-30, 1e-30, 1e30])],
      [slab('f32', 1, 3, 1)],
    );
    expect(tiny![1]).toBe(0);
    expect(tiny![2]! / 1e-30).toBeCloseTo(1, 5);
  });

  it('sort: short rows and long, either way, with NaN, ties and any type', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(few, fc.integer({ min: 60, max: 300 })),
        fc.oneof(few, fc.integer({ min: 30, max: 400 })),
        types,
        fc.boolean(),
        layouts(2, true),
        layouts(2, false),
        fc.nat(),
        async (rows, length, dtype, descending, from, to, seed) => {
          const some = Math.min(rows, Math.ceil(20_000 / Math.max(1, length)));
          const plan = laidOut({ kind: 'argsort', descending }, [slab(dtype, some, length)], slab('i32', some, length), [from, to]);
          await agree(
            plan,
            inputsOf(plan, seed, (count) => values(dtype, count, seed, dtype === 'f32' ? [...unusual, ...subnormal] : [])),
          );
        },
      ),
      runs,
    );
  });

  it('sort: two rows of 100 000, which are merged from buffer to buffer', async () => {
    const lies = { order: [1, 0], flips: [false, false], gap: 0, still: [false, false] };
    const plan = laidOut({ kind: 'argsort', descending: true }, [slab('f32', 2, 100_000)], slab('i32', 2, 100_000), [lies, lies]);
    await agree(plan, [Float32Array.from(noise(200_000, 5), (x) => Math.round(x * 30_000))]);
  });

  // -------------------------------------------------------------------------------------------------------- linear algebra

  const sizes = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 60, max: 120 }));
  const batches = fc.integer({ min: 0, max: 3 });
  const still = [false, false, false];
  const lies = fc.tuple(layouts(3, false), layouts(3, false), layouts(3, false));
  /** Only one triangle is to be read: the other is NaN. */
  const triangle = (matrix: readonly number[], size: number, lower: boolean): number[] =>
    matrix.map((value, at) => {
      const [row, column] = [Math.floor(at / size) % size, at % size];
      return row === column || row > column === lower ? value : NaN;
    });
  /** Row-major values, in the memory of a view. */
  const through = ({ shape, strides, offset }: View, length: number, given: ArrayLike<number>): Float32Array => {
    const data = new Float32Array(length);
    for (let at = 0; at < given.length; at++) {
      let place = offset;
      let rest = at;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        place += (rest % shape[axis]!) * strides[axis]!;
        rest = Math.floor(rest / shape[axis]!);
      }
      data[place] = given[at]!;
    }
    return data;
  };
  const placed = (plan: ReturnType<typeof laidOut>, ...given: readonly ArrayLike<number>[]) =>
    given.map((array, k) => through(plan.kernels[1]!.inputs[k]!, plan.buffers[k]!.length, array));

  /** AᵀA/size + 1: well-conditioned. */
  const definite = (batch: number, size: number, seed: number): number[] =>
    Array.from({ length: batch }, (_, n) => {
      const a = noise(size * size, seed + n + 1);
      return Array.from({ length: size * size }, (__, at) => {
        const [i, j] = [Math.floor(at / size), at % size];
        let sum = +(i === j);
        for (let k = 0; k < size; k++) sum += (a[k * size + i]! * a[k * size + j]!) / size;
        return sum;
      });
    }).flat();

  it('cholesky: the lower triangle only, in any layout', async () => {
    await fc.assert(
      fc.asyncProperty(batches, sizes, lies, fc.nat(), async (batch, size, [from, to], seed) => {
        const plan = laidOut({ kind: 'cholesky' }, [slab('f32', batch, size, size)], slab('f32', batch, size, size), [from, to]);
        await agree(plan, placed(plan, triangle(definite(batch, size, seed), size, true)), 5e-6);
      }),
      fewRuns,
    );
  });

  it('cholesky: a large matrix, and NaN for what is not positive definite, that matrix only', async () => {
    const size = 301;
    const matrices = definite(2, size, 5);
    const [one] = await runKernel(gpu, { kind: 'cholesky' }, [host('f32', [2, size, size], matrices)], [slab('f32', 2, size, size)]);
    for (let at = 0; at < one!.length; at++) expect(Number.isFinite(one![at])).toBe(true);
    const plan = laidOut(
      { kind: 'cholesky' },
      [slab('f32', 2, size, size)],
      slab('f32', 2, size, size),
      [1, 2].map(() => ({ order: [2, 1, 0], flips: still, gap: 0, still })),
    );
    await agree(plan, [Float32Array.from(matrices)], 5e-6);
    for (const [extent, pivot] of [
      [size, -1],
      [20, 0],
      [20, NaN],
    ] as const) {
      const broken = definite(2, extent, 7);
      broken[7 * (extent + 1)] = pivot;
      const [out] = await runKernel(
        gpu,
        { kind: 'cholesky' },
        [host('f32', [2, extent, extent], broken)],
        [slab('f32', 2, extent, extent)],
      );
      expect(out!.subarray(0, extent * extent).every(Number.isNaN)).toBe(true);
      expect(out!.subarray(extent * extent).every(Number.isFinite)).toBe(true);
    }
  });

  it('triangularSolve: either triangle, transposed or not, in any layout', async () => {
    const columns = fc.oneof(few, fc.integer({ min: 15, max: 40 }));
    await fc.assert(
      fc.asyncProperty(
        batches,
        sizes,
        columns,
        lies,
        fc.boolean(),
        fc.boolean(),
        fc.nat(),
        async (batch, size, columns, lies, lower, transpose, seed) => {
          const plan = laidOut(
            { kind: 'triangularSolve', lower, transpose },
            [slab('f32', batch, size, size), slab('f32', batch, size, columns)],
            slab('f32', batch, size, columns),
            lies,
          );
          const right = noise(batch * size * columns, seed + 9);
          await agree(plan, placed(plan, triangle(definite(batch, size, seed), size, lower), right), 1e-5);
        },
      ),
      runs,
    );
  });

  /** A = V·Λ·Vᵀ, VᵀV = 1, in order, signed as plan.ts says: what the decomposition is, whatever algorithm found it. */
  const decomposes = async (matrices: readonly number[], batch: number, size: number) => {
    const [out] = await runKernel(
      gpu,
      { kind: 'eigh' },
      [host('f32', [batch, size, size], triangle(matrices, size, true))],
      [slab('f32', batch, size + 1, size)],
    );
    for (let n = 0; n < batch; n++) {
      const a = matrices.slice(n * size * size, (n + 1) * size * size).map(Math.fround);
      const result = out!.subarray(n * (size + 1) * size, (n + 1) * (size + 1) * size);
      const found = result.subarray(0, size);
      const vectors = Array.from(found, (_, k) => Array.from({ length: size }, (__, i) => result[(i + 1) * size + k]!));
      const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-37) * Math.max(1, Math.sqrt(size));
      for (let k = 1; k < size; k++) expect(found[k]!).toBeGreaterThanOrEqual(found[k - 1]!);
      for (const vector of vectors) {
        expect(vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0)).toBeGreaterThan(0);
      }
      let [worst, skew] = [0, 0];
      for (let i = 0; i < size; i++) {
        for (let j = 0; j <= i; j++) {
          let [sum, dot] = [0, 0];
          for (let k = 0; k < size; k++) {
            sum += found[k]! * vectors[k]![i]! * vectors[k]![j]!;
            dot += vectors[i]![k]! * vectors[j]![k]!;
          }
          worst = Math.max(worst, Math.abs(sum - a[i * size + j]!));
          skew = Math.max(skew, Math.abs(dot - +(i === j)));
        }
      }
      expect(worst / scale).toBeLessThan(1e-5);
      expect(skew).toBeLessThan(1e-5);
    }
  };
  const symmetric = (size: number, seed: number): number[] => {
    const a = noise(size * size, seed + 1);
    return Array.from(a, (_, at) => a[Math.max(Math.floor(at / size), at % size) * size + Math.min(Math.floor(at / size), at % size)]!);
  };

  it('eigh: any symmetric matrix, of any scale', async () => {
    for (const size of [1, 2, 3, 8, 17, 40, 65, 97]) {
      const scales = [1, 1e-30, 1e30];
      await decomposes(
        scales.flatMap((scale, k) => symmetric(size, size + k).map((x) => x * scale)),
        scales.length,
        size,
      );
    }
  });

  it('eigh: low rank, equal eigenvalues, whole numbers', async () => {
    const size = 9;
    const matrices = fc.array(fc.array(fc.integer({ min: -2, max: 2 }), { minLength: size, maxLength: size }), {
      minLength: 8,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(matrices, (rows) =>
        decomposes(
          rows.flatMap((row) => row.flatMap((x) => row.map((y) => x * y))),
          rows.length,
          size,
        ),
      ),
      runs,
    );
  });

  it("eigh: the reference's vectors and signs, in any layout", async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 0, max: 24 }), lies, fc.nat(1000), async (batch, size, [from, to], seed) => {
        const plan = laidOut({ kind: 'eigh' }, [slab('f32', batch, size, size)], slab('f32', batch, size + 1, size), [from, to]);
        // Eigenvalues far apart, so that each vector is determined.
        const matrices = Array.from({ length: batch * size * size }, (_, at) => {
          const [i, j] = [Math.floor(at / size) % size, at % size];
          return i === j ? 3 * i + 0.25 * Math.sin(seed + i) : 0.25 * Math.cos((i + 1) * (j + 1) + seed);
        });
        await agree(plan, placed(plan, triangle(matrices, size, true)), 3e-5);
      }),
      fewRuns,
    );
  });

  it('eigh: NaN for a matrix that is not finite, and that one only', async () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const matrices = host('f32', [2, 3, 3], [1, 0, 0, bad, 1, 0, 0, 0, 1, 2, 9, 9, 1, 2, 9, 0, 0, 5]);
      const [out] = await runKernel(gpu, { kind: 'eigh' }, [matrices], [slab('f32', 2, 4, 3)]);
      expect(out!.subarray(0, 12).every(Number.isNaN)).toBe(true);
      for (const [k, value] of [1, 3, 5].entries()) expect(out![12 + k]).toBeCloseTo(value, 5);
    }
  });
});
