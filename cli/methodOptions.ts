import { methodNamed, methods } from '../models/methods/index.ts';
import type { MethodOption } from '../models/methods/options.ts';
import { type Input, type OptionTable, UsageError } from './options.ts';

/** `subBatch` as `sub-batch`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The options of all methods, from their own tables. Methods may mean different things by one name: each thing is said, and every choice listed. */
export const methodOptionTable: OptionTable = Object.fromEntries(
  [...new Set(Object.values(methods).flatMap(({ options }) => Object.keys(options)))].map((name) => {
    const owners = Object.entries(methods).flatMap(([method, { options }]) => {
      const option = (options as Readonly<Record<string, MethodOption>>)[name];
      return option ? [{ method, option }] : [];
    });
    const meanings = [...new Set(owners.map(({ option }) => option.description))].map((description) => {
      const alike = owners.filter(({ option }) => option.description === description);
      const defaults = alike.flatMap(({ option }) => option.default ?? []);
      return `${alike.map(({ method }) => method).join(', ')}: ${description}${defaults.length === 0 ? '' : ` (${defaults.join(', ')})`}`;
    });
    const choices = new Set(owners.flatMap(({ option }) => (option.kind === 'choice' ? option.choices : ['X'])));
    return [kebab(name), { type: 'string', value: [...choices].join('|'), help: meanings.join('; ') }] as const;
  }),
);

/** The method's options that a call gives. @throws UsageError for one that belongs to another method. */
export function readMethodOptions(input: Input, method: string): Record<string, number | string> {
  const { options, title } = methodNamed(method);
  const given: Record<string, number | string> = {};
  const own = new Map(Object.entries(options).map(([name, option]) => [kebab(name), { name, kind: option.kind }]));
  for (const flag of Object.keys(methodOptionTable)) {
    const text = input.text(flag);
    if (text === undefined) continue;
    const option = own.get(flag);
    if (!option) throw new UsageError(`${title} has no option --${flag}; it has ${[...own.keys()].map((name) => `--${name}`).join(', ')}`);
    given[option.name] = option.kind === 'number' ? input.number(flag)! : text;
  }
  return given;
}
