#!/usr/bin/env node
/**
 * Made data/fashion-mnist-subset from the whole set: the first images of each class, kept in their original order.
 *
 *   node scripts/make-subset.mjs <folder of the original .gz files> [<output folder>]
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

const [source, target = 'data/fashion-mnist-subset'] = process.argv.slice(2);
if (source === undefined) throw new Error('usage: node scripts/make-subset.mjs <folder of the original .gz files> [<output folder>]');

const splits = [
  { name: 'train', perClass: 1000 },
  { name: 't10k', perClass: 200 },
];
const labelHeaderBytes = 8;
const imageHeaderBytes = 16;
const imageBytes = 28 * 28;

function withCount(header, count) {
  const copy = Buffer.from(header);
  copy.writeUInt32BE(count, 4);
  return copy;
}

function firstOfEachClass(labels, perClass) {
  const seen = new Map();
  const chosen = [];
  for (const [index, label] of labels.entries()) {
    const count = seen.get(label) ?? 0;
    if (count === perClass) continue;
    seen.set(label, count + 1);
    chosen.push(index);
  }
  return chosen;
}

mkdirSync(target, { recursive: true });
for (const { name, perClass } of splits) {
  const labelFile = `${name}-labels-idx1-ubyte.gz`;
  const imageFile = `${name}-images-idx3-ubyte.gz`;
  const labels = gunzipSync(readFileSync(join(source, labelFile)));
  const images = gunzipSync(readFileSync(join(source, imageFile)));
  const classes = labels.subarray(labelHeaderBytes);
  const pixels = images.subarray(imageHeaderBytes);
  const chosen = firstOfEachClass(classes, perClass);
  const imageOf = (index) => pixels.subarray(index * imageBytes, (index + 1) * imageBytes);
  const write = (file, parts) => writeFileSync(join(target, file), gzipSync(Buffer.concat(parts), { level: 9 }));
  write(labelFile, [withCount(labels.subarray(0, labelHeaderBytes), chosen.length), Uint8Array.from(chosen, (index) => classes[index])]);
  write(imageFile, [withCount(images.subarray(0, imageHeaderBytes), chosen.length), ...chosen.map(imageOf)]);
}
