/**
 * `npm run few-labels -- [RUN …]`: what features are worth with few labels on the embedded images: those of the encoders that `tensegrity train` left
 * in run folders, of an untrained one beside each, and the pixels. See README.md.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type HostArray, useBackend } from '../engine/index.ts';
import { normalizeImages, takeRows } from '../models/data/images.ts';
import { balancedSubset } from '../models/data/loader.ts';
import { loadDataset } from '../models/data/node.ts';
import { type LabelledFeatures, linearProbe } from '../models/evaluate/classify.ts';
import { fewLabels } from '../models/evaluate/fewLabels.ts';
import { readSafetensors } from '../models/io/node.ts';
import type { TrainingConfig } from '../models/train/config.ts';
import { features } from '../models/train/evaluate.ts';
import { initialEncoder } from '../models/train/trainer.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { 'per-class': { type: 'string', default: '1,2,5,10,50' }, draws: { type: 'string', default: '10' } },
});
const perClass = values['per-class'].split(',').map(Number);
const draws = Number(values.draws);

await useBackend('wasm');
const dataset = await loadDataset('fashion-mnist-subset');
const { train, test } = { train: dataset.train, test: dataset.test! };
const count = train.images.shape[0]!;
/** The number of labels a class whose probe is also done without a penalty. */
const UNPENALISED = 10;

const rows: [name: string, train: HostArray, test: HostArray][] = [];
for (const folder of positionals) {
  const { training } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { training: TrainingConfig };
  for (const trained of [true, false]) {
    const encoder = initialEncoder(training, 1);
    if (trained) encoder.loadStateDict((await readSafetensors(join(folder, 'encoder.safetensors'))).tensors);
    const [bank, queries] = [await features(encoder, train.images, dataset), await features(encoder, test.images, dataset)];
    const name = trained ? folder : `${training.encoder}, untrained`;
    rows.push([`${name}, GAP`, bank.pooled, queries.pooled], [`${name}, 2×2`, bank.pooled2x2, queries.pooled2x2]);
    encoder.dispose();
  }
}
const flat = (images: HostArray): HostArray => {
  const { data } = normalizeImages(images, dataset);
  return { dtype: 'f32', shape: [images.shape[0]!, data.length / images.shape[0]!], data };
};
rows.push(['pixels', flat(train.images), flat(test.images)]);

const percent = (share: number): string => (100 * share).toFixed(1);
const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;

/** The linear probe of the large table, of few labels: nothing but its epochs keeps it from learning them by heart. */
async function unpenalised(bank: LabelledFeatures, queries: LabelledFeatures): Promise<number> {
  const accuracies: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const chosen = balancedSubset(bank.labels, (UNPENALISED * 10) / count, draw);
    const few = { features: takeRows(bank.features, chosen), labels: takeRows(bank.labels, chosen) };
    accuracies.push((await linearProbe(few, queries)).accuracy);
  }
  return mean(accuracies);
}

const header = ['', ...perClass.map((labels) => `${labels} a class: ridge / k-NN`), `${UNPENALISED} a class: without a penalty`];
console.log(`| ${header.join(' | ')} |\n|${header.map(() => '---').join('|')}|`);
for (const [name, bank, queries] of rows) {
  const splits = [
    { features: bank, labels: train.labels! },
    { features: queries, labels: test.labels! },
  ] as const;
  const cells: string[] = [];
  for (const labels of perClass) {
    const { linear, nearest } = await fewLabels(...splits, { fraction: (labels * 10) / count, draws });
    cells.push(`${percent(linear)} / ${percent(nearest)}`);
  }
  console.log(`| ${[name, ...cells, percent(await unpenalised(...splits))].join(' | ')} |`);
}
