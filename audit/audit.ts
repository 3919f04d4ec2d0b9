import { TensegrityError } from '../engine/index.ts';
import { check, checkChoice, checkNames, options as readOptions, shown } from '../engine/internal.ts';
import { namesOf } from '../models/methods/arrayLoss.ts';
import { losses } from '../models/methods/losses.ts';
import type { Matrix } from './arithmetic.ts';
import {
  type Batch,
  type Case,
  cases,
  embeddingChoices,
  type FastCheck,
  type Precision,
  roundoff,
  type Shape,
  sizesOf,
  stateOf,
} from './batch.ts';
import type { Options } from './formulas/formula.ts';
import { type Family, familyNames, formulas } from './formulas/index.ts';
import { type Identity, identify, type Observation, reproduces } from './identify.ts';
import { type GradientObservation, identifyGradient } from './identifyGradient.ts';
import { type Expected, Model } from './model.ts';
import { familyOptions } from './options.ts';
import { properties, propertyNames } from './properties/index.ts';
import { otherValues, withOption } from './properties/options.ts';
import type { Breach, Property, Trial } from './properties/property.ts';
import { identifyState } from './state.ts';
import {
  type Answer,
  functionSubject,
  type InputForm,
  inputForms,
  type Loss,
  LossError,
  questionOf,
  type Subject,
  Unauditable,
} from './subject.ts';

/** What an audit is told about a loss. */
export interface AuditOptions {
  /** Which loss it is to be: a name of `familyNames`, or `custom` for one that none of them defines. */
  readonly family: Family;
  /** Whose loss of that name, where there are several (`official`, `paper`, `solo-learn`, …). */
  readonly dialect?: string | undefined;
  /** The family's options, as `tensegrity loss` has them: weights, temperatures. The published ones, unless given. */
  readonly options?: Options | undefined;
  /** In which form it takes its arrays; nested arrays, unless given. */
  readonly input?: InputForm | undefined;
  /** In which precision it computes, which decides how exact it must be; f64, unless given. */
  readonly precision?: Precision | undefined;
  /** Of all draws; 1, unless given. The same seed draws the same batches. */
  readonly seed?: number | undefined;
  /** Draws for each property; 100, unless given. */
  readonly runs?: number | undefined;
  /** Properties by name; all of the family's, unless given. Of `custom` they must be named. */
  readonly properties?: readonly string[] | undefined;
  /** How many embeddings it takes, where the family leaves a choice; as its parameters say, unless given. */
  readonly embeddings?: number | undefined;
  /** The only number of samples that it takes. */
  readonly samples?: number | undefined;
  /** The only number of dimensions that it takes. */
  readonly dimensions?: number | undefined;
  /** Optional arrays of state that it takes. */
  readonly state?: readonly string[] | undefined;
  /** Seconds within which it must answer; 10, unless given. */
  readonly timeLimit?: number | undefined;
  /** Seconds for all of the audit, after which properties have fewer draws; 60, unless given. */
  readonly timeBudget?: number | undefined;
}

/** A batch as data. */
export interface BatchData {
  readonly arrays: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly options: Options;
}

/** A property that was broken, on the smallest batch that shows it. */
export interface Evidence {
  readonly property: string;
  readonly statement: string;
  readonly source: string;
  readonly sentence: string;
  readonly expected: number | null;
  readonly seen: number | null;
  readonly tolerance: number | null;
  readonly batch: BatchData;
  /** With the same loss and options, `{ properties: [property], seed }` draws it again. */
  readonly seed: number;
  /** Where fast-check found it: replays the smallest batch. */
  readonly path: string;
}

/** One cause, with all the properties that it breaks: the plainest first. */
export interface Finding {
  readonly sentence: string;
  /** Where the mistake was made in public, or null. */
  readonly source: string | null;
  /** Whether the cause was told from what was seen; else it is the likeliest one, or none is known. */
  readonly certain: boolean;
  readonly evidence: readonly Evidence[];
}

export interface PropertyOutcome {
  readonly name: string;
  readonly statement: string;
  readonly outcome: 'held' | 'broken' | 'not asked';
  readonly runs: number;
}

