import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Screen } from '../../../cli/screen.ts';
import { ablations } from '../../../cli/study/ablations.ts';
import { StudyFolder } from '../../../cli/study/folder.ts';
import type { StudyResults } from '../../../cli/study/results.ts';
import { runStudy } from '../../../cli/study/run.ts';
import { type CellTask, cellTask, type Study, tasksOf } from '../../../cli/study/study.ts';
import { useBackend } from '../../../engine/index.ts';
import { methodNamed, methods } from '../../../models/methods/index.ts';
import { stripedDataset } from '../../models/train/support.ts';
import { Call, fails, smallData, succeeds, temporaryFolder } from '../support.ts';

const circumstances = {
  common: { encoder: 'small-conv', stem: 'cifar', epochs: 2 },
  data: { images: 'u8 [4]', labels: null, testImages: null, testLabels: null, mean: [0], deviation: [1] },
  backend: { name: 'wasm', deterministic: false },
} as const;

describe('the tasks of a study', () => {
  it.each(Object.entries(ablations))('%s are trainings that there are, each in files of its own', (name, study) => {
    expect(study.name).toBe(`ablate ${name}`);
    const tasks = tasksOf(study, [0, 1], circumstances);
    expect(tasks.map(({ seed }) => seed)).toEqual([...study.rows.map(() => 0), ...study.rows.map(() => 1)]);
    expect(new Set(tasks.map(({ file }) => file)).size).toBe(tasks.length);
    // But for the seed, no two rows train alike.
    const settings = tasks.slice(0, study.rows.length).map(({ identity }) => JSON.stringify(identity.settings));
    expect(new Set(settings).size).toBe(study.rows.length);
    for (const { file } of tasks) expect(file).toMatch(/^[a-z0-9.-]+-seed\d-[0-9a-f]{12}$/);
  });

  it('have the form of Table 4: each method with no term, with variance, and with both', () => {
    const { rows } = ablations['branches']!;
    const sided = rows.filter(({ group }) => group !== undefined);
    const groups = [...new Set(sided.map(({ group }) => group))];
    expect(groups).toHaveLength(8);
    for (const group of groups) {
      const own = sided.filter((row) => row.group === group);
      expect(own.map(({ variant }) => variant)).toEqual(['no term', '+ variance', '+ variance, covariance']);
      const trainings = own.map((row) => cellTask(row, 0, circumstances).training!);
      const variances = trainings.map(({ method, addVariance, methodOptions }) =>
        method === 'vicreg' ? methodOptions['variance'] : addVariance,
      );
      const covariances = trainings.map(({ method, addCovariance, methodOptions }) =>
        method === 'vicreg' ? methodOptions['covariance'] : addCovariance,
      );
      expect(variances.map((weight) => Number(weight) > 0)).toEqual([false, true, true]);
      expect(covariances.map((weight) => Number(weight) > 0)).toEqual([false, false, true]);
    }
  });

  it('are named by all that they depend on, and nothing else', () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(methods) as (keyof typeof methods)[])),
        fc.nat(5),
        fc.integer({ min: 1, max: 4 }),
        (method, seed, epochs) => {
          const task = (title: string, rounds: number): CellTask =>
            cellTask({ name: 'row', title, subject: { kind: 'method', training: { method } } }, seed, {
              ...circumstances,
              common: { ...circumstances.common, epochs: rounds },
            });
          const { file, identity } = task('a', epochs);
          expect(identity.revision).toBe(methodNamed(method).revision);
          expect(task('another title', epochs).file).toBe(file);
          expect(task('a', epochs + 1).file).not.toBe(file);
        },
      ),
    ));
});

