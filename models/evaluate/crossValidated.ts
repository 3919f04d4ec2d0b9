import { check, options } from '../../engine/internal.ts';
import { takeRows } from '../data/images.ts';
import { permutation } from '../data/permutation.ts';
import { type Classification, checkSplits, type LabelledFeatures, linearProbe } from './classify.ts';

export interface CrossValidatedOptions {
  /** Weight decays to choose from; .001, .01, .1 and 1, unless given. */
  readonly weightDecays?: readonly number[];
  /** Parts that the labelled samples are split into to choose; 4, unless given, or as many as the rarest class has samples. */
  readonly folds?: number;
  /** Draws the parts, and what {@link linearProbe} draws; 0, unless given. */
  readonly seed?: number;
  /** Awaited now and then; what it throws ends the probe. */
  readonly pause?: () => void | Promise<void>;
}

export interface CrossValidatedResult extends Classification {
  /** The one that was chosen. */
  readonly weightDecay: number;
}

/** Steps of Adam that a probe takes at least: a hundred samples are one batch, and 30 epochs of it would be 30 steps. */
const LEAST_STEPS = 300;
const BATCH = 1000;
/** Higher than with all labels: the weight decay is to hold the weights back, not a training that ends early. */
const RATES = { learningRate: 0.1, finalLearningRate: 1e-4 } as const;

/**
 * The linear probe where labels are so few that how much its weights are held back decides, and too many for a ridge regression: its weight decay
 * is chosen by cross-validation on the labelled samples themselves, by accuracy, and of equals the largest is taken. Nothing else is looked at: no further label, and no test sample.
 * Where a class has a single sample there is nothing to choose by, and the decay in the middle of the list is taken.
 * @param train the labelled samples, all of them; features [n, d].
 * @returns as {@link linearProbe}, which it ends in, and the decay.
 * @throws TensegrityError `shape`, `dtype`, `argument` for features and labels that do not fit, or decays that are no list of numbers ≥ 0.
 */
export async function crossValidatedProbe(
  train: LabelledFeatures,
  test: LabelledFeatures,
  given: CrossValidatedOptions = {},
): Promise<CrossValidatedResult> {
  const { weightDecays, folds, seed, pause } = options('crossValidatedProbe', given, {
    weightDecays: [1e-3, 1e-2, 1e-1, 1],
    folds: 4,
    seed: 0,
    pause: undefined,
  });
  check(
    Array.isArray(weightDecays) && weightDecays.length > 0 && weightDecays.every((decay) => Number.isFinite(decay) && decay >= 0),
    'argument',
    () => `crossValidatedProbe: weightDecays must be a list of numbers ≥ 0, got ${String(weightDecays)}`,
  );
  check(Number.isInteger(folds) && folds >= 2, 'argument', () => `crossValidatedProbe: folds must be a whole number ≥ 2, got ${folds}`);
  checkSplits(train, test, 'crossValidatedProbe');
  const probe = (from: LabelledFeatures, on: LabelledFeatures, weightDecay: number): Promise<Classification> => {
    const batches = Math.ceil(from.features.shape[0]! / BATCH);
    return linearProbe(from, on, {
      ...RATES,
      weightDecay,
      seed,
      batchSize: BATCH,
      epochs: Math.ceil(LEAST_STEPS / batches),
      ...(pause && { onEpoch: pause }),
    });
  };
  const parts = balancedParts(train, folds, seed);
  const sorted = [...weightDecays].sort((a, b) => a - b);
  let chosen = { weightDecay: sorted[Math.floor(sorted.length / 2)]!, right: -1 };
  for (const weightDecay of parts.length < 2 ? [] : sorted) {
    let right = 0;
    for (const part of parts) {
      const rest = parts.filter((other) => other !== part).flat();
      right += (await probe(rowsOf(train, rest), rowsOf(train, part), weightDecay)).accuracy * part.length;
    }
    if (right >= chosen.right) chosen = { weightDecay, right };
  }
  const { weightDecay } = chosen;
  return { ...(await probe(train, test, weightDecay)), weightDecay };
}

function rowsOf({ features, labels }: LabelledFeatures, rows: readonly number[]): LabelledFeatures {
  return { features: takeRows(features, rows), labels: takeRows(labels, rows) };
}

/** Samples in parts that have of each class the same share; as many parts as the rarest class has samples, at most `most`. */
function balancedParts({ labels }: LabelledFeatures, most: number, seed: number): number[][] {
  const seen = new Map<number, number[]>();
  for (const row of permutation(labels.data.length, seed, 0)) {
    const label = labels.data[row]!;
    seen.set(label, [...(seen.get(label) ?? []), row]);
  }
  const classes = [...seen.values()];
  const count = Math.min(most, ...classes.map(({ length }) => length));
  return Array.from({ length: count }, (_, part) => classes.flatMap((rows) => rows.filter((_row, i) => i % count === part)));
}
