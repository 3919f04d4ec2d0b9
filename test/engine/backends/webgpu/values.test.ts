/** Every op of the table on the GPU, in f32, against the reference in f64. */
import { describe, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { propertyTogether } from '../../../support/property.ts';
import { draws, valueFaults } from '../../agreement.ts';
import { cases } from '../../cases/index.ts';
import { reference } from '../../support.ts';
import { gpu } from './gpu.ts';

/** Calls of an op that share a plan: each shader takes a CPU that plays GPU some tens of milliseconds. */
const CALLS = { usual: 16, heavy: 6 };

describe.runIf(gpu)('on webgpu', () => {
  it.for(cases.map((entry) => [entry.name, entry] as const))('%s', ([, entry]) =>
    propertyTogether(draws(entry, 'any'), entry.heavy ? CALLS.heavy : CALLS.usual, (sample) =>
      valueFaults(entry, sample, gpu as Backend, reference),
    ),
  );
});
