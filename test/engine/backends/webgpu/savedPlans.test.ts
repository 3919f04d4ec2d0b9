/** Saved functions on webgpu: the bits of the compiled ones. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { fewDraws } from '../../../support/property.ts';
import { cases } from '../../cases/index.ts';
import { randomPrograms } from '../../compiler/randomPrograms.ts';
import { both, bothOfProgram, drawn } from '../../plan/support.ts';
import { gpu as opened } from './gpu.ts';

const programs = randomPrograms({ extents: [1, 2, 3], largest: 60, types: ['i32', 'u8'] });

describe.runIf(opened)('saved functions on webgpu', () => {
  const gpu = opened as Backend;
  afterAll(() => gpu.dispose());

  it('give the bits of compiled ones: random programs, and their slots', () =>
    fewDraws(15, [programs], async (program) => {
      const { compiled, saved } = await bothOfProgram(program, gpu);
      expect(saved).toEqual(compiled);
    }));

  it('give the bits of compiled ones: ops of the table', async () => {
    // One in a few: each pipeline takes long on a CPU that plays the GPU.
    for (const [k, entry] of cases.entries()) {
      if (k % 6 > 0 || entry.heavy) continue;
      const { fn, args } = drawn(entry, k);
      const { compiled, saved } = await both(fn, args, [], gpu, 1);
      expect({ name: entry.name, results: saved }).toEqual({ name: entry.name, results: compiled });
    }
  }, 120_000);
});
