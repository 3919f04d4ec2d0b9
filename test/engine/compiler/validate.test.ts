import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MovingKernel, movesOf } from '../../../engine/compiler/moves.ts';
import type { BufferSpec, Kernel, Program, View } from '../../../engine/compiler/plan.ts';
import { planFaults, validatePlan } from '../../../engine/compiler/validate.ts';
import type { DType } from '../../../engine/dtype.ts';
import type { TensegrityError } from '../../../engine/errors.ts';
import { type Shape, sizeOf } from '../../../engine/shape.ts';
import { property } from '../../support/property.ts';
import { buffer, contiguous, identity, type KernelBody, planOf, program, singleKernelPlan } from '../backends/plans.ts';
import { elements } from '../backends/wasm/strided.ts';

const two = (number: number, offset = 0): View => ({ ...contiguous(number, { dtype: 'f32', shape: [2] }), offset });
const map = (from: View, to: View, body: Program = identity): Kernel => ({
  kind: 'map',
  shape: [2],
  program: body,
  inputs: [from],
  outputs: [to],
});
const ends = [buffer('input', 'f32', 2), buffer('output', 'f32', 2)];
const scratch = (offset: number): BufferSpec => buffer('scratch', 'f32', 2, offset);
const faults = (buffers: BufferSpec[], kernels: Kernel[], arenaBytes = 16) => planFaults(planOf(buffers, kernels, arenaBytes));

describe('buffers and views', () => {
  it('finds nothing in a sound plan', () => {
    expect(faults(ends, [map(two(0), two(1))])).toEqual([]);
    expect(() => validatePlan(planOf(ends, [map(two(0), two(1))]))).not.toThrow();
  });

  it.each<[string, BufferSpec[], Kernel[]]>([
    ['reaches elements 1 to 2 of buffer 0, which has 2', ends, [map(two(0, 1), two(1))]],
    ['there is no buffer 7', ends, [map(two(7), two(1))]],
    ['a view as i32 of buffer 0, which holds f32', ends, [map({ ...two(0), dtype: 'i32' }, two(1))]],
    ['strides [0] put two elements of [2] in one place', ends, [map(two(0), { ...two(1), strides: [0] })]],
    ['strides [] do not go with shape [2]', ends, [map({ ...two(0), strides: [] }, two(1))]],
    ['offset 2 is not aligned to f32', [...ends, scratch(2)], [map(two(0), two(1))]],
    ['ends at byte 20 of an arena of 16', [...ends, scratch(12)], [map(two(0), two(1))]],
    ['kernel 0 (map) writes buffer 0, which is an input', ends, [map(two(0), two(0))]],
    ['no kernel writes output 1', ends, []],
    ['reads buffer 2, which nothing has written yet', [...ends, scratch(0)], [map(two(2), two(1))]],
  ])('says: %s', (fault, buffers, kernels) => {
    expect(faults(buffers, kernels).join('\n')).toContain(fault);
    expect(() => validatePlan(planOf(buffers, kernels, 16))).toThrow(fault);
  });
});

