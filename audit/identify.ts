import { losses } from '../models/methods/losses.ts';
import { type Batch, sizesOf } from './batch.ts';
import type { Formula, Term } from './formulas/formula.ts';
import type { FamilyName } from './formulas/index.ts';
import { leastSquares } from './leastSquares.ts';
import { Model, type Variant } from './model.ts';
import { dialectsOf } from './options.ts';

/** What a loss was asked about, and what it came to. */
export interface Observation {
  readonly batch: Batch;
  readonly loss: number;
}

/** What a loss computes, where that could be told. */
export interface Identity {
  /** 'definition' if it is what it should be; 'dialect' or 'option' if it is with other options; else what is wrong with it. */
  readonly kind: 'definition' | 'dialect' | 'option' | 'mistake' | 'combination';
  readonly sentence: string;
  readonly source: string | null;
  /** The loss as a combination of the family's terms: '25·invariance + 25·variance + 1·covariance'. */
  readonly combination: string;
  /** The largest deviation from what was seen, relative to it, or to the mean of all where that is larger. */
  readonly residual: number;
  readonly model: Model;
}

/** Factors that a sum in the place of a mean, or a wrong divisor, brings with it. */
const factors: Readonly<Record<string, { readonly of: (n: number, d: number) => number; readonly words: string }>> = {
  n: { of: (n) => n, words: 'n times as large: a sum over samples where a mean should be' },
  '1/n': { of: (n) => 1 / n, words: 'divided by n once more' },
  d: { of: (_, d) => d, words: 'd times as large: a sum over dimensions where a mean should be' },
  '1/d': { of: (_, d) => 1 / d, words: 'divided by d once more: a mean over dimensions where a sum should be' },
  n·d: { of: (n, d) => n * d, words: 'n·d times as large: a sum where a mean should be' },
  '1/(n·d)': { of: (n, d) => 1 / (n * d), words: 'divided by n·d once more' },
  '1/d²': { of: (_, d) => 1 / d ** 2, words: 'divided by d² once more: a mean over all entries where a sum should be' },
  '1/(d−1)': { of: (_, d) => 1 / Math.max(1, d - 1), words: 'divided by d−1 once more' },
  '1/(d(d−1))': {
    of: (_, d) => 1 / Math.max(1, d * (d - 1)),
    words: 'divided by d(d−1) once more: a mean over pairs where a sum should be',
  },
  'd/(d−1)': { of: (_, d) => d / Math.max(1, d - 1), words: 'divided by d−1 instead of d' },
  'n/(n−1)': { of: (n) => n / (n - 1), words: 'divided by n−1 instead of n' },
  '(n−1)/n': { of: (n) => (n - 1) / n, words: 'divided by n instead of n−1' },
  '(n−1)²': { of: (n) => (n - 1) ** 2, words: '(n−1)² times as large: a covariance that is not divided by n−1' },
  '((n−1)/n)²': { of: (n) => ((n - 1) / n) ** 2, words: 'of a covariance divided by n instead of n−1' },
  'n²': { of: (n) => n ** 2, words: 'n² times as large' },
  '1/√n': { of: (n) => 1 / Math.sqrt(n), words: 'divided by √n once more' },
  '√n': { of: (n) => Math.sqrt(n), words: '√n times as large' },
  '√d': { of: (_, d) => Math.sqrt(d), words: '√d times as large' },
  '1/√d': { of: (_, d) => 1 / Math.sqrt(d), words: 'divided by √d once more' },
};

const short = (x: number): string => String(Number(x.toPrecision(6)));
const joined = (parts: readonly string[]): string => parts.join('; ');

