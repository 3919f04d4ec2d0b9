import { methodNamed, methods } from '../models/methods/index.ts';
import { idleOption, type MethodOption, type OptionTable as ModelOptions } from '../models/methods/options.ts';
import { type Input, type OptionTable, UsageError } from './options.ts';

/** `subBatch` as `sub-batch`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Items with the same key, in the order in which keys first come. */
export function grouped<Item>(items: readonly Item[], key: (item: Item) => string): [key: string, items: Item[]][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups];
}

/** What has options of its own: a method, or a loss. */
interface Owner {
  readonly title: string;
  readonly options: ModelOptions;
}

/** The options of all owners, from their own tables. They may mean different things by one name: each thing is said, and every choice listed. */
export function optionTableOf(owners: Readonly<Record<string, Owner>>): OptionTable {
  const uses = Object.entries(owners).flatMap(([owner, { options }]) =>
    Object.entries(options).map(([name, option]) => ({ owner, name, option })),
  );
  return Object.fromEntries(
    grouped(uses, ({ name }) => kebab(name)).map(([flag, same]) => {
      const choices = new Set(same.flatMap(({ option }) => (option.kind === 'choice' ? option.choices : ['X'])));
      const meanings = grouped(same, ({ option }) => option.description).map(([description, alike]) => {
        const defaults = [...new Set(alike.flatMap(({ option }) => option.default ?? []))];
        return `${alike.map(({ owner }) => owner).join(', ')}: ${description}${defaults.length === 0 ? '' : ` (${defaults.join(', ')})`}`;
      });
      return [flag, { type: 'string', value: [...choices].join('|'), help: meanings.join('; ') }];
    }),
  );
}

/**
 * The owner's options that a call gives. @throws UsageError for one of the table that belongs to another, and for one that would count for nothing
 * beside the others, or `values`, which hold where it gives none.
 */
export function readOptions(
  input: Input,
  { title, options }: Owner,
  table: OptionTable,
  values: Readonly<Record<string, unknown>> = {},
): Record<string, number | string> {
  const own = new Map(Object.entries(options).map(([name, option]) => [kebab(name), { name, option }]));
  const flags = [...own.keys()].map((flag) => `--${flag}`).join(', ');
  const given = Object.fromEntries(
    Object.keys(table).flatMap((flag) => {
      const text = input.text(flag);
      if (text === undefined) return [];
      const found = own.get(flag);
      if (!found) throw new UsageError(`${title} has no option --${flag}; it has ${flags === '' ? 'none' : flags}`);
      return [[found.name, optionValue(input, flag, text, found.option)]];
    }),
  );
  const idle = idleOption(options, given, values);
  if (idle)
    throw new UsageError(`${title}: --${kebab(idle.name)} counts for nothing without --${kebab(idle.needs)}; give both, or neither`);
  return given;
}

function optionValue(input: Input, flag: string, text: string, { kind }: MethodOption): number | string {
  return kind === 'number' ? input.number(flag)! : text;
}

/** The options of all methods. */
export const methodOptionTable: OptionTable = optionTableOf(methods);

/** The method's options that a call gives. @throws UsageError for one that belongs to another method. */
export function readMethodOptions(input: Input, method: string): Record<string, number | string> {
  const named = methodNamed(method);
  return readOptions(input, named, methodOptionTable, named.training.methodOptions);
}
