import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { property, propertyTogether } from '../support/property.ts';

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

describe('propertyTogether', () => {
  afterEach(() => {
    delete process.env['FC_SEED'];
    delete process.env['FC_PATH'];
  });
  const above = (limit: number) => (values: readonly [number][]) => values.map(([value]) => (value > limit ? `${value} is large` : null));

  it('gives the draws that fast-check gives one by one, all at once', async () => {
    process.env['FC_SEED'] = '17';
    const [oneByOne, together]: number[][] = [[], []];
    await property([fc.nat()], (value) => void oneByOne!.push(value));
    await propertyTogether([fc.nat()], 30, async (values) => {
      together!.push(...values.map(([value]) => value));
      return values.map(() => null);
    });
    expect(together).toEqual(oneByOne!.slice(0, 30));
  });

  it('makes what fails small, and says how to replay it', async () => {
    const sizes: number[] = [];
    const faults = async (values: readonly [number][]) => {
      sizes.push(values.length);
      return above(1000)(values);
    };
    const message = await propertyTogether([fc.nat()], 50, faults).then(String, String);
    expect(message).toContain('Counterexample: [1001]');
    expect([sizes[0], new Set(sizes.slice(1))]).toEqual([50, new Set([1])]);
    const replay = /FC_SEED=(-?\d+) FC_PATH=(\S+)/.exec(message);
    [process.env['FC_SEED'], process.env['FC_PATH']] = [replay?.[1], replay?.[2]];
    await expect(propertyTogether([fc.nat()], 50, async (values) => above(1000)(values))).rejects.toThrow('Counterexample: [1001]');
  });

  it('is not content with what fails only in company', async () => {
    const faults = async (values: readonly [number][]) => (values.length > 1 ? above(1000)(values) : [null]);
    await expect(propertyTogether([fc.nat()], 50, faults)).rejects.toThrow(
      /draw \d+ of 50 fails, but not by itself: .*large\nReplay: FC_SEED=/,
    );
  });
});
