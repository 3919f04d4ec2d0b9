import { options, shown } from '../arguments.ts';
import { checkDType, checkHostArray, copied, type DType, dtypeOf, dtypes, type HostArray, type TypedArray } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import { leafNode } from '../graph.ts';
import { checkShape, type Shape, sizeOf } from '../shape.ts';
import { Tensor } from '../tensor.ts';
import type { Rule } from './rule.ts';

/** Numbers, nested to any depth. */
export type NestedArray = number | boolean | readonly NestedArray[];

export interface TensorOptions {
  readonly dtype?: DType;
  /** For flat data: its shape. */
  readonly shape?: Shape;
}

export const leafRule: Rule<'leaf'> = { infer: () => unreachable('leaf'), vjp: null };
export const slotRule: Rule<'slot'> = {
  infer: (_inputs, { slot }) => ({ shape: slot.shape, dtype: slot.dtype }),
  vjp: null,
};
export const placeholderRule: Rule<'placeholder'> = { infer: () => unreachable('placeholder'), vjp: null };
export const fullRule: Rule<'full'> = { infer: () => unreachable('full'), vjp: null };
export const arangeRule: Rule<'arange'> = { infer: () => unreachable('arange'), vjp: null };

function unreachable(op: string): never {
  throw new TensegrityError('argument', `${op}: nodes of this kind are not built by a rule`);
}

/**
 * A tensor of numbers, copied: what becomes of `data` later does not matter. Nested arrays give their own shape and are f32 unless `dtype`
 * says otherwise; a typed array keeps its type; its shape is `options.shape`, or one axis.
 * @throws TensegrityError `shape` for ragged nesting, or data that does not fill the shape.
 */
export function tensor(data: NestedArray | TypedArray | HostArray, given: TensorOptions = {}): Tensor {
  const host = toHostArray(data, options('tensor', given, { dtype: undefined, shape: undefined }));
  checkHostArray(host, 'tensor');
  return new Tensor(leafNode(host.data, host.shape, host.dtype));
}

function toHostArray(data: NestedArray | TypedArray | HostArray, options: TensorOptions): HostArray {
  if (options.dtype !== undefined) checkDType(options.dtype, 'tensor');
  if (ArrayBuffer.isView(data)) return converted({ dtype: dtypeOf(data), shape: [data.length], data }, options);
  if (isHostArray(data)) return converted(data, options);
  const shape = nestedShape(data);
  const dtype = options.dtype ?? 'f32';
  const flat = dtypes[dtype].allocate(sizeOf(shape));
  let at = 0;
  const fill = (value: NestedArray, axis: number): void => {
    if (typeof value === 'number' || typeof value === 'boolean') {
      check(
        axis === shape.length,
        'shape',
        () => `tensor: ragged nesting; expected an array of ${shape[axis]} at depth ${axis}, got a number`,
      );
      flat[at++] = Number(value);
      return;
    }
    check(
      Array.isArray(value),
      'argument',
      () => `tensor: takes numbers, arrays of them, or typed arrays; got ${value === null ? 'null' : typeof value} at depth ${axis}`,
    );
    check(
      value.length === shape[axis],
      'shape',
      () =>
        `tensor: ragged nesting; expected ${axis < shape.length ? `${shape[axis]} entries` : 'a number'} at depth ${axis}, got ${value.length} entries`,
    );
    for (const entry of value) fill(entry, axis + 1);
  };
  fill(data, 0);
  return { dtype, shape: options.shape ?? shape, data: flat };
}

function isHostArray(data: NestedArray | HostArray): data is HostArray {
  return typeof data === 'object' && data !== null && 'data' in data;
}

function nestedShape(data: NestedArray): number[] {
  const shape: number[] = [];
  for (let level: NestedArray | undefined = data; isList(level); level = level[0]) shape.push(level.length);
  return shape;
}

function isList(level: NestedArray | undefined): level is readonly NestedArray[] {
  return Array.isArray(level);
}

function converted(host: HostArray, { dtype = host.dtype, shape = host.shape }: TensorOptions): HostArray {
  checkHostArray({ ...host, shape }, 'tensor');
  return { dtype, shape, data: copied(host.data, dtype) };
}

/** A tensor whose every element is `value`; it takes no memory until it must. */
export function full(shape: Shape, value: number, dtype: DType = 'f32'): Tensor {
  return filled('full', shape, value, dtype);
}

function filled(op: string, shape: Shape, value: number, dtype: DType): Tensor {
  checkShape(shape, op);
  checkDType(dtype, op);
  check(
    typeof value === 'number' && dtypes[dtype].holds(value),
    'argument',
    () => `${op}: ${shown(value)} is not a value of ${dtype}${typeof value === 'number' ? '; name another dtype' : ''}`,
  );
  return Tensor.of('full', [], { value: dtypes[dtype].round(value) }, shape, dtype);
}

export function zeros(shape: Shape, dtype: DType = 'f32'): Tensor {
  return filled('zeros', shape, 0, dtype);
}

export function ones(shape: Shape, dtype: DType = 'f32'): Tensor {
  return filled('ones', shape, 1, dtype);
}

/** 0, 1, … `length − 1`, as i32 (or `dtype`). */
export function arange(length: number, dtype: DType = 'i32'): Tensor {
  checkShape([length], 'arange');
  checkDType(dtype, 'arange');
  return Tensor.of('arange', [], {}, [length], 'i32').cast(dtype);
}

/** The identity matrix [n, n]. */
export function eye(n: number, dtype: DType = 'f32'): Tensor {
  const i = arange(n);
  return i.reshape([n, 1]).equal(i).cast(dtype);
}

/** `count` numbers from `start` to `stop`, both included, evenly spaced. */
export function linspace(start: number, stop: number, count: number, dtype: DType = 'f32'): Tensor {
  check(
    [start, stop, count].every(Number.isFinite) && count >= 1,
    'argument',
    () => `linspace: needs finite numbers and a count of at least 1, got ${shown(start)}, ${shown(stop)} and ${shown(count)}`,
  );
  const step = count === 1 ? 0 : (stop - start) / (count - 1);
  return arange(count, dtype).mul(step).add(start);
}
