/** A plan as commands, words that the interpreter in `wasm/` walks; `wasm/command.ts` and `wasm/words.ts` say what each holds. */
import * as command from '../../../wasm/command.ts';
import * as modes from '../../../wasm/modes.ts';
import * as op from '../../../wasm/opcode.ts';
import { STATE_LINES } from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import { partsOf } from '../../compiler/epilogue.ts';
import { type MovingKernel, movesOf } from '../../compiler/moves.ts';
import type { Kernel, KernelKind, KernelOf, Plan, Reduction, View } from '../../compiler/plan.ts';
import { type DType, dtypes } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { contiguousStrides, sizeOf } from '../../shape.ts';
import { BLOCK, type Cut, cutColumns, cutMap, cutPlanes, cutRows } from './cut.ts';
import { finishedRow } from './epilogue.ts';
import { byteStrides, encodeProgram, liesInBlocks, mayShare, registerBytesOf, windowOf, windowWords } from './program.ts';
import { type Axis, axesOf, byReach, collapse, extentOf, MOST_EXTENT, reach } from './space.ts';
import { encodeWinograd, suitsWinograd } from './winograd.ts';
import { inOrder, viewWords, type Words } from './words.ts';
import { workspaceBytes } from './workspace.ts';

/**
 * Besides a plan's own buffers, commands name two: one whose base is 0, of views whose elements are their own positions, and one for
 * what its threads pass on: partial results of folds, transformed filters of convolutions.
 */
export const extraBuffers = 2;
const partialBuffer = (plan: Plan): number => plan.buffers.length + 1;

export interface EncodedPlan {
  readonly words: Int32Array<ArrayBuffer>;
  /** Scratch memory that one thread needs. */
  readonly workspaceBytes: number;
  /** Scratch memory that all threads share: partial results of folds, transformed filters. */
  readonly partialBytes: number;
}

/**
 * Encodes a plan that computes in f32 and integers alone.
 * @param winograd whether convolutions may be done the way that saves multiplications.
 */
export function encodePlan(plan: Plan, winograd = true): EncodedPlan {
  const words: number[] = [];
  let workspace = 0;
  let partial = 0;
  for (const kernel of plan.kernels) {
    checkCounts(kernel);
    const row = finishedRow(kernel);
    const commands = partsOf(kernel).flatMap((part) =>
      winograd && part.kind === 'conv' && suitsWinograd(part) ? encodeWinograd(part, partialBuffer(plan)) : encodeKernel(plan, part, row),
    );
    for (const encoded of row && commands[1] ? [joined(commands)] : commands) {
      const header: Words<'HEADER'> = { [word.HEADER_KIND]: encoded.kind, [word.HEADER_LENGTH]: word.HEADER_WORDS + encoded.words.length };
      words.push(...inOrder(header), ...encoded.words);
      workspace = Math.max(workspace, encoded.workspaceBytes);
      partial = Math.max(partial, encoded.partialBytes ?? 0);
    }
  }
  return { words: Int32Array.from(words), workspaceBytes: workspace, partialBytes: partial };
}

/** What kernels count is of 32 bits, with a sign but in programs; only what a fold folds, over axes of such extents, is not bounded. */
function checkCounts(kernel: Kernel): void {
  const [most, extents] = 'program' in kernel ? [MOST_EXTENT, kernel.shape] : [2 ** 31, kernel.inputs.flatMap(({ shape }) => shape)];
  const counts = [...extents, ...kernel.outputs.map(({ shape }) => sizeOf(shape))];
  const count = counts.reduce((largest, one) => Math.max(largest, one), 0);
  check(
    count < most,
    'backend',
    () => `the wasm backend counts to ${most - 1} in a ${kernel.kind}, and this one to ${count}; split the tensor`,
  );
}

/** A kernel of `wasm/`, or part of one. */
export interface Command {
  readonly kind: number;
  readonly words: readonly number[];
  readonly workspaceBytes: number;
  readonly partialBytes?: number;
}

