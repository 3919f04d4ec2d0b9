/**
 * 3×3 convolution of stride 1 or 2 in all directions by Winograd's F(4×4, 3×3): transformed patches times transformed filters, for each of
 * 36 points (81 of a strided one) one matrix product. What is multiplied is written as the panels that the register tiles read, so nothing
 * is packed.
 *
 *   forward, input                                         weight
 *   filters: U[point] = G w Gᵀ          [rows, steps]      for each block of tiles
 *   for each block of tiles                                  V[point] = Bᵀ patch B    [tiles, channels]
 *     V[point] = Bᵀ patch B            [steps, tiles]        W[point] = A tile Aᵀ     [filters, tiles]
 *     for 24 filters                                         for each point: U += W·V
 *       for each point: M = U·V        [24, tiles]         w = Gᵀ U G
 *       pixels = Aᵀ M A
 *
 * In the first a vector holds one pixel of four images, in the second of four channels. A `unit` is a row of tiles: of eight images there,
 * of one here. Blocks and the order of sums depend on the shapes alone; threads share blocks, or channels.
 */
import { Compact, Spread, tile4x8, tile6x8, tileRows } from './microkernel';
import { spread, transpose } from './pack';
import {
  BLOCK_PANELS, BLOCK_TILES, DENSE_POINTS, FILTER_LINES, FILTER_POINTS, FILTER_TAPS, ROUND_FILTERS, ROW_TABLE_BYTES, SKEW_BYTES, SQUARE_BYTES, TILE_COLUMNS,
  TILE_ROWS, VECTOR_BYTES, WHOLE_ROWS,
} from './sizes';
import { divideUp, pointer, share, shape, stride, viewAt, word } from './view';
import {
  endPoint, filterLines, filterLinesTransposed, firstPoint, interleave, patchLines, patchSizeOf, patchStepOf, pointsOf, tileLines,
  tileLinesTransposed, tileSizeOf,
} from './winogradTile';
import * as words from './words';

/** Filters, padded to whole panels and quads. */
// @ts-ignore: decorator
@inline
function padded(rows: i32): i32 {
  return divideUp(rows, WHOLE_ROWS) * WHOLE_ROWS;
}

/** One panel of rows times `count` panels of columns. */
function multiply(
  depth: i32, a: usize, scratch: usize, isSpread: bool, b: usize, bStep: usize, count: i32, rows: usize, c: usize, cStep: usize, accumulate: bool,
): void {
  if (tileRows == 6 && !isSpread) spread(scratch, a, 6 * depth);
  for (let panel = 0; panel < count; panel++, b += bStep, c += cStep) {
    if (tileRows == 6) tile6x8<Spread>(depth, scratch, b, rows, c, accumulate);
    else tile4x8<Compact>(depth, a, b, rows, c, accumulate);
  }
}

/** Bytes of a panel of `depth` steps, each of its numbers as a vector. */
// @ts-ignore: decorator
@inline
function spreadBytes(depth: i32): usize {
  return <usize>depth * (TILE_ROWS * VECTOR_BYTES);
}

/** The addresses of the rows of a tile, `pitch` bytes apart. */
function fillRows(table: usize, pitch: usize): void {
  for (let i: usize = 0; i < <usize>tileRows; i++) store<u32>(table + (i << 2), <u32>(i * pitch));
}

/** Bytes of a panel of `depth` steps that the rows of a tile come from. */
// @ts-ignore: decorator
@inline
function panelBytes(depth: i32): usize {
  return <usize>(depth * tileRows) << 2;
}

/** Where a row's panel is: the number of rows in one is found out as the module starts, and a division by it would take long. */
// @ts-ignore: decorator
@inline
function panelOf(row: i32): i32 {
  return tileRows == 4 ? row >> 2 : <i32>(<u32>row / TILE_ROWS);
}

/**
 * Stores four rows (the `quad`-th four of all) at step `at` of `depth` into panels of `tileRows` rows; six are a quad and a half.
 */
// @ts-ignore: decorator
@inline
function storeQuad(panels: usize, quad: i32, at: i32, depth: i32, rows: v128): void {
  const row = quad << 2, panel = panelOf(row), within = row - panel * tileRows;
  const to = panels + <usize>panel * panelBytes(depth) + <usize>(at * tileRows + within << 2);
  if (within + 4 <= tileRows) v128.store(to, rows);
  else {
    v128.store64_lane(to, rows, 0);
    v128.store64_lane(to + panelBytes(depth) - (<usize>within << 2), rows, 1);
  }
}

