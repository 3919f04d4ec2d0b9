import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../engine/backends/cpu/index.ts';
import { buildPlan } from '../../../engine/compiler/compiler.ts';
import { mostAliveBytes } from '../../../engine/compiler/memory.ts';
import type { Plan } from '../../../engine/compiler/plan.ts';
import { printPlan } from '../../../engine/compiler/print.ts';
import { peakOf, schedule, type Task } from '../../../engine/compiler/schedule.ts';
import { simplify } from '../../../engine/compiler/simplify.ts';
import { planFaults } from '../../../engine/compiler/validate.ts';
import { workOf } from '../../../engine/compiler/work.ts';
import type { Node } from '../../../engine/graph.ts';
import {
  arange,
  conv2d,
  full,
  grad,
  matmul,
  ones,
  randn,
  type Slot,
  slot,
  type Tensor,
  tensor,
  useBackend,
} from '../../../engine/index.ts';
import { property } from '../../support/property.ts';
import { reference } from '../support.ts';
import { host } from '../values.ts';

/** The plan of these outputs and updates. */
function planOf(outputs: readonly Tensor[], updates: readonly (readonly [Slot, Tensor])[] = []): Plan {
  const { plan } = buildPlan({
    outputs: outputs.map(({ node }) => node),
    updates: updates.map(([each, value]) => ({ slot: each, value: value.node })),
    isConstant: () => false,
  });
  expect(planFaults(plan)).toEqual([]);
  return plan;
}

const kindsOf = ({ kernels }: Plan): string[] => kernels.map(({ kind }) => kind);
const leaf = (...shape: number[]): Tensor => tensor(host(shape, [], 'f32'));
const isSource = (node: Node): boolean => node.storage !== null;
const simplified = (x: Tensor): Node => simplify([x.node], isSource).roots[0]!;
const parameter = (...shape: number[]): Slot => slot(host(shape, [], 'f32'));

