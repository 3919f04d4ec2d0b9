import { type Lane, resultLane } from '../../compiler/lanes.ts';
import type { Program } from '../../compiler/plan.ts';
import { scalarRow } from '../../scalar.ts';

const rounding: { readonly [L in Lane]: (value: number) => number } = {
  f32: Math.fround,
  f64: (value) => value,
  i32: (value) => value | 0,
};

/**
 * The results of a program at positions 0 … count − 1, given its inputs there. Registers are used as the program assigns them,
 * so that a wrong assignment gives wrong numbers here too.
 */
export function evaluate(program: Program, inputs: readonly Float64Array[], count: number): Float64Array[] {
  const registers = Array.from({ length: program.registers }, () => new Float64Array(count));
  const values = [...inputs, ...program.constants.map(({ value, lane }) => new Float64Array(count).fill(rounding[lane](value)))];
  for (const instruction of program.instructions) {
    const result = registers[instruction.register]!;
    // Operands that an op does not take repeat the last, so that Math.max may see a third.
    const [a = result, b = a, c = b] = instruction.operands.map((operand) => values[operand]!);
    const row = scalarRow(instruction.op);
    const compute = (instruction.lane === 'i32' && row.integer) || row.reference;
    const round = rounding[resultLane(instruction)];
    if (instruction.op === 'index') for (let i = 0; i < count; i++) result[i] = i;
    else for (let i = 0; i < count; i++) result[i] = round(compute(a[i]!, b[i]!, c[i]!));
    values.push(result);
  }
  return program.results.map((value) => values[value]!);
}
