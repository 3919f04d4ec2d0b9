/**
 * `npm run emoji`: the same emoji drawn by two vendors are natural pairs. One encoder for each vendor learns, by VICReg with branches of their own, to
 * give a drawing and its other drawing the same embedding; then the drawings of one vendor are sought by those of the other, among emoji that
 * neither encoder has seen, and among all. See README.md.
 */
import { parseArgs } from 'node:util';
import { compile, type HostArray, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import type { AugmentationName } from '../../models/augment/index.ts';
import { type ImageDataset, normalizeImages, picturesOf, takeSplit } from '../../models/data/images.ts';
import { loadDataset } from '../../models/data/node.ts';
import { nearestNeighbours } from '../../models/evaluate/classify.ts';
import type { EncoderName } from '../../models/nn/encoders.ts';
import { trainingConfig } from '../../models/train/config.ts';
import { features } from '../../models/train/evaluate.ts';
import { initialEncoder, Trainer } from '../../models/train/trainer.ts';
import { standardizeChannels, toUnit } from '../../models/train/views.ts';

const { values: options } = parseArgs({
  options: {
    epochs: { type: 'string', default: '40' },
    batch: { type: 'string', default: '64' },
    expander: { type: 'string', default: '256-256-128' },
    lr: { type: 'string', default: '0.003' },
    encoder: { type: 'string', default: 'small-conv' },
    augment: { type: 'string', default: 'light' },
    size: { type: 'string', default: '32' },
    seed: { type: 'string', default: '0' },
    /** Scores emoji that are kept out of training, but not the held-out ones: for choosing a recipe. */
    validate: { type: 'boolean', default: false },
  },
});

const folderOf = (vendor: string): string => new URL(`node_modules/emoji-datasource-${vendor}/img/${vendor}/64`, import.meta.url).pathname;

/** A fifth of the emoji is held out, with all of its skin tones, and another tenth for validation. */
interface Split {
  readonly learned: readonly number[];
  readonly heldOut: readonly number[];
  readonly all: readonly number[];
}

function splitOf(dataset: ImageDataset, validate: boolean): Split {
  const bases = dataset.files!.train.map((file) => file.replaceAll(/-1f3f[b-f]|\.png$/g, ''));
  const tenth = (base: string): number =>
    [...base].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0, 2166136261) % 10;
  const rows = (wanted: (tenth: number) => boolean): number[] => bases.flatMap((base, row) => (wanted(tenth(base)) ? [row] : []));
  return {
    learned: rows((part) => part > (validate ? 2 : 1)),
    heldOut: rows((part) => (validate ? part === 2 : part < 2)),
    all: validate ? rows((part) => part >= 2) : bases.map((_, row) => row),
  };
}

/** Each dimension less its mean, over its deviation, of the drawings that were learned from. */
function standardized({ shape: [n, d], data }: HostArray, learned: readonly number[]): HostArray {
  const result = new Float32Array(n! * d!);
  for (let j = 0; j < d!; j++) {
    const values = learned.map((row) => data[row * d! + j]!);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) || 1;
    for (let row = 0; row < n!; row++) result[row * d! + j] = (data[row * d! + j]! - mean) / deviation;
  }
  return { dtype: 'f32', shape: [n!, d!], data: result };
}

/** The share of drawings of one vendor whose nearest drawing of the other is the same emoji, both ways. */
async function retrieval([a, b]: readonly [HostArray, HostArray], rows: readonly number[]): Promise<[number, number]> {
  const labels: HostArray = { dtype: 'i32', shape: [rows.length], data: Int32Array.from(rows, (_, i) => i) };
  const part = (x: HostArray) => ({ features: takeSplit({ images: x }, rows).images, labels });
  const sought = async (bank: HostArray, queries: HostArray): Promise<number> =>
    (await nearestNeighbours(part(bank), part(queries), { k: 1 })).accuracy;
  return [await sought(b, a), await sought(a, b)];
}

