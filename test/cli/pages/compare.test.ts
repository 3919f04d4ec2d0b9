import { describe, expect, it } from 'vitest';
import { comparePage } from '../../../cli/pages/compare.ts';
import type { StudyResults } from '../../../cli/study/results.ts';
import { ablateExample, compareExample } from '../study/example.ts';
import { expectWhole, textsOf } from './support.ts';

const whole = (results: StudyResults): string => {
  const text = comparePage(results);
  expectWhole(text);
  return text;
};

describe('the page of a study', () => {
  it('of methods has their scores by what they are, the best marked, and how each trained', () => {
    const text = whole(compareExample);
    expect(textsOf(text, 'h2')).toEqual([
      'Scores',
      'The scores as pictures',
      'While they trained',
      'Spectra of the features',
      'Settings',
      'How it was made',
    ]);
    expect(text).toContain('8 of 12 cells are done; DINO: collapsed');
    for (const kind of ['learned without labels', 'learned with all labels', 'not learned', 'no encoder'])
      expect(text).toContain(`<tr class="group"><th scope="rowgroup" class="l" colspan="5">${kind}</th></tr>`);
    expect(text).toContain('<th scope="row" class="l">VICReg</th><td class="best">83.0 ± 0.4</td>');
    expect(text).toContain('<th scope="row" class="l">SimSiam</th><td>80.1</td>');
    // The supervised encoder is no method, and what has collapsed is not the best, whatever its scores.
    expect([...text.matchAll(/class="best"/g)]).toHaveLength(2);
    expect(text).toMatch(/aria-label="linear \(GAP\): VICReg 83 ± 0\.4243, SimSiam 80\.1, DINO 10,/);
  });

  it("of two sides has them at a glance, beside the paper's", () => {
    const text = whole(ablateExample);
    expect(textsOf(text, 'h2')[0]).toBe('At a glance');
    expect(text).toContain('52.5 ± 3.5, collapsed (1 of 2) (collapse)');
  });

  it('of settings along an axis has the trend, ours and that of the paper', () => {
    const along = ablateExample.rows.map((row, i) => ({ ...row, group: null, variant: null, at: 64 * 2 ** i, published: 60 + i }));
    const text = whole({ ...ablateExample, rows: along });
    expect(textsOf(text, 'h2')).toContain('The trend');
    expect(text).toContain('linear probe, ImageNet from 60 to 63');
    for (const tick of [64, 128, 256, 512]) expect(text).toContain(`text-anchor="middle">${tick}</text>`);
    whole({ ...ablateExample, rows: along.map((row) => ({ ...row, published: null })) });
  });

  it('holds before anything is done, and for scores that are no numbers', () => {
    const empty = compareExample.rows.map((row) => ({ ...row, cells: [], values: {} }));
    expect(whole({ ...compareExample, rows: empty, done: 0 })).toContain('0 of 12 cells are done');
    whole({ ...compareExample, rows: [], done: 0, total: 0 });
    const lost = compareExample.rows.map((row) => ({
      ...row,
      values: { linear: null, rankme: null },
      cells: row.cells.map((cell) => ({
        ...cell,
        values: { linear: null },
        curve: cell.curve.map((point) => ({ ...point, deviation: null })),
      })),
    }));
    whole({ ...compareExample, rows: lost });
  });

  it('holds for names that are markup', () => {
    const hostile = '</td><script>alert(1)</script>"\u202e';
    const text = whole({
      ...compareExample,
      title: hostile,
      command: hostile,
      notes: [hostile],
      data: { ...compareExample.data, name: hostile },
      columns: compareExample.columns.map((column) => ({ ...column, title: hostile, description: hostile })),
      rows: compareExample.rows.map((row) => ({
        ...row,
        title: hostile,
        settings: row.settings && { ...row.settings, [hostile]: hostile },
      })),
    });
    expect(textsOf(text, 'h1')).toEqual(['&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;\\u{202e}']);
  });
});
