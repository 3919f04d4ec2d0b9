/** What is folded is never stored, so it may be more than 32 bits count; what is stored, or has a position, is refused where it is. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../engine/backends/backend.ts';
import { encodePlan } from '../../engine/backends/wasm/encode.ts';
import { createWebGpuBackend } from '../../engine/backends/webgpu/index.ts';
import { buildPlan } from '../../engine/compiler/compiler.ts';
import {
  arange,
  argsort,
  eye,
  full,
  maxPool2dWithIndices,
  ones,
  TensegrityError,
  type Tensor,
  tensor,
  uniform,
  useBackend,
} from '../../engine/index.ts';
import { capability } from '../support/capabilities.ts';
import { backends } from './support.ts';

const FULL = Boolean(process.env['TENSEGRITY_FULL']);

/** 0, 1/n, … along an axis of `rank`. */
const ramp = (n: number, axis: number, rank = 2): Tensor => {
  const shape = Array<number>(rank).fill(1).with(axis, n);
  return arange(n, 'f32').div(n).reshape(shape);
};
/** |i − j|/n. */
const distances = (n: number): Tensor => ramp(n, 0).sub(ramp(n, 1)).abs();
/** Σ over j of |i − j|/n, by the sums of 1 … i and 1 … n − 1 − i. */
const rowSum = (n: number, i: number): number => (i * (i + 1) + (n - 1 - i) * (n - i)) / 2 / n;

interface Case {
  readonly name: string;
  readonly compute: (n: number) => Tensor;
  /** In closed form, of some of the results. */
  readonly expected: (n: number) => readonly (readonly [at: number, value: number])[];
  /** By how much of itself a result may be off. */
  readonly within: number;
  /** Some seconds for 2^31 elements: not without TENSEGRITY_FULL. */
  readonly slow?: boolean;
}

const cases: readonly Case[] = [
  { name: 'the mean', compute: (n) => distances(n).mean(), expected: (n) => [[0, (n * n - 1) / (3 * n * n)]], within: 1e-6 },
  { name: 'the maximum', compute: (n) => distances(n).max(), expected: (n) => [[0, (n - 1) / n]], within: 1e-7 },
  { name: 'the minimum', compute: (n) => distances(n).sub(2).neg().min(), expected: (n) => [[0, 1 + 1 / n]], within: 1e-6, slow: true },
  {
    name: 'a product',
    compute: (n) => ones([n, n]).mul(ramp(n, 0).less(2).where(1, 3)).prod(),
    expected: () => [[0, 1]],
    within: 0,
    slow: true,
  },
  {
    name: 'a count',
    compute: (n) => ramp(n, 0).less(ramp(n, 1)).sum(),
    expected: (n) => [[0, (n * (n - 1)) / 2]],
    within: 0,
  },
  {
    name: 'means of rows',
    compute: (n) => distances(n).mean(1),
    expected: (n) => [0, 1, n >> 1, n - 2, n - 1].map((i) => [i, rowSum(n, i) / n]),
    within: 1e-6,
  },
  {
    name: 'sums of columns',
    compute: (n) => distances(n).square().sum(0),
    expected: (n) => [[0, ((n - 1) * n * (2 * n - 1)) / 6 / n / n]],
    within: 1e-6,
  },
  {
    name: 'the last position of each row',
    compute: (n) => ramp(n, 1).sub(ramp(n, 0).mul(0)).argmax(1),
    expected: (n) => [0, n - 1].map((i) => [i, n - 1]),
    within: 0,
    slow: true,
  },
  {
    name: 'sums of planes',
    compute: (n) =>
      ramp(n, 0, 3)
        .mul(ramp(8, 1, 3))
        .mul(ramp(n >> 3, 2, 3))
        .sum([0, 2]),
    expected: (n) => [0, 1, 7].map((k) => [k, ((n - 1) / 2) * (k / 8) * (((n >> 3) - 1) / 2)]),
    within: 1e-6,
  },
];

async function agrees({ compute, expected, within }: Case, n: number): Promise<void> {
  const results = await compute(n).data();
  for (const [at, value] of expected(n))
    expect(Math.abs(results[at]! - value), `element ${at}`).toBeLessThanOrEqual(within * Math.abs(value));
}

