import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { named, type OwnUint8Array, sizeOf } from '../../engine/internal.ts';
import { decodeElements, elements } from './elements.ts';
import { NPY_BEGINNING, type NpyHeader, parseNpy, parseNpyHeader, serializeNpy } from './npy.ts';
import {
  parseSafetensors,
  parseSafetensorsHeader,
  type Safetensors,
  type SafetensorsHeader,
  safetensorsDataStart,
  serializeSafetensors,
} from './safetensors.ts';

/** What the operating system's error codes mean to a user, and what to do about each. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space or choose a path on another disk',
  EDQUOT: 'the disk quota is used up; free some space or choose a path on another disk',
  EFBIG: 'the file would be larger than the file system or a limit (ulimit -f) allows; choose another disk or raise the limit',
  EROFS: 'the file system is read-only; choose a path elsewhere',
  EACCES: 'permission is denied; change the permissions or choose a path that you may use',
  EPERM: 'the operating system forbids it; change the permissions or choose a path that you may use',
  ENOENT: 'there is no such file or folder; check the spelling, or create the folder first',
  ENOTDIR: 'a part of the path is a file, not a folder; check the spelling',
  EISDIR: 'the path is a folder; name a file inside it, or put one in its place',
  EEXIST: 'a file is in the way; remove it or choose another path',
  ENAMETOOLONG: 'the path is too long; choose a shorter one',
  ELOOP: 'its symbolic links run in a circle; name the file itself, or put it in their place',
  EMFILE: 'too many files are open; close some, or raise the limit (ulimit -n)',
  ENXIO: 'there is nothing at the other end; name a file',
  ERR_INVALID_ARG_VALUE: 'no path holds such a character; check the spelling',
  EIO: 'the disk reports a fault; check it, or choose a path on another disk',
};

/** What an error of the operating system means, and what to do. */
export function adviceOn(code: string | undefined): string | undefined {
  return code !== undefined && Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
}

/** 4 GiB: more than any array that this engine can hold. */
const LARGEST_READ = 2 ** 32;

/** One call to the operating system reads at most this much. */
const READ_STEP = 2 ** 30;

/** What is copied from file to file is in memory in parts of so many bytes. */
const PART = 2 ** 20;

/**
 * Runs `action` on a path and turns the operating system's errors into a TensegrityError `storage` that says what to do.
 * @param verb what was tried, as in `cannot ${verb} ${path}`.
 */
export async function withStorageErrors<T>(verb: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const code = codeOf(cause);
    if (cause instanceof TensegrityError || code === undefined) throw cause;
    throw new TensegrityError(
      'storage',
      `cannot ${verb} ${named(path)}: ${adviceOn(code) ?? (cause instanceof Error ? cause.message : code)} (${code})`,
      { path, code },
      cause,
    );
  }
}

/** Creates a folder and those above it, unless it is there. @throws TensegrityError `storage`. */
export async function ensureFolder(path: string): Promise<void> {
  await withStorageErrors('create the folder', path, () => makeFolder(path));
}

/** As `mkdir` with `recursive`, which tries for ever where a folder that is there takes no folders (/proc). */
async function makeFolder(path: string): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(path).catch(async (cause: unknown) => {
      if (!(await stat(path).catch(() => undefined))?.isDirectory()) throw cause;
    });
  await make().catch(async (cause: unknown) => {
    const above = dirname(path);
    if (codeOf(cause) !== 'ENOENT' || above === path) throw cause;
    await makeFolder(above);
    await make();
  });
}

/**
 * The bytes of a regular file.
 * @param largest in bytes; a larger file is refused before anything is allocated. Default 4 GiB.
 * @throws TensegrityError `storage` if it is missing, unreadable, no regular file, or changes while it is read; `format` if it is larger than `largest`.
 */
export async function readBytes(path: string, largest = LARGEST_READ): Promise<OwnUint8Array> {
  return withStorageErrors('read', path, async () => {
    const size = await sizeOfFile(path);
    if (size > largest)
      throw new TensegrityError(
        'format',
        `${named(path)} has ${size} bytes; at most ${largest} are expected here, so it is not the file that it should be`,
        { path, size, largest },
      );
    return readRange(path, 0, size);
  });
}

/** The length of a regular file; 0 of none, so that opening it says so. */
async function sizeOfFile(path: string): Promise<number> {
  // Before opening: opening a pipe would wait for a writer.
  const status = await statusOf(path);
  if (status && !status.isFile())
    throw new TensegrityError('storage', `${named(path)} is not a regular file; copy its content to a file first`, { path });
  if (!status) await refuseLinkToNothing(path);
  return status?.size ?? 0;
}

