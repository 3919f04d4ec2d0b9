/** Arrays that callers bring: of every type, of other realms, over every kind of buffer; and objects of another copy of the package. */
import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { dtypeOf } from '../../engine/dtype.ts';
import {
  compile,
  grad,
  type HostArray,
  slot,
  TensegrityError,
  type Tensor,
  type TypedArray,
  tensor,
  useBackend,
} from '../../engine/index.ts';
import { expectError } from '../support/errors.ts';
import { property } from '../support/property.ts';
import { gpu } from './backends/webgpu/gpu.ts';
import { reference } from './support.ts';

/** `body` with the globals of another realm. */
const elsewhere = (body: string): never => runInContext(body, createContext({})) as never;

interface Kind {
  readonly type: string;
  readonly dtype: 'f32' | 'f64' | 'i32' | 'u8';
  readonly values: fc.Arbitrary<number | bigint>;
}
const whole = (min: number, max: number): fc.Arbitrary<number> => fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max));
const big = (min: number, max: number): fc.Arbitrary<bigint> => whole(min, max).map(BigInt);
const most = 2 ** 31 - 1;
const kinds: readonly Kind[] = [
  { type: 'Float32Array', dtype: 'f32', values: fc.float() },
  { type: 'Float64Array', dtype: 'f64', values: fc.double() },
  { type: 'Int32Array', dtype: 'i32', values: whole(-most - 1, most) },
  { type: 'Uint32Array', dtype: 'i32', values: whole(0, most) },
  { type: 'Int16Array', dtype: 'i32', values: whole(-32_768, 32_767) },
  { type: 'Uint16Array', dtype: 'i32', values: whole(0, 65_535) },
  { type: 'Int8Array', dtype: 'i32', values: whole(-128, 127) },
  { type: 'Uint8Array', dtype: 'u8', values: whole(0, 255) },
  { type: 'Uint8ClampedArray', dtype: 'u8', values: whole(0, 255) },
  { type: 'BigInt64Array', dtype: 'i32', values: big(-most - 1, most) },
  { type: 'BigUint64Array', dtype: 'i32', values: big(0, most) },
  ...('Float16Array' in globalThis
    ? [{ type: 'Float16Array', dtype: 'f32', values: fc.constantFrom(0, -0, 1.5, -2, 65_504, 2 ** -24, Infinity, Number.NaN) } as const]
    : []),
];
const made = (type: string, values: readonly (number | bigint)[]): TypedArray => Reflect.get(globalThis, type).from(values);

