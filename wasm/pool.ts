/**
 * Windows over the last two axes of x [N, C, H, W]. Threads take whole planes. Maxima and sums are taken in two
 * steps, each over whole vectors: down the rows of a window into a line, then along the line.
 */
import * as pooling from './modes';
import { pointer, shape, stride, viewAt, word } from './view';
import * as words from './words';

export function pool(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const mode = word(command, words.POOL_MODE);
  const kernelH = word(command, words.POOL_KERNEL_HEIGHT), kernelW = word(command, words.POOL_KERNEL_WIDTH);
  const strideH = word(command, words.POOL_STRIDE_HEIGHT), strideW = word(command, words.POOL_STRIDE_WIDTH);
  const padH = word(command, words.POOL_PADDING_HEIGHT), padW = word(command, words.POOL_PADDING_WIDTH);
  const from = viewAt(command, words.POOL_WORDS, 0), to = viewAt(command, words.POOL_WORDS, 1);
  const channels = shape(from, 1);
  const fromRow = stride(from, 2) << 2, fromColumn = stride(from, 3) << 2;
  const toRow = stride(to, 2) << 2, toColumn = stride(to, 3) << 2;
  // The image has the windows' places; the grid has one element per window.
  const image = mode == pooling.SUM_TRANSPOSE ? to : from, grid = mode == pooling.SUM_TRANSPOSE ? from : to;
  const height = shape(image, 2), width = shape(image, 3);
  const rows = shape(grid, 2), columns = shape(grid, 3);

  for (let plane = thread, planes = shape(from, 0) * channels; plane < planes; plane += threads) {
    const n = plane / channels, c = plane % channels;
    const x = pointer(from, bases) + <usize>(n * stride(from, 0) + c * stride(from, 1) << 2);
    const y = pointer(to, bases) + <usize>(n * stride(to, 0) + c * stride(to, 1) << 2);
    if (mode == pooling.SUM_TRANSPOSE) {
      for (let h = 0; h < height; h++) {
        for (let w = 0; w < width; w++) store<f32>(y + <usize>(h * toRow + w * toColumn), 0);
      }
    }
    if (mode == pooling.SUM || mode == pooling.MAXIMUM) {
      for (let i = 0; i < rows; i++) {
        const top = max(0, i * strideH - padH), bottom = min(height, i * strideH - padH + kernelH);
        const start = x + <usize>(top * fromRow), out = y + <usize>(i * toRow);
        if (mode == pooling.SUM) poolRow(false, workspace, start, bottom - top, fromRow, fromColumn, width, padW, out, toColumn, columns, kernelW, strideW);
        else poolRow(true, workspace, start, bottom - top, fromRow, fromColumn, width, padW, out, toColumn, columns, kernelW, strideW);
      }
      continue;
    }
    for (let i = 0; i < rows; i++) {
      const top = max(0, i * strideH - padH), bottom = min(height, i * strideH - padH + kernelH);
      for (let j = 0; j < columns; j++) {
        const left = max(0, j * strideW - padW), right = min(width, j * strideW - padW + kernelW);
        if (mode == pooling.SUM_TRANSPOSE) {
          const value = load<f32>(x + <usize>(i * fromRow + j * fromColumn));
          for (let h = top; h < bottom; h++) {
            let p = y + <usize>(h * toRow + left * toColumn);
            for (let w = left; w < right; w++, p += <usize>toColumn) store<f32>(p, load<f32>(p) + value);
          }
          continue;
        }
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
        store<i32>(y + <usize>(i * toRow + j * toColumn), place);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function fold(isMaximum: bool, a: v128, b: v128): v128 {
  // f32x4.max keeps NaN.
  return isMaximum ? f32x4.max(a, b) : f32x4.add(a, b);
}

/** One row of results. The line has `pad` neutral elements on either side, and room for a vector beyond. */
// @ts-ignore: decorator
@inline
function poolRow(
  isMaximum: bool, line: usize, x: usize, height: i32, rowStep: i32, columnStep: i32, width: i32, pad: i32,
  out: usize, outStep: i32, columns: i32, kernel: i32, stride: i32,
): void {
  const neutral = f32x4.splat(isMaximum ? -Infinity : 0);
  const inside = line + (<usize>pad << 2), end = inside + (<usize>width << 2);
  for (let to = line; to < inside; to += 16) v128.store(to, neutral);
  for (let to = inside; to < end; to += 16, x += <usize>(4 * columnStep)) {
    let best = neutral, from = x;
    const left = <i32>(end - to) >> 2;
    if (columnStep == 4 && left >= 4) {
      for (let h = 0; h < height; h++, from += <usize>rowStep) best = fold(isMaximum, best, v128.load(from));
    } else {
      for (let h = 0; h < height; h++, from += <usize>rowStep) {
        let some = v128.load32_zero(from);
        if (left > 1) some = v128.load32_lane(from + <usize>columnStep, some, 1);
        if (left > 2) some = v128.load32_lane(from + <usize>(2 * columnStep), some, 2);
        if (left > 3) some = v128.load32_lane(from + <usize>(3 * columnStep), some, 3);
        best = fold(isMaximum, best, some);
      }
    }
    v128.store(to, best);
  }
  for (let to = end, stop = end + (<usize>pad << 2); to < stop; to += 16) v128.store(to, neutral);
  const step = <usize>(stride << 2);
  for (let j = 0; j < columns; j += 4, line += 4 * step) {
    let best = neutral, from = line;
    for (let v = 0; v < kernel; v++, from += 4) {
      let quad: v128;
      if (stride == 1) quad = v128.load(from);
      else if (stride == 2) quad = i32x4.shuffle(v128.load(from), v128.load(from, 16), 0, 2, 4, 6);
      else {
        quad = v128.load32_zero(from);
        quad = v128.load32_lane(from + step, quad, 1);
        quad = v128.load32_lane(from + 2 * step, quad, 2);
        quad = v128.load32_lane(from + 3 * step, quad, 3);
      }
      best = fold(isMaximum, best, quad);
    }
    if (outStep == 4 && columns - j >= 4) {
      v128.store(out, best);
      out += 16;
    } else {
      v128.store32_lane(out, best, 0);
      if (columns - j > 1) v128.store32_lane(out + <usize>outStep, best, 1);
      if (columns - j > 2) v128.store32_lane(out + <usize>(2 * outStep), best, 2);
      if (columns - j > 3) v128.store32_lane(out + <usize>(3 * outStep), best, 3);
      out += <usize>(4 * outStep);
    }
  }
}
