/** Values are of the time when they were given, and reads of the time when they were asked for. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  averagePool2d,
  compile,
  conv2d,
  customGradient,
  full,
  grad,
  maxPool2d,
  memoryBytes,
  ones,
  realize,
  slot,
  type Tensor,
  tensor,
  useBackend,
  zeros,
} from '../../engine/index.ts';
import { Adam, augmentation, Conv2d, LayerNorm, Sequential } from '../../models/index.ts';
import { standardize } from '../../models/nn/functional.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { backends, reference } from './support.ts';
import { host } from './values.ts';

const image = () =>
  tensor(
    Float32Array.from({ length: 36 }, (_, i) => Math.sin(i)),
    { shape: [1, 1, 6, 6] },
  );
const kernel = () =>
  tensor(
    Float32Array.from({ length: 9 }, (_, i) => Math.cos(i)),
    { shape: [1, 1, 3, 3] },
  );

/** What takes lists, each to be changed once the tensor is made. */
const takers: Record<string, { lists: number[][]; make: (...lists: number[][]) => Tensor }> = {
  zeros: { lists: [[2, 3]], make: (shape) => zeros(shape!) },
  ones: { lists: [[2, 3]], make: (shape) => ones(shape!) },
  full: { lists: [[2, 3]], make: (shape) => full(shape!, 7) },
  tensor: {
    lists: [
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ],
    make: (shape, data) => tensor(data!, { shape: shape! }),
  },
  slot: { lists: [[2, 3]], make: (shape) => slot({ dtype: 'f32', shape: shape!, data: Float32Array.of(1, 2, 3, 4, 5, 6) }).value },
  reshape: { lists: [[6, 6]], make: (shape) => image().reshape(shape!) },
  expand: { lists: [[2, 1, 6, 6]], make: (shape) => image().expand(shape!) },
  permute: { lists: [[3, 1, 2, 0]], make: (axes) => image().permute(axes!) },
  flip: { lists: [[2, 3]], make: (axes) => image().flip(axes) },
  pad: {
    lists: [
      [0, 0, 1, 2],
      [0, 0, 2, 1],
    ],
    make: (before, after) => image().pad(before!, after!),
  },
  slice: {
    lists: [
      [1, 5],
      [0, 6, 2],
    ],
    make: (rows, columns) => image().slice(null, null, rows as [number, number], columns as [number, number]),
  },
  sum: { lists: [[2, 3]], make: (axes) => image().sum(axes) },
  variance: { lists: [[2, 3]], make: (axes) => image().variance(axes, { keepdims: true }) },
  norm: { lists: [[3]], make: (axes) => image().norm(axes) },
  logsumexp: { lists: [[2, 3]], make: (axes) => image().logsumexp(axes, true) },
  squeeze: { lists: [[0, 1]], make: (axes) => image().squeeze(axes) },
  standardize: { lists: [[2, 3]], make: (axes) => standardize(image(), axes!, 1e-5).normalized },
  maxPool2d: {
    lists: [
      [2, 3],
      [1, 2],
    ],
    make: (window, stride) => maxPool2d(image(), window as [number, number], { stride: stride as [number, number] }),
  },
  averagePool2d: {
    lists: [
      [2, 3],
      [1, 1],
    ],
    make: (window, padding) => averagePool2d(image(), window as [number, number], { padding: padding as [number, number] }),
  },
  conv2d: {
    lists: [
      [2, 1],
      [1, 0],
      [1, 2],
    ],
    make: (stride, padding, dilation) =>
      conv2d(image(), kernel(), {
        stride: stride as [number, number],
        padding: padding as [number, number],
        dilation: dilation as [number, number],
      }),
  },
};

