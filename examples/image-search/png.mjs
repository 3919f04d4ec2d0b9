/**
 * PNG → pixels, for platforms that decode no images: 8 bits a channel, not interlaced, which is what canvases, cameras' exports and sharp write. (RFC 2083)
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Channels by type of colour: grey, RGB, palette, grey and alpha, RGBA. */
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Larger images are refused before anything is inflated: a few bytes can stand for gigabytes. */
const MOST_PIXELS = 1 << 22;

function demand(condition, message) {
  if (!condition) throw new TypeError(message);
}

/** @returns RGB, row by row; alpha is dropped. @throws TypeError for anything that is no such PNG, or is cut short. */
export async function decodePng(bytes) {
  demand(bytes.length > 45 && SIGNATURE.every((byte, i) => bytes[i] === byte), 'the body is no PNG');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [bits, colour, interlaced] = [bytes[24], bytes[25], bytes[28]];
  const channels = CHANNELS[colour];
  demand(bits === 8 && channels && interlaced === 0, 'the PNG must have 8 bits a channel and not be interlaced');
  demand(width > 0 && height > 0 && width * height <= MOST_PIXELS, `the PNG has ${width}×${height} pixels, of at most ${MOST_PIXELS}`);
  const parts = [];
  let palette = new Uint8Array();
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'IDAT') parts.push(content);
    if (type === 'PLTE') palette = content;
    at += 12 + length;
  }
  const stride = width * channels;
  const rows = await inflate(new Blob(parts), height * (stride + 1));
  const raw = unfilter(rows, height, stride, channels);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < 3; k++) {
      pixels[3 * i + k] = colour === 3 ? palette[3 * raw[i] + k] : raw[i * channels + (channels > 2 ? k : 0)];
    }
  }
  return { width, height, pixels };
}

/** Inflates to exactly so many bytes, and holds no more. */
async function inflate(blob, length) {
  const rows = new Uint8Array(length);
  const reader = blob.stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      demand(filled + value.length <= length, 'the PNG holds more rows than it says');
      rows.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    throw new TypeError(`the PNG is damaged: ${error.message}`);
  } finally {
    reader.cancel().catch(() => undefined);
  }
  demand(filled === length, 'the PNG holds fewer rows than it says');
  return rows;
}

/** What each of the five filters expects of a byte, from those to the left, above, and above to the left. */
const expectations = [
  () => 0,
  (left) => left,
  (_, above) => above,
  (left, above) => (left + above) >> 1,
  (left, above, corner) => {
    const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
    return a <= b && a <= c ? left : b <= c ? above : corner;
  },
];

function unfilter(rows, height, stride, channels) {
  const raw = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const expected = expectations[rows[y * (stride + 1)]];
    demand(expected, `row ${y} of the PNG has an unknown filter`);
    for (let i = 0; i < stride; i++) {
      const at = y * stride + i;
      const [left, above] = [i < channels ? 0 : raw[at - channels], y === 0 ? 0 : raw[at - stride]];
      const corner = i < channels || y === 0 ? 0 : raw[at - stride - channels];
      raw[at] = rows[at + y + 1] + expected(left, above, corner);
    }
  }
  return raw;
}

/**
 * The middle square of an image, scaled to `[C, size, size]` by averages over areas, as an encoder takes it: one channel is the mean of three.
 */
export function thumbnail({ width, height, pixels }, [channels, rows, columns]) {
  const scale = Math.min(width / columns, height / rows);
  const [x0, y0] = [(width - scale * columns) / 2, (height - scale * rows) / 2];
  const sums = new Float64Array(channels * rows * columns);
  const each = (place, start, last, visit) => {
    const [from, to] = [start + place * scale, start + (place + 1) * scale];
    for (let i = Math.floor(from); i < Math.min(Math.ceil(to), last); i++) visit(i, Math.min(to, i + 1) - Math.max(from, i));
  };
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      each(y, y0, height, (i, tall) =>
        each(x, x0, width, (j, wide) => {
          for (let k = 0; k < 3; k++) {
            const share = (tall * wide * channels) / (3 * scale * scale);
            sums[((k % channels) * rows + y) * columns + x] += share * pixels[3 * (i * width + j) + k];
          }
        }),
      );
    }
  }
  return Uint8Array.from(sums, Math.round);
}