/** U = G w Gᵀ of filters [rows, steps, 3, 3], as 36 × panels of rows. Threads share the rows by `WHOLE_ROWS`. */
export function winogradFilters(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const kind = word(command, words.FILTERS_KIND);
  const filters = viewAt(command, words.FILTERS_WORDS, 0);
  const rows = shape(filters, 0), steps = shape(filters, 1);
  const rowStride = <usize>stride(filters, 0) << 2;
  const from = pointer(filters, bases), to = pointer(viewAt(command, words.FILTERS_WORDS, 1), bases);
  const parts = divideUp(rows, WHOLE_ROWS), quads = WHOLE_ROWS / 4, pointBytes = <usize>(padded(rows) * steps) << 2;
  const taps = workspace, half = taps + FILTER_TAPS * VECTOR_BYTES, square = half + FILTER_LINES * VECTOR_BYTES;
  const end = share(parts, thread + 1, threads) * quads;
  for (let quad = share(parts, thread, threads) * quads; quad < end; quad++) {
    const row = min(quad << 2, rows - 1), last = rows - 1 - row;
    for (let step = 0; step < steps; step++) {
      const source = from + <usize>(row * stride(filters, 0) + step * stride(filters, 1) << 2);
      for (let tap: usize = 0; tap < <usize>FILTER_TAPS; tap++) {
        const w = source + <usize>((<i32>tap / 3) * stride(filters, 2) + (<i32>tap % 3) * stride(filters, 3) << 2);
        const w1 = last > 0 ? w + rowStride : w, w2 = last > 1 ? w1 + rowStride : w1, w3 = last > 2 ? w2 + rowStride : w2;
        let lanes = v128.load32_zero(w);
        lanes = v128.load32_lane(w1, lanes, 1);
        lanes = v128.load32_lane(w2, lanes, 2);
        v128.store(taps + (tap << 4), v128.load32_lane(w3, lanes, 3));
      }
      filterLines(kind, taps, 48, half, 48, 3, 16, 16);
      filterLines(kind, half, 16, square, 16, 6, 48, 96);
      for (let point: usize = 0; point < <usize>FILTER_POINTS; point++) {
        storeQuad(to + point * pointBytes, quad, step, steps, v128.load(square + (point << 4)));
      }
    }
  }
}

/** w = Gᵀ U G, from U [36, rows to a multiple of `WHOLE_ROWS`, steps to one of 8] to filters [rows, steps, 3, 3]. Threads share the rows. */
export function winogradFilterGradient(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const kind = word(command, words.FILTERS_KIND);
  const filters = viewAt(command, words.FILTERS_WORDS, 1);
  const rows = shape(filters, 0), steps = shape(filters, 1);
  const from = pointer(viewAt(command, words.FILTERS_WORDS, 0), bases), to = pointer(filters, bases);
  const pitch = <usize>(steps + 7 & -8) << 2, pointBytes = <usize>padded(rows) * pitch;
  const half = workspace, taps = half + FILTER_LINES * VECTOR_BYTES;
  const end = share(rows, thread + 1, threads);
  for (let row = share(rows, thread, threads); row < end; row++) {
    for (let step = 0; step < steps; step += 4) {
      const source = from + <usize>row * pitch + (<usize>step << 2);
      filterLinesTransposed(kind, source, 6 * pointBytes, half, 96, 6, pointBytes, 16);
      filterLinesTransposed(kind, half, 16, taps, 16, 3, 96, 48);
      const count = min(4, steps - step);
      for (let tap = 0; tap < FILTER_TAPS; tap++) {
        let w = to + <usize>(row * stride(filters, 0) + step * stride(filters, 1) + tap / 3 * stride(filters, 2) + tap % 3 * stride(filters, 3) << 2);
        let value = taps + (<usize>tap << 4);
        for (let i = 0; i < count; i++, value += 4, w += <usize>stride(filters, 1) << 2) store<f32>(w, load<f32>(value));
      }
    }
  }
}

/**
 * Lays `count` lines of images (axis 0) or channels (axis 1) side by side, from line `row` and pixel `column` of the planes at `plane` on:
 * lines of `pitch` bytes, pixels of `step` bytes, which are so many lanes. Outside of an image is zero; beyond `last` lanes the last is repeated.
 */