describe('simplify', () => {
  const x = leaf(2, 3);

  it.for<[string, Tensor]>([
    ['x·1', x.mul(1)],
    ['1·x', full([], 1).mul(x)],
    ['x/1', x.div(1)],
    ['x−0', x.sub(0)],
    ['−−x', x.neg().neg()],
    ['−1·(−x)', x.neg().mul(-1)],
    ['x there and back', x.permute([1, 0]).permute([1, 0])],
    ['x as another shape and back', x.reshape([6]).reshape([3, 2]).reshape([2, 3])],
    ['the only part of a concatenation', x.pad([0, 0], [0, 0])],
    ['a branch that is certain', ones([]).where(x, x.mul(2))],
    ['x without its gradient', x.stopGradient()],
  ])('%s is x', ([, y]) => {
    expect(simplified(y)).toBe(x.node);
  });

  it.for<[string, Tensor]>([
    // NaN·0 and ∞·0 are NaN, and −1·0 is −0.
    ['x·0', x.mul(0)],
    // −0 + 0 is 0.
    ['x+0', x.add(0)],
    ['0−x', full([], 0).sub(x)],
    ['x−(−0)', x.sub(-0)],
    ['x−x', x.sub(x)],
    ['x/x', x.div(x)],
    ['x=x', x.equal(x)],
    ['x·2/2', x.mul(2).div(2)],
    ['max(x, x)', x.maximum(x)],
    ['√x²', x.square().sqrt()],
    ['(x+1)+2', x.add(1).add(2)],
    ['x as f64 and back', x.cast('f64').cast('f32')],
  ])('%s stays', ([, y]) => {
    const node = simplified(y);
    expect(node.op).toBe(y.node.op);
    expect(node.inputs.length).toBe(y.node.inputs.length);
  });

  it('gives the numbers that are special their own results', async () => {
    await useBackend(reference);
    const special = tensor(Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 0, 1));
    const read = async (y: Tensor): Promise<number[]> => [...(await y.data())];
    expect(await read(special.mul(0))).toEqual([Number.NaN, Number.NaN, Number.NaN, -0, 0, 0]);
    expect(await read(special.add(0))).toEqual([Number.NaN, Infinity, -Infinity, 0, 0, 1]);
    expect(await read(special.sub(0))).toEqual([Number.NaN, Infinity, -Infinity, -0, 0, 1]);
    expect(await read(special.sub(special))).toEqual([Number.NaN, Number.NaN, Number.NaN, 0, 0, 0]);
    expect(await read(special.equal(special))).toEqual([0, 1, 1, 1, 1, 1]);
    expect(await read(full([1], 0).mul(full([], Infinity)))).toEqual([Number.NaN]);
    expect(await read(full([1], -0).add(full([], -0)))).toEqual([-0]);
    expect(await read(full([1], 0.1).add(full([], 0.2)))).toEqual([Math.fround(Math.fround(0.1) + Math.fround(0.2))]);
    expect(await read(full([1], 2 ** 31 - 1, 'i32').add(1))).toEqual([-(2 ** 31)]);
    expect(await read(full([1], 300).cast('u8'))).toEqual([255]);
    expect(await read(full([1], Number.NaN).cast('i32'))).toEqual([0]);
  });

  it('shares what is equal, and computes nothing that nobody asked for', () => {
    const again = (): Tensor => x.exp().sum(0);
    expect(kindsOf(planOf([again().add(again())]))).toEqual(['reduce', 'map']);
    void x.matmul(x.transpose());
    expect(kindsOf(planOf([x.exp()]))).toEqual(['map']);
  });

  it('folds constants', () => {
    expect(
      planOf([
        full([2], 3)
          .mul(2)
          .add(full([2], 1))
          .sqrt(),
      ]).kernels,
    ).toMatchObject([{ kind: 'map', program: { instructions: [] } }]);
    expect(planOf([x.mul(full([], 3).mul(2))]).kernels[0]).toMatchObject({ program: { constants: [{ value: 6 }] } });
  });

  it('computes before it repeats', () => {
    const row = leaf(1, 512);
    const plan = planOf([row.expand([64, 512]).exp().mul(2).matmul(leaf(512, 2))]);
    expect(plan.kernels[0]).toMatchObject({ kind: 'map', shape: [1, 512] });
  });
});

