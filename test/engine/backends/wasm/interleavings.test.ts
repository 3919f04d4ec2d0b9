/** Whole plans on several threads: the bits of one thread, whatever the order in which the threads come to a command. */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Build } from '../../../../engine/backends/wasm/index.ts';
import { buildPlan } from '../../../../engine/compiler/compiler.ts';
import type { Plan } from '../../../../engine/compiler/plan.ts';
import { kernelKinds } from '../../../../engine/compiler/readPlan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { dtypes, type HostArray, type TypedArray } from '../../../../engine/dtype.ts';
import {
  arange,
  cholesky,
  concat,
  conv2d,
  eigh,
  eye,
  grad,
  gridSample,
  maxPool2d,
  type Slot,
  scatter,
  slot,
  sort,
  type Tensor,
  take,
  triangularSolve,
  uniform,
} from '../../../../engine/index.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { property } from '../../../support/property.ts';
import { build as built, leaf, randomPrograms } from '../../compiler/randomPrograms.ts';
import { buffer, contiguous, noise, planOf, program } from '../plans.ts';
import { anyOrder, bitsOf, endTeams, runOn, runOnTeam, sharedBuilds } from './shares.ts';

interface Bound {
  readonly plan: Plan;
  readonly inputs: readonly TypedArray[];
  readonly slots: readonly TypedArray[];
}

/** The plan of some tensors and updates, and what it runs on. */
function bound(
  outputs: readonly Tensor[],
  updates: readonly { slot: Slot; value: Tensor }[],
  initial: ReadonlyMap<Slot, TypedArray>,
): Bound {
  const { plan, inputs, slots } = buildPlan({
    outputs: outputs.map(({ node }) => node),
    updates: updates.map((update) => ({ slot: update.slot, value: update.value.node })),
    isConstant: () => false,
  });
  expect(planFaults(plan)).toEqual([]);
  // Leaves hold arrays, for no backend has seen them.
  return { plan, inputs: inputs.map((node) => node.storage as TypedArray), slots: slots.map((each) => initial.get(each)!) };
}

const float32 = (shape: readonly number[], seed: number): HostArray => {
  const data = dtypes.f32.allocate(sizeOf(shape));
  data.set(noise(data.length, seed));
  return { dtype: 'f32', shape, data };
};

/** A training step that has a kernel of every kind, forwards and backwards. */
function everyKernel(n: number, c: number, size: number, seed: number): Bound {
  const initial = new Map<Slot, TypedArray>();
  const held = (shape: readonly number[], at: number): Slot => {
    const start = float32(shape, seed + at);
    const made = slot(start, `slot${at}`);
    initial.set(made, start.data);
    return made;
  };
  const slots = [held([c, 3, 3, 3], 1), held([c, c, 3, 3], 2), held([c, c], 3), held([11, c], 4)] as const;
  const [filters, deeper, square, table] = slots.map(({ value }) => value) as [Tensor, Tensor, Tensor, Tensor];
  const images = leaf(float32([n, 3, size, size], seed + 5));
  const places = leaf(float32([n, size, size, 2], seed + 6));
  const sampled = gridSample(images, places.mul(1.2));
  // The second in the way that suits 16 channels or more, if there are so many.
  const hidden = conv2d(sampled, filters, { padding: 1 }).relu();
  const features = maxPool2d(conv2d(hidden, deeper, { padding: 1 }).relu(), 2).mean([2, 3]);
  const rows = take(table, uniform([n], { key: seed }).mul(11).floor().cast('i32'), 0);
  const z = features.add(rows).matmul(square);
  // Apart from each other, so that eigenvalues do not meet.
  const covariance = z
    .transpose()
    .matmul(z)
    .div(n)
    .add(arange(c).add(1).mul(eye(c)));
  const factor = cholesky(covariance);
  const white = triangularSolve(factor, z.transpose());
  const spectrum = eigh(covariance).values.log().sum();
  const loss = white
    .square()
    .mean()
    .add(spectrum.mul(0.01))
    .add(sort(z, { axis: 0 }).values.slice([0, 1]).sum())
    .add(z.cumsum(0).tanh().mean())
    .add(concat([z, rows], 1).square().sum(1).sqrt().mean());
  const gradients = grad(loss, [filters, deeper, square, table, images, places]);
  const updates = slots.map((each, i) => ({ slot: each, value: each.value.sub(gradients[i]!.mul(0.01)) }));
  const queue = held([37, c], 7);
  const newest = scatter(queue.value, arange(n).mul(5).remainder(37).reshape([n, 1]).expand([n, c]), z, 0);
  return bound([loss, white, ...gradients], [...updates, { slot: queue, value: newest }], initial);
}

