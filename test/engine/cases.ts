/**
 * Every public op, once: what it is drawn from, how it is called, what it means (as loops over plain arrays), and what is promised of it.
 * Conformance, gradient checks and the support table in the docs are all driven by this table.
 */
import fc from 'fast-check';
import {
  adaptiveAveragePool2d,
  affineGrid,
  arange,
  argsort,
  averagePool2d,
  bernoulli,
  broadcast,
  cholesky,
  concat,
  conv2d,
  cumprod,
  cumsum,
  diagonal,
  eigh,
  eye,
  foldIn,
  full,
  gridSample,
  linspace,
  lowerTriangle,
  maxPool2d,
  maxPool2dWithIndices,
  oneHot,
  ones,
  permutation,
  randint,
  randn,
  randomBits,
  type SliceIndex,
  scatterAdd,
  sort,
  stack,
  type Tensor,
  take,
  takeAlongAxis,
  topK,
  trace,
  triangularSolve,
  uniform,
  zeros,
} from '../../engine/index.ts';
import { threefry2x32 } from '../../engine/scalar.ts';
import { broadcastShapes, type Shape, sizeOf } from '../../engine/shape.ts';
import {
  anyPosition,
  axes,
  axis,
  axisSize,
  broadcastable,
  broadcastPair,
  type Domain,
  domains,
  generator,
  type Input,
  positionsIn,
  type Scale,
  samplePositions,
  shape,
} from './draws.ts';
import * as naive from './naive.ts';
import { type Dense, elementwise, firstLargest, folded, generate, total } from './naive.ts';

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

type Options = Partial<Omit<OpCase, 'name' | 'draw' | 'tolerance'>> & {
  readonly f32?: number;
  readonly webgpu?: number;
  readonly of?: Scope;
};

const all = [Number.NaN, Infinity, -Infinity, -0, 0, 1e-40, -1e-45, 3e38];
/** Sums in f32 may overflow on the way where sums in f64 do not. */
const noHuge = [Number.NaN, Infinity, -Infinity, -0, 0, 1e-40];
const nonFinite = [Number.NaN, Infinity, -Infinity];

function opCase(
  name: string,
  draw: OpCase['draw'],
  { gradient = false, specials = [], f32 = 0, webgpu = f32, of = 'element', gradientTolerance = 1e-5, heavy = false }: Options = {},
): OpCase {
  return { name, draw, gradient, specials, tolerance: { f32, webgpu, of }, gradientTolerance, heavy };
}

/** Units in the last place that WGSL lets an operation be off ("Accuracy of Expressions" in its specification), as a relative error. */
const ulps = (count: number): number => count * 2 ** -23;

const input = (dimensions: Shape, domain: Domain, repeats = true): Input => ({ shape: dimensions, domain, repeats });
const integers = (dimensions: Shape, domain: Domain, dtype: 'i32' | 'u8' = 'i32'): Input => ({
  shape: dimensions,
  domain,
  dtype,
  repeats: true,
});

// ------------------------------------------------------------------------------------------------------------- elementwise

type UnaryMethod = { [K in keyof Tensor]: Tensor[K] extends () => Tensor ? K : never }[keyof Tensor];
type BinaryMethod = { [K in keyof Tensor]: Tensor[K] extends (other: Tensor | number) => Tensor ? K : never }[keyof Tensor];

function unary(name: UnaryMethod, f: (x: number) => number, domain: Domain, options: Options = {}): OpCase {
  const draw = (scale: Scale) =>
    shape(scale).map(
      (dimensions): Drawn => ({
        inputs: [input(dimensions, domain)],
        compute: (x) => x![name](),
        naive: elementwise(f as (...x: number[]) => number),
      }),
    );
  return opCase(name, draw, { specials: all, ...options });
}

function binary(
  name: BinaryMethod,
  f: (x: number, y: number) => number,
  [left, right]: readonly [Domain, Domain],
  options: Options = {},
): OpCase {
  const draw = (scale: Scale) =>
    fc.tuple(broadcastPair(scale), fc.boolean()).map(([[first, second], withNumber]): Drawn => {
      if (withNumber && second.length === 0) {
        const number = Math.fround(right(generator(first.length), [])[0]!);
        return { inputs: [input(first, left)], compute: (x) => x![name](number), naive: elementwise((x) => f(x!, number)) };
      }
      return {
        inputs: [input(first, left), input(second, right)],
        compute: (x, y) => x![name](y!),
        naive: elementwise(f as (...x: number[]) => number),
      };
    });
  return opCase(name, draw, { specials: all, ...options });
}

/** The same op on integers: every backend gives the very same. */
function integerBinary(name: BinaryMethod, f: (x: number, y: number) => number, domain: Domain, dtype: 'i32' | 'u8'): OpCase {
  const draw = (scale: Scale) =>
    broadcastPair(scale).map(
      ([first, second]): Drawn => ({
        inputs: [integers(first, domain, dtype), integers(second, domain, dtype)],
        compute: (x, y) => x![name](y!),
        naive: elementwise(f as (...x: number[]) => number),
      }),
    );
  return opCase(`${name} ${dtype}`, draw);
}

/** On integers, without a float: the sign of the divisor, and 0 for a divisor of 0. */
const floorMod = (x: number, y: number): number => {
  if (y === 0) return 0;
  const [a, b] = [BigInt(x), BigInt(y)];
  return Number(((a % b) + b) % b);
};

const sign = Math.sign;
const halfToEven = (x: number): number => {
  const nearest = Math.round(x);
  return Math.abs(x % 1) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
};