/** Rows of what `embed` makes of each vendor's drawings. */
async function embeddings(
  pictures: readonly HostArray[],
  embed: (images: Tensor, vendor: number) => Tensor,
): Promise<[HostArray, HostArray]> {
  const [first, second] = await Promise.all(
    pictures.map(async ({ dtype, shape: [n, ...image], data }, vendor) => {
      const forward = compile((images: Tensor) => embed(images, vendor));
      const size = image.reduce((product, side) => product * side, 1);
      const rows: Float32Array[] = [];
      for (let at = 0; at < n!; at += 500) {
        const count = Math.min(500, n! - at);
        using z = await forward(tensor({ dtype, shape: [count, ...image], data: data.subarray(at * size, (at + count) * size) }));
        rows.push(Float32Array.from(await z.data()));
      }
      forward.dispose();
      const all = Float32Array.from(rows.flatMap((row) => [...row]));
      return { dtype: 'f32', shape: [n!, all.length / n!], data: all } satisfies HostArray;
    }),
  );
  return [first!, second!];
}

await useBackend('wasm');
const [google, twitter] = [folderOf('google'), folderOf('twitter')];
const dataset = await loadDataset(google, {
  pairs: twitter,
  size: Number(options.size),
  whole: true,
  onRemark: (remark) => console.log(remark),
});
const { learned, heldOut, all } = splitOf(dataset, options.validate);
const train = { ...dataset, train: takeSplit(dataset.train, learned) };
const [seed, epochs] = [Number(options.seed), Number(options.epochs)];
const config = trainingConfig({
  method: 'vicreg',
  methodOptions: { branches: 'separate' },
  encoder: options.encoder as EncoderName,
  augmentation: options.augment as AugmentationName,
  batchSize: Number(options.batch),
  learningRate: Number(options.lr),
  widths: options.expander.split('-').map(Number),
  epochs,
  seed,
});
const trainer = new Trainer(config, train);
console.log(
  `${all.length} emoji; ${train.train.images.shape[0]} to learn from, ${heldOut.length} held out; ${trainer.steps} steps of ${config.batchSize}`,
);
const started = performance.now();
for await (const { step, epoch, loss, parts, deviation } of trainer.run())
  if (step % trainer.stepsPerEpoch === 0 && (epoch + 1) % 10 === 0)
    console.log(`epoch ${epoch + 1}: loss ${loss.toFixed(2)}, invariance ${parts['invariance']!.toFixed(3)}, std ${deviation.toFixed(2)}`);
console.log(`trained in ${((performance.now() - started) / 1000).toFixed(0)} s`);

const pictures = picturesOf(dataset.train);
const scaled = (images: Tensor): Tensor => standardizeChannels(toUnit(images), dataset);
const untrained = initialEncoder(config, 3);
const drawn = async (what: 'pooled' | 'pooled2x2'): Promise<[HostArray, HostArray]> => {
  const [a, b] = await Promise.all(pictures.map((images) => features(untrained, images, dataset)));
  return [a![what], b![what]];
};
const flat = (images: HostArray): HostArray => ({
  dtype: 'f32',
  shape: [images.shape[0]!, images.data.length / images.shape[0]!],
  data: normalizeImages(images, dataset).data,
});
const methods: Readonly<Record<string, () => Promise<[HostArray, HostArray]>>> = {
  'two encoders, trained': () => embeddings(pictures, (images, vendor) => trainer.learner.embed(scaled(images), vendor)!),
  'random encoder, the same for both': () => drawn('pooled'),
  'the same, pooled to 2×2': () => drawn('pooled2x2'),
  'raw pixels': async () => [flat(pictures[0]!), flat(pictures[1]!)],
};
const percent = (part: number): string => (100 * part).toFixed(1);
console.log(
  `\n| top-1, % | ${heldOut.length} held out: Google → Twitter | Twitter → Google | all ${all.length}: Google → Twitter | Twitter → Google |\n|---|---|---|---|---|`,
);
for (const [name, make] of Object.entries(methods)) {
  const z = (await make()).map((rows) => standardized(rows, learned)) as [HostArray, HostArray];
  const cells = [...(await retrieval(z, heldOut)), ...(await retrieval(z, all))].map(percent);
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
console.log(`| chance | ${[heldOut, heldOut, all, all].map((rows) => percent(1 / rows.length)).join(' | ')} |`);
process.exit(0);
