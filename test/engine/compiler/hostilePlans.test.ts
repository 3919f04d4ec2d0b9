/** Plans from anywhere: what is no sound plan is refused with words, and what is accepted runs without touching memory that is not its own. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { references } from '../../../engine/backends/cpu/reference.ts';
import type { BufferSpec, Kernel, Plan, View } from '../../../engine/compiler/plan.ts';
import { kernelKinds } from '../../../engine/compiler/readPlan.ts';
import { planFaults, validatePlan } from '../../../engine/compiler/validate.ts';
import { workOf } from '../../../engine/compiler/work.ts';
import { dtypes, type TypedArray } from '../../../engine/dtype.ts';
import { TensegrityError } from '../../../engine/errors.ts';
import { type ScalarName, scalars } from '../../../engine/scalar.ts';
import { sizeOf } from '../../../engine/shape.ts';
import { propertyTogether } from '../../support/property.ts';
import { buffer, identity, noise, planOf } from '../backends/plans.ts';
import { runOn } from '../backends/wasm/shares.ts';
import { cpu } from '../backends/wasm/strided.ts';
import { basePlans, mutants, mutate, oddPlan, variants, vary } from './mutants.ts';

/** The whole takes minutes. */
const FULL = Boolean(process.env['TENSEGRITY_FULL']);
/** Elements, bytes or operations of a plan that is run. */
const MOST = 1e6;
const HOUR = 3_600_000;

const bases = basePlans(40, 7);

const outcomes = new Map<string, number>();
const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

/** What is wrong with how a plan is taken, or null. */
async function faultOf(plan: unknown): Promise<string | null> {
  try {
    validatePlan(plan);
  } catch (error) {
    count('refused');
    if (!isWorded(error, 'format')) return `validatePlan threw ${String(error)}`;
    return null;
  }
  if (isLarge(plan)) {
    count('accepted, too large to run here');
    return null;
  }
  const values = (numbers: readonly number[]): TypedArray[] => numbers.map((number) => wholeNumbers(plan.buffers[number]!, number));
  const [inputs, constants, slots] = [values(plan.inputs), values(plan.constants), values(plan.slots)];
  const text = JSON.stringify(plan);
  const isDouble = text.includes('"f64"');
  try {
    const reference = await onReference(plan, inputs, constants, slots);
    if (isDouble) {
      count('accepted, of f64, ran on cpu');
      return null;
    }
    const result = runOn(3, plan, inputs, { slots, constants });
    const fault = difference(reference, result);
    // A convolution may or may not multiply the zeros around an image with what is not finite, and eigenvectors of equal values are anyone's.
    if (fault !== null && !(text.includes('"eigh"') || (text.includes('"conv"') && unbounded.some((name) => text.includes(`"${name}"`)))))
      return `${fault}\n${text}`;
    if (fault !== null) count('of these differing where they may');
    count('accepted, ran on cpu and wasm');
    return null;
  } catch (error) {
    if (isWorded(error, 'backend')) {
      count('accepted, refused by a backend');
      return null;
    }
    return `a plan that was accepted: ${error instanceof Error ? (error.stack ?? String(error)) : String(error)}`;
  }
}

/** What makes an infinity or a NaN of numbers like those here. */
const unbounded: readonly string[] = [
  'prod',
  ...(Object.keys(scalars) as ScalarName[]).filter((name) =>
    [-1, 0, 1, 1000].some((a) => [-1, 0, 0.5].some((b) => !Number.isFinite(references[name].of(a, b, b)))),
  ),
];

const isWorded = (error: unknown, code: string): boolean => error instanceof TensegrityError && error.code === code;

function isLarge(plan: Plan): boolean {
  const views = plan.kernels.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
  const elements = [...views, ...plan.kernels.flatMap((kernel) => ('shape' in kernel ? [kernel] : []))].map(({ shape }) => sizeOf(shape));
  const bytes = [plan.arenaBytes, ...plan.buffers.map(({ length, dtype }) => length * dtypes[dtype].bytes)];
  const work = plan.kernels.map(workOf).flatMap(({ flops, bytes: moved }) => [flops, moved]);
  return [...elements, ...bytes, ...work].some((amount) => !(amount <= MOST));
}

