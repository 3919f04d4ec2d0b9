/** What the cases of `cases/` are drawn from: shapes, values, and the ways in which a tensor may lie in memory. */
import fc from 'fast-check';
import { type DType, dtypes, type HostArray } from '../../engine/dtype.ts';
import type { SliceIndex, Tensor } from '../../engine/index.ts';
import { type Shape, sizeOf } from '../../engine/shape.ts';
import { generate, indices, type Window } from './naive.ts';

/** How large: `any` goes beyond the blocks that backends work in, `small` is for derivatives. */
export type Scale = 'any' | 'small';

/** Sizes of one axis: 1 and 0 among them. */
export function axisSize(scale: Scale): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 1, max: scale === 'any' ? 6 : 3 }) },
    { weight: 3, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constant(0) },
  );
}

export function shape(scale: Scale, { min = 0, max = scale === 'any' ? 4 : 3 } = {}): fc.Arbitrary<number[]> {
  const usual = fc.array(axisSize(scale), { minLength: min, maxLength: max });
  if (scale === 'small' || min > 2 || max < 2) return usual;
  // Across the borders of blocks and vectors.
  const long = fc
    .tuple(
      fc.array(fc.constantFrom(1, 2, 3), { minLength: Math.max(0, min - 1), maxLength: 1 }),
      fc.constantFrom(63, 130, 511, 513, 700),
      fc.boolean(),
    )
    .map(([rest, length, last]) => (last ? [...rest, length] : [length, ...rest]));
  return fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: long });
}

/** Shapes [..., n, n]. */
export const squares = (scale: Scale): fc.Arbitrary<number[]> =>
  fc.tuple(shape(scale, { max: 2 }), axisSize(scale)).map(([batch, n]) => [...batch, n, n]);

/** Shapes that broadcast to `full`: axes dropped at the left, others of size 1. */
export function broadcastable(full: Shape): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.nat(full.length), fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }))
    .map(([drop, ones]) => full.map((size, axis) => (ones[axis] ? 1 : size)).slice(drop));
}

/** Two shapes that broadcast together: often equal. */
export function broadcastPair(scale: Scale): fc.Arbitrary<[number[], number[]]> {
  return shape(scale).chain((full) =>
    fc.oneof(
      { weight: 2, arbitrary: fc.constant<[number[], number[]]>([full, full]) },
      { weight: 3, arbitrary: fc.tuple(fc.constant(full), broadcastable(full)) },
      { weight: 1, arbitrary: fc.tuple(broadcastable(full), fc.constant(full)) },
      { weight: 1, arbitrary: fc.tuple(broadcastable(full), broadcastable(full)) },
    ),
  );
}

/** Some of the axes, as a user names them: all (`undefined`), one, several, counted from either end. */
export function axes(rank: number): fc.Arbitrary<{ given: number | number[] | undefined; normalized: number[] }> {
  const every = Array.from({ length: rank }, (_, axis) => axis);
  return fc.tuple(fc.subarray(every), fc.boolean(), fc.nat(5)).map(([chosen, negative, form]) => {
    if (form === 0) return { given: undefined, normalized: every };
    const given = chosen.map((axis) => (negative ? axis - rank : axis));
    return { given: form === 1 && chosen.length === 1 ? given[0]! : given, normalized: chosen };
  });
}

export function axis(rank: number): fc.Arbitrary<{ given: number; normalized: number }> {
  return fc.tuple(fc.nat(rank - 1), fc.boolean()).map(([at, negative]) => ({ given: negative ? at - rank : at, normalized: at }));
}

/** Two of a kind: rows and columns. */
export const both = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(arbitrary, arbitrary);

interface Geometry {
  readonly image: [number, number];
  readonly window: Window;
}
/** Images and windows that fit them. */
export function geometry(scale: Scale, { dilated = false, halfPadded = false } = {}): fc.Arbitrary<Geometry> {
  return fc
    .record({
      kernel: both(fc.integer({ min: 1, max: 3 })),
      stride: both(fc.integer({ min: 1, max: 3 })),
      padding: both(fc.nat(2)),
      dilation: both(fc.integer({ min: 1, max: dilated ? 2 : 1 })),
      extra: both(fc.nat(scale === 'small' ? 2 : 6)),
    })
    .map(({ kernel, stride, padding, dilation, extra }) => {
      const padded = padding.map((count, i) => (halfPadded ? Math.min(count, Math.floor(kernel[i]! / 2)) : count)) as [number, number];
      const image = kernel.map((size, i) => Math.max(1, dilation[i]! * (size - 1) + 1 - 2 * padded[i]! + extra[i]!)) as [number, number];
      return { image, window: { kernel, stride, padding: padded, dilation } };
    });
}

