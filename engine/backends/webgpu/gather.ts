import { sizeOf } from '../../shape.ts';
import { literal } from './expressions.ts';
import { coordinateStatements, type Emitter, placeOf, THREADS, Views } from './shader.ts';

/** A thread for each element. */
export const gather: Emitter<'gather'> = ({ inputs: [x, index], outputs: [out] }, context) => {
  const size = sizeOf(out!.shape);
  if (size === 0) return [];
  const views = new Views(context, [x!, index!], [out!]);
  const outside = x!.dtype === 'f32' ? literal(Number.NaN, 'f32') : '0';
  const body = `let i = group * ${THREADS} + thread;
if (i >= ${size}) { return; }
${coordinateStatements('i', out!.shape, ['a', 'm', 'b'])}
let n = ${views.load(index!, placeOf(index!, ['a', 'm', 'b']))};
var value = ${outside};
if (n >= 0 && n < ${x!.shape[1]}) { value = ${views.load(x!, placeOf(x!, ['a', 'n', 'b']))}; }
${views.store(out!, placeOf(out!, ['a', 'm', 'b']), 'value')}`;
  return [views.shader({ name: 'gather', groups: Math.ceil(size / THREADS), body })];
};
