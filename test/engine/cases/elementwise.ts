/** Cases of elementwise functions. */
import fc from 'fast-check';
import type { Tensor } from '../../../engine/index.ts';
import { type ScalarName, scalars } from '../../../engine/scalar.ts';
import { broadcastShapes } from '../../../engine/shape.ts';
import { broadcastable, broadcastPair, type Domain, domains, generator, type Scale, shape } from '../draws.ts';
import { elementwise, erf } from '../naive.ts';
import { toleranceOf } from '../values.ts';
import { all, type Drawn, input, integers, noHuge, type OpCase, type Options, opCase } from './case.ts';

type UnaryMethod = { [K in keyof Tensor]: Tensor[K] extends () => Tensor ? K : never }[keyof Tensor];
type BinaryMethod = { [K in keyof Tensor]: Tensor[K] extends (other: Tensor | number) => Tensor ? K : never }[keyof Tensor];

/** What a row of the scalar table promises of its method. */
const promised = (name: string): Options => (Object.hasOwn(scalars, name) ? toleranceOf(name as ScalarName) : {});

function unary(name: UnaryMethod, f: (x: number) => number, domain: Domain, options: Options = {}): OpCase {
  const draw = (scale: Scale) =>
    shape(scale).map(
      (dimensions): Drawn => ({
        inputs: [input(dimensions, domain)],
        compute: (x) => x![name](),
        naive: elementwise(f as (...x: number[]) => number),
      }),
    );
  return opCase(name, draw, { specials: all, ...promised(name), ...options });
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
  return opCase(name, draw, { specials: all, ...promised(name), ...options });
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

const { normal, wide, positive, nonZero, halves, offGrid, moderate, mask, small, word, byte } = domains;
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

export const elementwiseCases: readonly OpCase[] = [
  binary('add', (x, y) => x + y, [normal, normal], smooth),
  binary('sub', (x, y) => x - y, [normal, normal], smooth),
  binary('mul', (x, y) => x * y, [normal, normal], smooth),
  binary('div', (x, y) => x / y, [normal, nonZero], smooth),
  binary('pow', (x, y) => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y), [positive, normal], smooth),
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
  unary('sqrt', Math.sqrt, positive, smooth),
  unary('rsqrt', (x) => 1 / Math.sqrt(x), positive, { ...smooth, ...toleranceOf('sqrt', 'div') }),
  unary('square', (x) => x * x, normal, smooth),
  unary('reciprocal', (x) => 1 / x, nonZero, { ...smooth, ...toleranceOf('div') }),
  unary('exp', Math.exp, normal, smooth),
  unary('expm1', Math.expm1, wide, smooth),
  unary('log', Math.log, positive, smooth),
  unary('log1p', Math.log1p, moderate, smooth),
  unary('sin', Math.sin, wide, { ...smooth, specials: noHuge, of: 'largest' }),
  unary('cos', Math.cos, wide, { ...smooth, specials: noHuge, of: 'largest' }),
  unary('tanh', Math.tanh, wide, smooth),
  unary('sigmoid', (x) => 1 / (1 + Math.exp(-x)), wide, smooth),
  unary('erf', erf, normal, smooth),
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
    { ...smooth, specials: [Number.NaN, 1, -1, -0, 2, 1e-40], ...toleranceOf('erfInverse') },
  ),
  unary('relu', (x) => (x < 0 ? 0 : x), nonZero, smooth),
  unary('isNaN', (x) => +Number.isNaN(x), normal),
  unary('isFinite', (x) => +Number.isFinite(x), normal),
  unary('logicalNot', (x) => +(x === 0), mask),
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
    { ...smooth, ...toleranceOf('pow') },
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
