import { sizeOf } from '../../shape.ts';
import { NAN } from './expressions.ts';
import { entryOf, ordered } from './scatterAdd.ts';
import { type Emitter, Views } from './shader.ts';

/** A thread for each update: in sorted order, the last of those that go to one place writes. What is outside comes at the ends then. */
export const scatter: Emitter<'scatter'> = ({ inputs: [index, updates], outputs: [out] }, context) => {
  const [, positions] = out!.shape;
  const [, count = 0] = updates!.shape;
  if (sizeOf(updates!.shape) === 0) return [];
  const { columns, order, stages } = ordered(index!, out!, context);
  const views = new Views(context, [columns, order, updates!], [out!]);
  const update = (j: string | number) => views.load(order, ['a', 'b', `${j}`]);
  const target = (m: string) => `entryOf(${views.load(columns, ['a', 'b', m])})`;
  const lost = `let least = ${update(0)};
let most = ${update(count - 1)};
if (${target('least')} < 0 || ${target('most')} >= ${positions}) {
for (var n = j; n < ${positions}; n += ${count}) { ${views.store(out!, ['a', 'n', 'b'], NAN)} }
return;
}`;
  const body = `${out!.dtype === 'f32' ? lost : ''}
let m = ${update('j')};
let n = ${target('m')};
if (n < 0 || n >= ${positions}) { return; }
if (j < ${count - 1}) {
let after = ${update('(j + 1)')};
if (${target('after')} == n) { return; }
}
${views.store(out!, ['a', 'n', 'b'], views.load(updates!, ['a', 'm', 'b']))}`;
  return [...stages, views.forEach(updates!.shape, ['a', 'j', 'b'], { name: 'scatter', declarations: entryOf(out!), body })];
};
