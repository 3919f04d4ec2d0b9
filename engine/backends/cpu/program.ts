import { type Lane, resultLane } from '../../compiler/lanes.ts';
import type { KernelOf, Program } from '../../compiler/plan.ts';
import type { TypedArray } from '../../dtype.ts';
import { sizeOf } from '../../shape.ts';
import { readView } from './dense.ts';
import { references } from './reference.ts';

const rounding: { readonly [L in Lane]: (value: number) => number } = {
  f32: Math.fround,
  f64: (value) => value,
  i32: (value) => value | 0,
};

/** Elements that are computed at once: a space that is folded is never stored, and may be larger than memory. */
const PIECE = 2 ** 20;

/**
 * Visits the results of a kernel's program at all positions of its space, piece by piece in row-major order: whole arrays of which the
 * first element is at position `from`.
 */
export function forEachPiece(
  { program, shape, inputs: views }: KernelOf<'map' | 'reduce'>,
  buffers: readonly TypedArray[],
  visit: (results: readonly Float64Array[], from: number) => void,
): void {
  const size = sizeOf(shape);
  for (let from = 0; from < size; from += PIECE) {
    const count = Math.min(PIECE, size - from);
    const inputs = views.map((view) => readView(view, buffers[view.buffer]!, from, count));
    visit(evaluate(program, inputs, from, count), from);
  }
}

/**
 * The results of a program at `count` positions, given its inputs there. Registers are used as the program assigns them,
 * so that a wrong assignment gives wrong numbers here too.
 */
function evaluate(program: Program, inputs: readonly Float64Array[], from: number, count: number): Float64Array[] {
  const registers = Array.from({ length: program.registers }, () => new Float64Array(count));
  const values = [...inputs, ...program.constants.map(({ value, lane }) => new Float64Array(count).fill(rounding[lane](value)))];
  for (const instruction of program.instructions) {
    const result = registers[instruction.register]!;
    // Operands that an op does not take repeat the last, so that Math.max may see a third.
    const [a = result, b = a, c = b] = instruction.operands.map((operand) => values[operand]!);
    const { of, integer } = references[instruction.op];
    const compute = (instruction.lane === 'i32' && integer) || of;
    const round = rounding[resultLane(instruction)];
    if (instruction.op === 'index') for (let i = 0; i < count; i++) result[i] = from + i;
    else for (let i = 0; i < count; i++) result[i] = round(compute(a[i]!, b[i]!, c[i]!));
    values.push(result);
  }
  return program.results.map((value) => values[value]!);
}
