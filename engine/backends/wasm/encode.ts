/** A plan as commands, words that the interpreter in `wasm/` walks; `wasm/command.ts` and the kernels there say what each holds. */
import * as command from '../../../wasm/command.ts';
import * as op from '../../../wasm/opcode.ts';
import type { KernelKind, KernelOf, Plan, Reduction, View } from '../../compiler/plan.ts';
import { type DType, dtypes } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { contiguousStrides, sizeOf } from '../../shape.ts';
import { type Blocks, byteStrides, encodeProgram, liesInBlocks, loadOf, windowOf, windowWords } from './program.ts';
import { type Axis, axesOf, byReach, collapse, extentOf, greatestCommonDivisor, period, reach } from './space.ts';
import { workspaceBytes } from './workspace.ts';

/** A block's elements at most: its registers fit the first-level cache, and dispatching an instruction is little beside running it. */
const BLOCK = 512;
/** A shorter row does not make a block. */
const SHORTEST = 128;

export interface EncodedPlan {
  readonly words: Int32Array<ArrayBuffer>;
  /** Scratch memory that one thread needs. */
  readonly workspaceBytes: number;
}

/** @throws TensegrityError `dtype` for a plan that computes in f64. */
export function encodePlan(plan: Plan): EncodedPlan {
  const words: number[] = [];
  let workspace = 0;
  for (const kernel of plan.kernels) {
    for (const encoded of encodeKernel(plan, kernel)) {
      words.push(encoded.kind, 4 + encoded.words.length, kernel.inputs.length, kernel.outputs.length, ...encoded.words);
      workspace = Math.max(workspace, encoded.workspaceBytes);
    }
  }
  return { words: Int32Array.from(words), workspaceBytes: workspace };
}

interface Command {
  readonly kind: number;
  readonly words: readonly number[];
  readonly workspaceBytes: number;
}

type Encoder<K extends KernelKind> = (plan: Plan, kernel: KernelOf<K>) => Command[];

const encoders: { readonly [K in KernelKind]: Encoder<K> } = {
  map: encodeMap,
  reduce: encodeReduce,
  copy: encodeCopy,
  gemm: fixed(command.GEMM, () => []),
  conv: fixed(command.CONV, ({ direction, stride, padding, dilation, groups }) => [
    directions[direction],
    ...stride,
    ...padding,
    ...dilation,
    groups,
  ]),
  pool: fixed(command.POOL, ({ mode, kernel, stride, padding, inputs: [x] }) => {
    check(x!.dtype === 'f32', 'dtype', () => `the wasm backend pools images of f32, got ${x!.dtype}; convert them with toFloat()`);
    return [poolings[mode], ...kernel, ...stride, ...padding];
  }),
  gather: fixed(command.GATHER, ({ outputs: [out] }) => [dtypes[out!.dtype].bytes, wordOf(out!.dtype === 'f32' ? NaN : 0, out!.dtype)]),
  scatterAdd: fixed(command.SCATTER_ADD, ({ outputs: [out] }) => [elements[out!.dtype]]),
  gridSample: fixed(command.GRID_SAMPLE, ({ padding, alignCorners }) => [+(padding === 'border'), +alignCorners]),
  cholesky: fixed(command.CHOLESKY, () => []),
  triangularSolve: fixed(command.TRIANGULAR_SOLVE, ({ lower, transpose }) => [+lower, +transpose]),
  eigh: fixed(command.EIGH, () => []),
  sort: fixed(command.SORT, ({ descending, inputs: [x] }) => [+descending, elements[x!.dtype]]),
};

const directions = { forward: 0, input: 1, weight: 2 } as const;
const poolings = { max: 0, argmax: 1, sum: 2, sumTranspose: 3 } as const;
/** f64 is refused before it is asked for. */
const elements: { readonly [D in DType]: number } = { f32: 0, i32: 1, u8: 2, f64: NaN };

function encodeKernel<K extends KernelKind>(plan: Plan, kernel: KernelOf<K>): Command[] {
  return encoders[kernel.kind](plan, kernel);
}

/** A kernel whose views all have rank 4 or less, and whose parameters are known. */
function fixed<K extends KernelKind>(kind: number, parameters: (kernel: KernelOf<K>) => number[]): Encoder<K> {
  return (_plan, kernel) => {
    const views = [...kernel.inputs, ...kernel.outputs].flatMap(({ buffer, dtype, offset, shape, strides }) => {
      const missing = 4 - shape.length;
      return [
        buffer,
        offset * dtypes[dtype].bytes,
        ...Array<number>(missing).fill(1),
        ...shape,
        ...Array<number>(missing).fill(0),
        ...strides,
      ];
    });
    const own = kernel.kind === 'sort' ? 16 * kernel.inputs[0]!.shape[1]! : 0;
    return [{ kind, words: [...parameters(kernel), ...views], workspaceBytes: Math.max(own, workspaceBytes(kernel)) }];
  };
}

