/** Cases of the matrix product. */
import fc from 'fast-check';
import { matmul } from '../../../engine/index.ts';
import { axisSize, broadcastPair, domains } from '../draws.ts';
import * as naive from '../naive.ts';
import { input, nonFinite, type OpCase, opCase } from './case.ts';

const { normal } = domains;

export const matmulCases: readonly OpCase[] = [
  opCase(
    'matmul',
    (scale) => {
      const size =
        scale === 'small'
          ? axisSize(scale)
          : fc.oneof({ weight: 5, arbitrary: axisSize(scale) }, { weight: 1, arbitrary: fc.constantFrom(8, 9, 33, 70) });
      return fc.tuple(size, size, size, broadcastPair('small'), fc.nat(5), fc.boolean()).map(([m, k, n, [first, second], form, method]) => {
        const left = form === 0 ? [k] : [...(form < 3 ? [] : first), m, k];
        const right = form === 1 ? [k] : [...(form < 3 || form === 3 ? [] : second), k, n];
        return {
          inputs: [input(left, normal), input(right, normal)],
          compute: (a, b) => (method ? a!.matmul(b!) : matmul(a!, b!)),
          naive: (a, b) => naive.matmul(a!, b!),
        };
      });
    },
    { gradient: true, f32: 2e-6, of: 'operands', specials: nonFinite },
  ),
];
