import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePlan } from '../../../../engine/backends/wasm/encode.ts';
import type { ConvKernel, Kernel, Plan } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import type { DType } from '../../../../engine/dtype.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import * as command from '../../../../wasm/command.ts';
import { property } from '../../../support/property.ts';
import { arranged, type Layout } from '../arranged.ts';
import { buffer, contiguous, type KernelBody, planOf, program, singleKernelPlan, withoutEpilogues } from '../plans.ts';
import { draw, layouts } from './harness.ts';
import { type Draft, programs } from './programs.ts';
import { bitsOf, runOn, sharedBuilds } from './shares.ts';
import { draw as drawFactor } from './strided.ts';

interface Product {
  readonly body: KernelBody;
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
}

const from = (min: number, max: number) => fc.integer({ min, max });
const pair = (min: number, max: number) => fc.tuple(from(min, max), from(min, max));

/** Rows that are finished where they are made, and ones that are too few or too short; sums of one block of steps and of several. */
const matrices: fc.Arbitrary<Product> = fc
  .record({
    batches: from(0, 2),
    size: fc.oneof(
      fc.tuple(from(0, 20), from(0, 20)),
      fc.tuple(from(1, 20), from(250, 600)),
      fc.tuple(from(250, 300), from(250, 300)),
      fc.tuple(from(256, 270), from(256, 1100)),
    ),
    steps: fc.oneof(from(0, 20), from(190, 400)),
  })
  .map(({ batches, size: [rows, columns], steps }) => ({
    body: { kind: 'matmul', epilogue: null },
    inputs: [
      [batches, rows, steps],
      [batches, steps, columns],
    ],
    output: [batches, rows, columns],
  }));

const images: fc.Arbitrary<Product> = fc
  .record({
    direction: fc.constantFrom<ConvKernel['direction']>('forward', 'input', 'weight'),
    count: fc.oneof({ weight: 4, arbitrary: from(0, 3) }, { weight: 1, arbitrary: fc.constant(8) }),
    groups: fc.constantFrom(1, 1, 2, 3),
    channels: fc.oneof({ weight: 4, arbitrary: from(0, 4) }, { weight: 1, arbitrary: from(16, 40) }),
    filters: fc.oneof({ weight: 4, arbitrary: from(1, 9) }, { weight: 1, arbitrary: from(16, 30) }),
    size: fc.oneof(pair(3, 12), pair(16, 24)),
    kernel: fc.oneof(pair(1, 3), fc.constant<[number, number]>([3, 3])),
    stride: fc.oneof(pair(1, 2), fc.constant<[number, number]>([1, 1])),
    padding: pair(0, 2),
    dilation: fc.oneof(pair(1, 2), fc.constant<[number, number]>([1, 1])),
  })
  .map(({ direction, count, groups, channels, filters, size: drawn, kernel, stride, padding, dilation }) => {
    const reach = kernel.map((length, axis) => dilation[axis]! * (length - 1) + 1);
    // A window fits at least once.
    const size = drawn.map((extent, axis) => Math.max(extent, reach[axis]! - 2 * padding[axis]!));
    const out = size.map((extent, axis) => Math.floor((extent + 2 * padding[axis]! - reach[axis]!) / stride[axis]!) + 1);
    const [x, w, y] = [
      [count, groups * channels, ...size],
      [groups * filters, channels, ...kernel],
      [count, groups * filters, ...out],
    ];
    const [inputs, output] = { forward: [[x, w], y], input: [[y, w], x], weight: [[x, y], w] }[direction] as [number[][], number[]];
    return { body: { kind: 'conv', epilogue: null, direction, stride, padding, dilation, groups }, inputs, output };
  });

interface Drawn {
  readonly product: Product;
  readonly draft: Draft;
  /** Of what is multiplied, then of what else the epilogue reads. */
  readonly lies: readonly Layout[];
}

/** Programs whose first input is the product, and whose one result is of its type. */
const epilogues = programs(1, 6, true)
  .filter(({ inputs, outputs }) => inputs[0] === 'f32' && outputs.includes('f32'))
  .map((draft): Draft => {
    const result = draft.program.results[draft.outputs.indexOf('f32')]!;
    return { ...draft, outputs: ['f32'], program: { ...draft.program, results: [result] } };
  });

const drawn = (products: fc.Arbitrary<Product>): fc.Arbitrary<Drawn> =>
  fc.tuple(products, epilogues).chain(([product, draft]) => {
    const count = 1 + draft.inputs.length;
    return fc.array(layouts(product.output.length, true), { minLength: count, maxLength: count }).map((lies) => ({ product, draft, lies }));
  });

