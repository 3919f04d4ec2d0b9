import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkChoice, checkList, checkNames, checkNumber, checkRecord, named, shown } from '../engine/arguments.ts';
import { check, TensegrityError } from '../engine/errors.ts';
import type { ImageDataset } from '../models/data/images.ts';
import {
  type Checkpoint,
  ensureFolder,
  type JsonObject,
  loadCheckpoint,
  readBytes,
  saveCheckpoint,
  withStorageErrors,
  writeFileAtomically,
  writeSafetensors,
} from '../models/io/node.ts';
import { checkConfig, completed, type TrainingConfig } from '../models/train/config.ts';
import type { Dashboard } from '../models/train/dashboard.ts';
import type { StepRecord, Trainer } from '../models/train/trainer.ts';
import { type BackendChoice, backendNames } from './backend.ts';
import type { DataIdentity, DataSource } from './dataset.ts';
import { RunLock } from './runLock.ts';
import { shellWord } from './text.ts';

/** What a run's folder remembers of how it was started. */
export interface RunConfig {
  readonly training: TrainingConfig;
  readonly source: DataSource;
  readonly backend: BackendChoice;
  /** The backends that it was on before, and after which step it left them. */
  readonly before?: readonly (BackendChoice & { readonly until: number })[];
  /** Steps between checkpoints, and between looks at every metric, where a call has said so. */
  readonly checkpointEvery?: number;
  readonly dashboardEvery?: number;
}

/** A line of metrics.jsonl. */
export type MetricsLine = StepRecord & {
  readonly imagesPerSecond: number;
  /** After the last step of an epoch: RankMe of the encoder's features of some training images. */
  readonly rankMe?: number;
  /** At every so many steps, where that was asked for. */
  readonly dashboard?: Dashboard;
};

/**
 * A run on disk: `config.json`, `metrics.jsonl` (a line a step), `checkpoint.safetensors`, and at the end `encoder.safetensors`, `results.json`
 * and `report.html`. Every file but the log is replaced in one step; the log is cut back to the checkpoint when a run is resumed.
 */
export class RunFolder {
  /** What a run writes, but for its lock. */
  static readonly files = [
    'config.json',
    'metrics.jsonl',
    'checkpoint.safetensors',
    'encoder.safetensors',
    'results.json',
    'report.html',
  ] as const;
  readonly path: string;
  #log: FileHandle | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder, if there is none, and keeps other processes from writing into it. @throws TensegrityError `storage` naming one that does. */
  async lock(): Promise<RunLock> {
    await ensureFolder(this.path);
    return RunLock.take(this.path);
  }

  /** Begins a new run. @throws TensegrityError `storage` if there is one in the folder already, what is left of one, or a file that it would replace. */
  async begin(config: RunConfig): Promise<void> {
    await this.checkUnused();
    await this.keep(config);
  }

  /** @throws TensegrityError `storage` where the folder holds a file that a run would replace. */
  async checkUnused(): Promise<void> {
    const { path } = this;
    const there = await Promise.all(RunFolder.files.map(async (name) => ((await present(this.file(name))) ? [name] : [])));
    const files = there.flat();
    const why = files.includes('config.json')
      ? `a run already; go on with --resume ${shellWord(path)}`
      : `${files.join(', ')}, which a run would replace; move that elsewhere`;
    if (files.length > 0) throw new TensegrityError('storage', `${named(path)} holds ${why}, or choose another --out`);
  }

  /** Notes that the run goes on from `step` on another backend. */
  async moveTo(backend: BackendChoice, step: number, config: RunConfig): Promise<RunConfig> {
    return this.keep({ ...config, backend, before: [...(config.before ?? []), { ...config.backend, until: step }] });
  }

