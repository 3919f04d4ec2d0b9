import { type ChildProcessByStdio, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { writeArray } from '../../models/io/node.ts';
import { stripes } from '../models/train/support.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** The sources run as they are from Node 22.18 on; `npm ci` brings a Node that can. */
const node = Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : join(root, 'node_modules/.bin/node');
/** What runs the command, as words. */
export const command: readonly string[] = [
  node,
  '-C',
  'tensegrity-source',
  '--disable-warning=ExperimentalWarning',
  join(root, 'cli/main.ts'),
];

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A call under way. */
export class Call {
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  constructor(words: readonly string[], options: SpawnOptions = {}, [program, ...before]: readonly string[] = command) {
    this.#child = spawn(program!, [...before, ...words], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      for (const watcher of this.#watchers) watcher();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.finished = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }));
    });
  }

  /** Waits for something on standard output; an error if the call ends without it. */
  async shows(pattern: RegExp): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      const watch = (): void => {
        if (!pattern.test(this.#stdout)) return;
        this.#watchers.delete(watch);
        resolve();
      };
      this.#watchers.add(watch);
      watch();
    });
    await Promise.race([
      seen,
      this.finished.then((result) => {
        if (!pattern.test(result.stdout)) throw new Error(`ended without ${pattern}: ${JSON.stringify(result)}`);
      }),
    ]);
  }

  /** Waits for a step of `train --json`. */
  step(step: number): Promise<void> {
    return this.shows(new RegExp(`"step":${step},`));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Runs the command to its end. */
export function tensegrity(words: readonly string[], options?: SpawnOptions): Promise<Finished> {
  return new Call(words, options).finished;
}

/** Runs it, and shows what it said if it failed. */
export async function succeeds(words: readonly string[], options?: SpawnOptions): Promise<Finished> {
  const result = await tensegrity(words, options);
  expect(result, words.join(' ')).toMatchObject({ code: 0 });
  return result;
}

/** Runs it, and holds it to one line of complaint and nothing else. */
export async function fails(words: readonly string[], code: 1 | 2, message: RegExp, options?: SpawnOptions): Promise<void> {
  const result = await tensegrity(words, options);
  expect(result, words.join(' ')).toMatchObject({ code, stdout: '' });
  expect(result.stderr).toMatch(/^tensegrity: [^\n]+\n$/);
  expect(result.stderr).toMatch(message);
}

/** A folder for a test file, removed at its end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-cli-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a small data set into a folder; returns the options that name it. */
export async function smallData(folder: string, count = 160): Promise<string[]> {
  const parts = { train: stripes(count), test: stripes(48, { stream: 7 }) };
  for (const [name, { images, labels }] of Object.entries(parts)) {
    await writeArray(join(folder, `${name}.npy`), images);
    await writeArray(join(folder, `${name}-labels.npy`), labels);
  }
  const path = (name: string): string => join(folder, `${name}.npy`);
  return ['--data', path('train'), '--labels', path('train-labels'), '--test-images', path('test'), '--test-labels', path('test-labels')];
}

/** Settings of steps that take milliseconds. */
export const smallRun: readonly string[] = ['--batch', '16', '--expander', '24-16', '--threads', '1'];

/** Runs a program of the system, without a word. */
export function system(program: string, ...words: readonly string[]): void {
  execFileSync(program, words, { stdio: 'ignore' });
}
