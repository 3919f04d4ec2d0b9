import { named } from '../../engine/arguments.ts';
import type { HostArray } from '../../engine/dtype.ts';
import { check } from '../../engine/errors.ts';
import { show } from '../../engine/shape.ts';
import { type LabelledFeatures, nearestNeighbours } from '../../models/evaluate/classify.ts';
import { type CollapseMetrics, collapseMetrics } from '../../models/evaluate/collapse.ts';
import { readArray, writeFileAtomically } from '../../models/io/node.ts';
import { verdictOf } from '../../models/train/monitor.ts';
import { backendOptions, startBackend } from '../backend.ts';
import { checkAlike, ofFiles, readEmbedding } from '../embeddings.ts';
import { type Command, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { inspectPage } from '../pages/inspect.ts';
import { HEALTHY } from '../pages/page.ts';
import { columns, percent } from '../table.ts';
import { jsonOf, print } from '../text.ts';

/** Each number that the command shows, with what it tells; the order of the text. */
const meanings: Readonly<Record<Exclude<keyof CollapseMetrics, 'spectrum'>, string>> = {
  deviation: 'mean standard deviation of a dimension: 0 where all rows are one point',
  normalizedDeviation: 'the same of directions, times √d: 1 healthy, 0 collapsed',
  meanOffDiagonalCorrelation: 'mean |correlation| of two dimensions: near 1 they say the same',
  rankMe: 'how many dimensions are used (RankMe, un-centred as published: a common offset lowers it)',
  rankMeCentred: 'the same of centred rows',
  effectiveRank: 'entropy of the centred singular values, without ε',
  alphaReQ: 'how fast the spectrum decays: about 1 is healthy, more is dimensional collapse',
  uniformity: 'log mean e^(−2‖x−y‖²) of directions: 0 collapsed, lower is more even',
  alignment: 'mean ‖x−y‖² of the directions of two views: 0 where they agree',
  lidar: 'how many dimensions tell samples apart better than views of one',
};

export const inspect: Command = {
  summary: 'Say whether embeddings that any framework wrote have collapsed, and how',
  usage: 'Z.npy [ZB.npy] [options]',
  positionals: [1, 2],
  options: {
    labels: { type: 'string', value: 'FILE.npy', help: 'classes [n]: adds k-NN, every other row classified by the rest' },
    rows: { type: 'string', value: 'N', help: 'look at the first N rows only (all; ranks take about 16·d³ steps)' },
    images: { type: 'string', value: 'FILE.npy', help: 'images [n, C, H, W] that the rows are of, for the page' },
    html: {
      type: 'string',
      value: 'FILE.html',
      help: 'also write a page: spread, spectrum, covariance, the rows in the plane, neighbours',
    },
    ...backendOptions,
  },
  examples: [
    ['tensegrity inspect z.npy', 'spread, correlation, rank and spectrum of embeddings [n, d]'],
    ['tensegrity inspect za.npy zb.npy', 'with alignment and LiDAR, of two views of the same samples'],
    ['tensegrity inspect z.npy --labels y.npy --json', 'with k-NN accuracy; JSON'],
    ['tensegrity inspect z.npy --labels y.npy --images x.npy --html z.html', 'a page with pictures'],
  ],
  run: async (input) => {
    const [path, pathB] = input.positionals as [string, string | undefined];
    const limit = input.whole('rows', 2) ?? Infinity;
    const [labelsPath, imagesPath, htmlPath] = [input.text('labels'), input.text('images'), input.text('html')];
    if (imagesPath !== undefined && htmlPath === undefined)
      throw new UsageError('--images are shown on the page; name one with --html FILE.html');
    if (htmlPath !== undefined)
      await checkOutputs(
        [path, pathB, labelsPath, imagesPath].filter((file) => file !== undefined),
        [htmlPath],
      );
    const backend = await startBackend(input);
    const doubles = backend.dtypes.includes('f64');
    const read = async (file: string): Promise<HostArray> => {
      const { z, beyond } = await readEmbedding(file, doubles);
      check(beyond === null, 'data', () => beyond ?? '');
      return firstRows(await z.toHost(), limit);
    };
    const z = await read(path);
    const second = pathB === undefined ? undefined : await read(pathB);
    if (second) checkAlike(input.positionals, [z, second]);
    const metrics = await ofFiles(input.positionals, () => collapseMetrics(z, second && { second }));
    const [rows, dimensions] = z.shape as [number, number];
    const labels = labelsPath === undefined ? undefined : await readLabels(labelsPath, rows, limit);
    const images = imagesPath === undefined ? undefined : await readImages(imagesPath, rows, limit);
    const nearest = labels === undefined ? null : await ofFiles([labelsPath!], () => everyOther(z, labels));
    const verdict = verdictOf(metrics);
    const words = verdict && `${verdict.kind}: ${verdict.message}`;
    const shown = Object.entries(meanings).flatMap(([name, meaning]) => {
      const value = metrics[name as keyof typeof meanings];
      return Number.isNaN(value) ? [] : [{ name, value, meaning }];
    });
    if (htmlPath !== undefined) {
      const known = { ...(labels && { labels }), ...(images && { images }) };
      await writeFileAtomically(htmlPath, await inspectPage({ path, z, second, ...known, metrics: shown, nearest, verdict: words }));
    }
    if (input.flag('json')) {
      print(jsonOf({ rows, dimensions, ...metrics, ...(nearest !== null && { nearest }), verdict: verdict ?? { kind: 'healthy' } }));
      return;
    }
    print(
      [
        `${rows} rows of ${dimensions} dimensions`,
        ...columns([
          ...shown.map(({ name, value, meaning }) => [`${name} ${Number(value.toPrecision(4))}`, meaning] as const),
          ...(nearest === null ? [] : [[`k-NN ${percent(nearest)}`, 'accuracy of every other row, classified by the rest'] as const]),
          ['spectrum', spectrumLine(metrics.spectrum)],
        ]),
        words ?? HEALTHY,
      ].join('\n'),
    );
  },
};

function firstRows({ dtype, shape, data }: HostArray, limit: number): HostArray {
  const [n, ...rest] = shape as [number, ...number[]];
  const kept = Math.min(n, limit);
  return { dtype, shape: [kept, ...rest], data: data.subarray(0, n === 0 ? 0 : (data.length / n) * kept) };
}

async function readLabels(path: string, count: number, limit: number): Promise<HostArray> {
  const all = await readArray(path);
  const labels = firstRows(all, limit);
  check(
    labels.shape.length === 1 && labels.shape[0] === count,
    'shape',
    () => `${named(path)}: labels must be [${count}], one a row of the embeddings, got ${show(all.shape)}`,
  );
  return labels;
}

async function readImages(path: string, count: number, limit: number): Promise<HostArray> {
  const all = await readArray(path);
  const images = firstRows(all, limit);
  check(
    images.shape.length === 4 && images.shape[0] === count && images.data.length > 0,
    'shape',
    () => `${named(path)}: images must be [${count}, channels, height, width], one a row of the embeddings, got ${show(all.shape)}`,
  );
  return images;
}

/** Accuracy of the odd rows by their nearest among the even ones. */
async function everyOther(features: HostArray, labels: HostArray): Promise<number> {
  const half = (from: 0 | 1): LabelledFeatures => ({ features: every(features, from), labels: every(labels, from) });
  return (await nearestNeighbours(half(0), half(1))).accuracy;
}

function every({ dtype, shape, data }: HostArray, from: 0 | 1): HostArray {
  const [n, ...rest] = shape as [number, ...number[]];
  const width = data.length / n;
  const count = Math.floor((n + 1 - from) / 2);
  const half = data.slice(0, count * width);
  for (let i = 0; i < count; i++) half.set(data.subarray((2 * i + from) * width, (2 * i + from + 1) * width), i * width);
  return { dtype, shape: [count, ...rest], data: half };
}

/** The share of the variance that the first directions have, as text. */
function spectrumLine(spectrum: readonly number[]): string {
  const total = spectrum.reduce((sum, value) => sum + value, 0);
  if (!(total > 0)) return 'no direction has any variance';
  const directions = [1, 2, 4, 8, 16, 32, 64, 128, 256].filter((count) => count <= spectrum.length);
  const share = (count: number): number => spectrum.slice(0, count).reduce((sum, value) => sum + value, 0) / total;
  return `share of the variance in the first ${directions.map((count) => `${count}: ${percent(share(count))}`).join(', ')}`;
}