describe('memory', () => {
  const chain = (a: number, b: number) => [...ends, scratch(a), scratch(b)];

  it('lets buffers share bytes when their lives do not meet, or in place', () => {
    const inTurn = [map(two(0), two(2)), map(two(2), two(1)), map(two(0), two(3)), map(two(3), two(1))];
    expect(faults(chain(0, 4), inTurn)).toEqual([]);
    expect(faults(chain(0, 0), [map(two(0), two(2)), map(two(2), two(3)), map(two(3), two(1))])).toEqual([]);
  });

  it('finds lives that meet', () => {
    const meeting = 'buffers 2 and 3 share bytes, and both are alive at kernel 1 (map)';
    expect(faults(chain(0, 4), [map(two(0), two(2)), map(two(2), two(3)), map(two(3), two(1))])).toEqual([meeting]);
    expect(faults(chain(0, 0), [map(two(0), two(2)), map(two(0), two(3)), map(two(2), two(1)), map(two(3), two(1))])).toEqual([meeting]);
    const reversed = { ...two(2, 1), strides: [-1] };
    expect(faults(chain(0, 0), [map(two(0), two(2)), map(reversed, two(3)), map(two(3), two(1))])).toEqual([meeting]);
    const sorted: Kernel = { kind: 'copy', inputs: [two(2)], outputs: [two(3)] };
    expect(faults(chain(0, 0), [map(two(0), two(2)), sorted, map(two(3), two(1))])).toEqual([
      'buffers 2 and 3 share bytes, and both are alive at kernel 1 (copy)',
    ]);
  });

  it('finds a slot that is read elsewhere than written', () => {
    const slot = buffer('slot', 'f32', 3);
    expect(faults([slot], [map(two(0), two(0))])).toEqual([]);
    expect(faults([slot], [map(two(0), two(0, 1))])).toEqual(['kernel 0 (map) reads buffer 0 elsewhere than it writes it']);
  });

  it('finds replacements in what was not there, or in what they read', () => {
    const cell = (number: number, offset = 0): View => ({ ...contiguous(number, { dtype: 'f32', shape: [1, 1, 1] }), offset });
    const row = (number: number): View => contiguous(number, { dtype: 'f32', shape: [1, 2, 1] });
    const index: View = { ...cell(2), dtype: 'i32' };
    const buffers = [...ends, buffer('input', 'i32', 1), buffer('slot', 'f32', 2)];
    const replace = (updates: View, out: View): Kernel => ({ kind: 'scatter', inputs: [index, updates], outputs: [out] });
    expect(faults(buffers, [map(two(0), two(1)), replace(cell(0), row(1)), replace(cell(1), row(3))])).toEqual([]);
    expect(faults(buffers, [replace(cell(0), row(1))])).toEqual(['kernel 0 (scatter) reads buffer 1, which nothing has written yet']);
    expect(faults(buffers, [map(two(0), two(1)), replace(cell(3, 1), row(3))])).toEqual([
      'kernel 1 (scatter) reads buffer 3 elsewhere than it writes it',
    ]);
    expect(faults(buffers, [map(two(0), two(1)), replace(cell(3), cell(3))])).toEqual([
      'kernel 1 (scatter) reads buffer 3 elsewhere than it writes it',
    ]);
  });
});

