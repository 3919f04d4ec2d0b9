/** What the interpreter runs: a program's instructions, multiplications fused with what adds them, in as few registers as they need. */
import * as op from '../../../wasm/opcode.ts';
import { resultLane } from '../../compiler/lanes.ts';
import type { Instruction, Program } from '../../compiler/plan.ts';
import { scalarRow } from '../../scalar.ts';

/** One operation; operands and the value it defines are value numbers of the program. */
export interface Step {
  readonly opcode: number;
  readonly operands: readonly number[];
  readonly value: number;
}

/** The steps of a program. Values that stand for element positions (the op `index`) have none. */
export function stepsOf(program: Program, lanes: readonly Instruction['lane'][]): Step[] {
  const first = program.inputs + program.constants.length;
  const uses = new Map<number, number>();
  for (const value of [...program.results, ...program.instructions.flatMap(({ operands }) => operands)])
    uses.set(value, (uses.get(value) ?? 0) + 1);
  /** The operands of a product of floats that only one instruction uses. */
  const product = (value: number): readonly number[] | undefined => {
    const defining = program.instructions[value - first];
    return defining?.op === 'mul' && defining.lane === 'f32' && uses.get(value) === 1 ? defining.operands : undefined;
  };
  const fused = new Set<number>();
  const steps = program.instructions.map((instruction, k): Step => {
    const { op: name, lane, operands } = instruction;
    const [a = 0, b = 0] = operands;
    const fuse = (opcode: number, absorbed: number, factors: readonly number[], other: number): Step => {
      fused.add(absorbed);
      return { opcode, operands: [...factors, other], value: first + k };
    };
    if (lane === 'f32' && (name === 'add' || name === 'sub')) {
      const [left, right] = [product(a), product(b)];
      if (right) return fuse(name === 'add' ? op.MUL_ADD : op.NEGATED_MUL_ADD, b, right, a);
      if (left) return fuse(name === 'add' ? op.MUL_ADD : op.MUL_SUB, a, left, b);
    }
    const { typing, opcode } = scalarRow(name);
    // A conversion to the type that the value has moves it.
    const moves = (typing === 'toFloat' || typing === 'toInt') && lanes[a] === resultLane(instruction);
    const integer = lane === 'i32' && (typing === 'same' || typing === 'compare');
    return { opcode: moves ? op.BIT_OR : opcode + (integer ? op.INTEGER : 0), operands, value: first + k };
  });
  return steps.filter(({ opcode, value }) => opcode !== op.INDEX && !fused.has(value));
}

/** A register for each value that steps define and `placed` has no place for; values that are `kept` are alive at the end. */
export function assignRegisters(
  steps: readonly Step[],
  kept: readonly number[],
  placed: ReadonlySet<number>,
): { readonly of: ReadonlyMap<number, number>; readonly count: number } {
  const lastUse = new Map<number, number>();
  for (const [k, { operands, value }] of steps.entries()) for (const used of [value, ...operands]) lastUse.set(used, k);
  for (const value of kept) lastUse.set(value, Infinity);
  const of = new Map<number, number>();
  const free: number[] = [];
  let count = 0;
  for (const [k, { operands, value }] of steps.entries()) {
    const release = (dead: number): void => {
      const register = of.get(dead);
      if (register !== undefined && lastUse.get(dead) === k) free.push(register);
    };
    for (const operand of new Set(operands)) release(operand);
    if (placed.has(value)) continue;
    of.set(value, free.pop() ?? count++);
    release(value);
  }
  return { of, count };
}
