/**
 * Embeddings in shards, one for each task of an array job. A shard is a .safetensors file beside where the whole will be: features, paths of its rows
 * where images have some, and of what they are. So whoever comes later, to do it again or to join, knows whether it belongs.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { named, shown } from '../engine/arguments.ts';
import type { HostArray } from '../engine/dtype.ts';
import { check, TensegrityError } from '../engine/errors.ts';
import { type Shape, show } from '../engine/shape.ts';
import type { ImageDataset } from '../models/data/images.ts';
import { readSafetensorsHeader, writeNewFile } from '../models/io/files.ts';
import { serializeSafetensors } from '../models/io/safetensors.ts';
import type { BackendChoice } from './backend.ts';
import { type OptionTable, UsageError } from './options.ts';
import { remark } from './text.ts';

/** One of `count`, from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** How launchers of array jobs tell a task which it is. */
interface Launcher {
  readonly index: string;
  /** Absent where it does not tell how many there are. */
  readonly count?: string;
  /** The first index and the distance of two, where they may be others than 0 and 1. */
  readonly first?: string;
  readonly step?: string;
}

/** Sources: sbatch(1), "Output environment variables"; AWS Batch User Guide, "Job environment variables"; Kubernetes, "Jobs: completion mode". */
const launchers: readonly Launcher[] = [
  {
    index: 'SLURM_ARRAY_TASK_ID',
    count: 'SLURM_ARRAY_TASK_COUNT',
    first: 'SLURM_ARRAY_TASK_MIN',
    step: 'SLURM_ARRAY_TASK_STEP',
  },
  { index: 'JOB_COMPLETION_INDEX' },
  { index: 'AWS_BATCH_JOB_ARRAY_INDEX', count: 'AWS_BATCH_JOB_ARRAY_SIZE' },
];

export const shardOption: OptionTable = {
  shard: {
    type: 'string',
    value: 'I/N|N|off',
    help: `only part I, from 0, of N equal parts, into FILE.npy.I-of-N.safetensors, which tensegrity gather joins; I alone is taken from the job's ${launchers.map(({ index }) => index).join(', ')} (in an array job both are, unless off)`,
  },
};

const WHOLE = /^\d{1,9}$/;

/**
 * The shard that a call asks for, or else that its job is; null for all images.
 * @param given `--shard`.
 * @throws UsageError for what is no shard, and where it takes both the call and the job to know which and they do not say.
 */
export function chosenShard(given: string | undefined, environment: Readonly<Record<string, string | undefined>>): Shard | null {
  if (given === 'off') return null;
  const [, first, second] = /^(\d{1,9})(?:\/(\d{1,9}))?$/.exec(given ?? '') ?? [];
  if (given !== undefined && first === undefined)
    throw new UsageError(`--shard takes I/N, as 3/16 (from 0), N alone in an array job, or off; got ${shown(given)}`);
  if (second !== undefined) return checkedShard({ index: Number(first), count: Number(second) }, `got ${given}`);
  const launcher = launchers.find(({ index }) => environment[index] !== undefined);
  if (!launcher && first === undefined) return null;
  if (!launcher)
    throw new UsageError(
      `--shard ${first} needs a job that says which of ${first} this is (${launchers.map(({ index }) => index).join(', ')}); say it as --shard I/${first}`,
    );
  const numberIn = (name: string | undefined, otherwise: number): number => {
    const text = name === undefined ? undefined : environment[name];
    if (text !== undefined && !WHOLE.test(text))
      throw new UsageError(`${name} must be a whole number, got ${shown(text)}; say --shard I/N`);
    return text === undefined ? otherwise : Number(text);
  };
  const [told, least] = [numberIn(launcher.index, 0), numberIn(launcher.first, 0)];
  const tasks = numberIn(launcher.count, 0);
  const count = first === undefined ? tasks : Number(first);
  const word = `${launcher.index} is ${told}`;
  if (count === 0 && first === undefined)
    throw new UsageError(`${word}, and nothing says how many shards there are; say it with --shard N (--shard off embeds all images)`);
  if (tasks > 0 && tasks !== count)
    throw new UsageError(`the job has ${tasks} tasks, and there are ${count} shards; say which this is with --shard I/${count}`);
  const index = (told - least) / Math.max(1, numberIn(launcher.step, 1));
  const shard = checkedShard(
    { index, count },
    `and ${word}${least === 0 ? '' : `, from ${least} on`}; say which it is with --shard I/${count}`,
  );
  remark(`shard ${index}/${count}, since ${word}${least === 0 ? '' : `, from ${least} on`}`);
  return shard;
}

function checkedShard({ index, count }: Shard, got: string): Shard {
  if (!(Number.isSafeInteger(index) && index >= 0 && index < count))
    throw new UsageError(`--shard I/N has I from 0 to N − 1${count > 0 ? `, here 0/${count} to ${count - 1}/${count}` : ''}; ${got}`);
  return { index, count };
}

/**
 * Which rows of so many a shard is: parts that differ by one at most, or, where there are so many, by one `grain` of rows, which none divides.
 * @throws TensegrityError `argument` for more shards than rows.
 */
export function rangeOf({ index, count }: Shard, rows: number, grain: number): readonly [start: number, stop: number] {
  check(count <= rows, 'argument', () => `--shard: ${rows} images do not make ${count} shards; choose at most ${rows}`);
  const unit = count * grain <= rows ? grain : 1;
  const boundary = (i: number): number => (i === count ? rows : Math.floor((i * rows) / count / unit) * unit);
  return [boundary(index), boundary(index + 1)];
}