describe('what a tensor is made of', () => {
  beforeEach(async () => {
    await useBackend(reference);
  });

  it.for(Object.entries(takers))('%s: does not follow its lists, nor does its gradient', async ([, { lists, make }]) => {
    const given = lists.map((list) => [...list]);
    const x = tensor([1]);
    // Depends on x, so that the rules' derivatives run after the change.
    const through = (y: Tensor) => y.mul(x).add(y.mul(y)).sum();
    const [changed, right] = [make(...given), make(...lists.map((list) => [...list]))];
    for (const list of given) {
      list.reverse();
      list.push(9);
    }
    expect(changed.shape).toEqual(right.shape);
    expect(await changed.data()).toEqual(await right.data());
    const [root] = changed.node.inputs;
    expect(await grad(through(changed), [x])[0]!.data()).toEqual(await grad(through(right), [x])[0]!.data());
    if (root?.dtype !== 'f32') return;
    const slopes = (y: Tensor) => grad(through(y), [new (y.constructor as typeof Tensor)(y.node.inputs[0]!)])[0]!.data();
    expect(await slopes(changed)).toEqual(await slopes(right));
  });

  it('cannot be changed by its shape', async () => {
    const x = image();
    (x.shape as number[]).push(1);
    (x.shape as number[])[0] = 9;
    expect([x.shape, x.rank, x.size, x.sum([2]).shape]).toEqual([[1, 1, 6, 6], 4, 36, [1, 1, 6]]);
    expect(() => (slot(host([2], [1, 2], 'f32')).shape as number[]).push(1)).toThrow(TypeError);
    const read = await x.toHost();
    (read.shape as number[])[0] = 9;
    read.data[0] = 9;
    expect([x.shape[0], (await x.data())[0]]).toEqual([1, 0]);
  });

  it('is what its data was when it was made', async () => {
    const arrays = [Float32Array.of(1, 2), Int32Array.of(1, 2), Uint8Array.of(1, 2), Float64Array.of(1, 2), Buffer.from([1, 2])];
    for (const array of arrays) {
      const dtype =
        array instanceof Uint8Array ? 'u8' : array instanceof Int32Array ? 'i32' : array instanceof Float32Array ? 'f32' : 'f64';
      const [plain, named, state] = [tensor(array), tensor({ dtype, shape: [2], data: array }), slot({ dtype, shape: [2], data: array })];
      array[0] = 9;
      expect(await Promise.all([plain.array(), named.array(), state.value.array()])).toEqual([
        [1, 2],
        [1, 2],
        [1, 2],
      ]);
    }
  });

  it('keeps the inputs of a gradient of one’s own, and the options of a layer', async () => {
    const x = tensor([1, 2]);
    const inputs = [x];
    const y = customGradient(x.mul(1), inputs, (g) => [g.mul(3)]);
    inputs.push(x);
    expect(await grad(y.sum(), [x])[0]!.array()).toEqual([3, 3]);
    const stride: [number, number] = [1, 2];
    const layer = new Conv2d(1, 1, 3, { stride, key: 1 });
    stride.fill(3);
    expect(layer.forward(image()).shape).toEqual([1, 1, 4, 2]);

    const layers = [(each: Tensor) => each.relu()];
    const chain = new Sequential(layers);
    layers.push((each) => each.mul(100));
    expect(await chain.forward(tensor([2])).array()).toEqual([2]);

    const last = [2];
    const norm = new LayerNorm(last);
    last.push(2);
    expect(norm.forward(tensor([[1, 2]])).shape).toEqual([1, 2]);

    const scale: [number, number] = [1, 1];
    const cropping = augmentation({ crop: { scale, ratio: [1, 1] } });
    scale[0] = 0.01;
    const right = augmentation({ crop: { scale: [1, 1], ratio: [1, 1] } });
    expect(await cropping(image(), 1).data()).toEqual(await right(image(), 1).data());
  });

  it('keeps the betas of an optimiser', async () => {
    const moved = async (change: boolean) => {
      const betas: [number, number] = [0.5, 0.9];
      const w = slot(host([1], [1], 'f32'));
      const optimizer = new Adam([w], { learningRate: 0.1, betas });
      if (change) betas.fill(0.1);
      for (const g of [1, -2]) {
        optimizer.step([tensor([g])]);
        await realize();
      }
      return w.data();
    };
    expect(await moved(true)).toEqual(await moved(false));
  });
});

const all = [...backends, ...(gpu ? [gpu] : [])];