/** erf by its series about 0, which serves as far as 3. (Abramowitz & Stegun 7.1.5) */
function erf(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) > 6) return sign(x);
  let [sum, term] = [x, x];
  for (let n = 1; n < 90; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const { normal, wide, positive, nonZero, distinct, halves, offGrid, moderate, mask, small, word, byte } = domains;
const smooth = { gradient: true };

const connectives = {
  logicalAnd: (x: boolean, y: boolean) => x && y,
  logicalOr: (x: boolean, y: boolean) => x || y,
  logicalXor: (x: boolean, y: boolean) => x !== y,
} as const;

/** x·2^±count in integers without bounds, the low 32 bits of it; counts outside 0 … 31 move everything out. */
function shifted(name: 'bitwiseLeftShift' | 'bitwiseRightShift', x: number, count: number): number {
  const by = count < 0 || count > 31 ? 40n : BigInt(count);
  return Number(BigInt.asIntN(32, name === 'bitwiseLeftShift' ? BigInt(x) << by : BigInt(x) >> by));
}

const elementwiseCases = [
  binary('add', (x, y) => x + y, [normal, normal], { ...smooth, f32: 1e-7 }),
  binary('sub', (x, y) => x - y, [normal, normal], { ...smooth, f32: 1e-7 }),
  binary('mul', (x, y) => x * y, [normal, normal], { ...smooth, f32: 1e-7 }),
  binary('div', (x, y) => x / y, [normal, nonZero], { ...smooth, f32: 1e-7, webgpu: ulps(2.5) }),
  // By WGSL's exp2(y·log2 x), which may be off by 3 + 2·|y·log2 x| units: the exponent is at most 128.
  binary('pow', (x, y) => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y), [positive, normal], {
    ...smooth,
    f32: 2e-6,
    webgpu: ulps(3 + 2 * 128),
  }),
  binary('maximum', Math.max, [halves, offGrid], { ...smooth }),
  binary('minimum', Math.min, [halves, offGrid], { ...smooth }),
  binary(
    'remainder',
    (x, y) => {
      const rest = x % y;
      return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
    },
    [offGrid, (random, dimensions) => mask(random, dimensions).map((x) => 2 * x - 1)],
    smooth,
  ),
  binary('equal', (x, y) => +(x === y), [small, small]),
  binary('notEqual', (x, y) => +(x !== y), [small, small]),
  binary('less', (x, y) => +(x < y), [small, small]),
  binary('lessEqual', (x, y) => +(x <= y), [small, small]),
  binary('greater', (x, y) => +(x > y), [small, small]),
  binary('greaterEqual', (x, y) => +(x >= y), [small, small]),
  unary('neg', (x) => -x, normal, smooth),
  unary('abs', Math.abs, nonZero, smooth),
  unary('sign', sign, nonZero, smooth),
  unary('floor', Math.floor, halves),
  unary('ceil', Math.ceil, halves),
  unary('round', halfToEven, halves),
  unary('trunc', Math.trunc, halves),
  // WGSL's root is a division by its inverse root, of 2 units.
  unary('sqrt', Math.sqrt, positive, { ...smooth, f32: 1e-7, webgpu: ulps(4.5) }),
  unary('rsqrt', (x) => 1 / Math.sqrt(x), positive, { ...smooth, f32: 3e-7, webgpu: ulps(7) }),
  unary('square', (x) => x * x, normal, { ...smooth, f32: 1e-7 }),
  unary('reciprocal', (x) => 1 / x, nonZero, { ...smooth, f32: 1e-7, webgpu: ulps(2.5) }),
  unary('exp', Math.exp, normal, { ...smooth, f32: 1e-6 }),
  unary('expm1', Math.expm1, wide, { ...smooth, f32: 1e-6 }),
  unary('log', Math.log, positive, { ...smooth, f32: 1e-6 }),
  unary('log1p', Math.log1p, moderate, { ...smooth, f32: 1e-6 }),
  unary('sin', Math.sin, wide, { ...smooth, specials: noHuge, f32: 1e-6, of: 'largest' }),
  unary('cos', Math.cos, wide, { ...smooth, specials: noHuge, f32: 1e-6, of: 'largest' }),
  unary('tanh', Math.tanh, wide, { ...smooth, f32: 1e-6 }),
  unary('sigmoid', (x) => 1 / (1 + Math.exp(-x)), wide, { ...smooth, f32: 1e-6 }),
  unary('erf', erf, normal, { ...smooth, f32: 1e-6 }),
  opCase(
    'erfInverse',
    (scale) =>
      shape(scale).map((dimensions) => ({
        inputs: [input(dimensions, moderate)],
        compute: (x) => x!.erfInverse(),
        check: ([y], [x]) => [
          [elementwise((value) => erf(value!))(y!), elementwise((value) => (Math.abs(value!) > 1 ? Number.NaN : value!))(x!)],
        ],
      })),
    { ...smooth, specials: [Number.NaN, 1, -1, -0, 2, 1e-40], f32: 2e-6 },
  ),
  unary('relu', (x) => (x < 0 ? 0 : x), nonZero, smooth),
  unary('isNaN', (x) => +Number.isNaN(x), normal),
  unary('isFinite', (x) => +Number.isFinite(x), normal),
  unary('logicalNot', (x) => +(x === 0), mask),
  unary('stopGradient', (x) => x, normal),
  opCase(
    'clamp',
    (scale) =>
      fc.tuple(shape(scale), fc.constantFrom([-1, 1], [0, Infinity], [-Infinity, 0.5])).map(([dimensions, [low, high]]) => ({
        inputs: [input(dimensions, offGrid)],
        compute: (x) => x!.clamp(low!, high!),
        naive: elementwise((x) => Math.min(Math.max(x!, low!), high!)),
      })),
    { ...smooth, specials: all },
  ),
  opCase(
    'where',
    (scale) =>
      broadcastPair(scale).chain(([first, second]) =>
        broadcastable(broadcastShapes([first, second], 'where')).map((condition) => ({
          inputs: [integers(condition, mask, 'u8'), input(first, normal), input(second, normal)],
          compute: (c, x, y) => c!.where(x!, y!),
          naive: elementwise((c, x, y) => (c ? x! : y!)),
        })),
      ),
    { ...smooth, specials: all },
  ),
  opCase(
    'pow constant',
    (scale) =>
      fc.tuple(shape(scale), fc.constantFrom(0, 1, 2, 3, -1, -2)).map(([dimensions, exponent]) => ({
        inputs: [input(dimensions, nonZero)],
        compute: (x) => x!.pow(exponent),
        naive: elementwise((x) => x! ** exponent),
      })),
    { ...smooth, f32: 1e-6, webgpu: ulps(3 + 2 * 4) },
  ),
  ...(['i32', 'u8', 'f32', 'f64'] as const).map((dtype) =>
    opCase(
      `cast ${dtype}`,
      (scale) =>
        shape(scale).map((dimensions) => ({
          inputs: [input(dimensions, (random, size) => wide(random, size).map((x) => 40 * x))],
          // Through f32 and back: f64 is not on every backend.
          compute: (x) => x!.cast(dtype === 'f64' ? x!.dtype : dtype).cast(x!.dtype),
          naive: elementwise((x) => {
            const [low, high] = dtype === 'u8' ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1];
            if (dtype === 'f32') return Math.fround(x!);
            return dtype === 'f64' ? x! : Math.min(high, Math.max(low, Math.trunc(x! || 0)));
          }),
        })),
      { specials: all },
    ),
  ),
  integerBinary('add', (x, y) => (x + y) | 0, word, 'i32'),
  integerBinary('sub', (x, y) => (x - y) | 0, word, 'i32'),
  integerBinary('mul', Math.imul, word, 'i32'),
  integerBinary('maximum', Math.max, word, 'i32'),
  integerBinary('minimum', Math.min, word, 'i32'),
  integerBinary('less', (x, y) => +(x < y), word, 'i32'),
  integerBinary('equal', (x, y) => +(x === y), small, 'i32'),
  integerBinary('remainder', floorMod, (random, dimensions) => (random() < 0.5 ? word : small)(random, dimensions), 'i32'),
  integerBinary('remainder', floorMod, byte, 'u8'),
  ...(['i32', 'u8'] as const).flatMap((dtype) => {
    const domain = dtype === 'u8' ? byte : word;
    return [
      integerBinary('bitwiseAnd', (x, y) => x & y, domain, dtype),
      integerBinary('bitwiseOr', (x, y) => x | y, domain, dtype),
      integerBinary('bitwiseXor', (x, y) => x ^ y, domain, dtype),
    ];
  }),
  opCase('bitwiseNot', (scale) =>
    shape(scale).map((dimensions) => ({
      inputs: [integers(dimensions, word)],
      compute: (x) => x!.bitwiseNot(),
      naive: elementwise((x) => -1 - x!),
    })),
  ),
  ...(['bitwiseLeftShift', 'bitwiseRightShift'] as const).map((name) =>
    opCase(name, (scale) =>
      fc.tuple(broadcastPair(scale), fc.boolean()).map(([[first, second], byNumber]) => {
        const count: Domain = (random, dimensions) => positive(random, dimensions).map((x) => Math.trunc(x * 20) - 10);
        const number = count(generator(first.length), [])[0]!;
        return {
          inputs: [integers(first, word), ...(byNumber ? [] : [integers(second, count)])],
          compute: (x, c) => x![name](byNumber ? number : c!),
          naive: elementwise((x, c) => shifted(name, x!, byNumber ? number : c!)),
        };
      }),
    ),
  ),
  integerBinary('add', (x, y) => x + y, byte, 'u8'),
  integerBinary('sub', (x, y) => x - y, byte, 'u8'),
  integerBinary('less', (x, y) => +(x < y), byte, 'u8'),
  ...Object.entries(connectives).flatMap(([name, connect]) => {
    const truth = (x: number, y: number): number => +connect(x !== 0, y !== 0);
    const method = name as keyof typeof connectives;
    return [
      binary(method, truth, [small, small]),
      integerBinary(method, truth, small, 'i32'),
      integerBinary(method, truth, (random, dimensions) => mask(random, dimensions).map((x) => x * 2), 'u8'),
      // Masks by how they are made, and moved.
      opCase(`${name} of masks`, (scale) =>
        shape(scale).map((dimensions) => ({
          inputs: [input(dimensions, small), input(dimensions, small)],
          compute: (x, y) => x!.less(0.5).logicalNot().flip()[method](y!.greater(0).flip()).flip(),
          naive: elementwise((x, y) => truth(x! < 0.5 ? 0 : 1, y! > 0 ? 1 : 0)),
        })),
      ),
    ];
  }),
];

