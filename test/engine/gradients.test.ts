/** Every derivative of the table against differences of what it is the derivative of: first and second order, in f64. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dtypes, type HostArray } from '../../engine/dtype.ts';
import { compile, grad, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import { property } from '../support/property.ts';
import { cases, type OpCase } from './cases/index.ts';
import { generator, place, placements } from './draws.ts';
import { reference } from './support.ts';

/** Small enough that no value crosses a kink, large enough that rounding does not matter. */
const STEP = 2e-3;
const BOUND = 1e-6;

/** Random numbers of a shape in ±1, none near 0. */
function direction(random: () => number, shape: readonly number[]): HostArray {
  const data = Float64Array.from({ length: sizeOf(shape) }, () => (random() < 0.5 ? -1 : 1) * (0.3 + 0.7 * random()));
  return { dtype: 'f64', shape, data };
}

function along(base: HostArray, by: HostArray | null, t: number): Tensor {
  return tensor(by ? { ...base, data: Float64Array.from(base.data, (value, i) => value + t * by.data[i]!) } : base);
}

/** The derivative at 0 by central differences, extrapolated from two steps to fourth order (Richardson). */
async function derivative(f: (t: number) => Promise<number>): Promise<number> {
  const central = async (h: number): Promise<number> => ((await f(h)) - (await f(-h))) / (2 * h);
  return (4 * (await central(STEP / 2)) - (await central(STEP))) / 3;
}

const sum = (tensors: readonly Tensor[]): Tensor => tensors.reduce((total, x) => total.add(x), tensor(0, { dtype: 'f64' }));
const inner = (xs: readonly Tensor[], ys: readonly Tensor[]): Tensor => sum(xs.map((x, i) => x.mul(ys[i]!).sum()));
const size = (xs: readonly Tensor[], ys: readonly Tensor[]): Tensor => sum(xs.map((x, i) => x.mul(ys[i]!).abs().sum()));

/**
 * For φ(x) = Σ⟨cₖ, outputₖ(x)⟩ with random c: ⟨∇φ, v⟩ against φ along v, and ⟨∇⟨∇φ, v⟩, w⟩ against ⟨∇φ, v⟩ along w, for random v and w.
 * Errors are relative to the sums' terms, so that what cancels does not hide them.
 */
async function check({ draw }: OpCase): Promise<void> {
  await useBackend(reference);
  await property([draw('small'), placements], async ({ inputs, compute }, placement) => {
    // Memory that views leave out is given no special values here: its derivative is 0, and is checked to be.
    const placed = place(inputs, placement, 'f64', { junk: 0.5 });
    const random = generator(placement.seed);
    const floats = placed.flatMap(({ base }, i) => (dtypes[base.dtype].float ? [i] : []));
    const directions = () => placed.map(({ base }) => (dtypes[base.dtype].float ? direction(random, base.shape) : null));
    const [v, w] = [directions(), directions()];
    const constants = (by: readonly (HostArray | null)[]) => floats.map((i) => tensor(by[i]!));
    const [vs, ws] = [constants(v), constants(w)];
    const cotangents: Tensor[] = [];

    const program = compile((...bases: Tensor[]) => {
      const outputs = [compute(...placed.map(({ view }, i) => view(bases[i]!)))].flat().filter(({ dtype }) => dtypes[dtype].float);
      outputs.forEach((output, k) => {
        cotangents[k] ??= tensor(direction(random, output.shape));
      });
      const phi = inner(outputs, cotangents);
      const variables = floats.map((i) => bases[i]!);
      const gradient = grad(phi, variables);
      const slope = inner(gradient, vs);
      const curvature = grad(slope, variables);
      return { phi, slope, slopes: size(gradient, vs), second: inner(curvature, ws), seconds: size(curvature, ws) };
    });
    const at = (by: readonly (HostArray | null)[], t: number) => program(...placed.map(({ base }, i) => along(base, by[i]!, t)));

    const here = await at(v, 0);
    // Of what is infinite or NaN, an empty mean say, there is no derivative to check.
    fc.pre(Number.isFinite(await here.phi.item()));
    const [slope, second] = [await here.slope.item(), await here.second.item()];
    const first = await derivative(async (t) => (await at(v, t)).phi.item());
    expect(Math.abs(slope - first) / Math.max(1e-3, await here.slopes.item())).toBeLessThanOrEqual(BOUND);
    const next = await derivative(async (t) => (await at(w, t)).slope.item());
    expect(Math.abs(second - next) / Math.max(1e-3, await here.seconds.item())).toBeLessThanOrEqual(BOUND);
    program.dispose();
  });
}

describe('derivatives of first and second order', () => {
  it.for(cases.filter(({ gradient }) => gradient).map((entry) => [entry.name, entry] as const))('%s', ([, entry]) => check(entry));
});
