import { named, shown } from '../../engine/arguments.ts';
import type { HostArray } from '../../engine/dtype.ts';
import { TensegrityError } from '../../engine/errors.ts';
import { type AugmentationName, augmentations, leftOut } from '../../models/augment/index.ts';
import type { ImageDataset, ImageSplit } from '../../models/data/images.ts';
import { type MethodName, methodNamed, methods } from '../../models/methods/index.ts';
import { type EncoderName, encoders } from '../../models/nn/encoders.ts';
import {
  type OptimizerName,
  optimizers,
  type RecipeName,
  recipes,
  type TrainingConfig,
  trainingConfig,
} from '../../models/train/config.ts';
import { dashboard } from '../../models/train/dashboard.ts';
import { lackingLabels, trainingRankMe, unseenLabels } from '../../models/train/evaluate.ts';
import { diagnose, type Warning } from '../../models/train/monitor.ts';
import { inexactParts } from '../../models/train/step.ts';
import { Trainer } from '../../models/train/trainer.ts';
import { checkAgreement, dataChanges } from '../agreement.ts';
import { type BackendChoice, backendChoice, backendOptions, startBackend } from '../backend.ts';
import { checkDatasetOptions, type DataIdentity, dataSource, datasetOptions, identityOf, openDataset, placesOf } from '../dataset.ts';
import { Interruption, Stopped } from '../interruption.ts';
import { kebab, methodOptionTable, readMethodOptions } from '../methodOptions.ts';
import { asUsage, type Command, type Input, type OptionTable, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { runPage } from '../pages/run.ts';
import { Progress } from '../progress.ts';
import { type MetricsLine, type RunConfig, RunFolder } from '../runFolder.ts';
import { counted, jsonOf, print, shellWord } from '../text.ts';
import { finishRun } from './evaluate.ts';

/** Epochs, unless given: the embedded subset is a sixth of the whole, and gets more. */
const EPOCHS: Readonly<Record<string, number>> = { 'fashion-mnist-subset': 10 };

/** Steps that the times of `--profile` are medians of. */
const PROFILED_STEPS = 20;

/** What is trained on data of this name where no recipe is named, if it is the recipe's method and encoder. */
const RECIPES: Readonly<Record<string, RecipeName>> = { 'fashion-mnist-subset': 'small-data' };

const names = <Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] => Object.keys(table) as Name[];

/** What a setting is unless it is given: vicreg's, and that of each method that has another, as '256-256-256; w-mse: 1024-32'. */
function defaultOf(setting: Exclude<keyof TrainingConfig, 'methodOptions'>): string {
  const words = (method: MethodName): string => {
    const value = trainingConfig({ method })[setting];
    if (typeof value === 'number') return value > 0 && value < 0.01 ? value.toExponential() : String(value);
    return typeof value === 'object' ? (value?.join('-') ?? 'none') : value;
  };
  const usual = words('vicreg');
  const own = names(methods).map((method) => [method, words(method)] as const);
  return [usual, ...own.filter(([, value]) => value !== usual).map((pair) => pair.join(': '))].join('; ');
}

/** Options that are named otherwise than the settings that they give. */
const fieldOptions: Readonly<Record<string, string>> = {
  batchSize: 'batch',
  learningRate: 'lr',
  widths: 'expander',
  augmentation: 'augment',
};

/** A recipe, as the options that give the same. */
function wordsOf(name: RecipeName): string {
  const options = Object.entries(recipes[name]).map(
    ([field, value]) => `--${fieldOptions[field] ?? kebab(field)} ${Array.isArray(value) ? value.join('-') : value}`,
  );
  return options.join(' ');
}

