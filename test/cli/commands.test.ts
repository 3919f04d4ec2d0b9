import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GpuReport } from '../../cli/gpu.ts';
import { kebab } from '../../cli/methodOptions.ts';
import type { HostArray } from '../../engine/index.ts';
import { channelStatistics } from '../../models/data/images.ts';
import { readArray, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { methods } from '../../models/methods/index.ts';
import type { MethodOption } from '../../models/methods/options.ts';
import { encoders } from '../../models/nn/encoders.ts';
import { ResNet } from '../../models/nn/networks.ts';
import { features } from '../../models/train/evaluate.ts';
import { gaussian, relativeError } from '../models/support.ts';
import { stripes } from '../models/train/support.ts';
import { capability } from '../support/capabilities.ts';
import { expectWhole } from './pages/support.ts';
import { fails, smallData, smallRun, succeeds, temporaryFolder, tensegrity } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => join(folder, name);

async function write(name: string, array: HostArray): Promise<string> {
  await writeArray(path(name), array);
  return path(name);
}

function floats(seed: number, shape: readonly number[]): HostArray {
  return { dtype: 'f32', shape, data: Float32Array.from(gaussian(seed, shape).data) };
}

/** What a command prints as JSON. */
async function json<Result>(...words: readonly string[]): Promise<Result> {
  return JSON.parse((await succeeds([...words, '--json'])).stdout) as Result;
}

describe('tensegrity', () => {
  const names = ['train', 'eval', 'compare', 'ablate', 'embed', 'gather', 'export', 'loss', 'inspect', 'doctor'];

  it('lists its commands, and each has help with examples of itself', async () => {
    const [overview, ...helps] = await Promise.all([['--help'], ...names.map((name) => [name, '--help'])].map((words) => succeeds(words)));
    for (const [i, { stdout }] of helps.entries()) {
      expect(overview!.stdout).toMatch(new RegExp(`^ +${names[i]} `, 'm'));
      for (const part of [`usage: tensegrity ${names[i]}`, 'options:', '--json', 'examples:', `  tensegrity ${names[i]}`])
        expect(stdout).toContain(part);
    }
  });

  it('lists the options of every method, with all that each may choose from', async () => {
    const { stdout } = await succeeds(['train', '--help']);
    for (const [name, { options }] of Object.entries(methods))
      for (const [option, row] of Object.entries<MethodOption>(options)) {
        const [, listed = '', owners = ''] =
          new RegExp(`^  --${kebab(option)} (\\S+)\\s+([^]*?)(?=^  --)`, 'm').exec(stdout) ?? expect.fail(`no --${kebab(option)}`);
        expect(owners).toMatch(new RegExp(`\\b${name}\\b`));
        if (row.kind === 'choice') for (const choice of row.choices) expect(listed.split('|')).toContain(choice);
      }
  });

  it('gives its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect((await succeeds(['--version'])).stdout).toBe(`${version}\n`);
  });

  it('called wrongly ends with 2 and a line that helps', async () => {
    await Promise.all([
      fails(['trian'], 2, /no command 'trian'.*did you mean train\?/),
      fails(['loss', 'vicreg'], 2, /loss takes 2 files or names at least, got vicreg/),
      fails(['embed', 'x.npy'], 2, /needs --weights/),
      fails(['eval'], 2, /needs either --run FOLDER or --weights/),
      fails(['doctor', '--verbose'], 2, /no option --verbose/),
      ...['0', '1.5', '-1', '1e9'].map((threads) =>
        fails(['eval', '--weights=w.safetensors', `--threads=${threads}`], 2, /threads.*whole number.*, got (0|1\.5|-1|1e9|1000000000)$/m),
      ),
      fails(['eval', '--weights=w.safetensors', '--threads=2', '--backend=cpu'], 2, /--threads is for wasm.*backend cpu/),
      fails(['eval', '--weights=w.safetensors', '--seed=1.5'], 2, /--seed takes a whole number ≥ 0, got 1\.5/),
    ]);
    expect(await tensegrity([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('usage: tensegrity COMMAND') });
  });
});

describe('tensegrity loss', () => {
  let [za, zb] = ['', ''];
  beforeAll(async () => {
    [za, zb] = [await write('za.npy', floats(1, [12, 5])), await write('zb.npy', floats(2, [12, 5]))];
  }, 60_000);
  type Terms = Record<'loss' | 'invariance' | 'variance' | 'covariance', number>;

  it('gives the loss and its parts, as text and as JSON, in every dialect', async () => {
    const terms = (dialect: string): Promise<Terms> => json('loss', 'vicreg', za, zb, '--dialect', dialect);
    const [official, paper, solo, vicregl] = await Promise.all([terms('official'), terms('paper'), terms('solo-learn'), terms('vicregl')]);
    for (const { loss, invariance, variance, covariance } of [official, paper, solo, vicregl])
      expect(loss).toBeCloseTo(25 * invariance + 25 * variance + covariance, 3);
    expect(paper.invariance).toBeCloseTo(5 * official.invariance, 5);
    expect(solo.variance).toBeCloseTo(2 * official.variance, 5);
    expect(vicregl.covariance).toBeCloseTo(official.covariance / 2, 5);
    const { stdout } = await succeeds(['loss', 'vicreg', za, zb]);
    expect(Number(/^ *loss +(\S+)$/m.exec(stdout)?.[1])).toBeCloseTo(official.loss, 4);
  });

  it('is 24.75 for embeddings that have collapsed to a point', async () => {
    const point = await write('point.npy', { dtype: 'f32', shape: [8, 4], data: new Float32Array(32).fill(3) });
    const expected = { loss: expect.closeTo(24.75, 4), variance: expect.closeTo(0.99, 5), invariance: 0, covariance: 0 };
    expect(await json('loss', 'vicreg', point, point)).toMatchObject(expected);
  });

  it('writes gradients, which for the invariance alone are 2λ(Z − Z′)/(nd), in double precision on the cpu', async () => {
    const [a, b] = [gaussian(3, [6, 4]), gaussian(4, [6, 4])];
    const files = [await write('a.npy', a), await write('b.npy', b)];
    const gradients = path('gradients');
    await succeeds(['loss', 'vicreg', ...files, '--variance=0', '--covariance=0', '--backend=cpu', '--grad', gradients]);
    const [ga, gb] = [await readArray(join(gradients, 'za.npy')), await readArray(join(gradients, 'zb.npy'))];
    const expected = Float64Array.from(a.data, (value, i) => (2 * 25 * (value - b.data[i]!)) / 24);
    expect([ga.dtype, ga.shape]).toEqual(['f64', [6, 4]]);
    expect(relativeError(ga.data, expected)).toBeLessThan(1e-12);
    expect(
      relativeError(
        gb.data,
        expected.map((value) => -value),
      ),
    ).toBeLessThan(1e-12);
  });

  it('computes the other methods, with their own options', async () => {
    const number = expect.any(Number);
    expect(await json('loss', 'barlow-twins', za, zb)).toMatchObject({ loss: number, onDiagonal: number, offDiagonal: number });
    const { loss } = await json<{ loss: number }>('loss', 'w-mse', za, zb, '--sub-batch', '12');
    expect(loss >= 0 && loss <= 4).toBe(true);
    const [mean, google] = await Promise.all(
      ['mean', 'google'].map((dialect) =>
        json<{ loss: number }>('loss', 'simclr', za, zb, '--temperature', '0.1', '--dialect', dialect, '--backend=cpu'),
      ),
    );
    expect(google!.loss).toBe(2 * mean!.loss);
    const many = await json<{ loss: number; global: number }>('loss', 'mmcr', za, zb, za, '--local', '0.5');
    expect(many.loss).toBeLessThan(0.5 * 3 - Math.sqrt(12));
    const twice = await write('twice.npy', floats(8, [24, 5]));
    const taught = await json<{ loss: number }>('loss', 'mmcr', za, zb, '--teacher', twice);
    expect(taught.loss).not.toBe((await json<{ loss: number }>('loss', 'mmcr', za, zb)).loss);
    const nobody = await write('nobody.npy', { dtype: 'i32', shape: [12], data: new Int32Array(12).fill(-100) });
    await fails(['loss', 'deepcluster', za, '--prototypes', zb, '--assignments', nobody], 2, /none of the 12 samples has a cluster/);
    const [empty, full] = await Promise.all(
      [[], ['--running-covariance', await write('covariance.npy', gaussian(1, [5, 5]))]].map((more) =>
        json<{ loss: number }>('loss', 'tico', za, zb, ...more),
      ),
    );
    expect(empty!.loss).not.toBe(full!.loss);
    await fails(['loss', 'vicreg', za, zb, '--running-covariance', za], 2, /VICReg takes no --running-covariance/);
    const long = await write('long.npy', floats(9, [5, 2]));
    await fails(['loss', 'sigreg', za, '--slices', long], 1, /long\.npy: columns must have length 1, and column 0 has/);
    const out = path('four');
    const four = await json<{ loss: number }>('loss', 'simsiam', za, zb, zb, za, '--grad', out);
    expect(four.loss).toBeCloseTo(-1, 6);
    expect(readdirSync(out).sort()).toEqual(['p1.npy', 'p2.npy', 'z1.npy', 'z2.npy']);
  });

  it('refuses what is not finite, in embeddings, loss or gradient, and writes nothing', async () => {
    const odd = async (name: string, value: number): Promise<string> => {
      const { shape, data } = gaussian(1, [12, 5]);
      data[17] = value;
      return write(name, { dtype: 'f64', shape, data });
    };
    const [unknown, infinite, huge] = [await odd('nan.npy', NaN), await odd('infinite.npy', -Infinity), await odd('huge.npy', 1e200)];
    const large = await write('large.npy', { dtype: 'f32', shape: [4, 2], data: Float32Array.from({ length: 8 }, (_, i) => 1e30 * i) });
    const tiny = await write('tiny.npy', {
      ...gaussian(1, [12, 5]),
      data: gaussian(1, [12, 5]).data.map((value: number) => value * 1e-158),
    });
    const out = path('none');
    await Promise.all([
      fails(['loss', 'vicreg', unknown, zb, '--grad', out], 1, /nan\.npy: 1 of 60 elements are not finite, the first at \[3, 2\]: NaN/),
      fails(['loss', 'vicreg', za, infinite], 1, /infinite\.npy: 1 of 60.*\[3, 2\]: -Infinity/),
      fails(['loss', 'vicreg', huge, zb], 1, /huge\.npy: 1 of 60.*\[3, 2\]: Infinity/),
      fails(['loss', 'vicreg', huge, zb, '--backend=cpu'], 1, /VICReg.*not finite in f64: .*covariance is Infinity/),
      fails(['loss', 'vicreg', large, large, '--grad', out], 1, /not finite in f32: .*covariance is (NaN|Infinity).*--backend cpu/),
      fails(['loss', 'w-mse', tiny, zb, '--backend=cpu', '--grad', out], 1, /gradient of .*tiny\.npy: 60 of 60/),
    ]);
    expect(existsSync(out)).toBe(false);
    const { code, stdout, stderr } = await tensegrity(['loss', 'vicreg', unknown, zb, '--json']);
    expect([code, stdout, JSON.parse(stderr)]).toEqual([
      1,
      '',
      { error: { code: 'data', message: expect.stringContaining('not finite') } },
    ]);
  });

  it('refuses embeddings whose variance is out of range, where each method would make something of 0 of them, and divided they do', async () => {
    const scaled = async (name: string, factor: number, dtype: 'f32' | 'f64'): Promise<string> => {
      const { shape, data } = gaussian(3, [12, 3]);
      const values = Array.from(data, (value) => value * factor);
      return write(name, { dtype, shape, data: dtype === 'f32' ? Float32Array.from(values) : Float64Array.from(values) });
    };
    const [large, vast, fit] = [
      await scaled('e25.npy', 1e25, 'f32'),
      await scaled('e200.npy', 1e200, 'f64'),
      await scaled('fit.npy', 1, 'f32'),
    ];
    const remedy = /squares of dimension 0 add up to more than f(32|64) holds; divide all files by the same number/;
    for (const method of ['barlow-twins', 'w-mse']) {
      await fails(['loss', method, large, large], 1, remedy);
      await fails(['loss', method, vast, vast, '--backend', 'cpu'], 1, remedy);
      await succeeds(['loss', method, fit, fit]);
    }
  });

  it('says what does not fit', async () => {
    const short = await write('short.npy', floats(5, [3, 5]));
    const one = await write('one.npy', floats(6, [1, 5]));
    const images = await write('images4.npy', floats(6, [2, 1, 2, 2]));
    await Promise.all([
      fails(['loss', 'vicreg', za, short], 1, /short\.npy: embeddings must be \[12, 5\], as those of \S+za\.npy, got \[3, 5\]/),
      fails(['loss', 'vicreg', one, one], 1, /one\.npy, \S+one\.npy: vicreg: needs at least 2 samples/),
      fails(['loss', 'vicreg', images, images], 1, /embeddings.*\[n, d\].*\[2, 1, 2, 2\]/),
      fails(['loss', 'moco', za, zb, '--queue', images], 1, /zb\.npy, \S+images4\.npy: moco/),
      fails(['loss', 'mmcr', za, zb, '--teacher', za], 1, /the teacher of 2 views \[12, 5\] must be \[24, 5\].*got \[12, 5\]/),
      fails(['loss', 'swav', za, zb, '--prototypes', short, '--queue1', short], 2, /queue1 needs queue2 beside it/),
      fails(['loss', 'vicreg', za, zb, '--seed', '1'], 2, /VICReg draws nothing at random; leave out --seed/),
      fails(['loss', 'lejepa', za, zb, '--slices', za, '--seed', '1', '--slice-count', '4'], 2, /leave out --slice-count, --seed/),
      fails(['loss', 'w-mse', za, zb, '--iterations', '2'], 2, /--iterations counts for nothing without --sub-batch/),
      fails(['loss', 'byol', za], 2, /BYOL takes Z1\.npy Z2\.npy \| P1\.npy P2\.npy Z1\.npy Z2\.npy, got one file/),
      fails(['loss', 'vicreg', za, zb, '--branches', 'separate'], 2, /no option --branches/),
      fails(['loss', 'barlow', za, zb], 2, /vicreg, barlow-twins, w-mse/),
      fails(['loss', 'barlow-twins', za, zb, '--dialect=paper'], 2, /Barlow Twins has no option --dialect/),
      fails(['loss', 'vicreg', za, path('none.npy')], 1, /none\.npy.*no such file/),
    ]);
  });
});

describe('tensegrity embed', () => {
  it("takes a ResNet by PyTorch's names, ignoring its head and counters, and float images as they are", async () => {
    const encoder = new ResNet('resnet18', { key: 3 });
    const state = [...(await encoder.stateDict())];
    const ignored: [string, HostArray][] = [
      ['bn1.num_batches_tracked', { dtype: 'i32', shape: [], data: Int32Array.of(7) }],
      ['fc.weight', floats(1, [10, 512])],
      ['fc.bias', floats(2, [10])],
    ];
    const files = {
      whole: [...state, ...ignored],
      missing: state.filter(([name]) => name !== 'layer2.0.conv1.weight'),
      over: [...state, ['head.weight', floats(1, [2])] as const],
    };
    for (const [name, tensors] of Object.entries(files)) await writeSafetensors(path(`${name}.safetensors`), tensors);
    const images = floats(9, [3, 3, 32, 32]);
    const words = ['embed', '--encoder=resnet18', await write('images.npy', images), '--out', path('z.npy'), '--weights'];

    expect(await json(...words, path('whole.safetensors'))).toMatchObject({ shape: [3, 512] });
    const { pooled } = await features(encoder, images, channelStatistics(images));
    const z = await readArray(path('z.npy'));
    expect([z.dtype, z.shape]).toEqual(['f32', [3, 512]]);
    expect(relativeError(z.data, pooled.data)).toBeLessThan(1e-5);

    await fails([...words, path('missing.safetensors')], 1, /missing: layer2\.0\.conv1\.weight/);
    await fails([...words, path('over.safetensors')], 1, /left over: head\.weight/);
  });

  it('scales u8 images to [0, 1] and normalises them', async () => {
    const encoder = encoders['small-conv']({ key: 1, inputs: 1 });
    await writeSafetensors(path('small.safetensors'), await encoder.stateDict());
    const shape = [4, 1, 8, 8];
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => (i * 31) % 256);
    const images = await write('u8.npy', { dtype: 'u8', shape, data: bytes });
    await succeeds(['embed', '--weights', path('small.safetensors'), images, '--out', path('u.npy'), '--mean=.5', '--deviation=.25']);
    const same: HostArray = { dtype: 'f32', shape, data: Float32Array.from(bytes, (value) => (value / 255 - 0.5) / 0.25) };
    const { pooled } = await features(encoder, same, channelStatistics(same));
    expect(relativeError((await readArray(path('u.npy'))).data, pooled.data)).toBeLessThan(1e-5);
  });
});

