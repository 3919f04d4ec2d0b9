/** Gradients where history has been let go: right, or an error; and values that are kept because they are computed again and again. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  affineGrid,
  compile,
  full,
  grad,
  gridSample,
  hessianVectorProduct,
  jvp,
  realize,
  Slot,
  slot,
  stopGradient,
  TensegrityError,
  type Tensor,
  tensor,
  useBackend,
  vjp,
  zeros,
} from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends, reference } from './support.ts';
import { host } from './values.ts';

const f32 = (...values: number[]) => host([values.length], values, 'f32');

/** The code of the error that `action` throws, or null. */
function code(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return error instanceof TensegrityError ? error.code : String(error);
  }
}

describe('a gradient through what has lost its history', () => {
  beforeEach(async () => {
    await useBackend(reference);
  });

  const loss = (w: Tensor) => w.square().sum();

  it('is right after a read, and an error after realize', async () => {
    const w = tensor([1, 2]);
    const read = loss(w);
    await read.item();
    expect(await grad(read, [w])[0]!.array()).toEqual([2, 4]);
    const realised = loss(w);
    await realize(realised);
    expect(code(() => grad(realised, [w]))).toBe('stale');
    expect(code(() => grad(realised.mul(2).add(1), [w]))).toBe('stale');
    expect(code(() => vjp(realised, [w], full([], 1)))).toBe('stale');
    expect(code(() => jvp(realised, [w], [w]))).toBe('stale');
    expect(code(() => hessianVectorProduct(realised, [w], [w]))).toBe('stale');
    // A constant that is meant, one that never was made of w, and the value itself.
    expect(await grad(stopGradient(realised).mul(loss(w)), [w])[0]!.array()).toEqual([10, 20]);
    expect(await grad(realised.greater(1).where(w, 0).sum(), [w])[0]!.array()).toEqual([1, 1]);
    expect(await grad(realised, [tensor([1, 2])])[0]!.array()).toEqual([0, 0]);
    expect(await grad(realised.mul(3), [realised])[0]!.item()).toBe(3);
  });

  it('holds for variables of every kind', async () => {
    const w = slot(f32(1, 2));
    const [flat, made] = [zeros([2]), tensor([1, 2]).mul(2)];
    const l = loss(w.value).add(loss(flat)).add(loss(made));
    await realize(l);
    for (const variable of [w, w.value, flat, made]) expect(code(() => grad(l, [variable]))).toBe('stale');
  });

  it('is told from one through what other values were made of', async () => {
    const w = tensor([1, 2]);
    const raw = tensor([3, 4]);
    const x = raw.mul(2);
    await realize(x);
    expect(await grad(x.mul(w).sum(), [w])[0]!.array()).toEqual([6, 8]);
    // Also when they have met in a value since.
    const met = x.mul(w).sum();
    await realize(met, x);
    const again = raw.mul(3);
    await realize(again);
    expect(await grad(x.add(again).mul(w).sum(), [w])[0]!.array()).toEqual([15, 20]);
    expect(code(() => grad(x.mul(w).sum(), [raw]))).toBe('stale');
    expect(code(() => grad(met.mul(w).sum(), [w]))).toBe('stale');
  });

  it('reaches back through any number of rounds, and stays away from parameters that move on', async () => {
    const first = tensor([1, 2]);
    const parameters = Array.from({ length: 12 }, (_, i) => tensor([i, 1]));
    let [w, m] = [first, zeros([2])];
    let rest = parameters;
    for (let round = 0; round < 100; round++) {
      const l = rest.reduce((sum, p) => sum.add(loss(p.sub(w))), loss(w));
      const [g, ...others] = grad(l, [w, ...rest]);
      m = m.mul(0.5).add(g!);
      w = w.sub(m.mul(0.01));
      rest = rest.map((p, i) => p.sub(others[i]!.mul(0.01)));
      await realize(w, m, ...rest);
    }
    expect(code(() => grad(loss(w), [first]))).toBe('stale');
    expect(code(() => grad(loss(w), [parameters[3]!]))).toBe('stale');
    expect(code(() => grad(loss(w), [w, ...rest]))).toBeNull();
  });

  it('is right behind many nodes that something else was computed from since', async () => {
    const [w, s] = [tensor([1, 2]), slot(f32(1, 2))];
    const metric = compile((x: Tensor) => x.max());
    for (const variable of [w, s]) {
      const values = [variable instanceof Slot ? variable.value : variable];
      for (let i = 0; i < 400; i++) values.push(values.at(-1)!.mul(0.999).add(0.001));
      const [middle, last] = [values[200]!, values.at(-1)!];
      const l = last.sum();
      await middle.data();
      await l.item();
      await metric(last);
      await realize(last.min());
      expect((await grad(l, [variable])[0]!.data())[0]).toBeCloseTo(0.999 ** 400, 5);
    }
  });

  it('is told apart in many values at once, of which some are made of others', async () => {
    const first = Array.from({ length: 12 }, (_, i) => tensor([i + 1, 2]));
    const weights = first.map((w) => w.mul(0.5));
    const hidden = weights.map((w, i) => w.mul(weights[(i + 1) % 12]!));
    const total = hidden.reduce((sum, h) => sum.add(h)).sum();
    await realize(total, ...weights, ...hidden);
    // Of what stands beside each other none was made of another.
    const [g, ...others] = grad(weights.reduce((product, w) => product.mul(w)).sum(), weights);
    expect(await Promise.all(others.map(async (each) => (await each.data())[1]))).toEqual(Array(11).fill(1));
    expect((await g!.data())[1]).toBe(1);
    expect(code(() => grad(hidden[3]!.mul(hidden[4]!).sum(), hidden))).toBeNull();
    for (const variable of [first[3]!, weights[3]!, weights[4]!]) expect(code(() => grad(hidden[3]!.sum(), [variable]))).toBe('stale');
    for (const variable of [first[0]!, weights[0]!, hidden[0]!]) expect(code(() => grad(total, [variable]))).toBe('stale');
    expect(code(() => grad(weights[0]!.sum(), [first[0]!]))).toBe('stale');
  });

  it('is an error in a step that gives back many states, each made of all, for any number of rounds', async () => {
    const count = 24;
    const step = compile((...given: Tensor[]) => {
      const [ws, ms] = [given.slice(0, count), given.slice(count)];
      const l = ws.reduce((sum, w) => sum.add(w)).square();
      const moved = grad(l, ws).map((g, i) => ms[i]!.mul(0.5).add(g));
      return { l, ws: ws.map((w, i) => w.sub(moved[i]!.mul(1e-3))), ms: moved };
    });
    const first = Array.from({ length: 2 * count }, (_, i) => tensor(i / count));
    let state = first;
    for (let round = 0; round < 150; round++) {
      const { l, ws, ms } = await step(...state);
      for (const variable of round === 0 ? first.slice(0, count) : round === 1 ? first : [first[0]!])
        expect(code(() => grad(l, [variable]))).toBe('stale');
      expect(code(() => grad(ws.reduce((sum, w) => sum.add(w)).mul(l), ws))).toBeNull();
      state = [...ws, ...ms];
    }
    for (const variable of first.slice(0, count)) expect(code(() => grad(state[0]!, [variable]))).toBe('stale');
    // What came from elsewhere is still told apart.
    const split = compile((...xs: Tensor[]) => xs.map((x) => x.mul(2)));
    const parts = await split(...first);
    parts.forEach((part, i) =>
      expect(first.map((x) => code(() => grad(part, [x])))).toEqual(first.map((_, k) => (k === i ? 'stale' : null))),
    );
  });

  it('is an error in what a compiled function returned', async () => {
    const w = slot(f32(1, 2));
    const outside = tensor([5, 6]);
    const f = compile((x: Tensor, y: Tensor) => ({ one: x.mul(w.value).sum(), two: y.add(outside).sum(), whole: x.argmax() }));
    const [x, h] = [tensor([3, 4]), tensor([7, 8])];
    const y = h.mul(2);
    const { one, two, whole } = await f(x, y);
    for (const variable of [x, w, w.value]) expect(code(() => grad(one, [variable]))).toBe('stale');
    for (const variable of [y, h, outside]) expect(code(() => grad(two, [variable]))).toBe('stale');
    for (const variable of [y, h, outside]) expect(code(() => grad(one, [variable]))).toBeNull();
    for (const variable of [x, w]) expect(code(() => grad(two, [variable]))).toBeNull();
    expect(code(() => grad(whole.cast('f32').mul(x).sum(), [x]))).toBeNull();
    // The history of an argument is its own.
    expect(await grad(y.sum(), [h])[0]!.array()).toEqual([2, 2]);
    // Through a second one, and for a state that goes round.
    const { one: next } = await f(one.mul(x), y);
    expect(code(() => grad(next, [x]))).toBe('stale');
    const step = compile((s: Tensor) => s.mul(0.5));
    let s = x;
    for (let round = 0; round < 300; round++) s = await step(s);
    expect(code(() => grad(s.sum(), [x]))).toBe('stale');
    expect(code(() => grad(s.mul(h).sum(), [h]))).toBeNull();
  });

  it('is an error for a slot that has been updated since', async () => {
    const w = slot(f32(1, 2));
    const before = loss(w.value);
    w.set(Float32Array.of(3, 4));
    expect(code(() => grad(before, [w]))).toBe('stale');
    expect(code(() => grad(loss(w.value), [w]))).toBeNull();
    // A value that was assigned, once the plan has run.
    w.assign(w.value.mul(2));
    const assigned = loss(w.value);
    expect(await grad(assigned, [w])[0]!.array()).toEqual([12, 16]);
    w.assign(w.value.mul(2));
    const late = loss(w.value);
    await realize();
    expect(code(() => grad(late, [w]))).toBe('stale');
    // In a compiled step, which updates it.
    const step = compile(() => {
      const l = loss(w.value);
      w.assign(w.value.sub(grad(l, [w])[0]!.mul(0.1)));
      return l;
    });
    const l = await step();
    expect(code(() => grad(l, [w]))).toBe('stale');
    // An old value is a constant beside the present one.
    const old = w.value;
    await old.data();
    w.set(Float32Array.of(1, 1));
    expect(code(() => grad(loss(w.value.sub(old)), [w]))).toBeNull();
  });

  it('is exact in programs of any shape', () => {
    const steps = fc.array(
      fc.tuple(fc.constantFrom('add', 'mul', 'mul', 'stop', 'mask', 'call', 'realize', 'realize', 'read'), fc.nat(), fc.nat()),
      {
        minLength: 3,
        maxLength: 24,
      },
    );
    interface Made {
      value: Tensor;
      whole: Tensor;
      inputs: readonly Made[];
      cut: boolean;
    }
    const call = compile((x: Tensor, y: Tensor) => x.mul(y).add(x));
    const ancestors = ({ inputs }: Made): Set<Made> => {
      const all = new Set(inputs);
      for (const each of all) for (const input of each.inputs) all.add(input);
      return all;
    };
    return property([steps], async (program) => {
      const made: Made[] = [1, 0.5, 2].map((value) => {
        const x = tensor([value]);
        return { value: x, whole: x, inputs: [], cut: false };
      });
      for (const [op, i, j] of program) {
        const [a, b] = [made[i % made.length]!, made[j % made.length]!];
        const add = (inputs: readonly Made[], cut: boolean, value: Tensor, whole: Tensor) => made.push({ value, whole, inputs, cut });
        if (op === 'add') add([a, b], false, a.value.add(b.value), a.whole.add(b.whole));
        else if (op === 'mul') add([a, b], false, a.value.mul(b.value).tanh(), a.whole.mul(b.whole).tanh());
        else if (op === 'stop') add([], false, a.value.stopGradient(), a.whole.stopGradient());
        else if (op === 'mask') add([b], false, a.value.greater(0).where(b.value, 2), a.whole.greater(0).where(b.whole, 2));
        else if (op === 'call') add([a, b], true, await call(a.value, b.value), a.whole.mul(b.whole).add(a.whole));
        else if (op === 'read') await b.value.data();
        else {
          await realize(a.value, b.value);
          for (const each of [a, b]) each.cut = each.cut || each.inputs.length > 0;
        }
      }
      const output = made.at(-1)!;
      for (const variable of made) {
        // Where the walk of a gradient ends, and whether the variable was behind one of these places.
        const reached = new Set([output]);
        let lost = false;
        for (const each of reached) {
          if (!each.cut) for (const input of each.inputs) reached.add(input);
          else if (ancestors(each).has(variable)) lost = true;
        }
        expect(code(() => grad(output.value.sum(), [variable.value]))).toBe(lost ? 'stale' : null);
        if (lost) continue;
        const [right] = grad(output.whole.sum(), [variable.whole]);
        expect(await grad(output.value.sum(), [variable.value])[0]!.item()).toBeCloseTo(await right!.item(), 5);
      }
    });
  });
});