/** A value of an element type as the word, or the four bytes, that hold it. */
function wordOf(value: number, dtype: DType): number {
  if (dtype === 'f32') return new Int32Array(Float32Array.of(value).buffer)[0]!;
  return dtype === 'u8' ? Math.imul(value & 255, 0x01010101) : value | 0;
}

function encodeMap(plan: Plan, kernel: KernelOf<'map'>): Command[] {
  const { shape, program, inputs, outputs } = kernel;
  if (sizeOf(shape) === 0) return [];
  const moved = outputs.map((output, k) => [inputs[program.results[k]!], output] as const);
  if (moved.every(([from, to]) => from?.dtype === to.dtype)) return moved.flatMap(([from, to]) => encodeMove(from!, to));

  const positions = program.instructions.some(({ op: name }) => name === 'index') ? [contiguousStrides(shape)] : [];
  const firstOutput = inputs.length + positions.length;
  const axes = collapse(byReach(axesOf(shape, [...inputs.map(byteStrides), ...positions, ...outputs.map(byteStrides)]), firstOutput));
  const { blocks, length } = cutMap(axes, inputs, program.instructions.length);
  const inPlace = (k: number): boolean => outputs[k]!.dtype !== 'u8' && liesInBlocks(axes, firstOutput + k, blocks.segment);
  const encoded = encodeProgram(plan, program, inputs, blocks, (k) => (inPlace(k) ? outputs[k]! : null));
  const results = encoded.results.flatMap(({ slot, direct, spare }, k) => {
    const window = windowOf(outputs[k]!);
    return [direct ? op.DIRECT : op.EACH, window.element, slot, spare, ...windowWords(window, axes, firstOutput + k)];
  });
  const words = [extentOf(axes) / length, length, blocks.longest, outputs.length, ...encoded.words, ...results];
  return [{ kind: command.MAP, words, workspaceBytes: encoded.bytes }];
}

/** The cheapest of a few ways to cut a map into blocks: across the whole space, or along its rows. */
function cutMap(axes: readonly Axis[], inputs: readonly View[], instructions: number): { blocks: Blocks; length: number } {
  const size = extentOf(axes);
  const candidates: { blocks: Blocks; length: number; cost: number }[] = [];
  const consider = (length: number, longest: number) => {
    const pieces = Math.ceil(length / longest);
    const blocks = { axes, longest, segment: length, grain: pieces === 1 ? length : greatestCommonDivisor(length, longest) };
    // In elements moved by one vector instruction: what a block costs, however short, and inputs that are copied to registers.
    const overhead = (24 + 8 * instructions) / (length / pieces);
    const copies = inputs.map((input, view) => (loadOf(windowOf(input), blocks, view) === op.EACH ? 1 + 16 / axes.at(-1)!.extent : 0));
    candidates.push({ blocks, length, cost: overhead + copies.reduce((sum, cost) => sum + cost, 0) });
  };
  const periods = inputs.map((_, view) => period(axes, view));
  for (const cycle of [1, ...periods, periods.reduce(leastCommonMultiple, 1)]) {
    const unit = leastCommonMultiple(16, cycle);
    if (unit <= BLOCK) consider(size, Math.min(Math.floor(BLOCK / unit) * unit, roundUp(size)));
  }
  const row = axes.at(-1)!.extent;
  if (row >= SHORTEST) consider(row, evenly(row));
  return candidates.reduce((best, candidate) => (candidate.cost < best.cost ? candidate : best));
}

const roundUp = (count: number): number => Math.ceil(count / 16) * 16;
const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
/** The length of the blocks that a row is cut into, about the same for all. */
const evenly = (row: number): number => roundUp(Math.ceil(row / Math.ceil(row / BLOCK)));

function encodeReduce(plan: Plan, kernel: KernelOf<'reduce'>): Command[] {
  const { shape, reduced, program, inputs, outputs, reductions } = kernel;
  const outerRank = shape.length - reduced;
  if (sizeOf(shape.slice(0, outerRank)) === 0) return [];
  const positions = program.instructions.some(({ op: name }) => name === 'index') ? [contiguousStrides(shape)] : [];
  const outputStrides = outputs.map((output) => [...byteStrides(output), ...Array<number>(reduced).fill(0)]);
  const all = axesOf(shape, [...inputs.map(byteStrides), ...positions, ...outputStrides]);
  const ordered = reductions.some((reduction) => reduction.startsWith('arg'));
  const outerAxes = byReach(all.slice(0, outerRank), 0, inputs.length);
  const foldedAxes = ordered ? all.slice(outerRank) : byReach(all.slice(outerRank), 0, inputs.length);

  const finest = collapse(foldedAxes).at(-1)!;
  const beside =
    outerAxes.findLastIndex((axis) => axis.extent !== 1 && reach(axis, 0, inputs.length) >= reach(finest, 0, inputs.length)) + 1;
  const columns = extentOf(foldedAxes) > 1 && extentOf(outerAxes.slice(beside)) > 1;
  const before = columns ? outerAxes.slice(0, beside) : outerAxes;
  const after = columns ? outerAxes.slice(beside) : [];
  const cut = { prefix: extentOf(before), folded: extentOf(foldedAxes), suffix: extentOf(after) };
  // An empty fold locates no element, but what an extent of 0 would divide is worked out beforehand.
  const axes = collapse(cut.folded === 0 ? [] : [...before, ...foldedAxes, ...after]);
  const { blocks, run, block, group } = columns ? cutColumns(axes, cut) : cutRows(axes, cut, inputs);

  const encoded = encodeProgram(plan, program, inputs, blocks, () => null);
  const outer = collapse(outerAxes);
  const firstOutput = inputs.length + positions.length;
  const results = outputs.flatMap((output, k) => {
    const { slot, integer } = encoded.results[k]!;
    const window = windowOf(output);
    return [folds[reductions[k]!] + (integer ? op.INTEGER : 0), window.element, slot, ...windowWords(window, outer, firstOutput + k)];
  });
  const words = [
    columns ? op.COLUMNS : op.ROWS,
    ...[cut.prefix, cut.folded, cut.suffix, run, block, group],
    ...[encoded.bytes, encoded.registerBytes, outputs.length, outer.length],
    ...encoded.words,
    ...outer.map(({ extent }) => extent),
    ...results,
  ];
  return [{ kind: command.REDUCE, words, workspaceBytes: encoded.bytes + 3 * outputs.length * encoded.registerBytes }];
}

