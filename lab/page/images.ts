import type { Pictures } from '../training/protocol.ts';

/** One of the pictures, as a canvas takes it. */
export function imageData({ channels, height, width, pixels }: Pictures, index: number): ImageData {
  const image = new ImageData(width, height);
  const area = height * width;
  const from = index * channels * area;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = pixels[from + (channels === 1 ? 0 : channel * area) + i]!;
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** All of them in one canvas, `columns` in a row, for a texture or a strip. */
export function atlas(pictures: Pictures, columns: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = columns * pictures.width;
  canvas.height = Math.ceil(pictures.count / columns) * pictures.height;
  const context = canvas.getContext('2d')!;
  for (let i = 0; i < pictures.count; i++) {
    context.putImageData(imageData(pictures, i), (i % columns) * pictures.width, Math.floor(i / columns) * pictures.height);
  }
  return canvas;
}
