import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile, grad, type Operand, realize, type Slot, slot, type Tensor, tensor, useBackend } from '../../../engine/index.ts';
import { Adam, AdamW, LARS, moveAverage, type Optimizer, SGD, targetMomentum, warmupCosine } from '../../../models/index.ts';
import { property } from '../../support/property.ts';
import { expectClose, expectError, f64, gaussian, normalMatrix, relativeError, seeds, sizes } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const size = sizes([1, 4], [1, 4]);

type Stepped = Pick<Optimizer<unknown>, 'step' | 'stateDict' | 'loadStateDict' | 'namedSlots'>;
type Groups = readonly (Slot | { readonly parameters: readonly Slot[]; readonly learns: string })[];
const builders: Readonly<Record<string, (groups: Groups) => Stepped>> = {
  sgd: (parameters) => new SGD(parameters, { learningRate: 0.1, momentum: 0.9, dampening: 0.2, weightDecay: 0.01 }),
  adam: (parameters) => new Adam(parameters, { learningRate: 0.01 }),
  adamW: (parameters) => new AdamW(parameters, { learningRate: 0.01 }),
  lars: (parameters) => new LARS(parameters, { learningRate: 0.5 }),
};

describe.each(Object.entries(builders))('%s', (name, build) => {
  it('moves nothing along no gradient from nothing', async () => {
    const parameter = slot({ dtype: 'f64', shape: [3, 2], data: new Float64Array(6) });
    const optimizer = build([parameter]);
    for (let t = 0; t < 3; t++) {
      optimizer.step([
        f64([
          [0, 0],
          [0, 0],
          [0, 0],
        ]),
      ]);
      await realize();
    }
    expect([...(await parameter.data())]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('goes on from saved state as if it had not stopped', async () => {
    const run = async (pause: boolean): Promise<number[]> => {
      let parameter = slot(gaussian(1, [4, 3]));
      let optimizer = build([parameter]);
      for (let t = 0; t < 6; t++) {
        if (pause && t === 3) {
          const [saved, moments] = [await parameter.toHost(), await optimizer.stateDict()];
          parameter = slot(saved);
          optimizer = build([parameter]);
          optimizer.loadStateDict(moments);
        }
        optimizer.step([normalMatrix(t + 2, 4, 3)]);
        await realize();
      }
      return [...(await parameter.data())];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('leaves what does not learn as it is, and begins with it as if no step had been before', async () => {
    const learns = [0, 0, 1, 0, 1, 1];
    const run = async (held: boolean, as: (learns: number) => Operand): Promise<number[][]> => {
      const [parameter, other] = [slot(gaussian(1, [4, 3])), slot(gaussian(2, [2]))];
      const optimizer = build([{ parameters: [parameter], learns: 'now' }, other]);
      const trail: number[][] = [];
      for (const [t, now] of learns.entries()) {
        if (!held && now === 0) continue;
        optimizer.step([normalMatrix(t + 2, 4, 3), f64([1, 1])], { learningRate: 0.1, now: as(now) });
        await realize();
        trail.push([...(await parameter.data())]);
      }
      const state = await optimizer.stateDict();
      expect([...state.get('step.now')!.data, ...state.get('step')!.data]).toEqual([3, trail.length]);
      return trail;
    };
    const [held, never] = [await run(true, (now) => f64(now)), await run(false, () => 1)];
    const start = [...gaussian(1, [4, 3]).data];
    expect(held).toEqual([start, start, never[0], never[0], never[1], never[2]]);
    expect(await run(true, (now) => now)).toEqual(held);
  });

  it('counts no step that is refused', async () => {
    const [held, other] = [slot(gaussian(1, [2])), slot(gaussian(2, [2]))];
    const optimizer = build([other, { parameters: [held], learns: 'now' }]);
    const gradients = [f64([1, 1]), f64([1, 1])];
    expectError(() => optimizer.step(gradients, 0.1), 'argument', /'now'.*record/);
    expectError(() => optimizer.step(gradients, { learningRate: 0.1 }), 'argument', /step: now/);
    expectError(() => optimizer.step([gradients[0]!, f64([1])], { learningRate: 0.1, now: 1 }), 'shape', /parameter 1/);
    optimizer.step(gradients, { learningRate: 0.1, now: 1 });
    await realize();
    const state = await optimizer.stateDict();
    expect(['step', 'step.now'].map((name) => [...state.get(name)!.data])).toEqual([[1], [1]]);
    expectError(() => build([{ parameters: [held], learns: 3 as unknown as string }]), 'argument', /learns is a name, got 3/);
  });

  it('finds the bottom of a bowl, with a rate that comes as an argument, in one plan', async () => {
    const parameter = slot(gaussian(5, [4, 3]));
    const optimizer = build([parameter]);
    const step = compile((rate: Tensor) => {
      const loss = parameter.value.square().sum();
      optimizer.step(grad(loss, [parameter]), rate);
      return loss;
    });
    let loss = Infinity;
    for (let t = 0; t < 400; t++) loss = await (await step(f64((name === 'lars' ? 20 : 0.05) * (1 - t / 400)))).item();
    const first = Math.hypot(...gaussian(5, [4, 3]).data) ** 2;
    expect(loss).toBeLessThan(first / 10);
  });

  it('says what is wrong', () => {
    const optimizer = build([slot(gaussian(1, [2, 2]))]);
    expectError(() => optimizer.step([]), 'argument', /1 parameters need as many gradients, got 0/);
    expectError(() => optimizer.step([f64([1, 2])]), 'shape', /parameter 0 .*\[2, 2\], its gradient \[2\]/);
    expectError(() => optimizer.loadStateDict({}), 'format', /missing: step/);
  });
});

describe('optimisers', () => {
  it('SGD without momentum is p − lr·(g + λp)', () =>
    property(
      [size, seeds, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })],
      async ({ n, d }, seed, rate, weightDecay) => {
        const parameter = slot(gaussian(seed, [n, d]));
        const gradient = normalMatrix(seed + 1, n, d);
        const expected = normalMatrix(seed, n, d).sub(gradient.add(normalMatrix(seed, n, d).mul(weightDecay)).mul(rate));
        new SGD([parameter], { learningRate: rate, weightDecay }).step([gradient]);
        await realize();
        await expectClose(tensor(await parameter.toHost()), expected, 1e-12);
      },
    ));

  it('the first step of Adam is lr·sign(g), whatever the gradient’s size', () =>
    property([size, seeds, fc.integer({ min: -3, max: 3 })], async ({ n, d }, seed, power) => {
      const parameter = slot(gaussian(seed, [n, d]));
      const gradient = normalMatrix(seed + 1, n, d).mul(10 ** power);
      new Adam([parameter], { learningRate: 0.1, epsilon: 1e-16 }).step([gradient]);
      await realize();
      await expectClose(tensor(await parameter.toHost()), normalMatrix(seed, n, d).sub(gradient.sign().mul(0.1)), 1e-8);
    }));

  it('the first step of LARS has length lr·η·‖p‖ for matrices, whatever the gradient’s size, and is lr·g for vectors', () =>
    property([size, seeds, fc.integer({ min: -6, max: 6 })], async ({ n, d }, seed, power) => {
      const [matrix, vector] = [slot(gaussian(seed, [n, d])), slot(gaussian(seed, [d]))];
      const gradient = normalMatrix(seed + 1, n, d).mul(10 ** power);
      const along = tensor(gaussian(seed + 2, [d]));
      new LARS([matrix, vector], { learningRate: 0.3, weightDecay: 0 }).step([gradient, along]);
      await realize();
      await expectClose(
        tensor(await matrix.toHost())
          .sub(normalMatrix(seed, n, d))
          .norm(),
        normalMatrix(seed, n, d).norm().mul(3e-4),
        1e-8,
      );
      await expectClose(tensor(await vector.toHost()), tensor(gaussian(seed, [d])).sub(along.mul(0.3)), 1e-10);
    }));

  it('groups have their own rates and decay', async () => {
    const [a, b] = [slot(gaussian(1, [2])), slot(gaussian(1, [2]))];
    const optimizer = new SGD(
      [
        { parameters: [a], learningRateScale: 0.5 },
        { parameters: [b], weightDecay: 1 },
      ],
      { learningRate: 0.2 },
    );
    expect(optimizer.parameters).toEqual([a, b]);
    optimizer.step([f64([1, 1]), f64([1, 1])]);
    await realize();
    const start = gaussian(1, [2]).data;
    expect(
      relativeError(
        await a.data(),
        [...start].map((p) => p - 0.1),
      ),
    ).toBeLessThan(1e-12);
    expect(
      relativeError(
        await b.data(),
        [...start].map((p) => p - 0.2 * (1 + p)),
      ),
    ).toBeLessThan(1e-12);
    expectError(() => new SGD([a], { learningRate: 0.1, nesterov: true }), 'argument', /momentum > 0/);
  });

  it('keep one counter for each element type', async () => {
    const both = [slot(gaussian(1, [2])), slot({ dtype: 'f32', shape: [2], data: new Float32Array(2) })];
    const optimizer = new Adam(both, { learningRate: 0.1 });
    optimizer.step([f64([1, 1]), tensor([1, 1])]);
    await realize();
    expect([...(await optimizer.stateDict()).keys()]).toEqual([
      'step.f64',
      'step.f32',
      '0.firstMoment',
      '0.secondMoment',
      '1.firstMoment',
      '1.secondMoment',
    ]);
  });
});

describe('schedules', () => {
  const steps = fc.integer({ min: 1, max: 400 });

  it('warm up to the base and fall to the final rate, and never leave their range', () =>
    property([steps, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.5, noNaN: true })], (total, share, final) => {
      const options = { base: 1, steps: total, warmup: share * total, final };
      const rates = Array.from({ length: total + 1 }, (_, step) => warmupCosine(step, options));
      for (const rate of rates) {
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(rate).toBeLessThanOrEqual(1 + 1e-12);
      }
      const warm = rates.slice(0, Math.ceil(options.warmup));
      const falling = rates.slice(Math.ceil(options.warmup));
      expect(warm.every((rate, i) => i === 0 || rate >= warm[i - 1]!)).toBe(true);
      expect(falling.every((rate, i) => i === 0 || rate <= falling[i - 1]! + 1e-12)).toBe(true);
      expect(rates[total]).toBeCloseTo(final, 12);
    }));

  it('are the official ones', () => {
    // facebookresearch/vicreg:main_vicreg.py adjust_learning_rate, at 100 steps with 10 of warm-up.
    const official = (step: number): number => {
      if (step < 10) return (0.2 * step) / 10;
      const q = 0.5 * (1 + Math.cos((Math.PI * (step - 10)) / 90));
      return 0.2 * q + 0.2 * 0.001 * (1 - q);
    };
    for (let step = 0; step < 100; step++)
      expect(warmupCosine(step, { base: 0.2, steps: 100, warmup: 10, final: 0.0002, first: 0 })).toBeCloseTo(official(step), 14);
    expect(targetMomentum(0, { start: 0.996, steps: 10 })).toBeCloseTo(0.996, 14);
    expect(targetMomentum(10, { start: 0.996, steps: 10 })).toBe(1);
    expectError(() => warmupCosine(0, { base: 1, steps: 0 }), 'argument', /warmup ≤ steps/);
    expectError(() => targetMomentum(0, { start: 2, steps: 1 }), 'argument', /from 0 to 1/);
  });
});

describe('the moving average', () => {
  it('comes nearer by τ each time: ‖ξ_t − θ‖ = τ^t‖ξ_0 − θ‖', () =>
    property(
      [sizes([1, 3], [1, 3]), seeds, fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 5 })],
      async ({ n, d }, seed, momentum, times) => {
        const [target, source] = [slot(gaussian(seed, [n, d])), slot(gaussian(seed + 1, [n, d]))];
        for (let t = 0; t < times; t++) moveAverage([target], [source], momentum);
        await realize();
        const distance = tensor(await target.toHost())
          .sub(normalMatrix(seed + 1, n, d))
          .norm();
        await expectClose(
          distance,
          normalMatrix(seed, n, d)
            .sub(normalMatrix(seed + 1, n, d))
            .norm()
            .mul(momentum ** times),
          1e-9,
          1e-3,
        );
      },
    ));

  it('needs pairs', () => {
    expectError(() => moveAverage([slot(gaussian(0, [1]))], [], 0.9), 'argument', /1 targets need as many sources, got 0/);
  });
});
