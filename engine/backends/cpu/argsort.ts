import type { Runner } from './dense.ts';

export const argsort: Runner<'argsort'> = ({ descending, inputs: [view] }, input) => {
  const [rows = 0, length = 0] = view!.shape;
  const out = new Float64Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const values = input!.subarray(row * length, (row + 1) * length);
    const order = Array.from(values, (_, position) => position);
    // `sort` is stable, so equal values keep their order in either direction.
    order.sort(descending ? (i, j) => compare(values[j]!, values[i]!) : (i, j) => compare(values[i]!, values[j]!));
    out.set(order, row * length);
  }
  return [out];
};

/** NaN is equal to itself and larger than any number. */
function compare(a: number, b: number): number {
  const nans = +Number.isNaN(a) - +Number.isNaN(b);
  return nans || +(a > b) - +(a < b);
}
