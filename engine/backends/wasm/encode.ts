/** A plan as commands, words that the interpreter in `wasm/` walks; `wasm/command.ts` and `wasm/words.ts` say what each holds. */
import * as command from '../../../wasm/command.ts';
import * as modes from '../../../wasm/modes.ts';
import * as word from '../../../wasm/words.ts';
import { partsOf } from '../../compiler/epilogue.ts';
import type { Kernel, KernelKind, KernelOf, Plan } from '../../compiler/plan.ts';
import { type DType, dtypes, type OwnInt32Array } from '../../dtype.ts';
import { check } from '../../errors.ts';
import { sizeOf } from '../../shape.ts';
import { type Command, partialBuffer } from './command.ts';
import { encodeMoves, encodePad } from './copy.ts';
import { finishedRow } from './epilogue.ts';
import { encodeMap } from './map.ts';
import { encodeReduce } from './reduce.ts';
import { MOST_EXTENT } from './space.ts';
import { encodeWinograd, suitsWinograd } from './winograd.ts';
import { inOrder, viewWords, type Words, wordOf } from './words.ts';
import { workspaceBytes } from './workspace.ts';

export interface EncodedPlan {
  readonly words: OwnInt32Array;
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