/** Whether a model gives what was seen, to rounding; and the largest relative deviation. */
export function reproduces(
  model: Model,
  seen: readonly Observation[],
  unit: number,
): { readonly fits: boolean; readonly residual: number } {
  let residual = 0;
  // Of a loss that is nearly 0 the deviation is as small as it is of others.
  const mean = seen.reduce((sum, { loss }) => sum + (Number.isFinite(loss) ? Math.abs(loss) : 0), 0) / Math.max(1, seen.length);
  for (const { batch, loss } of seen) {
    const value = model.value(batch);
    if (!Number.isFinite(loss) || !Number.isFinite(value)) {
      if (Number.isFinite(loss) !== Number.isFinite(value)) return { fits: false, residual: Infinity };
      continue;
    }
    const deviation = Math.abs(value - loss);
    if (deviation > 0.02 * (Math.abs(loss) + Math.abs(value)) + 1e-3) return { fits: false, residual: Infinity };
    if (!(deviation <= 2 * model.expected(batch, unit).tolerance)) return { fits: false, residual: Infinity };
    residual = Math.max(residual, deviation / Math.max(Math.abs(loss), Math.abs(value), mean, 1e-300));
  }
  return { fits: true, residual };
}

interface Search {
  readonly formula: Formula;
  readonly family: FamilyName;
  readonly seen: readonly Observation[];
  readonly unit: number;
  /** When to give up, by performance.now(). */
  readonly until: number;
}

/** The loss as a sum of its terms, each with its factor. */
function combinationOf(terms: readonly Term[], columns: readonly string[], weights: readonly number[], constant: number): string {
  const parts = terms.flatMap(({ name, columns: own, unit }) => {
    const values = own.map((column) => weights[column]!);
    if (values.every((value) => Math.abs(value - values[0]!) <= 1e-9 * Math.abs(values[0]!))) return [[values[0]! / unit, name] as const];
    return own.map((column) => [weights[column]! / unit, columns[column]!] as const);
  });
  const shown = parts.filter(([value, name]) => !(name === 'constant' && value === 0));
  const text = shown
    .map(([value, name], i) => `${i === 0 ? (value < 0 ? '−' : '') : value < 0 ? ' − ' : ' + '}${short(Math.abs(value))}·${name}`)
    .join('');
  return constant === 0 ? text : `${text}${constant < 0 ? ' − ' : ' + '}${short(Math.abs(constant))}`;
}

/** m where a factor is 1/m² of a whole m: what stands for n−1 where a covariance is divided by a number of its own. */
function nominal(ratio: number): number | null {
  const m = 1 / Math.sqrt(ratio);
  return m > 8 && Math.abs(m - Math.round(m)) < 1e-4 * m ? Math.round(m) : null;
}

/** What is wrong with the weights, in words. */
function weightFaults({ columns, terms }: Formula, expected: readonly number[], found: readonly number[], constant: number): string[] {
  const faults: string[] = [];
  const say = (name: string, right: number, value: number): void => {
    const ratio = value / right;
    const near = (x: number): boolean => Math.abs(ratio - x) < 1e-6;
    if (Math.abs(value - right) <= 1e-6 * Math.max(Math.abs(right), Math.abs(value))) return;
    if (right === 0) faults.push(`${name} is in it with the weight ${short(value)}, where it has none`);
    else if (Math.abs(ratio) < 1e-9) faults.push(`${name} is missing`);
    else if (near(-1)) faults.push(`${name} has the opposite sign`);
    else if (near(2)) faults.push(`${name} counts twice (not halved)`);
    else if (near(0.5)) faults.push(`${name} counts half`);
    else if (nominal(ratio)) faults.push(`${name} is divided by ${nominal(ratio)}, whatever n is: a nominal batch?`);
    else faults.push(`${name} counts ${short(ratio)} times (weight ${short(value)}, not ${short(right)})`);
  };
  for (const { name, columns: own, unit } of terms) {
    const ratios = own.map((column) => found[column]! / expected[column]!);
    const alike = ratios.every((ratio) => Math.abs(ratio - ratios[0]!) < 1e-6) || own.length === 1;
    if (alike) say(name === 'the loss' ? name : `the ${name} term`, expected[own[0]!]! / unit, found[own[0]!]! / unit);
    else for (const column of own) say(`the ${columns[column]}`, expected[column]!, found[column]!);
  }
  if (constant !== 0) faults.push(`a constant of ${short(constant)} is added`);
  return faults;
}

/** Numbers that people write near one that was fitted. */
function niceNumbers(x: number): number[] {
  const near = [
    Math.round(x),
    1 / Math.round(1 / x),
    Math.round(x * 2) / 2,
    Number(x.toPrecision(2)),
    Number(x.toPrecision(3)),
    Number(x.toPrecision(4)),
  ];
  return near.filter((value) => Number.isFinite(value) && Math.abs(value - x) <= 1e-3 * Math.abs(x));
}

