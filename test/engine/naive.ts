/** Arrays in the plainest form, and loops over them: what the ops mean, written without the engine. */
import { broadcastShapes, contiguousStrides, type Shape, sizeOf } from '../../engine/shape.ts';

export class Dense {
  readonly shape: Shape;
  readonly data: readonly number[];
  readonly #strides: readonly number[];

  constructor(shape: Shape, data: ArrayLike<number>) {
    this.shape = shape;
    this.data = Array.from(data);
    this.#strides = contiguousStrides(shape);
  }

  at(...index: readonly number[]): number {
    return this.data[index.reduce((offset, i, axis) => offset + i * this.#strides[axis]!, 0)]!;
  }

  /** The element that broadcasting puts at `index` of a larger shape. */
  broadcastAt(index: readonly number[]): number {
    const own = index.slice(index.length - this.shape.length);
    return this.at(...own.map((i, axis) => (this.shape[axis] === 1 ? 0 : i)));
  }
}

/** Every index of a shape, in row-major order. */
export function* indices(shape: Shape): Generator<number[]> {
  if (sizeOf(shape) === 0) return;
  const index = shape.map(() => 0);
  for (;;) {
    yield [...index];
    let axis = shape.length - 1;
    for (; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

export function generate(shape: Shape, element: (...index: number[]) => number): Dense {
  return new Dense(
    shape,
    [...indices(shape)].map((index) => element(...index)),
  );
}

/** `f` of each element, operands broadcast. */
export function elementwise(f: (...values: number[]) => number): (...operands: Dense[]) => Dense {
  return (...operands) => {
    const shape = broadcastShapes(
      operands.map((x) => x.shape),
      'naive',
    );
    return generate(shape, (...index) => f(...operands.map((x) => x.broadcastAt(index))));
  };
}

/** `f` of the elements along `axes`, in row-major order. */
export function folded(x: Dense, axes: readonly number[], keepdims: boolean, f: (values: number[]) => number): Dense {
  const full = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const inner = x.shape.map((size, axis) => (axes.includes(axis) ? size : 1));
  const kept = generate(full, (...outer) => f([...indices(inner)].map((index) => x.at(...index.map((i, axis) => i + outer[axis]!)))));
  return keepdims
    ? kept
    : new Dense(
        x.shape.filter((_, axis) => !axes.includes(axis)),
        kept.data,
      );
}

/** `f` of each line along `axis`, element by element. */
export function alongLines(x: Dense, axis: number, f: (line: number[]) => number[], length = x.shape[axis]!): Dense {
  const shape = x.shape.map((size, i) => (i === axis ? length : size));
  const lines = new Map<string, number[]>();
  return generate(shape, (...index) => {
    const start = index.with(axis, 0);
    const key = start.join();
    if (!lines.has(key)) lines.set(key, f(Array.from({ length: x.shape[axis]! }, (_, i) => x.at(...start.with(axis, i)))));
    return lines.get(key)![index[axis]!]!;
  });
}

/** The diagonals of square matrices [..., n, n]. */
export const diagonalOf = (x: Dense): Dense => generate(x.shape.slice(0, -1), (...index) => x.at(...index, index.at(-1)!));

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
export const mean = (values: readonly number[]): number => total(values) / values.length;

/** erf by its series about 0, which serves as far as 3. (Abramowitz & Stegun 7.1.5) */
export function erf(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) > 6) return Math.sign(x);
  let [sum, term] = [x, x];
  for (let n = 1; n < 90; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

export function matmul(a: Dense, b: Dense): Dense {
  const left = a.shape.length === 1 ? new Dense([1, ...a.shape], a.data) : a;
  const right = b.shape.length === 1 ? new Dense([...b.shape, 1], b.data) : b;
  const batch = broadcastShapes([left.shape.slice(0, -2), right.shape.slice(0, -2)], 'naive');
  const [rows, columns, inner] = [left.shape.at(-2)!, right.shape.at(-1)!, left.shape.at(-1)!];
  const product = generate([...batch, rows, columns], (...index) => {
    const [before, i, j] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    const entry = (x: Dense, row: number, column: number): number =>
      x.at(...before.slice(before.length - (x.shape.length - 2)).map((k, axis) => (x.shape[axis] === 1 ? 0 : k)), row, column);
    return total(Array.from({ length: inner }, (_, k) => entry(left, i, k) * entry(right, k, j)));
  });
  const shape = product.shape.filter(
    (_, axis) =>
      !(a.shape.length === 1 && axis === product.shape.length - 2) && !(b.shape.length === 1 && axis === product.shape.length - 1),
  );
  return new Dense(shape, product.data);
}

type Pair = readonly [number, number];
export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

/** The pixels of a window, those in the padding as `null`. */
export function windowAt(
  x: Dense,
  n: number,
  c: number,
  i: number,
  j: number,
  { kernel, stride, padding, dilation }: Window,
): (number | null)[] {
  return [...indices(kernel)].map(([u, v]) => {
    const row = i * stride[0] - padding[0] + u! * dilation[0];
    const column = j * stride[1] - padding[1] + v! * dilation[1];
    return row >= 0 && row < x.shape[2]! && column >= 0 && column < x.shape[3]! ? x.at(n, c, row, column) : null;
  });
}

export function windowed(x: Dense, channels: number, window: Window, f: (n: number, c: number, i: number, j: number) => number): Dense {
  const sizes = [0, 1].map(
    (axis) =>
      Math.floor(
        (x.shape[axis + 2]! + 2 * window.padding[axis]! - window.dilation[axis]! * (window.kernel[axis]! - 1) - 1) / window.stride[axis]!,
      ) + 1,
  );
  return generate([x.shape[0]!, channels, ...sizes], (n, c, i, j) => f(n!, c!, i!, j!));
}

export function conv2d(x: Dense, w: Dense, window: Window, groups: number): Dense {
  const [filters, depth] = [w.shape[0]!, w.shape[1]!];
  return windowed(x, filters, window, (n, o, i, j) => {
    const first = Math.floor(o / (filters / groups)) * depth;
    return total(
      Array.from({ length: depth }, (_, c) => {
        const pixels = windowAt(x, n, first + c, i, j, window);
        return total([...indices(window.kernel)].map(([u, v], k) => (pixels[k] ?? 0) * w.at(o, c, u!, v!)));
      }),
    );
  });
}

/** The positions that sort values, NaN last (first if descending), equals in order. */
export function sortedPositions(values: readonly number[], descending: boolean): number[] {
  const larger = (a: number, b: number): boolean => (Number.isNaN(a) ? !Number.isNaN(b) : a > b);
  return values
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = descending ? [values[j]!, values[i]!] : [values[i]!, values[j]!];
      return larger(a, b) ? 1 : larger(b, a) ? -1 : i - j;
    });
}

/** The position of the first NaN, else of the first largest. */
export function firstLargest(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(Math.max(...values));
}
