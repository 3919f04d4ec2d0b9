import { type Lane, valueLanes } from '../../compiler/lanes.ts';
import type { ReduceKernel, Reduction } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { writeView } from './dense.ts';
import { forEachPiece } from './program.ts';

export function reduce(kernel: ReduceKernel, buffers: readonly TypedArray[]): void {
  const { program, shape, reduced, reductions, inputs, outputs } = kernel;
  const outer = sizeOf(shape.slice(0, shape.length - reduced));
  const count = sizeOf(shape.slice(shape.length - reduced));
  const lanes = valueLanes(
    program,
    inputs.map((view) => view.dtype),
  );
  const begin = reductions.map((reduction, k) => () => folds[reduction](lanes[program.results[k]!]!));
  const running = begin.map((fold) => fold());
  const write = (k: number, results: Float64Array, from: number): void => {
    writeView(outputs[k]!, buffers[outputs[k]!.buffer]!, results, from);
  };
  if (count === 0) for (const [k, fold] of running.entries()) write(k, new Float64Array(outer).fill(fold.result()), 0);
  forEachPiece(kernel, buffers, (values, from) => {
    const length = values[0]?.length ?? 0;
    // Outputs that end in this piece: all but the last of those that it has elements of, unless that ends with it.
    const [first, end] = [Math.floor(from / count), Math.floor((from + length) / count)];
    const results = values.map(() => new Float64Array(end - first));
    for (let at = from; at < from + length; ) {
      const o = Math.floor(at / count);
      const stop = Math.min(from + length, (o + 1) * count);
      for (const [k, array] of values.entries()) {
        running[k]!.add(array.subarray(at - from, stop - from));
        if (o >= end) continue;
        results[k]![o - first] = running[k]!.result();
        running[k] = begin[k]!();
      }
      at = stop;
    }
    for (const [k, array] of results.entries()) write(k, array, first);
  });
}

/** A fold of values that come one piece after the other. */
interface Fold {
  readonly add: (values: Float64Array) => void;
  readonly result: () => number;
}

function accumulation(neutral: number, merge: (a: number, b: number) => number): Fold {
  let total = neutral;
  return {
    add(values) {
      for (let i = 0; i < values.length; i++) total = merge(total, values[i]!);
    },
    result: () => total,
  };
}

/** The first NaN, else the first value that none `beats`, and its position. */
function extremum(beats: (a: number, b: number) => boolean, result: (best: number | undefined, position: number) => number): Fold {
  let best: number | undefined;
  let [position, seen] = [0, 0];
  return {
    add(values) {
      for (let i = 0; i < values.length && !Number.isNaN(best); i++) {
        const value = values[i]!;
        if (best !== undefined && !Number.isNaN(value) && !beats(value, best)) continue;
        best = value;
        position = seen + i;
      }
      seen += values.length;
    },
    result: () => result(best, position),
  };
}

/** Integers wrap at 32 bits at each step, since a double could not hold every sum or product whole. */
export const merges: { readonly [R in 'sum' | 'prod']: (lane: Lane) => (a: number, b: number) => number } = {
  sum: (lane) => (lane === 'i32' ? (a, b) => (a + b) | 0 : (a, b) => a + b),
  prod: (lane) => (lane === 'i32' ? Math.imul : (a, b) => a * b),
};

/** What an empty fold gives: for integers the ends of `i32`, whose low bytes are the ends of `u8`. */
const lowest: { readonly [L in Lane]: number } = { f32: -Infinity, f64: -Infinity, i32: -2147483648 };
const highest: { readonly [L in Lane]: number } = { f32: Infinity, f64: Infinity, i32: 2147483647 };

const larger = (a: number, b: number): boolean => a > b;
const smaller = (a: number, b: number): boolean => a < b;

const folds: { readonly [R in Reduction]: (lane: Lane) => Fold } = {
  sum: (lane) => accumulation(0, merges.sum(lane)),
  prod: (lane) => accumulation(1, merges.prod(lane)),
  max: (lane) => extremum(larger, (best) => best ?? lowest[lane]),
  min: (lane) => extremum(smaller, (best) => best ?? highest[lane]),
  argmax: () => extremum(larger, (_, position) => position),
  argmin: () => extremum(smaller, (_, position) => position),
};
