import type { ConvKernel } from '../../compiler/plan.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';

/** y = x ∗ w, and its two transposes, which give one of the factors back. */
interface Roles<T> {
  readonly x: T;
  readonly w: T;
  readonly y: T;
}

/** What one tap of the filter joins of an image and of an output: y[yStart + i·yPitch + j] ↔ w[tap] ↔ x[xStart + i·xPitch + j·step]. */
interface Window {
  readonly xStart: number;
  readonly xPitch: number;
  readonly yStart: number;
  readonly yPitch: number;
  readonly tap: number;
  readonly step: number;
  readonly rows: number;
  readonly columns: number;
}

interface Direction {
  readonly roles: <T>(first: T, second: T, out: T) => Roles<T>;
  readonly accumulate: (window: Window, arrays: Roles<Float64Array>) => void;
}

/** The convolution is trilinear, Σ x·w·y over what is joined: each direction sums the products of two into the third. */
const directions: { readonly [D in ConvKernel['direction']]: Direction } = {
  forward: {
    roles: (x, w, y) => ({ x, w, y }),
    accumulate({ xStart, xPitch, yStart, yPitch, tap, step, rows, columns }, { x, w, y }) {
      const weight = w[tap]!;
      for (let i = 0, from = xStart, to = yStart; i < rows; i++, from += xPitch, to += yPitch)
        for (let j = 0; j < columns; j++) y[to + j]! += weight * x[from + j * step]!;
    },
  },
  input: {
    roles: (y, w, x) => ({ x, w, y }),
    accumulate({ xStart, xPitch, yStart, yPitch, tap, step, rows, columns }, { x, w, y }) {
      const weight = w[tap]!;
      for (let i = 0, to = xStart, from = yStart; i < rows; i++, to += xPitch, from += yPitch)
        for (let j = 0; j < columns; j++) x[to + j * step]! += weight * y[from + j]!;
    },
  },
  weight: {
    roles: (x, y, w) => ({ x, w, y }),
    accumulate({ xStart, xPitch, yStart, yPitch, tap, step, rows, columns }, { x, w, y }) {
      let sum = 0;
      for (let i = 0, one = xStart, other = yStart; i < rows; i++, one += xPitch, other += yPitch)
        for (let j = 0; j < columns; j++) sum += x[one + j * step]! * y[other + j]!;
      w[tap]! += sum;
    },
  },
};

export const conv: Runner<'conv'> = (kernel, first, second) => {
  const { roles, accumulate } = directions[kernel.direction];
  const shape = kernel.outputs[0]!.shape;
  const out = new Float64Array(sizeOf(shape));
  const arrays = roles(first!, second!, out);
  forEachWindow(kernel, roles(kernel.inputs[0]!.shape, kernel.inputs[1]!.shape, shape), (window) => accumulate(window, arrays));
  return [out];
};

function forEachWindow(kernel: ConvKernel, shapes: Roles<Shape>, visit: (window: Window) => void): void {
  const { groups, stride, padding, dilation } = kernel;
  const [images = 0, channels = 0, height = 0, width = 0] = shapes.x;
  const [filters = 0, groupChannels = 0, kernelHeight = 0, kernelWidth = 0] = shapes.w;
  const [, , outHeight = 0, outWidth = 0] = shapes.y;
  /** Of the outputs along an axis, those whose pixel under a tap is in the image: output j's is `shift + j·stride`. */
  const joined = (axis: 0 | 1, tap: number, size: number, outputs: number) => {
    const shift = tap * dilation[axis] - padding[axis];
    const from = Math.max(0, Math.ceil(-shift / stride[axis]));
    return { from, count: Math.min(outputs, Math.floor((size - 1 - shift) / stride[axis]) + 1) - from, first: from * stride[axis] + shift };
  };
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < filters; o++) {
      const group = Math.floor((o * groups) / filters);
      for (let tap = o * groupChannels * kernelHeight * kernelWidth, c = 0; c < groupChannels; c++) {
        const plane = (n * channels + group * groupChannels + c) * height;
        for (let u = 0; u < kernelHeight; u++) {
          const down = joined(0, u, height, outHeight);
          for (let v = 0; v < kernelWidth; v++, tap++) {
            const across = joined(1, v, width, outWidth);
            visit({
              xStart: (plane + down.first) * width + across.first,
              xPitch: stride[0] * width,
              yStart: ((n * filters + o) * outHeight + down.from) * outWidth + across.from,
              yPitch: outWidth,
              tap,
              step: stride[1],
              rows: down.count,
              columns: across.count,
            });
          }
        }
      }
    }
  }
}
