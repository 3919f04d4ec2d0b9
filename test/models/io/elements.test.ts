/** Every element type that .npy and .safetensors files hold is read exactly, or refused with what to save instead. */
import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCifar, parseIdx, parseNpy, parseSafetensors, serializeNpy, serializeSafetensors } from '../../../models/index.ts';
import { parseCheckpoint, serializeCheckpoint } from '../../../models/io/node.ts';
import { property } from '../../support/property.ts';
import { expectError } from '../support.ts';
import { bitsOf, hostArrays } from './arrays.ts';

const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

function npy(description: string, shape: string, data: readonly number[] | Uint8Array): Uint8Array {
  const header = `{'descr': ${description}, 'fortran_order': False, 'shape': ${shape}, }`;
  return Uint8Array.from([0x93, ...ascii('NUMPY'), 1, 0, header.length, 0, ...ascii(header), ...data]);
}

function safetensors(dtype: string, count: number, data: Uint8Array): Uint8Array {
  const header = JSON.stringify({ x: { dtype, shape: [count], data_offsets: [0, data.length] } });
  return Uint8Array.from([header.length, 0, 0, 0, 0, 0, 0, 0, ...ascii(header), ...data]);
}

/** Values as DataView writes them. */
function written(width: number, count: number, write: (view: DataView, at: number, i: number) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(width * count));
  for (let i = 0; i < count; i++) write(view, i * width, i);
  return new Uint8Array(view.buffer);
}

type Write = (view: DataView, at: number, value: number, littleEndian: boolean) => void;
/** Types of whole numbers: their width, their bounds and how DataView writes them. */
const wholes: Readonly<Record<string, readonly [npy: string, width: number, low: number, high: number, write: Write]>> = {
  U64: ['u8', 8, 0, 2 ** 31 - 1, (view, at, value, little) => view.setBigUint64(at, BigInt(value), little)],
  I64: ['i8', 8, -(2 ** 31), 2 ** 31 - 1, (view, at, value, little) => view.setBigInt64(at, BigInt(value), little)],
  U32: ['u4', 4, 0, 2 ** 31 - 1, (view, at, value, little) => view.setUint32(at, value, little)],
  I32: ['i4', 4, -(2 ** 31), 2 ** 31 - 1, (view, at, value, little) => view.setInt32(at, value, little)],
  U16: ['u2', 2, 0, 65_535, (view, at, value, little) => view.setUint16(at, value, little)],
  I16: ['i2', 2, -32_768, 32_767, (view, at, value, little) => view.setInt16(at, value, little)],
  U8: ['u1', 1, 0, 255, (view, at, value) => view.setUint8(at, value)],
  I8: ['i1', 1, -128, 127, (view, at, value) => view.setInt8(at, value)],
  BOOL: ['b1', 1, 0, 1, (view, at, value) => view.setUint8(at, value)],
};

/** What NumPy says for the same type, without an order. */
const words: Readonly<Record<string, readonly string[]>> = {
  u8: ['uint64', 'Q'],
  i8: ['int64', 'q'],
  u4: ['uint32', 'I'],
  i4: ['int32', 'i'],
  u2: ['uint16', 'H'],
  i2: ['int16', 'h'],
  u1: ['uint8', 'B'],
  i1: ['int8', 'b'],
  b1: ['bool', '?'],
};

describe('whole numbers', () => {
  it.each(Object.entries(wholes))('of %s are read exactly, in every order and by every name', (name, [code, width, low, high, write]) =>
    property([fc.array(fc.oneof(fc.integer({ min: low, max: high }), fc.constantFrom(low, high)), { maxLength: 6 })], (values) => {
      const data = (little: boolean): Uint8Array => written(width, values.length, (view, at, i) => write(view, at, values[i]!, little));
      for (const description of [`<${code}`, `=${code}`, `|${code}`, code, ...words[code]!])
        expect([...parseNpy(npy(`'${description}'`, `(${values.length},)`, data(true))).data]).toEqual(values);
      expect([...parseNpy(npy(`'>${code}'`, `(${values.length},)`, data(false))).data]).toEqual(values);
      expect([...parseSafetensors(safetensors(name, values.length, data(true))).tensors.get('x')!.data]).toEqual(values);
    }),
  );

  it('beyond i32 are refused by their exact value, with what to save', () => {
    const large = written(8, 2, (view, at, i) => view.setBigUint64(at, i === 0 ? 7n : 2n ** 64n - 1n, true));
    expectError(() => parseNpy(npy("'<u8'", '(2,)', large)), 'format', /element 1 is 18446744073709551615.*astype\('f8'\)/);
    expectError(() => parseSafetensors(safetensors('U64', 2, large)), 'format', /'x': element 1 is 18446744073709551615.*tensor\.double/);
    const negative = written(8, 1, (view, at) => view.setBigInt64(at, -(2n ** 31n) - 1n, true));
    expectError(() => parseNpy(npy("'i8'", '(1,)', negative)), 'format', /element 0 is -2147483649/);
    const word = written(4, 1, (view, at) => view.setUint32(at, 2 ** 31, true));
    expectError(() => parseNpy(npy("'<u4'", '(1,)', word)), 'format', /element 0 is 2147483648/);
    expectError(() => parseSafetensors(safetensors('BOOL', 1, Uint8Array.of(2))), 'format', /element 0 is 2.*view\('u1'\)/);
  });
});

