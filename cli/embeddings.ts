import { named } from '../engine/arguments.ts';
import { type DType, type HostArray, isFloat, type TypedArray } from '../engine/dtype.ts';
import { check, TensegrityError } from '../engine/errors.ts';
import { type Tensor, tensor } from '../engine/index.ts';
import { type Shape, show } from '../engine/shape.ts';
import { readArray } from '../models/io/node.ts';
import type { StateArray } from '../models/methods/arrayLoss.ts';
import { faulting } from './options.ts';

/** Embeddings as floats: f64 stays where the backend computes with it. @throws TensegrityError `shape`, and `data` unless all are finite. */
export async function readEmbedding(path: string, doubles: boolean): Promise<{ readonly z: Tensor; readonly beyond: string | null }> {
  const z = await readArray(path);
  check(z.shape.length === 2, 'shape', () => `${named(path)}: embeddings must be [n, d], got ${show(z.shape)}`);
  const dtype = z.dtype === 'f64' && doubles ? 'f64' : 'f32';
  // What f32 cannot hold becomes infinite in it.
  checkFinite(dtype === 'f32' && z.dtype === 'f64' ? Float32Array.from(z.data) : z.data, z.shape, path);
  return { z: tensor(z, { dtype }), beyond: beyondRange(z, dtype, path) };
}

/** @throws TensegrityError `shape` naming the file of embeddings that are not of the first one's shape. */
export function checkAlike(paths: readonly string[], embeddings: readonly { readonly shape: Shape }[]): void {
  for (const [i, { shape }] of embeddings.entries()) {
    const [first] = embeddings;
    check(
      show(shape) === show(first!.shape),
      'shape',
      () => `${named(paths[i]!)}: embeddings must be ${show(first!.shape)}, as those of ${named(paths[0]!)}, got ${show(shape)}`,
    );
  }
}

/** What `action` complains about in the shapes or types of what it is given is of these files. */
export function ofFiles<T>(paths: readonly string[], action: () => T): T {
  return faulting(action, (cause) => {
    if (!(cause instanceof TensegrityError) || (cause.code !== 'shape' && cause.code !== 'dtype')) throw cause;
    throw new TensegrityError(cause.code, `${paths.map((path) => named(path)).join(', ')}: ${cause.message}`, cause.details, cause);
  });
}

/** What to say of embeddings whose variance the element type cannot hold; null of all others. */
function beyondRange({ data, shape }: HostArray, dtype: 'f32' | 'f64', path: string): string | null {
  const [n = 0, d = 0] = shape;
  for (let j = 0; j < d; j++) {
    let [mean, squares] = [0, 0];
    for (let i = 0; i < n; i++) mean += data[i * d + j]! / n;
    for (let i = 0; i < n; i++) squares += (data[i * d + j]! - mean) ** 2;
    if (!Number.isFinite(dtype === 'f32' ? Math.fround(squares) : squares))
      return `${named(path)}: the squares of dimension ${j} add up to more than ${dtype} holds; divide all files by the same number, as numpy.abs(z).max()`;
  }
  return null;
}

/** @throws TensegrityError `data` naming the first element that is not finite. */
export function checkFinite(data: TypedArray, shape: Shape, what: string, advice: string | null = null): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  let count = 0;
  for (const value of data) if (!Number.isFinite(value)) count++;
  const place = show(shape.map((size, axis) => Math.floor(at / shape.slice(axis + 1).reduce((product, next) => product * next, 1)) % size));
  throw new TensegrityError(
    'data',
    `${named(what)}: ${count} of ${data.length} elements are not finite, the first at ${place}: ${data[at]}${advice === null ? '' : `; ${advice}`}`,
  );
}

/**
 * An array of a loss's state, in the element type of the embeddings or as whole numbers.
 * @throws TensegrityError `dtype`, and `data` unless all are finite, and columns as long as they must be.
 */
export async function readState(path: string, dtype: DType, { integers = false, unitColumns = false }: StateArray): Promise<Tensor> {
  const array = await readArray(path);
  if (integers) {
    check(!isFloat(array.dtype), 'dtype', () => `${named(path)}: must hold whole numbers, got ${array.dtype}; in NumPy x.astype('i4')`);
    return tensor(array, { dtype: 'i32' });
  }
  checkFinite(dtype === 'f32' ? Float32Array.from(array.data) : array.data, array.shape, path);
  if (unitColumns) checkUnitColumns(array, path);
  return tensor(array, { dtype });
}

/** @throws TensegrityError `data` naming the first column whose length is not 1, to three digits, as f16 holds it. */
function checkUnitColumns({ data, shape }: HostArray, path: string): void {
  const columns = shape.at(-1) ?? 1;
  const squares = new Float64Array(columns);
  for (const [at, value] of data.entries()) squares[at % columns]! += value ** 2;
  const at = squares.findIndex((square) => Math.abs(square - 1) > 2e-3);
  check(
    at < 0,
    'data',
    () =>
      `${named(path)}: columns must have length 1, and column ${at} has ${Math.sqrt(squares[at]!).toPrecision(4)}; in NumPy x / numpy.linalg.norm(x, axis=0)`,
  );
}