export function shardPath(out: string, { index, count }: Shard): string {
  return `${out}.${index}-of-${count}.safetensors`;
}

/** The name of a shard of `out`, and which it is; null for any other. */
export function shardNamed(name: string, out: string): Shard | null {
  const [, index, count] = (name.startsWith(`${out}.`) && /^\.(\d{1,9})-of-(\d{1,9})\.safetensors$/.exec(name.slice(out.length))) || [];
  return index === undefined ? null : { index: Number(index), count: Number(count) };
}

const KIND = 'tensegrity embedding shard, version 1';

/** What a shard says of itself: which it is, `START-STOP` of the rows, digests of the encoder, of its pixels and of its features. */
const fields = ['shard', 'rows', 'encoder', 'images', 'pixels', 'features', 'backend'] as const;

type ShardRecord = Readonly<Record<(typeof fields)[number], string>>;

/** A shard as it lies in a file. */
export interface ShardFile {
  readonly path: string;
  readonly record: ShardRecord;
  readonly start: number;
  readonly stop: number;
  /** Where the features are, f32 [rows, width], and the paths of the rows, one a line. */
  readonly features: { readonly shape: Shape; readonly from: number; readonly to: number };
  readonly names: { readonly from: number; readonly to: number } | null;
}

/** @throws TensegrityError `storage`, or `format` for what is no shard, a part of one, or the shard of another name. */
export async function readShard(path: string, { index, count }: Shard): Promise<ShardFile> {
  const header = await readSafetensorsHeader(path);
  const { metadata } = header;
  const fail = (why: string): never => {
    throw new TensegrityError('format', `${named(path)} ${why}; remove it and embed that shard again`, { path });
  };
  if (metadata.get('kind') !== KIND) fail(`is no shard of embeddings of this version of tensegrity`);
  const record = Object.fromEntries(fields.map((name) => [name, metadata.get(name) ?? fail(`does not say its ${name}`)])) as ShardRecord;
  if (record.shard !== `${index}/${count}`) fail(`says that it is shard ${record.shard}`);
  const [, start, stop] = /^(\d{1,15})-(\d{1,15})$/.exec(record.rows) ?? fail(`does not say which rows it has`);
  const at = (name: string, dtype: string): { readonly shape: Shape; readonly from: number; readonly to: number } | undefined => {
    const entry = header.entries.find((candidate) => candidate.name === name && candidate.element === dtype);
    return entry && { shape: entry.shape, from: header.dataStart + entry.start, to: header.dataStart + entry.end };
  };
  const features = at('features', 'f32');
  if (features?.shape.length !== 2) return fail('has no features');
  return { path, record, start: Number(start), stop: Number(stop), features, names: at('names', 'u8') ?? null };
}

/** How two shards, or a shard and what it should be, differ in something, in words; null where they do not. */
export function difference(a: ShardRecord, b: ShardRecord, of: readonly (typeof fields)[number][]): string | null {
  const name = of.find((field) => a[field] !== b[field]);
  return name === undefined ? null : `other ${name} (${named(a[name])}, not ${named(b[name])})`;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const bytesOf = ({ data }: HostArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/**
 * Writes a shard, unless it is there already.
 * @param compute its features, f32 [rows, width].
 * @returns their shape.
 * @throws TensegrityError `storage` where there is a shard of another encoder or of other images, and what {@link readShard} throws.
 */
export async function writeShard(
  path: string,
  shard: Shard,
  { train: { images }, files, part }: ImageDataset,
  encoder: string,
  { name, deterministic }: BackendChoice,
  compute: () => Promise<HostArray>,
): Promise<Shape> {
  const { start, stop, of, listing } = part!;
  const record: ShardRecord = {
    shard: `${shard.index}/${shard.count}`,
    rows: `${start}-${stop}`,
    encoder,
    images: `${of} of ${images.dtype} ${show(images.shape.slice(1))}${listing === undefined ? '' : `, paths ${listing}`}`,
    pixels: sha256(bytesOf(images)),
    features: '',
    backend: deterministic ? `${name}, deterministic` : name,
  };
  const there = async (how: string): Promise<Shape> => {
    const { record: other, features } = await readShard(path, shard);
    const differs = difference(other, record, ['encoder', 'images', 'rows', 'pixels']);
    check(differs === null, 'storage', () => `${named(path)} ${how}, of ${differs}; remove it, or choose another --out`);
    remark(`${named(path)} ${how}, of the same encoder and images: nothing to do`);
    return features.shape;
  };
  if (
    await stat(path).then(
      () => true,
      () => false,
    )
  )
    return there('is there already');
  const features = await compute();
  const names = new TextEncoder().encode((files?.train ?? []).map((file) => `${file}\n`).join(''));
  const tensors: [string, HostArray][] = [
    ['features', features],
    ...(files ? [['names', { dtype: 'u8', shape: [names.length], data: names }] as [string, HostArray]] : []),
  ];
  const metadata = [['kind', KIND] as const, ...Object.entries({ ...record, features: sha256(bytesOf(features)) })];
  const first = await writeNewFile(path, serializeSafetensors(tensors, metadata));
  return first ? features.shape : there('was written by another process meanwhile');
}
