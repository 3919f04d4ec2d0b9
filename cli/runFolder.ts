import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TensegrityError } from '../engine/errors.ts';
import {
  type Checkpoint,
  ensureFolder,
  type JsonObject,
  loadCheckpoint,
  saveCheckpoint,
  withStorageErrors,
  writeFileAtomically,
  writeSafetensors,
} from '../models/io/node.ts';
import { checkConfig, type TrainingConfig } from '../models/train/config.ts';
import type { StepRecord, Trainer } from '../models/train/trainer.ts';
import type { DataSource } from './dataset.ts';

/** What a run's folder remembers of how it was started. */
export interface RunConfig {
  readonly training: TrainingConfig;
  readonly source: DataSource;
}

/** A line of metrics.jsonl. */
export type MetricsLine = StepRecord & { readonly imagesPerSecond: number };

/**
 * A run on disk: `config.json`, `metrics.jsonl` (a line a step), `checkpoint.safetensors`, and at the end `encoder.safetensors`, `results.json`
 * and `report.html`. Every file but the log is replaced in one step; the log is cut back to the checkpoint when a run is resumed.
 */
export class RunFolder {
  readonly path: string;
  #log: WriteStream | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder of a new run. @throws TensegrityError `storage` if there is a run in it already. */
  static async create(path: string, config: RunConfig): Promise<RunFolder> {
    await ensureFolder(path);
    const folder = new RunFolder(path);
    if (await exists(folder.file('config.json'))) {
      throw new TensegrityError('storage', `${path} holds a run already; go on with --resume ${path}, or choose another --out`);
    }
    await folder.write('config.json', JSON.stringify(config, null, 2));
    return folder;
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
    const text = await withStorageErrors('read', path, () => readFile(path, 'utf8'));
    try {
      const config = JSON.parse(text) as RunConfig;
      checkConfig(config.training);
      return config;
    } catch (cause) {
      throw new TensegrityError(
        'format',
        `${path} is not the configuration of a run: ${cause instanceof Error ? cause.message : String(cause)}`,
        {},
        cause,
      );
    }
  }

  /** The last checkpoint; null if the run ended before its first. */
  async checkpoint(): Promise<Checkpoint | null> {
    const path = this.file('checkpoint.safetensors');
    return (await exists(path)) ? loadCheckpoint(path) : null;
  }

  async saveCheckpoint(trainer: Trainer, config: RunConfig): Promise<void> {
    const state = await trainer.state();
    await saveCheckpoint(this.file('checkpoint.safetensors'), {
      ...state,
      key: [config.training.seed],
      config: asJson(config),
      metrics: [],
    });
  }

  /** Opens metrics.jsonl for the lines after `step`; returns those up to it. */
  async openLog(step: number): Promise<MetricsLine[]> {
    const path = this.file('metrics.jsonl');
    const text = (await exists(path)) ? await withStorageErrors('read', path, () => readFile(path, 'utf8')) : '';
    const lines = text
      .split('\n')
      .flatMap(parsedLine)
      .filter((line) => line.step <= step);
    await this.write('metrics.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    this.#log = createWriteStream(path, { flags: 'a' });
    await withStorageErrors('write', path, () => once(this.#log!, 'open'));
    return lines;
  }

  async log(line: MetricsLine): Promise<void> {
    const stream = this.#log!;
    await withStorageErrors(
      'write',
      this.file('metrics.jsonl'),
      () =>
        new Promise<void>((resolve, reject) => stream.write(`${JSON.stringify(line)}\n`, (error) => (error ? reject(error) : resolve()))),
    );
  }

  async closeLog(): Promise<void> {
    const stream = this.#log;
    this.#log = null;
    if (stream && !stream.destroyed) await new Promise<void>((resolve) => stream.end(resolve));
  }

  async saveEncoder(trainer: Trainer): Promise<void> {
    await writeSafetensors(
      this.file('encoder.safetensors'),
      await trainer.encoder.stateDict().then((state) => Object.entries(state instanceof Map ? Object.fromEntries(state) : state)),
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** A line that a killed process left half written is dropped: its step is done again. */
function parsedLine(text: string): MetricsLine[] {
  try {
    return text === '' ? [] : [JSON.parse(text) as MetricsLine];
  } catch {
    return [];
  }
}

function asJson(config: RunConfig): JsonObject {
  return JSON.parse(JSON.stringify(config)) as JsonObject;
}
