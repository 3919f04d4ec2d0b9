import { named, shown } from '../engine/arguments.ts';
import { TensegrityError } from '../engine/errors.ts';
import { columns } from './table.ts';

/** A wrong call of the command: exit code 2. */
export class UsageError extends TensegrityError {
  constructor(message: string) {
    super('argument', message);
  }
}

interface OptionRow {
  readonly type: 'string' | 'boolean';
  /** One letter, for one dash. */
  readonly short?: string;
  /** What the help shows for the value. */
  readonly value?: string;
  /** Whether it may be given more than once; the values are joined by commas then. */
  readonly many?: boolean;
  /** Whether it may stand alone, without its value; its text is empty then, and counts as no choice. */
  readonly bare?: boolean;
  readonly help: string;
}

/** Options by name, as the help lists them. */
export type OptionTable = Readonly<Record<string, OptionRow>>;

type Rows = readonly (readonly [left: string, right: string])[];

export interface Command {
  readonly summary: string;
  /** After the command's name. */
  readonly usage: string;
  /** Positional arguments, how many are needed and how many taken. */
  readonly positionals?: readonly [least: number, most: number];
  readonly options: OptionTable;
  /** Further lists of names and what they mean, by heading. */
  readonly about?: Readonly<Record<string, Rows>>;
  readonly examples: Rows;
  /** Resolves to the exit code, where it is not 0. */
  readonly run: (input: Input) => Promise<number | void>;
}

/** Options that every command has. */
export const commonOptions: OptionTable = {
  json: { type: 'boolean', help: 'print JSON, for programs' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
  debug: { type: 'boolean', help: 'print the stack of an error' },
};

/** A finite number as people write it; NaN for anything else. */
export function decimal(text: string): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : NaN;
}

/** The words of a call, checked against a command's table. Of an option that is given twice the last counts, unless it may be given many times. */
export class Input {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  constructor(positionals: readonly string[], values: Readonly<Record<string, string | boolean | undefined>>) {
    this.positionals = positionals;
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** Undefined where the option was not given, so that a default further in holds. */
  flag(name: string): boolean | undefined {
    const value = this.#values[name];
    return typeof value === 'boolean' ? value : undefined;
  }

  /** @throws UsageError for something that is no number. */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = decimal(text);
    if (Number.isNaN(value)) throw new UsageError(`--${name} takes a number, got ${shown(text)}`);
    return value;
  }

  /** @throws UsageError for anything but a whole number ≥ `least`. */
  whole(name: string, least = 0): number | undefined {
    const value = this.number(name);
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
      throw new UsageError(`--${name} takes a whole number ≥ ${least}, got ${this.text(name)}`);
    return value;
  }