const runOptions: OptionTable = {
  ...datasetOptions,
  method: { type: 'string', value: names(methods).join('|'), help: 'the loss to train with (vicreg)' },
  recipe: {
    type: 'string',
    value: names(recipes).join('|'),
    help: `settings that were chosen together, and what the defaults below are of (embedded data with its method and encoder: ${RECIPES['fashion-mnist-subset']}, which is ${wordsOf('small-data')}; else reference)`,
  },
  encoder: { type: 'string', value: names(encoders).join('|'), help: 'the network to train (small-conv)' },
  stem: {
    type: 'string',
    value: 'cifar|imagenet',
    help: 'first layer: a ResNet of 3×3 or 7×7, a transformer of patches of 4×4 or 16×16 (cifar)',
  },
  expander: { type: 'string', value: 'N-N-…', help: `widths of the head's layers (${defaultOf('widths')})` },
  augment: { type: 'string', value: names(augmentations).join('|'), help: `how views are made (${defaultOf('augmentation')})` },
  epochs: {
    type: 'string',
    value: 'N',
    help: `how often every image is seen (${defaultOf('epochs')}; embedded data: ${EPOCHS['fashion-mnist-subset']})`,
  },
  batch: { type: 'string', value: 'N', help: `images in a step (${defaultOf('batchSize')})` },
  optimizer: { type: 'string', value: names(optimizers).join('|'), help: `how gradients move the weights (${defaultOf('optimizer')})` },
  lr: { type: 'string', value: 'X', help: `learning rate after the warm-up (${defaultOf('learningRate')})` },
  'weight-decay': { type: 'string', value: 'X', help: `pull of the weights towards 0 (${defaultOf('weightDecay')})` },
  decay: {
    type: 'string',
    value: 'all|weights',
    help: `what weight decay pulls: weights alone, without biases and norms (${defaultOf('decay')})`,
  },
  momentum: { type: 'string', value: 'X', help: `of sgd and lars (${defaultOf('momentum')})` },
  clip: { type: 'string', value: 'X', help: `norm that all gradients together are scaled down to (${defaultOf('clip')})` },
  warmup: {
    type: 'string',
    value: 'X',
    help: `part of all steps in which the learning rate rises (${defaultOf('warmup')}); then half a cosine`,
  },
  accumulate: { type: 'string', value: 'N', help: 'compute a batch in N parts, for less memory (1); it says whether that is exact' },
  'add-variance': { type: 'string', value: 'X', help: "weight of VICReg's variance term, added to any method's loss (0)" },
  'add-covariance': { type: 'string', value: 'X', help: 'and of its covariance term (0)' },
  probe: { type: 'string', value: 'on|off', help: 'a linear classifier learns beside the encoder, and shows its accuracy (off)' },
  seed: { type: 'string', value: 'N', help: 'everything random is drawn from it (0)' },
  ...methodOptionTable,
};

