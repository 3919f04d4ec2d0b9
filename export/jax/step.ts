import type { HostArray } from '../../engine/dtype.ts';
import type { Node } from '../../engine/graph.ts';
import { Tensor } from '../../engine/tensor.ts';
import type { StepGraph } from '../../models/train/trainer.ts';
import { bodyOf } from './body.ts';
import { Constants, described, indented, moduleOf, slotNames } from './module.ts';
import { identifier, quoted } from './python.ts';

/** A module, and what belongs beside it. */
export interface Exported {
  readonly source: string;
  /** Arrays of its folder `constants`, each as NAME.npy. */
  readonly constants: readonly { readonly name: string; readonly array: HostArray }[];
}

/** A record of expressions, as Python's dict. */
function dict(entries: readonly (readonly [name: string, text: string])[]): string {
  return entries.length === 0 ? '{}' : `{\n${entries.map(([name, text]) => `    ${quoted(name)}: ${text},`).join('\n')}\n}`;
}

/**
 * A training step as a module of one function: `train_step(state, batch, step, learning_rate, …) → (state, metrics)`. See `index.ts` for what these are.
 * @param about the first line of its docstring.
 * @throws TensegrityError `dtype` for a graph with f64.
 */
export async function stepModule({ graph, given: examples, schedules, slots }: StepGraph, about: string): Promise<Exported> {
  const { updates } = graph;
  const { parts, ...measured } = graph.rebuild(graph.leaves.map((node) => new Tensor(node)));
  const pictures = examples.length - 2 - schedules.length;
  const batch = ['indices', ...Array.from({ length: pictures }, (_, i) => (pictures === 1 ? 'images' : `images_${i + 1}`))];
  const numbers = schedules.map(identifier);
  const batchNames = (position: number): string => batch[position === 0 ? 0 : position - 1 - schedules.length]!;
  const argument = (position: number): string => {
    if (position === 1) return 'step';
    return position > 1 && position < 2 + schedules.length ? numbers[position - 2]! : `batch[${quoted(batchNames(position))}]`;
  };
  const constants = new Constants();
  const nameOf = slotNames(slots);
  const results: (readonly [name: string, node: Node])[] = [
    ...Object.entries(measured).map(([name, value]) => [name, value.node] as const),
    ...Object.entries(parts).map(([name, { node }]) => [name, node] as const),
  ];
  const wished = new Map<Node, string>([
    ...updates.map(({ slot, value }) => [value, `new ${nameOf(slot)}`] as const),
    ...results.map(([name, node]) => [node, name] as const),
  ]);
  const { lines, results: texts } = await bodyOf(
    [...updates.map(({ value }) => value), ...results.map(([, node]) => node)],
    {
      placeholder: argument,
      slot: (slot) => `state[${quoted(nameOf(slot))}]`,
      constant: (value, node) => constants.textOf(value, node),
    },
    wished,
  );
  const own = Object.keys(measured).length;
  const given = texts.slice(updates.length);
  const metrics = [
    ...Object.keys(measured).map((name, i) => [name, given[i]!] as const),
    ['parts', dict(Object.keys(parts).map((name, i) => [name, given[own + i]!] as const))] as const,
  ];
  const step = [
    '@functools.partial(jax.jit, donate_argnums=0)',
    `def train_step(state, batch, step, ${numbers.join(', ')}):`,
    ...lines.map(indented),
    `    new_state = {**state, ${dict(updates.map(({ slot }, i) => [nameOf(slot), texts[i]!])).slice(1)}`,
    `    return new_state, ${dict(metrics)}`,
  ].join('\n');
  const tables = [
    `# What state holds, batch holds, and each step is told beside them.\nSTATE = ${described(slots)}`,
    `BATCH = ${described(batch.map((name, i) => [name, examples[i === 0 ? 0 : i + 1 + schedules.length]!] as const))}`,
    `SCHEDULES = (${schedules.map((name) => `${quoted(name)},`).join(' ')})`,
  ].join('\n');
  return { source: moduleOf(about, [tables, step], constants), constants: constants.files };
}
