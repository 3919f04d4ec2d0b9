/**
 * Convolution in all three directions by implicit GEMM. In each, every pixel of a *target* image gathers taps of a
 * *source* image; only the part that a block needs is ever laid out (packed from a slab, see slab.ts).
 *
 *   forward  target y, source x:   y[o, pixel] = Σ w[o, tap] · x[tap, pixel]
 *   weight   target y, source x:   w[o, tap]   = Σ y[o, pixel] · x[pixel, tap]
 *   input    target x, source y:   x[c, pixel] = Σ w[c, tap] · y[tap, pixel]
 *
 * A tap is (source channel, u, v). The same tables, in another order, give all three products. Along an axis, target
 * position a + i·targetStep reads source position i·sourceStep + (base + u·delta)/divisor, where that divides:
 *
 *            targetStep  sourceStep  base     delta      divisor    phases a
 *   forward  1           stride      −pad     dilation   1          0
 *   input    stride      1           a + pad  −dilation  stride     0 … stride − 1
 *
 * so the strided input gradient is a set of dense convolutions, one for each phase, not one over dilated zeros.
 *
 *   for each band of target rows, or of whole images       (as many as the slab holds)
 *     for each block of groups or of a group's channels    slab ← source, zero-padded
 *       for each phase
 *         for each block of pixels                         tables of addresses
 *           for each group                                 product (product.ts)
 */
import { Axis } from './axis';
import * as mode from './modes';
import { at } from './pack';
import { fillTable, padTable, Product, product, tableBytes, tiledSize } from './product';
import { rowProduct } from './rowProduct';
import { AXIS_BYTES, PRODUCT_BYTES, SLAB_LENGTH, TABLE_BYTES, TABLE_LENGTH } from './sizes';
import { copySlab } from './slab';
import { divideUp, pointer, shape, stride, viewAt, word } from './view';
import * as words from './words';

// What a convolution knows of itself while it runs; each thread has an instance of the module.

let isInput: bool = false;
let isWeight: bool = false;
let source: usize = 0;
let target: usize = 0;
let kernel: usize = 0;
let sourceAt: usize = 0;
let targetAt: usize = 0;
let kernelAt: usize = 0;
let groups: i32 = 0;
let images: i32 = 0;
/** Channels of a group, and the strides of the kernel along these. */
let targetChannels: i32 = 0;
let sourceChannels: i32 = 0;
let kernelTarget: i32 = 0;
let kernelSource: i32 = 0;
let rows = changetype<Axis>(0);
let columns = changetype<Axis>(0);
/** Whether the slab is the image itself: no padding is read, and neighbouring pixels are neighbours already (or there is one tap only). */
let isDirect: bool = false;
/** Elements of a row of the slab. */
let pitch: i32 = 0;

// Tables of addresses, and the memory behind them.
let workspace: usize = 0;
let kernelRows: usize = 0;
let targetRows: usize = 0;
let sourcePixels: usize = 0;
let targetPixels: usize = 0;
let kernelTaps: usize = 0;
let sourceTaps: usize = 0;
let behind: usize = 0;

// The most that a block has.
let mostChannels: i32 = 0;
let mostRows: i32 = 0;
let mostImages: i32 = 0;
let mostGroups: i32 = 0;

// The block that is being computed, where its slab begins, and how far apart images and channels of it are.
let firstImage: i32 = 0;
let imageCount: i32 = 0;
let firstRow: i32 = 0;
let rowCount: i32 = 0;
let firstGroup: i32 = 0;
let groupCount: i32 = 0;
let firstChannel: i32 = 0;
let channels: i32 = 0;
let slab: usize = 0;
let imagePitch: i32 = 0;
let channelPitch: i32 = 0;
/** The target channels that this thread computes. */
let firstFilter: i32 = 0;
let filters: i32 = 0;

