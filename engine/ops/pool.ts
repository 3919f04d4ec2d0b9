import { options } from '../arguments.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Attributes } from '../graph.ts';
import { checkPositions, type Shape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { outputSize, type Pair, pair } from './conv.ts';
import { ones, tensor } from './create.ts';
import { scatterAddRule, take, takeAlongAxis } from './indexing.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

type PoolAttributes = Attributes['pool'];

export const poolRule: Rule<'pool'> = {
  op: 'pool',
  infer: ([x], attributes) => ({ shape: pooledShape(x!.shape, attributes), dtype: attributes.mode === 'argmax' ? 'i32' : x!.dtype }),
  vjp: ({ g, inputs: [x], attributes }) => {
    const [n, c, h, w] = x!.shape;
    switch (attributes.mode) {
      // Sums of windows are linear: the derivative is the transpose.
      case 'sum':
        return [apply(poolRule, [g], { ...attributes, mode: 'sumTranspose', size: [h!, w!] })];
      case 'sumTranspose': {
        const { size: _size, ...window } = attributes;
        return [apply(poolRule, [g], { ...window, mode: 'sum' })];
      }
      // max(window) = x[argmax(window)]; a cotangent goes where the maximum came from.
      case 'max': {
        const index = apply(poolRule, [x!], { ...attributes, mode: 'argmax' });
        const flat = [n!, c!, index.size / Math.max(1, n! * c!)];
        return [apply(scatterAddRule, [g.reshape(flat), index.reshape(flat)], { axis: 2, size: h! * w! }).reshape(x!.shape)];
      }
      case 'argmax':
        return [null];
    }
  },
};

function pooledShape(x: Shape, { mode, kernel, stride, padding, size }: PoolAttributes): Shape {
  check(x.length === 4, 'shape', () => `pool2d: takes images [N, C, H, W], got ${show(x)}`);
  if (mode === 'sumTranspose') return [x[0]!, x[1]!, ...(size ?? [])];
  const spatial = [0, 1].map((axis) => outputSize(x[axis + 2]!, kernel[axis]!, stride[axis]!, padding[axis]!));
  check(
    spatial.every((length) => length >= 1),
    'shape',
    () => `pool2d: a window of ${show(kernel)} is larger than the image ${show(x.slice(2))} padded by ${show(padding)}`,
  );
  return [x[0]!, x[1]!, ...spatial];
}

export interface PoolOptions {
  /** As large as the window, unless given. */
  readonly stride?: Pair;
  /** At most half the window. */
  readonly padding?: Pair;
}

/** What all pools ask: images of floats, as every backend takes them, and a window. */
function windowOf(name: string, x: Tensor, kernel: Pair, given: PoolOptions): Omit<PoolAttributes, 'mode'> {
  checkTensors(name, x);
  check(isFloat(x.dtype), 'dtype', () => `${name}: takes floats, got ${x.dtype}; convert with .cast('f32')`);
  const { stride, padding } = options(name, given, { stride: undefined, padding: undefined });
  const window = pair(kernel, `${name}: kernel`, 1);
  const padded = pair(padding ?? 0, `${name}: padding`, 0);
  check(
    2 * padded[0] <= window[0] && 2 * padded[1] <= window[1],
    'argument',
    () => `${name}: padding ${show(padded)} must be at most half the window ${show(window)}`,
  );
  return { kernel: window, stride: pair(stride ?? window, `${name}: stride`, 1), padding: padded };
}

/**
 * The same windows with parameters no larger than what they can matter for: where every window begins before the image and ends behind it, as much is
 * cut off on both sides as all have there; and where there is one window, any stride that gives no second is as good.
 */
function nearest(x: Tensor, { kernel, stride, padding }: Omit<PoolAttributes, 'mode'>): Omit<PoolAttributes, 'mode'> {
  const axes = [0, 1].map((axis) => {
    const [pixels, size, before] = [x.shape[axis + 2]!, kernel[axis]!, padding[axis]!];
    const beyond = pixels + 2 * before - size;
    // Those that do not fit are refused with the numbers that were given.
    const cut = beyond < 0 ? 0 : Math.max(0, size - pixels - before);
    return { kernel: size - 2 * cut, stride: Math.min(stride[axis]!, Math.max(beyond, pixels) + 1), padding: before - cut };
  });
  const [down, across] = axes as [(typeof axes)[0], (typeof axes)[0]];
  return {
    kernel: [down.kernel, across.kernel],
    stride: [down.stride, across.stride],
    padding: [down.padding, across.padding],
  };
}

/** The maximum of each window, [N, C, H, W] → [N, C, OH, OW], as PyTorch's `max_pool2d`; padding never wins, NaN does. */
export function maxPool2d(x: Tensor, kernel: Pair, given: PoolOptions = {}): Tensor {
  const window = windowOf('maxPool2d', x, kernel, given);
  // Higher derivatives need the maximum as a gather; the first one needs only where it is.
  return apply(poolRule, [x], { ...nearest(x, window), mode: 'max' });
}

/** As {@link maxPool2d}, with where each maximum is: `h·W + w`, i32. */
export function maxPool2dWithIndices(x: Tensor, kernel: Pair, given: PoolOptions = {}): { values: Tensor; indices: Tensor } {
  const indices = apply(poolRule, [x], { ...nearest(x, windowOf('maxPool2dWithIndices', x, kernel, given)), mode: 'argmax' });
  const [n, c, h, w] = x.shape;
  checkPositions(h! * w!, 'maxPool2dWithIndices');
  const flat = indices.reshape([n!, c!, indices.shape[2]! * indices.shape[3]!]);
  return { values: takeAlongAxis(x.reshape([n!, c!, h! * w!]), flat, 2).reshape(indices.shape), indices };
}

export interface AveragePoolOptions extends PoolOptions {
  /** Whether zeros of the padding count in the divisor; true, unless given. */
  readonly countIncludePad?: boolean;
}

/** The mean of each window, [N, C, H, W] → [N, C, OH, OW], as PyTorch's `avg_pool2d`. */
export function averagePool2d(x: Tensor, kernel: Pair, given: AveragePoolOptions = {}): Tensor {
  const { countIncludePad, ...rest } = options('averagePool2d', given, { stride: undefined, padding: undefined, countIncludePad: true });
  const { kernel: size, ...around } = windowOf('averagePool2d', x, kernel, rest);
  const window = nearest(x, { kernel: size, ...around });
  const sums = apply(poolRule, [x], { ...window, mode: 'sum' });
  if (countIncludePad) return sums.div(size[0] * size[1]);
  const counts = apply(poolRule, [ones([1, 1, x.shape[2]!, x.shape[3]!], x.dtype)], { ...window, mode: 'sum' });
  return sums.div(counts);
}

/**
 * Means over a grid of `size` cells, [N, C, H, W] → [N, C, OH, OW], as PyTorch's `adaptive_avg_pool2d`: cell i spans ⌊iH/OH⌋ to ⌈(i+1)H/OH⌉.
 * @throws TensegrityError `shape` for images without pixels, which have no mean, and for a grid of more cells than can be listed.
 */
export function adaptiveAveragePool2d(x: Tensor, size: Pair): Tensor {
  checkTensors('adaptiveAveragePool2d', x);
  const [rows, columns] = pair(size, 'adaptiveAveragePool2d: size', 1);
  const [height, width] = [x.shape[2]!, x.shape[3]!];
  check(
    x.rank === 4 && height > 0 && width > 0,
    'shape',
    () => `adaptiveAveragePool2d: takes images [N, C, H > 0, W > 0], got ${show(x.shape)}`,
  );
  if (rows === 1 && columns === 1) return x.mean([2, 3], true);
  check(isFloat(x.dtype), 'dtype', () => `adaptiveAveragePool2d: takes floats, got ${x.dtype}; convert with .cast('f32')`);
  const [down, across] = [evenWindows(height, rows), evenWindows(width, columns)];
  if (down && across) return averagePool2d(x, [down.size, across.size], { stride: [down.stride, across.stride] });
  return averageAlong(averageAlong(x, 2, rows), 3, columns);
}

/** Cells of one size, evenly apart, are windows of a pool: all that divide the length, and some that overlap, as 2 or 3 of 7. */
function evenWindows(length: number, cells: number): { readonly size: number; readonly stride: number } | null {
  const [size, stride] = [Math.ceil(length / cells), Math.floor(length / cells)];
  if (stride === 0) return null;
  for (let cell = 1; cell < cells; cell++) {
    const start = Math.floor((cell * length) / cells);
    if (start !== cell * stride || Math.ceil(((cell + 1) * length) / cells) - start !== size) return null;
  }
  return { size, stride };
}

/** More entries are not listed: they would take gigabytes, as would their means. */
const MOST_LISTED = 2 ** 28;

/** Means over cells along an axis, which overlap and are about as long as each other: of a table of their entries, 0 where a shorter one has none. */
function averageAlong(x: Tensor, axis: number, cells: number): Tensor {
  const length = x.shape[axis]!;
  const longest = Math.ceil(length / cells) + Math.min(1, length % cells);
  check(
    cells * longest <= MOST_LISTED,
    'shape',
    () => `adaptiveAveragePool2d: ${cells} cells of ${show(x.shape)} along axis ${axis} are more than can be listed; use fewer`,
  );
  const index = new Int32Array(cells * longest);
  const inside = new Uint8Array(index.length);
  const counts = new Float64Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const start = Math.floor((cell * length) / cells);
    const count = Math.ceil(((cell + 1) * length) / cells) - start;
    counts[cell] = count;
    for (let step = 0; step < count; step++) {
      index[cell * longest + step] = start + step;
      inside[cell * longest + step] = 1;
    }
  }
  const around = x.shape.slice(axis + 1).map(() => 1);
  const table = take(x, tensor(index, { shape: [cells, longest] }), axis);
  const sums = tensor(inside, { shape: [cells, longest, ...around] })
    .where(table, 0)
    .sum(axis + 1);
  return sums.div(tensor(counts, { dtype: x.dtype, shape: [cells, ...around] }));
}
