import { sizeOf } from '../../shape.ts';
import { literal } from './expressions.ts';
import { coordinateStatements, type Emitter, placeOf, THREADS, Views } from './shader.ts';

/** Which entry of an axis an index means, by its name: negative ones count from the end. What is outside is so on either side. */
export function entry(index: string, extent: number): string {
  return `select(${index}, ${index} + ${extent}, ${index} < 0)`;
}

/** A thread for each element. */
export const gather: Emitter<'gather'> = ({ inputs: [x, index], outputs: [out] }, context) => {
  const size = sizeOf(out!.shape);
  if (size === 0) return [];
  const views = new Views(context, [x!, index!], [out!]);
  const outside = x!.dtype === 'f32' ? literal(Number.NaN, 'f32') : '0';
  const body = `let i = group * ${THREADS} + thread;
if (i >= ${size}) { return; }
${coordinateStatements('i', out!.shape, ['a', 'm', 'b'])}
let given = ${views.load(index!, placeOf(index!, ['a', 'm', 'b']))};
let n = ${entry('given', x!.shape[1]!)};
var value = ${outside};
if (n >= 0 && n < ${x!.shape[1]}) { value = ${views.load(x!, placeOf(x!, ['a', 'n', 'b']))}; }
${views.store(out!, placeOf(out!, ['a', 'm', 'b']), 'value')}`;
  return [views.shader({ name: 'gather', groups: Math.ceil(size / THREADS), body })];
};
