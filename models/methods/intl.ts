import { stack, type Tensor } from '../../engine/core.ts';
import { check, checkChoice, checkNumber, options, show } from '../../engine/internal.ts';
import { cosineSimilarity } from '../nn/functional.ts';
import { checkAllViews } from '../regularizers/statistics.ts';
import { iterativeWhitening, publishedWhitenings } from '../regularizers/whitening.ts';
import { anyViews, arrayLoss } from './arrayLoss.ts';
import { choice, number } from './options.ts';

/** What is decorrelated, `samples` over the dimensions (`--axis 0` of winci-ai/INTL) or `dimensions` over the samples (`--axis 1`): how. */
const ways = {
  samples: (x: Tensor): Tensor => x.transpose(),
  dimensions: (x: Tensor): Tensor => x,
} as const;

export type INTLWay = keyof typeof ways;
export const intlWays = Object.keys(ways) as readonly INTLWay[];

export interface INTLOptions {
  /** What is whitened: the samples [n, n] over the dimensions (the code's default), or the dimensions [d, d] over the samples (the paper's). */
  readonly whitened?: INTLWay;
  /** Weight of the traces; (log₂ m − 3)/100, unless given, with m the number of what is whitened. */
  readonly trace?: number;
  /** Newton–Schulz steps; 4, unless given. */
  readonly iterations?: number;
}

/** The loss, and its parts before their weights: loss = distance + weight·trace. */
export type INTLLoss = Readonly<Record<'loss' | 'distance' | 'trace', Tensor>>;

/**
 * INTL of any number of views [n, d]: each is whitened by a few Newton–Schulz steps, which leave variances below 1 where there is little of them; the
 * trace term Σ(variance − 1)² then lifts them. Distance: 2 − 2·cos between the whitened first view and each other one, mean over these; the trace
 * term is added for both of each pair. Views without any variance are whitened to 0, and their distance is 2.
 * (X. Weng et al., "Modulate Your Spectrum in Self-Supervised Learning", ICLR 2024; winci-ai/INTL:methods/intl.py, whitening.py, base.py)
 * @throws TensegrityError `shape` for views of different shapes or fewer than 2 samples or dimensions, `argument` for fewer than 2 views, and for an
 * option that is unknown or out of its range.
 */
export function intl(views: readonly Tensor[], given: INTLOptions = {}): INTLLoss {
  const { whitened, trace, iterations } = options('intl', given, {
    whitened: 'samples',
    trace: undefined,
    iterations: publishedWhitenings.intl.options.iterations,
  });
  checkAllViews(views, 'intl');
  checkChoice('intl: whitened', whitened, intlWays);
  const [n, d] = [views[0]!.shape[0]!, views[0]!.shape[1]!];
  check(whitened !== 'samples' || d >= 2, 'shape', () => `intl: whitens samples over at least 2 dimensions, got ${show([n, d])}`);
  const turn = ways[whitened];
  // [observations, what is whitened]
  const all = views.map((view) => iterativeWhitening(turn(view), { ...publishedWhitenings.intl.options, iterations }));
  const [first, ...others] = all.map((x) => ({ rows: turn(x), spread: x.variance(0).sub(1).square().sum() }));
  const parts = {
    distance: stack(others.map(({ rows }) => cosineSimilarity(first!.rows, rows).mean()))
      .mean()
      .mul(-2)
      .add(2),
    trace: stack(others.map(({ spread }) => spread))
      .mean()
      .add(first!.spread),
  };
  const weight = trace ?? (Math.log2(whitened === 'samples' ? n : d) - 3) / 100;
  checkNumber('intl: trace', weight);
  return { loss: parts.distance.add(parts.trace.mul(weight)), ...parts };
}

/** The loss of files: any number of views. */
export const intlOfArrays = () =>
  arrayLoss({
    title: 'INTL',
    source: 'X. Weng et al., ICLR 2024; winci-ai/INTL',
    options: {
      whitened: choice(intlWays, 'samples', 'what is whitened'),
      trace: number(null, 'weight of the traces; (log₂ m − 3)/100 of m samples or dimensions, unless given'),
      iterations: number(4, 'Newton–Schulz steps', { whole: true }),
    },
    embeddings: anyViews,
    compute: (views, given) => intl(views, given),
  });