describe('a study', () => {
  const folder = temporaryFolder();

  it('gives a training that diverges no scores, and goes on; it is not tried again', async () => {
    await useBackend('wasm', { threads: 1 });
    const study: Study = {
      name: 'test',
      title: 'Rates',
      notes: [],
      rows: [1e30, 1e-3].map((learningRate) => ({
        name: `rate-${learningRate}`,
        title: `rate ${learningRate}`,
        subject: { kind: 'method', training: { batchSize: 16, widths: [24, 16], epochs: 1, learningRate } },
      })),
    };
    const store = new StudyFolder(folder);
    using _lock = await store.lock();
    const results = (): Promise<StudyResults> =>
      runStudy({
        study,
        tasks: tasksOf(study, [0], circumstances),
        folder: store,
        dataset: stripedDataset(),
        transfer: null,
        transferIdentity: null,
        common: circumstances.common,
        seeds: [0],
        metricNames: ['linear', 'std'],
        command: 'tensegrity test',
        screen: new Screen({ json: false, quiet: true }),
        checkpointEvery: 100,
        asked: async () => null,
        deadline: Infinity,
      });
    const first = await results();
    expect(first).toMatchObject({ done: 2, total: 2 });
    expect(first.rows[0]).toMatchObject({ values: { linear: null, std: null }, cells: [{ verdict: { kind: 'diverged' } }] });
    expect(first.rows[1]!.values['linear']!.mean).toBeGreaterThan(0.4);
    expect(readdirSync(join(folder, 'encoders'))).toHaveLength(1);
    // Times too are as they were: nothing has been done.
    expect(await results()).toEqual(first);
  });
});

