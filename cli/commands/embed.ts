import { createHash } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { named, shown } from '../../engine/arguments.ts';
import type { DType, HostArray } from '../../engine/dtype.ts';
import { check, TensegrityError } from '../../engine/errors.ts';
import { show } from '../../engine/shape.ts';
import type { ImageDataset } from '../../models/data/images.ts';
import { datasetNames, loadDataset } from '../../models/data/node.ts';
import { readSafetensors, withStorageErrors, writeArray, writeFileAtomically } from '../../models/io/node.ts';
import { type EncoderName, encoders, firstWeights } from '../../models/nn/encoders.ts';
import type { Encoder } from '../../models/nn/networks.ts';
import { prefixesOf } from '../../models/nn/state.ts';
import { CHUNK, features } from '../../models/train/evaluate.ts';
import { backendChoice, backendOptions, startBackend } from '../backend.ts';
import { sizeOption } from '../dataset.ts';
import { asUsage, type Command, decimal, type Input, type OptionTable, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { chosenShard, rangeOf, shardOption, shardPath, writeShard } from '../shards.ts';
import { jsonOf, print, remark, shellWord } from '../text.ts';

export const encoderOptions: OptionTable = {
  weights: {
    type: 'string',
    value: 'FILE.safetensors',
    help: "the encoder's weights by PyTorch's names; a classifier head (fc.*) is ignored",
  },
  prefix: {
    type: 'string',
    value: 'NAME.',
    help: 'what the names of the weights begin with, as module.encoder_q. (found, where only one has them all)',
  },
  encoder: { type: 'string', value: Object.keys(encoders).join('|'), help: 'its architecture (what the file says; else small-conv)' },
  stem: {
    type: 'string',
    value: 'imagenet|cifar',
    help: 'first layer of a ResNet or transformer (imagenet, unless the weights have one of at most 4×4)',
  },
  mean: {
    type: 'string',
    value: 'M,…',
    help: 'of u8 images scaled to [0, 1], by channel (those of its training; else of the images themselves)',
  },
  deviation: { type: 'string', value: 'S,…', help: 'likewise' },
};

const stems = ['imagenet', 'cifar'] as const;

interface LoadedEncoder {
  readonly encoder: Encoder;
  readonly architecture: EncoderName;
  readonly stem: (typeof stems)[number];
  /** Channels of the images that it takes. */
  readonly channels: number;
  /** What the file says of itself; one that `train` wrote says how images were normalised. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What a file of weights says of itself. @throws TensegrityError `format` for what there is not. */
function said<Name extends string>(
  path: string,
  metadata: ReadonlyMap<string, string>,
  what: string,
  names: readonly Name[],
): Name | undefined {
  const text = metadata.get(what);
  const found = names.find((name) => name === text);
  check(
    text === undefined || found !== undefined,
    'format',
    () => `${named(path)}: it says that its ${what} is ${shown(text)}, and there are ${names.join(', ')}; say which it is with --${what}`,
  );
  return found;
}

/**
 * An encoder with weights from a file, whose names may have a prefix: the one under which everything is found. What else is there, beside it or
 * under it (heads, queues), is passed over, and said.
 * @throws TensegrityError `format` naming what is missing or left over, or the prefixes if there are several.
 */
export async function loadEncoder(input: Input, path: string): Promise<LoadedEncoder> {
  const { tensors, metadata } = await readSafetensors(path);
  const architectures = Object.keys(encoders) as EncoderName[];
  const name = input.choice('encoder', architectures) ?? said(path, metadata, 'encoder', architectures) ?? 'small-conv';
  if (name === 'small-conv') input.refuse(['stem'], 'small-conv has no stem to choose');
  const firstName = firstWeights[name];
  const made = (prefix: string): Omit<LoadedEncoder, 'metadata'> & { readonly prefix: string } => {
    const first = tensors.get(prefix + firstName);
    const channels = first?.shape[1] ?? 3;
    const stem =
      input.choice('stem', stems) ?? said(path, metadata, 'stem', stems) ?? ((first?.shape[2] ?? Infinity) <= 4 ? 'cifar' : 'imagenet');
    return { encoder: encoders[name]({ key: 0, inputs: channels, stem }), architecture: name, stem, channels, prefix };
  };
  // The shortest that has the first layer: what the other names are is known when there is an encoder.
  const [shortest = ''] = prefixesOf(tensors, [firstName]).toSorted((a, b) => a.length - b.length);
  const given = input.text('prefix')?.replace(/(?<=[^.])$/, '.');
  let chosen = made(given ?? shortest);
  const names = [...chosen.encoder.namedSlots()].map(([slotName]) => slotName);
  if (given === undefined && shortest !== '') {
    const fitting = prefixesOf(tensors, names);
    const [only = shortest] = fitting;
    check(
      fitting.length <= 1,
      'format',
      () =>
        `${named(path)} holds ${fitting.map((prefix) => named(prefix)).join(' and ')}, each with a ${name}; say which with --prefix ${shellWord(only)}`,
    );
    if (only !== shortest) chosen = made(only);
  }
  const { prefix } = chosen;
  const part = (slotName: string): string => slotName.split('.')[0]!;
  const own = new Set(names.map(part));
  const under = [...tensors.keys()].flatMap((key) => (prefix !== '' && key.startsWith(prefix) ? [key.slice(prefix.length)] : []));
  const others = under.filter((key) => !own.has(part(key)));
  try {
    chosen.encoder.loadStateDict(tensors, { ignore: ['fc.', ...others], prefix });
  } catch (cause) {
    if (!(cause instanceof TensegrityError)) throw cause;
    const { missing, leftOver } = cause.details as { readonly missing?: readonly string[]; readonly leftOver?: readonly string[] };
    const more = missing?.length === 0 && leftOver && leftOver.length > 0;
    const remedies = [
      ...prefixesOf(tensors, names).flatMap((found) =>
        found === prefix || found === '' ? [] : [`name others with --prefix ${shellWord(found)}`],
      ),
      ...(more ? ['take what is left over out of the file'] : []),
      'choose its architecture with --encoder',
    ];
    throw new TensegrityError(
      cause.code,
      `${named(path)} does not hold a ${name}: ${cause.message}; ${remedies.join(', or ')}`,
      cause.details,
      cause,
    );
  }
  const without = others.length === 0 ? '' : `, without ${named([...new Set(others.map(part))].join(', '))}`;
  if (prefix !== '') remark(`${named(path)}: the weights are those of ${named(prefix)}*${without}`);
  return { ...chosen, metadata };
}

/** @throws TensegrityError `data` for images of another number of channels than the encoder takes. */
export function checkChannels({ channels }: Pick<LoadedEncoder, 'channels'>, { name, train }: ImageDataset, weights: string): void {
  const { shape } = train.images;
  check(
    shape[1] === channels,
    'data',
    () =>
      `${named(weights)} takes images of ${channels} channels, and ${named(name)} has ${show(shape)}; give it images [N, ${channels}, H, W]`,
  );
}

export const embed: Command = {
  summary: 'Turn images into features with a trained encoder',
  usage: '--weights FILE.safetensors IMAGES.npy|FOLDER --out Z.npy [options]',
  positionals: [1, 1],
  options: {
    ...encoderOptions,
    out: { type: 'string', value: 'FILE.npy', help: 'where the features go, f32 [N, width]' },
    ...sizeOption,
    names: { type: 'string', value: 'FILE.txt', help: 'of a folder: where the path of each row goes, one a line' },
    ...shardOption,
    ...backendOptions,
  },
  examples: [
    ['tensegrity embed --weights runs/vicreg/encoder.safetensors images.npy --out z.npy', 'features of the small encoder'],
    [
      'tensegrity embed --weights encoder.safetensors photos/ --size 64 --out z.npy --names z.txt',
      'of a folder of images, with their paths',
    ],
    ['tensegrity embed --weights resnet18.safetensors --encoder resnet18 images.npy --out z.npy', "PyTorch's ResNet-18"],
    ['tensegrity embed --weights encoder.safetensors images.npy --out z.npy --shard 3/16', 'the fourth sixteenth, for tensegrity gather'],
  ],
  run: async (input) => {
    const [path, out] = [input.text('weights'), input.text('out')];
    if (path === undefined || out === undefined) throw new UsageError('embed needs --weights FILE.safetensors and --out FILE.npy');
    const shard = chosenShard(input.text('shard'), process.env);
    if (shard) input.refuse(['names'], 'a shard keeps the paths of its rows itself, and gather --names writes them');
    await startBackend(input);
    const [images, names, size] = [input.positionals[0]!, input.text('names'), input.whole('size', 1)];
    if (images.endsWith('.npy') || datasetNames.includes(images))
      input.refuse(['size', 'names'], `${named(images)} is no folder of images`);
    const target = shard ? shardPath(out, shard) : out;
    await checkOutputs([path, images], names === undefined ? [target] : [target, names]);
    // Better now than after minutes of work.
    await withStorageErrors('write', out, () => access(dirname(out), constants.W_OK));
    const loaded = await loadEncoder(input, path);
    const rows = shard ? (count: number) => rangeOf(shard, count, CHUNK) : undefined;
    const dataset = await asUsage(() => loadDataset(images, { size, whole: true, rows, onRemark: remark }));
    if (!dataset.files) input.refuse(['size', 'names'], `${named(images)} is no folder of images`);
    checkChannels(loaded, dataset, path);
    const pixels = { ...pixelsOf(dataset), ...(shard && { own: null }) };
    const scale = scaleOf(input, loaded.metadata, pixels, path);
    const compute = async (): Promise<HostArray> =>
      (await features(loaded.encoder, dataset.train.images, scale, dataset.part ? { place: dataset.part } : {})).pooled;
    if (shard) {
      const written = await writeShard(target, shard, dataset, await encoderDigest(loaded, scale), backendChoice(input), compute);
      print(input.flag('json') ? jsonOf({ out: target, shape: written }) : `${named(target)}: f32 ${show(written)}`);
      return;
    }
    const z = await compute();
    if (names !== undefined) await writeFileAtomically(names, dataset.files!.train.map((file) => `${file}\n`).join(''));
    await writeArray(out, z);
    print(input.flag('json') ? jsonOf({ out, shape: z.shape }) : `${named(out)}: f32 ${show(z.shape)}`);
  },
};

/** What decides about an encoder's features, in 64 digits: its architecture, weights and statistics, and how images are normalised. */
async function encoderDigest({ encoder, architecture, stem }: LoadedEncoder, { mean, deviation }: Scale): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([architecture, stem, mean, deviation]));
  for (const [name, { dtype, shape, data }] of await encoder.stateDict())
    hash.update(JSON.stringify([name, dtype, shape])).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

type Scale = Pick<ImageDataset, 'mean' | 'deviation'>;

/** Images that an encoder takes: how they are stored, and their own statistics where there are any yet. */
interface Pixels {
  readonly dtype: DType;
  readonly channels: number;
  readonly own: Scale | null;
}

export const pixelsOf = (dataset: ImageDataset): Pixels => ({
  dtype: dataset.train.images.dtype,
  channels: dataset.mean.length,
  own: dataset,
});

/**
 * How images are normalised for an encoder. Float images are used as they are; u8 ones are normalised as the call says, else as in the
 * encoder's training, else by themselves. @throws UsageError, TensegrityError `format` unless there is a number for each channel.
 */
export function scaleOf(input: Input, metadata: ReadonlyMap<string, string>, { dtype, channels, own }: Pixels, weights: string): Scale {
  const all = (value: number): number[] => new Array<number>(channels).fill(value);
  if (dtype !== 'u8') {
    input.refuse(['mean', 'deviation'], 'float images are used as they are');
    return own ?? { mean: all(0), deviation: all(1) };
  }
  const list = (name: 'mean' | 'deviation'): readonly number[] => {
    const [said, text] = [input.text(name), input.text(name) ?? metadata.get(name)];
    const values = text?.split(',').map(decimal) ?? own?.[name];
    if (values === undefined)
      throw new UsageError(`${named(weights)} does not say how images were normalised in its training; say it with --mean and --deviation`);
    if (values.length === channels && values.every((value) => Number.isFinite(value) && (name === 'mean' || value > 0))) return values;
    const expected = `${channels} numbers separated by commas, one for each channel${name === 'mean' ? '' : ', above 0'}; got ${shown(text)}`;
    if (said !== undefined) throw new UsageError(`--${name} takes ${expected}`);
    throw new TensegrityError('format', `${named(weights)}: its ${name} must be ${expected}; say what it is with --${name}`);
  };
  return { mean: list('mean'), deviation: list('deviation') };
}
