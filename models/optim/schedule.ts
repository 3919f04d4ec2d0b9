import { check, options, shown } from '../../engine/internal.ts';

export interface WarmupCosine {
  /** The rate at the end of the warm-up. */
  readonly base: number;
  /** All steps, warm-up included. */
  readonly steps: number;
  /** Steps of warm-up, not necessarily whole; 0, unless given. */
  readonly warmup?: number;
  /** The rate towards which the cosine falls; 0, unless given (VICReg: .001·base). */
  readonly final?: number;
  /** What the warm-up counts from: 1 (unless given), so that the first step already moves; 0 is what facebookresearch/vicreg does. */
  readonly first?: 0 | 1;
}

/**
 * Linear warm-up, then half a cosine (I. Loshchilov & F. Hutter, ICLR 2017): base·(step + first)/warmup while step < warmup, then
 * final + (base − final)·(1 + cos(π·(step − warmup)/(steps − warmup)))/2.
 * @param step from 0; beyond the last one the rate stays `final`.
 */
export function warmupCosine(step: number, given: WarmupCosine): number {
  const { base, steps, warmup, final, first } = options('warmupCosine', given, {
    base: undefined,
    steps: undefined,
    warmup: 0,
    final: 0,
    first: 1,
  });
  check(typeof base === 'number', 'argument', () => `warmupCosine: base must be a number, got ${shown(base)}`);
  check(
    steps > 0 && warmup >= 0 && warmup <= steps && step >= 0,
    'argument',
    () => `warmupCosine: needs 0 ≤ warmup ≤ steps and step ≥ 0, got step ${step}, warmup ${warmup}, steps ${steps}`,
  );
  if (step < warmup) return base * Math.min(1, (step + first) / warmup);
  return final + (base - final) * halfCosine(step - warmup, steps - warmup);
}

/**
 * The momentum of a target network's average, from `start` to 1: τ = 1 − (1 − start)·(cos(π·step/steps) + 1)/2.
 * (J.-B. Grill et al., NeurIPS 2020, §3.3; google-deepmind/deepmind-research:byol)
 */
export function targetMomentum(step: number, given: { readonly start: number; readonly steps: number }): number {
  const { start, steps } = options('targetMomentum', given, { start: undefined, steps: undefined });
  check(
    steps > 0 && step >= 0 && start >= 0 && start <= 1,
    'argument',
    () => `targetMomentum: needs steps > 0, step ≥ 0 and start from 0 to 1, got ${step}, ${steps}, ${start}`,
  );
  return 1 - (1 - start) * halfCosine(step, steps);
}

/** From 1 at 0 to 0 at `length` and after. */
function halfCosine(at: number, length: number): number {
  return length <= 0 ? 0 : (1 + Math.cos(Math.PI * Math.min(1, at / length))) / 2;
}
