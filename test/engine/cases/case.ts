/** What a case of an op is, and what all families of cases are written with. */
import fc from 'fast-check';
import type { Tensor } from '../../../engine/index.ts';
import type { Shape } from '../../../engine/shape.ts';
import { type Domain, type Input, type Scale, shape } from '../draws.ts';
import type { Dense } from '../naive.ts';

export interface Drawn {
  readonly inputs: readonly Input[];
  readonly compute: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  /** The same, written without the engine; absent where `check` says what must hold instead. */
  readonly naive?: (...inputs: Dense[]) => Dense | readonly Dense[];
  /** Equations that the results satisfy: each pair is equal. */
  readonly check?: (outputs: readonly Dense[], inputs: readonly Dense[]) => readonly (readonly [Dense, Dense])[];
  /** How nearly `naive` and `check` hold in f64, unless to 1e-11. */
  readonly within?: number;
}

/** What an error is relative to: each element, the largest of the result, or the largest of result and operands (where sums cancel). */
export type Scope = 'element' | 'largest' | 'operands';

export interface OpCase {
  /** Begins with the name of the function or method that it is a case of: `cases.test.ts` asks for one of each. */
  readonly name: string;
  readonly draw: (scale: Scale) => fc.Arbitrary<Drawn>;
  /** Whether gradients are checked: of which inputs, if not of all floats. */
  readonly gradient: boolean;
  /** Values thrown in: NaN, infinities, −0, subnormals, and what is near overflow. */
  readonly specials: readonly number[];
  /** Largest error in f32; on webgpu another one where WGSL promises less than that. */
  readonly tolerance: { readonly f32: number; readonly webgpu: number; readonly of: Scope };
  /** Largest error of a gradient in f32, relative to its largest element or 1. */
  readonly gradientTolerance: number;
  /** It takes a GPU that a CPU plays long: fewer draws do there. */
  readonly heavy: boolean;
}

export type Options = Partial<Omit<OpCase, 'name' | 'draw' | 'tolerance'>> & {
  readonly f32?: number;
  readonly webgpu?: number;
  readonly of?: Scope;
};

export const all = [Number.NaN, Infinity, -Infinity, -0, 0, 1e-40, -1e-45, 3e38];
/** Sums in f32 may overflow on the way where sums in f64 do not. */
export const noHuge = [Number.NaN, Infinity, -Infinity, -0, 0, 1e-40];
export const nonFinite = [Number.NaN, Infinity, -Infinity];

export function opCase(
  name: string,
  draw: OpCase['draw'],
  { gradient = false, specials = [], f32 = 0, webgpu = f32, of = 'element', gradientTolerance = 1e-5, heavy = false }: Options = {},
): OpCase {
  return { name, draw, gradient, specials, tolerance: { f32, webgpu, of }, gradientTolerance, heavy };
}

export const input = (dimensions: Shape, domain: Domain, repeats = true): Input => ({ shape: dimensions, domain, repeats });
export const integers = (dimensions: Shape, domain: Domain, dtype: 'i32' | 'u8' = 'i32'): Input => ({
  shape: dimensions,
  domain,
  dtype,
  repeats: true,
});

/** A case of an op that makes a tensor of nothing: of a shape and a seed. */
export function created(
  name: string,
  draw: (dimensions: number[], seed: number) => Pick<Drawn, 'compute' | 'naive' | 'check'>,
  options: Options = {},
): OpCase {
  return opCase(
    name,
    (scale) =>
      fc
        .tuple(shape(scale), fc.integer({ min: -(2 ** 40), max: 2 ** 40 }))
        .map(([dimensions, seed]) => ({ inputs: [], ...draw(dimensions, seed) })),
    options,
  );
}
