import { describe, expect, it } from 'vitest';
import { testTable } from '../engine/elsewhere.ts';
import { capability } from '../support/capabilities.ts';
import { type Chromium, findChromium, visit } from './chromium.ts';

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');

describe.runIf(available)('a page that is hidden', () => {
  it('goes on training, on the GPU and without it, though no frame is drawn', async () => {
    const asked = { site: 'isolated', module: 'gpuPage.ts', task: 'hidden', gpu: true } as const;
    const { visibility, frames, seen, unseen } = (await visit(chromium as Chromium, asked)) as Record<string, unknown>;
    expect({ visibility, frames }).toEqual({ visibility: ['visible', 'hidden'], frames: 0 });
    expect(unseen).toEqual(seen);
    for (const losses of unseen as number[][]) {
      expect(losses).toHaveLength(10);
      expect(losses.at(-1)).toBeLessThan(losses[0]!);
    }
  });
});

describe.runIf(available)('on the GPU of headless Chromium', () => {
  testTable((argument) =>
    visit(chromium as Chromium, { site: 'isolated', module: 'gpuPage.ts', task: 'table', argument, gpu: true, patience: 300_000 }),
  );
});