describe('partial derivatives', () => {
  it('take the vectors of a Hessian product for constants, whatever they were made of', async () => {
    await useBackend(reference);
    const w = tensor([1, 2], { dtype: 'f64' });
    const cube = w.mul(w).mul(w).sum();
    // H = diag(6w), ∇ = 3w²
    const [g] = grad(cube, [w]);
    expect(await hessianVectorProduct(cube, [w], [g!])[0]!.array()).toEqual([18, 144]);
    expect(await hessianVectorProduct(cube, [w], [w])[0]!.array()).toEqual([6, 24]);
    let v = g!;
    for (let round = 0; round < 3; round++) {
      [v] = hessianVectorProduct(cube, [w], [v]) as [Tensor];
      v = v.div(v.norm());
      await realize(v);
    }
    expect((await v.data())[1]).toBeCloseTo(1, 1);
    // A later derivative goes on through them: ∂(H·v)/∂v = H.
    const u = tensor([1, 1], { dtype: 'f64' });
    expect(await grad(hessianVectorProduct(cube, [w], [u])[0]!.sum(), [u])[0]!.array()).toEqual([6, 12]);
  });

  it('of gridSample are not counted twice where the grid is made of the image', async () => {
    await useBackend(reference);
    const values = Array.from({ length: 9 }, (_, i) => 0.1 + ((i * 7) % 5) / 10);
    const run = (x: Tensor) => {
      const scale = x.mean().mul(0.5).add(0.5);
      const theta = tensor(
        [
          [1, 0, 0],
          [0, 1, 0],
        ],
        { dtype: 'f64' },
      )
        .mul(scale)
        .reshape([1, 2, 3]);
      return gridSample(x, affineGrid(theta, [3, 3]))
        .square()
        .sum();
    };
    const at = (data: readonly number[]) => tensor(Float64Array.from(data), { shape: [1, 1, 3, 3] });
    const x = at(values);
    const slopes = await grad(run(x), [x])[0]!.data();
    for (const i of values.keys()) {
      const shifted = (by: number) => run(at(values.map((value, k) => (k === i ? value + by : value)))).item();
      expect(slopes[i]).toBeCloseTo(((await shifted(1e-5)) - (await shifted(-1e-5))) / 2e-5, 6);
    }
  });
});

