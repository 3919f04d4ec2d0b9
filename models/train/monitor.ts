import { checkList, checkRecord } from '../../engine/internal.ts';
import type { CollapseMetrics } from '../evaluate/collapse.ts';
import type { ArrayLoss } from '../methods/arrayLoss.ts';
import { type MethodName, methodNamed } from '../methods/index.ts';
import type { Advice } from '../methods/learner.ts';
import type { TrainingConfig } from './config.ts';
import type { StepRecord } from './trainer.ts';

/** Mean |correlation| of different dimensions above which they say mostly the same. */
const REDUNDANT = 0.5;

/** How a measurement tells a collapse. */
interface Sign {
  /** What is measured. */
  readonly of: 'deviation' | 'normalizedDeviation' | 'correlation';
  /** Where health ends, as a phrase: 'below 0.1'. */
  readonly threshold: string;
  readonly fails: (value: number) => boolean;
  /** What has become of the embedding then. */
  readonly words: string;
}

/** A deviation that is too small. */
const below = (of: Sign['of'], least: number, words: string): Sign => ({
  of,
  threshold: `below ${least}`,
  fails: (value) => value < least,
  words,
});

/**
 * The signs of collapse, by what a method watches. `npm run methods` prints what each method measures in health and in collapse: the
 * thresholds lie between.
 */
export const signs: { readonly [Watched in Advice['watched']]: Sign } = {
  // A hinge asks for 1.
  deviation: below('deviation', 0.1, 'every image maps to nearly the same point (mean deviation'),
  // Of a head's output, which has both signs.
  directions: below('normalizedDeviation', 0.3, 'every image maps to nearly the same direction (deviation of directions'),
  classes: below('normalizedDeviation', 0.3, 'all images fall into nearly the same classes (deviation of the directions of their logits'),
  targets: below('normalizedDeviation', 0.6, 'all images fall into nearly the same classes (deviation of the directions of their targets'),
  correlation: {
    of: 'correlation',
    threshold: 'above 0.65',
    fails: (value) => value > 0.65,
    words: 'all dimensions are copies of nearly one (mean |correlation|',
  },
};

function said({ words, threshold }: Sign, value: number): string {
  return `${words} ${value.toFixed(3)}, ${threshold})`;
}

export interface Warning {
  readonly kind: 'collapsed' | 'redundant' | 'diverged';
  /** A plain sentence: what is seen, and what usually helps. */
  readonly message: string;
}

/** Float images are used as they are; beyond this, what is computed from them may leave the range of f32. */
const OUT_OF_RANGE = 1e4;

/** What a measurement is judged by. */
export interface Circumstances {
  /** `vicreg`, unless given. */
  readonly method?: MethodName;
  /** Its options that differ from its defaults. */
  readonly methodOptions?: TrainingConfig['methodOptions'];
  /** The least and the largest value of the images. */
  readonly pixels?: readonly [least: number, most: number];
}

/**
 * What is wrong with a run, in plain words; null while it is healthy. The first steps after initialisation say little, so a caller asks from the
 * end of the warm-up.
 */
export function diagnose(
  record: Pick<StepRecord, 'loss' | 'deviation' | 'correlation'> & Partial<StepRecord> & Circumstances,
): Warning | null {
  checkRecord('diagnose: the measurements', record);
  const { method = 'vicreg', methodOptions, pixels = [0, 1] } = record;
  checkList('diagnose: pixels', pixels);
  const { advice, options } = methodNamed(method);
  const { watched, collapsed, redundant } = advice;
  const { loss, correlation, step } = record;
  if (!Number.isFinite(loss))
    return {
      kind: 'diverged',
      message: `the loss is ${loss}: ${divergence(pixels, epsilonAdvice({ options, epsilon: advice.epsilon }, methodOptions), step)}`,
    };
  // Without the norm that keeps deviations up, what shows as copies elsewhere shows as one direction.
  for (const sign of watched === 'correlation' ? [signs.correlation, signs.directions] : [signs[watched]]) {
    const value = record[sign.of];
    if (value !== undefined && sign.fails(value))
      return { kind: 'collapsed', message: `the embedding has collapsed: ${said(sign, value)}; ${collapsed}` };
  }
  if (correlation > REDUNDANT && redundant !== null) {
    return {
      kind: 'redundant',
      message: `the embedding's dimensions repeat each other (mean |correlation| ${correlation.toFixed(2)}, above ${REDUNDANT}); ${redundant}`,
    };
  }
  return null;
}

const nearlyOnePoint = below('normalizedDeviation', 0.1, 'every image maps to nearly the same point (mean deviation of directions');

/** Share of the dimensions below which an embedding is said to use few of them. */
const FEW = 0.1;

/** What embeddings say by themselves, of whatever loss they are; null where nothing tells a collapse. */
export function verdictOf({
  normalizedDeviation,
  meanOffDiagonalCorrelation,
  rankMeCentred,
  spectrum,
}: Pick<CollapseMetrics, 'normalizedDeviation' | 'meanOffDiagonalCorrelation' | 'rankMeCentred' | 'spectrum'>):
  | (Omit<Warning, 'kind'> & {
      readonly kind: 'collapsed' | 'redundant';
    })
  | null {
  // Of unknown origin: features behind a ReLU have directions that are near to each other in health, too.
  for (const [sign, value] of [
    [nearlyOnePoint, normalizedDeviation],
    [signs.correlation, meanOffDiagonalCorrelation],
  ] as const) {
    if (sign.fails(value)) return { kind: 'collapsed', message: said(sign, value) };
  }
  if (rankMeCentred < FEW * spectrum.length)
    return {
      kind: 'collapsed',
      message: `${rankMeCentred.toFixed(1)} of ${spectrum.length} dimensions are used (RankMe of the centred rows)`,
    };
  if (meanOffDiagonalCorrelation > REDUNDANT)
    return {
      kind: 'redundant',
      message: `dimensions repeat each other (mean |correlation| ${meanOffDiagonalCorrelation.toFixed(2)}, above ${REDUNDANT})`,
    };
  return null;
}

/** What helps where a loss or its gradient is no number for want of an epsilon; null where that is not at fault. */
export function epsilonAdvice(
  { options: table, epsilon }: Pick<ArrayLoss, 'options' | 'epsilon'>,
  options: TrainingConfig['methodOptions'] = {},
): string | null {
  if (Number(options['epsilon'] ?? table['epsilon']?.default ?? epsilon) >= epsilon) return null;
  return `a dimension that is constant, or follows from others, needs --epsilon ${epsilon.toExponential()}`;
}

/** Why a loss is no number, and what helps. */
function divergence([least, most]: readonly [number, number], epsilon: string | null, step?: number): string {
  if (!(Math.max(-least, most) <= OUT_OF_RANGE))
    return `${pixelRange(least, most)} and are used as they are; normalise them, in NumPy x = x.astype('f8'); x = (x - x.mean()) / x.std()`;
  if (epsilon !== null) return `${epsilon}; else lower --lr, or lengthen --warmup`;
  // Which the learning rate has had no part in.
  if (step === 1) return "at the first step already: the weights of the loss's terms are out of range";
  return 'training has diverged; lower --lr, or lengthen --warmup';
}

/** As 'the pixels lie within 0 … 1e+38'. */
export function pixelRange(least: number, most: number): string {
  return `the pixels lie within ${Number(least.toPrecision(3))} … ${Number(most.toPrecision(3))}`;
}
