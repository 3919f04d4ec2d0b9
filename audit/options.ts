import { losses } from '../models/methods/losses.ts';
import { resolveOptions } from '../models/methods/options.ts';
import type { Options } from './formulas/formula.ts';
import type { FamilyName } from './formulas/index.ts';

/** The options of a family's loss, defaults filled in. @throws TensegrityError `argument` for one that is unknown or out of its range. */
export function familyOptions(family: FamilyName, given: Options = {}): Options {
  const { options, title } = losses[family]!;
  return resolveOptions(options, given, title) as Options;
}

/** Every way in which a family's loss may be chosen, by options that are one of a list of names: each by itself. */
export function dialectsOf(family: FamilyName): readonly Options[] {
  const choices = Object.entries(losses[family]!.options).flatMap(([name, option]) =>
    option.kind === 'choice' ? option.choices.filter((choice) => choice !== option.default).map((choice) => ({ [name]: choice })) : [],
  );
  return [{}, ...choices];
}
