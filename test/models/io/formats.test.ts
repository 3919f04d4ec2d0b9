import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostArray } from '../../../engine/dtype.ts';
import { parseNpy, parseSafetensors, serializeNpy, serializeSafetensors } from '../../../models/io/index.ts';
import { property } from '../../support/property.ts';
import { bitsOf, bytesAllocated, damages, hostArrays, parsedOrRefused } from './arrays.ts';
import recordings from './recordings.json' with { type: 'json' };

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

function expectValues({ data, shape }: HostArray, expected: { shape: number[]; values: string[] }): void {
  expect(shape).toEqual(expected.shape);
  expect([...data]).toEqual(expected.values.map((value) => ({ nan: NaN, inf: Infinity, '-inf': -Infinity })[value] ?? Number(value)));
}

/** A .npy file with any header text. */
function npyWith(header: string, data: Uint8Array, version = 1): Uint8Array {
  const length =
    version === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, (header.length >> 8) & 255, header.length >> 16, 0];
  return Uint8Array.from([...latin1('\x93NUMPY'), version, 0, ...length, ...latin1(header), ...data]);
}

function safetensorsWith(header: string, data = new Uint8Array(), claimed = BigInt(new TextEncoder().encode(header).length)): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, claimed, true);
  return Uint8Array.from([...length, ...new TextEncoder().encode(header), ...data]);
}