// ------------------------------------------------------------------------------------------------------------- reductions

type ReduceMethod = 'sum' | 'prod' | 'max' | 'min' | 'mean' | 'logsumexp' | 'norm';

function drawReduce(
  scale: Scale,
  domain: Domain,
  compute: (x: Tensor, given: number | number[] | undefined, keepdims: boolean) => Tensor,
  f: (values: number[]) => number,
  dtype?: 'i32' | 'u8',
): fc.Arbitrary<Drawn> {
  return shape(scale).chain((dimensions) =>
    fc.tuple(axes(dimensions.length), fc.boolean()).map(([{ given, normalized }, keepdims]) => ({
      inputs: [dtype ? integers(dimensions, domain, dtype) : input(dimensions, domain, domain !== distinct)],
      compute: (x) => compute(x!, given, keepdims),
      naive: (x) => folded(x!, normalized, keepdims, f),
    })),
  );
}

function reduction(name: ReduceMethod, f: (values: number[]) => number, domain: Domain, options: Options): OpCase {
  return opCase(name, (scale) => drawReduce(scale, domain, (x, given, keepdims) => x[name](given, keepdims), f), options);
}

const largest = (values: readonly number[]): number => (values.length === 0 ? -Infinity : values[firstLargest(values)]!);
const negated = (values: readonly number[]): number[] => values.map((x) => -x);
const product = (values: readonly number[]): number => values.reduce((x, y) => x * y, 1);
const mean = (values: readonly number[]): number => total(values) / values.length;
function varianceOf(values: readonly number[], correction: number): number {
  const centre = mean(values);
  return total(values.map((x) => (x - centre) ** 2)) / Math.max(0, values.length - correction);
}
function logsumexp(values: readonly number[]): number {
  const peak = largest(values);
  const shift = Math.abs(peak) === Infinity ? 0 : peak;
  return Math.log(total(values.map((x) => Math.exp(x - shift)))) + shift;
}
function softmax(values: readonly number[]): number[] {
  const peak = largest(values);
  const exponentials = values.map((x) => Math.exp(x - peak));
  const sum = total(exponentials);
  return exponentials.map((x) => x / sum);
}

function spread(name: 'variance' | 'std'): OpCase {
  return opCase(
    name,
    (scale) =>
      fc.constantFrom(0, 1).chain((correction) =>
        drawReduce(
          scale,
          wide,
          (x, given, keepdims) => x[name](given, { keepdims, correction }),
          (values) => (name === 'std' ? Math.sqrt(varianceOf(values, correction)) : varianceOf(values, correction)),
        ),
      ),
    { gradient: name === 'variance', specials: nonFinite, f32: 3e-6, of: 'operands' },
  );
}

function position(name: 'argmax' | 'argmin'): OpCase {
  return opCase(
    name,
    (scale) =>
      shape(scale).chain((dimensions) => {
        const filled = dimensions.map((size) => Math.max(1, size));
        return fc
          .tuple(filled.length === 0 ? fc.constant(null) : fc.option(axis(filled.length)), fc.boolean(), fc.constantFrom(small, distinct))
          .map(
            ([chosen, keepdims, domain]): Drawn => ({
              inputs: [input(filled, domain)],
              compute: (x) => x![name](chosen?.given, keepdims),
              naive: (x) =>
                folded(x!, chosen ? [chosen.normalized] : filled.map((_, i) => i), keepdims, (values) =>
                  firstLargest(name === 'argmax' ? values : negated(values)),
                ),
            }),
          );
      }),
    { specials: all },
  );
}

function lineCase(name: 'softmax' | 'logSoftmax', f: (line: number[]) => number[]): OpCase {
  return opCase(
    name,
    (scale) =>
      shape(scale, { min: 1 }).chain((dimensions) =>
        axis(dimensions.length).map(({ given, normalized }) => ({
          inputs: [input(dimensions, wide)],
          compute: (x) => x![name](given),
          naive: (x) => naive.alongLines(x!, normalized, f),
        })),
      ),
    { gradient: true, specials: nonFinite, f32: 2e-6, of: 'largest' },
  );
}

/** Running totals along an axis, which a tensor of rank 1 or 0 need not name. */
function running(
  name: 'cumsum' | 'cumprod',
  domain: Domain,
  merge: (a: number, b: number) => number,
  options: Options = {},
  kind?: 'i32' | 'u8' | 'with zeros',
): OpCase {
  const along = (line: readonly number[]): number[] => line.map((_, i) => line.slice(1, i + 1).reduce(merge, line[0]!));
  return opCase(
    kind ? `${name} ${kind}` : name,
    (scale) =>
      shape(scale).chain((dimensions) =>
        fc
          .tuple(dimensions.length === 0 ? fc.constant(null) : axis(dimensions.length), fc.boolean(), fc.boolean())
          .map(([chosen, named, method]): Drawn => {
            const given = named || dimensions.length > 1 ? chosen?.given : undefined;
            return {
              inputs: [kind === 'i32' || kind === 'u8' ? integers(dimensions, domain, kind) : input(dimensions, domain)],
              compute: (x) => (method ? x![name](given) : { cumsum, cumprod }[name](x!, given)),
              naive: (x) => (chosen ? naive.alongLines(x!, chosen.normalized, along) : x!),
            };
          }),
      ),
    options,
  );
}

/** Zeros among others, where a product has no quotient. */
const withZeros: Domain = (random, dimensions) => nonZero(random, dimensions).map((x) => (random() < 0.25 ? 0 : x));

