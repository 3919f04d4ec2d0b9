import { type DType, type HostArray, type Operand, Slot, slot, Tensor } from '../../engine/core.ts';
import {
  check,
  checkList,
  checkNames,
  checkRecord,
  checkTensors,
  filled,
  isMarked,
  sameShape,
  show,
  shown,
} from '../../engine/internal.ts';
import { constant } from '../nn/initialize.ts';
import { readSlots, type StateDict, writeSlots } from '../nn/state.ts';

/** What an update is made of, for one parameter. */
export interface UpdateContext<Hyper> {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  /** The running averages of this parameter, by name; zeros at first. */
  readonly moments: Readonly<Record<string, Tensor>>;
  /** Which step this is, from 1: a scalar of the parameter's type. 0 where the parameter does not learn, and nothing comes of the update. */
  readonly step: Tensor;
  readonly learningRate: Operand;
  readonly hyper: Hyper;
}

/** An optimisation method: a pure function from a parameter, its gradient and its moments to their next values. */
export interface UpdateRule<Hyper> {
  /** The hyperparameters, where not given. */
  readonly defaults: Required<Hyper>;
  /** Names of the moments it keeps. */
  readonly moments: (hyper: Required<Hyper>) => readonly string[];
  readonly update: (context: UpdateContext<Required<Hyper>>) => {
    readonly parameter: Tensor;
    readonly moments?: Readonly<Record<string, Tensor>>;
  };
}

/** Parameters that share hyperparameters. */
export type ParameterGroup<Hyper> = Partial<Hyper> & {
  readonly parameters: readonly Slot[];
  /** Factor of the learning rate for this group; 1, unless given. */
  readonly learningRateScale?: number;
  /** Which of the rates that `step` is given is this group's; `learningRate`, unless given. */
  readonly rate?: string;
  /**
   * Which of the numbers that `step` is given says whether this group learns: where it is 0, its parameters, their moments and its count of steps
   * stay as they are, as PyTorch leaves a parameter whose `grad` is None. A gradient of 0 is something else: weight decay moves what has it. Always, unless given.
   */
  readonly learns?: string;
};

/** How many steps parameters have been moved by: those of one element type, so that bias corrections are as exact as the parameters, that learn at the same steps. */
interface Counter {
  readonly dtype: DType;
  readonly learns: string | undefined;
  readonly slot: Slot;
}

interface Entry<Hyper> {
  readonly parameter: Slot;
  readonly moments: Readonly<Record<string, Slot>>;
  readonly hyper: Required<Hyper>;
  readonly scale: number;
  readonly rate: string;
  readonly counter: Counter;
}

/**
 * Moves parameters along gradients by an {@link UpdateRule}. It holds the rule's moments and a step counter in slots, so a step is part of the
 * compiled plan that computes the gradients, and is saved and restored with it.
 */
export class Optimizer<Hyper> {
  readonly #rule: UpdateRule<Hyper>;
  readonly #entries: readonly Entry<Hyper>[];
  readonly #counters: readonly Counter[];
  readonly #learningRate: number;

