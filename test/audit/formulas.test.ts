import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Matrix } from '../../audit/arithmetic.ts';
import { type Case, cases, type Shape, stateOf } from '../../audit/batch.ts';
import { type FamilyName, familyNames, formulas } from '../../audit/formulas/index.ts';
import { Model } from '../../audit/model.ts';
import { dialectsOf, familyOptions } from '../../audit/options.ts';
import { grad, realize, type Tensor, tensor, useBackend } from '../../engine/index.ts';
import { losses } from '../../models/methods/losses.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const toTensor = ({ rows, columns, data }: Matrix, shape: readonly number[] = [rows, columns]): Tensor =>
  tensor({ dtype: 'f64', shape, data: data.slice() });

const all = familyNames.flatMap((family) =>
  dialectsOf(family).map((dialect) => ({ family, dialect, name: `${family} ${JSON.stringify(dialect)}` })),
);

function shapeOf(family: FamilyName, dialect: object): Shape {
  const { embeddings } = losses[family]!;
  const [{ names }] = embeddings as [{ names: readonly string[] }];
  return {
    family,
    names,
    state: stateOf(family),
    domain: formulas[family].domain,
    options: familyOptions(family, { ...dialect }),
    precision: 'f64',
  };
}

describe('formulas', () => {
  it.each(all)('$name is the loss of tensors, with its gradient', async ({ family, dialect }) => {
    const shape = shapeOf(family, dialect);
    const row = losses[family]!;
    const drawn: Case[] = (['whole', 'fine'] as const).flatMap((style) => fc.sample(cases(fc, shape, { style }), { seed: 5, numRuns: 4 }));
    const model = new Model(formulas[family]);
    for (const { batch } of drawn) {
      const embeddings = batch.embeddings.map((z) => toTensor(z));
      const state = Object.fromEntries(
        Object.entries(batch.state).map(([name, array]) => {
          const description = row.state[name]!;
          if (description.integers)
            return [name, tensor({ dtype: 'i32', shape: [array.columns], data: Int32Array.from(array.data) })] as const;
          return [name, toTensor(array, description.shape.includes(',') ? undefined : [array.columns])] as const;
        }),
      );
      const { loss } = row.compute(embeddings, batch.options, state);
      const gradients = grad(loss, embeddings);
      await realize(loss, ...gradients);
      const { value, tolerance } = model.expected(batch, 2 ** -53);
      expect(Math.abs((await loss.item()) - value), JSON.stringify({ n: batch.embeddings[0]!.rows, value })).toBeLessThanOrEqual(tolerance);
      const differences = model.gradients(batch);
      for (const [v, gradient] of gradients.entries()) {
        const data = await gradient.data();
        const most = Math.max(...data.map(Math.abs));
        for (const [k, x] of data.entries()) {
          const error = Math.abs(x - differences.gradients[v]!.data[k]!);
          expect(error, `gradient ${v} ${k}: ${x}`).toBeLessThanOrEqual(10 * differences.errors[v]!.data[k]! + 1e-7 * most + 1e-9);
        }
      }
    }
  });
});
