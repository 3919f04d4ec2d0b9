/** Memory comes back: of what is dropped, in loops that only await; of shapes that are not used any more; before it is said to be out. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../engine/backends/backend.ts';
import { createCpuBackend } from '../../engine/backends/cpu/index.ts';
import { LinearMemory } from '../../engine/backends/wasm/memory.ts';
import { compile, memoryBytes, slot, TensegrityError, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { rest } from '../../engine/turn.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends, reference } from './support.ts';

const zero = (size: number) => ({ dtype: 'f32', shape: [size], data: new Float32Array(size) }) as const;

/** A backend of so many bytes, that says when it has no more as the others do. */
function small(limit: number): Backend {
  const backend = createCpuBackend();
  const { allocate } = backend;
  backend.allocate = (bytes) => {
    if (backend.bytes + bytes > limit) throw new TensegrityError('backend', `no room for ${bytes} bytes`, { exhausted: true });
    return allocate.call(backend, bytes);
  };
  return backend;
}

afterEach(async () => {
  await useBackend(reference);
});

describe('memory that nobody holds', () => {
  it('comes back before it is said to be out', async () => {
    const backend = await useBackend(small(400_000));
    const kept = slot(zero(1000), 'kept');
    // 4000 bytes each: ten times what there is, and nothing that the garbage collector would see.
    for (let i = 0; i < 1000; i++) expect(await slot(zero(1000)).value.add(i).sum().item()).toBe(1000 * i);
    expect(backend.bytes).toBeLessThanOrEqual(400_000);
    expect(await kept.value.sum().item()).toBe(0);
    // What is held does not.
    const held = Array.from({ length: 120 }, () => slot(zero(1000)));
    const read = async () => {
      for (const each of held) await each.value.sum().item();
    };
    await expect(read()).rejects.toMatchObject({ code: 'backend', message: 'no room for 4000 bytes' });
    for (const each of held) each.dispose();
    expect(await kept.value.add(1).sum().item()).toBe(1000);
  });

  it('is looked for where the garbage collector would not', async () => {
    const backend = createCpuBackend();
    const { allocate, free } = backend;
    // As if each byte were 100 000, on a GPU.
    const weigh = (bytes: number) => Object.assign(backend, { bytes: backend.bytes + bytes * (1e5 - 1) });
    backend.allocate = (bytes) => {
      weigh(bytes);
      return allocate.call(backend, bytes);
    };
    backend.free = (buffer) => {
      weigh(-buffer.bytes);
      free.call(backend, buffer);
    };
    await useBackend(backend);
    let most = 0;
    for (let i = 0; i < 40; i++) {
      await slot(zero(1000)).value.sum().item();
      most = Math.max(most, backend.bytes);
    }
    // All of them would be 16 GB.
    expect(most).toBeLessThan(8e9);
  });

  it('comes back from plans that can be built anew, and from compiled functions that were dropped', async () => {
    await useBackend(small(300_000));
    // Arenas of 40 000 bytes.
    const run = (n: number) =>
      tensor(new Float32Array(10_000))
        .add(n)
        .reshape([100, 100])
        .matmul(tensor(new Float32Array(10_000), { shape: [100, 100] }))
        .exp()
        .sum(n % 2)
        .max();
    for (let n = 0; n < 30; n++) expect(await run(n).add(new Array(n).fill(0).length).item()).toBe(100 + n);
    for (let n = 0; n < 30; n++) {
      const f = compile((x: Tensor) => x.add(tensor(new Float32Array(10_000))).sum());
      expect(await (await f(tensor(new Float32Array(10_000)))).item()).toBe(0);
    }
  });

  it.for([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))(
    'comes back on %s in a loop that only awaits what is there',
    async ([, backend]) => {
      await useBackend(backend);
      // What is garbage already.
      await rest();
      const before = await memoryBytes();
      let most = 0;
      const size = 100_000;
      for (let i = 0; i < 200; i++) {
        await slot(zero(size)).value.sum().item();
        most = Math.max(most, backend.bytes - before);
      }
      // All of them would be 80 MB.
      expect(most).toBeLessThan(72e6);
    },
  );
});

