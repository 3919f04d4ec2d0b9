import { checkRecord } from '../../engine/arguments.ts';
import type { StepRecord } from './trainer.ts';

/** Below this mean deviation, an embedding whose hinge asks for 1 has collapsed. */
const COLLAPSED = 0.1;
/** Mean |correlation| of different dimensions above which they say mostly the same. */
const REDUNDANT = 0.5;

export interface Warning {
  readonly kind: 'collapsed' | 'redundant' | 'diverged';
  /** A plain sentence: what is seen, and what usually helps. */
  readonly message: string;
}

/**
 * What is wrong with a run, in plain words; null while it is healthy. The first steps after initialisation say little, so a caller asks from the
 * end of the warm-up.
 */
export function diagnose(record: Pick<StepRecord, 'loss' | 'deviation' | 'correlation'>): Warning | null {
  checkRecord('diagnose: the measurements', record);
  const { loss, deviation, correlation } = record;
  if (!Number.isFinite(loss)) {
    return { kind: 'diverged', message: `the loss is ${loss}: training has diverged; lower --lr, or lengthen --warmup` };
  }
  if (deviation < COLLAPSED) {
    return {
      kind: 'collapsed',
      message: `the embedding has collapsed: every image maps to nearly the same point (mean deviation ${deviation.toFixed(3)}, below ${COLLAPSED}); raise the weight of the variance term`,
    };
  }
  if (correlation > REDUNDANT) {
    return {
      kind: 'redundant',
      message: `the embedding's dimensions repeat each other (mean |correlation| ${correlation.toFixed(2)}, above ${REDUNDANT}); raise the weight of the covariance term`,
    };
  }
  return null;
}
