/** Folds of what programs give (`wasm/reduce.ts`). */
import * as command from '../../../wasm/command.ts';
import * as modes from '../../../wasm/modes.ts';
import * as op from '../../../wasm/opcode.ts';
import { STATE_LINES } from '../../../wasm/sizes.ts';
import * as word from '../../../wasm/words.ts';
import type { KernelOf, Plan, Program, Reduction, View } from '../../compiler/plan.ts';
import { byteStrides, registerBytesOf, type Window, windowOf, windowWords } from './blocks.ts';
import { type Command, partialBuffer } from './command.ts';
import { type Cut, cutColumns, cutPlanes, cutRows, type Fold } from './cut.ts';
import { type EncodedProgram, encodeProgram, positionStrides, type Result } from './program.ts';
import { type Axis, axesOf, byReach, collapse, extentOf, reach, stridesAlong } from './space.ts';
import { inOrder, type Words } from './words.ts';

export function encodeReduce(plan: Plan, kernel: KernelOf<'reduce'>): Command[] {
  const { shape, reduced, program, inputs, outputs } = kernel;
  const outerRank = shape.length - reduced;
  const outputStrides = outputs.map((output) => [...byteStrides(output), ...Array<number>(reduced).fill(0)]);
  const before = [...inputs.map(byteStrides), ...positionStrides(program, shape)];
  const axes = axesOf(shape, [...before, ...outputStrides]);
  const ordered = kernel.reductions.some((reduction) => reduction.startsWith('arg'));
  const kept = byReach(axes.slice(0, outerRank), 0, inputs.length);
  const folded = ordered ? axes.slice(outerRank) : byReach(axes.slice(outerRank), 0, inputs.length);
  return encodeFold(plan, kernel, walkOf(kept, folded, inputs.length, ordered), before.length);
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

/** @param firstOutput the first of the axes' views that is one of an output. */
function encodeFold(plan: Plan, kernel: KernelOf<'reduce'>, walk: Walk, firstOutput: number): Command[] {
  const { program, inputs, outputs, reductions } = kernel;
  const { before, folded, beside, within } = walk;
  const kept = [...before, ...beside];
  if (extentOf(kept) === 0) return [];
  const extents: Fold = { prefix: extentOf(before), folded: extentOf(folded), suffix: extentOf(beside) };
  // An empty fold locates no element, but what an extent of 0 would divide is worked out beforehand.
  const axes = collapse(extents.folded === 0 ? [] : [...before, ...folded, ...beside, ...within]);
  const cut = cutOf(walk, extents, axes, kernel);
  const encoded = encodeProgram(plan, program, inputs, cut.blocks, {
    summed: (k) => reductions[k] === 'sum' && outputs[k]!.dtype === 'f32',
  });
  const folding = (chunk: number, target: Target): Command => foldCommand(kernel, walk.mode, extents, cut, encoded, chunk, target);
  const chunk = reductions.every((reduction) => mergeable.has(reduction))
    ? chunkOf(walk.mode, extents, cut, extentOf(axes))
    : extents.folded;
  const chunks = Math.ceil(extents.folded / chunk);
  if (!(chunks > 1))
    return [folding(Math.max(1, extents.folded), { axes: collapse(kept), windows: outputs.map(windowOf), first: firstOutput })];

  // Partial results, as many for each result as there are chunks, and a second command that folds these.
  const count = extents.prefix * chunks * extents.suffix;
  const partials = encoded.results.map(
    ({ integer }, k): View => ({ buffer: partialBuffer(plan), dtype: integer ? 'i32' : 'f32', shape: [], strides: [], offset: k * count }),
  );
  const gathered = [{ extent: count, strides: partials.map(() => 4) }];
  const first = folding(chunk, { axes: gathered, windows: partials.map(windowOf), first: 0 });
  const merged = [...before, { extent: chunks, strides: [] }, ...beside].map((axis, position, all) => {
    const stride = 4 * extentOf(all.slice(position + 1));
    return { extent: axis.extent, strides: [...partials.map(() => stride), ...outputs.map((_, k) => axis.strides[firstOutput + k] ?? 0)] };
  });
  const values = partials.map((_, k) => k);
  const identity: Program = { inputs: values.length, constants: [], instructions: [], registers: 0, results: values };
  const [chunkAxis] = merged.splice(before.length, 1);
  const second = walkOf(merged, [chunkAxis!], partials.length, false);
  return [
    { ...first, partialBytes: 4 * outputs.length * count },
    ...encodeFold(plan, { ...kernel, inputs: partials, program: identity }, second, partials.length),
  ];
}

function cutOf({ mode, within }: Walk, extents: Fold, axes: readonly Axis[], { program, inputs }: KernelOf<'reduce'>): Cut {
  if (mode === modes.PLANES) return cutPlanes(axes, extents.suffix, extentOf(within), inputs, program.instructions.length);
  return mode === modes.COLUMNS ? cutColumns(axes, extents) : cutRows(axes, extents, inputs);
}

/** Pieces of work that a fold should have, for threads to share, and elements that make it worth while to have one more. */
const ENOUGH_UNITS = 32;
const UNIT = 16384;

/** How many folded elements (or planes) make a chunk, of those that are folded for each result. */
function chunkOf(mode: number, { prefix, folded, suffix }: Fold, { group, block, step }: Cut, elements: number): number {
  const units = Math.ceil(prefix / (mode === modes.ROWS ? group : 1)) * (mode === modes.COLUMNS ? Math.ceil(suffix / block) : 1);
  const wanted = Math.min(Math.ceil(ENOUGH_UNITS / units), Math.floor(elements / units / UNIT));
  return Math.ceil(folded / Math.max(1, wanted) / step) * step;
}
const mergeable: ReadonlySet<Reduction> = new Set(['sum', 'max', 'min']);

/** Where the results of a fold go: the axes that count them, and of each a window, whose strides are those of views `first` and following. */
interface Target {
  readonly axes: readonly Axis[];
  readonly windows: readonly Window[];
  readonly first: number;
}

function foldCommand(
  { reductions }: KernelOf<'reduce'>,
  mode: number,
  { prefix, folded, suffix }: Fold,
  { block, group, run }: Cut,
  encoded: EncodedProgram,
  chunk: number,
  { axes, windows, first }: Target,
): Command {
  const results = encoded.results.flatMap((result, k) => {
    const { element } = windows[k]!;
    const fold: Words<'FOLD'> = {
      [word.FOLD_OPCODE]: opcodeOf(reductions[k]!, result),
      [word.FOLD_ELEMENT]: element,
      [word.FOLD_SLOT]: result.slot,
      [word.FOLD_FACTOR]: result.factor ?? result.slot,
    };
    return [...inOrder(fold), ...windowWords(windows[k]!, stridesAlong(axes, first + k))];
  });
  const lineBytes = Math.max(encoded.registerBytes, mode === modes.PLANES ? registerBytesOf(suffix) : 0);
  const head: Words<'REDUCE'> = {
    [word.REDUCE_MODE]: mode,
    [word.REDUCE_PREFIX]: prefix,
    [word.REDUCE_SUFFIX]: suffix,
    [word.REDUCE_BLOCK]: block,
    [word.REDUCE_GROUP]: group,
    [word.REDUCE_STATES]: encoded.bytes,
    [word.REDUCE_LINE_BYTES]: lineBytes,
    [word.REDUCE_RESULTS]: windows.length,
    [word.REDUCE_OUTER_RANK]: axes.length,
    [word.REDUCE_REDUCED]: folded,
    [word.REDUCE_REDUCED_HIGH]: high(folded),
    [word.REDUCE_RUN]: run,
    [word.REDUCE_RUN_HIGH]: high(run),
    [word.REDUCE_CHUNK]: chunk,
    [word.REDUCE_CHUNK_HIGH]: high(chunk),
  };
  const words = [...inOrder(head), ...encoded.words, ...axes.map(({ extent }) => extent), ...results];
  return { kind: command.REDUCE, words, workspaceBytes: encoded.bytes + windows.length * STATE_LINES * lineBytes };
}

/** A word holds the low bits of a number. */
const high = (count: number): number => Math.floor(count / 2 ** 32);

function opcodeOf(reduction: Reduction, { slot, factor, integer }: Result): number {
  if (factor !== null) return factor === slot ? op.SQUARE : op.DOT;
  return folds[reduction] + (integer ? op.INTEGER : 0);
}

const folds: { readonly [R in Reduction]: number } = {
  sum: op.ADD,
  prod: op.MUL,
  max: op.MAXIMUM,
  min: op.MINIMUM,
  argmax: op.ARGMAX,
  argmin: op.ARGMIN,
};
