/** A slab: a band of images, copied with its zero padding, so that patches are read without a bounds check. */
import { Axis } from './axis';
import { shape, stride } from './view';

// @ts-ignore: decorator
@inline
function zero(to: usize, end: usize): void {
  for (; to < end; to += 4) store<f32>(to, 0);
}

/**
 * Copies `rows` rows from `firstRow` on (of each image of each channel) and all columns that are read; whatever lies outside the image is
 * zero. For convolutions with a stride a row is dealt out into its phases, so that pixels which follow each other in the output do so in
 * the slab:
 *
 *   stride 2:  x₀ x₁ x₂ x₃ x₄ x₅  →  x₀ x₂ x₄ │ x₁ x₃ x₅
 *
 * Layout: [channels, images, rows, deals, dealt], so that where a pixel lies does not depend on how many channels there are.
 */
export function copySlab(to: usize, from: usize, source: usize, channels: i32, images: i32, firstRow: i32, rows: i32, columns: Axis): void {
  const height = shape(source, 2), width = shape(source, 3);
  const channelStride = stride(source, 1), imageStride = stride(source, 0), rowStride = stride(source, 2), columnStride = stride(source, 3);
  const step = columns.deals, phase = columns.dealt, firstColumn = columns.first;
  const pixelBytes = <usize>(step * columnStride << 2);
  for (let c = 0; c < channels; c++) {
    for (let n = 0; n < images; n++) {
      const plane = from + <usize>(n * imageStride + c * channelStride << 2);
      for (let r = firstRow, end = firstRow + rows; r < end; r++) {
        for (let p = 0; p < step; p++) {
          const column = firstColumn + p;
          // Columns column + t·step, of which those with start ≤ t < stop are inside.
          let start = 0, stop = 0;
          if (r >= 0 && r < height) {
            start = min(phase, column < 0 ? (step - 1 - column) / step : 0);
            stop = max(start, min(phase, column < width ? (width - column + step - 1) / step : 0));
          }
          const begin = to + <usize>(start << 2), done = to + <usize>(stop << 2), rowEnd = to + <usize>(phase << 2);
          zero(to, begin);
          let pixel = plane + <usize>(r * rowStride + (column + start * step) * columnStride << 2);
          to = begin;
          if (pixelBytes == 4) {
            for (; to + 16 <= done; to += 16, pixel += 16) v128.store(to, v128.load(pixel));
          }
          if (pixelBytes == 8) {
            // One more element must follow, so that no vector reaches beyond the last.
            for (; to + 16 < done; to += 16, pixel += 32) {
              v128.store(to, i32x4.shuffle(v128.load(pixel), v128.load(pixel, 16), 0, 2, 4, 6));
            }
          }
          for (; to < done; to += 4, pixel += pixelBytes) store<f32>(to, load<f32>(pixel));
          zero(done, rowEnd);
          to = rowEnd;
        }
      }
    }
  }
}