export function conv(command: usize, bases: usize, memory: usize, thread: i32, threads: i32): void {
  describe(command, bases, memory);
  cut();
  // Threads share images by band. For weights bands must stay as they are, and with them the order of sums: threads share
  // the source channels, or the groups, or where there are few of either the target channels.
  const byChannel = isWeight && sourceChannels >= 8 * threads;
  const byGroup = isWeight && !byChannel && groups >= threads;
  firstFilter = 0;
  filters = targetChannels;
  if (!isWeight) {
    mostImages = max(1, min(mostImages, divideUp(images, threads)));
    if (images < threads) mostRows = max(1, min(mostRows, divideUp(rows.steps, threads)));
  } else if (byChannel) {
    const blocks = divideUp(divideUp(sourceChannels, mostChannels), threads) * threads;
    mostChannels = divideUp(sourceChannels, blocks);
  } else if (!byGroup) {
    const share = divideUp(targetChannels, 8 * threads) * 8;
    firstFilter = min(targetChannels, share * thread);
    filters = min(share, targetChannels - firstFilter);
    if (filters == 0) return;
  }
  mostGroups = 1;
  if (mostChannels == sourceChannels) {
    const fitting = isDirect ? groups : SLAB_LENGTH / (slabLength(mostChannels, mostRows) * mostImages);
    mostGroups = max(1, min(divideUp(groups, byGroup ? threads : 1), fitting));
  }

  let band = 0;
  for (firstImage = 0; firstImage == 0 || firstImage < images; firstImage += mostImages) {
    imageCount = min(mostImages, images - firstImage);
    for (firstRow = 0; firstRow == 0 || firstRow < rows.steps; firstRow += mostRows, band++) {
      if (!isWeight && band % threads != thread) continue;
      rowCount = min(mostRows, rows.steps - firstRow);
      imagePitch = isDirect ? stride(source, 0) : rows.read(rowCount) * pitch;
      channelPitch = isDirect ? stride(source, 1) : imageCount * imagePitch;
      for (firstGroup = 0; firstGroup < groups; firstGroup += mostGroups) {
        groupCount = min(mostGroups, groups - firstGroup);
        for (firstChannel = 0; firstChannel == 0 || firstChannel < sourceChannels; firstChannel += mostChannels) {
          if ((byChannel || byGroup) && (firstGroup / mostGroups + firstChannel / mostChannels) % threads != thread) continue;
          channels = min(mostChannels, sourceChannels - firstChannel);
          laySlab();
          for (let phaseH = 0; phaseH < rows.phases; phaseH++) {
            rows.enter(phaseH);
            for (let phaseW = 0; phaseW < columns.phases; phaseW++) {
              columns.enter(phaseW);
              convolve(phaseH, phaseW);
            }
          }
        }
      }
    }
  }
}

/** What a command says, and where its tables are. */
function describe(command: usize, bases: usize, memory: usize): void {
  const direction = word(command, words.CONV_DIRECTION);
  isInput = direction == mode.INPUT_GRADIENT;
  isWeight = direction == mode.WEIGHT_GRADIENT;
  source = viewAt(command, words.CONV_WORDS, 0);
  target = viewAt(command, words.CONV_WORDS, isWeight ? 1 : 2);
  kernel = viewAt(command, words.CONV_WORDS, isWeight ? 2 : 1);
  sourceAt = pointer(source, bases);
  targetAt = pointer(target, bases);
  kernelAt = pointer(kernel, bases);
  groups = word(command, words.CONV_GROUPS);
  images = shape(target, 0);
  targetChannels = shape(target, 1) / groups;
  sourceChannels = shape(source, 1) / groups;
  kernelTarget = stride(kernel, isInput ? 1 : 0);
  kernelSource = stride(kernel, isInput ? 0 : 1);

  workspace = memory;
  rows = changetype<Axis>(workspace + PRODUCT_BYTES);
  columns = changetype<Axis>(workspace + PRODUCT_BYTES + AXIS_BYTES);
  rows.describe(command, 0, source, target, kernel);
  columns.describe(command, 1, source, target, kernel);
  const taps = rows.taps * columns.taps, sourceColumn = stride(source, 3);
  isDirect = rows.isInside && columns.isInside && (columns.sourceStep * sourceColumn == 1 || taps == 1);
  // A row of the slab is dealt out into the phases of a stride.
  columns.dealt = divideUp(columns.read(columns.steps), columns.sourceStep);
  columns.deals = isDirect ? 1 : columns.sourceStep;
  columns.pitch = isDirect ? sourceColumn : 1;
  pitch = columns.dealt * columns.sourceStep;
  rows.deals = 1;
  rows.pitch = isDirect ? stride(source, 2) : pitch;

  kernelRows = workspace + PRODUCT_BYTES + 2 * AXIS_BYTES;
  targetRows = kernelRows + tableBytes(targetChannels);
  sourcePixels = targetRows + tableBytes(targetChannels);
  targetPixels = sourcePixels + TABLE_BYTES;
  kernelTaps = targetPixels + TABLE_BYTES;
  sourceTaps = kernelTaps + tableBytes(max(TABLE_LENGTH, taps));
  behind = columns.setTables(rows.setTables(sourceTaps + tableBytes(max(TABLE_LENGTH, taps))));
}