describe('wasm memory that is exhausted', () => {
  it('says so in a way that programs can tell', () => {
    const memory = new LinearMemory(new WebAssembly.Memory({ initial: 1, maximum: 2 }), 0);
    expect(() => memory.allocate(200_000)).toThrow(expect.objectContaining({ details: expect.objectContaining({ exhausted: true }) }));
  });

  it('leaves the plans that fit as they were', async () => {
    const wasm = await useBackend('wasm', { threads: 1 });
    const f = compile((x: Tensor) =>
      x
        .exp()
        .reshape([10, 10])
        .matmul(x.reshape([10, 10]))
        .sum(),
    );
    const x = tensor(Float32Array.from({ length: 100 }, (_, i) => i / 100));
    const right = await (await f(x)).item();
    const bytes = wasm.bytes;
    // An arena of 6 GB. In the memory of that which was there before, something else may be by now.
    const huge = tensor(new Float32Array(1000))
      .reshape([1000, 1])
      .exp()
      .matmul(tensor(new Float32Array(1_600_000)).reshape([1, 1_600_000]).exp());
    await expect(huge.matmul(huge.transpose()).sum().item()).rejects.toMatchObject({ code: 'backend' });
    expect(wasm.bytes).toBe(bytes);
    const others = Array.from({ length: 20 }, () => slot({ dtype: 'f32', shape: [1000], data: new Float32Array(1000).fill(1) }));
    for (const other of others) await other.value.sum().item();
    expect(await (await f(x)).item()).toBe(right);
    for (const other of others) expect(await other.value.sum().item()).toBe(1000);
    wasm.dispose();
  });
});

describe.for([...backends, ...(gpu ? [gpu] : [])].map((backend) => [backend.name, backend] as const))(
  'shapes of a compiled function on %s',
  ([, backend]) => {
    it('are kept up to a number, the least recently used going first', async () => {
      await useBackend(backend);
      let traces = 0;
      const f = compile(
        (x: Tensor) => {
          traces++;
          return x.mul(2).sum();
        },
        { specializations: 3 },
      );
      const call = async (size: number) => (await f(tensor(new Float32Array(size).fill(1)))).item();
      for (const size of [1, 2, 3, 1, 4]) expect(await call(size)).toBe(2 * size);
      expect(traces).toBe(4);
      for (const size of [1, 3, 4]) expect(await call(size)).toBe(2 * size);
      expect(traces).toBe(4);
      expect(await call(2)).toBe(4);
      expect(traces).toBe(5);
      // The plan of what has gone is built again, and what is asked for at once is served in order.
      expect(await f.explain([tensor([1])])).toContain('in0');
      const sizes = Array.from({ length: 12 }, (_, i) => (i % 5) + 1);
      expect(await Promise.all(sizes.map(call))).toEqual(sizes.map((size) => 2 * size));
      f.dispose();
    });

    it('hold no more memory the more there have been', async () => {
      await useBackend(backend);
      const constant = tensor(new Float32Array(1000));
      const f = compile((x: Tensor) => x.sum().add(constant.sum()), { specializations: 4 });
      const bytesAfter = async (first: number, last: number) => {
        for (let size = first; size <= last; size++) {
          const result = await f(tensor(new Float32Array(size)));
          result.dispose();
        }
        return memoryBytes();
      };
      const full = await bytesAfter(1, 6);
      expect(await bytesAfter(7, 14)).toBeLessThanOrEqual(full + 4000);
      f.dispose();
    });
  },
);

it('takes a whole number of shapes to keep', () => {
  for (const specializations of [0, -1, 1.5]) expect(() => compile((x: Tensor) => x, { specializations })).toThrow(/whole number/);
  for (const specializations of [Number.NaN, '3' as unknown as number])
    expect(() => compile((x: Tensor) => x, { specializations })).toThrow(TensegrityError);
  expect(() => compile((x: Tensor) => x, { shapes: 3 } as object)).toThrow(/specializations/);
});