interface Fit {
  readonly weights: readonly number[];
  readonly constant: number;
}

/** Weights of the columns, and a constant, by least squares over what was seen; null where they do not explain it. */
function fitWeights(model: Model, seen: readonly Observation[], scale: readonly ((batch: Batch) => number)[]): Fit | null {
  const finite = seen.filter(({ loss }) => Number.isFinite(loss));
  const mean = finite.reduce((sum, { loss }) => sum + Math.abs(loss), 0) / Math.max(1, finite.length);
  const rows: number[][] = [];
  const targets: number[] = [];
  for (const { batch, loss } of finite) {
    const own = model.columns(batch);
    if (!own.every(Number.isFinite)) return null;
    const weight = 1 / (Math.abs(loss) + 0.1 * mean + 1e-12);
    rows.push([...own.map((column, i) => column * scale[i]!(batch) * weight), weight]);
    targets.push(loss * weight);
  }
  const solved = leastSquares(rows, targets);
  if (!solved || solved.residual > 1e-3) return null;
  const weights = solved.coefficients.slice(0, -1);
  const constant = solved.coefficients.at(-1)!;
  const largest = Math.max(...weights.map(Math.abs), 1e-300);
  return {
    weights: weights.map((value) => (Math.abs(value) < 1e-7 * largest ? 0 : value)),
    constant: Math.abs(constant) < 1e-6 * (mean + 1e-3) ? 0 : constant,
  };
}

/** A model with fitted weights, rounded to what people write where that explains as much. */
function fitted(
  search: Search,
  variant: Variant,
  scale: readonly ((batch: Batch) => number)[],
): { readonly model: Model; readonly fit: Fit; readonly residual: number } | null {
  const { formula, seen, unit } = search;
  const first = fitWeights(new Model(formula, variant), seen, scale);
  if (!first) return null;
  const modelOf = ({ weights, constant }: Fit): Model =>
    new Model(formula, { ...variant, weights: (batch) => weights.map((value, i) => value * scale[i]!(batch)), constant });
  let best = first;
  // Each number in turn.
  const right = new Model(formula, variant).weights(seen[0]!.batch);
  for (const [i, value] of [...first.weights, first.constant].entries()) {
    if (value === 0) continue;
    const fair = i < right.length ? [right[i]!, right[i]! * 2, right[i]! / 2, -right[i]!] : [];
    for (const nice of [...fair.filter((x) => Math.abs(x - value) <= 1e-3 * Math.abs(value)), ...niceNumbers(value)]) {
      const weights = best.weights.map((other, j) => (j === i ? nice : other));
      const candidate = { weights, constant: i === right.length ? nice : best.constant };
      if (!reproduces(modelOf(candidate), seen, unit).fits) continue;
      best = candidate;
      break;
    }
  }
  const { fits, residual } = reproduces(modelOf(best), seen, unit);
  return fits ? { model: modelOf(best), fit: best, residual } : null;
}

function identity(
  search: Search,
  kind: Identity['kind'],
  variant: Variant,
  sentence: string,
  source: string | null,
  residual: number,
): Identity {
  const model = new Model(search.formula, variant);
  const batch = search.seen[0]!.batch;
  const combination = combinationOf(search.formula.terms, search.formula.columns, model.weights(batch), variant.constant ?? 0);
  return { kind, sentence, source, combination, residual, model };
}

/** Other dialects and ways, by the options that are one of a list. */
function byChoice(search: Search): Identity | null {
  for (const choice of dialectsOf(search.family)) {
    const [name, value] = Object.entries(choice)[0] ?? [];
    const options = name === undefined ? { ...defaultsOf(search.family) } : choice;
    if (Object.entries(options).every(([key, own]) => search.seen[0]!.batch.options[key] === own)) continue;
    const variant: Variant = { options: options as Readonly<Record<string, number | string>> };
    const { fits, residual } = reproduces(new Model(search.formula, variant), search.seen, search.unit);
    if (!fits) continue;
    const [key, own] = name === undefined ? (Object.entries(options)[0] ?? []) : [name, value];
    return identity(
      search,
      'dialect',
      variant,
      key === 'dialect'
        ? `it is the dialect '${own}' of this loss, not '${search.seen[0]!.batch.options['dialect']}'`
        : `it is what ${key} '${own}' computes`,
      null,
      residual,
    );
  }
  return null;
}

