import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { createCpuBackend } from '../../../../engine/backends/cpu/index.ts';
import { createWasmBackend } from '../../../../engine/backends/wasm/index.ts';
import type { Constant, Instruction, Kernel, Plan, Program, Reduction, View } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { type DType, dtypes, type TypedArray } from '../../../../engine/dtype.ts';
import { type ScalarName, scalarRow, scalars } from '../../../../engine/scalar.ts';
import { sizeOf } from '../../../../engine/shape.ts';
import { property } from '../../../support/property.ts';
import { buffer, contiguous, identity, planOf } from '../plans.ts';

const wasm = await createWasmBackend({ deterministic: true });
const cpu = createCpuBackend({ poison: true });
afterAll(() => wasm.dispose());

/** Runs a plan whose buffers are inputs, slots and outputs, and gives back outputs and slots. */
async function run(backend: Backend, plan: Plan, inputs: readonly TypedArray[], slots: readonly TypedArray[]): Promise<TypedArray[]> {
  const held = slots.map((data) => {
    const memory = backend.allocate(data.byteLength);
    backend.write(memory, data);
    return memory;
  });
  const executable = await backend.prepare(plan, []);
  const outputs = (await executable.run(inputs, held)) as TypedArray[];
  const updated = await Promise.all(held.map((memory, k) => backend.read(memory, plan.buffers[plan.slots[k]!]!.dtype, slots[k]!.length)));
  executable.dispose();
  for (const memory of held) backend.free(memory);
  return [...outputs, ...updated];
}

/** Runs a plan on both and compares, floats to `tolerance` times 1 or the value, whichever is larger. */
async function agree(plan: Plan, seed: number, tolerance = 0): Promise<void> {
  expect(planFaults(plan)).toEqual([]);
  const values = (number: number) => draw(plan.buffers[number]!.dtype, plan.buffers[number]!.length, seed + number);
  const [inputs, slots] = [plan.inputs.map(values), plan.slots.map(values)];
  const [expected, actual] = [await run(cpu, plan, inputs, slots), await run(wasm, plan, inputs, slots)];
  for (const [k, array] of expected.entries()) {
    for (let i = 0; i < array.length; i++) {
      const [want, got] = [array[i]!, actual[k]![i]!];
      const close = Object.is(want, got) || Math.abs(want - got) <= tolerance * Math.max(1, Math.abs(want));
      if (!close) throw new Error(`result ${k}, element ${i} of ${array.length}: cpu ${want}, wasm ${got}`);
    }
  }
}

const specials: { readonly [D in DType]: readonly number[] } = {
  f32: [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 2.5, -2.5, 1e-40, 3e38, 2 ** 31, -3e9],
  f64: [],
  i32: [0, 1, -1, 2147483647, -2147483648, 31, 32, 65536],
  u8: [0, 1, 255, 128],
};

/** Deterministic values of a type, with one special among eight. */
function draw(dtype: DType, length: number, seed: number): TypedArray {
  const data = dtypes[dtype].allocate(length);
  const unusual = specials[dtype];
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = (state >>> 13) % 8 === 0 ? unusual[(state >>> 16) % unusual.length]! : dtype === 'f32' ? state / 2 ** 28 : state >> 16;
  }
  return data;
}

type Lane = 'f32' | 'i32';

/** Ops whose results have one right value, by what they take and give. */
const exact = (Object.keys(scalars) as ScalarName[]).filter((name) => !/pow|exp|log|sin|cos|tanh|sigmoid|erf|index/.test(name));
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

interface Draft {
  readonly inputs: readonly DType[];
  readonly outputs: readonly DType[];
  readonly program: Program;
}

/** A random program: well typed, its registers reused as soon as they are free. */
const programs = (least: number, most: number, folded: boolean): fc.Arbitrary<Draft> =>
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

interface Layout {
  readonly order: readonly number[];
  readonly flips: readonly boolean[];
  readonly gap: number;
  readonly still: readonly boolean[];
}

/** How a view of a rank lies in its buffer: permuted, flipped, spread out, and (for inputs) broadcast. Often not at all. */
const layouts = (rank: number, broadcast: boolean): fc.Arbitrary<Layout> => {
  const none = fc.constant(Array<boolean>(rank).fill(false));
  const some = fc.array(fc.boolean(), { minLength: rank, maxLength: rank });
  const axes = [...Array(rank).keys()].toReversed();
  return fc.record({
    order: fc.oneof({ weight: 2, arbitrary: fc.constant(axes) }, { weight: 1, arbitrary: fc.shuffledSubarray(axes, { minLength: rank }) }),
    flips: fc.oneof({ weight: 3, arbitrary: none }, { weight: 1, arbitrary: some }),
    gap: fc.constantFrom(0, 0, 0, 3),
    still: broadcast ? fc.oneof(none, some) : none,
  });
};