const scanCases = [
  running('cumsum', normal, (a, b) => a + b, { gradient: true, specials: noHuge, f32: 2e-6, of: 'operands' }),
  running('cumprod', nonZero, (a, b) => a * b, { specials: [Number.NaN, Infinity, -Infinity, 0], f32: 2e-4, of: 'element' }),
  running('cumprod', withZeros, (a, b) => a * b, { gradient: true, f32: 2e-4, of: 'element' }, 'with zeros'),
  ...(['i32', 'u8'] as const).flatMap((dtype) => {
    const domain = dtype === 'i32' ? word : byte;
    return [running('cumsum', domain, (a, b) => (a + b) | 0, {}, dtype), running('cumprod', domain, Math.imul, {}, dtype)];
  }),
  opCase('cumsum in another type', (scale) =>
    shape(scale, { min: 1 }).map((dimensions) => ({
      inputs: [integers(dimensions, byte, 'u8')],
      compute: (x) => x!.cumsum(0, { dtype: 'f32' }),
      naive: (x) => naive.alongLines(x!, 0, (line) => line.map((_, i) => total(line.slice(0, i + 1)))),
    })),
  ),
];

const reduceCases = [
  // Eight f32 are added before a double takes them: three roundings of partial sums, which 500 numbers may have all to one side.
  reduction('sum', total, normal, { gradient: true, specials: noHuge, f32: 2e-6, of: 'operands' }),
  reduction('mean', mean, normal, { gradient: true, specials: noHuge, f32: 1e-6, of: 'operands' }),
  reduction('prod', product, nonZero, { gradient: true, specials: [Number.NaN, Infinity, -Infinity, 0], f32: 2e-4, of: 'element' }),
  reduction('max', largest, distinct, { gradient: true, specials: all }),
  reduction('min', (values) => -largest(negated(values)), distinct, { gradient: true, specials: all }),
  reduction('logsumexp', logsumexp, wide, { gradient: true, specials: nonFinite, f32: 1e-6, of: 'operands' }),
  reduction('norm', (values) => Math.sqrt(total(values.map((x) => x * x))), nonZero, {
    gradient: true,
    specials: nonFinite,
    f32: 1e-6,
    of: 'largest',
  }),
  spread('variance'),
  spread('std'),
  opCase(
    'std away from 0',
    () =>
      fc.tuple(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 4 })).map(([n, d]) => ({
        inputs: [input([n, d], distinct, false)],
        compute: (x) => x!.std(0),
        naive: (x) => folded(x!, [0], false, (values) => Math.sqrt(varianceOf(values, 1))),
      })),
    { gradient: true, f32: 2e-6, of: 'operands' },
  ),
  position('argmax'),
  position('argmin'),
  lineCase('softmax', softmax),
  lineCase('logSoftmax', (line) => {
    const peak = largest(line);
    const rest = Math.log(total(line.map((x) => Math.exp(x - peak))));
    return line.map((x) => x - peak - rest);
  }),
  ...(['i32', 'u8'] as const).flatMap((dtype) => [
    opCase(`sum ${dtype}`, (scale) =>
      drawReduce(
        scale,
        dtype === 'i32' ? word : byte,
        (x, given, keepdims) => x.sum(given, keepdims),
        (values) => values.reduce((x, y) => (x + y) | 0, 0),
        dtype,
      ),
    ),
    opCase(`max ${dtype}`, (scale) =>
      drawReduce(
        scale,
        dtype === 'i32' ? word : byte,
        (x, given, keepdims) => x.max(given, keepdims),
        (values) => (values.length === 0 ? -(2 ** 31) : Math.max(...values)),
        dtype,
      ),
    ),
  ]),
];

// ------------------------------------------------------------------------------------------------------------- movement

function movement(
  name: string,
  draw: (dimensions: number[], scale: Scale) => fc.Arbitrary<Pick<Drawn, 'compute'> & { readonly naive: (x: Dense) => Dense }>,
  { min = 0 } = {},
): OpCase {
  return opCase(
    name,
    (scale) =>
      shape(scale, { min }).chain((dimensions) =>
        draw(dimensions, scale).map((rest) => ({ inputs: [input(dimensions, normal)], ...rest })),
      ),
    { gradient: true, specials: all },
  );
}

const reshaped = (dimensions: Shape) => (x: Dense) => new naive.Dense(dimensions, x.data);

/** Another shape of as many elements. */
function factored(dimensions: readonly number[]): fc.Arbitrary<number[]> {
  const merged = fc
    .nat(Math.max(0, dimensions.length - 2))
    .map((at) =>
      dimensions.length < 2
        ? [...dimensions]
        : [...dimensions.slice(0, at), dimensions[at]! * dimensions[at + 1]!, ...dimensions.slice(at + 2)],
    );
  const unit = fc.nat(dimensions.length).map((at) => [...dimensions.slice(0, at), 1, ...dimensions.slice(at)]);
  const halved = fc.constant(dimensions.flatMap((size) => (size % 2 === 0 && size > 0 ? [2, size / 2] : [size])));
  return fc.oneof(merged, unit, halved, fc.constant<number[]>([sizeOf(dimensions)]));
}

function range(size: number): fc.Arbitrary<{ given: SliceIndex; positions: number[] | number }> {
  const every = Array.from({ length: size }, (_, i) => i);
  const bound = fc.option(fc.integer({ min: -size - 2, max: size + 2 }));
  const spans = fc.tuple(bound, bound, fc.constantFrom(undefined, 1, 2, 3, -1, -2)).map(([start, stop, step]) => {
    const by = step ?? 1;
    const clip = (at: number): number => Math.min(by > 0 ? size : size - 1, Math.max(by > 0 ? 0 : -1, at < 0 ? at + size : at));
    const from = start === null ? (by > 0 ? 0 : size - 1) : clip(start);
    const to = stop === null ? (by > 0 ? size : -1) : clip(stop);
    const positions: number[] = [];
    for (let i = from; by > 0 ? i < to : i > to; i += by) positions.push(i);
    return { given: step === undefined ? ([start, stop] as const) : ([start, stop, step] as const), positions };
  });
  const whole = fc.constant({ given: null, positions: every });
  if (size === 0) return fc.oneof(spans, whole);
  const single = fc.integer({ min: -size, max: size - 1 }).map((at) => ({ given: at, positions: at < 0 ? at + size : at }));
  return fc.oneof({ weight: 4, arbitrary: spans }, { weight: 1, arbitrary: single }, { weight: 1, arbitrary: whole });
}

