/** Cases of pooling. */
import fc from 'fast-check';
import { adaptiveAveragePool2d, averagePool2d, maxPool2d, maxPool2dWithIndices } from '../../../engine/index.ts';
import { both, domains, geometry } from '../draws.ts';
import * as naive from '../naive.ts';
import { type Dense, firstLargest, generate, mean, total } from '../naive.ts';
import { all, input, nonFinite, type OpCase, opCase } from './case.ts';

const { normal, distinct } = domains;

export const poolCases: readonly OpCase[] = [
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
