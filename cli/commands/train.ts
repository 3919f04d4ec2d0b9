import { type AugmentationName, augmentations } from '../../models/augment/index.ts';
import type { ImageDataset } from '../../models/data/images.ts';
import { type MethodName, methods } from '../../models/methods/index.ts';
import { type EncoderName, encoders } from '../../models/nn/networks.ts';
import { type OptimizerName, optimizers, type TrainingConfig, trainingConfig } from '../../models/train/config.ts';
import { diagnose, type Warning } from '../../models/train/monitor.ts';
import { Trainer } from '../../models/train/trainer.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { dataSource, datasetOptions, openDataset } from '../dataset.ts';
import { methodOptionTable, readMethodOptions } from '../methodOptions.ts';
import { type Command, type Input, type OptionTable, UsageError } from '../options.ts';
import { Progress } from '../progress.ts';
import { type MetricsLine, type RunConfig, RunFolder } from '../runFolder.ts';
import { finishRun } from './evaluate.ts';

/** Epochs, unless given: the embedded subset is a sixth of the whole, and gets more. */
const EPOCHS: Readonly<Record<string, number>> = { 'fashion-mnist-subset': 10 };

const names = <Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] => Object.keys(table) as Name[];

const runOptions: OptionTable = {
  ...datasetOptions,
  method: { type: 'string', value: names(methods).join('|'), help: '(vicreg)' },
  encoder: { type: 'string', value: names(encoders).join('|'), help: '(small-conv)' },
  stem: { type: 'string', value: 'cifar|imagenet', help: 'first layer of a ResNet (cifar)' },
  expander: { type: 'string', value: 'N-N-…', help: "widths of the head's layers (256-256-256; w-mse: 1024-32)" },
  augment: { type: 'string', value: names(augmentations).join('|'), help: 'how views are made (reference)' },
  epochs: { type: 'string', value: 'N', help: '(5; embedded data: 10)' },
  batch: { type: 'string', value: 'N', help: 'images in a step (256)' },
  optimizer: { type: 'string', value: names(optimizers).join('|'), help: '(adam)' },
  lr: { type: 'string', value: 'X', help: 'learning rate after the warm-up (1e-3)' },
  'weight-decay': { type: 'string', value: 'X', help: '(1e-6)' },
  warmup: { type: 'string', value: 'X', help: 'part of all steps in which the learning rate rises (.1); then half a cosine' },
  seed: { type: 'string', value: 'N', help: 'everything random is drawn from it (0)' },
  ...methodOptionTable,
};

export const train: Command = {
  summary: 'Train an encoder on images without labels, and say how good its features are',
  usage: '[options]',
  options: {
    ...runOptions,
    out: { type: 'string', value: 'FOLDER', help: "the run's folder (runs/METHOD-DATE)" },
    resume: { type: 'string', value: 'FOLDER', help: 'go on with a run that was stopped or killed, bit for bit' },
    'checkpoint-every': { type: 'string', value: 'N', help: 'steps between checkpoints (100)' },
    'no-eval': { type: 'boolean', help: 'no linear probe and k-NN at the end' },
    plan: { type: 'boolean', help: 'print the compiled plan of a step, and do nothing else' },
    quiet: { type: 'boolean', help: 'print only the final table' },
    ...backendOptions,
  },
  examples: [
    ['tensegrity train', 'VICReg on the embedded 10 000 images, in minutes'],
    ['tensegrity train --data fashion-mnist --seed 1', 'the reference recipe on all 60 000'],
    ['tensegrity train --method barlow-twins --epochs 2', 'another method'],
    ['tensegrity train --variance 0', 'watch it collapse'],
    ['tensegrity train --data images.npy --labels y.npy --encoder resnet18', 'images of your own'],
    ['tensegrity train --resume runs/vicreg-…', 'go on after Ctrl-C'],
  ],
  run: async (input) => {
    const backend = await startBackend(input);
    const resume = input.text('resume');
    if (resume !== undefined) refuseWithResume(input);
    const config = resume === undefined ? readConfig(input) : await new RunFolder(resume).config();
    const dataset = await openDataset(config.source);
    const trainer = new Trainer(config.training, dataset);
    if (input.flag('plan')) {
      console.log(await trainer.explain());
      return;
    }
    const folder =
      resume === undefined ? await RunFolder.create(input.text('out') ?? defaultFolder(config.training), config) : new RunFolder(resume);
    const checkpoint = resume === undefined ? null : await folder.checkpoint();
    if (checkpoint) trainer.restore(checkpoint);
    const lines = await folder.openLog(trainer.step);

    const quiet = input.flag('quiet') ?? false;
    const progress = new Progress({ steps: trainer.steps, stepsPerEpoch: trainer.stepsPerEpoch, json: input.flag('json') ?? false, quiet });
    progress.say(opening(config, dataset, trainer, backend.name, folder.path), { run: folder.path });
    const stopped = await trainLoop(trainer, { folder, config, lines, progress, checkpointEvery: input.number('checkpoint-every') ?? 100 });
    if (stopped) {
      process.exitCode = 130;
      return;
    }
    await folder.saveEncoder(trainer);
    await finishRun({
      folder,
      config,
      dataset,
      encoder: trainer.encoder,
      lines,
      evaluate: !(input.flag('no-eval') ?? false),
      json: input.flag('json') ?? false,
      say: (text) => progress.say(text),
    });
  },
};

