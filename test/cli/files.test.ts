/** What the command reads is never what it writes; weights are found under the prefixes that trainers leave; images of any number of channels. */
import { linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkOutputs } from '../../cli/outputs.ts';
import type { HostArray } from '../../engine/index.ts';
import { SmallConvNet } from '../../models/index.ts';
import { readArray, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { fails, smallRun, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => join(folder, name);
const images = (channels: number, count = 2, dtype: 'f32' | 'u8' = 'f32'): HostArray => {
  const size = count * channels * 64;
  const data = Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 101);
  return { dtype, shape: [count, channels, 8, 8], data: dtype === 'f32' ? data : Uint8Array.from(data, (value) => value * 255) };
};
const z: HostArray = { dtype: 'f32', shape: [4, 2], data: Float32Array.of(1, 2, 4, 3, 5, 7, 8, 6) };
const encoder = (seed: number, inputs = 1): Promise<Map<string, HostArray>> => new SmallConvNet({ key: seed, inputs }).stateDict();
const under = (prefix: string, state: ReadonlyMap<string, HostArray>): (readonly [string, HostArray])[] =>
  [...state].map(([name, array]) => [prefix + name, array] as const);
const one: HostArray = { dtype: 'f32', shape: [1], data: Float32Array.of(1) };

describe('a file that is read', () => {
  it('is known under any of its names, links to it and its folders among them', async () => {
    for (const name of ['a', 'b']) await writeArray(path(`${name}.npy`), z);
    mkdirSync(path('inner'));
    symlinkSync(path('a.npy'), path('soft.npy'));
    linkSync(path('a.npy'), path('hard.npy'));
    symlinkSync(folder, path('around'));
    const same = ['a.npy', 'soft.npy', 'hard.npy', 'around/a.npy', 'inner/../a.npy', 'around/around/soft.npy'];
    for (const input of same)
      for (const output of same)
        await expect(checkOutputs([`${folder}/${input}`], [`${folder}/${output}`])).rejects.toMatchObject({
          code: 'argument',
          message: expect.stringMatching(/is the same file as .*, which is read; write to another path/),
        });
    // A folder stands for the files in it.
    await expect(checkOutputs([folder], [path('b.npy')])).rejects.toThrow(/same file/);
    await expect(checkOutputs([], [path('b.npy'), path('new.npy'), path('around/b.npy')])).rejects.toThrow(/written too/);
    await checkOutputs([path('a.npy'), path('none'), 'mnist', folder], [path('new.npy'), '/dev/null', '/dev/null', path('inner/a.npy')]);
    await checkOutputs([path('a.npy'), path('a.npy')], [path('b.npy')]);
  });

  it('is not written over by embed', async () => {
    await writeArray(path('images.npy'), images(1));
    await writeSafetensors(path('w.safetensors'), await encoder(0));
    const before = [readFileSync(path('images.npy')), readFileSync(path('w.safetensors'))];
    for (const out of ['images.npy', 'around/w.safetensors'])
      await fails(
        ['embed', '--weights', path('w.safetensors'), path('images.npy'), '--out', path(out)],
        2,
        /is the same file as .*, which is read/,
      );
    expect([readFileSync(path('images.npy')), readFileSync(path('w.safetensors'))]).toEqual(before);
    // Its own earlier result may be.
    await writeArray(path('z.npy'), z);
    await succeeds(['embed', '--weights', path('w.safetensors'), path('images.npy'), '--out', path('z.npy')]);
  }, 60_000);

  it('is not written over by the gradients of loss, nor is one of these by the other', async () => {
    mkdirSync(path('grad'));
    for (const name of ['za', 'zb', 'grad/za']) await writeArray(path(`${name}.npy`), z);
    await fails(
      ['loss', 'vicreg', path('za.npy'), path('zb.npy'), '--grad', folder],
      2,
      /za\.npy is the same file as .*za\.npy, which is read/,
    );
    linkSync(path('grad/za.npy'), path('grad/zb.npy'));
    await fails(
      ['loss', 'vicreg', path('za.npy'), path('zb.npy'), '--grad', path('grad')],
      2,
      /zb\.npy is the same file as .*za\.npy, which is written too/,
    );
    mkdirSync(path('links'));
    symlinkSync('zb.npy', path('links/za.npy'));
    await fails(
      ['loss', 'vicreg', path('za.npy'), path('zb.npy'), '--grad', path('links')],
      2,
      /links\/zb\.npy is the same file as .*links\/za\.npy, which is written too/,
    );
    expect((await readArray(path('za.npy'))).data).toEqual(z.data);
    await succeeds(['loss', 'vicreg', path('za.npy'), path('zb.npy'), '--grad', path('new')]);
  }, 60_000);

  it('is not written over by a run', async () => {
    await writeArray(path('train.npy'), images(1, 16));
    mkdirSync(path('run'));
    linkSync(path('train.npy'), path('run/report.html'));
    await fails(
      ['train', '--data', path('train.npy'), '--out', path('run'), '--epochs', '1', '--no-eval', ...smallRun],
      2,
      /report\.html is the same file as .*train\.npy, which is read/,
    );
  }, 60_000);
});

describe('weights under a prefix', () => {
  const embedded = async (file: string, ...words: string[]): Promise<{ readonly z: unknown; readonly stderr: string }> => {
    await writeArray(path('x.npy'), images(1));
    const { stderr } = await succeeds(['embed', '--weights', path(file), path('x.npy'), '--out', path('out.npy'), ...words]);
    return { z: (await readArray(path('out.npy'))).data, stderr };
  };

  it('are found: the one under which all of them are, beside whatever else', async () => {
    const state = await encoder(1);
    await writeSafetensors(path('plain.safetensors'), state);
    const expected = await embedded('plain.safetensors');
    expect(expected.stderr).toBe('');
    for (const prefix of ['backbone.', 'module.encoder_q.']) {
      const others = [...under('student.', new Map([...state].slice(1))), ['queue', one], ['head.0.0.weight', one]] as const;
      await writeSafetensors(path('prefixed.safetensors'), [
        ...under(prefix, state),
        [`${prefix}fc.weight`, one],
        [`${prefix}projection_head.0.weight`, one],
        [`${prefix}queue`, one],
        ...others,
      ] as const);
      const { z: features, stderr } = await embedded('prefixed.safetensors');
      expect(features).toEqual(expected.z);
      expect(stderr).toContain(`the weights are those of ${prefix}*, without fc, projection_head, queue\n`);
    }
  }, 60_000);

  it('are asked for where several have all, and taken from the one that is named', async () => {
    const [query, key] = [await encoder(2), await encoder(3)];
    await writeSafetensors(path('moco.safetensors'), [...under('module.encoder_q.', query), ...under('module.encoder_k.', key)]);
    await writeSafetensors(path('key.safetensors'), key);
    await fails(
      ['embed', '--weights', path('moco.safetensors'), path('x.npy'), '--out', path('out.npy')],
      1,
      /holds module\.encoder_q\. and module\.encoder_k\., each with a small-conv; say which with --prefix module\.encoder_q\./,
    );
    const { z: expected } = await embedded('key.safetensors');
    for (const prefix of ['module.encoder_k.', 'module.encoder_k'])
      expect((await embedded('moco.safetensors', '--prefix', prefix)).z).toEqual(expected);
    await fails(
      ['embed', '--weights', path('moco.safetensors'), path('x.npy'), '--out', path('out.npy'), '--prefix', 'encoder'],
      1,
      /missing: 0\.0\.weight.*all are there with the prefix 'module\.encoder_q\.' or 'module\.encoder_k\.'/,
    );
  }, 60_000);

  it('that others follow without a prefix are refused, with words that help', async () => {
    const [plain, average] = [await encoder(2), await encoder(3)];
    await writeSafetensors(path('average.safetensors'), average);
    const { z: expected } = await embedded('average.safetensors');
    const embed = ['embed', path('x.npy'), '--out', path('out.npy'), '--weights'];
    await writeSafetensors(path('both.safetensors'), [...plain, ...under('ema.', average)]);
    await fails(
      [...embed, path('both.safetensors')],
      1,
      /left over: ema\..*; name others with --prefix ema\., or take what is left over out/,
    );
    expect((await embedded('both.safetensors', '--prefix', 'ema.')).z).toEqual(expected);
    await writeSafetensors(path('head.safetensors'), [...average, ['head.weight', one]]);
    await fails([...embed, path('head.safetensors')], 1, /left over: head\.weight; take what is left over out of the file/);
  }, 60_000);

  it('are named in words of a shell', async () => {
    const [a, b] = ['a\x1b[31m.', "b\n'forged."];
    await writeSafetensors(path('strange.safetensors'), [...under(a, await encoder(2)), ...under(b, await encoder(3))]);
    await fails(
      ['embed', '--weights', path('strange.safetensors'), path('x.npy'), '--out', path('out.npy')],
      1,
      /holds a\\u\{1b\}\[31m\. and b\\n'forged\., .* --prefix \$'a\\x1b\[31m\.'/,
    );
  }, 60_000);
});

describe('images of other than 1 or 3 channels', () => {
  it.each([
    [2, 'u8'],
    [4, 'u8'],
    [6, 'f32'],
  ] as const)(
    '%i of %s are trained on, without what needs colours, and embedded',
    async (channels, dtype) => {
      const [data, out] = [path(`${channels}.npy`), path(`run${channels}`)];
      await writeArray(data, images(channels, 16, dtype));
      const { stdout } = await succeeds([
        'train',
        '--data',
        data,
        '--out',
        out,
        '--augment',
        'vicreg',
        '--epochs',
        '1',
        '--no-eval',
        ...smallRun,
      ]);
      expect(stdout).toContain(`saturation, hue, grey need red, green and blue, so images of ${channels} channels are augmented without`);
      await succeeds(['embed', '--weights', join(out, 'encoder.safetensors'), data, '--out', path('features.npy')]);
      expect((await readArray(path('features.npy'))).shape).toEqual([16, 128]);
    },
    60_000,
  );
});