const movementCases = [
  movement('reshape', (dimensions) =>
    factored(dimensions).chain((target) => {
      const known = sizeOf(dimensions) > 0 && target.length > 0;
      return fc.option(known ? fc.nat(target.length - 1) : fc.constant(null)).map((hole) => ({
        compute: (x) => x!.reshape(typeof hole === 'number' ? target.with(hole, -1) : target),
        naive: reshaped(target),
      }));
    }),
  ),
  movement('permute', (dimensions) =>
    fc
      .shuffledSubarray(
        dimensions.map((_, i) => i),
        { minLength: dimensions.length },
      )
      .map((order) => ({
        compute: (x) => x!.permute(order),
        naive: (x) =>
          generate(
            order.map((i) => dimensions[i]!),
            (...index) => x.at(...order.map((_, i) => index[order.indexOf(i)]!)),
          ),
      })),
  ),
  movement(
    'transpose',
    (dimensions) =>
      fc.tuple(axis(dimensions.length), axis(dimensions.length)).map(([a, b]) => {
        const swapped = dimensions.map((_, i) => (i === a.normalized ? b.normalized : i === b.normalized ? a.normalized : i));
        return {
          compute: (x) => x!.transpose(a.given, b.given),
          naive: (x) =>
            generate(
              swapped.map((i) => dimensions[i]!),
              (...index) => x.at(...swapped.map((i) => index[i]!)),
            ),
        };
      }),
    { min: 2 },
  ),
  movement('expand', (dimensions) =>
    fc.tuple(fc.array(fc.constantFrom(0, 1, 2, 3), { maxLength: 2 }), fc.constantFrom(1, 3)).map(([added, times]) => {
      const target = [...added, ...dimensions.map((size) => (size === 1 ? times : size))];
      return { compute: (x) => x!.expand(target), naive: (x) => generate(target, (...index) => x.broadcastAt(index)) };
    }),
  ),
  movement('slice', (dimensions) =>
    fc.tuple(fc.tuple(...dimensions.map(range)), fc.nat(dimensions.length)).map(([ranges, named]) => {
      const used = ranges.slice(0, named);
      const kept = dimensions.map((size, i) => used[i]?.positions ?? Array.from({ length: size }, (_, at) => at));
      return {
        compute: (x) => x!.slice(...used.map(({ given }) => given)),
        naive: (x) =>
          generate(
            kept.flatMap((positions) => (typeof positions === 'number' ? [] : [positions.length])),
            (...index) => {
              let next = 0;
              return x.at(...kept.map((positions) => (typeof positions === 'number' ? positions : positions[index[next++]!]!)));
            },
          ),
      };
    }),
  ),
  movement(
    'narrow',
    (dimensions) =>
      fc.tuple(axis(dimensions.length), fc.nat(6), fc.nat(6)).map(([{ given, normalized }, a, b]) => {
        const size = dimensions[normalized]!;
        const [start, stop] = [Math.min(a, b, size), Math.min(Math.max(a, b), size)];
        return {
          compute: (x) => x!.narrow(given, start, stop - start),
          naive: (x) =>
            generate(dimensions.with(normalized, stop - start), (...index) => x.at(...index.with(normalized, index[normalized]! + start))),
        };
      }),
    { min: 1 },
  ),
  movement('flip', (dimensions) =>
    axes(dimensions.length).map(({ given, normalized }) => ({
      compute: (x) => x!.flip(given),
      naive: (x) =>
        generate(dimensions, (...index) => x.at(...index.map((i, at) => (normalized.includes(at) ? dimensions[at]! - 1 - i : i)))),
    })),
  ),
  movement('pad', (dimensions) =>
    fc
      .tuple(
        fc.tuple(...dimensions.map((size) => fc.tuple(fc.integer({ min: size === 0 ? 0 : -1, max: 2 }), fc.nat(2)))),
        fc.constantFrom(0, -1.5, Infinity),
      )
      .map(([counts, value]) => ({
        compute: (x) =>
          x!.pad(
            counts.map(([before]) => before),
            counts.map(([, after]) => after),
            value,
          ),
        naive: (x) =>
          generate(
            dimensions.map((size, i) => counts[i]![0] + size + counts[i]![1]),
            (...index) => {
              const source = index.map((i, at) => i - counts[at]![0]);
              return source.every((i, at) => i >= 0 && i < dimensions[at]!) ? x.at(...source) : value;
            },
          ),
      })),
  ),
  movement('squeeze', (dimensions) =>
    fc.boolean().map((named) => ({
      compute: (x) => x!.squeeze(named ? dimensions.flatMap((size, i) => (size === 1 ? [i] : [])) : undefined),
      naive: reshaped(dimensions.filter((size) => size !== 1)),
    })),
  ),
  movement('unsqueeze', (dimensions) =>
    axis(dimensions.length + 1).map(({ given, normalized }) => ({
      compute: (x) => x!.unsqueeze(given),
      naive: reshaped(dimensions.toSpliced(normalized, 0, 1)),
    })),
  ),
  movement('flatten', (dimensions) =>
    fc.nat(Math.max(0, dimensions.length - 1)).map((start) => ({
      compute: (x) => x!.flatten(start),
      naive: reshaped([...dimensions.slice(0, start), sizeOf(dimensions.slice(start))]),
    })),
  ),
  opCase(
    'concat',
    (scale) =>
      shape(scale, { min: 1 }).chain((dimensions) =>
        fc
          .tuple(axis(dimensions.length), fc.array(axisSize(scale), { minLength: 1, maxLength: 4 }))
          .map(([{ given, normalized }, sizes]) => ({
            inputs: sizes.map((size) => input(dimensions.with(normalized, size), normal)),
            compute: (...parts) => concat(parts, given),
            naive: (...parts) => {
              const owners = sizes.flatMap((size, k) => Array.from({ length: size }, (_, i) => [k, i] as const));
              return generate(dimensions.with(normalized, owners.length), (...index) => {
                const [k, i] = owners[index[normalized]!]!;
                return parts[k]!.at(...index.with(normalized, i));
              });
            },
          })),
      ),
    { gradient: true, specials: all },
  ),
  opCase(
    'stack',
    (scale) =>
      shape(scale).chain((dimensions) =>
        fc.tuple(axis(dimensions.length + 1), fc.integer({ min: 1, max: 3 })).map(([{ given, normalized }, count]) => ({
          inputs: Array.from({ length: count }, () => input(dimensions, normal)),
          compute: (...parts) => stack(parts, given),
          naive: (...parts) =>
            generate(dimensions.toSpliced(normalized, 0, count), (...index) =>
              parts[index[normalized]!]!.at(...index.toSpliced(normalized, 1)),
            ),
        })),
      ),
    { gradient: true, specials: all },
  ),
  opCase(
    'broadcast',
    (scale) =>
      broadcastPair(scale).map(([first, second]) => ({
        inputs: [input(first, normal), input(second, normal)],
        compute: (x, y) => broadcast(x!, y!),
        naive: (x, y) => [elementwise((a, _b) => a!)(x!, y!), elementwise((_a, b) => b!)(x!, y!)],
      })),
    { gradient: true, specials: all },
  ),
  ...(['diagonal', 'trace', 'lowerTriangle'] as const).map((name) =>
    opCase(
      name,
      (scale) =>
        fc.tuple(shape(scale, { max: 2 }), axisSize('any'), fc.boolean()).map(([batch, n, strict]) => ({
          inputs: [input([...batch, n, n], normal)],
          compute: (x) => ({ diagonal, trace, lowerTriangle: (y: Tensor) => lowerTriangle(y, strict) })[name](x!),
          naive: (x) => {
            if (name === 'lowerTriangle') {
              return generate(x!.shape, (...index) => (index.at(-2)! >= index.at(-1)! + +strict ? x!.at(...index) : 0));
            }
            const line = generate([...batch, n], (...index) => x!.at(...index, index.at(-1)!));
            return name === 'diagonal' ? line : folded(line, [batch.length], false, total);
          },
        })),
      { gradient: true, specials: noHuge, f32: 1e-6, of: 'operands' },
    ),
  ),
];

// ------------------------------------------------------------------------------------------------------------- contraction

const contraction: Options = { gradient: true, f32: 2e-6, of: 'operands' };

