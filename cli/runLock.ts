import { readFileSync, unlinkSync } from 'node:fs';
import { readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TensegrityError } from '../engine/errors.ts';
import { withStorageErrors } from '../models/io/node.ts';

/** The right to write into a run's folder, which one process has at a time: a file `lock` that names it. */
export class RunLock implements Disposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws TensegrityError `storage` naming the process that has it. One that no longer lives has lost it. */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, 'lock');
    for (;;) {
      if (await withStorageErrors('write', path, () => created(path))) return new RunLock(path);
      const holder = await contentOf(path);
      if (holder === null) continue;
      if (mayLive(holder)) {
        const [pid, host] = holder.split('\n');
        throw new TensegrityError(
          'storage',
          `${folder} is being trained by process ${pid || 'unknown'} on ${host || hostname()}; wait for it, or end it first (if there is none, remove ${path})`,
          { pid: Number(pid), host },
        );
      }
      await withStorageErrors('write', path, () => discard(path, holder));
    }
  }

  [Symbol.dispose](): void {
    try {
      if (readFileSync(this.#path, 'utf8') === own()) unlinkSync(this.#path);
    } catch {
      // The folder has gone, or takes no changes any more: the next run sees that this process has ended.
    }
  }
}

function own(): string {
  return `${process.pid}\n${hostname()}\n`;
}

async function created(path: string): Promise<boolean> {
  return onError(
    'EEXIST',
    () => writeFile(path, own(), { flag: 'wx' }).then(() => true),
    () => false,
  );
}

/** Null where there is no such file any more. */
async function contentOf(path: string): Promise<string | null> {
  return withStorageErrors('read', path, () =>
    onError(
      'ENOENT',
      () => readFile(path, 'utf8'),
      () => null,
    ),
  );
}

/** Whether the process may still be there. Of another machine's nothing is known; this process trains one run only, so its number is a dead one's. */
function mayLive(holder: string): boolean {
  const [pid, host] = holder.split('\n');
  if (!Number(pid) || host !== hostname()) return true;
  if (Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** Removes the lock of a process that has ended. Two that try at once must not remove each other's new one: what is moved aside is looked at. */
async function discard(path: string, holder: string): Promise<void> {
  const aside = `${path}.${process.pid}`;
  const moved = await onError(
    'ENOENT',
    () => rename(path, aside).then(() => true),
    () => false,
  );
  if (!moved) return;
  if ((await readFile(aside, 'utf8')) === holder) await unlink(aside);
  else await rename(aside, path);
}

async function onError<T>(code: string, action: () => Promise<T>, otherwise: () => T): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (codeOf(error) !== code) throw error;
    return otherwise();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