  /** @throws UsageError for options that are given and would count for nothing: `why` says so. */
  refuse(names: readonly string[], why: string): void {
    const given = names.filter((name) => this.#values[name] !== undefined);
    if (given.length > 0) throw new UsageError(`${why}; leave out ${given.map((name) => `--${name}`).join(', ')}`);
  }

  /** One of a list of names. @throws UsageError for any other word. */
  choice<Name extends string>(name: string, names: readonly Name[]): Name | undefined {
    const text = this.text(name);
    return text === undefined || text === '' ? undefined : chosen(`--${name}`, text, names);
  }
}

/** @throws UsageError unless `text` is one of `names`, with the nearest of them. */
export function chosen<Name extends string>(what: string, text: string, names: readonly Name[]): Name {
  const found = names.find((candidate) => candidate === text);
  if (found === undefined) throw new UsageError(`${what} is one of ${names.join(', ')}; got ${shown(text)}${suggestion(text, names)}`);
  return found;
}

/** What `action` comes to, if it is a promise in time, with `fault` throwing something else in place of what it throws. */
export function faulting<T>(action: () => T, fault: (cause: unknown) => never): T {
  try {
    const result = action();
    // A promise stays what it is, but for what it rejects with.
    return result instanceof Promise ? (result.catch(fault) as T) : result;
  } catch (cause) {
    return fault(cause);
  }
}

/** What `action` complains about in its arguments was wrong in the call; `worded` may say it in the call's words. */
export function asUsage<T>(action: () => T, worded = (message: string): string => message): T {
  return faulting(action, (cause) => {
    throw cause instanceof TensegrityError && cause.code === 'argument' ? new UsageError(worded(cause.message)) : cause;
  });
}

/** @throws UsageError naming the word that is wrong, with the nearest right one. */
export function parseInput(words: readonly string[], name: string, { options, positionals: [least, most] = [0, 0] }: Command): Input {
  const table: OptionTable = { ...options, ...commonOptions };
  const positionals: string[] = [];
  const values: Record<string, string | boolean> = {};
  const fail = (message: string): never => {
    throw new UsageError(`${message}; see tensegrity ${name} --help`);
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--') {
      positionals.push(...words.slice(at + 1));
      break;
    }
    const [, dashes, given, inline] = /^(--?)([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (given === undefined) {
      positionals.push(word);
      continue;
    }
    const option = dashes === '--' ? given : Object.keys(table).find((candidate) => table[candidate]!.short === given);
    if (option === undefined || !Object.hasOwn(table, option))
      return fail(`${name} has no option ${named(dashes + given)}${nearest(given, table)}`);
    const { type, value: form = 'X', many = false, bare = false } = table[option]!;
    if (type === 'boolean') {
      if (inline !== undefined) fail(`--${option} takes no value, got ${shown(inline)}`);
      values[option] = true;
      continue;
    }
    const next = words[at + 1];
    if (bare && inline === undefined && (next === undefined || /^-[^\d.]/.test(next))) {
      values[option] = '';
      continue;
    }
    const value = inline ?? words[++at];
    const needed = `--${option} needs a value: --${option} ${form}`;
    if (value === undefined) return fail(needed);
    if (value === '') fail(`${needed}; it was given an empty one`);
    if (inline === undefined && /^-[^\d.]/.test(value))
      fail(`${needed}; after it comes ${shown(value)}, an option (a value that begins so is written --${option}=${named(value)})`);
    values[option] = many && values[option] !== undefined ? `${values[option]},${value}` : value;
  }
  if (positionals.includes('')) fail(`the name of a file is empty`);
  if (values['help'] !== true && (positionals.length < least || positionals.length > most)) {
    const expected =
      most === 0
        ? 'no files'
        : least === most
          ? `${least} ${least === 1 ? 'file' : 'files or names'}`
          : most === Infinity
            ? `${least} files or names at least`
            : `${least} to ${most} files or names`;
    fail(
      `${name} takes ${expected}, got ${positionals.length === 0 ? 'none' : positionals.map((positional) => named(positional)).join(' ')}`,
    );
  }
  return new Input(positionals, values);
}

/** What may have been meant by an option that there is not. */
function nearest(given: string, table: OptionTable): string {
  const has = (option: string): boolean => Object.hasOwn(table, option);
  if (has(`no-${given}`)) return `: it is on unless --no-${given} is given`;
  const positive = given.replace(/^no-/, '');
  if (positive !== given && has(positive)) return `: leave out --${positive}`;
  // One that begins likewise, or whose help says the word.
  const wanted = given.toLowerCase();
  const word = new RegExp(`\\b${wanted.replaceAll(/\W+/g, ' ')}\\b`);
  const tests: ((option: string) => boolean)[] = [
    (option) => option.startsWith(wanted) || (option.length > 2 && wanted.startsWith(option)),
    (option) => word.test(table[option]!.help),
  ];
  const like = wanted.length > 2 && tests.map((test) => Object.keys(table).find(test)).find((option) => option !== undefined);
  return like ? `; did you mean --${like}?` : suggestion(wanted, Object.keys(table), '--');
}

/** '; did you mean …?', of the nearest of `names`, if one is near. */
export function suggestion(word: string, names: readonly string[], prefix = ''): string {
  const [best] = names.map((name) => ({ name, distance: editDistance(word, name) })).sort((a, b) => a.distance - b.distance);
  return best && best.distance < word.length && best.distance <= Math.max(2, word.length / 3)
    ? `; did you mean ${prefix}${best.name}?`
    : '';
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** What `--help` prints for a command. */
export function helpOf(name: string, { summary, usage, options, about, examples }: Command): string {
  const rows = Object.entries({ ...options, ...commonOptions }).map(
    ([option, { value, short, help }]) => [`${short ? `-${short}, ` : ''}--${option}${value ? ` ${value}` : ''}`, help] as const,
  );
  const lists = Object.entries({ options: rows, ...about, examples }).map(([heading, list]) =>
    [`${heading}:`, ...columns(list)].join('\n'),
  );
  return [summary, `usage: tensegrity ${name} ${usage}`, ...lists].join('\n\n');
}
