/** What the encoder writes by name is where the kernels read it by name. */
import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePlan } from '../../../../engine/backends/wasm/encode.ts';
import type { Kernel, Plan } from '../../../../engine/compiler/plan.ts';
import * as command from '../../../../wasm/command.ts';
import * as modes from '../../../../wasm/modes.ts';
import * as op from '../../../../wasm/opcode.ts';
import * as word from '../../../../wasm/words.ts';
import { property } from '../../../support/property.ts';
import { arranged } from '../arranged.ts';
import { buffer, type KernelBody, planOf, type Slab, singleKernelPlan } from '../plans.ts';
import { layouts } from './harness.ts';
import { programs, shapes } from './programs.ts';

const names = Object.keys(word);
/** What has words: CONV of CONV_WORDS. */
const owners = names.flatMap((name) => (name.endsWith('_WORDS') ? [name.slice(0, -'_WORDS'.length)] : []));
const numberOf = (name: string): number => (word as Readonly<Record<string, number>>)[name]!;
const ownerOf = (name: string): string | undefined =>
  owners.filter((owner) => name.startsWith(`${owner}_`)).sort((a, b) => b.length - a.length)[0];

/** The commands of a plan, from their headers on. */
function commandsOf(plan: Plan): Int32Array[] {
  const { words } = encodePlan(plan, true);
  const commands: Int32Array[] = [];
  for (let at = 0; at < words.length; ) {
    const length = words[at + word.HEADER_LENGTH]!;
    commands.push(words.subarray(at, at + length));
    at += length;
  }
  return commands;
}

describe('words', () => {
  it.each(owners.filter((owner) => owner !== 'VIEW'))('of %s have a number each, without a gap', (owner) => {
    const numbers = names.filter((name) => !name.endsWith('_WORDS') && ownerOf(name) === owner).map(numberOf);
    expect(numbers.sort((a, b) => a - b)).toEqual([...Array(numberOf(`${owner}_WORDS`)).keys()]);
  });

  it('of a view are a buffer, an offset, and four extents and strides', () => {
    expect([word.VIEW_BUFFER, word.VIEW_OFFSET, word.VIEW_SHAPE, word.VIEW_STRIDES, word.VIEW_WORDS]).toEqual([0, 1, 2, 6, 10]);
  });

  it('of 64 bits are neighbours, the low ones first', () => {
    for (const name of ['REDUCED', 'RUN', 'CHUNK']) expect(numberOf(`REDUCE_${name}_HIGH`)).toBe(numberOf(`REDUCE_${name}`) + 1);
  });

  it('of the two axes of a convolution are neighbours, that of height first', () => {
    for (const name of ['STRIDE', 'PADDING', 'DILATION']) expect(numberOf(`CONV_${name}_WIDTH`)).toBe(numberOf(`CONV_${name}_HEIGHT`) + 1);
  });

  it('are read by name alone', () => {
    const folder = new URL('../../../../wasm/', import.meta.url);
    const sources = globSync('*.ts', { cwd: folder });
    expect(sources.length).toBeGreaterThan(20);
    for (const name of sources) {
      const source = readFileSync(new URL(name, folder), 'utf8');
      expect(source.match(/\b(?:word|viewAt|behind)\(\w+, \d+[^)]*\)|load<\w+>\((?:command|program)\b[^)]*\)/g) ?? [], name).toEqual([]);
    }
  });
});