export const train: Command = {
  summary: 'Train an encoder on images without labels, and say how good its features are',
  usage: '[options]',
  options: {
    ...runOptions,
    out: { type: 'string', value: 'FOLDER', help: "the run's folder (runs/METHOD-DATE)" },
    resume: {
      type: 'string',
      value: 'FOLDER',
      help: 'go on with a run that was stopped or killed, bit for bit, its settings and images being as they were; with --backend on another backend',
    },
    'dashboard-every': {
      type: 'string',
      value: 'N',
      help: 'steps between looks at every collapse metric and k-NN, kept in metrics.jsonl (never)',
    },
    'checkpoint-every': { type: 'string', value: 'N', help: 'steps between checkpoints (100)' },
    'no-eval': { type: 'boolean', help: 'no linear probe and k-NN at the end' },
    plan: { type: 'boolean', help: 'print the compiled plan of a step, and do nothing else' },
    profile: { type: 'boolean', help: 'run some steps on the GPU, print the plan with the time of each kernel, and do nothing else' },
    quiet: { type: 'boolean', help: 'print only the final table' },
    ...backendOptions,
  },
  about: {
    'while it trains it shows': [
      ['loss', "and the method's own terms, unweighted"],
      ['std', 'mean deviation of the embedding: VICReg asks for 1; near 0 all images map to one point (collapse)'],
      ['std_ℓ2', 'the same of directions: 1 is healthy, 0 collapsed'],
      ['|corr|', 'mean |correlation| of two dimensions: near 0 they say different things, near 1 the same'],
      ['RankMe', 'after each epoch: how many dimensions the features really use'],
    ],
    "the run's folder holds": [
      ['config.json', 'how it was started'],
      ['metrics.jsonl', 'what was shown, a line a step'],
      ['checkpoint.safetensors', 'where it stands, for --resume and eval --run'],
      ['encoder.safetensors', 'at the end: the trained encoder, for embed, eval --weights, and PyTorch'],
      ['encoder-second.safetensors', "the second view's, where it has one of its own"],
      ['lock', 'while a process trains it: no other may'],
      ['results.json, report.html', 'at the end: scores and curves'],
    ],
  },
  examples: [
    ['tensegrity train', 'VICReg on the embedded 10 000 images, in minutes'],
    ['tensegrity train --data fashion-mnist --seed 1', 'the reference recipe on all 60 000'],
    ['tensegrity train --method barlow-twins --epochs 2', 'another method'],
    ['tensegrity train --variance 0', 'watch it collapse'],
    ['tensegrity train --data images.npy --labels y.npy --encoder resnet18', 'images of your own'],
    ['tensegrity train --data photos/ --size 64 --encoder resnet18', 'a folder of images, whose folders are classes'],
    ['tensegrity train --resume runs/vicreg-…', 'go on after Ctrl-C'],
    ['tensegrity train --backend webgpu', 'on the GPU; tensegrity doctor says whether there is one'],
    ['tensegrity train --resume runs/vicreg-… --backend wasm', 'go on without it'],
    ['tensegrity train --backend webgpu --profile', 'where the time of a step goes'],
  ],
  run: async (input) => {
    const resume = input.text('resume');
    if (resume !== undefined) refuseWithResume(input);
    const checkpointEvery = input.whole('checkpoint-every', 1);
    const dashboardEvery = input.whole('dashboard-every', 1);
    const [json, quiet, scored] = [input.flag('json') ?? false, input.flag('quiet') ?? false, !(input.flag('no-eval') ?? false)];

    const [plan, profile] = [input.flag('plan') ?? false, input.flag('profile') ?? false];
    if (plan) input.refuse(['profile'], '--plan runs no step to take the time of');
    const before = resume === undefined ? null : new RunFolder(resume);
    const paces = { ...(checkpointEvery && { checkpointEvery }), ...(dashboardEvery && { dashboardEvery }) };
    let config = (await before?.config()) ?? { ...readConfig(input), ...paces };
    using _lock = before && !plan && !profile ? await before.lock() : null;
    // Another process may have had the run until now.
    if (_lock) config = await before!.config();
    const checkpoint = (_lock && (await before!.checkpoint())) ?? null;
    const saved = checkpoint && checkAgreement(before!, config, checkpoint);
    const choice = backendChoice(input, config.backend);
    const backend = await startBackend(input, choice, profile);
    const dataset = await openDataset(config.source);
    const identity = identityOf(dataset);
    const changes = saved && dataChanges(identity, config, saved);
    const trainer = new Trainer(config.training, dataset);
    if (plan) {
      const listing = await trainer.explain();
      print(json ? jsonOf({ event: 'plan', plan: listing }) : listing);
      return;
    }
    if (profile) {
      for await (const { step } of trainer.run()) if (step >= PROFILED_STEPS) break;
      const listing = await trainer.explain({ times: true });
      print(json ? jsonOf({ event: 'plan', plan: listing }) : listing);
      backend.dispose();
      return;
    }
    // What is wrong with the images shows now, before there is a folder.
    await trainer.prepare();
    const folder = before ?? new RunFolder(input.text('out') ?? defaultFolder(config.training));
    using _begun = before ? null : await folder.lock();
    await checkOutputs(
      placesOf(config.source),
      RunFolder.files.map((name) => folder.file(name)),
    );
    if (!before) await folder.begin(config);
    if (checkpoint) trainer.restore(checkpoint);
    const lines = await folder.openLog(trainer.step);
    const moved = sameBackend(choice, config.backend) ? null : config.backend;
    if (moved) config = await folder.moveTo(choice, trainer.step, config);
    if (before && Object.keys(paces).length > 0) config = await folder.keep({ ...config, ...paces });

    using interruption = new Interruption();
    const progress = new Progress({ steps: trainer.steps, stepsPerEpoch: trainer.stepsPerEpoch, json, quiet });
    progress.say(opening(config, dataset, trainer, backend.name, folder.path), { run: folder.path });
    if (moved)
      progress.say(
        `moved from ${backendName(moved)} to ${backendName(choice)} after step ${trainer.step}: from here on rounding differs, so the bits are not those of a run on either alone`,
        { backend: choice, urgent: true },
      );
    if (before && !checkpoint) progress.say('there is no checkpoint yet, so the run begins anew', { urgent: true });
    if (changes) progress.say(changes, { urgent: true });
    if (lines.length < trainer.step)
      progress.say(`metrics.jsonl holds ${lines.length} of the ${trainer.step} steps that were done; the curves leave out the others`, {
        urgent: true,
      });
    const lacking = lackingLabels(dataset);
    if (lacking !== null && scored)
      progress.say(`${named(dataset.name)} has no ${lacking}, so there will be no probes, only collapse metrics`);
    if (lacking !== null && config.dashboardEvery !== undefined)
      progress.say(`${named(dataset.name)} has no ${lacking}, so --dashboard-every shows no k-NN`);
    const unseen = unseenLabels(dataset);
    if (unseen !== null && scored) progress.say(`warning: ${named(dataset.name)}: ${unseen}`, { warning: 'labels', urgent: true });

    const channels = dataset.train.images.shape[1]!;
    const without = new Set(augmentations[config.training.augmentation].flatMap((view) => leftOut(view, channels)));
    if (without.size > 0)
      progress.say(`${[...without].join(', ')} need red, green and blue, so images of ${channels} channels are augmented without`);

    try {
      await trainLoop({ trainer, dataset, identity, folder, config, lines, progress, interruption });
      await folder.saveEncoders(trainer, dataset);
      await finishRun({
        folder,
        config,
        dataset,
        trainer,
        lines,
        evaluate: scored,
        json,
        say: (text) => progress.say(text),
        pause: async () => {
          const exitCode = await interruption.asked();
          if (exitCode !== null)
            throw new Stopped(
              `stopped before the scores; the encoder is trained and saved. For the scores: tensegrity train --resume ${shellWord(folder.path)}`,
              exitCode,
            );
        },
      });
    } catch (error) {
      throw choice.name === 'webgpu' ? await withWayOn(error, folder) : error;
    }
  },
};

