import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type MethodName, methodNamed } from '../../models/methods/index.ts';
import { recipes, trainingConfig } from '../../models/train/config.ts';
import { capability } from '../support/capabilities.ts';
import { expectWhole } from './pages/support.ts';
import { Call, command, fails, smallData, smallRun, succeeds, system, temporaryFolder, tensegrity } from './support.ts';

const folder = temporaryFolder();
let data: string[];
beforeAll(async () => {
  data = await smallData(folder);
});

const runFiles = ['checkpoint.safetensors', 'config.json', 'encoder.safetensors', 'metrics.jsonl', 'report.html', 'results.json'];
/** 4 epochs of 10 steps. */
const settings = ['--epochs', '4', ...smallRun, '--checkpoint-every', '7'];
const bytesOf = (run: string, name: string): string => readFileSync(join(run, name)).toString('base64');
const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** That two runs ended in the same weights and measured the same on the way. */
function expectSameRun(run: string, reference: string): void {
  for (const name of ['checkpoint.safetensors', 'encoder.safetensors'])
    expect(bytesOf(run, name) === bytesOf(reference, name), name).toBe(true);
  const measured = (path: string): Record<string, unknown>[] =>
    jsonLines(readFileSync(join(path, 'metrics.jsonl'), 'utf8')).map(({ imagesPerSecond, ...line }) => line);
  expect(measured(run)).toEqual(measured(reference));
  expect(readdirSync(run).filter((name) => name.endsWith('.partial'))).toEqual([]);
}

