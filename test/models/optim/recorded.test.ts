import { expect, it } from 'vitest';
import { compile, type Slot, slot, type Tensor, tensor } from '../../../engine/index.ts';
import { Adam, AdamW, LARS, type Optimizer, SGD } from '../../../models/index.ts';
import { readRecording } from '../../recordings/recordings.ts';
import { atEachPrecision, converted, errorOf } from '../recorded.ts';

interface OptimizerCase {
  readonly name: string;
  readonly op: keyof typeof optimizers;
  readonly attributes: Readonly<Record<string, number>>;
  readonly steps: readonly number[];
  readonly parameters: readonly string[];
  readonly gradients: readonly string[];
  readonly after: readonly string[];
}

type Stepped = Pick<Optimizer<never>, 'step'>;
type Build = (slots: readonly Slot[], attributes: Readonly<Record<string, never>>) => Stepped;

/** The recordings' names for hyperparameters, where they differ from ours. */
function renamed({ lr, eta, ...hyper }: Readonly<Record<string, never>>): { learningRate: number; trust?: never } {
  return { ...hyper, learningRate: lr!, ...(eta !== undefined && { trust: eta }) };
}

const optimizers = {
  sgd: (slots, attributes) => new SGD(slots, renamed(attributes)),
  adam: (slots, attributes) => new Adam(slots, renamed(attributes)),
  adamW: (slots, attributes) => new AdamW(slots, renamed(attributes)),
  lars: (slots, attributes) => new LARS(slots, renamed(attributes)),
} satisfies Record<string, Build>;

const recording = readRecording<OptimizerCase>('optim');

atEachPrecision(({ dtype, tolerance }) => {
  it.each(recording.cases)('$name', async ({ op, attributes, steps, parameters, gradients, after }) => {
    const slots = parameters.map((name) => slot(converted(recording.tensor(name), dtype), name));
    const optimizer = optimizers[op](slots, attributes as Readonly<Record<string, never>>);
    const all = gradients.map((name) => converted(recording.tensor(name), dtype));
    const step = compile((...given: Tensor[]) => {
      optimizer.step(given);
      return [];
    });
    for (let t = 0, at = 0; t < 5; t++) {
      await step(
        ...all.map(({ shape, data }) =>
          tensor({ dtype, shape: shape.slice(1), data: data.slice((t * data.length) / 5, ((t + 1) * data.length) / 5) }),
        ),
      );
      if (steps[at] !== t + 1) continue;
      for (const [k, own] of slots.entries()) {
        const { data } = recording.tensor(after[k]!);
        const size = data.length / steps.length;
        expect(errorOf(await own.data(), data.subarray(at * size, (at + 1) * size)), `parameter ${k} after ${t + 1}`).toBeLessThanOrEqual(
          tolerance,
        );
      }
      at++;
    }
  });
});
