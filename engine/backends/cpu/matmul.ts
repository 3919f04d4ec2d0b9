import type { Runner } from './dense.ts';

export const matmul: Runner<'matmul'> = ({ inputs: [left, right] }, a, b) => {
  const [batch = 0, rows = 0, inner = 0] = left!.shape;
  const columns = right!.shape[2]!;
  const out = new Float64Array(batch * rows * columns);
  for (let row = 0; row < batch * rows; row++) {
    const target = out.subarray(row * columns, (row + 1) * columns);
    for (let k = 0; k < inner; k++) {
      const factor = a[row * inner + k]!;
      const base = (Math.floor(row / rows) * inner + k) * columns;
      for (let column = 0; column < columns; column++) target[column]! += factor * b[base + column]!;
    }
  }
  return [out];
};
