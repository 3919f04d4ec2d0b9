import type { Slot, Tensor } from '../../engine/core.ts';
import { check, checkTensors, options, show, shown } from '../../engine/internal.ts';
import { type IterativeWhiteningOptions, iterativeWhiteningMatrix, publishedWhitenings } from '../regularizers/whitening.ts';
import { constant } from './initialize.ts';
import { type BatchNormOptions, moveRunning } from './layers.ts';
import { type Mode, Module, ModuleSlot, Parameter } from './module.ts';

export interface IterNormOptions extends BatchNormOptions {
  /** How many groups of neighbouring channels there are at most; 64, unless given. */
  readonly groups?: number;
  /** Newton–Schulz steps; 5, unless given. */
  readonly iterations?: number;
}

/**
 * Iterative normalisation of [N, C]: each group of c neighbouring channels is whitened, y = (x − μ)·W, and scaled and shifted. In training, μ and
 * W ≈ (Σ + εI)^−½ are the batch's, by Newton–Schulz steps and with Σ biased, and the running ones move towards them when the plan runs; in
 * evaluation they are the running ones. c is ⌈C/groups⌉, halved until it divides C. The state is named and laid out as PyTorch's: weight and bias
 * [1, C], running_mean [C/c, c, 1], running_wm (the whitening matrices) [C/c, c, c].
 * (L. Huang et al., CVPR 2019, Alg. 1; huangleiBuaa/IterNorm-pytorch; ML4ITS/vibcreg:pypilib/vibcreg/iter_norm.py)
 * @throws TensegrityError `shape`, and in training for fewer than 2 samples.
 */
export class IterNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly runningMean: Slot;
  readonly runningWm: Slot;
  readonly momentum: number;
  readonly whitening: IterativeWhiteningOptions;

  constructor(channels: number, given: IterNormOptions = {}) {
    super();
    const { groups, iterations, epsilon, momentum, affine, dtype } = options('IterNorm', given, {
      groups: 64,
      iterations: 5,
      epsilon: 1e-5,
      momentum: 0.1,
      affine: true,
      dtype: 'f32',
    });
    for (const [what, value] of Object.entries({ channels, groups }))
      check(Number.isInteger(value) && value >= 1, 'argument', () => `IterNorm: ${what} must be a whole number ≥ 1, got ${shown(value)}`);
    let size = Math.ceil(channels / groups);
    while (channels % size !== 0) size = Math.floor(size / 2);
    const count = channels / size;
    this.weight = affine ? new Parameter(constant([1, channels], 1, dtype), 'weight') : null;
    this.bias = affine ? new Parameter(constant([1, channels], 0, dtype), 'bias') : null;
    this.runningMean = new ModuleSlot(constant([count, size, 1], 0, dtype), 'running_mean');
    const identities = constant([count, size, size], 0, dtype);
    for (let row = 0; row < channels; row++) identities.data[row * size + (row % size)] = 1;
    this.runningWm = new ModuleSlot(identities, 'running_wm');
    this.momentum = momentum;
    this.whitening = { ...publishedWhitenings.iterNorm.options, iterations, epsilon };
  }

  override forward(x: Tensor, mode: Mode = {}): Tensor {
    const { train } = options('IterNorm: the mode', mode, { train: false, key: undefined });
    checkTensors('IterNorm', x);
    const [groups, size] = this.runningWm.shape as [number, number];
    const channels = groups * size;
    check(x.rank === 2 && x.shape[1] === channels, 'shape', () => `IterNorm: takes [N, ${channels}], got ${show(x.shape)}`);
    const grouped = x.reshape([x.shape[0]!, groups, size]).permute([1, 0, 2]);
    const { centred, matrix } = train ? this.#batch(grouped) : this.#running(grouped);
    const normalized = centred.matmul(matrix).permute([1, 0, 2]).reshape(x.shape);
    const scaled = this.weight ? normalized.mul(this.weight.value) : normalized;
    return this.bias ? scaled.add(this.bias.value) : scaled;
  }

  #batch(grouped: Tensor): { centred: Tensor; matrix: Tensor } {
    const factors = iterativeWhiteningMatrix(grouped, this.whitening);
    moveRunning(this.runningMean, grouped.mean(1), this.momentum);
    moveRunning(this.runningWm, factors.matrix, this.momentum);
    return factors;
  }

  #running(grouped: Tensor): { centred: Tensor; matrix: Tensor } {
    return { centred: grouped.sub(this.runningMean.value.transpose()), matrix: this.runningWm.value };
  }
}
