import type { BigIntStats } from 'node:fs';
import { readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { named } from '../engine/arguments.ts';
import { UsageError } from './options.ts';

const statusOf = (path: string): Promise<BigIntStats | undefined> => stat(path, { bigint: true }).catch(() => undefined);

/** A regular file's identity, whichever links and spellings lead to it; undefined where there is none. */
async function fileAt(path: string): Promise<string | undefined> {
  const status = await statusOf(path);
  return status?.isFile() ? `${status.dev} ${status.ino}` : undefined;
}

/** Links that are followed to what is not there. */
const MOST_LINKS = 40;

/** What will be written at the path: the file that is there, else the place that the path or a link there names; undefined for what is no file. */
async function targetOf(path: string, links = 0): Promise<string | undefined> {
  if (await statusOf(path)) return fileAt(path);
  const target = await readlink(path).catch(() => undefined);
  if (target !== undefined) return links < MOST_LINKS ? targetOf(resolve(dirname(path), target), links + 1) : undefined;
  const folder = await realpath(dirname(path)).catch(() => resolve(dirname(path)));
  return join(folder, basename(path));
}

/**
 * Keeps what a command writes from replacing what it reads, and one of its results another.
 * @param inputs files, and folders, which stand for the files in them; what is neither is passed over.
 * @throws UsageError naming the two.
 */
export async function checkOutputs(inputs: readonly string[], outputs: readonly string[]): Promise<void> {
  const taken = new Map<string, string>();
  for (const input of inputs) {
    const inside = await readdir(input).catch(() => null);
    for (const path of inside?.map((name) => join(input, name)) ?? [input]) {
      const file = await fileAt(path);
      if (file !== undefined) taken.set(file, `${named(path)}, which is read`);
    }
  }
  for (const output of outputs) {
    const file = await targetOf(output);
    if (file === undefined) continue;
    const other = taken.get(file);
    if (other !== undefined)
      throw new UsageError(`${named(output)} is the same file as ${other}; write to another path, so that it is kept`);
    taken.set(file, `${named(output)}, which is written too`);
  }
}
