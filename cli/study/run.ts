import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { completeDataset, type ImageDataset } from '../../models/data/images.ts';
import type { Encoder } from '../../models/nn/networks.ts';
import { fineTune } from '../../models/train/fineTune.ts';
import { diagnose } from '../../models/train/monitor.ts';
import { initialEncoder, type StepRecord, Trainer } from '../../models/train/trainer.ts';
import type { DataIdentity } from '../dataset.ts';
import { Stopped } from '../interruption.ts';
import { comparePage } from '../pages/compare.ts';
import type { Screen } from '../screen.ts';
import { duration, fixed } from '../table.ts';
import type { StoredCell, StudyFolder } from './folder.ts';
import { columnsOf, metrics, Scorer } from './metrics.ts';
import {
  type Cell,
  type Column,
  CURVE_POINTS,
  type CurvePoint,
  type DataSummary,
  markdownOf,
  type StudyResults,
  shownStatistic,
  statisticOf,
} from './results.ts';
import { type CellTask, type Common, effortOf, type Study, SUPERVISED, settingsOf } from './study.ts';

export interface StudyRun {
  readonly study: Study;
  readonly tasks: readonly CellTask[];
  readonly folder: StudyFolder;
  readonly dataset: ImageDataset;
  readonly transfer: ImageDataset | null;
  readonly transferIdentity: DataIdentity | null;
  readonly common: Common;
  readonly seeds: readonly number[];
  readonly metricNames: readonly string[];
  /** The command that goes on with it. */
  readonly command: string;
  readonly screen: Screen;
  readonly checkpointEvery: number;
  /** Resolves to the exit code to end with, or null to go on. */
  readonly asked: () => Promise<number | null>;
  /** In milliseconds of `performance.now()`; Infinity where there is no budget. */
  readonly deadline: number;
}

/** As `sysexits.h` has it for 'try again': `until tensegrity compare --budget 30; do …; done`. */
const BUDGET_SPENT = 75;

/** Milliseconds before the deadline at which work ends, for what is to be written then. */
const RESERVE = 2000;

const { version } = createRequire(import.meta.url)('tensegrity/package.json') as { readonly version: string };

/**
 * Does what is not done yet, one cell after the other, and keeps the tables up to date. Every cell is a function of its identity alone, so that a study
 * that was killed, at any time, ends in the bits of one that was not.
 * @throws Stopped when it was interrupted, or its budget is spent; what was done is saved then.
 */
export async function runStudy(run: StudyRun): Promise<StudyResults> {
  const { tasks, folder, screen } = run;
  const cells = new Map<CellTask, StoredCell>();
  for (const task of tasks) {
    const cell = await folder.cell(task);
    if (cell) cells.set(task, onSecond(cell, run.transferIdentity));
  }
  const others = await folder.others(tasks);
  if (others > 0) screen.say(`${others} ${others === 1 ? 'cell' : 'cells'} in the folder are of other settings, and not in this table`);
  const work = new Work(run, cells);
  let results = resultsOf(run, cells);
  try {
    for (const task of tasks) {
      if (lacking(run.metricNames, cells.get(task)).length === 0) continue;
      const cell = await work.finish(task);
      results = resultsOf(run, cells);
      await writeResults(folder, results);
      screen.end();
      screen.say(`${results.done}/${results.total}  ${titleOf(task)}: ${scoresInWords(cell, results.columns)}`);
      screen.event('cell', { row: task.row.name, seed: task.seed, scores: cell.scores, done: results.done, total: results.total });
    }
    return results;
  } finally {
    screen.end();
    results = resultsOf(run, cells);
    await writeResults(folder, results);
  }
}

/** A cell without scores on a second data set, where these are of another. */
function onSecond(cell: StoredCell, transfer: DataIdentity | null): StoredCell {
  if (transfer === null || isDeepStrictEqual(cell.transfer, transfer)) return cell;
  const kept = Object.entries(cell.scores).filter(([name]) => !metrics[name]?.transfer);
  return { ...cell, transfer, scores: Object.fromEntries(kept) };
}

async function writeResults(folder: StudyFolder, results: StudyResults): Promise<void> {
  await folder.write('results.json', `${JSON.stringify(results)}\n`);
  await folder.write('results.md', markdownOf(results));
  await folder.write('report.html', comparePage(results));
}

