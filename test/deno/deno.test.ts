import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { testTable } from '../engine/elsewhere.ts';
import { capability } from '../support/capabilities.ts';

/** Deno, if it is on the PATH, where npm puts it too. */
const { status } = spawnSync('deno', ['--version'], { timeout: 20_000 });
const available = capability('deno', status === 0, 'no deno on the PATH; `npm install --no-save deno` brings it');

/** Runs a script of this folder, and gives what it printed last. */
async function run(program: readonly string[], script: string, ...words: readonly string[]): Promise<unknown> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const [name = '', ...before] = program;
  const child = spawn(name, [...before, path, ...words], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000, killSignal: 'SIGKILL' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if ((await ended) !== 0) throw new Error(`${name} ${script}: ${complaint}`);
  return JSON.parse(output.trim().split('\n').at(-1)!);
}

const deno = ['deno', 'run', '--allow-all', '--no-check', '--quiet'];

describe.runIf(available)('in Deno', () => {
  it('the built package trains on wasm to the bits of Node', async () => {
    expect(await run(deno, 'computation.mjs')).toEqual(await run([process.execPath], 'computation.mjs'));
  });
});

describe.runIf(available)('on the GPU of Deno', () => {
  testTable((asked) => run(deno, 'table.ts', JSON.stringify(asked)));
});
