import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backlog } from '../../../models/data/backlog.ts';
import { property } from '../../support/property.ts';

/** Work that ends when it is told to, and what has begun of it, in order. */
function manual(count: number, width: number) {
  const begun: number[] = [];
  const ends = new Map<number, { done: () => void; fail: (cause: unknown) => void }>();
  const backlog = new Backlog(count, width, (item) => {
    begun.push(item);
    return new Promise((done, fail) => ends.set(item, { done, fail }));
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const take = (item: number) => {
    const end = ends.get(item)!;
    ends.delete(item);
    return end;
  };
  return {
    backlog,
    begun,
    running: () => [...ends.keys()],
    end: async (item: number) => {
      take(item).done();
      await settle();
    },
    fail: async (item: number, cause: unknown) => {
      take(item).fail(cause);
      await settle();
    },
  };
}

const counts = fc.integer({ min: 1, max: 30 });

describe('a backlog', () => {
  it('does each item once, never more than its width at a time, in whatever order they end, and tells who waits when theirs are done', () =>
    property(
      [
        counts,
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.array(fc.nat(29), { maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat(100)),
      ],
      async (count, width, wishes, choices) => {
        const { backlog, begun, running, end } = manual(count, width);
        const waits = wishes.map((wish) => wish.map((item) => item % count));
        const met = waits.map((items) =>
          backlog.ready(items).then(() => {
            expect(items.every((item) => backlog.has(item))).toBe(true);
          }),
        );
        for (let all = running(); all.length > 0; all = running()) {
          expect(all.length).toBeLessThanOrEqual(width);
          await end(all[choices.next().value! % all.length]!);
        }
        await Promise.all(met);
        expect(begun.toSorted((a, b) => a - b)).toEqual([...new Set(waits.flat())].sort((a, b) => a - b));
      },
    ));

  it('begins with what is waited for, goes on with what is ordered, then with all others, and stands still when nobody wants more', () =>
    property([counts, fc.array(fc.nat(29)), fc.array(fc.nat(29))], async (count, first, order) => {
      const { backlog, begun, running, end } = manual(count, 1);
      const items = (wish: number[]): number[] => wish.map((item) => item % count);
      const met = backlog.ready(items(first));
      const ahead = backlog.ahead(items(order));
      while (running().length > 0) await end(running()[0]!);
      await met;
      ahead[Symbol.dispose]();
      expect(begun).toEqual([...new Set([...items(first), ...items(order), ...Array(count).keys()])]);
      await backlog.ready(items(order));
    }));

  it('lets what is waited for go before what was ordered, and ends what is ordered no more', async () => {
    const { backlog, begun, end } = manual(10, 1);
    const ahead = backlog.ahead([9, 8]);
    expect(begun).toEqual([9]);
    const met = backlog.ready([3, 8]);
    await end(9);
    expect(begun).toEqual([9, 3]);
    ahead[Symbol.dispose]();
    await end(3);
    await end(8);
    await met;
    expect(begun).toEqual([9, 3, 8]);
  });

  it('ends with its first failure, which who waits is told, then and later, but not of what was done before', async () => {
    const { backlog, begun, end, fail } = manual(6, 2);
    const ahead = backlog.ahead([]);
    const [met, unmet] = [backlog.ready([0]), backlog.ready([1, 4])];
    // It is rejected before it is awaited.
    unmet.catch(() => undefined);
    await end(0);
    await met;
    const cause = new Error('gone');
    await fail(1, cause);
    await fail(4, new Error('another'));
    await expect(unmet).rejects.toBe(cause);
    await expect(backlog.ready([5])).rejects.toBe(cause);
    await backlog.ready([0]);
    expect(begun).toEqual([0, 1, 4]);
    ahead[Symbol.dispose]();
  });
});
