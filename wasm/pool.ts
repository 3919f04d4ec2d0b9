/** Windows over the last two axes of x [N, C, H, W]. Threads take whole planes. */
import { parameter, pointer, shape, stride, viewAt } from './view';

const maximum: i32 = 0;
const argmax: i32 = 1;
const sum: i32 = 2;
const sumTranspose: i32 = 3;
const parameters: i32 = 7;

export function pool(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const mode = parameter(command, 0);
  const kernelH = parameter(command, 1), kernelW = parameter(command, 2);
  const strideH = parameter(command, 3), strideW = parameter(command, 4);
  const padH = parameter(command, 5), padW = parameter(command, 6);
  const from = viewAt(command, parameters, 0), to = viewAt(command, parameters, 1);
  const channels = shape(from, 1);
  const fromRow = stride(from, 2) << 2, fromColumn = stride(from, 3) << 2;
  const toRow = stride(to, 2) << 2, toColumn = stride(to, 3) << 2;
  // The image has the windows' places; the grid has one element per window.
  const image = mode == sumTranspose ? to : from, grid = mode == sumTranspose ? from : to;
  const height = shape(image, 2), width = shape(image, 3);
  const rows = shape(grid, 2), columns = shape(grid, 3);

  for (let plane = thread, planes = shape(from, 0) * channels; plane < planes; plane += threads) {
    const n = plane / channels, c = plane % channels;
    const x = pointer(from, bases) + <usize>(n * stride(from, 0) + c * stride(from, 1) << 2);
    const y = pointer(to, bases) + <usize>(n * stride(to, 0) + c * stride(to, 1) << 2);
    if (mode == sumTranspose) {
      for (let h = 0; h < height; h++) {
        for (let w = 0; w < width; w++) store<f32>(y + <usize>(h * toRow + w * toColumn), 0);
      }
    }
    for (let i = 0; i < rows; i++) {
      const top = max(0, i * strideH - padH), bottom = min(height, i * strideH - padH + kernelH);
      for (let j = 0; j < columns; j++) {
        const left = max(0, j * strideW - padW), right = min(width, j * strideW - padW + kernelW);
        if (mode == sumTranspose) {
          const value = load<f32>(x + <usize>(i * fromRow + j * fromColumn));
          for (let h = top; h < bottom; h++) {
            let p = y + <usize>(h * toRow + left * toColumn);
            for (let w = left; w < right; w++, p += <usize>toColumn) store<f32>(p, load<f32>(p) + value);
          }
          continue;
        }
        const out = y + <usize>(i * toRow + j * toColumn);
        if (mode == sum) {
          let total: f32 = 0;
          for (let h = top; h < bottom; h++) {
            let p = x + <usize>(h * fromRow + left * fromColumn);
            for (let w = left; w < right; w++, p += <usize>fromColumn) total += load<f32>(p);
          }
          store<f32>(out, total);
        } else if (mode == maximum) {
          // f32.max keeps NaN.
          let best: f32 = -Infinity;
          for (let h = top; h < bottom; h++) {
            let p = x + <usize>(h * fromRow + left * fromColumn);
            for (let w = left; w < right; w++, p += <usize>fromColumn) best = max<f32>(best, load<f32>(p));
          }
          store<f32>(out, best);
        } else {
          let best: f32 = -Infinity;
          let place = top < bottom && left < right ? top * width + left : -1;
          for (let h = top; h < bottom; h++) {
            let p = x + <usize>(h * fromRow + left * fromColumn);
            for (let w = left; w < right; w++, p += <usize>fromColumn) {
              const value = load<f32>(p);
              // Larger, or the first NaN.
              if (value > best || (value != value && best == best)) {
                best = value;
                place = h * width + w;
              }
            }
          }
          store<i32>(out, place);
        }
      }
    }
  }
}
