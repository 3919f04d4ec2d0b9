import { type Operand, Tensor } from '../../engine/core.ts';
import { check, checkNames, isFloat, named, shown } from '../../engine/internal.ts';

/** A number in [least, most]; whole where `whole`. `default: null` stands for what the description says. */
export interface NumberOption<Default extends number | null = number | null> {
  readonly kind: 'number';
  readonly description: string;
  readonly default: Default;
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
  /** Another option of the table, without which (0, off, none, or not there) this one counts for nothing. */
  readonly needs?: string;
}

/** One of a list of names. */
export interface ChoiceOption<Choice extends string = string> {
  readonly kind: 'choice';
  readonly description: string;
  readonly default: Choice;
  readonly choices: readonly Choice[];
  /** As of a number. */
  readonly needs?: string;
}

export type MethodOption = NumberOption | ChoiceOption;
export type OptionTable = Readonly<Record<string, MethodOption>>;

type OptionValue<Option extends MethodOption> = Option extends ChoiceOption<infer Choice> ? Choice : number;

/** The values that a table of options stands for; an option without default may be absent. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table as null extends Table[Name]['default'] ? never : Name]: OptionValue<Table[Name]>;
} & {
  readonly [Name in keyof Table as null extends Table[Name]['default'] ? Name : never]?: OptionValue<Table[Name]>;
};

/** Below this, the rounding of a cosine in f32 (6e-8) would no longer be small beside the temperature that it is divided by. */
export const LEAST_TEMPERATURE = 1e-3;

/**
 * A number, or a scalar tensor: what changes from step to step of one plan.
 * @throws TensegrityError `argument` for anything else.
 */
export function operand(what: string, given: Operand | undefined, otherwise: number): Operand {
  if (given === undefined) return otherwise;
  const scalar = given instanceof Tensor && given.rank === 0 && isFloat(given.dtype);
  check(
    scalar || typeof given === 'number',
    'argument',
    () => `${what} must be a number, or a tensor of one as f32 [], got ${shown(given)}`,
  );
  return given;
}

export function number<Default extends number | null>(
  value: Default,
  description: string,
  { least = 0, most = Infinity, whole = false, needs }: Partial<Pick<NumberOption, 'least' | 'most' | 'whole' | 'needs'>> = {},
): NumberOption<Default> {
  return { kind: 'number', description, default: value, least, most, whole, ...(needs !== undefined && { needs }) };
}

export function choice<Choice extends string>(
  choices: readonly Choice[],
  value: NoInfer<Choice>,
  description: string,
): ChoiceOption<Choice> {
  return { kind: 'choice', description, default: value, choices };
}

const ABSENT: readonly unknown[] = [undefined, 0, 'off', 'none'];

/** An option of `given` that counts for nothing, and the one that it would need; null where all count. `values` are those that hold for what is not given. */
export function idleOption(
  table: OptionTable,
  given: Readonly<Record<string, unknown>>,
  values: Readonly<Record<string, unknown>> = {},
): { readonly name: string; readonly needs: string } | null {
  for (const name of Object.keys(given)) {
    const needs = table[name]?.needs;
    if (needs !== undefined && ABSENT.includes(given[needs] ?? values[needs] ?? table[needs]!.default ?? undefined)) return { name, needs };
  }
  return null;
}

/**
 * Values checked against a table, its defaults filled in.
 * @throws TensegrityError `argument` naming an unknown option, or a value outside its range and what would be right.
 */
export function resolveOptions<Table extends OptionTable>(
  table: Table,
  given: Readonly<Record<string, unknown>>,
  what: string,
): OptionValues<Table> {
  checkNames(what, given, table);
  const entries = Object.entries(table).flatMap(([name, option]) => {
    // What is null is not as good as not there: files may hold it by mistake.
    const value = given[name] === undefined ? option.default : given[name];
    if (value === null && given[name] === undefined) return [];
    checkValue(option, value, `${what}: ${name}`);
    return [[name, value] as const];
  });
  // Every value has just been checked against its row of the table.
  return Object.fromEntries(entries) as OptionValues<Table>;
}

function checkValue(option: MethodOption, value: unknown, what: string): void {
  const given = typeof value === 'string' ? named(value) : shown(value);
  if (option.kind === 'choice') {
    check(
      typeof value === 'string' && option.choices.includes(value),
      'argument',
      () => `${what} must be one of ${option.choices.join(', ')}, got ${given}`,
    );
    return;
  }
  const { least, most, whole } = option;
  const range = `${whole ? 'a whole number' : 'a number'} ≥ ${least}${most === Infinity ? '' : ` and ≤ ${most}`}`;
  const fits =
    typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most && (!whole || Number.isInteger(value));
  check(fits, 'argument', () => `${what} must be ${range}, got ${given}`);
}