export interface AuditReport {
  readonly verdict: 'nothing found' | 'findings' | 'not audited';
  /** Why it could not be audited; null if it was. */
  readonly reason: string | null;
  readonly loss: string;
  readonly family: Family;
  readonly title: string;
  readonly source: string;
  readonly options: Options;
  readonly precision: Precision;
  readonly seed: number;
  readonly embeddings: readonly string[];
  readonly gradients: boolean;
  /** What the loss computes, where that could be told. */
  readonly identity: Pick<Identity, 'kind' | 'sentence' | 'source' | 'combination' | 'residual'> | null;
  readonly findings: readonly Finding[];
  readonly properties: readonly PropertyOutcome[];
  /** What is worth knowing and no fault. */
  readonly remarks: readonly string[];
  /** How often the loss was asked. */
  readonly asked: number;
  readonly seconds: number;
}

/** What could be drawn anew: how often a failing batch is made smaller at most. */
const MOST_SHRINKS = 250;
const OBSERVATIONS = 20;
/** And where few draws are asked for. */
const LEAST_OBSERVATIONS = 10;
const GRADIENT_OBSERVATIONS = 6;

async function fastCheck(): Promise<FastCheck> {
  try {
    return (await import('fast-check')).default;
  } catch (cause) {
    throw new TensegrityError(
      'argument',
      'an audit draws its batches with fast-check, which is not installed: npm install --save-dev fast-check',
      {},
      cause,
    );
  }
}

/** The properties that an audit will ask for, in the order of the report. @throws TensegrityError `argument` */
export function propertiesOf({ family, properties: names }: Pick<AuditOptions, 'family' | 'properties'>): readonly Property[] {
  checkChoice('audit: family', family, [...familyNames, 'custom']);
  for (const name of names ?? []) checkChoice('audit: property', name, propertyNames);
  check(
    family !== 'custom' || (names !== undefined && names.length > 0),
    'argument',
    () => `audit: a loss of family custom has no definition; name the properties that are to hold: ${propertyNames.join(', ')}`,
  );
  if (family === 'custom') return properties.filter(({ name }) => names!.includes(name));
  const own = properties.filter(({ families }) => families.includes(family));
  const foreign = names?.find((name) => !own.some((property) => property.name === name));
  check(
    foreign === undefined,
    'argument',
    () => `audit: the family ${family} has no property ${shown(foreign)}; it has ${own.map(({ name }) => name).join(', ')}`,
  );
  return names ? own.filter(({ name }) => names.includes(name)) : own;
}

const checked = (given: AuditOptions) =>
  readOptions('auditLoss', given, {
    family: undefined,
    dialect: undefined,
    options: undefined,
    input: 'arrays',
    precision: 'f64',
    seed: 1,
    runs: 100,
    properties: undefined,
    embeddings: undefined,
    samples: undefined,
    dimensions: undefined,
    state: undefined,
    timeLimit: 10,
    timeBudget: 60,
  });

const isSubject = (loss: Loss | Subject): loss is Subject => typeof loss === 'object' && loss !== null && 'ask' in loss;

/**
 * Holds a loss to the properties of its family, and says what it computes instead where it breaks them.
 * @param loss a function of the family's embeddings and one object of state and options, or a program (`programSubject`, `moduleSubject`).
 * @throws TensegrityError `argument` for options that make no sense, and without fast-check. What the loss itself does is in the report.
 */
export async function auditLoss(loss: Loss | Subject, given: AuditOptions): Promise<AuditReport> {
  check(typeof loss === 'function' || isSubject(loss), 'argument', () => `auditLoss: takes a function, or a program, got ${shown(loss)}`);
  try {
    const settings = checked(given);
    const asked = propertiesOf(settings);
    checkSettings(settings);
    const fc = await fastCheck();
    const subject = isSubject(loss) ? loss : functionSubject(loss, settings.input, settings.timeLimit * 1000);
    return await new Audit(fc, subject, settings, optionsOf(settings)).run(asked);
  } finally {
    // A program that waits would keep this process from its end.
    if (isSubject(loss)) await loss.close?.();
  }
}