/** The choices that hold where none is made. */
function defaultsOf(family: FamilyName): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(losses[family]!.options).flatMap(([name, option]) => (option.kind === 'choice' ? [[name, option.default]] : [])),
  );
}

/** An option's value that explains what was seen: sought along a scale, where the deviation changes its sign. */
function byOption(
  search: Search,
  mistakes: ReadonlySet<string> = new Set(),
): { readonly variant: Variant; readonly residual: number; readonly sentence: string } | null {
  const { formula, family, seen, unit } = search;
  const options = Object.entries(losses[family]!.options).filter(
    ([name, option]) => option.kind === 'number' && !option.whole && seen[0]!.batch.options[name] !== undefined,
  );
  for (const [name] of options) {
    const modelOf = (value: number): Model => new Model(formula, { mistakes, options: { [name]: value } });
    const given = Number(seen[0]!.batch.options[name]);
    const deviation = (value: number, k: number): number => modelOf(value).value(seen[k]!.batch) - seen[k]!.loss;
    // The batch that the option moves most, either way: behind a hinge it moves nothing, and many values of it give the same.
    const others = [given * 1.1 + 1e-3, ...(given > 0 ? [given * 0.9] : [])];
    const effects = seen.map(({ batch, loss }) => {
      if (!Number.isFinite(loss)) return -1;
      const base = modelOf(given).value(batch);
      return Math.min(...others.map((value) => Math.abs(modelOf(value).value(batch) - base))) / (Math.abs(loss) + 1e-9);
    });
    const k = effects.indexOf(Math.max(...effects));
    if (!(effects[k]! > 0)) continue;
    const grid = [0, ...Array.from({ length: 64 }, (_, i) => 10 ** (-12 + (i * 15) / 63))];
    for (let i = 0; i + 1 < grid.length; i++) {
      let [low, high] = [grid[i]!, grid[i + 1]!];
      let [atLow, atHigh] = [deviation(low, k), deviation(high, k)];
      if (!(atLow * atHigh <= 0)) continue;
      for (let step = 0; step < 80 && high - low > 1e-15 * high; step++) {
        const middle = low === 0 ? high / 4 : Math.sqrt(low * high);
        const at = deviation(middle, k);
        if (at * atLow <= 0) [high, atHigh] = [middle, at];
        else [low, atLow] = [middle, at];
      }
      for (const value of [...(low === 0 || high < 1e-14 * given ? [0] : []), ...niceNumbers(high), high]) {
        if (Math.abs(value - given) <= 1e-9 * Math.abs(given)) continue;
        const { fits, residual } = reproduces(modelOf(value), seen, unit);
        if (fits)
          return {
            variant: { mistakes, options: { [name]: value } },
            residual,
            sentence: `${name} is ${short(value)}, not ${short(given)}${value === 0 ? ': it is missing' : ''}`,
          };
      }
    }
  }
  return null;
}

/**
 * What a loss computes: its definition, a dialect, another option, one of the known mistakes or two of them, other weights of its terms, or a sum
 * in the place of a mean; the simplest of these that gives all that was seen, to rounding. Null where none does.
 */
