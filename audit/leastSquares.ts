/**
 * Coefficients c of least ‖A·c − b‖, by modified Gram–Schmidt, and the largest deviation. A column that is a combination of those before it, to
 * nine digits, has the coefficient 0. Null where there are fewer rows than columns.
 */
export function leastSquares(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
): { readonly coefficients: number[]; readonly residual: number } | null {
  const [m, n] = [rows.length, rows[0]?.length ?? 0];
  if (m < n || n === 0) return null;
  const columns = Array.from({ length: n }, (_, j) => rows.map((row) => row[j]!));
  const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const r = columns.map(() => new Array<number>(n).fill(0));
  const q: (number[] | null)[] = [];
  for (const [j, column] of columns.entries()) {
    let v = [...column];
    // Twice is enough.
    for (let pass = 0; pass < 2; pass++)
      for (const [i, base] of q.entries()) {
        if (!base) continue;
        const part = dot(base, v);
        r[i]![j]! += part;
        v = v.map((x, k) => x - part * base[k]!);
      }
    const [length, whole] = [Math.sqrt(dot(v, v)), Math.sqrt(dot(column, column))];
    r[j]![j] = length;
    q.push(length > 1e-9 * whole ? v.map((x) => x / length) : null);
  }
  const coefficients = new Array<number>(n).fill(0);
  let rest = [...targets];
  const projections = q.map((base) => {
    if (!base) return 0;
    const part = dot(base, rest);
    rest = rest.map((x, k) => x - part * base[k]!);
    return part;
  });
  for (let j = n - 1; j >= 0; j--) {
    if (!q[j]) continue;
    const known = coefficients.reduce((sum, c, k) => (k > j && q[k] ? sum + r[j]![k]! * c : sum), 0);
    coefficients[j] = (projections[j]! - known) / r[j]![j]!;
  }
  return { coefficients, residual: Math.max(...rest.map(Math.abs)) };
}
