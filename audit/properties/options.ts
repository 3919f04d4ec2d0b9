import type { Batch } from '../batch.ts';
import type { Options } from '../formulas/formula.ts';

export const option = (batch: Batch, name: string): number => Number(batch.options[name]);

/** Other values that an option is asked with. */
export const otherValues: Readonly<Record<string, readonly number[]>> = {
  temperature: [1, 0.25, 0.05],
  studentTemperature: [1, 0.25],
  teacherTemperature: [1, 0.25],
  gamma: [0.5, 2],
  epsilon: [0.1, 0.25],
  invariance: [1, 10],
  variance: [1, 10],
  covariance: [0, 10],
  offDiagonal: [1, 0.05],
  scale: [0.5, 3],
  contrast: [1, 3],
  covarianceMomentum: [0.5, 0.2],
  momentum: [0.5, 0.9],
  sigreg: [0.5, 0.1],
  global: [2],
  local: [0.5],
  iterations: [1, 5],
};

/** Options as a batch has them, but for one. */
export const withOption = (batch: Batch, name: string, value: number): Batch => ({
  ...batch,
  options: { ...batch.options, [name]: value } as Options,
});