function lay(
  to: usize, count: i32, pitch: usize, step: usize, plane: usize, view: usize, axis: i32, last: i32, row: i32, column: i32, columns: i32,
): void {
  const laneBytes = <usize>stride(view, axis) << 2;
  for (const end = row + count; row < end; row++, to += pitch) {
    const width = row >= 0 && row < shape(view, 2) ? shape(view, 3) : 0;
    const line = plane + <usize>(row * stride(view, 2) << 2);
    for (let lane = 0; lane < <i32>step >> 2; lane += 4) {
      const skipped = min(lane, last);
      interleave(to + (<usize>lane << 2), step, line + <usize>skipped * laneBytes, laneBytes, last - skipped, column, columns, width);
    }
  }
}

/** Aᵀ M A of one tile of four images, whose pixels follow each other in `square` then, image by image. */
function tilePixels(kind: i32, from: usize, pointBytes: usize, square: usize): void {
  const points = <usize>pointsOf(kind), size = <usize>tileSizeOf(kind), pitch = points << 4, half = square + (size * size << 4);
  tileLines(kind, from, points * pointBytes, half, pitch, <i32>points, pointBytes, 16);
  tileLines(kind, half, 16, half, 16, <i32>size, pitch, pitch);
  const image = size * size << 2;
  for (let i: usize = 0, to = square; i < size; i++) {
    for (let quad = half + i * pitch, end = quad + (size << 4); quad < end; quad += 64, to += 16) {
      transpose(v128.load(quad), v128.load(quad, 16), v128.load(quad, 32), v128.load(quad, 48), to, to + image, to + 2 * image, to + 3 * image);
    }
  }
}

/** Stores what `tilePixels` leaves, tiles of size × size, where there are so many images, rows and columns. */
function storePixels(from: usize, size: i32, to: usize, target: usize, images: i32, rows: i32, columns: i32): void {
  const whole = <usize>(columns & -4) << 2, end = <usize>columns << 2;
  for (let n = 0; n < images; n++, to += <usize>stride(target, 0) << 2) {
    let line = from + (<usize>(n * size * size) << 2);
    for (let i = 0, pixel = to; i < rows; i++, pixel += <usize>stride(target, 2) << 2, line += <usize>size << 2) {
      let j: usize = 0;
      for (; j < whole; j += 16) v128.store(pixel + j, v128.load(line + j));
      for (; j < end; j += 4) store<f32>(pixel + j, load<f32>(line + j));
    }
  }
}

/**
 * Forward, and the input gradient: of stride 1 it is forward too, with filters turned and their axes exchanged. Source [N, steps, H, W],
 * filters of `winogradFilters`, target [N, rows, OH, OW]; columns of both are adjacent in memory.
 */
