/** Runs of the command on the GPU: to the end, moved from and to another backend, and when the GPU is lost. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FeatureScores } from '../../models/train/evaluate.ts';
import { gpu } from '../engine/backends/webgpu/gpu.ts';
import { Call, command, smallData, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
/** Of processes that have the GPU. */
const env = { ...process.env, NODE_OPTIONS: `--import=${new URL('../support/dawn.ts', import.meta.url).href}` };
const settings = ['--batch', '16', '--expander', '24-16', '--epochs', '2', '--checkpoint-every', '1'];
const json = <Value>(run: string, name: string): Value => JSON.parse(readFileSync(join(run, name), 'utf8')) as Value;
const losses = (run: string): number[] =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { loss: number }).loss);

describe.runIf(gpu)('tensegrity train on webgpu', () => {
  const reference = join(folder, 'reference');
  let data: string[];
  beforeAll(async () => {
    gpu?.dispose();
    data = await smallData(folder, 96);
    await succeeds(['train', ...data, ...settings, '--out', reference]);
  });

  /** That a run ended where the one on wasm did. */
  function expectSameEnd(run: string): void {
    const [actual, expected] = [losses(run), losses(reference)];
    expect(actual).toHaveLength(12);
    for (const [i, loss] of actual.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(2e-3);
    const [scores, wanted] = [run, reference].map((each) => json<Record<string, FeatureScores>>(each, 'results.json'));
    expect(Object.keys(scores!)).toEqual(Object.keys(wanted!));
    // A point, but of 48 images at least one.
    for (const [name, { nearest }] of Object.entries(scores!)) expect(Math.abs(nearest! - wanted![name]!.nearest!)).toBeLessThan(0.03);
  }

  it('keeps its checkpoint when the GPU is lost, and names the command that goes on without it', async () => {
    const run = join(folder, 'lost');
    const preload = ['--import', new URL('loseDevice.mjs', import.meta.url).href];
    const [program = '', ...before] = command;
    const call = new Call(
      ['train', ...data, ...settings, '--out', run, '--backend', 'webgpu', '--json'],
      { env: { ...env, LOSE_AFTER: '3' } },
      [program, ...preload, ...before],
    );
    const { code, stderr } = await call.finished;
    expect([code, stderr]).toEqual([1, expect.stringContaining('"error"')]);
    const { error } = JSON.parse(stderr.trim().split('\n').at(-1)!) as { error: { code: string; message: string } };
    expect(error.code).toBe('backend');
    const said =
      /the GPU device was lost .*\. The checkpoint of step (\d) is kept; resume with: tensegrity (train --resume \S+ --backend wasm)$/.exec(
        error.message,
      );
    expect(said, error.message).not.toBeNull();
    const [, step = '', words = ''] = said!;
    // That of the step before, if the GPU was lost while step 3's was written.
    expect(['2', '3']).toContain(step);

    const { stdout } = await succeeds(words.split(' '));
    expect(stdout).toContain(`moved from webgpu to wasm after step ${step}: `);
    expect(json(run, 'config.json')).toMatchObject({
      backend: { name: 'wasm' },
      before: [{ name: 'webgpu', deterministic: false, until: Number(step) }],
    });
    expectSameEnd(run);
  }, 300_000);

  it('goes on with a run of wasm, to its scores', async () => {
    const run = join(folder, 'moved');
    const call = new Call(['train', ...data, ...settings, '--out', run, '--json']);
    await call.step(2);
    call.kill('SIGINT');
    await call.finished;
    const { stdout } = await succeeds(['train', '--resume', run, '--backend', 'webgpu'], { env });
    expect(stdout).toMatch(/^moved from wasm to webgpu after step \d+: /m);
    expectSameEnd(run);
  }, 300_000);
});