describe('tensegrity compare', () => {
  const folder = temporaryFolder();
  let data: string[];
  let transfer: string[];
  const small = ['--epochs', '1', '--batch', '16', '--threads', '1'];
  const words = (out: string, ...more: string[]): string[] => ['compare', ...data, ...small, '--out', out, ...more];
  const few = ['--methods', 'vicreg,simsiam', '--seeds', '0', '--metrics', 'linear,rankme,std-l2', '--checkpoint-every', '3'];
  const read = (out: string): StudyResults => JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as StudyResults;
  /** What a table is made of: all but the time that it took. */
  const withoutTimes = ({ rows, command: _command, ...rest }: StudyResults): unknown => ({
    ...rest,
    rows: rows.map((row) => ({ ...row, cells: row.cells.map(({ seconds: _seconds, ...cell }) => cell) })),
  });
  const eventsOf = (stdout: string): Record<string, unknown>[] =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  const reference = join(folder, 'reference');
  let whole: unknown;
  beforeAll(async () => {
    data = await smallData(folder);
    const second = join(folder, 'second');
    mkdirSync(second);
    const own = await smallData(second, 96);
    const names = ['--transfer', '--transfer-labels', '--transfer-test-images', '--transfer-test-labels'];
    transfer = names.flatMap((name, i) => [name, own[2 * i + 1]!]);

    const { stdout } = await succeeds(words(reference, ...few, '--json'));
    const events = eventsOf(stdout);
    const results = events.find(({ event }) => event === 'results')!['results'] as StudyResults;
    expect(results).toEqual(read(reference));
    whole = withoutTimes(results);
    expect(results).toMatchObject({
      study: 'compare',
      done: 5,
      total: 5,
      seeds: [0],
      epochs: 1,
      data: { name: 'train', train: 160, classes: 3 },
    });
    expect(results.rows.map(({ name }) => name)).toEqual(['vicreg', 'simsiam', 'supervised', 'random', 'pixels']);
    expect(events.filter(({ event }) => event === 'cell')).toHaveLength(5);
    for (const { kind, values } of results.rows) {
      expect(values['linear']!.mean).toBeGreaterThan(0.4);
      expect(values['rankme'] === null).toBe(kind === 'pixels');
      expect(values['std-l2'] !== null).toBe(kind === 'method');
    }
  });

  it('leaves what its help says, and neither paths of the machine nor anything half', () => {
    expect(readdirSync(reference).sort()).toEqual(['cells', 'encoders', 'report.html', 'results.json', 'results.md', 'unfinished']);
    expect(readdirSync(join(reference, 'cells'))).toHaveLength(5);
    expect(readdirSync(join(reference, 'encoders'))).toHaveLength(3);
    expect(readdirSync(join(reference, 'unfinished'))).toEqual([]);
    for (const name of readdirSync(join(reference, 'cells')))
      expect(readFileSync(join(reference, 'cells', name), 'utf8')).not.toContain(folder);
  });

  it('goes on after kill -9 anywhere, without doing anything twice, to the same table', async () => {
    const out = join(folder, 'killed');
    const events: Record<string, unknown>[] = [];
    for (const pattern of [
      /"row":"vicreg","seed":0,"step":8,/,
      /"row":"simsiam","seed":0,"step":5,/,
      /"row":"supervised","seed":0,"step":5,/,
    ]) {
      const call = new Call(words(out, ...few, '--json'));
      await call.shows(pattern);
      call.kill('SIGKILL');
      const { signal, stdout } = await call.finished;
      expect(signal).toBe('SIGKILL');
      const whole = stdout.slice(0, stdout.lastIndexOf('\n'));
      events.push({ event: 'killed' }, ...eventsOf(whole));
    }
    // As if it had been killed while it wrote.
    writeFileSync(join(out, 'cells', '.vicreg.json.1-abc.partial'), 'half');
    events.push({ event: 'killed' }, ...eventsOf((await succeeds(words(out, ...few, '--json'))).stdout));
    expect(withoutTimes(read(out))).toEqual(whole);
    expect(readdirSync(join(out, 'cells')).sort()).toEqual(readdirSync(join(reference, 'cells')).sort());
    // Each training goes on from its last checkpoint, at most 3 steps before; a cell that is finished is not touched again.
    const steps = (row: string): number[] =>
      events.flatMap((event) => (event['event'] === 'step' && event['row'] === row ? [Number(event['step'])] : []));
    for (const row of ['vicreg', 'simsiam', 'supervised']) expect(steps(row).length).toBeLessThanOrEqual(10 + 3 + 2);
    expect(events.filter(({ event, row }) => event === 'cell' && row === 'vicreg')).toHaveLength(1);
  });

  it('stops before its budget is spent, with exit code 75, and says how to go on', async () => {
    const out = join(folder, 'budget');
    const { code, stderr } = await new Call(words(out, ...few, '--budget', '0.05', '--json')).finished;
    expect(code).toBe(75);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect(error.message).toMatch(
      /^stopped as its budget is spent: \d of 5 cells are done, and all is saved\. Go on with: tensegrity compare /,
    );
    expect(error.message).not.toMatch(/budget 0|--json/);
    await succeeds([...error.message.split('tensegrity ')[1]!.split(' '), '--quiet']);
    expect(withoutTimes(read(out))).toEqual(whole);
  });

  it('takes scores that are there from the folder, computes those that are not, and trains nothing again for it', async () => {
    const more = ['--methods', 'vicreg,simsiam', '--seeds', '0', '--metrics', 'linear,transfer,knn', ...transfer, '--json'];
    const events = eventsOf((await succeeds(words(reference, ...more))).stdout);
    expect(events.filter(({ event }) => event === 'step')).toEqual([]);
    const results = read(reference);
    expect(results.columns.map(({ name }) => name)).toEqual(['linear', 'transfer', 'knn']);
    expect(results.transfer).toMatchObject({ name: 'train', train: 96 });
    for (const { values } of results.rows) expect(values['transfer']!.mean).toBeGreaterThan(0.4);
    const before = (whole as StudyResults).rows.map(({ values }) => values['linear']);
    expect(results.rows.map(({ values }) => values['linear'])).toEqual(before);
    // Weights that have been removed are trained again, to the same bits.
    const [encoder] = readdirSync(join(reference, 'encoders')).filter((name) => name.startsWith('vicreg'));
    const bytes = readFileSync(join(reference, 'encoders', encoder!));
    rmSync(join(reference, 'encoders', encoder!));
    await succeeds(words(reference, '--methods', 'vicreg', '--seeds', '0', '--metrics', 'linear-2x2', '--quiet'));
    expect(readFileSync(join(reference, 'encoders', encoder!)).equals(bytes)).toBe(true);
  });

  it('is worked on by one process at a time', async () => {
    const out = join(folder, 'shared');
    const call = new Call(words(out, ...few, '--json'));
    await call.shows(/"step":2,/);
    call.kill('SIGSTOP');
    await fails(words(out, ...few), 1, /shared is being trained by process \d+/);
    call.kill('SIGKILL');
    await call.finished;
  });

  it('does without labels what needs none', async () => {
    const out = join(folder, 'unlabelled');
    await succeeds(['compare', '--data', data[1]!, ...small, '--methods', 'vicreg', '--seeds', '0', '--out', out, '--quiet']);
    const { columns, rows } = read(out);
    expect(columns.map(({ name }) => name)).toEqual(['rankme', 'std', 'std-l2', 'correlation']);
    expect(rows.map(({ name }) => name)).toEqual(['vicreg', 'random']);
    for (const { values } of rows) expect(values['rankme']!.mean).toBeGreaterThan(1);
  });

  it('writes an ablation with what the paper has for it', async () => {
    const out = join(folder, 'ablation');
    await succeeds(['ablate', 'terms', ...data, ...small, '--seeds', '0', '--metrics', 'std', '--out', out, '--quiet']);
    const { rows } = read(out);
    expect(rows).toHaveLength(9);
    expect(rows.map(({ published }) => published)).toContain('collapse');
    expect(rows.find(({ name }) => name === 'terms-25-25-1')!.values['std']!.mean).toBeGreaterThan(0.1);
    expect(readFileSync(join(out, 'results.md'), 'utf8')).toContain('| (25, 25, 1) |');
  });

  it.each<[string, (out: string) => string[], RegExp]>([
    ['an unknown method', (out) => words(out, '--methods', 'vicrag'), /--methods is one of .*; got 'vicrag'; did you mean vicreg/],
    ['a method twice', (out) => words(out, '--methods', 'vicreg,vicreg'), /names one twice/],
    ['an unknown metric', (out) => words(out, '--metrics', 'liner'), /--metrics is one of .*did you mean linear/],
    ['seeds that are none', (out) => words(out, '--seeds', '0,x'), /--seeds takes different whole numbers ≥ 0, as 0,1,2; got 0,x/],
    ['a seed twice', (out) => words(out, '--seeds', '1,1'), /different whole numbers/],
    ['a budget of nothing', (out) => words(out, '--budget', '0'), /--budget takes minutes above 0, got 0/],
    ['transfer to nothing', (out) => words(out, '--metrics', 'transfer'), /transfer needs a second data set: --transfer/],
    ['labels of nothing', (out) => words(out, '--transfer-labels', 'y.npy'), /--transfer-labels belongs to a second data set/],
    ['a batch that is not filled', (out) => words(out, '--batch', '1000'), /160 images do not fill a batch of 1000/],
    [
      'no labels',
      (out) => ['compare', '--data', data[1]!, '--batch', '16', '--metrics', 'knn', '--out', out],
      /--metrics knn needs labels/,
    ],
    ['an unknown ablation', () => ['ablate', 'term'], /ablate is one of terms, branches, width, batch; got 'term'; did you mean terms/],
  ])('refuses %s, before there is a folder', async (_, call, message) => {
    const out = join(folder, 'refused');
    await fails(call(out), 2, message);
    expect(existsSync(out)).toBe(false);
  });

  it('refuses a cell that is none, naming the file', async () => {
    const out = join(folder, 'damaged');
    await succeeds(words(out, '--methods', 'vicreg', '--seeds', '0', '--metrics', 'std', '--quiet'));
    const [name] = readdirSync(join(out, 'cells')).filter((file) => file.startsWith('random'));
    writeFileSync(join(out, 'cells', name!), '{"scores":1}');
    await fails(
      words(out, '--methods', 'vicreg', '--seeds', '0', '--metrics', 'std', '--quiet'),
      1,
      /random-seed0-\S+ is not a cell of this study.*remove it/,
    );
  });
});