const matmulCase = opCase(
  'matmul',
  (scale) => {
    const size =
      scale === 'small'
        ? axisSize(scale)
        : fc.oneof({ weight: 5, arbitrary: axisSize(scale) }, { weight: 1, arbitrary: fc.constantFrom(8, 9, 33, 70) });
    return fc.tuple(size, size, size, broadcastPair('small'), fc.nat(5)).map(([m, k, n, [first, second], form]) => {
      const left = form === 0 ? [k] : [...(form < 3 ? [] : first), m, k];
      const right = form === 1 ? [k] : [...(form < 3 || form === 3 ? [] : second), k, n];
      return {
        inputs: [input(left, normal), input(right, normal)],
        compute: (a, b) => a!.matmul(b!),
        naive: (a, b) => naive.matmul(a!, b!),
      };
    });
  },
  { ...contraction, specials: nonFinite },
);

const both = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(arbitrary, arbitrary);

interface Geometry {
  readonly image: [number, number];
  readonly window: naive.Window;
}
/** Images and windows that fit them. */
function geometry(scale: Scale, { dilated = false, halfPadded = false } = {}): fc.Arbitrary<Geometry> {
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

const convCases = [
  opCase(
    'conv2d',
    (scale) =>
      fc
        .tuple(
          geometry(scale, { dilated: true }),
          fc.constantFrom(1, 1, 2, 3),
          fc.integer({ min: 1, max: scale === 'small' ? 2 : 4 }),
          fc.integer({ min: 1, max: scale === 'small' ? 2 : 5 }),
          fc.constantFrom(0, 1, 1, 2),
        )
        .map(([{ image, window }, groups, depth, filters, n]) => {
          const { kernel: _kernel, ...options } = window;
          return {
            inputs: [input([n, depth * groups, ...image], normal), input([filters * groups, depth, ...window.kernel], normal)],
            compute: (x, w) => conv2d(x!, w!, { ...options, groups }),
            naive: (x, w) => naive.conv2d(x!, w!, window, groups),
          };
        }),
    { ...contraction, heavy: true },
  ),
  ...(['maxPool2d', 'maxPool2dWithIndices'] as const).map((name) =>
    opCase(
      name,
      (scale) =>
        fc
          .tuple(geometry(scale, { halfPadded: true }), fc.constantFrom(0, 1, 2), fc.integer({ min: 1, max: 3 }))
          .map(([{ image, window }, n, c]) => {
            const { kernel, stride, padding } = window;
            const best = (x: Dense, pick: (values: number[], positions: number[]) => number): Dense => {
              const positions = generate(x.shape, (_n, _c, i, j) => i! * image[1] + j!);
              return naive.windowed(x, c, window, (...at) => {
                const values = naive.windowAt(x, ...at, window);
                const where = naive.windowAt(positions, ...at, window);
                return pick(
                  values.filter((value) => value !== null),
                  where.filter((value) => value !== null),
                );
              });
            };
            return {
              inputs: [input([n, c, ...image], distinct, false)],
              compute: (x) => {
                if (name === 'maxPool2d') return maxPool2d(x!, kernel, { stride, padding });
                return Object.values(maxPool2dWithIndices(x!, kernel, { stride, padding }));
              },
              naive: (x) => {
                const values = best(x!, (window_) => window_[firstLargest(window_)]!);
                return name === 'maxPool2d' ? values : [values, best(x!, (window_, positions) => positions[firstLargest(window_)]!)];
              },
            };
          }),
      { gradient: true, specials: all },
    ),
  ),
  opCase(
    'averagePool2d',
    (scale) =>
      fc
        .tuple(geometry(scale, { halfPadded: true }), fc.constantFrom(0, 1, 2), fc.integer({ min: 1, max: 3 }), fc.boolean())
        .map(([{ image, window }, n, c, countIncludePad]) => ({
          inputs: [input([n, c, ...image], normal)],
          compute: (x) => averagePool2d(x!, window.kernel, { stride: window.stride, padding: window.padding, countIncludePad }),
          naive: (x) =>
            naive.windowed(x!, c, window, (...at) => {
              const values = naive.windowAt(x!, ...at, window);
              const inside = values.filter((value) => value !== null);
              return total(inside) / (countIncludePad ? values.length : inside.length);
            }),
        })),
    { gradient: true, specials: nonFinite, f32: 1e-6, of: 'operands' },
  ),
  opCase(
    'adaptiveAveragePool2d',
    (scale) =>
      fc
        .tuple(both(fc.integer({ min: 1, max: scale === 'small' ? 4 : 9 })), both(fc.integer({ min: 1, max: 4 })), fc.constantFrom(0, 1, 2))
        .map(([image, cells, n]) => {
          const span = (cell: number, length: number, count: number): number[] => {
            const start = Math.floor((cell * length) / count);
            return Array.from({ length: Math.ceil(((cell + 1) * length) / count) - start }, (_, i) => start + i);
          };
          return {
            inputs: [input([n, 2, ...image], normal)],
            compute: (x) => adaptiveAveragePool2d(x!, cells),
            naive: (x) =>
              generate([n, 2, ...cells], (b, c, i, j) =>
                mean(
                  span(i!, image[0], cells[0]).flatMap((row) => span(j!, image[1], cells[1]).map((column) => x!.at(b!, c!, row, column))),
                ),
              ),
          };
        }),
    { gradient: true, f32: 1e-6, of: 'operands' },
  ),
];

// ------------------------------------------------------------------------------------------------------------- indexing

function along(
  name: string,
  draw: (dimensions: number[], at: { given: number; normalized: number }) => fc.Arbitrary<Drawn>,
  options: Options,
): OpCase {
  return opCase(
    name,
    (scale) => shape(scale, { min: 1 }).chain((dimensions) => axis(dimensions.length).chain((at) => draw(dimensions, at))),
    options,
  );
}

/** Which entry of an axis an index means; null for one outside. */
const entryOf = (index: number, size: number): number | null => (index >= -size && index < size ? (index + size) % size : null);

/** What an op gets whose positions nobody knows before a plan runs. */
const unknown = (index: Tensor): Tensor => index.bitwiseXor(0);

/** With indices that are known to be inside, so that there is a derivative, and with any that a plan computes. */
function indexingPair(
  name: string,
  draw: (dimensions: number[], at: { given: number; normalized: number }, domain: (size: number) => Domain) => fc.Arbitrary<Drawn>,
  options: Options,
): OpCase[] {
  const hidden = ({ inputs, compute, ...rest }: Drawn): Drawn => ({
    ...rest,
    inputs,
    compute: (...tensors) => compute(...tensors.map((x, i) => (inputs[i]!.dtype === 'i32' && i > 0 ? unknown(x) : x))),
  });
  return [
    along(name, (dimensions, at) => draw(dimensions, at, positionsIn), { gradient: true, ...options }),
    along(`${name} anywhere`, (dimensions, at) => draw(dimensions, at, anyPosition).map(hidden), options),
  ];
}

const entries = (dtype: 'f32' | 'i32', dimensions: Shape): Input =>
  dtype === 'f32' ? input(dimensions, normal) : integers(dimensions, small);
const eitherType = fc.constantFrom('f32' as const, 'i32' as const);

const indexingCases = [
  ...indexingPair(
    'takeAlongAxis',
    (dimensions, { given, normalized }, domain) =>
      fc.tuple(fc.nat(7), eitherType).map(([count, dtype]) => ({
        inputs: [
          entries(dtype, dimensions),
          integers(dimensions.with(normalized, dimensions[normalized] === 0 ? 0 : count), domain(dimensions[normalized]!)),
        ],
        compute: (x, index) => takeAlongAxis(x!, index!, given),
        naive: (x, index) =>
          generate(index!.shape, (...i) => {
            const at = entryOf(index!.at(...i), dimensions[normalized]!);
            return at !== null ? x!.at(...i.with(normalized, at)) : dtype === 'i32' ? 0 : Number.NaN;
          }),
      })),
    { specials: all },
  ),
  ...indexingPair(
    'take',
    (dimensions, { given, normalized }, domain) =>
      fc.tuple(shape('small', { max: 2 }), eitherType).map(([positions, dtype]) => ({
        inputs: [entries(dtype, dimensions), integers(dimensions[normalized] === 0 ? [0] : positions, domain(dimensions[normalized]!))],
        compute: (x, index) => take(x!, index!, given),
        naive: (x, index) =>
          generate([...dimensions.slice(0, normalized), ...index!.shape, ...dimensions.slice(normalized + 1)], (...i) => {
            const end = normalized + index!.shape.length;
            const at = entryOf(index!.at(...i.slice(normalized, end)), dimensions[normalized]!);
            return at !== null ? x!.at(...i.slice(0, normalized), at, ...i.slice(end)) : dtype === 'i32' ? 0 : Number.NaN;
          }),
      })),
    { specials: all },
  ),
  ...indexingPair(
    'scatterAdd',
    (dimensions, { given, normalized }, domain) =>
      fc.tuple(fc.nat(5), eitherType).map(([size, dtype]) => {
        const own = size === 0 && domain === positionsIn ? dimensions.with(normalized, 0) : dimensions;
        return {
          inputs: [entries(dtype, own), integers(own, domain(size))],
          compute: (updates, index) => scatterAdd(updates!, index!, given, size),
          naive: (updates, index) =>
            generate(own.with(normalized, size), (...i) => {
              const line = Array.from({ length: own[normalized]! }, (_, m) => i.with(normalized, m));
              const places = line.map((from) => entryOf(index!.at(...from), size));
              if (dtype === 'f32' && places.includes(null)) return Number.NaN;
              return total(line.filter((_, m) => places[m] === i[normalized]).map((from) => updates!.at(...from)));
            }),
        };
      }),
    { specials: nonFinite, f32: 1e-5, of: 'operands' },
  ),
  ...[positionsIn, anyPosition].map((domain) =>
    opCase(domain === positionsIn ? 'oneHot' : 'oneHot anywhere', (scale) =>
      fc.tuple(shape(scale, { max: 2 }), fc.integer({ min: 1, max: 6 })).map(([dimensions, classes]) => ({
        inputs: [integers(dimensions, domain(classes))],
        compute: (labels) => oneHot(domain === positionsIn ? labels! : unknown(labels!), classes),
        naive: (labels) =>
          generate([...dimensions, classes], (...index) => {
            const at = entryOf(labels!.at(...index.slice(0, -1)), classes);
            return at === null ? Number.NaN : +(at === index.at(-1));
          }),
      })),
    ),
  ),
  ...(['sort', 'argsort', 'topK'] as const).map((name) =>
    along(
      name,
      (dimensions, { given, normalized }) =>
        fc.tuple(fc.boolean(), fc.nat(dimensions[normalized]!), fc.boolean()).map(([descending, k, ties]) => {
          const order = (line: number[]): number[] => naive.sortedPositions(line, name === 'topK' || descending);
          const count = name === 'topK' ? k : dimensions[normalized]!;
          return {
            inputs: [input(dimensions, ties && name === 'argsort' ? small : distinct, false)],
            compute: (x) => {
              if (name === 'argsort') return argsort(x!, { axis: given, descending });
              return Object.values(name === 'sort' ? sort(x!, { axis: given, descending }) : topK(x!, k, given));
            },
            naive: (x) => {
              const positions = naive.alongLines(x!, normalized, order, count);
              const values = naive.alongLines(x!, normalized, (line) => order(line).map((i) => line[i]!), count);
              return name === 'argsort' ? positions : [values, positions];
            },
          };
        }),
      { gradient: name !== 'argsort', specials: all },
    ),
  ),
];

// ------------------------------------------------------------------------------------------------------------- linear algebra

const transposed = (x: Dense): Dense =>
  generate([...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!], (...i) => x.at(...i.slice(0, -2), i.at(-1)!, i.at(-2)!));
/** The matrix that an op which reads one triangle means. */
const triangle = (x: Dense, lower: boolean): Dense =>
  generate(x.shape, (...i) => ((lower ? i.at(-2)! >= i.at(-1)! : i.at(-2)! <= i.at(-1)!) ? x.at(...i) : 0));
const symmetrised = (x: Dense): Dense =>
  generate(x.shape, (...i) => x.at(...i.slice(0, -2), Math.max(i.at(-2)!, i.at(-1)!), Math.min(i.at(-2)!, i.at(-1)!)));
const identityLike = (x: Dense): Dense => generate(x.shape, (...i) => +(i.at(-2) === i.at(-1)));

function matrices(scale: Scale): fc.Arbitrary<number[]> {
  return fc
    .tuple(
      shape('small', { max: 2 }),
      scale === 'small' ? fc.integer({ min: 0, max: 3 }) : fc.oneof(axisSize('any'), fc.constantFrom(9, 17)),
    )
    .map(([batch, d]) => [...batch, d, d]);
}

const linalgCases = [
  opCase(
    'cholesky',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.definite, false)],
        // Symmetrised, because a derivative is one of symmetric matrices.
        compute: (x) => cholesky(x!.add(x!.transpose()).mul(0.5)),
        check: ([l], [x]) => [
          [naive.matmul(l!, transposed(l!)), symmetrised(x!)],
          [triangle(l!, true), l!],
        ],
      })),
    { gradient: true, f32: 1e-5, of: 'largest', heavy: true },
  ),
  opCase(
    'triangularSolve',
    (scale) =>
      fc.tuple(matrices(scale), axisSize(scale), fc.boolean(), fc.boolean()).map(([dimensions, columns, lower, transpose]) => ({
        inputs: [input(dimensions, domains.triangular, false), input([...dimensions.slice(0, -1), columns], normal)],
        compute: (a, b) => triangularSolve(a!, b!, { lower, transpose }),
        check: ([x], [a, b]) => {
          const read = triangle(a!, lower);
          return [[naive.matmul(transpose ? transposed(read) : read, x!), b!]];
        },
      })),
    { gradient: true, f32: 1e-5, of: 'largest' },
  ),
  opCase(
    'eigh',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.spectrum, false)],
        compute: (x) => {
          const { values, vectors } = eigh(x!.add(x!.transpose()).mul(0.5));
          // A vector's sign turns where its largest component changes; its square does not.
          return [values, vectors.square(), vectors.mul(values.unsqueeze(-2)).matmul(vectors.transpose())];
        },
        check: ([, , product], [x]) => [[product!, symmetrised(x!)]],
      })),
    { gradient: true, f32: 2e-5, of: 'largest', heavy: true },
  ),
  opCase(
    'eigh vectors',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.spectrum, false)],
        compute: (x) => Object.values(eigh(x!)),
        check: ([values, vectors], [x]) => {
          const scaled = generate(x!.shape, (...i) => vectors!.at(...i) * values!.at(...i.slice(0, -2), i.at(-1)!));
          return [
            [naive.matmul(symmetrised(x!), vectors!), scaled],
            [naive.matmul(transposed(vectors!), vectors!), identityLike(x!)],
            [naive.alongLines(values!, values!.shape.length - 1, (line) => [...line].sort((a, b) => a - b)), values!],
            [
              naive.alongLines(
                vectors!,
                vectors!.shape.length - 2,
                (column) => [Math.sign(column.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0))],
                1,
              ),
              generate(vectors!.shape.with(-2, 1), () => 1),
            ],
          ];
        },
      })),
    { f32: 1e-4, of: 'largest', heavy: true },
  ),
];

