import { afterAll, describe, expect, it } from 'vitest';
import { auditLoss, type Family, familyNames, type Loss, reportText } from '../../audit/index.ts';
import { dialectsOf } from '../../audit/options.ts';
import { type Tensor, useBackend } from '../../engine/index.ts';
import { losses } from '../../models/methods/losses.ts';

/** The loss of a row, as an audit asks it. */
export function lossOfRow(family: Exclude<Family, 'custom'>): Loss {
  const row = losses[family]!;
  return ((...given: readonly unknown[]): unknown => {
    const context = given.at(-1) as Readonly<Record<string, never>>;
    const part = (ofState: boolean) => Object.fromEntries(Object.entries(context).filter(([name]) => name in row.state === ofState));
    return row.compute(given.slice(0, -1) as readonly Tensor[], part(false), part(true));
  }) as Loss;
}

const all = familyNames.flatMap((family) =>
  dialectsOf(family).map((options) => ({ family, options, name: `${family} ${JSON.stringify(options)}` })),
);

afterAll(async () => {
  await useBackend('wasm');
});

/** One size, for which a plan is made once; with TENSEGRITY_FULL=1 any, and as many draws as a user gets. */
const drawn = process.env['TENSEGRITY_FULL'] ? {} : { samples: 8, dimensions: 3, runs: 2 };

describe.each([
  { backend: 'cpu', precision: 'f64' },
  { backend: 'wasm', precision: 'f32' },
] as const)('our losses on $backend, in $precision', ({ backend, precision }) => {
  it.each(all)('$name', async ({ family, options }) => {
    await useBackend(backend);
    const report = await auditLoss(lossOfRow(family), { family, options, precision, input: 'tensors', ...drawn });
    expect(report.verdict, reportText(report)).toBe('nothing found');
    expect(report.identity?.kind).toBe('definition');
  });
});
