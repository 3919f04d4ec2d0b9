import type { Runner } from './dense.ts';

/** Cholesky–Crout: L[i,j] = (A[i,j] − Σ_{k<j} L[i,k]·L[j,k]) / L[j,j], and on the diagonal L[j,j] = √(A[j,j] − Σ_{k<j} L[j,k]²). */
export const cholesky: Runner<'cholesky'> = ({ inputs: [view] }, input) => {
  const size = view!.shape[1]!;
  const out = new Float64Array(input!.length);
  for (let start = 0; start < out.length; start += size * size) {
    const a = input!.subarray(start, start + size * size);
    const lower = out.subarray(start, start + size * size);
    for (let j = 0; j < size; j++) {
      for (let i = j; i < size; i++) {
        let rest = a[i * size + j]!;
        for (let k = 0; k < j; k++) rest -= lower[i * size + k]! * lower[j * size + k]!;
        lower[i * size + j] = i === j ? Math.sqrt(rest) : rest / lower[j * size + j]!;
      }
      if (!(lower[j * size + j]! > 0)) {
        lower.fill(NaN);
        break;
      }
    }
  }
  return [out];
};
