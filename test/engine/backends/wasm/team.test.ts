import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { supportedRuntimes } from '../../../support/runtimes.ts';

const scenarios = fileURLToPath(new URL('team.mjs', import.meta.url));
/** Milliseconds after which a process counts as one that hangs, and is killed. */
const patience = 50_000;

/** Runs a scenario of team.mjs in a process of its own: how it ended, and what it said. */
async function ending(program: string, scenario: string, ...switches: readonly string[]): Promise<unknown> {
  // What this process was started with is not meant for the other.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(program, [...switches, scenarios, scenario], { env, timeout: patience, killSignal: 'SIGKILL' });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  const [end, out, complaints] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { end, out, complaints };
}

const well = { end: 0, out: '', complaints: '' };

describe.each(supportedRuntimes())('on Node $version', ({ program, version }) => {
  const permission = Number.parseInt(version.slice(1), 10) < 24 ? '--experimental-permission' : '--permission';

  it('a thread that traps, throws or ends is an error, not a hang, and a new backend works', async () => {
    expect(await ending(program, 'running')).toEqual(well);
  });

  it('so is one that does not start, or ends while it has nothing to do', async () => {
    expect(await ending(program, 'starting')).toEqual(well);
  });

  it('so is one that the process may not have', async () => {
    expect(await ending(program, 'forbidden', permission, '--allow-fs-read=*')).toMatchObject({ end: 0 });
  });

  it('a backend may be disposed of at any time', async () => {
    expect(await ending(program, 'disposed')).toEqual(well);
  });

  it('a process stays until its plan is done, and no longer', async () => {
    expect(await ending(program, 'awaited')).toEqual({ ...well, out: 'done\n' });
  });

  it('what a program is started with is not loaded into its threads', async () => {
    const hook = `data:text/javascript,console.log('loaded')`;
    expect(await ending(program, 'awaited', '--import', hook)).toEqual({ ...well, out: 'loaded\ndone\n' });
  });

  it('a process may end, or fail, while its threads run a plan', async () => {
    expect(await ending(program, 'exit')).toEqual({ ...well, end: 7 });
    expect(await ending(program, 'uncaught')).toEqual({ ...well, end: 1, complaints: expect.stringContaining('of the program') });
  });

  it('idle threads sleep', async () => {
    expect(await ending(program, 'idle')).toEqual(well);
  });

  it('there are as many threads as cores, and one where memory cannot be shared', async () => {
    expect(await ending(program, 'defaults')).toEqual(well);
  });
});