  /**
   * @param groups parameters, or groups of them with hyperparameters of their own. A parameter that comes twice counts once.
   * @param options the learning rate that `step` uses unless it is given one, and the groups' common hyperparameters.
   * @throws TensegrityError `argument` for a parameter in two groups, and where there is none.
   */
  constructor(
    rule: UpdateRule<Hyper>,
    groups: readonly (Slot | ParameterGroup<Hyper>)[],
    given: Partial<Hyper> & { readonly learningRate: number },
  ) {
    const what = this.constructor.name;
    checkNames(`${what}: the rule`, rule, { defaults: 0, moments: 0, update: 0 });
    checkRecord(`${what}: the rule's defaults`, rule.defaults);
    checkNames(what, given, { learningRate: 0, ...rule.defaults });
    const { learningRate, ...common } = given;
    checkRate(`${what}: learningRate`, learningRate);
    // The names are those of the defaults, and every value has its type.
    const over = (part: string, own: object, defaults: object): Required<Hyper> => filled(part, own, defaults) as Required<Hyper>;
    const shared = over(what, common, rule.defaults);
    this.#rule = rule;
    this.#learningRate = learningRate;
    checkList(`${what}: the parameters`, groups);
    const counters: Counter[] = [];
    const counterOf = (dtype: DType, learns: string | undefined): Counter => {
      const known = counters.find((counter) => counter.dtype === dtype && counter.learns === learns);
      if (known) return known;
      const counter = { dtype, learns, slot: slot(constant([], 0, dtype), 'step') };
      counters.push(counter);
      return counter;
    };
    const groupOf = new Map<Slot, unknown>();
    /** Whether a parameter has not been met before: one that a list has twice counts once. */
    const fresh = (parameter: Slot, group: unknown): boolean => {
      check(parameter instanceof Slot, 'argument', () => `${what}: a parameter is a slot, got ${shown(parameter)}`);
      const known = groupOf.get(parameter);
      check(
        known === undefined || known === group,
        'argument',
        () => `${what}: parameter ${parameter.name} ${show(parameter.shape)} is in two groups; leave it in one of them`,
      );
      groupOf.set(parameter, group);
      return known === undefined;
    };
    this.#entries = groups.flatMap((group) => {
      check(
        group instanceof Slot || !isMarked(group),
        'argument',
        () => `${what}: takes parameters and groups { parameters }, got ${shown(group)}`,
      );
      if (!(group instanceof Slot))
        checkNames(`${what}: a group`, group, { parameters: 0, learningRateScale: 0, rate: 0, learns: 0, ...rule.defaults });
      const {
        parameters,
        learningRateScale = 1,
        rate = 'learningRate',
        learns,
        ...own
      } = group instanceof Slot ? { parameters: [group] } : group;
      checkList(`${what}: the parameters of a group`, parameters);
      checkRate(`${what}: learningRateScale`, learningRateScale);
      for (const [option, name] of Object.entries({ rate, learns }))
        check(name === undefined || typeof name === 'string', 'argument', () => `${what}: ${option} is a name, got ${shown(name)}`);
      const hyper = over(`${what}: a group`, own, shared);
      const distinct = parameters.filter((parameter) => fresh(parameter, group instanceof Slot ? groups : group));
      return distinct.map((parameter) => {
        const moment = (name: string): Slot => slot(constant(parameter.shape, 0, parameter.dtype), `${name} of ${parameter.name}`);
        return {
          parameter,
          hyper,
          scale: learningRateScale,
          rate,
          counter: counterOf(parameter.dtype, learns),
          moments: Object.fromEntries(rule.moments(hyper).map((name) => [name, moment(name)])),
        };
      });
    });
    check(
      this.#entries.length > 0,
      'argument',
      () => `${what}: there is no parameter to train; parameters() of a module has those of its properties, and no private ones (#x)`,
    );
    this.#counters = counters;
  }

  /** What is trained, each once, in the order in which `step` takes gradients. */
  get parameters(): Slot[] {
    return this.#entries.map(({ parameter }) => parameter);
  }

  /**
   * Assigns every parameter and moment its next value, which takes effect with the plan that runs.
   * @param gradients one for each of `parameters`, of its shape.
   * @param rates the learning rate, a number, or a tensor of shape [], so that a schedule does not compile anew; or a record of them by the
   * groups' `rate` and `learns`.
   * @throws TensegrityError `shape` for a gradient that does not fit, `argument` for a wrong number of them.
   */
  step(gradients: readonly Tensor[], rates: Operand | Readonly<Record<string, Operand>> = this.#learningRate): void {
    const one = typeof rates === 'number' || rates instanceof Tensor ? rates : null;
    if (one === null) checkRecord('step: the rates', rates);
    const rateOf = (name: string): Operand => {
      const rate = one ?? (rates as Readonly<Record<string, Operand>>)[name];
      if (typeof rate === 'number') checkRate(`step: ${name}`, rate);
      else checkTensors(`step: ${name}`, rate);
      // It has just been checked.
      return rate as Operand;
    };
    checkList('step: the gradients', gradients);
    checkTensors('step', ...gradients);
    check(
      gradients.length === this.#entries.length,
      'argument',
      () =>
        `step: ${this.#entries.length} parameters need as many gradients, got ${gradients.length}; they are those of \`optimizer.parameters\`, each once`,
    );
    // All is checked before anything is assigned.
    const nows = new Map(
      this.#counters.map(({ learns }) => {
        check(
          learns === undefined || one === null,
          'argument',
          () => `step: a group learns where '${learns}' is not 0; give a record { learningRate, ${learns} }`,
        );
        return [learns, learns === undefined ? 1 : rateOf(learns)];
      }),
    );
    const learningRates = this.#entries.map(({ parameter, scale, rate }, i) => {
      const gradient = gradients[i]!;
      check(
        sameShape(gradient.shape, parameter.shape),
        'shape',
        () => `step: parameter ${i} (${parameter.name}) has shape ${show(parameter.shape)}, its gradient ${show(gradient.shape)}`,
      );
      return scaled(rateOf(rate), scale, parameter);
    });
    const assign = (own: Slot, { learns }: Counter, next: Tensor): void => {
      const now = nows.get(learns)!;
      own.assign(now instanceof Tensor ? now.where(next, own.value) : now === 0 ? own.value : next);
    };
    for (const counter of this.#counters) assign(counter.slot, counter, counter.slot.value.add(1));
    this.#entries.forEach(({ parameter, moments, hyper, counter }, i) => {
      const next = this.#rule.update({
        parameter: parameter.value,
        gradient: gradients[i]!.cast(parameter.dtype),
        moments: Object.fromEntries(Object.entries(moments).map(([name, moment]) => [name, moment.value])),
        step: counter.slot.value,
        learningRate: learningRates[i]!,
        hyper,
      });
      assign(parameter, counter, next.parameter);
      for (const [name, moment] of Object.entries(moments)) {
        const value = next.moments?.[name];
        if (value) assign(moment, counter, value);
      }
    });
  }

  /** The optimiser's own slots: 'step' ('step.f32' where there are several types, 'step.NAME' of what learns by NAME), and '0.momentum', … by the position of the parameter. */
  *namedSlots(): Generator<[name: string, slot: Slot]> {
    const several = new Set(this.#counters.map(({ dtype }) => dtype)).size > 1;
    for (const { dtype, learns, slot } of this.#counters)
      yield [['step', ...(several ? [dtype] : []), ...(learns === undefined ? [] : [learns])].join('.'), slot];
    for (const [i, { moments }] of this.#entries.entries()) {
      for (const [name, moment] of Object.entries(moments)) yield [`${i}.${name}`, moment];
    }
  }

  /** Step counter and moments now. */
  stateDict(): Promise<Map<string, HostArray>> {
    return readSlots(this.namedSlots());
  }

  /** @throws TensegrityError `format` naming what is missing, left over or of the wrong shape; nothing has been changed then. */
  loadStateDict(state: StateDict): void {
    writeSlots(this.namedSlots(), state, 'optimiser');
  }

  /** Gives the memory of its slots back. */
  dispose(): void {
    for (const [, own] of this.namedSlots()) own.dispose();
  }
}

function checkRate(what: string, value: number): void {
  check(typeof value === 'number' && Number.isFinite(value), 'argument', () => `${what} must be a finite number, got ${shown(value)}`);
}

function scaled(learningRate: Operand, scale: number, { dtype }: Slot): Operand {
  const rate = typeof learningRate === 'number' ? learningRate : learningRate.cast(dtype);
  if (scale === 1) return rate;
  return typeof rate === 'number' ? rate * scale : rate.mul(scale);
}
