import type { Key, Tensor } from '../../engine/core.ts';
import type { Augmentation } from '../augment/index.ts';
import type { EncoderName } from '../nn/encoders.ts';
import type { HostKey, InitializeOptions } from '../nn/initialize.ts';
import { type Mode, Module, type Parameter } from '../nn/module.ts';
import type { Encoder } from '../nn/networks.ts';
import type { TrainingConfig } from '../train/config.ts';
import type { Pair } from './crossed.ts';
import { type OptionTable, type OptionValues, resolveOptions } from './options.ts';

/** What a learner is made from. */
export interface Setting<Options> {
  readonly options: Options;
  /**
   * A new encoder, with the same weights each time, so that a teacher begins as its student does; `other` has weights of its own, and may be
   * of another architecture.
   */
  readonly encoder: (other?: { readonly key?: HostKey; readonly name?: EncoderName | undefined }) => Encoder;
  /** Widths of the head's layers after the encoder. */
  readonly widths: readonly number[];
  /** What each part beside the encoder draws its weights from: part 0 is the head. */
  readonly key: (part: number) => HostKey;
  /** Images of a step: of each part, where a batch is computed in parts. */
  readonly batchSize: number;
  /** How many images there are to train on. */
  readonly images: number;
}

/** One step of training, as a trace sees it. */
export interface Step {
  /** Normalised images [n, C, H, W], one for each of the method's views; their sizes may differ. */
  readonly views: readonly Tensor[];
  /** Which rows of the data they are: i32 [n]. */
  readonly indices: Tensor;
  /** What the method's `schedules` say of this step, and its `live` options where they are steered: scalars, f32. */
  readonly at: Readonly<Record<string, Tensor>>;
  /** What the method draws from. */
  readonly key: Tensor;
  /**
   * Where it lies in a batch that is computed in parts, one step each, whose `after` run in order when all have been computed: what is of the weights
   * (a teacher) moves with the first or the last alone. Absent where the step is the batch.
   */
  readonly part?: { readonly first: boolean; readonly last: boolean };
}

/** The beginning of an epoch, as a learner is told of it. */
export interface EpochStart {
  /** From 0. */
  readonly epoch: number;
  /** What is drawn from then. */
  readonly key: Tensor;
  /** Runs `look` on all images, in batches, with views that no step has: nothing is learned but what it assigns to slots. An image may come twice. */
  readonly visit: (look: (step: Step) => void) => Promise<void>;
}

/** What a step came to. */
export interface Outcome {
  readonly loss: Tensor;
  /** The loss's parts before their weights, by the names that the method gives; scalars. */
  readonly parts: Readonly<Record<string, Tensor>>;
  /** What the encoder that learns and its head made of each view, [n, d]. */
  readonly embeddings: readonly Tensor[];
  /** What is watched for collapse, [n, …]: the first view's embedding, unless given; the logits of its classes, say. */
  readonly watched?: Tensor;
  /** Another gradient in place of a parameter's own (the mean over the parts of a batch): a shorter one, say. */
  readonly gradients?: (gradient: Tensor) => Tensor;
  /** Runs when the optimiser has assigned the new weights: moves teachers, queues, centres, from where they are then (`slot.value`). */
  readonly after?: () => void;
}

/** Parameters that learn alike. */
export interface LearnedGroup {
  readonly parameters: readonly Parameter[];
  /** The schedule that is their learning rate, where it is not the run's. */
  readonly rate?: string;
  /** The schedule that says whether they learn, 1, or stay as they are, 0; always, where there is none. */
  readonly learns?: string;
}

/** Groups with one parameter apart, which learns where a schedule is not 0. */
export function apart(groups: readonly LearnedGroup[], parameter: Parameter, learns: string): readonly LearnedGroup[] {
  const rest = groups.map((group) => ({ ...group, parameters: group.parameters.filter((each) => each !== parameter) }));
  return [...rest, { parameters: [parameter], learns }];
}

/**
 * A method at work: a module whose slots are all its state (weights, teachers, queues, prototypes, running statistics), and a function from a
 * traced step to a loss. A checkpoint to the bit, and one plan for a step, need no more.
 */
export abstract class Learner extends Module {
  /** What is saved, and scored. */
  abstract readonly encoder: Encoder;

  /** What the optimiser moves: every parameter, unless said otherwise. */
  learned(): readonly LearnedGroup[] {
    return [{ parameters: this.parameters() }];
  }

  /** Builds the graph of a step. It must not depend on values, since it is traced once. */
  abstract step(step: Step): Outcome;

  /** Further encoders that are saved and scored, by name. */
  others(): Readonly<Record<string, Encoder>> {
    return {};
  }

  /** What the loss compares of images [N, C, H, W] as of view `_view`, in evaluation mode: [N, d]; null where it compares no embeddings of views alone. */
  embed(_images: Tensor, _view: number): Tensor | null {
    return null;
  }