const folds: { readonly [R in Reduction]: number } = {
  sum: op.ADD,
  prod: op.MUL,
  max: op.MAXIMUM,
  min: op.MINIMUM,
  argmax: op.ARGMAX,
  argmin: op.ARGMIN,
};

interface Fold {
  readonly prefix: number;
  readonly folded: number;
  readonly suffix: number;
}

interface Cut {
  readonly blocks: Blocks;
  /** No block reaches across a multiple of this many folded elements. */
  readonly run: number;
  readonly block: number;
  readonly group: number;
}

function cutRows(axes: readonly Axis[], { folded }: Fold, inputs: readonly View[]): Cut {
  if (folded <= BLOCK / 2) {
    const group = Math.max(1, Math.floor(BLOCK / Math.max(1, folded)));
    const longest = group * Math.max(1, folded);
    return { blocks: { axes, longest, segment: longest, grain: longest }, run: Math.max(1, folded), block: Math.max(1, folded), group };
  }
  // Along the innermost axis alone, where that lets more inputs be read in place.
  const row = axes.at(-1)!.extent;
  const along = folded % row === 0 && row >= SHORTEST ? row : folded;
  const gain = inputs.some((_, view) => liesInBlocks(axes, view, along) && !liesInBlocks(axes, view, folded));
  const run = gain ? along : folded;
  const block = evenly(run);
  return { blocks: { axes, longest: block, segment: run, grain: greatestCommonDivisor(run, block) }, run, block, group: 1 };
}

function cutColumns(axes: readonly Axis[], { prefix, folded, suffix }: Fold): Cut {
  if (suffix > BLOCK) {
    const block = evenly(suffix);
    return { blocks: { axes, longest: block, segment: suffix, grain: greatestCommonDivisor(suffix, block) }, run: 1, block, group: 1 };
  }
  const group = Math.min(folded, Math.floor(BLOCK / suffix));
  const longest = group * suffix;
  const aligned = prefix === 1 || folded % group === 0;
  return {
    blocks: { axes, longest, segment: aligned ? longest : suffix * folded * prefix, grain: aligned ? longest : suffix },
    run: 1,
    block: suffix,
    group,
  };
}

function encodeCopy(plan: Plan, { inputs, outputs, fill }: KernelOf<'copy'>): Command[] {
  const moves = outputs.flatMap((to, k) => encodeMove(inputs[k]!, to));
  const target = plan.buffers[outputs[0]?.buffer ?? -1];
  if (fill === null || !target) return moves;
  const words = [outputs[0]!.buffer, target.length * dtypes[target.dtype].bytes, wordOf(fill, target.dtype)];
  return [{ kind: command.FILL, words, workspaceBytes: 0 }, ...moves];
}

/** One window copied to another. */
function encodeMove(from: View, to: View): Command[] {
  if (sizeOf(to.shape) === 0) return [];
  check(from.dtype === to.dtype, 'dtype', () => `a copy keeps the element type, got ${from.dtype} to ${to.dtype}; convert with a map`);
  const walked = collapse(byReach(axesOf(to.shape, [byteStrides(from), byteStrides(to)]), 1));
  // A transposing copy wants the source's finest axis beside the destination's.
  const finest = walked.slice(0, -1).findLastIndex(({ strides }) => strides[0] === 4);
  if (finest >= 0) walked.splice(walked.length - 2, 0, ...walked.splice(finest, 1));
  if (walked.length === 1) walked.unshift({ extent: 1, strides: [0, 0] });
  const windows = [windowOf(from), windowOf(to)].flatMap(({ buffer, byteOffset }) => [buffer, byteOffset]);
  const words = [dtypes[to.dtype].bytes, ...windows, walked.length, ...walked.flatMap(({ extent, strides }) => [extent, ...strides])];
  return [{ kind: command.COPY, words, workspaceBytes: 0 }];
}