const sameBackend = (a: BackendChoice, b: BackendChoice): boolean => a.name === b.name && a.deterministic === b.deterministic;
const backendName = ({ name, deterministic }: BackendChoice): string => (deterministic ? `${name} (deterministic)` : name);

/** What the GPU failed at, with the command that goes on without it. */
async function withWayOn(error: unknown, folder: RunFolder): Promise<unknown> {
  if (!(error instanceof TensegrityError) || error.code !== 'backend') return error;
  const saved = await folder.checkpoint();
  const from = saved ? `The checkpoint of step ${saved.step} is kept` : 'There is no checkpoint yet, so the run begins anew';
  const message = `${error.message}. ${from}; resume with: tensegrity train --resume ${shellWord(folder.path)} --backend wasm`;
  return new TensegrityError('backend', message, error.details, error);
}

interface LoopContext {
  readonly trainer: Trainer;
  readonly dataset: ImageDataset;
  readonly identity: DataIdentity;
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly lines: MetricsLine[];
  readonly progress: Progress;
  readonly interruption: Interruption;
}

/** Trains to the end. @throws Stopped at Ctrl-C, when all is saved, and for a loss that is no number. */
async function trainLoop(context: LoopContext): Promise<void> {
  const { trainer, dataset, identity, folder, config, lines, progress, interruption } = context;
  const { checkpointEvery = 100, dashboardEvery = Infinity } = config;
  const warmup = config.training.warmup * trainer.steps;
  // Each warning is given once an epoch: near its threshold it would come and go.
  const warned = new Set<string>();
  let before = performance.now();
  try {
    for await (const record of trainer.run()) {
      const { step } = record;
      const imagesPerSecond = (config.training.batchSize * 1000) / (performance.now() - before);
      const epochEnds = step % trainer.stepsPerEpoch === 0 && Number.isFinite(record.loss);
      const looks = step % dashboardEvery === 0 && Number.isFinite(record.loss);
      const line = {
        ...record,
        imagesPerSecond,
        ...(epochEnds && { rankMe: await trainingRankMe(trainer.encoder, dataset) }),
        ...(looks && { dashboard: await dashboard(trainer.encoder, dataset, config.training) }),
      };
      lines.push(line);
      await folder.log(line);
      progress.step(line);
      const warning =
        step > warmup || !Number.isFinite(record.loss) ? diagnose({ ...record, ...config.training, pixels: trainer.pixels }) : null;
      if (warning?.kind === 'diverged') await giveUp(warning, step, context);
      const occasion = `${warning?.kind} ${record.epoch}`;
      if (warning && !warned.has(occasion))
        progress.say(`warning: step ${step}: ${warning.message}`, { warning: warning.kind, urgent: true });
      warned.add(occasion);
      const exitCode = await interruption.asked();
      if (exitCode !== null || step % checkpointEvery === 0 || step === trainer.steps)
        await folder.saveCheckpoint(trainer, config, identity);
      if (exitCode !== null && step < trainer.steps)
        throw new Stopped(
          `stopped at step ${step} of ${trainer.steps}; all is saved. Go on with: tensegrity train --resume ${shellWord(folder.path)}`,
          exitCode,
        );
      before = performance.now();
    }
  } finally {
    progress.end();
    await folder.closeLog();
  }
}