describe('fusion', () => {
  it('makes one kernel of an elementwise chain, of any length', () => {
    let y = leaf(100);
    for (let i = 0; i < 60; i++) y = y.mul(1.5).add(i);
    const plan = planOf([y]);
    expect(plan.kernels.length).toBeLessThanOrEqual(2);
    expect(plan.fused).toBe(120 - plan.kernels.length);
  });

  it('puts a chain into the fold that follows it, and folds of one chain together', () => {
    const x = leaf(32, 100);
    expect(kindsOf(planOf([x.sub(1).square().sum(1)]))).toEqual(['reduce']);
    const y = x.sub(1).square();
    const plan = planOf([y.sum(1), y.max(1), x.min(1)]);
    expect(kindsOf(plan)).toEqual(['reduce']);
    expect(plan.kernels[0]!.outputs).toHaveLength(3);
  });

  it('computes the exponentials of a softmax once', () => {
    expect(kindsOf(planOf([leaf(32, 100).softmax()]))).toEqual(['reduce', 'map', 'reduce', 'map']);
  });

  it('computes several results of one space in one pass', () => {
    const [x, y] = [leaf(1000), leaf(1000)];
    const plan = planOf([x.add(y), x.mul(y), x.sub(y).exp()]);
    expect(kindsOf(plan)).toEqual(['map']);
    expect(plan.kernels[0]!.inputs).toHaveLength(2);
  });

  it('stores nothing that only its own kernel uses', () => {
    const x = leaf(1000);
    const shared = x.exp().add(1).log().tanh();
    const plan = planOf([shared.mul(2), shared.sub(x)]);
    expect(kindsOf(plan)).toEqual(['map']);
    expect(plan.kernels[0]!.outputs).toHaveLength(2);
    expect(plan.arenaBytes).toBe(0);
  });

  it('looks through movements, in and out of contractions, without copying', () => {
    const [a, b] = [leaf(8, 16), leaf(8, 24)];
    expect(kindsOf(planOf([matmul(a.transpose(), b)]))).toEqual(['matmul']);
    expect(kindsOf(planOf([matmul(a.transpose(), b).transpose().add(1)]))).toEqual(['matmul', 'map']);
    expect(kindsOf(planOf([matmul(a.transpose(), b).add(1)]))).toEqual(['matmul']);
    expect(kindsOf(planOf([a.flip(0).slice([0, 8, 2]).expand([3, 4, 16]).sum()]))).toEqual(['reduce']);
  });

  it('knows positions without memory', () => {
    const plan = planOf([leaf(10).add(arange(10))]);
    expect(kindsOf(plan)).toEqual(['map']);
    expect(plan.kernels[0]!.inputs).toHaveLength(1);
    expect(kindsOf(planOf([randn([100], { key: 1 })]))).toEqual(['map']);
  });

  it('makes a layer of a network of few kernels', () => {
    const [images, weight, scale] = [leaf(4, 3, 8, 8), leaf(8, 3, 3, 3), leaf(8, 1, 1)];
    const y = conv2d(images, weight, { padding: 1 });
    const centred = y.sub(y.mean([0, 2, 3], true));
    const normalised = centred
      .div(centred.square().mean([0, 2, 3], true).add(1e-5).sqrt())
      .mul(scale)
      .relu();
    const plan = planOf([normalised]);
    expect(kindsOf(plan)).toContain('conv');
    expect(plan.kernels.length).toBeLessThanOrEqual(6);
  });
});