describe('typed arrays', () => {
  beforeAll(async () => {
    await useBackend(reference);
  });

  it.each(kinds)('$type is read as $dtype, exactly; of another realm, and inside arrays', ({ type, dtype, values }) =>
    property(
      [fc.array(values, { minLength: 1, maxLength: 5 })],
      async (elements) => {
        const numbers = elements.map(Number);
        const array = made(type, elements);
        const foreign = elsewhere(`(values) => ${type}.from(values)`) as (values: unknown) => TypedArray;
        const shifted = made(type, [elements[0]!, ...elements, elements[0]!]).subarray(1, -1);
        for (const given of [array, foreign(elements), shifted]) {
          const read = tensor(given);
          expect([read.dtype, read.shape, [...(await read.data())]]).toEqual([dtype, [elements.length], numbers]);
          const rows = tensor([given, given]);
          expect([rows.dtype, rows.shape, [...(await rows.data())]]).toEqual([dtype, [2, elements.length], [...numbers, ...numbers]]);
          expect([...(await tensor(given, { dtype: 'f64', shape: [elements.length, 1] }).data())]).toEqual(numbers);
          const kept = slot({ dtype, shape: [elements.length], data: await read.data() });
          kept.set(given);
          expect([...(await kept.data())]).toEqual(numbers);
        }
      },
      { numRuns: 20 },
    ),
  );

  it('whose values the type does not have are refused by the value', () => {
    expectError(() => tensor(Uint32Array.of(1, 2 ** 31)), 'dtype', /element 1 is 2147483648, no value of i32.*Float64Array\.from/);
    expectError(() => tensor(BigUint64Array.of(2n ** 64n - 1n)), 'dtype', /element 0 is 18446744073709551615/);
    expectError(() => tensor(BigInt64Array.of(-(2n ** 31n) - 1n)), 'dtype', /element 0 is -2147483649/);
    expectError(() => tensor([Int32Array.of(1), Uint32Array.of(2 ** 32 - 1)]), 'dtype', /is 4294967295/);
    expectError(() => tensor(Float32Array.of(0, 256), { dtype: 'u8' }), 'dtype', /element 1 is 256, no value of u8/);
    expectError(() => tensor([[1, Number.NaN]], { dtype: 'i32' }), 'dtype', /element 1 is NaN/);
    expectError(() => slot({ dtype: 'u8', shape: [1], data: Uint8Array.of(1) }).set(Int16Array.of(-1)), 'dtype', /slot: element 0 is -1/);
    expectError(
      () => slot({ dtype: 'i32', shape: [1], data: Int32Array.of(1) }).set(BigInt64Array.of(2n ** 40n)),
      'dtype',
      /1099511627776/,
    );
  });

  it('inside arrays have the widest type, and f32 beside plain numbers', async () => {
    expect(tensor([Uint8Array.of(1), Int8Array.of(2)]).dtype).toBe('i32');
    expect(tensor([[Uint8Array.of(1)], [Float64Array.of(2)]]).dtype).toBe('f64');
    expect(tensor([[1, 2], Uint8Array.of(3, 4)]).dtype).toBe('f32');
    expect(tensor([]).dtype).toBe('f32');
    expect(tensor([new Int32Array(0)]).shape).toEqual([1, 0]);
    const exact = tensor([Int32Array.of(2 ** 24 + 1)]);
    expect([...(await exact.data())]).toEqual([2 ** 24 + 1]);
    expectError(() => tensor([Float32Array.of(1, 2), Float32Array.of(1)]), 'shape', /ragged nesting; expected 2 entries at depth 1, got 1/);
    expectError(() => tensor([[[1], [2]], Float32Array.of(1, 2)]), 'shape', /ragged/);
    expectError(() => tensor([Float32Array.of(1, 2), [[1], [2]]]), 'shape', /ragged/);
    expectError(() => tensor([1, Float32Array.of(1)]), 'shape', /ragged/);
  });

  it('that are clamped wrap as u8 does, once they are here', async () => {
    const host: HostArray = { dtype: 'u8', shape: [2], data: Uint8ClampedArray.of(250, 1) as unknown as Uint8Array };
    const [x, kept] = [tensor(host), slot(host)];
    expect(await kept.data()).toBeInstanceOf(Uint8Array);
    expect([...(await x.add(10).cast('u8').data())]).toEqual([...(await kept.value.add(10).cast('u8').data())]);
    expect(await x.data()).toBeInstanceOf(Uint8Array);
  });

  it('over any memory are read: shared, resizable, a Node Buffer; a slot keeps a copy', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([1, 2]);
    expect(await tensor(shared).sum().item()).toBe(3);
    const resizable: ArrayBuffer = Reflect.construct(ArrayBuffer, [4, { maxByteLength: 16 }]);
    const following = new Float32Array(resizable);
    (resizable as ArrayBuffer & { resize(length: number): void }).resize(12);
    expect(tensor(following).shape).toEqual([3]);
    const buffer = Buffer.from([1, 2]);
    const kept = slot({ dtype: 'u8', shape: [2], data: buffer });
    const read = await tensor(buffer).data();
    buffer[0] = 9;
    expect([...(await kept.data())]).toEqual([1, 2]);
    expect([...read]).toEqual([1, 2]);
  });

  it('whose memory is gone are refused, and do not pass for empty ones', () => {
    const transferred = Float32Array.of(1, 2);
    structuredClone(null, { transfer: [transferred.buffer] } as never);
    expectError(() => tensor(transferred), 'argument', /transferred or made smaller/);
    expectError(() => tensor([transferred]), 'argument', /transferred or made smaller/);
    const resizable: ArrayBuffer = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]);
    const cut = new Float32Array(resizable, 4, 1);
    (resizable as ArrayBuffer & { resize(length: number): void }).resize(4);
    expectError(() => tensor(cut), 'argument', /transferred or made smaller/);
    expect(tensor(new Float32Array(0)).shape).toEqual([0]);
  });

  it('are told from what is none', () => {
    expectError(() => tensor(new DataView(new ArrayBuffer(4)) as never), 'dtype', /Float32Array.*got a DataView/);
    expectError(() => tensor(new ArrayBuffer(4) as never), 'argument', /got an ArrayBuffer/);
    expectError(() => tensor(tensor(1) as never), 'argument', /got a Tensor/);
    expectError(() => tensor([1n] as never), 'argument', /got 1n at depth 1/);
    expectError(
      () => slot({ dtype: 'f32', shape: [1], data: Int16Array.of(1) } as never),
      'dtype',
      /got an Int16Array; tensor\(\) takes others/,
    );
    expectError(
      () => slot({ dtype: 'f32', shape: [1], data: Float32Array.of(1) }).set(new DataView(new ArrayBuffer(4)) as never),
      'shape',
      /elements/,
    );
    expect(dtypeOf(elsewhere('new Float64Array(2)'))).toBe('f64');
  });
});