describe('kernels', () => {
  const one = (body: KernelBody, inputs: [DType, Shape][], outputs: [DType, Shape][]) => {
    const slab = ([dtype, shape]: [DType, Shape]) => ({ dtype, shape });
    return planFaults(singleKernelPlan(body, inputs.map(slab), outputs.map(slab))).join('\n');
  };
  const conv = {
    kind: 'conv',
    epilogue: null,
    direction: 'forward',
    stride: [2, 1],
    padding: [1, 0],
    dilation: [1, 2],
    groups: 2,
  } as const;

  it('pools floats alone', () => {
    for (const mode of ['max', 'argmax', 'sum', 'sumTranspose'] as const) {
      const pool = { kind: 'pool', mode, kernel: [1, 1], stride: [1, 1], padding: [0, 0] } as const;
      const pixels = (dtype: DType): [DType, Shape][] => [[dtype, [1, 1, 2, 2]]];
      const out = (dtype: DType): [DType, Shape][] => pixels(mode === 'argmax' ? 'i32' : dtype);
      expect(one(pool, pixels('f32'), out('f32'))).toBe('');
      for (const dtype of ['i32', 'u8'] as const)
        expect(one(pool, pixels(dtype), out(dtype))).toContain(`input 0 is ${dtype} [1, 1, 2, 2], which does not fit F N C`);
    }
  });

  it('scans floats and i32', () => {
    for (const dtype of ['f32', 'f64', 'i32'] as const)
      expect(one({ kind: 'scan', fn: 'sum' }, [[dtype, [2, 3, 4]]], [[dtype, [2, 3, 4]]])).toBe('');
    expect(one({ kind: 'scan', fn: 'prod' }, [['u8', [2, 3, 4]]], [['u8', [2, 3, 4]]])).toContain('bytes');
    expect(one({ kind: 'scan', fn: 'sum' }, [['f32', [2, 3, 4]]], [['f32', [2, 4, 3]]])).toContain('does not fit T A N B');
  });

  it('knows how shapes and types go together', () => {
    expect(
      one(
        { kind: 'matmul', epilogue: null },
        [
          ['f32', [2, 3, 4]],
          ['f32', [2, 4, 5]],
        ],
        [['f32', [2, 3, 5]]],
      ),
    ).toBe('');
    expect(
      one(
        { kind: 'matmul', epilogue: null },
        [
          ['f32', [2, 3, 4]],
          ['f32', [2, 5, 4]],
        ],
        [['f32', [2, 3, 5]]],
      ),
    ).toContain('input 1 is f32 [2, 5, 4], which does not fit F B M K, F B K N → F B M N');
    expect(
      one(
        { kind: 'matmul', epilogue: null },
        [
          ['f32', [2, 3, 4]],
          ['f64', [2, 4, 5]],
        ],
        [['f32', [2, 3, 5]]],
      ),
    ).toContain('input 1 is f64');
    expect(
      one(
        { kind: 'gather' },
        [
          ['u8', [1, 3, 2]],
          ['f32', [1, 5, 2]],
        ],
        [['u8', [1, 5, 2]]],
      ),
    ).toContain('input 1 is f32');
    expect(one({ kind: 'eigh' }, [['f64', [1, 3, 3]]], [['f64', [1, 3, 3]]])).toContain('values and vectors are 4');
    expect(
      one(
        conv,
        [
          ['f32', [2, 4, 5, 6]],
          ['f32', [6, 2, 3, 3]],
        ],
        [['f32', [2, 6, 3, 2]]],
      ),
    ).toBe('');
    expect(
      one(
        conv,
        [
          ['f32', [2, 4, 5, 6]],
          ['f32', [6, 2, 3, 3]],
        ],
        [['f32', [2, 6, 3, 3]]],
      ),
    ).toContain('windows of 5 at stride 1 over 6 pixels padded by 0 must fit, and give 2 outputs, not 3');
    expect(
      one(
        conv,
        [
          ['f32', [2, 3, 5, 6]],
          ['f32', [6, 2, 3, 3]],
        ],
        [['f32', [2, 6, 3, 2]]],
      ),
    ).toContain('2 groups do not divide 3 channels');
    expect(
      one(
        { ...conv, dilation: [0, 1] },
        [
          ['f32', [2, 4, 5, 6]],
          ['f32', [6, 2, 3, 3]],
        ],
        [['f32', [2, 6, 3, 2]]],
      ),
    ).toContain('kernels[0].dilation[0] is 0, not a whole number ≥ 1');
    expect(
      one({ kind: 'reduce', shape: [2, 3], reduced: 1, program: identity, reductions: ['argmax'] }, [['f32', [2, 3]]], [['f32', [2]]]),
    ).toContain('output 0 is f32');
  });

  it('takes an epilogue for a map in place', () => {
    const specs = [...[24, 40, 30].map((length) => buffer('input', 'f32', length)), buffer('output', 'f32', 30), scratch(0)];
    const view = (number: number, ...shape: number[]): View => contiguous(number, { dtype: 'f32', shape });
    const [a, b, other, out] = [view(0, 2, 3, 4), view(1, 2, 4, 5), view(2, 2, 3, 5), view(3, 2, 3, 5)];
    const add = program(2, [], [['add', 'f32', 0, 1]]);
    const matmul = (inputs: readonly View[], epilogue = add, outputs = [out]) =>
      faults(specs, [{ kind: 'matmul', epilogue, inputs, outputs }]);
    expect(matmul([a, b, out, other])).toEqual([]);
    expect(matmul([a, b, view(3, 6, 5), view(2, 6, 5)])).toEqual([]);
    expect(matmul([a, b, out, other, other])).toEqual(['kernel 1 (map): the program reads 2 inputs of 3']);
    expect(matmul([a, b, out, view(2, 6, 5)])).toEqual(["kernel 1 (map): a view has shape [6, 5], not the kernel's [2, 3, 5]"]);
    expect(matmul([a, b, { ...out, strides: [15, 1, 3] }, other])).toEqual(['kernel 1 (map) reads buffer 3 elsewhere than it writes it']);
    expect(matmul([a, out, out, other]).join()).toContain('kernel 0 (matmul): input 1 is f32 [2, 3, 5]');
    const less = program(2, [], [['less', 'f32', 0, 1]]);
    expect(matmul([a, b, out, other], less)).toEqual(['kernel 1 (map): output 0 is f32, its value i32']);
    const unfit = 'its epilogue takes';
    expect(matmul([a, b]).join()).toContain(unfit);
    expect(matmul([a, b, view(3, 3, 5), view(2, 3, 5)]).join()).toContain(unfit);
    expect(matmul([a, b, out, other], add, [{ ...out, strides: [15, 1, 3] }]).join()).toContain(unfit);
  });

  it('lets nothing that an epilogue reads share bytes with what it writes', () => {
    const shape = [1, 2, 1];
    const view = (number: number): View => contiguous(number, { dtype: 'f32', shape });
    const factors = [view(0), { ...view(0), shape: [1, 1, 1], strides: [1, 1, 1] }];
    const add = program(2, [], [['add', 'f32', 0, 1]]);
    const kernels: Kernel[] = [
      { kind: 'map', shape, program: identity, inputs: [view(0)], outputs: [view(2)] },
      { kind: 'matmul', epilogue: add, inputs: [...factors, view(3), view(2)], outputs: [view(3)] },
      { kind: 'map', shape, program: identity, inputs: [view(3)], outputs: [view(1)] },
    ];
    expect(faults([...ends, scratch(0), scratch(8)], kernels)).toEqual([]);
    expect(faults([...ends, scratch(0), scratch(0)], kernels)).toEqual([
      'buffers 2 and 3 share bytes, and both are alive at kernel 1 (matmul)',
    ]);
  });

  const inMap = (body: Program, input: DType = 'f32', output: DType = 'f32') =>
    one({ kind: 'map', shape: [2], program: body }, [[input, [2]]], [[output, [2]]]);

  it('follows lanes through a program', () => {
    expect(
      inMap(
        program(
          1,
          [],
          [
            ['equal', 'f32', 0, 0],
            ['where', 'f32', 1, 0, 0],
          ],
        ),
      ),
    ).toBe('');
    expect(inMap(program(1, [], [['equal', 'f32', 0, 0]]))).toContain('output 0 is f32, its value i32');
    expect(inMap(program(1, [], [['equal', 'f32', 0, 0]]), 'f32', 'u8')).toBe('');
    expect(inMap(program(1, [], [['add', 'f32', 0, 0]]), 'u8')).toContain('uses value 0, which is i32');
    expect(inMap(program(1, [], [['div', 'i32', 0, 0]]), 'i32', 'i32')).toContain('cannot compute in i32');
    expect(inMap(program(1, [], [['add', 'f32', 0]]))).toContain('has 1 operands');
    expect(inMap(program(1, [], [['add', 'f32', 0, 1]]))).toContain('uses value 1, which is not defined yet');
  });

  it('follows registers through a program', () => {
    const reused = (operand: number): Program => ({
      ...program(
        1,
        [],
        [
          ['neg', 'f32', 0],
          ['exp', 'f32', 1],
          ['add', 'f32', 2, operand],
        ],
      ),
      instructions: [
        { op: 'neg', lane: 'f32', operands: [0], register: 0 },
        { op: 'exp', lane: 'f32', operands: [1], register: 0 },
        { op: 'add', lane: 'f32', operands: [2, operand], register: 0 },
      ],
      registers: 1,
    });
    expect(inMap(reused(2))).toBe('');
    expect(inMap(reused(1))).toContain('instruction 2 (add f32 2 1) uses value 1, whose register holds another by now');
    expect(inMap({ ...reused(2), results: [2] })).toContain('result 0 is value 2, whose register holds another at the end');
    expect(inMap({ ...reused(2), registers: 0 })).toContain('writes register 0 of 0');
  });
});