  /** Writes the configuration as it is now. @returns it. */
  async keep(config: RunConfig): Promise<RunConfig> {
    await this.write('config.json', JSON.stringify(config, null, 2));
    return config;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  write(name: string, content: string): Promise<void> {
    return writeFileAtomically(this.file(name), content);
  }

  /** @throws TensegrityError `storage` if there is no run, `format` if its configuration is damaged. */
  async config(): Promise<RunConfig> {
    const path = this.file('config.json');
    const text = await this.#textOf('config.json', 2 ** 20);
    try {
      const config: unknown = JSON.parse(text);
      return readRunConfig(config);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TensegrityError(
        'format',
        `${named(path)} is not the configuration of a run (${named(reason, 400)}); put back what was there, or train anew`,
        {},
        cause,
      );
    }
  }

  /** The last checkpoint; null if the run ended before its first. @throws TensegrityError `storage` for one that is there and cannot be read. */
  async checkpoint(): Promise<Checkpoint | null> {
    const path = this.file('checkpoint.safetensors');
    return (await present(path)) ? loadCheckpoint(path) : null;
  }

  /** How often it is saved and looked at is no part of what it is. */
  async saveCheckpoint(
    trainer: Trainer,
    { checkpointEvery: _, dashboardEvery: __, ...config }: RunConfig,
    data: DataIdentity,
  ): Promise<void> {
    const state = await trainer.state();
    await saveCheckpoint(this.file('checkpoint.safetensors'), {
      ...state,
      key: [config.training.seed],
      config: asJson({ ...config, identity: data }),
      metrics: [],
    });
  }

  /** Opens metrics.jsonl for the lines after `step`; returns those up to it. What a killed process left half written is removed. */
  async openLog(step: number): Promise<MetricsLine[]> {
    const path = this.file('metrics.jsonl');
    const lines: MetricsLine[] = [];
    for (const text of (await present(path)) ? (await this.#textOf('metrics.jsonl')).split('\n') : []) {
      const line = parsedLine(text);
      if (line && line.step <= step && line.step > (lines.at(-1)?.step ?? 0)) lines.push(line);
    }
    await withStorageErrors('write', this.path, async () => {
      const left = (await readdir(this.path)).filter((name) => name.startsWith('.') && name.endsWith('.partial'));
      for (const name of left) {
        // First out of the way: it may be the lock that another process is about to put in place, which must find it whole or not at all.
        const away = this.file(`.${crypto.randomUUID()}.partial`);
        await rename(this.file(name), away).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
        await rm(away, { recursive: true, force: true });
      }
    });
    await this.write('metrics.jsonl', lines.map(asLine).join(''));
    this.#log = await withStorageErrors('write', path, () => open(path, 'a'));
    return lines;
  }

  async #textOf(name: string, largest?: number): Promise<string> {
    return new TextDecoder().decode(await readBytes(this.file(name), largest));
  }

  async log(line: MetricsLine): Promise<void> {
    await withStorageErrors('write', this.file('metrics.jsonl'), async () => this.#log?.appendFile(asLine(line)));
  }

  async closeLog(): Promise<void> {
    await this.#log?.close();
    this.#log = null;
  }

  /** The trained encoders, each with what is needed to use it: its architecture, what images it was trained on, and how they were normalised. */
  async saveEncoders({ encoders, config }: Trainer, { mean, deviation, train }: ImageDataset): Promise<void> {
    for (const { name, encoder, architecture } of encoders) {
      const file = name === null ? 'encoder.safetensors' : `encoder-${name}.safetensors`;
      await writeSafetensors(this.file(file), await encoder.stateDict(), [
        ['encoder', architecture],
        ['stem', config.stem],
        ['pixels', train.images.dtype],
        ['size', train.images.shape.slice(2).join(',')],
        ['mean', mean.join(',')],
        ['deviation', deviation.join(',')],
      ]);
    }
  }
}

/** Whether something is at the path, be it a link to nothing. What cannot be asked is an error, not an absence. @throws TensegrityError `storage`. */
async function present(path: string): Promise<boolean> {
  return withStorageErrors('read', path, () =>
    lstat(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        return false;
      },
    ),
  );
}

function asLine(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Null for what is no line, as one that a killed process left half written: its step is done again. */
function parsedLine(text: string): MetricsLine | null {
  try {
    const line: unknown = JSON.parse(text);
    return isLine(line) ? line : null;
  } catch {
    return null;
  }
}

/** A number as JSON holds it: null for one that is not finite; nothing where a version before did not measure it. */
const isMeasured = (value: unknown): boolean => value === null || value === undefined || typeof value === 'number';
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isLine(value: unknown): value is MetricsLine {
  if (!isRecord(value)) return false;
  const { step, epoch, parts, rankMe = null, ...measured } = value;
  const names = ['learningRate', 'loss', 'deviation', 'normalizedDeviation', 'correlation', 'imagesPerSecond'];
  return (
    [step, epoch].every(Number.isSafeInteger) &&
    isRecord(parts) &&
    [rankMe, ...Object.values(parts), ...names.map((name) => measured[name])].every(isMeasured)
  );
}

/** A configuration from a file, with what its version did not name yet. @throws TensegrityError naming what is no value of its kind. */
export function readRunConfig(config: unknown): RunConfig {
  checkNames('it', config, { training: 0, source: 0, backend: 0, before: 0, checkpointEvery: 0, dashboardEvery: 0 });
  // Of any type until each is checked here.
  const { training, source, backend, before = [], ...paces } = config as Readonly<Record<keyof RunConfig, unknown>>;
  checkNames('source', source ?? {}, { data: 0, folder: 0, labels: 0, testImages: 0, testLabels: 0, pairs: 0, size: 0, testShare: 0 });
  check(typeof (source as DataSource | undefined)?.data === 'string', 'format', () => 'it does not say what data to train on');
  const { size = 1, testShare = 0, ...places } = source as DataSource;
  checkNumber('source: size', size, 1);
  checkNumber('source: testShare', testShare, 0, 1);
  for (const [name, path] of Object.entries(places))
    check(typeof path === 'string' && path !== '', 'format', () => `source: ${name} must be a path, got ${shown(path)}`);
  checkRecord('training', training);
  const whole = completed(training as TrainingConfig);
  checkConfig(whole);
  checkBackend('backend', backend, {});
  checkList('before', before);
  for (const past of before) {
    checkBackend('before', past, { until: 0 });
    checkNumber('before: until', (past as { readonly until?: unknown }).until, 0);
  }
  for (const [name, steps] of Object.entries(paces))
    if (steps !== undefined)
      check(Number.isSafeInteger(steps) && Number(steps) >= 1, 'format', () => `${name} must be a whole number ≥ 1, got ${shown(steps)}`);
  // All of it has been checked.
  return { ...(config as RunConfig), training: whole };
}

function checkBackend(what: string, backend: unknown, more: object): void {
  checkRecord(what, backend);
  checkNames(what, backend, { name: 0, deterministic: 0, ...more });
  const { name, deterministic } = backend as Readonly<Record<string, unknown>>;
  checkChoice(`${what}: name`, name as string, backendNames);
  check(typeof deterministic === 'boolean', 'format', () => `${what}: deterministic must be true or false, got ${shown(deterministic)}`);
}

function asJson(config: object): JsonObject {
  return JSON.parse(JSON.stringify(config)) as JsonObject;
}
