/**
 * `npm run bench:folder`: a folder of 20 000 JPEGs of mixed sizes, one of them corrupt, one CMYK, one turned by EXIF, one animation beside them,
 * is trained on for two epochs, its images being decoded before, and beside: how long it is to the first step, how much of an epoch steps wait for
 * images, and what memory it needs. Each way is a process of its own. See README.md.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp, { type CreateRaw, type Sharp } from 'sharp';
import { memoryBytes, useBackend } from '../engine/index.ts';
import type { PendingRows } from '../models/data/images.ts';
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
    /** Measures this way alone, in this process, on the folder as it is. */
    way: { type: 'string' },
  },
});
const ways = { before: { background: false }, beside: { background: true } } as const;
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

/** Trains for two epochs. */
async function measure(way: keyof typeof ways): Promise<void> {
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 50);
  await useBackend('wasm');
  const started = performance.now();
  const begun = process.cpuUsage();
  /** Seconds, and those of the processors: on a machine that others use, too, the latter say more. */
  const now = (): { readonly at: number; readonly cpu: number } => {
    const { user, system } = process.cpuUsage(begun);
    return { at: seconds(started), cpu: (user + system) / 1e6 };
  };
  const shown = ({ at, cpu }: ReturnType<typeof now>): string => `${at.toFixed(1)} s (${cpu.toFixed(1)} s of processors)`;
  const dataset = await loadDataset(folder, { size, testShare: 0, ...ways[way], onRemark: (remark) => console.log(`  ${remark}`) });
  const loading = now();
  const loaded = peak;
  const { images } = dataset.train;
  let waited = 0;
  const timed = ({ ready, ...rest }: PendingRows): PendingRows => ({
    ...rest,
    ready: async (rows) => {
      const from = performance.now();
      await ready(rows);
      waited += seconds(from);
    },
  });
  const config = trainingConfig({ epochs: 2 });
  const trainer = new Trainer(config, { ...dataset, train: { ...dataset.train, ...(dataset.train.pending && { pending: timed(dataset.train.pending) }) } });
  await trainer.prepare();
  console.log(`images decoded ${way} training: ${images.shape.join('×')}, ${mebibytes(images.data.byteLength)} MiB; there to train on after ${shown(loading)}`);
  let last = { at: 0, waited: 0 };
  for await (const { step } of trainer.run()) {
    if (step > 1 && step % trainer.stepsPerEpoch !== 0) continue;
    const time = now();
    console.log(`  step ${step} done after ${shown(time)}`);
    const [length, waiting] = [time.at - last.at, waited - last.waited];
    if (step > 1) console.log(`  the ${step === trainer.stepsPerEpoch ? step - 1 : trainer.stepsPerEpoch} steps to there took ${length.toFixed(1)} s, and waited ${waiting.toFixed(2)} s of it for images to be decoded: ${((100 * waiting) / length).toFixed(2)}%`);
    last = { at: time.at, waited };
  }
  const taken = performance.now();
  for (const _ of batches({ images }, { batchSize: config.batchSize }, 0));
  console.log(`  to copy the batches of an epoch took ${seconds(taken).toFixed(2)} s`);
  clearInterval(watch);
  console.log(`  memory of the process: ${mebibytes(before)} MiB before, ${mebibytes(loaded)} at most until it was loaded, ${mebibytes(peak)} at most in all, ${mebibytes(await memoryBytes())} of it the engine's`);
  trainer.dispose();
}

if (options.way !== undefined) {
  await measure(options.way === 'before' ? 'before' : 'beside');
  process.exit(0);
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

  for (const way of Object.keys(ways)) execFileSync(process.execPath, [...process.execArgv, import.meta.filename, '--way', way, '--folder', folder, '--size', options.size], { stdio: 'inherit' });
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
