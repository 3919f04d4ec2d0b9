import { diagonal, type Operand, type Tensor } from '../../engine/core.ts';
import { options } from '../../engine/internal.ts';
import { Expander } from '../nn/networks.ts';
import { crossCorrelation } from '../regularizers/crossCorrelation.ts';
import { offDiagonal } from '../regularizers/statistics.ts';
import { ofEmbeddings } from './learner.ts';
import { number, operand } from './options.ts';

export interface BarlowTwinsOptions {
  /** Weight λ of the off-diagonal part; .0051, unless given (solo-learn: .005). A tensor [] may differ from step to step. */
  readonly offDiagonal?: Operand;
  /** Factor of the whole loss; 1, unless given (solo-learn: .025, .1 on CIFAR). */
  readonly scale?: number;
  /** Added to the variance inside the root; 1e-5, unless given. */
  readonly epsilon?: number;
}

/** The loss, and its parts before their weights: loss = scale·(onDiagonal + λ·offDiagonal). */
export type BarlowTwinsLoss = Readonly<Record<'loss' | 'onDiagonal' | 'offDiagonal', Tensor>>;

/**
 * Barlow Twins of two views' embeddings [n, d]: their cross-correlation C is to be the identity, Σ(C_ii − 1)² + λ·Σ_{i≠j} C_ij².
 * (J. Zbontar et al., ICML 2021, Eq. 1; facebookresearch/barlowtwins:main.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples, `argument` for an option that is unknown or not finite.
 */
export function barlowTwins(za: Tensor, zb: Tensor, given: BarlowTwinsOptions = {}): BarlowTwinsLoss {
  const { offDiagonal: weight, scale, epsilon } = options('barlowTwins', given, { offDiagonal: undefined, scale: 1, epsilon: 1e-5 });
  const lambda = operand('barlowTwins: offDiagonal', weight, 0.0051);
  const correlation = crossCorrelation(za, zb, { epsilon });
  const parts = {
    onDiagonal: diagonal(correlation).sub(1).square().sum(),
    offDiagonal: offDiagonal(correlation).square().sum(),
  };
  return { loss: parts.onDiagonal.add(parts.offDiagonal.mul(lambda)).mul(scale), ...parts };
}

export const barlowTwinsMethod = () =>
  ofEmbeddings({
    title: 'Barlow Twins',
    source: 'J. Zbontar et al., ICML 2021; facebookresearch/barlowtwins',
    parts: ['onDiagonal', 'offDiagonal'],
    options: {
      offDiagonal: number(0.0051, 'weight of the off-diagonal part'),
      scale: number(1, 'factor of the whole loss'),
      epsilon: number(1e-5, 'added to the variance inside the root'),
    },
    live: ['offDiagonal'],
    // On a split of the training images 75.1 after 3 epochs, with batches of 256 71.0.
    training: { batchSize: 64 },
    widths: [256, 256, 256],
    ablation: { of: 'the off-diagonal part', options: { offDiagonal: 0 } },
    advice: {
      // The loss sees each dimension divided by its deviation.
      watched: 'directions',
      collapsed: 'lower --lr, or lengthen --warmup',
      redundant: 'raise the weight of the off-diagonal part (--off-diagonal)',
      epsilon: 1e-5,
    },
    head: (inputs, widths, options) => new Expander(inputs, widths, { ...options, bias: false }),
    loss: barlowTwins,
  });
