import { afterAll, describe, expect, it } from 'vitest';
import { auditLoss, familyNames, reportText } from '../../audit/index.ts';
import { dialectsOf } from '../../audit/options.ts';
import { ourLoss } from '../../audit/ours.ts';
import { useBackend } from '../../engine/index.ts';

const all = familyNames.flatMap((family) =>
  dialectsOf(family).map((options) => ({ family, options, name: `${family} ${JSON.stringify(options)}` })),
);

afterAll(async () => {
  await useBackend('wasm');
});

/** One size, for which a plan is made once; with TENSEGRITY_FULL=1 any, and as many draws as a user gets. */
const drawn = process.env['TENSEGRITY_FULL'] ? {} : { samples: 8, dimensions: 3, runs: 1 };

describe.each([
  { backend: 'cpu', precision: 'f64' },
  { backend: 'wasm', precision: 'f32' },
] as const)('our losses on $backend, in $precision', ({ backend, precision }) => {
  it.each(all)('$name', async ({ family, options }) => {
    await useBackend(backend);
    const report = await auditLoss(ourLoss(family), { family, options, precision, input: 'tensors', ...drawn });
    expect(report.verdict, reportText(report)).toBe('nothing found');
    expect(report.identity?.kind).toBe('definition');
  });
});
