/** Random programs over the public operations, for tests that compute one in more than one way. */
import fc from 'fast-check';
import { type DType, type HostArray, isFloat, type TypedArray } from '../../../engine/dtype.ts';
import { topologicalOrder } from '../../../engine/graph.ts';
import {
  arange,
  concat,
  diagonal,
  eye,
  full,
  realize,
  type Slot,
  scatter,
  slot,
  sort,
  Tensor,
  take,
  tensor,
  uniform,
} from '../../../engine/index.ts';
import { sameShape, sizeOf } from '../../../engine/shape.ts';
import { host } from '../values.ts';

/** One step of a program: what it does, and numbers that its choices are made by. */
export interface Step {
  readonly kind: keyof typeof kinds;
  readonly choices: readonly number[];
}

/** How large the tensors of a program are, and of which types besides f32. */
export interface Scale {
  readonly extents: readonly number[];
  readonly largest: number;
  readonly types: readonly DType[];
}

/** Makes a tensor of what there is so far; `null` where the step does not fit. */
type Builder = (pool: readonly Tensor[], choose: <T>(options: readonly T[]) => T, scale: Scale) => Tensor | null;

const constants = [0, 300, -0, 1, -1, 2, 0.5, 0.1, -3, Infinity, -Infinity, Number.NaN, 1e-40];
const broadcasts = (x: Tensor, y: Tensor): boolean =>
  Array.from({ length: Math.min(x.rank, y.rank) }, (_, i) => [x.shape.at(-1 - i)!, y.shape.at(-1 - i)!]).every(
    ([a, b]) => a === b || a === 1 || b === 1,
  );
const small = (x: Tensor, { largest }: Scale): Tensor | null => (x.size <= largest && x.rank <= 5 ? x : null);
const axesOf = (x: Tensor) => x.shape.map((_, axis) => axis);

