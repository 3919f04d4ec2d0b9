/** Cases of running totals and products. */
import fc from 'fast-check';
import { cumprod, cumsum } from '../../../engine/index.ts';
import { axis, type Domain, domains, shape } from '../draws.ts';
import * as naive from '../naive.ts';
import { total } from '../naive.ts';
import { type Drawn, input, integers, noHuge, type OpCase, type Options, opCase } from './case.ts';

const { normal, nonZero, word, byte } = domains;

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

export const scanCases: readonly OpCase[] = [
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