/** Small ones, so that sums of them are the same in any order. */
function wholeNumbers({ dtype, length }: BufferSpec, seed: number): TypedArray {
  const data = dtypes[dtype].allocate(length);
  data.set(noise(length, seed + 1).map((value) => Math.round(value * 4)));
  return data;
}

async function onReference(
  plan: Plan,
  inputs: readonly TypedArray[],
  constants: readonly TypedArray[],
  slots: readonly TypedArray[],
): Promise<TypedArray[]> {
  const executable = await cpu.prepare(plan, constants);
  const held = slots.map((data) => {
    const memory = cpu.allocate(data.byteLength);
    cpu.write(memory, data);
    return memory;
  });
  // The reference gives back arrays.
  const outputs = (await executable.run(inputs, held)) as TypedArray[];
  const updated = await Promise.all(held.map((memory, k) => cpu.read(memory, plan.buffers[plan.slots[k]!]!.dtype, slots[k]!.length)));
  executable.dispose();
  for (const memory of held) cpu.free(memory);
  return [...outputs, ...updated];
}

function difference(expected: readonly TypedArray[], actual: readonly TypedArray[]): string | null {
  for (const [k, array] of expected.entries()) {
    const scale = Array.from(array, Math.abs).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, value) : most), 1);
    const at = array.findIndex((want, i) => {
      const got = actual[k]![i]!;
      return !(Object.is(want, got) || Math.abs(want - got) <= 1e-4 * scale);
    });
    if (at >= 0) return `result ${k}, element ${at} of ${array.length}: cpu ${array[at]}, wasm ${actual[k]![at]}`;
  }
  return null;
}

describe('plans from anywhere', () => {
  it('come from plans that are sound', () => {
    for (const plan of bases) expect(planFaults(plan)).toEqual([]);
    expect(new Set(bases.flatMap(({ kernels }) => kernels.map(({ kind }) => kind)))).toEqual(new Set(kernelKinds));
  });

  it('would be seen where they write what is not theirs', () => {
    const view = (number: number, offset: number): View => ({ buffer: number, dtype: 'f32', shape: [2], strides: [1], offset });
    const write = (offset: number) => {
      const specs = [buffer('input', 'f32', 2), buffer('output', 'f32', 2)];
      const kernel: Kernel = { kind: 'map', shape: [2], program: identity, inputs: [view(0, 0)], outputs: [view(1, offset)] };
      return () => runOn(1, planOf(specs, [kernel]), [Float32Array.of(1, 2)]);
    };
    expect(write(0)()).toEqual([Float32Array.of(1, 2)]);
    for (const offset of [-17, -1, 1, 2, 500]) expect(write(offset)).toThrow('was written');
  });

  const runs = async <T>(few: number, arbitrary: fc.Arbitrary<T>, make: (drawn: T) => unknown): Promise<void> => {
    outcomes.clear();
    await propertyTogether([arbitrary], FULL ? 100_000 : few, async (draws) => {
      const faults: (string | null)[] = [];
      for (const [drawn] of draws) faults.push(await faultOf(make(drawn)));
      return faults;
    });
    if (FULL) console.log(Object.fromEntries(outcomes));
    expect(outcomes.get('accepted, ran on cpu and wasm')).toBeGreaterThan(0);
  };

  it('are refused in words, or run in their own memory and agree', () => runs(3000, mutants, (drawn) => mutate(bases, drawn)), HOUR);

  it('agree as variants, which are plans more often than not', () => runs(1000, variants, (drawn) => vary(bases, drawn)), HOUR);

  it(
    'agree on parameters that nobody would give',
    async () => {
      await runs(600, fc.nat(2 ** 31 - 1), oddPlan);
      expect(outcomes.get('refused')).toBeUndefined();
    },
    HOUR,
  );
});