/** @throws TensegrityError `argument` */
function checkSettings(settings: Settings): void {
  checkChoice('audit: precision', settings.precision, ['f64', 'f32']);
  checkChoice('audit: input', settings.input, inputForms);
  for (const [name, least] of [
    ['seed', -(2 ** 31)],
    ['runs', 1],
    ['samples', 2],
    ['dimensions', 1],
  ] as const) {
    const value = settings[name];
    const fits = value === undefined || (Number.isSafeInteger(value) && value >= least);
    check(fits, 'argument', () => `audit: ${name} must be a whole number ≥ ${least}, got ${shown(value)}`);
  }
  for (const name of ['timeLimit', 'timeBudget'] as const)
    check(
      Number.isFinite(settings[name]) && settings[name] > 0,
      'argument',
      () => `audit: ${name} must be seconds above 0, got ${shown(settings[name])}`,
    );
}

function optionsOf({ family, dialect, options = {} }: Pick<AuditOptions, 'family' | 'dialect' | 'options'>): Options {
  if (family === 'custom') return { ...options };
  const row = losses[family]!;
  check(
    dialect === undefined || 'dialect' in row.options,
    'argument',
    () =>
      `audit: ${row.title} has no dialects${Object.keys(row.options).length === 0 ? '' : `; its options are ${Object.keys(row.options).join(', ')}`}`,
  );
  checkNames(row.title, options, row.options);
  return familyOptions(family, { ...options, ...(dialect !== undefined && { dialect }) });
}

interface Failure {
  readonly property: Property;
  readonly breach: Breach;
  readonly drawn: Case;
  readonly path: string;
}

type Settings = ReturnType<typeof checked>;

class Audit {
  readonly #fc: FastCheck;
  readonly #subject: Subject;
  readonly #settings: Settings;
  readonly #options: Options;
  readonly #unit: number;
  readonly #start = performance.now();
  readonly #remarks: string[] = [];
  #asked = 0;

  constructor(fc: FastCheck, subject: Subject, settings: Settings, options: Options) {
    this.#fc = fc;
    this.#subject = subject;
    this.#settings = settings;
    this.#options = options;
    this.#unit = roundoff[settings.precision];
  }

  async run(asked: readonly Property[]): Promise<AuditReport> {
    const outcomes: PropertyOutcome[] = [];
    const none = { names: [] as readonly string[], gradients: false, identity: null, findings: [] as readonly Finding[] };
    try {
      const { shape, gradients } = await this.#probe();
      const reads = shape.family === 'custom' ? [] : await this.#optionsRead(shape);
      const trial = this.#trial(shape, gradients, reads, (batch, gradients) => this.#ask(batch, shape, gradients));
      const failures: Failure[] = [];
      const unasked: string[] = [];
      for (const property of asked) {
        const unsteady = failures.some(({ property: { name } }) => name === 'determinism');
        // Without its definition, and without any property, nothing would be said.
        const due = property.name === 'definition' || outcomes.every(({ runs }) => runs === 0);
        const late = !due && (performance.now() - this.#start) / 1000 > this.#settings.timeBudget;
        if (late) unasked.push(property.name);
        const apt = !late && (property.when?.(trial) ?? true) && (!unsteady || property.name === 'arguments unchanged');
        const { failure, runs } = apt ? await this.#try(trial, property, asked.length) : { failure: null, runs: 0 };
        if (failure) failures.push(failure);
        outcomes.push({
          name: property.name,
          statement: property.statement,
          runs,
          outcome: failure ? 'broken' : runs > 0 ? 'held' : 'not asked',
        });
      }
      if (unasked.length > 0)
        this.#remarks.push(
          `the time budget of ${this.#settings.timeBudget} s was spent before ${unasked.join(', ')}; give more (--time-budget), or fewer samples`,
        );
      const { identity, findings } = await this.#explain(trial, failures);
      const ran = outcomes.some(({ runs }) => runs > 0);
      return this.#report({ names: shape.names, gradients, identity, findings }, outcomes, ran ? null : 'no property could be asked');
    } catch (error) {
      if (!(error instanceof Unauditable || error instanceof LossError)) throw error;
      return this.#report(none, outcomes, error.message);
    }
  }

