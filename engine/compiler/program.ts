import { type DType, isFloat } from '../dtype.ts';
import type { Node } from '../graph.ts';
import { type ScalarName, scalarRow } from '../scalar.ts';
import { type Lane, laneOf } from './lanes.ts';
import type { Constant, Instruction, Program } from './plan.ts';

/** A scalar op of a node, or null where the node's value is that of its operand. */
export function scalarOf(node: Node): { readonly op: ScalarName; readonly lane: Lane } | null {
  const operand = node.inputs.at(-1);
  if (node.is('scalar')) return { op: node.attributes.fn, lane: laneOf(operand!.dtype) };
  const [from, to] = [operand!.dtype, node.dtype];
  if (isFloat(to)) return { op: 'toFloat', lane: laneOf(to) };
  return isFloat(from) ? { op: 'toInt', lane: laneOf(from) } : null;
}

/** A value of the program while it is built. */
export type Value = { readonly kind: 'input' | 'constant' | 'instruction'; readonly index: number };

/** Collects the instructions of a kernel while its expression is walked. */
export class ProgramBuilder {
  readonly #constants = new Map<string, number>();
  readonly #constantList: Constant[] = [];
  readonly #instructions: { op: ScalarName; lane: Lane; operands: readonly Value[] }[] = [];
  #inputs = 0;

  input(index: number): Value {
    this.#inputs = Math.max(this.#inputs, index + 1);
    return { kind: 'input', index };
  }

  constant(value: number, dtype: DType): Value {
    const lane = laneOf(dtype);
    const key = `${lane} ${Object.is(value, -0) ? '-0' : value}`;
    let index = this.#constants.get(key);
    if (index === undefined) {
      index = this.#constantList.push({ value, lane }) - 1;
      this.#constants.set(key, index);
    }
    return { kind: 'constant', index };
  }

  instruction(op: ScalarName, lane: Lane, operands: readonly Value[]): Value {
    return { kind: 'instruction', index: this.#instructions.push({ op, lane, operands }) - 1 };
  }

  /** The program whose results are these values, with registers assigned by liveness. */
  build(results: readonly Value[]): Program {
    const first = { input: 0, constant: this.#inputs, instruction: this.#inputs + this.#constantList.length };
    const number = ({ kind, index }: Value): number => first[kind] + index;
    const lastUse = new Map<number, number>();
    this.#instructions.forEach(({ operands }, at) => {
      for (const operand of operands) if (operand.kind === 'instruction') lastUse.set(operand.index, at);
    });
    for (const result of results) if (result.kind === 'instruction') lastUse.set(result.index, Infinity);

    const registers: number[] = [];
    const free: number[] = [];
    let used = 0;
    const instructions = this.#instructions.map(({ op, lane, operands }, at): Instruction => {
      const dying = new Set(
        operands.filter((operand) => operand.kind === 'instruction' && lastUse.get(operand.index) === at).map((operand) => operand.index),
      );
      for (const index of dying) free.push(registers[index]!);
      const register = free.pop() ?? used++;
      registers.push(register);
      if (!lastUse.has(at)) free.push(register);
      return { op, lane, operands: operands.map(number), register };
    });
    return { inputs: this.#inputs, constants: this.#constantList, instructions, registers: used, results: results.map(number) };
  }
}

export function costOf(node: Node): number {
  const scalar = scalarOf(node);
  return scalar ? scalarRow(scalar.op).cost : 0;
}