/** Elements of a slab of one image of so many channels and rows. */
function slabLength(channels: i32, count: i32): i32 {
  return pitch * channels * rows.read(count);
}

/** How many source channels, target rows and images a block has, as far as its slab and its tables hold them. */
function cut(): void {
  mostChannels = max(1, min(sourceChannels, TABLE_LENGTH / (rows.taps * columns.taps)));
  if (!isDirect) mostChannels = max(1, min(mostChannels, SLAB_LENGTH / slabLength(1, min(rows.steps, 8))));
  mostChannels = max(1, divideUp(sourceChannels, max(1, divideUp(sourceChannels, mostChannels))));
  mostRows = max(1, min(rows.steps, TABLE_LENGTH / max(1, columns.steps)));
  if (!isDirect) mostRows = min(mostRows, max(1, (SLAB_LENGTH / (pitch * mostChannels) - rows.span) / rows.sourceStep + 1));
  mostImages = 1;
  if (mostRows >= rows.steps) {
    mostImages = max(1, TABLE_LENGTH / max(1, rows.steps * columns.steps));
    if (!isDirect) mostImages = max(1, min(mostImages, SLAB_LENGTH / slabLength(mostChannels, rows.steps)));
  }
}

function laySlab(): void {
  const row = firstRow * rows.sourceStep + rows.first, channel = firstGroup * sourceChannels + firstChannel;
  const from = sourceAt + <usize>(firstImage * stride(source, 0) + channel * stride(source, 1) << 2);
  slab = isDirect ? from + <usize>(row * rows.pitch + columns.first * columns.pitch << 2) : behind;
  if (!isDirect) copySlab(slab, from, source, groupCount * channels, imageCount, row, rows.read(rowCount), columns);
}

