/**
 * `npm run bench:folder`: a folder of 20 000 JPEGs of mixed sizes, one of them corrupt, one CMYK, one turned by EXIF, one animation beside them,
 * is decoded and trained on for an epoch: how long that takes, how much of it a step waits for images, and what memory it needs. See README.md.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp, { type CreateRaw, type Sharp } from 'sharp';
import { memoryBytes, useBackend } from '../engine/index.ts';
import { batches } from '../models/data/loader.ts';
import { loadDataset } from '../models/data/node.ts';
import { trainingConfig } from '../models/train/config.ts';
import { Trainer } from '../models/train/trainer.ts';

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    size: { type: 'string', default: '32' },
    /** Where the JPEGs are drawn, and kept; what is there already is not drawn again. */
    folder: { type: 'string' },
  },
});
const [count, size] = [Number(options.count), Number(options.size)];
const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tensegrity-folder-'));
const seconds = (from: number): number => (performance.now() - from) / 1000;
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/** Number `i`: patches of colour, 64 to 1024 pixels a side, the same each time. */
function picture(i: number): Sharp {
  const side = (factor: number): number => 64 + ((i * factor) % 961);
  const patches = Uint8Array.from({ length: 8 * 8 * 3 }, (_, at) => (Math.imul(i + 1, 2654435761) >>> (at % 24)) + at * (i % 17));
  return sharp(patches, { raw: { width: 8, height: 8, channels: 3 } }).resize(side(7919), side(104729), { fit: 'fill' });
}

try {
  let next = 0;
  let bytes = 0;
  const write = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const name = join(folder, `class${i % 10}`, `${i}.jpg`);
      mkdirSync(join(folder, `class${i % 10}`), { recursive: true });
      if (!existsSync(name)) {
        const drawn = i === 1 ? picture(i).toColourspace('cmyk') : i === 2 ? picture(i).withMetadata({ orientation: 6 }) : picture(i);
        const content = await drawn.jpeg().toBuffer();
        writeFileSync(name, i === 0 ? content.subarray(0, content.length / 2) : content);
      }
      bytes += statSync(name).size;
    }
  };
  await Promise.all([write(), write(), write(), write()]);
  const frames = Buffer.concat([await picture(3).resize(64, 64).raw().toBuffer(), await picture(4).resize(64, 64).raw().toBuffer()]);
  await sharp(frames, { raw: { width: 64, height: 128, channels: 3, pageHeight: 64 } as CreateRaw }).gif({ delay: [100, 100] }).toFile(join(folder, 'class0', 'animated.gif'));
  console.log(`${count} JPEGs of 64 to 1024 pixels a side, ${mebibytes(bytes)} MiB, and an animation`);

  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 50);
  const started = performance.now();
  const dataset = await loadDataset(folder, { size, testShare: 0, onRemark: (remark) => console.log(remark) });
  const loading = seconds(started);
  const { images } = dataset.train;
  console.log(`decoded to ${images.shape.join('×')}, ${mebibytes(images.data.byteLength)} MiB, in ${loading.toFixed(1)} s: ${(images.shape[0]! / loading).toFixed(0)} images/s`);
  console.log(`memory of the process: ${mebibytes(before)} MiB before, ${mebibytes(peak)} at most while it decoded`);

  await useBackend('wasm');
  const config = trainingConfig({ epochs: 1 });
  const trainer = new Trainer(config, dataset);
  await trainer.prepare();
  const afterDecoding = peak;
  peak = 0;
  const trained = performance.now();
  for await (const _ of trainer.run()) if (peak === 0) peak = process.memoryUsage.rss();
  const epoch = seconds(trained);
  const taken = performance.now();
  let steps = 0;
  for (const _ of batches(dataset.train, { batchSize: config.batchSize }, 0)) steps++;
  const waiting = seconds(taken);
  clearInterval(watch);
  console.log(`an epoch of ${steps} steps took ${epoch.toFixed(1)} s, of which the steps waited ${waiting.toFixed(2)} s for their images: ${((100 * waiting) / epoch).toFixed(2)}%`);
  for (const epochs of [1, 10]) console.log(`of a run of ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'} decoding is ${((100 * loading) / (loading + epochs * epoch)).toFixed(1)}%`);
  console.log(`memory of the process: ${mebibytes(Math.max(peak, afterDecoding))} MiB at most while it trained too, ${mebibytes(await memoryBytes())} of it the engine's`);
  trainer.dispose();
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
