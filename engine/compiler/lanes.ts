import type { DType } from '../dtype.ts';
import { type ScalarTyping, scalarRow } from '../scalar.ts';
import type { Instruction, Program } from './plan.ts';

/** What a value of a program is computed in; `u8` is widened to `i32` when it is loaded. */
export type Lane = Instruction['lane'];

/** The lane in which values of an element type are computed. */
export function laneOf(dtype: DType): Lane {
  return dtype === 'u8' ? 'i32' : dtype;
}

const resultLanes: { readonly [T in ScalarTyping]: Lane | 'same' } = {
  same: 'same',
  float: 'same',
  select: 'same',
  toFloat: 'same',
  compare: 'i32',
  bits: 'i32',
  toInt: 'i32',
};

/** The lane of the value that an instruction defines. */
export function resultLane(instruction: Instruction): Lane {
  const lane = resultLanes[scalarRow(instruction.op).typing];
  return lane === 'same' ? instruction.lane : lane;
}

/** The lane of each value of a program, by value number. */
export function valueLanes(program: Program, inputs: readonly DType[]): Lane[] {
  return [...inputs.map(laneOf), ...program.constants.map((constant) => constant.lane), ...program.instructions.map(resultLane)];
}