describe('epilogues', () => {
  const finished = ({ kernels }: Plan): number => kernels.filter((kernel) => 'epilogue' in kernel && kernel.epilogue !== null).length;
  const [x, w, bias] = [leaf(12, 8), leaf(8, 6), leaf(6)];
  const [images, filters, scale] = [leaf(2, 3, 9, 9), leaf(4, 3, 3, 3), leaf(4, 1, 1)];

  it.each<[string, Tensor, number]>([
    ['a layer', x.matmul(w).add(bias).relu(), 2],
    ['a layer of sequences', x.reshape([3, 4, 8]).matmul(w).add(bias).relu(), 2],
    [
      'what is seen as another shape',
      x
        .matmul(w)
        .reshape([3, 4, 2, 3])
        .mul(leaf(3, 4, 1, 1)),
      2,
    ],
    [
      'batch norm in inference',
      conv2d(images, filters)
        .mul(scale)
        .add(leaf(4, 1, 1))
        .relu(),
      3,
    ],
    [
      'a residual',
      conv2d(images, filters)
        .add(leaf(2, 4, 7, 7))
        .relu(),
      2,
    ],
    ['a position', x.matmul(w).add(arange(72).reshape([12, 6])), 1],
  ])('finish %s', (_name, y, read) => {
    const plan = planOf([y]);
    expect(kindsOf(plan)).toHaveLength(1);
    expect(plan.kernels[0]!.inputs.length).toBeGreaterThanOrEqual(read + 1);
    expect(finished(plan)).toBe(1);
    expect(plan.arenaBytes).toBe(0);
  });

  it.each<[string, readonly Tensor[], readonly string[]]>([
    ['a product that is wanted itself', [x.matmul(w), x.matmul(w).relu()], ['matmul', 'map']],
    ['what a fold consumes', [x.matmul(w).add(bias).relu().sum(0)], ['matmul', 'reduce']],
    ['what is transposed', [x.matmul(w).transpose().add(leaf(6, 12))], ['matmul', 'map']],
    ['a part of a product', [x.matmul(w).slice([0, 6]).relu()], ['matmul', 'map']],
    [
      'what is spread out',
      [
        x
          .matmul(w)
          .unsqueeze(0)
          .add(leaf(5, 12, 6)),
      ],
      ['matmul', 'map'],
    ],
    ['a product that two maps read', [x.matmul(w).relu(), x.matmul(w).reshape([72]).exp()], ['matmul', 'map', 'map']],
  ])('leave %s', (_name, outputs, kinds) => {
    const plan = planOf(outputs);
    expect(kindsOf(plan)).toEqual(kinds);
    expect(finished(plan)).toBe(0);
  });

  it('finish the last of two products, with the other', () => {
    const plan = planOf([x.matmul(w).add(leaf(12, 5).matmul(leaf(5, 6)))]);
    expect(kindsOf(plan).filter((kind) => kind === 'matmul')).toHaveLength(2);
    expect(kindsOf(plan)).not.toContain('map');
    expect(finished(plan)).toBe(1);
  });

  it('touch no more buffers than a kernel may', () => {
    const y = [1, 2, 3, 4, 5].reduce((sum) => sum.add(leaf(12, 6)), x.matmul(w));
    const { plan } = buildPlan({ outputs: [y.node], updates: [], isConstant: () => false, bindings: 5 });
    for (const { inputs, outputs } of plan.kernels) {
      expect(new Set([...inputs, ...outputs].map(({ buffer }) => buffer)).size).toBeLessThanOrEqual(5);
    }
  });

  it('leave to a map what it can update in place', () => {
    const [weight, moment] = [parameter(8, 6), parameter(8, 6)];
    const next = moment.value.mul(0.9).add(x.transpose().matmul(leaf(12, 6)));
    const plan = planOf(
      [],
      [
        [moment, next],
        [weight, weight.value.sub(next.mul(0.1))],
      ],
    );
    expect(kindsOf(plan)).toEqual(['matmul', 'map']);
    const plain = planOf([], [[weight, weight.value.sub(x.transpose().matmul(leaf(12, 6)).mul(0.1))]]);
    expect(kindsOf(plain)).toEqual(['matmul', 'map']);
  });

  it('read slots of their size where none is updated', () => {
    const hidden = x.matmul(w).add(parameter(12, 6).value).relu();
    const plan = planOf([hidden.matmul(leaf(6, 5))]);
    expect(kindsOf(plan)).toEqual(['matmul', 'matmul']);
    expect(finished(plan)).toBe(1);
  });

  it('make the new value of a slot that they do not read', () => {
    const [weight, bias] = [parameter(12, 6), parameter(6)];
    const plan = planOf([], [[weight, x.matmul(w).add(bias.value).relu()]]);
    expect(kindsOf(plan)).toEqual(['matmul']);
    expect(plan.buffers[plan.kernels[0]!.outputs[0]!.buffer]!.kind).toBe('slot');
  });

  it('never write over what they multiply', () => {
    const weight = parameter(8, 8);
    for (const update of [weight.value.matmul(weight.value).relu(), x.transpose().matmul(x).matmul(weight.value).add(1)]) {
      const plan = planOf([], [[weight, update]]);
      for (const { inputs, outputs } of plan.kernels.filter(({ kind }) => kind === 'matmul')) {
        const multiplied = inputs.slice(0, 2).map(({ buffer }) => buffer);
        for (const { buffer } of outputs) expect(multiplied).not.toContain(buffer);
      }
    }
  });

  it('have the gradient of what they are made of', async () => {
    await useBackend('cpu');
    const given = randn([12, 8], { key: 1 });
    const factor = randn([8, 6], { key: 2 });
    const [gradient] = grad(
      given
        .matmul(factor)
        .add(randn([6], { key: 3 }))
        .relu()
        .sum(),
      [given],
    );
    const [apart] = grad(
      given
        .matmul(factor)
        .expand([1, 12, 6])
        .add(randn([6], { key: 3 }))
        .relu()
        .sum(),
      [given],
    );
    expect(await gradient!.array()).toEqual(await apart!.array());
  });
});

