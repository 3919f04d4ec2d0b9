import { checkNumber, checkRecord } from '../../engine/arguments.ts';
import { check } from '../../engine/errors.ts';
import {
  compile,
  type DType,
  foldIn,
  grad,
  type HostArray,
  key,
  type PrintOptions,
  type Slot,
  stack,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { sizeOf } from '../../engine/shape.ts';
import { augmentation, augmentations } from '../augment/index.ts';
import { checkDataset, type ImageDataset } from '../data/images.ts';
import { batches, batchesPerEpoch } from '../data/loader.ts';
import { embeddingDeviation, meanOffDiagonalCorrelation, normalizedDeviation } from '../evaluate/collapse.ts';
import { methodNamed } from '../methods/index.ts';
import { deriveKey } from '../nn/initialize.ts';
import type { Module } from '../nn/module.ts';
import { type Encoder, encoders } from '../nn/networks.ts';
import { readSlots, type StateDict, writeSlots } from '../nn/state.ts';
import { warmupCosine } from '../optim/schedule.ts';
import { checkConfig, optimizers, type Stepper, type TrainingConfig } from './config.ts';

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

/** Images as they are stored, [N, C, H, W]: u8 to [0, 1], floats as they are. */
export function toUnit(images: Tensor): Tensor {
  return images.dtype === 'u8' ? images.cast('f32').div(255) : images;
}

/** (x − mean)/deviation by channel, of images [N, C, H, W]. */
export function standardizeChannels(images: Tensor, { mean, deviation }: Pick<ImageDataset, 'mean' | 'deviation'>): Tensor {
  const channel = (values: readonly number[]): Tensor => tensor(values).reshape([values.length, 1, 1]);
  return images.sub(channel(mean)).div(channel(deviation));
}

/** What augmentations take for [0, 1]: the range of float images, where it is another. */
function unitRange({ dtype, data }: HostArray): readonly [low: number, high: number] {
  let [low, high] = [0, 1];
  if (dtype === 'u8') return [low, high];
  for (const value of data) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * A self-supervised training run: two views of each image, the method's loss, its gradient, and the optimiser's step, in one compiled plan.
 * Everything is a function of the configuration and the data: the order of the images, the views and the initial weights are drawn from the
 * seed, so a run that is stopped and continued has the bits of one that was not.
 */
export class Trainer {
  readonly config: TrainingConfig;
  readonly encoder: Encoder;
  readonly head: Module;
  /** All steps of the run. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** What views are made within: the least and the largest value of float images, where these are not within [0, 1]. */
  readonly pixels: readonly [low: number, high: number];
  readonly #dataset: ImageDataset;
  readonly #optimizer: Stepper;
  readonly #parts: readonly string[];
  readonly #compiled: ReturnType<Trainer['_compile']>;
  #step = 0;

  /** @throws TensegrityError `argument` for a configuration that makes no sense, or a batch larger than the data. */
  constructor(config: TrainingConfig, dataset: ImageDataset) {
    checkConfig(config);
    checkDataset('Trainer', dataset);
    this.config = config;
    this.#dataset = dataset;
    this.pixels = unitRange(dataset.train.images);
    const [count, channels] = dataset.train.images.shape as [number, number];
    this.stepsPerEpoch = batchesPerEpoch(count, { batchSize: config.batchSize });
    this.steps = this.stepsPerEpoch * config.epochs;
    const method = methodNamed(config.method);
    this.encoder = initialEncoder(config, channels);
    this.head = method.head(this.encoder.width, config.widths, { key: deriveKey(config.seed, 1) });
    const parameters = [...this.encoder.parameters(), ...this.head.parameters()];
    const { learningRate, weightDecay } = config;
    this.#optimizer = optimizers[config.optimizer](parameters, { learningRate, weightDecay });
    for (const [name, slot] of this.namedSlots()) slot.name = name;
    this.#parts = method.parts;
    this.#compiled = this._compile();
  }

  /** @internal */
  _compile() {
    const { config, encoder, head } = this;
    const loss = methodNamed(config.method).configure(config.methodOptions);
    const [first, second] = augmentations[config.augmentation].map((settings) => augmentation(settings)) as [
      ReturnType<typeof augmentation>,
      ReturnType<typeof augmentation>,
    ];
    const [low, high] = this.pixels;
    const extent = high - low;
    return compile((images: Tensor, step: Tensor, learningRate: Tensor) => {
      const draws = foldIn(foldIn(key(config.seed), 2), step);
      const embed = (augment: typeof first, i: number): Tensor => {
        const view = augment(toUnit(images).sub(low).div(extent), foldIn(draws, i)).mul(extent).add(low);
        return head.forward(encoder.forward(standardizeChannels(view, this.#dataset), { train: true }), { train: true });
      };
      const [za, zb] = [embed(first, 0), embed(second, 1)];
      const parts = loss(za, zb, foldIn(draws, 2));
      this.#optimizer.step(grad(parts.loss, this.#optimizer.parameters), learningRate);
      const z = za.stopGradient();
      const health = [embeddingDeviation(z), normalizedDeviation(z), meanOffDiagonalCorrelation(z)];
      // One tensor, so that a step's numbers are read at once.
      return stack([parts.loss, ...health, ...this.#parts.map((name) => parts[name]!)]);
    });
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Every slot, by name: `encoder.…`, `head.…`, `optimizer.…`. */
  *namedSlots(): Generator<[name: string, slot: Slot]> {
    yield* this.encoder.namedSlots('encoder.');
    yield* this.head.namedSlots('head.');
    for (const [name, slot] of this.#optimizer.namedSlots()) yield [`optimizer.${name}`, slot];
  }

  /** Trains to the end, or until the consumer stops asking; a later call goes on from there. */
  async *run(): AsyncGenerator<StepRecord, void, undefined> {
    const { batchSize, seed } = this.config;
    while (this.#step < this.steps) {
      const epoch = Math.floor(this.#step / this.stepsPerEpoch);
      for (const batch of batches(this.#dataset.train, { batchSize, seed }, epoch, this.#step % this.stepsPerEpoch)) {
        yield await this.#advance(tensor(batch.images), epoch);
      }
    }
  }

  async #advance(images: Tensor, epoch: number): Promise<StepRecord> {
    const { config, steps } = this;
    const learningRate = warmupCosine(this.#step, { base: config.learningRate, steps, warmup: config.warmup * steps });
    using measured = await this.#compiled(images, scalarOf(this.#step, 'i32'), scalarOf(learningRate, 'f32'));
    this.#step++;
    const [loss, deviation, normalizedDeviation, correlation, ...values] = (await measured.data()) as Float32Array;
    const parts = Object.fromEntries(this.#parts.map((name, i) => [name, values[i]!]));
    return {
      step: this.#step,
      epoch,
      learningRate,
      loss: loss!,
      parts,
      deviation: deviation!,
      normalizedDeviation: normalizedDeviation!,
      correlation: correlation!,
    };
  }

  /** Compiles the plan of a step, which {@link run} would do at its first. @throws TensegrityError for images that the configuration cannot work with. */
  async prepare(): Promise<void> {
    await this.#compiled.plan(...this.#example());
  }

  /** The plan of a step, as a listing. @throws TensegrityError as {@link Compiled.explain} does. */
  async explain(options?: PrintOptions): Promise<string> {
    return this.#compiled.explain(this.#example(), options);
  }

  /** Arguments of the shapes that every step has. */
  #example(): [images: Tensor, step: Tensor, learningRate: Tensor] {
    const { images } = this.#dataset.train;
    const [, ...image] = images.shape;
    const batch = {
      dtype: images.dtype,
      shape: [this.config.batchSize, ...image],
      data: images.data.subarray(0, this.config.batchSize * sizeOf(image)),
    };
    return [tensor(batch), scalarOf(0, 'i32'), scalarOf(0, 'f32')];
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
    writeSlots(this.namedSlots(), tensors, 'checkpoint');
    this.#step = step;
  }

  /** Gives all memory back. */
  dispose(): void {
    this.#compiled.dispose();
    this.encoder.dispose();
    this.head.dispose();
    this.#optimizer.dispose();
  }
}

function scalarOf(value: number, dtype: DType): Tensor {
  return tensor(value, { dtype });
}
