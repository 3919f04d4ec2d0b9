import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { capability } from '../support/capabilities.ts';
import { type Chromium, findChromium, type Site, visit } from './chromium.ts';

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');

/** What Node computes, in a process of its own and from the built package, as the page does. */
function inNode(threads: number): unknown {
  const computation = pathToFileURL(`${import.meta.dirname}/computation.mjs`).href;
  const script = `const { train } = await import('${computation}'); console.log(JSON.stringify(await train({ threads: ${threads} })));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe.runIf(available)('in headless Chromium', () => {
  const bits = available ? inNode(1) : null;
  const ask = (site: Site, task: string) => visit(chromium as Chromium, { site, task });
  const refusal = { typed: true, code: 'backend' };

  it('an isolated page has a thread for each core, and the bits of Node for any number of them', async () => {
    const { defaults, ...rest } = (await ask('isolated', 'isolated')) as { defaults: { threads: number; cores: number } };
    expect(defaults).toEqual({ threads: Math.min(64, defaults.cores), cores: defaults.cores, isolated: true });
    expect(rest).toEqual({ bits: { 1: bits, 2: bits, 3: bits }, workers: { 1: 1, 2: 2, 3: 3 }, workersForShortPlan: 0 });
    expect(inNode(2)).toEqual(bits);
  });

  it('an isolated page goes on while a long plan runs, with one thread too, and between short ones', async () => {
    const ticks = (await ask('isolated', 'responsive')) as Record<string, number>;
    expect(Object.keys(ticks)).toEqual(['one', 'two', 'short']);
    for (const [plans, count] of Object.entries(ticks)) expect(count, plans).toBeGreaterThanOrEqual(5);
  });

  it('a page without isolation has one thread, its own, and says why there are no more', async () => {
    expect(await ask('plain', 'plain')).toEqual({
      defaults: { threads: 1, isolated: false },
      bits,
      two: { ...refusal, message: expect.stringMatching(/Cross-Origin-Opener-Policy.*\{ threads: 1 \}/) },
      short: 5,
    });
  });

  it('a page that forbids workers computes with one thread, its own', async () => {
    const two = { ...refusal, message: expect.stringMatching(/failed.*\{ threads: 1 \}/) };
    expect(await ask('workerless', 'workerless')).toEqual({ bits, two, after: bits });
  });

  it('a page that forbids workers of blobs has one thread, and says so; as many as are asked for with a file of its own', async () => {
    const policy = /worker-src blob:.*tensegrity\/wasm\/worker\.js/;
    expect(await ask('blobless', 'blobless')).toEqual({
      unasked: { result: { bits, threads: 1 }, said: [expect.stringMatching(policy)] },
      two: { ...refusal, message: expect.stringMatching(policy) },
      fromFile: { bits, workers: 2 },
      absent: { ...refusal, message: expect.stringMatching(policy) },
    });
  });

  it('a page that forbids WebAssembly computes on the cpu backend, and says what would allow it', async () => {
    expect(await ask('wasmless', 'wasmless')).toEqual({
      result: { values: [2, 3], name: 'cpu' },
      said: [expect.stringMatching(/cpu backend.*Content Security Policy.*'wasm-unsafe-eval'.*useBackend\('cpu'\)/is)],
    });
  });

  it('a thread that fails while others wait for it is an error, and a new backend works', async () => {
    const failed = { ...refusal, message: expect.stringMatching(/pulled the plug.*useBackend\('wasm'\)/) };
    expect(await ask('isolated', 'failing')).toEqual({ failed, after: bits });
  });
});
