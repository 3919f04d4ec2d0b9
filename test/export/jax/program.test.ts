/** The program that `export --to jax` writes: there and back, killed and in several processes, and what it says of what is wrong. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { permutation } from '../../../models/data/permutation.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from '../../../models/io/node.ts';
import { Call, fails, smallData, smallRun, succeeds, temporaryFolder } from '../../cli/support.ts';
import { hasJax } from './python.ts';

const folder = temporaryFolder();
const path = (...names: readonly string[]): string => join(folder, ...names);
const python = process.env['TENSEGRITY_JAX'] ?? '';
const files = fileURLToPath(new URL('../../../export/jax/files', import.meta.url));

interface Line {
  readonly step: number;
  readonly loss: number;
}
const linesOf = (run: string): readonly Line[] =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .split('\n')
    .flatMap((text) => (text.endsWith('}') ? [JSON.parse(text) as Line] : []));
const lossAt = (lines: readonly Line[], step: number): number => lines.find((line) => line.step === step)?.loss ?? NaN;

/** A call of Python with so many devices; later ones need not compile again. */
function call(words: readonly string[], devices: number, environment: Readonly<Record<string, string>> = {}): Call {
  const env = {
    ...process.env,
    JAX_PLATFORMS: 'cpu',
    PYTHONDONTWRITEBYTECODE: '1',
    JAX_COMPILATION_CACHE_DIR: path('cache'),
    XLA_FLAGS: `--xla_force_host_platform_device_count=${devices}`,
    ...environment,
  };
  return new Call(words, { env }, [python]);
}

