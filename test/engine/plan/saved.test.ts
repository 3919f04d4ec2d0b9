/** Saved functions: the bits of the compiled ones, on the backends that are here (webgpu: test/engine/backends/webgpu/savedPlans.test.ts). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../../engine/backends/wasm/index.ts';
import type { HostArray } from '../../../engine/dtype.ts';
import { compile, grad, slot, tensor, useBackend, zeros } from '../../../engine/index.ts';
import { VERSION } from '../../../engine/plan/format.ts';
import { loadPlan } from '../../../engine/plan/load.ts';
import { property } from '../../support/property.ts';
import { cases } from '../cases/index.ts';
import { randomPrograms } from '../compiler/randomPrograms.ts';
import { backends, reference } from '../support.ts';
import { array, both, bothOfProgram, drawn } from './support.ts';

const programs = randomPrograms({ extents: [1, 2, 3, 4], largest: 400, types: ['i32', 'u8'] });
const some: readonly (readonly [string, Backend])[] = [
  ...backends.map((backend) => [backend.name, backend] as const),
  ['wasm simd on one thread', await createWasmBackend({ threads: 1, build: 'simd' })],
];

describe.for(some)('saved functions on %s', ([, backend]) => {
  it('give the bits of compiled ones: random programs, and their slots', () =>
    property(
      [programs],
      async (program) => {
        const { compiled, saved } = await bothOfProgram(program, backend);
        expect(saved).toEqual(compiled);
      },
      { numRuns: 150 },
    ));

  it('give the bits of compiled ones: every op of the table', async () => {
    for (const [k, entry] of cases.entries()) {
      const { fn, args } = drawn(entry, k);
      const { compiled, saved } = await both(fn, args, [], backend, 1);
      expect({ name: entry.name, results: saved }).toEqual({ name: entry.name, results: compiled });
    }
  }, 60_000);
});

const vector = (...values: readonly number[]): HostArray => array('f32', [values.length], values);

describe('a saved function', () => {
  it('gives the tree that the function returns', async () => {
    await useBackend(reference);
    const f = compile((x) => ({ sum: x.sum(), list: [x, [x.neg()]], nothing: [], value: x }));
    const loaded = await loadPlan(await f.save([[zeros([2])]]), { backend: reference });
    const [x, minus] = [vector(1, -2), vector(-1, 2)];
    expect(await loaded(x)).toEqual({ sum: array('f32', [], [-1]), list: [x, [minus]], nothing: [], value: x });
  });

  it('keeps −0, NaN and ∞ in programs, in constants and around what is padded', async () => {
    await useBackend(reference);
    const odd = [-0, NaN, Infinity, -Infinity, 0, 1e-45];
    const f = compile((x) => [
      ...odd.map((value) => x.mul(0).add(value)),
      ...odd.map((value) => x.pad([1], [0], value)),
      ...odd.map((value) => x.greater(0).where(value, x)),
      tensor(odd),
    ]);
    const loaded = await loadPlan<readonly HostArray[]>(await f.save([[zeros([2])]]), { backend: reference });
    const x = vector(-0, 3);
    const expected = await Promise.all((await f(tensor(x))).map((each) => each.toHost()));
    expect(await loaded(x)).toEqual(expected);
  });

  it('takes arguments of each shape it was saved for, and names them where none fits', async () => {
    await useBackend(reference);
    const f = compile((x) => x.mul(2));
    const loaded = await loadPlan(await f.save([[zeros([2])], [zeros([1, 3])]]), { backend: reference });
    expect(loaded.signatures).toEqual([[{ dtype: 'f32', shape: [2] }], [{ dtype: 'f32', shape: [1, 3] }]]);
    expect(await loaded(array('f32', [1, 3], [1, 2, 3]))).toEqual(array('f32', [1, 3], [2, 4, 6]));
    expect(await loaded(vector(1, 2))).toEqual(vector(2, 4));
    const refused = async (code: string, message: RegExp, ...args: readonly HostArray[]): Promise<void> =>
      void (await expect(loaded(...args)).rejects.toMatchObject({ code, message: expect.stringMatching(message) }));
    await refused('shape', /saved for \(f32\[2\]\) or \(f32\[1, 3\]\), and got \(f32\[3\]\)/, vector(1, 2, 3));
    await refused('dtype', /got \(i32\[2\]\)/, array('i32', [2], [1, 2]));
    await refused('argument', /got \(\)/);
    await refused('argument', /argument 0: takes an array/, 3 as unknown as HostArray);
    await refused('shape', /argument 0: 1 elements/, { ...vector(1), shape: [2] });
  });

  it('is a training step that goes on where it was saved, with slots by their names', async () => {
    await useBackend(reference);
    const [w, unrelated] = [slot(array('f32', [2, 1], [0.5, -1]), 'w'), slot(vector(7), 'w')];
    const step = compile((x, y) => {
      const loss = x.matmul(w.value).sub(y).square().mean();
      const [gradient] = grad(loss, [w.value]);
      w.assign(w.value.sub(gradient!.mul(0.1)));
      return [loss, unrelated.value];
    });
    const [x, y] = [array('f32', [3, 2], [1, 2, 3, 4, 5, 6]), array('f32', [3, 1], [1, 0, -1])];
    const losses = async (count: number): Promise<number[]> => {
      const all: number[] = [];
      for (let i = 0; i < count; i++) all.push(await (await step(tensor(x), tensor(y)))[0]!.item());
      return all;
    };
    await losses(2);
    const bytes = await step.save([[zeros([3, 2]), zeros([3, 1])]]);
    const expected = await losses(3);
    const loaded = await loadPlan<readonly HostArray[]>(bytes, { backend: reference });
    expect([...loaded.slots.keys()].sort()).toEqual(['w', 'w (2)']);
    const again: number[] = [];
    const first = await loaded.slots.get('w')!.toHost();
    for (let i = 0; i < 3; i++) again.push((await loaded(x, y))[0]!.data[0]!);
    expect(again).toEqual(expected);
    expect(await loaded.slots.get('w')!.toHost()).toEqual(await w.toHost());
    await loaded.slots.get('w')!.set(first.data);
    expect((await loaded(x, y))[0]!.data[0]).toBe(expected[0]);
    expect(() => loaded.slots.get('w')!.set(vector(1).data)).toThrow('slot w has 2 elements, got 1');
  });

  it('has what was assigned before it was saved', async () => {
    await useBackend(reference);
    const w = slot(vector(1), 'w');
    const f = compile((x) => x.mul(w.value));
    w.assign(w.value.add(4));
    const loaded = await loadPlan<HostArray>(await f.save([[zeros([1])]]), { backend: reference });
    expect((await loaded(vector(2))).data).toEqual(Float32Array.of(10));
  });

  it('runs its calls one after the other', async () => {
    await useBackend(reference);
    const count = slot(vector(0), 'count');
    const f = compile((x) => {
      count.assign(count.value.add(x));
      return count.value;
    });
    const loaded = await loadPlan<HostArray>(await f.save([[zeros([1])]]), { backend: await createWasmBackend({ threads: 1 }) });
    const results = await Promise.all([1, 2, 3].map((x) => loaded(vector(x))));
    expect(results.map(({ data }) => data[0])).toEqual([1, 3, 6]);
  });

  it('runs on another backend than it was compiled for', async () => {
    await useBackend('wasm');
    const f = compile((x) => x.exp());
    const bytes = await f.save([[zeros([1])]]);
    const loaded = await loadPlan<HostArray>(bytes, { backend: createCpuBackend() });
    expect((await loaded(vector(1))).data[0]).toBe(Math.fround(Math.E));
    const own = await loadPlan(bytes);
    expect(own.backend.name).toBe('wasm');
    own.dispose();
    await expect(own(vector(1))).rejects.toMatchObject({ code: 'disposed' });
  });

  it('of f64 says which backend runs it', async () => {
    await useBackend(reference);
    const f = compile((x) => x.exp());
    const bytes = await f.save([[zeros([1], 'f64')]]);
    await expect(loadPlan(bytes)).rejects.toMatchObject({ code: 'dtype', message: expect.stringMatching(/wasm.*f64.*createCpuBackend/) });
    const loaded = await loadPlan<HostArray>(bytes, { backend: reference });
    expect((await loaded(array('f64', [1], [1]))).data[0]).toBe(Math.E);
  });

  it('gives its memory back', async () => {
    const backend = createCpuBackend();
    await useBackend(reference);
    const w = slot(vector(1, 2, 3), 'w');
    const bytes = await compile((x) => x.add(w.value).add(tensor([1, 2, 3]))).save([[zeros([3])]]);
    const loaded = await loadPlan(bytes, { backend });
    expect(backend.bytes).toBeGreaterThan(0);
    loaded.dispose();
    await expect(loaded(vector(1, 2, 3))).rejects.toMatchObject({ code: 'disposed' });
    await expect(loaded.slots.get('w')!.toHost()).rejects.toMatchObject({ code: 'disposed' });
    expect(backend.bytes).toBe(0);
  });

  it('touches at most 8 buffers in a kernel where it must be portable', async () => {
    await useBackend('wasm');
    const many = Array.from({ length: 12 }, (_, i) => slot(array('f32', [64], Array(64).fill(i)), `s${i}`));
    const f = compile((x) => many.reduce((sum, { value }) => sum.add(value).exp(), x));
    const most = (bytes: Uint8Array): number => {
      const length = new DataView(bytes.buffer).getUint32(12, true);
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(16, 16 + length)));
      return Math.max(
        ...header.plans[0].plan.kernels.map((kernel: { inputs: { buffer: number }[]; outputs: { buffer: number }[] }) => {
          return new Set([...kernel.inputs, ...kernel.outputs].map(({ buffer }) => buffer)).size;
        }),
      );
    };
    expect(most(await f.save([[zeros([64])]]))).toBeGreaterThan(8);
    expect(most(await f.save([[zeros([64])]], { portable: true }))).toBeLessThanOrEqual(8);
  });
});

describe('a plan that was saved before', () => {
  // Where this fails, the format, plan.ts or the scalar table have changed: count VERSION up, and record one anew.
  it.each(backends.map((backend) => [backend.name, backend] as const))('runs as it did, on %s', async (_, backend) => {
    const bytes = readFileSync(new URL(`../../recordings/saved-version-${VERSION}.plan`, import.meta.url));
    const loaded = await loadPlan(bytes, { backend });
    const x = array('f32', [2, 2], [1, 0, 1, 1]);
    expect(await loaded(x)).toEqual({
      y: array('f32', [2, 2], [0, 3, 0, 7]),
      largest: array('f32', [], [7]),
      where: array('i32', [2], [1, 2]),
    });
    expect((await loaded.slots.get('w')!.toHost()).data).toEqual(Float32Array.of(2, 3, 4, 5));
    loaded.dispose();
  });
});

describe('save', () => {
  const f = compile((x) => x.add(1));
  const refused = async (message: RegExp, ...given: readonly unknown[]): Promise<void> => {
    await useBackend(reference);
    const call = f.save as (...given: readonly unknown[]) => Promise<Uint8Array>;
    await expect(call(...given)).rejects.toMatchObject({ code: 'argument', message: expect.stringMatching(message) });
  };

  it('says what it takes', async () => {
    await refused(/a list of arguments/);
    await refused(/got none/, []);
    await refused(/for a list/, [zeros([2])]);
    await refused(/argument 0 must be a Tensor/, [[3]]);
    await refused(/there is no option 'weight'/, [[zeros([2])]], { weight: 'f16' });
    await refused(/there is no 'f8'; there are f32, f16/, [[zeros([2])]], { weights: 'f8' });
    await refused(/at most 64/, Array(65).fill([zeros([2])]));
  });

  it('rounds matrices to f16, and leaves the rest as it is', async () => {
    await useBackend(reference);
    const values = [1 / 3, -1e-5, 65504, 6e-8, -0, 2049];
    const [matrix, bias, counted] = [
      slot(array('f32', [2, 3], values), 'm'),
      slot(vector(1 / 3), 'b'),
      slot(array('f32', [1, 1], [1 / 3]), 'c'),
    ];
    const g = compile((x) => {
      counted.assign(counted.value.add(1));
      return { m: matrix.value.mul(x), b: bias.value.mul(x), k: tensor([[1 / 3]]).mul(x) };
    });
    const loaded = await loadPlan<Record<'m' | 'b' | 'k', HostArray>>(await g.save([[zeros([1])]], { weights: 'f16' }), {
      backend: reference,
    });
    const { m, b, k } = await loaded(vector(1));
    expect([...m.data]).toEqual([0.333251953125, -(168 * 2 ** -24), 65504, 2 ** -24, -0, 2048]);
    expect([...b.data]).toEqual([Math.fround(1 / 3)]);
    expect([...k.data]).toEqual([0.333251953125]);
    expect((await loaded.slots.get('c')!.toHost()).data[0]).toBe(Math.fround(Math.fround(1 / 3) + 1));
    matrix.set(Float32Array.of(1, 2, 3, 4, 65520, 6));
    await expect(g.save([[zeros([1])]], { weights: 'f16' })).rejects.toMatchObject({
      code: 'dtype',
      message: expect.stringMatching(/element 4 of slot m is 65520/),
    });
  });
});
