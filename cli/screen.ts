import { visible } from '../engine/errors.ts';
import { terminalWidth, wrapped } from './table.ts';
import { complain, jsonOf, print } from './text.ts';

/** How work shows how it goes: lines that renew themselves on a terminal, a plain line now and then elsewhere, JSON lines for programs, or nothing. */
export class Screen {
  readonly style: 'renewed' | 'plain' | 'json' | 'quiet';
  #shown: readonly string[] = [];

  constructor({ json, quiet }: { readonly json: boolean; readonly quiet: boolean }) {
    this.style = json ? 'json' : quiet ? 'quiet' : process.stdout.isTTY ? 'renewed' : 'plain';
  }

  /** A message of its own line. What a person must know (`urgent`) is said even when all is quiet. */
  say(message: string, { urgent = false, ...fields }: Readonly<Record<string, unknown>> & { readonly urgent?: boolean } = {}): void {
    if (this.style === 'json') this.event('message', { message, ...fields });
    else if (this.style !== 'quiet') process.stdout.write(`${this.#erased()}${visible(message)}\n${this.#shown.join('\n')}`);
    else if (urgent) complain(message);
  }

  /** A line for programs; nothing for people. */
  event(event: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.style === 'json') print(jsonOf({ event, ...fields }));
  }

  /** What goes on now, in pieces: in the place of what went on before; a line of its own where lines stay and `due`. */
  show(pieces: readonly string[], due: boolean): void {
    if (this.style === 'renewed') this.#renew(wrapped(pieces, terminalWidth() - 1, '  '));
    else if (this.style === 'plain' && due) print(pieces.join('  '));
  }

  /** Leaves the lines that renew themselves as they are. */
  end(): void {
    if (this.#shown.length > 0) process.stdout.write('\n');
    this.#shown = [];
  }

  #renew(lines: readonly string[]): void {
    process.stdout.write(this.#erased() + lines.join('\n'));
    this.#shown = lines;
  }

  /** What takes back the lines that are shown. */
  #erased(): string {
    const above = this.#shown.length - 1;
    return above < 0 ? '' : `\r${above > 0 ? `\x1b[${above}A` : ''}\x1b[J`;
  }
}
