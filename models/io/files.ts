import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type HostArray, TensegrityError } from '../../engine/core.ts';
import { named, type OwnUint8Array } from '../../engine/internal.ts';
import { parseNpy, serializeNpy } from './npy.ts';
import { parseSafetensors, type Safetensors, serializeSafetensors } from './safetensors.ts';

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
    // Before opening: opening a pipe would wait for a writer.
    const status = await statusOf(path);
    if (status && !status.isFile())
      throw new TensegrityError('storage', `${named(path)} is not a regular file; copy its content to a file first`, { path });
    if (!status) await refuseLinkToNothing(path);
    const size = status?.size ?? 0;
    if (size > largest)
      throw new TensegrityError(
        'format',
        `${named(path)} has ${size} bytes; at most ${largest} are expected here, so it is not the file that it should be`,
        { path, size, largest },
      );
    const file = await open(path, 'r');
    const bytes = new Uint8Array(size);
    try {
      for (let at = 0; at < size; ) {
        const { bytesRead } = await file.read(bytes, at, Math.min(READ_STEP, size - at), at);
        if (bytesRead === 0)
          throw new TensegrityError('storage', `${named(path)} became shorter while it was read; try again when nothing writes to it`, {
            path,
          });
        at += bytesRead;
      }
    } finally {
      await file.close();
    }
    return bytes;
  });
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

async function writeAndSync(file: FileHandle, content: Uint8Array | string): Promise<void> {
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

/**
 * Replaces a file's content in one step: after a crash, a kill or a full disk the path holds the old content or the new, never a part of it.
 * The new content is written aside in the same folder, synced, and renamed; on failure the file aside is removed. A file that a killed process left
 * aside (`.name.….partial`) has a name of its own and is never read nor reused. A symbolic link is followed; a device or pipe is written to directly.
 * @throws TensegrityError `storage` that says what to do.
 */
export async function writeFileAtomically(path: string, content: Uint8Array | string): Promise<void> {
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
    const aside = join(dirname(target), `.${basename(target).slice(0, 200)}.${process.pid}-${randomBytes(6).toString('hex')}.partial`);
    const file = await open(aside, 'wx', before === undefined ? 0o666 : before.mode & 0o777);
    try {
      await writeAndSync(file, content);
      await rename(aside, target);
    } catch (cause) {
      await unlink(aside).catch(() => undefined);
      throw cause;
    }
    await syncFolder(dirname(target));
  });
}

/** Reads and parses a file; the file's name is added to the parser's complaints. */
export async function readAs<T>(path: string, parse: (bytes: Uint8Array) => T): Promise<T> {
  const bytes = await readBytes(path);
  try {
    return parse(bytes);
  } catch (cause) {
    if (!(cause instanceof TensegrityError)) throw cause;
    // What a parser says is one short line, but for names that it has from the file.
    throw new TensegrityError(cause.code, `${named(path)}: ${named(cause.message, 800)}`, { path, ...cause.details }, cause);
  }
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