describe('updates in place', () => {
  it('steps every parameter with momentum in one kernel each, without scratch', () => {
    const count = 5;
    const [weights, moments, gradients] = [0, 1, 2].map(() => Array.from({ length: count }, (_, i) => parameter(10 + i, 3)));
    const updates = weights!.flatMap((w, i): [Slot, Tensor][] => {
      const moment = moments![i]!.value.mul(0.9).add(gradients![i]!.value);
      return [
        [moments![i]!, moment],
        [w, w.value.sub(moment.mul(0.1))],
      ];
    });
    const plan = planOf([], updates);
    expect(kindsOf(plan)).toEqual(Array.from({ length: count }, () => 'map'));
    expect(plan.arenaBytes).toBe(0);
  });

  it('updates after all that read the old value', () => {
    const [w, b] = [parameter(8, 8), parameter(8)];
    const x = leaf(4, 8);
    const loss = x.matmul(w.value).add(b.value).square().sum();
    const [gw, gb] = grad(loss, [w, b]);
    const plan = planOf(
      [loss, w.value.sum()],
      [
        [w, w.value.sub(gw!.mul(0.1))],
        [b, b.value.sub(gb!.mul(0.1))],
      ],
    );
    expect(kindsOf(plan)).not.toContain('copy');
    const writes = plan.kernels.findIndex(({ outputs }) => outputs.some(({ buffer }) => plan.slots.includes(buffer)));
    const reads = plan.kernels.findLastIndex(({ inputs, outputs }) =>
      inputs.some(
        ({ buffer }) => plan.buffers[buffer]!.length === 64 && plan.slots.includes(buffer) && !outputs.some((o) => o.buffer === buffer),
      ),
    );
    expect(reads).toBeLessThan(writes + 2);
  });

  it('sets aside what two slots exchange', () => {
    const [a, b] = [parameter(4), parameter(4)];
    const plan = planOf(
      [],
      [
        [a, b.value],
        [b, a.value],
      ],
    );
    expect(kindsOf(plan)).toEqual(['copy', 'copy', 'copy', 'copy']);
  });

  it('does not write over what it still reads elsewhere', () => {
    const w = parameter(4, 4);
    const plan = planOf([], [[w, w.value.transpose().mul(2)]]);
    expect(kindsOf(plan)).toEqual(['map', 'copy']);
  });
});

describe('memory', () => {
  it('keeps a chain that cannot be fused in two buffers', () => {
    let y = leaf(16, 16);
    const w = leaf(16, 16);
    for (let i = 0; i < 20; i++) y = y.matmul(w);
    expect(planOf([y.sum()]).arenaBytes).toBeLessThanOrEqual(2 * 1024);
  });

  it('computes many branches one at a time', () => {
    const x = leaf(64, 64);
    const branches = Array.from({ length: 16 }, () => x.matmul(leaf(64, 64)).exp().sum());
    const plan = planOf([branches.reduce((sum, branch) => sum.add(branch))]);
    expect(plan.arenaBytes).toBeLessThanOrEqual(64 * 64 * 4 + 16 * 64);
    expect(mostAliveBytes(plan)).toBeLessThanOrEqual(plan.arenaBytes);
  });

  it('writes over an operand that is no longer needed', () => {
    const x = leaf(64, 64);
    const plan = planOf([x.pad([0, 0], [0, 64]).exp().add(1).matmul(leaf(128, 64))]);
    expect(kindsOf(plan)).toEqual(['pad', 'map', 'matmul']);
    expect(plan.arenaBytes).toBe(64 * 128 * 4);
    expect(mostAliveBytes(plan)).toBe(plan.arenaBytes);
  });
});

