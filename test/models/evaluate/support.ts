import type { LabelledFeatures } from '../../../models/index.ts';
import { gaussian } from '../support.ts';

/** Clusters about random centres, the same for every `part`. */
export function clusters(seed: number, part: number, count: number, classes: number, d: number, noise: number): LabelledFeatures {
  const [centres, spread] = [gaussian(seed, [classes, d]).data, gaussian(seed + 1000 * (part + 1), [count, d]).data];
  const labels = Int32Array.from({ length: count }, (_, i) => (i * 7 + part) % classes);
  const data = Float64Array.from(spread, (value, at) => centres[labels[Math.floor(at / d)]! * d + (at % d)]! + noise * value);
  return { features: { dtype: 'f64', shape: [count, d], data }, labels: { dtype: 'i32', shape: [count], data: labels } };
}
