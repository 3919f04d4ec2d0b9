import { beforeAll, describe, expect, it } from 'vitest';
import { grad, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { wmse } from '../../models/index.ts';
import { losses } from '../../models/methods/losses.ts';
import { f64, relativeError, values } from '../models/support.ts';
import { propertyTogether } from '../support/property.ts';
import { contextOf, type Draw, drawn, draws, type Family, rows } from './draws.ts';
import { type Implementation, implementations } from './implementations/index.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const tensorOf = (array: Draw['state'][string]): Tensor => f64(array as number[] | number[][]);

/** What the engine makes of a draw: the loss, and the embeddings that it is of. */
function ours(family: Family, { embeddings, state, options }: Draw): { loss: Tensor; inputs: readonly Tensor[] } {
  const inputs = embeddings.map(tensorOf);
  const arrays = Object.entries(state).map(([name, array]) => [
    name,
    name === 'assignments' ? tensor(array as number[], { dtype: 'i32' }) : tensorOf(array),
  ]);
  return { loss: losses[family]!.compute(inputs, options, Object.fromEntries(arrays)).loss, inputs };
}

/** Each implementation in each of its dialects. */
const cases = Object.entries<Implementation>(implementations).flatMap(([family, implementation]) =>
  (implementation.dialects.length === 0 ? [undefined] : implementation.dialects).map((dialect) => ({
    family: family as Family,
    implementation,
    fixed: dialect === undefined ? {} : { dialect },
    title: `${family} ${dialect ?? ''}`.trim(),
  })),
);

describe('implementations in loops are the losses of this package', () => {
  it('in all dialects that those have', () => {
    const published = Object.keys(implementations).map((family) => {
      const option = losses[family]!.options['dialect'];
      return [family, option?.kind === 'choice' ? option.choices : []];
    });
    expect(published).toEqual(Object.entries<Implementation>(implementations).map(([family, { dialects }]) => [family, dialects]));
  });

  it.each(cases)('$title', async ({ family, implementation, fixed }) => {
    await propertyTogether<[Draw]>([draws(family, fixed)], 25, async (cases) => {
      const expected = await values(...cases.map(([draw]) => ours(family, draw).loss));
      return cases.map(([draw], i) => {
        const loss = implementation.loss(...draw.embeddings, contextOf(draw));
        const [value] = expected[i]!;
        return typeof loss === 'number' && Math.abs(loss - value!) <= 1e-9 * Math.max(1, Math.abs(value!)) ? null : `${loss} for ${value}`;
      });
    });
  });

  it.each(cases.filter(({ family }) => family !== 'sigreg' && family !== 'lejepa'))(
    '$title, gradients',
    async ({ family, implementation, fixed }) => {
      for (const seed of [1, 2]) {
        const draw = drawn(family, seed, fixed);
        const { loss, inputs } = ours(family, draw);
        const expected = await values(...grad(loss, inputs));
        const outcome = implementation.withGradients(...draw.embeddings, contextOf(draw));
        expect(typeof outcome === 'number' || outcome.gradients?.length).toBe(inputs.length);
        if (typeof outcome === 'number') continue;
        const error = relativeError(
          outcome.gradients!.flat(2),
          expected.flatMap((gradient) => [...gradient]),
        );
        expect(error).toBeLessThanOrEqual(1e-6);
      }
    },
  );

  it('w-mse in sub-batches, by divisions that are given', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const [za, zb] = [rows(seed, 12, 2), rows(seed + 9, 12, 2)];
      const permutations = [seed, seed + 50].map((from) => {
        const keys = rows(from, 12, 1).map(([key]) => key!);
        return keys.map((_, i) => i).sort((i, j) => keys[i]! - keys[j]!);
      });
      const given = { subBatch: 6, iterations: 2 };
      const { loss } = wmse(f64(za), f64(zb), { ...given, permutations: tensor(permutations, { dtype: 'i32' }) });
      expect(implementations['w-mse'].loss(za, zb, { ...given, permutations })).toBeCloseTo((await values(loss))[0]![0]!, 11);
    }
  });
});
