/** Cases of linear algebra. */
import fc from 'fast-check';
import { cholesky, eigh, lowerTriangle, trace, triangularSolve } from '../../../engine/index.ts';
import { axisSize, domains, type Scale, shape, squares } from '../draws.ts';
import * as naive from '../naive.ts';
import { type Dense, diagonalOf, folded, generate, total } from '../naive.ts';
import { all, input, noHuge, type OpCase, opCase } from './case.ts';

const { normal } = domains;

const transposed = (x: Dense): Dense =>
  generate([...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!], (...i) => x.at(...i.slice(0, -2), i.at(-1)!, i.at(-2)!));
/** The matrix that an op which reads one triangle means. */
const triangle = (x: Dense, lower: boolean): Dense =>
  generate(x.shape, (...i) => ((lower ? i.at(-2)! >= i.at(-1)! : i.at(-2)! <= i.at(-1)!) ? x.at(...i) : 0));
const symmetrised = (x: Dense): Dense =>
  generate(x.shape, (...i) => x.at(...i.slice(0, -2), Math.max(i.at(-2)!, i.at(-1)!), Math.min(i.at(-2)!, i.at(-1)!)));
const identityLike = (x: Dense): Dense => generate(x.shape, (...i) => +(i.at(-2) === i.at(-1)));

function matrices(scale: Scale): fc.Arbitrary<number[]> {
  return fc
    .tuple(
      shape('small', { max: 2 }),
      scale === 'small' ? fc.integer({ min: 0, max: 3 }) : fc.oneof(axisSize('any'), fc.constantFrom(9, 17)),
    )
    .map(([batch, d]) => [...batch, d, d]);
}

export const linalgCases: readonly OpCase[] = [
  opCase(
    'trace',
    (scale) =>
      squares(scale).map((dimensions) => ({
        inputs: [input(dimensions, normal)],
        compute: (x) => trace(x!),
        naive: (x) => folded(diagonalOf(x!), [dimensions.length - 2], false, total),
      })),
    { gradient: true, specials: noHuge, f32: 1e-6, of: 'operands' },
  ),
  opCase(
    'lowerTriangle',
    (scale) =>
      fc.tuple(squares(scale), fc.boolean()).map(([dimensions, strict]) => ({
        inputs: [input(dimensions, normal)],
        compute: (x) => lowerTriangle(x!, strict),
        naive: (x) => generate(dimensions, (...index) => (index.at(-2)! >= index.at(-1)! + +strict ? x!.at(...index) : 0)),
      })),
    { gradient: true, specials: all },
  ),
  opCase(
    'cholesky',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.definite, false)],
        // Symmetrised, because a derivative is one of symmetric matrices.
        compute: (x) => cholesky(x!.add(x!.transpose()).mul(0.5)),
        check: ([l], [x]) => [
          [naive.matmul(l!, transposed(l!)), symmetrised(x!)],
          [triangle(l!, true), l!],
        ],
      })),
    { gradient: true, f32: 1e-5, of: 'largest', heavy: true },
  ),
  opCase(
    'triangularSolve',
    (scale) =>
      fc.tuple(matrices(scale), axisSize(scale), fc.boolean(), fc.boolean()).map(([dimensions, columns, lower, transpose]) => ({
        inputs: [input(dimensions, domains.triangular, false), input([...dimensions.slice(0, -1), columns], normal)],
        compute: (a, b) => triangularSolve(a!, b!, { lower, transpose }),
        check: ([x], [a, b]) => {
          const read = triangle(a!, lower);
          return [[naive.matmul(transpose ? transposed(read) : read, x!), b!]];
        },
      })),
    { gradient: true, f32: 1e-5, of: 'largest' },
  ),
  opCase(
    'eigh',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.spectrum, false)],
        compute: (x) => {
          const { values, vectors } = eigh(x!.add(x!.transpose()).mul(0.5));
          // A vector's sign turns where its largest component changes; its square does not.
          return [values, vectors.square(), vectors.mul(values.unsqueeze(-2)).matmul(vectors.transpose())];
        },
        check: ([, , product], [x]) => [[product!, symmetrised(x!)]],
      })),
    { gradient: true, f32: 2e-5, of: 'largest', heavy: true },
  ),
  opCase(
    'eigh vectors',
    (scale) =>
      matrices(scale).map((dimensions) => ({
        inputs: [input(dimensions, domains.spectrum, false)],
        compute: (x) => Object.values(eigh(x!)),
        check: ([values, vectors], [x]) => {
          const scaled = generate(x!.shape, (...i) => vectors!.at(...i) * values!.at(...i.slice(0, -2), i.at(-1)!));
          return [
            [naive.matmul(symmetrised(x!), vectors!), scaled],
            [naive.matmul(transposed(vectors!), vectors!), identityLike(x!)],
            [naive.alongLines(values!, values!.shape.length - 1, (line) => [...line].sort((a, b) => a - b)), values!],
            [
              naive.alongLines(
                vectors!,
                vectors!.shape.length - 2,
                (column) => [Math.sign(column.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0))],
                1,
              ),
              generate(vectors!.shape.with(-2, 1), () => 1),
            ],
          ];
        },
      })),
    { f32: 1e-4, of: 'largest', heavy: true },
  ),
];
