import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { arrayIdentity } from '../../cli/dataset.ts';
import { readArray } from '../../models/io/node.ts';
import { Call, fails, smallRun, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const photos = join(folder, 'photos');
const run = join(folder, 'run');
const path = (name: string): string => join(folder, name);

async function draw(name: string, shade: number): Promise<void> {
  const data = Uint8Array.from({ length: 3 * 20 * 16 }, (_, at) => (at * shade + shade * shade) % 256);
  await sharp(data, { raw: { width: 20, height: 16, channels: 3 } })
    .jpeg()
    .toFile(join(photos, name));
}

beforeAll(async () => {
  for (const name of ['cats', 'dogs']) {
    mkdirSync(join(photos, name), { recursive: true });
    for (let i = 0; i < 15; i++) await draw(`${name}/${i}.jpg`, i + (name === 'cats' ? 3 : 40));
  }
  writeFileSync(join(photos, 'cats', 'broken.jpg'), 'no image');
  // Damaged inside: it begins and ends as it should.
  const damaged = await sharp({ create: { width: 9, height: 9, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  damaged.fill(0xee, damaged.indexOf('IDAT') + 8, damaged.indexOf('IDAT') + 14);
  writeFileSync(join(photos, 'dogs', 'damaged.png'), damaged);
});

describe('a folder of images', () => {
  const begun = ['train', '--data', photos, '--size', '12', '--epochs', '2', ...smallRun, '--batch', '4'];

  it('is trained on, gone on with, and scored, with its classes', { timeout: 60_000 }, async () => {
    const call = new Call([...begun, '--out', run, '--checkpoint-every', '1', '--json']);
    await call.step(3);
    call.kill('SIGINT');
    const { stdout, stderr } = await call.finished;
    expect(stdout).toMatch(/26 images of 3×12×12/);
    expect(stdout).toMatch(/2 classes: cats 13, dogs 13; 5 test images/);
    expect(stderr).toMatch(/skipped 1 of 32 images: cats\/broken\.jpg/);
    expect(stderr).toMatch(/dogs\/damaged\.png \(.+\) is damaged: training sees the next of its class in its place/);
    const { source } = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as { source: object };
    expect(source).toEqual({ data: photos, size: 12 });
    expect((await succeeds(['train', '--resume', run])).stdout).toMatch(/trained \(vicreg\) +\d/);
    const scores = await succeeds(['eval', '--run', run]);
    const weights = ['--weights', join(run, 'encoder.safetensors')];
    expect((await succeeds(['eval', ...weights, '--data', photos, '--size', '12'])).stdout).toBe(scores.stdout);
    await succeeds(['embed', ...weights, photos, '--size', '12', '--out', path('z.npy'), '--names', path('z.txt')]);
    const names = readFileSync(path('z.txt'), 'utf8').trimEnd().split('\n');
    expect((await readArray(path('z.npy'))).shape).toEqual([30, 128]);
    expect([names.length, names[0], names.at(-1)]).toEqual([30, 'cats/0.jpg', 'dogs/9.jpg']);
  });

  it('is handed on to JAX with every image decoded, though few were when it began', { timeout: 120_000 }, async () => {
    const many = join(folder, 'many');
    mkdirSync(many);
    const shades = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 10 + i, g: 200, b: 90 } } })
          .png()
          .toBuffer(),
      ),
    );
    // More than the 1024 that mean and deviation are of.
    for (let i = 0; i < 1100; i++) writeFileSync(join(many, `${String(i).padStart(4, '0')}.png`), shades[i % shades.length]!);
    const [begun, there] = [path('begun'), path('there')];
    await succeeds(['train', '--data', many, '--size', '8', '--epochs', '1', ...smallRun, '--batch', '550', '--no-eval', '--out', begun]);
    await succeeds(['export', begun, '--to', 'jax', '--out', there]);
    const images = await readArray(join(there, 'images.npy'));
    expect(images.shape).toEqual([1100, 3, 8, 8]);
    expect(Array.from({ length: 1100 }, (_, row) => images.data[row * 3 * 8 * 8])).toEqual(
      Array.from({ length: 1100 }, (_, row) => 10 + (row % 20)),
    );
    const [told] = JSON.parse(readFileSync(join(there, 'data.json'), 'utf8')) as [{ file: string; array: string }];
    expect(told).toEqual({ file: 'images.npy', array: arrayIdentity(images) });
  });

  it('may have pairs, which are a part of what a run is trained on', { timeout: 60_000 }, async () => {
    const own = join(folder, 'paired');
    const images = ['train', '--data', join(photos, 'cats'), '--size', '12', ...smallRun, '--batch', '4', '--epochs', '1', '--no-eval'];
    await succeeds([...images, '--pairs', join(photos, 'dogs'), '--branches', 'separate', '--dashboard-every', '2', '--out', own]);
    const config = join(own, 'config.json');
    const { source, ...others } = JSON.parse(readFileSync(config, 'utf8')) as { source: { pairs?: string } };
    const { pairs: _, ...alone } = source;
    writeFileSync(config, JSON.stringify({ ...others, source: alone }));
    const { code, stderr } = await new Call(['train', '--resume', own]).finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/with pairs: u8 \[15, 3, 12, 12\], .*; now none/);
  });

  it('is refused to a run whose images it no longer has, and options that say nothing of it', { timeout: 60_000 }, async () => {
    await Promise.all([
      fails([...begun, '--labels', path('y.npy')], 2, /photos is a folder, with its own labels and test images; leave out --labels/),
      fails(['train', '--size', '64'], 2, /fashion-mnist-subset has its own images and labels; leave out --size/),
      fails(['embed', '--weights', 'w', 'images.npy', '--size', '8', '--out', path('x.npy')], 2, /images\.npy is no folder of images/),
      fails([...begun, '--size', '5000'], 2, /size, .*from 1 to 4096/),
    ]);
    await draw('cats/0.jpg', 99);
    const { code, stderr } = await new Call(['train', '--resume', run]).finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/the images are not those that the checkpoint was trained on/);
  });
});
