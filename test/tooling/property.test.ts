import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { property } from '../support/property.ts';

describe('property', () => {
  afterEach(() => {
    delete process.env['FC_SEED'];
    delete process.env['FC_PATH'];
  });

  it('runs at least 100 cases, whatever is asked', async () => {
    let runs = 0;
    const count = (number: number, flag: boolean): void => {
      if (number >= 0 || flag) runs += 1;
    };
    await property([fc.nat(), fc.boolean()], count, { numRuns: 5 });
    expect(runs).toBe(100);
  });

  it('fails with the seed and the path, which replay the very counterexample', async () => {
    const seen: number[] = [];
    const fails = property([fc.nat()], async (number) => {
      seen.push(number);
      return number < 1000;
    });
    const message = await fails.then(String, String);
    const replay = /FC_SEED=(-?\d+) FC_PATH=(\S+)/.exec(message);
    expect(replay).not.toBeNull();
    process.env['FC_SEED'] = replay?.[1];
    process.env['FC_PATH'] = replay?.[2];
    const again: number[] = [];
    await expect(
      property([fc.nat()], (number) => {
        again.push(number);
        return number < 1000;
      }),
    ).rejects.toThrow('Counterexample');
    expect(again[0]).toBe(1000);
    expect(seen).toContain(1000);
  });
});
