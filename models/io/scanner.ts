import { TensegrityError } from '../../engine/core.ts';

const WHITESPACE = /[ \t\n\r]*/y;
const WHOLE_NUMBER = /(?:0|[1-9]\d*)/y;

/**
 * Reads the small literals that file headers are written in (JSON, Python), left to right, without recursion or backtracking,
 * so that a hostile header costs no more than its length. Every failure is a TensegrityError `format` that says where.
 */
export class Scanner {
  readonly #text: string;
  readonly #what: string;
  #at = 0;

  /** @param what names the file's kind in messages. */
  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  fail(expected: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 24)) : 'its end';
    throw new TensegrityError('format', `${this.#what}: expected ${expected} at character ${this.#at} of the header, found ${found}`, {
      at: this.#at,
    });
  }

  /** The text that a sticky pattern matches here, after any white space. */
  match(pattern: RegExp, expected: string): string {
    this.#matchHere(WHITESPACE);
    return this.#matchHere(pattern) ?? this.fail(expected);
  }

  /** Whether `literal` comes next; steps over it if so. */
  accept(literal: string): boolean {
    this.#matchHere(WHITESPACE);
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  expect(literal: string): void {
    if (!this.accept(literal)) this.fail(`'${literal}'`);
  }

  /** The next character that is not white space, left where it is; '' at the end. */
  peek(): string {
    this.#matchHere(WHITESPACE);
    return this.#text.charAt(this.#at);
  }

  end(): void {
    if (this.peek() !== '') this.fail('the end');
  }

  /** A whole number ≥ 0 that a double holds exactly. */
  wholeNumber(): number {
    const value = Number(this.match(WHOLE_NUMBER, 'a whole number ≥ 0'));
    return Number.isSafeInteger(value) ? value : this.fail('a whole number below 2^53');
  }

  /** A JSON string, its escapes resolved. */
  jsonString(): string {
    if (this.peek() !== '"') this.fail('a string in double quotes');
    const start = this.#at;
    let end = start;
    let backslashes = 0;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) this.fail('a string that is closed');
      backslashes = 0;
      while (this.#text[end - 1 - backslashes] === '\\') backslashes++;
    } while (backslashes % 2 === 1);
    try {
      const value: unknown = JSON.parse(this.#text.slice(start, end + 1));
      if (typeof value === 'string') {
        this.#at = end + 1;
        return value;
      }
    } catch {
      // A control character or a bad escape: the same complaint as for anything else that is no string.
    }
    return this.fail('a valid JSON string');
  }

  /** Items between `open` and `close`, separated by commas. */
  list<T>(open: string, close: string, item: () => T, trailingComma = false): T[] {
    const items: T[] = [];
    this.expect(open);
    if (this.accept(close)) return items;
    do {
      items.push(item());
      if (!this.accept(',')) break;
    } while (!(trailingComma && this.peek() === close));
    this.expect(close);
    return items;
  }

  /** `{key: value, …}` in the order written; a key that comes twice fails. */
  dictionary<T>(key: () => string, value: (key: string) => T, trailingComma = false): Map<string, T> {
    const entries = new Map<string, T>();
    this.list(
      '{',
      '}',
      () => {
        const name = key();
        if (entries.has(name)) this.fail(`each name once, not '${name}' again`);
        this.expect(':');
        entries.set(name, value(name));
      },
      trailingComma,
    );
    return entries;
  }

  #matchHere(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}
