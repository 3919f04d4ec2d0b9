import { type Lane, valueLanes } from '../../compiler/lanes.ts';
import type { Reduction } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';
import { evaluate } from './program.ts';

export const reduce: Runner<'reduce'> = ({ program, shape, reduced, reductions, inputs: views }, ...inputs) => {
  const outer = sizeOf(shape.slice(0, shape.length - reduced));
  const lanes = valueLanes(
    program,
    views.map((view) => view.dtype),
  );
  const values = evaluate(program, inputs, sizeOf(shape));
  return reductions.map((reduction, k) => {
    const lane = lanes[program.results[k]!]!;
    const count = values[k]!.length / outer;
    return Float64Array.from({ length: outer }, (_, o) => folds[reduction](values[k]!.subarray(o * count, (o + 1) * count), lane));
  });
};

/** What an empty fold gives: for integers the ends of `i32`, whose low bytes are the ends of `u8`. */
const lowest: { readonly [L in Lane]: number } = { f32: -Infinity, f64: -Infinity, i32: -2147483648 };
const highest: { readonly [L in Lane]: number } = { f32: Infinity, f64: Infinity, i32: 2147483647 };

const folds: { readonly [R in Reduction]: (values: Float64Array, lane: Lane) => number } = {
  // Integers wrap at 32 bits at each step, since a double could not hold every sum or product whole.
  sum: (values, lane) => values.reduce(lane === 'i32' ? (sum, value) => (sum + value) | 0 : (sum, value) => sum + value, 0),
  prod: (values, lane) => values.reduce(lane === 'i32' ? Math.imul : (product, value) => product * value, 1),
  max: (values, lane) => values[firstExtremum(values, (a, b) => a > b)] ?? lowest[lane],
  min: (values, lane) => values[firstExtremum(values, (a, b) => a < b)] ?? highest[lane],
  argmax: (values) => firstExtremum(values, (a, b) => a > b),
  argmin: (values) => firstExtremum(values, (a, b) => a < b),
};

/** The position of the first NaN, else of the first value that none `beats`. */
function firstExtremum(values: Float64Array, beats: (a: number, b: number) => boolean): number {
  let best = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) return i;
    if (beats(values[i]!, values[best]!)) best = i;
  }
  return best;
}
