import {
  type Compiled,
  compile,
  concat,
  type DType,
  foldIn,
  grad,
  type HostArray,
  key,
  type Plan,
  type PrintOptions,
  type Slot,
  stack,
  TensegrityError,
  type Tensor,
  tensor,
} from '../../engine/core.ts';
import { check, checkNumber, checkRecord, type Graph, graphOf, inTurn, options, shown, sizeOf } from '../../engine/internal.ts';
import { augmentations } from '../augment/index.ts';
import { checkDataset, type ImageDataset, picturesOf, takeSplit } from '../data/images.ts';
import { batchesPerEpoch, readyBatches } from '../data/loader.ts';
import { permutation } from '../data/permutation.ts';
import { embeddingDeviation, meanOffDiagonalCorrelation, normalizedDeviation } from '../evaluate/collapse.ts';
import { methodNamed } from '../methods/index.ts';
import { Learner, type Step } from '../methods/learner.ts';
import { type EncoderName, encoders } from '../nn/encoders.ts';
import { deriveKey } from '../nn/initialize.ts';
import type { Encoder } from '../nn/networks.ts';
import { readSlots, type StateDict, writeSlots } from '../nn/state.ts';
import { clipByNorm } from '../optim/clip.ts';
import { warmupCosine } from '../optim/schedule.ts';
import { checkConfig, optimizerOf, type Stepper, type TrainingConfig } from './config.ts';
import { OnlineProbe } from './probe.ts';
import { addedParts, partsOf, withTerms } from './step.ts';
import { standardizeChannels, toUnit, unitRange, viewsOf } from './views.ts';

/** What a step's plan is given: which rows, the step's number, what schedules say of it, and its pictures as they are stored. */
type StepArguments = [indices: Tensor, step: Tensor, numbers: Tensor, ...pictures: Tensor[]];

/** What a step measures, as scalars: a {@link StepRecord}'s numbers by their names there. */
export type Measured = Readonly<Record<'loss' | 'deviation' | 'normalizedDeviation' | 'correlation', Tensor>> & {
  readonly probeAccuracy?: Tensor;
  readonly parts: Readonly<Record<string, Tensor>>;
};

/** A step as a graph, for other engines: see {@link Trainer.graph}. */
export interface StepGraph {
  /** Of the batch's rows, i32 [n]; the step's number, i32 []; what each schedule says, f32 [] each; and its pictures as they are stored. */
  readonly graph: Graph<Measured>;
  /** What those are, in order: of these shapes and types. */
  readonly given: readonly Tensor[];
  /** The names of the schedules, in that order: the learning rate first. */
  readonly schedules: readonly string[];
  /** Every slot, by the name that it has in a checkpoint. */
  readonly slots: ReadonlyMap<string, Slot>;
}

/** What one step measured. */
export interface StepRecord {
  /** Steps done, this one included. */
  readonly step: number;
  /** From 0. */
  readonly epoch: number;
  readonly learningRate: number;
  readonly loss: number;
  /** The loss's parts, unweighted, by name. */
  readonly parts: Readonly<Record<string, number>>;
  /** Mean deviation of the first view's embedding over its dimensions: near 0 when it collapses. */
  readonly deviation: number;
  /** The same of its normalised rows, times √d: 1 healthy, 0 collapsed. */
  readonly normalizedDeviation: number;
  readonly correlation: number;
  /** The share of the batch's classes that the online probe told right, where there is one. */
  readonly probeAccuracy?: number;
}

/** Where a run stands; `tensors` are all of its slots. */
export interface TrainerState {
  readonly step: number;
  readonly epoch: number;
  readonly batch: number;
  readonly tensors: ReadonlyMap<string, HostArray>;
}

/** The encoder of a configuration, as it is before training: the same seed gives the same weights. */
export function initialEncoder({ encoder, stem, seed }: Pick<TrainingConfig, 'encoder' | 'stem' | 'seed'>, channels: number): Encoder {
  return encoders[encoder]({ key: deriveKey(seed, 0), inputs: channels, stem });
}