export function winograd(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const kind = word(command, words.WINOGRAD_KIND);
  const padH = word(command, words.WINOGRAD_PADDING_HEIGHT), padW = word(command, words.WINOGRAD_PADDING_WIDTH);
  const source = viewAt(command, words.WINOGRAD_WORDS, 0), target = viewAt(command, words.WINOGRAD_WORDS, 2);
  const images = shape(target, 0), filters = shape(target, 1), height = shape(target, 2), width = shape(target, 3);
  const channels = shape(source, 1);
  const from = pointer(source, bases), to = pointer(target, bases), u = pointer(viewAt(command, words.WINOGRAD_WORDS, 1), bases);
  const uPoint = <usize>(padded(filters) * channels) << 2;

  const points = pointsOf(kind), tileSize = tileSizeOf(kind), patchSize = patchSizeOf(kind), patchStep = patchStepOf(kind);
  const pointCount = <usize>(points * points);
  const tilesH = divideUp(height, tileSize), tilesW = divideUp(width, tileSize);
  const units = divideUp(images, TILE_COLUMNS) * tilesH;
  // More points take as much memory with half as many panels.
  const blockUnits = max(1, (points > DENSE_POINTS ? BLOCK_PANELS / 2 : BLOCK_PANELS) / tilesW);
  const blocks = divideUp(units, blockUnits);
  const mostPanels = blockUnits * tilesW;
  // A panel: 8 columns (images) of one tile, over all channels.
  const vPanel = <usize>channels << 5, vPoint = <usize>mostPanels * vPanel + SKEW_BYTES;
  const mPanel = <usize>ROUND_FILTERS << 5, mPoint = <usize>mostPanels * mPanel + SKEW_BYTES;
  const rows = workspace, square = rows + ROW_TABLE_BYTES, scratch = square + SQUARE_BYTES;
  const v = scratch + spreadBytes(channels), m = v + pointCount * vPoint, patch = m + pointCount * mPoint;
  const columns = tilesW * patchStep + patchSize - patchStep, pitch = <usize>columns << 5;
  fillRows(rows, 32);

  const end = share(blocks, thread + 1, threads);
  for (let block = share(blocks, thread, threads); block < end; block++) {
    const first = block * blockUnits, count = min(blockUnits, units - first), panels = count * tilesW;
    for (let unit = 0; unit < count; unit++) {
      const image = (first + unit) / tilesH << 3, row = (first + unit) % tilesH * patchStep - padH;
      for (let channel = 0; channel < channels; channel++) {
        const plane = from + <usize>(image * stride(source, 0) + channel * stride(source, 1) << 2);
        lay(patch, patchSize, pitch, 32, plane, source, 0, images - 1 - image, row, -padW, columns);
        patchLines(kind, patch, pitch, patch, pitch, 2 * columns, 16, 16);
        for (let j = 0; j < tilesW; j++) {
          const panel = v + <usize>(unit * tilesW + j) * vPanel + (<usize>channel << 5), line = patch + (<usize>(j * patchStep) << 5);
          patchLines(kind, line, 32, panel, vPoint, points, pitch, <usize>points * vPoint);
          patchLines(kind, line + 16, 32, panel + 16, vPoint, points, pitch, <usize>points * vPoint);
        }
      }
    }
    for (let filter = 0; filter < filters; filter += ROUND_FILTERS) {
      const round = min(ROUND_FILTERS, filters - filter);
      for (let value = 0; value < FILTER_POINTS; value++) {
        const endI = endPoint(kind, value / 6), firstJ = firstPoint(kind, value % 6), endJ = endPoint(kind, value % 6);
        for (let r = 0; r < round; r += tileRows) {
          const a = u + <usize>value * uPoint + <usize>panelOf(filter + r) * panelBytes(channels);
          let isSpread = false;
          for (let i = firstPoint(kind, value / 6); i < endI; i++) {
            for (let j = firstJ; j < endJ; j++, isSpread = true) {
              const point = <usize>(i * points + j);
              multiply(channels, a, scratch, isSpread, v + point * vPoint, vPanel, panels, rows, m + point * mPoint + (<usize>r << 5), mPanel, false);
            }
          }
        }
      }
      for (let r = 0; r < round; r++) {
        for (let panel = 0; panel < panels; panel++) {
          const unit = first + panel / tilesW, image = unit / tilesH << 3;
          const row = unit % tilesH * tileSize, column = panel % tilesW * tileSize;
          const pixels = to + <usize>(image * stride(target, 0) + (filter + r) * stride(target, 1) + row * stride(target, 2) + column << 2);
          for (let lane = 0; lane < min(TILE_COLUMNS, images - image); lane += 4) {
            tilePixels(kind, m + <usize>panel * mPanel + (<usize>r << 5) + (<usize>lane << 2), mPoint, square);
            const quad = pixels + <usize>(lane * stride(target, 0) << 2);
            storePixels(square, tileSize, quad, target, min(4, images - image - lane), min(tileSize, height - row), min(tileSize, width - column));
          }
        }
      }
    }
  }
}

