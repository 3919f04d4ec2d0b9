/** Arrays as tests make and compare them. */
import { type DType, dtypes, type HostArray } from '../../engine/dtype.ts';
import { accuracyOf, type ScalarName } from '../../engine/scalar.ts';
import { sizeOf } from '../../engine/shape.ts';

/** Elements of a shape, rounded to their type. */
export function host(shape: readonly number[], values: ArrayLike<number>, dtype: DType = 'f64'): HostArray {
  const data = dtypes[dtype].allocate(sizeOf(shape));
  data.set(values);
  return { dtype, shape, data };
}

/**
 * The largest difference, relative to the largest finite magnitude of `expected` (or to 1, if that is larger than `floor` allows). NaN must meet
 * NaN and infinities their equals: otherwise the error is infinite.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 0): number {
  if (actual.length !== expected.length) return Infinity;
  let scale = floor;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i]!, expected[i]!];
    if (Object.is(a, b) || a === b) continue;
    const difference = Math.abs(a - b);
    if (!Number.isFinite(difference)) return Infinity;
    worst = Math.max(worst, difference);
  }
  return worst === 0 ? 0 : worst / scale;
}

/**
 * The largest error, relative to the f32 nearest to the true value, of functions computed one after another: their errors add, and that f32 is half a
 * unit off itself. One that gives this very f32 has none.
 */
export function toleranceOf(...functions: readonly ScalarName[]): { readonly f32: number; readonly webgpu: number } {
  const relative = (backend: 'wasm' | 'webgpu'): number => {
    const units = functions.reduce((sum, name) => sum + accuracyOf(name)[backend], 0);
    return units > 0.5 ? (units + 0.5) * 2 ** -23 : 0;
  };
  return { f32: relative('wasm'), webgpu: relative('webgpu') };
}