export interface TrainerOptions {
  /**
   * Whether the run is steered: its learning rate, its augmentation's strength and the method's live options are numbers that each step is given, as
   * {@link Trainer.steer} last set them, without a schedule, so that nothing compiles when they change. false, unless given.
   */
  readonly steered?: boolean;
}

/** What a step comes to: its numbers in one tensor, so that they are read at once, and what was embedded, if the run is steered. */
type Made = { readonly numbers: Tensor; readonly embeddings: readonly Tensor[] };

/** An encoder of a run. */
export interface TrainedEncoder {
  /** How it is told from the run's first encoder, which has none. */
  readonly name: string | null;
  readonly encoder: Encoder;
  readonly architecture: EncoderName;
}

/** The learner of a configuration as it is before training, and its encoders, for images of so many channels. */
export function learnerOf(
  config: TrainingConfig,
  { channels, count }: { readonly channels: number; readonly count: number },
): { readonly learner: Learner; readonly encoders: readonly TrainedEncoder[] } {
  const { methodOptions, seed, stem, widths, batchSize, accumulate } = config;
  const architectures = new Map<Encoder, EncoderName>();
  const learner = methodNamed(config.method).learner({
    options: methodOptions,
    encoder: ({ name = config.encoder, key: own } = {}) => {
      const encoder =
        own === undefined ? initialEncoder({ ...config, encoder: name }, channels) : encoders[name]({ key: own, inputs: channels, stem });
      architectures.set(encoder, name);
      return encoder;
    },
    widths,
    // 0 is the encoder's, 2 the draws' of the steps.
    key: (part) => deriveKey(seed, part === 0 ? 1 : part + 2),
    batchSize: batchSize / accumulate,
    images: count,
  });
  const all = [[null, learner.encoder] as const, ...Object.entries(learner.others())];
  return {
    learner,
    encoders: all.map(([name, encoder]) => ({ name, encoder, architecture: architectures.get(encoder) ?? config.encoder })),
  };
}

/**
 * A self-supervised training run: views of each image, the method's loss, its gradient, the optimiser's step, and what the method does after
 * it, in one compiled plan. Everything is a function of the configuration and the data: the order of the images, the views and the initial
 * weights are drawn from the seed, so a run that is stopped and continued has the bits of one that was not.
 */
export class Trainer {
  readonly config: TrainingConfig;
  readonly learner: Learner;
  /** What is saved and scored: the learner's encoder first. */
  readonly encoders: readonly TrainedEncoder[];
  /** All steps of the run. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** What views are made within: the least and the largest value of float images, where these are not within [0, 1]. */
  readonly pixels: readonly [low: number, high: number];
  readonly #dataset: ImageDataset;
  readonly #optimizer: Stepper;
  /** The schedule that says whether a parameter learns, where it does not always. */
  readonly #learns: ReadonlyMap<Slot, string | undefined>;
  readonly #parts: readonly string[];
  /** The numbers of a step, by name: the learning rate, and the method's own. Their names stay. */
  #schedules: Readonly<Record<string, (step: number) => number>>;
  /** What the run is steered by; null where it is not. */
  #steering: Readonly<Record<string, number>> | null;
  /** What the latest step embedded, if the run is steered. */
  #embedded: readonly Tensor[] = [];
  readonly #views: ReturnType<typeof viewsOf>;
  readonly #probe: OnlineProbe | null;
  readonly #compiled: Compiled<StepArguments, Made>;
  #step = 0;
  /** The last epoch that the learner has been told of. */
  #begun = -1;