/** Random numbers in [0, 1): any generator will do, and this one is short (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values of a shape. */
export type Domain = (random: () => number, shape: Shape) => number[];

const each =
  (value: (random: () => number) => number): Domain =>
  (random, dimensions) =>
    Array.from({ length: sizeOf(dimensions) }, () => value(random));
const between = (low: number, high: number): Domain => each((random) => low + (high - low) * random());
const shuffled = (random: () => number, values: number[]): number[] =>
  values
    .map((value) => [random(), value] as const)
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value);

/** Orthogonal rows, by Gram and Schmidt. */
function orthogonal(random: () => number, d: number): number[][] {
  const rows: number[][] = [];
  while (rows.length < d) {
    let row = Array.from({ length: d }, () => 2 * random() - 1);
    for (const other of rows) {
      const overlap = row.reduce((sum, value, i) => sum + value * other[i]!, 0);
      row = row.map((value, i) => value - overlap * other[i]!);
    }
    const length = Math.hypot(...row);
    if (length > 0.1) rows.push(row.map((value) => value / length));
  }
  return rows;
}

/** Symmetric matrices with eigenvalues `low + k·gap`. */
const symmetric =
  (low: number, gap: number): Domain =>
  (random, dimensions) => {
    const d = dimensions.at(-1)!;
    return Array.from({ length: d === 0 ? 0 : sizeOf(dimensions.slice(0, -2)) }, () => {
      const q = orthogonal(random, d);
      return generate([d, d], (i, j) => q.reduce((sum, row, k) => sum + (low + k * gap) * row[i!]! * row[j!]!, 0)).data;
    }).flat();
  };

export const domains = {
  normal: between(-2, 2),
  moderate: between(-0.9, 0.9),
  wide: each((random) => (random() < 0.5 ? -1 : 1) * 10 ** (-3 + 4 * random())),
  positive: between(0.3, 3),
  /** Away from 0, on either side. */
  nonZero: each((random) => (random() < 0.5 ? -1 : 1) * (0.3 + 2 * random())),
  /** No two nearer than 0.05, so that a maximum or an order does not change nearby; 0 is none of them. */
  distinct: (random, dimensions) =>
    shuffled(
      random,
      Array.from({ length: sizeOf(dimensions) }, (_, i) => (i - Math.floor(sizeOf(dimensions) / 2) + 0.5) * 0.1 + 0.02 * random()),
    ),
  /** Whole numbers and halves, where rounding has its edges. */
  halves: each((random) => Math.floor(random() * 33 - 16) / 2),
  /** Between the edges of rounding. */
  offGrid: each((random) => Math.floor(random() * 8 - 4) + 0.2 + 0.25 * random()),
  mask: each((random) => +(random() < 0.5)),
  small: each((random) => Math.floor(random() * 21) - 10),
  word: each((random) => (random() * 2 ** 32) | 0),
  byte: each((random) => Math.floor(random() * 256)),
  definite: symmetric(0.7, 0.6),
  spectrum: symmetric(-1.3, 0.7),
  /** Both triangles filled, the diagonal away from 0. */
  triangular: (random, dimensions) => {
    const d = dimensions.at(-1)!;
    return [...indices(dimensions)].map((index) =>
      index.at(-1) === index.at(-2) ? (random() < 0.5 ? -1 : 1) * (1 + random()) : ((2 * random() - 1) * 0.8) / Math.max(1, d - 1),
    );
  },
} as const satisfies Record<string, Domain>;

/** Positions in an axis, counted from either end. */
export const positionsIn = (size: number): Domain => each((random) => Math.floor((2 * random() - 1) * size));

/** The same, and one in eight is outside: just beyond an end, or as far as an integer reaches. */
export const anyPosition = (size: number): Domain =>
  each((random) => {
    const beyond = [size, -size - 1, 2 ** 31 - 1, -(2 ** 31)];
    return random() < 0.125 ? beyond[Math.floor(4 * random())]! : Math.floor((2 * random() - 1) * size);
  });

/** Sampling positions whose pixels are neither on a grid line nor at the border of an image of this size, nor as near as a difference quotient reaches. */
export function samplePositions(size: readonly [number, number], alignCorners: boolean): Domain {
  return (random, dimensions) =>
    [...indices(dimensions)].map((index) => {
      const extent = size[index.at(-1) === 0 ? 1 : 0];
      const pixel = Math.floor(random() * (extent + 2)) - 1 + 0.3 + 0.4 * random();
      if (!alignCorners) return (2 * pixel + 1) / extent - 1;
      return extent === 1 ? pixel : (2 * pixel) / (extent - 1) - 1;
    });
}

export interface Input {
  readonly shape: Shape;
  readonly domain: Domain;
  /** The type it has whatever floats are computed in. */
  readonly dtype?: 'i32' | 'u8';
  /** Whether elements of it may be equal, so that it may be an expanded view. */
  readonly repeats?: boolean;
}

