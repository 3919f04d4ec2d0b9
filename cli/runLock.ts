import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { named } from '../engine/arguments.ts';
import { TensegrityError } from '../engine/errors.ts';
import { withStorageErrors } from '../models/io/node.ts';
import { shellWord } from './text.ts';

/** Who has a lock, as its entry says. */
interface Holder {
  readonly pid: string;
  readonly host: string;
  /** It is certain that it has it no more. */
  readonly ended: boolean;
}

/** What taking a lock asks of a folder; each changes or sees it in one call of the operating system. */
export interface LockSteps {
  /** Puts a lock with this process's entry in the lock's place, if there is none or an empty one. */
  place(): boolean;
  /** The entries of what is in its place. */
  entries(): readonly string[];
  /** Null for an entry that has gone. */
  holder(entry: string): Holder | null;
  /** Removes an entry, if it is still there. */
  remove(entry: string): void;
  /** Removes an empty lock. */
  clear(): void;
}

/**
 * Takes a lock; returns null, or who has it.
 *
 * A lock is a folder `lock` with one entry, named by chance, which says whose it is. It is made aside and renamed into place, which POSIX
 * lets replace an empty folder and nothing else. So, whatever is interleaved and wherever a process is killed:
 * - At most one entry is there, and it is whole: a lock arrives with its entry in the step in which it takes the place of none.
 * - Only its holder, and those who know that it has ended, remove an entry, by a name that no other ever has: a process that was
 *   slow to act on what it saw removes what it saw, or nothing. (With one name for all locks it could remove a later one.)
 * Hence between a `place` that succeeds and the holder's release no other succeeds. A killed holder's entry goes at most once, and one of those
 * who then try is the first. The file `lock` of version 0.1.0 is an entry too: removing it cannot remove a folder.
 */
export function takeLock(steps: LockSteps): Holder | null {
  for (;;) {
    if (steps.place()) return null;
    for (const entry of steps.entries()) {
      const holder = steps.holder(entry);
      if (holder && !holder.ended) return holder;
      if (holder) steps.remove(entry);
    }
    // Where a rename replaces no folder at all (Windows).
    steps.clear();
  }
}

/** The right to write into a run's folder, which one process has at a time. It ends with the process, if not before. */
export class RunLock implements Disposable {
  readonly #lock: string;
  readonly #entry: string;
  readonly #release = (): void => this[Symbol.dispose]();

  private constructor(lock: string, entry: string) {
    this.#lock = lock;
    this.#entry = entry;
    process.once('exit', this.#release);
  }

  /**
   * @throws TensegrityError `storage` naming the process that has it. One that has ended has lost it, which is known of processes of this machine
   * only: of another's, or of another container's, nothing is known, and a person has to say so by removing the lock.
   */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, 'lock');
    const entry = crypto.randomUUID();
    const holder = await withStorageErrors('lock', folder, async () => takeLock(stepsIn(folder, entry)));
    if (holder === null) return new RunLock(path, join(path, entry));
    const { pid, host } = holder;
    throw new TensegrityError(
      'storage',
      `${named(folder)} is being trained by process ${named(pid || 'unknown')} on ${named(host || hostname())}; wait for it, or end it first (if there is none, remove its lock: rm -r ${shellWord(path)})`,
      { pid: Number(pid), host },
    );
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#release);
    try {
      unlinkSync(this.#entry);
      rmdirSync(this.#lock);
    } catch {
      // The folder has gone, or takes no changes any more: the next run sees that this process has ended. Or another holds the lock already.
    }
  }
}

/** The steps on a folder; `name` is that of this process's entry. */
function stepsIn(folder: string, name: string): LockSteps {
  const lock = join(folder, 'lock');
  const aside = join(folder, `.lock.${process.pid}-${name}.partial`);
  return {
    place: () => {
      mkdirSync(aside);
      try {
        // Synced, so that no power cut leaves an entry of nothing.
        writeFileSync(join(aside, name), textOfThis(), { flush: true });
        renameSync(aside, lock);
        return true;
      } catch (error) {
        rmSync(aside, { recursive: true, force: true });
        const code = codeOf(error);
        // Who holds the lock tidies up what others have left aside. On network disks a rename that was done may be said to have failed.
        if (code === 'ENOENT') return existsSync(join(lock, name));
        if (inPlace.has(code) || (process.platform === 'win32' && code === 'EPERM')) return false;
        throw error;
      }
    },
    entries: () => {
      const status = ignoring(['ENOENT'], () => lstatSync(lock));
      if (!status) return [];
      if (status.isFile()) return ['lock'];
      if (!status.isDirectory()) throw foreign(lock);
      return (ignoring(['ENOENT', 'ENOTDIR'], () => readdirSync(lock)) ?? []).map((entry) => join('lock', entry));
    },
    holder: (entry) => {
      const path = join(folder, entry);
      // Opened so that neither a pipe makes it wait nor a link leads elsewhere.
      let file: number | undefined;
      try {
        file = ignoring(['ENOENT', 'ENOTDIR'], () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW));
      } catch (error) {
        // A link, a socket.
        throw ['ELOOP', 'ENXIO'].includes(String(codeOf(error))) ? foreign(path) : error;
      }
      if (file === undefined) return null;
      try {
        const status = fstatSync(file);
        // A file that has become a folder since it was seen is somebody's new lock.
        if (status.isDirectory() && entry === 'lock') return null;
        if (!isEntry(status)) throw foreign(path);
        return holderOf(readFileSync(file, 'utf8'));
      } finally {
        closeSync(file);
      }
    },
    remove: (entry) => {
      const path = join(folder, entry);
      // macOS answers EPERM where others answer EISDIR.
      const lost = ['ENOENT', 'ENOTDIR', 'EISDIR', ...(process.platform === 'darwin' && entry === 'lock' ? ['EPERM'] : [])];
      ignoring(lost, () => unlinkSync(path));
    },
    clear: () => ignoring(['ENOENT', 'ENOTDIR', ...inPlace], () => rmdirSync(lock)),
  };
}

