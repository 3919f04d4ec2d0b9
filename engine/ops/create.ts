import { options, shown } from '../arguments.ts';
import {
  checkDType,
  checkHostArray,
  type DType,
  dtypes,
  element,
  elementsOf,
  type HostArray,
  isFloat,
  type NumericArray,
  promote,
  readTypeOf,
} from '../dtype.ts';
import { check } from '../errors.ts';
import { leafNode } from '../graph.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import { arangeNode, fullNode } from './source.ts';

/** Numbers, nested to any depth; the innermost arrays may be typed ones. */
export type NestedArray = number | boolean | NumericArray | readonly NestedArray[];

export interface TensorOptions {
  readonly dtype?: DType;
  /** For flat data: its shape. */
  readonly shape?: Shape;
}

/**
 * A tensor of numbers, copied: what becomes of `data` later does not matter. Nested arrays give their own shape and are f32 unless `dtype`
 * says otherwise; a typed array keeps its type; its shape is `options.shape`, or one axis. Of the typed arrays that have no type here, and of
 * arrays of typed arrays, the values are taken: Float16Array as f32, Uint8ClampedArray as u8, the other integers as i32, if all fit.
 * @throws TensegrityError `shape` for ragged nesting, or data that does not fill the shape; `dtype` for a number that the type does not have.
 */
export function tensor(data: NestedArray | HostArray, given: TensorOptions = {}): Tensor {
  const host = toHostArray(data, options('tensor', given, { dtype: undefined, shape: undefined }));
  checkHostArray(host, 'tensor');
  return new Tensor(leafNode(host.data, host.shape, host.dtype));
}

function toHostArray(data: NestedArray | HostArray, options: TensorOptions): HostArray {
  if (options.dtype !== undefined) checkDType(options.dtype, 'tensor');
  if (isHostArray(data)) {
    checkHostArray(data, 'tensor');
    const dtype = options.dtype ?? data.dtype;
    return { dtype, shape: options.shape ?? data.shape, data: elementsOf(data.data, 'tensor', dtype) };
  }
  const dtype = options.dtype ?? nestedType(data);
  if (isTyped(data)) return { dtype, shape: options.shape ?? [data.length], data: elementsOf(data, 'tensor', dtype) };
  const shape = nestedShape(data);
  const flat = dtypes[dtype].allocate(sizeOf(shape));
  let at = 0;
  const counted = (length: number | undefined): string => (length === undefined ? 'a number' : `${length} entries`);
  const fill = (value: NestedArray | bigint, axis: number): void => {
    const list = isList(value) ? value : null;
    check(
      list || typeof value === 'number' || typeof value === 'boolean',
      'argument',
      () => `tensor: takes numbers, arrays of them, or typed arrays; got ${shown(value)} at depth ${axis}`,
    );
    check(
      list?.length === shape[axis],
      'shape',
      () => `tensor: ragged nesting; expected ${counted(shape[axis])} at depth ${axis}, got ${counted(list?.length)}`,
    );
    if (!list) {
      flat[at] = element(Number(value), dtype, 'tensor', at);
      at++;
    } else if (isTyped(list) && axis + 1 === shape.length) {
      flat.set(elementsOf(list, 'tensor', dtype), at);
      at += list.length;
    } else for (let i = 0; i < list.length; i++) fill(list[i]!, axis + 1);
  };
  fill(data, 0);
  return { dtype, shape: options.shape ?? shape, data: flat };
}
function isHostArray(data: NestedArray | HostArray): data is HostArray {
  // A tensor has `data` too: a method.
  return typeof data === 'object' && data !== null && 'data' in data && typeof data.data !== 'function';
}

/** The type of the widest of the typed arrays inside, f32 where there are plain numbers. */
function nestedType(level: NestedArray): DType {
  if (isTyped(level)) return readTypeOf(level);
  return isList(level) && isList(level[0]) ? level.map(nestedType).reduce(promote) : 'f32';
}

function nestedShape(data: NestedArray): number[] {
  const shape: number[] = [];
  for (let level: NestedArray | bigint | undefined = data; isList(level); level = level[0]) shape.push(level.length);
  return shape;
}

function isTyped(level: unknown): level is NumericArray {
  return ArrayBuffer.isView(level);
}

function isList(level: unknown): level is readonly NestedArray[] | NumericArray {
  return Array.isArray(level) || isTyped(level);
}

/** A tensor whose every element is `value`; it takes no memory until it must. */
export function full(shape: Shape, value: number, dtype: DType = 'f32'): Tensor {
  return new Tensor(fullNode('full', shape, value, dtype));
}

export function zeros(shape: Shape, dtype: DType = 'f32'): Tensor {
  return new Tensor(fullNode('zeros', shape, 0, dtype));
}

export function ones(shape: Shape, dtype: DType = 'f32'): Tensor {
  return new Tensor(fullNode('ones', shape, 1, dtype));
}

/** 0, 1, … `length − 1`, as i32 (or `dtype`); at most 2^31 − 1 of them. */
export function arange(length: number, dtype: DType = 'i32'): Tensor {
  checkDType(dtype, 'arange');
  return new Tensor(arangeNode(length)).cast(dtype);
}

/** The identity matrix [n, n]. */
export function eye(n: number, dtype: DType = 'f32'): Tensor {
  const i = arange(n);
  return i.reshape([n, 1]).equal(i).cast(dtype);
}

/** `count` numbers from `start` to `stop`, both included exactly, evenly spaced; one number is `start`. */
export function linspace(start: number, stop: number, count: number, dtype: DType = 'f32'): Tensor {
  check(
    [start, stop, count].every(Number.isFinite) && count >= 1,
    'argument',
    () => `linspace: needs finite numbers and a count of at least 1, got ${shown(start)}, ${shown(stop)} and ${shown(count)}`,
  );
  checkDType(dtype, 'linspace');
  check(isFloat(dtype), 'dtype', () => `linspace: the dtype must be f32 or f64, got ${dtype}`);
  // From the nearer end, so that both are exact. Two numbers are the ends, whose distance may be no f32.
  const step = count <= 2 ? 0 : (stop - start) / (count - 1);
  const i = arange(count);
  const from = (end: number, steps: Tensor): Tensor => steps.cast(dtype).mul(step).add(end);
  return i.less(Math.ceil(count / 2)).where(from(start, i), from(stop, i.sub(count - 1)));
}