describe.for([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))(
  'what is kept on %s',
  ([, backend]) => {
    /** How many plans it has been given to prepare. */
    const prepared = async (body: () => Promise<void>): Promise<number> => {
      let count = 0;
      const { prepare } = backend;
      backend.prepare = (...given) => {
        count++;
        return prepare.apply(backend, given);
      };
      try {
        await body();
      } finally {
        backend.prepare = prepare;
      }
      return count;
    };

    beforeEach(async () => {
      await useBackend(backend);
    });

    it('lets a loop that reads a state begin where the last round was', async () => {
      const rounds = 60;
      let [x, right] = [tensor([1, 2]), 3];
      const plans = await prepared(async () => {
        for (let round = 0; round < rounds; round++) {
          x = x.mul(0.5).add(1);
          right = right / 2 + 2;
          expect(await x.sum().item()).toBeCloseTo(right, 5);
        }
      });
      expect(plans).toBeLessThan(8);
    });

    it('lets a loop of gradients begin where the last round was, and keeps the gradient through all of them', async () => {
      const first = tensor([1, 2]);
      let w = first;
      const plans = await prepared(async () => {
        for (let round = 0; round < 40; round++) {
          const l = w.square().sum();
          w = w.sub(grad(l, [w])[0]!.mul(0.05));
          expect(await l.item()).toBeCloseTo(5 * 0.81 ** round, 5);
        }
      });
      expect(plans).toBeLessThan(8);
      // wₙ = .9ⁿ·w₀
      const [through] = grad(w.sum(), [first]);
      expect((await through!.data())[0]).toBeCloseTo(0.9 ** 40, 6);
    });

    it('is no value that is larger than what it is made of', async () => {
      const n = 1000;
      const x = tensor(Float32Array.from({ length: n }, (_, i) => i / n));
      const distances = x
        .reshape([n, 1])
        .sub(x.reshape([1, n]))
        .abs();
      for (let read = 0; read < 4; read++) expect(await distances.mean().item()).toBeCloseTo(1 / 3, 3);
      expect(distances.node.storage).toBeNull();
    });
  },
);

describe('the history behind what was read', () => {
  // Nothing of it is the backend's: the fastest will do.
  beforeEach(async () => {
    await useBackend(backends.at(-1)!);
  });

  it('is not without end', async () => {
    const first = tensor([1]);
    let [x, before] = [first, first];
    for (let round = 0; round < 72; round++) {
      before = x;
      // 2 MiB a round.
      x = x.mul(0.5).add(tensor(new Float32Array(2 ** 19)).sum());
      await x.add(1).item();
    }
    expect(await grad(x.sum(), [before])[0]!.item()).toBe(0.5);
    expect(code(() => grad(x.sum(), [first]))).toBe('stale');
  });

  it('is not walked in each round of something else', async () => {
    const metric = compile((x: Tensor) => x.sum());
    const first = tensor([1]);
    let [w, before] = [first, first];
    for (let round = 0; round < 600; round++) {
      before = w;
      w = w.mul(0.999);
      if (round % 2 === 0) await realize(w.add(1));
      else await metric(w);
    }
    expect(await grad(w.sum(), [before])[0]!.item()).toBeCloseTo(0.999, 6);
    expect(await w.item()).toBeCloseTo(0.999 ** 600, 4);
  });
});
