import { type ConvolutionOptions, conv2d, type DType, type Pair, type Shape, type Slot, type Tensor } from '../../engine/core.ts';
import { check, checkShape, checkTensors, options, pair, sameShape, show, sizeOf } from '../../engine/internal.ts';
import { batchNorm, linear, standardize } from './functional.ts';
import { constant, deriveKey, fansOf, type InitializeOptions, type Initializer, kaimingUniform } from './initialize.ts';
import { type Mode, Module, ModuleSlot, Parameter } from './module.ts';

interface WeightedOptions extends InitializeOptions {
  /** true, unless given. */
  readonly bias?: boolean;
  /** PyTorch's default, {@link kaimingUniform}, unless given. */
  readonly initialize?: Initializer;
}

const weighted = { key: undefined, dtype: 'f32', bias: true, initialize: kaimingUniform } as const;

function weightAndBias(
  shape: Shape,
  { bias, initialize, ...options }: Required<WeightedOptions>,
): { weight: Parameter; bias: Parameter | null } {
  const fans = fansOf(shape);
  const part = (partShape: Shape, i: number): Parameter =>
    new Parameter(initialize(partShape, fans, { ...options, key: deriveKey(options.key, i) }), ['weight', 'bias'][i]);
  return { weight: part(shape, 0), bias: bias ? part([shape[0]!], 1) : null };
}

/** x [..., in] → x·weightᵀ + bias [..., out]; weight [out, in], bias [out]. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(inputs: number, outputs: number, given: WeightedOptions) {
    super();
    ({ weight: this.weight, bias: this.bias } = weightAndBias([outputs, inputs], options('Linear', given, weighted)));
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight.value, this.bias?.value);
  }
}

/** x [N, in, H, W] → [N, out, OH, OW]; weight [out, in/groups, KH, KW], bias [out]. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly options: ConvolutionOptions;

  constructor(inputs: number, outputs: number, kernel: Pair, given: WeightedOptions & ConvolutionOptions) {
    super();
    const window = { stride: undefined, padding: undefined, dilation: undefined, groups: 1 };
    const { stride = 1, padding = 0, dilation = 1, groups, ...own } = options('Conv2d', given, { ...weighted, ...window });
    const [rows, columns] = pair(kernel, 'Conv2d: kernel', 1);
    check(
      inputs % groups === 0 && outputs % groups === 0,
      'argument',
      () => `Conv2d: ${inputs} and ${outputs} channels do not divide into ${groups} groups`,
    );
    ({ weight: this.weight, bias: this.bias } = weightAndBias([outputs, inputs / groups, rows, columns], own));
    this.options = {
      stride: pair(stride, 'Conv2d: stride', 1),
      padding: pair(padding, 'Conv2d: padding', 0),
      dilation: pair(dilation, 'Conv2d: dilation', 1),
      groups,
    };
  }

  override forward(x: Tensor): Tensor {
    const y = conv2d(x, this.weight.value, this.options);
    return this.bias ? y.add(this.bias.value.reshape([-1, 1, 1])) : y;
  }
}

export interface BatchNormOptions {
  /** Added to the variance; 1e-5, unless given. */
  readonly epsilon?: number;
  /** The weight of the new batch in the running statistics; .1, unless given. */
  readonly momentum?: number;
  /** Whether there is a scale and a shift to train; true, unless given. */
  readonly affine?: boolean;
  readonly dtype?: DType;
}

