import { beforeAll, describe, expect, it } from 'vitest';
import { cases } from '../engine/cases.ts';
import { capability } from '../support/capabilities.ts';
import { type Chromium, findChromium, visit } from './chromium.ts';
import type { Verdicts } from './gpuPage.ts';

const chromium = findChromium();
const available = capability('chromium', 'program' in chromium, 'missing' in chromium ? chromium.missing : '');

/** Draws of a case: Node draws many more of them, on the same kernels. */
const COUNT = 4;

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
  const seed = Number(process.env['FC_SEED'] ?? (Math.random() * 2 ** 31) | 0);

  describe.each(['values', 'gradients'] as const)('%s of', (what) => {
    const tested = cases.filter(({ gradient }) => what === 'values' || gradient);
    let verdicts: Verdicts = {};
    beforeAll(async () => {
      const argument = { what, seed, count: COUNT };
      verdicts = (await visit(chromium as Chromium, {
        site: 'isolated',
        module: 'gpuPage.ts',
        task: 'table',
        argument,
        gpu: true,
        patience: 300_000,
      })) as Verdicts;
    }, 300_000);

    it.each(tested.map(({ name }) => name))('%s are the reference’s', (name) => {
      expect(verdicts[name], `Replay: FC_SEED=${seed} npx vitest run test/browser/gpu.test.ts`).toEqual([]);
    });
  });
});
