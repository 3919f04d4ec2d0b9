import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Case, digest, readRecording, textures } from './recordings.ts';

/** Every family but those whose cases have a form of their own. */
const FAMILIES = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.safetensors'))
  .map((file) => file.replace('.safetensors', ''))
  .filter((family) => !['networks', 'optim', 'trajectory'].includes(family));

describe('the recordings', () => {
  it.each(FAMILIES)('%s: every tensor that a case names is there, once, and none is left over', (family) => {
    const { cases, tensors, tensor } = readRecording(family);
    const named = cases.flatMap(({ inputs, outputs, cotangents = [], gradients = [] }: Case) =>
      [...inputs, ...outputs, ...cotangents, ...gradients].filter((name) => name !== null),
    );
    expect(new Set(named).size).toBe(named.length);
    expect([...named].sort()).toEqual([...tensors.keys()].sort());
    for (const { inputs, gradients, outputs, cotangents } of cases) {
      gradients?.forEach((name, k) => {
        if (name !== null) expect(tensor(name).shape, name).toEqual(tensor(inputs[k]!).shape);
      });
      cotangents?.forEach((name, k) => {
        if (name !== null) expect(tensor(name).shape, name).toEqual(tensor(outputs[k]!).shape);
      });
    }
  });

  it.each(FAMILIES.filter((family) => family !== 'metrics'))('%s: float32 holds every input and cotangent exactly', (family) => {
    const { cases, tensor } = readRecording(family);
    for (const { inputs, cotangents = [] } of cases) {
      for (const name of [...inputs, ...cotangents])
        if (name !== null)
          expect(
            tensor(name).data.every((v) => Object.is(Math.fround(v), v)),
            name,
          ).toBe(true);
    }
  });

  it('the views of the trajectory come out as in Python, bit for bit', () => {
    const { tensor } = readRecording('trajectory');
    const [stats, heads] = [tensor('viewStats').data, tensor('viewHead').data];
    for (let step = 0; step < 20; step++) {
      for (const view of [0, 1]) {
        const at = 2 * step + view;
        const values = textures(step, view);
        expect([...values.subarray(0, 8)]).toEqual([...heads.subarray(8 * at, 8 * at + 8)]);
        const {
          stats: [sum, norm, , absolute],
        } = digest(values, 0);
        expect(Math.abs(sum - stats[2 * at]!)).toBeLessThan(1e-12 * absolute);
        expect(Math.abs(norm * norm - stats[2 * at + 1]!)).toBeLessThan(1e-12 * norm * norm);
      }
    }
  });

  it('threefry.json holds the published answers', () => {
    const { published, computed } = JSON.parse(readFileSync(new URL('./threefry.json', import.meta.url), 'utf8')) as Record<
      string,
      string[]
    >;
    expect(published).toContain('13198a2e 03707344 243f6a88 85a308d3 c4923a9c 483df7a0');
    for (const row of computed!) expect(row).toMatch(/^([0-9a-f]{8} ){5}[0-9a-f]{8}$/);
  });
});
