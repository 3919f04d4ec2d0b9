import { beforeAll, describe, expect, it } from 'vitest';
import { type Asked, casesOf, type Verdicts } from './verdicts.ts';

/** Draws of a case: Node draws many more of them, on the same kernels. */
const COUNT = 4;

/** Declares a test for each case of the table that another runtime is asked for, all at once. */
export function testTable(ask: (asked: Asked) => Promise<unknown>): void {
  const seed = Number(process.env['FC_SEED'] ?? (Math.random() * 2 ** 31) | 0);
  describe.each(['values', 'gradients'] as const)('%s of', (what) => {
    let verdicts: Verdicts = {};
    beforeAll(async () => {
      verdicts = (await ask({ what, seed, count: COUNT })) as Verdicts;
    }, 300_000);

    it.each(casesOf(what).map(({ name }) => name))('%s are the reference’s', (name) => {
      expect(verdicts[name], `Replay: FC_SEED=${seed} npx vitest run <file>`).toEqual([]);
    });
  });
}
