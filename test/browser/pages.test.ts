import { beforeAll, describe, expect, it } from 'vitest';
import { comparePage } from '../../cli/pages/compare.ts';
import { inspectPage } from '../../cli/pages/inspect.ts';
import { runPage } from '../../cli/pages/run.ts';
import { type HostArray, useBackend } from '../../engine/index.ts';
import { trainingConfig } from '../../models/index.ts';
import { ablateExample, compareExample } from '../cli/study/example.ts';
import { gaussian } from '../models/support.ts';
import { capability } from '../support/capabilities.ts';
import { type Chromium, findChromium, visit } from './chromium.ts';

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');
const long = 'a_name_without_any_place_to_break_'.repeat(12);

describe.skipIf(!available)('on a phone, and wide', () => {
  let pages: Readonly<Record<string, string>>;
  beforeAll(async () => {
    await useBackend('cpu');
    const labels: HostArray = { dtype: 'i32', shape: [40], data: Int32Array.from({ length: 40 }, (_, i) => i % 12) };
    const images: HostArray = { dtype: 'u8', shape: [40, 1, 4, 4], data: new Uint8Array(640).fill(99) };
    const lines = Array.from({ length: 30 }, (_, i) => ({
      step: i + 1,
      epoch: 0,
      learningRate: 1e-3,
      loss: 20 / (i + 1),
      parts: { [long]: i },
      deviation: 1,
      normalizedDeviation: 1,
      correlation: 0.1,
      imagesPerSecond: 1e3,
    }));
    const training = trainingConfig();
    pages = {
      run: runPage({ training, source: { data: `/${long}.npy` }, backend: { name: 'wasm', deterministic: false } }, lines, null),
      inspect: await inspectPage({
        path: long,
        z: gaussian(1, [40, 5]),
        second: gaussian(2, [40, 5]),
        labels,
        images,
        metrics: [{ name: long, value: 1, meaning: long }],
        nearest: 0.5,
        verdict: null,
      }),
      compare: comparePage({ ...compareExample, command: long, rows: compareExample.rows.map((row) => ({ ...row, title: long })) }),
      ablate: comparePage(ablateExample),
    };
  });

  it('no page is wider than the window, whatever names are in it', async () => {
    const windows = [390, 1280];
    const measured = await visit(chromium as Chromium, {
      site: 'plain',
      module: 'widths.mjs',
      task: 'widths',
      argument: { pages, windows },
    });
    expect(measured).toEqual(Object.keys(pages).flatMap((name) => windows.map((width) => `${name} at ${width}: ${width}, 1`)));
  });
});