/** That a plan gives the same bits to 1 thread and to 2, 3 and 4, which come in any order. */
async function sameInAnyOrder({ plan, inputs, slots }: Bound, build: Build, seed: number): Promise<void> {
  const alone = bitsOf(runOn(1, plan, inputs, { slots, build }));
  for (const threads of [2, 3, 4]) {
    const inTurn = runOn(threads, plan, inputs, { slots, order: anyOrder(seed + threads), build });
    expect(bitsOf(inTurn), `${threads} threads in turn`).toEqual(alone);
    expect(bitsOf(await runOnTeam(threads, plan, inputs, { slots, build })), `${threads} threads`).toEqual(alone);
  }
}

describe('threads in any order give the bits of one', () => {
  afterAll(endTeams);

  const builds = fc.constantFrom(...sharedBuilds);
  // Larger than the blocks that work is shared by, in one way or another.
  const programs = randomPrograms({ extents: [1, 2, 3, 5, 40, 700, 1300], largest: 4000, types: ['i32', 'u8'] });

  it('in random programs', () =>
    property(
      [programs, builds, fc.nat()],
      async (program, build, seed) => {
        const initial = new Map(program.slots.map((start, i) => [slot(start, `slot${i}`), start.data]));
        const held = [...initial.keys()];
        const { outputs, updates } = built(
          program,
          program.leaves.map(leaf),
          held.map(({ value }) => value),
        );
        await sameInAnyOrder(
          bound(
            outputs,
            held.map((each, i) => ({ slot: each, value: updates[i]! })),
            initial,
          ),
          build,
          seed,
        );
      },
      { numRuns: 300 },
    ));

  it('in steps of training that have kernels of every kind', () =>
    property(
      [fc.integer({ min: 2, max: 9 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 4, max: 14 }), builds, fc.nat(1e6)],
      async (n, channels, size, build, seed) => {
        await sameInAnyOrder(everyKernel(n, channels, size, seed), build, seed);
      },
    ));

  it('in 20 runs of one plan', async () => {
    const { plan, inputs, slots } = everyKernel(8, 16, 16, 1);
    const kinds = new Set(plan.kernels.map(({ kind }) => kind));
    expect(kinds).toEqual(new Set(kernelKinds));
    for (const build of sharedBuilds) {
      const alone = bitsOf(runOn(1, plan, inputs, { slots, build }));
      for (const threads of [1, 2, 3, 4]) {
        for (let run = 0; run < 20; run++) {
          expect(bitsOf(await runOnTeam(threads, plan, inputs, { slots, build })), `${threads} threads, run ${run}`).toEqual(alone);
        }
      }
    }
  });

  it('in thousands of short commands, each of which reads what the other threads have just written', async () => {
    const length = 4096;
    const view = (number: number) => contiguous(number, { dtype: 'i32', shape: [length] });
    const reversed = (number: number) => ({ ...view(number), strides: [-1], offset: length - 1 });
    const sum = program(
      2,
      [{ value: 3, lane: 'i32' }],
      [
        ['mul', 'i32', 0, 2],
        ['add', 'i32', 3, 1],
      ],
    );
    const turn = (from: number, to: number) =>
      ({ kind: 'map', shape: [length], program: sum, inputs: [view(from), reversed(from)], outputs: [view(to)] }) as const;
    const kernels = Array.from({ length: 2001 }, (_, k) => turn(k === 0 ? 0 : 1 + ((k - 1) % 2), k === 2000 ? 3 : 1 + (k % 2)));
    const scratch = [0, 4 * length].map((offset) => buffer('scratch', 'i32', length, offset));
    const plan = planOf([buffer('input', 'i32', length), ...scratch, buffer('output', 'i32', length)], kernels, 8 * length);
    expect(planFaults(plan)).toEqual([]);
    const inputs = [Int32Array.from({ length }, (_, i) => Math.imul(i, 2654435761))];
    const alone = bitsOf(runOn(1, plan, inputs));
    for (const threads of [2, 3, 4]) expect(bitsOf(await runOnTeam(threads, plan, inputs))).toEqual(alone);
  });
});
