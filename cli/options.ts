import { parseArgs } from 'node:util';
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

/** The words of a call, checked against a command's table. */
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
    const value = Number(text);
    if (text.trim() === '' || Number.isNaN(value)) throw new UsageError(`--${name} takes a number, got '${text}'`);
    return value;
  }

  /** @throws UsageError for anything but a whole number ≥ `least`. */
  whole(name: string, least = 0): number | undefined {
    const value = this.number(name);
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
      throw new UsageError(`--${name} takes a whole number ≥ ${least}, got ${this.text(name)}`);
    return value;
  }

  /** One of a list of names; `otherwise` stands in for an option that was not given. @throws UsageError for any other word. */
  choice<Name extends string>(name: string, names: readonly Name[], otherwise?: string): Name | undefined {
    const text = this.text(name) ?? otherwise;
    return text === undefined ? undefined : chosen(`--${name}`, text, names);
  }
}

/** @throws UsageError unless `text` is one of `names`, with the nearest of them. */
export function chosen<Name extends string>(what: string, text: string, names: readonly Name[]): Name {
  const found = names.find((candidate) => candidate === text);
  if (found === undefined) throw new UsageError(`${what} is one of ${names.join(', ')}; got '${text}'${suggestion(text, names)}`);
  return found;
}

/** What `action` complains about in its arguments was wrong in the call. */
export function asUsage<T>(action: () => T): T {
  try {
    const result = action();
    // A promise stays what it is, but for what it rejects with.
    return result instanceof Promise ? (result.catch(fault) as T) : result;
  } catch (cause) {
    return fault(cause);
  }
}

function fault(cause: unknown): never {
  throw cause instanceof TensegrityError && cause.code === 'argument' ? new UsageError(cause.message) : cause;
}

/** @throws UsageError naming the word that is wrong, with the nearest right one. */
export function parseInput(words: readonly string[], name: string, { options, positionals: [least, most] = [0, 0] }: Command): Input {
  const table = { ...options, ...commonOptions };
  const config = Object.fromEntries(
    Object.entries(table).map(([option, { type, short }]) => [option, { type, ...(short !== undefined && { short }) }]),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...words], options: config, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(explain(cause, words, name, Object.keys(table)));
  }
  const { positionals, values } = parsed;
  if (values['help'] !== true && (positionals.length < least || positionals.length > most)) {
    const expected = most === 0 ? 'no files' : least === most ? `${least} files or names` : `${least} to ${most} files or names`;
    throw new UsageError(
      `${name} takes ${expected}, got ${positionals.length === 0 ? 'none' : positionals.join(' ')}; see tensegrity ${name} --help`,
    );
  }
  return new Input(positionals, values as Record<string, string | boolean | undefined>);
}

function explain(cause: unknown, words: readonly string[], name: string, known: readonly string[]): string {
  const option = words.map((word) => /^--([^=]+)/.exec(word)?.[1]).find((given) => given !== undefined && !known.includes(given));
  if (option !== undefined) return `${name} has no option --${option}${suggestion(option, known, '--')}; see tensegrity ${name} --help`;
  const message = cause instanceof Error ? cause.message : String(cause);
  return `${message.replaceAll('\n', ' ').replace(/\.$/, '')}; see tensegrity ${name} --help`;
}

/** '; did you mean …?', of the nearest of `names`, if one is near. */
export function suggestion(word: string, names: readonly string[], prefix = ''): string {
  const [best] = names.map((name) => ({ name, distance: editDistance(word, name) })).sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(2, word.length / 3) ? `; did you mean ${prefix}${best.name}?` : '';
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
