import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createWasmBackend } from '../../engine/backends/wasm/index.ts';
import type { HostArray } from '../../engine/index.ts';
import { loadPlan } from '../../engine/plan/load.ts';
import { readArray, writeArray, writeSafetensors } from '../../models/io/node.ts';
import { encoders } from '../../models/nn/encoders.ts';
import { fails, succeeds, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const path = (name: string): string => `${folder}/${name}`;

const said: readonly (readonly [string, string])[] = [
  ['encoder', 'small-conv'],
  ['mean', '0.2861'],
  ['deviation', '0.353'],
  ['size', '12,10'],
  ['pixels', 'u8'],
];

async function weights(name: string, metadata = said): Promise<string> {
  await writeSafetensors(path(name), await encoders['small-conv']({ key: 1, inputs: 1 }).stateDict(), metadata);
  return path(name);
}

const pixels = Uint8Array.from({ length: 3 * 120 }, (_, i) => (i * i * 31) % 256);
const images = (count: number): HostArray => ({ dtype: 'u8', shape: [count, 1, 12, 10], data: pixels.slice(0, count * 120) });

describe('tensegrity export', () => {
  it('writes a plan that gives the bits of embed, for as many images a call', async () => {
    const file = await weights('encoder.safetensors');
    const { stdout } = await succeeds(['export', folder, '--to=plan', '--out', path('w.plan'), '--batch=1,3']);
    expect(stdout).toMatch(/w\.plan: \d+ bytes; images u8 \[1, 1, 12, 10\] or u8 \[3, 1, 12, 10\] → \{ features: f32 \[N, 128\] \}/);
    const plan = await loadPlan<{ features: HostArray }>(readFileSync(path('w.plan')), { backend: await createWasmBackend() });
    for (const count of [1, 3]) {
      await writeArray(path('x.npy'), images(count));
      await succeeds(['embed', '--weights', file, path('x.npy'), '--out', path('z.npy')]);
      expect((await plan(images(count))).features).toEqual(await readArray(path('z.npy')));
    }
    plan.dispose();
  });

  it('stores filters as f16 if it is told to, which is half of the bytes', async () => {
    const file = await weights('half.safetensors');
    const words = ['export', file, '--to=plan', '--json', '--out'];
    const sizes: number[] = [];
    const features: number[][] = [];
    for (const precision of ['f32', 'f16']) {
      const { stdout } = await succeeds([...words, path(`${precision}.plan`), '--weights', precision]);
      const report = JSON.parse(stdout) as { readonly bytes: number };
      expect(report).toMatchObject({ arguments: [[{ dtype: 'u8', shape: [1, 1, 12, 10] }]], outputs: [{ features: [1, 128] }] });
      sizes.push(report.bytes);
      features.push([
        ...(await (await loadPlan<{ features: HostArray }>(readFileSync(path(`${precision}.plan`))))(images(1))).features.data,
      ]);
    }
    expect(sizes[1]! / sizes[0]!).toBeLessThan(0.55);
    expect(features[0]).not.toEqual(features[1]);
    for (const [i, value] of features[0]!.entries()) expect(Math.abs(value - features[1]![i]!)).toBeLessThan(1e-3);
  });

  it('takes float images as they are', async () => {
    const file = await weights('floats.safetensors', [['encoder', 'small-conv']]);
    await succeeds(['export', file, '--to=plan', '--out', path('f.plan'), '--size=8', '--pixels=f32']);
    const plan = await loadPlan<{ features: HostArray }>(readFileSync(path('f.plan')));
    expect(plan.signatures).toEqual([[{ dtype: 'f32', shape: [1, 1, 8, 8] }]]);
  });

  it('says what is missing, and writes nothing', async () => {
    const [file, bare, odd] = [
      await weights('w.safetensors'),
      await weights('bare.safetensors', []),
      await weights('odd.safetensors', [...said.slice(0, 3), ['size', '28x28']]),
    ];
    const to = ['--to=plan', '--out', path('none.plan')];
    await Promise.all([
      fails(['export', file], 2, /export needs --to plan\|jax and --out FILE/),
      fails(['export', file, '--to=onyx', '--out', path('none.plan')], 2, /--to is one of plan, jax; got 'onyx'/),
      fails(['export', ...to], 2, /export takes 1/),
      fails(['export', file, ...to, '--batch=0'], 2, /--batch takes whole numbers ≥ 1 separated by commas, got '0'/),
      fails(['export', file, ...to, '--size=1,2,3'], 2, /--size takes a height and a width, as 224 or 28,28, got '1,2,3'/),
      fails(['export', file, ...to, '--weights=f8'], 2, /--weights is one of f32, f16/),
      fails(['export', bare, ...to, '--size=8'], 2, /does not say how images were normalised.*--mean and --deviation/),
      fails(['export', bare, ...to, '--mean=0', '--deviation=1'], 2, /does not say how large its images were.*--size H,W/),
      fails(['export', odd, ...to], 1, /odd\.safetensors: its size must be a height and a width.*28x28.*--size/),
      fails(['export', file, ...to, '--pixels=f32', '--mean=0'], 2, /float images are used as they are; leave out --mean/),
      fails(['export', path('nothing'), ...to], 1, /nothing.*no such file/),
      fails(['export', file, '--to=plan', '--out', file], 2, /is the same file as .*which is read/),
      fails(['export', file, '--to=plan', '--out', path('no/where.plan')], 1, /cannot write .*no such file or folder/),
    ]);
    expect(() => readFileSync(path('none.plan'))).toThrow('ENOENT');
  });
});