describe('floats', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const read = (dtype: string): number[] => [...parseSafetensors(safetensors(dtype, 256, all)).tensors.get('x')!.data];

  it('of 8 bits are those of the OCP standard', () => {
    // Its table of values: the largest, the smallest normal and subnormal, and what is special.
    const e4m3 = read('F8_E4M3');
    expect([0x7e, 0x08, 0x07, 0x01, 0x38, 0xfe].map((bits) => e4m3[bits])).toEqual([448, 2 ** -6, 0.875 * 2 ** -6, 2 ** -9, 1, -448]);
    expect([e4m3[0x7f], e4m3[0xff]]).toEqual([NaN, NaN]);
    expect(e4m3.filter(Number.isNaN).length).toBe(2);
    const e5m2 = read('F8_E5M2');
    expect([0x7b, 0x04, 0x03, 0x01, 0x3c, 0xfb].map((bits) => e5m2[bits])).toEqual([
      57_344,
      2 ** -14,
      0.75 * 2 ** -14,
      2 ** -16,
      1,
      -57_344,
    ]);
    expect([e5m2[0x7c], e5m2[0xfc], e5m2.filter(Number.isNaN).length]).toEqual([Infinity, -Infinity, 6]);
    expect([Object.is(e4m3[0x80], -0), Object.is(e5m2[0x80], -0)]).toEqual([true, true]);
    // Positive values rise with their bits.
    for (const values of [e4m3.slice(0, 0x7f), e5m2.slice(0, 0x7d)]) expect(values).toEqual(values.toSorted((a, b) => a - b));
    const e8m0 = read('F8_E8M0');
    expect([e8m0[0], e8m0[127], e8m0[254], e8m0[255]]).toEqual([2 ** -127, 1, 2 ** 127, NaN]);
  });

  it('of every width are read in every order', () => {
    const values = [0, -0, 1, -1.5, 2 ** -14, 65_504, Infinity, -Infinity, NaN];
    for (const [code, width, write] of [
      ['f4', 4, (view: DataView, at: number, value: number, little: boolean) => view.setFloat32(at, value, little)],
      ['f8', 8, (view: DataView, at: number, value: number, little: boolean) => view.setFloat64(at, value, little)],
    ] as const)
      for (const order of ['<', '>', '=', ''])
        expect([
          ...parseNpy(
            npy(
              `'${order}${code}'`,
              '(9,)',
              written(width, 9, (view, at, i) => write(view, at, values[i]!, order !== '>')),
            ),
          ).data,
        ]).toEqual(values);
    const halves = [0, 0x8000, 0x3c00, 0xbe00, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00];
    for (const order of ['<', '>', '=', ''])
      expect([
        ...parseNpy(
          npy(
            `'${order}f2'`,
            '(9,)',
            written(2, 9, (view, at, i) => view.setUint16(at, halves[i]!, order !== '>')),
          ),
        ).data,
      ]).toEqual(values);
  });
});

describe('what cannot be read', () => {
  it.each([
    ["'<c8'", /'<c8'.*array\.real/],
    ["'<f16'", /'<f16'.*astype\('<f8'\)/],
    ["'<M8[ns]'", /astype\('i8'\)/],
    ["'|O'", /'\|O'.*tolist/],
    ["'<U3'", /'<U3'.*unique/],
    ["'|V2'", /'\|V2'.*bfloat16/],
    ["[('a', '<f4'), ('b', '<i4')]", /elements are structured.*numpy\.save\('x\.npy', array\['x'\]\)/],
  ])('of .npy: %s is refused with a remedy', (description, message) => {
    expectError(() => parseNpy(npy(description, '(1,)', new Uint8Array(8))), 'format', message);
  });

  it('of .safetensors: likewise', () => {
    for (const dtype of ['C64', 'F4', 'F6_E2M3', 'I4'])
      expectError(
        () => parseSafetensors(safetensors(dtype, 1, new Uint8Array(8))),
        'format',
        new RegExp(`'x' holds ${dtype}.*tensor\\.float`),
      );
  });
});

