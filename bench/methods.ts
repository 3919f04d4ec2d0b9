/**
 * `npm run methods`: every method trained at its small-scale defaults on the embedded images, and once more without what keeps it from
 * collapse: what the frozen features are worth beside an untrained encoder's, what the monitor says, and the time of a step beside VICReg's.
 * See README.md.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { memoryBytes, useBackend } from '../engine/index.ts';
import { loadDataset } from '../models/data/node.ts';
import { type MethodName, methodNamed, methods } from '../models/methods/index.ts';
import { trainingConfig } from '../models/train/config.ts';
import { scoreEncoder, scorePixels } from '../models/train/evaluate.ts';
import { diagnose } from '../models/train/monitor.ts';
import { initialEncoder, Trainer } from '../models/train/trainer.ts';
import { median } from './statistics.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '3' },
    seed: { type: 'string', default: '0' },
    encoder: { type: 'string' },
    out: { type: 'string' },
    ablations: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const chosen = (positionals.length > 0 ? positionals : Object.keys(methods)) as MethodName[];

interface Result {
  readonly linear: number;
  readonly nearest: number;
  /** Milliseconds, the median. */
  readonly step: number;
  /** Bytes of the engine after the third step, and at the end. */
  readonly bytes: readonly [early: number, late: number];
  readonly watched: string;
  readonly said: string;
}

await useBackend('wasm');
const dataset = await loadDataset('fashion-mnist-subset');
const seed = Number(options.seed);
const encoderName = options.encoder as Parameters<typeof initialEncoder>[0]['encoder'] | undefined;
/** What has been measured so far: with `--out` a table that was interrupted goes on. */
const results: Record<string, Result> = options.out && existsSync(options.out) ? JSON.parse(readFileSync(options.out, 'utf8')) : {};

function keep(name: string, result: Result): void {
  results[name] = result;
  if (!options.out) return;
  writeFileSync(`${options.out}.new`, JSON.stringify(results, null, 1));
  renameSync(`${options.out}.new`, options.out);
}

async function trained(method: MethodName, methodOptions: Readonly<Record<string, number | string>>): Promise<Result> {
  const config = trainingConfig({
    method,
    methodOptions,
    epochs: Number(options.epochs),
    seed,
    ...(encoderName && { encoder: encoderName }),
  });
  const trainer = new Trainer(config, dataset);
  const times: number[] = [];
  let early = 0;
  let last: Parameters<typeof diagnose>[0] | null = null;
  let before = performance.now();
  for await (const record of trainer.run()) {
    times.push(performance.now() - before);
    if (record.step === 3) early = await memoryBytes();
    last = { ...record, method, methodOptions: config.methodOptions };
    before = performance.now();
    if (!Number.isFinite(record.loss)) break;
  }
  const late = await memoryBytes();
  const { linear, nearest } = await scoreEncoder(trainer.encoder, dataset, { seed });
  const { watched } = methodNamed(method).advice;
  trainer.dispose();
  return {
    linear: linear!,
    nearest: nearest!,
    step: median(times.slice(3)),
    bytes: [early, late],
    watched: `${watched} ${last![watched]!.toFixed(2)}`,
    said: diagnose(last!)?.message ?? '',
  };
}

for (const method of chosen) {
  const { ablation } = methodNamed(method);
  const runs = { [method]: {}, ...(options.ablations && ablation && { [`${method} without ${ablation.of}`]: ablation.options }) };
  for (const [name, methodOptions] of Object.entries(runs)) {
    if (results[name]) continue;
    keep(name, await trained(method, methodOptions));
    console.error(name, results[name]);
  }
}

const random = await scoreEncoder(initialEncoder(trainingConfig({ seed, ...(encoderName && { encoder: encoderName }) }), 1), dataset, { seed });
const pixels = await scorePixels(dataset, { seed });
const percent = (share: number): string => (100 * share).toFixed(1);
const unit = results['vicreg']?.step;
console.log(`| ${options.epochs} epochs, seed ${seed} | linear (GAP) | over random | k-NN | watched at the end | a step, ms | beside VICReg's | bytes after 3 steps → at the end | the monitor says |`);
console.log('|---|---|---|---|---|---|---|---|---|');
for (const [name, { linear, nearest, step, bytes, watched, said }] of Object.entries(results))
  console.log(
    `| ${name} | ${percent(linear)} | ${percent(linear - random.linear!)} | ${percent(nearest)} | ${watched} | ${step.toFixed(0)} | ${unit ? (step / unit).toFixed(2) : '–'} | ${bytes.join(' → ')} | ${said} |`,
  );
console.log(`| untrained encoder | ${percent(random.linear!)} | | ${percent(random.nearest!)} | | | | | |`);
console.log(`| raw pixels | ${percent(pixels!.linear!)} | | ${percent(pixels!.nearest!)} | | | | | |`);