describe.for(all.map((backend) => [backend.name, backend] as const))('what was asked for first on %s', ([, backend]) => {
  beforeEach(async () => {
    await useBackend(backend);
  });

  const large = () => tensor(Float32Array.from({ length: 5000 }, (_, i) => i));

  it('computes with the values that a buffer had at each call', async () => {
    const double = compile((x: Tensor) => x.mul(2));
    const buffer = Float32Array.of(0);
    const calls = [1, 2, 3].map((value) => {
      buffer[0] = value;
      return double(tensor(buffer));
    });
    expect(await Promise.all(calls.map(async (call) => (await call).item()))).toEqual([2, 4, 6]);
  });

  it('is read before its memory is given back', async () => {
    for (const x of [large(), large().add(1)]) {
      await realize(x);
      const right = (await x.data())[4999];
      const reads = [x.data(), x.sum().item(), x.toHost()] as const;
      x.dispose();
      expect((await reads[0])[4999]).toBe(right);
      expect(await reads[1]).toBeGreaterThan(1e7);
      expect((await reads[2]).shape).toEqual([5000]);
      await expect(x.data()).rejects.toMatchObject({ code: 'disposed' });
    }
    const x = large().mul(2);
    const realized = realize(x);
    x.dispose();
    await realized;
    await expect(x.add(1).data()).rejects.toMatchObject({ code: 'disposed' });
  });

  it('is read before the slot is set, updated or disposed of', async () => {
    const w = slot(host([2], [1, 2], 'f32'));
    const step = compile(() => {
      w.assign(w.value.mul(10));
      return w.value;
    });
    const [first, data] = [w.value.mul(2).data(), w.data()];
    const stepped = step();
    const second = w.data();
    w.set(Float32Array.of(5, 6));
    const third = w.value.add(1).data();
    w.dispose();
    const late = w.data();
    expect([...(await first), ...(await data), ...(await second), ...(await third)]).toEqual([2, 4, 1, 2, 10, 20, 6, 7]);
    expect(await (await stepped).array()).toEqual([10, 20]);
    await expect(late).rejects.toMatchObject({ code: 'disposed' });
  });

  it('takes the assignments of its time', async () => {
    const w = slot(host([1], [1], 'f32'));
    const values = [];
    for (let round = 0; round < 3; round++) {
      w.assign(w.value.add(1));
      void realize();
      values.push(w.data());
    }
    expect((await Promise.all(values)).map((value) => value[0])).toEqual([2, 3, 4]);
    // What is assigned after a read was asked for is not run with it.
    const before = w.value.mul(2);
    const [one, two] = [before.item(), before.add(1).item()];
    w.assign(w.value.add(1));
    const three = before.add(2).item();
    expect(await Promise.all([one, two, three])).toEqual([8, 9, 10]);
    expect([...(await w.data())]).toEqual([5]);
  });

  it('is computed outside of a function that asks for it while it is traced, or refused', async () => {
    const w = slot(host([1], [1], 'f32'));
    const doubled = compile((x: Tensor) => x.mul(2));
    const outside = tensor([3]).mul(2);
    const reads: Promise<unknown>[] = [];
    const step = compile((x: Tensor) => {
      w.assign(w.value.add(x));
      const asked = [x.data(), x.sum().item(), realize(x.mul(2)), doubled(x), w.value.data(), outside.item(), w.data(), realize()];
      reads.push(...asked.map((read) => read.catch((error: { code?: string }) => error.code)));
      return w.value;
    });
    expect(await (await step(tensor([5]))).array()).toEqual([6]);
    expect((await Promise.all(reads)).map((read) => (read instanceof Float32Array ? read[0] : read))).toEqual([
      ...Array(5).fill('stale'),
      6,
      6,
      undefined,
    ]);
    expect(await w.data()).toEqual(Float32Array.of(6));
  });

  it('is done before arguments and plans are disposed of', async () => {
    const bytes = await memoryBytes();
    const double = compile((x: Tensor) => x.mul(2));
    const x = large();
    const calls = [double(x), double(x.add(1))];
    x.dispose();
    double.dispose();
    const results = await Promise.all(calls);
    expect(await Promise.all(results.map(async (result) => (await result.data())[1]))).toEqual([2, 4]);
    for (const result of results) result.dispose();
    if (backend.name === 'cpu') expect(await memoryBytes()).toBe(bytes);
  });
});

it('is done before the backend is disposed of, or another is used', async () => {
  const wasm = await useBackend('wasm', { threads: 1 });
  const w = slot(host([2], [1, 2], 'f32'));
  await w.value.add(1).data();
  const reads = [w.value.mul(3).data(), w.data()];
  wasm.dispose();
  await useBackend(reference);
  expect((await Promise.all(reads)).map((read) => [...read])).toEqual([
    [3, 6],
    [1, 2],
  ]);
  expect(wasm.bytes).toBe(0);
});
