import type { PoolKernel } from '../../compiler/plan.ts';
import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';

/** The part of a pooling window that is inside the image. */
interface Window {
  /** Of the output element, and of the image's first pixel. */
  readonly at: number;
  readonly plane: number;
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

export const pool: Runner<'pool'> = (kernel, input) => {
  const out = new Float64Array(sizeOf(kernel.outputs[0]!.shape));
  const image = kernel.mode === 'sumTranspose' ? kernel.outputs[0]! : kernel.inputs[0]!;
  const windows = kernel.mode === 'sumTranspose' ? kernel.inputs[0]! : kernel.outputs[0]!;
  const [images = 0, channels = 0, height = 0, width = 0] = image.shape;
  const [, , outHeight = 0, outWidth = 0] = windows.shape;
  for (let at = 0; at < images * channels * outHeight * outWidth; at++) {
    const y = (Math.floor(at / outWidth) % outHeight) * kernel.stride[0] - kernel.padding[0];
    const x = (at % outWidth) * kernel.stride[1] - kernel.padding[1];
    const plane = Math.floor(at / (outHeight * outWidth)) * height * width;
    const [top, bottom] = [Math.max(0, y), Math.min(height, y + kernel.kernel[0])];
    const [left, right] = [Math.max(0, x), Math.min(width, x + kernel.kernel[1])];
    modes[kernel.mode]({ at, plane, top, bottom, left, right }, width, input!, out);
  }
  return [out];
};

const modes: { readonly [M in PoolKernel['mode']]: (window: Window, width: number, input: Float64Array, out: Float64Array) => void } = {
  sum: (window, width, input, out) => forEachPixel(window, width, (pixel) => (out[window.at]! += input[window.plane + pixel]!)),
  sumTranspose: (window, width, input, out) => forEachPixel(window, width, (pixel) => (out[window.plane + pixel]! += input[window.at]!)),
  max(window, width, input, out) {
    const pixel = firstMaximum(window, width, input);
    out[window.at] = pixel < 0 ? -Infinity : input[window.plane + pixel]!;
  },
  argmax(window, width, input, out) {
    out[window.at] = firstMaximum(window, width, input);
  },
};

/** The first NaN of a window, else its first maximum; −1 if it lies wholly in the padding. */
function firstMaximum(window: Window, width: number, input: Float64Array): number {
  let best = -1;
  let maximum = -Infinity;
  forEachPixel(window, width, (pixel) => {
    const value = input[window.plane + pixel]!;
    if (best >= 0 && (Number.isNaN(maximum) || value <= maximum)) return;
    best = pixel;
    maximum = value;
  });
  return best;
}

function forEachPixel({ top, bottom, left, right }: Window, width: number, visit: (pixel: number) => void): void {
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) visit(y * width + x);
  }
}
