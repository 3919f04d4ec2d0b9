/** Cases of ops that read or write by position. */
import fc from 'fast-check';
import { argsort, oneHot, scatter, scatterAdd, sort, type Tensor, take, takeAlongAxis, topK } from '../../../engine/index.ts';
import type { Shape } from '../../../engine/shape.ts';
import { anyPosition, axis, type Domain, domains, type Input, positionsIn, shape } from '../draws.ts';
import * as naive from '../naive.ts';
import { generate, total } from '../naive.ts';
import { all, type Drawn, input, integers, nonFinite, type OpCase, type Options, opCase } from './case.ts';

const { normal, distinct, small } = domains;

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

export const indexingCases: readonly OpCase[] = [
  ...indexingPair(
    'takeAlongAxis',
    (dimensions, { given, normalized }, domain) =>
      fc.tuple(fc.nat(7), eitherType, fc.boolean()).map(([count, dtype, method]) => ({
        inputs: [
          entries(dtype, dimensions),
          integers(dimensions.with(normalized, dimensions[normalized] === 0 ? 0 : count), domain(dimensions[normalized]!)),
        ],
        compute: (x, index) => (method ? x!.takeAlongAxis(index!, given) : takeAlongAxis(x!, index!, given)),
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
      fc.tuple(shape('small', { max: 2 }), eitherType, fc.boolean()).map(([positions, dtype, method]) => ({
        inputs: [entries(dtype, dimensions), integers(dimensions[normalized] === 0 ? [0] : positions, domain(dimensions[normalized]!))],
        compute: (x, index) => (method ? x!.take(index!, given) : take(x!, index!, given)),
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
  ...indexingPair(
    'scatter',
    (dimensions, { given, normalized }, domain) =>
      fc.tuple(fc.nat(5), eitherType).map(([size, dtype]) => {
        const count = dimensions[normalized]!;
        const index = dimensions.with(normalized, count === 0 && domain === positionsIn ? 0 : size);
        return {
          inputs: [entries(dtype, dimensions), integers(index, domain(count)), entries(dtype, index)],
          compute: (x, at, updates) => scatter(x!, at!, updates!, given),
          naive: (x, at, updates) =>
            generate(dimensions, (...i) => {
              const line = Array.from({ length: index[normalized]! }, (_, m) => i.with(normalized, m));
              const places = line.map((from) => entryOf(at!.at(...from), count));
              if (dtype === 'f32' && places.includes(null)) return Number.NaN;
              const last = line[places.lastIndexOf(i[normalized]!)];
              return last ? updates!.at(...last) : x!.at(...i);
            }),
        };
      }),
    { specials: all },
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