describe('memory of every kind', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(5), 1, 3);
  shared.set([1, 2, 3]);
  const sharedFloats = new Float32Array(new SharedArrayBuffer(12));
  sharedFloats.set([1, 2, 3]);
  const resizable = new Float32Array(Reflect.construct(ArrayBuffer, [12, { maxByteLength: 100 }]) as ArrayBuffer);
  resizable.set([1, 2, 3]);
  const arrays = [
    shared,
    sharedFloats,
    resizable,
    Uint8ClampedArray.of(1, 2, 3),
    Buffer.from([1, 2, 3]),
    BigInt64Array.of(1n, 2n, 3n),
    elsewhere('Float32Array.of(1, 2, 3)'),
    elsewhere('new Uint8ClampedArray([1, 2, 3])'),
  ];

  const available = ['cpu', 'wasm', ...(gpu ? ['webgpu' as const] : [])] as const;
  it.each(available)('is read by %s', async (name) => {
    await useBackend(name === 'webgpu' ? gpu! : name);
    for (const array of arrays) {
      expect(await tensor(array).mul(2).array()).toEqual([2, 4, 6]);
      expect(await compile((x: Tensor) => x.add(1))(tensor(array)).then((sum) => sum.array())).toEqual([2, 3, 4]);
      const kept = slot({ dtype: 'f32', shape: [3], data: new Float32Array(3) });
      kept.set(array);
      expect(await kept.value.sum().item()).toBe(6);
    }
    await useBackend(reference);
  });
});

describe('two copies of the package', () => {
  it('are named in what one says of the objects of the other', async () => {
    vi.resetModules();
    const other = await import('../../engine/index.ts');
    const [foreign, foreignSlot] = [other.tensor([1]), other.slot({ dtype: 'f32', shape: [1], data: Float32Array.of(1) })];
    expect(foreign.constructor).not.toBe(tensor(1).constructor);
    const x = foreign as unknown as Tensor;
    const own = tensor([1]);
    const kept = slot({ dtype: 'f32', shape: [1], data: Float32Array.of(1) });
    const copies = /Tensor of another copy of tensegrity.*npm ls tensegrity/;
    for (const action of [
      () => own.add(x),
      () => own.matmul(x),
      () => own.equal(1).where(x, 0),
      () => grad(x, [own]),
      () => grad(own, [x]),
      () => kept.assign(x),
      () => tensor(x as never),
      () => tensor([x] as never),
    ])
      expectError(action, 'argument', copies);
    expectError(() => grad(own, [foreignSlot as never]), 'argument', /Slot of another copy/);
    const error = { code: 'argument', message: expect.stringMatching(copies) };
    await expect(compile((a: Tensor) => a)(x)).rejects.toMatchObject(error);
    await expect(compile(() => x)()).rejects.toMatchObject(error);
    await expect(compile(() => ({ inner: [x] }))()).rejects.toMatchObject(error);
    // What both say is told by name and code.
    expect(other.TensegrityError).not.toBe(TensegrityError);
    expect(new other.TensegrityError('shape', '')).toMatchObject({ name: 'TensegrityError', code: 'shape' });
  });
});
