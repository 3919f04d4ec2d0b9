import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { html, shownNumber } from '../../../cli/pages/html.ts';
import { page } from '../../../cli/pages/page.ts';
import { COLOURS, PAPER } from '../../../cli/pages/palette.ts';
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

describe('colours', () => {
  type Triple = readonly [number, number, number];
  const linear = (colour: string): Triple =>
    [1, 3, 5].map((at) => {
      const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    }) as unknown as Triple;
  const times = (matrix: readonly Triple[], [x, y, z]: Triple): Triple =>
    matrix.map(([a, b, c]) => a * x + b * y + c * z) as unknown as Triple;
  /** WCAG 2.2's ratio. */
  const contrast = (a: string, b: string): number => {
    const luminance = (colour: string): number => times([[0.2126, 0.7152, 0.0722]], linear(colour))[0]!;
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (light + 0.05) / (dark + 0.05);
  };
  /** How those see who lack one kind of cone. (G. Machado, M. Oliveira & L. Fernandes, 2009, severity 1) */
  const eyes: Readonly<Record<string, readonly Triple[]>> = {
    protanopia: [
      [0.152286, 1.052583, -0.204868],
      [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998],
    ],
    deuteranopia: [
      [0.367322, 0.860646, -0.227968],
      [0.280085, 0.672501, 0.047413],
      [-0.01182, 0.04294, 0.968881],
    ],
    tritanopia: [
      [1.255528, -0.076749, -0.178779],
      [-0.078411, 0.930809, 0.147602],
      [0.004733, 0.691367, 0.3039],
    ],
  };
  /** CIE 1976 L*a*b*, where two colours differ by their distance; 2 is just seen. */
  const lab = (rgb: Triple): Triple => {
    const matrix: readonly Triple[] = [
      [0.4124, 0.3576, 0.1805],
      [0.2126, 0.7152, 0.0722],
      [0.0193, 0.1192, 0.9505],
    ];
    const [x, y, z] = times(matrix, rgb.map((value) => Math.min(1, Math.max(0, value))) as unknown as Triple);
    const root = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
    const [fx, fy, fz] = [root(x / 0.95047), root(y), root(z / 1.08883)];
    return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)];
  };

  it.each([
    ['light', 0],
    ['dark', 1],
  ] as const)('are told apart on %s paper, also without one kind of cone, and from the paper', (_, side) => {
    const colours = COLOURS.map((pair) => pair[side]);
    const paper = PAPER.paper[side];
    for (const colour of colours) expect(contrast(colour, paper), colour).toBeGreaterThan(3);
    for (const text of [PAPER.ink[side], PAPER.faint[side]]) expect(contrast(text, paper), text).toBeGreaterThan(4.5);
    for (const [eye, matrix] of Object.entries(eyes)) {
      const seen = colours.map((colour) => lab(times(matrix, linear(colour))));
      for (const [i, a] of seen.entries())
        for (const b of seen.slice(0, i))
          expect(Math.hypot(...a.map((value, k) => value - b[k]!)), `${eye}: ${colours[i]}`).toBeGreaterThan(20);
    }
  });
});
