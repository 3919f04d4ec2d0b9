import { NAN } from './expressions.ts';
import { type Emitter, Views } from './shader.ts';

/** Which entry of an axis an index means, by its name: negative ones count from the end. What is outside is so on either side. */
export function entry(index: string, extent: number): string {
  return `select(${index}, ${index} + ${extent}, ${index} < 0)`;
}

/** A thread for each element. */
export const gather: Emitter<'gather'> = ({ inputs: [x, index], outputs: [out] }, context) => {
  const views = new Views(context, [x!, index!], [out!]);
  const outside = x!.dtype === 'f32' ? NAN : '0';
  const body = `let given = ${views.load(index!, ['a', 'm', 'b'])};
let n = ${entry('given', x!.shape[1]!)};
var value = ${outside};
if (n >= 0 && n < ${x!.shape[1]}) { value = ${views.load(x!, ['a', 'n', 'b'])}; }
${views.store(out!, ['a', 'm', 'b'], 'value')}`;
  return [views.forEach(out!.shape, ['a', 'm', 'b'], { name: 'gather', body })];
};
