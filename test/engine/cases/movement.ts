/** Cases of ops that move elements or look at them in another way. */
import fc from 'fast-check';
import { broadcast, concat, diagonal, pad, type SliceIndex, stack } from '../../../engine/index.ts';
import { type Shape, sizeOf } from '../../../engine/shape.ts';
import { axes, axis, axisSize, broadcastPair, domains, type Scale, shape, squares } from '../draws.ts';
import * as naive from '../naive.ts';
import { type Dense, diagonalOf, elementwise, generate } from '../naive.ts';
import { all, type Drawn, input, type OpCase, opCase } from './case.ts';

const { normal } = domains;

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

export const movementCases: readonly OpCase[] = [
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
        fc.boolean(),
      )
      .map(([counts, value, method]) => ({
        compute: (x) => {
          const around = [counts.map(([before]) => before), counts.map(([, after]) => after), value] as const;
          return method ? x!.pad(...around) : pad(x!, ...around);
        },
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
  opCase(
    'diagonal',
    (scale) =>
      squares(scale).map((dimensions) => ({
        inputs: [input(dimensions, normal)],
        compute: (x) => diagonal(x!),
        naive: diagonalOf,
      })),
    { gradient: true, specials: all },
  ),
];
