import type { Runner } from './dense.ts';

export const eigh: Runner<'eigh'> = ({ inputs: [view] }, input) => {
  const [batch = 0, size = 0] = view!.shape;
  const out = new Float64Array(batch * (size + 1) * size);
  for (let n = 0; n < batch; n++) {
    const lower = input!.subarray(n * size * size, (n + 1) * size * size);
    const symmetric = lower.map(
      (_, at) => lower[Math.max(Math.floor(at / size), at % size) * size + Math.min(Math.floor(at / size), at % size)]!,
    );
    const target = out.subarray(n * (size + 1) * size, (n + 1) * (size + 1) * size);
    if (symmetric.every(Number.isFinite)) decompose(symmetric, size, target);
    else target.fill(NaN);
  }
  return [out];
};

function decompose(a: Float64Array, size: number, out: Float64Array): void {
  // Scaled to a largest element of 1, so that squares neither overflow nor vanish.
  const scale = a.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1;
  const vectors = jacobi(
    a.map((value) => value / scale),
    size,
  );
  const order = vectors.values.map((_, k) => k).sort((i, j) => vectors.values[i]! - vectors.values[j]!);
  for (const [column, k] of order.entries()) {
    const vector = vectors.rows[k]!;
    const largest = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    out[column] = vectors.values[k]! * scale;
    for (let i = 0; i < size; i++) out[(i + 1) * size + column] = Math.sign(largest) * vector[i]!;
  }
}

/**
 * The cyclic Jacobi method: rotate each off-diagonal element to zero in turn, A ← JᵀAJ, until none is left to double precision.
 * Slow next to tridiagonal QR, but short, and accurate to the last digits. (Golub & Van Loan, Matrix Computations, §8.5)
 */
function jacobi(a: Float64Array, size: number): { values: number[]; rows: Float64Array[] } {
  const rows = Array.from({ length: size }, (_, i) => Float64Array.from({ length: size }, (__, j) => +(i === j)));
  for (let sweep = 0, rotated = true; rotated && sweep < 64; sweep++) {
    rotated = false;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        const off = a[p * size + q]!;
        const [first, second] = [a[p * size + p]!, a[q * size + q]!];
        if (Math.abs(off) <= 1e-17 * Math.sqrt(Math.abs(first * second)) || Math.abs(off) < 1e-30) continue;
        rotated = true;
        // The smaller root of t² + 2τt − 1 = 0 is the tangent of the rotation that makes a[p,q] zero.
        const tau = (second - first) / (2 * off);
        const tangent = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
        const cosine = 1 / Math.hypot(1, tangent);
        const sine = tangent * cosine;
        for (let k = 0; k < size; k++) rotate(a, k * size + p, k * size + q, cosine, sine);
        for (let k = 0; k < size; k++) rotate(a, p * size + k, q * size + k, cosine, sine);
        for (let k = 0; k < size; k++) {
          const [left, right] = [rows[p]![k]!, rows[q]![k]!];
          rows[p]![k] = cosine * left - sine * right;
          rows[q]![k] = sine * left + cosine * right;
        }
        a[p * size + q] = 0;
        a[q * size + p] = 0;
      }
    }
  }
  return { values: rows.map((_, k) => a[k * size + k]!), rows };
}

function rotate(a: Float64Array, at: number, other: number, cosine: number, sine: number): void {
  const [left, right] = [a[at]!, a[other]!];
  a[at] = cosine * left - sine * right;
  a[other] = sine * left + cosine * right;
}
