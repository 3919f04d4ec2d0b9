import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';

export const gridSample: Runner<'gridSample'> = ({ padding, alignCorners, inputs: [image], outputs: [target] }, x, grid) => {
  const [, channels = 0, height = 0, width = 0] = image!.shape;
  const [, , outHeight = 0, outWidth = 0] = target!.shape;
  // From −1…1 to pixels: corner pixels' centres at ±1, or their outer edges.
  const toPixel = (coordinate: number, extent: number) => {
    const pixel = alignCorners ? ((coordinate + 1) / 2) * (extent - 1) : ((coordinate + 1) * extent - 1) / 2;
    return padding === 'border' ? Math.min(extent - 1, Math.max(0, pixel)) : pixel;
  };
  const points = outHeight * outWidth;
  const out = new Float64Array(sizeOf(target!.shape));
  for (let i = 0; i < out.length; i++) {
    const pair = 2 * (Math.floor(i / (points * channels)) * points + (i % points));
    const plane = Math.floor(i / points) * height * width;
    const column = toPixel(grid![pair]!, width);
    const row = toPixel(grid![pair + 1]!, height);
    // Not of their sum, which is NaN for ∞ and −∞ too: such a place is merely outside.
    if (Number.isNaN(column) || Number.isNaN(row)) out[i] = NaN;
    for (const [u, rowWeight] of corners(row, height)) {
      for (const [v, columnWeight] of corners(column, width)) out[i]! += rowWeight * columnWeight * x![plane + u * width + v]!;
    }
  }
  return [out];
};

/** The pixels on either side of a place, with their weights; those outside the image are left out. */
function corners(place: number, extent: number): [pixel: number, weight: number][] {
  const below = Math.floor(place);
  const pairs: [number, number][] = [
    [below, below + 1 - place],
    [below + 1, place - below],
  ];
  return pairs.filter(([pixel]) => pixel >= 0 && pixel < extent);
}