/** Waits until a run has logged a step. */
async function logged(run: string, step: number, ended: Promise<unknown>): Promise<void> {
  let over = false;
  const mark = (): void => {
    over = true;
  };
  void ended.then(mark, mark);
  while (!(existsSync(join(run, 'metrics.jsonl')) && linesOf(run).some((line) => line.step >= step))) {
    if (over) throw new Error(`ended before step ${step}: ${JSON.stringify(await ended)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });
}

// 150 steps: 25 an epoch.
const settings = [...smallRun, '--epochs', '6', '--no-eval', '--quiet', '--checkpoint-every', '50'];
const [whole, begun, there, fresh] = [path('whole'), path('begun'), path('there'), path('fresh')];
let data: string[];

beforeAll(async () => {
  if (!hasJax) return;
  data = await smallData(folder, 400);
  await succeeds(['train', ...data, ...settings, '--out', whole]);
  const first = new Call(['train', ...data, ...settings, '--out', begun]);
  await logged(begun, 51, first.finished);
  first.kill('SIGKILL');
  await first.finished;
  await succeeds(['export', begun, '--to', 'jax', '--out', there]);
  cpSync(there, fresh, { recursive: true });
}, 600_000);

/** Has the program look for its images in another file. */
function elsewhere(run: string, file: string): void {
  const [told] = JSON.parse(readFileSync(join(run, 'data.json'), 'utf8')) as [object];
  writeFileSync(join(run, 'data.json'), JSON.stringify([{ ...told, file }]));
}

describe.runIf(hasJax)('an exported run', () => {
  it('draws the order of images that we draw, and reads and writes our checkpoints', async () => {
    const seed = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 2 ** 53 - 1 }));
    const draws = fc.sample(fc.tuple(fc.integer({ min: 1, max: 300 }), seed, fc.nat()), { seed: 1, numRuns: 100 });
    const checkpoint = await loadCheckpoint(join(there, 'checkpoint.safetensors'));
    const { tensors, ...standing }: Checkpoint = { ...checkpoint, metrics: [{ note: 'ü, "quotes"\n' }] };
    const more = new Map([
      ...tensors,
      ['bytes', { dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
      ['one', { dtype: 'i32', shape: [], data: Int32Array.of(-7) }],
    ] as const);
    await saveCheckpoint(path('ours.safetensors'), { ...standing, tensors: more });
    const program = `
import json, pathlib, sys
sys.path.insert(0, ${JSON.stringify(files)})
import train
print(json.dumps([train.permutation(*draw).tolist() for draw in json.loads(${JSON.stringify(JSON.stringify(draws))})]))
train.write_checkpoint(pathlib.Path(${JSON.stringify(path('theirs.safetensors'))}), *train.read_checkpoint(pathlib.Path(${JSON.stringify(path('ours.safetensors'))})))`;
    const { stdout, stderr } = await call(['-c', program], 1).finished;
    expect(stderr).toBe('');
    const orders = JSON.parse(stdout) as number[][];
    draws.forEach(([count, seed, epoch], i) =>
      expect(orders[i], `${count} ${seed} ${epoch}`).toEqual([...permutation(count, seed, epoch)]),
    );
    expect(await loadCheckpoint(path('theirs.safetensors'))).toEqual({ ...standing, tensors: more });
  });

  it('goes on there on four devices, is killed, goes on in two processes, and comes back: the losses are those of a run that stayed', {
    timeout: 600_000,
  }, async () => {
    const alone = call([join(there, 'train.py'), '--checkpoint-every', '10'], 4);
    await logged(there, 88, alone.finished);
    alone.kill('SIGKILL');
    await alone.finished;
    const before = linesOf(there);
    const { step } = await loadCheckpoint(join(there, 'checkpoint.safetensors'));
    expect(step % 10).toBe(0);
    expect(step).toBeGreaterThanOrEqual(80);

    const port = await freePort();
    const pair = ['0', '1'].map((index) =>
      call([join(there, 'train.py'), '--until', '100', '--fsdp'], 2, {
        JAX_COORDINATOR_ADDRESS: `127.0.0.1:${port}`,
        JAX_NUM_PROCESSES: '2',
        JOB_COMPLETION_INDEX: index,
      }),
    );
    const [first, second] = await Promise.all(pair.map(({ finished }) => finished));
    expect([first!.code, second!.code], `${first!.stderr}${second!.stderr}`).toEqual([0, 0]);
    expect(first!.stdout).toMatch(new RegExp(`there: step ${step} of 150, batch 16, on 4 cpu in 2 processes, JAX`));
    expect(first!.stdout).toMatch(/step 100 of 150: all is saved/);
    expect(second!.stdout).not.toMatch(/step/);
    const together = linesOf(there);
    expect(together.map((line) => line.step)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    for (const line of before.filter((each) => each.step > step)) {
      const loss = lossAt(together, line.step);
      expect(Math.abs(loss - line.loss) / line.loss, `step ${line.step}`).toBeLessThan(1e-5);
    }

    const { stdout } = await succeeds(['train', '--resume', there, '--no-eval', '--json']);
    expect(stdout).toMatch(/"step":101,/);
    const [stayed, returned] = [linesOf(whole), linesOf(there)];
    expect(returned).toHaveLength(150);
    for (const { step: at, loss } of stayed) expect(Math.abs(lossAt(returned, at) - loss) / loss, `step ${at}`).toBeLessThan(1e-3);
    await succeeds(['eval', '--run', there]);
  });

  it('says in a line what is wrong, and leaves the folder as it was', { timeout: 600_000 }, async () => {
    const spoilt: Readonly<Record<string, (run: string) => void>> = {
      missing: (run) => elsewhere(run, 'none.npy'),
      others: (run) => elsewhere(run, path('test.npy')),
      pixels: (run) => {
        const bytes = readFileSync(path('train.npy'));
        bytes[bytes.length - 1]! ^= 1;
        writeFileSync(join(run, 'x.npy'), bytes);
        elsewhere(run, 'x.npy');
      },
      cut: (run) => writeFileSync(join(run, 'checkpoint.safetensors'), readFileSync(join(run, 'checkpoint.safetensors')).subarray(0, -1)),
      weights: (run) => copyFileSync(path('none.safetensors'), join(run, 'checkpoint.safetensors')),
      step: (run) =>
        writeFileSync(
          join(run, 'step.py'),
          readFileSync(join(run, 'step.py'), 'utf8')
            .replace(/\(\d+,\), *\)?,?$/m, '(7,)),')
            .replace('"encoder.', '"coder.'),
        ),
      version: (run) =>
        writeFileSync(join(run, 'step.py'), readFileSync(join(run, 'step.py'), 'utf8').replace(/(__version_info__ < \()\d+/, '$199')),
      held: (run) => {
        mkdirSync(join(run, 'lock'));
        writeFileSync(join(run, 'lock', 'entry'), '7\nelsewhere\nboot\nmachine\nnamespace\n1\n');
      },
      divided: () => undefined,
    };
    writeFileSync(path('none.safetensors'), 'no checkpoint');
    const runs = Object.entries(spoilt).map(([name, spoil]) => {
      const run = path(`spoilt-${name}`);
      cpSync(fresh, run, { recursive: true });
      spoil(run);
      return run;
    });
    const program = `
import contextlib, pathlib, sys
for folder in ${JSON.stringify(runs)}:
    sys.path.insert(0, folder)
    for name in ("train", "step"):
        sys.modules.pop(name, None)
    import train
    sys.argv = ["train.py"]
    if folder.endswith("divided"):
        count = train.Devices.__init__
        train.Devices.__init__ = lambda self, jax: (count(self, jax), setattr(self, "count", 3))[0]
        train.Devices.anyone = lambda self, flag: flag
    try:
        train.main()
        print("began")
    except (train.Fault, ImportError, OSError) as cause:
        print(cause)
    sys.path.pop(0)`;
    const { stdout, stderr } = await call(['-c', program], 1).finished;
    const said = Object.fromEntries(Object.keys(spoilt).map((name, i) => [name, stdout.split('\n')[i]]));
    expect(said, stderr).toEqual({
      missing: expect.stringMatching(/there is no file .*none\.npy; say with --data where the images of the run are/),
      others: expect.stringMatching(/test\.npy holds f32 \[48, .*; the run is of f32 \[400, .*, row after row/),
      pixels: expect.stringMatching(
        /x\.npy holds other images than the run was begun with: their SHA-256 digests differ; name the right file with --data/,
      ),
      cut: expect.stringMatching(/checkpoint\.safetensors is damaged or cut off/),
      weights: expect.stringMatching(/checkpoint\.safetensors is no checkpoint of tensegrity/),
      step: expect.stringMatching(/checkpoint\.safetensors is not of the step in step\.py: \S+ differs; export the run anew/),
      version: expect.stringMatching(/needs JAX .* or later, and here is/),
      held: expect.stringMatching(/is being trained by process 7 on elsewhere; wait for it, or end it first/),
      divided: expect.stringMatching(/3 devices do not divide a batch of 16 into equal parts; start with 1 or 2 of them/),
    });
    for (const run of runs)
      expect(readdirSync(run).filter((name) => name.endsWith('.partial') || (name === 'lock' && !run.endsWith('held')))).toEqual([]);
  });

  it('is begun by no processes that were told different things', { timeout: 600_000 }, async () => {
    const run = path('apart');
    cpSync(fresh, run, { recursive: true });
    const port = await freePort();
    const pair = ['0', '1'].map((index) =>
      call([join(run, 'train.py'), '--until', index === '0' ? '60' : '70'], 2, {
        JAX_COORDINATOR_ADDRESS: `127.0.0.1:${port}`,
        JAX_NUM_PROCESSES: '2',
        JOB_COMPLETION_INDEX: index,
      }),
    );
    for (const { code, stderr } of await Promise.all(pair.map(({ finished }) => finished))) {
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /the processes were given different checkpoints, programs or options; give all of them one folder and one command/,
      );
    }
    expect(linesOf(run)).toEqual(linesOf(fresh));
  });

  it('is one run in a folder, for both programs', { timeout: 600_000 }, async () => {
    await fails(['export', begun, '--to', 'jax', '--out', there], 1, /there holds a run already; go on with --resume .*there/);
    await fails(['export', path('none'), '--to', 'jax', '--out', path('new')], 1, /none.*there is no such file or folder/);
    await fails(['export', begun, '--to', 'jax', '--out', path('new'), '--batch', '4'], 2, /with its own settings; leave out --batch/);
    const run = path('shared');
    cpSync(fresh, run, { recursive: true });
    // Without what was logged after the checkpoint: a line of step 52 is the program's then.
    writeFileSync(
      join(run, 'metrics.jsonl'),
      `${linesOf(run)
        .slice(0, 50)
        .map((line) => JSON.stringify(line))
        .join('\n')}\n`,
    );
    const training = call([join(run, 'train.py'), '--show-every', '0'], 4);
    await logged(run, 52, training.finished);
    await fails(['train', '--resume', run], 1, /is being trained by process \d+ on/);
    training.kill('SIGINT');
    const { code, stdout } = await training.finished;
    expect(code).toBe(130);
    const [, stopped] = /step (\d+) of 150: all is saved/.exec(stdout) ?? [];
    expect((await loadCheckpoint(join(run, 'checkpoint.safetensors'))).step).toBe(Number(stopped));
    expect(readdirSync(run)).not.toContain('lock');
  });
});