function arranged(
  number: number,
  dtype: DType,
  shape: readonly number[],
  { order, flips, gap, still }: Layout,
): { view: View; length: number } {
  const strides = Array<number>(shape.length).fill(0);
  let length = gap + 1;
  let offset = gap;
  for (const axis of order) {
    if (still[axis]) continue;
    strides[axis] = (flips[axis] ? -1 : 1) * (length - gap);
    length = gap + (length - gap) * Math.max(1, shape[axis]!);
  }
  for (const [axis, stride] of strides.entries()) if (stride < 0) offset -= stride * Math.max(0, shape[axis]! - 1);
  return { view: { buffer: number, dtype, shape, strides, offset }, length };
}

/** Small shapes of every kind, and ones whose rows span blocks. */
const shapes = fc.oneof(
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

const someLayouts = (rank: number, broadcast: boolean) => fc.array(layouts(rank, broadcast), { minLength: 4, maxLength: 4 });

describe('wasm computes what cpu computes', () => {
  it('map: any program, layout and type', async () => {
    const cases = shapes.chain((shape) =>
      fc.tuple(fc.constant(shape), programs(0, 12, false), someLayouts(shape.length, true), someLayouts(shape.length, false), fc.nat()),
    );
    await property(
      [cases],
      async ([shape, draft, from, to, seed]) => {
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, from[k]!));
        const outputs = draft.outputs.map((dtype, k) => arranged(inputs.length + k, dtype, shape, to[k]!));
        const specs = [
          ...inputs.map(({ view, length }) => buffer('input', view.dtype, length)),
          // Slots, so that what a kernel must leave alone is compared too.
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'map',
          shape,
          program: draft.program,
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed);
      },
      { numRuns: 400 },
    );
  });

  it('map: in place', async () => {
    const cases = shapes.chain((shape) => fc.tuple(fc.constant(shape), programs(1, 12, false), someLayouts(shape.length, false), fc.nat()));
    await property(
      [cases],
      async ([shape, draft, layout, seed]) => {
        // Each output takes over the bytes of an input of its element size, where there is one left.
        const free = draft.inputs.map((dtype) => dtype);
        const places = draft.outputs.map((dtype) => {
          const donor = free.indexOf(dtype);
          if (donor >= 0) free[donor] = 'f64';
          return donor;
        });
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, layout[k]!));
        const outputs = draft.outputs.map((dtype, k) =>
          places[k]! >= 0 ? inputs[places[k]!]! : arranged(inputs.length + k, dtype, shape, layout[k]!),
        );
        const specs = [
          ...inputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'map',
          shape,
          program: draft.program,
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed);
      },
      { numRuns: 200 },
    );
  });

  it('reduce: any program, fold, layout and type', async () => {
    const reductions = fc.array(fc.constantFrom<Reduction>('sum', 'max', 'min', 'argmax', 'argmin'), { minLength: 3, maxLength: 3 });
    const cases = shapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.nat(shape.length),
        programs(0, 6, true),
        reductions,
        someLayouts(shape.length, true),
        someLayouts(shape.length, false),
        fc.nat(),
      ),
    );
    await property(
      [cases],
      async ([shape, reduced, draft, folds, from, to, seed]) => {
        const kept = shape.slice(0, shape.length - reduced);
        const inputs = draft.inputs.map((dtype, k) => arranged(k, dtype, shape, from[k]!));
        const outputs = draft.outputs.map((dtype, k) => {
          const order = to[k]!.order.filter((axis) => axis < kept.length);
          return arranged(inputs.length + k, folds[k]!.startsWith('arg') ? 'i32' : dtype, kept, { ...to[k]!, order });
        });
        const specs = [
          ...inputs.map(({ view, length }) => buffer('input', view.dtype, length)),
          ...outputs.map(({ view, length }) => buffer('slot', view.dtype, length)),
        ];
        const kernel: Kernel = {
          kind: 'reduce',
          shape,
          reduced,
          program: draft.program,
          reductions: folds.slice(0, outputs.length),
          inputs: inputs.map(({ view }) => view),
          outputs: outputs.map(({ view }) => view),
        };
        await agree(planOf(specs, [kernel]), seed, 1e-5);
      },
      { numRuns: 400 },
    );
  });
});

void contiguous;
void identity;
void sizeOf;