describe('any value whatever', () => {
  const sound = (): Record<string, unknown> => structuredClone(planOf(ends, [map(two(0), two(1))])) as unknown as Record<string, unknown>;
  const refused = (value: unknown): string => {
    try {
      validatePlan(value);
    } catch (error) {
      expect(error).toMatchObject({ name: 'TensegrityError', code: 'format' });
      const { details, message } = error as TensegrityError;
      expect(details['faults']).not.toEqual([]);
      expect(message.length).toBeLessThan(10_000);
      return message;
    }
    throw new Error('it was accepted');
  };
  const throwing = {
    get kind() {
      throw new RangeError('no');
    },
  };

  it('is refused with words', () =>
    property(
      [fc.anything({ withBigInt: true, withSparseArray: true, withNullPrototype: true, withMap: true, withTypedArray: true })],
      (value) => {
        refused(value);
      },
    ));

  it('is refused in the place of any field', () =>
    property(
      [fc.constantFrom(...Object.keys(sound())), fc.anything({ withBigInt: true, withSparseArray: true, withNullPrototype: true })],
      (name, value) => {
        fc.pre(!(Array.isArray(value) && value.length === 0) && typeof value !== 'number');
        refused({ ...sound(), [name]: value });
      },
      { numRuns: 500 },
    ));

  it.each<[string, unknown]>([
    ['plan is null, not a record', null],
    ['plan is a function, not a record', () => ends],
    ['plan is an array, not a record', [sound()]],
    ['threw while it was read', Object.defineProperty(sound(), 'fused', Object.getOwnPropertyDescriptor(throwing, 'kind')!)],
    ['threw while it was read', { ...sound(), kernels: [throwing] }],
    ['plan.slots is an object, not a list', { ...sound(), slots: { length: 0 } }],
    ['plan.arenaBytes is NaN, not a whole number ≥ 0', { ...sound(), arenaBytes: NaN }],
    ['plan.fused is 1.5', { ...sound(), fused: 1.5 }],
    ['plan.inputs[0] is a bigint', { ...sound(), inputs: [0n] }],
    ['plan.kernels[0].kind is "max", not one of map, reduce', { ...sound(), kernels: [{ ...map(two(0), two(1)), kind: 'max' }] }],
    ['plan.kernels[0].kind is "__proto__"', { ...sound(), kernels: [{ ...map(two(0), two(1)), kind: '__proto__' }] }],
    ['plan.kernels[0].kind is "constructor"', { ...sound(), kernels: [{ ...map(two(0), two(1)), kind: 'constructor' }] }],
    ['plan.buffers[0].dtype is "toString"', { ...sound(), buffers: [{ ...ends[0], dtype: 'toString' }, ends[1]] }],
    ['plan.buffers[0].name is 5, not a text', { ...sound(), buffers: [{ ...ends[0], name: 5 }, ends[1]] }],
    ['plan has "extra", which is no field of it', { ...sound(), extra: 1 }],
    ['plan has no kernels', Object.create(sound())],
    ['plan.kernels is 4000000000 values, not a list', { ...sound(), kernels: new Array(4e9) }],
    ['.shape is 1000000000 values, not a list', { ...sound(), kernels: [map({ ...two(0), shape: new Array(1e9) }, two(1))] }],
    ['buffer 0: its bytes are more than can be counted', { ...sound(), buffers: [{ ...ends[0], length: 2 ** 52 }, ends[1]] }],
    [
      'more elements than can be counted: [1125899906842624,',
      { ...sound(), kernels: [map({ ...two(0), shape: Array(60).fill(2 ** 50), strides: Array(60).fill(0) }, two(1))] },
    ],
    ['reaches elements -17 to -16 of buffer 1', { ...sound(), kernels: [map(two(0), two(1, -17))] }],
    ['reaches elements -500 to -499 of buffer 1', { ...sound(), kernels: [map(two(0), two(1, -500))] }],
    ['offset 4 of one that is not in the arena', { ...sound(), buffers: [{ ...ends[0], offset: 4 }, ends[1]] }],
    ['plan.inputs lists buffers [0,0]', { ...sound(), inputs: [0, 0] }],
    ['"\\u001b[2J"', { ...sound(), kernels: [{ ...map(two(0), two(1)), kind: '\u001b[2J' }] }],
  ])('says: %s', (fault, value) => {
    expect(refused(value)).toContain(fault);
  });

  it('is refused with some faults, not all of a million', () => {
    expect(refused({ ...sound(), slots: Array(1e6).fill('x') }).split('\n')).toHaveLength(21);
    expect(refused({ ...sound(), kernels: Array(1e4).fill(map(two(0), two(9))) }).split('\n')).toHaveLength(21);
  });

  it('goes in circles, or never ends', () => {
    const circle = sound();
    circle['kernels'] = [circle];
    expect(refused(circle)).toContain('plan.kernels[0] has no kind');
    const endless = new Proxy([], { get: (_, name) => (name === 'length' ? 2 ** 40 : 0) });
    expect(refused({ ...sound(), slots: endless })).toContain('plan.slots is 1099511627776 values, not a list');
  });

  it('is read once: what getters give later does not count', () => {
    let reads = 0;
    const plan = {
      ...sound(),
      get arenaBytes() {
        return reads++ === 0 ? 16 : -1;
      },
    };
    expect(planFaults(plan)).toEqual([]);
    expect(reads).toBe(1);
  });

  it('may have strides of −0, which flips make', () => {
    expect(planFaults({ ...sound(), kernels: [map({ ...two(0), strides: [-0] }, two(1))] })).toEqual([]);
  });
});