describe('.npy', () => {
  it.each(recordings.npy)('reads what NumPy writes: $name', ({ npy, ...expected }) => expectValues(parseNpy(fromBase64(npy)), expected));

  it.each(['f32', 'f64', 'i32', 'u8', 'scalar', 'empty', 'vector'])('writes the bytes that NumPy writes: %s', (name) => {
    const bytes = fromBase64(recordings.npy.find((recording) => recording.name === name)!.npy);
    expect([...serializeNpy(parseNpy(bytes))]).toEqual([...bytes]);
  });

  it.each(Object.entries(recordings.refused))('refuses %s', (_, npy) => {
    expect(() => parseNpy(fromBase64(npy))).toThrow(expect.objectContaining({ code: 'format' }));
  });

  it('round-trips every array, bit for bit', () =>
    property([hostArrays], (array) => {
      expect(bitsOf(parseNpy(serializeNpy(array)))).toEqual(bitsOf(array));
    }));

  it('survives damage: a TensegrityError, or an array no larger than four times the file', () =>
    property(
      [hostArrays, fc.array(damages, { minLength: 1, maxLength: 3 })],
      (array, changes) => {
        const bytes = changes.reduce((current, change) => change(current), serializeNpy(array) as Uint8Array);
        expect(bytesAllocated(() => parsedOrRefused(() => parseNpy(bytes)))).toBeLessThanOrEqual(8 * bytes.length);
      },
      { numRuns: 1000 },
    ));

  it('survives lying headers', () =>
    property(
      [
        fc.constantFrom('<f4', '>f8', '|u1', '|b1', '|i1', '<i8', '<f2', '<U1', '|O', '=f4', ''),
        fc.constantFrom('True', 'False', '1', ''),
        fc.array(fc.oneof(fc.nat(3), fc.maxSafeNat(), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53, 1e30)), { maxLength: 70 }),
        fc.uint8Array({ maxLength: 40 }),
      ],
      (description, order, shape, data) => {
        const bytes = npyWith(`{'descr': '${description}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')},), }\n`, data);
        expect(bytesAllocated(() => parsedOrRefused(() => parseNpy(bytes)))).toBeLessThanOrEqual(8 * bytes.length);
      },
      { numRuns: 1000 },
    ));

  it.each([
    ['an empty file', new Uint8Array()],
    ['another magic', latin1('\x93NUMPZ\x01\x00\x00\x00')],
    ['an unknown version', npyWith('{}', new Uint8Array(), 4)],
    ['a header beyond the file', latin1('\x93NUMPY\x01\x00\xff\xff{')],
    ['a header of 4 GB', latin1('\x93NUMPY\x02\x00\xff\xff\xff\xff{')],
    ['no header', npyWith('', new Uint8Array())],
    ['a key twice', npyWith("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", new Uint8Array(4))],
    ['an unknown key', npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': ()}", new Uint8Array(4))],
    ['an inherited key', npyWith("{'constructor': '<f4', 'fortran_order': False, 'shape': ()}", new Uint8Array(4))],
    ['an inherited type', npyWith("{'descr': '<constructor', 'fortran_order': False, 'shape': ()}", new Uint8Array(4))],
    ['a key missing', npyWith("{'descr': '<f4', 'shape': ()}", new Uint8Array(4))],
    ['a negative dimension', npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", new Uint8Array(4))],
    ['code', npyWith("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", new Uint8Array(4))],
    ['more after the header', npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", new Uint8Array(4))],
    ['trailing bytes', npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", new Uint8Array(5))],
    [
      'dimensions too large to count',
      npyWith(`{'descr': '<f4', 'fortran_order': False, 'shape': (${'9007199254740991, '.repeat(40)}0)}`, new Uint8Array()),
    ],
    ['a boolean of 2', npyWith("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", Uint8Array.of(2))],
  ])('refuses %s', (_, bytes) => expect(() => parseNpy(bytes)).toThrow(expect.objectContaining({ code: 'format' })));

  it('says of structured elements that they are not read, and how to save them', () => {
    for (const descr of ["[('a', '<i4'), ('b', '<f4')]", "[('a', '<i4', (2,))]", "('<f4', (3,))"]) {
      const header = `{'descr': ${descr}, 'fortran_order': False, 'shape': (1,), }`.padEnd(117);
      const bytes = Uint8Array.from([
        0x93,
        ...new TextEncoder().encode('NUMPY'),
        1,
        0,
        header.length + 1,
        0,
        ...new TextEncoder().encode(`${header}\n`),
        0,
        0,
        0,
        0,
      ]);
      expect(() => parseNpy(bytes)).toThrow(/its elements are structured .* not read; save each field as an array of its own/);
    }
  });

  it('refuses to write data that does not fill its shape', () => {
    expect(() => serializeNpy({ dtype: 'u8', shape: [3], data: new Uint8Array(2) })).toThrow(expect.objectContaining({ code: 'shape' }));
  });
});

describe('.safetensors', () => {
  const names = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', '10', '2', '"\\\u0000', '\ud800'));
  const contents = fc.tuple(
    fc.uniqueArray(fc.tuple(names, hostArrays), { selector: ([name]) => name, maxLength: 5 }),
    fc.uniqueArray(fc.tuple(names, fc.string({ unit: 'grapheme' })), { selector: ([name]) => name, maxLength: 3 }),
  );

  it('reads what the reference implementation writes', () => {
    const { tensors, metadata } = parseSafetensors(fromBase64(recordings.safetensors));
    expect(Object.fromEntries(metadata)).toEqual({ by: 'safetensors', ünï: '"x"\n' });
    expect([...tensors.keys()].sort()).toEqual(Object.keys(recordings.tensors).sort());
    for (const [name, expected] of Object.entries(recordings.tensors)) expectValues(tensors.get(name)!, expected);
  });

  it('round-trips every content, bit for bit, in order', () =>
    property([contents], ([tensors, metadata]) => {
      const bytes = serializeSafetensors(tensors, metadata);
      const parsed = parseSafetensors(bytes);
      expect([...parsed.tensors].map(([name, array]) => [name, bitsOf(array)])).toEqual(
        tensors.map(([name, array]) => [name, bitsOf(array)]),
      );
      expect([...parsed.metadata]).toEqual(metadata);
      expect([...serializeSafetensors(parsed.tensors, parsed.metadata)]).toEqual([...bytes]);
    }));

  it('aligns every tensor in the file', () =>
    property([contents], ([tensors, metadata]) => {
      const bytes = serializeSafetensors(tensors, metadata);
      const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)));
      for (const [name, { data }] of tensors)
        expect((8 + headerLength + Object.getOwnPropertyDescriptor(header, name)!.value.data_offsets[0]) % data.BYTES_PER_ELEMENT).toBe(0);
    }));

  it('survives damage: a TensegrityError, or tensors no larger than four times the file', () =>
    property(
      [contents, fc.array(damages, { minLength: 1, maxLength: 3 })],
      ([tensors, metadata], changes) => {
        const bytes = changes.reduce((current, change) => change(current), serializeSafetensors(tensors, metadata) as Uint8Array);
        expect(bytesAllocated(() => parsedOrRefused(() => parseSafetensors(bytes)))).toBeLessThanOrEqual(4 * bytes.length);
      },
      { numRuns: 1000 },
    ));

  it('survives lying headers', () =>
    property(
      [
        fc.dictionary(
          names,
          fc.record(
            {
              dtype: fc.constantFrom('F32', 'I8', 'BOOL', 'F8_E4M3', 'constructor'),
              shape: fc.array(fc.oneof(fc.nat(3), fc.maxSafeNat()), { maxLength: 40 }),
              data_offsets: fc.array(fc.oneof(fc.nat(16), fc.maxSafeNat()), { minLength: 1, maxLength: 3 }),
            },
            { requiredKeys: ['dtype'] },
          ),
          { maxKeys: 3 },
        ),
        fc.uint8Array({ maxLength: 24 }),
      ],
      (header, data) => {
        const bytes = safetensorsWith(JSON.stringify(header), data);
        expect(bytesAllocated(() => parsedOrRefused(() => parseSafetensors(bytes)))).toBeLessThanOrEqual(4 * bytes.length);
      },
      { numRuns: 1000 },
    ));

  const entry = (shape: number[], begin: number, end: number, dtype = 'U8'): string =>
    JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
  it.each([
    ['an empty file', new Uint8Array()],
    ['a header of 2^63 bytes', safetensorsWith('{}', new Uint8Array(), 2n ** 63n)],
    ['a header beyond the file', safetensorsWith('{}', new Uint8Array(), 3n)],
    ['a header beyond the cap', Uint8Array.from([...safetensorsWith('', new Uint8Array(), 2n ** 24n + 1n)])],
    ['no JSON', safetensorsWith('hello')],
    ['a byte order mark', safetensorsWith('\ufeff{}')],
    ['bad UTF-8', Uint8Array.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff])],
    ['deep nesting', safetensorsWith(`{"a":${'['.repeat(100_000)}`)],
    ['a name twice', safetensorsWith(`{"a":${entry([1], 0, 1)},"a":${entry([1], 1, 2)}}`, new Uint8Array(2))],
    ['metadata twice', safetensorsWith('{"__metadata__":{},"__metadata__":{}}')],
    ['metadata that is no text', safetensorsWith('{"__metadata__":{"a":1}}')],
    ['overlapping tensors', safetensorsWith(`{"a":${entry([2], 0, 2)},"b":${entry([2], 1, 3)}}`, new Uint8Array(3))],
    ['a hole', safetensorsWith(`{"a":${entry([1], 0, 1)},"b":${entry([1], 2, 3)}}`, new Uint8Array(3))],
    ['data beyond the last tensor', safetensorsWith(`{"a":${entry([1], 0, 1)}}`, new Uint8Array(2))],
    ['a tensor beyond the file', safetensorsWith(`{"a":${entry([2 ** 40], 0, 2 ** 40)}}`, new Uint8Array(2))],
    ['a shape that does not fill its bytes', safetensorsWith(`{"a":${entry([1], 0, 2)}}`, new Uint8Array(2))],
    ['offsets that run backwards', safetensorsWith('{"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}')],
    ['a fractional offset', safetensorsWith('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0.5]}}')],
    ['an unknown field', safetensorsWith('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[]}}')],
    ['an element type that is not read', safetensorsWith(`{"a":${entry([1], 0, 1, 'F4')}}`, new Uint8Array(1))],
    ['a 64-bit whole number that does not fit', safetensorsWith(`{"a":${entry([1], 0, 8, 'I64')}}`, new Uint8Array(8).fill(0x7f))],
    ['a control character in a name', safetensorsWith(`{"a\n":${entry([0], 0, 0)}}`)],
    ['a name that is never closed', safetensorsWith(`{"${'\\"'.repeat(100_000)}`)],
    ['a trailing comma', safetensorsWith(`{"a":${entry([0], 0, 0)},}`)],
  ])('refuses %s', (_, bytes) => expect(() => parseSafetensors(bytes)).toThrow(expect.objectContaining({ code: 'format' })));

  it('reads bfloat16', () => {
    const { tensors } = parseSafetensors(
      safetensorsWith(`{"a":${entry([3], 0, 6, 'BF16')}}`, Uint8Array.of(0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f)),
    );
    expect([...tensors.get('a')!.data]).toEqual([1, -3.140625, Infinity]);
  });

  it('refuses to write a name twice, or the reserved one', () => {
    const array: HostArray = { dtype: 'u8', shape: [], data: new Uint8Array(1) };
    const argument = expect.objectContaining({ code: 'argument' });
    expect(() =>
      serializeSafetensors([
        ['a', array],
        ['a', array],
      ]),
    ).toThrow(argument);
    expect(() => serializeSafetensors([['__metadata__', array]])).toThrow(argument);
    expect(() => serializeSafetensors([], [['long', 'x'.repeat(2 ** 24)]])).toThrow(argument);
  });
});