/** @param row see {@link finishedRow}; 0 for all but an epilogue. */
type Encoder<K extends KernelKind> = (plan: Plan, kernel: KernelOf<K>, row: number) => Command[];

const encoders: { readonly [K in KernelKind]: Encoder<K> } = {
  map: encodeMap,
  reduce: encodeReduce,
  copy: encodeMoves,
  pad: encodePad,
  concat: encodeMoves,
  scan: fixed<'scan', 'SCAN'>(command.SCAN, ({ fn, outputs: [out] }) => ({
    [word.SCAN_IS_PRODUCT]: +(fn === 'prod'),
    [word.SCAN_ELEMENT]: elements[out!.dtype],
  })),
  matmul: fixed<'matmul', 'MATMUL'>(command.MATMUL, () => ({ [word.MATMUL_EPILOGUE]: 0 })),
  conv: fixed<'conv', 'CONV'>(command.CONV, ({ direction, stride, padding, dilation, groups }) => ({
    [word.CONV_DIRECTION]: directions[direction],
    [word.CONV_STRIDE_HEIGHT]: stride[0],
    [word.CONV_STRIDE_WIDTH]: stride[1],
    [word.CONV_PADDING_HEIGHT]: padding[0],
    [word.CONV_PADDING_WIDTH]: padding[1],
    [word.CONV_DILATION_HEIGHT]: dilation[0],
    [word.CONV_DILATION_WIDTH]: dilation[1],
    [word.CONV_GROUPS]: groups,
  })),
  pool: fixed<'pool', 'POOL'>(command.POOL, ({ mode, kernel, stride, padding, inputs: [x] }) => {
    check(x!.dtype === 'f32', 'dtype', () => `the wasm backend pools images of f32, got ${x!.dtype}; convert them with .cast('f32')`);
    return {
      [word.POOL_MODE]: poolings[mode],
      [word.POOL_KERNEL_HEIGHT]: kernel[0],
      [word.POOL_KERNEL_WIDTH]: kernel[1],
      [word.POOL_STRIDE_HEIGHT]: stride[0],
      [word.POOL_STRIDE_WIDTH]: stride[1],
      [word.POOL_PADDING_HEIGHT]: padding[0],
      [word.POOL_PADDING_WIDTH]: padding[1],
    };
  }),
  gather: fixed<'gather', 'GATHER'>(command.GATHER, ({ outputs: [out] }) => ({
    [word.GATHER_BYTES]: dtypes[out!.dtype].bytes,
    [word.GATHER_MISSING]: wordOf(out!.dtype === 'f32' ? NaN : 0, out!.dtype),
  })),
  scatterAdd: encodeScatter,
  scatter: encodeScatter,
  gridSample: fixed<'gridSample', 'GRID_SAMPLE'>(command.GRID_SAMPLE, ({ padding, alignCorners }) => ({
    [word.GRID_SAMPLE_IS_BORDER]: +(padding === 'border'),
    [word.GRID_SAMPLE_ALIGNS_CORNERS]: +alignCorners,
  })),
  cholesky: fixed<'cholesky', 'CHOLESKY'>(command.CHOLESKY, () => ({})),
  triangularSolve: fixed<'triangularSolve', 'TRIANGULAR_SOLVE'>(command.TRIANGULAR_SOLVE, ({ lower, transpose }) => ({
    [word.TRIANGULAR_SOLVE_IS_LOWER]: +lower,
    [word.TRIANGULAR_SOLVE_TRANSPOSES]: +transpose,
  })),
  eigh: fixed<'eigh', 'EIGH'>(command.EIGH, () => ({})),
  argsort: fixed<'argsort', 'ARGSORT'>(command.ARGSORT, ({ descending, inputs: [x] }) => ({
    [word.ARGSORT_DESCENDS]: +descending,
    [word.ARGSORT_ELEMENT]: elements[x!.dtype],
  })),
};

