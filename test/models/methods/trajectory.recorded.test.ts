import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, useBackend } from '../../../engine/index.ts';
import { gpu } from '../../engine/backends/webgpu/gpu.ts';
import { atEachPrecision } from '../recorded.ts';
import { PARTS, recording, STEPS, training } from './trajectory.ts';

/** The reference takes more than a second a step: two of them, unless TENSEGRITY_FULL is set. */
const FULL = Boolean(process.env['TENSEGRITY_FULL']);
const CPU_STEPS = FULL ? STEPS : 2;

function follows(dtype: 'f64' | 'f32', steps: number, cases = recording.cases): void {
  let trained: Awaited<ReturnType<typeof training>>;
  beforeAll(async () => {
    trained = await training(dtype);
  });
  afterAll(() => trained.dispose());

  it.each(cases)(
    `$name: ${steps} steps of VICReg follow PyTorch’s`,
    async (recorded) => {
      let t = 0;
      for await (const { rateError, errors } of trained.follow(recorded, steps)) {
        expect(rateError).toBeLessThan(1e-12);
        for (const [k, error] of errors.entries())
          expect(error, `step ${t}, ${PARTS[k]}`).toBeLessThanOrEqual(dtype === 'f64' ? 1e-10 : 1e-5);
        t++;
      }
      expect(t).toBe(steps);
    },
    600_000,
  );
}

atEachPrecision(({ backend, dtype }) => follows(dtype, backend === 'cpu' ? CPU_STEPS : STEPS));

describe.runIf(gpu)('on webgpu in f32', () => {
  beforeAll(async () => {
    await useBackend(gpu as Backend);
  });
  afterAll(() => gpu?.dispose());

  // A CPU that plays GPU takes most of a second a step.
  follows('f32', STEPS, recording.cases.slice(0, FULL ? undefined : 1));
});
