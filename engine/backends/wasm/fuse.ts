/** What the interpreter runs: a program's instructions, neighbours fused into one, in as few registers as they need. */
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

/**
 * Which operation takes the place of `outer` when its operand `at` is the result of `inner`: its operands are those of `inner`, then the other
 * ones. The first that applies is taken.
 */
export const fusions: readonly (readonly [outer: number, at: number, inner: number, fused: number])[] = [
  [op.SCALE_ADD, 2, op.MUL, op.SCALE_ADD_SCALE],
  [op.NEGATED_SCALE_ADD, 2, op.MUL, op.SCALE_SUB_SCALE],
  [op.SUB, 1, op.MUL, op.NEGATED_SCALE_ADD],
  [op.SUB, 1, op.MUL, op.NEGATED_MUL_ADD],
  [op.SUB, 0, op.MUL, op.MUL_SUB],
  [op.ADD, 1, op.MUL, op.SCALE_ADD],
  [op.ADD, 0, op.MUL, op.SCALE_ADD],
  [op.ADD, 1, op.MUL, op.MUL_ADD],
  [op.ADD, 0, op.MUL, op.MUL_ADD],
  [op.ADD, 0, op.ADD, op.ADD_ADD],
  [op.SCALE_ADD, 0, op.SQRT, op.SQRT_MUL_ADD],
  [op.MUL, 0, op.SUB, op.SUB_MUL],
  [op.MUL, 1, op.SUB, op.SUB_MUL],
  [op.MUL, 0, op.ADD, op.ADD_MUL],
  [op.MUL, 1, op.ADD, op.ADD_MUL],
  [op.MUL, 0, op.MUL, op.MUL_MUL],
  [op.MUL, 1, op.MUL, op.MUL_MUL],
  [op.DIV, 0, op.MUL, op.MUL_DIV],
  [op.RELU, 0, op.ADD, op.ADD_RELU],
  [op.RELU, 0, op.MUL_ADD, op.MUL_ADD_RELU],
  [op.RELU, 0, op.SCALE_ADD, op.MUL_ADD_RELU],
];

/** Which operands of an operation must be the same for all elements of a block. */
const stills = new Map<number, readonly number[]>([
  [op.SCALE_ADD, [1]],
  [op.NEGATED_SCALE_ADD, [1]],
  [op.SCALE_ADD_SCALE, [1, 3]],
  [op.SCALE_SUB_SCALE, [1, 3]],
]);

/**
 * The steps of a program. Values that stand for element positions (the op `index`) have none.
 * @param isStill whether a value is the same for all elements of a block.
 */
export function stepsOf(program: Program, lanes: readonly Instruction['lane'][], isStill: (value: number) => boolean): Step[] {
  const first = program.inputs + program.constants.length;
  const uses = new Map<number, number>();
  for (const value of [...program.results, ...program.instructions.flatMap(({ operands }) => operands)])
    uses.set(value, (uses.get(value) ?? 0) + 1);
  const isZero = (value: number): boolean => Object.is(program.constants[value - program.inputs]?.value, 0);
  const steps = new Map<number, Step>();
  for (const [k, { op: name, lane, operands }] of program.instructions.entries()) {
    if (name === 'index') continue;
    const value = first + k;
    const { typing, opcode } = scalarRow(name);
    // A conversion to the type that the value has moves it.
    const moves = (typing === 'toFloat' || typing === 'toInt') && lanes[operands[0]!] === resultLane(program.instructions[k]!);
    const integer = lane === 'i32' && (typing === 'same' || typing === 'compare');
    const own = moves ? op.BITWISE_OR : opcode + (integer ? op.INTEGER : 0);
    // A factor that is the same for all goes last, which is where fused operations expect it.
    const plain = { opcode: own, operands: own === op.MUL && isStill(operands[0]!) ? operands.toReversed() : operands, value };
    steps.set(value, gate(plain) ?? fuse(plain));
  }
  return [...steps.values()];

  /** The step that defines a value, if it is of this operation and only one other uses it. */
  function sole(value: number, opcode: number): Step | undefined {
    const step = steps.get(value);
    return step?.opcode === opcode && uses.get(value) === 1 ? step : undefined;
  }

  function fuse(step: Step): Step {
    for (const [outer, at, inner, fused] of fusions) {
      const absorbed = outer === step.opcode ? sole(step.operands[at]!, inner) : undefined;
      if (!absorbed) continue;
      const operands = [...absorbed.operands, ...step.operands.toSpliced(at, 1)];
      if (stills.get(fused)?.every((position) => isStill(operands[position]!)) === false) continue;
      steps.delete(absorbed.value);
      return fuse({ opcode: fused, operands, value: step.value });
    }
    return step;
  }

  /** where(0 < x, y, 0), the derivative of relu. */
  function gate({ opcode, operands: [condition = 0, chosen = 0, otherwise = 0], value }: Step): Step | undefined {
    const zero = steps.get(condition)?.operands[0] ?? 0;
    if (opcode !== op.WHERE || !isZero(otherwise) || !isZero(zero)) return undefined;
    const less = sole(condition, op.LESS);
    if (!less) return undefined;
    steps.delete(condition);
    return { opcode: op.GATE, operands: [less.operands[1]!, chosen], value };
  }
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
