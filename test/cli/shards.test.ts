/** Shards of embeddings: which images each has, what makes them one whole, and what does not belong. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { embed } from '../../cli/commands/embed.ts';
import { gather } from '../../cli/commands/gather.ts';
import { type Command, parseInput } from '../../cli/options.ts';
import { chosenShard, rangeOf, shardPath, writeShard } from '../../cli/shards.ts';
import type { HostArray } from '../../engine/index.ts';
import { loadDataset } from '../../models/data/node.ts';
import { readArray, readSafetensors, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { encoders } from '../../models/nn/encoders.ts';
import { property } from '../support/property.ts';
import { Call, fails, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => join(folder, name);

/** Runs a command here; resolves to what it said on standard error. */
async function run(name: string, command: Command, words: readonly string[]): Promise<string> {
  const said: string[] = [];
  const spies = [
    vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text)),
    vi.spyOn(console, 'log').mockImplementation(() => undefined),
  ];
  try {
    await command.run(parseInput(words, name, command));
    return said.join('\n');
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const embedded = (images: string, out: string, ...words: readonly string[]): Promise<string> =>
  run('embed', embed, ['--weights', path('w.safetensors'), images, '--out', out, '--threads', '1', ...words]);
const gathered = (out: string, ...words: readonly string[]): Promise<string> => run('gather', gather, [out, ...words]);

const pixels = (count: number, seed = 0): HostArray => ({
  dtype: 'u8',
  shape: [count, 1, 12, 12],
  data: Uint8Array.from({ length: count * 144 }, (_, i) => ((i + seed) * 2654435761) >>> 24),
});
const scale: [string, string][] = [
  ['mean', '.5'],
  ['deviation', '.25'],
];

beforeAll(async () => {
  const weights = (key: number): Promise<Map<string, HostArray>> => encoders['small-conv']({ key, inputs: 1 }).stateDict();
  await writeSafetensors(path('w.safetensors'), await weights(1), scale);
  await writeSafetensors(path('other.safetensors'), await weights(2), scale);
  await writeSafetensors(path('bare.safetensors'), await weights(1));
  await writeArray(path('images.npy'), pixels(1203));
  await writeArray(path('few.npy'), pixels(10));
  await embedded(path('few.npy'), path('whole.npy'));
});

describe('which shard', () => {
  const slurm = (id: number, min: number, count: number, step = 1): Record<string, string> => ({
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_ARRAY_TASK_MIN: String(min),
    SLURM_ARRAY_TASK_COUNT: String(count),
    SLURM_ARRAY_TASK_STEP: String(step),
  });
  const chosen = (given: string | undefined, environment: Readonly<Record<string, string>>): readonly unknown[] => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const shard = chosenShard(given, environment);
      return [shard && `${shard.index}/${shard.count}`, said.mock.calls.flat().join()];
    } finally {
      said.mockRestore();
    }
  };

  it('is what the call says, else what the job does, which is said', () => {
    expect(chosen(undefined, {})).toEqual([null, '']);
    expect(chosen('off', slurm(3, 0, 4))).toEqual([null, '']);
    expect(chosen('2/4', slurm(3, 0, 4))).toEqual(['2/4', '']);
    expect(chosen(undefined, slurm(3, 0, 4))).toEqual(['3/4', 'shard 3/4, since SLURM_ARRAY_TASK_ID is 3']);
    expect(chosen('4', slurm(7, 1, 4, 2))).toEqual(['3/4', 'shard 3/4, since SLURM_ARRAY_TASK_ID is 7, from 1 on']);
    expect(chosen('8', { JOB_COMPLETION_INDEX: '5' })).toEqual(['5/8', 'shard 5/8, since JOB_COMPLETION_INDEX is 5']);
    expect(chosen(undefined, { AWS_BATCH_JOB_ARRAY_INDEX: '1', AWS_BATCH_JOB_ARRAY_SIZE: '2' })[0]).toBe('1/2');
  });

  it('is an error where that is not said, or does not fit', () => {
    const wrong: readonly (readonly [string | undefined, Readonly<Record<string, string>>, RegExp])[] = [
      ['4/4', {}, /--shard I\/N has I from 0 to N − 1, here 0\/4 to 3\/4; got 4\/4/],
      ['0/0', {}, /--shard I\/N has I from 0/],
      ['a', {}, /--shard takes I\/N, as 3\/16.*got 'a'/],
      ['-1/4', {}, /--shard takes I\/N/],
      ['4', {}, /needs a job that says which of 4 this is .*JOB_COMPLETION_INDEX.*--shard I\/4/],
      [undefined, { JOB_COMPLETION_INDEX: '5' }, /nothing says how many shards there are; say it with --shard N/],
      ['4', { JOB_COMPLETION_INDEX: '5' }, /here 0\/4 to 3\/4; and JOB_COMPLETION_INDEX is 5/],
      // One task of an array, sent again alone.
      ['4', slurm(3, 3, 1), /the job has 1 tasks, and there are 4 shards; .*--shard I\/4/],
      // sbatch --array=1,5,9
      [undefined, slurm(5, 1, 3), /SLURM_ARRAY_TASK_ID is 5, from 1 on; say which it is with --shard I\/3/],
      [undefined, { JOB_COMPLETION_INDEX: 'x' }, /JOB_COMPLETION_INDEX must be a whole number, got 'x'/],
    ];
    for (const [given, environment, message] of wrong) expect(() => chosen(given, environment), String(given)).toThrow(message);
  });

  it('has rows that come once each, in order, as many as the others have, and grains are whole where they can be', async () => {
    await property(
      [fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 300 })],
      (rows, grain, count) => {
        fc.pre(count <= rows);
        const ranges = Array.from({ length: count }, (_, index) => rangeOf({ index, count }, rows, grain));
        expect(ranges.map(([start]) => start)).toEqual([0, ...ranges.slice(0, -1).map(([, stop]) => stop)]);
        expect(ranges.at(-1)![1]).toBe(rows);
        const lengths = ranges.map(([start, stop]) => stop - start);
        const unit = count * grain <= rows ? grain : 1;
        expect(Math.min(...lengths)).toBeGreaterThan(0);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(2 * unit);
        for (const [start] of ranges) expect(start % unit).toBe(0);
      },
    );
    expect(() => rangeOf({ index: 0, count: 4 }, 3, 1)).toThrow(/3 images do not make 4 shards; choose at most 3/);
  });
});