/** Tasks that each write a buffer of their own and read those of earlier ones. */
const tasks: fc.Arbitrary<{ tasks: Task[]; bytes: number[] }> = fc
  .array(fc.record({ reads: fc.array(fc.nat(), { maxLength: 3 }), size: fc.nat(100) }), { minLength: 1, maxLength: 14 })
  .map((list) => ({
    tasks: list.map(({ reads }, i) => {
      const read = [...new Set(i === 0 ? [] : reads.map((choice) => choice % i))];
      return { after: read, reads: read, writes: [i] };
    }),
    bytes: list.map(({ size }) => size),
  }));

describe('schedule', () => {
  it('respects what must come before, and is no worse than the order given', () =>
    property([tasks], ({ tasks: list, bytes }) => {
      const order = schedule(list, bytes);
      expect([...order].sort((a, b) => a - b)).toEqual(list.map((_, i) => i));
      const place = new Map(order.map((task, at) => [task, at]));
      list.forEach(({ after }, i) => {
        for (const before of after) expect(place.get(before)!).toBeLessThan(place.get(i)!);
      });
      expect(peakOf(list, bytes, order)).toBeLessThanOrEqual(
        peakOf(
          list,
          bytes,
          list.map((_, i) => i),
        ),
      );
    }));
});

interface Counts {
  prepared: number;
  alive: number;
}

/** A backend that counts the plans it is given. */
function counting(): [Backend, Counts] {
  const cpu = createCpuBackend();
  const counts: Counts = { prepared: 0, alive: 0 };
  const backend: Backend = {
    name: 'counting',
    dtypes: cpu.dtypes,
    bytes: 0,
    // Memory stays the inner backend's: slots ask for it anew at each run.
    allocate: (bytes) => cpu.allocate(bytes),
    write: (...args) => cpu.write(...args),
    read: (...args) => cpu.read(...args),
    free: (buffer) => cpu.free(buffer),
    prepare: async (plan, constants) => {
      counts.prepared++;
      counts.alive++;
      const executable = await cpu.prepare(plan, constants);
      return {
        run: executable.run,
        dispose: () => {
          counts.alive--;
          executable.dispose();
        },
      };
    },
    dispose: () => cpu.dispose(),
  };
  return [backend, counts];
}

describe('the cache of plans', () => {
  const values = async (x: Tensor): Promise<number[]> => [...(await x.data())];

  it('takes graphs of one structure for one, and no others', async () => {
    const [backend, counts] = counting();
    await useBackend(backend);
    const f = (x: Tensor, scale = 2): Tensor => x.mul(scale).add(x);
    expect(await values(f(tensor([1, 2])))).toEqual([3, 6]);
    expect(await values(f(tensor([5, 6])))).toEqual([15, 18]);
    expect(counts.prepared).toBe(1);
    expect(await values(f(tensor([1, 2]), 3))).toEqual([4, 8]);
    expect(await values(f(tensor([1, 2, 3])))).toEqual([3, 6, 9]);
    expect(await values(f(tensor([1, 2], { dtype: 'i32' })))).toEqual([3, 6]);
    expect(
      await values(
        tensor([1, 2])
          .mul(2)
          .add(tensor([10, 20])),
      ),
    ).toEqual([12, 24]);
    expect(await values(f(tensor([1, 2]), -0))).toEqual([1, 2]);
    expect(await values(f(tensor([1, 2]), Number.NaN))).toEqual([Number.NaN, Number.NaN]);
    expect(await values(f(tensor([1, 2]), Infinity))).toEqual([Infinity, Infinity]);
    expect(await values(f(tensor([1, 2]), 0))).toEqual([1, 2]);
    expect(counts.prepared).toBe(9);
    // A value that was computed is a leaf like another.
    const computed = tensor([0, 1]).add(1);
    await computed.data();
    const before = counts.prepared;
    expect(await values(f(computed))).toEqual([3, 6]);
    expect(counts.prepared).toBe(before);
  });

  it('tells a constant that has been read from one that has not', async () => {
    await useBackend(reference);
    const read = ones([2]);
    await read.data();
    expect(await values(read.mul(tensor([5, 6])))).toEqual([5, 6]);
    expect(await values(tensor([3, 4]).mul(tensor([5, 6])))).toEqual([15, 24]);
  });

  it('serves other slots of the same structure', async () => {
    const [backend, counts] = counting();
    await useBackend(backend);
    const results: number[][] = [];
    for (const start of [1, 2, 3]) {
      const [a, b] = [slot(host([1], [start], 'f32')), slot(host([1], [10 * start], 'f32'))];
      a.assign(b.value.add(1));
      b.assign(a.value.mul(2));
      results.push([await a.value.item(), await b.value.item()]);
    }
    expect(results).toEqual([
      [11, 22],
      [21, 42],
      [31, 62],
    ]);
    // One that updates, and one that reads.
    expect(counts.prepared).toBe(2);
  });

  it('forgets the plans used longest ago', async () => {
    const [backend, counts] = counting();
    await useBackend(backend);
    for (let i = 1; i <= 400; i++) await tensor([1]).add(i).data();
    expect(counts.prepared).toBe(400);
    expect(counts.alive).toBeLessThanOrEqual(256);
    await tensor([1]).add(400).data();
    expect(counts.prepared).toBe(400);
    await tensor([1]).add(1).data();
    expect(counts.prepared).toBe(401);
  });
});