describe('closed forms', () => {
  describe.each(backends.map((backend) => [backend.name, backend] as const))('on %s', (name, backend) => {
    beforeAll(async () => {
      await useBackend(backend);
    });

    it.each(cases)('$name of few', (entry) => agrees(entry, 48));
    // The reference computes 2^20 at once.
    it.each(cases)('$name of more than 2^20', (entry) => agrees(entry, 1100));
    // 46 341² is the first square beyond 2^31. The reference takes a minute for each.
    it.runIf(name === 'wasm' || FULL).each(cases.filter(({ slow }) => !slow || FULL))(
      '$name of more than 2^31',
      (entry) => agrees(entry, 46_341),
      600_000,
    );
  });

  it.runIf(backends.some(({ name }) => name === 'wasm'))('at the edges of 32 bits', async () => {
    await useBackend(backends.find(({ name }) => name === 'wasm')!);
    for (const shape of [[2 ** 31], [2 ** 32 - 1], [2 ** 16, 2 ** 16]]) {
      const count = shape.reduce((product, extent) => product * extent, 1);
      expect(await full(shape, 1).sum().item(), `${shape}`).toBe(Math.fround(count));
    }
    expect(
      await full([2 ** 31 + 11], 0.1)
        .mean()
        .item(),
    ).toBeCloseTo(0.1, 7);
    // The last of 2^32.
    const zeros = new Float32Array(2 ** 16);
    const last = tensor(zeros.with(-1, 3));
    expect(
      await last
        .reshape([2 ** 16, 1])
        .mul(last)
        .sum()
        .item(),
    ).toBe(9);
  });
});

const opened: Backend | Error = await createWebGpuBackend({ assume: { mostFolded: 1000 } }).catch((error: Error) => error);
const gpu = opened instanceof Error ? null : opened;
capability('webgpu', gpu !== null, String(opened));

describe.runIf(gpu)('a GPU that counts to 1000', () => {
  beforeAll(async () => {
    await useBackend(gpu!);
  });

  it.each(cases)('$name', (entry) => agrees(entry, 64));

  it('refuses what cannot be cut, and positions', async () => {
    await expect(distances(1009).argmax().item()).rejects.toMatchObject({ code: 'backend', message: expect.stringContaining('1000') });
    await expect(
      ones([2 ** 22 + 15])
        .sum()
        .item(),
    ).rejects.toMatchObject({ code: 'backend' });
    expect(
      await ones([1009])
        .mul(ramp(1009, 0, 1).mul(0).add(1))
        .sum()
        .item(),
    ).toBe(1009);
  });
});

describe('refusals', () => {
  const refused = (make: () => unknown, code: string): void => {
    expect(make).toThrow(TensegrityError);
    expect(make).toThrow(expect.objectContaining({ code }));
  };

  it('of positions beyond i32, when the graph is built', () => {
    refused(() => arange(2 ** 31), 'shape');
    refused(() => eye(2 ** 31), 'shape');
    refused(() => ones([2 ** 16, 2 ** 15]).argmax(), 'shape');
    refused(() => ones([2 ** 31]).argmin(0), 'shape');
    refused(() => argsort(ones([2 ** 31])), 'shape');
    refused(() => maxPool2dWithIndices(ones([1, 1, 2 ** 16, 2 ** 15]), 2), 'shape');
    refused(() => uniform([2 ** 31], { key: 1 }), 'argument');
    expect(arange(2 ** 31 - 1).shape).toEqual([2 ** 31 - 1]);
    expect(ones([2 ** 16, 2 ** 15]).argmax(0).shape).toEqual([2 ** 15]);
  });

  const huge = tensor([1, 2]).reshape([2, 1]);
  const beyond: readonly (readonly [string, () => Tensor])[] = [
    [
      'an axis of a fold',
      () =>
        tensor([1])
          .expand([3, 2 ** 33])
          .mul(2)
          .sum(),
    ],
    [
      'steps of a product',
      () =>
        tensor([1])
          .expand([2, 2 ** 31])
          .matmul(tensor([1]).expand([2 ** 31, 2])),
    ],
    ['bytes', () => huge.less(huge.expand([2, 2 ** 33]))],
    ['floats', () => huge.add(huge.expand([2, 2 ** 42])).mul(2)],
    ['pads', () => huge.pad([0, 0], [2 ** 31, 8])],
    [
      'running sums',
      () =>
        tensor([1])
          .expand([2 ** 31])
          .cumsum(),
    ],
  ];

  it.each(beyond.slice(0, 2))('of %s, when a plan is encoded for wasm', (_, compute) => {
    const { plan } = buildPlan({ outputs: [compute().node], updates: [], isConstant: () => false });
    expect(() => encodePlan(plan)).toThrow(expect.objectContaining({ code: 'backend' }));
  });

  it('of no line of a scan that i32 counts', () => {
    const sums = tensor([1])
      .expand([2 ** 31 - 1])
      .cumsum();
    const { plan } = buildPlan({ outputs: [sums.node], updates: [], isConstant: () => false });
    expect(encodePlan(plan).words.length).toBeGreaterThan(0);
  });

  const everywhere: readonly Backend[] = [...backends, ...(gpu ? [gpu] : [])];
  it.each(beyond.slice(1).flatMap(([what, compute]) => everywhere.map((backend) => [what, backend.name, backend, compute] as const)))(
    'of %s, on %s',
    async (_what, _name, backend, compute) => {
      await useBackend(backend);
      await expect(compute().data()).rejects.toMatchObject({ name: 'TensegrityError', code: 'backend' });
    },
  );
});
