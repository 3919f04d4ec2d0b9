import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { named } from '../../engine/arguments.ts';
import type { HostArray } from '../../engine/dtype.ts';
import { TensegrityError } from '../../engine/errors.ts';
import {
  ensureFolder,
  type JsonObject,
  loadCheckpoint,
  readBytes,
  readSafetensors,
  saveCheckpoint,
  withStorageErrors,
  writeFileAtomically,
  writeSafetensors,
} from '../../models/io/node.ts';
import type { StateDict } from '../../models/nn/state.ts';
import type { Warning } from '../../models/train/monitor.ts';
import type { StepRecord, TrainerState } from '../../models/train/trainer.ts';
import type { DataIdentity } from '../dataset.ts';
import { RunLock } from '../runLock.ts';
import type { CurvePoint } from './results.ts';
import type { CellIdentity, CellTask } from './study.ts';

/** A cell on disk. It is there when its training is done, and gains its scores one after the other. */
export interface StoredCell {
  readonly version: string;
  readonly identity: CellIdentity;
  /** The second data set that its scores are of, where there are any. */
  readonly transfer: DataIdentity | null;
  /** The last step of a training that is watched. */
  readonly last: StepRecord | null;
  readonly verdict: Warning | null;
  readonly curve: readonly CurvePoint[];
  readonly spectrum: readonly number[] | null;
  readonly scores: Readonly<Record<string, number | null>>;
  /** What took how long: `training`, and each score. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** What has been seen of a training so far. */
export interface Course extends Pick<StoredCell, 'curve' | 'last'> {
  readonly seconds: number;
}

/**
 * A study on disk: `cells/` has a JSON file for each row at each seed, named by what its numbers are a function of, so that a cell of other settings
 * is another file; `encoders/` what was trained; `unfinished/` the checkpoint of the training under way. Each file is written aside and renamed.
 */
export class StudyFolder {
  static readonly files = ['results.json', 'results.md', 'report.html'] as const;
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder, and keeps other processes from working in it. @throws TensegrityError `storage` naming one that does. */
  async lock(): Promise<RunLock> {
    await ensureFolder(this.path);
    const lock = await RunLock.take(this.path);
    for (const name of ['cells', 'encoders', 'unfinished']) {
      await ensureFolder(this.file(name));
      const left = (await readdir(this.file(name))).filter((file) => file.startsWith('.') && file.endsWith('.partial'));
      for (const file of left) await rm(this.file(name, file), { force: true });
    }
    return lock;
  }

  file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  write(name: (typeof StudyFolder.files)[number], content: string): Promise<void> {
    return writeFileAtomically(this.file(name), content);
  }

  /** Null where its training is not done. @throws TensegrityError `format` for a file that is no cell, or another's. */
  async cell({ file, identity }: CellTask): Promise<StoredCell | null> {
    const path = this.file('cells', `${file}.json`);
    if (!(await this.#has('cells', `${file}.json`))) return null;
    const text = new TextDecoder().decode(await readBytes(path, 2 ** 24));
    try {
      const cell = JSON.parse(text) as StoredCell;
      if (isCell(cell) && isDeepStrictEqual(cell.identity, asJson(identity))) return cell;
    } catch {
      // Said below.
    }
    throw new TensegrityError(
      'format',
      `${named(path)} is not a cell of this study; put back what was there, or remove it: it is computed again then`,
      {
        path,
      },
    );
  }

  saveCell({ file }: CellTask, cell: StoredCell): Promise<void> {
    return writeFileAtomically(this.file('cells', `${file}.json`), `${JSON.stringify(cell)}\n`);
  }

  /** How many files of cells there are that none of the tasks has. */
  async others(tasks: readonly CellTask[]): Promise<number> {
    const own = new Set(tasks.map(({ file }) => `${file}.json`));
    return (await readdir(this.file('cells'))).filter((name) => name.endsWith('.json') && !own.has(name)).length;
  }

  /** The weights of what was trained; null where they are not there (any more). */
  async weights({ file }: CellTask): Promise<StateDict | null> {
    const name = `${file}.safetensors`;
    return (await this.#has('encoders', name)) ? (await readSafetensors(this.file('encoders', name))).tensors : null;
  }

  /** As `tensegrity train` writes an encoder, for `eval --weights` and `embed`. */
  saveWeights(
    { file }: CellTask,
    ...content: [Iterable<readonly [string, HostArray]>, metadata: Iterable<readonly [string, string]>]
  ): Promise<void> {
    return writeSafetensors(this.file('encoders', `${file}.safetensors`), ...content);
  }

  /** Where the training of a cell stands; null where it has not begun, or before its first checkpoint. */
  async checkpoint({
    file,
    identity,
  }: CellTask): Promise<(Course & { readonly step: number; readonly tensors: ReadonlyMap<string, HostArray> }) | null> {
    const name = `${file}.safetensors`;
    if (!(await this.#has('unfinished', name))) return null;
    const { config, step, tensors, metrics } = await loadCheckpoint(this.file('unfinished', name));
    if (!isDeepStrictEqual(config, asJson(identity)))
      throw new TensegrityError('format', `${named(this.file('unfinished', name))} is another training's checkpoint; remove it`);
    // Written below, and guarded by the file's digest.
    const [course] = metrics as unknown as readonly Course[];
    return { step, tensors, ...course! };
  }

  async saveCheckpoint({ file, identity, seed }: CellTask, state: Omit<TrainerState, 'epoch' | 'batch'>, course: Course): Promise<void> {
    await saveCheckpoint(this.file('unfinished', `${file}.safetensors`), {
      ...state,
      // The step tells them.
      epoch: 0,
      batch: 0,
      key: [seed],
      config: asJson(identity) as JsonObject,
      metrics: [asJson(course) as JsonObject],
    });
  }

  async removeCheckpoint({ file }: CellTask): Promise<void> {
    await rm(this.file('unfinished', `${file}.safetensors`), { force: true });
  }

  async #has(folder: string, name: string): Promise<boolean> {
    return (await withStorageErrors('read', this.file(folder), () => readdir(this.file(folder)))).includes(name);
  }
}

/** As it comes back from a file. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function isCell(value: unknown): value is StoredCell {
  const isRecord = (part: unknown): part is Readonly<Record<string, unknown>> =>
    typeof part === 'object' && part !== null && !Array.isArray(part);
  if (!isRecord(value)) return false;
  const { scores, seconds, curve, identity, version } = value;
  const isNumber = (score: unknown): boolean => score === null || typeof score === 'number';
  return (
    isRecord(scores) &&
    Object.values(scores).every(isNumber) &&
    isRecord(seconds) &&
    Object.values(seconds).every(isNumber) &&
    Array.isArray(curve) &&
    isRecord(identity) &&
    typeof version === 'string'
  );
}