async function readRange(path: string, start: number, stop: number): Promise<OwnUint8Array> {
  const file = await open(path, 'r');
  const bytes = new Uint8Array(stop - start);
  try {
    await fill(bytes, file, start, path);
  } finally {
    await file.close();
  }
  return bytes;
}

/** Fills `bytes` with those of a file from `start` on. */
async function fill(bytes: Uint8Array, file: FileHandle, start: number, path: string): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(READ_STEP, bytes.length - at), start + at);
    if (bytesRead === 0)
      throw new TensegrityError('storage', `${named(path)} became shorter while it was read; try again when nothing writes to it`, {
        path,
      });
    at += bytesRead;
  }
}

/** The bytes of a file from `start` to `stop`, a part after the other; each is there until the next is asked for. @throws TensegrityError `storage`. */
export async function* partsOf(path: string, start: number, stop: number): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await withStorageErrors('read', path, () => open(path, 'r'));
  const buffer = new Uint8Array(PART);
  try {
    for (let at = start; at < stop; at += PART) {
      const part = buffer.subarray(0, Math.min(PART, stop - at));
      await withStorageErrors('read', path, () => fill(part, file, at, path));
      yield part;
    }
  } finally {
    await file.close();
  }
}

function codeOf(error: unknown): string | undefined {
  // Not `instanceof Error`: in jest, those of node:fs are of another realm.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What is at `path`, or undefined. Folders are refused as the operating system would. */
async function statusOf(path: string): Promise<Stats | undefined> {
  const status = await stat(path).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  });
  if (status?.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' });
  return status;
}

/** @throws TensegrityError `storage` for a link to what is not there, as on a disk that is not mounted. */
export async function refuseLinkToNothing(path: string): Promise<void> {
  const target = await linkTarget(path);
  if (target !== undefined)
    throw new TensegrityError(
      'storage',
      `${named(path)} is a link to ${named(target)}, which is not there; mount the disk that it is on, or put it back`,
      {
        path,
        target,
      },
    );
}

/** Where a symbolic link points to; undefined for what is none. */
async function linkTarget(path: string): Promise<string | undefined> {
  const target = await readlink(path).catch(() => undefined);
  return target === undefined ? undefined : resolve(dirname(path), target);
}

/** The content of a file: all of it, or a part after the other. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

async function writeAndSync(file: FileHandle, content: FileContent): Promise<void> {
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a rename survive a power cut. Some systems cannot open or sync a folder, and need not. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** The name of a file aside, in the folder of `target`: nobody else's. */
function asideOf(target: string): string {
  return join(dirname(target), `.${basename(target).slice(0, 200)}.${process.pid}-${randomBytes(6).toString('hex')}.partial`);
}

/** Writes a file aside, and what `place` does puts it in its place; on failure it is removed. */
async function throughAside(target: string, content: FileContent, mode: number, place: (aside: string) => Promise<void>): Promise<void> {
  const aside = asideOf(target);
  const file = await open(aside, 'wx', mode);
  try {
    await writeAndSync(file, content);
    await place(aside);
  } catch (cause) {
    await unlink(aside).catch(() => undefined);
    throw cause;
  }
  await syncFolder(dirname(target));
}

/**
 * Replaces a file's content in one step: after a crash, a kill or a full disk the path holds the old content or the new, never a part of it.
 * The new content is written aside in the same folder, synced, and renamed; on failure the file aside is removed. A file that a killed process left
 * aside (`.name.….partial`) has a name of its own and is never read nor reused. A symbolic link is followed; a device or pipe is written to directly.
 * @throws TensegrityError `storage` that says what to do, and what the content's iteration throws.
 */
export async function writeFileAtomically(path: string, content: FileContent): Promise<void> {
  await withStorageErrors('write', path, async () => {
    const before = await statusOf(path);
    if (before !== undefined && !before.isFile()) {
      // Renaming would put a file in the device's place.
      const device = await open(path, 'w');
      return device.writeFile(content).finally(() => device.close());
    }
    const pointed = before === undefined ? await linkTarget(path) : undefined;
    if (pointed !== undefined) return writeFileAtomically(pointed, content);
    const target = before === undefined ? path : await realpath(path);
    await throughAside(target, content, before === undefined ? 0o666 : before.mode & 0o777, (aside) => rename(aside, target));
  });
}

