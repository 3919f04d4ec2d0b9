/** A slab: a band of images, copied with its zero padding, so that patches are read without a bounds check. */

// @ts-ignore: decorator
@inline
function zero(to: usize, end: usize): void {
  for (; to < end; to += 4) store<f32>(to, 0);
}

/**
 * Copies `rows` rows from `firstRow` on (of each image of each channel) and `step · phase` columns from `firstColumn`
 * on; whatever lies outside the image is zero. For convolutions of stride `step` a row is dealt out into its phases, so
 * that pixels which follow each other in the output do so in the slab:
 *
 *   step 2:  x₀ x₁ x₂ x₃ x₄ x₅  →  x₀ x₂ x₄ │ x₁ x₃ x₅
 *
 * Layout: [channels, images, rows, step, phase], so that where a pixel lies does not depend on how many channels there
 * are. Strides in elements.
 */
export function copySlab(
  to: usize, from: usize, channels: i32, images: i32, rows: i32, phase: i32, step: i32,
  firstRow: i32, firstColumn: i32, height: i32, width: i32,
  channelStride: i32, imageStride: i32, rowStride: i32, columnStride: i32,
): void {
  const stride = <usize>(step * columnStride << 2);
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
          let source = plane + <usize>(r * rowStride + (column + start * step) * columnStride << 2);
          to = begin;
          if (stride == 4) {
            for (; to + 16 <= done; to += 16, source += 16) v128.store(to, v128.load(source));
          }
          if (stride == 8) {
            // One more element must follow, so that no vector reaches beyond the last.
            for (; to + 16 < done; to += 16, source += 32) {
              v128.store(to, i32x4.shuffle(v128.load(source), v128.load(source, 16), 0, 2, 4, 6));
            }
          }
          for (; to < done; to += 4, source += stride) store<f32>(to, load<f32>(source));
          zero(done, rowEnd);
          to = rowEnd;
        }
      }
    }
  }
}