// ------------------------------------------------------------------------------------------------------------- sampling

const sampleCases = [
  opCase(
    'gridSample',
    (scale) =>
      fc
        .tuple(
          both(fc.integer({ min: 1, max: scale === 'small' ? 3 : 7 })),
          both(axisSize(scale)),
          fc.constantFrom(0, 1, 2),
          fc.constantFrom('zeros', 'border'),
          fc.boolean(),
        )
        .map(([image, out, n, padding, alignCorners]) => {
          const [height, width] = image;
          const pixel = (coordinate: number, extent: number): number => {
            const place = alignCorners ? ((coordinate + 1) / 2) * (extent - 1) : ((coordinate + 1) * extent - 1) / 2;
            return padding === 'border' ? Math.min(extent - 1, Math.max(0, place)) : place;
          };
          return {
            inputs: [input([n, 2, ...image], normal), input([n, ...out, 2], samplePositions(image, alignCorners))],
            compute: (x, grid) => gridSample(x!, grid!, { padding: padding as 'zeros' | 'border', alignCorners }),
            naive: (x, grid) =>
              generate([n, 2, ...out], (b, c, i, j) => {
                const column = pixel(grid!.at(b!, i!, j!, 0), width);
                const row = pixel(grid!.at(b!, i!, j!, 1), height);
                // Hat functions on every pixel: slow, and plain.
                return total(
                  [...naive.indices(image)].map(
                    ([u, v]) => x!.at(b!, c!, u!, v!) * Math.max(0, 1 - Math.abs(row - u!)) * Math.max(0, 1 - Math.abs(column - v!)),
                  ),
                );
              }),
          };
        }),
    { gradient: true, f32: 3e-6, of: 'operands' },
  ),
  opCase(
    'affineGrid',
    () =>
      fc.tuple(fc.nat(2), both(fc.integer({ min: 1, max: 4 })), fc.boolean()).map(([n, size, alignCorners]) => ({
        inputs: [input([n, 2, 3], normal)],
        compute: (theta) => affineGrid(theta!, size, { alignCorners }),
        naive: (theta) => {
          const place = (i: number, length: number): number =>
            alignCorners ? (length === 1 ? 0 : (2 * i) / (length - 1) - 1) : (2 * i + 1) / length - 1;
          return generate([n, ...size, 2], (b, i, j, k) => {
            const position = [place(j!, size[1]), place(i!, size[0]), 1];
            return total(position.map((value, column) => value * theta!.at(b!, k!, column)));
          });
        },
      })),
    { gradient: true, f32: 1e-6, of: 'operands' },
  ),
];

