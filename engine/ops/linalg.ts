import { options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Node } from '../graph.ts';
import { show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { arange } from './create.ts';
import { diagonal, narrow } from './movement.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

function checkSquare(x: Node, op: string): void {
  check(isFloat(x.dtype), 'dtype', () => `${op}: takes floats, got ${x.dtype}`);
  check(
    x.shape.length >= 2 && x.shape.at(-1) === x.shape.at(-2),
    'shape',
    () => `${op}: takes square matrices [..., d, d], got ${show(x.shape)}`,
  );
}

/** The lower triangle with the diagonal (or `strict`ly below it); 0 above. */
export function lowerTriangle(x: Tensor, strict = false): Tensor {
  checkTensors('lowerTriangle', x);
  check(x.rank >= 2, 'shape', () => `lowerTriangle: takes matrices [..., n, m], got ${show(x.shape)}`);
  const rows = arange(x.shape.at(-2)!).unsqueeze(1);
  const columns = arange(x.shape.at(-1)!);
  return (strict ? rows.greater(columns) : rows.greaterEqual(columns)).where(x, 0);
}

export const choleskyRule: Rule<'cholesky'> = {
  op: 'cholesky',
  infer: ([x]) => {
    checkSquare(x!, 'cholesky');
    return { shape: x!.shape, dtype: x!.dtype };
  },
  // Σ̄ = ½ L⁻ᵀ (P + Pᵀ − diag P) L⁻¹ with P = tril(Lᵀ L̄), symmetric. (S. Murray, arXiv 1602.07527, eq. 8–10)
  vjp: ({ g, output: l }) => {
    const p = lowerTriangle(l.transpose().matmul(lowerTriangle(g)));
    const symmetric = p.add(lowerTriangle(p, true).transpose());
    const left = triangularSolve(l, symmetric, { transpose: true });
    // X L⁻¹ = (L⁻ᵀ Xᵀ)ᵀ
    return [triangularSolve(l, left.transpose(), { transpose: true }).transpose().mul(0.5)];
  },
};

/**
 * The lower-triangular L with L·Lᵀ = x, for symmetric positive definite x [..., d, d]; only the lower triangle is read.
 * A matrix that is not positive definite gives NaN throughout: add ε·I to one that is merely singular.
 */
export function cholesky(x: Tensor): Tensor {
  return apply(choleskyRule, [x], {});
}

export const triangularSolveRule: Rule<'triangularSolve'> = {
  op: 'triangularSolve',
  infer: ([a, b]) => {
    checkSquare(a!, 'triangularSolve');
    const fits = b!.shape.length === a!.shape.length && b!.shape.slice(0, -1).every((dimension, axis) => dimension === a!.shape[axis]);
    check(
      fits && a!.dtype === b!.dtype,
      'shape',
      () =>
        `triangularSolve: ${a!.dtype} ${show(a!.shape)} needs a right-hand side ${show([...a!.shape.slice(0, -1), NaN]).replace('NaN', 'm')} of its type, got ${b!.dtype} ${show(b!.shape)}`,
    );
    return { shape: b!.shape, dtype: b!.dtype };
  },
  // op(A) X = B:  B̄ = op(A)⁻ᵀ X̄,  and Ā = −B̄ Xᵀ (or −X B̄ᵀ for op = transpose), within the triangle that is read.
  vjp: ({ g, inputs: [a], output: x, attributes: { lower, transpose } }) => {
    const b = triangularSolve(a!, g, { lower, transpose: !transpose });
    const full = (transpose ? x.matmul(b.transpose()) : b.matmul(x.transpose())).neg();
    return [lower ? lowerTriangle(full) : lowerTriangle(full.transpose()).transpose(), b];
  },
};

export interface TriangularSolveOptions {
  /** Which triangle of `a` is read; the lower one, unless false. */
  readonly lower?: boolean;
  /** Solve aᵀ·x = b instead. */
  readonly transpose?: boolean;
}

/** The x with a·x = b, for triangular a [..., d, d] and b [..., d, m]; the batch axes are equal. */
export function triangularSolve(a: Tensor, b: Tensor, given: TriangularSolveOptions = {}): Tensor {
  const { lower, transpose } = options('triangularSolve', given, { lower: true, transpose: false });
  return apply(triangularSolveRule, [a, b], { lower, transpose });
}

export const eighRule: Rule<'eigh'> = {
  op: 'eigh',
  infer: ([x]) => {
    checkSquare(x!, 'eigh');
    const d = x!.shape.at(-1)!;
    return { shape: [...x!.shape.slice(0, -2), d + 1, d], dtype: x!.dtype };
  },
  // A = VΛVᵀ:  Ā = V (diag(λ̄) + F ∘ (VᵀV̄)) Vᵀ, F_ij = 1/(λ_j − λ_i); 0 where eigenvalues meet: what is not
  // finite there is dropped, and with it the f′(λ) of a matrix function (see zcaWhitening, which adds its own). Symmetrised, because A is. (M. Giles 2008, §3.1)
  vjp: ({ g, output }) => {
    const { values, vectors } = unpack(output);
    const { values: gValues, vectors: gVectors } = unpack(g);
    const d = values.shape.at(-1)!;
    const gap = values.unsqueeze(-2).sub(values.unsqueeze(-1));
    const scale = values.abs().max(-1, true).unsqueeze(-1);
    const meet = gap.abs().lessEqual(scale.mul(values.dtype === 'f64' ? 1e-13 : 1e-6));
    const f = meet.where(0, meet.where(1, gap).reciprocal());
    const identity = arange(d).unsqueeze(1).equal(arange(d));
    const inner = identity.where(gValues.unsqueeze(-2), f.mul(vectors.transpose().matmul(gVectors)));
    const full = vectors.matmul(inner).matmul(vectors.transpose());
    return [full.add(full.transpose()).mul(0.5)];
  },
};

function unpack(packed: Tensor): { values: Tensor; vectors: Tensor } {
  const d = packed.shape.at(-1)!;
  return { values: narrow(packed, -2, 0, 1).squeeze(-2), vectors: narrow(packed, -2, 1, d) };
}

/**
 * Eigenvalues [..., d] in ascending order and unit eigenvectors (columns of [..., d, d]) of symmetric x [..., d, d]; only the lower
 * triangle is read. Each vector's component of largest magnitude is positive. Gradients of functions that single out one of several
 * equal eigenvalues do not exist; what would be infinite is 0.
 */
export function eigh(x: Tensor): { values: Tensor; vectors: Tensor } {
  return unpack(apply(eighRule, [x], {}));
}

/** The trace of [..., n, n]. */
export function trace(x: Tensor): Tensor {
  return diagonal(x).sum(-1);
}
