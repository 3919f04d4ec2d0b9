import { named } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import type { ImageDataset } from '../../models/data/images.ts';
import { batchesPerEpoch } from '../../models/data/loader.ts';
import { type MethodName, methodNamed, methods } from '../../models/methods/index.ts';
import { type EncoderName, encoders } from '../../models/nn/encoders.ts';
import { lackingLabels, unseenLabels } from '../../models/train/evaluate.ts';
import { backendChoice, backendOptions, startBackend } from '../backend.ts';
import { checkDatasetOptions, dataSource, datasetOptions, identityOf, openDataset, placesOf } from '../dataset.ts';
import { Interruption } from '../interruption.ts';
import { asUsage, type Command, chosen, type Input, type OptionTable, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { Screen } from '../screen.ts';
import { StudyFolder } from '../study/folder.ts';
import { lackingFor, metrics } from '../study/metrics.ts';
import { printedTables } from '../study/results.ts';
import { runStudy } from '../study/run.ts';
import { type Common, type Study, type StudyRow, tasksOf } from '../study/study.ts';
import { jsonOf, print, shellWord } from '../text.ts';

/** Epochs, unless given: of the embedded images, a sixth of the whole, and of others. */
const EPOCHS: Readonly<Record<string, number>> = { 'fashion-mnist-subset': 5 };
const OTHER_EPOCHS = 2;

/** Options of compare and ablate. */
export const studyOptions: OptionTable = {
  ...datasetOptions,
  transfer: { type: 'string', value: 'NAME|FILE.npy', help: 'a second data set, on which features of the first are probed' },
  'transfer-dir': { type: 'string', value: 'FOLDER', help: 'where it is, or is downloaded to' },
  'transfer-labels': { type: 'string', value: 'FILE.npy', help: "classes of a .npy's images" },
  'transfer-test-images': { type: 'string', value: 'FILE.npy', help: 'its test images' },
  'transfer-test-labels': { type: 'string', value: 'FILE.npy', help: 'and their classes' },
  seeds: { type: 'string', value: 'N,N,…', help: 'each row once for each seed; all rows at the first, then at the next (0,1,2)' },
  epochs: {
    type: 'string',
    value: 'N',
    help: `of every row alike (${OTHER_EPOCHS}; embedded data: ${EPOCHS['fashion-mnist-subset']})`,
  },
  batch: { type: 'string', value: 'N', help: "images in a step, of every row alike (each method's own)" },
  encoder: { type: 'string', value: Object.keys(encoders).join('|'), help: 'of every row alike (small-conv)' },
  stem: { type: 'string', value: 'cifar|imagenet', help: 'its first layer (cifar)' },
  metrics: { type: 'string', value: 'NAME,NAME,…', help: 'columns of the table (all that the data allows)' },
  budget: { type: 'string', value: 'MINUTES', help: 'stop before so much time has gone, with exit code 75; the same command goes on' },
  out: { type: 'string', value: 'FOLDER', help: "the study's folder, in which what is done is not done again" },
  'checkpoint-every': { type: 'string', value: 'N', help: 'steps between checkpoints of the training under way (100)' },
  quiet: { type: 'boolean', help: 'print only the final tables' },
  ...backendOptions,
};

export const studyAbout: NonNullable<Command['about']> = {
  metrics: Object.entries(metrics).map(([name, { description }]) => [name, description] as const),
  'the folder holds': [
    ['results.json', 'the table as data: documented in cli/study/results.ts'],
    ['results.md, report.html', 'and as pages'],
    ['cells/', 'a file for each row at each seed, named by all that its scores depend on; scores that are there are not computed again'],
    ['encoders/', 'what was trained, for eval --weights and embed'],
    ['unfinished/', 'the checkpoint of the training under way'],
    ['lock', 'while a process works in it: no other may'],
  ],
};

/** The rows that are no method, at the end of a table. */
export const references: readonly StudyRow[] = [
  { name: 'supervised', title: 'supervised', subject: { kind: 'supervised' } },
  { name: 'random', title: 'random encoder', subject: { kind: 'random' } },
  { name: 'pixels', title: 'raw pixels', subject: { kind: 'pixels' } },
];

/** Runs the study that a call asks for, or goes on with it. */
export async function runStudyCommand(input: Input, whole: Study): Promise<void> {
  const seeds = wholes(input, 'seeds') ?? [0, 1, 2];
  const source = dataSource(input);
  const second = transferSource(input);
  // What both have in common may be said for the other.
  if (!second) checkDatasetOptions(input, source);
  const names = input
    .text('metrics')
    ?.split(',')
    .map((name) => chosen('--metrics', name, Object.keys(metrics)));
  const budget = input.number('budget');
  if (budget !== undefined && !(budget > 0)) throw new UsageError(`--budget takes minutes above 0, got ${budget}`);
  const deadline = performance.now() + (budget ?? Infinity) * 60_000;
  const batchSize = input.whole('batch', 2);
  if ((input.text('encoder') ?? 'small-conv') === 'small-conv') input.refuse(['stem'], 'small-conv has no stem to choose');
  const common: Common = {
    encoder: input.choice<EncoderName>('encoder', Object.keys(encoders) as EncoderName[]) ?? 'small-conv',
    stem: input.choice('stem', ['imagenet', 'cifar']) ?? 'cifar',
    epochs: input.whole('epochs', 1) ?? EPOCHS[source.data] ?? OTHER_EPOCHS,
    ...(batchSize !== undefined && { batchSize }),
  };
  const backend = backendChoice(input);
  await startBackend(input, backend);
  const dataset = await openDataset(source);
  const lacking = lackingLabels(dataset);
  // Without labels there is nothing to supervise by, nor to probe pixels with.
  const rows = whole.rows.filter(({ subject: { kind } }) => lacking === null || kind === 'method' || kind === 'random');
  const study = { ...whole, rows };
  const transfer = second && (await openDataset(second));
  const tasks = asUsage(() => tasksOf(study, seeds, { common, data: identityOf(dataset), backend }));
  // What is wrong with a training shows now, before there is a folder.
  const count = dataset.train.images.shape[0]!;
  for (const { training } of tasks) if (training) asUsage(() => batchesPerEpoch(count, { batchSize: training.batchSize }));
  const metricNames = (names ?? Object.keys(metrics)).filter((name) => lackingFor(name, dataset, transfer) === null);
  checkData(dataset, transfer, names ?? []);

  const folder = new StudyFolder(input.text('out') ?? `runs/${whole.name.replaceAll(' ', '-')}`);
  using _lock = await folder.lock();
  await checkOutputs(
    [source, ...(second ? [second] : [])].flatMap(placesOf),
    StudyFolder.files.map((name) => folder.file(name)),
  );
  using interruption = new Interruption();
  const json = input.flag('json') ?? false;
  const screen = new Screen({ json, quiet: input.flag('quiet') ?? false });
  if (lacking !== null) screen.say(`${named(dataset.name)} has no ${lacking}, so there will be no probes, nor rows that need them`);
  const unseen = unseenLabels(dataset);
  if (unseen !== null) screen.say(`warning: ${named(dataset.name)}: ${unseen}`, { warning: 'labels', urgent: true });
  screen.say(
    `${study.title}: ${study.rows.length} rows at ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}, on ${named(dataset.name)}, ${common.epochs} epochs of ${common.encoder}; folder ${named(folder.path)}`,
    { folder: folder.path },
  );
  const results = await runStudy({
    study,
    tasks,
    folder,
    dataset,
    transfer,
    transferIdentity: transfer && identityOf(transfer),
    common,
    seeds,
    metricNames,
    command: commandToGoOn(),
    screen,
    checkpointEvery: input.whole('checkpoint-every', 1) ?? 100,
    asked: () => interruption.asked(),
    deadline,
  });
  print(json ? jsonOf({ event: 'results', results }) : `\n${printedTables(results)}\n`);
  screen.say(`folder: ${named(folder.path)} (results.json, results.md, report.html)`);
}

/** What was asked for and the data does not allow is an error; what was not is left out. */
function checkData(dataset: ImageDataset, transfer: ImageDataset | null, asked: readonly string[]): void {
  for (const name of asked) {
    const lacking = lackingFor(name, dataset, transfer);
    if (lacking !== null) throw new UsageError(`--metrics ${name} needs ${lacking}`);
  }
  if (!transfer) return;
  const without = lackingLabels(transfer);
  check(
    without === null,
    'data',
    () =>
      `${named(transfer.name)} has no ${without}, which probes need; name them with --transfer-labels, --transfer-test-images and --transfer-test-labels`,
  );
  const [own, others] = [dataset, transfer].map(({ train }) => train.images.shape[1]!);
  check(
    own === others,
    'data',
    () =>
      `images of ${named(dataset.name)} have ${own} channels and those of ${named(transfer.name)} ${others}; an encoder takes images of as many channels as it was trained on`,
  );
}

/** The second data set, by the options of the first with another name. */
function transferSource(input: Input): ReturnType<typeof dataSource> | null {
  const of: Readonly<Record<string, string>> = {
    data: 'transfer',
    'data-dir': 'transfer-dir',
    labels: 'transfer-labels',
    'test-images': 'transfer-test-images',
    'test-labels': 'transfer-test-labels',
    // Only encoders that are trained on them have views of pairs: there is no such option.
    pairs: 'transfer-pairs',
  };
  if (input.text('transfer') !== undefined) return dataSource(input, of);
  const given = Object.values(of).find((name) => input.text(name) !== undefined);
  if (given !== undefined) throw new UsageError(`--${given} belongs to a second data set; name it with --transfer`);
  return null;
}

/** Different whole numbers ≥ 0, as 0,1,2. */
function wholes(input: Input, name: string): number[] | undefined {
  const text = input.text(name);
  const numbers = text?.split(',').map((word) => (/^\d+$/.test(word) ? Number(word) : Number.NaN));
  const right = numbers?.every(Number.isSafeInteger) && new Set(numbers).size === numbers.length;
  if (text !== undefined && !right) throw new UsageError(`--${name} takes different whole numbers ≥ 0, as 0,1,2; got ${text}`);
  return numbers;
}

/** The call as it was given, but for how it prints and how long it may take. */
function commandToGoOn(): string {
  const words = process.argv.slice(2);
  const kept = words.filter((word, i) => !/^--(json|quiet|debug|budget(=.*)?)$/.test(word) && words[i - 1] !== '--budget');
  const quoted = kept.map((word) => {
    const [, option = '', value = ''] = /^(--?[a-z0-9-]+=?)?(.*)$/s.exec(word)!;
    return option + (value === '' ? '' : shellWord(value));
  });
  return ['tensegrity', ...quoted].join(' ');
}

export const compare: Command = {
  summary: 'Train methods alike, several times each, and score them in one table',
  usage: '[options]',
  options: {
    methods: {
      type: 'string',
      value: 'NAME,NAME,…',
      help: `rows of the table, beside supervised, random encoder and pixels (${Object.keys(methods).join(',')})`,
    },
    ...studyOptions,
  },
  about: studyAbout,
  examples: [
    ['tensegrity compare', 'all methods on the embedded images'],
    ['tensegrity compare --data fashion-mnist --budget 30', 'on all of them, in parts of half an hour: repeat it to go on'],
    ['tensegrity compare --methods vicreg,barlow-twins,w-mse --metrics linear,knn,1%', 'three methods, three columns'],
    ['tensegrity compare --transfer mnist --data-dir ~/data', 'and what the features are worth elsewhere'],
  ],
  run: async (input) => {
    const given = input.text('methods')?.split(',');
    const names = (given ?? Object.keys(methods)).map((name) => chosen('--methods', name, Object.keys(methods) as MethodName[]));
    if (new Set(names).size < names.length) throw new UsageError(`--methods names one twice: ${names.join(',')}`);
    await runStudyCommand(input, {
      name: 'compare',
      title: 'Methods on one scale',
      notes: [
        'The form of Table 1 of VICReg (A. Bardes et al., ICLR 2022). Every method has the same encoder, the same images as often, and its own small-scale settings: see docs/compare.md.',
      ],
      rows: [
        ...names.map(
          (name): StudyRow => ({ name, title: methodNamed(name).title, subject: { kind: 'method', training: { method: name } } }),
        ),
        ...references,
      ],
    });
  },
};
