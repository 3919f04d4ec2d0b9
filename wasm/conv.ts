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
import * as mode from './modes';
import { at } from './pack';
import { fillTable, padTable, product, tableBytes, tiledSize } from './product';
import { rowProduct } from './rowProduct';
import { PRODUCT_BYTES, SLAB_LENGTH, TABLE_BYTES, TABLE_LENGTH } from './sizes';
import { copySlab } from './slab';
import { divideUp, pointer, shape, stride, viewAt, word } from './view';
import * as words from './words';

/** Rounds towards −∞. */
// @ts-ignore: decorator
@inline
function divideDown(a: i32, b: i32): i32 {
  return a < 0 ? -divideUp(-a, b) : a / b;
}

/**
 * The taps along one axis that a phase has: where each is in the kernel and in the source, in elements. A source
 * position q counts from the slab's first; it lies at `(q % step · phase + q / step) · pitch`.
 */
function axisTaps(
  kernelTable: usize, sourceTable: usize, size: i32, base: i32, delta: i32, divisor: i32,
  kernelStride: i32, first: i32, step: i32, phase: i32, pitch: i32,
): i32 {
  let count: usize = 0;
  for (let u = 0; u < size; u++, base += delta) {
    if (base % divisor != 0) continue;
    const position = base / divisor - first;
    store<i32>(kernelTable + (count << 2), u * kernelStride);
    store<i32>(sourceTable + (count << 2), (position % step * phase + position / step) * pitch);
    count++;
  }
  return <i32>count;
}

/** All taps of `channels` channels, start + channel · channelStep + rows[u] + columns[v], in bytes; the last two are in elements. */
function fillTaps(
  table: usize, start: i32, channels: i32, channelStep: i32, rows: usize, height: i32, columns: usize, width: i32,
): void {
  const first = table;
  for (let c = 0; c < channels; c++, start += channelStep) {
    for (let u = 0; u < height; u++) {
      const row = start + (load<i32>(rows + (<usize>u << 2)) << 2);
      for (let v = 0; v < width; v++, table += 4) store<i32>(table, row + (load<i32>(columns + (<usize>v << 2)) << 2));
    }
  }
  padTable(first, channels * height * width);
}

