/** Random programs of whole numbers, which the GPU must compute exactly, whatever of them it puts into one dispatch. */
import { describe, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { realize, useBackend } from '../../../../engine/index.ts';
import { propertyTogether } from '../../../support/property.ts';
import { asSlots, bounded, build, byNode, exact, leaf, randomPrograms, read, unsigned, valuesOf } from '../../compiler/randomPrograms.ts';
import { reference } from '../../support.ts';
import { gpu } from './gpu.ts';

const programs = exact(randomPrograms({ extents: [1, 2, 3, 4], largest: 400, types: ['i32', 'u8'] }));
/** Programs in a plan. */
const COUNT = 20;

describe.runIf(gpu)('random programs', () => {
  it.for([1, 2, 3, 4, 5, 6, 7, 8])('of whole numbers are exact on webgpu, %i', () =>
    propertyTogether([programs], COUNT, async (sample) => {
      await useBackend(reference);
      const expected = [];
      for (const [program] of sample) expected.push(await byNode(program, bounded));
      await useBackend(gpu as Backend);
      const built = sample.map(([program]) => {
        const slots = asSlots(program);
        const { outputs, updates } = build(program, program.leaves.map(leaf), valuesOf(slots), bounded);
        slots.forEach((each, i) => each.assign(updates[i]!));
        return { outputs, slots };
      });
      await realize(...built.flatMap(({ outputs }) => outputs));
      const faults: (string | null)[] = [];
      for (const [i, { outputs, slots }] of built.entries()) {
        const [actual, wanted] = [
          [...(await read(outputs)), ...(await read(slots))],
          [...expected[i]!.outputs, ...expected[i]!.updates],
        ].map((arrays) => unsigned(arrays).join('; '));
        faults.push(actual === wanted ? null : `outputs and slots are ${actual}, not ${wanted}`);
      }
      return faults;
    }),
  );
});
