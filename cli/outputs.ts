import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { named } from '../engine/arguments.ts';
import { UsageError } from './options.ts';

const statusOf = (path: string): Promise<BigIntStats | undefined> => stat(path, { bigint: true }).catch(() => undefined);

/** A regular file's identity, whichever links and spellings lead to it; undefined where there is none. */
async function fileAt(path: string): Promise<string | undefined> {
  const status = await statusOf(path);
  return status?.isFile() ? `${status.dev} ${status.ino}` : undefined;
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
    const file = await fileAt(output);
    if (file === undefined) continue;
    const other = taken.get(file);
    if (other !== undefined)
      throw new UsageError(`${named(output)} is the same file as ${other}; write to another path, so that it is kept`);
    taken.set(file, `${named(output)}, which is written too`);
  }
}
