import { deflateSync } from 'node:zlib';
import type { HostArray } from '../../engine/dtype.ts';
import { type Html, html } from './html.ts';

/** Pixels, row by row: grey, RGB, or places in a palette. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
  /** RGBA by place; pixels are one byte then. */
  readonly palette?: readonly (readonly [red: number, green: number, blue: number, alpha: number])[];
}

/** PNG's types of colour (RFC 2083, §4.1.1), by what the pixels are. */
const COLOUR_TYPES = { grey: 0, rgb: 2, palette: 3 } as const;

/**
 * A PNG of 8 bits a channel. Each row may be filtered in four ways (Paeth's is left out); whichever makes the whole image smallest is taken, and none for
 * a palette, whose places are no amounts. (RFC 2083)
 */
export function png({ width, height, pixels, palette }: Raster): Uint8Array {
  const channels = pixels.length / (width * height || 1);
  const stride = width * channels;
  const filtered = (filter: number): Uint8Array => {
    const rows = new Uint8Array(height * (stride + 1));
    for (let y = 0; y < height; y++) {
      rows[y * (stride + 1)] = filter;
      for (let i = 0; i < stride; i++) {
        const left = i < channels ? 0 : pixels[y * stride + i - channels]!;
        const above = y === 0 ? 0 : pixels[(y - 1) * stride + i]!;
        const expected = [0, left, above, (left + above) >> 1][filter]!;
        rows[y * (stride + 1) + 1 + i] = pixels[y * stride + i]! - expected;
      }
    }
    return deflateSync(rows, { level: 9 });
  };
  const packed = (palette ? [0] : [0, 1, 2, 3]).map(filtered).reduce((best, next) => (next.length < best.length ? next : best));
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, COLOUR_TYPES[palette ? 'palette' : channels === 3 ? 'rgb' : 'grey']], 8);
  return Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    ...(palette
      ? [
          chunk('PLTE', Uint8Array.from(palette.flatMap((colour) => colour.slice(0, 3)))),
          chunk(
            'tRNS',
            Uint8Array.from(palette, ([, , , a]) => a),
          ),
        ]
      : []),
    chunk('IDAT', packed),
    chunk('IEND', new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const whole = Buffer.alloc(data.length + 12);
  whole.writeUInt32BE(data.length, 0);
  whole.write(type, 4, 'latin1');
  whole.set(data, 8);
  whole.writeUInt32BE(crc32(whole.subarray(4, 8 + data.length)), 8 + data.length);
  return whole;
}

/** As PNG sums its chunks up. (RFC 2083, §15; Node has it from 20.15 on) */
function crc32(bytes: Uint8Array): number {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** An image as an address that holds it. */
export function dataAddress(raster: Raster): string {
  return `data:image/png;base64,${Buffer.from(png(raster)).toString('base64')}`;
}

/** A picture in a page; `says` is what it shows, in words. */
export function imageTag(raster: Raster, says: string): Html {
  return html`<img src="${dataAddress(raster)}" width="${raster.width}" height="${raster.height}" alt="${says}" title="${says}">`;
}

/** Images are shown no larger than this, so that a page stays small. */
const LARGEST_SIDE = 32;

/**
 * Images [N, C, H, W] as rasters: grey where there are not three channels (the first of them), means over blocks where they are large. Float images are
 * scaled from the least to the largest value of all that are given; what is not finite is black.
 */
export function rasters({ dtype, shape, data }: HostArray): Raster[] {
  const [count = 0, channels = 1, height = 1, width = 1] = shape;
  const shown = channels === 3 ? 3 : 1;
  const [plane, size] = [height * width, channels * height * width];
  const block = Math.max(1, Math.ceil(Math.max(height, width) / LARGEST_SIDE));
  const [rows, columns] = [Math.ceil(height / block), Math.ceil(width / block)];
  const [low, high] = dtype === 'u8' ? [0, 255] : rangeOf(data);
  const meanOf = (start: number, top: number, left: number): number => {
    let [sum, count] = [0, 0];
    for (let y = top; y < Math.min(height, top + block); y++)
      for (let x = left; x < Math.min(width, left + block); x++, count++) sum += data[start + y * width + x]!;
    return sum / count;
  };
  return Array.from({ length: count }, (_, index) => {
    const pixels = new Uint8ClampedArray(rows * columns * shown);
    for (let channel = 0; channel < shown; channel++)
      for (let y = 0; y < rows; y++)
        for (let x = 0; x < columns; x++)
          pixels[(y * columns + x) * shown + channel] =
            ((meanOf(index * size + channel * plane, y * block, x * block) - low) / (high - low || 1)) * 255;
    return { width: columns, height: rows, pixels: new Uint8Array(pixels.buffer) };
  });
}

function rangeOf(values: ArrayLike<number>): [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++)
    if (Number.isFinite(values[i]!)) [low, high] = [Math.min(low, values[i]!), Math.max(high, values[i]!)];
  return low <= high ? [low, high] : [0, 1];
}