describe('tensegrity train', () => {
  const reference = join(folder, 'reference');
  let output: string;
  beforeAll(async () => {
    output = (await succeeds(['train', ...data, ...settings, '--json', '--out', reference])).stdout;
  });

  it('prints JSON lines: a message, each step, the results', () => {
    const lines = jsonLines(output);
    expect(lines[0]).toMatchObject({ event: 'message', run: reference });
    const steps = lines.filter(({ event }) => event === 'step');
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(steps[0]).toMatchObject({
      epoch: 0,
      loss: expect.any(Number),
      parts: { invariance: expect.any(Number), variance: expect.any(Number), covariance: expect.any(Number) },
      deviation: expect.any(Number),
      normalizedDeviation: expect.any(Number),
      correlation: expect.any(Number),
      imagesPerSecond: expect.any(Number),
    });
    expect(steps.filter(({ rankMe }) => rankMe !== undefined).map(({ step }) => step)).toEqual([10, 20, 30, 40]);
    const results = lines.find(({ event }) => event === 'results');
    expect(Object.keys(results!['results'] as object)).toEqual(['trained (vicreg)', 'random encoder', 'raw pixels']);
  });

  it('leaves a folder with everything, and nothing else', () => {
    expect(readdirSync(reference).sort()).toEqual(runFiles);
    expect(JSON.parse(readFileSync(join(reference, 'config.json'), 'utf8'))).toMatchObject({
      training: { method: 'vicreg', batchSize: 16, widths: [24, 16], epochs: 4, seed: 0 },
      source: { data: data[1] },
      backend: { name: 'wasm', deterministic: false },
    });
    expect(jsonLines(readFileSync(join(reference, 'metrics.jsonl'), 'utf8'))).toHaveLength(40);
  });

  it('writes a report that is complete, well-formed and needs nothing else', () => {
    const page = readFileSync(join(reference, 'report.html'), 'utf8');
    expectWhole(page);
    for (const text of ['Loss', 'invariance', 'std_ℓ2', 'RankMe', 'Learning rate', 'trained (vicreg)', 'raw pixels', 'batchSize'])
      expect(page).toContain(text);
    // Loss, its three terms, both deviations, the correlation, RankMe, the learning rate, the speed; and the spectrum of the batch.
    expect([...page.matchAll(/<g class="curve">/g)]).toHaveLength(11);
  });

  it('is the same run again, whatever else is asked of it', async () => {
    const again = join(folder, 'again');
    const { stdout } = await succeeds(['train', ...data, ...settings, '--quiet', '--out', again]);
    expectSameRun(again, reference);
    // Quiet: the table alone.
    expect(stdout.trim().split('\n')).toHaveLength(5);
  });

  it('goes on after kill -9 at any step, to the bits of a run that was never stopped', async () => {
    const run = join(folder, 'killed');
    const steps = Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * 36)).sort((a, b) => a - b);
    for (const [i, step] of steps.entries()) {
      const call = new Call([
        'train',
        ...(i === 0 ? [...data, ...settings, '--out', run] : ['--resume', run]),
        '--checkpoint-every',
        '7',
        '--json',
        '--no-eval',
      ]);
      await call.step(step);
      call.kill('SIGKILL');
      expect((await call.finished).signal, `killed at ${steps.join(', ')}`).toBe('SIGKILL');
    }
    // As if it had been killed while it wrote.
    writeFileSync(join(run, '.checkpoint.safetensors.1-abc.partial'), 'half');
    mkdirSync(join(run, '.lock.1-abc.partial'));
    writeFileSync(join(run, '.lock.1-abc.partial', 'abc'), '1\n');
    writeFileSync(join(run, 'metrics.jsonl'), `${readFileSync(join(run, 'metrics.jsonl'), 'utf8')}{"step":3`);
    await succeeds(['train', '--resume', run, '--no-eval']);
    expectSameRun(run, reference);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('saves at %s, and says how to go on', async (signal) => {
    const run = join(folder, signal);
    const call = new Call(['train', ...data, ...settings, '--out', run, '--json', '--no-eval']);
    await call.step(5);
    call.kill(signal);
    const { code, stderr } = await call.finished;
    expect(code).toBe({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal]);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect(error.code).toBe('stopped');
    expect(error.message).toMatch(/stopped at step \d+ of 40; all is saved\. Go on with: tensegrity train --resume /);
    expect(jsonLines(readFileSync(join(run, 'metrics.jsonl'), 'utf8')).at(-1)?.['step']).toBe(Number(/step (\d+)/.exec(error.message)![1]));
    await succeeds(['train', ...error.message.split('tensegrity train ')[1]!.split(' '), '--no-eval']);
    expectSameRun(run, reference);
  });

  it('that is stopped while it scores has its encoder, and scores when it goes on', async () => {
    const run = join(folder, 'scored');
    const call = new Call(['train', ...data, ...settings, '--out', run]);
    await call.shows(/^scoring/m);
    call.kill('SIGINT');
    const { code, stderr } = await call.finished;
    expect(code).toBe(130);
    expect(stderr).toMatch(
      /^tensegrity: stopped before the scores; the encoder is trained and saved\. For the scores: tensegrity train --resume \S+\n$/,
    );
    expect(readdirSync(run).sort()).toEqual(['checkpoint.safetensors', 'config.json', 'encoder.safetensors', 'metrics.jsonl']);
    await succeeds(['train', '--resume', run]);
    expect(readdirSync(run).sort()).toEqual(runFiles);
    expect(bytesOf(run, 'results.json')).toBe(bytesOf(reference, 'results.json'));
    expectSameRun(run, reference);
  });

  it('saves when the reader of its output has gone', async () => {
    const run = join(folder, 'head');
    const line = [...command, 'train', ...data, ...settings, '--json', '--no-eval', '--out', run].map((word) => `'${word}'`).join(' ');
    const { stderr } = await new Call(['-c', `${line} | head -n 3 > /dev/null; exit \${PIPESTATUS[0]}`], {}, ['bash']).finished;
    expect(stderr).toMatch(/all is saved/);
    await succeeds(['train', '--resume', run, '--no-eval']);
    expectSameRun(run, reference);
  });

  it('is trained by one process at a time', async () => {
    const run = join(folder, 'shared');
    const call = new Call(['train', ...data, ...settings, '--out', run, '--json', '--no-eval']);
    await call.step(2);
    // So that it is not done before the others ask.
    call.kill('SIGSTOP');
    const [entry] = readdirSync(join(run, 'lock'));
    const [pid, host] = readFileSync(join(run, 'lock', entry!), 'utf8').split('\n');
    const inUse = new RegExp(`shared is being trained by process ${pid} on ${host}; wait for it, or end it first .*remove .*lock`);
    await Promise.all([fails(['train', '--resume', run], 1, inUse), fails(['train', ...data, ...settings, '--out', run], 1, inUse)]);
    call.kill('SIGKILL');
    await call.finished;
    expect(readdirSync(run)).toContain('lock');
    // The lock of a process that was killed is taken over; by one of two at a time.
    const both = await Promise.all([0, 1].map(() => tensegrity(['train', '--resume', run, '--no-eval', '--quiet'])));
    expect(both.map(({ code }) => code)).toContain(0);
    // Which ends well too if the first is done before it asks.
    for (const { code, stderr } of both) if (code !== 0) expect(stderr).toMatch(/is being trained by process \d+/);
    expectSameRun(run, reference);
    expect(readdirSync(run).filter((name) => name.startsWith('lock'))).toEqual([]);
    // Of a process on another machine nothing is known.
    writeFileSync(join(run, 'lock'), '1\nelsewhere\n');
    await fails(['train', '--resume', run, '--no-eval'], 1, /by process 1 on elsewhere/);
    expect(readFileSync(join(run, 'lock'), 'utf8')).toBe('1\nelsewhere\n');
  });

  it('goes on on another backend where that is asked for, says so, and remembers it', async () => {
    const run = join(folder, 'moved');
    cpSync(reference, run, { recursive: true });
    const configOf = (): Record<string, unknown> => JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as Record<string, unknown>;
    const [before, checkpoint] = [configOf(), bytesOf(run, 'checkpoint.safetensors')];
    const moved = /^moved from wasm to wasm \(deterministic\) after step 40: .*the bits are not those of a run on either alone$/m;
    expect((await succeeds(['train', '--resume', run, '--no-eval', '--deterministic'])).stdout).toMatch(moved);
    const [wasm, deterministic] = [false, true].map((value) => ({ name: 'wasm', deterministic: value }));
    expect(configOf()).toEqual({ ...before, backend: deterministic, before: [{ ...wasm, until: 40 }] });
    // There was nothing left to do.
    expect(bytesOf(run, 'checkpoint.safetensors') === checkpoint).toBe(true);
    // It stays where it is, unless asked again.
    expect((await succeeds(['train', '--resume', run, '--no-eval'])).stdout).not.toContain('moved from');
    const { stderr } = await succeeds(['train', '--resume', run, '--no-eval', '--backend', 'cpu', '--quiet']);
    expect(stderr).toMatch(/^moved from wasm \(deterministic\) to cpu \(deterministic\)/);
    expect(configOf()['before']).toEqual([
      { ...wasm, until: 40 },
      { ...deterministic, until: 40 },
    ]);
    await fails(
      ['train', '--resume', run, '--no-eval', '--backend', 'webgpu', '--deterministic'],
      2,
      /--deterministic is for wasm and cpu/,
    );
  });

  it('without a terminal prints plain lines: the first step and quarters of epochs', async () => {
    const { stdout } = await succeeds(['train', ...data, ...smallRun, '--epochs', '1', '--no-eval', '--out', join(folder, 'plain')]);
    const lines = stdout.split('\n').filter((line) => line.startsWith('epoch'));
    expect(lines.map((line) => Number(/step (\d+)\//.exec(line)![1]))).toEqual([1, 3, 6, 9, 10]);
    for (const line of lines)
      expect(line).toMatch(
        /^epoch 1\/1 {2}step \d+\/10 {2}\d+ images\/s {2}\d+ s left {2}loss [\d.]+ {2}invariance [\d.]+ {2}variance [\d.]+ {2}covariance [\d.]+ {2}std [\d.]+ {2}std_ℓ2 [\d.]+ {2}\|corr\| [\d.]+( {2}RankMe [\d.]+)?$/,
      );
    expect(stdout).not.toContain('\x1b');
  });

  it('on a terminal renews its lines, and keeps within its width', async () => {
    if (!capability('script', existsSync('/usr/bin/script'), 'no script(1) to make a terminal')) return;
    const words = [...command, 'train', ...data, ...smallRun, '--epochs', '1', '--no-eval', '--out', join(folder, 'terminal')];
    const { stdout } = await new Call(['-qec', `stty cols 60; ${words.map((word) => `'${word}'`).join(' ')}`, '/dev/null'], {}, ['script'])
      .finished;
    // The first step is shown, and each of the others in its place.
    const shown = stdout.split('\x1b[J').slice(1, -1);
    expect(shown).toHaveLength(8);
    for (const text of shown) {
      const lines = text.split('\r\n');
      expect(lines.length).toBeGreaterThan(1);
      // The last goes back to where the first began.
      expect(lines.pop()!.split('\r')[1]).toBe(`\x1b[${lines.length}A`);
      for (const line of lines) expect(line.length).toBeLessThan(60);
    }
  });

  it('says in plain words when the embedding collapses, while it trains', async () => {
    const { stdout } = await succeeds([
      'train',
      ...data,
      '--batch',
      '16',
      '--expander',
      '64-64',
      '--lr',
      '5e-3',
      '--epochs',
      '10',
      '--variance',
      '0',
      '--no-eval',
      '--out',
      join(folder, 'collapsed'),
    ]);
    const at = stdout
      .split('\n')
      .findIndex((line) => /^warning: step \d+: the embedding has collapsed: every image maps to nearly the same point/.test(line));
    expect(at).toBeGreaterThan(0);
    expect(
      stdout
        .split('\n')
        .slice(at)
        .some((line) => line.startsWith('epoch')),
    ).toBe(true);
  });

  it('stops when the loss is no number, with the last good checkpoint and the curves', async () => {
    const run = join(folder, 'diverged');
    const result = await tensegrity([
      'train',
      ...data,
      ...settings,
      '--checkpoint-every',
      '1',
      '--optimizer',
      'sgd',
      '--lr',
      '1e30',
      '--warmup',
      '0',
      '--out',
      run,
    ]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /^tensegrity: step \d+: the loss is (NaN|-?Infinity): training has diverged; lower --lr, or lengthen --warmup \(.*\)\n$/,
    );
    expect(existsSync(join(run, 'report.html'))).toBe(true);
    expect(existsSync(join(run, 'encoder.safetensors'))).toBe(false);
  });

  it('keeps how often it looks and is saved when it goes on, unless that is given again', async () => {
    const run = join(folder, 'looking');
    const begun = ['train', ...data.slice(0, 4), ...smallRun, '--epochs', '1', '--dashboard-every', '4', '--checkpoint-every', '1'];
    const call = new Call([...begun, '--json', '--no-eval', '--out', run]);
    await call.step(2);
    call.kill('SIGINT');
    const { stdout } = await call.finished;
    expect(stdout).toMatch(/train has no labelled test images, so --dashboard-every shows no k-NN/);
    const paces = (): unknown => JSON.parse(readFileSync(join(run, 'config.json'), 'utf8'));
    expect(paces()).toMatchObject({ dashboardEvery: 4, checkpointEvery: 1 });
    await succeeds(['train', '--resume', run, '--no-eval', '--checkpoint-every', '3']);
    expect(paces()).toMatchObject({ dashboardEvery: 4, checkpointEvery: 3 });
    const looks = jsonLines(readFileSync(join(run, 'metrics.jsonl'), 'utf8')).filter(({ dashboard }) => dashboard !== undefined);
    expect(looks.map(({ step }) => step)).toEqual([4, 8]);
  });

  it('without labels trains all the same, and shows the metrics', async () => {
    const { stdout } = await succeeds(['train', ...data.slice(0, 2), ...smallRun, '--epochs', '1', '--out', join(folder, 'unlabelled')]);
    expect(stdout).toMatch(/, 1 epoch of 10 steps, /);
    expect(stdout).toMatch(/train has no labels, so there will be no probes, only collapse metrics/);
    expect(stdout).toMatch(/trained \(vicreg\) +(– +){6}\d/);
  });

  it.each([
    ['barlow-twins', ['--off-diagonal', '0.01']],
    ['w-mse', ['--sub-batch', '16', '--whitening', 'zca', '--expander', '24-8']],
    ['simclr', ['--temperature', '0.2', '--dialect', 'google']],
    ['moco', ['--queue', '40', '--negatives', 'on', '--teacher-momentum', '0.9']],
    ['dino', ['--centring', 'off', '--local-crops', '1', '--local-size', '6']],
    [
      'swav',
      ['--prototypes', '12', '--freeze-prototypes', '3', '--queue', '32', '--local-crops', '2', '--local-size', '6', '--epsilon', '0.05'],
    ],
    ['deepcluster', ['--prototypes', '12', '--heads', '2']],
    ['lejepa', ['--sigreg', '0.1', '--slices', '16']],
    ['vibcreg', ['--covariance', '100', '--last-norm', 'none']],
    ['tico', ['--contrast', '4', '--dialect', 'lightly', '--covariance-momentum', '0.5', '--teacher-momentum', '0.9']],
    ['mmcr', ['--global', '0.5', '--local', '0.1']],
  ])('trains %s with its own options', async (method, options) => {
    const run = join(folder, method);
    await succeeds(['train', ...data, ...smallRun, '--epochs', '1', '--method', method, ...options, '--no-eval', '--out', run]);
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as { training: { method: string; methodOptions: object } };
    expect(config.training.method).toBe(method);
    const given = options.filter((word) => word.startsWith('--') && word !== '--expander');
    const names = given.map((flag) => flag.slice(2).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()));
    const own = Object.keys(methodNamed(method as MethodName).training.methodOptions ?? {});
    expect(new Set(Object.keys(config.training.methodOptions))).toEqual(new Set([...names, ...own]));
  });

  it('with a memory of its images is scored on others, too', async () => {
    const run = join(folder, 'remembering');
    await succeeds([
      'train',
      ...data,
      ...smallRun,
      '--epochs',
      '1',
      '--method',
      'deepcluster',
      '--prototypes',
      '12',
      '--no-eval',
      '--out',
      run,
    ]);
    const exchanged = { '--data': '--test-images', '--labels': '--test-labels', '--test-images': '--data', '--test-labels': '--labels' };
    await succeeds(['eval', '--run', run, ...data.map((word) => exchanged[word as keyof typeof exchanged] ?? word)]);
  });

  it.each([
    [[], 'small-data'],
    [['--recipe', 'reference'], 'reference'],
    [['--encoder', 'small-conv'], 'reference'],
  ] as const)('trains embedded data by a recipe of its own: %j is %s', async (words, recipe) => {
    const { stdout } = await succeeds(['train', ...words, '--plan']);
    expect(stdout).toContain(`u8[${trainingConfig(recipes[recipe]).batchSize},1,28,28]`);
  });

  it('prints the plan of a step, and does nothing else', async () => {
    const { stdout } = await succeeds(['train', ...data, ...smallRun, '--plan', '--out', join(folder, 'planned')]);
    expect(stdout).toMatch(/conv/);
    expect(existsSync(join(folder, 'planned'))).toBe(false);
    const { stdout: asJson } = await succeeds(['train', ...data, ...smallRun, '--plan', '--json']);
    expect(JSON.parse(asJson)).toEqual({ event: 'plan', plan: stdout.slice(0, -1) });
  });

  describe('refuses', () => {
    const run = join(folder, 'refused');
    const base = (): string[] => ['train', ...data, ...smallRun, '--epochs', '1', '--no-eval'];

    it.concurrent.each<[what: string, words: () => string[], code: 1 | 2, message: RegExp]>([
      [
        'a folder with a run',
        () => [...base(), '--out', reference],
        1,
        /holds a run already; go on with --resume \S+, or choose another --out/,
      ],
      ['a file for a folder', () => [...base(), '--out', data[1]!], 1, /cannot create the folder .*: a file is in the way/],
      [
        'a folder that nobody may write',
        () => [...base(), '--out', '/sys/tensegrity'],
        1,
        /cannot create the folder \/sys\/tensegrity: (permission|the operating system|the file system is read-only)/,
      ],
      [
        'images that are not there',
        () => ['train', '--data', '/nowhere/x.npy', '--out', run],
        1,
        /cannot read \/nowhere\/x\.npy: there is no such file or folder/,
      ],
      [
        'an unknown data set',
        () => ['train', '--data', 'imagenet', '--out', run],
        1,
        /there is no data set .*; give one of fashion-mnist-subset/,
      ],
      ['a batch larger than the data', () => [...base(), '--batch', '1000', '--out', run], 1, /160 images do not fill a batch of 1000/],
      ['a batch of 1', () => [...base(), '--batch', '1', '--out', run], 2, /batchSize must be a whole number ≥ 2, got 1/],
      ['a word for a number', () => [...base(), '--lr', 'fast', '--out', run], 2, /--lr takes a number, got 'fast'/],
      ['a rate below 0', () => [...base(), '--lr=-1', '--out', run], 2, /learningRate must be above 0/],
      [
        'a method there is not',
        () => [...base(), '--method', 'vicrag', '--out', run],
        2,
        /--method is one of vicreg, .*did you mean vicreg\?/,
      ],
      ['an option of another method', () => [...base(), '--sub-batch', '8', '--out', run], 2, /VICReg has no option --sub-batch/],
      ['an option there is not', () => [...base(), '--bacth', '8'], 2, /train has no option --bacth; did you mean --batch\?/],
      ['an option without its value', () => [...base(), '--batch'], 2, /--batch needs a value: --batch N/],
      ['a number below 0', () => [...base(), '--seed', '-1'], 2, /--seed: seed must be a whole number ≥ 0, got -1/],
      [
        'checkpoints every 0 steps',
        () => [...base(), '--checkpoint-every', '0', '--out', run],
        2,
        /--checkpoint-every takes a whole number ≥ 1/,
      ],
      [
        'momentum of an optimiser that has none',
        () => [...base(), '--momentum', '0.5', '--out', run],
        2,
        /adam has no momentum to choose; leave out --momentum/,
      ],
      [
        'a stem of an encoder that has none',
        () => [...base(), '--stem', 'cifar', '--out', run],
        2,
        /small-conv has no stem to choose; leave out --stem/,
      ],
      [
        'an option that counts for nothing beside the others',
        () => [...base(), '--method', 'swav', '--local-size', '9', '--out', run],
        2,
        /SwAV: --local-size counts for nothing without --local-crops; give both, or neither/,
      ],
      ['times of a plan that does not run', () => [...base(), '--plan', '--profile'], 2, /--plan runs no step.*leave out --profile/],
      ['settings for a run that goes on', () => ['train', '--resume', reference, '--lr', '1'], 2, /leave out --lr/],
      [
        'to go on with what is no run',
        () => ['train', '--resume', '/nowhere'],
        1,
        /cannot read \/nowhere\/config\.json: there is no such file/,
      ],
      ['files', () => ['train', 'images.npy'], 2, /train takes no files, got images\.npy/],
    ])('%s', async (_, words, code, message) => {
      await fails(words(), code, message);
      expect(existsSync(run)).toBe(false);
    });

    it.concurrent.each<[what: string, file: string, damage: (path: string) => void, message: RegExp]>([
      ['a damaged checkpoint', 'checkpoint.safetensors', flip, /checkpoint\.safetensors: the checkpoint is damaged: .*digest/],
      [
        'a shortened checkpoint',
        'checkpoint.safetensors',
        (path) => writeFileSync(path, readFileSync(path).subarray(0, 5000)),
        /checkpoint is damaged/,
      ],
      [
        'weights for a checkpoint',
        'checkpoint.safetensors',
        (path) => copyFileSync(join(reference, 'encoder.safetensors'), path),
        /not a checkpoint of tensegrity/,
      ],
      [
        'a configuration cut short',
        'config.json',
        (path) => writeFileSync(path, '{"training":'),
        /config\.json is not the configuration of a run \(.*JSON.*\); put back/,
      ],
      ['a configuration of nothing', 'config.json', (path) => writeFileSync(path, 'null'), /is not the configuration of a run/],
      [
        'a configuration without data',
        'config.json',
        (path) => writeFileSync(path, '{"training":{"method":"vicreg"}}'),
        /what data to train on/,
      ],
      [
        'a configuration of an unknown method',
        'config.json',
        (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"vicreg"', '"no-such-method"')),
        /no method 'no-such-method'/,
      ],
      [
        'a checkpoint of another configuration',
        'config.json',
        (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('24', '25')),
        /widths is \[25,16\] in config\.json and \[24,16\] in the checkpoint\. Put the checkpoint's back, or begin another run/,
      ],
    ])('to go on with %s', async (what, file, damage, message) => {
      const copy = join(folder, what.replaceAll(' ', '-'));
      cpSync(reference, copy, { recursive: true });
      damage(join(copy, file));
      await fails(['train', '--resume', copy], 1, message);
      expect(readdirSync(copy).sort()).toEqual(runFiles);
    });

    it('a full disk, and leaves no half file', async () => {
      const disk = join(folder, 'disk');
      mkdirSync(disk);
      if (!capability('small-disk', mounted(disk), 'mounting a small tmpfs is not permitted')) return;
      try {
        const { code, stderr } = await tensegrity([...base(), '--out', join(disk, 'run')]);
        expect(code).toBe(1);
        expect(stderr).toMatch(/^tensegrity: cannot write \S+checkpoint\.safetensors: the disk is full; free some space .*\n$/);
        expect(readdirSync(join(disk, 'run')).sort()).toEqual(['config.json', 'metrics.jsonl']);
      } finally {
        system('umount', disk);
      }
    });
  });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 100]! ^= 1;
  writeFileSync(path, bytes);
}

/** A disk of 256 KiB at `path`: less than a checkpoint takes. */
function mounted(path: string): boolean {
  try {
    system('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path);
    return true;
  } catch {
    return false;
  }
}