/** The scores that a cell has not yet. */
function lacking(metricNames: readonly string[], cell: StoredCell | undefined): string[] {
  return metricNames.filter((name) => !(cell && name in cell.scores));
}

const titleOf = ({ row, seed }: CellTask): string => `${row.title}, seed ${seed}`;

function scoresInWords({ scores, verdict }: StoredCell, columns: readonly Column[]): string {
  const shown = columns.flatMap((column) => {
    const value = scores[column.name];
    return typeof value === 'number' ? [`${column.title} ${shownStatistic(statisticOf([value]), column)}`] : [];
  });
  return [...shown, ...(verdict ? [verdict.message] : [])].join(', ');
}

/** What is done, as data. */
function resultsOf(
  { study, tasks, dataset, transfer, common, seeds, metricNames, command }: StudyRun,
  cells: ReadonlyMap<CellTask, StoredCell>,
): StudyResults {
  const columns = columnsOf(metricNames);
  const ofRow = study.rows.map((row) => {
    const own = tasks.filter((task) => task.row === row);
    const there = own.flatMap((task) => {
      const cell = cells.get(task);
      return cell ? [cellOf(task, cell, metricNames)] : [];
    });
    const { subject: _subject, ...words } = row;
    return {
      group: null,
      variant: null,
      at: null,
      published: null,
      ...words,
      kind: row.subject.kind,
      settings: settingsOf(own[0]!),
      cells: there,
      values: Object.fromEntries(metricNames.map((name) => [name, statisticOf(there.map(({ values }) => values[name]))])),
    };
  });
  return {
    study: study.name,
    title: study.title,
    notes: study.notes,
    command,
    version,
    data: summaryOf(dataset),
    transfer: transfer && summaryOf(transfer),
    encoder: common.encoder,
    epochs: common.epochs,
    seeds,
    columns,
    rows: ofRow,
    done: tasks.filter((task) => lacking(metricNames, cells.get(task)).length === 0).length,
    total: tasks.length,
  };
}

function cellOf({ seed }: CellTask, { scores, verdict, curve, spectrum, seconds }: StoredCell, metricNames: readonly string[]): Cell {
  const { training = 0, ...scoring } = seconds;
  return {
    seed,
    values: Object.fromEntries(metricNames.flatMap((name) => (name in scores ? [[name, scores[name] ?? null]] : []))),
    verdict,
    curve,
    spectrum,
    seconds: { training, scoring: Object.values(scoring).reduce((sum, value) => sum + value, 0) },
  };
}

function summaryOf({ name, train, test, classes }: ImageDataset): DataSummary {
  return { name, train: train.images.shape[0]!, test: test?.images.shape[0] ?? 0, classes: classes.length };
}

/** The work on cells, and how long it takes. */
class Work {
  readonly #run: StudyRun;
  readonly #cells: Map<CellTask, StoredCell>;
  /** Whether this call has done something. */
  #begun = false;

  constructor(run: StudyRun, cells: Map<CellTask, StoredCell>) {
    this.#run = run;
    this.#cells = cells;
  }