const ways = ['plain', 'plain', 'permuted', 'flipped', 'sliced', 'expanded'] as const;

/** How inputs lie in memory, and their values. */
export interface Placement {
  readonly seed: number;
  readonly ways: readonly (typeof ways)[number][];
}
export const placements: fc.Arbitrary<Placement> = fc.record({
  seed: fc.integer(),
  ways: fc.array(fc.constantFrom(...ways), { minLength: 4, maxLength: 4 }),
});

export interface Placed {
  /** What is in memory. */
  readonly base: HostArray;
  /** From there to the input. */
  readonly view: (base: Tensor) => Tensor;
}

export interface PlaceOptions {
  /** Values that one element in eight is replaced by. */
  readonly specials?: readonly number[];
  /** What fills memory that views leave out. */
  readonly junk?: number;
}

/** The inputs in memory, in the ways drawn. */
export function place(
  inputs: readonly Input[],
  placement: Placement,
  dtype: DType,
  { specials = [], junk = Number.NaN }: PlaceOptions = {},
): Placed[] {
  const random = generator(placement.seed);
  return inputs.map((input, k): Placed => {
    const type = input.dtype ?? dtype;
    const domain = input.domain(random, input.shape);
    // A word has more bits than an f32.
    const drawn = input.dtype ? domain : domain.map(Math.fround);
    const replaced = (value: number): number => (random() < 0.125 ? specials[Math.floor(random() * specials.length)]! : value);
    const values = specials.length > 0 && !input.dtype ? drawn.map((value) => Math.fround(replaced(value))) : drawn;
    const host = (dimensions: Shape, data: readonly number[]): HostArray => {
      const array = dtypes[type].allocate(sizeOf(dimensions));
      array.set(data);
      return { dtype: type, shape: dimensions, data: array };
    };
    const { shape: dimensions } = input;
    const rank = dimensions.length;
    const order = Array.from({ length: rank }, (_, axis) => (axis + 1 + Math.floor(random() * rank)) % Math.max(1, rank));
    const isOrder = new Set(order).size === rank;
    const from = (shapeOfBase: Shape, element: (index: number[]) => number | null): HostArray =>
      host(
        shapeOfBase,
        [...indices(shapeOfBase)].map((index) => element(index) ?? junk),
      );
    const dense = generate(dimensions, () => 0);
    const strides = dimensions.map((_, axis) => sizeOf(dimensions.slice(axis + 1)));
    const valueAt = (index: readonly number[]): number => values[index.reduce((at, i, axis) => at + i * strides[axis]!, 0)]!;
    const way = rank === 0 ? 'plain' : placement.ways[k % placement.ways.length]!;

    if (way === 'permuted' && rank > 1) {
      // Rotated, if the order drawn names an axis twice.
      const permutation = isOrder ? order : dimensions.map((_, axis) => (axis + 1) % rank);
      const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
      return {
        base: from(
          inverse.map((axis) => dimensions[axis]!),
          (index) => valueAt(permutation.map((axis) => index[axis]!)),
        ),
        view: (base) => base.permute(permutation),
      };
    }
    if (way === 'flipped') {
      const chosen = dense.shape.flatMap((_, axis) => (random() < 0.6 ? [axis] : []));
      return {
        base: from(dimensions, (index) => valueAt(index.map((i, axis) => (chosen.includes(axis) ? dimensions[axis]! - 1 - i : i)))),
        view: (base) => base.flip(chosen),
      };
    }
    if (way === 'sliced') {
      const steps = dimensions.map(() => 1 + Math.floor(2 * random()));
      const starts = dimensions.map(() => Math.floor(2 * random()));
      const larger = dimensions.map((size, axis) => starts[axis]! + size * steps[axis]! + Math.floor(2 * random()));
      return {
        base: from(larger, (index) => {
          const inside = index.map((i, axis) => (i - starts[axis]!) / steps[axis]!);
          return inside.every((i, axis) => Number.isInteger(i) && i >= 0 && i < dimensions[axis]!) ? valueAt(inside) : null;
        }),
        view: (base) =>
          base.slice(...dimensions.map((size, axis): SliceIndex => [starts[axis]!, starts[axis]! + size * steps[axis]!, steps[axis]!])),
      };
    }
    if (way === 'expanded' && input.repeats) {
      const chosen = Math.floor(random() * rank);
      const narrow = dimensions.map((size, axis) => (axis === chosen ? Math.min(1, size) : size));
      return {
        base: from(narrow, valueAt),
        view: (base) => base.expand(dimensions),
      };
    }
    return { base: host(dimensions, values), view: (base) => base };
  });
}
