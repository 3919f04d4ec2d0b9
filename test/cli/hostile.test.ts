import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkAgreement } from '../../cli/agreement.ts';
import { doctor } from '../../cli/commands/doctor.ts';
import { embed } from '../../cli/commands/embed.ts';
import { evaluate } from '../../cli/commands/evaluate.ts';
import { loss } from '../../cli/commands/loss.ts';
import { train } from '../../cli/commands/train.ts';
import { type Command, parseInput } from '../../cli/options.ts';
import { RunFolder } from '../../cli/runFolder.ts';
import { jsonOf, shellWord } from '../../cli/text.ts';
import { TensegrityError } from '../../engine/errors.ts';
import { readArray, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { encoders } from '../../models/nn/encoders.ts';
import { property } from '../support/property.ts';
import { Call, command, fails, smallData, smallRun, succeeds, system, temporaryFolder, tensegrity } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => join(folder, name);
const commands: Readonly<Record<string, Command>> = { train, eval: evaluate, embed, loss, doctor };
const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
let data: string[];
const reference = path('reference');
beforeAll(async () => {
  data = await smallData(folder, 48);
  await succeeds(['train', ...data, ...smallRun, '--epochs', '2', '--checkpoint-every', '2', '--no-eval', '--quiet', '--out', reference]);
}, 120_000);

/** A copy of the reference run. */
function copied(): string {
  const run = mkdtempSync(path('copy-'));
  cpSync(reference, run, { recursive: true });
  return run;
}

/** Escape sequences of both kinds, what turns the direction of writing or ends a line, and half a character. */
const HOSTILE = '\x1b[31m\x9b2J\x7f\x07\r\u202e\u2066\u2028\u200b\ud800';
/** What no output may hold. */
const STEERING = /[^\P{C}\n]|[\u2028\u2029]/u;

function expectHarmless(text: string): void {
  expect(STEERING.exec(text)?.[0].codePointAt(0)?.toString(16)).toBeUndefined();
  expect(text.length).toBeLessThan(2000);
}

/** A call that fails: with one harmless line, which says `message`. */
async function failsHarmlessly(words: readonly string[], message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await tensegrity(words);
  expect([1, 2], stderr).toContain(code);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^tensegrity: [^\n]+\n$/);
  expect(stderr).toMatch(message);
  expectHarmless(stderr);
}