  /** Trains what is not trained, and computes the scores that are lacking. */
  async finish(task: CellTask): Promise<StoredCell> {
    const { folder, metricNames, dataset, transfer, screen } = this.#run;
    let cell: StoredCell | null = this.#cells.get(task) ?? null;
    // Its weights may have been removed to save space, or not have been handed on with the results.
    const trained = ['method', 'supervised'].includes(task.identity.kind);
    if (cell === null || (trained && (await folder.weights(task)) === null && cell.verdict?.kind !== 'diverged')) {
      const scores = cell?.scores ?? {};
      this.#begun = true;
      cell = { ...(await this.#train(task)), scores };
      await this.#keep(task, cell);
      await folder.removeCheckpoint(task);
    }
    const { kind } = task.identity;
    const scorer = new Scorer({
      kind,
      seed: task.seed,
      encoder: kind === 'pixels' ? null : () => this.#encoder(task),
      last: cell.last,
      dataset: await completeDataset(dataset),
      transfer: transfer && (await completeDataset(transfer)),
      pause: () => this.#checkTime(),
    });
    for (const name of lacking(metricNames, cell)) {
      // What has taken longer than the whole budget is tried all the same, where nothing else comes first.
      await this.#checkTime(this.#begun ? this.#expected(name, task) : 0);
      this.#begun = true;
      screen.show([`${titleOf(task)}:`, metrics[name]!.title, `${duration(this.#secondsLeft(task))} left in all`], false);
      const before = performance.now();
      const score: number | null = cell.verdict?.kind === 'diverged' ? null : await scorer.score(name);
      const spectrum: readonly number[] | null =
        kind === 'pixels' || name !== 'rankme' || score === null ? cell.spectrum : ((await scorer.collapse())?.spectrum ?? null);
      cell = {
        ...cell,
        spectrum: spectrum?.map((value) => Number(value.toPrecision(6))) ?? null,
        scores: { ...cell.scores, [name]: score },
        seconds: { ...cell.seconds, [name]: since(before) },
      };
      await this.#keep(task, cell);
    }
    return cell;
  }

  async #keep(task: CellTask, cell: StoredCell): Promise<void> {
    await this.#run.folder.saveCell(task, cell);
    this.#cells.set(task, cell);
  }

  /** The cell without scores; what was trained is in the folder then. */
  async #train(task: CellTask): Promise<Omit<StoredCell, 'scores'>> {
    const bare = {
      version,
      identity: task.identity,
      transfer: this.#run.transferIdentity,
      last: null,
      verdict: null,
      curve: [],
      spectrum: null,
      seconds: { training: 0 },
    };
    if (task.training) return { ...bare, ...(await this.#trainMethod(task)) };
    if (task.identity.kind === 'supervised') return { ...bare, ...(await this.#trainSupervised(task)) };
    return bare;
  }

  async #trainMethod(task: CellTask): Promise<Pick<StoredCell, 'last' | 'verdict' | 'curve' | 'seconds'>> {
    const { folder, dataset, screen, checkpointEvery } = this.#run;
    const training = task.training!;
    const trainer = new Trainer(training, dataset);
    try {
      const saved = await folder.checkpoint(task);
      if (saved) trainer.restore(saved);
      const curve = [...(saved?.curve ?? [])];
      const stride = Math.ceil(trainer.steps / CURVE_POINTS);
      const began = performance.now();
      const first = trainer.step;
      let last = saved?.last ?? null;
      const spent = (): number => (saved?.seconds ?? 0) + since(began);
      const save = (): Promise<void> =>
        trainer.state().then((state) => folder.saveCheckpoint(task, state, { curve, last, seconds: spent() }));
      for await (const record of trainer.run()) {
        const { step } = record;
        last = record;
        if (step % stride === 0 || step === trainer.steps) curve.push(pointOf(record));
        const perStep = since(began) / (step - first);
        const left = perStep * (trainer.steps - step);
        screen.event('step', { row: task.row.name, seed: task.seed, step, steps: trainer.steps, loss: record.loss });
        screen.show(
          [
            `${titleOf(task)}:`,
            `step ${step}/${trainer.steps}`,
            `loss ${fixed(record.loss, 3)}`,
            `std_ℓ2 ${fixed(record.normalizedDeviation, 2)}`,
            `${duration(left)} left of this training, ${duration(left + this.#secondsLeft(task, true))} in all`,
          ],
          step === first + 1 || step === trainer.steps,
        );
        if (!Number.isFinite(record.loss)) break;
        if (step === trainer.steps) continue;
        if (step % checkpointEvery === 0) await save();
        await this.#checkTime(0, save);
      }
      const verdict = last && diagnose({ ...last, ...training, pixels: trainer.pixels });
      if (verdict?.kind !== 'diverged') await this.#saveEncoder(task, trainer.encoder);
      return { last, verdict, curve, seconds: { training: spent() } };
    } finally {
      trainer.dispose();
    }
  }

  async #trainSupervised(task: CellTask): Promise<Pick<StoredCell, 'seconds'>> {
    const { dataset, common, screen, folder, checkpointEvery } = this.#run;
    const saved = await folder.checkpoint(task);
    const began = performance.now();
    const spent = (): number => (saved?.seconds ?? 0) + since(began);
    const encoder = initialEncoder({ ...common, seed: task.seed }, dataset.train.images.shape[1]!);
    try {
      await fineTune(encoder, dataset, {
        ...SUPERVISED,
        ...(common.batchSize !== undefined && { batchSize: common.batchSize }),
        epochs: common.epochs,
        seed: task.seed,
        ...(saved && { from: { step: saved.step, tensors: saved.tensors } }),
        onStep: async (step, steps, state) => {
          screen.event('step', { row: task.row.name, seed: task.seed, step, steps });
          const left = (since(began) / (step - (saved?.step ?? 0))) * (steps - step);
          screen.show(
            [`${titleOf(task)}:`, `step ${step}/${steps}`, `${duration(left + this.#secondsLeft(task, true))} left in all`],
            step === 1,
          );
          if (step === steps) return;
          const save = async (): Promise<void> => folder.saveCheckpoint(task, await state(), { curve: [], last: null, seconds: spent() });
          if (step % checkpointEvery === 0) await save();
          await this.#checkTime(0, save);
        },
      });
      await this.#saveEncoder(task, encoder);
      return { seconds: { training: spent() } };
    } finally {
      encoder.dispose();
    }
  }

  async #saveEncoder(task: CellTask, encoder: Encoder): Promise<void> {
    const { folder, common, dataset } = this.#run;
    const { encoder: architecture, stem } = task.training ?? common;
    const { mean, deviation } = dataset;
    await folder.saveWeights(task, await encoder.stateDict(), [
      ['encoder', architecture],
      ['stem', stem],
      ['mean', mean.join(',')],
      ['deviation', deviation.join(',')],
    ]);
  }

  /** The trained encoder, or the untrained one. */
  async #encoder(task: CellTask): Promise<Encoder> {
    const { common, dataset, folder } = this.#run;
    const encoder = initialEncoder({ ...(task.training ?? common), seed: task.seed }, dataset.train.images.shape[1]!);
    const weights = task.identity.kind === 'random' ? null : await folder.weights(task);
    if (weights) encoder.loadStateDict(weights);
    return encoder;
  }