describe('tensegrity eval', () => {
  it("scores a run as its end did, and its encoder's file the same", async () => {
    const data = await smallData(folder);
    const run = path('run');
    await succeeds(['train', ...data, ...smallRun, '--epochs=1', '--out', run, '--quiet']);
    const page = path('eval.html');
    const fromRun = await json<Record<string, unknown>>('eval', '--run', run, '--html', page);
    expectWhole(readFileSync(page, 'utf8'));
    for (const part of ['linear (GAP)', 'What the encoder makes of images', 'query: class 0'])
      expect(readFileSync(page, 'utf8')).toContain(part);
    await fails(['eval', '--run', run, '--html', join(run, 'config.json')], 2, /is the same file as/);
    expect(await json('eval', '--weights', join(run, 'encoder.safetensors'), ...data)).toEqual(fromRun);
    const results = JSON.parse(readFileSync(join(run, 'results.json'), 'utf8')) as Record<string, unknown>;
    expect(results['trained (vicreg)']).toEqual(fromRun['encoder']);
    await fails(['eval', '--run', path('none')], 1, /none.*no such file or folder/);
  });
});

describe('labels', () => {
  it('may be any whole numbers; those that no training image has are said, and none that are no labels pass', async () => {
    const data = await smallData(folder);
    const run = path('labelled');
    const relabelled = async (name: (label: number, i: number) => number, split = 'test'): Promise<string> => {
      const { shape, data: labels } = await readArray(path(`${split}-labels.npy`));
      return write(`${split}-other.npy`, { dtype: 'i32', shape, data: Int32Array.from(labels, name) });
    };
    const strange = ['--test-labels', await relabelled((label, i) => (i < 3 ? 77 : label))];
    const said = /warning: train: 3 of \d+ test images have labels that no training image has \(77\), and count as wrong/;
    const trained = await succeeds(['train', ...data.slice(0, -2), ...strange, ...smallRun, '--epochs=1', '--out', run, '--quiet']);
    expect(trained.stderr).toMatch(said);
    expect((await succeeds(['eval', '--run', run])).stderr).toMatch(said);
    const plain = await json('eval', '--run', run, ...data.slice(-2));
    const large = (label: number): number => 700_000_000 * label;
    const all = ['--labels', await relabelled(large, 'train'), '--test-labels', await relabelled(large)];
    const { stdout, stderr } = await succeeds(['eval', '--run', run, ...all, '--json']);
    expect(JSON.parse(stdout)).toEqual(plain);
    expect(stderr).toBe('');
    await fails(
      ['eval', '--run', run, '--test-labels', await relabelled((_, i) => -i)],
      1,
      /test image 1 has label -1; labels are whole numbers from 0/,
    );
  });

  it('of a single test image are scored, in the end of a run as in eval; what is said of them is JSON where a program reads', async () => {
    const data = await smallData(folder);
    const run = path('single');
    const single = [
      '--test-images',
      await write('single.npy', stripes(1, { stream: 7 }).images),
      '--test-labels',
      await write('single-label.npy', { dtype: 'i32', shape: [1], data: Int32Array.of(77) }),
    ];
    await succeeds(['train', ...data.slice(0, -4), ...single, ...smallRun, '--epochs=1', '--out', run, '--quiet']);
    const { stdout, stderr } = await succeeds(['eval', '--run', run, '--json']);
    expect(JSON.parse(stdout)).toEqual({
      encoder: {
        linear: 0,
        linear2x2: 0,
        nearest: 0,
        few: { labels: expect.any(Number), linear: 0, linear2x2: 0, nearest: 0 },
        collapse: null,
      },
    });
    const { message } = JSON.parse(stderr) as { readonly message: string };
    expect(message).toMatch(/1 of 1 test images have labels that no training image has \(77\)/);
  });
});

