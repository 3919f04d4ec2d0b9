import type { View } from '../../compiler/plan.ts';
import type { Factor } from './factor.ts';
import { productStages } from './product.ts';
import type { Emitter } from './shader.ts';

export const matmul: Emitter<'matmul'> = ({ inputs: [a, b, ...others], outputs: [out], epilogue }, context) => {
  const [batch = 0, rows = 0, columns = 0] = out!.shape;
  return productStages(
    {
      name: 'matmul',
      batch,
      rows,
      columns,
      inner: a!.shape[2]!,
      left: matrix(a!, 1, 2),
      right: matrix(b!, 2, 1),
      out: out!,
      coordinates: { statements: '', names: ['batch', 'row', 'column'] },
      epilogue,
      others,
    },
    context,
  );
};

/** A factor whose lines and inner positions are axes of its view. */
function matrix(view: View, line: number, inner: number): Factor {
  const { strides, offset } = view;
  return {
    view,
    lineStep: strides[line]!,
    innerDense: Math.abs(strides[inner]!) < Math.abs(strides[line]!),
    line: (position, name) => `let ${name}At = ${offset} + batch * ${strides[0]} + ${position} * ${strides[line]};`,
    inner: (position, name) => `let ${name}At = ${position} * ${strides[inner]};`,
  };
}
