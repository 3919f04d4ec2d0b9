/** Every derivative of the table on the GPU, in f32, against that of the reference in f64. */
import { describe, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { propertyTogether } from '../../../support/property.ts';
import { draws, gradientFaults } from '../../agreement.ts';
import { cases } from '../../cases/index.ts';
import { reference } from '../../support.ts';
import { gpu } from './gpu.ts';

/** Calls of an op that share a plan. */
const CALLS = { usual: 8, heavy: 4 };

describe.runIf(gpu)('derivatives on webgpu', () => {
  it.for(cases.filter(({ gradient }) => gradient).map((entry) => [entry.name, entry] as const))('%s', ([, entry]) =>
    propertyTogether(draws(entry, 'small'), entry.heavy ? CALLS.heavy : CALLS.usual, (sample) =>
      gradientFaults(entry, sample, gpu as Backend, reference),
    ),
  );
});
