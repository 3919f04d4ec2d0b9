import fc from 'fast-check';
import type { Constant, Instruction, Program } from '../../../../engine/compiler/plan.ts';
import type { DType } from '../../../../engine/dtype.ts';
import { accuracyOf, type ScalarName, scalarRow, scalars } from '../../../../engine/scalar.ts';
import { program, type Step } from '../plans.ts';

type Lane = 'f32' | 'i32';

/** Ops of operands whose results have one right value. */
const exact = (Object.keys(scalars) as ScalarName[]).filter((name) => scalarRow(name).arity > 0 && accuracyOf(name).wasm === 0.5);
/** By what they take and give. */
const takes = (name: ScalarName, lane: Lane): boolean =>
  ({
    same: true,
    compare: true,
    select: true,
    float: lane === 'f32',
    toFloat: lane === 'f32',
    toInt: lane === 'f32',
    bits: lane === 'i32',
  })[scalarRow(name).typing];

export interface Draft {
  readonly inputs: readonly DType[];
  readonly outputs: readonly DType[];
  readonly program: Program;
}

/** A random program: well typed, its registers reused as soon as they are free. */
export const programs = (least: number, most: number, folded: boolean): fc.Arbitrary<Draft> =>
  fc
    .record({
      inputs: fc.array(fc.constantFrom<DType>('f32', 'f32', 'i32', 'u8'), { minLength: folded ? 1 : 0, maxLength: 4 }),
      constants: fc.array(fc.constantFrom<Constant>({ value: 2.5, lane: 'f32' }, { value: -0, lane: 'f32' }, { value: 3, lane: 'i32' }), {
        minLength: 1,
        maxLength: 3,
      }),
      picks: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat(), fc.boolean()), { minLength: least, maxLength: most }),
      results: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      bytes: fc.boolean(),
    })
    .map(({ inputs, constants, picks, results, bytes }) => {
      const lanes: Lane[] = [
        ...inputs.map((dtype): Lane => (dtype === 'f32' ? 'f32' : 'i32')),
        ...constants.map(({ lane }) => lane as Lane),
      ];
      const first = lanes.length;
      const steps: { op: ScalarName; lane: Lane; operands: number[] }[] = [];
      for (const [which, ...rest] of picks) {
        const [a, b, c, float] = rest;
        const lane: Lane = float ? 'f32' : 'i32';
        const op = which % 23 === 0 ? 'index' : exact[which % exact.length]!;
        if (op !== 'index' && !takes(op, lane)) continue;
        const { arity, typing } = scalarRow(op);
        const wanted = [a, b, c].slice(0, arity).map((pick, at) => {
          const type: Lane =
            typing === 'bits' ? 'i32' : typing === 'toFloat' ? (pick % 2 ? 'i32' : 'f32') : typing === 'select' && at === 0 ? 'i32' : lane;
          const fitting = lanes.flatMap((given, value) => (given === type ? [value] : []));
          return fitting[pick % fitting.length];
        });
        if (wanted.includes(undefined)) continue;
        lanes.push(typing === 'compare' || typing === 'bits' || typing === 'toInt' ? 'i32' : lane);
        steps.push({ op, lane: op === 'index' ? 'i32' : lane, operands: wanted as number[] });
      }
      const chosen = results.map((pick) =>
        steps.length > 0 && pick % 5 > 0 ? first + steps.length - 1 - (pick % Math.min(3, steps.length)) : pick % lanes.length,
      );
      const lastUse = lanes.map((_, value) =>
        chosen.includes(value) ? Infinity : steps.findLastIndex(({ operands }) => operands.includes(value)),
      );
      const free: number[] = [];
      const registerOf = new Map<number, number>();
      let registers = 0;
      const instructions = steps.map((step, k): Instruction => {
        for (const operand of new Set(step.operands)) {
          const register = registerOf.get(operand);
          if (register !== undefined && lastUse[operand] === k) free.push(register);
        }
        const register = free.pop() ?? registers++;
        registerOf.set(first + k, register);
        if (lastUse[first + k]! < k) free.push(register);
        return { ...step, register };
      });
      return {
        inputs,
        outputs: chosen.map((value) => (lanes[value] === 'f32' ? 'f32' : bytes ? 'u8' : 'i32')),
        program: { inputs: inputs.length, constants, instructions, registers, results: chosen },
      };
    });

const arithmetic = ['mul', 'mul', 'mul', 'add', 'add', 'sub', 'sub', 'relu', 'sqrt', 'div'] as const;

/** A random expression of three inputs and two constants whose values in between are used once, as fused forms ask for. */
export const expressions: fc.Arbitrary<Program> = fc
  .array(fc.integer({ min: 0, max: 20 }), { minLength: 16, maxLength: 40 })
  .map((picks) => {
    const constants: Constant[] = [2.5, 0].map((value) => ({ value, lane: 'f32' }));
    const steps: Step[] = [];
    const open: number[] = [];
    const apply = (op: ScalarName, lane: Lane, ...operands: number[]): number => 4 + steps.push([op, lane, ...operands]);
    for (const pick of picks) {
      const op = arithmetic[pick];
      if (op && open.length >= scalarRow(op).arity) open.push(apply(op, 'f32', ...open.splice(-scalarRow(op).arity)));
      // The derivative of relu.
      else if (pick === 20 && open.length > 0) open.push(apply('where', 'f32', apply('less', 'f32', 4, open.pop()!), 1, 4));
      else open.push(pick % 4);
    }
    while (open.length > 1) open.push(apply('add', 'f32', ...open.splice(-2)));
    return program(3, constants, steps, [open[0]!]);
  });

/** Small shapes of every kind, and ones whose rows span blocks. */
export const shapes = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 4 }) },
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 100, max: 1100 })).map((pair): number[] => pair) },
  { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 100, max: 600 }), fc.integer({ min: 1, max: 6 })).map((pair): number[] => pair) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom(1, 16, 48, 64), fc.constantFrom(4, 7, 16))
      .map(([n, c, e]) => [n, c, e, e]),
  },
);