describe('shards of images', () => {
  it.each([2, 3, 7])('are, all %i joined, the file that embed writes, to the bit', async (count) => {
    const [whole, out] = [path('z.npy'), path(`z${count}.npy`)];
    if (!existsSync(whole)) await embedded(path('images.npy'), whole);
    for (let index = 0; index < count; index++) await embedded(path('images.npy'), out, '--shard', `${index}/${count}`);
    await gathered(out, '--remove');
    expect(readFileSync(out).equals(readFileSync(whole))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('-of-') || name.endsWith('.partial'))).toEqual([]);
  });

  it('may be single images', async () => {
    for (let index = 0; index < 10; index++) await embedded(path('few.npy'), path('single.npy'), '--shard', `${index}/10`);
    await gathered(path('single.npy'));
    expect(readFileSync(path('single.npy')).equals(readFileSync(path('whole.npy')))).toBe(true);
    const { metadata } = await readSafetensors(shardPath(path('single.npy'), { index: 3, count: 10 }));
    expect(Object.fromEntries(metadata)).toMatchObject({ rows: '3-4', images: '10 of u8 [1, 12, 12]', backend: 'wasm' });
  });

  it('keep the paths of a folder, and leave out what cannot be decoded', async () => {
    mkdirSync(path('photos'));
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      await sharp(
        Uint8Array.from({ length: 3 * 256 }, (_, i) => (i * name.charCodeAt(0)) % 256),
        { raw: { width: 16, height: 16, channels: 3 } },
      )
        .png()
        .toFile(path(`photos/${name}.png`));
    writeFileSync(path('photos/bb.png'), 'no image');
    await writeSafetensors(path('colour.safetensors'), await encoders['small-conv']({ key: 1, inputs: 3 }).stateDict());
    const words = [
      '--weights',
      path('colour.safetensors'),
      path('photos'),
      '--size',
      '12',
      '--mean=.5,.5,.5',
      '--deviation=.2,.2,.2',
      '--threads=1',
    ];
    const call = (...more: readonly string[]): Promise<string> => run('embed', embed, [...words, ...more]);
    await call('--out', path('p.npy'), '--names', path('p.txt'));
    const said = [];
    for (let index = 0; index < 3; index++) said.push(await call('--out', path('q.npy'), '--shard', `${index}/3`));
    expect(said[1]).toMatch(/skipped 1 of 2 images: bb\.png/);
    await gathered(path('q.npy'), '--names', path('q.txt'));
    expect(readFileSync(path('q.txt'), 'utf8')).toBe('a.png\nb.png\nc.png\nd.png\ne.png\n');
    expect(readFileSync(path('q.txt')).equals(readFileSync(path('p.txt')))).toBe(true);
    expect((await readArray(path('q.npy'))).shape).toEqual([5, 128]);
    await expect(call('--out', path('q.npy'), '--shard', '0/3', '--names', 'x')).rejects.toThrow(
      /gather --names writes them; leave out --names/,
    );
    // A file more: other images from here on.
    copyFileSync(path('photos/a.png'), path('photos/f.png'));
    await expect(call('--out', path('q.npy'), '--shard', '0/3')).rejects.toThrow(
      /q\.npy\.0-of-3\.safetensors is there already, of other images/,
    );
  });
});

