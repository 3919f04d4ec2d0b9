import { access, type FileHandle, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { check, TensegrityError } from '../engine/errors.ts';
import type { ImageDataset } from '../models/data/images.ts';
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
import type { BackendChoice } from './backend.ts';
import type { DataSource } from './dataset.ts';
import { RunLock } from './runLock.ts';

/** What a run's folder remembers of how it was started. */
export interface RunConfig {
  readonly training: TrainingConfig;
  readonly source: DataSource;
  readonly backend: BackendChoice;
  /** The backends that it was on before, and after which step it left them. */
  readonly before?: readonly (BackendChoice & { readonly until: number })[];
}

/** A line of metrics.jsonl. */
export type MetricsLine = StepRecord & {
  readonly imagesPerSecond: number;
  /** After the last step of an epoch: RankMe of the encoder's features of some training images. */
  readonly rankMe?: number;
};

/**
 * A run on disk: `config.json`, `metrics.jsonl` (a line a step), `checkpoint.safetensors`, and at the end `encoder.safetensors`, `results.json`
 * and `report.html`. Every file but the log is replaced in one step; the log is cut back to the checkpoint when a run is resumed.
 */
export class RunFolder {
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

  /** Begins a new run. @throws TensegrityError `storage` if there is one in the folder already. */
  async begin(config: RunConfig): Promise<void> {
    const { path } = this;
    if (await exists(this.file('config.json'))) {
      throw new TensegrityError('storage', `${path} holds a run already; go on with --resume ${path}, or choose another --out`);
    }
    await this.write('config.json', JSON.stringify(config, null, 2));
  }

  /** Notes that the run goes on from `step` on another backend. */
  async moveTo(backend: BackendChoice, step: number, config: RunConfig): Promise<RunConfig> {
    const moved = { ...config, backend, before: [...(config.before ?? []), { ...config.backend, until: step }] };
    await this.write('config.json', JSON.stringify(moved, null, 2));
    return moved;
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
      check(typeof config.source?.data === 'string', 'format', () => 'it does not say what data to train on');
      checkConfig(config.training);
      return config;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TensegrityError(
        'format',
        `${path} is not the configuration of a run (${reason}); put back what was there, or train anew`,
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

  /** Opens metrics.jsonl for the lines after `step`; returns those up to it. What a killed process left half written is removed. */
  async openLog(step: number): Promise<MetricsLine[]> {
    const path = this.file('metrics.jsonl');
    const text = (await exists(path)) ? await withStorageErrors('read', path, () => readFile(path, 'utf8')) : '';
    const lines = text
      .split('\n')
      .flatMap(parsedLine)
      .filter((line) => line.step <= step);
    await withStorageErrors('write', this.path, async () => {
      const left = (await readdir(this.path)).filter((name) => name.startsWith('.') && name.endsWith('.partial'));
      await Promise.all(left.map((name) => unlink(this.file(name))));
    });
    await this.write('metrics.jsonl', lines.map(asLine).join(''));
    this.#log = await withStorageErrors('write', path, () => open(path, 'a'));
    return lines;
  }

  async log(line: MetricsLine): Promise<void> {
    await withStorageErrors('write', this.file('metrics.jsonl'), async () => this.#log?.appendFile(asLine(line)));
  }

  async closeLog(): Promise<void> {
    await this.#log?.close();
    this.#log = null;
  }

  /** The trained encoders, each with what is needed to use it: its architecture, and how images were normalised. */
  async saveEncoders({ encoders, config }: Trainer, { mean, deviation }: Pick<ImageDataset, 'mean' | 'deviation'>): Promise<void> {
    for (const { name, encoder, architecture } of encoders) {
      const file = name === null ? 'encoder.safetensors' : `encoder-${name}.safetensors`;
      await writeSafetensors(this.file(file), await encoder.stateDict(), [
        ['encoder', architecture],
        ['stem', config.stem],
        ['mean', mean.join(',')],
        ['deviation', deviation.join(',')],
      ]);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function asLine(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
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