/** Pixels `first` to `first + count` of images of `height × width`, in row-major order, in bytes. */
function fillPixels(
  table: usize, first: i32, count: i32, height: i32, width: i32,
  start: i32, imageStride: i32, rowStride: i32, columnStride: i32,
): void {
  if (count <= 0) return;
  const step = columnStride << 2, end = table + (<usize>count << 2);
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
function clear(rows: i32, columns: i32, rowTable: usize, columnTable: usize): void {
  for (const end = rowTable + (<usize>rows << 2); rowTable != end; rowTable += 4) {
    const row = at(rowTable, 0);
    for (let column = columnTable, last = columnTable + (<usize>columns << 2); column != last; column += 4) store<f32>(row + at(column, 0), 0);
  }
}

export function conv(command: usize, bases: usize, workspace: usize, thread: i32, threads: i32): void {
  const direction = word(command, words.CONV_DIRECTION);
  const strideH = word(command, words.CONV_STRIDE_HEIGHT), strideW = word(command, words.CONV_STRIDE_WIDTH);
  const padH = word(command, words.CONV_PADDING_HEIGHT), padW = word(command, words.CONV_PADDING_WIDTH);
  const dilationH = word(command, words.CONV_DILATION_HEIGHT), dilationW = word(command, words.CONV_DILATION_WIDTH);
  const groups = word(command, words.CONV_GROUPS);
  const isInput = direction == mode.INPUT_GRADIENT, isWeight = direction == mode.WEIGHT_GRADIENT;
  const source = viewAt(command, words.CONV_WORDS, 0);
  const target = viewAt(command, words.CONV_WORDS, isWeight ? 1 : 2);
  const kernel = viewAt(command, words.CONV_WORDS, isWeight ? 2 : 1);
  const kernelH = shape(kernel, 2), kernelW = shape(kernel, 3);
  const images = shape(target, 0);
  const height = shape(target, 2), width = shape(target, 3);
  const sourceH = shape(source, 2), sourceW = shape(source, 3);
  const sourceRow = stride(source, 2), sourceColumn = stride(source, 3);
  const targetChannels = shape(target, 1) / groups, sourceChannels = shape(source, 1) / groups;
  const kernelTarget = stride(kernel, isInput ? 1 : 0), kernelSource = stride(kernel, isInput ? 0 : 1);

  // The table at the top.
  const targetStepH = isInput ? strideH : 1, targetStepW = isInput ? strideW : 1;
  const sourceStepH = isInput ? 1 : strideH, sourceStepW = isInput ? 1 : strideW;
  const deltaH = isInput ? -dilationH : dilationH, deltaW = isInput ? -dilationW : dilationW;
  const reachH = dilationH * (kernelH - 1), reachW = dilationW * (kernelW - 1);
  const firstH = isInput ? divideDown(padH - reachH, strideH) : -padH;
  const firstW = isInput ? divideDown(padW - reachW, strideW) : -padW;
  const spanH = (isInput ? (padH + strideH - 1) / strideH : reachH - padH) - firstH + 1;
  const spanW = (isInput ? (padW + strideW - 1) / strideW : reachW - padW) - firstW + 1;
  const rows = divideUp(height, targetStepH), columns = divideUp(width, targetStepW);
  // Those beyond the image have no pixels.
  const phasesH = isWeight ? 1 : min(targetStepH, height), phasesW = isWeight ? 1 : min(targetStepW, width);

  // No slab where no padding is read and neighbouring pixels are neighbours already (or there is one tap only).
  const direct =
    firstH >= 0 && firstW >= 0 &&
    (rows - 1) * sourceStepH + firstH + spanH <= sourceH && (columns - 1) * sourceStepW + firstW + spanW <= sourceW &&
    (sourceStepW * sourceColumn == 1 || kernelH * kernelW == 1);
  const phase = divideUp((columns - 1) * sourceStepW + spanW, sourceStepW);
  const pitch = phase * sourceStepW;
  const tapStep = direct ? 1 : sourceStepW, tapPitch = direct ? sourceColumn : 1;
  const rowPitch = direct ? sourceRow : pitch;
  const pixelPitch = direct ? sourceStepW * sourceColumn : 1;

  // How many source channels, target rows and images a block has.
  const taps = kernelH * kernelW;
  let blockChannels = max(1, min(sourceChannels, TABLE_LENGTH / taps));
  if (!direct) blockChannels = max(1, min(blockChannels, SLAB_LENGTH / (pitch * ((min(rows, 8) - 1) * sourceStepH + spanH))));
  blockChannels = max(1, divideUp(sourceChannels, max(1, divideUp(sourceChannels, blockChannels))));
  let blockRows = max(1, min(rows, TABLE_LENGTH / max(1, columns)));
  if (!direct) blockRows = min(blockRows, max(1, (SLAB_LENGTH / (pitch * blockChannels) - spanH) / sourceStepH + 1));
  let blockImages = 1;
  if (blockRows >= rows) {
    blockImages = max(1, TABLE_LENGTH / max(1, rows * columns));
    if (!direct) blockImages = max(1, min(blockImages, SLAB_LENGTH / (pitch * blockChannels * ((rows - 1) * sourceStepH + spanH))));
  }

  // Threads share images by band. For weights bands must stay as they are, and with them the order of sums: threads share
  // the source channels, or the groups, or where there are few of either the target channels.
  const byChannel = isWeight && sourceChannels >= 8 * threads;
  const byGroup = isWeight && !byChannel && groups >= threads;
  let filter0 = 0, filters = targetChannels;
  if (!isWeight) {
    blockImages = max(1, min(blockImages, divideUp(images, threads)));
    if (images < threads) blockRows = max(1, min(blockRows, divideUp(rows, threads)));
  } else if (byChannel) {
    const blocks = divideUp(divideUp(sourceChannels, blockChannels), threads) * threads;
    blockChannels = divideUp(sourceChannels, blocks);
  } else if (!byGroup) {
    const share = divideUp(targetChannels, 8 * threads) * 8;
    filter0 = min(targetChannels, share * thread);
    filters = min(share, targetChannels - filter0);
    if (filters == 0) return;
  }
  let blockGroups = 1;
  if (blockChannels == sourceChannels) {
    const groupLength = pitch * blockChannels * ((blockRows - 1) * sourceStepH + spanH) * blockImages;
    blockGroups = max(1, min(divideUp(groups, byGroup ? threads : 1), direct ? groups : SLAB_LENGTH / groupLength));
  }

  const kernelRows = workspace + PRODUCT_BYTES;
  const targetRows = kernelRows + tableBytes(targetChannels);
  const sourcePixels = targetRows + tableBytes(targetChannels);
  const targetPixels = sourcePixels + TABLE_BYTES;
  const kernelTaps = targetPixels + TABLE_BYTES;
  const sourceTaps = kernelTaps + tableBytes(max(TABLE_LENGTH, taps));
  const kernelAxis = sourceTaps + tableBytes(max(TABLE_LENGTH, taps));
  const sourceAxis = kernelAxis + (<usize>(kernelH + kernelW) << 2);
  const slab = sourceAxis + (<usize>(kernelH + kernelW) << 2);
  const axisW = <usize>kernelH << 2;

  let band = 0;
  for (let n = 0; n == 0 || n < images; n += blockImages) {
    const bandImages = min(blockImages, images - n);
    for (let row = 0; row == 0 || row < rows; row += blockRows, band++) {
      if (!isWeight && band % threads != thread) continue;
      const bandRows = min(blockRows, rows - row);
      const slabRows = (bandRows - 1) * sourceStepH + spanH;
      const imagePitch = direct ? stride(source, 0) : slabRows * pitch;
      const channelPitch = direct ? stride(source, 1) : bandImages * imagePitch;
      for (let group = 0; group < groups; group += blockGroups) {
        const bandGroups = min(blockGroups, groups - group);
        for (let channel = 0; channel == 0 || channel < sourceChannels; channel += blockChannels) {
          const channels = min(blockChannels, sourceChannels - channel);
          if ((byChannel || byGroup) && (group / blockGroups + channel / blockChannels) % threads != thread) continue;
          const from = pointer(source, bases) + <usize>(n * stride(source, 0) + (group * sourceChannels + channel) * stride(source, 1) << 2);
          let base = slab;
          if (direct) base = from + <usize>((row * sourceStepH + firstH) * sourceRow + firstW * sourceColumn << 2);
          else copySlab(
            slab, from, bandGroups * channels, bandImages, slabRows, phase, sourceStepW,
            row * sourceStepH + firstH, firstW, sourceH, sourceW, stride(source, 1), stride(source, 0), sourceRow, sourceColumn,
          );
          for (let phaseH = 0; phaseH < phasesH; phaseH++) {
            const baseH = isInput ? phaseH + padH : -padH;
            const tapsH = axisTaps(kernelAxis, sourceAxis, kernelH, baseH, deltaH, targetStepH, stride(kernel, 2), firstH, 1, 0, rowPitch);
            const pixelRows = min(row + bandRows, divideUp(height - phaseH, targetStepH)) - row;
            for (let phaseW = 0; phaseW < phasesW; phaseW++) {
              const baseW = isInput ? phaseW + padW : -padW;
              const tapsW = axisTaps(
                kernelAxis + axisW, sourceAxis + axisW, kernelW, baseW, deltaW, targetStepW, stride(kernel, 3), firstW, tapStep, phase, tapPitch,
              );
              const steps = channels * tapsH * tapsW;
              fillTaps(kernelTaps, channel * kernelSource << 2, channels, kernelSource << 2, kernelAxis, tapsH, kernelAxis + axisW, tapsW);
              // Few taps (of a first layer) fit the rows of the tiles better than their columns.
              const wide = tiledSize(steps, filters) < tiledSize(filters, steps);
              const pixelColumns = divideUp(width - phaseW, targetStepW);
              const pixels = bandImages * max(0, pixelRows) * pixelColumns;
              const offset = n * stride(target, 0) + (row * targetStepH + phaseH) * stride(target, 2) + phaseW * stride(target, 3);
              for (let pixel = 0; pixel == 0 || pixel < pixels; pixel += TABLE_LENGTH) {
                const count = min(TABLE_LENGTH, pixels - pixel);
                const later = isWeight ? n + row + pixel > 0 : channel > 0;
                fillPixels(sourcePixels, pixel, count, pixelRows, pixelColumns, 0, imagePitch, sourceStepH * rowPitch, pixelPitch);
                fillPixels(
                  targetPixels, pixel, count, pixelRows, pixelColumns,
                  offset << 2, stride(target, 0), targetStepH * stride(target, 2), targetStepW * stride(target, 3),
                );
                for (let g = 0; g < bandGroups; g++) {
                  const kernelGroup = (group + g) * (isInput ? sourceChannels : targetChannels) * stride(kernel, 0);
                  fillTable(kernelRows, filters, pointer(kernel, bases) + <usize>(kernelGroup + filter0 * kernelTarget << 2), kernelTarget << 2);
                  const targetGroup = ((group + g) * targetChannels + filter0) * stride(target, 1);
                  fillTable(targetRows, filters, pointer(target, bases) + <usize>(targetGroup << 2), stride(target, 1) << 2);
                  const start = <i32>base + (g * channels * channelPitch << 2);
                  fillTaps(sourceTaps, start, channels, channelPitch << 2, sourceAxis, tapsH, sourceAxis + axisW, tapsW);
                  if (steps == 0 && !isWeight) {
                    if (!later) clear(filters, count, targetRows, targetPixels);
                  } else if (isWeight) {
                    if (targetChannels == 1) rowProduct(
                      steps, count, targetRows, targetPixels, sourcePixels, sourceTaps, kernelRows, kernelTaps, true, later, workspace,
                    );
                    else if (wide) product(
                      steps, filters, count,
                      sourceTaps, sourcePixels, targetPixels, targetRows, kernelTaps, kernelRows, later, workspace,
                    );
                    else product(
                      filters, steps, count,
                      targetRows, targetPixels, sourcePixels, sourceTaps, kernelRows, kernelTaps, later, workspace,
                    );
                  } else if (targetChannels == 1) rowProduct(
                    count, steps, kernelRows, kernelTaps, sourceTaps, sourcePixels, targetRows, targetPixels, false, later, workspace,
                  );
                  else product(
                    filters, count, steps,
                    kernelRows, kernelTaps, sourceTaps, sourcePixels, targetRows, targetPixels, later, workspace, ASC_FEATURE_RELAXED_SIMD,
                  );
                }
              }
            }
          }
        }
      }
    }
  }
}