const directions = { forward: modes.FORWARD, input: modes.INPUT_GRADIENT, weight: modes.WEIGHT_GRADIENT } as const;
const poolings = { max: modes.MAXIMUM, argmax: modes.ARGMAX, sum: modes.SUM, sumTranspose: modes.SUM_TRANSPOSE } as const;
/** f64 is refused before it is asked for. */
const elements: { readonly [D in DType]: number } = { f32: modes.F32, i32: modes.I32, u8: modes.U8, f64: NaN };

function encodeKernel<K extends KernelKind>(plan: Plan, kernel: KernelOf<K>, row: number): Command[] {
  return encoders[kernel.kind](plan, kernel, row);
}

/** One command of a product's and its epilogue's. */
function joined([matmul, map]: readonly Command[]): Command {
  const { words, workspaceBytes: registers } = matmul!;
  return {
    ...matmul!,
    words: [...words.with(word.MATMUL_EPILOGUE, registers), ...map!.words],
    workspaceBytes: registers + map!.workspaceBytes,
  };
}

/** A kernel whose views all have rank 4 or less, and whose parameters are known. */
function fixed<K extends KernelKind, Name extends string>(kind: number, parameters: (kernel: KernelOf<K>) => Words<Name>): Encoder<K> {
  return (_plan, kernel) => {
    if (kernel.kind === 'conv' && sizeOf(kernel.outputs[0]!.shape) === 0) return [];
    const views = [...kernel.inputs, ...kernel.outputs].flatMap(viewWords);
    return [{ kind, words: [...inOrder(parameters(kernel)), ...views], workspaceBytes: workspaceBytes(kernel) }];
  };
}

function encodeScatter(plan: Plan, kernel: KernelOf<'scatterAdd' | 'scatter'>, row: number): Command[] {
  const parameters = { [word.SCATTER_ELEMENT]: elements[kernel.outputs[0]!.dtype], [word.SCATTER_ADDS]: +(kernel.kind === 'scatterAdd') };
  return fixed<typeof kernel.kind, 'SCATTER'>(command.SCATTER, () => parameters)(plan, kernel, row);
}

/** A value of an element type as the word, or the four bytes, that hold it. */
function wordOf(value: number, dtype: DType): number {
  if (dtype === 'f32') return new Int32Array(Float32Array.of(value).buffer)[0]!;
  return dtype === 'u8' ? Math.imul(value & 255, 0x01010101) : value | 0;
}

/** @param row whose pieces are the blocks, in whatever order another kernel asks for them; with 0 the map cuts its blocks itself. */
function encodeMap(plan: Plan, kernel: KernelOf<'map'>, row: number): Command[] {
  const { shape, program, inputs, outputs } = kernel;
  if (sizeOf(shape) === 0) return [];
  const moved = outputs.map((output, k) => [inputs[program.results[k]!], output] as const);
  const apart = outputs.length === 1 || !outputs.some((output) => inputs.some((input) => mayShare(plan, input.buffer, output.buffer)));
  if (!row && apart && sizeOf(shape) < 2 ** 31 && moved.every(([from, to]) => from?.dtype === to.dtype))
    return moved.flatMap(([from, to]) => encodeMove(from!, to));

  const positions = program.instructions.some(({ op: name }) => name === 'index') ? [contiguousStrides(shape)] : [];
  const firstOutput = inputs.length + positions.length;
  const axes = collapse(byReach(axesOf(shape, [...inputs.map(byteStrides), ...positions, ...outputs.map(byteStrides)]), firstOutput));
  const { blocks, length } = row
    ? { blocks: { axes, longest: BLOCK, segment: row, grain: 1 }, length: row }
    : cutMap(axes, inputs, program.instructions.length);
  const inPlace = (k: number): boolean => outputs[k]!.dtype !== 'u8' && liesInBlocks(axes, firstOutput + k, blocks.segment);
  const encoded = encodeProgram(plan, program, inputs, blocks, { target: (k) => (inPlace(k) ? outputs[k]! : null) });
  const results = encoded.results.flatMap(({ slot, direct, spare }, k) => {
    const window = windowOf(outputs[k]!);
    const result: Words<'RESULT'> = {
      [word.RESULT_STORE]: direct ? modes.DIRECT : modes.EACH,
      [word.RESULT_ELEMENT]: window.element,
      [word.RESULT_SLOT]: slot,
      [word.RESULT_SPARE]: spare,
    };
    return [...inOrder(result), ...windowWords(window, axes, firstOutput + k)];
  });
  const head: Words<'MAP'> = {
    [word.MAP_SEGMENTS]: extentOf(axes) / length,
    [word.MAP_LENGTH]: length,
    [word.MAP_BLOCK]: blocks.longest,
    [word.MAP_RESULTS]: outputs.length,
  };
  return [{ kind: command.MAP, words: [...inOrder(head), ...encoded.words, ...results], workspaceBytes: encoded.bytes }];
}