describe('a shard that is there', () => {
  const out = path('again.npy');
  const shard = (index: number): string => shardPath(out, { index, count: 2 });
  beforeAll(async () => {
    for (const index of [0, 1]) await embedded(path('few.npy'), out, '--shard', `${index}/2`);
  });

  it('is not computed again, unless of other weights or images, which is an error', async () => {
    const before = readFileSync(shard(0));
    expect(await embedded(path('few.npy'), out, '--shard', '0/2')).toMatch(
      /0-of-2\.safetensors is there already, of the same encoder and images/,
    );
    await expect(embedded(path('few.npy'), out, '--shard', '0/2', '--weights', path('other.safetensors'))).rejects.toThrow(
      /0-of-2\.safetensors is there already, of other encoder \(\w{64}, not \w{64}\); remove it, or choose another --out/,
    );
    await expect(embedded(path('few.npy'), out, '--shard', '0/2', '--mean', '.4')).rejects.toThrow(/of other encoder/);
    await writeArray(path('changed.npy'), pixels(10, 1));
    await expect(embedded(path('changed.npy'), out, '--shard', '0/2')).rejects.toThrow(/of other pixels/);
    await expect(embedded(path('images.npy'), out, '--shard', '0/2')).rejects.toThrow(/of other images \(10 of u8/);
    expect(readFileSync(shard(0)).equals(before)).toBe(true);
  });

  it('was one of several writers’: the first keeps the place', async () => {
    const target = shardPath(path('raced.npy'), { index: 0, count: 1 });
    const dataset = { ...(await loadDataset(path('few.npy'))), part: { start: 0, stop: 10, of: 10 } };
    const write = (encoder: string, value: number, meanwhile: () => Promise<unknown>): Promise<unknown> =>
      writeShard(target, { index: 0, count: 1 }, dataset, encoder, { name: 'wasm', deterministic: false }, async () => {
        await meanwhile();
        return { dtype: 'f32', shape: [10, 1], data: new Float32Array(10).fill(value) };
      });
    await expect(write('a', 1, () => write('b', 2, async () => undefined))).rejects.toThrow(
      /0-of-1\.safetensors was written by another process meanwhile, of other encoder \(b, not a\)/,
    );
    expect((await readSafetensors(target)).tensors.get('features')!.data[0]).toBe(2);
    rmSync(target);
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    expect(await write('a', 1, () => write('a', 1, async () => undefined))).toEqual([10, 1]);
    expect(said.mock.calls.flat().join()).toMatch(
      /was written by another process meanwhile, of the same encoder and images: nothing to do/,
    );
    said.mockRestore();
  });

  it('is left whole by a kill, or not at all', async () => {
    const killed = path('killed.npy');
    const words = ['embed', '--weights', path('w.safetensors'), path('images.npy'), '--out', killed, '--threads', '1', '--shard', '0/2'];
    const call = new Call(words);
    setTimeout(() => call.kill('SIGKILL'), 150);
    await call.finished;
    await embedded(path('images.npy'), killed, '--shard', '0/2');
    await embedded(path('images.npy'), killed, '--shard', '1/2');
    await gathered(killed);
    expect((await readArray(killed)).shape).toEqual([1203, 128]);
  });

  it('is refused by gather where it is missing, cut off, changed, or of something else, and nothing is written', async () => {
    const kept = path('kept');
    const refuses = async (spoil: () => unknown, message: RegExp): Promise<void> => {
      copyFileSync(shard(1), kept);
      await spoil();
      await expect(gathered(out), String(message)).rejects.toThrow(message);
      expect(existsSync(out)).toBe(false);
      renameSync(kept, shard(1));
    };
    const bytes = readFileSync(shard(1));
    const changed = (at: number): Buffer => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)) as Buffer;
    const other =
      (images: string, ...words: readonly string[]) =>
      async (): Promise<void> => {
        rmSync(shard(1));
        await embedded(path(images), out, '--shard', '1/2', ...words);
      };
    await refuses(() => rmSync(shard(1)), /again\.npy lacks 1 of 2 shards: 1; embed them with --shard 1\/2, then gather again/);
    await refuses(() => truncateSync(shard(1), bytes.length - 5), /1-of-2\.safetensors: .*the file is damaged or incomplete/);
    await refuses(() => truncateSync(shard(1), 0), /not a \.safetensors file: it has 0 bytes/);
    await refuses(
      () => writeFileSync(shard(1), changed(bytes.length - 1)),
      /1-of-2\.safetensors is damaged: its features do not match its digest/,
    );
    await refuses(() => copyFileSync(shard(0), shard(1)), /1-of-2\.safetensors says that it is shard 0\/2; remove it/);
    await refuses(() => copyFileSync(path('w.safetensors'), shard(1)), /1-of-2\.safetensors is no shard of embeddings/);
    await refuses(other('few.npy', '--weights', path('other.safetensors')), /1-of-2\.safetensors is of other encoder .*0-of-2/);
    await refuses(other('images.npy'), /1-of-2\.safetensors is of other images/);
    copyFileSync(shard(0), shardPath(out, { index: 0, count: 3 }));
    await expect(gathered(out)).rejects.toThrow(/there are shards of 2 and of 3 of .*remove those/);
    rmSync(shardPath(out, { index: 0, count: 3 }));
    await expect(gathered(path('none.npy'))).rejects.toThrow(/there are no shards of .*none\.npy/);
    await expect(gathered(out, '--names', path('n.txt'))).rejects.toThrow(/are of no folder of images/);
  });

  it('does not depend on the images beside it, so how they are normalised must be said', async () => {
    await expect(embedded(path('few.npy'), out, '--shard', '0/2', '--weights', path('bare.safetensors'))).rejects.toThrow(
      /does not say how images were normalised in its training; say it with --mean and --deviation/,
    );
    await expect(embedded(path('few.npy'), out, '--shard', '0/11')).rejects.toThrow(/10 images do not make 11 shards; choose at most 10/);
    await fails(['gather', path('none.npy')], 1, /there are no shards/);
  });
});