describe('the scale of u8 images', () => {
  it('is that of the training, in eval as in embed, whatever the images are', async () => {
    await smallData(folder);
    // The same images, and darker ones: each normalised by itself, they would be all but the same.
    const bytes = async (name: string, factor: number): Promise<string> => {
      const { shape, data } = await readArray(path(`${name}.npy`));
      const pixels = Uint8Array.from(data, (value) => Math.min(255, Math.max(0, (40 * value + 100) * factor)));
      return write(`${name}-${factor}.npy`, { dtype: 'u8', shape, data: pixels });
    };
    const labels = ['--labels', path('train-labels.npy'), '--test-labels', path('test-labels.npy')];
    const [bright, dark] = await Promise.all(
      [1, 0.25].map(async (factor) => ['--data', await bytes('train', factor), '--test-images', await bytes('test', factor), ...labels]),
    );
    const run = path('scaled');
    await succeeds(['train', ...bright!, ...smallRun, '--epochs=1', '--out', run, '--quiet', '--no-eval']);
    const words = ['eval', '--weights', join(run, 'encoder.safetensors'), ...dark!];
    const [own, training] = [dark!, bright!].map(async (files) => {
      const { mean, deviation } = channelStatistics(await readArray(files[1]!));
      return json(...words, `--mean=${mean}`, `--deviation=${deviation}`);
    });
    const scores = await json(...words);
    expect(scores).toEqual(await training);
    expect(scores).not.toEqual(await own);
    expect(await json('eval', '--run', run, ...dark!)).toEqual(scores);
    await fails([...words, '--mean=1,2'], 2, /--mean takes 1 numbers/);
    await fails(['eval', '--run', run, '--mean=1'], 2, /leave out --mean/);
  });
});

