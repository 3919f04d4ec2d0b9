import { visible } from '../../engine/errors.ts';

/** HTML or SVG that may be put into a page as it is: only {@link html} makes it. */
export class Html {
  readonly text: string;

  /** Of text that is HTML already; all that comes from a file or a person goes through {@link html}. */
  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What a template takes: text and numbers are escaped, HTML stays, lists are joined, null is nothing. */
export type Content = string | number | Html | null | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function rendered(content: Content): string {
  if (content === null) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(rendered).join('');
  return visible(String(content)).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/**
 * A piece of a page: what is put between the template's own text is escaped, in elements and in quoted attributes alike, so that no name of a file, a
 * data set or a class is ever read as markup, and what would turn or hide text is shown as \u{…}.
 */
export function html(template: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(template.map((text, i) => text + (i < contents.length ? rendered(contents[i]!) : '')).join(''));
}

/** A number for people: four digits that count; – for one that is not there, and what is not finite by its sign. */
export function shownNumber(value: number | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  const [size, short] = [Math.abs(value), Number(value.toPrecision(4))];
  if (!Number.isFinite(short)) return short > 0 ? '∞' : '−∞';
  return (size !== 0 && (size < 1e-4 || size >= 1e7) ? short.toExponential() : String(short)).replaceAll('-', '−');
}

/** A count, with a thin space between thousands. */
export function shownCount(count: number): string {
  return count.toLocaleString('en').replaceAll(',', '\u202f');
}
