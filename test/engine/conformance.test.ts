/** Every op of the table on every backend: f64 on cpu against plain loops, f32 everywhere against f64. */

import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../engine/backends/backend.ts';
import { type DType, dtypes, type HostArray } from '../../engine/dtype.ts';
import { tensor, useBackend } from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { cases, type Drawn, type OpCase } from './cases.ts';
import { type Placed, place, placements } from './draws.ts';
import { Dense } from './naive.ts';
import { backends, reference, relativeError } from './support.ts';

async function compute({ compute: f }: Drawn, placed: readonly Placed[], backend: Backend, dtype: DType): Promise<HostArray[]> {
  await useBackend(backend);
  const inputs = placed.map(({ base, view }) => view(tensor(base, dtypes[base.dtype].float ? { dtype } : {})));
  return Promise.all([f(...inputs)].flat().map((output) => output.toHost()));
}

/** NaN must meet NaN and infinities their equals; else the largest error, relative to what the case says. */
function errorOf({ tolerance: { of } }: OpCase, actual: HostArray, expected: ArrayLike<number>, placed: readonly Placed[]): number {
  const rounded = Array.from(expected, dtypes[actual.dtype].round);
  if (of === 'element') return Math.max(0, ...rounded.map((value, i) => relativeError([actual.data[i]!], [value], 1e-37)));
  const operands = of === 'operands' ? placed.flatMap(({ base }) => [...base.data].filter(Number.isFinite).map(Math.abs)) : [];
  return relativeError(actual.data, rounded, Math.max(1e-37, ...operands));
}

const drawn = (entry: OpCase) => [entry.draw('any'), placements, fc.boolean()] as const;

describe.for(cases.map((entry) => [entry.name, entry] as const))('%s', ([, entry]) => {
  it('in f64 on cpu is what plain loops give', () =>
    property([...drawn(entry)], async (draw, placement, special) => {
      const specials = special && !draw.check ? entry.specials : [];
      const placed = place(draw.inputs, placement, 'f64', { specials });
      const outputs = await compute(draw, placed, reference, 'f64');
      const inputs = await Promise.all(
        placed.map(async ({ base, view }) => new Dense(view(tensor(base)).shape, await view(tensor(base)).data())),
      );
      for (const [k, expected] of [draw.naive?.(...inputs) ?? []].flat().entries()) {
        expect(outputs[k]!.shape).toEqual(expected.shape);
        expect(relativeError(outputs[k]!.data, expected.data, 1e-3)).toBeLessThanOrEqual(draw.within ?? 1e-11);
      }
      const dense = outputs.map(({ shape, data }) => new Dense(shape, data));
      for (const [left, right] of draw.check?.(dense, inputs) ?? []) {
        expect(left.shape).toEqual(right.shape);
        expect(relativeError(left.data, right.data, 1e-3)).toBeLessThanOrEqual(draw.within ?? 1e-11);
      }
    }));

  it.for(backends.map((backend) => [backend.name, backend] as const))(
    `in f32 on %s is within ${entry.tolerance.f32} of f64`,
    ([, backend]) =>
      property([...drawn(entry)], async (draw, placement, special) => {
        const placed = place(draw.inputs, placement, 'f32', { specials: special ? entry.specials : [] });
        const outputs = await compute(draw, placed, backend, 'f32');
        const expected = await compute(draw, placed, reference, 'f64');
        for (const [k, output] of outputs.entries()) {
          expect(output.shape).toEqual(expected[k]!.shape);
          expect(output.dtype).toBe(expected[k]!.dtype === 'f64' ? 'f32' : expected[k]!.dtype);
          expect(errorOf(entry, output, expected[k]!.data, placed)).toBeLessThanOrEqual(entry.tolerance.f32);
        }
      }),
  );
});

/** TABLE=support.md npx vitest run test/engine/conformance.test.ts -t 'support table' */
const { TABLE: table } = process.env as { TABLE?: string };
it.runIf(table)('writes the support table', () => {
  const scopes = { element: 'each element', largest: 'the largest of the result', operands: 'the largest of result and operands' };
  const rows = cases.map(({ name, gradient, specials, tolerance: { f32, of } }) => [
    name,
    f32 === 0 ? 'to the bit' : `${f32}, relative to ${scopes[of]}`,
    gradient ? 'first and second order, to 1e-6 in f64' : '',
    specials.length > 0 ? specials.map((value) => (Object.is(value, -0) ? '−0' : `${value}`.replace('-', '−'))).join(', ') : '',
  ]);
  const header = ['op', `f32 on ${backends.map(({ name }) => name).join(' and ')} against f64`, 'derivative checked', 'special values'];
  const lines = [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  writeFileSync(table!, `${lines.join('\n')}\n`);
});
