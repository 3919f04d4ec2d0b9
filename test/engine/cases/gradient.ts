/** Cases of ops that say something of derivatives. */
import fc from 'fast-check';
import { customGradient, stopGradient } from '../../../engine/index.ts';
import { domains, shape } from '../draws.ts';
import { elementwise } from '../naive.ts';
import { all, input, type OpCase, opCase } from './case.ts';

const { normal } = domains;

export const gradientCases: readonly OpCase[] = [
  opCase(
    'stopGradient',
    (scale) =>
      fc.tuple(shape(scale), fc.boolean()).map(([dimensions, method]) => ({
        inputs: [input(dimensions, normal)],
        compute: (x) => (method ? x!.stopGradient() : stopGradient(x!)),
        naive: (x) => x!,
      })),
    { specials: all },
  ),
  opCase(
    'customGradient',
    (scale) =>
      shape(scale).map((dimensions) => ({
        inputs: [input(dimensions, normal), input(dimensions, normal)],
        compute: (x, y) => customGradient(x!.stopGradient().mul(y!.stopGradient()), [x!, y!], (g) => [g.mul(y!), g.mul(x!)]),
        naive: elementwise((x, y) => x! * y!),
      })),
    { gradient: true, specials: all, f32: 1e-7 },
  ),
];
