import type { ConvKernel } from '../../compiler/plan.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';

/** y = x ∗ w, and its two transposes, which give one of the factors back. */
interface Roles<T> {
  readonly x: T;
  readonly w: T;
  readonly y: T;
}

/** The pixels of an image row that one tap of the filter joins to an output row: y[yStart + j] ↔ w[tap] ↔ x[xStart + j·step]. */
interface Row {
  readonly xStart: number;
  readonly yStart: number;
  readonly tap: number;
  readonly step: number;
  readonly count: number;
}

interface Direction {
  readonly roles: <T>(first: T, second: T, out: T) => Roles<T>;
  readonly accumulate: (row: Row, arrays: Roles<Float64Array>) => void;
}

/** The convolution is trilinear, Σ x·w·y over the joined rows: each direction sums the products of two into the third. */
const directions: { readonly [D in ConvKernel['direction']]: Direction } = {
  forward: {
    roles: (x, w, y) => ({ x, w, y }),
    accumulate({ xStart, yStart, tap, step, count }, { x, w, y }) {
      const weight = w[tap]!;
      for (let j = 0; j < count; j++) y[yStart + j]! += weight * x[xStart + j * step]!;
    },
  },
  input: {
    roles: (y, w, x) => ({ x, w, y }),
    accumulate({ xStart, yStart, tap, step, count }, { x, w, y }) {
      const weight = w[tap]!;
      for (let j = 0; j < count; j++) x[xStart + j * step]! += weight * y[yStart + j]!;
    },
  },
  weight: {
    roles: (x, y, w) => ({ x, w, y }),
    accumulate({ xStart, yStart, tap, step, count }, { x, w, y }) {
      let sum = 0;
      for (let j = 0; j < count; j++) sum += x[xStart + j * step]! * y[yStart + j]!;
      w[tap]! += sum;
    },
  },
};

export const conv: Runner<'conv'> = (kernel, first, second) => {
  const { roles, accumulate } = directions[kernel.direction];
  const shape = kernel.outputs[0]!.shape;
  const out = new Float64Array(sizeOf(shape));
  const arrays = roles(first!, second!, out);
  forEachRow(kernel, roles(kernel.inputs[0]!.shape, kernel.inputs[1]!.shape, shape), (row) => accumulate(row, arrays));
  return [out];
};

function forEachRow(kernel: ConvKernel, shapes: Roles<Shape>, visit: (row: Row) => void): void {
  const { groups, stride, padding, dilation } = kernel;
  const [images = 0, channels = 0, height = 0, width = 0] = shapes.x;
  const [filters = 0, groupChannels = 0, kernelHeight = 0, kernelWidth = 0] = shapes.w;
  const [, , outHeight = 0, outWidth = 0] = shapes.y;
  const step = stride[1];
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < filters; o++) {
      const group = Math.floor((o * groups) / filters);
      for (let tap = o * groupChannels * kernelHeight * kernelWidth, c = 0; c < groupChannels; c++) {
        const plane = (n * channels + group * groupChannels + c) * height;
        for (let u = 0; u < kernelHeight; u++) {
          for (let v = 0; v < kernelWidth; v++, tap++) {
            const shift = v * dilation[1] - padding[1];
            const from = Math.max(0, Math.ceil(-shift / step));
            const count = Math.min(outWidth, Math.floor((width - 1 - shift) / step) + 1) - from;
            for (let i = 0; i < outHeight; i++) {
              const y = i * stride[0] - padding[0] + u * dilation[0];
              if (y < 0 || y >= height) continue;
              visit({
                xStart: (plane + y) * width + from * step + shift,
                yStart: ((n * filters + o) * outHeight + i) * outWidth + from,
                tap,
                step,
                count,
              });
            }
          }
        }
      }
    }
  }
}