/** U[value] = Σ W[point]·V[point] over all tiles: source [N, channels, H, W], target [N, filters, OH, OW] → U as `winogradFilterGradient` reads it. */
export function winogradWeight(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const kind = word(command, words.WINOGRAD_KIND);
  const padH = word(command, words.WINOGRAD_PADDING_HEIGHT), padW = word(command, words.WINOGRAD_PADDING_WIDTH);
  const source = viewAt(command, words.WINOGRAD_WORDS, 0), target = viewAt(command, words.WINOGRAD_WORDS, 1);
  const images = shape(target, 0), filters = shape(target, 1), height = shape(target, 2), width = shape(target, 3);
  const channels = shape(source, 1);
  const from = pointer(source, bases), to = pointer(target, bases), u = pointer(viewAt(command, words.WINOGRAD_WORDS, 2), bases);
  const rowPanels = divideUp(filters, tileRows), columnPanels = divideUp(channels, TILE_COLUMNS);
  const firstPanel = share(columnPanels, thread, threads), endPanel = share(columnPanels, thread + 1, threads);
  if (firstPanel == endPanel) return;
  const uRow = <usize>columnPanels << 5, uPoint = <usize>padded(filters) * uRow;

  const points = pointsOf(kind), tileSize = tileSizeOf(kind), patchSize = patchSizeOf(kind), patchStep = patchStepOf(kind);
  const pointCount = <usize>(points * points);
  const tilesH = divideUp(height, tileSize), tilesW = divideUp(width, tileSize);
  const units = images * tilesH;
  const blockUnits = max(1, BLOCK_TILES / tilesW);
  const depth = blockUnits * tilesW;
  const vPanel = <usize>depth << 5, vPoint = <usize>columnPanels * vPanel + SKEW_BYTES;
  const wPoint = <usize>(padded(filters) * depth << 2) + SKEW_BYTES;
  const rows = workspace, square = rows + ROW_TABLE_BYTES, scratch = square + SQUARE_BYTES;
  const v = scratch + spreadBytes(depth), w = v + pointCount * vPoint, patch = w + pointCount * wPoint;
  const columns = tilesW * patchStep + patchSize - patchStep, pitch = <usize>columns << 4;
  fillRows(rows, uRow);

  for (let first = 0; first == 0 || first < units; first += blockUnits) {
    const count = min(blockUnits, units - first), tiles = count * tilesW;
    for (let unit = 0; unit < count; unit++) {
      const image = (first + unit) / tilesH, row = (first + unit) % tilesH;
      for (let channel = firstPanel << 3, end = min(channels, endPanel << 3); channel < end; channel += 4) {
        const plane = from + <usize>(image * stride(source, 0) + channel * stride(source, 1) << 2);
        lay(patch, patchSize, pitch, 16, plane, source, 1, channels - 1 - channel, row * patchStep - padH, -padW, columns);
        patchLines(kind, patch, pitch, patch, pitch, columns, 16, 16);
        for (let j = 0; j < tilesW; j++) {
          const panel = v + <usize>(channel >> 3) * vPanel + <usize>(unit * tilesW + j << 5) + <usize>((channel & 4) << 2);
          patchLines(kind, patch + (<usize>(j * patchStep) << 4), 16, panel, vPoint, points, pitch, <usize>points * vPoint);
        }
      }
      for (let quad = 0; quad << 2 < filters; quad++) {
        const plane = to + <usize>(image * stride(target, 0) + (quad << 2) * stride(target, 1) << 2);
        lay(patch, tileSize, pitch, 16, plane, target, 1, filters - 1 - (quad << 2), row * tileSize, 0, tilesW * tileSize);
        tileLinesTransposed(kind, patch, pitch, patch, pitch, tilesW * tileSize, 16, 16);
        for (let j = 0; j < tilesW; j++) {
          tileLinesTransposed(kind, patch + (<usize>(j * tileSize) << 4), 16, square, 16, points, pitch, <usize>points << 4);
          for (let point: usize = 0; point < pointCount; point++) {
            storeQuad(w + point * wPoint, quad, unit * tilesW + j, depth, v128.load(square + (point << 4)));
          }
        }
      }
    }
    for (let value = 0; value < FILTER_POINTS; value++) {
      const endI = endPoint(kind, value / 6), firstJ = firstPoint(kind, value % 6), endJ = endPoint(kind, value % 6);
      for (let r = 0; r < rowPanels; r++) {
        const c = u + <usize>value * uPoint + <usize>(r * tileRows) * uRow + (<usize>firstPanel << 5);
        let later = first > 0;
        for (let i = firstPoint(kind, value / 6); i < endI; i++) {
          for (let j = firstJ; j < endJ; j++, later = true) {
            const point = <usize>(i * points + j);
            multiply(
              tiles, w + point * wPoint + <usize>r * panelBytes(depth), scratch, false,
              v + point * vPoint + <usize>firstPanel * vPanel, vPanel, endPanel - firstPanel, rows, c, 32, later,
            );
          }
        }
      }
    }
  }
}