function encodeReduce(plan: Plan, kernel: KernelOf<'reduce'>): Command[] {
  const { shape, reduced, program, inputs, outputs } = kernel;
  const outerRank = shape.length - reduced;
  const positions = program.instructions.some(({ op: name }) => name === 'index') ? [contiguousStrides(shape)] : [];
  const outputStrides = outputs.map((output) => [...byteStrides(output), ...Array<number>(reduced).fill(0)]);
  const axes = axesOf(shape, [...inputs.map(byteStrides), ...positions, ...outputStrides]);
  const ordered = kernel.reductions.some((reduction) => reduction.startsWith('arg'));
  const kept = byReach(axes.slice(0, outerRank), 0, inputs.length);
  const folded = ordered ? axes.slice(outerRank) : byReach(axes.slice(outerRank), 0, inputs.length);
  const firstOutput = inputs.length + positions.length;
  return encodeFold(plan, kernel, walkOf(kept, folded, inputs.length, ordered), firstOutput);
}

/** How the space of a fold is walked (`wasm/reduce.ts`): kept axes before and beside the folded ones, and these in one or two groups. */
interface Walk {
  readonly mode: number;
  readonly before: readonly Axis[];
  readonly folded: readonly Axis[];
  readonly beside: readonly Axis[];
  /** Folded too, innermost; only PLANES have them. */
  readonly within: readonly Axis[];
}

/** @param kept axes and those that are `folded`, in the order of their reach over the first `inputs` views. @param ordered whether positions count. */
function walkOf(kept: readonly Axis[], folded: readonly Axis[], inputs: number, ordered: boolean): Walk {
  const finest = reach(collapse(folded).at(-1)!, 0, inputs);
  const side = kept.findLastIndex((axis) => axis.extent !== 1 && reach(axis, 0, inputs) >= finest) + 1;
  if (extentOf(folded) > 1 && extentOf(kept.slice(side)) > 1) {
    return { mode: modes.COLUMNS, before: kept.slice(0, side), folded, beside: kept.slice(side), within: [] };
  }
  const rows: Walk = { mode: modes.ROWS, before: kept, folded, beside: [], within: [] };
  if (ordered) return rows;
  const isFolded = new Set(folded);
  const all = byReach([...kept, ...folded], 0, inputs).filter(({ extent }) => extent !== 1);
  const within = all.findLastIndex((axis) => !isFolded.has(axis)) + 1;
  const beside = all.slice(0, within).findLastIndex((axis) => isFolded.has(axis)) + 1;
  const outer = all.slice(0, beside).findLastIndex((axis) => !isFolded.has(axis)) + 1;
  const before = all.slice(0, outer);
  const fits = beside > outer && extentOf(all.slice(beside, within)) <= MOST_ROWS && before.every((axis) => !isFolded.has(axis));
  if (!fits || all.some(({ extent }) => extent === 0)) return rows;
  return { mode: modes.PLANES, before, folded: all.slice(outer, beside), beside: all.slice(beside, within), within: all.slice(within) };
}

/** So many rows of a plane have their states in the first-level cache. */
const MOST_ROWS = 2048;

/** Pieces of work that a fold should have, for threads to share, and elements that make it worth while to have one more. */
const ENOUGH_UNITS = 32;
const UNIT = 16384;