describe('names from files', () => {
  /** A .npy file with any header. */
  function npy(name: string, header: string): string {
    const bytes = Buffer.from(header.padEnd(118), 'latin1');
    writeFileSync(
      path(name),
      Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, bytes.length % 256, bytes.length >> 8]), bytes]),
    );
    return path(name);
  }
  const edited = (edit: (config: Record<string, Record<string, unknown>>) => void): string => {
    const run = copied();
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as Record<string, Record<string, unknown>>;
    edit(config);
    writeFileSync(join(run, 'config.json'), JSON.stringify(config));
    return run;
  };
  const name = `${HOSTILE}\nname`;

  it('are shown without what steers a terminal, on one line, and not at any length', { timeout: 120_000 }, async () => {
    const state = [...(await encoders['small-conv']({ key: 1, inputs: 1 }).stateDict())];
    const one = { dtype: 'f32', shape: [1], data: Float32Array.of(1) } as const;
    const weights = async (file: string, extra: readonly string[], metadata: [string, string][] = []): Promise<string> => {
      await writeSafetensors(path(file), [...state, ...extra.map((tensor) => [tensor, one] as const)], metadata);
      return path(file);
    };
    const valid = state.map(([tensor]) => tensor)[0]!;
    const raw = readFileSync(await weights('raw.safetensors', []));
    writeFileSync(path('type.safetensors'), Buffer.from(raw.toString('latin1').replace('"F32"', '"\x7f2"'), 'latin1'));
    const images = data[1]!;
    const z = ['--out', path('z.npy')];
    await Promise.all([
      failsHarmlessly(
        ['embed', images, ...z, '--weights', await weights('names.safetensors', [name, 'x'.repeat(1e5)])],
        /left over: \\u\{1b\}\[31m/,
      ),
      failsHarmlessly(
        ['embed', images, ...z, '--weights', await weights('metadata.safetensors', [], [['encoder', name]])],
        /its encoder is '\\u\{1b\}.*--encoder/,
      ),
      failsHarmlessly(
        ['embed', images, ...z, '--weights', path('type.safetensors')],
        new RegExp(`${valid}.* holds \\\\u\\{7f\\}2 elements`),
      ),
      failsHarmlessly(['eval', ...data, '--weights', await weights('stem.safetensors', [], [['stem', name]])], /its stem is/),
      failsHarmlessly(
        ['loss', 'vicreg', npy('descr.npy', `{'descr': '\x1b[31m\x9b', 'fortran_order': False, 'shape': (1,), }`), images],
        /type '\\u\{1b\}/,
      ),
      failsHarmlessly(
        ['loss', 'vicreg', npy('long.npy', `{'descr': '${'x'.repeat(60_000)}', 'fortran_order': False, 'shape': (1,), }`), images],
        /type 'x+…/,
      ),
      failsHarmlessly(['loss', 'vicreg', npy('key.npy', `{'\x1b]0;title\x07': 1}`), images], /not '\\u\{1b\}/),
      failsHarmlessly(['train', '--resume', edited((config) => (config['training']!['method'] = name))], /no method '\\u\{1b\}/),
      failsHarmlessly(['train', '--resume', edited((config) => (config['training']![name] = 1))], /no option '\\u\{1b\}/),
      failsHarmlessly(['train', '--resume', edited((config) => (config['source']!['data'] = `/${name}.npy`))], /\\u\{1b\}/),
      failsHarmlessly(['eval', '--run', edited((config) => (config['source']!['data'] = `${name}\0`))], /\\u\{0\}/),
      failsHarmlessly(['train', '--resume', path(`${name.slice(0, -6)}none`)], /\\u\{1b\}/),
      failsHarmlessly(['train', '--data', 'x\x1b\ny'], /no data set .*x\\u\{1b\}\\ny/),
      failsHarmlessly(['train', '--x\x1b\n'], /no option --x\\u\{1b\}\\n/),
      failsHarmlessly(['x\x1b\n'], /no command 'x\\u\{1b\}\\n'/),
      failsHarmlessly(['loss', 'vicreg\x1b', images, images], /got 'vicreg\\u\{1b\}'/),
    ]);
    // Half a character cannot be in a file's name.
    const strange = path(`${name.replaceAll('\ud800', '')}.npy`);
    await writeArray(strange, { dtype: 'f32', shape: [1], data: new Float32Array(1) });
    await failsHarmlessly(
      ['embed', strange, '--out', strange, '--weights', path('raw.safetensors')],
      /\\u\{1b\}.*is the same file as.*which is read/,
    );
    await failsHarmlessly(['train', ...data.slice(0, 2), '--labels', strange], /\\u\{1b\}.*: labels must be whole numbers/);
    const broken = copied();
    writeFileSync(join(broken, 'config.json'), `${name}{`);
    await failsHarmlessly(['train', '--resume', broken], /not the configuration of a run .*\\u\{1b\}/);
  });

  it('are exact in JSON, and harmless there too', async () => {
    const out = path('run \x1b[31m\u202e');
    const words = ['train', ...data, ...smallRun, '--epochs', '1', '--no-eval'];
    const { stdout } = await succeeds([...words, '--json', '--out', out]);
    expectHarmless(stdout.split('\n')[0]!);
    expect(JSON.parse(stdout.split('\n')[0]!)).toMatchObject({ run: out });
    // The command that is named goes on with it, as a shell reads it.
    const { stderr } = await tensegrity([...words, '--out', out]);
    expectHarmless(stderr);
    const [, remedy] = /go on with (.*), or choose/.exec(stderr)!;
    const shell = ['-c', `${quoted(command)} train ${remedy} --no-eval --quiet`];
    expect(await new Call(shell, {}, ['bash']).finished).toMatchObject({ code: 0 });
  });

  it('go through the one place that prints', () => {
    const sources = execFileSync('git', ['ls-files', 'cli'], { encoding: 'utf8', cwd: new URL('../..', import.meta.url) })
      .trim()
      .split('\n');
    const printing = sources.filter((file) => /console\./.test(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')));
    expect(printing).toEqual(['cli/text.ts']);
  });

  it('have a quoting that every shell word survives', () =>
    property([fc.string({ unit: 'binary', maxLength: 12 })], (text) => {
      fc.pre(text !== '' && !/\0|\p{Cs}/u.test(text));
      const word = shellWord(text);
      expect(word).not.toMatch(STEERING);
      const back = execFileSync('bash', ['-c', `printf %s ${word}`], { encoding: 'utf8' });
      expect(back).toBe(text.startsWith('-') ? `./${text}` : text);
    }));

  it('have a JSON that says the same', () =>
    property([fc.jsonValue(), fc.string({ unit: 'binary' })], (value, text) => {
      const json = jsonOf([value, text, HOSTILE]);
      expect(json).not.toMatch(/[\p{C}\u2028\u2029]/u);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify([value, text, HOSTILE])));
    }));
});

describe('a call', () => {
  const parsed = (name: string, ...words: string[]): unknown => parseInput(words, name, commands[name]!);

  it('has a word for every option without its value, with an empty one, and with another option for it', () => {
    for (const [name, { options }] of Object.entries(commands)) {
      for (const [option, { type }] of Object.entries(options)) {
        if (type === 'boolean') {
          expect(() => parsed(name, `--${option}=x`)).toThrow(`--${option} takes no value, got 'x'`);
          continue;
        }
        const needs = `--${option} needs a value: --${option} `;
        expect(() => parsed(name, `--${option}`)).toThrow(needs);
        expect(() => parsed(name, `--${option}`, '')).toThrow(needs);
        expect(() => parsed(name, `--${option}=`)).toThrow(needs);
        expect(() => parsed(name, `--${option}`, '--json')).toThrow(`${needs}`);
        expect(() => parsed(name, `--${option}`, '-h')).toThrow(`after it comes '-h', an option`);
      }
    }
  });

  it('with a number below 0 is answered in its own words, whatever takes it', async () => {
    const [settings, others] = [
      ['epochs', 'batch', 'lr', 'weight-decay', 'warmup', 'seed', 'expander', 'invariance', 'gamma'],
      ['checkpoint-every', 'threads'],
    ];
    for (const option of [...settings, ...others]) {
      for (const value of ['-1', '-1e3', '-.5']) {
        const call = async (): Promise<unknown> => train.run(parseInput(['--data', data[1]!, `--${option}`, value], 'train', train));
        await expect(call(), option).rejects.toThrow(new RegExp(`^--${option}.*got '?${option === 'expander' ? value : ''}`));
      }
      for (const value of ['nan', 'NaN', '1e999', '0x10', '1_000', ' 1', '1e3x', 'Infinity']) {
        const call = async (): Promise<unknown> => train.run(parseInput([`--${option}`, value], 'train', train));
        await expect(call(), option).rejects.toThrow(new RegExp(`^--${option} takes .*got '${value}'`));
      }
    }
  });

  it.each([
    ['--bacth', 'did you mean --batch?'],
    ['--Batch', 'did you mean --batch?'],
    ['--batch-size', 'did you mean --batch?'],
    ['--epoch', 'did you mean --epochs?'],
    ['--rate', 'did you mean --lr?'],
    ['--learning-rate', 'did you mean --lr?'],
    ['--no-json', 'leave out --json'],
    ['--eval', 'it is on unless --no-eval is given'],
    ['-x', 'train has no option -x;'],
    ['-1', 'train has no option -1;'],
    ['--__proto__', 'train has no option --__proto__'],
    ['--toString=1', 'train has no option --toString'],
    ['', 'the name of a file is empty'],
  ])('with %j says: %s', (word, message) => {
    expect(() => parsed('train', word, 'x')).toThrow(message);
  });

  it('takes seeds as people write them, the last of two, and what begins with a dash after =', () => {
    const input = parseInput(['--seed', '7', '--seed=1e3', '--out=-x', '--lr', '-.5'], 'train', train);
    expect([input.whole('seed'), input.text('out'), input.number('lr')]).toEqual([1000, '-x', -0.5]);
  });
});

describe('config.json', () => {
  it('is a configuration or refused, whatever any part of it is', async () => {
    const run = copied();
    const folderOf = new RunFolder(run);
    const valid = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as Record<string, unknown>;
    valid['before'] = [{ name: 'cpu', deterministic: true, until: 3 }];
    /** Every place in a value. */
    const places = (value: unknown, at: readonly string[] = []): (readonly string[])[] => [
      at,
      ...(typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([name, part]) => places(part, [...at, name])) : []),
    ];
    const odd = fc.oneof(
      fc.constantFrom(
        null,
        true,
        0,
        -1,
        1.5,
        1e308,
        '',
        '1',
        'vicreg',
        [],
        ['vicreg'],
        ['adam'],
        {},
        { length: 1 },
        [[]],
        '__proto__',
        undefined,
      ),
      fc.jsonValue(),
    );
    await property(
      [fc.constantFrom(...places(valid)), odd],
      async (place, value) => {
        const config = structuredClone(valid);
        let text = JSON.stringify(value) ?? '';
        if (place.length > 0) {
          const parent = place
            .slice(0, -1)
            .reduce((part, name) => part[name] as Record<string, unknown>, config as Record<string, unknown>);
          parent[place.at(-1)!] = value;
          text = JSON.stringify(config);
        }
        writeFileSync(join(run, 'config.json'), text);
        const read = await folderOf.config().catch((error: unknown) => error);
        if (read instanceof Error) {
          expect(read).toBeInstanceOf(TensegrityError);
          expect(read.message).toMatch(/config\.json is not the configuration of a run \(.+\); put back what was there/);
          expect(read.message).not.toContain('[object');
          return;
        }
        const { training, source, backend } = read as Awaited<ReturnType<RunFolder['config']>>;
        for (const name of ['method', 'encoder', 'stem', 'augmentation', 'optimizer'] as const)
          expect(typeof training[name]).toBe('string');
        for (const name of ['epochs', 'batchSize', 'learningRate', 'weightDecay', 'warmup', 'seed'] as const)
          expect(Number.isFinite(training[name]), name).toBe(true);
        for (const width of training.widths) expect(Number.isSafeInteger(width)).toBe(true);
        for (const option of Object.values(training.methodOptions)) expect(['number', 'string']).toContain(typeof option);
        for (const text of Object.values(source)) expect(typeof text).toBe('string');
        expect([typeof backend.name, typeof backend.deterministic]).toEqual(['string', 'boolean']);
      },
      { numRuns: 600 },
    );
  });
});

describe('metrics.jsonl', () => {
  it('gives its lines, and none of what is no line', async () => {
    const run = copied();
    const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const odd = fc.oneof(
      fc.constantFrom(
        'null',
        '[]',
        '7',
        '"x"',
        '{}',
        '{"step":1}',
        '{"step":null}',
        lines[0]!.slice(0, 40),
        lines[2]!.replace('"parts":{', '"parts":[{').replace('}', '}]'),
        lines[1]!,
        '',
        '\0',
      ),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.string(),
    );
    await property([fc.array(odd, { maxLength: 8 }), fc.nat({ max: 6 })], async (more, step) => {
      writeFileSync(join(run, 'metrics.jsonl'), [...lines.slice(0, 2), ...more, ...lines.slice(2)].join('\n'));
      const folderOf = new RunFolder(run);
      const read = await folderOf.openLog(step);
      await folderOf.closeLog();
      expect(read.map((line) => JSON.stringify(line))).toEqual(lines.slice(0, step));
      expect(readFileSync(join(run, 'metrics.jsonl'), 'utf8')).toBe(
        lines
          .slice(0, step)
          .map((line) => `${line}\n`)
          .join(''),
      );
    });
  });
});

describe('train --resume', () => {
  const edit = (run: string, from: RegExp | string, to: string): void => {
    const file = join(run, 'config.json');
    const before = readFileSync(file, 'utf8');
    const after = before.replace(from, to);
    expect(after).not.toBe(before);
    writeFileSync(file, after);
  };
  const checkpoint = (run: string): string => join(run, 'checkpoint.safetensors');
  const replaced = (run: string, make: (path: string) => void): void => {
    rmSync(checkpoint(run));
    make(checkpoint(run));
  };

  it.concurrent.each<[what: string, damage: (run: string) => void, message: RegExp]>([
    [
      'another seed',
      (run) => edit(run, '"seed": 0', '"seed": 1'),
      /config\.json is not what .*: seed is 1 in config\.json and 0 in the checkpoint\. Put the checkpoint's back/,
    ],
    ['another batch', (run) => edit(run, '"batchSize": 16', '"batchSize": 8'), /batchSize is 8 in config\.json and 16 in the checkpoint/],
    [
      'another rate and more epochs',
      (run) => {
        edit(run, '"learningRate": 0.001', '"learningRate": 0.002');
        edit(run, '"epochs": 2', '"epochs": 3');
      },
      /epochs is 3 in .*2 in the checkpoint; learningRate is 0\.002 in .* and 0\.001/,
    ],
    ['other augmentations', (run) => edit(run, '"reference"', '"crop-only"'), /crop-only|no augmentation/],
    [
      "a method's option",
      (run) => edit(run, '"methodOptions": {}', '"methodOptions": {"variance": 1}'),
      /methodOptions is {"variance":1} in .* and {} in the checkpoint/,
    ],
    [
      'a backend by hand',
      (run) => edit(run, '"name": "wasm"', '"name": "cpu"'),
      /backend is {"name":"cpu","deterministic":false} in .*"wasm"/,
    ],
    [
      'other images',
      (run) => edit(run, /train\.npy/, 'test.npy'),
      /images are not those .*test\.npy holds f32 \[48, 1, 12, 12\], SHA-256 [0-9a-f]{64}; .*trained on f32 .*, from .*train\.npy/s,
    ],
    [
      'a link to nothing',
      (run) => replaced(run, (at) => symlinkSync('/nowhere/x', at)),
      /checkpoint\.safetensors is a link to \/nowhere\/x, which is not there; mount the disk/,
    ],
    ['a link to itself', (run) => replaced(run, (at) => symlinkSync(at, at)), /cannot read .*checkpoint\.safetensors: .*circle.*ELOOP/],
    ['a folder for a checkpoint', (run) => replaced(run, (at) => mkdirSync(at)), /cannot read .*checkpoint\.safetensors: .*folder/],
    ['a pipe for a checkpoint', (run) => replaced(run, (at) => system('mkfifo', at)), /checkpoint\.safetensors is not a regular file/],
    ['an empty checkpoint', (run) => replaced(run, (at) => writeFileSync(at, '')), /not a checkpoint/],
    ['a backend of null', (run) => edit(run, /"backend": {[^}]*}/, '"backend": null'), /backend must be a record, got null/],
    [
      'a pipe for a log',
      (run) => {
        rmSync(join(run, 'metrics.jsonl'));
        system('mkfifo', join(run, 'metrics.jsonl'));
      },
      /metrics\.jsonl is not a regular file/,
    ],
    ['a pipe for a lock', (run) => system('mkfifo', join(run, 'lock')), /lock is not a lock of this program; remove it/],
  ])('refuses %s, and changes nothing', { timeout: 60_000 }, async (_, damage, message) => {
    const run = copied();
    damage(run);
    const log = (): string => (/pipe for a log/.test(_) ? '' : readFileSync(join(run, 'metrics.jsonl'), 'utf8'));
    const before = log();
    await fails(['train', '--resume', run, '--no-eval'], 1, message);
    expect(log()).toBe(before);
  });

  it('holds a configuration to what any checkpoint says, or says that this one is damaged', async () => {
    const folderOf = new RunFolder(reference);
    const config = await folderOf.config();
    const saved = (await folderOf.checkpoint())!;
    const agreed = checkAgreement(folderOf, config, saved);
    const { checkpointEvery: _, ...trained } = config;
    expect(agreed.config).toEqual(trained);
    expect(agreed.identity!.images).toMatch(/^f32 \[48, 1, 12, 12\], SHA-256 [0-9a-f]{64}$/);
    const disagrees =
      (change: object): unknown =>
      () =>
        checkAgreement(folderOf, config, { ...saved, config: { ...saved.config, ...change } });
    // Version 0.1.0 said where the data was, not what.
    const { identity, ...former } = saved.config;
    expect(checkAgreement(folderOf, config, { ...saved, config: former }).identity).toBeNull();
    const elsewhere = { ...former, source: { data: 'mnist' } };
    expect(() => checkAgreement(folderOf, config, { ...saved, config: elsewhere })).toThrow(
      /source is .* in config\.json and {"data":"mnist"} in the checkpoint/,
    );
    expect(disagrees({ before: [{ name: 'cpu', deterministic: false, until: 2 }] })).toThrow(/backend is/);
    const odd = fc.record({ at: fc.constantFrom('training', 'source', 'backend', 'before', 'identity', 'x'), value: fc.jsonValue() });
    await property([odd], ({ at, value }) => {
      try {
        checkAgreement(folderOf, config, { ...saved, config: { ...saved.config, [at]: value as never } });
      } catch (error) {
        expect(error).toBeInstanceOf(TensegrityError);
      }
    });
  });

  it('goes on with data that lies elsewhere now, and says what else of it has changed', { timeout: 60_000 }, async () => {
    const run = copied();
    const moved = path('moved.npy');
    cpSync(data[1]!, moved);
    edit(run, data[1]!, moved);
    const labels = await readArray(data[3]!);
    await writeArray(path('other-labels.npy'), { ...labels, data: labels.data.map((label) => 2 - label) });
    edit(run, data[3]!, path('other-labels.npy'));
    const { stderr } = await succeeds(['train', '--resume', run, '--no-eval', '--quiet']);
    expect(stderr).toMatch(
      /^changed since the checkpoint: labels \(i32 \[48\], SHA-256 .*; before i32 \[48\], .*\); training does not use them, scores do\n$/,
    );
  });

  it('says so where it begins anew, and where measurements are lost', { timeout: 60_000 }, async () => {
    const [run, shortened] = [copied(), copied()];
    rmSync(checkpoint(run));
    writeFileSync(join(shortened, 'metrics.jsonl'), 'null\n');
    expect((await succeeds(['train', '--resume', run, '--no-eval', '--quiet'])).stderr).toBe(
      'there is no checkpoint yet, so the run begins anew\n',
    );
    expect((await succeeds(['train', '--resume', shortened, '--no-eval', '--quiet'])).stderr).toMatch(
      /^metrics\.jsonl holds 0 of the 6 steps/,
    );
  });

  it('takes no old checkpoint for that of a new run', async () => {
    const run = copied();
    rmSync(join(run, 'config.json'));
    await fails(
      ['train', ...data, ...smallRun, '--out', run],
      1,
      /holds metrics\.jsonl, checkpoint\.safetensors, .*, which a run would replace; move that elsewhere, or choose another --out/,
    );
  });

  it('replaces no file of another', async () => {
    const own = mkdtempSync(path('own-'));
    writeFileSync(join(own, 'report.html'), 'mine');
    await fails(['train', ...data, ...smallRun, '--out', own], 1, /holds report\.html, which a run would replace; move that elsewhere/);
    expect(readFileSync(join(own, 'report.html'), 'utf8')).toBe('mine');
  });
});

