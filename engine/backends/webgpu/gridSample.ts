import type { GridSampleKernel } from '../../compiler/plan.ts';
import { NAN } from './expressions.ts';
import { type Emitter, Views } from './shader.ts';

/** A thread for each pixel of each channel. */
export const gridSample: Emitter<'gridSample'> = (kernel, context) => {
  const {
    inputs: [image, grid],
    outputs: [out],
  } = kernel;
  const views = new Views(context, [image!, grid!], [out!]);
  const [, , height = 0, width = 0] = image!.shape;
  const coordinate = (which: '0' | '1') => views.load(grid!, ['n', 'y', 'x', which]);
  // Both are compared as floats: those far outside are no i32.
  const corner = (row: string, column: string, weight: string) =>
    `if (${row} >= 0.0 && ${row} < ${height}.0 && ${column} >= 0.0 && ${column} < ${width}.0) {
  sum += ${weight} * ${views.load(image!, ['n', 'c', `i32(${row})`, `i32(${column})`])};
}`;
  const body = `let column = ${coordinate('0')};
let row = ${coordinate('1')};
let u = ${pixel(kernel, 'row', height)};
let v = ${pixel(kernel, 'column', width)};
let top = floor(u);
let left = floor(v);
let below = u - top;
let right = v - left;
var sum = 0.0;
${corner('top', 'left', '(1.0 - below) * (1.0 - right)')}
${corner('top', '(left + 1.0)', '(1.0 - below) * right')}
${corner('(top + 1.0)', 'left', 'below * (1.0 - right)')}
${corner('(top + 1.0)', '(left + 1.0)', 'below * right')}
if (${nowhere(kernel, 'row', height)} || ${nowhere(kernel, 'column', width)}) { sum = ${NAN}; }
${views.store(out!, ['n', 'c', 'y', 'x'], 'sum')}`;
  return [views.forEach(out!.shape, ['n', 'c', 'y', 'x'], { name: 'gridSample', body })];
};

/** From −1…1 to pixels: with the corner pixels' centres at ±1, or their outer edges. */
function pixel({ padding, alignCorners }: GridSampleKernel, coordinate: string, extent: number): string {
  const place = alignCorners ? `(${coordinate} + 1.0) * 0.5 * ${extent - 1}.0` : `((${coordinate} + 1.0) * ${extent}.0 - 1.0) * 0.5`;
  return padding === 'border' ? `clamp(${place}, 0.0, ${Math.max(extent - 1, 0)}.0)` : place;
}

/** Whether a coordinate makes NaN: where it is multiplied by 0, an infinite one does too. By bits, since a compiler may take it that floats are finite. */
function nowhere({ alignCorners }: GridSampleKernel, coordinate: string, extent: number): string {
  return extent === +alignCorners ? `(bitcast<u32>(${coordinate}) & 0x7f800000u) == 0x7f800000u` : `isNan(${coordinate})`;
}
