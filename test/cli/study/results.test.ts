import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CURVE_POINTS,
  markdownOf,
  printedTables,
  shownStatistic,
  statisticOf,
  tableOf,
  twoSidedTableOf,
} from '../../../cli/study/results.ts';
import { ablateExample, compareExample } from './example.ts';

describe('a statistic over seeds', () => {
  it('is mean and unbiased deviation, whatever is added to or multiplied with the numbers', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 6 }),
        fc.integer({ min: -9, max: 9 }),
        (values, shift) => {
          const [plain, moved] = [statisticOf(values)!, statisticOf(values.map((value) => 2 * value + shift))!];
          expect(moved.mean).toBeCloseTo(2 * plain.mean + shift, 9);
          expect(moved.deviation).toBeCloseTo(2 * plain.deviation!, 9);
          const pairs = values.flatMap((a) => values.map((b) => (a - b) ** 2));
          // The variance is half the mean squared difference of two different ones.
          expect(plain.deviation! ** 2).toBeCloseTo(
            pairs.reduce((sum, square) => sum + square, 0) / (2 * values.length * (values.length - 1)),
            9,
          );
        },
      ),
    ));

  it('is of the numbers that are there', () => {
    expect(statisticOf([null, undefined, Number.NaN])).toBeNull();
    expect(statisticOf([0.5, null])).toEqual({ mean: 0.5, deviation: null, count: 1 });
    expect(shownStatistic(statisticOf([0.8, 0.81]), { kind: 'share', digits: 1 })).toBe('80.5 ± 0.7');
    expect(shownStatistic(statisticOf([31]), { kind: 'number', digits: 1 })).toBe('31.0');
    expect(shownStatistic(null, { kind: 'share', digits: 1 })).toBe('–');
  });
});

describe('the tables', () => {
  it('have a row for each row, with what the monitor and the paper say where they say anything', () => {
    const { header, rows } = tableOf(compareExample);
    expect(header).toEqual(['', 'linear (GAP)', 'RankMe', 'the monitor says']);
    expect(rows.map(([title]) => title)).toEqual(compareExample.rows.map(({ title }) => title));
    expect(rows[0]).toEqual(['VICReg', '83.0 ± 0.4', '30.5 ± 0.7', '']);
    expect(rows[2]!.at(-1)).toBe('collapsed');
    expect(tableOf(ablateExample).header).toContain('paper');
    expect(tableOf(ablateExample).rows[2]!.slice(-2)).toEqual(['collapse', 'collapsed (1 of 2)']);
  });

  it('have two sides where rows have', () => {
    expect(twoSidedTableOf(compareExample)).toBeNull();
    expect(twoSidedTableOf(ablateExample)).toEqual({
      header: ["linear (GAP) (the paper's)", 'none', '+ variance'],
      rows: [
        ['SimSiam', '80.5 ± 0.7 (67.9)', '81.5 ± 0.7 (68.1)'],
        ['VICReg', '52.5 ± 3.5, collapsed (1 of 2) (collapse)', '80.0 (57.5)'],
      ],
    });
  });

  it('are printed, and written as Markdown with what makes them', () => {
    for (const results of [compareExample, ablateExample]) {
      for (const text of [printedTables(results), markdownOf(results)]) {
        expect(text).not.toMatch(/NaN|undefined|null|\[object/);
        for (const { title } of results.rows) expect(text).toContain(title);
        for (const { cells } of results.rows) for (const { curve } of cells) expect(curve.length).toBeLessThanOrEqual(CURVE_POINTS);
      }
      expect(markdownOf(results)).toContain(`\`${results.command}\``);
      const [column, ...others] = results.columns;
      expect(markdownOf({ ...results, columns: [{ ...column!, title: '|corr|' }, ...others] })).toContain('| \\|corr\\| |');
      expect(markdownOf(results)).toContain(`${results.done} of ${results.total} cells are done`);
    }
  });
});