describe('what is made', () => {
  const four = [buffer('input', 'f32', 2), buffer('output', 'f32', 4)];
  const whole = contiguous(1, { dtype: 'f32', shape: [4] });
  const pad = (before: number[], output = whole): Kernel => ({ kind: 'pad', before, value: 7, inputs: [two(0)], outputs: [output] });
  const concat = (inputs: View[], axis = 0, output = whole): Kernel => ({ kind: 'concat', axis, inputs, outputs: [output] });

  it('is made whole before it is given back', () => {
    expect(faults(four, [pad([1])])).toEqual([]);
    expect(faults(four, [concat([two(0), two(0)])])).toEqual([]);
    const half: Kernel = { kind: 'copy', inputs: [two(0)], outputs: [two(1)] };
    expect(faults(four, [half])).toEqual(['kernel 0 (copy) is the first to write buffer 1, but only 2 of its 4 elements']);
    expect(faults([four[0]!, buffer('slot', 'f32', 4)], [half])).toEqual([]);
  });

  const outside = 'kernel 0 (pad): input 0, f32 [2], does not fit output f32 [4]';
  it.each<[string, Kernel]>([
    [outside, pad([3])],
    [outside, pad([2 ** 53 - 1])],
    [outside, pad([])],
    [outside, pad([1, 0])],
    ['its output is not contiguous: strides [-1]', pad([1], { ...whole, strides: [-1], offset: 3 })],
    ['its inputs end at 2 along axis 0, its output at 4', concat([two(0)])],
    ['its inputs end at 6 along axis 0, its output at 4', concat([two(0), two(0), two(0)])],
    ['its inputs end at NaN along axis 1, its output at undefined', concat([two(0), two(0)], 1)],
    ['its inputs end at 0 along axis 0, its output at 4', concat([])],
    ['input 1, f32 [2, 1], does not fit', concat([two(0), { ...two(0), shape: [2, 1], strides: [1, 0] }])],
    ['2 inputs and 1 outputs', { ...concat([two(0), two(0)]), kind: 'copy', axis: undefined } as unknown as Kernel],
  ])('says: %s', (fault, kernel) => {
    const { axis, ...rest } = kernel as Extract<Kernel, { kind: 'concat' }>;
    expect(faults(four, [axis === undefined ? rest : kernel] as Kernel[]).join('\n')).toContain(fault);
  });

  it('has room for whatever moves there, and each element comes from one place', () => {
    const places = Float64Array.from({ length: 400 }, (_, place) => place);
    const extents = fc.array(fc.constantFrom(0, 1, 1, 2, 3), { minLength: 2, maxLength: 2 });
    const kinds = fc.oneof(
      fc.record({ kind: fc.constant('concat' as const), axis: fc.nat(2) }),
      fc.record({ kind: fc.constant('pad' as const), before: fc.array(fc.nat(2), { minLength: 2, maxLength: 2 }), value: fc.constant(0) }),
    );
    let sound = 0;
    return property(
      [kinds, fc.array(extents, { minLength: 1, maxLength: 3 }), extents, fc.nat(3)],
      (body, given, shape, offset) => {
        const inputs = given.map((each) => contiguous(0, { dtype: 'f32', shape: each }));
        const output = { ...contiguous(1, { dtype: 'f32', shape }), offset };
        const kernel = { ...body, inputs, outputs: [output] } as MovingKernel;
        const length = offset + sizeOf(shape);
        if (faults([buffer('input', 'f32', 9), buffer('slot', 'f32', length)], [kernel]).length > 0) return;
        sound++;
        const touched = movesOf(kernel).map(([from, to]) => [sizeOf(from.shape), [...elements(to, places)]] as const);
        const all = touched.flatMap(([, window]) => window);
        for (const [size, window] of touched) expect(window.length).toBe(size);
        expect(new Set(all).size).toBe(all.length);
        expect(all.every((place) => place >= offset && place < length)).toBe(true);
        if (kernel.kind === 'concat') expect(all.length).toBe(sizeOf(shape));
      },
      { numRuns: 5000 },
    ).then(() => expect(sound).toBeGreaterThan(100));
  });

  it('is in a buffer of its own', () => {
    const both: Kernel = { ...map(two(0), two(1)), outputs: [two(1), two(1, 2)], program: { ...identity, results: [0, 0] } } as Kernel;
    expect(faults(four, [both]).join()).toContain('they must be in buffers of their own');
  });
});

it('checks a plan of many kernels in time that grows with them', () => {
  const count = 10_000;
  const buffers = [buffer('input', 'f32', 2), buffer('output', 'f32', 2)];
  const kernels: Kernel[] = [];
  // All are alive to the end: the longest lives that there can be.
  for (let k = 0; k < count; k++) buffers.push(buffer('scratch', 'f32', 2, 8 * k));
  for (let k = 0; k < count; k++) kernels.push(map(two(k === 0 ? 0 : k + 1), two(k + 2)));
  for (let k = 0; k < count; k++) kernels.push(map(two(k + 2), two(1)));
  expect(planFaults(planOf(buffers, kernels, 8 * count))).toEqual([]);
  const [early, late] = [buffers[10]!, buffers[count - 5]!];
  buffers[count - 5] = { ...late, offset: early.offset };
  expect(planFaults(planOf(buffers, kernels, 8 * count)).join()).toContain(`buffers 10 and ${count - 5} share bytes`);
}, 30_000);
