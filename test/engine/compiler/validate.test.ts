import { describe, expect, it } from 'vitest';
import type { BufferSpec, Kernel, Program, View } from '../../../engine/compiler/plan.ts';
import { planFaults, validatePlan } from '../../../engine/compiler/validate.ts';
import type { DType } from '../../../engine/dtype.ts';
import type { Shape } from '../../../engine/shape.ts';
import { buffer, contiguous, identity, type KernelBody, planOf, program, singleKernelPlan } from '../backends/plans.ts';

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
    const sorted: Kernel = { kind: 'copy', fill: null, inputs: [two(2)], outputs: [two(3)] };
    expect(faults(chain(0, 0), [map(two(0), two(2)), sorted, map(two(3), two(1))])).toEqual([
      'buffers 2 and 3 share bytes, and both are alive at kernel 1 (copy)',
    ]);
  });

  it('finds a slot that is read elsewhere than written', () => {
    const slot = buffer('slot', 'f32', 3);
    expect(faults([slot], [map(two(0), two(0))])).toEqual([]);
    expect(faults([slot], [map(two(0), two(0, 1))])).toEqual(['kernel 0 (map) reads buffer 0 elsewhere than it writes it']);
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

  it('knows how shapes and types go together', () => {
    expect(
      one(
        { kind: 'gemm', epilogue: null },
        [
          ['f32', [2, 3, 4]],
          ['f32', [2, 4, 5]],
        ],
        [['f32', [2, 3, 5]]],
      ),
    ).toBe('');
    expect(
      one(
        { kind: 'gemm', epilogue: null },
        [
          ['f32', [2, 3, 4]],
          ['f32', [2, 5, 4]],
        ],
        [['f32', [2, 3, 5]]],
      ),
    ).toContain('input 1 is f32 [2, 5, 4], which does not fit F B M K, F B K N → F B M N');
    expect(
      one(
        { kind: 'gemm', epilogue: null },
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
    const gemm = (inputs: readonly View[], epilogue = add, outputs = [out]) => faults(specs, [{ kind: 'gemm', epilogue, inputs, outputs }]);
    expect(gemm([a, b, out, other])).toEqual([]);
    expect(gemm([a, b, view(3, 6, 5), view(2, 6, 5)])).toEqual([]);
    expect(gemm([a, b, out, other, other])).toEqual(['kernel 1 (map): the program reads 2 inputs of 3']);
    expect(gemm([a, b, out, view(2, 6, 5)])).toEqual(["kernel 1 (map): a view has shape [6, 5], not the kernel's [2, 3, 5]"]);
    expect(gemm([a, b, { ...out, strides: [15, 1, 3] }, other])).toEqual(['kernel 1 (map) reads buffer 3 elsewhere than it writes it']);
    expect(gemm([a, out, out, other]).join()).toContain('kernel 0 (gemm): input 1 is f32 [2, 3, 5]');
    const less = program(2, [], [['less', 'f32', 0, 1]]);
    expect(gemm([a, b, out, other], less)).toEqual(['kernel 1 (map): output 0 is f32, its value i32']);
    const unfit = 'its epilogue takes';
    expect(gemm([a, b]).join()).toContain(unfit);
    expect(gemm([a, b, view(3, 3, 5), view(2, 3, 5)]).join()).toContain(unfit);
    expect(gemm([a, b, out, other], add, [{ ...out, strides: [15, 1, 3] }]).join()).toContain(unfit);
  });

  it('lets nothing that an epilogue reads share bytes with what it writes', () => {
    const shape = [1, 2, 1];
    const view = (number: number): View => contiguous(number, { dtype: 'f32', shape });
    const factors = [view(0), { ...view(0), shape: [1, 1, 1], strides: [1, 1, 1] }];
    const add = program(2, [], [['add', 'f32', 0, 1]]);
    const kernels: Kernel[] = [
      { kind: 'map', shape, program: identity, inputs: [view(0)], outputs: [view(2)] },
      { kind: 'gemm', epilogue: add, inputs: [...factors, view(3), view(2)], outputs: [view(3)] },
      { kind: 'map', shape, program: identity, inputs: [view(3)], outputs: [view(1)] },
    ];
    expect(faults([...ends, scratch(0), scratch(8)], kernels)).toEqual([]);
    expect(faults([...ends, scratch(0), scratch(0)], kernels)).toEqual([
      'buffers 2 and 3 share bytes, and both are alive at kernel 1 (gemm)',
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