describe('bytes', () => {
  const file = serializeNpy({ dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) });
  /** TypeScript knows of resizable buffers from ES2024 on. */
  const resizable = (length: number, most: number): ArrayBuffer & { resize(length: number): void } =>
    Reflect.construct(ArrayBuffer, [length, { maxByteLength: most }]);
  const shared = (bytes: Uint8Array): Uint8Array => {
    const view = new Uint8Array(new SharedArrayBuffer(bytes.length));
    view.set(bytes);
    return view;
  };
  const context = createContext({ length: file.length, bytes: [...file] });
  /** The same bytes, held in every way. */
  const ways: Readonly<Record<string, (bytes: Uint8Array) => Parameters<typeof parseNpy>[0]>> = {
    ArrayBuffer: (bytes) => bytes.slice().buffer,
    SharedArrayBuffer: (bytes) => shared(bytes).buffer,
    'a view of shared memory': shared,
    'a Node Buffer': (bytes) => Buffer.from(bytes),
    DataView: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    Uint8ClampedArray: (bytes) => Uint8ClampedArray.from(bytes),
    Int8Array: (bytes) => Int8Array.from(bytes),
    'a view that begins later': (bytes) => Uint8Array.from([9, 9, 9, ...bytes, 9]).subarray(3, 3 + bytes.length),
    'an array of another realm': (bytes) => runInContext('(bytes) => Uint8Array.from(bytes)', context)([...bytes]),
    'an ArrayBuffer of another realm': (bytes) => runInContext('(bytes) => Uint8Array.from(bytes).buffer', context)([...bytes]),
    'a resizable buffer': (bytes) => {
      const buffer = resizable(bytes.length, 2 * bytes.length);
      new Uint8Array(buffer).set(bytes);
      return buffer;
    },
    'a view that follows a resizable buffer': (bytes) => {
      const buffer = resizable(1, bytes.length);
      const view = new Uint8Array(buffer);
      buffer.resize(bytes.length);
      view.set(bytes);
      return view;
    },
  };

  it.each(Object.entries(ways))('are read from %s', (_, held) =>
    property(
      [hostArrays],
      (array) => {
        expect(bitsOf(parseNpy(held(serializeNpy(array))))).toEqual(bitsOf(array));
        const { tensors, metadata } = parseSafetensors(held(serializeSafetensors([['x', array]], [['a', 'b']])));
        expect([bitsOf(tensors.get('x')!), [...metadata]]).toEqual([bitsOf(array), [['a', 'b']]]);
      },
      { numRuns: 20 },
    ),
  );

  it.each(Object.entries(ways))('of IDX, CIFAR and checkpoints are read from %s', (_, held) => {
    expect([...parseIdx(held(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6))).data]).toEqual([5, 6]);
    expect([...parseCifar([held(new Uint8Array(3073).fill(3))], 'cifar10').labels.data]).toEqual([3]);
    const checkpoint = { tensors: new Map(), step: 1, epoch: 0, batch: 0, key: [1], config: {}, metrics: [] };
    expect(parseCheckpoint(held(serializeCheckpoint(checkpoint)))).toEqual(checkpoint);
  });

  it('are refused with words where they are none, or gone', () => {
    expectError(() => parseNpy(new Float32Array(4) as never), 'argument', /got a Float32Array; new Uint8Array\(x\.buffer/);
    expectError(() => parseNpy('x.npy' as never), 'argument', /got 'x\.npy'; as of readFile/);
    expectError(() => parseNpy([1, 2] as never), 'argument', /got an array/);
    expectError(() => parseNpy({} as never), 'argument', /got an object/);
    expectError(() => parseSafetensors(new Blob([]) as never), 'argument', /got a Blob.*arrayBuffer\(\)/);
    const [view, buffer, words] = [Uint8Array.from(file), new ArrayBuffer(8), new DataView(new ArrayBuffer(8))];
    structuredClone(null, { transfer: [view.buffer, buffer, words.buffer] });
    for (const gone of [view, buffer, words]) expectError(() => parseNpy(gone), 'argument', /buffer was transferred/);
    const shrinking = resizable(16, 16);
    const cut = new Uint8Array(shrinking, 8, 8);
    shrinking.resize(4);
    expectError(() => parseNpy(cut), 'argument', /made smaller/);
  });
});
