import type { Node } from '../graph.ts';
import type { Slot } from '../slot.ts';
import type { Tensor } from '../tensor.ts';

/** What is alike in two graphs that can share a plan: ops, attributes, types, shapes and wiring, but not the values of leaves. */
export function structuralKey(order: readonly Node[], outputs: readonly Node[], updates: readonly (readonly [Slot, Tensor])[]): string {
  const numbers = new Map<Node, number>();
  const slots = new Map<Slot, number>();
  const numberOf = (slot: Slot): number => {
    const number = slots.get(slot) ?? slots.size;
    slots.set(slot, number);
    return number;
  };
  const lines = order.map((node, i) => {
    numbers.set(node, i);
    return `${describe(node, numberOf)}${node.storage === null ? node.inputs.map((input) => numbers.get(input)).join(',') : ''}`;
  });
  const roots = outputs.map((node) => numbers.get(node)).join(',');
  const writes = updates.map(([slot, value]) => `${numberOf(slot)}=${numbers.get(value.node)}`).join(',');
  return `${lines.join(';')}|${roots}|${writes}`;
}

function describe(node: Node, numberOf: (slot: Slot) => number): string {
  const type = `${node.dtype}[${node.shape.join(',')}]`;
  if (node.storage !== null) return `leaf:${type}`;
  if (node.is('slot')) return `slot${numberOf(node.attributes.slot)}:${type}`;
  return `${node.op}${attributesKey(node)}:${type}:`;
}

/** The attributes as text; NaN, −0 and infinities are told apart. */
export function attributesKey(node: Node): string {
  return JSON.stringify(node.attributes, (_name, value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? `${Object.is(value, -0) ? '-0' : value}` : value,
  );
}