function cutOf({ mode, before, folded, beside, within }: Walk, axes: readonly Axis[], { program, inputs }: KernelOf<'reduce'>): Cut {
  const extents = { prefix: extentOf(before), folded: extentOf(folded), suffix: extentOf(beside) };
  if (mode === modes.PLANES) return cutPlanes(axes, extents.suffix, extentOf(within), inputs, program.instructions.length);
  return mode === modes.COLUMNS ? cutColumns(axes, extents) : cutRows(axes, extents, inputs);
}

/** @param firstOutput strides from there on are those of outputs. */
function encodeFold(plan: Plan, kernel: KernelOf<'reduce'>, walk: Walk, firstOutput: number): Command[] {
  const { program, inputs, outputs, reductions } = kernel;
  const { mode, before, beside } = walk;
  const kept = [...before, ...beside];
  if (extentOf(kept) === 0) return [];
  const extents = { prefix: extentOf(before), folded: extentOf(walk.folded), suffix: extentOf(beside) };
  // An empty fold locates no element, but what an extent of 0 would divide is worked out beforehand.
  const axes = collapse(extents.folded === 0 ? [] : [...before, ...walk.folded, ...beside, ...walk.within]);
  const cut = cutOf(walk, axes, kernel);
  const encoded = encodeProgram(plan, program, inputs, cut.blocks, {
    summed: (k) => reductions[k] === 'sum' && outputs[k]!.dtype === 'f32',
  });
  const lineBytes = Math.max(encoded.registerBytes, mode === modes.PLANES ? registerBytesOf(extents.suffix) : 0);
  const emit = (chunk: number, outer: readonly Axis[], target: (k: number) => number[]): Command => {
    const results = encoded.results.flatMap(({ slot, factor, integer }, k) => {
      const code = factor === null ? folds[reductions[k]!] + (integer ? op.INTEGER : 0) : factor === slot ? op.SQUARE : op.DOT;
      const [element, ...window] = target(k);
      const fold: Words<'FOLD'> = {
        [word.FOLD_OPCODE]: code,
        [word.FOLD_ELEMENT]: element!,
        [word.FOLD_SLOT]: slot,
        [word.FOLD_FACTOR]: factor ?? slot,
      };
      return [...inOrder(fold), ...window];
    });
    // A word holds the low bits of a number.
    const high = (count: number): number => Math.floor(count / 2 ** 32);
    const head: Words<'REDUCE'> = {
      [word.REDUCE_MODE]: mode,
      [word.REDUCE_PREFIX]: extents.prefix,
      [word.REDUCE_SUFFIX]: extents.suffix,
      [word.REDUCE_BLOCK]: cut.block,
      [word.REDUCE_GROUP]: cut.group,
      [word.REDUCE_STATES]: encoded.bytes,
      [word.REDUCE_LINE_BYTES]: lineBytes,
      [word.REDUCE_RESULTS]: outputs.length,
      [word.REDUCE_OUTER_RANK]: outer.length,
      [word.REDUCE_REDUCED]: extents.folded,
      [word.REDUCE_REDUCED_HIGH]: high(extents.folded),
      [word.REDUCE_RUN]: cut.run,
      [word.REDUCE_RUN_HIGH]: high(cut.run),
      [word.REDUCE_CHUNK]: chunk,
      [word.REDUCE_CHUNK_HIGH]: high(chunk),
    };
    const words = [...inOrder(head), ...encoded.words, ...outer.map(({ extent }) => extent), ...results];
    return { kind: command.REDUCE, words, workspaceBytes: encoded.bytes + outputs.length * STATE_LINES * lineBytes };
  };

  const units =
    Math.ceil(extents.prefix / (mode === modes.ROWS ? cut.group : 1)) *
    (mode === modes.COLUMNS ? Math.ceil(extents.suffix / cut.block) : 1);
  const wanted = Math.min(Math.ceil(ENOUGH_UNITS / units), Math.floor(extentOf(axes) / units / UNIT));
  const chunk = Math.ceil(extents.folded / Math.max(1, wanted) / cut.step) * cut.step;
  const chunks = Math.ceil(extents.folded / chunk);
  if (chunks > 1 && reductions.every((reduction) => mergeable.has(reduction))) {
    // Partial results, as many for each result as there are chunks, and a second command that folds these.
    const count = extents.prefix * chunks * extents.suffix;
    const partial = (k: number): View => ({
      buffer: partialBuffer(plan),
      dtype: encoded.results[k]!.integer ? 'i32' : 'f32',
      shape: [],
      strides: [],
      offset: k * count,
    });
    const first = emit(chunk, [{ extent: count, strides: [] }], (k) => [modes.WORD, partialBuffer(plan), 4 * k * count, 4]);
    const merged = [...before, { extent: chunks, strides: [] }, ...beside].map(({ extent, strides }, axis, all) => {
      const stride = 4 * extentOf(all.slice(axis + 1));
      return { extent, strides: outputs.map(() => stride).concat(outputs.map((_, k) => strides[firstOutput + k] ?? 0)) };
    });
    const values = outputs.map((_, k) => k);
    const second: KernelOf<'reduce'> = {
      ...kernel,
      inputs: values.map(partial),
      program: { inputs: values.length, constants: [], instructions: [], registers: 0, results: values },
    };
    const [chunkAxis] = merged.splice(before.length, 1);
    const fold = encodeFold(plan, second, walkOf(merged, [chunkAxis!], outputs.length, false), outputs.length);
    return [{ ...first, partialBytes: 4 * outputs.length * count }, ...fold];
  }
  const outer = collapse(kept);
  return [
    emit(Math.max(1, extents.folded), outer, (k) => {
      const window = windowOf(outputs[k]!);
      return [window.element, ...windowWords(window, outer, firstOutput + k)];
    }),
  ];
}
const mergeable: ReadonlySet<Reduction> = new Set(['sum', 'max', 'min']);
const folds: { readonly [R in Reduction]: number } = {
  sum: op.ADD,
  prod: op.MUL,
  max: op.MAXIMUM,
  min: op.MINIMUM,
  argmax: op.ARGMAX,
  argmin: op.ARGMIN,
};

