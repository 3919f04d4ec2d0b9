import { stridedFactor } from './factor.ts';
import { arranged } from './indices.ts';
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
      left: stridedFactor(a!),
      right: stridedFactor(arranged(b!, [0, 2, 1])),
      out: out!,
      coordinates: { statements: '', names: ['batch', 'row', 'column'] },
      epilogue,
      others,
    },
    context,
  );
};