  /** @throws TensegrityError `argument` for a configuration that makes no sense, or a batch larger than the data. */
  constructor(config: TrainingConfig, dataset: ImageDataset, given: TrainerOptions = {}) {
    const { steered } = options('Trainer', given, { steered: false });
    checkConfig(config);
    checkDataset('Trainer', dataset);
    this.config = config;
    this.#dataset = dataset;
    this.pixels = unitRange(picturesOf(dataset.train));
    const [count, channels] = dataset.train.images.shape as [number, number];
    const { batchSize, methodOptions } = config;
    this.stepsPerEpoch = batchesPerEpoch(count, { batchSize });
    this.steps = this.stepsPerEpoch * config.epochs;
    const method = methodNamed(config.method);
    const { learner, encoders } = learnerOf(config, { channels, count });
    this.learner = learner;
    this.encoders = encoders;
    this.#steering = steered ? steeringOf(config) : null;
    this.#schedules = this.#scheduled();
    this.#views = viewsOf(method.views(augmentations[config.augmentation], methodOptions), { ...dataset, pixels: this.pixels });
    const learned = this.learner.learned();
    this.#optimizer = optimizerOf(config, learned);
    this.#learns = new Map(learned.flatMap(({ parameters, learns }) => parameters.map((parameter) => [parameter, learns])));
    this.#probe = probeOf(config, dataset, this.encoder.width);
    for (const [name, slot] of this.namedSlots()) slot.name = name;
    this.#parts = [...method.parts, ...addedParts(config)];
    this.#compiled = compile((...given: StepArguments) => this.#trace(...given));
  }

  /** What is trained, and saved. */
  get encoder(): Encoder {
    return this.learner.encoder;
  }