/**
 * Normalises each channel (axis 1) over all other axes: y = (x − μ)/√(σ² + ε)·weight + bias. In training, μ and σ² are the batch's, σ² biased,
 * and the running statistics move towards them, σ² unbiased, when the plan runs; in evaluation they are the running ones.
 * (S. Ioffe & C. Szegedy, ICML 2015; as PyTorch's.) @throws TensegrityError `shape`, and in training for one value to a channel.
 */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly runningMean: Slot;
  readonly runningVar: Slot;
  readonly epsilon: number;
  readonly momentum: number;
  protected abstract readonly ranks: readonly number[];

  constructor(channels: number, given: BatchNormOptions = {}) {
    super();
    const { epsilon, momentum, affine, dtype } = options(this.constructor.name, given, {
      epsilon: 1e-5,
      momentum: 0.1,
      affine: true,
      dtype: 'f32',
    });
    this.weight = affine ? new Parameter(constant([channels], 1, dtype), 'weight') : null;
    this.bias = affine ? new Parameter(constant([channels], 0, dtype), 'bias') : null;
    this.runningMean = new ModuleSlot(constant([channels], 0, dtype), 'running_mean');
    this.runningVar = new ModuleSlot(constant([channels], 1, dtype), 'running_var');
    this.epsilon = epsilon;
    this.momentum = momentum;
  }

  override forward(x: Tensor, mode: Mode = {}): Tensor {
    const { train } = options(`${this.constructor.name}: the mode`, mode, { train: false, key: undefined });
    checkTensors(this.constructor.name, x);
    const channels = this.runningMean.size;
    check(
      this.ranks.includes(x.rank) && x.shape[1] === channels,
      'shape',
      () => `${this.constructor.name}: takes ${channels} channels in axis 1 of ${this.ranks.join(' or ')} axes, got ${show(x.shape)}`,
    );
    const alongChannels = (statistic: Tensor): Tensor => statistic.reshape([1, channels, ...x.shape.slice(2).map(() => 1)]);
    const weight = this.weight && alongChannels(this.weight.value);
    const bias = this.bias && alongChannels(this.bias.value);
    if (train) return this.#normalizeBatch(x, weight, bias);
    const scale = this.runningVar.value.add(this.epsilon).rsqrt();
    const normalized = x.sub(alongChannels(this.runningMean.value)).mul(alongChannels(scale));
    const scaled = weight ? normalized.mul(weight) : normalized;
    return bias ? scaled.add(bias) : scaled;
  }

  #normalizeBatch(x: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
    const channels = x.shape[1]!;
    const count = x.size / Math.max(1, channels);
    const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
    const { output, mean, variance } = batchNorm(x, { axes, weight, bias, epsilon: this.epsilon });
    moveRunning(this.runningMean, mean, this.momentum);
    moveRunning(this.runningVar, variance.mul(count / (count - 1)), this.momentum);
    return output;
  }
}

/** running ← (1 − momentum)·running + momentum·batch, when the plan runs; twice in one step composes. */
export function moveRunning(running: Slot, batch: Tensor, momentum: number): void {
  running.assign(running.value.mul(1 - momentum).add(batch.reshape(running.shape).stopGradient().mul(momentum)));
}

/** Batch normalisation of [N, C] or [N, C, L]. See {@link BatchNormOptions}. */
export class BatchNorm1d extends BatchNorm {
  protected override readonly ranks = [2, 3];
}

/** Batch normalisation of [N, C, H, W]. See {@link BatchNormOptions}. */
export class BatchNorm2d extends BatchNorm {
  protected override readonly ranks = [4];
}

/** Normalises over the last axes, which have shape `shape`: (x − μ)/√(σ² + ε)·weight + bias. (J. L. Ba et al., arXiv 1607.06450; as PyTorch's.) */
export class LayerNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly shape: Shape;
  readonly epsilon: number;

  constructor(shape: number | Shape, given: Omit<BatchNormOptions, 'momentum'> = {}) {
    super();
    const { epsilon, affine, dtype } = options('LayerNorm', given, { epsilon: 1e-5, affine: true, dtype: 'f32' });
    const own = typeof shape === 'number' ? [shape] : shape;
    checkShape(own, 'LayerNorm');
    this.shape = [...own];
    check(
      this.shape.length > 0 && sizeOf(this.shape) > 0,
      'argument',
      () => `LayerNorm: needs at least one axis with elements, got ${show(this.shape)}`,
    );
    this.weight = affine ? new Parameter(constant(this.shape, 1, dtype), 'weight') : null;
    this.bias = affine ? new Parameter(constant(this.shape, 0, dtype), 'bias') : null;
    this.epsilon = epsilon;
  }

  override forward(x: Tensor): Tensor {
    checkTensors('LayerNorm', x);
    check(
      sameShape(x.shape.slice(-this.shape.length), this.shape),
      'shape',
      () => `LayerNorm: the last axes must be ${show(this.shape)}, got ${show(x.shape)}`,
    );
    const { normalized } = standardize(
      x,
      this.shape.map((_, axis) => axis - this.shape.length),
      this.epsilon,
    );
    const scaled = this.weight ? normalized.mul(this.weight.value) : normalized;
    return this.bias ? scaled.add(this.bias.value) : scaled;
  }
}
