/** Python with JAX, for what needs it: `.ci/run` makes a virtual environment and names its Python. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type DType, dtypes, type HostArray } from '../../../engine/dtype.ts';
import { sizeOf } from '../../../engine/shape.ts';
import { capability } from '../../support/capabilities.ts';

const { TENSEGRITY_JAX: python } = process.env as { TENSEGRITY_JAX?: string };

/** Whether there is one; else its tests are skipped, and counted. */
export const hasJax: boolean = capability('jax', python !== undefined, 'TENSEGRITY_JAX names no Python that has JAX');

export type Arrays = ReadonlyMap<string, HostArray>;

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Runs a script of this folder on files and arrays, with these environment variables beside our own. @returns the arrays that it wrote, and what it printed. */
export async function runPython(
  script: string,
  files: Readonly<Record<string, string>>,
  arrays: Arrays,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly arrays: Arrays; readonly printed: string }> {
  return inFolder(files, async (folder) => {
    await writeArrays(join(folder, 'inputs'), arrays);
    const printed = await call([fileURLToPath(new URL(script, import.meta.url)), folder], environment);
    return { arrays: await readArrays(join(folder, 'outputs')), printed };
  });
}

/** Runs one of these files, beside the others. @returns what it printed. */
export async function run(files: Readonly<Record<string, string>>, script: string): Promise<{ readonly printed: string }> {
  return inFolder(files, async (folder) => ({ printed: await call([join(folder, script)], {}) }));
}

async function call(words: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
  const env = { ...process.env, JAX_PLATFORMS: 'cpu', PYTHONDONTWRITEBYTECODE: '1', ...environment };
  return (await promisify(execFile)(python!, words, { env, maxBuffer: 2 ** 28 })).stdout;
}

async function inFolder<T>(files: Readonly<Record<string, string>>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tensegrity-jax-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Arrays in one file, and what they are in another: see `arrays.py`. */
async function writeArrays(path: string, arrays: Arrays): Promise<void> {
  const entries = [...arrays].map(([name, { dtype, shape }]): Entry => ({ name, dtype, shape }));
  await writeFile(`${path}.json`, JSON.stringify(entries));
  await writeFile(
    `${path}.bin`,
    Buffer.concat([...arrays.values()].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))),
  );
}

async function readArrays(path: string): Promise<Arrays> {
  const entries = JSON.parse(await readFile(`${path}.json`, 'utf8')) as readonly Entry[];
  const bytes = await readFile(`${path}.bin`);
  let at = 0;
  return new Map(
    entries.map(({ name, dtype, shape }) => {
      const own = bytes.subarray(at, at + sizeOf(shape) * dtypes[dtype].bytes);
      at += own.length;
      // Copied, so that it begins where its type may begin.
      return [name, { dtype, shape, data: dtypes[dtype].over(new Uint8Array(own).buffer, 0, sizeOf(shape)) }];
    }),
  );
}
