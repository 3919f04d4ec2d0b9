/** Cases of convolution. */
import fc from 'fast-check';
import { conv2d } from '../../../engine/index.ts';
import { domains, geometry } from '../draws.ts';
import * as naive from '../naive.ts';
import { input, type OpCase, opCase } from './case.ts';

const { normal } = domains;

export const convCases: readonly OpCase[] = [
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
          fc.boolean(),
        )
        .map(([{ image, window }, groups, depth, filters, n, method]) => {
          const { kernel: _kernel, ...options } = window;
          return {
            inputs: [input([n, depth * groups, ...image], normal), input([filters * groups, depth, ...window.kernel], normal)],
            compute: (x, w) => (method ? x!.conv2d(w!, { ...options, groups }) : conv2d(x!, w!, { ...options, groups })),
            naive: (x, w) => naive.conv2d(x!, w!, window, groups),
          };
        }),
    { gradient: true, f32: 2e-6, of: 'operands', heavy: true },
  ),
];