/** How a file system says that it has no hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Writes a file that is not there yet, in one step, as {@link writeFileAtomically}: of several writers one is the first, and the others change nothing.
 * Where the file system has no hard links, two that write in the same instant may both believe so; the file is whole all the same.
 * @returns whether it was written: false where another has written it meanwhile.
 * @throws TensegrityError `storage`.
 */
export async function writeNewFile(path: string, content: FileContent): Promise<boolean> {
  let first = true;
  await withStorageErrors('write', path, () =>
    throughAside(path, content, 0o666, async (aside) => {
      try {
        await link(aside, path);
      } catch (cause) {
        const code = codeOf(cause);
        if (NO_LINKS.has(code) && !(await statusOf(path))) return rename(aside, path);
        if (code !== 'EEXIST' && !NO_LINKS.has(code)) throw cause;
        first = false;
      }
      await unlink(aside);
    }),
  );
  return first;
}

/** Runs a parser of a file's bytes; the file's name is added to its complaints. */
function ofFile<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof TensegrityError)) throw cause;
    // What a parser says is one short line, but for names that it has from the file.
    throw new TensegrityError(cause.code, `${named(path)}: ${named(cause.message, 800)}`, { path, ...cause.details }, cause);
  }
}

/** Reads and parses a file; the file's name is added to the parser's complaints. */
export async function readAs<T>(path: string, parse: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = await readBytes(path);
  return ofFile(path, () => parse(bytes));
}

/** How an array lies in a .npy file. @throws TensegrityError `storage` or, for a damaged file, `format`. */
export async function readNpyHeader(path: string): Promise<NpyHeader> {
  return withStorageErrors('read', path, async () => {
    const size = await sizeOfFile(path);
    const beginning = await readRange(path, 0, Math.min(size, NPY_BEGINNING));
    return ofFile(path, () => parseNpyHeader(beginning, size));
  });
}

/** Some rows of an array in a file. */
export interface Rows {
  readonly rows: HostArray;
  /** Which they are: from `start` on, of so many. */
  readonly start: number;
  readonly of: number;
}

/**
 * Reads some rows of a .npy file, and nothing of the others.
 * @param choose given how many rows there are, which to read: from `start` to `stop`, not included.
 * @throws TensegrityError `storage`; `format` for a damaged file, and for one in column-major order, whose rows lie apart.
 */
export async function readRows(path: string, choose: (count: number) => readonly [start: number, stop: number]): Promise<Rows> {
  return withStorageErrors('read', path, async () => {
    const { element, littleEndian, fortranOrder, shape, start: first } = await readNpyHeader(path);
    const [of = 1, ...row] = shape;
    if (fortranOrder && shape.length > 1)
      throw new TensegrityError(
        'format',
        `${named(path)} is in column-major order, where the parts of a row lie apart; write it anew (in NumPy: numpy.ascontiguousarray(array))`,
        { path },
      );
    const [start, stop] = choose(of);
    const rowBytes = sizeOf(row) * elements[element].bytes;
    const bytes = await readRange(path, first + start * rowBytes, first + stop * rowBytes);
    const data = ofFile(path, () => decodeElements(element, bytes, littleEndian, `rows from ${start} on`));
    return { rows: { dtype: elements[element].dtype, shape: [stop - start, ...row], data }, start, of };
  });
}

/** What a .safetensors file holds and where, without its data. @throws TensegrityError `storage` or, for a damaged file, `format`. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withStorageErrors('read', path, async () => {
    const size = await sizeOfFile(path);
    const beginning = await readRange(path, 0, Math.min(size, 8));
    const dataStart = ofFile(path, () => safetensorsDataStart(beginning, size));
    const header = await readRange(path, 0, dataStart);
    return ofFile(path, () => parseSafetensorsHeader(header, size));
  });
}

/** Reads a .npy file. @throws TensegrityError `storage` or, for a damaged file, `format`. */
export async function readArray(path: string): Promise<HostArray> {
  return readAs(path, parseNpy);
}

/** Writes a .npy file atomically. @throws TensegrityError `storage`, or `shape` if the data does not fill the shape. */
export async function writeArray(path: string, array: HostArray): Promise<void> {
  await writeFileAtomically(path, serializeNpy(array));
}

/** Reads a .safetensors file. @throws TensegrityError `storage` or, for a damaged file, `format`. */
export async function readSafetensors(path: string): Promise<Safetensors> {
  return readAs(path, parseSafetensors);
}

/** Writes a .safetensors file atomically. @throws as {@link serializeSafetensors}, or TensegrityError `storage`. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, HostArray]>,
  metadata?: Iterable<readonly [string, string]>,
): Promise<void> {
  await writeFileAtomically(path, serializeSafetensors(tensors, metadata));
}