  /** Runs before each epoch, outside of the plan. What it makes is state, so that a run that is resumed within the epoch has it. */
  async beforeEpoch(_start: EpochStart): Promise<void> {}

  /** Images [N, C, H, W] → the encoder's features. */
  override forward(x: Tensor, mode?: Mode): Tensor {
    return this.encoder.forward(x, mode);
  }
}

/** What the numbers of a run are on the host, for schedules. */
export interface Course {
  readonly learningRate: number;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  readonly batchSize: number;
}

/** Words for a person who trains with a method. */
export interface Advice {
  /**
   * What tells a collapse: the deviation of the embedding where the loss asks for a scale; that of its `directions` (times √d, so that 1 is
   * healthy whatever the dimension) where it does not, or of `classes` or `targets`, where the learner gives logits to watch (`classRows`), its own
   * or those that it is to predict; the correlation of its dimensions where a norm at the end keeps the deviation at 1.
   */
  readonly watched: 'deviation' | 'directions' | 'classes' | 'targets' | 'correlation';
  /** What helps an embedding that has collapsed. */
  readonly collapsed: string;
  /** And one whose dimensions repeat each other; null where the loss does not see that. */
  readonly redundant: string | null;
  /** With at least this epsilon, a dimension that is constant or follows from others does no harm; 0 where it never does. */
  readonly epsilon: number;
}

/** Settings of a run that a method has defaults of its own for. */
export type TrainingDefaults = Partial<Omit<TrainingConfig, 'method' | 'widths' | 'seed'>>;

/** A loss of two views' embeddings [n, d]: `loss` and its named parts, each a scalar. `key` feeds the methods that draw at random. */
export type MethodLoss = (za: Tensor, zb: Tensor, key?: Key) => { readonly loss: Tensor } & Readonly<Record<string, Tensor>>;

type Given = Readonly<Record<string, unknown>>;

/** A self-supervised method, as the trainer and the command use it. */
export interface Method {
  readonly title: string;
  /** The paper and the code that it follows. */
  readonly source: string;
  /** Names of the loss's parts, in the order in which they are shown. */
  readonly parts: readonly string[];
  /** Its options, each with its range and the official default. */
  readonly options: OptionTable;
  /** Whether its loss of two embeddings draws at random; no, unless said otherwise. */
  readonly draws?: boolean;
  /** What a run at small scale sets otherwise than the reference recipe, `methodOptions` among it. */
  readonly training: TrainingDefaults;
  /** How often it has changed what comes of the same settings: a study's cells of before are done anew. 0, unless said otherwise. */
  readonly revision?: number;
  /** Widths of the head after the encoder's, at small scale. */
  readonly widths: readonly number[];
  /** Whether the loss is a mean over samples, none of which sees another in it; no, unless said otherwise. */
  readonly perSample?: boolean;
  /** The options without what keeps it from collapse, which show that it does, and what that is: 'the variance term'. */
  readonly ablation: { readonly of: string; readonly options: Readonly<Record<string, number | string>> };
  /** What is watched of its embedding, and what helps when that is ill. */
  readonly advice: Advice;
  /** @throws TensegrityError `argument` naming the option that is unknown or out of its range, and what would be right. */
  readonly checkOptions: (options: Given) => void;
  /** Its views, given those of the configuration: these, unless it says otherwise. */
  readonly views: (chosen: readonly Augmentation[], options: Given) => readonly Augmentation[];
  /** Options that may change from step to step, since a schedule or the loss takes them as numbers of the step: a steered run is told of them in `Step.at`. */
  readonly live?: readonly string[];
  /** Numbers that change from step to step, by name: computed on the host, so that nothing compiles anew. */
  readonly schedules: (options: Given, course: Course) => Readonly<Record<string, (step: number) => number>>;
  readonly learner: (setting: Setting<Given>) => Learner;
  /** The loss of arrays that files hold, with options checked, where it is one of two views' embeddings. */
  readonly configure?: (options?: Given) => MethodLoss;
}

/** A method's row as it is written: its functions take exactly the options of its table. */
export interface MethodRow<Table extends OptionTable>
  extends Omit<Method, 'options' | 'live' | 'checkOptions' | 'views' | 'schedules' | 'learner' | 'configure'> {
  readonly options: Table;
  readonly live?: readonly (keyof Table & string)[];
  readonly views?: (chosen: readonly Augmentation[], options: OptionValues<Table>) => readonly Augmentation[];
  readonly schedules?: (options: OptionValues<Table>, course: Course) => Readonly<Record<string, (step: number) => number>>;
  readonly learner: (setting: Setting<OptionValues<Table>>) => Learner;
}