/** All pixels of a block that are in one phase. */
function convolve(phaseH: i32, phaseW: i32): void {
  const steps = channels * rows.tapsOfPhase * columns.tapsOfPhase;
  fillTaps(kernelTaps, firstChannel * kernelSource << 2, kernelSource << 2, rows.kernelTaps, columns.kernelTaps);
  // Few taps (of a first layer) fit the rows of the tiles better than their columns.
  const isRow = targetChannels == 1, isWide = isWeight && !isRow && tiledSize(steps, filters) < tiledSize(filters, steps);
  const p = isWide
    ? Product.at(workspace, sourceTaps, sourcePixels, targetPixels, targetRows, kernelTaps, kernelRows)
    : isWeight
      ? Product.at(workspace, targetRows, targetPixels, sourcePixels, sourceTaps, kernelRows, kernelTaps)
      : Product.at(workspace, kernelRows, kernelTaps, sourceTaps, sourcePixels, targetRows, targetPixels);
  p.spreads = !isWeight;
  const height = min(firstRow + rowCount, rows.stepsOfPhase) - firstRow;
  const pixels = imageCount * max(0, height) * columns.stepsOfPhase;
  const row = firstRow * rows.targetStep + phaseH;
  const start = firstImage * stride(target, 0) + row * stride(target, 2) + phaseW * stride(target, 3) << 2;
  for (let pixel = 0; pixel == 0 || pixel < pixels; pixel += TABLE_LENGTH) {
    const count = min(TABLE_LENGTH, pixels - pixel);
    const later = isWeight ? firstImage + firstRow + pixel > 0 : firstChannel > 0;
    fillPixels(sourcePixels, pixel, count, height, 0, imagePitch, rows.sourceStep * rows.pitch, isDirect ? columns.sourceStep * columns.pitch : 1);
    fillPixels(
      targetPixels, pixel, count, height, start, stride(target, 0), rows.targetStep * stride(target, 2), columns.targetStep * stride(target, 3),
    );
    for (let g = 0; g < groupCount; g++) {
      enterGroup(g);
      if (steps == 0 && !isWeight) clear(later ? 0 : count);
      else if (isRow) rowProduct(p, isWeight ? steps : count, isWeight ? count : steps, isWeight, later);
      else product(p, isWide ? steps : filters, isWide ? filters : isWeight ? steps : count, isWeight ? count : steps, later);
    }
  }
}

/** The tables that depend on the group, which is number `g` of the block. */
function enterGroup(g: i32): void {
  const group = firstGroup + g, targetChannel = stride(target, 1);
  const first = group * (isInput ? sourceChannels : targetChannels) * stride(kernel, 0) + firstFilter * kernelTarget;
  fillTable(kernelRows, filters, kernelAt + <usize>(first << 2), kernelTarget << 2);
  fillTable(targetRows, filters, targetAt + <usize>((group * targetChannels + firstFilter) * targetChannel << 2), targetChannel << 2);
  fillTaps(sourceTaps, <i32>slab + (g * channels * channelPitch << 2), channelPitch << 2, rows.sourceTaps, columns.sourceTaps);
}

/** All taps of all channels, start + channel · channelStep + heights[u] + widths[v], in bytes; the last two are in elements. */
function fillTaps(table: usize, start: i32, channelStep: i32, heights: usize, widths: usize): void {
  const first = table, height = rows.tapsOfPhase, width = columns.tapsOfPhase;
  for (let c = 0; c < channels; c++, start += channelStep) {
    for (let u = 0; u < height; u++) {
      const row = start + (load<i32>(heights + (<usize>u << 2)) << 2);
      for (let v = 0; v < width; v++, table += 4) store<i32>(table, row + (load<i32>(widths + (<usize>v << 2)) << 2));
    }
  }
  padTable(first, channels * height * width);
}

/** Pixels `first` to `first + count` of images of this phase, `height` rows each, in row-major order, in bytes. */
function fillPixels(table: usize, first: i32, count: i32, height: i32, start: i32, imageStride: i32, rowStride: i32, columnStride: i32): void {
  if (count <= 0) return;
  const width = columns.stepsOfPhase, step = columnStride << 2, end = table + (<usize>count << 2);
  let n = first / width / height, i = first / width % height, j = first % width;
  for (let to = table; to < end; j = 0) {
    let offset = start + (n * imageStride + i * rowStride + j * columnStride << 2);
    for (const rowEnd = min(end, to + (<usize>(width - j) << 2)); to < rowEnd; to += 4, offset += step) store<i32>(to, offset);
    if (++i == height) {
      i = 0;
      n++;
    }
  }
  padTable(table, count);
}

/** Zeros where no tap reaches: in the phases of a stride beyond the kernel. */
function clear(count: i32): void {
  for (let row: usize = 0; row < <usize>filters; row++) {
    for (let pixel: usize = 0; pixel < <usize>count; pixel++) store<f32>(at(targetRows, row) + at(targetPixels, pixel), 0);
  }
}
