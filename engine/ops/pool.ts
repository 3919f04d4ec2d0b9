import { options } from '../arguments.ts';
import { type DType, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Attributes } from '../graph.ts';
import { type Shape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { outputSize, type Pair, pair } from './conv.ts';
import { ones, tensor } from './create.ts';
import { takeAlongAxis } from './indexing.ts';
import { apply, checkTensors, type Rule } from './rule.ts';

type PoolAttributes = Attributes['pool'];

export const poolRule: Rule<'pool'> = {
  infer: ([x], attributes) => ({ shape: pooledShape(x!.shape, attributes), dtype: attributes.mode === 'argmax' ? 'i32' : x!.dtype }),
  vjp: ({ g, inputs: [x], attributes }) => {
    const [n, c, h, w] = x!.shape;
    switch (attributes.mode) {
      // Sums of windows are linear: the derivative is the transpose.
      case 'sum':
        return [apply('pool', [g], { ...attributes, mode: 'sumTranspose', size: [h!, w!] })];
      case 'sumTranspose': {
        const { size: _size, ...window } = attributes;
        return [apply('pool', [g], { ...window, mode: 'sum' })];
      }
      // max(window) = x[argmax(window)]; a cotangent goes where the maximum came from.
      case 'max': {
        const index = apply('pool', [x!], { ...attributes, mode: 'argmax' });
        const flat = [n!, c!, index.size / Math.max(1, n! * c!)];
        return [apply('scatterAdd', [g.reshape(flat), index.reshape(flat)], { axis: 2, size: h! * w! }).reshape(x!.shape)];
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

/** The maximum of each window, [N, C, H, W] → [N, C, OH, OW], as PyTorch's `max_pool2d`; padding never wins, NaN does. */
export function maxPool2d(x: Tensor, kernel: Pair, given: PoolOptions = {}): Tensor {
  const window = windowOf('maxPool2d', x, kernel, given);
  // Higher derivatives need the maximum as a gather; the first one needs only where it is.
  return apply('pool', [x], { ...window, mode: 'max' });
}

/** As {@link maxPool2d}, with where each maximum is: `h·W + w`, i32. */
export function maxPool2dWithIndices(x: Tensor, kernel: Pair, given: PoolOptions = {}): { values: Tensor; indices: Tensor } {
  const indices = apply('pool', [x], { ...windowOf('maxPool2dWithIndices', x, kernel, given), mode: 'argmax' });
  const [n, c, h, w] = x.shape;
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
  const window = windowOf('averagePool2d', x, kernel, rest);
  const sums = apply('pool', [x], { ...window, mode: 'sum' });
  if (countIncludePad) return sums.div(window.kernel[0] * window.kernel[1]);
  const counts = apply('pool', [ones([1, 1, x.shape[2]!, x.shape[3]!], x.dtype)], { ...window, mode: 'sum' });
  return sums.div(counts);
}

/** Means over a grid of `size` cells, [N, C, H, W] → [N, C, OH, OW], as PyTorch's `adaptive_avg_pool2d`: cell i spans ⌊iH/OH⌋ to ⌈(i+1)H/OH⌉. */
export function adaptiveAveragePool2d(x: Tensor, size: Pair): Tensor {
  checkTensors('adaptiveAveragePool2d', x);
  check(x.rank === 4, 'shape', () => `adaptiveAveragePool2d: takes images [N, C, H, W], got ${show(x.shape)}`);
  const [rows, columns] = pair(size, 'adaptiveAveragePool2d: size', 1);
  const [height, width] = [x.shape[2]!, x.shape[3]!];
  if (rows === 1 && columns === 1) return x.mean([2, 3], true);
  if (height % rows === 0 && width % columns === 0) return averagePool2d(x, [height / rows, width / columns]);
  // Cells that overlap: a matrix of averaging weights on each side.
  return averagingMatrix(rows, height, x.dtype)
    .matmul(x)
    .matmul(averagingMatrix(columns, width, x.dtype).transpose());
}

function averagingMatrix(cells: number, length: number, dtype: DType): Tensor {
  const rows = Array.from({ length: cells }, (_, cell) => {
    const start = Math.floor((cell * length) / cells);
    const stop = Math.ceil(((cell + 1) * length) / cells);
    return Array.from({ length }, (_entry, i) => (i >= start && i < stop ? 1 / (stop - start) : 0));
  });
  return tensor(rows, { dtype });
}