  #report(
    {
      names,
      gradients,
      identity,
      findings,
    }: { names: readonly string[]; gradients: boolean; identity: Identity | null; findings: readonly Finding[] },
    outcomes: readonly PropertyOutcome[],
    reason: string | null,
  ): AuditReport {
    const { family, precision, seed } = this.#settings;
    const row = family === 'custom' ? { title: 'a loss of its own', source: 'the properties that were named' } : losses[family]!;
    return {
      verdict: reason !== null ? 'not audited' : findings.length > 0 ? 'findings' : 'nothing found',
      reason,
      loss: this.#subject.title,
      family,
      title: row.title,
      source: row.source,
      options: this.#options,
      precision,
      seed,
      embeddings: names,
      gradients,
      identity: identity && {
        kind: identity.kind,
        sentence: identity.sentence,
        source: identity.source,
        combination: identity.combination,
        residual: identity.residual,
      },
      findings,
      properties: outcomes,
      remarks: [...this.#remarks, ...(this.#subject.remarks?.() ?? [])],
      asked: this.#asked,
      seconds: (performance.now() - this.#start) / 1000,
    };
  }

  async #ask(batch: Batch, { family, names }: Pick<Shape, 'family' | 'names'>, gradients = false): Promise<Answer> {
    this.#asked += 1;
    const state = family === 'custom' ? {} : losses[family]!.state;
    return this.#subject.ask(questionOf(batch, names, state, this.#settings.precision, gradients));
  }

  #shape(names: readonly string[]): Shape {
    const { family, precision, samples, dimensions, state = [] } = this.#settings;
    return {
      family,
      names,
      state: family === 'custom' ? {} : stateOf(family, state),
      domain: family === 'custom' ? {} : formulas[family].domain,
      options: this.#options,
      precision,
      samples,
      dimensions,
    };
  }

  #sample(shape: Shape, count: number, seed: number): readonly Batch[] {
    const arbitrary = cases(this.#fc, shape, { style: 'fine' });
    return this.#fc.sample(arbitrary, { seed, path: '', numRuns: count }).map(({ batch }) => batch);
  }

  /** Which embeddings the loss takes, and whether it gives gradients. */
  async #probe(): Promise<{ shape: Shape; gradients: boolean }> {
    const { family, embeddings, seed } = this.#settings;
    const row = family === 'custom' ? { embeddings: [{ names: ['z1'], more: 'z' }] } : losses[family]!;
    const given = embeddings === undefined ? null : namesOf(row, embeddings);
    check(
      embeddings === undefined || given !== null,
      'argument',
      () =>
        `audit: ${family} does not take ${embeddings} embeddings; it takes ${row.embeddings.map(({ names, more }) => `${names.join(', ')}${more === undefined ? '' : ', …'}`).join(' or ')}`,
    );
    const choices = given ? [given] : embeddingChoices(row, this.#subject.parameters);
    let problem: Error | null = null;
    let unfinished: { shape: Shape; gradients: boolean } | null = null;
    for (const names of choices) {
      const shape = this.#shape(names);
      const [batch] = this.#sample(shape, 1, seed);
      try {
        const { loss, gradients } = await this.#ask(batch!, shape, true);
        const found = { shape, gradients: gradients !== null };
        if (Number.isFinite(loss)) return found;
        unfinished ??= found;
      } catch (error) {
        if (!(error instanceof Unauditable || error instanceof LossError)) throw error;
        const { n, d } = sizesOf(batch!);
        problem ??=
          error instanceof LossError
            ? new Unauditable(
                `the loss throws for ${names.join(', ')} of [${n}, ${d}]: ${error.message}${this.#settings.samples === undefined ? ' (one that takes a certain number of samples needs samples, --samples on the command line)' : ''}`,
              )
            : error;
        // What hangs or is gone will not come back.
        if (/time limit|ended/.test(error.message)) throw error;
      }
    }
    if (unfinished) return unfinished;
    throw problem ?? new Unauditable('the loss gave no answer');
  }

  /** The options whose value the loss takes from its context. */
  async #optionsRead(shape: Shape): Promise<readonly string[]> {
    const batches = this.#sample(shape, 2, this.#settings.seed + 1);
    const { options } = losses[shape.family]!;
    const numeric = Object.keys(otherValues).filter((name) => options[name]?.kind === 'number' && shape.options[name] !== undefined);
    const read: string[] = [];
    const before: Answer[] = [];
    for (const batch of batches) before.push(await this.#ask(batch, shape));
    for (const name of numeric)
      for (const [i, batch] of batches.entries()) {
        try {
          const after = await this.#ask(withOption(batch, name, otherValues[name]![0]!), shape);
          if (Object.is(before[i]!.loss, after.loss)) continue;
          read.push(name);
          break;
        } catch (error) {
          if (!(error instanceof LossError)) throw error;
        }
      }
    const unread = numeric.filter((name) => !read.includes(name));
    if (unread.length > 0)
      this.#remarks.push(
        `the loss does not take ${unread.join(', ')} from its context; it was asked at ${unread.map((name) => `${name} ${shape.options[name]}`).join(', ')} only`,
      );
    return read;
  }

  #trial(shape: Shape, gradients: boolean, reads: readonly string[], ask: Trial['ask']): Trial {
    const unit = this.#unit;
    const definition = shape.family === 'custom' ? null : new Model(formulas[shape.family]);
    const memory = new WeakMap<Batch, Expected>();
    const expected = (batch: Batch): Expected => {
      const known = memory.get(batch);
      if (known) return known;
      const found = definition!.expected(batch, unit);
      memory.set(batch, found);
      return found;
    };
    return {
      shape,
      unit,
      definition,
      gradients,
      reads,
      ask,
      expected,
      tolerance: async (batch, value) => {
        const { n, d } = sizesOf(batch);
        const own = unit * (32 + 4 * Math.max(n, d)) * Math.abs(value);
        return own + (definition ? expected(batch).tolerance : await conditioning(batch, value, unit, ask));
      },
    };
  }

  /** Draws batches until one breaks the property, and makes that smaller. */
  async #try(trial: Trial, property: Property, count: number): Promise<{ failure: Failure | null; runs: number }> {
    const { runs: wanted, seed, timeBudget } = this.#settings;
    const spent = (performance.now() - this.#start) / 1000;
    const share = Math.max(0.5, (2 * (timeBudget - spent)) / count);
    let runs = 0;
    for (const draw of property.draws) {
      const numRuns = Math.max(1, Math.ceil((wanted * (property.share ?? 1)) / property.draws.length));
      let fatal: unknown = null;
      let last: { breach: Breach; drawn: Case } | null = null;
      let shrinks = 0;
      const until = performance.now() + (1000 * share) / property.draws.length;
      const predicate = async (drawn: Case): Promise<boolean> => {
        if (fatal || (last && ++shrinks > MOST_SHRINKS)) return true;
        if (runs > 1 && performance.now() > until + (last ? 3000 : 0)) return true;
        if (!last) runs += 1;
        try {
          const breach = await property.check(trial, drawn);
          if (breach) last = { breach, drawn };
          return breach === null;
        } catch (error) {
          if (error instanceof LossError) {
            last = {
              breach: { sentence: `the loss throws: ${error.message}`, expected: null, seen: null, tolerance: null, threw: error.message },
              drawn,
            };
            return false;
          }
          fatal = error;
          return true;
        }
      };
      const arbitrary = cases(this.#fc, trial.shape, draw);
      const result = await this.#fc.check(this.#fc.asyncProperty(arbitrary, predicate), {
        seed,
        numRuns,
        path: '',
        endOnFailure: false,
        verbose: 0,
      });
      if (fatal) throw fatal;
      if (last !== null) {
        const { breach, drawn } = last as { breach: Breach; drawn: Case };
        return { failure: { property, breach, drawn, path: result.counterexamplePath ?? '' }, runs };
      }
    }
    return { failure: null, runs };
  }

  #evidence({ property, breach, drawn, path }: Failure, shape: Shape): Evidence {
    const { name, statement } = property;
    const source = property.source === 'the family’s source' && shape.family !== 'custom' ? losses[shape.family]!.source : property.source;
    const { sentence, expected, seen, tolerance, batch = drawn.batch } = breach;
    return {
      property: name,
      statement,
      source,
      sentence,
      expected,
      seen,
      tolerance,
      batch: dataOf(batch, shape),
      seed: this.#settings.seed,
      path,
    };
  }

  /** One finding for each cause: what is explained by a known mistake, what by the gradient's, and the rest. */
  async #explain(trial: Trial, failures: readonly Failure[]): Promise<{ identity: Identity | null; findings: readonly Finding[] }> {
    const { shape, unit } = trial;
    if (shape.family === 'custom' || failures.some(({ property }) => property.name === 'determinism'))
      return { identity: null, findings: failures.map((failure) => this.#unexplained([failure], shape)) };
    const { seen, gradients } = await this.#observe(trial);
    const formula = formulas[shape.family];
    const until = performance.now() + Math.max(10_000, 1000 * this.#settings.timeBudget - (performance.now() - this.#start));
    const identity = identify({ formula, family: shape.family, seen, unit, until });
    const findings: Finding[] = [];
    let rest = failures;
    // An error is said once, whatever was asked when it came.
    const messages = new Set(failures.flatMap(({ breach: { threw } }) => threw ?? []));
    for (const message of messages) {
      const group = failures.filter(({ breach: { threw } }) => threw === message);
      rest = rest.filter((failure) => !group.includes(failure));
      findings.push(this.#unexplained(group, shape));
    }
    const take = async (model: Model, sentence: string, source: string | null, least: readonly string[]): Promise<void> => {
      const explained: Failure[] = [];
      for (const failure of rest)
        if (least.includes(failure.property.name) || (await breaks(model, trial, failure))) explained.push(failure);
      if (explained.length === 0) return;
      rest = rest.filter((failure) => !explained.includes(failure));
      findings.push({ sentence, source, certain: true, evidence: explained.map((failure) => this.#evidence(failure, shape)) });
    };
    if (identity && identity.kind !== 'definition') await take(identity.model, identity.sentence, identity.source, ['definition']);
    // Mistakes that ordinary batches do not show.
    if (identity?.kind === 'definition' && rest.length > 0) await this.#hidden(trial, rest, seen, take);
    const base = identity?.model ?? trial.definition!;
    if (gradients.length > 0 && (identity || rest.some(({ property }) => property.name === 'stop-gradient'))) {
      const wrong = identifyGradient(base, gradients, shape.names, unit);
      if (wrong) await take(wrong.model, wrong.sentence, null, ['gradient of the definition', 'stop-gradient']);
    }
    const state = rest.filter(({ property }) => property.name === 'state of the next batch');
    const sentence = state.length > 0 ? identifyState(shape.family, seen, unit) : null;
    if (sentence !== null) {
      rest = rest.filter((failure) => !state.includes(failure));
      findings.push({ sentence, source: null, certain: true, evidence: state.map((failure) => this.#evidence(failure, shape)) });
    }
    // Without a known cause, all that speaks of the value has one; and where the value is not the definition's, the gradient is not either.
    const wrong = rest.some(({ property: { name } }) => name === 'definition');
    const named = (names: readonly string[]) => rest.filter(({ property: { name } }) => names.includes(name));
    const apart = wrong ? named(ofTheirOwn) : named([...ofTheirOwn, ...ofConditioning, ...ofGradients]);
    const values = rest.filter((failure) => !apart.includes(failure));
    const slopes = wrong ? [] : named(ofGradients);
    for (const group of [values, slopes, ...apart.filter((failure) => !slopes.includes(failure)).map((failure) => [failure])])
      if (group.length > 0) findings.push(this.#unexplained(group, shape));
    return { identity, findings };
  }

  async #observe(
    trial: Trial,
  ): Promise<{ seen: readonly (Observation & Pick<Answer, 'next'>)[]; gradients: readonly GradientObservation[] }> {
    const seen: (Observation & Pick<Answer, 'next'>)[] = [];
    const gradients: GradientObservation[] = [];
    for (const batch of this.#sample(
      trial.shape,
      Math.min(OBSERVATIONS, LEAST_OBSERVATIONS + this.#settings.runs),
      this.#settings.seed + 2,
    )) {
      // What is slow is not identified by many.
      if (seen.length >= 1 && (performance.now() - this.#start) / 1000 > this.#settings.timeBudget) break;
      try {
        const answer = await trial.ask(batch, trial.gradients && gradients.length < GRADIENT_OBSERVATIONS);
        seen.push({ batch, loss: answer.loss, next: answer.next });
        if (answer.gradients) gradients.push({ batch, gradients: answer.gradients });
      } catch (error) {
        if (!(error instanceof LossError)) throw error;
      }
    }
    return { seen, gradients };
  }

  /** Of mistakes that ordinary batches do not show, one that gives what was seen where a property broke. */
  async #hidden(
    trial: Trial,
    rest: readonly Failure[],
    seen: readonly Observation[],
    take: (model: Model, sentence: string, source: string | null, least: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const formula = trial.definition!.formula;
    const told = rest.filter(({ property, breach }) => breach.seen !== null && !property.name.includes('gradient'));
    if (told.length === 0) return;
    for (const [name, [sentence, source = null]] of Object.entries(formula.mistakes)) {
      // What is detached has the definition's value on every batch, and explains none.
      if (name.startsWith('detached')) continue;
      const model = new Model(formula, { mistakes: new Set([name]) });
      if (!reproduces(model, seen, trial.unit).fits) continue;
      const alike = told.filter(({ breach, drawn }) => {
        const batch = breach.batch ?? drawn.batch;
        const value = model.value(batch);
        return Number.isFinite(value)
          ? Math.abs(value - breach.seen!) <= 2 * model.expected(batch, trial.unit).tolerance
          : !Number.isFinite(breach.seen!);
      });
      // That neither has a value says little, once.
      if (alike.length < (alike.some(({ breach }) => Number.isFinite(breach.seen)) ? 1 : 2)) continue;
      await take(
        model,
        sentence,
        source,
        alike.map(({ property }) => property.name),
      );
      return;
    }
  }

  #unexplained(failures: readonly Failure[], shape: Shape): Finding {
    const [{ property, breach }] = failures as [Failure];
    const likely = property.likely;
    return {
      sentence:
        breach.threw !== undefined
          ? breach.sentence
          : likely
            ? `${breach.sentence}; most likely ${likely}`
            : `${property.statement}: ${breach.sentence}`,
      source: null,
      certain: false,
      evidence: failures.map((failure) => this.#evidence(failure, shape)),
    };
  }
}

/** Properties whose breach has a cause of its own, whatever else is wrong. */
const ofTheirOwn: readonly string[] = ['arguments unchanged', 'gradient at collapse', 'state of the next batch', 'stop-gradient'];
/** Properties of a formula's evaluation, which a right one may break as well. */
const ofConditioning: readonly string[] = ['a row of zeros', 'large offset', 'small and large numbers', 'small temperature'];
const ofGradients: readonly string[] = ['gradient of the definition', 'gradient of the loss'];

/** Whether a model breaks what the loss broke, on the same batch. */
async function breaks(model: Model, trial: Trial, { property, breach, drawn }: Failure): Promise<boolean> {
  if (property.name === 'arguments unchanged') return false;
  // A derivative that is none: where the model has a kink.
  if (Number.isNaN(breach.seen) && property.name.includes('gradient')) return model.hasKink(breach.batch ?? drawn.batch);
  const ask = async (batch: Batch, gradients = false): Promise<Answer> => ({
    loss: model.value(batch),
    gradients: gradients ? model.gradients(batch).gradients : null,
    next: {},
    changed: [],
  });
  return (await property.check({ ...trial, ask }, drawn)) !== null;
}

/** How far a loss without a definition moves where its embeddings do by a few roundings. */
async function conditioning(batch: Batch, value: number, unit: number, ask: Trial['ask']): Promise<number> {
  const step = Math.sqrt(unit) / 64;
  let worst = 0;
  for (let k = 0; k < 2; k++) {
    const moved = {
      ...batch,
      embeddings: batch.embeddings.map((z) => ({ ...z, data: z.data.map((x, i) => x * (1 + step * Math.sin(1 + i * 2.3 + k * 7.7))) })),
    };
    worst = Math.max(worst, Math.abs((await ask(moved)).loss - value));
  }
  const { n, d } = sizesOf(batch);
  return unit * (32 + 4 * Math.max(n, d)) * (worst / step);
}

const rowsOf = ({ rows, columns, data }: Matrix): number[][] =>
  Array.from({ length: rows }, (_, i) => Array.from(data.subarray(i * columns, (i + 1) * columns)));

function dataOf(batch: Batch, { names }: Shape): BatchData {
  const arrays = [
    ...batch.embeddings.map((z, i) => [names[i]!, rowsOf(z)] as const),
    ...Object.entries(batch.state).map(([name, x]) => [name, rowsOf(x)] as const),
  ];
  return { arrays: Object.fromEntries(arrays), options: batch.options };
}
