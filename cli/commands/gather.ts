import { createHash } from 'node:crypto';
import { access, constants, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { named } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import { show } from '../../engine/shape.ts';
import { partsOf } from '../../models/io/files.ts';
import { withStorageErrors, writeFileAtomically } from '../../models/io/node.ts';
import { npyHeader } from '../../models/io/npy.ts';
import { type Command, UsageError } from '../options.ts';
import { checkOutputs } from '../outputs.ts';
import { difference, readShard, type Shard, type ShardFile, shardNamed, shardPath } from '../shards.ts';
import { jsonOf, print, remark, shellWord } from '../text.ts';

/** How many missing shards a message lists. */
const LISTED = 8;

export const gather: Command = {
  summary: 'Join the shards that embed --shard wrote',
  usage: 'Z.npy [options]',
  positionals: [1, 1],
  options: {
    names: { type: 'string', value: 'FILE.txt', help: 'of a folder: where the path of each row goes, one a line' },
    remove: { type: 'boolean', help: 'remove the shards when they are joined' },
  },
  examples: [
    ['tensegrity gather z.npy', 'z.npy.0-of-16.safetensors, z.npy.1-of-16.safetensors, … become z.npy'],
    ['tensegrity gather z.npy --names z.txt --remove', 'with the paths of a folder; only z.npy and z.txt are left'],
  ],
  run: async (input) => {
    const [out, names] = [input.positionals[0]!, input.text('names')];
    const count = await countOf(out);
    const shards = await Promise.all(all(count).map((shard) => readShard(shardPath(out, shard), shard)));
    checkOneWhole(shards);
    if (names !== undefined && shards.some((shard) => shard.names === null))
      throw new UsageError(`--names: the shards of ${named(out)} are of no folder of images, so their rows have no paths; leave it out`);
    await checkOutputs(
      shards.map(({ path }) => path),
      names === undefined ? [out] : [out, names],
    );
    await withStorageErrors('write', out, () => access(dirname(out), constants.W_OK));
    const rows = shards.reduce((sum, { features }) => sum + features.shape[0]!, 0);
    const shape = [rows, shards[0]!.features.shape[1]!];
    await writeFileAtomically(out, joined(shards, npyHeader({ dtype: 'f32', shape })));
    if (names !== undefined) await writeFileAtomically(names, pathsOf(shards));
    if (input.flag('remove')) for (const { path } of shards) await rm(path);
    print(input.flag('json') ? jsonOf({ out, shape, shards: count }) : `${named(out)}: f32 ${show(shape)}, of ${count} shards`);
  },
};

const all = (count: number): Shard[] => Array.from({ length: count }, (_, index) => ({ index, count }));

/** How many shards there are, all of which are there. @throws TensegrityError `storage` naming those that are missing, or of another array. */
async function countOf(out: string): Promise<number> {
  const folder = dirname(out);
  const entries = await withStorageErrors('read', folder, () => readdir(folder));
  const found = entries.flatMap((name) => shardNamed(name, basename(out)) ?? []);
  const [first] = found;
  check(
    first,
    'storage',
    () =>
      `there are no shards of ${named(out)} (${named(basename(out))}.I-of-N.safetensors); tensegrity embed … --shard I/N --out ${shellWord(out)} writes them`,
  );
  const { count } = first;
  const other = found.find((shard) => shard.count !== count);
  check(
    !other,
    'storage',
    () =>
      `there are shards of ${count} and of ${other!.count} of ${named(out)}; remove those that are of no use, as by rm ${shellWord(join(folder, basename(out)))}.*-of-${other!.count}.safetensors`,
  );
  const there = new Set(found.map(({ index }) => index));
  const missing = all(count).flatMap(({ index }) => (there.has(index) ? [] : [index]));
  check(
    missing.length === 0,
    'storage',
    () =>
      `${named(out)} lacks ${missing.length} of ${count} shards: ${missing.slice(0, LISTED).join(', ')}${missing.length > LISTED ? ', …' : ''}; embed them with --shard ${missing[0]}/${count}, then gather again`,
  );
  return count;
}

/** @throws TensegrityError `data` for shards of different encoders or images, or that are not all rows of them. */
function checkOneWhole(shards: readonly ShardFile[]): void {
  const [first] = shards as [ShardFile];
  let next = 0;
  for (const { path, record, start, stop, features } of shards) {
    const differs = difference(record, first.record, ['encoder', 'images']);
    check(
      differs === null,
      'data',
      () => `${named(path)} is of ${differs} as that of ${named(first.path)}; remove the one that is wrong and embed that shard again`,
    );
    check(
      start === next && features.shape[1] === first.features.shape[1],
      'data',
      () =>
        `${named(path)} has rows ${start} to ${stop}, ${show(features.shape)}, and row ${next} comes next; remove it and embed that shard again`,
    );
    next = stop;
  }
  const of = Number.parseInt(first.record.images, 10);
  check(next === of, 'data', () => `the shards of ${named(first.path)} end at row ${next} of ${of}; embed them again`);
  const backends = [...new Set(shards.map(({ record }) => record.backend))];
  if (backends.length > 1)
    remark(`shards were computed on different backends (${backends.join('; ')}): they differ by rounding from what either gives alone`);
}

/** The bytes of the whole, a few at a time. @throws TensegrityError `format` for features that are not those that were written. */
async function* joined(shards: readonly ShardFile[], header: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield header;
  for (const { path, record, features } of shards) {
    const hash = createHash('sha256');
    for await (const part of partsOf(path, features.from, features.to)) {
      hash.update(part);
      yield part;
    }
    check(
      hash.digest('hex') === record.features,
      'format',
      () => `${named(path)} is damaged: its features do not match its digest; remove it and embed that shard again`,
    );
  }
}

async function* pathsOf(shards: readonly ShardFile[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { path, names } of shards) if (names) yield* partsOf(path, names.from, names.to);
}
