/** Nodes that come from nothing: for ops, which make tensors of them by one at hand, and for create.ts, which makes the first. */
import { shown } from '../arguments.ts';
import { checkDType, type DType, dtypes } from '../dtype.ts';
import { check, TensegrityError } from '../errors.ts';
import { Node } from '../graph.ts';
import { checkPositions, checkShape, type Shape } from '../shape.ts';
import type { Rule } from './rule.ts';

export const leafRule: Rule<'leaf'> = { op: 'leaf', infer: () => unreachable('leaf'), vjp: null };
export const slotRule: Rule<'slot'> = {
  op: 'slot',
  infer: (_inputs, { slot }) => ({ shape: slot.shape, dtype: slot.dtype }),
  vjp: null,
};
export const placeholderRule: Rule<'placeholder'> = { op: 'placeholder', infer: () => unreachable('placeholder'), vjp: null };
export const fullRule: Rule<'full'> = { op: 'full', infer: () => unreachable('full'), vjp: null };
export const arangeRule: Rule<'arange'> = { op: 'arange', infer: () => unreachable('arange'), vjp: null };

function unreachable(op: string): never {
  throw new TensegrityError('argument', `${op}: nodes of this kind are not built by a rule`);
}

/** A value everywhere; it takes no memory until it must. @throws TensegrityError naming `op`. */
export function fullNode(op: string, shape: Shape, value: number, dtype: DType): Node<'full'> {
  checkShape(shape, op);
  checkDType(dtype, op);
  check(
    typeof value === 'number' && dtypes[dtype].holds(value),
    'argument',
    () => `${op}: ${shown(value)} is not a value of ${dtype}${typeof value === 'number' ? '; name another dtype' : ''}`,
  );
  return new Node('full', [], { value: dtypes[dtype].round(value) }, shape, dtype);
}

/** 0, 1, … `length − 1`, i32. */
export function arangeNode(length: number): Node<'arange'> {
  checkShape([length], 'arange');
  checkPositions(length, 'arange');
  return new Node('arange', [], {}, [length], 'i32');
}
