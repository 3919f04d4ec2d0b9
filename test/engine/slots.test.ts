import { beforeEach, describe, expect, it } from 'vitest';
import {
  compile,
  type ErrorCode,
  grad,
  key,
  memoryBytes,
  randn,
  realize,
  slot,
  TensegrityError,
  type Tensor,
  type Tree,
  tensor,
  uniform,
  useBackend,
} from '../../engine/index.ts';
import { backends, reference } from './support.ts';
import { host } from './values.ts';

const f32 = (...values: number[]) => host([values.length], values, 'f32');

/** What `action` throws or rejects with: a TensegrityError of this code, whose message says these things. */
async function fails(action: () => unknown, code: ErrorCode, ...saying: readonly (string | RegExp)[]): Promise<void> {
  let thrown: unknown;
  try {
    await action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(TensegrityError);
  expect(thrown).toMatchObject({ code });
  for (const part of saying) expect((thrown as TensegrityError).message).toMatch(part);
}

describe.for(backends.map((backend) => [backend.name, backend] as const))('slots on %s', ([, backend]) => {
  beforeEach(async () => {
    await useBackend(backend);
  });

  it('keeps a copy of what it is given', async () => {
    const initial = f32(1, 2);
    const w = slot(initial);
    initial.data[0] = 9;
    expect([...(await w.data())]).toEqual([1, 2]);
    (await w.data())[0] = 9;
    expect([...(await w.data())]).toEqual([1, 2]);
    const replacement = Float32Array.of(3, 4);
    w.set(replacement);
    replacement[0] = 9;
    expect([...(await w.data())]).toEqual([3, 4]);
  });

  it('is set in its turn: what was asked for before sees the old value, what comes after the new one', async () => {
    const w = slot(f32(1));
    const step = compile(() => {
      w.assign(w.value.mul(10));
      return w.held;
    });
    const before = w.value.add(0.5);
    const [read, stepped, data] = [before.data(), step(), w.data()];
    w.set(Float32Array.of(2));
    const after = w.value.add(0.5);
    const again = step();
    expect([...(await read)]).toEqual([1.5]);
    expect(await (await stepped).array()).toEqual([1]);
    expect([...(await data)]).toEqual([10]);
    expect(await (await again).array()).toEqual([2]);
    expect([...(await w.data())]).toEqual([20]);
    await fails(() => after.data(), 'stale', 'updated');
    w.set(Float32Array.of(3));
    const [now, value] = [w.value.add(0.5), w.data()];
    expect([[...(await value)], await now.array()]).toEqual([[3], [3.5]]);
  });

  it('set replaces what has been assigned, but for the plans before', async () => {
    const w = slot(f32(1));
    w.assign(w.value.add(1));
    const ran = realize();
    w.assign(w.value.add(6));
    w.set(Float32Array.of(5));
    expect(await w.value.array()).toEqual([5]);
    await ran;
    await realize();
    expect([...(await w.data())]).toEqual([5]);
    w.assign(w.value.add(1));
    await realize();
    expect([...(await w.data())]).toEqual([6]);
  });

  it('cannot be set inside a compiled function, after disposal, or to something else', async () => {
    const w = slot(f32(1));
    await fails(
      compile(() => {
        w.set(Float32Array.of(2));
        return w.value;
      }),
      'argument',
      'compiled function',
    );
    expect([...(await w.data())]).toEqual([1]);
    await fails(() => w.set([2] as unknown as Float32Array), 'argument', 'typed array');
    await fails(() => w.set(Float32Array.of(2, 3)), 'shape', '1 elements, got 2');
    w.set(Float32Array.of(2));
    w.dispose();
    await fails(() => w.data(), 'disposed');
    await fails(() => w.set(Float32Array.of(2)), 'disposed');
  });

  it('takes an assignment with the next plan, and not before', async () => {
    const w = slot(f32(1));
    w.assign(w.value.add(1));
    expect([...(await w.data())]).toEqual([1]);
    await realize();
    expect([...(await w.data())]).toEqual([2]);
  });

  it('gives the assigned value to expressions built after the assignment', async () => {
    const w = slot(f32(1));
    w.assign(w.value.add(1));
    w.assign(w.value.mul(10));
    expect(await w.value.item()).toBe(20);
    expect([...(await w.data())]).toEqual([20]);
  });

  it('gives expressions built before the assignment the old value, in the plan that updates', async () => {
    const w = slot(f32(3));
    const before = w.value;
    const doubled = w.value.mul(2);
    w.assign(w.value.sub(1));
    await realize(before, doubled);
    expect(await before.item()).toBe(3);
    expect(await doubled.item()).toBe(6);
    expect([...(await w.data())]).toEqual([2]);
  });

  it('reads the old value of the slot itself while an update waits', async () => {
    const w = slot(f32(3));
    const before = w.value;
    w.assign(w.value.mul(2));
    expect(await before.item()).toBe(3);
    expect(await w.value.item()).toBe(6);
  });

  it('does not take a value that has been read for the slot', async () => {
    const w = slot(f32(1, 2));
    const read = w.value;
    await read.data();
    expect([...(await read.mul(3).data())]).toEqual([3, 6]);
    // The same structure with a leaf in the slot's place must not share its plan.
    expect([...(await tensor([5, 6]).mul(3).data())]).toEqual([15, 18]);
    w.assign(w.value.mul(2));
    await realize();
    expect([...(await read.data())]).toEqual([1, 2]);
    expect([...(await w.value.mul(3).data())]).toEqual([6, 12]);
  });

  it('refuses an expression of a value that has changed', async () => {
    const w = slot(f32(1), 'weight');
    const stale = w.value.mul(2);
    w.assign(w.value.add(1));
    await realize();
    await fails(() => stale.data(), 'stale', 'weight', 'slot.value');
    w.set(Float32Array.of(7));
    await fails(() => stale.add(1).item(), 'stale', 'weight');
    expect(await w.value.mul(2).item()).toBe(14);
  });

  it('loses no assignment when something else cannot be read', async () => {
    const w = slot(f32(1));
    const other = slot(f32(1));
    const stale = other.value.mul(2);
    other.set(Float32Array.of(2));
    w.assign(w.value.add(1));
    await fails(() => stale.data(), 'stale');
    await realize();
    expect([...(await w.data())]).toEqual([2]);
  });

  it('drops an assignment that can never run, so that reading goes on', async () => {
    const w = slot(f32(1));
    const stale = w.value.mul(2);
    w.set(Float32Array.of(5));
    w.assign(stale);
    await fails(() => tensor([1]).add(1).item(), 'stale');
    expect(await tensor([1]).add(1).item()).toBe(2);
    expect(await w.value.item()).toBe(5);
  });

  it('swaps, copies and rotates values among slots in one plan', async () => {
    const [a, b, c] = [slot(f32(1, 2)), slot(f32(3, 4)), slot(f32(5, 6))];
    const [x, y, z] = [a.value, b.value, c.value];
    a.assign(y);
    b.assign(z);
    c.assign(x.flip());
    await realize();
    expect([...(await a.data()), ...(await b.data()), ...(await c.data())]).toEqual([3, 4, 5, 6, 2, 1]);
  });

  it('updates a slot in place while others read the old value', async () => {
    const [w, average] = [slot(f32(1, 2, 3)), slot(f32(0, 0, 0))];
    const old = w.value;
    const total = old.flip().mul(old).sum();
    w.assign(old.mul(2));
    average.assign(average.value.mul(0.5).add(old.mul(0.5)));
    expect(await total.item()).toBe(3 + 4 + 3);
    expect([...(await w.data())]).toEqual([2, 4, 6]);
    expect([...(await average.data())]).toEqual([0.5, 1, 1.5]);
  });

  it('gives one value to two slots', async () => {
    const [a, b] = [slot(f32(1)), slot(f32(2))];
    const sum = a.value.add(b.value);
    a.assign(sum);
    b.assign(sum);
    expect(await sum.item()).toBe(3);
    expect([...(await a.data()), ...(await b.data())]).toEqual([3, 3]);
  });

  it('checks what it is given', async () => {
    const w = slot(f32(1, 2), 'weight');
    await fails(() => w.assign(tensor([1, 2, 3])), 'shape', 'weight', /\[2\]/, /\[3\]/);
    await fails(() => w.assign(tensor([1, 2], { dtype: 'i32' })), 'dtype', 'weight', 'cast');
    await fails(() => w.set(Float32Array.of(1)), 'shape', 'weight');
    await fails(() => slot({ dtype: 'f32', shape: [3], data: Float32Array.of(1) }), 'shape');
    await fails(() => slot({ dtype: 'f32', shape: [1], data: Float64Array.of(1) }), 'dtype');
    await fails(() => slot({ dtype: 'f32', shape: [-1], data: Float32Array.of(1) }), 'shape');
  });

  it('says that it has been disposed', async () => {
    const w = slot(f32(1), 'weight');
    const y = w.value.mul(2);
    w.dispose();
    await fails(() => w.data(), 'disposed', 'weight');
    await fails(() => y.data(), 'disposed', 'weight');
  });

  it('outlives the disposal of an expression of it', async () => {
    const w = slot(f32(4));
    const value = w.value;
    await value.data();
    value.dispose();
    await fails(() => value.data(), 'disposed');
    expect(await w.value.item()).toBe(4);
  });

  it('says that a tensor has been disposed', async () => {
    const x = tensor([1, 2]).add(1);
    await x.data();
    const y = x.mul(2);
    x.dispose();
    await fails(() => x.data(), 'disposed', /\[2\]/);
    await fails(() => y.data(), 'disposed', /\[2\]/);
    {
      using z = tensor([3]).add(1);
      await z.data();
    }
    const unread = tensor([1]).add(1);
    unread.dispose();
    await fails(() => unread.item(), 'disposed');
  });

  it('cuts history where it realises, and not where it reads', async () => {
    const x = tensor([2]);
    const read = x.square();
    await read.data();
    const [through] = grad(read.sum(), [x]);
    expect(await through!.item()).toBe(4);
    const realised = x.square();
    await realize(realised);
    expect(() => grad(realised.mul(3).sum(), [x])).toThrow(/shape \[1\] has been let go/);
    const [cut] = grad(realised.stopGradient().mul(3).sum(), [x]);
    expect(await cut!.item()).toBe(0);
    const [direct] = grad(realised.mul(3).sum(), [realised]);
    expect(await direct!.item()).toBe(3);
  });

  it('runs plans in the order of the calls, awaited or not', async () => {
    const w = slot(f32(1));
    const double = compile(() => {
      w.assign(w.value.mul(2));
      return w.value;
    });
    const add = compile((x: Tensor) => {
      w.assign(w.value.add(x));
      return w.value;
    });
    await double();
    // `add` must be traced first, `double` need not.
    const results = [add(tensor([3])), double(), add(tensor([1]))];
    expect(await Promise.all(results.map(async (result) => (await result).item()))).toEqual([5, 10, 11]);
    void double();
    expect([...(await w.data())]).toEqual([22]);
  });

  it('keeps an assignment that is made while a plan runs', async () => {
    const [w, v] = [slot(f32(1)), slot(f32(1))];
    w.assign(w.value.add(1));
    const running = realize();
    // Let the run start: the microtasks of its turn come first.
    for (let i = 0; i < 4; i++) await Promise.resolve();
    v.assign(v.value.add(10));
    await running;
    await realize();
    expect([...(await w.data()), ...(await v.data())]).toEqual([2, 11]);
  });

  it('moves slots and results to the backend in use', async () => {
    const w = slot(f32(1, 2));
    w.assign(w.value.add(1));
    const x = w.value.mul(2);
    await realize(x);
    await useBackend(reference);
    w.assign(w.value.add(x));
    await realize();
    expect([...(await w.data())]).toEqual([6, 9]);
    await useBackend(backend);
    expect([...(await w.value.add(x).data())]).toEqual([10, 15]);
    const step = compile((y: Tensor) => w.value.add(y).add(x));
    expect([...(await (await step(x)).data())]).toEqual([14, 21]);
  });
});

describe.for(backends.map((backend) => [backend.name, backend] as const))('compile on %s', ([, backend]) => {
  beforeEach(async () => {
    await useBackend(backend);
  });

  it('traces once for each combination of shapes and types', async () => {
    let traces = 0;
    const f = compile((x: Tensor) => {
      traces++;
      return x.mul(2);
    });
    expect([...(await (await f(tensor([1, 2]))).data())]).toEqual([2, 4]);
    expect([...(await (await f(tensor([5, 6]))).data())]).toEqual([10, 12]);
    expect(traces).toBe(1);
    await f(tensor([1]));
    await f(tensor([1, 2], { dtype: 'i32' }));
    await f(tensor([[1, 2]]));
    expect(traces).toBe(4);
    await Promise.all([f(tensor([1, 2, 3])), f(tensor([1, 2, 3]))]);
    expect(traces).toBe(5);
    f.dispose();
    expect([...(await (await f(tensor([1, 2]))).data())]).toEqual([2, 4]);
    expect(traces).toBe(6);
  });

  it('returns trees of tensors', async () => {
    const f = compile((x: Tensor) => ({ loss: x.sum(), parts: [x, { twice: x.mul(2), same: x }], none: [] as Tensor[] }));
    const { loss, parts, none } = await f(tensor([1, 2]));
    expect(await loss.item()).toBe(3);
    expect(parts).toHaveLength(2);
    const [x, { twice, same }] = parts as [Tensor, { twice: Tensor; same: Tensor }];
    expect([await x.array(), await twice.array(), await same.array(), none]).toEqual([[1, 2], [2, 4], [1, 2], []]);
  });

  it('realises its arguments, and takes pending assignments first', async () => {
    const w = slot(f32(1));
    const f = compile((x: Tensor, y: Tensor) => x.add(y).mul(w.value));
    w.assign(w.value.add(1));
    expect(await (await f(tensor([1]).add(1), tensor([3]).mul(2))).item()).toBe(16);
    expect([...(await w.data())]).toEqual([2]);
    w.assign(w.value.add(1));
    const known = tensor([1]);
    expect(await (await f(known, known)).item()).toBe(6);
  });

  it('takes the value of a slot as an argument', async () => {
    const w = slot(f32(2));
    const f = compile((x: Tensor) => {
      w.assign(w.value.mul(10));
      return x.add(1);
    });
    expect(await (await f(w.value)).item()).toBe(3);
    expect(await (await f(w.value)).item()).toBe(21);
  });

  it('holds what comes from outside as constants', async () => {
    const scale = tensor([3]);
    const f = compile((x: Tensor) => x.mul(scale));
    expect(await (await f(tensor([2]))).item()).toBe(6);
    scale.dispose();
    expect(await (await f(tensor([4]))).item()).toBe(12);
  });

  it('differentiates inside, with respect to arguments and slots', async () => {
    const w = slot(f32(3));
    const f = compile((x: Tensor) => grad(x.mul(w.value).square().sum(), [x, w]));
    const [gx, gw] = await f(tensor([2]));
    expect([await gx!.item(), await gw!.item()]).toEqual([2 * 2 * 9, 2 * 3 * 4]);
  });

  it('refuses expressions that cross its border', async () => {
    const w = slot(f32(1), 'weight');
    const outside = w.value.mul(2);
    const leaking: Tensor[] = [];
    const f = compile((x: Tensor) => {
      leaking.push(x.add(1), w.value.add(1));
      return x.add(1);
    });
    await f(tensor([1]));
    await fails(() => leaking[0]!.data(), 'stale', 'argument 0');
    await fails(() => leaking[1]!.data(), 'stale', 'weight');
    await fails(() => compile((x: Tensor) => x.add(outside))(tensor([1])), 'stale', 'weight', 'slot.value');
    await fails(() => compile((x: Tensor) => x.add(leaking[0]!))(tensor([1])), 'stale', 'argument 0');
  });

  it('refuses functions that are async, or return something else', async () => {
    const returning = (value: unknown) => compile(() => value as Tree);
    await fails(() => returning(Promise.resolve(tensor([1])))(), 'argument', 'async');
    await fails(() => returning({ a: Promise.resolve(1) })(), 'argument', 'async');
    await fails(() => returning([tensor([1]), 3])(), 'argument', 'got 3');
    await fails(() => returning(undefined)(), 'argument', 'undefined');
    await fails(() => returning(null)(), 'argument', 'null');
    await fails(() => compile((x: Tensor) => x)(2 as unknown as Tensor), 'argument', 'argument 0', 'tensor()');
  });

  it('lets an error of the function through, and leaves nothing behind', async () => {
    const w = slot(f32(1));
    let faulty = true;
    const f = compile(() => {
      w.assign(w.value.add(1));
      if (faulty) throw new RangeError('of the function');
      return w.value;
    });
    await expect(f()).rejects.toThrow(new RangeError('of the function'));
    expect(await w.value.item()).toBe(1);
    faulty = false;
    expect(await (await f()).item()).toBe(2);
  });

  it('keeps results apart from the memory of later calls', async () => {
    const f = compile((x: Tensor) => [x.mul(2), x]);
    const x = tensor([1]);
    const [first, same] = await f(x);
    await f(tensor([5]));
    expect([await first!.item(), await same!.item()]).toEqual([2, 1]);
  });

  it('prints its plan without running it', async () => {
    const w = slot(f32(1), 'weight');
    const f = compile((x: Tensor) => {
      w.assign(w.value.sub(x.mul(0.1)));
      return x.square().sum();
    });
    const text = await f.explain([tensor([2])], { programs: true });
    expect(text).toContain('weight');
    expect(text).toMatch(/plan: \d+ kernels?, /);
    expect(await w.value.item()).toBe(1);
    expect(structuredClone(await f.plan(tensor([2])))).toEqual(await f.plan(tensor([2])));
  });

  it('draws new numbers from a key in a slot, the same again from the same key', async () => {
    const state = slot({ dtype: 'i32', shape: [2], data: Int32Array.of(0, 7) });
    const f = compile(() => {
      state.assign(state.value.add(tensor([0, 1], { dtype: 'i32' })));
      return uniform([4], { key: state.value });
    });
    const [first, second] = [await (await f()).data(), await (await f()).data()];
    expect(first).not.toEqual(second);
    state.set(Int32Array.of(0, 7));
    expect(await (await f()).data()).toEqual(first);
    expect(await uniform([4], { key: key(8) }).data()).toEqual(first);
  });

  it('replays in flat memory', async () => {
    const [w, m] = [slot(await randn([16, 8], { key: 1 }).toHost()), slot(host([16, 8], new Float32Array(128), 'f32'))];
    const step = compile((x: Tensor) => {
      const loss = x.matmul(w.value).relu().square().mean();
      const [g] = grad(loss, [w]);
      m.assign(m.value.mul(0.9).add(g!));
      w.assign(w.value.sub(m.value.mul(0.1)));
      return { loss, norm: g!.norm() };
    });
    const x = tensor(await randn([4, 16], { key: 2 }).toHost());
    let settled = 0;
    for (let i = 0; i < 1000; i++) {
      const { loss, norm } = await step(x);
      if (i % 100 === 0) expect(await loss.item()).toBeGreaterThanOrEqual(0);
      loss.dispose();
      norm.dispose();
      if (i === 2) settled = await memoryBytes();
    }
    expect(await memoryBytes()).toBe(settled);
  });

  it('gives memory back on disposal', async () => {
    const before = await memoryBytes();
    const w = slot(f32(1, 2, 3));
    const f = compile((x: Tensor) => {
      w.assign(w.value.add(x));
      return w.value.sum();
    });
    const loss = await f(tensor([1]));
    expect(await memoryBytes()).toBeGreaterThan(before);
    loss.dispose();
    f.dispose();
    w.dispose();
    expect(await memoryBytes()).toBe(before);
  });
});