/** Ends a run whose weights are no numbers any more: they are not worth a checkpoint, and would replace the last good one. */
async function giveUp({ message }: Warning, step: number, { folder, config, lines }: LoopContext): Promise<never> {
  await folder.write('report.html', runPage(config, lines, null));
  const saved = await folder.checkpoint();
  const kept = saved ? `the checkpoint of step ${saved.step}, the last good one, is kept` : 'there is no checkpoint from before';
  throw new Stopped(
    `step ${step}: ${message} (${kept}; a run keeps its settings, so begin another; ${named(folder.file('report.html'))} has the curves)`,
    1,
  );
}

function readConfig(input: Input): RunConfig {
  const source = dataSource(input);
  checkDatasetOptions(input, source);
  const method = input.choice('method', names(methods)) ?? ('vicreg' as MethodName);
  const expander = input.text('expander');
  if (expander !== undefined && !/^\d+(-\d+)*$/.test(expander))
    throw new UsageError(`--expander takes widths as 256-256-256, got ${shown(expander)}`);
  const widths = expander?.split('-').map(Number);
  const encoder = input.choice<EncoderName>('encoder', names(encoders));
  const recipe: Partial<TrainingConfig> =
    recipes[input.choice<RecipeName>('recipe', names(recipes)) ?? recipeOf(source.data, { method, encoder })];
  const given: { [Name in keyof TrainingConfig]?: TrainingConfig[Name] | undefined } = {
    method,
    methodOptions: readMethodOptions(input, method),
    encoder,
    stem: input.choice('stem', ['imagenet', 'cifar']),
    widths,
    augmentation: input.choice<AugmentationName>('augment', names(augmentations)),
    epochs: input.number('epochs') ?? recipe.epochs ?? methodNamed(method).training.epochs ?? EPOCHS[source.data],
    batchSize: input.number('batch'),
    optimizer: input.choice<OptimizerName>('optimizer', names(optimizers)),
    learningRate: input.number('lr'),
    weightDecay: input.number('weight-decay'),
    decay: input.choice('decay', ['all', 'weights']),
    momentum: input.number('momentum'),
    clip: input.number('clip'),
    warmup: input.number('warmup'),
    accumulate: input.number('accumulate'),
    addVariance: input.number('add-variance'),
    addCovariance: input.number('add-covariance'),
    probe: input.choice('probe', ['on', 'off']),
    seed: input.number('seed'),
  };
  const own = encoder ?? recipe.encoder ?? 'small-conv';
  // A second encoder may have one.
  const { secondEncoder = 'same' } = given.methodOptions ?? {};
  if ([own, secondEncoder === 'same' ? own : secondEncoder].every((name) => String(name).startsWith('small-conv')))
    input.refuse(['stem'], `${own} has no stem to choose`);
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<TrainingConfig>;
  const training = asUsage(() => trainingConfig({ ...recipe, ...present }), optionIn);
  if (training.optimizer === 'adam' || training.optimizer === 'adamw')
    input.refuse(['momentum'], `${training.optimizer} has no momentum to choose`);
  return { training, source, backend: backendChoice(input) };
}