describe('the listing of a plan', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  const w = slot(host([16, 4], [], 'f32'), 'weight');
  const loss = leaf(8, 16).matmul(w.value).relu().square().mean();
  const plan = planOf([loss], [[w, w.value.sub(grad(loss, [w])[0]!.mul(0.1))]]);

  it('shows kernels with their shapes, work and bytes, slots by name, and what fusion did', () => {
    const [summary, memory, ...lines] = printPlan(plan).split('\n');
    expect(summary).toMatch(/^plan: \d+ kernels, [\d.]+ K?FLOP, [\d.]+ K?B moved; fusion removed \d+ elementwise kernels$/);
    expect(memory).toMatch(
      /^memory: arena .* of which at most [\d.]+ K?B alive at once; 1 inputs 512 B, 0 constants 0 B, 1 slots 256 B, 1 outputs 4 B$/,
    );
    expect(lines).toHaveLength(plan.kernels.length);
    expect(lines.find((line) => line.includes('matmul'))).toMatch(
      /%\d+:f32\[1,8,4\] +← in0:f32\[1,8,16\] weight:f32\[1,16,4\] +1\.02 KFLOP +896 B$/,
    );
    expect(lines.at(-1)).toContain('weight:f32[16,4]');
  });

  it('writes programs out when asked', () => {
    const text = printPlan(plan, { programs: true });
    expect(text).toMatch(/v0 \(r0\) = \w+\(in0, /);
    expect(text).toMatch(/mul\(\w+, 0\.1\)/);
  });

  it('counts two operations for a multiply-add, and each element of a view once', () => {
    expect(workOf(planOf([leaf(8, 16).matmul(leaf(16, 4))]).kernels[0]!)).toEqual({ flops: 2 * 8 * 16 * 4, bytes: 4 * (128 + 64 + 32) });
    expect(workOf(planOf([leaf(8, 1).add(leaf(8, 4))]).kernels[0]!)).toEqual({ flops: 32, bytes: 4 * (8 + 32 + 32) });
    const conv = planOf([conv2d(leaf(2, 3, 5, 5), leaf(4, 3, 3, 3))]).kernels[0]!;
    expect(workOf(conv).flops).toBe(2 * (2 * 4 * 3 * 3) * (3 * 3 * 3));
    const running = planOf([leaf(2, 3, 4).cumprod(1)]);
    expect(workOf(running.kernels[0]!)).toEqual({ flops: 24, bytes: 4 * (24 + 24) });
    expect(printPlan(running)).toMatch(/scan prod +out0:f32\[2,3,4\] +← in0:f32\[2,3,4\] /);
  });

  it('is of plain data', () => {
    expect(structuredClone(plan)).toEqual(plan);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });
});