/** Kernels whose parameters are all different, as far as they may be, and what their commands say. */
const fixed: readonly {
  readonly body: KernelBody;
  readonly inputs: readonly Slab[];
  readonly outputs: readonly Slab[];
  readonly kind: number;
  readonly owner: string;
  readonly parameters: Readonly<Record<string, number>>;
}[] = [
  {
    body: { kind: 'conv', epilogue: null, direction: 'weight', stride: [2, 3], padding: [4, 5], dilation: [6, 7], groups: 1 },
    inputs: [f32(2, 3, 40, 50), f32(2, 4, 18, 18)],
    outputs: [f32(4, 3, 3, 2)],
    kind: command.CONV,
    owner: 'CONV',
    parameters: {
      DIRECTION: modes.WEIGHT_GRADIENT,
      STRIDE_HEIGHT: 2,
      STRIDE_WIDTH: 3,
      PADDING_HEIGHT: 4,
      PADDING_WIDTH: 5,
      DILATION_HEIGHT: 6,
      DILATION_WIDTH: 7,
      GROUPS: 1,
    },
  },
  {
    body: { kind: 'pool', mode: 'sum', kernel: [8, 9], stride: [3, 5], padding: [4, 1] },
    inputs: [f32(2, 3, 40, 50)],
    outputs: [f32(2, 3, 14, 9)],
    kind: command.POOL,
    owner: 'POOL',
    parameters: {
      MODE: modes.SUM,
      KERNEL_HEIGHT: 8,
      KERNEL_WIDTH: 9,
      STRIDE_HEIGHT: 3,
      STRIDE_WIDTH: 5,
      PADDING_HEIGHT: 4,
      PADDING_WIDTH: 1,
    },
  },
  {
    body: { kind: 'matmul', epilogue: null },
    inputs: [f32(2, 3, 4), f32(2, 4, 5)],
    outputs: [f32(2, 3, 5)],
    kind: command.MATMUL,
    owner: 'MATMUL',
    parameters: { EPILOGUE: 0 },
  },
  {
    body: { kind: 'scan', fn: 'prod' },
    inputs: [i32(2, 3, 4)],
    outputs: [i32(2, 3, 4)],
    kind: command.SCAN,
    owner: 'SCAN',
    parameters: { IS_PRODUCT: 1, ELEMENT: modes.I32 },
  },
  {
    body: { kind: 'gather' },
    inputs: [f32(2, 3, 4), i32(2, 5, 4)],
    outputs: [f32(2, 5, 4)],
    kind: command.GATHER,
    owner: 'GATHER',
    parameters: { BYTES: 4, MISSING: 0x7fc00000 },
  },
  {
    body: { kind: 'scatterAdd' },
    inputs: [i32(2, 5, 4), i32(2, 5, 4)],
    outputs: [i32(2, 3, 4)],
    kind: command.SCATTER,
    owner: 'SCATTER',
    parameters: { ELEMENT: modes.I32, ADDS: 1 },
  },
  {
    body: { kind: 'scatter' },
    inputs: [i32(2, 5, 4), f32(2, 5, 4)],
    outputs: [f32(2, 3, 4)],
    kind: command.SCATTER,
    owner: 'SCATTER',
    parameters: { ELEMENT: modes.F32, ADDS: 0 },
  },
  {
    body: { kind: 'gridSample', padding: 'border', alignCorners: false },
    inputs: [f32(2, 3, 4, 5), f32(2, 6, 7, 2)],
    outputs: [f32(2, 3, 6, 7)],
    kind: command.GRID_SAMPLE,
    owner: 'GRID_SAMPLE',
    parameters: { IS_BORDER: 1, ALIGNS_CORNERS: 0 },
  },
  {
    body: { kind: 'triangularSolve', lower: true, transpose: false },
    inputs: [f32(2, 3, 3), f32(2, 3, 4)],
    outputs: [f32(2, 3, 4)],
    kind: command.TRIANGULAR_SOLVE,
    owner: 'TRIANGULAR_SOLVE',
    parameters: { IS_LOWER: 1, TRANSPOSES: 0 },
  },
  {
    body: { kind: 'argsort', descending: false },
    inputs: [i32(3, 4)],
    outputs: [i32(3, 4)],
    kind: command.ARGSORT,
    owner: 'ARGSORT',
    parameters: { DESCENDS: 0, ELEMENT: modes.I32 },
  },
  {
    body: { kind: 'cholesky' },
    inputs: [f32(2, 3, 3)],
    outputs: [f32(2, 3, 3)],
    kind: command.CHOLESKY,
    owner: 'CHOLESKY',
    parameters: {},
  },
  { body: { kind: 'eigh' }, inputs: [f32(2, 3, 3)], outputs: [f32(2, 4, 3)], kind: command.EIGH, owner: 'EIGH', parameters: {} },
];

function f32(...shape: number[]): Slab {
  return { dtype: 'f32', shape };
}
function i32(...shape: number[]): Slab {
  return { dtype: 'i32', shape };
}

