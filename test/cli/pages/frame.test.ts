import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { html, shownNumber } from '../../../cli/pages/html.ts';
import { page } from '../../../cli/pages/page.ts';
import { dataTable } from '../../../cli/pages/table.ts';
import { property } from '../../support/property.ts';
import { expectWhole, textsOf } from './support.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onload='",
    '</style><b>',
    '&lt;',
    '\u202egnp.exe',
    '\u0000\u001b[2J',
  ),
);
const decoded = (text: string): string =>
  ['lt <', 'gt >', 'quot "', "#39 '", 'amp &'].reduce((all, pair) => all.replaceAll(`&${pair.split(' ')[0]};`, pair.split(' ')[1]!), text);

describe('html', () => {
  it('shows any text as that text, in elements and in attributes', () =>
    property([hostile], (text) => {
      const { text: made } = html`<p title="${text}">${text}</p>`;
      const [, attribute, content] = /^<p title="([^"<>']*)">([^"<>']*)<\/p>$/s.exec(made)!;
      expect(attribute).toBe(content);
      // What a terminal would not show is spelled, so that nothing is hidden or turned.
      expect(decoded(content!)).not.toMatch(/[\p{Cc}\p{Cf}](?<!\n)/u);
      if (/^[\x20-\x7e]*$/.test(text)) expect(decoded(content!)).toBe(text);
    }));

  it('joins lists, leaves HTML as it is, and null out', () => {
    expect(html`<p>${['a', 1, html`<b>${'<'}</b>`, null, [' & ']]}</p>`.text).toBe('<p>a1<b>&lt;</b> &amp; </p>');
  });

  it.each([
    [0, '0'],
    [0.123456, '0.1235'],
    [-12345.6, '−12350'],
    [1e-9, '1e−9'],
    [2.5e12, '2.5e+12'],
    [NaN, '–'],
    [undefined, '–'],
    [Infinity, '∞'],
    [-Infinity, '−∞'],
  ])('shows %s as %s', (value, text) => expect(shownNumber(value)).toBe(text));
});

describe('page', () => {
  it('is whole whatever it is given', () =>
    property([hostile, hostile], (name, value) => {
      const whole = page({
        title: name,
        subtitle: value,
        verdict: { kind: 'bad', text: value },
        sections: [
          {
            title: value,
            text: name,
            content: dataTable({ caption: name, columns: [{ name }, { name: value, text: true }], rows: [[name, value]] }),
          },
          null,
        ],
      });
      expectWhole(whole);
      expect(textsOf(whole, 'h2')).toHaveLength(1);
    }));

  it('forbids whatever is not in it', () => {
    expect(page({ title: 'x', sections: [] })).toContain(
      `content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:"`,
    );
  });
});

describe('dataTable', () => {
  it('has numbers to the right, names to the left, a star beside the best', () => {
    const { text } = dataTable({
      columns: [{ name: 'a' }, { name: 'b', unit: '%' }, { name: 'c', text: true }],
      rows: [['head'], ['row', { content: '1.0', best: true }, 'words'], ['row', null, NaN]],
    });
    expect(text).toContain('<th scope="col">b<small>%</small></th><th scope="col" class="l">c</th>');
    expect(text).toContain('<tr class="group"><th scope="rowgroup" class="l" colspan="3">head</th></tr>');
    expect(text).toContain('<th scope="row" class="l">row</th><td class="best">1.0</td><td class="l">words</td>');
    expect(text).toContain('<td>–</td><td class="l">–</td>');
  });
});
