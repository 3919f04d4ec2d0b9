import { basename } from 'node:path';
import { named } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import type { ImageDataset } from '../../models/data/images.ts';
import { writeFileAtomically } from '../../models/io/node.ts';
import { writeSlots } from '../../models/nn/state.ts';
import {
  type FeatureScores,
  lackingLabels,
  type ScoreOptions,
  scoreEncoder,
  scorePixels,
  unseenLabels,
} from '../../models/train/evaluate.ts';
import { initialEncoder, learnerOf, type TrainedEncoder, type Trainer } from '../../models/train/trainer.ts';
import { checkAgreement, dataChanges } from '../agreement.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { checkDatasetOptions, dataSource, datasetOptions, identityOf, openDataset, placesOf } from '../dataset.ts';
import { type Command, type Input, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { page, type Section } from '../pages/page.ts';
import { runPage, scoreSection } from '../pages/run.ts';
import { featureSection, trainedSections } from '../pages/trained.ts';
import { type Results, scoreHeader, scoreRows } from '../report.ts';
import { type MetricsLine, type RunConfig, RunFolder } from '../runFolder.ts';
import { table } from '../table.ts';
import { jsonOf, print, remark, shellWord } from '../text.ts';
import { checkChannels, encoderOptions, loadEncoder, pixelsOf, scaleOf } from './embed.ts';

interface Finish {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly dataset: ImageDataset;
  readonly trainer: Trainer;
  readonly lines: readonly MetricsLine[];
  readonly evaluate: boolean;
  readonly json: boolean;
  readonly say: (text: string) => void;
  readonly pause: () => Promise<void>;
}

/** The scores of each encoder, by what `title` calls it. */
async function scoresOf(
  encoders: readonly Pick<TrainedEncoder, 'name' | 'encoder'>[],
  title: (name: string | null) => string,
  dataset: ImageDataset,
  options: ScoreOptions,
): Promise<Results> {
  const scores: [string, FeatureScores][] = [];
  for (const { name, encoder } of encoders) scores.push([title(name), await scoreEncoder(encoder, dataset, options)]);
  return Object.fromEntries(scores);
}

/** Scores the run's encoders beside an untrained one and the pixels, prints the table, and writes results and report into the folder. */
export async function finishRun({ folder, config, dataset, trainer, lines, evaluate: scored, json, say, pause }: Finish): Promise<void> {
  let results: Results | null = null;
  let pictures: readonly Section[] = [];
  if (scored) {
    say('scoring the frozen features …');
    const options = { seed: config.training.seed, pause };
    const random = initialEncoder(config.training, dataset.train.images.shape[1]!);
    const pixels = await scorePixels(dataset, options);
    results = {
      ...(await scoresOf(
        trainer.encoders,
        (name) => `trained (${config.training.method}${name === null ? '' : `, ${name} encoder`})`,
        dataset,
        options,
      )),
      'random encoder': await scoreEncoder(random, dataset, options),
      ...(pixels && { 'raw pixels': pixels }),
    };
    random.dispose();
    await folder.write('results.json', JSON.stringify(results, null, 2));
    print(json ? jsonOf({ event: 'results', results }) : `\n${table(scoreHeader, scoreRows(results))}\n`);
    pictures = await trainedSections(trainer, dataset);
  }
  await folder.write('report.html', runPage(config, lines, results, pictures));
  say(`run folder: ${named(folder.path)} (report.html, encoder.safetensors, metrics.jsonl)`);
}

export const evaluate: Command = {
  summary: 'Score a trained encoder: linear probe, k-NN and collapse metrics',
  usage: '--run FOLDER | --weights FILE.safetensors [options]',
  options: {
    run: { type: 'string', value: 'FOLDER', help: 'a run of tensegrity train: its last checkpoint, on its own data' },
    ...encoderOptions,
    ...datasetOptions,
    seed: { type: 'string', value: 'N', help: "of the probe's order (0)" },
    html: { type: 'string', value: 'FILE.html', help: 'also write a page: scores, and what the encoder makes of images' },
    ...backendOptions,
  },
  examples: [
    ['tensegrity eval --run runs/vicreg-…', 'a run, also one that is not finished'],
    ['tensegrity eval --weights resnet18.safetensors --encoder resnet18 --data cifar10 --data-dir ~/data', 'weights of PyTorch'],
  ],
  run: async (input) => {
    const [run, weights] = [input.text('run'), input.text('weights')];
    if ((run === undefined) === (weights === undefined))
      throw new UsageError('eval needs either --run FOLDER or --weights FILE.safetensors');
    const seed = input.whole('seed') ?? 0;
    const htmlPath = input.text('html');
    await startBackend(input);
    const { encoders, dataset, files } = run === undefined ? await fromWeights(input, weights!) : await fromRun(input, run);
    if (htmlPath !== undefined) await checkOutputs(files, [htmlPath]);
    const lacking = lackingLabels(dataset);
    check(
      lacking === null,
      'data',
      () => `${named(dataset.name)} has no ${lacking}, which probes need; name them with --labels, --test-images and --test-labels`,
    );
    const unseen = unseenLabels(dataset);
    if (unseen !== null) remark(`warning: ${named(dataset.name)}: ${unseen}`);
    const results = await scoresOf(encoders, (name) => (name === null ? 'encoder' : `${name} encoder`), dataset, { seed });
    if (htmlPath !== undefined) {
      const pictures: Section[] = [];
      for (const { name, encoder } of encoders) pictures.push(await featureSection(encoder, dataset, name));
      const title = `${basename(run ?? weights!)} on ${basename(dataset.name)}`;
      await writeFileAtomically(htmlPath, page({ title, sections: [scoreSection(results), ...pictures] }));
    }
    print(input.flag('json') ? jsonOf(results) : table(scoreHeader, scoreRows(results)));
  },
};

interface Subject {
  readonly encoders: readonly Pick<TrainedEncoder, 'name' | 'encoder'>[];
  readonly dataset: ImageDataset;
  /** That have been read. */
  readonly files: readonly string[];
}

async function fromWeights(input: Input, path: string): Promise<Subject> {
  const loaded = await loadEncoder(input, path);
  const source = dataSource(input);
  checkDatasetOptions(input, source);
  const dataset = await openDataset(source);
  checkChannels(loaded, dataset, path);
  return {
    encoders: [{ name: null, encoder: loaded.encoder }],
    dataset: { ...dataset, ...scaleOf(input, loaded.metadata, pixelsOf(dataset), path) },
    files: [path, ...placesOf(source)],
  };
}

async function fromRun(input: Input, path: string): Promise<Subject> {
  input.refuse(['encoder', 'prefix', 'stem', 'mean', 'deviation'], '--run has an encoder of its own');
  const folder = new RunFolder(path);
  const config = await folder.config();
  const { training, source } = config;
  const checkpoint = await folder.checkpoint();
  check(checkpoint, 'storage', () => `${named(path)} has no checkpoint yet; tensegrity train --resume ${shellWord(path)} goes on with it`);
  const saved = checkAgreement(folder, config, checkpoint);
  // The run's own data, unless other data is named, or labels for it.
  const given = dataSource(input);
  const other = input.text('data') !== undefined;
  checkDatasetOptions(input, other ? given : source);
  const opened = await openDataset(other ? given : { ...source, ...given, data: source.data });
  const changes = other ? null : dataChanges(identityOf(opened), config, saved);
  if (changes !== null && Object.keys(given).length === 1) remark(changes);
  // Other images are normalised as those were that the encoder has seen.
  const { mean, deviation } = other && opened.train.images.dtype === 'u8' ? (saved.identity ?? (await openDataset(source))) : opened;
  const dataset = { ...opened, mean, deviation };
  const [count, channels] = dataset.train.images.shape as [number, number];
  const { learner, encoders } = learnerOf(training, { channels, count });
  // Of the rest, a memory of each image is as large as the data were.
  const scored = new Set(encoders.flatMap(({ encoder }) => [...encoder.namedSlots()].map(([, slot]) => slot)));
  const slots = [...learner.namedSlots()].filter(([, slot]) => scored.has(slot));
  writeSlots(slots, checkpoint.tensors, 'checkpoint', { ignore: [''] });
  return { encoders, dataset, files: [path, ...placesOf({ ...source, ...given })] };
}
