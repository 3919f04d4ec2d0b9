/**
 * `npm run tune -- '{"epochs": 3, …}'`: settings tried on a split of the embedded training images, 8000 to learn of and 2000 to be judged by, so that
 * the test images have no part in a choice. Settings are a TrainingConfig's; without any it is the pixels. See README.md.
 */
import { parseArgs } from 'node:util';
import { useBackend } from '../engine/index.ts';
import { takeSplit } from '../models/data/images.ts';
import { loadDataset } from '../models/data/node.ts';
import { trainingConfig } from '../models/train/config.ts';
import { type FeatureScores, scoreEncoder, scorePixels } from '../models/train/evaluate.ts';
import { Trainer } from '../models/train/trainer.ts';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { seeds: { type: 'string', default: '0' } } });
const LEARNED = 8000;

await useBackend('wasm');
const whole = await loadDataset('fashion-mnist-subset');
const rows = (from: number, to: number): Int32Array => Int32Array.from({ length: to - from }, (_, i) => from + i);
const dataset = {
  ...whole,
  train: takeSplit(whole.train, rows(0, LEARNED)),
  test: takeSplit(whole.train, rows(LEARNED, whole.train.images.shape[0]!)),
};

const percent = (share: number | null | undefined): string => (share == null ? '–' : (100 * share).toFixed(1));
const show = (name: string, { linear, linear2x2, nearest, few }: FeatureScores): void =>
  console.log(`| ${[name, ...[linear, linear2x2, nearest, few?.linear, few?.linear2x2, few?.nearest].map(percent)].join(' | ')} |`);

console.log('| settings | linear (GAP) | linear (2×2) | k-NN | 1%: linear (GAP) | 1%: linear (2×2) | 1%: k-NN |\n|---|---|---|---|---|---|---|');
if (positionals.length === 0) show('pixels', (await scorePixels(dataset))!);
for (const settings of positionals) {
  for (const seed of values.seeds.split(',').map(Number)) {
    const trainer = new Trainer(trainingConfig({ ...JSON.parse(settings), seed }), dataset);
    for await (const { loss } of trainer.run()) if (!Number.isFinite(loss)) break;
    show(`\`${settings}\`, seed ${seed}`, await scoreEncoder(trainer.encoder, dataset, { seed }));
    trainer.dispose();
  }
}
