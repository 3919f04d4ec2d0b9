import { decodePng, thumbnail } from './png.mjs';

/**
 * @param embed the loaded plan of an encoder, for one image a call
 * @param index the features of all images, f32 [N, width]
 * @param names what the images are called, by row
 * @returns PNG bytes → the k nearest images by cosine, best first, as `[{ name, score }, …]`
 */
export function imageSearch(embed, { shape: [count, width], data }, names, k = 5) {
  const [[{ shape }]] = embed.signatures;
  if (names.length !== count) throw new Error(`the index has ${count} rows, and there are ${names.length} names`);
  // What all images share says nothing of which are alike.
  const mean = Float64Array.from({ length: width }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += data[i * width + j];
    return sum / count;
  });
  const unit = (row) => {
    const centred = row.map((value, j) => value - mean[j]);
    const length = Math.hypot(...centred) || 1;
    return centred.map((value) => value / length);
  };
  const rows = Array.from({ length: count }, (_, i) => unit(Float64Array.from(data.subarray(i * width, (i + 1) * width))));

  return async (bytes) => {
    const pixels = thumbnail(await decodePng(bytes), shape.slice(1));
    const { features } = await embed({ dtype: 'u8', shape, data: pixels });
    const query = unit(Float64Array.from(features.data));
    const scores = rows.map((row, i) => ({ name: names[i], score: row.reduce((sum, value, j) => sum + value * query[j], 0) }));
    return scores.sort((a, b) => b.score - a.score).slice(0, k);
  };
}