const kinds = {
  unary: (pool, choose) => {
    const x = choose(pool);
    const name = choose(['neg', 'abs', 'sign', 'sqrt', 'exp', 'relu', 'floor', 'square', 'tanh', 'reciprocal', 'round', 'isNaN'] as const);
    return x[name]();
  },
  binary: (pool, choose, scale) => {
    const x = choose(pool);
    const y = choose(pool.filter((other) => broadcasts(x, other)));
    const name = choose(['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'less', 'lessEqual', 'equal', 'notEqual'] as const);
    return small(x[name](y), scale);
  },
  constant: (pool, choose) => {
    const [x, c] = [choose(pool), choose(constants)];
    const name = choose(['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'less', 'equal'] as const);
    return choose([true, false]) ? x[name](c) : tensor(c)[name](x);
  },
  full: (pool, choose, { types }) => full(choose(pool).shape, choose(constants), choose(['f32', 'f32', ...types.filter(isFloat)])),
  where: (pool, choose, scale) => {
    const x = choose(pool);
    const y = choose(pool.filter((other) => broadcasts(x, other)));
    const condition = choose(pool.filter((other) => broadcasts(x, other) && broadcasts(y, other)).concat(x.greater(0)));
    return small(condition.where(choose([true, false]) ? y : choose(constants), x), scale);
  },
  cast: (pool, choose, { types }) => choose(pool).cast(choose(['f32', ...types])),
  reshape: (pool, choose) => {
    const x = choose(pool);
    const flat = x.flatten();
    const factors = [1, 2, 3, 4, 6].filter((factor) => x.size % factor === 0 && x.size > 0);
    return choose([flat, x.unsqueeze(choose([0, -1])), x.squeeze(), x.size > 0 ? x.reshape([choose(factors), -1]) : flat]);
  },
  permute: (pool, choose) => {
    const x = choose(pool);
    const left = axesOf(x);
    return x.permute(axesOf(x).map(() => left.splice(left.indexOf(choose(left)), 1)[0]!));
  },
  expand: (pool, choose, scale) => {
    const x = choose(pool);
    return small(
      x.expand([...choose([[], [2], [0]]), ...x.shape.map((dimension) => (dimension === 1 ? choose([1, 3]) : dimension))]),
      scale,
    );
  },
  slice: (pool, choose) => {
    const x = choose(pool);
    return x.slice(
      ...x.shape.map((dimension) =>
        choose([null, null, dimension > 0 ? dimension - 1 : null, [1, null] as const, [null, null, 2] as const, [null, null, -1] as const]),
      ),
    );
  },
  flip: (pool, choose) => {
    const x = choose(pool);
    return x.flip(axesOf(x).filter(() => choose([true, false])));
  },
  pad: (pool, choose, scale) => {
    const x = choose(pool);
    const counts = () => x.shape.map(() => choose([0, 1, 2, -1]));
    const [before, after] = [counts(), counts()];
    if (x.shape.some((dimension, axis) => dimension + Math.min(0, before[axis]!) + Math.min(0, after[axis]!) < 0)) return null;
    return small(x.pad(before, after, choose([0, 1, isFloat(x.dtype) ? -0.5 : 7])), scale);
  },
  concat: (pool, choose, scale) => {
    const x = choose(pool);
    if (x.rank === 0) return null;
    const axis = choose(axesOf(x));
    const fitting = pool.filter((y) => y.rank === x.rank && y.shape.every((dimension, i) => i === axis || dimension === x.shape[i]));
    return small(concat([x, choose(fitting), x], axis), scale);
  },
  reduce: (pool, choose) => {
    const x = choose(pool);
    const axes = choose([undefined, axesOf(x).filter(() => choose([true, false]))]);
    const name = choose(['sum', 'prod', 'max', 'min', 'mean', 'logsumexp', 'norm'] as const);
    return x[name](axes, choose([true, false]));
  },
  fold: (pool, choose) => {
    const x = choose(pool);
    return x[choose(['sum', 'max', 'min'] as const)](
      axesOf(x).filter(() => choose([true, false])),
      choose([true, false]),
    );
  },
  variance: (pool, choose) => choose(pool).variance(),
  argument: (pool, choose) => {
    const x = choose(pool);
    const axis = choose([undefined, ...axesOf(x)]);
    if (axis === undefined ? x.size === 0 : x.shape[axis] === 0) return null;
    return choose([x.argmax(axis), x.argmin(axis)]);
  },
  matmul: (pool, choose, scale) => {
    const x = choose(pool.filter((y) => y.rank >= 1));
    const fitting = pool.flatMap((y) => {
      const right = y.rank >= 2 ? [y, y.transpose()] : [y];
      return right.filter((z) => z.rank >= 1 && z.shape.at(z.rank === 1 ? 0 : -2) === x.shape.at(-1) && (x.rank < 3 || z.rank < 3));
    });
    const y = fitting.length > 0 ? choose(fitting) : null;
    return y && small(x.cast('f32').matmul(y.cast('f32')), scale);
  },
  index: (pool, choose) => {
    const x = choose(pool);
    if (x.rank === 0) return null;
    return choose([
      () => x.add(arange(x.shape.at(-1)!)),
      () => x.reshape([-1]).mul(arange(x.size)).reshape(x.shape),
      // What is computed may be outside.
      () => take(x, tensor([0, 1, -1], { dtype: 'i32' }).bitwiseXor(0), choose(axesOf(x))),
      () => sort(x, { axis: choose(axesOf(x)) }).values,
      () => (x.rank >= 2 && x.shape.at(-1) === x.shape.at(-2) ? diagonal(x).add(eye(x.shape.at(-1)!).sum()) : null),
      () => x.add(uniform(x.shape, { key: 3 })),
    ])();
  },
  scatter: (pool, choose) => {
    const x = choose(pool);
    if (x.size === 0 || x.rank === 0) return null;
    const axis = choose(axesOf(x));
    const updates = choose(
      pool.filter((y) => y.dtype === x.dtype && y.rank === x.rank && sameShape(y.shape.with(axis, 0), x.shape.with(axis, 0))),
    );
    const places = arange(updates.shape[axis]!)
      .mul(choose([1, -1, 3]))
      .add(choose([0, 1]))
      .remainder(x.shape[axis]!);
    return scatter(x, places.reshape(axesOf(x).map((i) => (i === axis ? -1 : 1))).expand(updates.shape), updates, axis);
  },
  softmax: (pool, choose) => {
    const x = choose(pool);
    return x.rank === 0 ? null : x.softmax(choose(axesOf(x)));
  },
} as const satisfies Record<string, Builder>;

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
    choices: fc.array(fc.nat(64), { minLength: 8, maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 24 },
);
const values = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -4, max: 4, noNaN: true }) },
  fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 1e-40, 3e38),
);
/** Values drawn one by one for small arrays, and for others the same again, but larger and larger. */
function arrays({ extents, largest }: Scale): fc.Arbitrary<HostArray> {
  const shapes = fc.array(fc.constantFrom(...extents), { maxLength: 3 }).filter((shape) => sizeOf(shape) <= largest);
  return shapes.chain((shape) => {
    const size = sizeOf(shape);
    const drawn = Math.min(size, 64);
    return fc.array(values, { minLength: drawn, maxLength: drawn }).map((data) =>
      host(
        shape,
        Array.from({ length: size }, (_, i) => data[i % drawn]! * (1 + Math.floor(i / drawn) / 16)),
        'f32',
      ),
    );
  });
}