describe('tensegrity doctor', () => {
  it('says what works, and why the rest does not', async () => {
    const report = await json<Record<'platform' | 'backends' | 'datasets', Record<string, unknown>>>('doctor');
    expect(report.platform['node']).toMatch(/^v\d+/);
    expect(report.backends).toMatchObject({
      cpu: { works: true, detail: expect.stringContaining('f64') },
      wasm: { works: true },
      webgpu: { detail: expect.stringMatching(/./) },
    });
    expect(report.datasets['fashion-mnist-subset']).toEqual({ works: true, detail: '10000 training and 2000 test images of 1×28×28' });
    expect(report.datasets['folders of images']).toEqual({ works: true, detail: '.png, .jpg, .jpeg, .webp, .gif, decoded by sharp' });
    expect((await succeeds(['doctor'])).stdout).toMatch(/backends\n +✓ wasm/);
  });

  it('says what the GPU is, has, and what that is good for', async () => {
    const { backends, gpu } = await json<{ backends: Record<string, { works: boolean; detail: string }>; gpu: GpuReport | null }>('doctor');
    if (!capability('webgpu', gpu !== null, backends['webgpu']!.detail)) return;
    const { vendor, architecture, description, software, features, limits } = gpu!;
    expect([vendor, architecture, description]).toEqual([expect.any(String), expect.any(String), expect.any(String)]);
    expect(Object.keys(features)).toEqual(['subgroups', 'timestamp-query', 'shader-f16', 'chromium-experimental-subgroup-matrix']);
    for (const limit of Object.values(limits)) expect(limit).toBeGreaterThanOrEqual(8);
    const { stdout } = await succeeds(['doctor']);
    expect(stdout).toMatch(/^GPU: /m);
    for (const [name, has] of Object.entries(features)) expect(stdout).toMatch(new RegExp(`^ +${has ? '✓' : '✗'} ${name}`, 'm'));
    expect(stdout).toMatch(/maxStorageBufferBindingSize +[\d.]+ [MG]iB \(the largest tensor\)/);
    expect(stdout.includes('software, slow')).toBe(software);
  });

  it('says how to get a GPU to work where there is none', async () => {
    const env = { ...process.env, VK_ICD_FILENAMES: '/none/driver.json' };
    const { stdout } = await succeeds(['doctor', '--json'], { env });
    const { backends, gpu } = JSON.parse(stdout) as { backends: Record<string, object>; gpu: null };
    expect(gpu).toBeNull();
    expect(backends['webgpu']).toMatchObject({
      works: false,
      detail: expect.stringMatching(/no adapter.*use the wasm backend\. .*driver/),
    });
    expect((await succeeds(['doctor'], { env })).stdout).toMatch(/✗ webgpu/);
  });
});