export function identify(search: Search): Identity | null {
  const { formula, seen, unit, until } = search;
  if (seen.filter(({ loss }) => Number.isFinite(loss)).length < 8) return null;
  const definition = reproduces(new Model(formula), seen, unit);
  if (definition.fits) return identity(search, 'definition', {}, 'it is what its definition says', null, definition.residual);
  const chosen = byChoice(search);
  if (chosen) return chosen;
  // What is detached has the same value.
  const all = Object.keys(formula.mistakes).filter((name) => !name.startsWith('detached'));
  /** Tries each, until there is no time left. */
  const names = {
    *[Symbol.iterator](): Generator<string> {
      for (const name of all) if (performance.now() < until) yield name;
    },
  };
  const sentenceOf = (flags: readonly string[]): string => joined(flags.map((flag) => formula.mistakes[flag]![0]));
  const sourceOf = (flags: readonly string[]): string | null => joined(flags.flatMap((flag) => formula.mistakes[flag]![1] ?? [])) || null;

  const exactly = (flags: readonly string[]): Identity | null => {
    const variant = { mistakes: new Set(flags) };
    const { fits, residual } = reproduces(new Model(formula, variant), seen, unit);
    return fits ? identity(search, 'mistake', variant, sentenceOf(flags), sourceOf(flags), residual) : null;
  };
  for (const name of names) {
    const found = exactly([name]);
    if (found) return found;
  }
  const option = byOption(search);
  if (option) return identity(search, 'option', option.variant, option.sentence, null, option.residual);

  const one = (): number => 1;
  const plainScale = formula.columns.map(() => one);
  const sizeFactor =
    (key: string) =>
    (batch: Batch): number => {
      const { n, d } = sizesOf(batch);
      return factors[key]!.of(n, d);
    };
  /** With weights fitted anew; of several that explain all, the one with the fewest faults. */
  const weighted = (flags: readonly string[], scaled: boolean): Identity | null => {
    const variant = { mistakes: new Set(flags) };
    const base = new Model(formula, variant);
    // Weights may depend on d, as a dialect's: they are fitted as factors of the right ones.
    const right =
      (i: number) =>
      (batch: Batch): number =>
        base.weights(batch)[i] || 1;
    const scales: { readonly faults: readonly string[]; readonly scale: readonly ((batch: Batch) => number)[] }[] = [
      { faults: [], scale: plainScale },
    ];
    if (scaled) {
      scales.length = 0;
      for (const [key, { words }] of Object.entries(factors)) {
        for (const [t, term] of formula.terms.entries()) {
          const own = formula.terms[t]!.columns;
          scales.push({
            faults: [`${term.name === 'the loss' ? term.name : `the ${term.name} term`} is ${words}`],
            scale: plainScale.map((plain, i) => (own.includes(i) ? sizeFactor(key) : plain)),
          });
        }
        if (formula.terms.length > 1) scales.push({ faults: [`the loss is ${words}`], scale: plainScale.map(() => sizeFactor(key)) });
      }
    }
    let best: { readonly identity: Identity; readonly faults: number } | null = null;
    for (const { faults, scale } of scales) {
      const found = fitted(
        search,
        variant,
        scale.map((of, i) => (batch: Batch) => of(batch) * right(i)(batch)),
      );
      if (!found) continue;
      const batch = seen[0]!.batch;
      const expected = base.weights(batch);
      // Factors of the right weights; a column that should have none has its own.
      const weights = found.fit.weights.map((factor, i) => factor * (expected[i] || 1));
      const all = [...faults, ...weightFaults(formula, expected, weights, found.fit.constant)];
      if (best && best.faults <= all.length) continue;
      const combination = combinationOf(formula.terms, formula.columns, weights, found.fit.constant);
      const sentence = joined([...flags.map((flag) => formula.mistakes[flag]![0]), ...all]);
      best = {
        faults: all.length,
        identity: {
          kind: flags.length === 0 ? 'combination' : 'mistake',
          sentence,
          source: sourceOf(flags),
          combination,
          residual: found.residual,
          model: found.model,
        },
      };
    }
    return best?.identity ?? null;
  };
  const first = weighted([], false) ?? weighted([], true);
  if (first) return first;
  let best: Identity | null = null;
  for (const name of names) {
    const found = weighted([name], false);
    if (found && (!best || found.sentence.length < best.sentence.length)) best = found;
  }
  if (best) return best;
  for (const name of names) {
    const found = byOption(search, new Set([name]));
    if (found)
      return identity(search, 'mistake', found.variant, joined([sentenceOf([name]), found.sentence]), sourceOf([name]), found.residual);
  }
  for (const a of names)
    for (const b of names) {
      if (a >= b) continue;
      const found = exactly([a, b]);
      if (found) return found;
    }
  for (const name of names) {
    const found = weighted([name], true);
    if (found) return found;
  }
  for (const first of names)
    for (const second of names) {
      if (first >= second) continue;
      const found = weighted([first, second], false);
      if (found) return found;
    }
  return null;
}
