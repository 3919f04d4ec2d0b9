import { isFloat, promote } from '../dtype.ts';
import { check } from '../errors.ts';
import { broadcastShapes, sameShape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

/** Batched matrix product [..., M, K] · [..., K, N] → [..., M, N]; the batch axes are equal. */
export const matmulRule: Rule<'matmul'> = {
  op: 'matmul',
  infer: ([a, b]) => {
    const batch = a!.shape.slice(0, -2);
    const [m, k] = a!.shape.slice(-2);
    const [rows, n] = b!.shape.slice(-2);
    check(k === rows && sameShape(batch, b!.shape.slice(0, -2)), 'shape', () => mismatch(a!.shape, b!.shape));
    return { shape: [...batch, m!, n!], dtype: a!.dtype };
  },
  // d(AB) = dA·B + A·dB, so Ā = G·Bᵀ and B̄ = Aᵀ·G
  vjp: ({ g, inputs: [a, b] }) => [g.matmul(b!.transpose()), a!.transpose().matmul(g)],
};

function mismatch(a: readonly number[], b: readonly number[]): string {
  return `matmul: ${show(a)} and ${show(b)} do not fit; the last axis of the first must equal the second-to-last of the second (here ${a.at(-1)} and ${b.at(-2) ?? b.at(-1)})`;
}

/**
 * Matrix product, as NumPy's `matmul`: [..., M, K] · [..., K, N] → [..., M, N], batch axes broadcast; a vector on the left is a row, on
 * the right a column, and its axis is dropped again.
 * @throws TensegrityError `shape` where the inner dimensions differ, `dtype` for integers.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  checkTensors('matmul', a, b);
  check(
    a.rank > 0 && b.rank > 0,
    'shape',
    () => `matmul: takes vectors, matrices or batches of them, got ${show(a.shape)} and ${show(b.shape)}`,
  );
  const dtype = promote(a.dtype, b.dtype);
  check(isFloat(dtype), 'dtype', () => `matmul: takes floats, got ${a.dtype} and ${b.dtype}; convert with .cast('f32')`);
  const left = (a.rank === 1 ? a.reshape([1, a.size]) : a).cast(dtype);
  const right = (b.rank === 1 ? b.reshape([b.size, 1]) : b).cast(dtype);
  check(left.shape.at(-1) === right.shape.at(-2), 'shape', () => mismatch(a.shape, b.shape));
  const batch = broadcastShapes([left.shape.slice(0, -2), right.shape.slice(0, -2)], 'matmul');
  const product = multiply(left, right, batch);
  const shape = product.shape.filter(
    (_, axis) => !(a.rank === 1 && axis === product.rank - 2) && !(b.rank === 1 && axis === product.rank - 1),
  );
  return product.reshape(shape);
}

function multiply(left: Tensor, right: Tensor, batch: readonly number[]): Tensor {
  // A batch of rows against one matrix is one tall product, not many small ones.
  if (right.rank === 2 && left.rank > 2) {
    const rows = left.size === 0 ? 0 : left.size / left.shape.at(-1)!;
    if (left.size > 0)
      return apply(matmulRule, [left.reshape([rows, left.shape.at(-1)!]), right], {}).reshape([
        ...left.shape.slice(0, -1),
        right.shape[1]!,
      ]);
  }
  return apply(matmulRule, [left.expand([...batch, ...left.shape.slice(-2)]), right.expand([...batch, ...right.shape.slice(-2)])], {});
}