/** A plan of one product with an epilogue. */
function planOfDrawn({ product, draft, lies }: Drawn): Plan {
  const read: [readonly number[], DType][] = [
    ...product.inputs.map((shape): [readonly number[], DType] => [shape, 'f32']),
    ...draft.inputs.slice(1).map((dtype): [readonly number[], DType] => [product.output, dtype]),
  ];
  const views = read.map(([shape, dtype], k) => arranged(k, dtype, shape, lies[k]!));
  const out = contiguous(read.length, { dtype: 'f32', shape: product.output });
  const specs = [...views.map(({ view, length }) => buffer('input', view.dtype, length)), buffer('output', 'f32', sizeOf(out.shape))];
  const [left, right, ...others] = views.map(({ view }) => view);
  const kernel = { ...product.body, epilogue: draft.program, inputs: [left!, right!, out, ...others], outputs: [out] } as Kernel;
  const plan = planOf(specs, [kernel]);
  expect(planFaults(plan)).toEqual([]);
  return plan;
}

function sameAsMap(plan: Plan, seed: number): void {
  const apart = withoutEpilogues(plan);
  expect(planFaults(apart)).toEqual([]);
  const inputs = plan.inputs.map((number) => {
    const { dtype, length } = plan.buffers[number]!;
    // Where one factor is not finite few sums are: those would hide much else.
    return number < 2 ? drawFactor(length, seed + number, seed % 3 === 0) : draw(dtype, length, seed + number);
  });
  for (const build of sharedBuilds) {
    const want = bitsOf(runOn(1, apart, inputs, { build }));
    for (const threads of [1, 2, 5]) {
      expect(bitsOf(runOn(threads, plan, inputs, { build })), `${build}, ${threads} threads`).toEqual(want);
    }
  }
}

describe('an epilogue gives the bits of a map that follows', () => {
  it(
    'of matrices',
    () => property([drawn(matrices), fc.nat()], (given, seed) => sameAsMap(planOfDrawn(given), seed), { numRuns: 200 }),
    60_000,
  );
  it(
    'of convolutions',
    () => property([drawn(images), fc.nat()], (given, seed) => sameAsMap(planOfDrawn(given), seed), { numRuns: 200 }),
    60_000,
  );

  it('of more rows, columns and steps than a block or a table holds, and of a part of a batch', () => {
    const finish = program(
      2,
      [],
      [
        ['add', 'f32', 0, 1],
        ['relu', 'f32', 2],
      ],
    );
    for (const [batches, rows, columns, steps] of [
      [1, 300, 2500, 500],
      [1, 2100, 300, 7],
      [1, 256, 256, 2048],
      [1, 256, 256, 2049],
      // Better made transposed.
      [1, 8, 8193, 40],
      [2, 257, 300, 0],
    ] as const) {
      const out = { dtype: 'f32' as const, shape: [batches, rows, columns] };
      const slabs = [
        { dtype: 'f32' as const, shape: [batches, rows, steps] },
        { dtype: 'f32' as const, shape: [batches, steps, columns] },
        { dtype: 'f32' as const, shape: [columns] },
      ];
      const plan = singleKernelPlan({ kind: 'matmul', epilogue: finish }, slabs, [out]);
      const [matmul] = plan.kernels;
      const [left, right, bias] = matmul!.inputs;
      const inputs = [left!, right!, matmul!.outputs[0]!, { ...bias!, shape: out.shape, strides: [0, 0, 1] }];
      sameAsMap({ ...plan, kernels: [{ ...matmul!, inputs } as Kernel] }, 1);
    }
  });
});

describe('an epilogue is part of its product', () => {
  const kindsOf = (rows: number, columns: number, otherStrides: readonly number[]): number[] => {
    const shape = [1, rows, columns];
    const slabs = [[1, rows, 8], [1, 8, columns], shape].map((each) => ({ dtype: 'f32' as const, shape: each }));
    const plan = singleKernelPlan({ kind: 'matmul', epilogue: program(2, [], [['add', 'f32', 0, 1]]) }, slabs, [{ dtype: 'f32', shape }]);
    const [matmul] = plan.kernels;
    const [left, right, other] = matmul!.inputs;
    const inputs = [left!, right!, matmul!.outputs[0]!, { ...other!, strides: otherStrides }];
    const { words } = encodePlan({ ...plan, kernels: [{ ...matmul!, inputs } as Kernel] });
    const kinds: number[] = [];
    for (let at = 0; at < words.length; at += words[at + 1]!) kinds.push(words[at]!);
    return kinds;
  };

  it('where a pass over memory would cost more', () => {
    expect(kindsOf(512, 512, [0, 0, 1])).toEqual([command.MATMUL]);
    expect(kindsOf(512, 512, [0, 1, 0])).toEqual([command.MATMUL]);
    expect(kindsOf(512, 512, [512 * 512, 512, 1])).toEqual([command.MATMUL, command.MAP]);
    expect(kindsOf(64, 64, [0, 0, 1])).toEqual([command.MATMUL, command.MAP]);
    expect(kindsOf(1 << 20, 2, [0, 0, 1])).toEqual([command.MATMUL, command.MAP]);
  });
});