function encodePad(plan: Plan, kernel: KernelOf<'pad'>): Command[] {
  const output = kernel.outputs[0]!;
  const { buffer, byteOffset } = windowOf(output);
  const filled: Words<'FILL'> = {
    [word.FILL_BUFFER]: buffer,
    [word.FILL_OFFSET]: byteOffset,
    [word.FILL_BYTES]: sizeOf(output.shape) * dtypes[output.dtype].bytes,
    [word.FILL_VALUE]: wordOf(kernel.value, output.dtype),
  };
  return [{ kind: command.FILL, words: inOrder(filled), workspaceBytes: 0 }, ...encodeMoves(plan, kernel)];
}

function encodeMoves(_plan: Plan, kernel: MovingKernel): Command[] {
  return movesOf(kernel).flatMap((move) => encodeMove(...move));
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
  const copied: Words<'COPY'> = {
    [word.COPY_BYTES]: dtypes[to.dtype].bytes,
    [word.COPY_FROM_BUFFER]: from.buffer,
    [word.COPY_FROM_OFFSET]: windowOf(from).byteOffset,
    [word.COPY_TO_BUFFER]: to.buffer,
    [word.COPY_TO_OFFSET]: windowOf(to).byteOffset,
    [word.COPY_RANK]: walked.length,
  };
  const axes = walked.flatMap(({ extent, strides: [fromStride, toStride] }) => {
    const axis: Words<'AXIS'> = { [word.AXIS_EXTENT]: extent, [word.AXIS_FROM_STRIDE]: fromStride!, [word.AXIS_TO_STRIDE]: toStride! };
    return inOrder(axis);
  });
  return [{ kind: command.COPY, words: [...inOrder(copied), ...axes], workspaceBytes: 0 }];
}