describe('a remedy helps:', () => {
  it.each([
    ['w-mse', '--whitening', 'cholesky'],
    ['w-mse', '--whitening', 'zca'],
    ['barlow-twins', '--epsilon', '0'],
    ['vicreg', '--epsilon', '0'],
  ])('--epsilon, where %s meets a dead dimension, %s %s', { timeout: 60_000 }, async (method, ...options) => {
    const values = Float32Array.from({ length: 60 }, (_, i) => (i % 5 === 2 ? 3 : Math.sin(i * i)));
    await writeArray(path('dead.npy'), { dtype: 'f32', shape: [12, 5], data: values });
    const words = ['loss', method, path('dead.npy'), path('dead.npy'), '--grad', path('g'), ...options];
    const { code, stderr } = await tensegrity(words);
    // With a subgradient of 0 there is nothing to complain of.
    if (method === 'vicreg' && code === 0) return;
    const [remedy] = /--epsilon \S+/.exec(stderr)!;
    const { loss: value } = JSON.parse((await succeeds([...words, ...remedy.split(' '), '--json'])).stdout) as { loss: number };
    expect(Number.isFinite(value)).toBe(true);
  });

  it('an epsilon, where W-MSE has fewer samples than dimensions', { timeout: 60_000 }, async () => {
    await writeArray(path('few.npy'), { dtype: 'f32', shape: [4, 5], data: Float32Array.from({ length: 20 }, (_, i) => Math.sin(i * i)) });
    const words = ['loss', 'w-mse', path('few.npy'), path('few.npy')];
    const { stderr } = await tensegrity(words);
    const [, epsilon] = /singular; .* or an epsilon above 0, as (\S+)/.exec(stderr)!;
    await succeeds([...words, '--epsilon', epsilon!]);
  });

  it('normalising, where pixels are out of range', { timeout: 60_000 }, async () => {
    const { shape, data: values } = await readArray(data[1]!);
    const large = Float64Array.from(values, (value) => value * 1e38);
    await writeArray(path('large.npy'), { dtype: 'f64', shape, data: large });
    const words = [...smallRun, '--epochs', '1', '--no-eval', '--quiet', '--out'];
    const { code, stderr } = await tensegrity(['train', '--data', path('large.npy'), ...words, path('large')]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/the pixels lie within 0 … [\d.]+e\+3[78] and are used as they are; normalise them, in NumPy x = .*x\.mean/),
    ]);
    const mean = large.reduce((sum, value) => sum + value / large.length, 0);
    const deviation = Math.sqrt(large.reduce((sum, value) => sum + (value / 1e38 - mean / 1e38) ** 2 / large.length, 0)) * 1e38;
    await writeArray(path('normal.npy'), { dtype: 'f64', shape, data: large.map((value) => (value - mean) / deviation) });
    await succeeds(['train', '--data', path('normal.npy'), ...words, path('normal')]);
    await fails(
      ['embed', path('large.npy'), '--weights', join(reference, 'encoder.safetensors'), '--out', path('z.npy')],
      1,
      /features of image 0 are not finite: the pixels lie within/,
    );
  });

  it("putting back the checkpoint's settings, and removing what is no lock", { timeout: 60_000 }, async () => {
    const run = copied();
    const file = join(run, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as { training: Record<string, unknown> };
    writeFileSync(file, JSON.stringify({ ...config, training: { ...config.training, seed: 5, warmup: 0.3 } }));
    const { stderr } = await tensegrity(['train', '--resume', run, '--no-eval']);
    const back = Object.fromEntries(
      [...stderr.matchAll(/(\w+) is \S+ in config\.json and (\S+) in the checkpoint/g)].map(([, name, value]) => [
        name!,
        JSON.parse(value!),
      ]),
    );
    writeFileSync(file, JSON.stringify({ ...config, training: { ...config.training, seed: 5, warmup: 0.3, ...back } }));
    symlinkSync('/nowhere', join(run, 'lock'));
    const refused = await tensegrity(['train', '--resume', run, '--no-eval']);
    rmSync(/tensegrity: (\S+) is not a lock/.exec(refused.stderr)![1]!);
    await succeeds(['train', '--resume', run, '--no-eval']);
  });
});

