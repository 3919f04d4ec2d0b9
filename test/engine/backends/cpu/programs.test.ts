import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import { references } from '../../../../engine/backends/cpu/reference.ts';
import type { Kernel, ReduceKernel } from '../../../../engine/compiler/plan.ts';
import { threefry2x32 } from '../../../../engine/reference.ts';
import { buffer, contiguous, host, identity, noise, planOf, program, runKernel, runPlan } from '../plans.ts';

const erf = (x: number) => references.erf.of(x, 0, 0);
const erfInverse = (y: number) => references.erfInverse.of(y, 0, 0);

const backend = createCpuBackend({ poison: true });

describe('the scalar table', () => {
  it('has the published Threefry-2x32-20 answers', () => {
    // kat_vectors of Random123 1.14 (D. E. Shaw Research)
    const words = (...parts: Parameters<typeof threefry2x32>) =>
      threefry2x32(...parts).map((word) => (word >>> 0).toString(16).padStart(8, '0'));
    expect(words(0, 0, 0, 0)).toEqual(['6b200159', '99ba4efe']);
    expect(words(-1, -1, -1, -1)).toEqual(['1cb996fc', 'bb002be7']);
    expect(words(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual(['c4923a9c', '483df7a0']);
  });

  it('has erf and its inverse to the last digits', () => {
    // Abramowitz & Stegun table 7.1, and mpmath
    const known: [number, number][] = [
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [2.5, 0.999593047982555],
      [3.5, 0.9999992569016276],
    ];
    for (const [x, y] of known) {
      expect(Math.abs(erf(x) / y - 1)).toBeLessThan(1e-15);
      expect(erf(-x)).toBe(-erf(x));
    }
    for (const y of [1e-300, 1e-10, 0.3, 0.9, 0.999999, 1 - 1e-12]) {
      expect(Math.abs(erf(erfInverse(y)) / y - 1)).toBeLessThan(1e-15);
    }
    expect([-1, 0, 1, 1.5, NaN].map((y) => erfInverse(y))).toEqual([-Infinity, 0, Infinity, NaN, NaN]);
  });
});

describe('map', () => {
  it('rounds every step to its lane', async () => {
    const thirds = (lane: 'f32' | 'f64') =>
      program(
        1,
        [{ value: 3, lane }],
        [
          ['div', lane, 0, 1],
          ['mul', lane, 2, 1],
        ],
      );
    for (const lane of ['f32', 'f64'] as const) {
      const x = host(lane, [4], [1, 5, 7, 0.1]);
      const [out] = await runKernel(backend, { kind: 'map', shape: [4], program: thirds(lane) }, [x], [{ dtype: lane, shape: [4] }]);
      const round = lane === 'f32' ? Math.fround : (value: number) => value;
      expect([...out!]).toEqual([...x.data].map((value) => round(round(value / 3) * 3)));
    }
  });

  it('computes integers modulo 2³², widens u8, and stores its low byte', async () => {
    const square = program(1, [], [['mul', 'i32', 0, 0]]);
    const ints = host('i32', [2], [65537, -46341]);
    expect([
      ...(await runKernel(backend, { kind: 'map', shape: [2], program: square }, [ints], [{ dtype: 'i32', shape: [2] }]))[0]!,
    ]).toEqual([131073, -2147479015]);
    const bytes = host('u8', [2], [16, 255]);
    expect([
      ...(await runKernel(backend, { kind: 'map', shape: [2], program: square }, [bytes], [{ dtype: 'i32', shape: [2] }]))[0]!,
    ]).toEqual([256, 65025]);
    expect([
      ...(await runKernel(backend, { kind: 'map', shape: [2], program: square }, [bytes], [{ dtype: 'u8', shape: [2] }]))[0]!,
    ]).toEqual([0, 1]);
  });

  it('gives several outputs, positions, comparisons and conversions', async () => {
    const steps = program(
      1,
      [{ value: 2, lane: 'i32' }],
      [
        ['index', 'i32'],
        ['less', 'i32', 2, 1],
        ['toFloat', 'f32', 2],
        ['where', 'f32', 3, 0, 4],
        ['toInt', 'f32', 0],
      ],
      [5, 3, 6],
    );
    const x = host('f32', [2, 2], [NaN, -3e9, 3e9, -1.7]);
    const shape = [2, 2];
    const outputs = await runKernel(
      backend,
      { kind: 'map', shape, program: steps },
      [x],
      [
        { dtype: 'f32', shape },
        { dtype: 'u8', shape },
        { dtype: 'i32', shape },
      ],
    );
    expect(outputs.map((out) => [...out])).toEqual([
      [NaN, -3e9, 2, 3],
      [1, 1, 0, 0],
      [0, -2147483648, 2147483647, -1],
    ]);
  });

  it('reads broadcasts, flips and transposes, and writes them', async () => {
    const x = host('f32', [6], [1, 2, 3, 4, 5, 6]);
    const shape = [2, 2, 3];
    const flipped = { buffer: 0, dtype: 'f32', shape, strides: [0, 3, -1], offset: 2 } as const;
    const permuted = { buffer: 1, dtype: 'f32', shape, strides: [1, 2, 4], offset: 0 } as const;
    const plan = planOf(
      [buffer('input', 'f32', 6), buffer('output', 'f32', 12)],
      [{ kind: 'map', shape, program: identity, inputs: [flipped], outputs: [permuted] }],
    );
    expect([...(await runPlan(backend, plan, [x.data]))[0]!]).toEqual([3, 3, 6, 6, 2, 2, 5, 5, 1, 1, 4, 4]);
  });
});

describe('ops of two operands', () => {
  it('see no third, whatever the register held', async () => {
    const steps = program(
      2,
      [],
      [
        ['exp', 'f32', 0],
        ['maximum', 'f32', 0, 1],
      ],
    );
    const reused = { ...steps, registers: 1, instructions: steps.instructions.map((instruction) => ({ ...instruction, register: 0 })) };
    const shape = [2];
    const [out] = await runKernel(
      backend,
      { kind: 'map', shape, program: reused },
      [host('f32', shape, [-1, -2]), host('f32', shape, [-3, NaN])],
      [{ dtype: 'f32', shape }],
    );
    expect([...out!]).toEqual([-1, NaN]);
  });
});

describe('reduce', () => {
  const all: ReduceKernel['reductions'] = ['sum', 'prod', 'max', 'min', 'argmax', 'argmin'];
  const fold = async (dtype: 'f32' | 'i32' | 'u8', shape: number[], values: number[]) => {
    const outer = shape.slice(0, 1);
    const results = { ...identity, results: all.map(() => 0) };
    const outputs = all.map((reduction) => ({ dtype: reduction.startsWith('arg') ? ('i32' as const) : dtype, shape: outer }));
    const out = await runKernel(
      backend,
      { kind: 'reduce', shape, reduced: shape.length - 1, program: results, reductions: all },
      [host(dtype, shape, values)],
      outputs,
    );
    return out.map((array) => [...array]);
  };

  it('folds the last axes', async () => {
    expect(await fold('f32', [2, 3], [1, 3, 3, -2, 5, -2])).toEqual([
      [7, 1],
      [9, 20],
      [3, 5],
      [1, -2],
      [1, 1],
      [0, 0],
    ]);
  });

  it('gives NaN for an extremum with a NaN, and the first NaN as its place', async () => {
    expect((await fold('f32', [1, 2, 2], [1, NaN, 3, NaN])).slice(2)).toEqual([[NaN], [NaN], [1], [1]]);
  });

  it('gives the neutral element of an empty fold', async () => {
    expect(await fold('f32', [1, 0], [])).toEqual([[0], [1], [-Infinity], [Infinity], [0], [0]]);
    expect(await fold('i32', [1, 0], [])).toEqual([[0], [1], [-2147483648], [2147483647], [0], [0]]);
    expect((await fold('u8', [1, 0], [])).slice(2, 4)).toEqual([[0], [255]]);
  });

  it('wraps integers', async () => {
    expect((await fold('i32', [1, 3], [2147483647, 2147483647, 3])).slice(0, 2)).toEqual([[1], [3]]);
  });

  it('sums many f32 without drift', async () => {
    const values = noise(100_003).map(Math.fround);
    const [sum] = await runKernel(
      backend,
      { kind: 'reduce', shape: [values.length], reduced: 1, program: identity, reductions: ['sum'] },
      [host('f32', [values.length], values)],
      [{ dtype: 'f32', shape: [] }],
    );
    expect(sum![0]).toBe(Math.fround(values.reduce((total, value) => total + value, 0)));
  });
});

describe('what only moves', () => {
  const two = contiguous(0, { dtype: 'i32', shape: [2] });
  const specs = [buffer('input', 'i32', 2), buffer('output', 'i32', 4)];
  const four = contiguous(1, { dtype: 'i32', shape: [4] });
  const run = async (kernel: Kernel): Promise<number[]> => [
    ...(await runPlan(backend, planOf(specs, [kernel]), [Int32Array.of(1, 2)]))[0]!,
  ];

  it('is padded with the value', async () => {
    expect(await run({ kind: 'pad', before: [1], value: 9, inputs: [two], outputs: [four] })).toEqual([9, 1, 2, 9]);
  });

  it('goes nowhere along an axis of one element, whatever its stride', async () => {
    const column = (number: number, stride: number) => ({ ...contiguous(number, { dtype: 'i32', shape: [2, 1] }), strides: [1, stride] });
    const plan = planOf(
      [buffer('input', 'i32', 2), buffer('output', 'i32', 2)],
      [{ kind: 'copy', inputs: [column(0, 2 ** 53 - 1)], outputs: [column(1, 1 - 2 ** 53)] }],
    );
    expect([...(await runPlan(backend, plan, [Int32Array.of(1, 2)]))[0]!]).toEqual([1, 2]);
  });

  it('is put one behind the other', async () => {
    const backwards = { ...four, strides: [-1], offset: 3 };
    expect(await run({ kind: 'concat', axis: 0, inputs: [two, two], outputs: [backwards] })).toEqual([2, 1, 2, 1]);
  });

  it('may be more than a call has arguments', async () => {
    const count = 100_000;
    const one = contiguous(0, { dtype: 'u8', shape: [1] });
    const kernel: Kernel = {
      kind: 'concat',
      axis: 0,
      inputs: Array(count).fill(one),
      outputs: [contiguous(1, { dtype: 'u8', shape: [count] })],
    };
    const plan = planOf([buffer('input', 'u8', 1), buffer('output', 'u8', count)], [kernel]);
    expect((await runPlan(backend, plan, [Uint8Array.of(7)]))[0]!.every((value) => value === 7)).toBe(true);
  });
});
