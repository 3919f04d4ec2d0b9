import { sizeOf } from '../../shape.ts';
import { programStatements } from './expressions.ts';
import { placeStatements } from './indices.ts';
import { type Emitter, Views } from './shader.ts';

/** From this size on, threads have several elements: GPUs take time to start workgroups. */
const LARGE = 1 << 19;
const MANY_THREADS = 256;
const EACH = 4;

/** A thread for each element, or for some of them; everything is loaded before anything is stored, as in-place maps need. */
export const map: Emitter<'map'> = ({ shape, program, inputs, outputs }, context) => {
  const size = sizeOf(shape);
  if (size === 0) return [];
  const views = new Views(context, inputs, outputs);
  const element = [
    placeStatements('i', inputs, 'from'),
    ...inputs.map((view, k) => `let v${k} = ${views.load(view, `from${k}`)};`),
    programStatements(program, inputs).statements,
    placeStatements('i', outputs, 'to'),
    ...outputs.map((view, k) => views.store(view, `to${k}`, `v${program.results[k]}`)),
  ].join('\n');
  if (context.gpu.software || size < LARGE) return [views.forEach([size], [], { name: 'map', body: element })];
  const body = `for (var each = 0; each < ${EACH}; each++) {
let i = (group * ${EACH} + each) * ${MANY_THREADS} + thread;
if (i < ${size}) {
${element}
}
}`;
  return [views.shader({ name: 'map', groups: Math.ceil(size / (MANY_THREADS * EACH)), threads: MANY_THREADS, body })];
};