// ------------------------------------------------------------------------------------------------------------- creation and chance

function created(
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

/** The words that a seed draws: Threefry of counter (0, position), its halves combined by xor. */
function wordsOf(seed: number, dimensions: Shape): Dense {
  let at = 0;
  return generate(dimensions, () => {
    const [first, second] = threefry2x32(Math.floor(seed / 2 ** 32), seed | 0, 0, at++);
    return first ^ second;
  });
}
const unit = (word: number): number => (word >>> 8) / 2 ** 24;

const createCases = [
  created('zeros', (dimensions) => ({ compute: () => zeros(dimensions), naive: () => generate(dimensions, () => 0) })),
  created('ones', (dimensions) => ({ compute: () => ones(dimensions, 'u8'), naive: () => generate(dimensions, () => 1) })),
  created('full', (dimensions, seed) => ({
    compute: () => full(dimensions, seed),
    naive: () => generate(dimensions, () => Math.fround(seed)),
  })),
  created('arange', ([n = 3]) => ({ compute: () => arange(n), naive: () => generate([n], (i) => i!) })),
  created('eye', ([n = 2]) => ({
    compute: () => eye(Math.min(n, 40)),
    naive: () => generate([Math.min(n, 40), Math.min(n, 40)], (i, j) => +(i === j)),
  })),
  created(
    'linspace',
    ([n = 5], seed) => ({
      compute: () => linspace(-1, seed % 7, n + 1),
      naive: () => generate([n + 1], (i) => -1 + (i! * ((seed % 7) + 1)) / Math.max(1, n)),
      within: 1e-6,
    }),
    { f32: 1e-6, of: 'largest' },
  ),
  created('randomBits', (dimensions, seed) => ({ compute: () => randomBits(seed, dimensions), naive: () => wordsOf(seed, dimensions) })),
  created('uniform', (dimensions, seed) => ({
    compute: () => uniform(dimensions, { key: seed }),
    naive: () => elementwise((x) => unit(x!))(wordsOf(seed, dimensions)),
  })),
  created(
    'uniform from 1 to 4',
    (dimensions, seed) => ({
      compute: () => uniform(dimensions, { key: seed, low: 1, high: 4 }),
      naive: () => elementwise((x) => unit(x!) * 3 + 1)(wordsOf(seed, dimensions)),
      within: 1e-6,
    }),
    // With fused multiply-add, or without.
    { f32: 3e-7 },
  ),
  created('bernoulli', (dimensions, seed) => ({
    compute: () => bernoulli(dimensions, { key: seed, p: 0.25 }),
    naive: () => elementwise((x) => +(unit(x!) < 0.25))(wordsOf(seed, dimensions)),
  })),
  created('randint', (dimensions, seed) => ({
    compute: () => randint(dimensions, { key: seed, low: -3, high: 5 }),
    naive: () => elementwise((x) => Math.floor(unit(x!) * 8) - 3)(wordsOf(seed, dimensions)),
  })),
  created(
    'randn',
    (dimensions, seed) => ({
      compute: () => randn(dimensions, { key: seed }),
      // Compared by the quantiles that the numbers are of; beyond 4 deviations, by their signs.
      check: ([x]) => {
        const quantiles = elementwise((word) => (word! >>> 9) * 2 ** -22 + 2 ** -23 - 1)(wordsOf(seed, dimensions));
        return [[elementwise((value) => (Math.abs(value!) < 4 ? erf(value! / Math.SQRT2) : sign(value!)))(x!), quantiles]];
      },
      within: 1e-4,
    }),
    { f32: 1e-5 },
  ),
  created('permutation', ([n = 4], seed) => ({
    compute: () => permutation(n, { key: seed }),
    naive: () => {
      const words = wordsOf(seed, [n]);
      return new naive.Dense([n], naive.sortedPositions(words.data, false));
    },
  })),
  created('foldIn', (_, seed) => ({
    compute: () => foldIn(seed, 7),
    naive: () => {
      const pair = (counter: number): number => {
        const [first, second] = threefry2x32(Math.floor(seed / 2 ** 32), seed | 0, 0, counter);
        return first ^ second;
      };
      return new naive.Dense([2], [pair(-16), pair(-15)]);
    },
  })),
];

export const cases: readonly OpCase[] = [
  ...createCases,
  ...elementwiseCases,
  ...reduceCases,
  ...scanCases,
  ...movementCases,
  matmulCase,
  ...convCases,
  ...indexingCases,
  ...linalgCases,
  ...sampleCases,
];