interface LoopContext {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly lines: MetricsLine[];
  readonly progress: Progress;
  readonly checkpointEvery: number;
}

/** Trains to the end, or to Ctrl-C; resolves to whether it was stopped. */
async function trainLoop(trainer: Trainer, { folder, config, lines, progress, checkpointEvery }: LoopContext): Promise<boolean> {
  if (!(Number.isInteger(checkpointEvery) && checkpointEvery >= 1))
    throw new UsageError(`--checkpoint-every takes a whole number ≥ 1, got ${checkpointEvery}`);
  let stop = false;
  const onSignal = (): void => {
    // Twice means at once.
    if (stop) process.exit(130);
    stop = true;
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const warmup = config.training.warmup * trainer.steps;
  let warned: Warning['kind'] | null = null;
  let before = performance.now();
  try {
    for await (const record of trainer.run()) {
      const now = performance.now();
      const line = { ...record, imagesPerSecond: (config.training.batchSize * 1000) / (now - before) };
      before = now;
      lines.push(line);
      await folder.log(line);
      progress.step(line);
      const warning = line.step > warmup || !Number.isFinite(line.loss) ? diagnose(record) : null;
      if (warning && warning.kind !== warned) progress.say(`warning: step ${line.step}: ${warning.message}`, { warning: warning.kind });
      warned = warning?.kind ?? null;
      // The plan runs without a pause; signals are delivered only when the event loop turns.
      await new Promise(setImmediate);
      if (stop || line.step % checkpointEvery === 0 || line.step === trainer.steps) await folder.saveCheckpoint(trainer, config);
      if (stop) break;
    }
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    progress.end();
    await folder.closeLog();
  }
  if (stop && trainer.step < trainer.steps) {
    progress.say(`stopped at step ${trainer.step} of ${trainer.steps}; all is saved. Go on with: tensegrity train --resume ${folder.path}`);
    return true;
  }
  return false;
}

function readConfig(input: Input): RunConfig {
  const source = dataSource(input);
  const method = input.choice('method', names(methods)) ?? ('vicreg' as MethodName);
  const widths = input.text('expander')?.split('-').map(Number);
  const given: { [Name in keyof TrainingConfig]?: TrainingConfig[Name] | undefined } = {
    method,
    methodOptions: readMethodOptions(input, method),
    encoder: input.choice<EncoderName>('encoder', names(encoders)),
    stem: input.choice('stem', ['imagenet', 'cifar']),
    widths,
    augmentation: input.choice<AugmentationName>('augment', names(augmentations)),
    epochs: input.number('epochs') ?? EPOCHS[source.data],
    batchSize: input.number('batch'),
    optimizer: input.choice<OptimizerName>('optimizer', names(optimizers)),
    learningRate: input.number('lr'),
    weightDecay: input.number('weight-decay'),
    warmup: input.number('warmup'),
    seed: input.number('seed'),
  };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<TrainingConfig>;
  return { training: trainingConfig(present), source };
}

/** A resumed run goes on as it began. */
function refuseWithResume(input: Input): void {
  const given = [...Object.keys(runOptions), 'out'].filter((name) => input.text(name) !== undefined);
  if (given.length > 0)
    throw new UsageError(`--resume goes on with the run's own settings; leave out ${given.map((name) => `--${name}`).join(', ')}`);
}

function defaultFolder({ method }: TrainingConfig): string {
  return `runs/${method}-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}`;
}

function opening({ training, source }: RunConfig, { train: split }: ImageDataset, trainer: Trainer, backend: string, path: string): string {
  const parameters = (slots: readonly { size: number }[]): string =>
    `${Math.round(slots.reduce((sum, { size }) => sum + size, 0) / 1000)}K`;
  return [
    `${methods[training.method].title} on ${source.data}: ${split.images.shape[0]} images of ${split.images.shape.slice(1).join('×')}, ${training.epochs} epochs of ${trainer.stepsPerEpoch} steps, batch ${training.batchSize}`,
    `${training.encoder} (${parameters(trainer.encoder.parameters())} parameters) + head ${training.widths.join('-')} (${parameters(trainer.head.parameters())}), ${training.optimizer} ${training.learningRate}, backend ${backend}; run folder ${path}`,
  ].join('\n');
}
