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
import { type FeatureScores, scoreEncoder, scorePixels } from '../models/train/evaluate.ts';
import { diagnose, signs } from '../models/train/monitor.ts';
import { initialEncoder, type StepRecord, Trainer } from '../models/train/trainer.ts';
import { median } from './statistics.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '3' },
    seed: { type: 'string', default: '0' },
    encoder: { type: 'string' },
    threads: { type: 'string' },
    out: { type: 'string' },
    ablations: { type: 'boolean', default: true },
    'add-variance': { type: 'string', default: '0' },
    'add-covariance': { type: 'string', default: '0' },
  },
  allowNegative: true,
});
const chosen = (positionals.length > 0 ? positionals : Object.keys(methods)) as MethodName[];

interface Result {
  readonly linear: number;
  readonly nearest: number;
  /** Of what was trained. */
  readonly run?: Run;
}

interface Run {
  readonly method: MethodName;
  readonly methodOptions: Readonly<Record<string, number | string>>;
  /** Milliseconds, the median. */
  readonly step: number;
  /** Bytes of the engine after the third step, and at the end. */
  readonly bytes: readonly [early: number, late: number];
  /** What was measured of a few steps after the warm-up, and of the last. What the monitor says of it is said anew each time. */
  readonly seen: readonly Seen[];
}

type Seen = Pick<StepRecord, 'step' | 'loss' | 'deviation' | 'normalizedDeviation' | 'correlation'>;

/** How many steps of a run are kept. */
const KEPT = 50;

await useBackend('wasm', options.threads === undefined ? {} : { threads: Number(options.threads) });
const dataset = await loadDataset('fashion-mnist-subset');
const seed = Number(options.seed);
const [addVariance, addCovariance] = [Number(options['add-variance']), Number(options['add-covariance'])];
/** What is added to each method. */
const added = `${addVariance ? ` + ${addVariance} variance` : ''}${addCovariance ? ` + ${addCovariance} covariance` : ''}`;
const encoderName = options.encoder as Parameters<typeof initialEncoder>[0]['encoder'] | undefined;
/** What has been measured so far: with `--out` a table that was interrupted goes on. */
let results: Readonly<Record<string, Result>> = before();

function before(): typeof results {
  return options.out && existsSync(options.out) ? JSON.parse(readFileSync(options.out, 'utf8')) : {};
}

/** What `measure` gives, unless it has been measured. */
async function kept(name: string, measure: () => Promise<Result>): Promise<Result> {
  if (results[name]) return results[name];
  const result = await measure();
  // Another process may add to the same file.
  results = { ...results, ...before(), [name]: result };
  console.error(name, percent(result.linear), percent(result.nearest));
  if (options.out) {
    writeFileSync(`${options.out}.new`, JSON.stringify(results));
    renameSync(`${options.out}.new`, options.out);
  }
  return result;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

async function trained(method: MethodName, methodOptions: Readonly<Record<string, number | string>>): Promise<Result> {
  const config = trainingConfig({
    method,
    methodOptions,
    epochs: Number(options.epochs),
    seed,
    addVariance,
    addCovariance,
    ...(encoderName && { encoder: encoderName }),
  });
  const trainer = new Trainer(config, dataset);
  const times: number[] = [];
  let early = 0;
  const seen: Seen[] = [];
  const every = Math.ceil(trainer.steps / KEPT);
  let start = performance.now();
  for await (const record of trainer.run()) {
    times.push(performance.now() - start);
    if (record.step === 3) early = await memoryBytes();
    const { step, loss, deviation, normalizedDeviation, correlation } = record;
    const last = step === trainer.steps || !Number.isFinite(loss);
    if (last || (step > config.warmup * trainer.steps && step % every === 0)) seen.push({ step, loss, deviation, normalizedDeviation, correlation });
    start = performance.now();
    if (!Number.isFinite(loss)) break;
  }
  const late = await memoryBytes();
  const { linear, nearest } = await scoreEncoder(trainer.encoder, dataset, { seed });
  trainer.dispose();
  return {
    linear: linear!,
    nearest: nearest!,
    run: { method, methodOptions: config.methodOptions, step: median(times.slice(3)), bytes: [early, late], seen },
  };
}

for (const method of chosen) {
  const { ablation } = methodNamed(method);
  const runs = { [`${method}${added}`]: {}, ...(options.ablations && { [`${method} without ${ablation.of}${added}`]: ablation.options }) };
  for (const [name, methodOptions] of Object.entries(runs)) await kept(name, () => trained(method, methodOptions));
}
const scored = ({ linear, nearest }: FeatureScores): Result => ({ linear: linear!, nearest: nearest! });
const random = await kept('untrained encoder', async () =>
  scored(await scoreEncoder(initialEncoder(trainingConfig({ seed, ...(encoderName && { encoder: encoderName }) }), 1), dataset, { seed })),
);
await kept('raw pixels', async () => scored((await scorePixels(dataset, { seed }))!));

/** What is watched, at the end and within which range after the warm-up; and what the monitor says, at the end and how often. */
function health({ method, methodOptions, seen }: Run): readonly [watched: string, said: string] {
  const { watched } = methodNamed(method).advice;
  const { of, threshold } = signs[watched];
  const values = seen.map((step) => step[of]);
  const warnings = seen.map((step) => diagnose({ ...step, method, methodOptions }));
  const [least, most, last] = [Math.min(...values), Math.max(...values), values.at(-1)!].map((value) => value.toFixed(2));
  const ill = warnings.filter((warning) => warning !== null).length;
  return [`${of} ${last} (${least} … ${most}; ${threshold})`, `${ill} of ${seen.length}${ill ? `: ${warnings.findLast((warning) => warning !== null)!.message}` : ''}`];
}

const unit = results['vicreg']?.run?.step;
const columns = [
  `${options.epochs} epochs, seed ${seed}`,
  'linear (GAP)',
  'over untrained',
  'k-NN',
  'watched at the end (after the warm-up; threshold)',
  'a step, ms',
  "beside VICReg's",
  'MB after 3 steps → at the end',
  'the monitor says, of so many steps',
];
console.log(`| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`);
for (const [name, { linear, nearest, run }] of Object.entries(results)) {
  const [watched, said] = run ? health(run) : ['', ''];
  const cost = run
    ? [run.step.toFixed(0), unit ? (run.step / unit).toFixed(2) : '–', run.bytes.map((bytes) => (bytes / 1e6).toFixed(2)).join(' → ')]
    : ['', '', ''];
  const cells = [name, percent(linear), percent(linear - random.linear), percent(nearest), watched, ...cost, said];
  console.log(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
}