  /** Goes on, if there is time for so many seconds. @throws Stopped, when all has been saved. */
  async #checkTime(needed = 0, save?: () => Promise<void>): Promise<void> {
    const { asked, deadline, command } = this.#run;
    const exitCode = await asked();
    const late = performance.now() + 1000 * needed + RESERVE > deadline;
    if (exitCode === null && !late) return;
    await save?.();
    const { done, total } = resultsOf(this.#run, this.#cells);
    const why = exitCode === null ? 'its budget is spent' : 'it was asked to';
    throw new Stopped(
      `stopped as ${why}: ${done} of ${total} cells are done, and all is saved. Go on with: ${command}`,
      exitCode ?? BUDGET_SPENT,
    );
  }

  /** The seconds that a score has taken so far, at most; 0 where it has not been computed yet. */
  #expected(name: string, { identity: { kind } }: CellTask): number {
    const past = [...this.#cells].filter(([task]) => task.identity.kind === kind).flatMap(([, { seconds }]) => seconds[name] ?? []);
    return Math.max(0, ...past);
  }

  /** What is left to do from a task on, going by what cells have taken; `trained`: its own training is told of elsewhere. */
  #secondsLeft(from: CellTask, trained = false): number {
    const { tasks, metricNames, dataset } = this.#run;
    const done = [...this.#cells];
    const effort = done.reduce((sum, [task]) => sum + effortOf(task, dataset), 0);
    const spent = done.reduce((sum, [, { seconds }]) => sum + (seconds['training'] ?? 0), 0);
    const training = (task: CellTask): number => {
      const same = done.filter(([other]) => other.row === task.row).map(([, { seconds }]) => seconds['training'] ?? 0);
      return same.length > 0 ? Math.max(...same) : effort === 0 ? Number.NaN : (spent / effort) * effortOf(task, dataset);
    };
    return tasks.slice(tasks.indexOf(from)).reduce((sum, task) => {
      const cell = this.#cells.get(task);
      const scoring = lacking(metricNames, cell).reduce((total, name) => total + this.#expected(name, task), 0);
      return sum + scoring + (cell || (task === from && trained) ? 0 : training(task));
    }, 0);
  }
}

function pointOf({ step, loss, deviation, normalizedDeviation, correlation }: StepRecord): CurvePoint {
  const number = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return {
    step,
    loss: number(loss),
    deviation: number(deviation),
    normalizedDeviation: number(normalizedDeviation),
    correlation: number(correlation),
  };
}

/** Seconds. */
const since = (before: number): number => (performance.now() - before) / 1000;
