/** Cases of sampling at positions. */
import fc from 'fast-check';
import { affineGrid, gridSample } from '../../../engine/index.ts';
import { axisSize, both, domains, samplePositions } from '../draws.ts';
import * as naive from '../naive.ts';
import { generate, total } from '../naive.ts';
import { input, type OpCase, opCase } from './case.ts';

const { normal } = domains;

export const sampleCases: readonly OpCase[] = [
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
