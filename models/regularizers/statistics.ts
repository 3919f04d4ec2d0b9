import { customGradient, eye, type Tensor } from '../../engine/core.ts';
import { check, checkList, checkTensors, isFloat, sameShape, show } from '../../engine/internal.ts';

/**
 * An embedding is [n, d], of floats, with enough samples.
 * @throws TensegrityError `shape`, `dtype`, `argument`.
 */
export function checkEmbedding(z: Tensor, what: string, least = 2): void {
  checkTensors(what, z);
  check(z.rank === 2, 'shape', () => `${what}: takes embeddings [samples, dimensions], got ${show(z.shape)}`);
  check(isFloat(z.dtype), 'dtype', () => `${what}: takes floats, got ${z.dtype}; convert with .cast('f32')`);
  check(
    z.shape[0]! >= least && z.shape[1]! >= 1,
    'shape',
    () =>
      `${what}: needs at least ${least} samples of at least 1 dimension, got ${show(z.shape)}${least > 1 ? '; a statistic over the batch of fewer does not exist: use a larger batch' : ''}`,
  );
}

/** Two views of a batch are embeddings of one shape. @throws TensegrityError `shape`, `dtype`, `argument`. */
export function checkViews(za: Tensor, zb: Tensor, what: string, least = 2): void {
  checkTensors(what, za, zb);
  check(
    sameShape(za.shape, zb.shape),
    'shape',
    () => `${what}: both views must have one shape, got ${show(za.shape)} and ${show(zb.shape)}`,
  );
  checkEmbedding(za, what, least);
  checkEmbedding(zb, what, least);
}

/** Two views or more of a batch are embeddings of one shape. @throws TensegrityError `shape`, `dtype`, `argument`. */
export function checkAllViews(views: readonly Tensor[], what: string, least = 2): void {
  checkList(`${what}: the views`, views);
  check(views.length >= 2, 'argument', () => `${what}: takes a list of at least 2 views, got ${views.length}`);
  for (const view of views) checkViews(views[0]!, view, what, least);
}

/** z [..., n, d] less the mean of its rows. */
export function centre(z: Tensor): Tensor {
  checkTensors('centre', z);
  return z.sub(z.mean(-2, true));
}

/** The Gram matrix X·Xᵀ [..., n, n] of the rows of x [..., n, d]. */
export function gram(x: Tensor): Tensor {
  // dK = dX·Xᵀ + X·dXᵀ, so X̄ = (G + Gᵀ)·X: one product where the two of a general one would be told apart.
  return customGradient(x.matmul(x.transpose()), [x], (g) => [g.add(g.transpose()).matmul(x)]);
}

/** The covariance [..., d, d] of centred rows [..., n, d], with divisor n − `correction`. */
export function covarianceOf(centred: Tensor, correction = 1): Tensor {
  return gram(centred.transpose()).div(centred.shape.at(-2)! - correction);
}

/** The covariance matrix C = Zcᵀ·Zc/(n−1) of the columns of z [n, d]. @throws TensegrityError `shape` for fewer than 2 samples. */
export function covarianceMatrix(z: Tensor): Tensor {
  checkEmbedding(z, 'covarianceMatrix');
  return covarianceOf(centre(z));
}

/** A matrix [d, d] with 0 for its diagonal. @throws TensegrityError `shape`. */
export function offDiagonal(matrix: Tensor): Tensor {
  checkTensors('offDiagonal', matrix);
  const [n, d] = matrix.shape;
  check(matrix.rank === 2 && n === d, 'shape', () => `offDiagonal: takes a matrix [d, d], got ${show(matrix.shape)}`);
  return eye(d!).where(0, matrix);
}
