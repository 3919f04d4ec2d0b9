import { cholesky, customGradient, diagonal, eigh, type Tensor } from '../../engine/core.ts';
import { check, checkTensors, isFloat, show } from '../../engine/internal.ts';
import { gram } from './statistics.ts';

/**
 * A^−½ of symmetric positive definite A [..., d, d], by eigendecomposition.
 *
 * Its derivative is written in closed form: with A = VΛVᵀ and s = √λ, Ā = V(K ∘ VᵀGV)Vᵀ, where K_ij = −1/(s_i·s_j·(s_i + s_j)) is the divided
 * difference (λ_i^−½ − λ_j^−½)/(λ_i − λ_j) without its cancellation. So equal eigenvalues, where those of eigh do not exist, are no exception.
 * (Daleckiĭ & Kreĭn 1965; N. Higham, Functions of Matrices, Th. 3.11)
 */
export function inverseSquareRoot(a: Tensor): Tensor {
  const { values, vectors } = eigh(a);
  const roots = values.sqrt();
  const transposed = vectors.transpose();
  const value = vectors.div(roots.unsqueeze(-2)).matmul(transposed);
  return customGradient(value, [a], (g) => {
    const [row, column] = [roots.unsqueeze(-1), roots.unsqueeze(-2)];
    const kernel = row.mul(column).mul(row.add(column)).reciprocal().neg();
    const symmetric = g.add(g.transpose()).mul(0.5);
    return [vectors.matmul(kernel.mul(transposed.matmul(symmetric).matmul(vectors))).matmul(transposed)];
  });
}

/**
 * ln det A of symmetric positive definite A [..., d, d], as twice the sum of ln L_ii with A = L·Lᵀ; its derivative is A⁻¹. NaN, and a gradient of
 * NaN, where A is not positive definite: add ε·I to one that is merely singular. @throws TensegrityError `shape` unless A is square, `dtype`.
 */
export function logDeterminant(a: Tensor): Tensor {
  checkTensors('logDeterminant', a);
  return diagonal(cholesky(a)).log().sum(-1).mul(2);
}

/**
 * The nuclear norm ‖X‖_*, the sum of the singular values, of X [..., n, d] → [...]. They are the lengths of X·V's columns, with V the eigenvectors
 * of the smaller of XᵀX and XXᵀ, so that small ones do not lose the digits that the roots of eigenvalues lose.
 *
 * d‖X‖_* = ⟨U·Vᵀ, dX⟩, where only what has a singular value above 0 takes part: where the rank is not full this is the subgradient of least
 * length, and 0 at X = 0. NaN anywhere makes both NaN. (G. Watson, Linear Algebra Appl. 170, 1992)
 * @throws TensegrityError `shape`, `dtype` unless X is a matrix of floats, or a stack of them.
 */
export function nuclearNorm(x: Tensor): Tensor {
  checkTensors('nuclearNorm', x);
  check(x.rank >= 2, 'shape', () => `nuclearNorm: takes matrices [..., n, d], got ${show(x.shape)}`);
  check(isFloat(x.dtype), 'dtype', () => `nuclearNorm: takes floats, got ${x.dtype}; convert with .cast('f32')`);
  const tall = x.shape.at(-2)! < x.shape.at(-1)! ? x.transpose() : x;
  const { vectors } = eigh(gram(tall.transpose()));
  const scaled = tall.matmul(vectors);
  const values = scaled.norm(-2, true);
  return customGradient(values.sum([-2, -1]), [tall], (g) => {
    // Below this part of the largest, a singular value is rounding, and has no direction.
    const negligible = values.lessEqual(values.max(-1, true).mul(x.dtype === 'f64' ? 1e-13 : 1e-5));
    const directions = negligible.where(0, scaled.div(negligible.where(1, values))).matmul(vectors.transpose());
    return [directions.mul(g.unsqueeze(-1).unsqueeze(-1))];
  });
}
