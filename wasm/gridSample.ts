import { pointer, shape, share, stride, viewAt, word } from './view';
import * as words from './words';

/**
 * x [N, C, H, W], grid [N, OH, OW, 2] → out [N, C, OH, OW].
 *
 *   for n, for row, for column              the four pixels around a place, and their weights
 *     for c                                 are the same for every channel
 */
export function gridSample(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const border = word(command, words.GRID_SAMPLE_IS_BORDER);
  const aligned = word(command, words.GRID_SAMPLE_ALIGNS_CORNERS);
  const x = viewAt(command, words.GRID_SAMPLE_WORDS, 0);
  const grid = viewAt(command, words.GRID_SAMPLE_WORDS, 1);
  const out = viewAt(command, words.GRID_SAMPLE_WORDS, 2);
  const channels = shape(x, 1);
  const height = shape(x, 2);
  const width = shape(x, 3);
  const rows = shape(out, 2);
  const columns = shape(out, 3);
  const xChannel = <usize>stride(x, 1) << 2;
  const xRow = <usize>stride(x, 2) << 2;
  const xColumn = <usize>stride(x, 3) << 2;
  const outChannel = <usize>stride(out, 1) << 2;

  const end = share(shape(out, 0) * rows, thread + 1, threads);
  for (let i = share(shape(out, 0) * rows, thread, threads); i < end; i++) {
    const n = i / rows;
    const row = i % rows;
    const image = pointer(x, bases) + (<usize>(n * stride(x, 0)) << 2);
    let pair = pointer(grid, bases) + (<usize>(n * stride(grid, 0) + row * stride(grid, 1)) << 2);
    let target = pointer(out, bases) + (<usize>(n * stride(out, 0) + row * stride(out, 2)) << 2);
    for (let column = 0; column < columns; column++) {
      const v = place(load<f32>(pair), width, border, aligned);
      const u = place(load<f32>(pair + (<usize>stride(grid, 3) << 2)), height, border, aligned);
      const top = floor(u);
      const left = floor(v);
      // A NaN place is inside nowhere, and must show; an infinite one has no weights, and must not.
      const nothing: f32 = u != u || v != v ? NaN : 0;
      const below = u - top;
      const right = v - left;
      const inTop = inside(top, height);
      const inBottom = inside(top + 1, height);
      const inLeft = inside(left, width);
      const inRight = inside(left + 1, width);
      let from = image + <usize><i32>top * xRow + <usize><i32>left * xColumn;
      let to = target;
      for (let c = 0; c < channels; c++, from += xChannel, to += outChannel) {
        let sum = nothing;
        if (inTop && inLeft) sum += (1 - below) * (1 - right) * load<f32>(from);
        if (inTop && inRight) sum += (1 - below) * right * load<f32>(from + xColumn);
        if (inBottom && inLeft) sum += below * (1 - right) * load<f32>(from + xRow);
        if (inBottom && inRight) sum += below * right * load<f32>(from + xRow + xColumn);
        store<f32>(to, sum);
      }
      pair += <usize>stride(grid, 2) << 2;
      target += <usize>stride(out, 3) << 2;
    }
  }
}

/** From −1…1 to pixels: with the corner pixels' centres at ±1, or their outer edges. */
@inline
function place(coordinate: f32, extent: i32, border: i32, aligned: i32): f32 {
  const pixels = aligned ? ((coordinate + 1) / 2) * <f32>(extent - 1) : ((coordinate + 1) * <f32>extent - 1) / 2;
  return border ? min<f32>(<f32>(extent - 1), max<f32>(0, pixels)) : pixels;
}

@inline
function inside(pixel: f32, extent: i32): bool {
  return pixel >= 0 && pixel < <f32>extent;
}