describe('an output that takes nothing', () => {
  it.concurrent.each([['--help'], ['train', '--help'], ['doctor', '--json']])(
    'is said in a line: %s',
    { timeout: 60_000 },
    async (...words) => {
      const line = quoted([...command, ...words]);
      const full = await new Call(['-c', `${line} > /dev/full`], {}, ['bash']).finished;
      expect([
        full.code,
        full.stderr
          .split('\n')
          .filter((text) => text.startsWith('tensegrity') || /^ +at /.test(text))
          .slice(-1),
      ]).toEqual([1, ['tensegrity: cannot write the output: the disk is full; free some space or choose a path on another disk (ENOSPC)']]);
      const head = await new Call(['-c', `${line} | head -c 1 > /dev/null; exit \${PIPESTATUS[0]}`], {}, ['bash']).finished;
      expect(head.code).toBe(0);
      const deaf = await new Call(['-c', `${line} --bogus 2> /dev/full`], {}, ['bash']).finished;
      expect(deaf.code).toBe(words[0] === '--help' ? 0 : 2);
    },
  );
});

it('a checkpoint that is a link to what is there is read and written through it', async () => {
  const run = copied();
  renameSync(join(run, 'checkpoint.safetensors'), path('elsewhere.safetensors'));
  symlinkSync(path('elsewhere.safetensors'), join(run, 'checkpoint.safetensors'));
  await succeeds(['train', '--resume', run, '--no-eval', '--quiet']);
});