/** A row of `methods`, with its options checked wherever they are given. */
export function method<const Table extends OptionTable>(
  row: MethodRow<Table>,
): Omit<MethodRow<Table>, 'views' | 'schedules' | 'learner'> & Method {
  const { views, schedules, learner } = row;
  const resolve = (given: Given): OptionValues<Table> => resolveOptions(row.options, given, row.title);
  return {
    ...row,
    checkOptions: resolve,
    views: (chosen, options) => views?.(chosen, resolve(options)) ?? chosen,
    schedules: (options, course) => schedules?.(resolve(options), course) ?? {},
    learner: (setting) => learner({ ...setting, options: resolve(setting.options) }),
  };
}

/** Options of which some are numbers of the step. */
type WithLive<Options, Live> = { readonly [Name in keyof Options]: Options[Name] | (Name extends Live ? Tensor : never) };

/** What {@link ofEmbeddings} takes in the place of a learner. */
interface EmbeddingRow<Table extends OptionTable, Live extends keyof Table & string> extends Omit<MethodRow<Table>, 'learner' | 'live'> {
  readonly live?: readonly Live[];
  /** The network between the encoder's features and the loss. */
  readonly head: (inputs: number, widths: readonly number[], initialize: InitializeOptions, options: OptionValues<Table>) => Module;
  readonly loss: (
    za: Tensor,
    zb: Tensor,
    options: WithLive<OptionValues<Table>, Live>,
    key?: Key,
    predictions?: Pair,
  ) => ReturnType<MethodLoss>;
  /** What predicts one view's embedding from the other's, [n, d] → [n, d], where there is such a network: the loss is given `predictions` then. */
  readonly predictor?: (width: number, initialize: InitializeOptions, options: OptionValues<Table>) => Module | null;
  /** The second view's encoder, where it is not the first's; its head is its own then, too. */
  readonly second?: (setting: Setting<OptionValues<Table>>) => Encoder | null;
}

/** A method that is a loss of two views' embeddings, each made by an encoder and a head. */
export function ofEmbeddings<const Table extends OptionTable, const Live extends keyof Table & string = never>(
  row: EmbeddingRow<Table, Live>,
): ReturnType<typeof method<Table>> & Required<Pick<Method, 'configure'>> {
  const { head, loss, second, predictor, ...rest } = row;
  return {
    ...method({
      ...rest,
      learner: (setting) =>
        new EmbeddingLearner(
          setting,
          (inputs, widths, initialize) => head(inputs, widths, initialize, setting.options),
          (za, zb, at, key, predictions) => loss(za, zb, { ...setting.options, ...liveOf(rest, at) }, key, predictions),
          second?.(setting) ?? null,
          predictor?.(setting.widths.at(-1)!, { key: setting.key(3) }, setting.options) ?? null,
        ),
    }),
    configure: (given = {}) => {
      const options = resolveOptions(row.options, given, row.title);
      return (za, zb, key) => loss(za, zb, options, key);
    },
  };
}

/** The live options that a step is told of. */
function liveOf({ live = [] }: Pick<Method, 'live'>, at: Step['at']): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(live.flatMap((name) => (at[name] ? [[name, at[name]]] : [])));
}

type EmbeddingLoss = (za: Tensor, zb: Tensor, at: Step['at'], key: Key, predictions: Pair | undefined) => ReturnType<MethodLoss>;

class EmbeddingLearner extends Learner {
  override readonly encoder: Encoder;
  readonly head: Module;
  readonly secondEncoder: Encoder | null;
  readonly secondHead: Module | null;
  readonly predictor: Module | null;
  readonly #loss: EmbeddingLoss;

  constructor(
    { encoder, widths, key }: Setting<unknown>,
    head: (inputs: number, widths: readonly number[], initialize: InitializeOptions) => Module,
    loss: EmbeddingLoss,
    second: Encoder | null,
    predictor: Module | null,
  ) {
    super();
    this.encoder = encoder();
    this.head = head(this.encoder.width, widths, { key: key(0) });
    this.secondEncoder = second;
    this.secondHead = second && head(second.width, widths, { key: key(1) });
    this.predictor = predictor;
    this.#loss = loss;
  }

  override others(): Readonly<Record<string, Encoder>> {
    return this.secondEncoder ? { second: this.secondEncoder } : {};
  }

  override embed(images: Tensor, view: number, mode?: Mode): Tensor {
    const second = view % 2 === 1;
    const [encoder, head] = [(second && this.secondEncoder) || this.encoder, (second && this.secondHead) || this.head];
    return head.forward(encoder.forward(images, mode), mode);
  }

  override step({ views, at, key }: Step): Outcome {
    const [za, zb] = views.map((images, view) => this.embed(images, view, TRAIN)) as [Tensor, Tensor];
    const predictions = this.predictor && ([za, zb].map((z) => this.predictor!.forward(z, TRAIN)) as [Tensor, Tensor]);
    const { loss, ...parts } = this.#loss(za, zb, at, key, predictions ?? undefined);
    return { loss, parts, embeddings: [za, zb] };
  }
}

/** How learners run their networks. */
export const TRAIN: Mode = { train: true };