/** How a rename says that there is something else than an empty folder. */
const inPlace: ReadonlySet<unknown> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

function isEntry(status: Stats): boolean {
  return status.isFile() && status.size < 4096;
}

function foreign(path: string): TensegrityError {
  return new TensegrityError('storage', `${named(path)} is not a lock of this program; remove it`, { path });
}

function textOf(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** What a process is told apart by. The later lines are empty where the system does not tell; version 0.1.0 wrote the first two. */
const thisProcess = {
  pid: String(process.pid),
  host: hostname(),
  boot: textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
  machine: textOf(() => readFileSync('/etc/machine-id', 'utf8')),
  /** In another namespace, as a container's, other processes have these numbers. */
  namespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
  /** Numbers come again; this tells a process from a later one of its number. */
  started: startOf(process.pid) || String(performance.timeOrigin),
} as const;

function textOfThis(): string {
  return `${Object.values(thisProcess).join('\n')}\n`;
}

function holderOf(text: string): Holder {
  const [pid = '', host = '', ...rest] = text.split('\n');
  return { pid, host, ended: hasEnded(text, pid, host, rest.slice(0, -1)) };
}

/** Whether it is certain that the process which wrote `text` has ended. */
function hasEnded(text: string, pid: string, host: string, [boot, machine, namespace, started]: readonly string[]): boolean {
  // Version 0.1.0 left nothing in its lock where the disk was full, and ended.
  if (text === '') return true;
  if (!/^[1-9]\d*$/.test(pid) || host !== thisProcess.host) return false;
  // This process trains one run, so its number in a lock of version 0.1.0 is a dead one's.
  if (started === undefined) return pid === thisProcess.pid || !exists(Number(pid));
  // Two machines may have the same name; one that was started anew has forgotten all processes.
  if (boot !== thisProcess.boot) return machine !== '' && machine === thisProcess.machine;
  if (namespace !== thisProcess.namespace) return false;
  if (!exists(Number(pid))) return true;
  const now = pid === thisProcess.pid ? thisProcess.started : startOf(Number(pid));
  return now !== '' && now !== started;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** When a process began, in a unit of the system's; 'ended' for one whose end nobody has asked for yet; '' where that is not told. */
function startOf(pid: number): string {
  // proc_pid_stat(5): the name in brackets may hold anything; state is the field after it, the start the 22nd of all.
  const fields = textOf(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
    .split(') ')
    .at(-1)!
    .split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : (fields[19] ?? '');
}

function ignoring<T>(codes: readonly unknown[], action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!codes.includes(codeOf(error))) throw error;
    return undefined;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
