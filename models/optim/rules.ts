import type { Slot, Tensor } from '../../engine/core.ts';
import { check } from '../../engine/internal.ts';
import { Optimizer, type ParameterGroup, type UpdateRule } from './optimizer.ts';

type Groups<Hyper> = readonly (Slot | ParameterGroup<Hyper>)[];

/** The options of an optimiser: its learning rate and its hyperparameters. */
export type OptimizerOptions<Hyper> = Partial<Hyper> & { readonly learningRate: number };

export interface SGDHyper {
  /** 0, unless given. */
  readonly momentum: number;
  /** How much less a new gradient counts in the momentum, from the second step on; 0, unless given. */
  readonly dampening: number;
  readonly nesterov: boolean;
  /** 0, unless given. */
  readonly weightDecay: number;
}

/** g ← g + λp;  m ← g at the first step, then µm + (1−τ)g;  p ← p − lr·m, or Nesterov's p − lr·(g + µm). (torch/optim/sgd.py) */
const sgdRule: UpdateRule<SGDHyper> = {
  defaults: { momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 },
  moments: ({ momentum }) => (momentum === 0 ? [] : ['momentum']),
  update: ({ parameter, gradient, moments, step, learningRate, hyper: { momentum, dampening, nesterov, weightDecay } }) => {
    const g = decayed(gradient, parameter, weightDecay);
    const old = moments['momentum'];
    if (!old) return { parameter: parameter.sub(g.mul(learningRate)) };
    // The momentum is 0 before the first step, so without dampening the two cases are one.
    const fresh =
      dampening === 0
        ? g
        : g.mul(
            step
              .equal(1)
              .cast(g.dtype)
              .mul(dampening)
              .add(1 - dampening),
          );
    const m = old.mul(momentum).add(fresh);
    return { parameter: parameter.sub((nesterov ? g.add(m.mul(momentum)) : m).mul(learningRate)), moments: { momentum: m } };
  },
};

export interface AdamHyper {
  /** Decay rates of the averages of gradient and squared gradient; .9 and .999, unless given. */
  readonly betas: readonly [number, number];
  /** Added to the root; 1e-8, unless given. */
  readonly epsilon: number;
  /** 0, unless given (AdamW: .01). */
  readonly weightDecay: number;
}

/**
 * m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  p ← p − lr/(1−β₁ᵗ)·m/(√v/√(1−β₂ᵗ) + ε). (D. Kingma & J. Ba, ICLR 2015; torch/optim/adam.py)
 */
function adaptiveStep(
  parameter: Tensor,
  gradient: Tensor,
  moments: Readonly<Record<string, Tensor>>,
  step: Tensor,
  rate: Tensor | number,
  { betas: [beta1, beta2], epsilon }: AdamHyper,
): ReturnType<UpdateRule<AdamHyper>['update']> {
  const firstMoment = moments['firstMoment']!.mul(beta1).add(gradient.mul(1 - beta1));
  const secondMoment = moments['secondMoment']!.mul(beta2).add(gradient.square().mul(1 - beta2));
  // 1 − βᵗ = −(e^(t·ln β) − 1), which loses no digits in f32 where βᵗ is near 1.
  const correction = (beta: number): Tensor =>
    step
      .mul(Math.log(Math.max(beta, Number.MIN_VALUE)))
      .expm1()
      .neg();
  const root = secondMoment.sqrt().div(correction(beta2).sqrt()).add(epsilon);
  return {
    parameter: parameter.sub(firstMoment.div(root).mul(correction(beta1).reciprocal().mul(rate))),
    moments: { firstMoment, secondMoment },
  };
}

/** Weight decay is part of the gradient: g ← g + λp. */
const adamRule: UpdateRule<AdamHyper> = {
  defaults: { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 },
  moments: () => ['firstMoment', 'secondMoment'],
  update: ({ parameter, gradient, moments, step, learningRate, hyper }) =>
    adaptiveStep(parameter, decayed(gradient, parameter, hyper.weightDecay), moments, step, learningRate, hyper),
};

/** Weight decay is apart from the gradient: p ← (1 − lr·λ)p before the step. (I. Loshchilov & F. Hutter, ICLR 2019; torch/optim/adamw.py) */
const adamWRule: UpdateRule<AdamHyper> = {
  ...adamRule,
  defaults: { ...adamRule.defaults, weightDecay: 0.01 },
  update: ({ parameter, gradient, moments, step, learningRate, hyper }) =>
    adaptiveStep(parameter.sub(parameter.mul(hyper.weightDecay).mul(learningRate)), gradient, moments, step, learningRate, hyper),
};

export interface LARSHyper {
  /** .9, unless given. */
  readonly momentum: number;
  /** The trust coefficient η; .001, unless given. */
  readonly trust: number;
  /** 1e-6, unless given. */
  readonly weightDecay: number;
}

/**
 * g ← g + λp;  q = η‖p‖/‖g‖, 1 where either norm is 0;  m ← µm + q·g;  p ← p − lr·m. Parameters of one axis (biases, batch norm) have neither
 * decay nor q. (Y. You et al., arXiv 1708.03888; as published in facebookresearch/vicreg:main_vicreg.py)
 */
const larsRule: UpdateRule<LARSHyper> = {
  defaults: { momentum: 0.9, trust: 0.001, weightDecay: 1e-6 },
  moments: () => ['momentum'],
  update: ({ parameter, gradient, moments, learningRate, hyper: { momentum, trust, weightDecay } }) => {
    const adapted = parameter.rank === 1 ? gradient : adapt(decayed(gradient, parameter, weightDecay), parameter, trust);
    const m = moments['momentum']!.mul(momentum).add(adapted);
    return { parameter: parameter.sub(m.mul(learningRate)), moments: { momentum: m } };
  },
};

function adapt(gradient: Tensor, parameter: Tensor, trust: number): Tensor {
  const [p, g] = [parameter, gradient].map((x) => x.square().sum().sqrt());
  const both = p!.mul(g!).greater(0);
  return gradient.mul(both.where(p!.mul(trust).div(both.where(g!, 1)), 1));
}

function decayed(gradient: Tensor, parameter: Tensor, weightDecay: number): Tensor {
  return weightDecay === 0 ? gradient : gradient.add(parameter.mul(weightDecay));
}

/** Stochastic gradient descent with momentum, Nesterov's or not, as PyTorch's. */
export class SGD extends Optimizer<SGDHyper> {
  constructor(groups: Groups<SGDHyper>, options: OptimizerOptions<SGDHyper>) {
    super(sgdRule, groups, options);
    const { nesterov = false, momentum = 0, dampening = 0 } = options;
    check(
      !nesterov || (momentum > 0 && dampening === 0),
      'argument',
      () => `SGD: Nesterov momentum needs momentum > 0 and no dampening, got ${momentum} and ${dampening}`,
    );
  }
}

/** Adam, as PyTorch's. */
export class Adam extends Optimizer<AdamHyper> {
  constructor(groups: Groups<AdamHyper>, options: OptimizerOptions<AdamHyper>) {
    super(adamRule, groups, options);
  }
}

/** Adam with decoupled weight decay, as PyTorch's. */
export class AdamW extends Optimizer<AdamHyper> {
  constructor(groups: Groups<AdamHyper>, options: OptimizerOptions<AdamHyper>) {
    super(adamWRule, groups, options);
  }
}

/** Layer-wise adaptive rate scaling, as published with VICReg and Barlow Twins. */
export class LARS extends Optimizer<LARSHyper> {
  constructor(groups: Groups<LARSHyper>, options: OptimizerOptions<LARSHyper>) {
    super(larsRule, groups, options);
  }
}
