/** Cases of reductions. */
import fc from 'fast-check';
import type { Tensor } from '../../../engine/index.ts';
import { axes, axis, type Domain, domains, type Scale, shape } from '../draws.ts';
import * as naive from '../naive.ts';
import { firstLargest, folded, mean, total } from '../naive.ts';
import { all, type Drawn, input, integers, noHuge, nonFinite, type OpCase, type Options, opCase } from './case.ts';

const { normal, wide, nonZero, distinct, small, word, byte } = domains;

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

export const reduceCases: readonly OpCase[] = [
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
