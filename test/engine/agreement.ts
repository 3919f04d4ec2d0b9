/** Whether a backend agrees with the reference on the cases of `cases/`. It runs in Node and in a page: cases in, faults out. */
import fc from 'fast-check';
import type { Backend } from '../../engine/backends/backend.ts';
import { type DType, dtypes, type HostArray } from '../../engine/dtype.ts';
import { grad, realize, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import type { Drawn, OpCase } from './cases/index.ts';
import { generator, type Placed, type Placement, place, placements, type Scale } from './draws.ts';
import { relativeError } from './values.ts';

/** What a case is called with, how that lies in memory, and whether special values are thrown in. */
export type Draw = readonly [drawn: Drawn, placement: Placement, special: boolean];

export const draws = ({ draw }: OpCase, scale: Scale): [fc.Arbitrary<Drawn>, fc.Arbitrary<Placement>, fc.Arbitrary<boolean>] => [
  draw(scale),
  placements,
  fc.boolean(),
];

/** What each of several calls gives on a backend, all computed in one plan. */
export async function computeAll(
  calls: readonly (readonly [drawn: Drawn, placed: readonly Placed[]])[],
  backend: Backend,
  dtype: DType,
  f: (drawn: Drawn, placed: readonly Placed[], bases: readonly Tensor[], call: number) => Tensor | readonly Tensor[] = called,
): Promise<HostArray[][]> {
  await useBackend(backend);
  const results = calls.map(([drawn, placed], call) => {
    const bases = placed.map(({ base }) => tensor(base, dtypes[base.dtype].float ? { dtype } : {}));
    return [f(drawn, placed, bases, call)].flat();
  });
  await realize(...results.flat());
  return Promise.all(results.map((outputs) => Promise.all(outputs.map((output) => output.toHost()))));
}

function called({ compute }: Drawn, placed: readonly Placed[], bases: readonly Tensor[]): Tensor | readonly Tensor[] {
  return compute(...placed.map(({ view }, i) => view(bases[i]!)));
}

/** NaN must meet NaN and infinities their equals; else the largest error, relative to what the case says. */
export function errorOf({ tolerance: { of } }: OpCase, actual: HostArray, expected: ArrayLike<number>, placed: readonly Placed[]): number {
  const rounded = Array.from(expected, dtypes[actual.dtype].round);
  if (of === 'element') return Math.max(0, ...rounded.map((value, i) => relativeError([actual.data[i]!], [value], 1e-37)));
  const operands = of === 'operands' ? placed.flatMap(({ base }) => [...base.data].filter(Number.isFinite).map(Math.abs)) : [];
  return relativeError(actual.data, rounded, Math.max(1e-37, ...operands));
}

/** The smallest f32 that is not subnormal. */
const NORMAL = 2 ** -126;

/**
 * WGSL lets a GPU take subnormal numbers for 0, before and after any operation ("Floating Point Evaluation" in its specification). So what is
 * expected of each element is the nearer of two: the value of the operands as they are, and of those with 0 for each subnormal.
 */
const mayFlush = ({ name }: Backend): boolean => name === 'webgpu';

function flushed({ base, view }: Placed): Placed {
  const data = base.data.map((value: number) => (Math.abs(value) < NORMAL ? Math.sign(value) * 0 : value));
  return { base: { ...base, data }, view };
}

function nearer(actual: HostArray, kept: HostArray, zeroed: HostArray): HostArray {
  const data = kept.data.map((value: number, i: number) => {
    const [got, other] = [actual.data[i]!, zeroed.data[i]!];
    const distance = (wanted: number): number => (Object.is(got, wanted) || got === wanted ? 0 : Math.abs(got - wanted));
    const near = distance(other) < distance(value) || Number.isNaN(distance(value)) ? other : value;
    return Math.abs(got - near) < NORMAL ? got : near;
  });
  return { ...kept, data };
}

/** What is wrong with the values of each draw, or null. */
export async function valueFaults(
  entry: OpCase,
  sample: readonly Draw[],
  backend: Backend,
  reference: Backend,
): Promise<(string | null)[]> {
  const calls = sample.map(
    ([drawn, placement, special]) => [drawn, place(drawn.inputs, placement, 'f32', { specials: special ? entry.specials : [] })] as const,
  );
  const actual = await computeAll(calls, backend, 'f32');
  const limit = backend.name === 'webgpu' ? entry.tolerance.webgpu : entry.tolerance.f32;
  return faultsOf(entry, calls, actual, reference, { limit, mayFlush: mayFlush(backend) });
}

/** What is wrong with what each call gave, or null. */
export async function faultsOf(
  entry: OpCase,
  calls: readonly (readonly [drawn: Drawn, placed: readonly Placed[]])[],
  actual: readonly (readonly HostArray[])[],
  reference: Backend,
  { limit, mayFlush }: { readonly limit: number; readonly mayFlush: boolean },
): Promise<(string | null)[]> {
  const expected = await computeAll(calls, reference, 'f64');
  const zeroed = mayFlush
    ? await computeAll(
        calls.map(([drawn, placed]) => [drawn, placed.map(flushed)]),
        reference,
        'f64',
      )
    : null;
  return calls.map(([, placed], call) =>
    firstFault(actual[call]!, expected[call]!, (output, wanted, k) => {
      const error = errorOf(entry, output, (zeroed ? nearer(output, wanted, zeroed[call]![k]!) : wanted).data, placed);
      return error <= limit ? null : `is ${error} off, more than ${limit}`;
    }),
  );
}

/**
 * What is wrong with each draw's gradient of φ(x) = Σ⟨cₖ, outputₖ(x)⟩, random cₖ, in f32 against that of the reference in f64. Where φ is infinite or
 * NaN there is no gradient to compare.
 */
export async function gradientFaults(
  { gradientTolerance }: OpCase,
  sample: readonly Draw[],
  backend: Backend,
  reference: Backend,
): Promise<(string | null)[]> {
  // Memory that views leave out has no special values here: its derivative is 0, and is compared too.
  const calls = sample.map(([drawn, placement]) => [drawn, place(drawn.inputs, placement, 'f32', { junk: 0.5 })] as const);
  const slopes = (dtype: DType) => (drawn: Drawn, placed: readonly Placed[], bases: readonly Tensor[], call: number) => {
    const random = generator(sample[call]![1].seed);
    const outputs = [called(drawn, placed, bases)].flat().filter((output) => dtypes[output.dtype].float);
    const terms = outputs.map((output) => output.mul(tensor(cotangent(random, output.shape), { dtype })).sum());
    const phi = terms.reduce((sum, term) => sum.add(term), tensor(0, { dtype }));
    const gradients = grad(
      phi,
      bases.filter((base) => dtypes[base.dtype].float),
    );
    return [phi, ...gradients];
  };
  const actual = await computeAll(calls, backend, 'f32', slopes('f32'));
  const expected = await computeAll(calls, reference, 'f64', slopes('f64'));
  return calls.map((_, call) => {
    const [phi, ...wanted] = expected[call]!;
    if (!Number.isFinite(phi!.data[0])) return null;
    return firstFault(actual[call]!.slice(1), wanted, (gradient, { data }) => {
      const error = relativeError(gradient.data, data, 1);
      return error <= gradientTolerance ? null : `is ${error} off, more than ${gradientTolerance}`;
    });
  });
}

/** Numbers of a shape in ±1 that an f32 holds, none near 0. */
function cotangent(random: () => number, shape: readonly number[]): HostArray {
  const data = Float64Array.from({ length: sizeOf(shape) }, () => Math.fround((random() < 0.5 ? -1 : 1) * (0.3 + 0.7 * random())));
  return { dtype: 'f64', shape, data };
}

function firstFault(
  actual: readonly HostArray[],
  expected: readonly HostArray[],
  fault: (output: HostArray, wanted: HostArray, k: number) => string | null,
): string | null {
  for (const [k, output] of actual.entries()) {
    const wanted = expected[k]!;
    const dtype = wanted.dtype === 'f64' ? 'f32' : wanted.dtype;
    const said =
      `${output.shape}` !== `${wanted.shape}` || output.dtype !== dtype
        ? `is ${output.dtype} [${output.shape}], not ${dtype} [${wanted.shape}]`
        : fault(output, wanted, k);
    if (said !== null) return `result ${k} ${said}: ${excerpt(output.data)}, not ${excerpt(wanted.data)}`;
  }
  return null;
}

const excerpt = (data: ArrayLike<number>): string => `[${Array.from(data).slice(0, 12).join(', ')}${data.length > 12 ? ', …' : ''}]`;
