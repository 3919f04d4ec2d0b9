import fc from 'fast-check';
import { expect } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import type { Plan } from '../../../../engine/compiler/plan.ts';
import { planFaults } from '../../../../engine/compiler/validate.ts';
import { type DType, dtypes, type TypedArray } from '../../../../engine/dtype.ts';
import type { Layout } from '../arranged.ts';
import { builds, cpu } from './strided.ts';

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

/** Runs a plan on the reference and on every build and compares, floats to `tolerance` times 1 or the value, whichever is larger. Buffers hold random values, or `data`. */
export async function agree(
  plan: Plan,
  seed: number,
  tolerance = 0,
  data: { readonly [buffer: number]: (length: number) => TypedArray } = {},
): Promise<void> {
  expect(planFaults(plan)).toEqual([]);
  const values = (number: number) => {
    const { dtype, length } = plan.buffers[number]!;
    // Where results may differ in rounding, one that is huge would drown the others.
    return data[number]?.(length) ?? draw(dtype, length, seed + number, tolerance > 0 ? 1e3 : Infinity);
  };
  const [inputs, slots] = [plan.inputs.map(values), plan.slots.map(values)];
  const expected = await run(cpu, plan, inputs, slots);
  for (const backend of builds) {
    const actual = await run(backend, plan, inputs, slots);
    for (const [k, array] of expected.entries()) {
      for (let i = 0; i < array.length; i++) {
        const [want, got] = [array[i]!, actual[k]![i]!];
        const close = Object.is(want, got) || Math.abs(want - got) <= tolerance * Math.max(1, Math.abs(want));
        if (!close) throw new Error(`result ${k}, element ${i} of ${array.length}: cpu ${want}, wasm ${got}`);
      }
    }
  }
}

const specials: { readonly [D in DType]: readonly number[] } = {
  f32: [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 2.5, -2.5, 1e-40, 3e38, 2 ** 31, -3e9],
  f64: [],
  i32: [0, 1, -1, 2147483647, -2147483648, 31, 32, 65536],
  u8: [0, 1, 255, 128],
};

/** Deterministic values of a type, with one special among eight; finite ones below `limit`. */
export function draw(dtype: DType, length: number, seed: number, limit = Infinity): TypedArray {
  const data = dtypes[dtype].allocate(length);
  const unusual = specials[dtype].filter((value) => dtype !== 'f32' || !(Math.abs(value) > limit) || Math.abs(value) === Infinity);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = (state >>> 13) % 8 === 0 ? unusual[(state >>> 16) % unusual.length]! : dtype === 'f32' ? state / 2 ** 28 : state >> 16;
  }
  return data;
}

/** How a view of a rank lies in its buffer: permuted, flipped, spread out, and (for inputs) broadcast. Often not at all. */
export const layouts = (rank: number, broadcast: boolean): fc.Arbitrary<Layout> => {
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
