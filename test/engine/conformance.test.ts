/** Every op of the table on every backend: f64 on cpu against plain loops, f32 everywhere against f64. */

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tensor } from '../../engine/index.ts';
import { property } from '../support/property.ts';
import { computeAll, draws, valueFaults } from './agreement.ts';
import { cases } from './cases/index.ts';
import { place } from './draws.ts';
import { Dense } from './naive.ts';
import { backends, reference } from './support.ts';
import { relativeError } from './values.ts';

describe.for(cases.map((entry) => [entry.name, entry] as const))('%s', ([, entry]) => {
  it('in f64 on cpu is what plain loops give', () =>
    property(draws(entry, 'any'), async (draw, placement, special) => {
      const specials = special && !draw.check ? entry.specials : [];
      const placed = place(draw.inputs, placement, 'f64', { specials });
      const [outputs = []] = await computeAll([[draw, placed]], reference, 'f64');
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
      property(draws(entry, 'any'), async (...draw) => {
        const [fault] = await valueFaults(entry, [draw], backend, reference);
        expect(fault).toBeNull();
      }),
  );
});

/** TABLE=support.md npx vitest run test/engine/conformance.test.ts -t 'support table' */
const { TABLE: table } = process.env as { TABLE?: string };
it.runIf(table)('writes the support table', () => {
  const scopes = { element: 'each element', largest: 'the largest of the result', operands: 'the largest of result and operands' };
  const rows = cases.map(({ name, gradient, specials, tolerance: { f32, webgpu, of } }) => [
    name,
    f32 === 0 ? 'to the bit' : `${f32}${webgpu === f32 ? '' : ` (webgpu ${webgpu.toPrecision(2)})`}, relative to ${scopes[of]}`,
    gradient ? 'first and second order, to 1e-6 in f64' : '',
    specials.length > 0 ? specials.map((value) => (Object.is(value, -0) ? '−0' : `${value}`.replace('-', '−'))).join(', ') : '',
  ]);
  const header = [
    'op',
    'f32 on cpu, wasm and webgpu (where subnormal numbers may count as 0) against f64',
    'derivative checked',
    'special values',
  ];
  const lines = [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  writeFileSync(table!, `${lines.join('\n')}\n`);
});