  /** The numbers of every step: of a steered run as it is steered now. */
  #scheduled(): Readonly<Record<string, (step: number) => number>> {
    const { steps, stepsPerEpoch } = this;
    const { batchSize, warmup, methodOptions } = this.config;
    const { learningRate = this.config.learningRate, strength: _strength, ...live } = this.#steering ?? {};
    const course = { learningRate, steps, stepsPerEpoch, batchSize };
    return {
      learningRate: (step) => warmupCosine(step, { base: learningRate, steps, warmup: warmup * steps }),
      ...methodNamed(this.config.method).schedules({ ...methodOptions, ...live }, course),
      ...Object.fromEntries(Object.entries(this.#steering ?? {}).map(([name, value]) => [name, () => value])),
    };
  }

  /** What the run is steered by now: `learningRate`, `strength` (of the augmentation, 1 at first), and the method's live options. */
  get steering(): Readonly<Record<string, number>> {
    return { ...this.#steering };
  }

  /**
   * Sets what steps are given from the next one on; nothing compiles.
   * @throws TensegrityError `argument` for a number that is out of its range, a name that is not among those of `steering`, and a run that is not steered.
   */
  steer(changes: Readonly<Record<string, number>>): void {
    const steering = this.#steering;
    check(steering, 'argument', () => 'steer: the run is not steered; make it with { steered: true }');
    checkRecord('steer', changes);
    for (const [name, value] of Object.entries(changes)) {
      const known = Object.keys(steering);
      check(known.includes(name), 'argument', () => `steer: there is no ${shown(name)}; there are ${known.join(', ')}`);
      checkNumber(`steer: ${name}`, value, 0, name === 'strength' ? 1 : undefined);
    }
    const { learningRate: _rate, strength: _strength, ...live } = changes;
    const { method, methodOptions } = this.config;
    methodNamed(method).checkOptions({ ...methodOptions, ...live });
    this.#steering = { ...steering, ...changes };
    this.#schedules = this.#scheduled();
  }

  /** What a step measured as one tensor, so that its numbers are read at once: those of a {@link StepRecord}. */
  #trace(...[indices, step, numbers, ...pictures]: StepArguments): Made {
    const { measured, embeddings } = this.#measure(this.#given(indices, step, this.#at(numbers), pictures), pictures);
    const { parts, ...others } = measured;
    return { numbers: stack([...Object.values(others), ...Object.values(parts)]), embeddings };
  }

  /** Builds the graph of a step, and assigns what it changes. */
  #measure(given: Step, pictures: readonly Tensor[]): { readonly measured: Measured } & Pick<Made, 'embeddings'> {
    const { clip, accumulate } = this.config;
    const outcomes = partsOf(given, accumulate).map((part) => withTerms(this.learner.step(part), this.config));
    const { parameters } = this.#optimizer;
    const own = outcomes.map(({ loss }) => grad(loss, parameters));
    // The same of every part.
    const { gradients: instead = (gradient: Tensor): Tensor => gradient } = outcomes[0]!;
    const gradients = parameters.map((parameter, i) => {
      const learns = this.#learns.get(parameter);
      const gradient = instead(averageOf(own.map((part) => part[i]!)));
      // What does not learn has no part in the norm that all are scaled by.
      return learns === undefined ? gradient : given.at[learns]!.where(gradient, 0);
    });
    const told = this.#probe?.step(this.encoder.forward(standardizeChannels(toUnit(pictures[0]!), this.#dataset)), given.indices);
    this.#optimizer.step(clip === null ? gradients : clipByNorm(gradients, clip), given.at);
    for (const { after } of outcomes) after?.();
    const z = concat(outcomes.map(({ embeddings, watched }) => watched ?? embeddings[0]!)).stopGradient();
    return {
      measured: {
        loss: averageOf(outcomes.map(({ loss }) => loss)),
        deviation: embeddingDeviation(z),
        normalizedDeviation: normalizedDeviation(z),
        correlation: meanOffDiagonalCorrelation(z),
        ...(told && { probeAccuracy: told }),
        parts: Object.fromEntries(this.#parts.map((name) => [name, averageOf(outcomes.map(({ parts }) => parts[name]!))])),
      },
      embeddings: this.#steering ? outcomes[0]!.embeddings.map((each) => each.stopGradient()) : [],
    };
  }

  /** A step as the learner is given it, made of a plan's arguments. */
  #given(indices: Tensor, step: Tensor, at: Step['at'], pictures: readonly Tensor[]): Step {
    const draws = foldIn(this.#draws(), step);
    const views = this.#views(pictures, draws, at['strength']);
    return { views, indices, at, key: foldIn(draws, views.length) };
  }

  /** What the schedules say of a step, of all their numbers [k]. */
  #at(numbers: Tensor): Step['at'] {
    return Object.fromEntries(Object.keys(this.#schedules).map((name, i) => [name, numbers.slice(i)]));
  }

  /** What steps draw from: by their number, those of {@link #visit} by numbers that no step has, and beginnings of epochs by negative ones. */
  #draws(): Tensor {
    return foldIn(key(this.config.seed), 2);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Every slot, by name: `encoder.…`, `head.…` and whatever else the learner has, `optimizer.…`, and `probe.…` where there is one. */
  *namedSlots(): Generator<[name: string, slot: Slot]> {
    yield* this.learner.namedSlots();
    for (const [name, slot] of this.#optimizer.namedSlots()) yield [`optimizer.${name}`, slot];
    if (this.#probe) yield* this.#probe.namedSlots('probe.');
  }

  /** Trains to the end, or until the consumer stops asking; a later call goes on from there. */
  async *run(): AsyncGenerator<StepRecord, void, undefined> {
    const { batchSize, seed } = this.config;
    while (this.#step < this.steps) {
      const epoch = Math.floor(this.#step / this.stepsPerEpoch);
      // What a learner makes of its data then is state: a run that goes on in the middle of an epoch has it already.
      const begins = this.#step % this.stepsPerEpoch === 0 && this.#begun !== epoch;
      if (begins) {
        const visit = (look: (step: Step) => void): Promise<void> => this.#visit(epoch, look);
        await this.learner.beforeEpoch({ epoch, key: foldIn(this.#draws(), -1 - epoch), visit });
      }
      this.#begun = epoch;
      const batches = readyBatches(this.#dataset.train, { batchSize, seed }, epoch, this.#step % this.stepsPerEpoch);
      for await (const { indices, ...batch } of batches)
        yield await this.#advance(
          picturesOf(batch).map((images) => tensor(images)),
          tensor(indices),
          epoch,
        );
    }
  }

  /** Runs `look` on every image, in batches of which the last is filled up with images of the first. */
  async #visit(epoch: number, look: (step: Step) => void): Promise<void> {
    const { accumulate, seed } = this.config;
    const batchSize = this.config.batchSize / accumulate;
    const { train } = this.#dataset;
    const order = permutation(train.images.shape[0]!, seed, epoch);
    const visits = Math.ceil(order.length / batchSize);
    const numbers = tensor(this.numbersAt(epoch * this.stepsPerEpoch));
    const plan = compile((indices: Tensor, step: Tensor, ...pictures: Tensor[]) => {
      look(this.#given(indices, step, this.#at(numbers), pictures));
      return [];
    });
    using _ahead = train.pending?.ahead(order);
    try {
      for (let visit = 0; visit < visits; visit++) {
        const indices = Int32Array.from({ length: batchSize }, (_, i) => order[(visit * batchSize + i) % order.length]!);
        const pictures = await this.#pictures(indices);
        await plan(tensor(indices), scalarOf(this.steps + epoch * visits + visit, 'i32'), ...pictures);
      }
    } finally {
      plan.dispose();
    }
  }

  /** The pictures of rows of the training images, when these are there. */
  async #pictures(rows: Int32Array): Promise<Tensor[]> {
    const { train } = this.#dataset;
    await train.pending?.ready(rows);
    return picturesOf(takeSplit(train, rows)).map((images) => tensor(images));
  }

  /** What the schedules say of a step, from 0: the learning rate, and the method's own, in the order of {@link StepGraph.schedules}. */
  numbersAt(step: number): number[] {
    return Object.values(this.#schedules).map((schedule) => schedule(step));
  }

  async #advance(pictures: readonly Tensor[], indices: Tensor, epoch: number): Promise<StepRecord> {
    const numbers = this.numbersAt(this.#step);
    const made = await this.#compiled(indices, scalarOf(this.#step, 'i32'), tensor(numbers), ...pictures);
    using measured = made.numbers;
    for (const each of this.#embedded) each.dispose();
    this.#embedded = made.embeddings;
    this.#step++;
    const [loss, deviation, normalizedDeviation, correlation, ...rest] = (await measured.data()) as Float32Array;
    const [probeAccuracy, values] = this.#probe ? [rest[0]!, rest.slice(1)] : [undefined, rest];
    const parts = Object.fromEntries(this.#parts.map((name, i) => [name, values[i]!]));
    return {
      step: this.#step,
      epoch,
      learningRate: numbers[0]!,
      loss: loss!,
      parts,
      deviation: deviation!,
      normalizedDeviation: normalizedDeviation!,
      correlation: correlation!,
      ...(probeAccuracy !== undefined && { probeAccuracy }),
    };
  }

  /** What the latest step of a steered run embedded, of its first part: each view's [n, d], for as long as no other step begins; nothing before the first. */
  get embedded(): readonly Tensor[] {
    return this.#embedded;
  }

  /** Compiles the plan of a step, which {@link run} would do at its first; gives a copy. @throws TensegrityError for images that the configuration cannot work with. */
  async prepare(): Promise<Plan> {
    return this.#compiled.plan(...this.#example());
  }

  /**
   * What a step would see now: the embeddings [n, d] of two views of a batch, the same each time, or of one where the method learns from one. Nothing
   * is learned, and all state is as before.
   */
  async embeddings(): Promise<readonly HostArray[]> {
    const count = this.config.batchSize / this.config.accumulate;
    // Mixed as in an epoch: data may be sorted by class.
    const some = permutation(this.#dataset.train.images.shape[0]!, this.config.seed, 0).subarray(0, count);
    const before = await readSlots(this.learner.namedSlots());
    const numbers = tensor(this.numbersAt(Math.max(0, this.#step - 1)));
    const look = compile((indices: Tensor, ...pictures: Tensor[]) =>
      this.learner.step(this.#given(indices, scalarOf(LOOK, 'i32'), this.#at(numbers), pictures)).embeddings.slice(0, 2),
    );
    try {
      const views = await look(tensor(some), ...(await this.#pictures(some)));
      return await Promise.all(views.map((view) => view.toHost()));
    } finally {
      look.dispose();
      // Batch norms have moved their running statistics, and some methods more than that.
      writeSlots(this.learner.namedSlots(), before, 'the state before');
    }
  }

  /** The plan of a step, as a listing. @throws TensegrityError as {@link Compiled.explain} does. */
  async explain(options?: PrintOptions): Promise<string> {
    return this.#compiled.explain(this.#example(), options);
  }

  /**
   * A step as one pure graph, state in and state out, for other engines (`tensegrity export --to jax`).
   * @throws TensegrityError `argument` for a method that looks at all its data before an epoch: that is outside of the graph.
   */
  async graph(): Promise<StepGraph> {
    check(
      this.learner.beforeEpoch === Learner.prototype.beforeEpoch,
      'argument',
      () =>
        `a step of ${this.config.method} is no whole: before each epoch it looks at all images, outside of the graph of a step; train it here`,
    );
    const [indices, step, , ...pictures] = this.#example();
    const schedules = Object.keys(this.#schedules);
    const traced = (...[rows, number, ...others]: [Tensor, Tensor, ...Tensor[]]): Measured => {
      const at = Object.fromEntries(schedules.map((name, i) => [name, others[i]!]));
      const images = others.slice(schedules.length);
      return this.#measure(this.#given(rows, number, at, images), images).measured;
    };
    const given = [indices, step, ...schedules.map(() => scalarOf(0, 'f32')), ...pictures] as const;
    return { graph: await inTurn(() => graphOf(traced, [...given])), given, schedules, slots: new Map(this.namedSlots()) };
  }

  /** Arguments of the shapes that every step has. */
  #example(): StepArguments {
    const { batchSize } = this.config;
    const pictures = picturesOf(this.#dataset.train).map(({ dtype, shape: [, ...image], data }) =>
      tensor({ dtype, shape: [batchSize, ...image], data: data.subarray(0, batchSize * sizeOf(image)) }),
    );
    const numbers = tensor(new Float32Array(Object.keys(this.#schedules).length));
    return [tensor(new Int32Array(batchSize)), scalarOf(0, 'i32'), numbers, ...pictures];
  }

  /** Where the run stands; between steps only. */
  async state(): Promise<TrainerState> {
    const { stepsPerEpoch } = this;
    return {
      step: this.#step,
      epoch: Math.floor(this.#step / stepsPerEpoch),
      batch: this.#step % stepsPerEpoch,
      tensors: await readSlots(this.namedSlots()),
    };
  }

  /** Continues from a state. @throws TensegrityError `format` if it is of another configuration; nothing has been changed then. */
  restore(state: { readonly step: number; readonly tensors: StateDict }): void {
    checkRecord('restore: the state', state);
    const { step, tensors } = state;
    checkNumber('restore: the step', step, 0);
    check(step <= this.steps, 'format', () => `the state is at step ${step}, and the run has only ${this.steps}`);
    try {
      writeSlots(this.namedSlots(), tensors, 'checkpoint');
    } catch (cause) {
      if (!(cause instanceof TensegrityError) || cause.code !== 'format') throw cause;
      const remedy = 'it is of other settings, or of a tensegrity whose method keeps other state; go on with those, or train anew';
      throw new TensegrityError('format', `${cause.message}; ${remedy}`, cause.details, cause);
    }
    this.#step = step;
    this.#begun = -1;
  }

  /** Gives all memory back. */
  dispose(): void {
    this.#compiled.dispose();
    for (const each of this.#embedded) each.dispose();
    this.learner.dispose();
    this.#optimizer.dispose();
    this.#probe?.dispose();
  }
}

/** In the place of a step's number: what {@link Trainer.embeddings} draws from is drawn from by no step. */
const LOOK = -(2 ** 31);

function scalarOf(value: number, dtype: DType): Tensor {
  return tensor(value, { dtype });
}

/** The mean of what the parts of a batch came to. */
function averageOf(parts: readonly Tensor[]): Tensor {
  const total = parts.reduce((sum, part) => sum.add(part));
  return parts.length === 1 ? total : total.div(parts.length);
}

/** What a run is steered by as it begins: what its configuration says. */
function steeringOf({ method, methodOptions, learningRate }: TrainingConfig): Readonly<Record<string, number>> {
  const { live = [], options } = methodNamed(method);
  const value = (name: string): number => Number(methodOptions[name] ?? options[name]?.default);
  return { learningRate, strength: 1, ...Object.fromEntries(live.map((name) => [name, value(name)])) };
}

/** @throws TensegrityError `argument` for a data set without labels. */
function probeOf({ probe, seed }: TrainingConfig, { train }: ImageDataset, width: number): OnlineProbe | null {
  if (probe === 'off') return null;
  check(train.labels, 'argument', () => 'probe must be off for a data set without labels');
  // 0 is the encoder's, 1 and 3 and above the learner's, 2 the draws'.
  return new OnlineProbe(width, train.labels, deriveKey(seed, -1));
}
