import { sizeOf } from '../../shape.ts';
import { programStatements } from './expressions.ts';
import { type Emitter, placeStatements, THREADS, Views } from './shader.ts';

/** A thread for each element; everything is loaded before anything is stored, as in-place maps need. */
export const map: Emitter<'map'> = ({ shape, program, inputs, outputs }, context) => {
  const size = sizeOf(shape);
  if (size === 0) return [];
  const views = new Views(context, inputs, outputs);
  const body = [
    `let i = group * ${THREADS} + thread;`,
    `if (i >= ${size}) { return; }`,
    placeStatements('i', inputs, 'from'),
    ...inputs.map((view, k) => `let v${k} = ${views.load(view, `from${k}`)};`),
    programStatements(program, inputs).statements,
    placeStatements('i', outputs, 'to'),
    ...outputs.map((view, k) => views.store(view, `to${k}`, `v${program.results[k]}`)),
  ];
  return [views.shader({ name: 'map', groups: Math.ceil(size / THREADS), body: body.join('\n') })];
};
