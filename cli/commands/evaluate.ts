import type { ImageDataset } from '../../models/data/images.ts';
import type { Encoder } from '../../models/nn/networks.ts';
import { scoreEncoder, scorePixels } from '../../models/train/evaluate.ts';
import { initialEncoder } from '../../models/train/trainer.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { dataSource, datasetOptions, openDataset } from '../dataset.ts';
import { type Command, UsageError } from '../options.ts';
import { type Results, reportPage, scoreHeader, scoreRows } from '../report.ts';
import { type MetricsLine, type RunConfig, RunFolder } from '../runFolder.ts';
import { table } from '../table.ts';
import { encoderOptions, loadEncoder } from './embed.ts';

interface Finish {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  readonly dataset: ImageDataset;
  readonly encoder: Encoder;
  readonly lines: readonly MetricsLine[];
  readonly evaluate: boolean;
  readonly json: boolean;
  readonly say: (text: string) => void;
}

/** Scores the run's encoder beside an untrained one and the pixels, prints the table, and writes results and report into the folder. */
export async function finishRun({ folder, config, dataset, encoder, lines, evaluate: scored, json, say }: Finish): Promise<void> {
  let results: Results | null = null;
  if (scored) {
    say('probing the frozen features …');
    const { seed } = config.training;
    const random = initialEncoder(config.training, dataset.train.images.shape[1]!);
    results = {
      [`trained (${config.training.method})`]: await scoreEncoder(encoder, dataset, seed),
      'random encoder': await scoreEncoder(random, dataset, seed),
      'raw pixels': await scorePixels(dataset, seed),
    };
    random.dispose();
    await folder.write('results.json', JSON.stringify(results, null, 2));
    console.log(json ? JSON.stringify({ event: 'results', results }) : `\n${table(scoreHeader, scoreRows(results))}\n`);
  }
  await folder.write('report.html', reportPage(config, lines, results));
  say(`run folder: ${folder.path} (report.html, encoder.safetensors, metrics.jsonl)`);
}

export const evaluate: Command = {
  summary: 'Score a trained encoder: linear probe, k-NN and collapse metrics',
  usage: '--run FOLDER | --weights FILE.safetensors [options]',
  options: {
    run: { type: 'string', value: 'FOLDER', help: 'a run of tensegrity train: its last checkpoint, on its own data' },
    ...encoderOptions,
    ...datasetOptions,
    seed: { type: 'string', value: 'N', help: "of the probe's order (0)" },
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
    await startBackend(input);
    let [source, encoder]: [RunConfig['source'], Encoder | null] = [dataSource(input), null];
    if (weights !== undefined) encoder = await loadEncoder(input, weights);
    const folder = run === undefined ? null : new RunFolder(run);
    const config = await folder?.config();
    if (config) source = config.source;
    const dataset = await openDataset(source);
    if (folder && config) {
      const checkpoint = await folder.checkpoint();
      if (!checkpoint) throw new UsageError(`${folder.path} has no checkpoint yet`);
      encoder = initialEncoder(config.training, dataset.train.images.shape[1]!);
      encoder.loadStateDict(
        new Map(
          [...checkpoint.tensors].flatMap(([name, array]) =>
            name.startsWith('encoder.') ? [[name.slice('encoder.'.length), array] as const] : [],
          ),
        ),
      );
    }
    const results: Results = { encoder: await scoreEncoder(encoder!, dataset, input.number('seed') ?? 0) };
    console.log(input.flag('json') ? JSON.stringify(results) : table(scoreHeader, scoreRows(results)));
  },
};