describe('a command', () => {
  it.each(fixed.map((each) => [each.owner, each] as const))('of %s holds its parameters, then its views', (owner, each) => {
    const plan = singleKernelPlan(each.body, each.inputs, each.outputs);
    const [only, ...others] = commandsOf(plan);
    expect(others).toEqual([]);
    const [kernel] = plan.kernels;
    const views = [...kernel!.inputs, ...kernel!.outputs];
    const parameters = word.HEADER_WORDS;
    const first = parameters + numberOf(`${owner}_WORDS`);
    expect(only![word.HEADER_KIND]).toBe(each.kind);
    expect(only!.length).toBe(first + views.length * word.VIEW_WORDS);
    expect(Object.keys(each.parameters).length).toBe(numberOf(`${owner}_WORDS`));
    for (const [name, value] of Object.entries(each.parameters)) expect(only![parameters + numberOf(`${owner}_${name}`)], name).toBe(value);
    for (const [k, { buffer: number, shape, strides }] of views.entries()) {
      const view = only!.subarray(first + k * word.VIEW_WORDS);
      const four = (values: readonly number[], padding: number) => [...Array<number>(4 - values.length).fill(padding), ...values];
      expect([view[word.VIEW_BUFFER], view[word.VIEW_OFFSET]]).toEqual([number, 0]);
      expect([...view.subarray(word.VIEW_SHAPE, word.VIEW_SHAPE + 4)]).toEqual(four(shape, 1));
      expect([...view.subarray(word.VIEW_STRIDES, word.VIEW_STRIDES + 4)]).toEqual(four(strides, 0));
    }
  });

  it('of a copy holds its windows, then its axes; of a pad, what fills it before', () => {
    const from = { buffer: 0, dtype: 'u8', shape: [3, 4], strides: [1, 5], offset: 2 } as const;
    const to = { buffer: 1, dtype: 'u8', shape: [5, 7], strides: [7, 1], offset: 6 } as const;
    const kernel: Kernel = { kind: 'pad', before: [1, 2], value: 9, inputs: [from], outputs: [to] };
    const [fill, copy, ...others] = commandsOf(planOf([buffer('input', 'u8', 20), buffer('slot', 'u8', 50)], [kernel]));
    expect(others).toEqual([]);
    const [filled, copied] = [fill!, copy!].map((words) => words.subarray(word.HEADER_WORDS));
    expect([fill![word.HEADER_KIND], copy![word.HEADER_KIND]]).toEqual([command.FILL, command.COPY]);
    expect([filled![word.FILL_BUFFER], filled![word.FILL_OFFSET]]).toEqual([1, 6]);
    expect([filled![word.FILL_BYTES], filled![word.FILL_VALUE]]).toEqual([35, 0x09090909]);
    expect([copied![word.COPY_BYTES], copied![word.COPY_RANK]]).toEqual([1, 2]);
    expect([copied![word.COPY_FROM_BUFFER], copied![word.COPY_FROM_OFFSET]]).toEqual([0, 2]);
    expect([copied![word.COPY_TO_BUFFER], copied![word.COPY_TO_OFFSET]]).toEqual([1, 6 + 7 + 2]);
    const axes = [0, 1].map((axis) => copied!.subarray(word.COPY_WORDS + axis * word.AXIS_WORDS));
    expect(axes.map((axis) => [axis[word.AXIS_EXTENT], axis[word.AXIS_FROM_STRIDE], axis[word.AXIS_TO_STRIDE]])).toEqual([
      [3, 1, 7],
      [4, 5, 1],
    ]);
  });

  it('of a program can be read to its end, and names nothing that is not there', async () => {
    const someLayouts = (rank: number, broadcast: boolean) => fc.array(layouts(rank, broadcast), { minLength: 4, maxLength: 4 });
    const cases = shapes.chain((shape) =>
      fc.tuple(fc.constant(shape), fc.nat(shape.length), programs(0, 12, true), someLayouts(shape.length, true), fc.boolean()),
    );
    await property([cases], ([shape, reduced, draft, from, folds]) => {
      const kept = shape.slice(0, shape.length - (folds ? reduced : 0));
      const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, from[k]!));
      const outputs = draft.outputs.map((dtype, k) => ({
        view: {
          buffer: inputs.length + k,
          dtype,
          shape: kept,
          strides: kept.map((_, axis) => kept.slice(axis + 1).reduce((a, b) => a * b, 1)),
          offset: 0,
        },
        length: kept.reduce((a, b) => a * b, 1),
      }));
      const specs = [
        ...inputs.map(({ view, length }) => buffer('input', view.dtype, length)),
        ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
      ];
      const views = { inputs: inputs.map(({ view }) => view), outputs: outputs.map(({ view }) => view) };
      const kernel: Kernel = folds
        ? { kind: 'reduce', shape, reduced, program: draft.program, reductions: draft.outputs.map(() => 'max'), ...views }
        : { kind: 'map', shape, program: draft.program, ...views };
      const plan = planOf(specs, [kernel]);
      for (const each of commandsOf(plan)) if (each[word.HEADER_KIND] !== command.COPY) readProgram(each, plan);
    });
  });
});

