/** All that the command prints goes through here, so that no name from a file can steer the terminal. */
import { visible } from '../engine/errors.ts';

export function print(text: string): void {
  console.log(visible(text));
}

/** Says something on standard error. */
export function complain(text: string): void {
  console.error(visible(text));
}

/** Says on standard error what concerns the results and is none of them: where a program reads, as the messages of `train --json`. */
export function remark(message: string): void {
  complain(process.argv.includes('--json') ? jsonOf({ event: 'message', message }) : message);
}

/** JSON without what a terminal takes for more than text: as it is all within strings, escapes say the same. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{C}\u2028\u2029]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** '1 epoch', '2 epochs'. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** A path as a word of a command that can be copied into a shell. */
export function shellWord(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path;
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const quoted = word.replaceAll("'", "'\\''");
  if (visible(word) === word && !word.includes('\n')) return `'${quoted}'`;
  // What a terminal does not show, by its bytes (bash, zsh, ksh; POSIX from 2024 on).
  const bytes = Array.from(new TextEncoder().encode(word), (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  );
  return `$'${bytes.join('')}'`;
}
