import { Arithmetic } from '../arithmetic.ts';
import { kept } from '../state.ts';
import { otherValues, withOption } from './options.ts';
import { both, differs, digits, every, type Property } from './property.ts';

/** The loss is its definition, whatever its options. */
export const definitions: readonly Property[] = [
  {
    name: 'definition',
    statement: 'the loss is what its definition says',
    source: 'the family’s source',
    families: every.filter((family) => family !== 'custom'),
    draws: both,
    share: 2,
    check: async (trial, { batch }) => {
      const { value, tolerance } = trial.expected(batch);
      if (!Number.isFinite(value) || !Number.isFinite(tolerance)) return null;
      const { loss } = await trial.ask(batch);
      return differs(loss, value, tolerance, () => `by its definition the loss is ${digits(value)}; it is ${digits(loss)}`);
    },
  },
  {
    name: 'options',
    statement: 'with another value of an option (γ, ε, τ, λ and the like), too, the loss is what its definition says',
    source: 'the family’s source',
    families: every.filter((family) => family !== 'custom'),
    when: ({ reads }) => reads.length > 0,
    draws: both,
    check: async (trial, { batch, dice }) => {
      const name = trial.reads[dice % trial.reads.length]!;
      const values = otherValues[name]!;
      const changed = withOption(batch, name, values[Math.floor(dice / 7) % values.length]!);
      const { value, tolerance } = trial.expected(changed);
      if (!Number.isFinite(value) || !Number.isFinite(tolerance)) return null;
      const { loss } = await trial.ask(changed);
      return differs(
        loss,
        value,
        tolerance,
        () => `with ${name} ${changed.options[name]} the loss is ${digits(value)} by its definition; it is ${digits(loss)}`,
        changed,
      );
    },
  },
];

/** What the loss gives for the next batch is its definition, too. */
export const nextState: Property = {
  name: 'state of the next batch',
  statement: 'a centre or running covariance that the loss gives for the next batch is what its definition says',
  likely: 'it is updated from something else (probabilities, rows of another length, one view), or with another momentum',
  source: 'DINO Eq. 4: c ← .9c + .1·mean of the teacher’s outputs; TiCo Eq. 3; CorInfoMax Eq. 5–6',
  families: ['dino', 'tico', 'corinfomax'],
  draws: both,
  share: 0.5,
  check: async (trial, { batch }) => {
    const { next } = await trial.ask(batch);
    for (const [name, [of]] of Object.entries(kept[trial.shape.family] ?? {})) {
      const seen = next[name];
      if (seen === undefined) continue;
      const right = of!.of(new Arithmetic(), batch).data;
      const most = Math.max(...right.map(Math.abs), ...batch.embeddings.flatMap(({ data }) => Array.from(data, Math.abs)));
      const tolerance = trial.unit * 200 * Math.max(most, most ** 2);
      if (seen.length !== right.length)
        return {
          sentence: `${name} for the next batch has ${seen.length} elements, not ${right.length}`,
          expected: right.length,
          seen: seen.length,
          tolerance: 0,
        };
      const at = right.findIndex((x, k) => !(Math.abs(x - seen[k]!) <= tolerance));
      if (at >= 0)
        return {
          sentence: `${name} for the next batch should be ${digits(right[at]!)} at ${at}, and is ${digits(seen[at]!)}`,
          expected: right[at]!,
          seen: seen[at]!,
          tolerance,
        };
    }
    return null;
  },
};
