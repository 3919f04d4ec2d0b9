import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TensegrityError } from '../../engine/core.ts';
import type { OwnUint8Array } from '../../engine/internal.ts';
import { ensureFolder, withStorageErrors, writeFileAtomically } from '../io/files.ts';
import { inflateIdx } from './idx.ts';

/** 64 MiB: twice the largest file of the data sets known. */
const LARGEST_DOWNLOAD = 2 ** 26;

/** A connection that sends nothing for this long is given up. */
const STALL_MILLISECONDS = 30_000;

/**
 * What an address sends.
 * @param largest bytes to accept at most; beyond them the connection is closed.
 * @param stall milliseconds without a byte before giving up. Default 30 000.
 * @throws TensegrityError `data` if the network, the server or the length fails, naming the address.
 */
export async function downloadBytes(address: string, largest: number, stall = STALL_MILLISECONDS): Promise<OwnUint8Array> {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort(new Error(`nothing came for ${stall / 1000} s`));
  let timer = setTimeout(giveUp, stall);
  try {
    const response = await fetch(address, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status} ${response.statusText}`.trimEnd());
    const chunks: OwnUint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, stall);
      length += chunk.length;
      if (length > largest) throw new Error(`it sends more than the ${largest} bytes expected`);
      chunks.push(chunk);
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  } catch (cause) {
    throw new TensegrityError('data', `cannot download ${address}: ${reasonOf(cause)}`, { address }, cause);
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

/** fetch says only 'fetch failed'; what failed is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}

/**
 * Holds a file's content against its published checksum. Of the content, since packagers compress anew: Debian's .gz files differ from the published ones.
 * @throws TensegrityError `data` unless the MD5 is the one expected, if any is.
 */
export function checkMd5(content: Uint8Array, expected: string | undefined, name: string): void {
  const found = expected && createHash('md5').update(content).digest('hex');
  if (found !== expected) {
    throw new TensegrityError('data', `not the published file of ${name}: the MD5 of its content is ${found}, not ${expected}`, {
      found,
      expected,
    });
  }
}

/**
 * Brings the files that a folder lacks, in turn: each is held against its checksum before it is written aside and renamed, so that a download
 * which is broken off leaves only whole files, and the next one goes on after them.
 * @param address of the folder, with a slash at its end.
 * @param fetchBytes as {@link downloadBytes}.
 * @throws TensegrityError `data` if the network fails or sends something else, `storage` if the disk does.
 */
export async function downloadFiles(
  address: string,
  folder: string,
  files: readonly { readonly name: string; readonly md5: string | undefined }[],
  dataset: string,
  fetchBytes: (address: string, largest: number) => Promise<Uint8Array>,
  onDownload?: (address: string, path: string) => void,
): Promise<void> {
  await ensureFolder(folder);
  const present = new Set(await withStorageErrors('read', folder, () => readdir(folder)));
  for (const { name, md5 } of files) {
    const path = join(folder, name);
    if (present.has(name)) continue;
    const from = new URL(name, address).href;
    onDownload?.(from, path);
    const bytes = await fetchBytes(from, LARGEST_DOWNLOAD);
    try {
      checkMd5(await inflateIdx(bytes), md5, dataset);
    } catch (cause) {
      throw new TensegrityError(
        'data',
        `${from} sent something else, as a proxy in the way might: ${cause instanceof Error ? cause.message : ''}`,
        { address: from },
        cause,
      );
    }
    await writeFileAtomically(path, bytes);
  }
}