/** The recipe where none is named: the data's, if it is for that method and encoder. */
function recipeOf(
  data: string,
  { method, encoder }: { readonly method: MethodName; readonly encoder: EncoderName | undefined },
): RecipeName {
  const own = RECIPES[data];
  if (own === undefined) return 'reference';
  const settings: Partial<TrainingConfig> = recipes[own];
  return settings.method === method && (encoder ?? settings.encoder) === settings.encoder ? own : 'reference';
}

/** A complaint about a setting, with the option that it was given by. */
function optionIn(message: string): string {
  const [, name = ''] = /^(?:[^:]+: )?(\w+) (?:must|is) /.exec(message) ?? [];
  const option = fieldOptions[name] ?? kebab(name);
  return Object.hasOwn(runOptions, option) ? `--${option}: ${message}` : message;
}

/** A resumed run goes on as it began. */
function refuseWithResume(input: Input): void {
  input.refuse([...Object.keys(runOptions), 'out'], "--resume goes on with the run's own settings");
}

function defaultFolder({ method }: TrainingConfig): string {
  return `runs/${method}-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}`;
}

/** The classes of a folder, the first of them, and how many images they have. */
function classLine(classes: readonly string[], { data }: HostArray, test: ImageSplit | undefined): string {
  const counts = classes.map(() => 0);
  for (const label of data) counts[label]!++;
  const listed = classes.slice(0, 10).map((name, label) => `${named(name)} ${counts[label]}`);
  return `${classes.length} classes: ${listed.join(', ')}${classes.length > 10 ? ', …' : ''}; ${test?.images.shape[0] ?? 0} test images`;
}

function opening(
  { training, source }: RunConfig,
  { train, test, classes, files }: ImageDataset,
  trainer: Trainer,
  backend: string,
  path: string,
): string {
  const sizeOf = (slots: readonly { size: number }[]): number => slots.reduce((sum, { size }) => sum + size, 0);
  const shownCount = (count: number): string => (count < 1e6 ? `${Math.round(count / 1e3)}K` : `${(count / 1e6).toFixed(1)}M`);
  const own = sizeOf(trainer.encoder.parameters());
  const learned = sizeOf(trainer.learner.learned().flatMap(({ parameters }) => parameters));
  const { accumulate, batchSize } = training;
  const size = batchSize / accumulate;
  const inexact = inexactParts(training, trainer.learner);
  const inParts =
    inexact === null
      ? `each batch in ${accumulate} parts of ${size}: exact but for rounding`
      : `each batch in ${accumulate} parts of ${size}, which is not a batch of ${batchSize}: ${inexact}, and here that is a part`;
  return [
    `${methods[training.method].title} on ${named(source.data)}: ${train.images.shape[0]} images of ${train.images.shape.slice(1).join('×')}, ${counted(training.epochs, 'epoch')} of ${counted(trainer.stepsPerEpoch, 'step')}, batch ${training.batchSize}`,
    `${training.encoder} (${shownCount(own)} parameters) + head ${training.widths.join('-')} (${shownCount(learned - own)}), ${training.optimizer} ${training.learningRate}, backend ${backend}; run folder ${named(path)}`,
    ...(classes.length > 0 && train.labels && files ? [classLine(classes, train.labels, test)] : []),
    ...(accumulate === 1 ? [] : [inParts]),
  ].join('\n');
}