/** Reads a map or a fold from word to word. */
function readProgram(whole: Int32Array, plan: Plan): void {
  let at = word.HEADER_WORDS;
  const take = (count: number): Int32Array => {
    at += count;
    return whole.subarray(at - count, at);
  };
  const isMap = whole[word.HEADER_KIND] === command.MAP;
  const head = take(isMap ? word.MAP_WORDS : word.REDUCE_WORDS);
  const program = take(word.PROGRAM_WORDS);
  const [rank, half] = [program[word.PROGRAM_RANK]!, program[word.PROGRAM_HALF]!];
  const [registers, stills] = [program[word.PROGRAM_REGISTERS]!, program[word.PROGRAM_STILLS]!];
  const shape = take(rank);
  expect(shape.every((extent) => extent > 0)).toBe(true);
  const streams = new Set<number>();
  const inside = (slot: number): boolean => (slot >= 0 && slot < registers) || (slot >= half && slot < half + stills) || streams.has(slot);
  const takeWindow = (axes: number): void => {
    const number = take(word.WINDOW_WORDS)[word.WINDOW_BUFFER]!;
    expect(number < 0 ? streams.has(~number) : number <= plan.buffers.length + 1).toBe(true);
    take(axes);
  };
  for (let k = 0; k < program[word.PROGRAM_INPUTS]!; k++) {
    const input = take(word.INPUT_WORDS);
    const [load, slot] = [input[word.INPUT_LOAD]! & 3, input[word.INPUT_SLOT]!];
    takeWindow(rank);
    if (load === modes.DIRECT || load === modes.ONCE) streams.add(slot);
    expect(inside(slot)).toBe(true);
    expect([modes.WORD, modes.BYTE, modes.POSITION]).toContain(input[word.INPUT_ELEMENT]);
  }
  take(program[word.PROGRAM_CONSTANTS]!);
  const instructions = Array.from({ length: program[word.PROGRAM_INSTRUCTIONS]! }, () => take(word.INSTRUCTION_WORDS));
  const outer = isMap ? rank : head[word.REDUCE_OUTER_RANK]!;
  if (!isMap) take(outer);
  const results = Array.from({ length: head[isMap ? word.MAP_RESULTS : word.REDUCE_RESULTS]! }, () => {
    const result = take(isMap ? word.RESULT_WORDS : word.FOLD_WORDS);
    takeWindow(outer);
    return result;
  });
  expect(at).toBe(whole.length);
  if (isMap) for (const result of results) if (result[word.RESULT_STORE] === modes.DIRECT) streams.add(result[word.RESULT_SLOT]!);
  const opcodes: readonly number[] = Object.values(op);
  for (const instruction of instructions) {
    expect(opcodes.includes(instruction[word.INSTRUCTION_OPCODE]! & ~op.INTEGER)).toBe(true);
    const { INSTRUCTION_RESULT, INSTRUCTION_A, INSTRUCTION_B, INSTRUCTION_C, INSTRUCTION_D } = word;
    for (const name of [INSTRUCTION_RESULT, INSTRUCTION_A, INSTRUCTION_B, INSTRUCTION_C, INSTRUCTION_D])
      expect(inside(instruction[name]!)).toBe(true);
  }
  for (const result of results) {
    const slots = isMap ? [result[word.RESULT_SLOT]!, result[word.RESULT_SPARE]!] : [result[word.FOLD_SLOT]!, result[word.FOLD_FACTOR]!];
    expect(slots.every((slot, k) => inside(slot) || (isMap && k === 1))).toBe(true);
    expect([modes.WORD, modes.BYTE]).toContain(result[isMap ? word.RESULT_ELEMENT : word.FOLD_ELEMENT]);
  }
}