export interface RandomProgram {
  readonly scale: Scale;
  readonly leaves: readonly HostArray[];
  readonly slots: readonly HostArray[];
  readonly steps: readonly Step[];
  /** Which values come out, which become those of slots, and which are read on the way. */
  readonly wanted: readonly number[];
  readonly assigned: readonly number[];
  readonly readFirst: readonly number[];
}

export function randomPrograms(scale: Scale): fc.Arbitrary<RandomProgram> {
  return fc.record({
    scale: fc.constant(scale),
    leaves: fc.array(arrays(scale), { minLength: 1, maxLength: 3 }),
    slots: fc.array(arrays(scale), { maxLength: 3 }),
    steps,
    wanted: fc.array(fc.nat(64), { minLength: 1, maxLength: 5 }),
    assigned: fc.array(fc.nat(64), { minLength: 3, maxLength: 3 }),
    readFirst: fc.array(fc.nat(64), { maxLength: 3 }),
  });
}

function chooser(choices: readonly number[]): <T>(options: readonly T[]) => T {
  let at = 0;
  return (options) => options[choices[at++ % choices.length]! % options.length]!;
}

export interface Built {
  readonly pool: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly updates: readonly Tensor[];
}

/** Builds a program on these leaves; yields every tensor when it is made. */
export function* building(
  program: RandomProgram,
  leaves: readonly Tensor[],
  slots: readonly Tensor[],
  finish: (x: Tensor) => Tensor,
): Generator<Tensor, Built> {
  const pool = [...leaves, ...slots];
  for (const { kind, choices } of program.steps) {
    const result = kinds[kind](pool, chooser(choices), program.scale);
    if (!result) continue;
    const made = finish(result);
    yield made;
    pool.push(made);
  }
  const last = (options: readonly Tensor[], i: number): Tensor => options[options.length - 1 - (i % options.length)]!;
  const outputs = program.wanted.map((i) => last(pool, i));
  // A slot takes any value of its shape: of another slot, of itself, of anything.
  const updates = slots.map((old, k) => {
    const fitting = pool.filter((x) => x.dtype === old.dtype && sameShape(x.shape, old.shape));
    return last(fitting, program.assigned[k]!);
  });
  return { pool, outputs, updates };
}

export const asItIs = (x: Tensor): Tensor => x;

export function build(program: RandomProgram, leaves: readonly Tensor[], slots: readonly Tensor[], finish = asItIs): Built {
  const steps = building(program, leaves, slots, finish);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

export const leaf = (x: HostArray): Tensor => tensor(x);

/** Builds it with every node computed by itself: what is right. */
export async function byNode(program: RandomProgram, finish = asItIs): Promise<{ outputs: number[][]; updates: number[][] }> {
  const steps = building(program, program.leaves.map(leaf), program.slots.map(leaf), finish);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return { outputs: await read(value.outputs), updates: await read(value.updates) };
    for (const node of topologicalOrder([value.node], ({ storage }) => storage !== null)) await realize(new Tensor(node));
  }
}

/** As numbers, so that NaN equals NaN and 0 differs from −0. */
export function read(readable: readonly { data(): Promise<TypedArray> }[]): Promise<number[][]> {
  return Promise.all(readable.map(async (x) => [...(await x.data())]));
}

/** Zeros without their signs, which sums in another order may have otherwise. */
export const unsigned = (arrays: readonly number[][]): number[][] => arrays.map((array) => array.map((value) => value + 0));

export const asSlots = (program: RandomProgram): Slot[] => program.slots.map((initial, i) => slot(initial, `slot${i}`));
export const valuesOf = (slots: readonly Slot[]): Tensor[] => slots.map(({ value }) => value);

const exactKinds = new Set<Step['kind']>([
  'binary',
  'where',
  'reshape',
  'permute',
  'expand',
  'slice',
  'flip',
  'pad',
  'concat',
  'matmul',
  'argument',
  'fold',
  'scatter',
]);
const whole = ({ dtype, shape, data }: HostArray): HostArray => host(shape, Array.from(data, Math.round), dtype);

/** Of small whole numbers, on which every backend's arithmetic is exact in any order: what differs is a fault, not rounding. To be built with {@link bounded}. */
export function exact(programs: fc.Arbitrary<RandomProgram>): fc.Arbitrary<RandomProgram> {
  return programs.map((program) => ({
    ...program,
    leaves: program.leaves.map(whole),
    slots: program.slots.map(whole),
    steps: program.steps.filter(({ kind }) => exactKinds.has(kind)),
  }));
}
export const bounded = (x: Tensor): Tensor => (x.dtype === 'f32' ? x.round().maximum(-9).minimum(9) : x);
