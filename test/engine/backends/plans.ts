import type { Backend } from '../../../engine/backends/backend.ts';
import { partsOf } from '../../../engine/compiler/epilogue.ts';
import type { BufferKind, BufferSpec, Constant, Instruction, Kernel, Plan, Program, View } from '../../../engine/compiler/plan.ts';
import { type DType, dtypes, type HostArray, type TypedArray } from '../../../engine/dtype.ts';
import { contiguousStrides, type Shape, sizeOf } from '../../../engine/shape.ts';

/** What is particular to a kernel, apart from where it reads and writes. */
export type KernelBody = Kernel extends infer K ? (K extends Kernel ? Omit<K, 'inputs' | 'outputs'> : never) : never;

export interface Slab {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A host array, its data rounded to its type. */
export function host(dtype: DType, shape: Shape, values: ArrayLike<number>): HostArray {
  const data = dtypes[dtype].allocate(sizeOf(shape));
  data.set(values);
  return { dtype, shape, data };
}

export function contiguous(buffer: number, { dtype, shape }: Slab): View {
  return { buffer, dtype, shape, strides: contiguousStrides(shape), offset: 0 };
}

export function buffer(kind: BufferKind, dtype: DType, length: number, offset = 0): BufferSpec {
  return { kind, dtype, length, offset, name: kind };
}

/** A plan of these buffers and kernels, which lists its buffers by their kinds. */
export function planOf(buffers: readonly BufferSpec[], kernels: readonly Kernel[], arenaBytes = 0): Plan {
  const ofKind = (kind: BufferKind) => buffers.flatMap((spec, number) => (spec.kind === kind ? [number] : []));
  return {
    buffers,
    kernels,
    inputs: ofKind('input'),
    constants: ofKind('constant'),
    slots: ofKind('slot'),
    outputs: ofKind('output'),
    arenaBytes,
    fused: 0,
  };
}

/** A plan of one kernel, every view contiguous and with a buffer of its own; what is not written whole was there before. */
export function singleKernelPlan(body: KernelBody, inputs: readonly Slab[], outputs: readonly Slab[]): Plan {
  const slabs = [...inputs, ...outputs];
  const views = slabs.map((slab, number) => contiguous(number, slab));
  const made = body.kind === 'scatter' ? 'slot' : 'output';
  const specs = slabs.map(({ dtype, shape }, number) => buffer(number < inputs.length ? 'input' : made, dtype, sizeOf(shape)));
  return planOf(specs, [{ ...body, inputs: views.slice(0, inputs.length), outputs: views.slice(inputs.length) } as Kernel]);
}

/** The same plan with each epilogue a map of its own, of a product that is stored elsewhere before. */
export function withoutEpilogues(plan: Plan): Plan {
  const buffers = [...plan.buffers];
  let { arenaBytes } = plan;
  const kernels = plan.kernels.flatMap((kernel): Kernel[] => {
    const [product, map] = partsOf(kernel);
    if (!product || !map) return [kernel];
    const { buffer: place, dtype, shape } = product.outputs[0]!;
    const elsewhere = buffers.push(buffer('scratch', dtype, sizeOf(shape), arenaBytes)) - 1;
    arenaBytes += Math.ceil((sizeOf(shape) * dtypes[dtype].bytes) / 64) * 64;
    const inputs = map.inputs.map((view) => (view.buffer === place ? { ...view, buffer: elsewhere } : view));
    return [
      { ...product, outputs: [contiguous(elsewhere, { dtype, shape })] },
      { ...map, inputs },
    ];
  });
  return { ...plan, buffers, kernels, arenaBytes };
}

/** Prepares, runs once on slots of zeros, reads outputs and then slots, and disposes. */
export async function runPlan(
  backend: Backend,
  plan: Plan,
  inputs: readonly TypedArray[],
  constants: readonly TypedArray[] = [],
): Promise<TypedArray[]> {
  const executable = await backend.prepare(plan, constants);
  const slots = plan.slots.map((number) => backend.allocate(plan.buffers[number]!.length * dtypes[plan.buffers[number]!.dtype].bytes));
  const results = [...(await executable.run(inputs, slots)), ...slots];
  const arrays = await Promise.all(
    results.map(async (result, k) => {
      if (ArrayBuffer.isView(result)) return result;
      const { dtype, length } = plan.buffers[[...plan.outputs, ...plan.slots][k]!]!;
      const data = await backend.read(result, dtype, length);
      backend.free(result);
      return data;
    }),
  );
  executable.dispose();
  return arrays;
}

/** The outputs of one kernel on contiguous arrays. */
export function runKernel(
  backend: Backend,
  body: KernelBody,
  inputs: readonly HostArray[],
  outputs: readonly Slab[],
): Promise<TypedArray[]> {
  return runPlan(
    backend,
    singleKernelPlan(body, inputs, outputs),
    inputs.map(({ data }) => data),
  );
}

export type Step = readonly [op: Instruction['op'], lane: Instruction['lane'], ...operands: number[]];

/** A program whose every instruction has a register of its own; by default its last value is its result. */
export function program(inputs: number, constants: readonly Constant[], steps: readonly Step[], results?: readonly number[]): Program {
  const instructions = steps.map(([op, lane, ...operands], register): Instruction => ({ op, lane, operands, register }));
  return { inputs, constants, instructions, registers: steps.length, results: results ?? [inputs + constants.length + steps.length - 1] };
}

/** The program that gives its only input back. */
export const identity: Program = { inputs: 1, constants: [], instructions: [], registers: 0, results: [0] };

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** A cheap deterministic sequence in −1…1, for tests whose data do not matter. */
export function noise(length: number, seed = 1): Float64Array {
  let state = seed * 2654435761;
  return Float64Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

/** Indices into an axis: inside, counted from either end, or if there may be others most of them, these just beyond, or at the ends of i32. */
export const indexed =
  (extent: number, seed: number, anywhere = true) =>
  (length: number) =>
    Int32Array.from(noise(length, seed + 1), (x) =>
      anywhere && Math.abs(x) > 0.97 ? Math.sign(x) * 2 ** 31 : Math.floor((anywhere ? 1.2 : 1) * x * extent),
    );
